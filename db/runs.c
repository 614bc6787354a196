/* SPDX-License-Identifier: Apache-2.0 */
#include "db/runs.h"

#include "base/timefmt.h"
#include "db/job_units.h"
#include "db/jobs.h"
#include "db/ledger.h"
#include "db/prompts.h"
#include "db/recall.h"
#include "db/reports.h"
#include "db/rollup_steps.h"
#include "db/rollups.h"
#include "db/run_facts.h"
#include "db/run_record.h"
#include "db/stmt.h"
#include "db/traces.h"
#include "db/wear.h"

/* "none" is the code of what went well: a NULL in the table. */
static const char *code_or_null(const char *code)
{
	return code && strcmp(code, "none") ? or_null(code) : NULL;
}

int runs_open(struct db *tx, const struct run_new *r, struct err *e)
{
	static const char sql[] =
		"INSERT INTO runs (id, station, fixture, kind, state, attached_at)"
		" VALUES (?, ?, ?, coalesce(?, 'production'), 'open', ?)";
	int k = db_run(tx, e, sql, r->id, r->station, r->fixture, r->kind, r->attached_ms);

	if (k < 0)
		return k;
	return db_event(tx, "run-attached", r->station, NULL, r->id, NULL, NULL, e);
}

int runs_start(struct db *tx, const struct run_start *s, struct err *e)
{
	static const char sql[] =
		"UPDATE runs SET job_id = ?, recipe = ?, version = ?, recipe_sha256 = ?, model = ?,"
		" params = coalesce(?, '{}'), firmware = coalesce(?, '{}'), started_at = ?"
		" WHERE id = ?";
	struct trace_context trace;
	struct run_facts f;
	int r = run_facts(tx, s->run, &f, e);

	if (r == 0)
		r = db_run(tx, e, sql, s->job, s->recipe, s->version, s->recipe_sha256, s->model,
			s->params, s->firmware, s->started_ms, s->run);
	if (r >= 0)
		r = traces_of_job(tx, s->job, &trace, e);
	if (r < 0)
		return r;
	return db_event(tx, "run-started", f.station, s->job, s->run, NULL,
		json_pack("{s:s, s:I, s:s*}", "recipe", s->recipe, "version",
			(json_int_t)s->version, "trace_id", r > 0 ? trace.id : NULL),
		e);
}

int runs_set_firmware(struct db *tx, const char *run, const json_t *firmware, struct err *e)
{
	static const char sql[] = "UPDATE runs SET firmware = ? WHERE id = ?";

	return db_run_one(tx, e, "that run", sql, firmware, run);
}

int runs_set_params(struct db *tx, const char *run, const json_t *params, struct err *e)
{
	static const char sql[] = "UPDATE runs SET params = ? WHERE id = ?";

	return db_run_one(tx, e, "that run", sql, params, run);
}

int runs_step_begin(struct db *tx, const struct step_begin *s, struct err *e)
{
	static const char sql[] =
		"INSERT INTO steps (run_id, n, id, action, phase, attempt, irreversible, state,"
		" started_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'open', ?)";
	struct run_facts f;
	int r = run_facts(tx, s->run, &f, e);

	if (r == 0)
		r = db_run(tx, e, sql, s->run, s->n, s->id, s->action, s->phase, s->attempt,
			(int64_t)s->irreversible, s->started_ms);
	if (r < 0)
		return r;
	return run_event(tx, "step-started", &f, or_null(f.unit_serial),
		json_pack("{s:I, s:s, s:s, s:s, s:I}", "n", (json_int_t)s->n, "step", s->id,
			"action", s->action, "phase", s->phase, "attempt", (json_int_t)s->attempt),
		e);
}

