/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/dfu/dfuse_map.h"

#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static struct dfuse_map m;
static struct err e;

/* As the boot ROMs of ST's families tell them. */
START_TEST(the_maps_of_known_devices_are_read)
{
	ck_assert_int_eq(
		dfuse_map_parse("@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg", &m, &e),
		0);
	ck_assert_str_eq(m.name, "Internal Flash");
	ck_assert_uint_eq(m.runs, 3);
	ck_assert_uint_eq(m.run[1].address, 0x08010000);
	ck_assert_uint_eq(m.run[2].page_bytes, 128 * 1024);
	ck_assert_uint_eq(dfuse_run_end(&m.run[2]), 0x08100000);
	ck_assert_uint_eq(m.run[0].access, DFUSE_READABLE | DFUSE_ERASABLE | DFUSE_WRITABLE);

	ck_assert_int_eq(
		dfuse_map_parse("@Option Bytes  /0x1FFFC000/01*016 e/0x1FFEC000/01*016 e", &m, &e),
		0);
	ck_assert_uint_eq(m.runs, 2);
	ck_assert_uint_eq(m.run[0].address, 0x1FFEC000);
	ck_assert_uint_eq(m.run[0].access, DFUSE_READABLE | DFUSE_WRITABLE);

	ck_assert_int_eq(dfuse_map_parse("@OTP Memory   /0x1FFF7800/01*512 e,01*016 e", &m, &e), 0);
	ck_assert_uint_eq(m.run[1].address, 0x1FFF7A00);

	ck_assert_int_eq(dfuse_map_parse("@Device Feature/0xFFFF0000/01*004 e", &m, &e), 0);
	ck_assert_uint_eq(m.run[0].access & DFUSE_ERASABLE, DFUSE_ERASABLE);

	ck_assert_int_eq(dfuse_map_parse("@Internal Flash   /0x08000000/256*0002Kg", &m, &e), 0);
	ck_assert_int_eq(dfuse_map_parse("@Flash /0x08000000/1*1Mg", &m, &e), 0);
	ck_assert_int_eq(dfuse_map_parse("@Flash/0x08000000/2*16Bg, 1*32Kg", &m, &e), 0);
	ck_assert_int_eq(dfuse_map_parse("@ROM /0x1fff0000/1*16a", &m, &e), 0);
	ck_assert_uint_eq(m.run[0].access, DFUSE_READABLE);
}
END_TEST

START_TEST(a_map_that_is_none_is_refused_with_the_place)
{
	static const char *const bad[] = {"", "Internal Flash", "@", "@Flash", "@Flash /",
		"@Flash /08000000/1*1Kg", "@Flash /0x/1*1Kg", "@Flash /0x08000000",
		"@Flash /0x08000000/", "@Flash /0x08000000/0*16Kg", "@Flash /0x08000000/1*0Kg",
		"@Flash /0x08000000/1*16Kh", "@Flash /0x08000000/1*16K",
		"@Flash /0x08000000/1x16Kg", "@Flash /0x08000000/1*16Kg,",
		"@Flash /0x08000000/1*16Kg;", "@Flash /0x08000000/99999999999*1Kg",
		"@Flash /0x08000000/1*99999999Mg", "@Flash /0x08000000/4294967295*4294967295g",
		"@Flash /0xFFFFFFFF/2*1 g", "@Flash /0x123456789ABCDEF0/1*1Kg",
		"@Flash /0x08000000/4*16Kg/0x08004000/1*16Kg", "@Flash /0x08000000/-1*16Kg"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		e = (struct err){0};
		ck_assert_msg(
			dfuse_map_parse(bad[i], &m, &e) == -ERR_PROTOCOL, "'%s' was taken", bad[i]);
		ck_assert_msg(e.msg[0], "'%s': no word", bad[i]);
	}
}
END_TEST

START_TEST(too_many_groups_are_refused)
{
	char text[4096] = "@Flash /0x08000000/1*1Kg";

	for (size_t i = 0; i < DFUSE_RUNS_MAX; i++)
		strcat(text, ",1*1Kg");
	ck_assert_int_eq(dfuse_map_parse(text, &m, &e), -ERR_PROTOCOL);
}
END_TEST

START_TEST(pages_and_rights_are_found_by_address)
{
	ck_assert_int_eq(dfuse_map_parse("@F /0x1000/2*1Kg,1*4Ka/0x8000/1*1Kg", &m, &e), 0);
	ck_assert_ptr_null(dfuse_map_find(&m, 0xfff));
	ck_assert_ptr_eq(dfuse_map_find(&m, 0x1800), &m.run[1]);
	ck_assert_uint_eq(dfuse_page_of(&m.run[0], 0x17ff), 0x1400);
	ck_assert_int_eq(dfuse_map_check(&m, 0x1000, 0x800, DFUSE_WRITABLE, &e), 0);
	ck_assert_int_eq(dfuse_map_check(&m, 0x1000, 0, DFUSE_WRITABLE, &e), 0);
	ck_assert_int_eq(dfuse_map_check(&m, 0x1000, 0x801, DFUSE_WRITABLE, &e), -ERR_IMAGE_RANGE);
	ck_assert_ptr_nonnull(strstr(e.msg, "writable"));
	ck_assert_int_eq(dfuse_map_check(&m, 0x2000, 0x6001, DFUSE_READABLE, &e), -ERR_IMAGE_RANGE);
	ck_assert_ptr_nonnull(strstr(e.msg, "0x00002800"));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("dfuse_map");
	TCase *c = tcase_create("dfuse_map");

	tcase_add_test(c, the_maps_of_known_devices_are_read);
	tcase_add_test(c, a_map_that_is_none_is_refused_with_the_place);
	tcase_add_test(c, too_many_groups_are_refused);
	tcase_add_test(c, pages_and_rights_are_found_by_address);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
