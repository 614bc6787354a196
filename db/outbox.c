/* SPDX-License-Identifier: Apache-2.0 */
#include "db/outbox.h"

#include "base/timefmt.h"
#include "db/journal.h"
#include "db/run_facts.h"
#include "db/runs.h"
#include "db/stmt.h"

#define IS_OPEN "state IN ('held', 'waiting', 'refused')"

int outbox_add(struct db *tx, const struct outbox_new *n, struct err *e)
{
	static const char sql[] =
		"INSERT INTO outbox (id, kind, key, order_key, target, payload, run_id, step_n,"
		" state, created_at, next_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,"
		" CASE WHEN ?7 IS NULL THEN 'waiting' ELSE 'held' END, ?9, ?9)";
	char id[UUID_SIZE];

	return db_do(tx, e, sql, uuid7(id), n->kind, n->key, n->order_key ? n->order_key : n->run,
		n->target, n->payload, n->run, n->step_n, wall_ms());
}

/* --- one row --- */

struct about {
	char id[DB_ID_SIZE], state[16], run[DB_ID_SIZE], unit[DB_ID_SIZE], station[DB_ID_SIZE],
		job[DB_ID_SIZE], serial[DB_ID_SIZE], target[DB_ID_SIZE], step[DB_ID_SIZE];
	int64_t seq, step_n;
};

static int find(struct db *d, const char *id, struct about *ret, struct err *e)
{
	static const struct column columns[] = {COL(struct about, id), COL(struct about, state),
		COL(struct about, run), COL(struct about, unit), COL(struct about, station),
		COL(struct about, job), COL(struct about, serial), COL(struct about, target),
		COL(struct about, step), COL(struct about, seq), COL(struct about, step_n), {0}};
	SELECT(row,
		"SELECT o.id AS id, o.state AS state, r.id AS run, r.unit_id AS unit, r.station AS"
		" station, r.job_id AS job, r.serial AS serial, o.target AS target,"
		" json_extract(o.payload, '$.step') AS step, o.seq AS seq, o.step_n AS step_n"
		" FROM outbox o LEFT JOIN runs r ON r.id = o.run_id WHERE o.id = ?",
		columns);
	int r;

	*ret = (struct about){0};
	r = select_one(d, e, &row, ret, id);
	return r == 0 ? err_set(e, ERR_NOT_FOUND, "the outbox has no row '%s'", id) : MIN(r, 0);
}

static int tell(
	struct db *tx, const char *type, const struct about *a, const char *message, struct err *e)
{
	return db_event(tx, type, or_null(a->station), or_null(a->job), or_null(a->run),
		or_null(a->serial),
		json_pack("{s:s, s:s, s:s*, s:s*, s:s*}", "outbox", a->id, "target", a->target,
			"step", or_null(a->step), "unit", or_null(a->unit), "message",
			or_null(message)),
		e);
}

static int set_unit(struct db *tx, const struct about *a, const char *from, const char *to,
	const char *reason, struct err *e)
{
	static const char sql[] =
		"UPDATE units SET state = ?, updated_at = ? WHERE id = ? AND state = ?";
	int r = db_run(tx, e, sql, to, wall_ms(), a->unit, from);

	if (r <= 0)
		return r;
	return db_event(tx, "unit-changed", or_null(a->station), or_null(a->job), or_null(a->run),
		or_null(a->serial),
		json_pack("{s:s, s:s, s:s}", "unit", a->unit, "state", to, "reason", reason), e);
}

/* --- with the run --- */

static int void_row(struct db *tx, const char *id, const char *reason, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET state = 'void', message = ?, settled_at = ?"
				  " WHERE id = ?";
	struct about a;
	int r = find(tx, id, &a, e);

	if (r == 0)
		r = db_do(tx, e, sql, reason, wall_ms(), id);
	return r < 0 ? r : tell(tx, "outbox-voided", &a, reason, e);
}

