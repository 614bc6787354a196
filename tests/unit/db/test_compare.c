/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether it is the units, a station, its fixture or an order: each as a line on which it was so.
 */
#include "db/jobs.h"
#include "db/reports.h"
#include "db/stmt.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

static int number, unit_number;
static int64_t now_ms = 90000LL * 86400000;

static void put_job(const char *id)
{
	static const char sql[] =
		"INSERT INTO jobs (id, recipe, version, recipe_sha256, quantity, state, affinity,"
		" params, serial_source, created_by, created_at, updated_at)"
		" VALUES (?, 'p', 1, '00', 1000, 'running', '[]', '{}', '{}', 'test', 1, 1)";

	TX(db_do(fx.db, &fx.e, sql, id));
}

static void setup(void)
{
	fixture_setup();
	put_job("j1");
	put_job("j2");
}

struct where {
	const char *station, *fixture, *job;
};

static void one_run(const char *chip, const struct where *at, const char *failed_at)
{
	char id[16], unit[DB_ID_SIZE];
	const struct run_new begin = {
		.id = id, .station = at->station, .fixture = at->fixture, .attached_ms = now_ms};
	const struct run_start start = {.run = id, .job = at->job, .recipe = "p", .version = 1};
	const struct run_end end = {.run = id,
		.outcome = failed_at ? "failed" : "passed",
		.step = failed_at,
		.code = failed_at ? "limit-low" : NULL,
		.ended_ms = now_ms + 10};

	now_ms += 20;
	snprintf(id, sizeof id, "r%d", number++);
	TX(runs_open(fx.db, &begin, &fx.e));
	TX(runs_start(fx.db, &start, &fx.e));
	TX(units_identify(fx.db, id, chip, NULL, unit, &fx.e));
	TX(runs_finish(fx.db, &end, &fx.e));
}

/* So many new units, of which the first ones fail at `look`; the number of the first unit. */
static int units(const struct where *at, int n, int bad)
{
	const int first = unit_number;

	for (int i = 0; i < n; i++) {
		char chip[24];

		snprintf(chip, sizeof chip, "chip%d", unit_number++);
		one_run(chip, at, i < bad ? "look" : NULL);
	}
	return first;
}

static void again(int unit, int n, const struct where *at, bool passes)
{
	for (int i = 0; i < n; i++) {
		char chip[24];

		snprintf(chip, sizeof chip, "chip%d", unit + i);
		one_run(chip, at, passes ? NULL : "look");
	}
}

/* The finding about the only step that units failed at. */
static json_t *finding(void)
{
	json_t *rows = NULL, *one;

	OK(reports_comparison(fx.db, &(struct yield_filter){0}, &rows, &fx.e));
	ck_assert_uint_eq(json_array_size(rows), 1);
	one = json_incref(json_array_get(rows, 0));
	json_decref(rows);
	ck_assert_str_eq(str_at(one, "step"), "look");
	return one;
}

static const struct where s1 = {"S1", "F1", "j1"}, s2 = {"S2", "F2", "j1"}, s3 = {"S3", "F3", "j1"};

START_TEST(a_station_that_differs_is_named_with_its_numbers)
{
	json_t *o;

	units(&s1, 50, 20);
	units(&s2, 50, 5);
	units(&s3, 50, 4);
	o = finding();
	ck_assert_str_eq(str_at(o, "verdict"), "station");
	ck_assert_ptr_nonnull(strstr(str_at(o, "reason"), "cannot be told apart"));
	ck_assert_int_eq(int_at(o, "failed"), 29);
	ck_assert_int_eq(int_at(o, "units"), 150);
	ck_assert_str_eq(str_at(o, "station.station"), "S1");
	ck_assert_int_eq(int_at(o, "station.failed"), 20);
	ck_assert_int_eq(int_at(o, "station.units"), 50);
	ck_assert_int_eq(int_at(o, "station.other_failed"), 9);
	ck_assert_int_eq(int_at(o, "station.other_units"), 100);
	/* Python, sum of fractions over tables that are no more likely; Holm: the first of three. */
	ck_assert_double_eq_tol(
		json_real_value(at(o, "station.p_value")) / 1.454929389620277e-05, 1, 1e-9);
	ck_assert_double_eq_tol(
		json_real_value(at(o, "station.p_adjusted")) / (3 * 1.454929389620277e-05), 1,
		1e-9);
	ck_assert(json_is_null(at(o, "lot"))); /* there is only one */
	ck_assert_uint_eq(json_array_size(at(o, "ask_units")), 10);
	ck_assert_ptr_nonnull(strstr(str_at(o, "ask"), "another station"));
	json_decref(o);
}
END_TEST

START_TEST(what_is_no_more_than_chance_is_the_units)
{
	json_t *o;

	units(&s1, 50, 4);
	units(&s2, 50, 2);
	units(&s3, 50, 3);
	o = finding();
	ck_assert_str_eq(str_at(o, "verdict"), "unit");
	ck_assert(!json_is_true(at(o, "station.marked")));
	json_decref(o);
}
END_TEST

