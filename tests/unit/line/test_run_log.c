/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of a run on its way to disk: live, whole and once, whatever becomes of a transaction.
 */
#include "daemon/line/run_log.h"

#include <poll.h>
#include <pthread.h>

#include "base/iotime.h"
#include "base/thread.h"
#include "daemon/line/feed.h"
#include "db/writer.h"
#include "tests/unit/db/fixture.h"

static struct writer *writer;
static struct feed *feed;
static struct feed_sub *sub;
static struct run_log *run_log;
static const struct run_log_limits limits = {700, 1u << 20};

static void nothing(void *data)
{
}

static void setup(void)
{
	fixture_setup();
	open_run("r1", "A1", NULL);
	OK(feed_new(64, &feed, &fx.e));
	sub = feed_subscribe(feed, &(struct feed_opts){.notify = nothing});
	OK(writer_new(fx.db, NULL, &writer, &fx.e));
	fx.db = NULL;
	run_log = run_log_new(writer, feed, "r1", "A1", &limits);
}

/* What is on disk in the end, as "<one;#two;". */
static const char *kept(void)
{
	static char text[4096];
	struct db_page page = {.limit = 1000};
	struct db_list list = {0};
	size_t i;
	json_t *o;

	run_log = run_log_free(run_log);
	writer = writer_free(writer);
	OK(db_open(fx.path, &fx.db, &fx.e));
	OK(runs_log_list(fx.db, "r1", &page, &list, &fx.e));
	text[0] = 0;
	json_array_foreach(list.items, i, o) {
		ck_assert_int_eq(int_at(o, "k"), (long long)i + 1);
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s;", str_at(o, "dir"),
			str_at(o, "text"));
	}
	json_decref(list.items);
	return text;
}

/* Of those, the last lines. */
static const char *kept_tail(size_t lines)
{
	static char text[512];
	struct db_page page = {.limit = 1000};
	struct db_list list = {0};
	size_t n;

	run_log = run_log_free(run_log);
	writer = writer_free(writer);
	OK(db_open(fx.path, &fx.db, &fx.e));
	OK(runs_log_list(fx.db, "r1", &page, &list, &fx.e));
	n = json_array_size(list.items);
	text[0] = 0;
	for (size_t i = n - MIN(n, lines); i < n; i++) {
		json_t *o = json_array_get(list.items, i);

		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%.100s;",
			str_at(o, "dir"), str_at(o, "text"));
	}
	json_decref(list.items);
	return text;
}

static void teardown(void)
{
	run_log_free(run_log);
	writer_free(writer);
	feed_unsubscribe(sub);
	feed_free(feed);
	fixture_teardown();
}

/* The next batch that is told; the caller's. */
static json_t *told(void)
{
	struct iotime it = {now_us() + 20 * US_PER_S, NULL};
	struct feed_item *item;
	json_t *o;

	while (feed_next(sub, &item) == 0)
		OK(iotime_sleep(1000, &it, &fx.e));
	ck_assert_str_eq(item->news.type, "run-log");
	ck_assert_int_eq(item->news.seq, 0);
	o = json_loadb(item->json, item->json_len, 0, NULL);
	feed_item_unref(item);
	return o;
}

static int count_lines(struct db *tx, void *data, struct err *e)
{
	struct db_page page = {.limit = 1000};
	struct db_list list = {0};
	int r = runs_log_list(tx, "r1", &page, &list, e);

	*(size_t *)data = json_array_size(list.items);
	json_decref(list.items);
	return r;
}

static int end_step(struct db *tx, void *data, struct err *e)
{
	return run_log_write(run_log, tx, e);
}

static int end_step_badly(struct db *tx, void *data, struct err *e)
{
	int r = run_log_write(run_log, tx, e);

	return r < 0 ? r : err_set(e, ERR_DATABASE, "the step's row is not there");
}

START_TEST(a_line_is_on_disk_and_told_while_nothing_else_happens)
{
	json_t *o;
	size_t n;

	run_log_add(run_log, '<', "erasing");
	o = told();
	ck_assert_str_eq(str_at(o, "run"), "r1");
	ck_assert_str_eq(str_at(o, "station"), "A1");
	ck_assert_str_eq(str_at(o, "lines.0.text"), "erasing");
	ck_assert_str_eq(str_at(o, "lines.0.dir"), "<");
	ck_assert_int_eq(int_at(o, "lines.0.k"), 1);
	json_decref(o);
	OK(writer_do(writer, count_lines, &n, &fx.e));
	ck_assert_uint_eq(n, 1);
	/* And the next one, which came after that batch. */
	run_log_add(run_log, '#', "slow");
	o = told();
	ck_assert_int_eq(int_at(o, "lines.0.k"), 2);
	json_decref(o);
	ck_assert_str_eq(kept(), "<erasing;#slow;");
}
END_TEST

