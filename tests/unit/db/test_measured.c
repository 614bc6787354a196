/* SPDX-License-Identifier: Apache-2.0 */
#include "db/measured.h"

#include <math.h>

#include "base/util.h"
#include "db/stmt.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

#define START_MS 1700000000000LL

struct a_value {
	const char *station, *chip, *kind, *name, *unit;
	double x;
	int64_t at;
	int64_t version;
};

/* The id that a run has which begins then: UUIDv7. */
static void id_at(int64_t ms, char ret[UUID_SIZE])
{
	static unsigned n;

	snprintf(ret, UUID_SIZE, "%08llx-%04llx-7000-8000-%012x", (unsigned long long)ms >> 16,
		(unsigned long long)ms & 0xffff, n++);
}

static void measure(const struct a_value *v)
{
	const double low = 3.0, high = 3.6;
	char id[UUID_SIZE], unit[DB_ID_SIZE];
	const struct run_new begin = {.id = id,
		.station = v->station ? v->station : "A1",
		.kind = v->kind,
		.attached_ms = v->at - 1000};
	const struct run_start start = {
		.run = id, .recipe = "thermostat", .version = v->version ? v->version : 1};
	const struct step_begin step = {.run = id,
		.n = 1,
		.id = "supply",
		.action = "console.measure",
		.phase = "steps",
		.attempt = 1};
	const struct measured m = {.run = id,
		.step_n = 1,
		.k = 1,
		.name = v->name ? v->name : "vdd",
		.value = &v->x,
		.unit = v->unit ? v->unit : "V",
		.low = &low,
		.high = &high,
		.verdict = v->x >= low && v->x <= high ? "pass" : "fail"};
	const struct step_end done = {.run = id, .n = 1, .outcome = "passed"};
	const struct run_end end = {.run = id, .outcome = "passed", .ended_ms = v->at};

	id_at(v->at - 1000, id);
	OK(db_begin(fx.db, &fx.e));
	OK(runs_open(fx.db, &begin, &fx.e));
	OK(runs_start(fx.db, &start, &fx.e));
	if (v->chip) {
		OK(units_identify(fx.db, id, v->chip, NULL, unit, &fx.e));
		OK(db_do(fx.db, &fx.e, "UPDATE runs SET serial = ? WHERE id = ?", v->chip, id));
	}
	OK(runs_step_begin(fx.db, &step, &fx.e));
	OK(runs_measure(fx.db, &m, &fx.e));
	OK(runs_step_end(fx.db, &done, &fx.e));
	OK(runs_finish(fx.db, &end, &fx.e));
	OK(db_commit(fx.db, &fx.e));
}

static const struct measured_filter vdd = {.recipe = "thermostat", .step = "supply", .name = "vdd"};

/* 40 values about 3.3 V, one a minute. */
static void setup(void)
{
	fixture_setup();
	for (int i = 0; i < 40; i++)
		measure(&(struct a_value){.station = i % 2 ? "A1" : "A2",
			.x = i == 20 ? 3.5 : 3.3 + (i % 2 ? 0.01128 : -0.01128),
			.at = START_MS + i * 60000LL});
	measure(&(struct a_value){.name = "vbat", .x = 4, .at = START_MS});
	measure(&(struct a_value){.kind = "golden", .x = 99, .at = START_MS});
	measure(&(struct a_value){.kind = "debug", .x = 99, .at = START_MS + 3600000});
}

static json_t *capability(const struct measured_filter *f)
{
	json_t *o = NULL;

	OK(measured_capability(fx.db, f, &o, &fx.e));
	return o;
}

START_TEST(a_measurement_has_its_capability_and_its_points_in_order)
{
	json_t *o = capability(&vdd);

	ck_assert_int_eq(int_at(o, "n"), 40);
	ck_assert_str_eq(str_at(o, "unit"), "V");
	ck_assert_double_eq_tol(json_real_value(at(o, "low")), 3.0, 1e-12);
	ck_assert_double_eq_tol(json_real_value(at(o, "max")), 3.5, 1e-12);
	ck_assert_double_eq_tol(json_real_value(at(o, "cpk")),
		(3.6 - json_real_value(at(o, "mean"))) / 3 / json_real_value(at(o, "sigma_within")),
		1e-12);
	ck_assert_str_eq(str_at(o, "points.0.at"), "2023-11-14T22:13:20.000Z");
	ck_assert_str_eq(str_at(o, "points.20.at"), "2023-11-14T22:33:20.000Z");
	ck_assert_int_eq(int_at(o, "points.20.rules.0"), 1);
	ck_assert_uint_eq(json_array_size(at(o, "points.19.rules")), 0);
	json_decref(o);
}
END_TEST

