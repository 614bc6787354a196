/* SPDX-License-Identifier: Apache-2.0 */
#include "api/guard.h"

#include "base/iotime.h"
#include "base/secret.h"
#include "base/util.h"

#define ENTRIES	  1024
#define WINDOW_US (GUARD_WINDOW_S * US_PER_S)
/* Notes in the audit trail: so many at once, and one more every so often. */
#define NOTES	      20
#define NOTE_EVERY_US (5 * US_PER_S)

struct count {
	uint64_t key; /* 0: free */
	uint64_t since_us;
	unsigned failures;
};

struct guard {
	struct count count[ENTRIES];
	uint64_t seed;
	uint64_t last_us; /* of a failure; 0: none yet */
	unsigned notes;	  /* that may be made now */
	uint64_t notes_us;
	unsigned suppressed;
};

struct guard *guard_new(void)
{
	struct guard *g = xcalloc(1, sizeof *g);

	/* So that nobody chooses an address that counts as another's. */
	random_bytes(&g->seed, sizeof g->seed);
	g->notes = NOTES;
	return g;
}

struct guard *guard_free(struct guard *g)
{
	free(g);
	return NULL;
}

/* FNV-1a, 64 bits, of both texts; either may be "". */
static uint64_t key_of(const struct guard *g, const char *address, const char *token)
{
	uint64_t h = 0xcbf29ce484222325ull ^ g->seed;

	for (const char *s = address; *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3ull;
	h = (h ^ 0xff) * 0x100000001b3ull;
	for (const char *s = token; *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3ull;
	return h ? h : 1;
}

static struct count *find(struct guard *g, uint64_t key, uint64_t now)
{
	for (size_t i = 0; i < ENTRIES; i++)
		if (g->count[i].key == key)
			return now - g->count[i].since_us < WINDOW_US ? &g->count[i] : NULL;
	return NULL;
}

/* Seconds until its window ends; 0 while it has not failed too often. */
static unsigned over(const struct count *c, uint64_t now)
{
	if (!c || c->failures < GUARD_FAILURES)
		return 0;
	return (unsigned)((c->since_us + WINDOW_US - now + US_PER_S - 1) / US_PER_S);
}

unsigned guard_wait_s(
	struct guard *g, const char *address, const char *token, bool known, uint64_t now)
{
	const struct count *pair;
	unsigned here;
	unsigned anywhere;

	if (!g->last_us || now - g->last_us > WINDOW_US)
		return 0;
	pair = find(g, key_of(g, address, *token ? token : "-"), now);
	if (known && !pair)
		return 0;
	if (over(pair, now))
		return over(pair, now);
	here = over(find(g, key_of(g, address, ""), now), now);
	anywhere = known ? over(find(g, key_of(g, "", token), now), now) : 0;
	return MAX(here, anywhere);
}

/* The count of that key, begun now if its window is over; it replaces the oldest. */
static struct count *counted(struct guard *g, uint64_t key, uint64_t now)
{
	struct count *place = &g->count[0];

	for (size_t i = 0; i < ENTRIES; i++) {
		struct count *c = &g->count[i];

		if (c->key == key) {
			place = c;
			break;
		}
		if (place->key && (!c->key || c->since_us < place->since_us))
			place = c;
	}
	if (place->key != key || now - place->since_us >= WINDOW_US)
		*place = (struct count){.key = key, .since_us = now};
	place->failures++;
	return place;
}

static bool take_note(struct guard *g, uint64_t now)
{
	uint64_t more = (now - g->notes_us) / NOTE_EVERY_US;

	if (more > 0) {
		g->notes = (unsigned)MIN(g->notes + more, (uint64_t)NOTES);
		g->notes_us = now;
	}
	if (g->notes == 0) {
		g->suppressed++;
		return false;
	}
	g->notes--;
	return true;
}

bool guard_failed(struct guard *g, const char *address, const char *token, bool guess, uint64_t now,
	struct guard_note *ret)
{
	unsigned failures = counted(g, key_of(g, address, *token ? token : "-"), now)->failures;

	g->last_us = now;
	if (guess) {
		failures = counted(g, key_of(g, address, ""), now)->failures;
		if (*token)
			counted(g, key_of(g, "", token), now);
	}
	if (!take_note(g, now))
		return false;
	*ret = (struct guard_note){failures, g->suppressed};
	g->suppressed = 0;
	return true;
}
