/* SPDX-License-Identifier: Apache-2.0 */
#include "db/job_units.h"

#include "base/timefmt.h"
#include "db/ledger.h"
#include "db/run_facts.h"
#include "db/stmt.h"

static const char *const assigns[] = {NULL, "in-order", "recognised"};

const char *job_assign_str(enum job_assign a)
{
	return assigns[a];
}

void job_row_done(struct job_row *r)
{
	json_decref(r->params);
	*r = (struct job_row){0};
}

/* --- a new list --- */

static json_t *serials_of(const json_t *rows)
{
	json_t *list = json_array();
	json_t *row;
	size_t i;

	json_array_foreach((json_t *)rows, i, row)
		json_array_append(list, json_object_get(row, "serial"));
	return list;
}

struct made {
	char state[16];
	bool listed; /* in another list that is open */
};

/* Why a unit is not reworked; NULL: it may be. */
static const char *no_rework(const struct made *m)
{
	return !m->state[0]		       ? "no unit was made with it"
	       : m->listed		       ? "waits in the list of another order"
	       : !strcmp(m->state, "failed")   ? NULL
	       : !strcmp(m->state, "suspect")  ? "suspect: a supervisor releases or scraps it first"
	       : !strcmp(m->state, "scrapped") ? "scrapped"
					       : "has passed: there is nothing to rework";
}

static int look_at_made(
	struct db *tx, const char *job, const char *serial, struct made *ret, struct err *e)
{
	static const struct column columns[] = {
		COL(struct made, state), COL(struct made, listed), {0}};
	SELECT(find,
		"SELECT u.state AS state, EXISTS (SELECT 1 FROM job_units r JOIN jobs j ON j.id = r.job_id"
		" WHERE r.serial = u.serial AND r.state IN ('waiting', 'assigned', 'running', 'failed')"
		" AND j.id <> ?2 AND j.rework AND j.finished_at IS NULL) AS listed"
		" FROM units u WHERE u.serial = ?1",
		columns);

	*ret = (struct made){0};
	return MIN(select_one(tx, e, &find, ret, serial, job), 0);
}

static int check_made(
	struct db *tx, const char *job, const json_t *serials, json_t *offending, struct err *e)
{
	json_t *seen = json_object();
	json_t *v;
	size_t i;
	int r = 0;

	json_array_foreach((json_t *)serials, i, v) {
		const char *serial = json_string_value(v), *why;
		struct made m;

		r = look_at_made(tx, job, serial, &m, e);
		if (r < 0)
			break;
		why = json_object_get(seen, serial) ? "twice in this list" : no_rework(&m);
		json_object_set_new(seen, serial, json_true());
		if (why)
			json_array_append_new(
				offending, json_pack("{s:I, s:s, s:s}", "index", (json_int_t)i,
						   "value", serial, "reason", why));
	}
	json_decref(seen);
	return r;
}

static int take_serials(struct db *tx, const char *job, const json_t *serials, bool rework,
	json_t **ret_offending, struct err *e)
{
	json_t *offending = json_array();
	size_t n;
	int r;

	if (!rework) {
		json_decref(offending);
		return ledger_add_values(tx, "serial", NULL, job, serials, ret_offending, e);
	}
	r = check_made(tx, job, serials, offending, e);
	n = json_array_size(offending);
	if (r == 0 && n > 0) {
		const json_t *first = json_array_get(offending, 0);

		r = err_set(e, ERR_CONFLICT,
			"%zu of %zu units cannot be reworked, the first is '%s': %s", n,
			json_array_size(serials),
			json_string_value(json_object_get(first, "value")),
			json_string_value(json_object_get(first, "reason")));
		if (ret_offending)
			*ret_offending = json_incref(offending);
	}
	json_decref(offending);
	return r;
}