START_TEST(windows_stations_and_limits_choose_the_values)
{
	struct measured_filter f = vdd;
	json_t *o;

	f.from_ms = START_MS + 10 * 60000;
	f.to_ms = START_MS + 20 * 60000;
	o = capability(&f);
	ck_assert_int_eq(int_at(o, "n"), 10);
	ck_assert_str_eq(str_at(o, "reason"), "fewer than 30 values");
	ck_assert(json_is_null(at(o, "cpk")));
	json_decref(o);
	f = vdd;
	f.station = "A2";
	o = capability(&f);
	ck_assert_int_eq(int_at(o, "n"), 20);
	json_decref(o);
	f = vdd;
	f.limit = 5;
	o = capability(&f);
	ck_assert_int_eq(int_at(o, "n"), 5);
	ck_assert_str_eq(str_at(o, "points.4.at"), "2023-11-14T22:52:20.000Z");
	json_decref(o);
	f.version = 2;
	FAILS(ERR_NOT_FOUND, measured_capability(fx.db, &f, &o, &fx.e));
	ck_assert_ptr_nonnull(strstr(fx.e.msg, "'thermostat' has a value 'vdd'"));
}
END_TEST

START_TEST(units_of_measure_are_never_mixed)
{
	struct measured_filter f = vdd;
	json_t *o = NULL;

	measure(&(struct a_value){
		.unit = "mV", .x = 3300, .version = 2, .at = START_MS + 3000 * 60000LL});
	FAILS(ERR_CONFLICT, measured_capability(fx.db, &vdd, &o, &fx.e));
	ck_assert_ptr_nonnull(strstr(fx.e.msg, "'mV' and in 'V'"));
	f.version = 1;
	o = capability(&f);
	ck_assert_int_eq(int_at(o, "n"), 40);
	json_decref(o);
}
END_TEST

START_TEST(what_is_measured_is_listed_with_its_newest_limits)
{
	json_t *list = NULL;

	OK(measured_list(fx.db, &list, &fx.e));
	ck_assert_uint_eq(json_array_size(list), 2);
	ck_assert_str_eq(str_at(list, "0.name"), "vbat");
	ck_assert_str_eq(str_at(list, "1.name"), "vdd");
	ck_assert_str_eq(str_at(list, "1.step"), "supply");
	ck_assert_double_eq_tol(json_real_value(at(list, "1.high")), 3.6, 1e-12);
	json_decref(list);
}
END_TEST

static void golden(const char *station, const char *chip, double x)
{
	static int64_t at = START_MS + 86400000;

	measure(&(struct a_value){.station = station,
		.chip = chip,
		.kind = "golden",
		.name = "gain",
		.x = x,
		.at = at += 60000});
}

START_TEST(a_gauge_study_is_of_golden_units_at_every_station)
{
	struct measured_filter f = {.recipe = "thermostat", .step = "supply", .name = "gain"};
	static const struct {
		const char *station, *chip;
		double x[2];
	} cells[] = {{"A1", "g1", {1, 1.01}}, {"A2", "g1", {2, 2.01}}, {"A1", "g2", {3, 3.01}},
		{"A2", "g2", {2, 2.01}}, {"A1", "g3", {4, 4.01}}, {"A2", "g3", {4, 4.01}},
		{"A1", "g4", {5, 5.01}}, {"A2", "g4", {7, 7.01}}};
	json_t *o = NULL;

	golden("A1", "g1", 77); /* older than those that the study takes */
	for (size_t i = 0; i < ARRAY_LEN(cells); i++)
		for (size_t k = 0; k < 2; k++) {
			if (i + 1 == ARRAY_LEN(cells) && k == 1) {
				FAILS(ERR_CONFLICT, measured_gauge(fx.db, &f, &o, &fx.e));
				ck_assert_ptr_nonnull(
					strstr(fx.e.msg, "'g4' was measured 1 times at A2"));
			}
			golden(cells[i].station, cells[i].chip, cells[i].x[k]);
		}
	OK(measured_gauge(fx.db, &f, &o, &fx.e));
	ck_assert_int_eq(int_at(o, "units"), 4);
	ck_assert_int_eq(int_at(o, "stations"), 2);
	ck_assert_int_eq(int_at(o, "trials"), 2);
	/* R 4.2.2, as in test_spc.c. */
	ck_assert_double_eq_tol(json_real_value(at(o, "reproducibility")), 0.912857236, 5e-9);
	ck_assert_double_eq_tol(json_real_value(at(o, "repeatability")), 0.007071068, 5e-9);
	ck_assert_double_eq_tol(
		json_real_value(at(o, "percent_of_tolerance")), 600 * 0.912884622 / 0.6, 1e-5);
	json_decref(o);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("measured");
	TCase *t = tcase_create("measured");

	tcase_add_checked_fixture(t, setup, fixture_teardown);
	tcase_add_test(t, a_measurement_has_its_capability_and_its_points_in_order);
	tcase_add_test(t, windows_stations_and_limits_choose_the_values);
	tcase_add_test(t, units_of_measure_are_never_mixed);
	tcase_add_test(t, what_is_measured_is_listed_with_its_newest_limits);
	tcase_add_test(t, a_gauge_study_is_of_golden_units_at_every_station);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
