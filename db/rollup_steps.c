/* SPDX-License-Identifier: Apache-2.0 */
#include "db/rollup_steps.h"

#include "base/timefmt.h"
#include "base/util.h"
#include "db/rollups_impl.h"
#include "db/stmt.h"

/* --- runs as rows --- */

/* Units change in minutes: what takes longer is a break. */
#define CHANGE_MAX_MS "600000"

#define RUN_COLUMNS                                                                                     \
	"r.id AS id, r.ended_at AS ended_at, r.station AS station, coalesce(r.fixture, '') AS fixture," \
	" coalesce(r.recipe, '') AS recipe, coalesce(r.version, 0) AS version,"                         \
	" coalesce(r.job_id, '') AS job, r.outcome AS outcome, coalesce(r.step, '') AS failed_at,"      \
	" (SELECT r.attached_at - p.ended_at FROM runs p WHERE p.station = r.station AND"               \
	" p.seq < r.seq AND p.completes IS NULL ORDER BY p.seq DESC LIMIT 1) AS gap, " IS_FIRST(        \
		IN_ITS_PROCESS) " AS first, " BUSY_MS " FROM runs r WHERE r.state = 'finished'"         \
				" AND r.kind = 'production'"
/* The run ?1, or those that ended in [?1, ?2). */
#define ONE_RUN "WITH r AS MATERIALIZED (SELECT " RUN_COLUMNS " AND r.id = ?1)"
#define RUNS(more)                                    \
	"WITH r AS MATERIALIZED (SELECT " RUN_COLUMNS \
	" AND r.ended_at >= ?1 AND r.ended_at < ?2" more ")"

#define KEY \
	"r.ended_at AS ended_at, r.station AS station, r.fixture AS fixture, r.recipe AS recipe, r.version AS version"

/* The row of the last attempt is the one that SQLite takes the outcome of. */
#define STEP_ROWS                                                                                      \
	", judged AS (SELECT " KEY ", s.id AS step, max(s.n) AS n, s.outcome AS outcome,"              \
	" count(*) AS attempts, r.first AS first FROM r CROSS JOIN steps s ON s.run_id = r.id"         \
	" WHERE s.outcome <> 'skipped' GROUP BY r.id, s.id), counted AS (SELECT ended_at, station,"    \
	" fixture, recipe, version, step, outcome = 'passed' AS passed, outcome = 'failed' AS failed," \
	" outcome NOT IN ('passed', 'failed') AS error, attempts > 1 AS retried,"                      \
	" first AND outcome IN ('passed', 'failed') AS units,"                                         \
	" first AND outcome = 'passed' AND attempts = 1 AS first_passed FROM judged) "

#define STEP_MS "max(0, coalesce(s.duration_us / 1000, s.ended_at - s.started_at))"
#define STEP_WAITED                                                                                        \
	"coalesce((SELECT sum(max(0, coalesce(p.settled_at, p.created_at) - p.created_at)) FROM prompts p" \
	" WHERE p.run_id = r.id AND p.created_at >= s.started_at AND p.created_at < s.ended_at), 0)"
#define TIME_ROWS                                                                                      \
	", took AS MATERIALIZED (SELECT r.id AS run, " KEY ", s.id AS step,"                           \
	" iif(s.attempt > 1, 'again', iif(s.phase = 'steps', 'work', s.phase)) AS part,"               \
	" sum(" STEP_MS ") AS ms, sum(min(" STEP_WAITED ", " STEP_MS ")) AS waited"                    \
	" FROM r CROSS JOIN steps s ON s.run_id = r.id WHERE r.outcome <> 'interrupted'"               \
	" GROUP BY r.id, s.id, part),"                                                                 \
	" whole AS MATERIALIZED (SELECT run, sum(ms) AS ms FROM took GROUP BY run),"                   \
	" parts AS (SELECT ended_at, station, fixture, recipe, version, part, step, ms - waited AS ms" \
	" FROM took UNION ALL SELECT ended_at, station, fixture, recipe, version, 'person', step,"     \
	" sum(waited) FROM took WHERE waited > 0 GROUP BY run, step"                                   \
	" UNION ALL SELECT " KEY ", 'rest', '', max(0, r.busy_ms - coalesce(w.ms, 0)) FROM r"          \
	" LEFT JOIN whole w ON w.run = r.id WHERE r.outcome <> 'interrupted'"                          \
	" UNION ALL SELECT " KEY ", iif(r.gap <= " CHANGE_MAX_MS                                       \
	", 'change', 'idle'), '', r.gap FROM r"                                                        \
	" WHERE r.gap >= 0 AND r.outcome <> 'interrupted'"                                             \
	" UNION ALL SELECT " KEY ", 'cycle', '', r.busy_ms FROM r WHERE r.outcome = 'passed'),"        \
	" counted AS (SELECT ended_at, station, fixture, recipe, version, part, step,"                 \
	" (SELECT max(low) FROM time_bars WHERE low <= ms) AS bar, 1 AS n, ms FROM parts) "

