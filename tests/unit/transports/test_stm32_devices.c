/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/stm32/stm32_devices.h"

#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static struct err e;

START_TEST(the_table_is_sorted_and_every_row_is_whole)
{
	ck_assert_uint_ge(stm32_device_count, 25);
	for (size_t i = 0; i < stm32_device_count; i++) {
		const struct stm32_device *d = &stm32_devices[i];

		ck_assert(i == 0 || stm32_devices[i - 1].pid < d->pid);
		ck_assert_ptr_eq(stm32_device_by_pid(d->pid), d);
		ck_assert(d->name && *d->name);
		ck_assert_uint_eq(d->flash_max % 1024, 0);
		ck_assert_uint_ge(d->write_unit, 2);
		ck_assert_uint_gt(d->ram_start, 0x20000000);
		ck_assert(d->erased == 0xff || d->erased == 0);
		ck_assert(d->size_register != 0);
	}
	ck_assert_ptr_null(stm32_device_by_pid(0x999));
}
END_TEST

START_TEST(pages_follow_each_other_without_a_gap_up_to_the_end)
{
	for (size_t i = 0; i < stm32_device_count; i++) {
		const struct stm32_device *d = &stm32_devices[i];
		uint32_t pages = stm32_page_count(d, d->flash_max);
		uint32_t at = 0;

		for (uint32_t n = 0; n < pages; n++) {
			struct stm32_page p = stm32_page_of(d, n);
			struct stm32_page last = stm32_page_at(d, at + p.bytes - 1);

			ck_assert_uint_eq(p.offset, at);
			ck_assert_uint_eq(p.number, n);
			ck_assert_uint_eq(stm32_page_at(d, at).number, n);
			ck_assert_uint_eq(last.number, n);
			ck_assert_uint_eq(last.offset, at);
			at += p.bytes;
		}
		ck_assert_uint_eq(at, d->flash_max);
	}
}
END_TEST

START_TEST(the_sectors_of_an_f4_and_the_second_bank_of_an_f42_are_where_they_are)
{
	const struct stm32_device *f4 = stm32_device_by_pid(0x413);
	const struct stm32_device *f42 = stm32_device_by_pid(0x419);

	ck_assert_uint_eq(stm32_page_at(f4, 0xffff).number, 3);
	ck_assert_uint_eq(stm32_page_at(f4, 0x10000).number, 4);
	ck_assert_uint_eq(stm32_page_at(f4, 0x20000).number, 5);
	ck_assert_uint_eq(stm32_page_at(f4, 0xfffff).number, 11);
	ck_assert_uint_eq(stm32_page_at(f42, 0x100000).number, 12);
	ck_assert_uint_eq(stm32_page_at(f42, 0x100000).bytes, 16 * 1024);
	ck_assert_uint_eq(stm32_page_count(f42, 2 << 20), 24);
	ck_assert_uint_eq(stm32_page_count(f42, 1 << 20), 12);
}
END_TEST

START_TEST(lists_of_pages_are_read_or_refused)
{
	static const char *const bad[] = {"", "x", "4*", "*4K", "0*4K", "4*0", "1K,", ",1K", "3",
		"1K,1K,1K,1K,1K,1K,1K,1K", "99999*1K"};
	struct stm32_run run[STM32_RUNS_MAX];

	ck_assert_int_eq(stm32_runs_parse("4*16K,64K,7*128K", run, &e), 0);
	ck_assert_uint_eq(run[0].bytes, 16384);
	ck_assert_uint_eq(run[0].count, 4);
	ck_assert_uint_eq(run[1].count, 1);
	ck_assert_uint_eq(run[2].bytes, 131072);
	ck_assert_uint_eq(run[3].bytes, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(stm32_runs_parse(bad[i], run, &e) == -ERR_INVALID, "%s", bad[i]);
}
END_TEST

static Suite *devices_suite(void)
{
	Suite *s = suite_create("stm32_devices");
	TCase *t = tcase_create("stm32_devices");

	tcase_add_test(t, the_table_is_sorted_and_every_row_is_whole);
	tcase_add_test(t, pages_follow_each_other_without_a_gap_up_to_the_end);
	tcase_add_test(t, the_sectors_of_an_f4_and_the_second_bank_of_an_f42_are_where_they_are);
	tcase_add_test(t, lists_of_pages_are_read_or_refused);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(devices_suite)
