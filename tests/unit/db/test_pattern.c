/* SPDX-License-Identifier: Apache-2.0 */
#include "db/pattern.h"

#include <string.h>

#include "base/util.h"
#include "db/pattern_shape.h"
#include "tests/unit/unit.h"

/* 2026-11-22T23:30:00Z, a Sunday: day 326, ISO week 47. */
#define LATE 1795390200000

static const struct {
	const char *pattern, *check;
	int64_t seq;
	const char *want;
} good[] = {
	{"SN{date:%Y%m%d}{seq:06}", "none", 42, "SN20261122000042"},
	{"{seq}", "none", 7, "7"},
	{"{seq:4}", "none", 7, "0007"},
	{"X{seq:06:36}", "none", 1295, "X0000ZZ"},
	{"X{seq:04:16}", "none", 0xbeef, "XBEEF"},
	{"{mac}", "none", 0xacde48001234, "AC:DE:48:00:12:34"},
	{"{mac:dash}", "none", 0xacde48001234, "AC-DE-48-00-12-34"},
	{"{mac:bare}", "none", 0xacde48001234, "ACDE48001234"},
	{"{station}-{model}-{seq:3}", "none", 1, "A1-T200-001"},
	{"W{date:%G%V%u}{seq:2}", "none", 9, "W202647709"},
	{"{date:%j}{seq:2}", "none", 9, "32609"},
	/* ISO/IEC 7812-1, annex B: 7992 739 871 has the check digit 3. */
	{"7992739{seq:3}{check}", "luhn", 871, "79927398713"},
	/* Letters are passed over: the digits alone are 7992739871. */
	{"SN7992739{seq:3}{check}X", "luhn", 871, "SN79927398713X"},
	{"{seq:3}{check}", "luhn", 0, "0000"},
};

