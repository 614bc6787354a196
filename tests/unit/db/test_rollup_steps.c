/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps, time, effectiveness and stations compared: against counts that are made here, out of the list of
 * what was done.
 */
#include "db/rollup_steps.h"

#include <math.h>

#include "db/integrity.h"
#include "db/reports.h"
#include "db/stmt.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

#define HOUR  3600000LL
#define DAY   (24 * HOUR)
#define RUNS  240
#define STEPS 4

static const char *const step_ids[STEPS] = {"clamp", "flash", "look", "release"};
static const char *const phases[STEPS] = {"setup", "steps", "steps", "teardown"};

struct tried {
	int64_t ms, waited;
	int outcome; /* 0 passed, 1 failed, 2 error, 3 skipped */
};

struct done {
	int unit, station, fixture, job; /* unit -1: never learnt */
	int outcome;			 /* 0 passed, 1 failed, 2 error, 3 interrupted */
	int failed_at;
	int64_t attached, ended, took;
	struct tried step[STEPS][2];
	int attempts[STEPS]; /* 0: never reached */
};
static struct done done[RUNS];
static int made;
static const char *const outcomes[] = {"passed", "failed", "error", "interrupted"};
static const char *const step_outcomes[] = {"passed", "failed", "error", "skipped"};

static unsigned below(unsigned n)
{
	static uint32_t x = 1130;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x % n;
}

/* --- making runs --- */

static void put_prompt(const char *run, int64_t at, int64_t waited)
{
	static const char sql[] =
		"INSERT INTO prompts (id, run_id, station, kind, text, state, answer, created_at,"
		" settled_at) VALUES (?, ?, 'S', 'confirm', 'look', 'answered', 'yes', ?, ?)";
	static int n;
	char id[16];

	snprintf(id, sizeof id, "q%d", n++);
	OK(db_do(fx.db, &fx.e, sql, id, run, at, at + waited));
}

static void put_steps(const char *run, const struct done *r)
{
	int64_t at = r->attached + 1;
	int n = 1;

	for (int s = 0; s < STEPS; s++)
		for (int a = 0; a < r->attempts[s]; a++) {
			const struct tried *t = &r->step[s][a];
			const struct step_begin b = {
				run, n, step_ids[s], "x.y", phases[s], a + 1, false, at};
			const struct step_end end = {.run = run,
				.n = n++,
				.outcome = step_outcomes[t->outcome],
				.ended_ms = at + t->ms,
				.duration_us = t->ms * 1000 + 999};

			OK(runs_step_begin(fx.db, &b, &fx.e));
			if (t->waited)
				put_prompt(run, at, t->waited);
			OK(runs_step_end(fx.db, &end, &fx.e));
			at += t->ms;
		}
}

static void one_run(int i)
{
	struct done *r = &done[i];
	char id[16], unit[DB_ID_SIZE], chip[16], station[8], fixture[8], job[8];
	const struct run_new begin = {
		.id = id, .station = station, .fixture = fixture, .attached_ms = r->attached};
	const struct run_start start = {.run = id, .job = job, .recipe = "p", .version = 1};
	const struct run_end end = {.run = id,
		.outcome = outcomes[r->outcome],
		.step = r->outcome == 1 ? step_ids[r->failed_at] : NULL,
		.code = r->outcome ? "timeout" : NULL,
		.ended_ms = r->ended,
		.duration_ms = &r->took};

	snprintf(id, sizeof id, "r%d", i);
	snprintf(station, sizeof station, "S%d", r->station);
	snprintf(fixture, sizeof fixture, "F%d", r->fixture);
	snprintf(job, sizeof job, "j%d", r->job);
	snprintf(chip, sizeof chip, "chip%d", r->unit);
	OK(db_begin(fx.db, &fx.e));
	OK(runs_open(fx.db, &begin, &fx.e));
	OK(runs_start(fx.db, &start, &fx.e));
	if (r->unit >= 0)
		OK(units_identify(fx.db, id, chip, NULL, unit, &fx.e));
	put_steps(id, r);
	OK(runs_finish(fx.db, &end, &fx.e));
	OK(db_commit(fx.db, &fx.e));
}

