/* SPDX-License-Identifier: Apache-2.0 */
#include "db/reports.h"

#include "db/jobs.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

static int number;

/* A run of the unit with that chip (NULL: never learnt) that ends at that time. */
static void a_run(const char *chip, const char *station, const char *outcome, int64_t ended_ms)
{
	char id[16];
	char unit[DB_ID_SIZE];
	struct run_end end = {.run = id,
		.outcome = outcome,
		.step = "burn",
		.code = !strcmp(outcome, "failed") ? "timeout" : NULL,
		.ended_ms = ended_ms};

	snprintf(id, sizeof id, "r%d", number++);
	open_run(id, station, NULL);
	if (chip)
		TX(units_identify(fx.db, id, chip, NULL, unit, &fx.e));
	TX(runs_finish(fx.db, &end, &fx.e));
}

static void assert_ratio(json_t *j, const char *key, double want)
{
	ck_assert_double_eq_tol(json_real_value(at(j, key)), want, 1e-12);
}

START_TEST(first_pass_yield_counts_units_by_their_first_run_and_run_yield_runs)
{
	const struct yield_filter f = {.from_ms = 1000, .to_ms = 2000};
	json_t *y = NULL;

	a_run("old", "A1", "failed", 900); /* first seen before the window */
	a_run("old", "A1", "passed", 1100);
	a_run("u1", "A1", "passed", 1200);
	a_run("u2", "A1", "failed", 1300);
	a_run("u2", "A1", "passed", 1400);
	a_run("u3", "A2", "error", 1500); /* the station's fault: not a first run */
	a_run("u3", "A1", "passed", 1600);
	a_run("u4", "A1", "aborted", 1700);
	a_run(NULL, "A1", "failed", 1800); /* a unit of its own */
	a_run("u5", "A1", "passed", 2000); /* the window is half open */
	OK(reports_yield(fx.db, &f, ROLLUP_ALL, &y, &fx.e));
	ck_assert_int_eq(int_at(y, "runs.passed"), 4);
	ck_assert_int_eq(int_at(y, "runs.failed"), 2);
	ck_assert_int_eq(int_at(y, "runs.error"), 1);
	ck_assert_int_eq(int_at(y, "runs.aborted"), 1);
	assert_ratio(y, "run_yield", 4.0 / 6);
	ck_assert_int_eq(int_at(y, "units"), 4); /* u1 u2 u3 and the nameless one */
	ck_assert_int_eq(int_at(y, "first_passed"), 2);
	assert_ratio(y, "first_pass_yield", 0.5);
	assert_ratio(y, "final_yield", 0.75);
	assert_ratio(y, "retest_rate", 0.25);
	json_decref(y);
}
END_TEST

START_TEST(a_yield_of_nothing_is_no_number)
{
	struct yield_filter f = {0};
	json_t *y = NULL;

	OK(reports_yield(fx.db, &f, ROLLUP_ALL, &y, &fx.e));
	ck_assert(json_is_null(at(y, "run_yield")));
	ck_assert(json_is_null(at(y, "first_pass_yield")));
	json_decref(y);
}
END_TEST

START_TEST(stations_have_their_own_counters)
{
	json_t *s = NULL;

	a_run("u1", "A1", "passed", 1200);
	a_run("u2", "A1", "failed", 1300);
	a_run("u3", "A2", "passed", 1300);
	a_run("u4", "A2", "passed", 100); /* yesterday */
	OK(reports_stations(fx.db, 1000, &s, &fx.e));
	ck_assert_int_eq(int_at(s, "A1.passed"), 1);
	ck_assert_int_eq(int_at(s, "A1.failed"), 1);
	ck_assert_int_eq(int_at(s, "A2.passed"), 1);
	ck_assert_int_eq(int_at(s, "A2.failed"), 0);
	json_decref(s);
}
END_TEST

START_TEST(the_pareto_names_the_step_that_costs_most)
{
	struct yield_filter f = {0};
	json_t *p = NULL;

	for (int i = 0; i < 4; i++)
		a_run(NULL, i == 3 ? "A2" : "A1", i ? "failed" : "error", 1000);
	OK(reports_pareto(fx.db, &f, "failed", &p, &fx.e));
	ck_assert_uint_eq(json_array_size(p), 1);
	ck_assert_str_eq(str_at(p, "0.step"), "burn");
	ck_assert_str_eq(str_at(p, "0.code"), "timeout");
	ck_assert_int_eq(int_at(p, "0.count"), 3);
	assert_ratio(p, "0.cumulative", 1.0);
	json_decref(p);
}
END_TEST