START_TEST(patterns_give_the_values_they_say)
{
	struct pattern_vars v = {
		.seq = good[_i].seq, .now_ms = LATE, .station = "A1", .model = "T200"};
	char value[LEDGER_VALUE_SIZE];
	struct err e = {0};

	ck_assert_msg(
		pattern_render(good[_i].pattern, good[_i].check, &v, value, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(value, good[_i].want);
}
END_TEST

static const struct {
	const char *pattern, *check;
	int64_t last;
	const char *why;
} bad[] = {
	{"SN", "none", 1, "needs '{seq}'"},
	{"{seq", "none", 1, "unclosed"},
	{"seq}", "none", 1, "not allowed"},
	{"{sequence}", "none", 1, "unknown placeholder"},
	{"{seq:06:7}", "none", 1, "a sequence is"},
	{"{seq:x}", "none", 1, "a sequence is"},
	{"{seq:3}", "none", 1000, "outgrew its width"},
	{"{mac}", "none", 1ll << 48, "48 bits"},
	{"{mac:dots}", "none", 1, "colon, dash or bare"},
	{"{eui64}", "none", 1, "no block"},
	{"{date}{seq}", "none", 1, "a date is"},
	{"{date:%B}{seq}", "none", 1, "conversion"},
	{"{date:%}{seq}", "none", 1, "conversion"},
	{"{seq}{check}", "none", 1, "no check digit"},
	{"{seq}", "luhn", 1, "nowhere"},
	{"{seq}{check}{check}", "luhn", 1, "one {check}"},
	{"with space {seq}", "none", 1, "not allowed"},
	{"{random}", "none", 1, "drawn digits are"},
	{"{random:3}{seq}", "none", 1, "drawn digits are"},
	{"{random:21}", "none", 1, "drawn digits are"},
	{"{random:8:2}", "none", 1, "drawn digits are"},
	{"{random:8}x{random:8:", "none", 1, "unclosed"},
	{"{random:5}", "none", 1, "needs '{seq}'"},
	{"{random:6}", "none", 62500, "more values than a 16th"},
	{"0123456789012345678901234567890123456789012345678901234567890123{seq}", "none", 1,
		"too long"},
};

START_TEST(a_pattern_that_cannot_work_is_refused_when_the_pool_is_made)
{
	struct err e = {0};

	ck_assert_int_eq(pattern_check(bad[_i].pattern, bad[_i].check, bad[_i].last, NULL, &e),
		-ERR_INVALID);
	ck_assert_msg(strstr(e.msg, bad[_i].why), "%s", e.msg);
}
END_TEST

static bool has_run(const char *v, int step)
{
	for (size_t i = 1; v[i]; i++)
		if (v[i] - v[i - 1] != step)
			return false;
	return true;
}

START_TEST(a_passcode_is_drawn_from_all_digits_and_is_none_that_people_guess)
{
	struct pattern_vars v = {.seq = 7};
	unsigned seen[10] = {0}, same = 0;
	char value[LEDGER_VALUE_SIZE], last[LEDGER_VALUE_SIZE] = "";
	struct err e = {0};

	for (int i = 0; i < 20000; i++) {
		ck_assert_int_eq(pattern_render("{seq}{random:4}", "none", &v, value, &e), 0);
		ck_assert_uint_eq(strlen(value), 5);
		ck_assert_uint_eq(strspn(value, "0123456789"), 5);
		for (int step = -1; step <= 1; step++)
			ck_assert_msg(!has_run(value + 1, step), "%s", value);
		for (int k = 1; k < 5; k++)
			seen[value[k] - '0']++;
		same += !strcmp(value, last);
		strcpy(last, value);
	}
	/* 8000 of each expected, with a deviation of 85. */
	for (int d = 0; d < 10; d++)
		ck_assert_msg(seen[d] > 7000 && seen[d] < 9000, "%d came %u times", d, seen[d]);
	ck_assert_uint_lt(same, 50);
	ck_assert_int_eq(pattern_render("MT:{random:8:36}", "none", &v, value, &e), 0);
	ck_assert_uint_eq(strspn(value + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 8);
}
END_TEST

START_TEST(the_date_is_that_of_the_zone_asked_for)
{
	struct pattern_vars v = {.seq = 1, .now_ms = LATE, .utc_offset_s = 3600};
	char value[LEDGER_VALUE_SIZE];

	ck_assert_int_eq(pattern_render("{date:%d}-{seq}", "none", &v, value, NULL), 0);
	ck_assert_str_eq(value, "23-1");
	v.utc_offset_s = 0;
	ck_assert_int_eq(pattern_render("{date:%d}-{seq}", "none", &v, value, NULL), 0);
	ck_assert_str_eq(value, "22-1");
}
END_TEST

START_TEST(mod36_finds_every_single_slip_and_neighbours_swapped)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char v[] = "T2K9Z0QX7";
	char check = luhn_mod_n(v, 36);

	for (size_t i = 0; i < strlen(v); i++) {
		char was = v[i];

		for (const char *d = digits; *d; d++) {
			v[i] = *d;
			ck_assert_msg(*d == was || luhn_mod_n(v, 36) != check, "%s", v);
		}
		v[i] = was;
	}
	for (size_t i = 0; v[i + 1]; i++) {
		char a = v[i];
		char b = v[i + 1];
		bool blind = (a == '0' && b == 'Z') || (a == 'Z' && b == '0');

		v[i] = b;
		v[i + 1] = a;
		/* 0 and Z swapped is the one pair that this family cannot see. */
		ck_assert_msg(blind || luhn_mod_n(v, 36) != check, "%s", v);
		v[i] = a;
		v[i + 1] = b;
	}
}
END_TEST

static const struct {
	struct pattern_range a, b;
	bool overlap;
} pairs[] = {
	{{"SN{seq:4}", "none", 1, 99}, {"SN{seq:4}", "none", 100, 200}, false},
	{{"SN{seq:4}", "none", 1, 99}, {"SN{seq:4}", "none", 99, 200}, true},
	{{"SN{seq:4}", "none", 1, 99}, {"SN{seq:5}", "none", 1, 99}, false},
	{{"SN{seq:4}", "none", 1, 9999}, {"SN0{seq:3}", "none", 1, 999}, true},
	/* All numbers of the one begin with 00, of the other with 1. */
	{{"SN{seq:4}", "none", 1, 99}, {"SN1{seq:3}", "none", 0, 999}, false},
	{{"A{seq:4}", "none", 1, 99}, {"B{seq:4}", "none", 1, 99}, false},
	{{"{seq}", "none", 1, 99}, {"{seq}", "none", 100, 200}, false},
	{{"{seq}", "none", 1, 99}, {"4{seq}", "none", 1, 9}, true},
	{{"X{seq:3:16}", "none", 0, 4095}, {"XF0{seq:1}", "none", 0, 9}, true},
	{{"X{seq:3}", "none", 0, 999}, {"XF0{seq:1}", "none", 0, 9}, false},
	{{"{model}-{seq:3}", "none", 1, 99}, {"T200-{seq:3}", "none", 50, 60}, true},
	{{"{model}-{seq:3}", "none", 1, 99}, {"{model}-{seq:3}", "none", 100, 200}, false},
	{{"{date:%y%V}{seq:3}", "none", 1, 99}, {"2647{seq:3}", "none", 50, 60}, true},
	{{"{date:%y%V}{seq:3}", "none", 1, 99}, {"2647{seq:3}", "none", 100, 160}, false},
	{{"{date:%y%V}-{seq:3}", "none", 1, 99}, {"2647{seq:4}", "none", 1, 60}, false},
	{{"{seq:3}{check}", "luhn", 1, 99}, {"{seq:3}X", "none", 1, 99}, false},
	{{"{seq:3}{check}", "mod36", 1, 99}, {"{seq:3}X", "none", 1, 99}, true},
	{{"{random:8}", "none", 1, 99}, {"{random:8}", "none", 100, 200}, false},
	{{"{random:8}", "none", 1, 99}, {"{random:8:16}", "none", 1, 99}, true},
	{{"{random:8}", "none", 1, 99}, {"{seq:8}", "none", 1, 99}, true},
	{{"{random:8}", "none", 1, 99}, {"{random:9}", "none", 1, 99}, false},
	{{"A{random:8}", "none", 1, 99}, {"{random:9:16}", "none", 1, 99}, true},
};

START_TEST(two_patterns_overlap_where_both_could_give_one_value)
{
	ck_assert_int_eq(pattern_overlap(&pairs[_i].a, &pairs[_i].b), pairs[_i].overlap);
	ck_assert_int_eq(pattern_overlap(&pairs[_i].b, &pairs[_i].a), pairs[_i].overlap);
}
END_TEST

START_TEST(what_a_pattern_gives_is_what_it_could_give)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const struct pattern_range r = {
			good[i].pattern, good[i].check, good[i].seq, good[i].seq};

		if (strncmp(r.pattern, "{mac", 4) != 0)
			ck_assert_msg(pattern_could_give(&r, good[i].want), "%s", r.pattern);
		ck_assert(!pattern_could_give(&r, "something else"));
	}
}
END_TEST

