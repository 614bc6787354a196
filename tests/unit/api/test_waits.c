/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that wait: each is ready once, when its topic changes or its time is over, and none is forgotten.
 */
#include "api/waits.h"

#include <string.h>

#include "base/iotime.h"
#include "tests/unit/unit.h"

static struct waits *waits;
static struct wait one, two, three;
static char ready[16];

static void on_ready(void *data, struct wait *w)
{
	strcat(ready, w == &one ? "1" : w == &two ? "2" : "3");
}

static void setup(void)
{
	waits = waits_new(3, 2, on_ready, NULL);
	ready[0] = 0;
	one = (struct wait){.topic = "a", .owner = "mes", .until_us = 1000};
	two = (struct wait){.topic = "b", .owner = "mes", .until_us = 2000};
	three = (struct wait){.topic = "b", .owner = "mes", .until_us = 500};
}

static void teardown(void)
{
	waits_free(waits);
}

START_TEST(what_changes_wakes_its_own_alone)
{
	ck_assert_int_eq(waits_add(waits, &one), WAIT_ADDED);
	ck_assert_int_eq(waits_add(waits, &two), WAIT_ADDED);
	waits_wake(waits, "c");
	ck_assert_str_eq(ready, "");
	waits_wake(waits, "b");
	ck_assert_str_eq(ready, "2");
	waits_wake(waits, "b");
	waits_wake(waits, "a");
	ck_assert_str_eq(ready, "21");
}
END_TEST

START_TEST(a_change_between_the_look_and_the_wait_is_not_lost)
{
	one.ticket = waits_ticket(waits);
	waits_wake(waits, "a");
	ck_assert_int_eq(waits_add(waits, &one), WAIT_ADDED);
	ck_assert_str_eq(ready, "1");
	waits_wake(waits, "a");
	ck_assert_str_eq(ready, "1");
}
END_TEST

START_TEST(each_has_its_own_end)
{
	waits_add(waits, &one);
	waits_add(waits, &two);
	waits_tick(waits, 999, NULL);
	ck_assert_str_eq(ready, "");
	waits_tick(waits, 1000, NULL);
	ck_assert_str_eq(ready, "1");
	waits_tick(waits, 5000, NULL);
	ck_assert_str_eq(ready, "12");
}
END_TEST

static bool two_is_gone(const struct wait *w)
{
	return w == &two;
}

START_TEST(who_has_gone_keeps_no_place)
{
	waits_add(waits, &one);
	waits_add(waits, &two);
	ck_assert_int_eq(waits_add(waits, &three), WAIT_FULL);
	waits_tick(waits, 2, two_is_gone);
	ck_assert_str_eq(ready, "2");
	ck_assert_uint_eq(two.until_us, 1);
	ck_assert_int_eq(waits_add(waits, &three), WAIT_ADDED);
	waits_wake(waits, NULL);
}
END_TEST

START_TEST(one_principal_does_not_take_what_others_need)
{
	struct wait other = {.topic = "a", .owner = "erp", .until_us = 1};
	struct wait more = {.topic = "a", .owner = "third", .until_us = 1};

	waits_add(waits, &one);
	waits_add(waits, &two);
	ck_assert_int_eq(waits_add(waits, &three), WAIT_FULL);
	ck_assert_int_eq(waits_add(waits, &other), WAIT_ADDED);
	ck_assert_int_eq(waits_add(waits, &more), WAIT_FULL);
	waits_wake(waits, "b");
	ck_assert_int_eq(
		waits_add(waits, &(struct wait){.owner = "mes", .ticket = waits_ticket(waits)}),
		WAIT_ADDED);
	waits_wake(waits, NULL);
}
END_TEST

START_TEST(at_the_stop_all_are_ready_and_none_begins)
{
	waits_add(waits, &one);
	waits_stop(waits);
	ck_assert_str_eq(ready, "1");
	ck_assert_int_eq(waits_add(waits, &two), WAIT_STOPPING);
	ck_assert_str_eq(ready, "1");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("waits");
	TCase *t = tcase_create("waits");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_changes_wakes_its_own_alone);
	tcase_add_test(t, a_change_between_the_look_and_the_wait_is_not_lost);
	tcase_add_test(t, each_has_its_own_end);
	tcase_add_test(t, one_principal_does_not_take_what_others_need);
	tcase_add_test(t, who_has_gone_keeps_no_place);
	tcase_add_test(t, at_the_stop_all_are_ready_and_none_begins);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
