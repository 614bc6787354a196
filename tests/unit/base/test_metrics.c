/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

#include <string.h>

#include "base/thread.h"
#include "base/util.h"
#include "tests/unit/unit.h"

enum { RUNS, STEPS, BARE };

static const uint64_t bounds[] = {1000, 50000, 2500000, 0};
static const struct metric_row rows[] = {
	[RUNS] = {"x_runs_total", METRIC_COUNTER, "Runs.", {"station", "outcome"}, .most = 4},
	[STEPS] = {"x_step_seconds", METRIC_HISTOGRAM, "Steps.", {"action"}, bounds, .most = 4},
	[BARE] = {"x_bare_seconds", METRIC_HISTOGRAM, "Bare.", {NULL}, bounds, .most = 1},
	{0},
};

#define VALUES(...) ((const char *const[]){__VA_ARGS__})

static char *print(struct metrics *m)
{
	struct strbuf b = {0};

	metrics_print(m, &b);
	return sb_take(&b);
}

START_TEST(a_counter_has_a_line_for_each_set_of_labels)
{
	struct metrics *m = metrics_new(rows);
	_cleanup_(freep) char *text = NULL;

	metrics_count(m, RUNS, VALUES("A1", "passed"), 1);
	metrics_count(m, RUNS, VALUES("A1", "failed"), 1);
	metrics_count(m, RUNS, VALUES("A1", "passed"), 2);
	text = print(m);
	ck_assert_ptr_nonnull(
		strstr(text, "# HELP x_runs_total Runs.\n# TYPE x_runs_total counter\n"
			     "x_runs_total{station=\"A1\",outcome=\"passed\"} 3\n"
			     "x_runs_total{station=\"A1\",outcome=\"failed\"} 1\n"));
	metrics_free(m);
}
END_TEST

START_TEST(the_buckets_of_a_histogram_are_cumulative_and_hold_their_bound)
{
	struct metrics *m = metrics_new(rows);
	_cleanup_(freep) char *text = NULL;

	metrics_observe(m, STEPS, VALUES("flash"), 1000);
	metrics_observe(m, STEPS, VALUES("flash"), 1001);
	metrics_observe(m, STEPS, VALUES("flash"), 3000000);
	metrics_observe(m, BARE, NULL, 1500000);
	text = print(m);
	ck_assert_ptr_nonnull(
		strstr(text, "x_step_seconds_bucket{action=\"flash\",le=\"0.001\"} 1\n"
			     "x_step_seconds_bucket{action=\"flash\",le=\"0.05\"} 2\n"
			     "x_step_seconds_bucket{action=\"flash\",le=\"2.5\"} 2\n"
			     "x_step_seconds_bucket{action=\"flash\",le=\"+Inf\"} 3\n"
			     "x_step_seconds_sum{action=\"flash\"} 3.002001\n"
			     "x_step_seconds_count{action=\"flash\"} 3\n"));
	ck_assert_ptr_nonnull(strstr(text, "x_bare_seconds_bucket{le=\"+Inf\"} 1\n"
					   "x_bare_seconds_sum 1.5\nx_bare_seconds_count 1\n"));
	metrics_free(m);
}
END_TEST

START_TEST(what_is_over_the_most_is_counted_as_other)
{
	struct metrics *m = metrics_new(rows);
	_cleanup_(freep) char *text = NULL;
	char station[16];

	for (int i = 0; i < 100; i++) {
		snprintf(station, sizeof station, "S%d", i);
		metrics_count(m, RUNS, VALUES(station, "passed"), 1);
	}
	metrics_count(m, RUNS, VALUES("S1", "passed"), 1);
	text = print(m);
	ck_assert_ptr_nonnull(strstr(text, "{station=\"S1\",outcome=\"passed\"} 2\n"));
	ck_assert_ptr_null(strstr(text, "\"S3\""));
	ck_assert_ptr_nonnull(strstr(text, "{station=\"other\",outcome=\"other\"} 97\n"));
	metrics_free(m);
}
END_TEST

START_TEST(values_are_escaped_and_cut)
{
	struct metrics *m = metrics_new(rows);
	_cleanup_(freep) char *text = NULL;
	char longer[METRIC_LABEL_MAX + 10];

	memset(longer, 'y', sizeof longer);
	longer[sizeof longer - 1] = 0;
	metrics_count(m, RUNS, VALUES("a\"b\\c\nd", longer), 1);
	longer[METRIC_LABEL_MAX] = 'z';
	metrics_count(m, RUNS, VALUES("a\"b\\c\nd", longer), 1);
	text = print(m);
	ck_assert_ptr_nonnull(strstr(text, "{station=\"a\\\"b\\\\c\\nd\",outcome=\"yyyy"));
	ck_assert_ptr_nonnull(strstr(text, "y\"} 2\n"));
	metrics_free(m);
}
END_TEST

START_TEST(a_value_kept_elsewhere_is_printed_the_same_way)
{
	struct strbuf b = {0};

	metric_head(&b, "x_free_bytes", "gauge", "Room.");
	metric_value(&b, "x_free_bytes", 9007199254740.0, NULL);
	metric_value(&b, "x_free_bytes", 0.25, "disk", "a\"b", "kind", "ssd", NULL);
	ck_assert_str_eq(b.s, "# HELP x_free_bytes Room.\n# TYPE x_free_bytes gauge\n"
			      "x_free_bytes 9007199254740\n"
			      "x_free_bytes{disk=\"a\\\"b\",kind=\"ssd\"} 0.25\n");
	sb_done(&b);
}
END_TEST

static void *count_many(void *m)
{
	for (int i = 0; i < 20000; i++)
		metrics_count(m, RUNS, i % 2 ? VALUES("A1", "passed") : VALUES("A2", "passed"), 1);
	return NULL;
}

START_TEST(no_count_of_any_thread_is_lost_while_it_is_printed)
{
	struct metrics *m = metrics_new(rows);
	_cleanup_(freep) char *text = NULL;
	pthread_t thread[3];

	for (size_t i = 0; i < ARRAY_LEN(thread); i++)
		ck_assert_int_eq(thread_start(&thread[i], "counts", count_many, m, NULL), 0);
	for (int i = 0; i < 50; i++)
		free(print(m));
	for (size_t i = 0; i < ARRAY_LEN(thread); i++)
		pthread_join(thread[i], NULL);
	text = print(m);
	ck_assert_ptr_nonnull(strstr(text, "{station=\"A1\",outcome=\"passed\"} 30000\n"));
	ck_assert_ptr_nonnull(strstr(text, "{station=\"A2\",outcome=\"passed\"} 30000\n"));
	metrics_free(m);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("metrics");
	TCase *t = tcase_create("metrics");

	tcase_add_test(t, a_counter_has_a_line_for_each_set_of_labels);
	tcase_add_test(t, the_buckets_of_a_histogram_are_cumulative_and_hold_their_bound);
	tcase_add_test(t, what_is_over_the_most_is_counted_as_other);
	tcase_add_test(t, values_are_escaped_and_cut);
	tcase_add_test(t, a_value_kept_elsewhere_is_printed_the_same_way);
	tcase_add_test(t, no_count_of_any_thread_is_lost_while_it_is_printed);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
