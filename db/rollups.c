/* SPDX-License-Identifier: Apache-2.0 */
#include "db/rollups.h"

#include "base/timefmt.h"
#include "base/util.h"
#include "db/rollups_impl.h"
#include "db/run_facts.h"
#include "db/stmt.h"

#define HOUR_S	3600
#define DAY_S	(24 * HOUR_S)
#define BLOCK_S (32 * DAY_S)
#define MS(s)	((int64_t)(s)*1000)

/* --- the parts of a window --- */

static int64_t floor_to(int64_t ms, int64_t step)
{
	int64_t rest = ms % step;

	return ms - (rest < 0 ? rest + step : rest);
}

static int64_t ceil_to(int64_t ms, int64_t step)
{
	int64_t low = floor_to(ms, step);

	return low == ms ? ms : low + step;
}

static void add_range(struct rollup_range *ret, size_t *n, int64_t span_s, int64_t from, int64_t to)
{
	if (from < to)
		ret[(*n)++] = (struct rollup_range){span_s, from, to};
}

/* What is left of [from, to) on both sides of the larger steps within it is of `span`. */
static void split(
	struct rollup_range *ret, size_t *n, const int64_t *span, int64_t from, int64_t to)
{
	int64_t step = MS(span[1]);
	int64_t low = span[1] ? ceil_to(from, step) : 0;
	int64_t high = span[1] ? floor_to(to, step) : 0;

	if (low >= high) {
		add_range(ret, n, span[0], from, to);
		return;
	}
	add_range(ret, n, span[0], from, low);
	split(ret, n, span + 1, low, high);
	add_range(ret, n, span[0], high, to);
}

size_t rollup_ranges(int64_t from_ms, int64_t to_ms, struct rollup_range ret[ROLLUP_RANGES])
{
	static const int64_t spans[] = {0, HOUR_S, DAY_S, BLOCK_S, 0};
	size_t n = 0;

	split(ret, &n, spans, from_ms, to_ms);
	return n;
}

/* --- a run that ended --- */

struct ended {
	char id[DB_ID_SIZE], kind[16], unit[DB_ID_SIZE];
	char station[DB_ID_SIZE], fixture[DB_ID_SIZE], recipe[DB_ID_SIZE];
	char outcome[16], step[DB_ID_SIZE], code[64];
	int64_t version, ended_ms, busy_ms;
	bool passed;
};

/* What its unit went through before, in all recipes or in that of the run. */
struct before {
	bool any;
	int64_t n;
	bool last_passed;
	struct ended first;
};

#define ENDED_COLUMNS                                                                                                 \
	"id, kind, coalesce(unit_id, '') AS unit, station, coalesce(fixture, '') AS fixture, coalesce(recipe, '') AS" \
	" recipe, coalesce(version, 0) AS version, outcome, coalesce(step, '') AS"                                    \
	" step, coalesce(code, '') AS code, ended_at, outcome = 'passed' AS passed,"                                  \
	" " BUSY_MS

static const struct column ended_columns[] = {COL(struct ended, id), COL(struct ended, kind),
	COL(struct ended, unit), COL(struct ended, station), COL(struct ended, fixture),
	COL(struct ended, recipe), COL(struct ended, version), COL(struct ended, outcome),
	COL(struct ended, step), COL(struct ended, code),
	COL_AS(struct ended, ended_ms, "ended_at"), COL(struct ended, busy_ms),
	COL(struct ended, passed), {0}};

static bool counts(const struct ended *r)
{
	return !strcmp(r->outcome, "passed") || !strcmp(r->outcome, "failed");
}

static void look_back(struct before *b, const struct ended *earlier)
{
	if (b->n++ == 0)
		b->first = *earlier;
	b->last_passed = earlier->passed;
}

static int find_before(struct db *tx, const struct ended *run, struct before *any,
	struct before *process, struct err *e)
{
	SELECT(earlier,
		"SELECT " ENDED_COLUMNS " FROM runs WHERE unit_id = ? AND state = 'finished'"
		" AND kind = 'production' AND outcome IN ('passed', 'failed') AND id <> ?"
		" ORDER BY chain",
		ended_columns);
	_cleanup_(query_done) struct query q = {0};
	struct ended at;
	int r = run->unit[0] ? select_begin(&q, tx, e, &earlier, run->unit, run->id) : 0;