/* Each step takes its time, the last one may be repeated or fail, and ends the run there. */
static void invent_steps(struct done *r)
{
	for (int s = 0; s < STEPS; s++) {
		const bool last = (r->outcome == 1 || r->outcome == 2) && s == r->failed_at;

		r->attempts[s] = below(6) ? 1 : 2;
		for (int a = 0; a < r->attempts[s]; a++) {
			struct tried *t = &r->step[s][a];

			t->ms = below(5) ? 20 + below(4000) : below(90000);
			t->waited = s == 2 && below(2) ? (int64_t)below((unsigned)t->ms + 1) : 0;
			t->outcome = a + 1 < r->attempts[s] ? 1 : last ? r->outcome : 0;
			if (s == 3 && below(9) == 0)
				t->outcome = 3;
			r->took += t->ms;
		}
		if (last)
			return;
	}
}

static void put_jobs(void)
{
	static const char sql[] =
		"INSERT INTO jobs (id, recipe, version, recipe_sha256, quantity, state, affinity,"
		" params, serial_source, created_by, created_at, updated_at)"
		" VALUES (?, 'p', 1, '00', 1000, 'running', '[]', '{}', '{}', 'test', 1, 1)";

	for (int i = 0; i < 3; i++) {
		char id[8];

		snprintf(id, sizeof id, "j%d", i);
		TX(db_do(fx.db, &fx.e, sql, id));
	}
}

static void setup(void)
{
	int64_t now = 20000 * DAY + 5;

	fixture_setup();
	put_jobs();
	for (made = 0; made < RUNS; made++) {
		struct done *r = &done[made];

		now += below(3) ? below(120000) : below(12) ? below(5 * HOUR) : below(20 * DAY);
		*r = (struct done){.unit = below(10) ? (int)below(80) : -1,
			.station = (int)below(3),
			.fixture = (int)below(2),
			.job = (int)below(3),
			.outcome = below(4) ? (int)below(2) : (int)below(4),
			.failed_at = 1 + (int)below(2),
			.attached = now,
			.took = 50 + below(700)};
		invent_steps(r);
		now += r->took;
		r->ended = now;
		one_run(made);
	}
}

/* --- counted here --- */

static bool in_window(const struct done *r, int64_t from, int64_t to, int station)
{
	return r->ended >= from && r->ended < to && (station < 0 || r->station == station);
}

static bool is_first(int i)
{
	if (done[i].outcome > 1)
		return false;
	for (int k = 0; k < i; k++)
		if (done[k].outcome <= 1 && done[i].unit >= 0 && done[k].unit == done[i].unit)
			return false;
	return true;
}

static void assert_step(json_t *group, int s, int64_t from, int64_t to)
{
	int64_t passed = 0, failed = 0, error = 0, retried = 0, units = 0, first = 0;

	for (int i = 0; i < made; i++) {
		const struct done *r = &done[i];
		const int n = r->attempts[s];
		int judged = 0, last = 3;

		for (int a = 0; a < n; a++)
			if (r->step[s][a].outcome != 3) {
				judged++;
				last = r->step[s][a].outcome;
			}
		if (!in_window(r, from, to, -1) || !judged)
			continue;
		passed += last == 0;
		failed += last == 1;
		error += last == 2;
		retried += judged > 1;
		units += is_first(i) && last <= 1;
		first += is_first(i) && last == 0 && judged == 1;
	}
	ck_assert_int_eq(int_at(group, "runs.passed"), passed);
	ck_assert_int_eq(int_at(group, "runs.failed"), failed);
	ck_assert_int_eq(int_at(group, "runs.error"), error);
	ck_assert_int_eq(int_at(group, "retried"), retried);
	ck_assert_int_eq(int_at(group, "units"), units);
	ck_assert_int_eq(int_at(group, "first_passed"), first);
}

