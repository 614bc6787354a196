/* SPDX-License-Identifier: Apache-2.0 */
#include "base/eui.h"

#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static const struct {
	const char *text;
	uint64_t bits;
	int width; /* 0: refused */
} addresses[] = {
	{"AC:DE:48:00:12:34", 0xacde48001234, 48},
	{"ac-de-48-00-12-34", 0xacde48001234, 48},
	{"ACDE48001234", 0xacde48001234, 48},
	{"AC:DE:48:00:00:00:12:34", 0xacde480000001234, 64},
	{"FCDE480000001234", 0xfcde480000001234, 64},
	{"", 0, 0},
	{"AC:DE:48:00:12", 0, 0},
	{"AC:DE:48:00:12:34:", 0, 0},
	{"AC:DE-48:00:12:34", 0, 0},
	{"AC::DE:48:00:12:34", 0, 0},
	{":ACDE48001234", 0, 0},
	{"ACD:E4:80:01:23:4", 0, 0},
	{"AC:DE48001234", 0, 0},
	{"AC:DE:48:00:12:3G", 0, 0},
	{"AC:DE:48:00:00:00:12:34:56", 0, 0},
	{" AC:DE:48:00:12:34", 0, 0},
};

START_TEST(an_address_is_read_in_each_form_and_nothing_else_is)
{
	struct eui a = {0};
	bool good = eui_parse(addresses[_i].text, &a);

	ck_assert_msg(good == (addresses[_i].width != 0), "%s", addresses[_i].text);
	ck_assert_uint_eq(a.bits, addresses[_i].bits);
	ck_assert_int_eq(a.width, addresses[_i].width);
}
END_TEST

START_TEST(the_forms_are_those_that_are_named)
{
	static const struct eui a = {0xacde48001234, 48}, b = {0xacde480000001234, 64};
	char text[EUI_TEXT_SIZE];
	enum eui_form form;

	ck_assert(eui_form_from_str("dash", &form));
	eui_text(&a, form, text);
	ck_assert_str_eq(text, "AC-DE-48-00-12-34");
	ck_assert(eui_form_from_str("bare", &form));
	eui_text(&b, form, text);
	ck_assert_str_eq(text, "ACDE480000001234");
	ck_assert(eui_form_from_str("colon", &form));
	eui_text(&b, form, text);
	ck_assert_str_eq(text, "AC:DE:48:00:00:00:12:34");
	ck_assert(!eui_form_from_str("dots", &form));
}
END_TEST

START_TEST(the_first_octet_says_multicast_and_local)
{
	static const struct eui group = {0x01005e000001, 48}, own = {0x020000000001, 48},
				plain = {0xacde480000000001, 64};

	ck_assert(eui_is_multicast(&group) && !eui_is_local(&group));
	ck_assert(!eui_is_multicast(&own) && eui_is_local(&own));
	ck_assert(!eui_is_multicast(&plain) && !eui_is_local(&plain));
}
END_TEST

static const struct {
	const char *text;
	int bits; /* 0: refused */
	uint64_t prefix, size48;
} blocks[] = {
	{"AC:DE:48", 24, 0xacde48, 1 << 24},
	{"acde48", 24, 0xacde48, 1 << 24},
	{"AC-DE-48-A", 28, 0xacde48a, 1 << 20},
	{"70B3D5123", 36, 0x70b3d5123, 1 << 12},
	{"AC:DE", 0, 0, 0},
	{"AC:DE:48:00", 0, 0, 0},
	{"AC:DE:48:", 0, 0, 0},
	{"MA-L", 0, 0, 0},
};

START_TEST(a_block_has_the_size_that_its_digits_say)
{
	struct eui_block b = {0};
	struct err e = {0};
	int r = eui_block_parse(blocks[_i].text, &b, &e);

	if (!blocks[_i].bits) {
		ck_assert_int_eq(r, -ERR_INVALID);
		ck_assert_msg(strstr(e.msg, blocks[_i].text) != NULL, "%s", e.msg);
		return;
	}
	ck_assert_msg(r == 0, "%s", e.msg);
	ck_assert_int_eq(b.bits, blocks[_i].bits);
	ck_assert_uint_eq(b.prefix, blocks[_i].prefix);
	ck_assert_uint_eq(eui_block_size(&b, 48), blocks[_i].size48);
	ck_assert_uint_eq(eui_block_size(&b, 64), blocks[_i].size48 << 16);
	ck_assert_uint_eq(eui_of_block(&b, 48, 5).bits, blocks[_i].prefix << (48 - b.bits) | 5);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("eui");
	TCase *t = tcase_create("eui");

	tcase_add_loop_test(t, an_address_is_read_in_each_form_and_nothing_else_is, 0,
		(int)ARRAY_LEN(addresses));
	tcase_add_test(t, the_forms_are_those_that_are_named);
	tcase_add_test(t, the_first_octet_says_multicast_and_local);
	tcase_add_loop_test(t, a_block_has_the_size_that_its_digits_say, 0, (int)ARRAY_LEN(blocks));
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