#define SHIFT_FROM 10000
#define SHIFT_TO   20000

static void a_job(const char *id, const char *state, const char *kind, int quantity, int passed)
{
	TX(db_do(fx.db, &fx.e,
		"INSERT INTO jobs (id, recipe, version, recipe_sha256, quantity, priority, state, affinity, params,"
		" serial_source, created_by, created_at, updated_at, kind, passed) VALUES"
		" (?1, 'p', 1, 'x', ?2, 0, ?3, '[]', '{}', '{}', 'mes', 1, 1, ?4, ?5)",
		id, (int64_t)quantity, state, kind, (int64_t)passed));
}

/* A run of the job that ends at that time. */
static void a_run_of(const char *job, const char *outcome, int64_t ended_ms)
{
	char id[16];
	struct run_end end = {.run = id, .outcome = outcome, .ended_ms = ended_ms};

	snprintf(id, sizeof id, "r%d", number++);
	open_run(id, "A1", job);
	TX(runs_finish(fx.db, &end, &fx.e));
}

static int64_t counted(const char *job, const char *outcome)
{
	struct err e;
	int64_t n = -1;
	int r = db_int(fx.db, &e, &n,
		"SELECT count(*) FROM runs WHERE job_id = ?1 AND outcome = ?2 AND state = 'finished' AND"
		" kind = 'production' AND ended_at >= ?3 AND ended_at < ?4",
		job, outcome, (int64_t)SHIFT_FROM, (int64_t)SHIFT_TO);

	ck_assert_int_ge(r, 0);
	return n;
}

START_TEST(a_shift_has_the_orders_that_were_to_be_made_or_were_made_in_it)
{
	static const char *const outcomes[] = {"passed", "failed", "passed", "error", "aborted"};
	static const char *const want[] = {"done", "half", "stopped", "waiting"};
	const struct job_word hold = {.reason = "wrong housings", .by = "anna"};
	json_t *jobs = NULL, *job;
	int64_t passed;
	size_t i;

	a_job("half", "running", "production", 100, 0);
	a_job("done", "done", "production", 5, 0);
	a_job("stopped", "aborted", "production", 9, 0);
	a_job("waiting", "queued", "production", 70, 0);
	a_job("long-done", "done", "production", 5, 5);
	a_job("golden", "running", "golden", 5, 0);
	TX(jobs_act(fx.db, "half", JOB_HOLD, &hold, &fx.e));
	for (int n = 0; n < 60; n++)
		a_run_of(want[n % 3], outcomes[n % 5], SHIFT_FROM - 2000 + n * 250);
	a_run_of("long-done", "passed", SHIFT_TO);
	OK(reports_shift(fx.db, SHIFT_FROM, SHIFT_TO, &jobs, &fx.e));
	ck_assert_uint_eq(json_array_size(jobs), ARRAY_LEN(want));
	json_array_foreach(jobs, i, job) {
		ck_assert_str_eq(json_string_value(at(job, "id")), want[i]);
		ck_assert_int_eq(int_at(job, "made"), counted(want[i], "passed"));
		ck_assert_int_eq(int_at(job, "failed"), counted(want[i], "failed"));
		ck_assert_int_eq(json_is_object(at(job, "hold")), !strcmp(want[i], "half"));
		passed = int_at(job, "passed");
		if (!strcmp(want[i], "stopped"))
			ck_assert_int_eq(int_at(job, "due"), 0);
		else
			ck_assert_int_eq(int_at(job, "due"),
				MAX(0, int_at(job, "quantity") - passed + int_at(job, "made")));
	}
	ck_assert_int_gt(counted("half", "passed"), 0);
	json_decref(jobs);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("reports");
	TCase *t = tcase_create("reports");

	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_add_test(t, a_shift_has_the_orders_that_were_to_be_made_or_were_made_in_it);
	tcase_add_test(t, first_pass_yield_counts_units_by_their_first_run_and_run_yield_runs);
	tcase_add_test(t, a_yield_of_nothing_is_no_number);
	tcase_add_test(t, stations_have_their_own_counters);
	tcase_add_test(t, the_pareto_names_the_step_that_costs_most);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