/* Every row that the statement finds: each once, since a void one is not open any more. */
static int void_all(struct db *tx, const char *sql, const struct bind *parameters,
	const char *reason, struct err *e)
{
	char id[DB_ID_SIZE];
	int r;

	while ((r = db_text_with(tx, e, id, sizeof id, sql, parameters)) > 0) {
		r = void_row(tx, id, reason, e);
		if (r < 0)
			break;
	}
	return MIN(r, 0);
}

static int let_go(struct db *tx, const char *run, const char *unit, struct err *e)
{
	static const char older[] =
		"SELECT o.id FROM outbox o JOIN runs b ON b.id = o.run_id"
		" WHERE o.order_key = ?1 AND o.run_id <> ?2 AND o." IS_OPEN
		" AND b.recipe = (SELECT recipe FROM runs WHERE id = ?2) LIMIT 1";
	static const char go[] = "UPDATE outbox SET state = 'waiting', order_key = ?, next_at = ?"
				 " WHERE run_id = ? AND state = 'held'";
	_cleanup_(freep) char *reason = xasprintf("run %s did it again", run);
	int r = void_all(tx, older, BINDS(unit, run), reason, e);

	return r < 0 ? r : MIN(db_run(tx, e, go, unit, wall_ms(), run), 0);
}

int outbox_run_ended(struct db *tx, const char *run, const char *unit, bool passed,
	const char *reason, bool *ret_open, struct err *e)
{
	static const char held[] =
		"SELECT id FROM outbox WHERE run_id = ? AND state = 'held' LIMIT 1";
	static const char open[] =
		"SELECT 1 FROM outbox WHERE order_key = ? AND " IS_OPEN " LIMIT 1";
	_cleanup_(freep) char *why = xasprintf("the run did not pass: %s", reason);
	int r = passed ? let_go(tx, run, unit, e) : void_all(tx, held, BINDS(run), why, e);

	if (r == 0)
		r = db_has(tx, e, open, unit);
	if (r < 0)
		return r;
	*ret_open = r > 0;
	return 0;
}

int outbox_void_unit(struct db *tx, const char *unit, const char *reason, struct err *e)
{
	static const char sql[] =
		"SELECT id FROM outbox WHERE order_key = ? AND " IS_OPEN " LIMIT 1";

	return void_all(tx, sql, BINDS(unit), reason, e);
}

/* --- on the way --- */

int outbox_next(
	struct db *d, const json_t *not_to, int64_t now_ms, struct outbox_row *ret, struct err *e)
{
	static const struct column columns[] = {COL(struct outbox_row, seq),
		COL(struct outbox_row, id), COL(struct outbox_row, kind),
		COL(struct outbox_row, target), COL_AS(struct outbox_row, run, "run_id"),
		COL(struct outbox_row, step_n), COL(struct outbox_row, attempts),
		COL(struct outbox_row, payload), {0}};
	SELECT(next,
		"SELECT seq, id, kind, target, run_id, step_n, attempts, payload FROM outbox o"
		" WHERE state = 'waiting' AND (next_at <= ?1 OR next_at > ?1 + ?2)"
		" AND target NOT IN (SELECT value FROM json_each(?3))"
		" AND NOT EXISTS (SELECT 1 FROM outbox b WHERE b.order_key = o.order_key"
		" AND b.seq < o.seq AND b." IS_OPEN ")"
		" AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.state = 'open'"
		" AND r.unit_id = o.order_key) ORDER BY seq LIMIT 1",
		columns);

	*ret = (struct outbox_row){0};
	return select_one(d, e, &next, ret, now_ms, OUTBOX_LATEST_MS, not_to);
}