	while (run->unit[0] && r >= 0 && (r = select_next(&q, &at, e)) > 0) {
		look_back(any, &at);
		if (!strcmp(at.recipe, run->recipe))
			look_back(process, &at);
	}
	return MIN(r, 0);
}

#define AT "?1 - ?1 % (s.column1 * 1000)"

static int add_run(struct db *tx, const struct ended *r, const struct before *any,
	const struct before *process, struct err *e)
{
	static const char sql[] =
		"INSERT INTO rollups SELECT s.column1, " AT ", ?2, ?9, ?3, ?4, ?5 = 'passed',"
		" ?5 = 'failed', ?5 = 'error', ?5 = 'aborted', ?5 = 'interrupted', ?6,"
		" ?7, ?7 AND ?5 = 'passed', ?7 AND ?5 = 'passed', 0,"
		" ?8, ?8 AND ?5 = 'passed', ?8 AND ?5 = 'passed', 0"
		" FROM " SPANS " WHERE true ON CONFLICT DO UPDATE SET"
		" passed = passed + excluded.passed, failed = failed + excluded.failed,"
		" error = error + excluded.error, aborted = aborted + excluded.aborted,"
		" interrupted = interrupted + excluded.interrupted,"
		" busy_ms = busy_ms + excluded.busy_ms, units = units + excluded.units,"
		" first_passed = first_passed + excluded.first_passed,"
		" last_passed = last_passed + excluded.last_passed,"
		" process_units = process_units + excluded.process_units,"
		" process_first_passed = process_first_passed + excluded.process_first_passed,"
		" process_last_passed = process_last_passed + excluded.process_last_passed";

	return db_do(tx, e, sql, r->ended_ms, r->station, r->recipe, r->version, r->outcome,
		r->busy_ms, counts(r) && any->n == 0, counts(r) && process->n == 0, r->fixture);
}

/* The unit's last run is this one now, and counts where its first one is. */
static int change_first(struct db *tx, const struct ended *r, const struct before *any,
	const struct before *process, struct err *e)
{
	static const char sql[] =
		"UPDATE rollups SET last_passed = last_passed + ?5, retested = retested + ?6,"
		" process_last_passed = process_last_passed + ?7,"
		" process_retested = process_retested + ?8"
		" WHERE (span, at, station, fixture, recipe, version) IN"
		" (SELECT s.column1, " AT ", ?2, ?9, ?3, ?4 FROM " SPANS ")";
	const struct ended *a = &any->first, *p = &process->first;
	int r_any = any->n == 0 ? 0
				: db_do(tx, e, sql, a->ended_ms, a->station, a->recipe, a->version,
					  (int64_t)r->passed - any->last_passed, any->n == 1, 0, 0,
					  a->fixture);

	if (r_any < 0 || process->n == 0)
		return r_any;
	return db_do(tx, e, sql, p->ended_ms, p->station, p->recipe, p->version, 0, 0,
		(int64_t)r->passed - process->last_passed, process->n == 1, p->fixture);
}

static int add_cause(struct db *tx, const struct ended *r, struct err *e)
{
	static const char sql[] =
		"INSERT INTO rollup_causes SELECT s.column1, " AT ", ?2, ?8, ?3, ?4, ?5, ?6, ?7, 1"
		" FROM " SPANS " WHERE true ON CONFLICT DO UPDATE SET n = n + 1";

	return r->passed ? 0
			 : db_do(tx, e, sql, r->ended_ms, r->station, r->recipe, r->version,
				   r->outcome, r->step, r->code, r->fixture);
}

int rollups_add(struct db *tx, const char *run, struct err *e)
{
	SELECT(find, "SELECT " ENDED_COLUMNS " FROM runs WHERE id = ? AND state = 'finished'",
		ended_columns);
	struct before any = {0}, process = {0};
	struct ended ended;
	int r = select_one(tx, e, &find, &ended, run);

	if (r <= 0 || strcmp(ended.kind, "production") != 0)
		return MIN(r, 0);
	r = counts(&ended) ? find_before(tx, &ended, &any, &process, e) : 0;
	if (r == 0)
		r = add_run(tx, &ended, &any, &process, e);
	if (r == 0 && counts(&ended))
		r = change_first(tx, &ended, &any, &process, e);
	return r < 0 ? r : add_cause(tx, &ended, e);
}

