/* SPDX-License-Identifier: Apache-2.0 */
#include "db/journal.h"

#include "base/timefmt.h"
#include "db/run_facts.h"
#include "db/stmt.h"

struct found {
	int64_t seq;
	bool same;    /* surely this unit's, of a run that is over or of this one */
	bool suspect; /* already */
	char run[DB_ID_SIZE], unit[DB_ID_SIZE];
	int64_t intended_at;
};

/* 1 with the open row that matters most. What another run does now is its own to settle: its unit has
 * the same name, and is at another station. A chip id in capitals (one firmware) is the one in small letters (the
 * next one): taken for two it would be burnt twice. */
#define ALIKE "((i.unit <> '' AND i.unit = ?1 COLLATE NOCASE) OR coalesce(r.unit_id = ?2, 0))"
static int find_open(struct db *d, const struct journal_intent *i, const struct run_facts *f,
	struct found *ret, struct err *e)
{
	static const struct column columns[] = {COL(struct found, seq), COL(struct found, same),
		COL(struct found, suspect), COL_AS(struct found, run, "run_id"),
		COL_AS(struct found, unit, "unit_id"), COL(struct found, intended_at), {0}};
	SELECT(find,
		"SELECT i.seq, r.id = ?6 OR (r.state = 'finished' AND " ALIKE ") AS same,"
		" i.state = 'suspect' AS suspect, i.run_id, r.unit_id, i.intended_at"
		" FROM intents i JOIN runs r ON r.id = i.run_id"
		" WHERE i.state IN ('intent', 'suspect') AND i.action = ?3 AND i.what = ?4"
		" AND (same OR " ALIKE " OR (i.station = ?5 AND (i.unit = '' OR ?1 = '')))"
		" ORDER BY same DESC, i.seq DESC LIMIT 1",
		columns);

	*ret = (struct found){0};
	return select_one(d, e, &find, ret, i->unit, or_null(f->unit), i->action, i->what,
		i->station, i->run);
}

static struct journal_open open_of(const struct found *row)
{
	struct journal_open o = {.intended_ms = row->intended_at};

	snprintf(o.run, sizeof o.run, "%s", row->run);
	snprintf(o.unit, sizeof o.unit, "%s", row->unit);
	return o;
}

/* 1 with the newest committed act that is surely this unit's. */
static int find_committed(struct db *d, const struct journal_intent *i, const struct run_facts *f,
	struct journal_open *ret, struct err *e)
{
	static const struct column columns[] = {COL_AS(struct journal_open, run, "run_id"),
		COL_AS(struct journal_open, unit, "unit_id"),
		COL_AS(struct journal_open, intended_ms, "intended_at"),
		COL(struct journal_open, committed), COL(struct journal_open, other), {0}};
	SELECT(find,
		"SELECT i.run_id, r.unit_id, i.intended_at, 1 AS committed, i.digest <> ?5 AS other"
		" FROM (SELECT seq FROM intents WHERE state = 'committed' AND unit <> ''"
		" AND unit = ?1 COLLATE NOCASE AND action = ?3 AND what = ?4"
		" UNION SELECT o.seq FROM runs u CROSS JOIN intents o ON o.run_id = u.id"
		" WHERE u.unit_id = ?2 AND o.state = 'committed' AND o.action = ?3 AND o.what = ?4"
		" ORDER BY seq DESC LIMIT 1) AS newest CROSS JOIN intents i ON i.seq = newest.seq"
		" CROSS JOIN runs r ON r.id = i.run_id",
		columns);

	return select_one(
		d, e, &find, ret, i->unit, or_null(f->unit), i->action, i->what, i->digest);
}

struct settled {
	char run[DB_ID_SIZE], station[DB_ID_SIZE], job[DB_ID_SIZE];
	json_t *act;
};