int runs_step_end(struct db *tx, const struct step_end *s, struct err *e)
{
	static const char sql[] =
		"UPDATE steps SET state = 'done', outcome = ?, code = ?, message = ?, evidence = ?,"
		" outputs = ?, ended_at = ?, duration_us = ?, deferred = ? WHERE run_id = ? AND n = ?"
		" RETURNING id";
	bool deferred = !strcmp(s->outcome, "deferred");
	char id[DB_ID_SIZE];
	struct run_facts f;
	int r = run_facts(tx, s->run, &f, e);

	if (r < 0)
		return r;
	r = db_text(tx, e, id, sizeof id, sql, deferred ? "skipped" : s->outcome,
		code_or_null(s->code), or_null(s->message), s->evidence, s->outputs, s->ended_ms,
		s->duration_us, deferred, s->run, s->n);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(
			e, ERR_NOT_FOUND, "run %s has no step %lld", s->run, (long long)s->n);

	json_t *data = json_pack("{s:I, s:s, s:s, s:I}", "n", (json_int_t)s->n, "step", id,
		"outcome", s->outcome, "duration_us", (json_int_t)s->duration_us);

	if (code_or_null(s->code))
		json_object_set_new(data, "code", json_string(s->code));
	return run_event(tx, "step-finished", &f, or_null(f.unit_serial), data, e);
}

static struct bind real_or_null(const double *v)
{
	return v ? bind_real(*v) : BIND_NULL;
}

int runs_measure(struct db *tx, const struct measured *m, struct err *e)
{
	static const char sql[] =
		"INSERT INTO measurements (run_id, step_n, k, name, text, unit, verdict, value,"
		" low, high, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

	return db_do(tx, e, sql, m->run, m->step_n, m->k, m->name, m->text, m->unit, m->verdict,
		real_or_null(m->value), real_or_null(m->low), real_or_null(m->high), m->detail);
}

int runs_log(struct db *tx, const char *run, int64_t k, int64_t at_ms, char dir, const char *text,
	struct err *e)
{
	static const char sql[] =
		"INSERT INTO run_log (run_id, k, at, dir, text) VALUES (?, ?, ?, ?, ?)";
	char d[2] = {dir, 0};

	return db_do(tx, e, sql, run, k, at_ms, d, text);
}

/* Steps that had no end are closed with what ended the run; a pass cannot have any. */
static int close_steps(struct db *tx, const struct run_end *end, struct err *e)
{
	static const char sql[] =
		"UPDATE steps SET state = 'done', outcome = ?, code = ?, message = ?, ended_at = ?"
		" WHERE run_id = ? AND state = 'open'";
	const char *outcome = !strcmp(end->outcome, "failed") ? "error" : end->outcome;
	int r = db_run(tx, e, sql, outcome, code_or_null(end->code), end->message, end->ended_ms,
		end->run);

	if (r > 0 && !strcmp(end->outcome, "passed"))
		return err_set(
			e, ERR_INTERNAL, "run %s cannot pass with %d open steps", end->run, r);
	return MIN(r, 0);
}

/* After an update some runs have no record yet: each end of a run catches up a little. */
#define RECORDS_AT_ONCE 4

/* The report as it is now becomes the newest link, and its record the newest leaf. */
static int chain(struct db *tx, const char *run, char ret_hash[SHA256_HEX], struct err *e)
{
	struct link {
		int64_t chain;
		char hash[SHA256_HEX];
	} newest = {.hash = REPORT_FIRST_HASH};
	static const struct column columns[] = {
		COL(struct link, chain), COL(struct link, hash), {0}};
	SELECT(last,
		"SELECT chain, hash FROM runs WHERE chain IS NOT NULL"
		" ORDER BY chain DESC LIMIT 1",
		columns);
	static const char put[] = "UPDATE runs SET chain = ?, prev_hash = ?, hash = ? WHERE id = ?";
	json_t *report = NULL;
	int r = select_one(tx, e, &last, &newest);

	if (r >= 0)
		r = reports_run(tx, run, &report, e);
	if (r == 0)
		r = reports_chain(report, newest.hash, ret_hash, e);
	if (r == 0)
		r = db_do(tx, e, put, newest.chain + 1, newest.hash, ret_hash, run);
	if (r == 0)
		r = run_records_append(tx, RECORDS_AT_ONCE, run, report, e);
	json_decref(report);
	return r;
}

