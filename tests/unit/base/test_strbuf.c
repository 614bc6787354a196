/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strbuf.h"

#include <locale.h>
#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

START_TEST(pieces_add_up_and_the_empty_string_is_a_string)
{
	struct strbuf b = {0};
	char *s = sb_take(&b);

	ck_assert_str_eq(s, "");
	free(s);
	for (int i = 0; i < 1000; i++)
		sb_addf(&b, "%d,", i);
	sb_add(&b, "end");
	ck_assert_uint_eq(b.len, 3893);
	ck_assert_str_eq(b.s + b.len - 7, "999,end");
	sb_clear(&b);
	sb_add_n(&b, "abc", 2);
	s = sb_take(&b);
	ck_assert_str_eq(s, "ab");
	free(s);
	sb_done(&b);
}
END_TEST

static const struct {
	const char *bytes, *shown;
} escapes[] = {
	{"plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
		"plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
	{"a\r\n\tb", "a\\r\\n\\tb"}, {"\x1b[31m\x7f", "\\x1b[31m\\x7f"}, {"\xff\xfe", "\\xff\\xfe"},
	{"\xc0\x80", "\\xc0\\x80"},		      /* overlong */
	{"\xed\xa0\x80", "\\xed\\xa0\\x80"},	      /* a surrogate */
	{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond U+10FFFF */
	{"\xe2\x82", "\\xe2\\x82"},		      /* cut off */
};

START_TEST(bytes_of_a_device_become_readable_and_stay_utf8)
{
	struct strbuf b = {0};

	sb_add_escaped(&b, escapes[_i].bytes, strlen(escapes[_i].bytes));
	ck_assert_str_eq(b.s, escapes[_i].shown);
	sb_done(&b);
}
END_TEST

START_TEST(durations_need_their_unit_and_do_not_overflow)
{
	unsigned long long us = 0;

	ck_assert(parse_duration_us("500ms", &us) && us == 500000);
	ck_assert(parse_duration_us("60s", &us) && us == 60000000);
	ck_assert(parse_duration_us("5m", &us) && us == 300000000);
	ck_assert(parse_duration_us("1h", &us) && us == 3600000000ull);
	ck_assert(parse_duration_us("250us", &us) && us == 250);
	ck_assert(!parse_duration_us("60", &us));
	ck_assert(!parse_duration_us("", &us));
	ck_assert(!parse_duration_us("-1s", &us));
	ck_assert(!parse_duration_us("1.5s", &us));
	ck_assert(!parse_duration_us("1s ", &us));
	ck_assert(!parse_duration_us("99999999999999999999s", &us));
	ck_assert(!parse_duration_us("9999999999999999h", &us));
}
END_TEST

START_TEST(sizes_take_hex_and_suffixes)
{
	unsigned long long v = 0;

	ck_assert(parse_size("4096", &v) && v == 4096);
	ck_assert(parse_size("0x08010000", &v) && v == 0x08010000);
	ck_assert(parse_size("64K", &v) && v == 65536);
	ck_assert(parse_size("1M", &v) && v == 1048576);
	ck_assert(parse_size("0xffffffffffffffff", &v) && v == UINT64_MAX);
	ck_assert(!parse_size("0x", &v));
	ck_assert(!parse_size("0x1ffffffffffffffff", &v));
	ck_assert(!parse_size("18446744073709551615G", &v));
	ck_assert(!parse_size("64k", &v));
	ck_assert(!parse_size("12Kx", &v));
}
END_TEST

START_TEST(numbers_do_not_depend_on_the_locale)
{
	double v = 0;

	setlocale(LC_ALL, "de_DE.UTF-8"); /* where it is installed, the comma would rule */
	ck_assert(parse_number("-2.5", &v) && v == -2.5);
	ck_assert(parse_number("1e3", &v) && v == 1000);
	ck_assert(!parse_number("2,5", &v));
	ck_assert(!parse_number("nan", &v));
	ck_assert(!parse_number("inf", &v));
	ck_assert(!parse_number("0x10", &v));
	ck_assert(!parse_number("1e999", &v));
	ck_assert(!parse_number("", &v));
	ck_assert(!parse_number(" 1", &v));
	ck_assert(!parse_number("1 ", &v));
}
END_TEST

START_TEST(a_slip_finds_its_name_and_nonsense_finds_none)
{
	static const char *const names[] = {
		"fastboot.flash", "fastboot.erase", "dfu.download", NULL};

	ck_assert_str_eq(nearest_name("fastbot.flash", names), "fastboot.flash");
	ck_assert_str_eq(nearest_name("dfu.downlaod", names), "dfu.download");
	ck_assert_ptr_null(nearest_name("operator.prompt", names));
}
END_TEST

START_TEST(what_is_utf_8_is_known_by_its_bytes)
{
	static const char *const bad[] = {
		"\xff", "a\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80"};

	ck_assert(is_utf8("", 0));
	ck_assert(is_utf8("a\xc3\xbc\xf0\x9f\x94\xa7", 7));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!is_utf8(bad[i], strlen(bad[i])), "%zu", i);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("strbuf");
	TCase *t = tcase_create("strbuf");

	tcase_add_test(t, pieces_add_up_and_the_empty_string_is_a_string);
	tcase_add_loop_test(
		t, bytes_of_a_device_become_readable_and_stay_utf8, 0, ARRAY_LEN(escapes));
	tcase_add_test(t, durations_need_their_unit_and_do_not_overflow);
	tcase_add_test(t, sizes_take_hex_and_suffixes);
	tcase_add_test(t, numbers_do_not_depend_on_the_locale);
	tcase_add_test(t, a_slip_finds_its_name_and_nonsense_finds_none);
	tcase_add_test(t, what_is_utf_8_is_known_by_its_bytes);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
