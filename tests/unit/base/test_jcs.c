/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jcs.h"

#include <math.h>
#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

/* RFC 8785, appendix B: the bits of a number, and how it is written. */
static const struct {
	uint64_t bits;
	const char *text;
} numbers[] = {
	{0x0000000000000000, "0"},
	{0x8000000000000000, "0"},
	{0x0000000000000001, "5e-324"},
	{0x8000000000000001, "-5e-324"},
	{0x7fefffffffffffff, "1.7976931348623157e+308"},
	{0xffefffffffffffff, "-1.7976931348623157e+308"},
	{0x4340000000000000, "9007199254740992"},
	{0xc340000000000000, "-9007199254740992"},
	{0x4430000000000000, "295147905179352830000"},
	{0x44b52d02c7e14af5, "9.999999999999997e+22"},
	{0x44b52d02c7e14af6, "1e+23"},
	{0x44b52d02c7e14af7, "1.0000000000000001e+23"},
	{0x444b1ae4d6e2ef4e, "999999999999999700000"},
	{0x444b1ae4d6e2ef4f, "999999999999999900000"},
	{0x444b1ae4d6e2ef50, "1e+21"},
	{0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
	{0x3eb0c6f7a0b5ed8d, "0.000001"},
	{0x41b3de4355555553, "333333333.3333332"},
	{0x41b3de4355555554, "333333333.33333325"},
	{0x41b3de4355555555, "333333333.3333333"},
	{0x41b3de4355555556, "333333333.3333334"},
	{0x41b3de4355555557, "333333333.33333343"},
	{0xbecbf647612f3696, "-0.0000033333333333333333"},
	{0x43143ff3c1cb0959, "1424953923781206.2"},
	/* Not in the RFC: next to a power of two, where the nearest number of 16 digits is another one. */
	{0x3d30000000000000, "5.684341886080802e-14"},
};

START_TEST(the_numbers_of_the_rfc)
{
	char text[JCS_NUMBER_SIZE];
	double v;

	memcpy(&v, &numbers[_i].bits, sizeof v);
	ck_assert_str_eq(jcs_number(v, text), numbers[_i].text);
	ck_assert(v == 0 || strtod(text, NULL) == v);
}
END_TEST

static void assert_canonical(const char *given, const char *want)
{
	json_t *j = json_loads(given, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	_cleanup_(freep) char *text = NULL;
	struct err e = {0};

	ck_assert_ptr_nonnull(j);
	ck_assert_int_eq(jcs(j, &text, &e), 0);
	ck_assert_str_eq(text, want);
	json_decref(j);
}

START_TEST(the_example_of_the_rfc)
{
	/* 3.2.2 and 3.2.3 */
	assert_canonical("{\"numbers\": [333333333.33333329, 1E30, 4.50, 2e-3, "
			 "0.000000000000000000000000001],"
			 "\"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\","
			 "\"literals\": [null, true, false]}",
		"{\"literals\":[null,true,false],"
		"\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
		"\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
}
END_TEST

START_TEST(names_are_sorted_by_their_utf16_code_units)
{
	/* 3.2.3: in UTF-8 the order of the last two is the other one. */
	assert_canonical("{\"\\u20ac\": 1, \"\\r\": 2, \"\\ufb33\": 3, \"1\": 4,"
			 "\"\\ud83d\\ude00\": 5, \"\\u0080\": 6, \"\\u00f6\": 7}",
		"{\"\\r\":2,\"1\":4,\"\xc2\x80\":6,\"\xc3\xb6\":7,\"\xe2\x82\xac\":1,"
		"\"\xf0\x9f\x98\x80\":5,\"\xef\xac\xb3\":3}");
	assert_canonical(
		"{\"aa\": 1, \"a\": {\"z\": [], \"\": {}}}", "{\"a\":{\"\":{},\"z\":[]},\"aa\":1}");
}
END_TEST

START_TEST(a_text_has_its_shortest_escapes)
{
	assert_canonical("\"\\b\\t\\n\\f\\r\\u001f\\u007f/\\u0000x\"",
		"\"\\b\\t\\n\\f\\r\\u001f\x7f/\\u0000x\"");
}
END_TEST

START_TEST(an_integer_that_no_double_holds_is_refused)
{
	json_t *good = json_integer(JCS_INTEGER_MAX);
	json_t *bad = json_pack("[I]", (json_int_t)-JCS_INTEGER_MAX - 1);
	char *text = NULL;
	struct err e = {0};

	ck_assert_int_eq(jcs(good, &text, &e), 0);
	ck_assert_str_eq(text, "9007199254740991");
	free(text);
	text = NULL;
	ck_assert_int_eq(jcs(bad, &text, &e), -ERR_INVALID);
	ck_assert_ptr_null(text);
	json_decref(good);
	json_decref(bad);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("jcs");
	TCase *t = tcase_create("jcs");

	tcase_add_loop_test(t, the_numbers_of_the_rfc, 0, ARRAY_LEN(numbers));
	tcase_add_test(t, the_example_of_the_rfc);
	tcase_add_test(t, names_are_sorted_by_their_utf16_code_units);
	tcase_add_test(t, a_text_has_its_shortest_escapes);
	tcase_add_test(t, an_integer_that_no_double_holds_is_refused);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