static int tell_finished(struct db *tx, const struct run_facts *f, const struct run_end *end,
	const char *hash, struct err *e)
{
	struct said {
		char serial[LEDGER_VALUE_SIZE], outcome[16];
	} said = {0};
	static const struct column of_run[] = {
		COL(struct said, serial), COL(struct said, outcome), {0}};
	SELECT(find, "SELECT serial, " RUN_OUTCOME " FROM runs WHERE id = ?", of_run);
	int r = select_one(tx, e, &find, &said, end->run);
	json_t *data = json_pack("{s:s, s:s}", "outcome", said.outcome, "hash", hash);

	if (r < 0) {
		json_decref(data);
		return r;
	}
	if (code_or_null(end->code))
		json_object_set_new(data, "code", json_string(end->code));
	if (end->step)
		json_object_set_new(data, "step", json_string(end->step));
	if (end->message)
		json_object_set_new(data, "message", json_string(end->message));
	return run_event(tx, "run-finished", f, or_null(said.serial), data, e);
}

/* What has passed is not made again by another order: that of its first try, or of its rework. */
static int leave_lists(struct db *tx, const char *run, const char *job, struct err *e)
{
	static const char of_run[] = "SELECT serial FROM runs WHERE id = ? AND serial IS NOT NULL"
				     " AND kind = 'production' AND outcome = 'passed'";
	char serial[LEDGER_VALUE_SIZE], other[DB_ID_SIZE] = "";
	int r = db_text(tx, e, serial, sizeof serial, of_run, run);

	if (r <= 0)
		return r;
	do {
		r = job_units_made(tx, serial, job, other, e);
		if (r == 0 && other[0])
			r = jobs_check_list(tx, other, e);
	} while (r == 0 && other[0]);
	return r;
}

int runs_finish(struct db *tx, const struct run_end *end, struct err *e)
{
	static const char sql[] =
		"UPDATE runs SET state = 'finished', outcome = ?, code = ?, step = ?, message = ?,"
		" hint = ?, ended_at = ?, duration_ms = CASE WHEN ? THEN ? END, deferred ="
		" (SELECT count(*) FROM steps WHERE run_id = runs.id AND steps.deferred)"
		" WHERE id = ? RETURNING kind";
	const char *reason = end->message && *end->message ? end->message
			     : code_or_null(end->code)	   ? end->code
							   : end->outcome;
	struct run_facts f;
	char kind[16] = "";
	char hash[SHA256_HEX];
	int r = run_facts(tx, end->run, &f, e);

	/* Settled before the steps are closed: an open irreversible step makes a suspect. */
	if (r == 0)
		r = ledger_settle(tx, end->run, end->outcome, reason, e);
	if (r == 0)
		r = close_steps(tx, end, e);
	if (r == 0)
		r = prompts_cancel_run(tx, end->run, e);
	if (r == 0)
		r = db_text(tx, e, kind, sizeof kind, sql, end->outcome, code_or_null(end->code),
			end->step, end->message, end->hint, end->ended_ms,
			(int64_t)(end->duration_ms != NULL),
			end->duration_ms ? *end->duration_ms : (int64_t)0, end->run);
	if (r < 0)
		return r;

	bool counts = f.job[0] && strcmp(kind, "debug") != 0;

	r = chain(tx, end->run, hash, e);
	if (r == 0)
		r = rollups_add(tx, end->run, e);
	if (r == 0)
		r = rollup_steps_add(tx, end->run, e);
	if (r == 0)
		r = recall_note(tx, end->run, e);
	if (r == 0)
		r = wear_add(tx, end->run, e);
	if (r == 0)
		r = tell_finished(tx, &f, end, hash, e);
	if (r == 0 && f.job[0])
		r = job_units_settle(tx, end->run, end->outcome, reason, e);
	if (r == 0 && counts)
		r = jobs_count_run(tx, f.job, end->outcome, e);
	return r < 0 ? r : leave_lists(tx, end->run, f.job, e);
}

