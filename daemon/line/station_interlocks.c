/* SPDX-License-Identifier: Apache-2.0
 *
 * The interlocks of a station: what they look at, read after each run and after a person's word, and
 * judged again when time alone may have changed the answer. What stops a run is checked once more in the
 * transaction that opens it (recorder.c).
 */
#include "base/log.h"
#include "base/util.h"
#include "daemon/line/interlock.h"
#include "daemon/line/services.h"
#include "daemon/line/station_impl.h"
#include "db/readers.h"
#include "db/writer.h"

/* The wall clock may be set: the judgement is not older than this. */
#define LOOK_EVERY_US (60 * US_PER_S)

struct due_note {
	char station[CONFIG_ID_MAX + 1];
	enum interlock which;
	bool blocks;
	char message[ERR_TEXT_BYTES];
};

static int apply_due(struct db *tx, void *data, struct err *e)
{
	const struct due_note *n = data;

	return db_event(tx, "interlock-due", n->station, NULL, NULL, NULL,
		json_pack("{s:s, s:b, s:s}", "interlock", interlock_names[n->which], "blocks",
			n->blocks, "message", n->message),
		e);
}

static void due_told(void *data, int result, const struct err *err)
{
	if (result < 0)
		log_error(
			"an interlock is due, and the event of that is not on disk: %s", err->msg);
	free(data);
}

static void tell_due(struct station *s, enum interlock which, const struct interlock_view *v)
{
	struct due_note *n = xcalloc(1, sizeof *n);
	struct err e;

	log_notice("%s", v->message);
	snprintf(n->station, sizeof n->station, "%s", s->cfg->id);
	n->which = which;
	n->blocks = v->blocks;
	memcpy(n->message, v->message, sizeof n->message);
	if (writer_submit(s->line->writer, apply_due, n, due_told, &e) < 0)
		due_told(n, -(int)e.code, &e);
}

static bool is_on(const struct interlocks_config *c)
{
	return interlocks_golden_on(&c->golden) || c->contacts.limit || c->calibration.on ||
	       c->yield.below || c->wear.endurance;
}

static void judge(struct station *s, const struct interlocks_config *c)
{
	const int64_t now = wall_ms();
	const int64_t next = interlocks_next_ms(c, &s->facts, now);
	struct interlocks was = s->interlocks;
	json_t *view, *old;
	bool changed;

	interlocks_judge(c, &s->facts, now, &s->interlocks);
	for (int i = 0; i < INTERLOCK_COUNT && s->interlocks_known; i++)
		if (s->interlocks.of[i].state == INTERLOCK_DUE && was.of[i].state != INTERLOCK_DUE)
			tell_due(s, (enum interlock)i, &s->interlocks.of[i]);
	s->interlocks_known = true;
	s->interlocks_look_us = now_us() + (next ? MIN((uint64_t)(next - now) * 1000, LOOK_EVERY_US)
						 : LOOK_EVERY_US);
	view = interlocks_json(&s->interlocks, &s->facts);
	mutex_lock(&s->lock);
	changed = !json_equal(view, s->interlocks_view);
	old = s->interlocks_view;
	s->interlocks_view = view;
	s->revision += changed;
	mutex_unlock(&s->lock);
	json_decref(old);
}

static int read_facts(struct station *s, const struct interlocks_config *c, struct err *e)
{
	struct db *d = readers_take(s->line->readers, e);
	int r = d ? fixtures_facts(
			    d, s->cfg->fixture, s->cfg->id, interlocks_recent(c), &s->facts, e)
		  : -(int)e->code;

	if (r == 0)
		r = fixtures_instruments(d, s->cfg->instrument, s->cfg->instruments, &s->facts, e);
	readers_give(s->line->readers, d);
	return r;
}

void station_interlocks_stale(struct station *s)
{
	__atomic_store_n(&s->interlocks_stale, true, __ATOMIC_SEQ_CST);
	station_poke(s);
}

void station_interlocks_look(struct station *s)
{
	struct config *c;
	bool stale = __atomic_exchange_n(&s->interlocks_stale, false, __ATOMIC_SEQ_CST);
	struct err e;

	if (!stale && now_us() < s->interlocks_look_us)
		return;
	c = s->line->config(s->line->line);
	if (stale && is_on(&c->interlocks) && read_facts(s, &c->interlocks, &e) < 0) {
		log_error("what the interlocks look at cannot be read: %s", e.msg);
		__atomic_store_n(&s->interlocks_stale, true, __ATOMIC_SEQ_CST);
	}
	judge(s, &c->interlocks);
	config_unref(c);
}
