/* SPDX-License-Identifier: Apache-2.0
 *
 * What keeps the line from working is set and lifted by cause, and stops what its row says; the
 * clock and the disk set theirs by what they see.
 */
#include "daemon/line/holds.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/timefmt.h"
#include "base/tree.h"
#include "base/util.h"
#include "daemon/line/disk.h"
#include "daemon/line/wall.h"
#include "tests/unit/unit.h"

#define STOPS_WORK (HOLD_STOPS_RUNS | HOLD_STOPS_ORDERS | HOLD_STOPS_SENDING)

static struct holds *holds;
static int changes;
static struct statvfs pretended; /* f_blocks 0: the file system as it is */

/* In place of the C library's. */
int statvfs(const char *path, struct statvfs *ret)
{
	_cleanup_(closep) int fd = -1;

	if (pretended.f_blocks) {
		*ret = pretended;
		return 0;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -1 : fstatvfs(fd, ret);
}

static void count(void *data)
{
	changes++;
}

static void setup(void)
{
	changes = 0;
	holds = holds_new(count, NULL);
}

static void teardown(void)
{
	holds = holds_free(holds);
}

static const struct {
	enum hold hold;
	enum err_code code;
	unsigned stops;
} cases[] = {
	{HOLD_LINEAGE, ERR_RECORDS_HELD, STOPS_WORK | HOLD_STOPS_CHANGES},
	{HOLD_DAMAGE, ERR_RECORDS_DAMAGED, STOPS_WORK | HOLD_STOPS_CHANGES},
	{HOLD_MARKS, ERR_RECORDS_HELD, STOPS_WORK},
	{HOLD_DISK, ERR_DISK_FULL, STOPS_WORK},
	{HOLD_CLOCK, ERR_CLOCK, HOLD_STOPS_DATES},
	{HOLD_BACKLOG, ERR_BACKLOG, HOLD_STOPS_RUNS},
	{HOLD_PLANT, ERR_PLANT_HELD, HOLD_STOPS_RUNS | HOLD_STOPS_ORDERS},
};

START_TEST(each_hold_stops_what_its_row_says)
{
	struct err e = {0};
	json_t *list;

	holds_set(holds, cases[_i].hold, "because %d", _i);
	ck_assert(holds_has(holds, cases[_i].hold));
	for (unsigned bit = 1; bit <= HOLD_STOPS_SENDING; bit <<= 1)
		ck_assert_int_eq(holds_check(holds, bit, &e),
			cases[_i].stops & bit ? -(int)cases[_i].code : 0);
	list = holds_json(holds);
	ck_assert_uint_eq(json_array_size(list), 1);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "code")),
		err_code_str(cases[_i].code));
	json_decref(list);
	/* Another sentence is not another hold. */
	holds_set(holds, cases[_i].hold, "still");
	ck_assert_int_eq(changes, 1);
	holds_lift(holds, cases[_i].hold);
	holds_lift(holds, cases[_i].hold);
	ck_assert_int_eq(changes, 2);
	ck_assert_int_eq(holds_check(holds, ~0u, &e), 0);
}
END_TEST

START_TEST(a_clock_before_the_newest_record_is_not_believed)
{
	struct wall *w = wall_new(0, false, holds);
	struct err e = {0};
	int64_t jump;

	ck_assert_int_eq(wall_check(w, &e), 0);
	ck_assert(!wall_tick(w, &jump));
	wall_recorded(w, wall_ms() + 3600 * 1000);
	wall_recorded(w, 5); /* what is earlier lowers nothing */
	ck_assert_int_eq(wall_check(w, &e), -ERR_CLOCK);
	ck_assert_ptr_nonnull(strstr(e.msg, "newest record"));
	wall_tick(w, &jump);
	ck_assert(holds_has(holds, HOLD_CLOCK));
	wall_accept(w, wall_ms());
	wall_tick(w, &jump);
	ck_assert(!holds_has(holds, HOLD_CLOCK));
	/* A time service that sets it back by a little is not a fall. */
	wall_recorded(w, wall_ms() + 30 * 1000);
	ck_assert_int_eq(wall_check(w, &e), 0);
	wall_free(w);
}
END_TEST

