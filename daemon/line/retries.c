/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/retries.h"

#include "base/iotime.h"
#include "base/secret.h"
#include "base/util.h"
#include "daemon/line/webhook_rules.h"

#define LATERS_MAX (2 * WEBHOOK_OPEN_MAX)

static struct later *find_later(struct retries *r, int64_t n)
{
	for (size_t i = 0; i < r->laters; i++)
		if (r->later[i].n == n)
			return &r->later[i];
	return NULL;
}

static void forget_later(struct retries *r, int64_t n)
{
	struct later *l = find_later(r, n);

	if (l)
		*l = r->later[--r->laters];
}

/* How long ago it was tried before, 0 never. */
static int64_t note_later(struct retries *r, int64_t n, int64_t again_ms)
{
	const uint64_t now = now_us();
	struct later *l = find_later(r, n);
	int64_t waited_ms;

	/* Dead ones are in it as well: the oldest goes. */
	if (!l && r->laters == LATERS_MAX)
		r->later[0] = r->later[--r->laters];
	if (!l) {
		r->later = reallocarray(r->later, r->laters + 1, sizeof *r->later);
		if (!r->later)
			abort();
		l = &r->later[r->laters++];
		*l = (struct later){.n = n, .tried_us = now};
	}
	waited_ms = (int64_t)((now - l->tried_us) / US_PER_MS);
	l->tried_us = now;
	l->due_us = now + (uint64_t)again_ms * US_PER_MS;
	return waited_ms;
}

bool retries_rest(const struct retries *r)
{
	return r->failures && r->due_us > now_us();
}

void retries_taken(struct retries *r, int64_t n)
{
	forget_later(r, n);
	r->failures = 0;
	r->due_us = r->tried_us = 0;
}

static void note_receiver(struct retries *r, struct delivery_end *end, uint64_t begun_us,
	int64_t asked_ms, uint16_t random)
{
	const uint64_t now = now_us();

	if (begun_us < r->tried_us)
		return;
	if (r->tried_us)
		end->failing_ms = (int64_t)((now - r->tried_us) / US_PER_MS);
	r->tried_us = now;
	r->failures++;
	r->due_us = now + (uint64_t)webhook_probe_ms(r->failures, asked_ms, random) * US_PER_MS;
}

void retries_not_taken(struct retries *r, struct delivery_end *end, int64_t attempts,
	uint64_t begun_us, int64_t asked_ms)
{
	uint16_t part[2];

	random_bytes(part, sizeof part);
	end->waited_ms = note_later(r, end->n, webhook_again_ms(attempts + 1, part[0]));
	note_receiver(r, end, begun_us, asked_ms, part[1]);
}

void retries_not_there(struct retries *r, struct delivery_end *end, uint64_t begun_us)
{
	uint16_t part;

	random_bytes(&part, sizeof part);
	note_receiver(r, end, begun_us, 0, part);
}

void retries_not_now(const struct retries *r, json_t *list)
{
	const uint64_t now = now_us();

	for (size_t i = 0; i < r->laters; i++)
		if (r->later[i].due_us > now)
			json_array_append_new(list, json_integer(r->later[i].n));
}

void retries_now(struct retries *r)
{
	r->due_us = 0;
	for (size_t i = 0; i < r->laters; i++)
		r->later[i].due_us = 0;
}

void retries_done(struct retries *r)
{
	free(r->later);
	*r = (struct retries){0};
}
