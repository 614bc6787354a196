/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes to a plant at a time: in order, no more than it takes, and a report that is too large keeps nothing back.
 */
#include "daemon/line/plant_batch.h"

#include "db/plant.h"
#include "tests/unit/db/fixture.h"

static const struct plant_batch_limits few = {4000, 3000};

static json_t *items;
static int64_t last;

static void setup(void)
{
	fixture_setup();
	TX(plant_begin(fx.db, &fx.e));
	items = NULL;
}

static void teardown(void)
{
	json_decref(items);
	fixture_teardown();
}

/* A run of one step that took so many measurements, and evidence of so many bytes. */
static void run_of(const char *id, int measurements, size_t bytes)
{
	_cleanup_(freep) char *text = xcalloc(bytes + 1, 1);
	json_t *evidence = json_pack("{s:o}", "said", json_string(memset(text, 'x', bytes)));
	const struct run_new n = {.id = id, .station = "A1", .attached_ms = 1000};
	const struct run_start start = {
		.run = id, .recipe = "r", .version = 1, .recipe_sha256 = "00", .started_ms = 1500};
	const struct step_begin b = {id, 1, "measure", "x.y", "steps", 1, false, 1600};
	const struct step_end end = {
		.run = id, .n = 1, .outcome = "passed", .evidence = evidence, .ended_ms = 1700};
	const struct run_end done = {.run = id, .outcome = "passed", .ended_ms = 1800};

	OK(db_begin(fx.db, &fx.e));
	OK(runs_open(fx.db, &n, &fx.e));
	OK(runs_start(fx.db, &start, &fx.e));
	OK(runs_step_begin(fx.db, &b, &fx.e));
	for (int k = 1; k <= measurements; k++) {
		const double v = k;
		const struct measured m = {.run = id,
			.step_n = 1,
			.k = k,
			.name = "rail",
			.value = &v,
			.text = "1",
			.verdict = "pass"};

		OK(runs_measure(fx.db, &m, &fx.e));
	}
	OK(runs_step_end(fx.db, &end, &fx.e));
	OK(runs_finish(fx.db, &done, &fx.e));
	OK(db_commit(fx.db, &fx.e));
	json_decref(evidence);
}

static void batch(int64_t seen, const struct plant_batch_limits *l)
{
	json_decref(items);
	OK(plant_batch(fx.db, seen, l, &items, &last, &fx.e));
}

static const json_t *record_of(size_t i)
{
	return json_object_get(json_array_get(items, i), "record");
}

/* NULL: the item has none. */
static const json_t *report_of(size_t i)
{
	return json_object_get(json_object_get(json_array_get(items, i), "told"), "report");
}

static struct totals {
	int64_t measurements;
	int batches;
	char left_out[200]; /* of each report that lacks something: "[\"measurements\"];" */
} total;

static void count(const json_t *report)
{
	const json_t *step = json_array_get(json_object_get(report, "steps"), 0);
	char *lacks = json_dumps(json_object_get(report, "left_out"), JSON_COMPACT);

	total.measurements += (int64_t)json_array_size(json_object_get(step, "measurements"));
	if (lacks)
		snprintf(total.left_out + strlen(total.left_out), 80, "%s;", lacks);
	free(lacks);
}

/* All there is, batch by batch. */
static void walk(const struct plant_batch_limits *l)
{
	int64_t expected = 1;

	total = (struct totals){0};
	for (last = 0;; total.batches++) {
		batch(last, l);
		if (json_array_size(items) == 0)
			return;
		for (size_t i = 0; i < json_array_size(items); i++) {
			ck_assert_int_eq(json_integer_value(json_object_get(record_of(i), "seq")),
				expected++);
			count(report_of(i));
		}
		ck_assert_int_eq(last, expected - 1);
		if (json_array_size(items) > 1)
			ck_assert_uint_le(json_dumpb(items, NULL, 0, JSON_COMPACT),
				l->batch_bytes + PLANT_BATCH_EVENTS);
	}
}

START_TEST(nothing_is_a_batch_without_records)
{
	batch(0, &plant_batch_limits);
	ck_assert_uint_eq(json_array_size(items), 0);
	ck_assert_int_eq(last, 0);
}
END_TEST

START_TEST(what_fits_goes_at_once_and_in_order)
{
	run_of("r1", 2, 10);
	run_of("r2", 3, 10);
	walk(&plant_batch_limits);
	ck_assert_int_eq(total.measurements, 5);
	ck_assert_int_eq(total.batches, 1);
	ck_assert_str_eq(total.left_out, "");
}
END_TEST

START_TEST(what_would_make_it_too_large_comes_next)
{
	for (int i = 1; i <= 4; i++) {
		char id[8];

		snprintf(id, sizeof id, "r%d", i);
		run_of(id, 8, 10);
	}
	walk(&few);
	ck_assert_int_eq(total.measurements, 4 * 8);
	ck_assert_int_ge(total.batches, 4);
	ck_assert_str_eq(total.left_out, "");
}
END_TEST

START_TEST(a_report_that_is_too_large_goes_without_what_makes_it_so_and_says_it)
{
	run_of("r1", 500, 10);
	run_of("r2", 1, 10);
	run_of("r3", 2, 5000);
	walk(&few);
	ck_assert_int_eq(total.measurements, 1);
	ck_assert_str_eq(total.left_out, "[\"measurements\"];[\"measurements\",\"evidence\"];");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("plant_batch");
	TCase *t = tcase_create("plant_batch");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, nothing_is_a_batch_without_records);
	tcase_add_test(t, what_fits_goes_at_once_and_in_order);
	tcase_add_test(t, what_would_make_it_too_large_comes_next);
	tcase_add_test(t, a_report_that_is_too_large_goes_without_what_makes_it_so_and_says_it);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
