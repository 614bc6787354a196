/* SPDX-License-Identifier: Apache-2.0
 *
 * One thing for several threads: one at a time, in the order of asking, also where somebody gives up.
 */
#include "transports/links/link_queue.h"

#include <pthread.h>

#include "tests/unit/unit.h"

#define THREADS 8
#define ROUNDS	200

static struct link_queue *queue;
static struct iotime it;
static struct err e;

static void set_up(void)
{
	queue = link_queue_new();
	it = (struct iotime){now_us() + 30 * US_PER_S, NULL};
	e = (struct err){0};
}

static void tear_down(void)
{
	queue = link_queue_free(queue);
}

static struct link_pass *enter(const char *name)
{
	struct link_pass *p = NULL;

	ck_assert_msg(link_queue_enter(queue, name, &it, &p, &e) == 0, "%s", e.msg);
	return p;
}

START_TEST(things_of_other_names_are_free)
{
	struct link_pass *a = enter("a"), *b = enter("b");

	*(int *)link_pass_memo(a) = 7;
	link_pass_leave(b);
	link_pass_leave(a);
	a = enter("a");
	ck_assert_int_eq(*(int *)link_pass_memo(a), 7);
	ck_assert_uint_eq(link_pass_turns(a).turn, 2);
	link_pass_leave(a);
	a = enter("b");
	ck_assert_int_eq(*(int *)link_pass_memo(a), 0);
	link_pass_leave(a);
}
END_TEST

START_TEST(who_does_not_get_it_in_time_leaves_no_trace)
{
	struct iotime brief = {now_us() + 20 * US_PER_MS, NULL};
	struct link_pass *a = enter("a"), *none = NULL;

	ck_assert_int_eq(link_queue_enter(queue, "a", &brief, &none, &e), -ERR_TIMEOUT);
	ck_assert_ptr_null(none);
	link_pass_leave(a);
	link_pass_leave(enter("a"));
}
END_TEST

START_TEST(a_cancel_ends_the_wait)
{
	struct cancel c;
	struct iotime with = {now_us() + 30 * US_PER_S, &c};
	struct link_pass *a = enter("a"), *none = NULL;

	ck_assert_int_eq(cancel_init(&c, &e), 0);
	cancel_fire(&c, ERR_ABORTED);
	ck_assert_int_eq(link_queue_enter(queue, "a", &with, &none, &e), -ERR_ABORTED);
	link_pass_leave(a);
	cancel_done(&c);
}
END_TEST

static unsigned holders, most;
static uint64_t furthest;

static void *take_turns(void *unused)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct link_pass *p = NULL;
		struct link_turns t;

		if (link_queue_enter(queue, "meter", &it, &p, NULL) < 0)
			return &e; /* not in time */
		t = link_pass_turns(p);
		/* Whoever has it is alone, so that these are its own. */
		holders++;
		most = MAX(most, holders);
		furthest = MAX(furthest, t.turn - t.asked);
		holders--;
		link_pass_leave(p);
	}
	return NULL;
}

START_TEST(nobody_is_alone_twice_before_another_was)
{
	pthread_t thread[THREADS];
	struct link_pass *first = enter("meter");
	struct link_pass *last;

	holders = most = 0;
	furthest = 0;
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, take_turns, NULL), 0);
	link_pass_leave(first);
	for (int i = 0; i < THREADS; i++) {
		void *why;

		ck_assert_int_eq(pthread_join(thread[i], &why), 0);
		ck_assert_ptr_null(why);
	}
	ck_assert_uint_eq(most, 1);
	ck_assert_uint_le(furthest, THREADS);
	last = enter("meter");
	ck_assert_uint_eq(link_pass_turns(last).turn, THREADS * ROUNDS + 2);
	link_pass_leave(last);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("link_queue");
	TCase *t = tcase_create("link_queue");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, things_of_other_names_are_free);
	tcase_add_test(t, who_does_not_get_it_in_time_leaves_no_trace);
	tcase_add_test(t, a_cancel_ends_the_wait);
	tcase_add_test(t, nobody_is_alone_twice_before_another_was);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
