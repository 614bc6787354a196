/* SPDX-License-Identifier: Apache-2.0 */
#include "db/journal.h"

#include "base/timefmt.h"
#include "db/run_facts.h"
#include "db/stmt.h"

struct found {
	int64_t seq;
	bool same;    /* surely this unit's */
	bool suspect; /* already */
	struct journal_open open;
};

/* 1 with the open row that matters most. */
static int find_open(struct db *d, const struct journal_intent *i, const struct run_facts *f,
	struct found *ret, struct err *e)
{
	static const char sql[] =
		"SELECT i.seq, (i.unit <> '' AND i.unit = ?1) OR coalesce(r.unit_id = ?2, 0) AS same,"
		" i.state = 'suspect', i.run_id, r.unit_id, i.intended_at"
		" FROM intents i JOIN runs r ON r.id = i.run_id"
		" WHERE i.state IN ('intent', 'suspect') AND i.action = ?3 AND i.what = ?4"
		" AND (same OR (i.station = ?5 AND (i.unit = '' OR ?1 = '')))"
		" ORDER BY same DESC, i.seq DESC LIMIT 1";
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(
		&q, d, e, sql, i->unit, or_null(f->unit), i->action, i->what, i->station);

	*ret = (struct found){0};
	if (r == 0)
		r = query_next(&q, e);
	if (r <= 0)
		return r;
	ret->seq = col_int(&q, 0);
	ret->same = col_int(&q, 1) != 0;
	ret->suspect = col_int(&q, 2) != 0;
	col_copy(&q, 3, ret->open.run, sizeof ret->open.run);
	col_copy(&q, 4, ret->open.unit, sizeof ret->open.unit);
	ret->open.intended_ms = col_int(&q, 5);
	return 1;
}

static int settle(struct db *tx, int64_t seq, const char *state, const char *observed,
	const char *by, struct err *e)
{
	static const char sql[] = "UPDATE intents SET state = ?, observed = ?, settled_by = ?,"
				  " settled_at = ? WHERE seq = ?";
	static const char find[] =
		"SELECT i.run_id, i.station, r.job_id, i.action, i.what, i.unit FROM intents i"
		" JOIN runs r ON r.id = i.run_id WHERE i.seq = ?";
	_cleanup_(query_done) struct query q = {0};
	int r = db_run_one(tx, e, "that intent", sql, state, observed, by, wall_ms(), seq);

	if (r == 0)
		r = query_begin(&q, tx, e, find, seq);
	if (r == 0)
		r = query_next(&q, e);
	if (r < 0)
		return r;
	return db_event(tx, "intent-settled", col_str(&q, 1), or_null(col_str(&q, 2)),
		col_str(&q, 0), NULL,
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "action", col_str(&q, 3), "what",
			col_str(&q, 4), "unit", col_str(&q, 5), "state", state, "observed",
			observed, "by", by),
		e);
}

static int record(
	struct db *tx, const struct journal_intent *i, const struct run_facts *f, struct err *e)
{
	static const char sql[] =
		"INSERT INTO intents (run_id, step_n, station, action, unit, what, digest, who,"
		" state, intended_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7,"
		" coalesce((SELECT created_by FROM jobs WHERE id = ?8), ''), 'intent', ?9)";
	int r = db_do(tx, e, sql, i->run, i->step_n, i->station, i->action, i->unit, i->what,
		i->digest, or_null(f->job), wall_ms());

	if (r < 0)
		return r;
	return run_event(tx, "intent-recorded", f, or_null(f->unit_serial),
		json_pack("{s:s, s:s, s:s, s:s}", "action", i->action, "what", i->what, "unit",
			i->unit, "digest", i->digest),
		e);
}

/* All that are surely this unit's; *ret is the newest. */
static int settle_same(struct db *tx, const struct journal_intent *i, const struct run_facts *f,
	struct journal_open *ret, struct err *e)
{
	const char *state = i->seen == JOURNAL_DONE ? "committed" : "void";
	struct found row;
	int r;

	while ((r = find_open(tx, i, f, &row, e)) > 0 && row.same) {
		if (!ret->run[0])
			*ret = row.open;
		r = settle(tx, row.seq, state, i->observed, i->run, e);
		if (r < 0)
			return r;
	}
	return MIN(r, 0);
}

int journal_intend(
	struct db *tx, const struct journal_intent *i, struct journal_open *ret, struct err *e)
{
	struct run_facts f;
	struct found row;
	int r = run_facts(tx, i->run, &f, e);

	*ret = (struct journal_open){0};
	if (r < 0)
		return r;
	if (i->seen != JOURNAL_CANNOT_TELL) {
		r = settle_same(tx, i, &f, ret, e);
		return r < 0 || i->seen == JOURNAL_DONE ? r : record(tx, i, &f, e);
	}
	r = find_open(tx, i, &f, &row, e);
	if (r <= 0)
		return r < 0 ? r : record(tx, i, &f, e);
	*ret = row.open;
	return row.same && !row.suspect ? settle(tx, row.seq, "suspect", i->observed, i->run, e)
					: 0;
}

int journal_commit(
	struct db *tx, const char *run, int64_t step_n, const char *observed, struct err *e)
{
	static const char sql[] = "SELECT seq FROM intents WHERE run_id = ? AND step_n = ?"
				  " AND state = 'intent'";
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, tx, e, sql, run, step_n);

	if (r == 0)
		r = query_next(&q, e);
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "run %s has no open intent of step %lld", run,
			(long long)step_n);
	return r < 0 ? r : settle(tx, col_int(&q, 0), "committed", observed, run, e);
}

int journal_release(
	struct db *tx, const char *unit_id, const char *by, const char *reason, struct err *e)
{
	static const char sql[] =
		"SELECT i.seq FROM runs r JOIN intents i ON i.run_id = r.id WHERE r.unit_id = ?"
		" AND r.state = 'finished' AND i.state IN ('intent', 'suspect') LIMIT 1";
	_cleanup_(freep) char *observed = xasprintf("%s: %s", by, reason);

	for (;;) {
		_cleanup_(query_done) struct query q = {0};
		int r = query_begin(&q, tx, e, sql, unit_id);

		if (r == 0)
			r = query_next(&q, e);
		if (r <= 0)
			return r;
		r = settle(tx, col_int(&q, 0), "void", observed, by, e);
		if (r < 0)
			return r;
	}
}