START_TEST(lines_go_with_the_next_commit_and_once)
{
	uint64_t commits;
	uint64_t tickets;
	json_t *o;

	for (int i = 0; i < 100; i++)
		run_log_add(run_log, '>', "x");
	OK(writer_do(writer, end_step, NULL, &fx.e));
	run_log_written(run_log, true);
	o = told();
	ck_assert_int_eq(int_at(o, "left_out"), 50);
	ck_assert_int_eq(int_at(o, "lines.0.k"), 51);
	json_decref(o);
	writer_stats(writer, &commits, &tickets);
	ck_assert_uint_le(commits, 2);
	ck_assert_uint_eq(strlen(kept()), 300);
}
END_TEST

START_TEST(what_a_failed_transaction_held_goes_with_a_later_one)
{
	run_log_add(run_log, '>', "one");
	FAILS(ERR_DATABASE, writer_do(writer, end_step_badly, NULL, &fx.e));
	run_log_written(run_log, false);
	run_log_add(run_log, '>', "two");
	OK(writer_do(writer, end_step, NULL, &fx.e));
	run_log_written(run_log, true);
	ck_assert_str_eq(kept(), ">one;>two;");
}
END_TEST

START_TEST(a_batch_that_waits_outlives_its_run)
{
	run_log_add(run_log, '>', "last words");
	ck_assert_str_eq(kept(), ">last words;");
}
END_TEST

static void end_run(void)
{
	run_log_end(run_log);
	OK(writer_do(writer, end_step, NULL, &fx.e));
	run_log_written(run_log, true);
}

START_TEST(a_log_that_is_full_says_so_and_in_the_end_how_much_is_missing)
{
	static char big[100 * 1024];
	const char *text;

	memset(big, 'x', sizeof big - 1);
	for (int i = 0; i < 30; i++)
		run_log_add(run_log, '<', big);
	/* What would fit is not kept either: the log would have holes that nobody sees. */
	run_log_add(run_log, '<', "small");
	FAILS(ERR_DATABASE, writer_do(writer, end_step_badly, NULL, &fx.e));
	run_log_written(run_log, false);
	end_run();
	/* A close that is tried again says it once. */
	end_run();
	text = kept_tail(2);
	ck_assert_str_eq(text, "#the log of this run is full: what follows is counted;"
			       "#21 lines more, not kept;");
}
END_TEST

START_TEST(lines_have_a_limit_too)
{
	for (int i = 0; i < 702; i++)
		run_log_add(run_log, '<', "x");
	end_run();
	ck_assert_str_eq(kept_tail(3), "<x;#the log of this run is full: what follows is counted;"
				       "#2 lines more, not kept;");
}
END_TEST

START_TEST(a_log_that_is_not_full_says_nothing)
{
	for (int i = 0; i < 700; i++)
		run_log_add(run_log, '<', "x");
	end_run();
	ck_assert_str_eq(kept_tail(1), "<x;");
}
END_TEST

#define STEPS 200

static void *talk(void *arg)
{
	for (int i = 0; i < STEPS; i++) {
		for (int k = 0; k < 3; k++)
			run_log_add(run_log, '<', "w");
		if (i % 7 == 3)
			poll(NULL, 0, 1); /* a batch of its own may come between */
		int r = i % 5 ? writer_do(writer, end_step, NULL, NULL)
			      : writer_do(writer, end_step_badly, NULL, NULL);

		run_log_written(run_log, r == 0);
	}
	return NULL;
}

START_TEST(every_line_is_there_once_however_batches_and_steps_meet)
{
	pthread_t t;

	OK(thread_start(&t, "worker", talk, NULL, &fx.e));
	pthread_join(t, NULL);
	ck_assert_uint_eq(strlen(kept()), (size_t)STEPS * 3 * 3);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("run_log");
	TCase *t = tcase_create("run_log");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_line_is_on_disk_and_told_while_nothing_else_happens);
	tcase_add_test(t, lines_go_with_the_next_commit_and_once);
	tcase_add_test(t, what_a_failed_transaction_held_goes_with_a_later_one);
	tcase_add_test(t, a_batch_that_waits_outlives_its_run);
	tcase_add_test(t, a_log_that_is_full_says_so_and_in_the_end_how_much_is_missing);
	tcase_add_test(t, lines_have_a_limit_too);
	tcase_add_test(t, a_log_that_is_not_full_says_nothing);
	tcase_add_test(t, every_line_is_there_once_however_batches_and_steps_meet);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