/* --- reading --- */

/* Of the unit whose first run r is: its last one, and whether there were more. */
#define LAST(scope)                                     \
	"coalesce((SELECT p.outcome " OF_ITS_UNIT scope \
	" ORDER BY p.chain DESC LIMIT 1), r.outcome)"
#define AGAIN(scope) "EXISTS (SELECT 1 " OF_ITS_UNIT scope " AND p.chain > r.chain)"
/* Each finished production run that `where` lets through, as a row of the rollups. */
#define RUNS_AS_ROWS(where)                                                                                                                        \
	"WITH seen AS (SELECT r.*, " IS_FIRST(IN_ALL) " AS first, " IS_FIRST(                                                                      \
		IN_ITS_PROCESS) " AS process_first FROM runs r WHERE r.state = 'finished' AND r.kind = 'production'"                               \
				" AND r.ended_at >= ?1 AND r.ended_at < ?2" where "),"                                                             \
				" counted AS (SELECT r.ended_at, r.station, coalesce(r.fixture, '') AS fixture, coalesce(r.recipe, '') AS recipe," \
				" coalesce(r.version, 0) AS version, r.outcome = 'passed' AS passed,"                                              \
				" r.outcome = 'failed' AS failed, r.outcome = 'error' AS error,"                                                   \
				" r.outcome = 'aborted' AS aborted, r.outcome = 'interrupted' AS interrupted,"                                     \
				" " BUSY_MS                                                                                                        \
				", r.first AS units, r.first AND r.outcome = 'passed' AS first_passed,"                                            \
				" r.first AND " LAST(                                                                                              \
					IN_ALL) " = 'passed' AS last_passed,"                                                                      \
						" r.first AND " AGAIN(                                                                             \
							IN_ALL) " AS retested, r.process_first AS process_units,"                                  \
								" r.process_first AND r.outcome = 'passed' AS process_first_passed,"               \
								" r.process_first AND " LAST(                                                      \
									IN_ITS_PROCESS) " = 'passed' AS process_last_passed,"                      \
											" r.process_first AND " AGAIN(                             \
												IN_ITS_PROCESS) " AS process_retested FROM seen r) "

/* ?7: grouped by. */
#define UNITS_OF(name) "sum(iif(?5 IS NULL AND ?7 < 4, " name ", process_" name ")) AS " name
#define GROUPED                                                                                                             \
	"SELECT iif(?7 & 1, station, '') AS of_station, iif(?7 & 2, fixture, '') AS of_fixture, iif(?7 & 4, recipe, '') AS" \
	" of_recipe, iif(?7 & 8, version, 0) AS of_version, sum(passed) AS passed,"                                         \
	" sum(failed) AS failed, sum(error) AS error, sum(aborted) AS aborted,"                                             \
	" sum(interrupted) AS interrupted, sum(busy_ms) AS busy_ms, " UNITS_OF("units") ", " UNITS_OF(                      \
		"first_passed") ", " UNITS_OF("last_passed") ", " UNITS_OF("retested")
#define GROUPS " GROUP BY of_station, of_fixture, of_recipe, of_version"

static const struct column rollup_columns[] = {COL_AS(struct rollup, station, "of_station"),
	COL_AS(struct rollup, fixture, "of_fixture"), COL_AS(struct rollup, recipe, "of_recipe"),
	COL_AS(struct rollup, version, "of_version"), COL(struct rollup, passed),
	COL(struct rollup, failed), COL(struct rollup, error), COL(struct rollup, aborted),
	COL(struct rollup, interrupted), COL(struct rollup, busy_ms), COL(struct rollup, units),
	COL(struct rollup, first_passed), COL(struct rollup, last_passed),
	COL(struct rollup, retested), {0}};

/* Where ?3 is: each has the index that it needs. */
SELECT(rows_of_rollups,
	GROUPED " FROM rollups WHERE span = ?3 AND at >= ?1 AND at < ?2" OF_FILTER GROUPS,
	rollup_columns);
