/* SPDX-License-Identifier: Apache-2.0
 *
 * The feed: each subscriber gets what it wants, whole, in order, at its own pace, or learns that it
 * missed something.
 */
#include "daemon/line/feed.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/iotime.h"
#include "base/thread.h"
#include "tests/unit/unit.h"

#define RING 8

static struct feed *feed;

struct listener {
	const char *station; /* NULL: all */
	unsigned woken;	     /* atomic */
};

static bool wants(const void *data, const struct feed_news *n)
{
	const struct listener *l = data;

	return !l->station || !strcmp(l->station, n->station);
}

static void notify(void *data)
{
	struct listener *l = data;

	__atomic_add_fetch(&l->woken, 1, __ATOMIC_RELAXED);
}

static struct feed_sub *subscribe(struct listener *l)
{
	return feed_subscribe(feed, &(struct feed_opts){wants, notify, l});
}

static void publish(int64_t seq, const char *station)
{
	char json[64];

	snprintf(json, sizeof json, "{\"seq\":%lld}", (long long)seq);
	feed_publish(feed, &(struct feed_news){.seq = seq, .type = "t", .station = station}, json);
}

/* The number of the next item; 0: none, -1: missed. */
static int64_t next(struct feed_sub *s)
{
	struct feed_item *i;
	int r = feed_next(s, &i);
	int64_t seq = r;

	if (r > 0) {
		seq = i->news.seq;
		feed_item_unref(i);
	}
	return seq;
}

static unsigned wait_woken(struct listener *l, unsigned more_than)
{
	for (int i = 0; i < 20000; i++) {
		unsigned n = __atomic_load_n(&l->woken, __ATOMIC_RELAXED);

		if (n > more_than)
			return n;
		usleep(1000);
	}
	ck_abort_msg("nobody woke the subscriber");
}

static void setup(void)
{
	struct err e = {0};

	ck_assert_int_eq(feed_new(RING, &feed, &e), 0);
}

static void teardown(void)
{
	feed_free(feed);
}

START_TEST(an_item_is_rendered_with_all_that_it_is_about)
{
	struct listener all = {0};
	struct feed_sub *s = subscribe(&all);
	struct feed_item *i;

	feed_publish(feed, &(struct feed_news){7, "step-finished", "A1", "job", "run", "SN-1"},
		"{\"a\":1}");
	feed_publish(feed, &(struct feed_news){.type = "station"}, "{}");
	ck_assert_int_eq(feed_next(s, &i), 1);
	ck_assert_str_eq(i->news.station, "A1");
	ck_assert_str_eq(i->news.job, "job");
	ck_assert_str_eq(i->news.run, "run");
	ck_assert_str_eq(i->news.serial, "SN-1");
	ck_assert_uint_eq(i->json_len, 7);
	ck_assert_int_eq(memcmp(i->json, "{\"a\":1}", 7), 0);
	ck_assert_uint_eq(i->frame_len, strlen("id: 7\nevent: step-finished\ndata: {\"a\":1}\n\n"));
	ck_assert_int_eq(
		memcmp(i->frame, "id: 7\nevent: step-finished\ndata: {\"a\":1}\n\n", i->frame_len),
		0);
	feed_item_unref(i);
	/* A transient one has no number, so that a client does not go back to it. */
	ck_assert_int_eq(feed_next(s, &i), 1);
	ck_assert_int_eq(memcmp(i->frame, "event: station\ndata: {}\n\n", i->frame_len), 0);
	ck_assert_str_eq(i->news.station, "");
	feed_item_unref(i);
	ck_assert_int_eq(feed_last_seq(feed), 7);
	feed_unsubscribe(s);
}
END_TEST

