/* SPDX-License-Identifier: Apache-2.0
 *
 * Who waits for wrong tokens, with a clock of the test's.
 */
#include "api/guard.h"

#include <stdio.h>

#include "base/iotime.h"
#include "tests/unit/unit.h"

#define HERE  "10.0.0.1"
#define THERE "10.0.0.2"
#define TOKEN "0123456789abcdef"
#define OTHER "fedcba9876543210"

static struct guard *guard;
static uint64_t now;
static struct guard_note note;

static void setup(void)
{
	guard = guard_new();
	now = 1000 * US_PER_S;
}

static void teardown(void)
{
	guard_free(guard);
}

static void fails(const char *address, const char *token, int n)
{
	for (int i = 0; i < n; i++)
		guard_failed(guard, address, token, true, now, &note);
}

static unsigned waits(const char *address, const char *token, bool known)
{
	return guard_wait_s(guard, address, token, known, now);
}

START_TEST(a_few_failures_cost_nothing)
{
	ck_assert_uint_eq(waits(HERE, TOKEN, true), 0);
	fails(HERE, TOKEN, GUARD_FAILURES - 1);
	ck_assert_uint_eq(waits(HERE, TOKEN, true), 0);
	ck_assert_uint_eq(waits(HERE, OTHER, false), 0);
}
END_TEST

START_TEST(an_address_that_guesses_waits_until_its_minute_is_over)
{
	for (int i = 0; i < GUARD_FAILURES; i++) {
		char unknown[20];

		snprintf(unknown, sizeof unknown, "%016d", i);
		fails(HERE, unknown, 1);
	}
	ck_assert_uint_eq(waits(HERE, "another", false), GUARD_WINDOW_S);
	ck_assert_uint_eq(waits(HERE, "", false), GUARD_WINDOW_S);
	now += 20 * US_PER_S;
	ck_assert_uint_eq(waits(HERE, "another", false), GUARD_WINDOW_S - 20);
	ck_assert_uint_eq(waits(THERE, "another", false), 0);
	now += 41 * US_PER_S;
	ck_assert_uint_eq(waits(HERE, "another", false), 0);
}
END_TEST

START_TEST(a_known_token_that_never_failed_here_is_looked_at)
{
	fails(HERE, "", 50);
	fails(HERE, OTHER, 50);
	ck_assert_uint_eq(waits(HERE, TOKEN, true), 0);
	ck_assert_uint_gt(waits(HERE, TOKEN, false), 0);
	ck_assert_uint_gt(waits(HERE, OTHER, true), 0);
}
END_TEST

START_TEST(a_token_that_is_guessed_at_from_everywhere_is_heard_from_a_clean_address)
{
	char address[20];

	for (int i = 0; i < 50; i++) {
		snprintf(address, sizeof address, "10.1.0.%d", i);
		fails(address, TOKEN, 1);
	}
	/* One more try of each guesser waits, though none of them failed often. */
	ck_assert_uint_gt(waits("10.1.0.7", TOKEN, true), 0);
	ck_assert_uint_eq(waits(THERE, TOKEN, true), 0);
}
END_TEST

START_TEST(a_revoked_token_with_its_right_secret_blames_itself_alone)
{
	for (int i = 0; i < 50; i++)
		guard_failed(guard, HERE, TOKEN, false, now, &note);
	ck_assert_uint_gt(waits(HERE, TOKEN, true), 0);
	ck_assert_uint_eq(waits(HERE, "unknown", false), 0);
	ck_assert_uint_eq(waits(HERE, OTHER, true), 0);
}
END_TEST

START_TEST(a_flood_of_addresses_neither_grows_nor_shuts_out)
{
	char address[20];

	for (int i = 0; i < AMOUNT(20000, 8000); i++) {
		snprintf(address, sizeof address, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
		fails(address, "", 1);
		now += 1000;
	}
	ck_assert_uint_eq(waits(THERE, TOKEN, true), 0);
	ck_assert_uint_eq(waits(THERE, "", false), 0);
	fails(THERE, "", GUARD_FAILURES);
	ck_assert_uint_gt(waits(THERE, "", false), 0);
}
END_TEST

START_TEST(notes_are_few_and_say_what_they_left_out)
{
	int notes = 0;

	for (int i = 0; i < 1000; i++)
		notes += guard_failed(guard, HERE, TOKEN, true, now, &note);
	ck_assert_int_gt(notes, 5);
	ck_assert_int_lt(notes, 50);
	now += 10 * US_PER_S;
	ck_assert(guard_failed(guard, HERE, TOKEN, true, now, &note));
	ck_assert_uint_eq(note.suppressed, (unsigned)(1000 - notes));
	ck_assert_uint_eq(note.failures, 1001);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("guard");
	TCase *t = tcase_create("guard");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_few_failures_cost_nothing);
	tcase_add_test(t, an_address_that_guesses_waits_until_its_minute_is_over);
	tcase_add_test(t, a_known_token_that_never_failed_here_is_looked_at);
	tcase_add_test(t, a_token_that_is_guessed_at_from_everywhere_is_heard_from_a_clean_address);
	tcase_add_test(t, a_revoked_token_with_its_right_secret_blames_itself_alone);
	tcase_add_test(t, a_flood_of_addresses_neither_grows_nor_shuts_out);
	tcase_add_test(t, notes_are_few_and_say_what_they_left_out);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