SELECT(rows_of_runs, RUNS_AS_ROWS("") GROUPED " FROM counted WHERE ?3 IS NULL" OF_FILTER GROUPS,
	rollup_columns);
SELECT(rows_of_job,
	RUNS_AS_ROWS(" AND r.job_id = ?3") GROUPED " FROM counted WHERE true" OF_FILTER GROUPS,
	rollup_columns);

int rollups_read(struct db *d, const struct rollup_range *range, const struct rollup_filter *f,
	unsigned by, rollup_fn *fn, void *data, struct err *e)
{
	static const struct select *const from[] = {[OF_JOB] = &rows_of_job,
		[OF_ROLLUPS] = &rows_of_rollups,
		[OF_RUNS] = &rows_of_runs};
	struct bind third;
	const struct select *s = from[source_of(range, f, &third)];
	_cleanup_(query_done) struct query q = {0};
	struct rollup row;
	int r = select_begin(&q, d, e, s, range->from_ms, range->to_ms, third, f->station,
		f->recipe, f->version, (int64_t)by, f->fixture);

	while (r >= 0 && (r = select_next(&q, &row, e)) > 0)
		fn(data, &row);
	return MIN(r, 0);
}

static const struct column cause_columns[] = {COL(struct rollup_cause, step),
	COL(struct rollup_cause, code), COL(struct rollup_cause, n), {0}};
#define CAUSES(where)                                                                    \
	"SELECT coalesce(step, '') AS step, coalesce(code, '') AS code, count(*) AS n"   \
	" FROM runs WHERE state = 'finished' AND kind = 'production' AND ended_at >= ?1" \
	" AND ended_at < ?2 AND outcome = ?7" where OF_FILTER                            \
	" GROUP BY coalesce(step, ''), coalesce(code, '')"
SELECT(causes_of_rollups,
	"SELECT step, code, sum(n) AS n FROM rollup_causes WHERE span = ?3 AND at >= ?1"
	" AND at < ?2 AND outcome = ?7" OF_FILTER " GROUP BY step, code",
	cause_columns);
SELECT(causes_of_runs, CAUSES(" AND ?3 IS NULL"), cause_columns);
SELECT(causes_of_job, CAUSES(" AND job_id = ?3"), cause_columns);

int rollups_causes(struct db *d, const struct rollup_range *range, const struct rollup_filter *f,
	const char *outcome, rollup_cause_fn *fn, void *data, struct err *e)
{
	static const struct select *const from[] = {[OF_JOB] = &causes_of_job,
		[OF_ROLLUPS] = &causes_of_rollups,
		[OF_RUNS] = &causes_of_runs};
	struct bind third;
	const struct select *s = from[source_of(range, f, &third)];
	_cleanup_(query_done) struct query q = {0};
	struct rollup_cause row;
	int r = select_begin(&q, d, e, s, range->from_ms, range->to_ms, third, f->station,
		f->recipe, f->version, outcome, f->fixture);

	while (r >= 0 && (r = select_next(&q, &row, e)) > 0)
		fn(data, &row);
	return MIN(r, 0);
}

int rollups_bounds(struct db *d, int64_t *ret_from_ms, int64_t *ret_to_ms, struct err *e)
{
	static const char first[] = "SELECT min(ended_at) FROM runs WHERE state = 'finished'";
	static const char last[] = "SELECT max(ended_at) FROM runs WHERE state = 'finished'";
	int64_t from, to = 0;
	int r = db_int(d, e, &from, first);

	if (r >= 0)
		r = db_int(d, e, &to, last);
	if (r < 0)
		return r;
	*ret_from_ms = floor_to(from, MS(BLOCK_S));
	*ret_to_ms = ceil_to(to + 1, MS(BLOCK_S));
	return 0;
}

/* --- against the runs --- */

#define SAME_COLUMNS                                                                                      \
	"station, fixture, recipe, version, passed, failed, error, aborted, interrupted, busy_ms, units," \
	" first_passed, last_passed, retested, process_units, process_first_passed,"                      \
	" process_last_passed, process_retested"
