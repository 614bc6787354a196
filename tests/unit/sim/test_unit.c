/* SPDX-License-Identifier: Apache-2.0
 *
 * What a unit keeps: the flash file is the firmware and nothing else, the JSON survives, and a new
 * unit does not touch the files of the one before.
 */
#include <sys/stat.h>

#include "tests/unit/sim/bench.h"

static char dir[64];

static void make_dir(void)
{
	strcpy(dir, "/tmp/test-sim-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
	_cleanup_(freep) char *cmd = xasprintf("rm -r %s", dir);

	ck_assert_int_eq(system(cmd), 0);
}

static size_t load(const char *name, char *buf, size_t size)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);
	_cleanup_(fclosep) FILE *f = fopen(path, "re");

	ck_assert_msg(f != NULL, "%s", path);

	size_t n = fread(buf, 1, size - 1, f);

	buf[n] = 0;
	return n;
}

START_TEST(the_flash_file_is_the_firmware)
{
	struct bench *t = bench_new(NULL, dir);
	char buf[2000];

	bench_write(t, BASE, "first", 5);
	bench_write(t, BASE + 10, "later", 5);
	ck_assert_uint_eq(load("b1.flash.bin", buf, sizeof buf), 15);
	ck_assert_mem_eq(buf, "first\xff\xff\xff\xff\xfflater", 15);
	bench_ask(t, "ERASE");
	ck_assert_uint_eq(load("b1.flash.bin", buf, sizeof buf), 0);
	bench_free(t);
}
END_TEST

START_TEST(a_unit_comes_back_as_it_was)
{
	struct bench *t = bench_new(NULL, dir);
	char uid[UNIT_UID_HEX];

	strcpy(uid, t->board->unit->uid);
	bench_flash_app(t, "an application");
	bench_ask(t, "SET_SERIAL A1");
	bench_ask(t, "SET_SERIAL A2");
	bench_ask(t, "CONFIG_SET KEY a value");
	bench_ask(t, "CAL_TEMP 25");
	bench_free(t);

	t = bench_new(NULL, dir);
	ck_assert_str_eq(t->board->unit->uid, uid);
	ck_assert_int_eq(board_state(t->board, t->now_us), BOARD_APPLICATION);
	bench_settle(t);
	ck_assert_str_eq(bench_ask(t, "GET_SERIAL"), "A2\r\n");
	ck_assert_str_eq(bench_ask(t, "CONFIG_GET KEY"), "a value\r\n");
	ck_assert_uint_eq(json_array_size(t->board->unit->serials), 2);
	ck_assert(t->board->unit->temp_calibrated);
	bench_free(t);
}
END_TEST

START_TEST(a_serial_is_on_disk_before_it_is_acknowledged)
{
	struct bench *t = bench_new(NULL, dir);
	char buf[4000];

	bench_flash_app(t, "an application");
	bench_put(t, "SET_SERIAL A1\r\n", 15);
	load("b1.json", buf, sizeof buf);
	ck_assert_ptr_nonnull(strstr(buf, "\"A1\""));
	bench_free(t);
}
END_TEST

START_TEST(a_refused_serial_is_not_in_the_list)
{
	struct bench *t = bench_new(NULL, dir);

	bench_flash_app(t, "an application");
	bench_fault(t, "refuse-serial");
	ck_assert_str_eq(bench_ask(t, "SET_SERIAL A1"), "OK\r\n");
	ck_assert_uint_eq(json_array_size(t->board->unit->serials), 0);
	bench_free(t);
}
END_TEST

START_TEST(a_value_that_is_kept_wrong_or_cut_is_acknowledged)
{
	struct bench *t = bench_new(NULL, NULL);

	bench_flash_app(t, "an application");
	bench_fault(t, "value-wrong");
	ck_assert_str_eq(bench_ask(t, "SET_MAC 0 AC:DE:48:00:12:34"), "OK\r\n");
	ck_assert_str_eq(bench_ask(t, "GET_MAC 0"), "ac:de:48:00:12:31\r\n");
	bench_fault(t, "value-cut");
	ck_assert_str_eq(bench_ask(t, "SET_LICENSE KEY-1"), "OK\r\n");
	ck_assert_str_eq(bench_ask(t, "GET_LICENSE"), "KEY-\r\n");
	ck_assert_str_eq(bench_ask(t, "SET_LICENSE KEY-1"), "OK\r\n");
	ck_assert_str_eq(bench_ask(t, "GET_LICENSE"), "KEY-1\r\n");
	bench_free(t);
}
END_TEST

START_TEST(a_new_unit_is_another_one_and_keeps_the_files_of_the_old)
{
	struct bench *t = bench_new(NULL, dir);
	struct unit *u;
	_cleanup_(freep) char *old = xasprintf("%s.flash.bin", t->board->unit->uid);
	char buf[100];

	bench_write(t, BASE, "first", 5);
	ck_assert_int_eq(unit_new(&t->set, dir, &u, NULL), 0);
	ck_assert_int_eq(unit_link(u, "b1", NULL), 0);
	ck_assert_str_ne(u->uid, t->board->unit->uid);
	ck_assert_uint_eq(load("b1.flash.bin", buf, sizeof buf), 0);
	ck_assert_uint_eq(load(old, buf, sizeof buf), 5);
	unit_free(u);
	bench_free(t);
}
END_TEST

START_TEST(a_damaged_state_file_is_told_and_not_replaced)
{
	_cleanup_(freep) char *path = xasprintf("%s/b1.json", dir);
	struct board_settings s;
	struct unit *u = NULL;
	struct err e = {0};
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	fputs("{\"uid\":\"x\"}", f);
	fclose(f);
	settings_default(&s);
	ck_assert_int_lt(unit_open(&s, dir, "b1", &u, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.msg, "b1.json"));
	ck_assert_ptr_null(u);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("unit");
	TCase *c = tcase_create("unit");

	tcase_add_checked_fixture(c, make_dir, remove_dir);
	tcase_add_test(c, the_flash_file_is_the_firmware);
	tcase_add_test(c, a_unit_comes_back_as_it_was);
	tcase_add_test(c, a_serial_is_on_disk_before_it_is_acknowledged);
	tcase_add_test(c, a_refused_serial_is_not_in_the_list);
	tcase_add_test(c, a_value_that_is_kept_wrong_or_cut_is_acknowledged);
	tcase_add_test(c, a_new_unit_is_another_one_and_keeps_the_files_of_the_old);
	tcase_add_test(c, a_damaged_state_file_is_told_and_not_replaced);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