#define FIRST_ROWS                                                               \
	", counted AS (SELECT ended_at, station, fixture, recipe, version, job," \
	" iif(outcome = 'failed', failed_at, '') AS step, 1 AS n FROM r WHERE first) "

/* --- a run that ended --- */

#define AT "c.ended_at - c.ended_at % (s.column1 * 1000)"
#define ADD(rows, table, columns, sums)                                             \
	ONE_RUN rows "INSERT INTO " table " SELECT s.column1, " AT                  \
		     ", station, fixture, recipe, version, " columns " FROM " SPANS \
		     ", counted c WHERE true ON CONFLICT DO UPDATE SET " sums

int rollup_steps_add(struct db *tx, const char *run, struct err *e)
{
	static const char steps[] = ADD(STEP_ROWS, "rollup_steps",
		"step, passed, failed, error, retried, units, first_passed",
		"passed = passed + excluded.passed, failed = failed + excluded.failed,"
		" error = error + excluded.error, retried = retried + excluded.retried,"
		" units = units + excluded.units, first_passed = first_passed + excluded.first_passed");
	static const char times[] = ADD(TIME_ROWS, "rollup_times", "part, step, bar, n, ms",
		"n = n + excluded.n, ms = ms + excluded.ms");
	static const char firsts[] =
		ADD(FIRST_ROWS, "rollup_firsts", "job, step, n", "n = n + excluded.n");
	int r = db_do(tx, e, steps, run);

	if (r == 0)
		r = db_do(tx, e, times, run);
	return r < 0 ? r : db_do(tx, e, firsts, run);
}

/* --- reading --- */

#define GROUPED                                                                                  \
	"SELECT iif(?7 & 1, station, '') AS of_station, iif(?7 & 2, fixture, '') AS of_fixture," \
	" iif(?7 & 4, recipe, '') AS of_recipe, iif(?7 & 8, version, 0) AS of_version, "
#define GROUPS " GROUP BY of_station, of_fixture, of_recipe, of_version, "
/* The three sources of a reader: the rollups, the runs, those of a job. */
#define FROM_ROLLUPS(table) " FROM " table " WHERE span = ?3 AND at >= ?1 AND at < ?2" OF_FILTER
#define OF_KEPT(table, what, groups)     \
	GROUPED what FROM_ROLLUPS(table) \
	GROUPS groups
#define OF_SEEN(rows, what, groups) \
	RUNS("") rows GROUPED what " FROM counted WHERE ?3 IS NULL" OF_FILTER GROUPS groups
#define OF_ORDER(rows, what, groups) \
	RUNS(" AND r.job_id = ?3")   \
	rows GROUPED what " FROM counted WHERE true" OF_FILTER GROUPS groups

#define STEP_SUMS                                                                  \
	"step, sum(passed) AS passed, sum(failed) AS failed, sum(error) AS error," \
	" sum(retried) AS retried, sum(units) AS units, sum(first_passed) AS first_passed"

int rollup_steps_read(struct db *d, const struct rollup_range *range, const struct rollup_filter *f,
	unsigned by, rollup_step_fn *fn, void *data, struct err *e)
{
	static const struct column columns[] = {COL_AS(struct rollup_step, station, "of_station"),
		COL_AS(struct rollup_step, fixture, "of_fixture"),
		COL_AS(struct rollup_step, recipe, "of_recipe"),
		COL_AS(struct rollup_step, version, "of_version"), COL(struct rollup_step, step),
		COL(struct rollup_step, passed), COL(struct rollup_step, failed),
		COL(struct rollup_step, error), COL(struct rollup_step, retried),
		COL(struct rollup_step, units), COL(struct rollup_step, first_passed), {0}};
	SELECT(steps_of_rollups, OF_KEPT("rollup_steps", STEP_SUMS, "step"), columns);
	SELECT(steps_of_runs, OF_SEEN(STEP_ROWS, STEP_SUMS, "step"), columns);
	SELECT(steps_of_job, OF_ORDER(STEP_ROWS, STEP_SUMS, "step"), columns);
	static const struct select *const from[] = {[OF_JOB] = &steps_of_job,
		[OF_ROLLUPS] = &steps_of_rollups,
		[OF_RUNS] = &steps_of_runs};
	struct bind third;
	const struct select *s = from[source_of(range, f, &third)];
	_cleanup_(query_done) struct query q = {0};
	struct rollup_step row;
	int r = select_begin(&q, d, e, s, range->from_ms, range->to_ms, third, f->station,
		f->recipe, f->version, (int64_t)by, f->fixture);

	while (r >= 0 && (r = select_next(&q, &row, e)) > 0)
		fn(data, &row);
	return MIN(r, 0);
}