#define SUMMED                                                                                   \
	"station, fixture, recipe, version, sum(passed), sum(failed), sum(error), sum(aborted)," \
	" sum(interrupted), sum(busy_ms), sum(units), sum(first_passed), sum(last_passed),"      \
	" sum(retested), sum(process_units), sum(process_first_passed),"                         \
	" sum(process_last_passed), sum(process_retested)"

/* Each gives the hour, in ms, where the first difference of a block [?1, ?2) is. */
static const char *const differences[] = {
	RUNS_AS_ROWS(
		"") ", fresh AS (SELECT ended_at - ended_at % 3600000 AS at, " SUMMED
		    " FROM counted GROUP BY 1, 2, 3, 4, 5), kept AS (SELECT at, " SAME_COLUMNS
		    " FROM rollups WHERE span = 3600 AND at >= ?1 AND at < ?2)"
		    " SELECT at FROM (SELECT * FROM (SELECT * FROM fresh EXCEPT SELECT * FROM kept)"
		    " UNION ALL SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM fresh)) LIMIT 1",
#define OF_SPAN(span)                                                                       \
	"WITH fresh AS (SELECT at - at % (" span " * 1000) AS at, " SUMMED                  \
	" FROM rollups WHERE span = 3600 AND at >= ?1 AND at < ?2 GROUP BY 1, 2, 3, 4, 5)," \
	" kept AS (SELECT at, " SAME_COLUMNS " FROM rollups WHERE span = " span             \
	" AND at >= ?1 AND at < ?2)"                                                        \
	" SELECT at FROM (SELECT * FROM (SELECT * FROM fresh EXCEPT SELECT * FROM kept)"    \
	" UNION ALL SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM fresh)) LIMIT 1"
	OF_SPAN("86400"),
	OF_SPAN("2764800"),
	"WITH fresh AS (SELECT s.column1 AS span, r.ended_at - r.ended_at % (s.column1 * 1000)"
	" AS at, r.station, coalesce(r.fixture, ''), coalesce(r.recipe, ''), coalesce(r.version, 0), r.outcome,"
	" coalesce(r.step, ''), coalesce(r.code, ''), count(*) FROM " SPANS ", runs r"
	" WHERE r.state = 'finished' AND r.kind = 'production' AND r.outcome <> 'passed'"
	" AND r.ended_at >= ?1 AND r.ended_at < ?2 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9),"
	" kept AS (SELECT * FROM rollup_causes WHERE span IN (3600, 86400, 2764800)"
	" AND at >= ?1 AND at < ?2)"
	" SELECT at FROM (SELECT * FROM (SELECT * FROM fresh EXCEPT SELECT * FROM kept)"
	" UNION ALL SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM fresh)) LIMIT 1",
};

static int check_block(struct db *d, int64_t at, char ret[ERR_TEXT_BYTES], struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(differences) && r == 0; i++) {
		char when[RFC3339_SIZE];
		int64_t where;

		r = db_int(d, e, &where, differences[i], at, at + MS(BLOCK_S));
		if (r > 0)
			snprintf(ret, ERR_TEXT_BYTES,
				"the counts of the reports do not say what the runs say, about %s",
				rfc3339(where, when));
	}
	return MIN(r, 0);
}

int rollups_next_block(
	struct db *d, int64_t at, int64_t *ret_from_ms, int64_t *ret_to_ms, struct err *e)
{
	static const char sql[] =
		"SELECT at FROM (SELECT min(ended_at) AS at FROM runs WHERE state = 'finished'"
		" AND ended_at >= ?1 UNION ALL SELECT min(at) FROM rollups WHERE span = 3600"
		" AND at >= ?1) WHERE at IS NOT NULL ORDER BY at LIMIT 1";
	int64_t found = 0;
	int r = db_int(d, e, &found, sql, at);

	*ret_from_ms = floor_to(found, MS(BLOCK_S));
	*ret_to_ms = *ret_from_ms + MS(BLOCK_S);
	return r;
}

int rollups_check(struct db *d, char ret[ERR_TEXT_BYTES], struct err *e)
{
	int64_t from, to, at = 0;
	int r = 0;

	ret[0] = 0;
	while (r >= 0 && !ret[0] && (r = rollups_next_block(d, at, &from, &to, e)) > 0) {
		r = check_block(d, from, ret, e);
		at = to;
	}
	return MIN(r, 0);
}