static void assert_steps(int64_t from, int64_t to)
{
	const struct yield_filter f = {.from_ms = from, .to_ms = to};
	json_t *groups = NULL, *rolled = NULL, *group;
	double product = 1;
	size_t i;

	OK(reports_steps(fx.db, &f, &groups, &rolled, &fx.e));
	json_array_foreach(groups, i, group) {
		for (int s = 0; s < STEPS; s++)
			if (!strcmp(str_at(group, "step"), step_ids[s]))
				assert_step(group, s, from, to ? to : INT64_MAX);
		if (int_at(group, "units"))
			product *= (double)int_at(group, "first_passed") /
				   (double)int_at(group, "units");
	}
	if (i)
		ck_assert_double_eq_tol(json_real_value(rolled), product, 1e-12);
	else
		ck_assert(json_is_null(rolled));
	json_decref(groups);
	json_decref(rolled);
}

START_TEST(the_yield_of_a_step_says_what_a_recount_says)
{
	const int64_t first = done[0].ended, span = done[made - 1].ended - first;
	json_t *groups = NULL, *rolled = NULL;

	OK(reports_steps(fx.db, &(struct yield_filter){0}, &groups, &rolled, &fx.e));
	ck_assert_uint_eq(json_array_size(groups), STEPS);
	ck_assert_double_lt(json_real_value(rolled), 1);
	json_decref(groups);
	json_decref(rolled);
	assert_steps(0, 0);
	for (int i = 0; i < 20; i++) {
		const int64_t from = first + below((unsigned)(span / 1000)) * 1000LL;

		assert_steps(from, from + below(40) * DAY + below(DAY) + 1);
	}
}
END_TEST

/* What each run took for a part of a step, -1 for none at all. */
static int64_t part_of(const struct done *r, const char *part, const char *step)
{
	int64_t ms = 0, n = 0;

	for (int s = 0; s < STEPS; s++)
		for (int a = 0; a < r->attempts[s] && !strcmp(step, step_ids[s]); a++) {
			const struct tried *t = &r->step[s][a];
			const char *own = a		   ? "again"
					  : s == 0	   ? "setup"
					  : s == STEPS - 1 ? "teardown"
							   : "work";

			if (!strcmp(part, "person") && t->waited)
				ms += t->waited, n++;
			else if (!strcmp(part, own))
				ms += t->ms - t->waited, n++;
		}
	return n ? ms : -1;
}

static int64_t gap_of(int i)
{
	for (int k = i - 1; k >= 0; k--)
		if (done[k].station == done[i].station)
			return done[i].attached - done[k].ended;
	return -1;
}

static int64_t rest_of(const struct done *r)
{
	int64_t ms = r->took;

	for (int s = 0; s < STEPS; s++)
		for (int a = 0; a < r->attempts[s]; a++)
			ms -= r->step[s][a].ms;
	return ms;
}

static int64_t time_of(int i, const char *part, const char *step)
{
	const struct done *r = &done[i];
	const int64_t gap = gap_of(i);

	if (!strcmp(part, "cycle"))
		return r->outcome == 0 ? r->took : -1;
	if (r->outcome == 3)
		return -1;
	if (!strcmp(part, "rest"))
		return rest_of(r);
	if (!strcmp(part, "change") || !strcmp(part, "idle"))
		return gap >= 0 && (gap <= 600000) == !strcmp(part, "change") ? gap : -1;
	return part_of(r, part, step);
}