int outbox_outputs(struct db *d, const char *run, json_t **ret, struct err *e)
{
	struct done {
		char step[DB_ID_SIZE];
		json_t *outputs;
	} row;
	static const struct column columns[] = {
		COL(struct done, step), COL(struct done, outputs), {0}};
	SELECT(all,
		"SELECT json_extract(payload, '$.step') AS step,"
		" json_extract(result, '$.outputs') AS outputs FROM outbox"
		" WHERE run_id = ? AND state = 'done' ORDER BY seq",
		columns);
	_cleanup_(query_done) struct query q = {0};
	json_t *o = json_object();
	int r = select_begin(&q, d, e, &all, run);

	while (r >= 0 && (r = select_next(&q, &row, e)) > 0)
		json_object_set_new(o, row.step, row.outputs ? row.outputs : json_object());
	if (r < 0) {
		json_decref(o);
		return r;
	}
	*ret = o;
	return 0;
}

int outbox_begin(struct db *tx, const char *id, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET attempts = attempts + 1, tried_at = ?"
				  " WHERE id = ? AND state = 'waiting'";
	int r = db_run(tx, e, sql, wall_ms(), id);

	return r == 0 ? err_set(e, ERR_CONFLICT, "the row %s of the outbox does not wait", id)
		      : MIN(r, 0);
}

int outbox_put_off(struct db *tx, const char *id, enum err_code code, const char *message,
	int64_t in_ms, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET code = ?, message = ?, next_at = ?"
				  " WHERE id = ? AND state = 'waiting'";

	return db_do(tx, e, sql, err_code_str(code), message,
		wall_ms() + MIN(in_ms, OUTBOX_LATEST_MS), id);
}

int outbox_refuse(
	struct db *tx, const char *id, enum err_code code, const char *message, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET state = 'refused', code = ?, message = ?"
				  " WHERE id = ? AND state = 'waiting'";
	struct about a;
	int r = find(tx, id, &a, e);

	if (r == 0)
		r = db_run(tx, e, sql, err_code_str(code), message, id);
	if (r <= 0)
		return r;
	r = set_unit(tx, &a, "provisioned", "suspect", message, e);
	return r < 0 ? r : tell(tx, "outbox-refused", &a, message, e);
}

/* Nothing of the run is left: a record of that, and the unit passes where nothing else of it waits. */
static int complete(struct db *tx, const struct about *a, struct err *e)
{
	static const char rest[] =
		"SELECT 1 FROM outbox WHERE run_id = ? AND state <> 'done' LIMIT 1";
	static const char open[] =
		"SELECT 1 FROM outbox WHERE order_key = ? AND " IS_OPEN " LIMIT 1";
	int r = db_has(tx, e, rest, a->run);

	if (r != 0)
		return MIN(r, 0);
	r = runs_complete(tx, a->run, e);
	if (r == 0)
		r = db_has(tx, e, open, a->unit);
	if (r != 0)
		return MIN(r, 0);
	return set_unit(tx, a, "provisioned", "passed", "the outbox has carried out all of it", e);
}

/* What its run may have begun is settled by what came of it. */
static int settle_intent(struct db *tx, const struct about *a, const json_t *result, struct err *e)
{
	_cleanup_(freep) char *observed = canonical(json_object_get(result, "evidence"));
	struct err why;
	int r = journal_commit(tx, a->run, a->step_n, observed ? observed : "{}", &why);

	if (r == 0 || r == -ERR_NOT_FOUND)
		return 0;
	return err_set(e, why.code, "%s", why.msg);
}

int outbox_done(struct db *tx, const char *id, const json_t *result, struct err *e)
{
	static const char sql[] =
		"UPDATE outbox SET state = 'done', code = NULL, message = NULL, result = ?,"
		" settled_at = ? WHERE id = ? AND state = 'waiting'";
	struct about a;
	int r = find(tx, id, &a, e);

	if (r == 0)
		r = db_run(tx, e, sql, result, wall_ms(), id);
	if (r <= 0)
		return r;
	r = tell(tx, "outbox-done", &a, NULL, e);
	if (r == 0 && a.run[0])
		r = settle_intent(tx, &a, result, e);
	return r < 0 || !a.run[0] ? r : complete(tx, &a, e);
}

/* --- what a person sees and says --- */