START_TEST(the_reserve_is_real_space_and_outlives_a_restart)
{
	char dir[] = "/tmp/test_disk_XXXXXX";
	_cleanup_(freep) char *path = NULL;
	struct statvfs v;
	struct stat st;
	struct disk *d;
	struct err e = {0};

	ck_assert_ptr_nonnull(mkdtemp(dir));
	path = xasprintf("%s/reserve", dir);
	d = disk_new(dir, 1 << 20, holds);
	disk_tick(d);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_ge(st.st_blocks * 512, 1 << 20);
	ck_assert_int_eq(disk_check(d, 4096, &e), 0);
	/* More than there is. */
	ck_assert_int_eq(statvfs(dir, &v), 0);
	ck_assert_int_eq(disk_check(d, (uint64_t)v.f_bavail * v.f_frsize, &e), -ERR_DISK_FULL);
	ck_assert_int_eq(disk_check(d, UINT64_MAX, &e), -ERR_DISK_FULL);
	disk_free(d);
	d = disk_new(dir, 1 << 20, holds);
	disk_make_room(d); /* there is room: it stays */
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, 1 << 20);
	/* A person looked for room. */
	ck_assert_int_eq(unlink(path), 0);
	disk_tick(d);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(truncate(path, 0), 0);
	disk_tick(d);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_ge(st.st_blocks * 512, 1 << 20);
	disk_free(d);
	tree_remove(dir);
}
END_TEST

START_TEST(a_commit_without_room_holds_the_line_until_one_finds_some)
{
	char dir[] = "/tmp/test_disk_XXXXXX";
	struct disk *d;
	struct err e = {0};
	int pieces = 0;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	d = disk_new(dir, 1 << 20, holds);
	ck_assert(!disk_give_start(d));
	disk_tick(d);
	ck_assert(!holds_has(holds, HOLD_DISK));
	/* The file system has room; a quota has none. */
	disk_refused(d, "COMMIT: quota exceeded");
	ck_assert_int_eq(holds_check(holds, HOLD_STOPS_RUNS, &e), -ERR_DISK_FULL);
	ck_assert_ptr_nonnull(strstr(e.msg, "quota"));
	disk_tick(d);
	ck_assert(holds_has(holds, HOLD_DISK));
	ck_assert(disk_is_refused(d));
	disk_took(d);
	ck_assert(holds_has(holds, HOLD_DISK)); /* until the file system is looked at */
	disk_tick(d);
	ck_assert(!holds_has(holds, HOLD_DISK));
	/* What is kept for the start goes in pieces, and comes back. */
	while (disk_give_start(d))
		pieces++;
	ck_assert_int_ge(pieces, 4);
	disk_tick(d);
	ck_assert(disk_give_start(d));
	disk_free(d);
	tree_remove(dir);
}
END_TEST

/* What is free then is the reserve alone, and as large as the low water. */
START_TEST(a_reserve_that_was_given_holds_the_line)
{
	char dir[] = "/tmp/test_disk_XXXXXX";
	struct disk *d;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	pretended = (struct statvfs){.f_frsize = 4096, .f_blocks = 1 << 20, .f_bavail = 1 << 19};
	d = disk_new(dir, 1 << 20, holds);
	disk_tick(d);
	ck_assert(!holds_has(holds, HOLD_DISK));
	/* Others fill it between two looks, and the records are given the reserve. */
	pretended.f_bavail = 0;
	disk_make_room(d);
	pretended.f_bavail = (1 << 20) / 4096;
	disk_tick(d);
	ck_assert(holds_has(holds, HOLD_DISK));
	pretended.f_bavail = 1 << 19;
	disk_tick(d);
	ck_assert(!holds_has(holds, HOLD_DISK));
	disk_free(d);
	tree_remove(dir);
	pretended = (struct statvfs){0};
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("holds");
	TCase *t = tcase_create("holds");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, each_hold_stops_what_its_row_says, 0, ARRAY_LEN(cases));
	tcase_add_test(t, a_clock_before_the_newest_record_is_not_believed);
	tcase_add_test(t, the_reserve_is_real_space_and_outlives_a_restart);
	tcase_add_test(t, a_commit_without_room_holds_the_line_until_one_finds_some);
	tcase_add_test(t, a_reserve_that_was_given_holds_the_line);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
