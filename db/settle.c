/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of what a run reserved: the one rule for a run that ended and for one that a crash cut
 * off (db/ledger.h draws it), and the state of its unit.
 */
#include "base/timefmt.h"
#include "db/ledger.h"
#include "db/outbox.h"
#include "db/run_facts.h"
#include "db/stmt.h"

void run_outcome_is(struct sel *s, const char *outcome)
{
	bool provisioned = outcome && !strcmp(outcome, "provisioned");

	sel_str(s, "outcome = ?", provisioned ? "passed" : outcome);
	if (provisioned)
		sel_and(s, "deferred > 0");
	else if (outcome && !strcmp(outcome, "passed"))
		sel_and(s, "deferred = 0");
}

int run_facts(struct db *d, const char *run, struct run_facts *ret, struct err *e)
{
	struct facts_row {
		struct run_facts f;
		char state[16];
	} row;
	static const struct column columns[] = {COL_AS(struct facts_row, f.id, "id"),
		COL_AS(struct facts_row, f.station, "station"),
		COL_AS(struct facts_row, f.job, "job"), COL_AS(struct facts_row, f.model, "model"),
		COL_AS(struct facts_row, f.unit, "unit"),
		COL_AS(struct facts_row, f.unit_serial, "unit_serial"),
		COL_AS(struct facts_row, f.chip, "chip"),
		COL_AS(struct facts_row, f.exposed, "exposed"),
		COL_AS(struct facts_row, f.golden, "golden"), COL(struct facts_row, state), {0}};
	SELECT(find,
		"SELECT r.id AS id, r.station AS station, r.job_id AS job, r.model AS model,"
		" r.unit_id AS unit, u.serial AS unit_serial, u.chip_id AS chip,"
		" r.exposed AS exposed, r.kind = 'golden' AS golden, r.state AS state FROM runs r"
		" LEFT JOIN units u ON u.id = r.unit_id WHERE r.id = ?",
		columns);
	int r = select_one(d, e, &find, &row, run);

	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no run '%s'", run);
	if (strcmp(row.state, "open") != 0)
		return err_set(e, ERR_CONFLICT, "run %s is finished", run);
	*ret = row.f;
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
	bool acted;   /* the journal has an act of it that is open */
	bool waits;   /* the outbox has something of the unit */
	bool unsure;  /* a value left, and nobody knows whether the unit has it */
	int64_t now;
	struct err *e;
};

static bool is_pass(const struct settling *s)
{
	return !strcmp(s->outcome, "passed");
}

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

struct reserved_row {
	int64_t seq;
	char kind[16], slot[DB_ID_SIZE], value[LEDGER_VALUE_SIZE];
	bool exposed, made; /* made: by a pattern, which does not make it again */
};

static int commit_row(struct settling *s, const struct reserved_row *row)
{
	static const char sql[] = "UPDATE serials SET state = 'committed', unit_id = ?,"
				  " exposed = 1, reason = ?, settled_at = ? WHERE seq = ?";
	static const char name[] = "UPDATE units SET serial = ? WHERE id = ? AND serial IS NULL";
	int r = s->run.unit[0] ? 0 : new_unit(s);

	if (r == 0)
		r = db_run(s->tx, s->e, sql, s->run.unit, s->reason, s->now, row->seq);
	if (r >= 0 && !strcmp(row->kind, "serial") && !*row->slot)
		r = db_run(s->tx, s->e, name, row->value, s->run.unit);
	if (r < 0)
		return r;
	return run_event(s->tx, "serial-committed", &s->run, row->value,
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", row->kind, "value", row->value,
			"unit", s->run.unit, "outcome", s->outcome, "reason", s->reason),
		s->e);
}

static int release_row(struct settling *s, const struct reserved_row *row)
{
	static const char void_it[] =
		"UPDATE serials SET state = 'void', reason = ?, settled_at = ? WHERE seq = ?";
	static const char free_it[] =
		"UPDATE serials SET state = 'free', run_id = NULL, slot = '', reserved_at = NULL,"
		" lease = NULL, reason = ? WHERE seq = ?";
	int r = row->made ? db_run(s->tx, s->e, void_it, s->reason, s->now, row->seq)
			  : db_run(s->tx, s->e, free_it, s->reason, row->seq);

	if (r < 0)
		return r;
	return run_event(s->tx, row->made ? "serial-voided" : "serial-released", &s->run,
		row->value,
		json_pack("{s:s, s:s, s:s, s:s}", "kind", row->kind, "value", row->value, "outcome",
			s->outcome, "reason", s->reason),
		s->e);
}