int runs_complete(struct db *tx, const char *run, struct err *e)
{
	static const char make[] =
		"INSERT INTO runs (id, kind, job_id, station, recipe, version, recipe_sha256, model,"
		" unit_id, serial, state, attached_at, started_at, completes) SELECT ?1, 'debug',"
		" job_id, station, recipe, version, recipe_sha256, model, unit_id, serial, 'open',"
		" ?2, ?2, id FROM runs WHERE id = ?3";
	static const char steps[] =
		"INSERT INTO steps (run_id, n, id, action, phase, attempt, irreversible, state,"
		" outcome, evidence, outputs, started_at, ended_at) SELECT ?1,"
		" row_number() OVER (ORDER BY o.seq), s.id, s.action, s.phase, o.attempts,"
		" s.irreversible, 'done', 'passed', json_extract(o.result, '$.evidence'),"
		" json_extract(o.result, '$.outputs'), o.tried_at, o.settled_at FROM outbox o"
		" JOIN steps s ON s.run_id = o.run_id AND s.n = o.step_n WHERE o.run_id = ?2";
	static const char end[] = "UPDATE runs SET state = 'finished', outcome = 'passed',"
				  " ended_at = ?, duration_ms = 0 WHERE id = ?";
	char id[UUID_SIZE], hash[SHA256_HEX];
	struct run_facts f;
	int r = db_do(tx, e, make, uuid7(id), wall_ms(), run);

	if (r == 0)
		r = run_facts(tx, id, &f, e);
	if (r == 0)
		r = db_do(tx, e, steps, id, run);
	if (r == 0)
		r = db_do(tx, e, end, wall_ms(), id);
	if (r == 0)
		r = chain(tx, id, hash, e);
	return r < 0 ? r
		     : run_event(tx, "run-completed", &f, or_null(f.unit_serial),
			       json_pack("{s:s, s:s}", "completes", run, "hash", hash), e);
}

struct open_run {
	char id[DB_ID_SIZE];
	char step[DB_ID_SIZE]; /* "" none */
};

static int next_open(struct db *tx, struct open_run *ret, struct err *e)
{
	static const struct column columns[] = {
		COL(struct open_run, id), COL(struct open_run, step), {0}};
	SELECT(next,
		"SELECT id, (SELECT id FROM steps WHERE run_id = runs.id AND state = 'open'"
		" ORDER BY n DESC LIMIT 1) AS step FROM runs WHERE state = 'open' LIMIT 1",
		columns);

	return select_one(tx, e, &next, ret);
}

int runs_recover(struct db *tx, int64_t *ret, struct err *e)
{
	struct open_run open;
	const int64_t unknown = -1;
	int64_t n = 0;
	int r;

	while ((r = next_open(tx, &open, e)) > 0) {
		struct run_end end = {
			.run = open.id,
			.outcome = "interrupted",
			.duration_ms = &unknown,
			.code = err_code_str(ERR_INTERRUPTED),
			.step = or_null(open.step),
			.message = "Power or provd was lost during the run.",
			.hint = err_code_hint(ERR_INTERRUPTED),
			.ended_ms = wall_ms(),
		};

		r = runs_finish(tx, &end, e);
		if (r < 0)
			break;
		n++;
	}
	if (r < 0)
		return r;
	*ret = n;
	return 0;
}

#define COLUMNS                                                                     \
	"seq, id, " RUN_KIND                                                        \
	", job_id AS job, station, fixture, recipe, version, recipe_sha256, model," \
	" unit_id AS unit, serial, state, completes, " RUN_OUTCOME                  \
	", code, step, message, hint, params, firmware,"                            \
	" attached_at, started_at, ended_at, hash, " RUN_DURATION ", " TRACE_OF_RUNS

static const struct column columns[] = {{"seq", AS_INT}, {"id", AS_TEXT}, {"kind", AS_TEXT},
	{"job", AS_TEXT}, {"station", AS_TEXT}, {"fixture", AS_TEXT}, {"recipe", AS_TEXT},
	{"version", AS_INT}, {"recipe_sha256", AS_TEXT}, {"model", AS_TEXT}, {"unit", AS_TEXT},
	{"serial", AS_TEXT}, {"state", AS_TEXT}, {"outcome", AS_TEXT}, {"code", AS_TEXT},
	{"step", AS_TEXT}, {"message", AS_TEXT}, {"hint", AS_TEXT}, {"params", AS_JSON},
	{"firmware", AS_JSON}, {"attached_at", AS_TIME}, {"started_at", AS_TIME},
	{"ended_at", AS_TIME}, {"hash", AS_TEXT}, {"completes", AS_TEXT}, {"duration_ms", AS_INT},
	{"traceparent", AS_TEXT}, {0}};

