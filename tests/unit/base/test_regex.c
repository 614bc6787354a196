/* SPDX-License-Identifier: Apache-2.0 */
#include "base/regex.h"

#include <string.h>

#include "base/iotime.h"
#include "tests/unit/unit.h"

START_TEST(groups_say_where_they_matched)
{
	struct regex *r = NULL;
	struct regex_match m;
	const char *text = "cal: offset=-0.25 ok";

	ck_assert_int_eq(regex_new("offset=(\\S+)( never)?", &r, NULL), 0);
	ck_assert(regex_match(r, text, strlen(text), &m));
	ck_assert_mem_eq(text + m.group[1].start, "-0.25", 5);
	ck_assert_uint_eq(m.group[1].end - m.group[1].start, 5);
	ck_assert_uint_eq(m.group[2].start, (size_t)-1);
	ck_assert(!regex_match(r, "nothing", 7, &m));
	ck_assert(regex_match(r, text, strlen(text), NULL));
	regex_free(r);
}
END_TEST

START_TEST(dollar_is_the_very_end_and_bytes_are_bytes)
{
	struct regex *r = NULL;

	ck_assert_int_eq(regex_new("^OK$", &r, NULL), 0);
	ck_assert(regex_match(r, "OK", 2, NULL));
	ck_assert(!regex_match(r, "OK\n", 3, NULL));
	ck_assert(!regex_match(r, "OK\0x", 4, NULL));
	regex_free(r);
	ck_assert_int_eq(regex_new("\\xff.", &r, NULL), 0);
	ck_assert(regex_match(r, "\xff\xfe", 2, NULL));
	regex_free(r);
}
END_TEST

START_TEST(a_bad_pattern_is_named_with_its_place)
{
	struct regex *r = NULL;
	struct err e = {0};

	ck_assert_int_eq(regex_new("ab(c", &r, &e), -ERR_INVALID);
	ck_assert_ptr_null(r);
	ck_assert_msg(strstr(e.msg, "ab(c") && strstr(e.msg, "character"), "%s", e.msg);
}
END_TEST

START_TEST(more_groups_than_we_keep_do_no_harm)
{
	struct regex *r = NULL;
	struct regex_match m;

	ck_assert_int_eq(regex_new("(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)(l)", &r, NULL), 0);
	ck_assert(regex_match(r, "abcdefghijkl", 12, &m));
	ck_assert_int_eq(m.groups, REGEX_GROUPS);
	ck_assert_uint_eq(m.group[9].start, 8);
	regex_free(r);
}
END_TEST

START_TEST(a_pattern_cannot_hang_the_station)
{
	struct regex *r = NULL;
	char text[2001];
	uint64_t t = now_us();

	memset(text, 'a', 2000);
	text[2000] = 'b';
	ck_assert_int_eq(regex_new("^(a+)+$", &r, NULL), 0);
	ck_assert(!regex_match(r, text, sizeof text, NULL));
	ck_assert_uint_lt(now_us() - t, 5 * US_PER_S);
	regex_free(r);
}
END_TEST

START_TEST(what_the_limit_left_undecided_may_match)
{
	const char *text = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!";
	struct regex *r = NULL;

	ck_assert_int_eq(regex_new("(a+)+b|!", &r, NULL), 0);
	ck_assert(!regex_match(r, text, strlen(text), NULL));
	ck_assert(regex_may_match(r, text, strlen(text)));
	ck_assert(regex_may_match(r, "ab", 2));
	ck_assert(!regex_may_match(r, "aa", 2));
	regex_free(r);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("regex");
	TCase *t = tcase_create("regex");

	tcase_set_timeout(t, 20);
	tcase_add_test(t, groups_say_where_they_matched);
	tcase_add_test(t, dollar_is_the_very_end_and_bytes_are_bytes);
	tcase_add_test(t, a_bad_pattern_is_named_with_its_place);
	tcase_add_test(t, more_groups_than_we_keep_do_no_harm);
	tcase_add_test(t, a_pattern_cannot_hang_the_station);
	tcase_add_test(t, what_the_limit_left_undecided_may_match);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
