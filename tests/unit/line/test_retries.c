/* SPDX-License-Identifier: Apache-2.0
 *
 * When a receiver is tried again, and each row that it did not take.
 */
#include "daemon/line/retries.h"

#include "base/iotime.h"
#include "tests/unit/unit.h"

static struct retries r;

static void teardown(void)
{
	retries_done(&r);
}

static size_t put_off(void)
{
	json_t *list = json_array();
	size_t n;

	retries_not_now(&r, list);
	n = json_array_size(list);
	json_decref(list);
	return n;
}

START_TEST(a_row_that_is_not_taken_is_put_off_and_so_is_its_receiver)
{
	struct delivery_end end = {.n = 4};

	ck_assert(!retries_rest(&r));
	retries_not_taken(&r, &end, 0, now_us(), 0);
	ck_assert(retries_rest(&r));
	ck_assert_uint_eq(put_off(), 1);
	ck_assert_int_eq(r.failures, 1);
	/* Known from the second attempt on. */
	ck_assert_int_eq(end.waited_ms, 0);
	ck_assert_int_eq(end.failing_ms, 0);
	retries_now(&r);
	ck_assert(!retries_rest(&r));
	ck_assert_uint_eq(put_off(), 0);
}
END_TEST

START_TEST(a_receiver_that_is_not_there_puts_off_no_row)
{
	struct delivery_end end = {.n = 4};

	retries_not_there(&r, &end, now_us());
	ck_assert(retries_rest(&r));
	ck_assert_uint_eq(put_off(), 0);
	ck_assert_int_eq(end.waited_ms, 0);
}
END_TEST

START_TEST(those_that_were_under_way_together_count_once)
{
	const uint64_t begun = now_us();
	struct delivery_end one = {.n = 1}, two = {.n = 2};

	r.tried_us = 0;
	retries_not_taken(&r, &one, 0, begun, 0);
	ck_assert_uint_gt(r.tried_us, 0);
	retries_not_taken(&r, &two, 0, begun - 1, 0);
	ck_assert_int_eq(r.failures, 1);
	ck_assert_uint_eq(put_off(), 2);
}
END_TEST

START_TEST(what_is_taken_forgets_the_failures)
{
	struct delivery_end end = {.n = 4};

	retries_not_taken(&r, &end, 3, now_us(), 0);
	retries_taken(&r, 4);
	ck_assert(!retries_rest(&r));
	ck_assert_int_eq(r.failures, 0);
	ck_assert_uint_eq(put_off(), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("retries");
	TCase *t = tcase_create("retries");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, a_row_that_is_not_taken_is_put_off_and_so_is_its_receiver);
	tcase_add_test(t, a_receiver_that_is_not_there_puts_off_no_row);
	tcase_add_test(t, those_that_were_under_way_together_count_once);
	tcase_add_test(t, what_is_taken_forgets_the_failures);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