START_TEST(an_address_of_a_block_is_its_number_in_it)
{
	struct eui_block b = {0};
	struct pattern_vars v = {.seq = 0x1234, .block = &b};
	char value[LEDGER_VALUE_SIZE];
	struct err e = {0};

	ck_assert_int_eq(eui_block_parse("AC:DE:48:A", &b, &e), 0);
	ck_assert_int_eq(pattern_render("{mac}", "none", &v, value, &e), 0);
	ck_assert_str_eq(value, "AC:DE:48:A0:12:34");
	ck_assert_int_eq(pattern_render("{eui64:dash}", "none", &v, value, &e), 0);
	ck_assert_str_eq(value, "AC-DE-48-A0-00-00-12-34");
	v.seq = 1 << 20;
	ck_assert_int_eq(pattern_render("{mac}", "none", &v, value, &e), -ERR_INVALID);
	ck_assert_msg(strstr(e.msg, "end of the block") != NULL, "%s", e.msg);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("pattern");
	TCase *t = tcase_create("pattern");

	tcase_add_loop_test(t, patterns_give_the_values_they_say, 0, ARRAY_LEN(good));
	tcase_add_loop_test(
		t, a_pattern_that_cannot_work_is_refused_when_the_pool_is_made, 0, ARRAY_LEN(bad));
	tcase_add_loop_test(
		t, two_patterns_overlap_where_both_could_give_one_value, 0, (int)ARRAY_LEN(pairs));
	tcase_add_test(t, what_a_pattern_gives_is_what_it_could_give);
	tcase_add_test(t, an_address_of_a_block_is_its_number_in_it);
	tcase_add_test(t, a_passcode_is_drawn_from_all_digits_and_is_none_that_people_guess);
	tcase_add_test(t, the_date_is_that_of_the_zone_asked_for);
	tcase_add_test(t, mod36_finds_every_single_slip_and_neighbours_swapped);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