START_TEST(a_fixture_that_moved_takes_its_failures_with_it)
{
	const struct where s1f2 = {"S1", "F2", "j1"}, s2f1 = {"S2", "F1", "j1"};
	json_t *o;

	units(&s1, 40, 16);
	units(&s2f1, 40, 15);
	units(&s1f2, 40, 1);
	units(&s2, 40, 2);
	units(&s3, 80, 3);
	o = finding();
	ck_assert_str_eq(str_at(o, "verdict"), "fixture");
	ck_assert_str_eq(str_at(o, "fixture.fixture"), "F1");
	ck_assert_int_eq(int_at(o, "fixture.failed"), 31);
	json_decref(o);
}
END_TEST

START_TEST(a_station_that_differs_with_each_of_its_fixtures_is_the_station)
{
	const struct where s1f2 = {"S1", "F2", "j1"}, s2f1 = {"S2", "F1", "j1"};
	json_t *o;

	units(&s1, 40, 16);
	units(&s1f2, 40, 15);
	units(&s2f1, 40, 1);
	units(&s2, 40, 2);
	units(&s3, 80, 3);
	o = finding();
	ck_assert_str_eq(str_at(o, "verdict"), "station");
	ck_assert_ptr_nonnull(strstr(str_at(o, "reason"), "with whichever fixture"));
	json_decref(o);
}
END_TEST

START_TEST(an_order_that_fails_at_each_station_is_the_lot)
{
	const struct where other1 = {"S1", "F1", "j2"}, other2 = {"S2", "F2", "j2"};
	json_t *o;

	units(&s1, 40, 14);
	units(&s2, 40, 13);
	units(&other1, 40, 1);
	units(&other2, 40, 2);
	o = finding();
	ck_assert_str_eq(str_at(o, "verdict"), "lot");
	ck_assert_str_eq(str_at(o, "lot.job"), "j1");
	ck_assert_int_eq(int_at(o, "lot.failed"), 27);
	json_decref(o);
}
END_TEST

START_TEST(an_order_that_only_one_station_made_is_seen_there_next_to_others)
{
	const struct where other1 = {"S1", "F1", "j2"}, other2 = {"S2", "F2", "j2"};
	json_t *o;

	units(&s1, 40, 14); /* j1 was made at S1 alone */
	units(&other1, 60, 1);
	units(&other2, 120, 2);
	o = finding();
	ck_assert(json_is_true(at(o, "station.marked")));
	ck_assert_str_eq(str_at(o, "verdict"), "lot");
	json_decref(o);
}
END_TEST

START_TEST(second_runs_elsewhere_decide_where_there_are_enough)
{
	json_t *o;
	int first = units(&s1, 50, 20);

	units(&s2, 50, 2);
	units(&s3, 50, 1);
	again(first, 3, &s2, true);
	again(first + 3, 2, &s1, false);
	o = finding();
	ck_assert_str_eq(str_at(o, "verdict"), "station");
	ck_assert_int_eq(int_at(o, "retests.other_passed"), 3);
	ck_assert_int_eq(int_at(o, "retests.same_failed"), 2);
	ck_assert_ptr_nonnull(strstr(str_at(o, "ask"), "another station"));
	json_decref(o);
	again(first + 5, 6, &s3, false);
	o = finding();
	ck_assert_str_eq(str_at(o, "verdict"), "unit");
	ck_assert_int_eq(int_at(o, "retests.other_failed"), 6);
	ck_assert(json_is_null(at(o, "ask")));
	ck_assert_uint_eq(json_array_size(at(o, "ask_units")), 0);
	json_decref(o);
}
END_TEST

/* By chance one of twenty stations would be below 0.05: it is not marked. */
START_TEST(many_stations_are_not_marked_by_chance)
{
	json_t *o;

	for (int i = 0; i < 20; i++) {
		char name[8];
		const struct where w = {name, name, "j1"};

		snprintf(name, sizeof name, "T%d", i);
		units(&w, 30, i == 7 ? 4 : i % 2);
	}
	o = finding();
	ck_assert_str_eq(str_at(o, "station.station"), "T7");
	ck_assert_double_lt(json_real_value(at(o, "station.p_value")), 0.05);
	ck_assert_double_gt(json_real_value(at(o, "station.p_adjusted")), 0.05);
	ck_assert_str_eq(str_at(o, "verdict"), "unit");
	json_decref(o);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("compare");
	TCase *t = tcase_create("compare");

	tcase_add_checked_fixture(t, setup, fixture_teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_station_that_differs_is_named_with_its_numbers);
	tcase_add_test(t, what_is_no_more_than_chance_is_the_units);
	tcase_add_test(t, a_fixture_that_moved_takes_its_failures_with_it);
	tcase_add_test(t, a_station_that_differs_with_each_of_its_fixtures_is_the_station);
	tcase_add_test(t, an_order_that_fails_at_each_station_is_the_lot);
	tcase_add_test(t, an_order_that_only_one_station_made_is_seen_there_next_to_others);
	tcase_add_test(t, second_runs_elsewhere_decide_where_there_are_enough);
	tcase_add_test(t, many_stations_are_not_marked_by_chance);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
