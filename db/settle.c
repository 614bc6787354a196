/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of what a run reserved: the one rule for a run that ended and for one that a crash cut
 * off (db/ledger.h draws it), and the state of its unit.
 */
#include "base/timefmt.h"
#include "db/ledger.h"
#include "db/run_facts.h"
#include "db/stmt.h"

int run_facts(struct db *d, const char *run, struct run_facts *ret, struct err *e)
{
	static const char sql[] =
		"SELECT r.id, r.station, r.job_id, r.model, r.unit_id, u.serial, u.chip_id,"
		" r.exposed, r.state FROM runs r LEFT JOIN units u ON u.id = r.unit_id"
		" WHERE r.id = ?";
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, d, e, sql, run);

	if (r == 0)
		r = query_next(&q, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no run '%s'", run);
	if (strcmp(col_str(&q, 8), "open"))
		return err_set(e, ERR_CONFLICT, "run %s is finished", run);
	col_copy(&q, 0, ret->id, sizeof ret->id);
	col_copy(&q, 1, ret->station, sizeof ret->station);
	col_copy(&q, 2, ret->job, sizeof ret->job);
	col_copy(&q, 3, ret->model, sizeof ret->model);
	col_copy(&q, 4, ret->unit, sizeof ret->unit);
	col_copy(&q, 5, ret->unit_serial, sizeof ret->unit_serial);
	col_copy(&q, 6, ret->chip, sizeof ret->chip);
	ret->exposed = col_int(&q, 7) != 0;
	return 0;
}

int run_event(struct db *tx, const char *type, const struct run_facts *f, const char *serial,
	json_t *data, struct err *e)
{
	return db_event(tx, type, f->station, or_null(f->job), f->id, serial, data, e);
}

struct settling {
	struct db *tx;
	struct run_facts run;
	const char *outcome;
	const char *reason;
	bool touched; /* an irreversible step was begun and did not pass */
	int64_t now;
	struct err *e;
};

static int new_unit(struct settling *s)
{
	static const char insert[] = "INSERT INTO units (id, model, state, created_at, updated_at)"
				     " VALUES (?1, ?2, 'new', ?3, ?3)";
	static const char link[] = "UPDATE runs SET unit_id = ? WHERE id = ?";
	char id[UUID_SIZE];
	int r = db_run(s->tx, s->e, insert, uuid7(id), or_null(s->run.model), s->now);

	if (r >= 0)
		r = db_run(s->tx, s->e, link, id, s->run.id);
	if (r < 0)
		return r;
	snprintf(s->run.unit, sizeof s->run.unit, "%s", id);
	return 0;
}

static int commit_row(
	struct settling *s, int64_t seq, const char *kind, const char *slot, const char *value)
{
	static const char sql[] = "UPDATE serials SET state = 'committed', unit_id = ?,"
				  " exposed = 1, reason = ?, settled_at = ? WHERE seq = ?";
	static const char name[] = "UPDATE units SET serial = ? WHERE id = ? AND serial IS NULL";
	int r = s->run.unit[0] ? 0 : new_unit(s);

	if (r == 0)
		r = db_run(s->tx, s->e, sql, s->run.unit, s->reason, s->now, seq);
	if (r >= 0 && !strcmp(kind, "serial") && !*slot)
		r = db_run(s->tx, s->e, name, value, s->run.unit);
	if (r < 0)
		return r;
	return run_event(s->tx, "serial-committed", &s->run, value,
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", kind, "value", value, "unit",
			s->run.unit, "outcome", s->outcome, "reason", s->reason),
		s->e);
}

static int release_row(
	struct settling *s, int64_t seq, bool made, const char *kind, const char *value)
{
	static const char void_it[] =
		"UPDATE serials SET state = 'void', reason = ?, settled_at = ? WHERE seq = ?";
	static const char free_it[] =
		"UPDATE serials SET state = 'free', run_id = NULL, slot = '', reserved_at = NULL,"
		" reason = ? WHERE seq = ?";
	int r = made ? db_run(s->tx, s->e, void_it, s->reason, s->now, seq)
		     : db_run(s->tx, s->e, free_it, s->reason, seq);

