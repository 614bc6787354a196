/* SPDX-License-Identifier: Apache-2.0
 *
 * What a reply to console.sweep says: every value as the unit meant it, or none.
 */
#include "daemon/actions/guide/sweep.h"

#include "daemon/actions/common.h"
#include "tests/unit/unit.h"

#define GROUP "^S ([-+.,;0-9 ]*[0-9])"
#define WHOLE "^[-+.0-9].*$"

/* What is read of a reply, "1 2 3"; or "-" for none. */
static const char *read_of(const char *line, const char *pattern, const char *unit)
{
	static char said[200];
	_cleanup_(freep) char *list = NULL;
	_cleanup_(freep) double *x = NULL;
	struct err e = {0};
	size_t n = 0, at = 0;
	int r = reply_list(line, pattern, &list, &e);

	if (r == 0)
		r = sweep_read(list, unit, &x, &n, &e);
	if (r < 0) {
		ck_assert_int_eq(r, -ERR_NOT_A_NUMBER);
		return "-";
	}
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(said + at, sizeof said - at, "%s%g", i ? " " : "", x[i]);
	return said;
}

START_TEST(a_list_is_read_by_what_sets_it_apart)
{
	ck_assert_str_eq(read_of("1,2.5,-3", WHOLE, "V"), "1 2.5 -3");
	ck_assert_str_eq(read_of("1; 2.5; -3", WHOLE, "V"), "1 2.5 -3");
	ck_assert_str_eq(read_of("1 2.5  -3", WHOLE, "V"), "1 2.5 -3");
	/* A tab comes escaped. */
	ck_assert_str_eq(read_of("1\\t2.5\\t-3", WHOLE, "V"), "1 2.5 -3");
	ck_assert_str_eq(read_of("S 1,2.5,-3", GROUP, "V"), "1 2.5 -3");
	ck_assert_str_eq(read_of("S 1,2.5,-3 OK", GROUP, "V"), "1 2.5 -3");
}
END_TEST

START_TEST(commas_of_decimals_are_no_values)
{
	ck_assert_str_eq(read_of("1,5;2,5", WHOLE, "V"), "-");
	ck_assert_str_eq(read_of("S 1,5;2,5", GROUP, "V"), "-");
	ck_assert_str_eq(read_of("1,2,", WHOLE, "V"), "-");
}
END_TEST

START_TEST(what_the_pattern_cut_off_is_not_lost)
{
	/* An exponent, a digit, a multiple, a byte that is no text. */
	ck_assert_str_eq(read_of("S 1,2,3.5e3", GROUP, "V"), "-");
	ck_assert_str_eq(read_of("S 1,2,3k", GROUP, "V"), "-");
	ck_assert_str_eq(read_of("S 1,2,3\\x00", GROUP, "V"), "-");
	ck_assert_str_eq(read_of("S -1,2,3", "^S -([0-9,]+)", "V"), "-");
}
END_TEST

START_TEST(a_word_that_says_there_is_no_value_is_believed)
{
	ck_assert_str_eq(read_of("S 1,2,3 OVERLOAD", GROUP, "V"), "-");
	ck_assert_str_eq(read_of("1,2,9.9E37", WHOLE, "V"), "-");
	ck_assert_str_eq(read_of("1,nan,3", WHOLE, "V"), "-");
}
END_TEST

START_TEST(a_unit_at_the_end_is_not_that_of_the_last_value_alone)
{
	ck_assert_str_eq(read_of("1,2,3 V", WHOLE, "V"), "1 2 3");
	ck_assert_str_eq(read_of("1 mV,2 mV,3 mV", WHOLE, "V"), "0.001 0.002 0.003");
	ck_assert_str_eq(read_of("1,2,3 mV", WHOLE, "V"), "-");
	ck_assert_str_eq(read_of("S 1,2,3 mV", GROUP, "V"), "-");
	ck_assert_str_eq(read_of("1;2000 mV;3", WHOLE, "V"), "1 2 3");
	ck_assert_str_eq(read_of("3mV", WHOLE, "V"), "0.003");
	ck_assert_str_eq(read_of("S 1,2,3 V", GROUP, "V"), "1 2 3");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("console_sweep");
	TCase *t = tcase_create("console_sweep");

	tcase_add_test(t, a_list_is_read_by_what_sets_it_apart);
	tcase_add_test(t, commas_of_decimals_are_no_values);
	tcase_add_test(t, what_the_pattern_cut_off_is_not_lost);
	tcase_add_test(t, a_word_that_says_there_is_no_value_is_believed);
	tcase_add_test(t, a_unit_at_the_end_is_not_that_of_the_last_value_alone);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