int runs_get(struct db *d, const char *id, json_t **ret, struct err *e)
{
	SELECT(get, "SELECT " COLUMNS " FROM runs WHERE id = ?", columns);

	return db_one_json(d, e, "run", &get, ret, id);
}

int runs_list(struct db *d, const struct run_filter *f, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	SELECT(list, "SELECT " COLUMNS " FROM runs", columns);
	static const struct keyset order = {.major = "seq", .table = "runs"};
	const bool open = f->state && !strcmp(f->state, "open");
	struct sel s;

	sel_init(&s, &list);
	sel_found(&s, "serial = ?", f->serial);
	sel_found(&s, "unit_id = ?", f->unit);
	/* There are few of them, and a constant finds the partial index. */
	if (open)
		sel_and(&s, "id IN (SELECT o.id FROM runs o WHERE o.state = 'open')");
	sel_found(&s, "job_id = ?", f->job);
	sel_found(&s, "station = ?", f->station);
	if (f->outcome && *f->outcome && s.found)
		sel_look(&s);
	run_outcome_is(&s, f->outcome);
	s.found |= f->outcome && *f->outcome;
	sel_found(&s, "recipe = ?", f->recipe);
	if (!open)
		sel_looked(&s, "state = ?", f->state);
	sel_looked(&s, "step = ?", f->step);
	sel_looked(&s, "code = ?", f->code);
	if (f->from_ms)
		sel_looked_int(&s, "attached_at >= ?", f->from_ms);
	if (f->to_ms)
		sel_looked_int(&s, "attached_at < ?", f->to_ms);
	return sel_page(&s, d, &order, page, ret, e);
}

int runs_steps(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column of_step[] = {{"n", AS_INT}, {"id", AS_TEXT}, {"action", AS_TEXT},
		{"phase", AS_TEXT}, {"attempt", AS_INT}, {"irreversible", AS_BOOL},
		{"state", AS_TEXT}, {"outcome", AS_TEXT}, {"code", AS_TEXT}, {"message", AS_TEXT},
		{"evidence", AS_JSON}, {"outputs", AS_JSON}, {"started_at", AS_TIME},
		{"ended_at", AS_TIME}, {"duration_us", AS_INT}, {0}};
	SELECT(all,
		"SELECT n, id, action, phase, attempt, irreversible, state, " STEP_OUTCOME
		", code, message,"
		" evidence, outputs, started_at, ended_at, duration_us FROM steps"
		" WHERE run_id = ? ORDER BY n",
		of_step);

	return db_all_json(d, e, &all, ret, run);
}

int runs_measurements(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column measured[] = {{"step", AS_TEXT}, {"n", AS_INT}, {"k", AS_INT},
		{"name", AS_TEXT}, {"value", AS_REAL}, {"text", AS_TEXT}, {"unit", AS_TEXT},
		{"low", AS_REAL}, {"high", AS_REAL}, {"verdict", AS_TEXT}, {"detail", AS_JSON},
		{0}};
	SELECT(all,
		"SELECT s.id AS step, m.step_n AS n, m.k AS k, m.name AS name, m.value AS value,"
		" m.text AS text, m.unit AS unit, m.low AS low, m.high AS high,"
		" m.verdict AS verdict, m.detail AS detail FROM measurements m LEFT JOIN steps s"
		" ON s.run_id = m.run_id AND s.n = m.step_n WHERE m.run_id = ?"
		" ORDER BY m.step_n, m.k",
		measured);

	return db_all_json(d, e, &all, ret, run);
}

int runs_log_list(struct db *d, const char *run, const struct db_page *page, struct db_list *ret,
	struct err *e)
{
	static const struct column line[] = {
		{"k", AS_INT}, {"at", AS_TIME}, {"dir", AS_TEXT}, {"text", AS_TEXT}, {0}};
	SELECT(list, "SELECT k, at, dir, text FROM run_log", line);
	static const struct keyset order = {.major = "k", .ascending = true};
	struct sel s;

	sel_init(&s, &list);
	sel_str(&s, "run_id = ?", run);
	return sel_page(&s, d, &order, page, ret, e);
}