static int insert_rows(struct db *tx, const char *job, const json_t *rows, struct err *e)
{
	static const char sql[] =
		"INSERT INTO job_units (job_id, n, serial, chip_id, params, state, rank, updated_at)"
		" VALUES (?1, ?2, ?3, coalesce(?4, (SELECT chip_id FROM units WHERE serial = ?3)), ?5,"
		" 'waiting', ?2, ?6)";
	const int64_t now = wall_ms();
	json_t *row;
	size_t i;
	int r = 0;

	json_array_foreach((json_t *)rows, i, row) {
		r = db_do(tx, e, sql, job, (int64_t)i + 1,
			json_string_value(json_object_get(row, "serial")),
			json_string_value(json_object_get(row, "chip_id")),
			(const json_t *)json_object_get(row, "params"), now);
		if (r < 0)
			break;
	}
	return r;
}

int job_units_add(struct db *tx, const char *job, const json_t *rows, enum job_assign assign,
	bool rework, json_t **ret_offending, struct err *e)
{
	static const char mark[] = "UPDATE jobs SET assign = ?, rework = ? WHERE id = ?";
	json_t *serials = serials_of(rows);
	int r = take_serials(tx, job, serials, rework, ret_offending, e);

	json_decref(serials);
	if (r == 0)
		r = insert_rows(tx, job, rows, e);
	return r < 0 ? r
		     : db_run_one(tx, e, "that job", mark, job_assign_str(assign), (int64_t)rework,
			       job);
}

/* --- which row a run has --- */

#define ROW "job_id AS job, n, serial, state, run_id AS run, params"

static const struct column row_columns[] = {COL(struct job_row, job), COL(struct job_row, n),
	COL(struct job_row, serial), COL(struct job_row, state), COL(struct job_row, run),
	COL(struct job_row, params), {0}};

int job_units_of_run(struct db *d, const char *run, struct job_row *ret, struct err *e)
{
	SELECT(find,
		"SELECT " ROW
		" FROM job_units WHERE run_id = ? AND state IN ('assigned', 'running')",
		row_columns);

	return select_one(d, e, &find, ret, run);
}

int job_units_known(struct db *d, const json_t *marks, struct err *e)
{
	static const char by_serial[] =
		"SELECT 1 FROM json_each(?) m JOIN job_units u INDEXED BY job_units_of_serial"
		" ON u.serial = m.value WHERE u.state IN ('waiting', 'failed') LIMIT 1";
	static const char by_chip[] =
		"SELECT 1 FROM json_each(?) m JOIN job_units u INDEXED BY job_units_by_chip"
		" ON u.chip_id = m.value WHERE u.state IN ('waiting', 'failed') LIMIT 1";
	int r = json_array_size(marks) > 0 ? db_has(d, e, by_serial, marks) : 0;

	if (r == 0 && json_array_size(marks) > 0)
		r = db_has(d, e, by_chip, marks);
	return r;
}

static int find_marked(
	struct db *tx, const char *job, const json_t *marks, struct job_row *ret, struct err *e)
{
	SELECT(find,
		"SELECT " ROW " FROM job_units WHERE job_id = ?1 AND state IN ('waiting', 'failed')"
		" AND (serial IN (SELECT value FROM json_each(?2)) OR chip_id IN"
		" (SELECT value FROM json_each(?2))) ORDER BY rank LIMIT 1",
		row_columns);

	return json_array_size(marks) > 0 ? select_one(tx, e, &find, ret, job, marks) : 0;
}

static int find_next(struct db *tx, const char *job, struct job_row *ret, struct err *e)
{
	SELECT(next,
		"SELECT " ROW " FROM job_units WHERE job_id = ?1 AND state = 'waiting'"
		" AND (SELECT assign FROM jobs WHERE id = ?1) = 'in-order' ORDER BY rank LIMIT 1",
		row_columns);

	return select_one(tx, e, &next, ret, job);
}

static int set_row(struct db *tx, const struct job_row *row, const char *state, const char *run,
	const char *reason, struct err *e)
{
	static const char sql[] = "UPDATE job_units SET state = ?1, runs = runs + (?2 IS NOT NULL),"
				  " run_id = coalesce(?2, run_id), reason = ?3, updated_at = ?4"
				  " WHERE job_id = ?5 AND n = ?6";

	return db_run_one(tx, e, "that unit of the list", sql, state, run, reason, wall_ms(),
		row->job, row->n);
}

int job_units_take(struct db *tx, const char *job, const char *run, const json_t *marks,
	struct job_row *ret, struct err *e)
{
	struct job_row row = {0};
	int r = find_marked(tx, job, marks, &row, e);