#define TIME_SUMS                                                                                 \
	"part, step, bar, coalesce((SELECT min(low) FROM time_bars WHERE low > bar), 2 * bar) AS" \
	" upper, sum(n) AS n, sum(ms) AS ms"

int rollup_times_read(struct db *d, const struct rollup_range *range, const struct rollup_filter *f,
	unsigned by, const char *part, rollup_time_fn *fn, void *data, struct err *e)
{
	static const struct column columns[] = {COL_AS(struct rollup_time, station, "of_station"),
		COL_AS(struct rollup_time, fixture, "of_fixture"),
		COL_AS(struct rollup_time, recipe, "of_recipe"),
		COL_AS(struct rollup_time, version, "of_version"), COL(struct rollup_time, part),
		COL(struct rollup_time, step), COL(struct rollup_time, bar),
		COL(struct rollup_time, upper), COL(struct rollup_time, n),
		COL(struct rollup_time, ms), {0}};
#define OF_PART " AND (?9 IS NULL OR part = ?9)"
	SELECT(times_of_rollups,
		GROUPED TIME_SUMS FROM_ROLLUPS("rollup_times") OF_PART GROUPS "part, step, bar",
		columns);
	SELECT(times_of_runs,
		RUNS("") TIME_ROWS GROUPED TIME_SUMS
		" FROM counted WHERE ?3 IS NULL" OF_FILTER OF_PART GROUPS "part, step, bar",
		columns);
	SELECT(times_of_job,
		RUNS(" AND r.job_id = ?3") TIME_ROWS GROUPED TIME_SUMS
		" FROM counted WHERE true" OF_FILTER OF_PART GROUPS "part, step, bar",
		columns);
	static const struct select *const from[] = {[OF_JOB] = &times_of_job,
		[OF_ROLLUPS] = &times_of_rollups,
		[OF_RUNS] = &times_of_runs};
	struct bind third;
	const struct select *s = from[source_of(range, f, &third)];
	_cleanup_(query_done) struct query q = {0};
	struct rollup_time row;
	int r = select_begin(&q, d, e, s, range->from_ms, range->to_ms, third, f->station,
		f->recipe, f->version, (int64_t)by, f->fixture, part);

	while (r >= 0 && (r = select_next(&q, &row, e)) > 0)
		fn(data, &row);
	return MIN(r, 0);
}

#define FIRST_COLUMNS "SELECT station, fixture, recipe, job, step, sum(n) AS n"
#define FIRST_GROUPS  " AND ?7 IS NULL GROUP BY station, fixture, recipe, job, step"

int rollup_firsts_read(struct db *d, const struct rollup_range *range,
	const struct rollup_filter *f, rollup_first_fn *fn, void *data, struct err *e)
{
	static const struct column columns[] = {COL(struct rollup_first, station),
		COL(struct rollup_first, fixture), COL(struct rollup_first, recipe),
		COL(struct rollup_first, job), COL(struct rollup_first, step),
		COL(struct rollup_first, n), {0}};
	SELECT(firsts_of_rollups, FIRST_COLUMNS FROM_ROLLUPS("rollup_firsts") FIRST_GROUPS,
		columns);
	SELECT(firsts_of_runs,
		RUNS("") FIRST_ROWS FIRST_COLUMNS
		" FROM counted WHERE ?3 IS NULL" OF_FILTER FIRST_GROUPS,
		columns);
	SELECT(firsts_of_job,
		RUNS(" AND r.job_id = ?3") FIRST_ROWS FIRST_COLUMNS
		" FROM counted WHERE true" OF_FILTER FIRST_GROUPS,
		columns);
	static const struct select *const from[] = {[OF_JOB] = &firsts_of_job,
		[OF_ROLLUPS] = &firsts_of_rollups,
		[OF_RUNS] = &firsts_of_runs};
	struct bind third;
	const struct select *s = from[source_of(range, f, &third)];
	_cleanup_(query_done) struct query q = {0};
	struct rollup_first row;
	int r = select_begin(&q, d, e, s, range->from_ms, range->to_ms, third, f->station,
		f->recipe, f->version, BIND_NULL, f->fixture);

	while (r >= 0 && (r = select_next(&q, &row, e)) > 0)
		fn(data, &row);
	return MIN(r, 0);
}

