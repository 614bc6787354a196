/* SPDX-License-Identifier: Apache-2.0 */
#include "base/iotime.h"

#include <poll.h>
#include <unistd.h>

#include "base/thread.h"
#include "tests/unit/unit.h"

static const struct iotime forever = {NO_DEADLINE, NULL};

START_TEST(a_wait_ends_at_its_deadline_and_not_before)
{
	struct iotime it = iotime_within(&forever, 30 * US_PER_MS);
	struct err e = {0};
	uint64_t t = now_us();

	ck_assert_int_eq(iotime_wait(-1, 0, &it, &e), -ERR_TIMEOUT);
	t = now_us() - t;
	ck_assert_uint_ge(t, 30 * US_PER_MS - 1);
	ck_assert_uint_eq(iotime_left_us(&it), 0);
	ck_assert_int_eq(iotime_check(&it, &e), -ERR_TIMEOUT);
}
END_TEST

START_TEST(a_smaller_budget_never_outlives_the_larger)
{
	struct iotime outer = {now_us() + 1000, NULL};
	struct iotime inner = iotime_within(&outer, 10 * US_PER_S);

	ck_assert_uint_eq(inner.deadline_us, outer.deadline_us);
	inner = iotime_within(&forever, NO_DEADLINE);
	ck_assert_uint_eq(inner.deadline_us, NO_DEADLINE);
	ck_assert_uint_eq(iotime_left_us(&inner), NO_DEADLINE);
}
END_TEST

static void *fire(void *arg)
{
	cancel_fire(arg, ERR_DEVICE_GONE);
	cancel_fire(arg, ERR_ABORTED); /* the first reason stays */
	return NULL;
}

START_TEST(a_cancel_from_another_thread_wakes_a_wait_without_deadline)
{
	struct cancel c;
	struct err e = {0};
	pthread_t t;

	ck_assert_int_eq(cancel_init(&c, &e), 0);

	struct iotime it = {NO_DEADLINE, &c};

	ck_assert_int_eq(iotime_check(&it, &e), 0);
	ck_assert_int_eq(thread_start(&t, "fire", fire, &c, &e), 0);
	ck_assert_int_eq(iotime_wait(-1, 0, &it, &e), -ERR_DEVICE_GONE);
	pthread_join(t, NULL);
	ck_assert_int_eq(iotime_sleep(US_PER_S, &it, &e), -ERR_DEVICE_GONE);
	ck_assert_int_eq(cancel_reason(&c), ERR_DEVICE_GONE);
	cancel_reset(&c);
	ck_assert_int_eq(iotime_check(&it, &e), 0);
	cancel_fire(&c, ERR_SHUTDOWN);
	ck_assert_int_eq(iotime_check(&it, &e), -ERR_SHUTDOWN);
	cancel_done(&c);
}
END_TEST

START_TEST(readiness_is_reported_but_a_cancel_wins)
{
	struct cancel c;
	struct err e = {0};
	int fd[2];

	ck_assert_int_eq(cancel_init(&c, &e), 0);
	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_int_eq(write(fd[1], "x", 1), 1);

	struct iotime it = {now_us() + 10 * US_PER_S, &c};

	ck_assert_int_eq(iotime_wait(fd[0], POLLIN, &it, &e), POLLIN);
	close(fd[1]);
	ck_assert(iotime_wait(fd[0], POLLIN, &it, &e) & POLLHUP);
	cancel_fire(&c, ERR_ABORTED);
	ck_assert_int_eq(iotime_wait(fd[0], POLLIN, &it, &e), -ERR_ABORTED);
	close(fd[0]);
	cancel_done(&c);
}
END_TEST

START_TEST(a_sleep_is_whole_or_says_that_the_deadline_cut_it)
{
	struct iotime it = {now_us() + 10 * US_PER_S, NULL};
	uint64_t t = now_us();

	ck_assert_int_eq(iotime_sleep(5 * US_PER_MS, &it, NULL), 0);
	ck_assert_uint_ge(now_us() - t, 5 * US_PER_MS);
	it.deadline_us = now_us() + 2 * US_PER_MS;
	ck_assert_int_eq(iotime_sleep(10 * US_PER_S, &it, NULL), -ERR_TIMEOUT);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("iotime");
	TCase *t = tcase_create("iotime");

	tcase_set_timeout(t, 20);
	tcase_add_test(t, a_wait_ends_at_its_deadline_and_not_before);
	tcase_add_test(t, a_smaller_budget_never_outlives_the_larger);
	tcase_add_test(t, a_cancel_from_another_thread_wakes_a_wait_without_deadline);
	tcase_add_test(t, readiness_is_reported_but_a_cancel_wins);
	tcase_add_test(t, a_sleep_is_whole_or_says_that_the_deadline_cut_it);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