	if (r == 0)
		r = find_next(tx, job, &row, e);
	if (r > 0)
		r = set_row(tx, &row, "assigned", run, NULL, e);
	else
		return r;
	if (r < 0) {
		job_row_done(&row);
		return r;
	}
	*ret = row;
	return 1;
}

/* Where a row stands that no run has any more: its number is on a unit, or it is free again. */
static int left_as(struct db *tx, const char *serial, const char **ret, struct err *e)
{
	static const char sql[] = "SELECT 1 FROM serials WHERE kind = 'serial' AND value = ?"
				  " AND state = 'committed'";
	int r = db_has(tx, e, sql, serial);

	*ret = r > 0 ? "failed" : "waiting";
	return MIN(r, 0);
}

static int find_named(struct db *tx, const char *job, const char *serial, const char *chip,
	struct job_row *ret, struct err *e)
{
	SELECT(by_serial, "SELECT " ROW " FROM job_units WHERE job_id = ? AND serial = ?",
		row_columns);
	SELECT(by_chip, "SELECT " ROW " FROM job_units WHERE chip_id = ?2 AND job_id = ?1",
		row_columns);
	int r = serial ? select_one(tx, e, &by_serial, ret, job, serial) : 0;

	return r == 0 && chip ? select_one(tx, e, &by_chip, ret, job, chip) : r;
}

static int check_found(const struct job_row *found, const char *run, struct err *e)
{
	if (!strcmp(found->state, "waiting") || !strcmp(found->state, "failed"))
		return 0;
	return err_set(e, ERR_SERIAL_CONFLICT,
		"unit %s of order %s is %s already (run %s): it is not made again by it",
		found->serial, found->job, found->state,
		found->run[0] && strcmp(found->run, run) != 0 ? found->run : "none");
}

/* The row that the run had goes back; nothing of it may have left. */
static int give_back(struct db *tx, const struct job_row *had, const char *run, struct err *e)
{
	static const char exposed[] = "SELECT 1 FROM runs WHERE id = ? AND exposed = 1";
	const char *state;
	int r = db_has(tx, e, exposed, run);

	if (r > 0)
		return err_set(e, ERR_SERIAL_CONFLICT,
			"this run gave serial number %s to what turns out to be another unit of the list",
			had->serial);
	if (r == 0)
		r = left_as(tx, had->serial, &state, e);
	return r < 0 ? r : set_row(tx, had, state, NULL, NULL, e);
}

static int switch_rows(struct db *tx, const struct job_row *had, const struct job_row *found,
	const char *run, struct err *e)
{
	int r = check_found(found, run, e);

	if (r == 0 && had->n)
		r = give_back(tx, had, run, e);
	return r < 0 ? r : set_row(tx, found, "running", run, NULL, e);
}

int job_units_match(struct db *tx, const char *job, const char *run, const char *serial,
	const char *chip, struct job_row *ret, struct err *e)
{
	struct job_row had = {0}, found = {0};
	int r = job_units_of_run(tx, run, &had, e);

	if (r >= 0)
		r = find_named(tx, job, serial, chip, &found, e);
	if (r == 0 && serial && !chip)
		r = err_set(e, ERR_SERIAL_CONFLICT,
			"serial number %s is not on the list of order %s", serial, job);
	if (r > 0 && had.n == found.n) {
		r = 0;
	} else if (r > 0) {
		r = switch_rows(tx, &had, &found, run, e);
		r = r < 0 ? r : 1;
	}
	if (r > 0)
		*ret = found;
	else
		job_row_done(&found);
	job_row_done(&had);
	return r;
}

int job_units_begun(struct db *tx, const char *run, struct err *e)
{
	static const char sql[] = "UPDATE job_units SET state = 'running', updated_at = ?"
				  " WHERE run_id = ? AND state = 'assigned'";

	return db_do(tx, e, sql, wall_ms(), run);
}

/* --- what becomes of it --- */