/* --- against the runs --- */

#define STEP_KEPT \
	"step, sum(passed), sum(failed), sum(error), sum(retried), sum(units), sum(first_passed)"
#define TIME_KEPT  "part, step, bar, sum(n), sum(ms)"
#define FIRST_KEPT "job, step, sum(n)"
#define DIFFERENT                                                                        \
	" SELECT at FROM (SELECT * FROM (SELECT * FROM fresh EXCEPT SELECT * FROM kept)" \
	" UNION ALL SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM fresh)) LIMIT 1"
#define KEPT(table, span, what, groups)                                                \
	" kept AS (SELECT at, station, fixture, recipe, version, " what " FROM " table \
	" WHERE span = " span " AND at >= ?1 AND at < ?2 GROUP BY 1, 2, 3, 4, 5, " groups ")"
#define AGAINST_RUNS(rows, table, what, groups)                                          \
	RUNS("")                                                                         \
	rows ", fresh AS (SELECT ended_at - ended_at % 3600000 AS at, station, fixture," \
	     " recipe, version, " what " FROM counted GROUP BY 1, 2, 3, 4, 5, " groups   \
	     ")," KEPT(table, "3600", what, groups) DIFFERENT
#define AGAINST_HOURS(table, span, what, groups)                                  \
	"WITH fresh AS (SELECT at - at % (" span                                  \
	" * 1000) AS at, station, fixture, recipe, version, " what " FROM " table \
	" WHERE span = 3600 AND at >= ?1 AND at < ?2"                             \
	" GROUP BY 1, 2, 3, 4, 5, " groups ")," KEPT(table, span, what, groups) DIFFERENT

/* Each gives the time, in ms, where the first difference of a block [?1, ?2) is. */
static const struct {
	const char *sql;
	bool steps; /* it needs those, which archives take away */
} differences[] = {
	{AGAINST_RUNS(FIRST_ROWS, "rollup_firsts", FIRST_KEPT, "job, step"), false},
	{AGAINST_RUNS(STEP_ROWS, "rollup_steps", STEP_KEPT, "step"), true},
	{AGAINST_RUNS(TIME_ROWS, "rollup_times", TIME_KEPT, "part, step, bar"), true},
	{AGAINST_HOURS("rollup_firsts", "86400", FIRST_KEPT, "job, step"), false},
	{AGAINST_HOURS("rollup_firsts", "2764800", FIRST_KEPT, "job, step"), false},
	{AGAINST_HOURS("rollup_steps", "86400", STEP_KEPT, "step"), false},
	{AGAINST_HOURS("rollup_steps", "2764800", STEP_KEPT, "step"), false},
	{AGAINST_HOURS("rollup_times", "86400", TIME_KEPT, "part, step, bar"), false},
	{AGAINST_HOURS("rollup_times", "2764800", TIME_KEPT, "part, step, bar"), false},
};

static int check_block(
	struct db *d, int64_t from, int64_t to, char ret[ERR_TEXT_BYTES], struct err *e)
{
	static const char archived[] =
		"SELECT 1 FROM runs WHERE state = 'finished' AND ended_at >= ? AND ended_at < ?"
		" AND chain <= (SELECT max(to_n) FROM archives) LIMIT 1";
	int gone = db_has(d, e, archived, from, to);
	int r = MIN(gone, 0);

	for (size_t i = 0; i < ARRAY_LEN(differences) && r == 0; i++) {
		char when[RFC3339_SIZE];
		int64_t where;

		if (gone && differences[i].steps)
			continue;
		r = db_int(d, e, &where, differences[i].sql, from, to);
		if (r > 0)
			snprintf(ret, ERR_TEXT_BYTES,
				"the counts of the reports do not say what the steps say, about %s",
				rfc3339(where, when));
	}
	return MIN(r, 0);
}

int rollup_steps_check(struct db *d, char ret[ERR_TEXT_BYTES], struct err *e)
{
	int64_t from, to, at = 0;
	int r = 0;

	ret[0] = 0;
	while (r >= 0 && !ret[0] && (r = rollups_next_block(d, at, &from, &to, e)) > 0) {
		r = check_block(d, from, to, ret, e);
		at = to;
	}
	return MIN(r, 0);
}