static int settle(struct db *tx, int64_t seq, const char *state, const char *observed,
	const char *by, struct err *e)
{
	static const char sql[] = "UPDATE intents SET state = ?, observed = ?, settled_by = ?,"
				  " settled_at = ? WHERE seq = ?";
	static const struct column columns[] = {COL_AS(struct settled, run, "run_id"),
		COL(struct settled, station), COL_AS(struct settled, job, "job_id"),
		COL(struct settled, act), {0}};
	SELECT(find,
		"SELECT i.run_id, i.station, r.job_id,"
		" json_object('action', i.action, 'what', i.what, 'unit', i.unit) AS act"
		" FROM intents i JOIN runs r ON r.id = i.run_id WHERE i.seq = ?",
		columns);
	struct settled of = {0};
	int r = db_run_one(tx, e, "that intent", sql, state, observed, by, wall_ms(), seq);

	if (r == 0)
		r = select_one(tx, e, &find, &of, seq);
	if (r < 0)
		return r;
	json_object_set_new(of.act, "state", json_string(state));
	json_object_set_new(of.act, "observed", json_string(observed));
	json_object_set_new(of.act, "by", json_string(by));
	return db_event(tx, "intent-settled", of.station, or_null(of.job), of.run, NULL, of.act, e);
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
			*ret = open_of(&row);
		r = settle(tx, row.seq, state, i->observed, i->run, e);
		if (r < 0)
			return r;
	}
	return MIN(r, 0);
}

/* Nothing is open, and the device cannot tell. */
static int intend_unseen(struct db *tx, const struct journal_intent *i, const struct run_facts *f,
	struct journal_open *ret, struct err *e)
{
	int r = i->for_good ? find_committed(tx, i, f, ret, e) : 0;

	if (r != 0 || i->seen == JOURNAL_CLOSED)
		return MIN(r, 0);
	return record(tx, i, f, e);
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
	if (i->seen == JOURNAL_DONE || i->seen == JOURNAL_NOT_DONE) {
		r = settle_same(tx, i, &f, ret, e);
		return r < 0 || i->seen == JOURNAL_DONE ? r : record(tx, i, &f, e);
	}
	r = find_open(tx, i, &f, &row, e);
	if (r < 0 || (r == 0 && i->seen == JOURNAL_HALF))
		return r;
	if (r == 0)
		return intend_unseen(tx, i, &f, ret, e);
	*ret = open_of(&row);
	return row.same && !row.suspect ? settle(tx, row.seq, "suspect", i->observed, i->run, e)
					: 0;
}

int journal_commit(
	struct db *tx, const char *run, int64_t step_n, const char *observed, struct err *e)
{
	static const char sql[] = "SELECT seq FROM intents WHERE run_id = ? AND step_n = ?"
				  " AND state = 'intent'";
	int64_t seq;
	int r = db_int(tx, e, &seq, sql, run, step_n);

	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "run %s has no open intent of step %lld", run,
			(long long)step_n);
	return r < 0 ? r : settle(tx, seq, "committed", observed, run, e);
}

int journal_list(struct db *d, const char *unit_id, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"run_id", AS_TEXT}, {"step_n", AS_INT},
		{"station", AS_TEXT}, {"action", AS_TEXT}, {"unit", AS_TEXT}, {"what", AS_TEXT},
		{"digest", AS_TEXT}, {"who", AS_TEXT}, {"state", AS_TEXT}, {"observed", AS_TEXT},
		{"settled_by", AS_TEXT}, {"intended_at", AS_TIME}, {"settled_at", AS_TIME}, {0}};
	SELECT(list,
		"SELECT i.run_id, i.step_n, i.station, i.action, i.unit, i.what, i.digest, i.who,"
		" i.state, i.observed, i.settled_by, i.intended_at, i.settled_at"
		" FROM runs r JOIN intents i ON i.run_id = r.id WHERE r.unit_id = ?"
		" ORDER BY i.seq DESC",
		columns);

	return db_all_json(d, e, &list, ret, unit_id);
}

int journal_release(
	struct db *tx, const char *unit_id, const char *by, const char *reason, struct err *e)
{
	static const char sql[] =
		"SELECT i.seq FROM runs r JOIN intents i ON i.run_id = r.id WHERE r.unit_id = ?"
		" AND r.state = 'finished' AND i.state IN ('intent', 'suspect') LIMIT 1";
	_cleanup_(freep) char *observed = xasprintf("%s: %s", by, reason);

	int64_t seq;
	int r;

	while ((r = db_int(tx, e, &seq, sql, unit_id)) > 0) {
		r = settle(tx, seq, "void", observed, by, e);
		if (r < 0)
			break;
	}
	return MIN(r, 0);
}