static int tell(struct db *tx, const struct job_row *row, const char *run, const char *state,
	const char *outcome, const char *reason, struct err *e)
{
	static const char number_of[] = "SELECT coalesce(number, '') FROM jobs WHERE id = ?";
	static const char station_of[] = "SELECT station FROM runs WHERE id = ?";
	char number[128] = "", station[DB_ID_SIZE] = "";
	int r = db_text(tx, e, number, sizeof number, number_of, row->job);

	if (r >= 0 && run)
		r = db_text(tx, e, station, sizeof station, station_of, run);
	if (r < 0)
		return r;
	return db_event(tx, "job-unit", or_null(station), row->job, run, row->serial,
		json_pack("{s:I, s:s, s:s*, s:s*, s:s*}", "n", (json_int_t)row->n, "state", state,
			"outcome", outcome, "reason", or_null(reason), "number", or_null(number)),
		e);
}

static int put_last(struct db *tx, const struct job_row *row, struct err *e)
{
	static const char sql[] =
		"UPDATE job_units SET rank = 1 + (SELECT max(rank) FROM job_units WHERE job_id = ?1)"
		" WHERE job_id = ?1 AND n = ?2";

	return db_do(tx, e, sql, row->job, row->n);
}

int job_units_hold(struct db *tx, const char *run, const char *reason, struct err *e)
{
	struct job_row row = {0};
	const char *state = "waiting";
	int r = job_units_of_run(tx, run, &row, e);

	if (r > 0) {
		r = left_as(tx, row.serial, &state, e);
		if (r == 0)
			r = set_row(tx, &row, state, NULL, reason, e);
		if (r == 0)
			r = put_last(tx, &row, e);
	}
	job_row_done(&row);
	return r;
}

int job_units_reject(struct db *tx, const char *run, const char *reason, struct err *e)
{
	struct job_row row = {0};
	int r = job_units_of_run(tx, run, &row, e);

	if (r > 0) {
		r = set_row(tx, &row, "cancelled", NULL, reason, e);
		if (r == 0)
			r = tell(tx, &row, run, "cancelled", NULL, reason, e);
	}
	job_row_done(&row);
	return r;
}

/* Its chip is known from now on: the unit is recognised when it comes again. */
static int note_chip(struct db *tx, const struct job_row *row, const char *run, struct err *e)
{
	static const char sql[] =
		"UPDATE job_units SET chip_id = coalesce(chip_id, (SELECT u.chip_id FROM runs r"
		" JOIN units u ON u.id = r.unit_id WHERE r.id = ?3)) WHERE job_id = ?1 AND n = ?2";

	return db_do(tx, e, sql, row->job, row->n, run);
}

static int settle(struct db *tx, const struct job_row *row, const char *run, const char *outcome,
	const char *reason, struct err *e)
{
	static const char ended[] = "SELECT 1 FROM jobs WHERE id = ? AND finished_at IS NOT NULL";
	static const char bound[] = "SELECT 1 FROM jobs WHERE id = ? AND assign = 'recognised'";
	bool passed = !strcmp(outcome, "passed");
	const char *state = "passed";
	int r = passed ? 0 : left_as(tx, row->serial, &state, e);

	/* A unit that was recognised is the one of its row, whether it has got its number or not. */
	if (r == 0 && !strcmp(state, "waiting") && !strcmp(outcome, "failed") &&
		(r = db_has(tx, e, bound, row->job)) > 0)
		state = "failed";
	if (r >= 0 && !strcmp(state, "waiting") && (r = db_has(tx, e, ended, row->job)) > 0)
		state = "cancelled";
	if (r >= 0)
		r = set_row(tx, row, state, NULL, passed ? NULL : reason, e);
	if (r == 0 && strcmp(state, "waiting") != 0)
		r = note_chip(tx, row, run, e);
	if (r == 0 && strcmp(state, "waiting") != 0)
		r = tell(tx, row, run, state, outcome, passed ? NULL : reason, e);
	return r;
}

int job_units_settle(
	struct db *tx, const char *run, const char *outcome, const char *reason, struct err *e)
{
	struct job_row row = {0};
	int r = job_units_of_run(tx, run, &row, e);

	if (r > 0)
		r = settle(tx, &row, run, outcome, reason, e);
	job_row_done(&row);
	return r;
}

