/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/fastboot/resend.h"

#include "tests/unit/unit.h"

START_TEST(before_the_first_answer_the_longest_wait_counts)
{
	const struct resend r = {0};

	ck_assert_uint_eq(resend_wait_us(&r, 1), RESEND_MAX_US);
	ck_assert_uint_eq(resend_wait_us(&r, 9), RESEND_MAX_US);
}
END_TEST

START_TEST(a_quick_device_is_asked_again_soon_and_a_slow_one_later)
{
	struct resend quick = {0}, slow = {0};

	for (int i = 0; i < 50; i++) {
		resend_measured(&quick, 300);
		resend_measured(&slow, 60000 + (uint64_t)(i % 2) * 40000);
	}
	ck_assert_uint_eq(resend_wait_us(&quick, 1), RESEND_MIN_US);
	/* Later than any of its answers took. */
	ck_assert_uint_gt(resend_wait_us(&slow, 1), 100000);
	ck_assert_uint_lt(resend_wait_us(&slow, 1), RESEND_MAX_US);
}
END_TEST

START_TEST(each_sending_doubles_the_wait_up_to_the_longest)
{
	struct resend r = {0};
	uint64_t last = 0;

	resend_measured(&r, 100);
	for (unsigned sent = 1; sent < 100; sent++) {
		uint64_t wait = resend_wait_us(&r, sent);

		ck_assert_uint_ge(wait, last);
		ck_assert(wait == RESEND_MAX_US || sent == 1 || wait == 2 * last);
		last = wait;
	}
	ck_assert_uint_eq(last, RESEND_MAX_US);
}
END_TEST

START_TEST(an_answer_that_took_for_ever_is_forgotten_again)
{
	struct resend r = {0};

	resend_measured(&r, 0);
	resend_measured(&r, 30000000);
	ck_assert_uint_eq(resend_wait_us(&r, 1), RESEND_MAX_US);
	for (int i = 0; i < 200; i++)
		resend_measured(&r, 500);
	ck_assert_uint_eq(resend_wait_us(&r, 1), RESEND_MIN_US);
}
END_TEST

static Suite *resend_suite(void)
{
	Suite *s = suite_create("resend");
	TCase *t = tcase_create("resend");

	tcase_add_test(t, before_the_first_answer_the_longest_wait_counts);
	tcase_add_test(t, a_quick_device_is_asked_again_soon_and_a_slow_one_later);
	tcase_add_test(t, each_sending_doubles_the_wait_up_to_the_longest);
	tcase_add_test(t, an_answer_that_took_for_ever_is_forgotten_again);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(resend_suite)
