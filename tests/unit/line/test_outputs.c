/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a run: they lie in its folder and nowhere else, as many as it may write, for as long
 * as they are kept.
 */
#include "daemon/line/outputs.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/iotime.h"
#include "base/timefmt.h"
#include "base/tree.h"
#include "tests/unit/unit.h"

#define RUN "01890000-0000-7000-8000-000000000001"

static struct err e;
static char root[64], outside[80];
static struct holds *holds;
static struct disk *disk;
static uint64_t disk_free_bytes;

/* The disk of this test. */
int statvfs(const char *path, struct statvfs *v)
{
	*v = (struct statvfs){.f_frsize = 4096,
		.f_bsize = 4096,
		.f_blocks = (1ull << 30) / 4096,
		.f_bavail = disk_free_bytes / 4096};
	return 0;
}

static void set_up(void)
{
	strcpy(root, "/tmp/test_outputs.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	snprintf(outside, sizeof outside, "%s.outside", root);
	disk_free_bytes = 512u << 20;
	holds = holds_new(NULL, NULL);
	disk = disk_new(root, 16u << 20, holds);
}

static void tear_down(void)
{
	disk_free(disk);
	holds_free(holds);
	tree_remove(root);
	tree_remove(outside);
}

static int write_file(
	struct outputs *o, const char *step, const char *name, const char *text, uint64_t times)
{
	_cleanup_(outfile_done) struct outfile f = {.fd = -1};
	char sha256[SHA256_HEX];
	int r = outputs_create(o, step, name, &f, &e);

	for (uint64_t i = 0; r == 0 && i < times; i++)
		r = outfile_add(&f, text, strlen(text), &e);
	if (r == 0)
		r = outfile_end(&f, sha256, &e);
	return r < 0 ? r : outfile_commit(&f, &e);
}

static void assert_holds(const char *name, const char *text)
{
	uint64_t bytes;
	char buf[64] = "";
	int fd = -1;

	ck_assert_msg(outputs_open(root, RUN, name, &fd, &bytes, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(bytes, strlen(text));
	ck_assert_int_eq(read(fd, buf, sizeof buf - 1), (ssize_t)strlen(text));
	ck_assert_str_eq(buf, text);
	close(fd);
}

START_TEST(a_file_lies_in_the_folder_of_its_run)
{
	struct outputs *o = outputs_new(root, RUN, 1000, disk);
	_cleanup_(freep) char *path = xasprintf("%s/" RUN "/flash dump.bin", root);

	ck_assert_msg(write_file(o, "a", "flash dump.bin", "abc", 1) == 0, "%s", e.msg);
	ck_assert_int_eq(access(path, R_OK), 0);
	assert_holds("flash dump.bin", "abc");
	/* The next attempt of the step replaces it, another step does not. */
	ck_assert_int_eq(write_file(o, "a", "flash dump.bin", "de", 1), 0);
	assert_holds("flash dump.bin", "de");
	ck_assert_int_eq(write_file(o, "b", "flash dump.bin", "x", 1), -ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(e.msg, "step 'a'"));
	assert_holds("flash dump.bin", "de");
	outputs_free(o);
}
END_TEST

START_TEST(no_name_leads_out_of_it)
{
	static const char *const name[] = {"", ".", "..", ".hidden", "/etc/passwd", "../x", "a/b",
		"a/../../x", "a\nb", "a\x7f"};
	char longest[200];
	struct outputs *o = outputs_new(root, RUN, 1000, disk);
	uint64_t bytes;
	int fd = -1;

	for (size_t i = 0; i < ARRAY_LEN(name); i++) {
		ck_assert_msg(write_file(o, "a", name[i], "x", 1) == -ERR_INVALID, "'%s' is taken",
			name[i]);
		ck_assert_int_lt(outputs_open(root, RUN, name[i], &fd, &bytes, &e), 0);
	}
	memset(longest, 'x', sizeof longest);
	longest[129] = '\0';
	ck_assert_int_eq(write_file(o, "a", longest, "x", 1), -ERR_INVALID);
	longest[128] = '\0';
	ck_assert_msg(write_file(o, "a", longest, "x", 1) == 0, "%s", e.msg);
	/* And no run. */
	ck_assert_int_eq(outputs_open(root, "..", "x", &fd, &bytes, &e), -ERR_NOT_FOUND);
	ck_assert_int_eq(outputs_open(root, ".", "x", &fd, &bytes, &e), -ERR_NOT_FOUND);
	ck_assert_int_eq(fd, -1);
	outputs_free(o);
}
END_TEST

START_TEST(no_symbolic_link_is_followed)
{
	struct outputs *o = outputs_new(root, RUN, 1000, disk);
	_cleanup_(freep) char *folder = xasprintf("%s/" RUN, root);
	_cleanup_(freep) char *file = xasprintf("%s/f", folder);
	_cleanup_(freep) char *part = xasprintf("%s.part", file);
	_cleanup_(freep) char *fifo = xasprintf("%s/fifo", folder);
	_cleanup_(freep) char *kept = xasprintf("%s/f", outside);
	struct stat st;
	uint64_t bytes;
	int fd = -1;

	/* The folder is one. */
	ck_assert_int_eq(mkdir(outside, 0700), 0);
	ck_assert_int_eq(symlink(outside, folder), 0);
	ck_assert_int_lt(write_file(o, "a", "f", "x", 1), 0);
	ck_assert_int_ne(access(kept, F_OK), 0);
	ck_assert_int_eq(unlink(folder), 0);
	/* The file is one, and its part: they are replaced. */
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	ck_assert_int_eq(symlink(kept, file), 0);
	ck_assert_int_eq(symlink(kept, part), 0);
	ck_assert_msg(write_file(o, "a", "f", "x", 1) == 0, "%s", e.msg);
	ck_assert_int_ne(access(kept, F_OK), 0);
	ck_assert_int_eq(lstat(file, &st), 0);
	ck_assert(S_ISREG(st.st_mode));
	/* None is read, and nobody hangs at a pipe. */
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_int_eq(symlink("/etc/passwd", file), 0);
	ck_assert_int_eq(outputs_open(root, RUN, "f", &fd, &bytes, &e), -ERR_GONE);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_assert_int_eq(outputs_open(root, RUN, "fifo", &fd, &bytes, &e), -ERR_GONE);
	outputs_free(o);
}
END_TEST

START_TEST(the_files_of_a_run_together_have_a_limit)
{
	struct outputs *o = outputs_new(root, RUN, 100, disk);
	uint64_t bytes;
	int fd = -1;

	ck_assert_int_eq(write_file(o, "a", "a", "0123456789", 6), 0);
	ck_assert_int_eq(write_file(o, "b", "b", "0123456789", 5), -ERR_TOO_LARGE);
	ck_assert_ptr_nonnull(strstr(e.msg, "output_max"));
	/* Nothing of it is left, and the first one is untouched. */
	ck_assert_int_eq(outputs_open(root, RUN, "b", &fd, &bytes, &e), -ERR_GONE);
	ck_assert_int_eq(outputs_open(root, RUN, "a", &fd, &bytes, &e), 0);
	ck_assert_uint_eq(bytes, 60);
	close(fd);
	/* What is written once more counts once. */
	ck_assert_int_eq(write_file(o, "b", "b", "0123456789", 4), 0);
	ck_assert_int_eq(write_file(o, "a", "a", "0123456789", 6), 0);
	ck_assert_int_eq(write_file(o, "a", "a", "0123456789", 7), -ERR_TOO_LARGE);
	outputs_free(o);
}
END_TEST

START_TEST(the_records_keep_their_room_when_the_disk_gets_full)
{
	struct outputs *o = outputs_new(root, RUN, 1u << 30, disk);
	_cleanup_(outfile_done) struct outfile f = {.fd = -1};
	static const char block[1u << 20];
	int r = 0;

	/* It was there at the beginning, and goes while the file is written. */
	ck_assert_int_eq(outputs_create(o, "a", "a", &f, &e), 0);
	for (int i = 0; r == 0 && i < 64; i++) {
		disk_free_bytes -= sizeof block * 16;
		r = outfile_add(&f, block, sizeof block, &e);
	}
	ck_assert_int_eq(r, -ERR_DISK_FULL);
	outfile_done(&f);
	/* And it is not even begun. */
	ck_assert_int_eq(write_file(o, "b", "b", "x", 1), -ERR_DISK_FULL);
	disk_free_bytes = 512u << 20;
	ck_assert_int_eq(write_file(o, "b", "b", "x", 1), 0);
	outputs_free(o);
}
END_TEST

/* --- age --- */

static const char *busy_run;

static bool busy(void *data, const char *run)
{
	return busy_run && !strcmp(run, busy_run);
}

static void make_run(const char *run, int files)
{
	struct outputs *o = outputs_new(root, run, 1u << 20, disk);

	for (int i = 0; i < files; i++) {
		_cleanup_(freep) char *name = xasprintf("f%d", i);

		ck_assert_int_eq(write_file(o, "a", name, "x", 1), 0);
	}
	outputs_free(o);
}

static bool is_there(const char *run)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", root, run);

	return access(path, F_OK) == 0;
}

START_TEST(what_is_too_old_goes_little_by_little_and_nothing_else)
{
	static const char old[] = "01800000-0000-7000-8000-000000000001";
	static const char still_open[] = "01800000-0000-7000-8000-000000000002";
	static const char large[] = "01800000-0000-7000-8000-000000000003";
	static const char other[] = "no-run-of-ours";
	struct outputs_sweep *w = outputs_sweep_new(root);
	int64_t before = uuid7_ms(RUN) - 1;
	_cleanup_(freep) char *folder = xasprintf("%s/%s", root, other);
	int steps = 0;

	busy_run = still_open;
	make_run(old, 2);
	make_run(still_open, 1);
	make_run(large, 200);
	make_run(RUN, 1);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	outputs_sweep_step(w, before, busy, NULL);
	ck_assert_msg(is_there(large), "200 files went in one step");
	while ((is_there(old) || is_there(large)) && steps++ < 50)
		outputs_sweep_step(w, before, busy, NULL);
	ck_assert(!is_there(old));
	ck_assert(!is_there(large));
	for (int i = 0; i < 5; i++)
		outputs_sweep_step(w, before, busy, NULL);
	ck_assert(is_there(still_open));
	ck_assert(is_there(RUN));
	ck_assert(is_there(other));
	outputs_sweep_free(w);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("outputs");
	TCase *t = tcase_create("outputs");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_file_lies_in_the_folder_of_its_run);
	tcase_add_test(t, no_name_leads_out_of_it);
	tcase_add_test(t, no_symbolic_link_is_followed);
	tcase_add_test(t, the_files_of_a_run_together_have_a_limit);
	tcase_add_test(t, the_records_keep_their_room_when_the_disk_gets_full);
	tcase_add_test(t, what_is_too_old_goes_little_by_little_and_nothing_else);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