/* It is suspect for this row alone: no later run said so. */
static int trust_again(struct db *tx, const struct about *a, struct err *e)
{
	static const char sql[] =
		"SELECT 1 FROM runs WHERE unit_id = ?1 AND completes IS NULL AND kind <> 'golden' AND seq >"
		" (SELECT seq FROM runs WHERE id = ?2)"
		" UNION ALL SELECT 1 FROM outbox WHERE order_key = ?1 AND state = 'refused' LIMIT 1";
	int r = db_has(tx, e, sql, a->unit, a->run);

	if (r != 0)
		return MIN(r, 0);
	return set_unit(tx, a, "suspect", "provisioned", "its row in the outbox goes out again", e);
}

int outbox_retry(struct db *tx, const char *id, const char *by, struct err *e)
{
	static const char sql[] = "UPDATE outbox SET state = 'waiting', next_at = ? WHERE id = ?";
	bool refused;
	struct about a;
	int r = find(tx, id, &a, e);

	if (r < 0)
		return r;
	refused = !strcmp(a.state, "refused");
	if (!refused && strcmp(a.state, "waiting") != 0)
		return err_set(e, ERR_CONFLICT,
			"the row %s of the outbox is %s: only one that waits or was refused goes out again",
			id, a.state);
	r = db_do(tx, e, sql, wall_ms(), id);
	if (r == 0 && refused)
		r = trust_again(tx, &a, e);
	return r < 0 ? r : tell(tx, "outbox-retried", &a, by, e);
}

#define COLUMNS                                                                                    \
	"seq, id, kind, target, json_extract(payload, '$.step') AS step,"                          \
	" json_extract(payload, '$.action') AS action, run_id AS run,"                             \
	" (SELECT unit_id FROM runs WHERE runs.id = run_id) AS unit,"                              \
	" (SELECT serial FROM runs WHERE runs.id = run_id) AS serial, state, attempts, code,"      \
	" message, created_at, tried_at, CASE WHEN state = 'waiting' THEN next_at END AS next_at," \
	" settled_at, payload, result"

static const struct column columns[] = {{"seq", AS_INT}, {"id", AS_TEXT}, {"kind", AS_TEXT},
	{"target", AS_TEXT}, {"step", AS_TEXT}, {"action", AS_TEXT}, {"run", AS_TEXT},
	{"unit", AS_TEXT}, {"serial", AS_TEXT}, {"state", AS_TEXT}, {"attempts", AS_INT},
	{"code", AS_TEXT}, {"message", AS_TEXT}, {"created_at", AS_TIME}, {"tried_at", AS_TIME},
	{"next_at", AS_TIME}, {"settled_at", AS_TIME}, {"payload", AS_JSON}, {"result", AS_JSON},
	{0}};

int outbox_get(struct db *d, const char *id, json_t **ret, struct err *e)
{
	SELECT(get, "SELECT " COLUMNS " FROM outbox WHERE id = ?", columns);

	return db_one_json(d, e, "row of the outbox", &get, ret, id);
}

int outbox_list(struct db *d, const char *state, const char *unit, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	SELECT(list, "SELECT " COLUMNS " FROM outbox", columns);
	static const struct keyset order = {.major = "seq", .ascending = true};
	struct sel s;

	sel_init(&s, &list);
	sel_str(&s, "state = ?", state);
	sel_str(&s, "order_key = ?", unit);
	return sel_page(&s, d, &order, page, ret, e);
}

int outbox_count(struct db *d, struct outbox_counts *ret, struct err *e)
{
	static const struct column columns_[] = {COL(struct outbox_counts, waiting),
		COL(struct outbox_counts, refused), COL(struct outbox_counts, oldest_ms), {0}};
	SELECT(count,
		"SELECT coalesce(sum(state = 'waiting'), 0) AS waiting,"
		" coalesce(sum(state = 'refused'), 0) AS refused,"
		" coalesce(min(created_at), 0) AS oldest_ms"
		" FROM outbox WHERE state IN ('waiting', 'refused')",
		columns_);

	*ret = (struct outbox_counts){0};
	return MIN(select_one(d, e, &count, ret), 0);
}
