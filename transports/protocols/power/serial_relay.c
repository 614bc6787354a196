/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/power/serial_relay.h"

#include <string.h>

#include "base/digest.h"
#include "base/util.h"

/* What somebody asked before may still be answered. */
#define QUIET_US     (20 * US_PER_MS)
#define QUIET_MAX_US (500 * US_PER_MS)

int serial_relay_switch(
	struct link *l, const struct power_way *w, bool on, const struct iotime *it, struct err *e)
{
	const struct power_bytes *b = on ? &w->on : &w->off;
	bool quiet;
	int r = link_write(l, b->byte, b->n, it, e);

	/* Some say something to it: that is not the answer to the next question. */
	return r < 0 ? r : link_drain(l, QUIET_US, QUIET_MAX_US, &quiet, it, e);
}

static bool begins(const struct power_bytes *b, const uint8_t *got, size_t n)
{
	return b->n && n <= b->n && !memcmp(b->byte, got, n);
}

/* What it said to somebody before would be taken for the answer. */
static int wait_quiet(struct link *l, const struct iotime *it, struct err *e)
{
	bool quiet;
	int r = link_drain(l, QUIET_US, QUIET_MAX_US, &quiet, it, e);

	return r < 0 || quiet ? r
			      : err_set(e, ERR_PROTOCOL,
					"the relay does not stop talking, and nobody has asked it");
}

static int ask(struct link *l, const struct power_way *w, enum power_state *ret,
	const struct iotime *it, struct err *e)
{
	const struct iotime within = iotime_within(it, w->answer_us);
	uint8_t got[POWER_BYTES_MAX];
	char hex[2 * POWER_BYTES_MAX + 1] = "";
	size_t n = 0;
	int r = wait_quiet(l, it, e);

	*ret = POWER_UNKNOWN;
	if (r == 0)
		r = link_write(l, w->query.byte, w->query.n, it, e);
	while (r == 0) {
		r = link_read_exact(l, got + n, 1, NULL, &within, e);
		if (r < 0)
			return err_prefix(e, "the relay's answer");
		n++;
		if (begins(&w->answers_on, got, n) && n == w->answers_on.n)
			*ret = POWER_ON;
		else if (begins(&w->answers_off, got, n) && n == w->answers_off.n)
			*ret = POWER_OFF;
		else if (begins(&w->answers_on, got, n) || begins(&w->answers_off, got, n))
			continue;
		if (*ret != POWER_UNKNOWN)
			return 0;
		hex_of(got, n, hex);
		return err_set(e, ERR_PROTOCOL,
			"the relay answers with '%s', which is neither on nor off", hex);
	}
	return r;
}

/* 1: it says more than its answer, 0: it does not, or an error. */
static int says_more(struct link *l, const struct iotime *it, struct err *e)
{
	const struct iotime nap = iotime_within(it, QUIET_US);
	uint8_t more;
	size_t n;
	int r = link_read(l, &more, 1, &n, &nap, e);

	if (r == 0)
		return 1;
	return r == -ERR_TIMEOUT ? iotime_check(it, e) : r;
}

/* What follows the answer may be its end, and it may be the answer, after one to the command that came late: asked once
 * more, it says the same. */
int serial_relay_read(struct link *l, const struct power_way *w, enum power_state *ret,
	const struct iotime *it, struct err *e)
{
	enum power_state first = POWER_UNKNOWN, second;
	int r = w->query.n ? ask(l, w, &first, it, e) : 0;

	if (r == 0 && w->query.n)
		r = says_more(l, it, e);
	if (r == 1) {
		r = ask(l, w, &second, it, e);
		if (r == 0 && second != first)
			r = err_set(e, ERR_PROTOCOL,
				"the relay answers that it is %s, and asked once more that it is %s",
				power_state_str(first), power_state_str(second));
	}
	if (r == 0)
		*ret = first;
	return r;
}