START_TEST(each_gets_what_it_wants_and_is_woken_for_that_alone)
{
	struct listener all = {0};
	struct listener one = {.station = "B"};
	struct feed_sub *sa = subscribe(&all);
	struct feed_sub *sb = subscribe(&one);

	for (int64_t seq = 1; seq <= 5; seq++)
		publish(seq, seq == 4 ? "B" : "A");
	for (int64_t seq = 1; seq <= 5; seq++)
		ck_assert_int_eq(next(sa), seq);
	ck_assert_int_eq(next(sa), 0);
	ck_assert_int_eq(next(sb), 4);
	ck_assert_int_eq(next(sb), 0);

	feed_unsubscribe(sa);
	feed_unsubscribe(sb);

	/* The last that came is woken first: once the other one is, this one was passed by. */
	struct listener other = {0};
	struct listener quiet = {.station = "B"};

	sa = subscribe(&other);
	sb = subscribe(&quiet);
	publish(6, "A");
	wait_woken(&other, 0);
	ck_assert_uint_eq(__atomic_load_n(&quiet.woken, __ATOMIC_RELAXED), 0);
	publish(7, "B");
	wait_woken(&quiet, 0);
	feed_unsubscribe(sa);
	feed_unsubscribe(sb);
}
END_TEST

/* One that wants little is not late because of what it does not want. */
START_TEST(what_nobody_wants_makes_nobody_late)
{
	struct listener all = {0};
	struct listener one = {.station = "B"};
	struct feed_sub *sa = subscribe(&all);
	struct feed_sub *sb = subscribe(&one);

	for (int64_t seq = 1; seq <= 10 * RING; seq++) {
		unsigned n = __atomic_load_n(&all.woken, __ATOMIC_RELAXED);

		publish(seq, "A");
		wait_woken(&all, n);
		ck_assert_int_eq(next(sa), seq);
	}
	publish(1000, "B");
	ck_assert_int_eq(next(sb), 1000);
	ck_assert_int_eq(next(sb), 0);
	feed_unsubscribe(sa);
	feed_unsubscribe(sb);
}
END_TEST

START_TEST(one_that_is_late_learns_it_once)
{
	struct listener all = {0};
	struct feed_sub *s = subscribe(&all);

	for (int64_t seq = 1; seq <= RING; seq++)
		publish(seq, "A");
	ck_assert_int_eq(next(s), 1);
	for (int64_t seq = RING + 1; seq <= RING + 3; seq++)
		publish(seq, "A");
	ck_assert_int_eq(next(s), -1);
	for (int64_t seq = 4; seq <= RING + 3; seq++)
		ck_assert_int_eq(next(s), seq);
	ck_assert_int_eq(next(s), 0);
	for (int64_t seq = 100; seq <= 100 + 3 * RING; seq++)
		publish(seq, "A");
	feed_rejoin(s);
	ck_assert_int_eq(next(s), 0);
	publish(999, "A");
	ck_assert_int_eq(next(s), 999);
	feed_unsubscribe(s);
}
END_TEST

struct writing {
	pthread_t thread;
	int64_t n;
};

static void *write_many(void *arg)
{
	struct writing *w = arg;

	for (int64_t seq = 1; seq <= w->n; seq++) {
		publish(seq, seq % 2 ? "A" : "B");
		if (seq % RING == 0)
			usleep(200);
	}
	return NULL;
}

/* Subscribers come, read and go while another thread publishes: what each sees is in order and without a
 * gap, or it was told. */
START_TEST(subscribers_come_and_go_while_it_speaks)
{
	struct writing w = {.n = 4000};
	struct err e = {0};
	bool over = false;

	ck_assert_int_eq(thread_start(&w.thread, "test", write_many, &w, &e), 0);
	while (!over) {
		struct listener l = {.station = "B"};
		struct feed_sub *s = subscribe(&l);
		int64_t last = 0;

		for (int i = 0; i < 50 && !over; i++) {
			int64_t seq = next(s);

			if (seq > 0) {
				ck_assert_int_eq(seq % 2, 0);
				ck_assert(last == 0 || seq == last + 2);
				last = seq;
			} else if (seq < 0) {
				last = 0;
			} else {
				usleep(50);
			}
			over = feed_last_seq(feed) == w.n;
		}
		feed_unsubscribe(s);
	}
	pthread_join(w.thread, NULL);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("feed");
	TCase *t = tcase_create("feed");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_item_is_rendered_with_all_that_it_is_about);
	tcase_add_test(t, each_gets_what_it_wants_and_is_woken_for_that_alone);
	tcase_add_test(t, what_nobody_wants_makes_nobody_late);
	tcase_add_test(t, one_that_is_late_learns_it_once);
	tcase_add_test(t, subscribers_come_and_go_while_it_speaks);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