int job_units_missing(struct db *d, const char *job, struct err *e)
{
	static const char sql[] =
		"SELECT 1 FROM job_units INDEXED BY job_units_next"
		" WHERE job_id = ? AND state IN ('waiting', 'assigned', 'running',"
		" 'failed') LIMIT 1";

	return db_has(d, e, sql, job);
}

int job_units_cancel(struct db *tx, const char *job, const char *reason, struct err *e)
{
	static const char sql[] = "UPDATE job_units SET state = 'cancelled', reason = ?,"
				  " updated_at = ? WHERE job_id = ? AND state = 'waiting'";

	return db_do(tx, e, sql, reason, wall_ms(), job);
}

/* But for the list of one order (NULL: of none) one that is open gives the unit up. */
static int give_up(struct db *tx, const char *serial, const char *but, const char *state,
	const char *reason, char ret_job[DB_ID_SIZE], struct err *e)
{
	SELECT(find,
		"SELECT " ROW " FROM job_units WHERE serial = ?1 AND state IN ('waiting', 'failed')"
		" AND job_id IS NOT ?2"
		" AND (SELECT finished_at FROM jobs WHERE id = job_id) IS NULL LIMIT 1",
		row_columns);
	struct job_row row = {0};
	int r = select_one(tx, e, &find, &row, serial, but);

	ret_job[0] = 0;
	if (r > 0) {
		r = set_row(tx, &row, state, NULL, reason, e);
		if (r == 0)
			r = tell(tx, &row, NULL, state, NULL, reason, e);
		snprintf(ret_job, DB_ID_SIZE, "%s", row.job);
	}
	job_row_done(&row);
	return r;
}

int job_units_scrap(struct db *tx, const char *serial, const char *reason, char ret_job[DB_ID_SIZE],
	struct err *e)
{
	return give_up(tx, serial, NULL, "scrapped", reason, ret_job, e);
}

int job_units_made(
	struct db *tx, const char *serial, const char *by, char ret_job[DB_ID_SIZE], struct err *e)
{
	return give_up(tx, serial, by, "cancelled", "it has passed in another order", ret_job, e);
}

/* --- what is read --- */

#define COLUMNS \
	"n, serial, chip_id, params, state, run_id AS run, runs AS attempts, reason, updated_at"

static const struct column columns[] = {{"n", AS_INT}, {"serial", AS_TEXT}, {"chip_id", AS_TEXT},
	{"params", AS_JSON}, {"state", AS_TEXT}, {"run", AS_TEXT}, {"attempts", AS_INT},
	{"reason", AS_TEXT}, {"updated_at", AS_TIME}, {0}};

int job_units_list(struct db *d, const char *job, const char *state, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	SELECT(list, "SELECT " COLUMNS " FROM job_units", columns);
	static const struct keyset order = {.major = "n", .ascending = true};
	struct sel s;

	sel_init(&s, &list);
	sel_str(&s, "job_id = ?", job);
	sel_str(&s, "+state = ?", state); /* in the order of the list, not by another index */
	return sel_page(&s, d, &order, page, ret, e);
}

int job_units_get(struct db *d, const char *job, const char *serial, json_t **ret, struct err *e)
{
	SELECT(get, "SELECT " COLUMNS " FROM job_units WHERE job_id = ? AND serial = ?", columns);
	static const struct column of_run[] = {{"id", AS_TEXT}, {"station", AS_TEXT},
		{"outcome", AS_TEXT}, {"code", AS_TEXT}, {"ended_at", AS_TIME}, {0}};
	SELECT(runs,
		"SELECT id, station, " RUN_OUTCOME ", code, ended_at FROM runs WHERE serial = ?2"
		" AND job_id = ?1 AND completes IS NULL ORDER BY seq",
		of_run);
	_cleanup_(query_done) struct query q = {0};
	json_t *list = NULL;
	int r = select_begin(&q, d, e, &get, job, serial);

	if (r == 0)
		r = select_next(&q, NULL, e);
	if (r == 0)
		return err_set(
			e, ERR_NOT_FOUND, "the list of job '%s' has no unit '%s'", job, serial);
	if (r > 0)
		r = db_all_json(d, e, &runs, &list, job, serial);
	if (r < 0)
		return r;
	*ret = row_json(&q);
	json_object_set_new(*ret, "runs", list);
	return 0;
}