static int ascending(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* A bar is 10 % wide at most, and 1 ms at least. */
static void assert_percentile(
	json_t *row, const char *member, const int64_t *sorted, int n, double p)
{
	const double want = (double)sorted[(int)ceil(p * n) - 1];
	const double got = json_real_value(at(row, member));

	ck_assert_double_le(fabs(got - want), 0.1 * want + 1);
}

static int64_t assert_times_of(json_t *row, int64_t from, int64_t to, int station)
{
	const char *step = json_string_value(at(row, "step"));
	int64_t took[RUNS], sum = 0;
	int n = 0;

	for (int i = 0; i < made; i++) {
		const int64_t ms = time_of(i, str_at(row, "part"), step ? step : "");

		if (ms < 0 || !in_window(&done[i], from, to, station))
			continue;
		took[n++] = ms;
		sum += ms;
	}
	ck_assert_int_eq(int_at(row, "runs"), n);
	ck_assert_int_eq(int_at(row, "ms"), sum);
	qsort(took, (size_t)n, sizeof *took, ascending);
	assert_percentile(row, "p50_ms", took, n, 0.5);
	assert_percentile(row, "p95_ms", took, n, 0.95);
	return sum;
}

START_TEST(the_time_of_units_is_that_of_their_runs_and_all_of_it)
{
	const int64_t from = done[17].ended, to = done[190].ended;
	const struct yield_filter all = {0}, some = {.from_ms = from, .to_ms = to};
	json_t *rows = NULL, *row;
	int64_t inside = 0, want = 0;
	size_t i;

	OK(reports_time(fx.db, &all, ROLLUP_ALL, &rows, &fx.e));
	ck_assert_uint_gt(json_array_size(rows), 10);
	json_array_foreach(rows, i, row) {
		const int64_t ms = assert_times_of(row, 0, INT64_MAX, -1);
		const char *part = str_at(row, "part");

		if (strcmp(part, "cycle") != 0 && strcmp(part, "idle") != 0 &&
			strcmp(part, "change") != 0)
			inside += ms;
	}
	for (int k = 0; k < made; k++)
		want += done[k].outcome == 3 ? 0 : done[k].took;
	ck_assert_int_eq(inside, want); /* no second of a run is lost, or counted twice */
	json_decref(rows);
	OK(reports_time(fx.db, &some, ROLLUP_STATION, &rows, &fx.e));
	json_array_foreach(rows, i, row)
		assert_times_of(row, from, to, str_at(row, "station")[1] - '0');
	ck_assert_uint_gt(i, 20);
	json_decref(rows);
}
END_TEST

START_TEST(the_shares_of_a_place_add_up_to_one)
{
	json_t *rows = NULL, *row;
	double sum[3] = {0};
	size_t i;

	OK(reports_time(fx.db, &(struct yield_filter){0}, ROLLUP_STATION, &rows, &fx.e));
	json_array_foreach(rows, i, row)
		sum[str_at(row, "station")[1] - '0'] += json_number_value(at(row, "share"));
	for (i = 0; i < 3; i++)
		ck_assert_double_eq_tol(sum[i], 1, 1e-9);
	json_decref(rows);
}
END_TEST

/* --- effectiveness --- */

START_TEST(effectiveness_is_the_ideal_time_of_what_was_good_over_what_was_planned)
{
	const struct yield_filter all = {0};
	const struct reports_plan plan = {
		.planned_ms = 100 * DAY, .demand = 5000, .demand_ms = 50 * DAY};
	json_t *o = NULL, *group;
	int64_t run = 0, count = 0, good = 0, cycles[RUNS], sum = 0;
	double ideal;
	size_t i;

	for (int k = 0; k < made; k++) {
		run += done[k].took;
		count += done[k].outcome <= 1;
		if (done[k].outcome == 0)
			cycles[good++] = done[k].took;
	}
	qsort(cycles, (size_t)good, sizeof *cycles, ascending);
	ideal = (double)cycles[(int)ceil(0.1 * (double)good) - 1];
	OK(reports_oee(fx.db, &all, &plan, true, &o, &fx.e));
	ck_assert_int_eq(int_at(o, "planned_ms"), 300 * DAY); /* three stations */
	ck_assert_int_eq(int_at(o, "run_ms"), run);
	ck_assert_int_eq(int_at(o, "count"), count);
	ck_assert_int_eq(int_at(o, "good"), good);
	ck_assert_double_eq_tol(
		json_real_value(at(o, "ideal_ms")) / (ideal * (double)count), 1, 0.1);
	ck_assert_double_eq_tol(json_real_value(at(o, "oee")),
		json_real_value(at(o, "availability")) * json_real_value(at(o, "performance")) *
			json_real_value(at(o, "quality")),
		1e-12);
	ck_assert_double_eq_tol(
		json_real_value(at(o, "availability")), (double)run / (300.0 * (double)DAY), 1e-12);
	ck_assert_double_eq_tol(json_real_value(at(o, "takt_ms")), 864000, 1e-6);
	ck_assert_double_eq_tol(json_real_value(at(o, "per_hour")), (double)good / 2400, 1e-12);
	json_array_foreach(at(o, "groups"), i, group)
		sum += int_at(group, "good");
	ck_assert_uint_eq(i, 3);
	ck_assert_int_eq(sum, good);
	json_decref(o);
}
END_TEST

START_TEST(of_nothing_there_is_no_effectiveness)
{
	const struct yield_filter f = {.from_ms = 1, .to_ms = 2};
	const struct reports_plan plan = {.planned_ms = HOUR};
	json_t *o = NULL;

	OK(reports_oee(fx.db, &f, &plan, true, &o, &fx.e));
	ck_assert(json_is_null(at(o, "oee")));
	ck_assert(json_is_null(at(o, "performance")));
	ck_assert(json_is_null(at(o, "takt_ms")));
	ck_assert_uint_eq(json_array_size(at(o, "groups")), 0);
	json_decref(o);
}
END_TEST

/* --- what the check finds, and what an upgrade makes --- */

static const char *said(void)
{
	static char text[ERR_TEXT_BYTES];

	OK(integrity_tables(fx.db, NULL, text, &fx.e));
	return text;
}

START_TEST(a_count_of_steps_that_does_not_fit_is_found)
{
	static const char *const changes[] = {
		"UPDATE rollup_steps SET passed = passed + 1 WHERE span = 3600 AND step = 'look'",
		"UPDATE rollup_steps SET retried = retried + 1 WHERE span = 2764800",
		"DELETE FROM rollup_times WHERE span = 86400 AND part = 'person'",
		"UPDATE rollup_times SET ms = ms + 1 WHERE span = 3600 AND part = 'rest'",
		"UPDATE rollup_firsts SET n = n + 1 WHERE span = 3600 AND step = ''",
		"UPDATE rollup_firsts SET job = 'j9' WHERE span = 86400 AND job = 'j1'",
	};

	ck_assert_str_eq(said(), "");
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		OK(db_begin(fx.db, &fx.e));
		ck_assert_int_gt(db_run(fx.db, &fx.e, changes[i]), 0);
		ck_assert_msg(strstr(said(), "the counts of the reports") != NULL, "%zu", i);
		db_rollback(fx.db);
	}
	ck_assert_str_eq(said(), "");
}
END_TEST

START_TEST(an_upgrade_counts_the_steps_that_are_there)
{
	fixture_before(25);
	fixture_reopen();
	ck_assert_str_eq(said(), "");
	assert_steps(0, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("rollup_steps");
	TCase *t = tcase_create("steps");

	tcase_add_checked_fixture(t, setup, fixture_teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, the_yield_of_a_step_says_what_a_recount_says);
	tcase_add_test(t, the_time_of_units_is_that_of_their_runs_and_all_of_it);
	tcase_add_test(t, the_shares_of_a_place_add_up_to_one);
	tcase_add_test(t, effectiveness_is_the_ideal_time_of_what_was_good_over_what_was_planned);
	tcase_add_test(t, of_nothing_there_is_no_effectiveness);
	tcase_add_test(t, a_count_of_steps_that_does_not_fit_is_found);
	tcase_add_test(t, an_upgrade_counts_the_steps_that_are_there);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