	if (r < 0)
		return r;
	return run_event(s->tx, made ? "serial-voided" : "serial-released", &s->run, value,
		json_pack("{s:s, s:s, s:s, s:s}", "kind", kind, "value", value, "outcome",
			s->outcome, "reason", s->reason),
		s->e);
}

static int settle_rows(struct settling *s)
{
	static const char sql[] =
		"SELECT s.seq, s.kind, s.slot, s.value, s.exposed, p.pattern IS NOT NULL"
		" FROM serials s LEFT JOIN pools p ON p.id = s.pool_id"
		" WHERE s.run_id = ? AND s.state = 'reserved' ORDER BY s.seq LIMIT 1";
	bool passed = !strcmp(s->outcome, "passed");

	for (;;) {
		_cleanup_(query_done) struct query q = {0};
		int r = query_begin(&q, s->tx, s->e, sql, s->run.id);

		if (r == 0)
			r = query_next(&q, s->e);
		if (r <= 0)
			return r;
		if (passed || col_int(&q, 4))
			r = commit_row(
				s, col_int(&q, 0), col_str(&q, 1), col_str(&q, 2), col_str(&q, 3));
		else
			r = release_row(s, col_int(&q, 0), col_int(&q, 5) != 0, col_str(&q, 1),
				col_str(&q, 3));
		if (r < 0)
			return r;
	}
}

/* NULL: the run says nothing about the unit. */
static const char *unit_state(const struct settling *s)
{
	if (!strcmp(s->outcome, "passed"))
		return "passed";
	if (s->touched)
		return "suspect";
	if (!strcmp(s->outcome, "failed"))
		return "failed";
	return s->run.exposed ? "suspect" : NULL;
}

static int settle_unit(struct settling *s)
{
	static const char sql[] =
		"UPDATE units SET state = ?1, updated_at = ?2 WHERE id = ?3 AND state <> ?1";
	const char *state = unit_state(s);
	int r = 0;

	if (!state)
		return 0;
	if (!s->run.unit[0])
		r = new_unit(s);
	if (r == 0)
		r = db_run(s->tx, s->e, sql, state, s->now, s->run.unit);
	if (r <= 0)
		return r;
	return run_event(s->tx, "unit-changed", &s->run, or_null(s->run.unit_serial),
		json_pack("{s:s, s:s, s:s}", "unit", s->run.unit, "state", state, "reason",
			s->reason),
		s->e);
}

/* An irreversible step that is open, or ended other than passed or failed by its own evidence: no
 * one knows what the device holds now (design, promise 4). One that found its unit suspect did
 * nothing. */
static int find_touched(struct settling *s)
{
	static const char sql[] =
		"SELECT 1 FROM steps WHERE run_id = ? AND irreversible = 1"
		" AND coalesce(outcome, 'interrupted') NOT IN ('passed', 'failed', 'skipped')"
		" AND coalesce(code, '') <> 'unit-suspect'"
		" LIMIT 1";
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, s->tx, s->e, sql, s->run.id);

	if (r == 0)
		r = query_next(&q, s->e);
	if (r < 0)
		return r;
	s->touched = r > 0;
	return 0;
}

int ledger_settle(
	struct db *tx, const char *run, const char *outcome, const char *reason, struct err *e)
{
	struct settling s = {
		.tx = tx, .outcome = outcome, .reason = reason, .now = wall_ms(), .e = e};
	int r = run_facts(tx, run, &s.run, e);

	if (r == 0)
		r = find_touched(&s);
	if (r == 0)
		r = settle_rows(&s);
	return r < 0 ? r : settle_unit(&s);
}