static int settle_rows(struct settling *s)
{
	static const struct column columns[] = {COL(struct reserved_row, seq),
		COL(struct reserved_row, kind), COL(struct reserved_row, slot),
		COL(struct reserved_row, value), COL(struct reserved_row, exposed),
		COL(struct reserved_row, made), {0}};
	SELECT(next,
		"SELECT s.seq AS seq, s.kind AS kind, s.slot AS slot, s.value AS value,"
		" s.exposed AS exposed, p.pattern IS NOT NULL AS made"
		" FROM serials s LEFT JOIN pools p ON p.id = s.pool_id"
		" WHERE s.run_id = ? AND s.state = 'reserved' ORDER BY s.seq LIMIT 1",
		columns);
	bool passed = is_pass(s);

	for (;;) {
		struct reserved_row row;
		int r = select_one(s->tx, s->e, &next, &row, s->run.id);

		if (r <= 0)
			return r;
		r = passed || row.exposed ? commit_row(s, &row) : release_row(s, &row);
		if (r < 0)
			return r;
	}
}

/* NULL: the run says nothing about the unit. */
static const char *unit_state(const struct settling *s)
{
	if (is_pass(s))
		return s->waits ? "provisioned" : "passed";
	if (s->touched)
		return "suspect";
	if (!strcmp(s->outcome, "failed"))
		return "failed";
	return s->unsure || s->acted ? "suspect" : NULL;
}

static int settle_unit(struct settling *s)
{
	static const char sql[] =
		"UPDATE units SET state = ?1, updated_at = ?2 WHERE id = ?3 AND state <> ?1";
	const char *state;
	int r;

	/* What failed before does not pass by it, and what waits for the unit waits on. */
	if (s->run.golden)
		return outbox_run_ended(
			s->tx, s->run.id, s->run.unit, false, s->reason, &s->waits, s->e);
	r = is_pass(s) && !s->run.unit[0] ? new_unit(s) : 0;
	if (r == 0)
		r = outbox_run_ended(
			s->tx, s->run.id, s->run.unit, is_pass(s), s->reason, &s->waits, s->e);
	state = unit_state(s);
	if (r < 0 || !state)
		return r;
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
	static const char open[] = "SELECT 1 FROM intents WHERE run_id = ?"
				   " AND state IN ('intent', 'suspect') LIMIT 1";
	int r = db_has(s->tx, s->e, sql, s->run.id);

	if (r < 0)
		return r;
	s->touched = r > 0;
	r = db_has(s->tx, s->e, open, s->run.id);
	if (r < 0)
		return r;
	s->acted = r > 0;
	return 0;
}

/* After a crash that is so of whatever left. Where the line ended the run in order (a cloud that was away, a
 * person's stop), the steps say it: a value that left with a step that passed is where it belongs. */
static int find_unsure(struct settling *s)
{
	static const char sql[] =
		"SELECT 1 FROM runs r WHERE r.id = ?1 AND r.exposed = 1 AND"
		" (?2 = 'interrupted' OR r.exposed_step IS NULL OR EXISTS (SELECT 1 FROM steps x"
		" WHERE x.run_id = r.id AND x.n <= r.exposed_step AND x.phase <> 'teardown'"
		" AND coalesce(x.outcome, '') NOT IN ('passed', 'skipped') AND NOT EXISTS"
		" (SELECT 1 FROM steps y WHERE y.run_id = x.run_id AND y.id = x.id"
		" AND y.outcome = 'passed')))";
	int r = db_has(s->tx, s->e, sql, s->run.id, s->outcome);

	s->unsure = r > 0;
	return MIN(r, 0);
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
		r = find_unsure(&s);
	if (r == 0)
		r = settle_rows(&s);
	return r < 0 ? r : settle_unit(&s);
}
