/* SPDX-License-Identifier: Apache-2.0
 *
 * An archive that tar(1) reads: each file with its bytes, also one that fills its last block and one that is empty.
 */
#include "base/tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/tree.h"
#include "base/util.h"
#include "tests/unit/unit.h"

static int to_file(void *data, const void *p, size_t n, struct err *e)
{
	return fwrite(p, 1, n, data) == n ? 0 : err_set(e, ERR_IO, "not written");
}

static int refuses(void *data, const void *p, size_t n, struct err *e)
{
	return err_set(e, ERR_DISK_FULL, "full");
}

/* What tar(1) says of the archive at the end of the command. */
static void expect_says(const char *command, const char *path, const char *expected)
{
	_cleanup_(freep) char *line = xasprintf("TZ=UTC tar %s %s 2>&1", command, path);
	char got[4096] = "";
	FILE *f = popen(line, "re");

	ck_assert_ptr_nonnull(f);
	got[fread(got, 1, sizeof got - 1, f)] = '\0';
	ck_assert_int_eq(pclose(f), 0);
	ck_assert_str_eq(got, expected);
}

START_TEST(tar_reads_what_is_written)
{
	char dir[] = "/tmp/test_tar_XXXXXX";
	_cleanup_(freep) char *path = NULL;
	_cleanup_(freep) char *block = malloc(512);
	struct tar_sink to = {to_file, NULL};
	struct err e;
	FILE *f;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	path = xasprintf("%s/a.tar", dir);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	to.data = f;
	memset(block, 'b', 512);
	ck_assert_int_eq(tar_add(&to, "d/short.txt", 1700000000, "hello\n", 6, &e), 0);
	ck_assert_int_eq(tar_add(&to, "d/block", 1700000000, block, 512, &e), 0);
	ck_assert_int_eq(tar_add(&to, "d/empty", 1700000000, "", 0, &e), 0);
	ck_assert_int_eq(tar_add(&to, "d/last.txt", 1700000000, "bye\n", 4, &e), 0);
	ck_assert_int_eq(tar_end(&to, &e), 0);
	fclose(f);
	expect_says("tvf", path,
		"-rw------- 0/0               6 2023-11-14 22:13 d/short.txt\n"
		"-rw------- 0/0             512 2023-11-14 22:13 d/block\n"
		"-rw------- 0/0               0 2023-11-14 22:13 d/empty\n"
		"-rw------- 0/0               4 2023-11-14 22:13 d/last.txt\n");
	expect_says("--wildcards -xO '*.txt' -f", path, "hello\nbye\n");
	tree_remove(dir);
}
END_TEST

START_TEST(a_name_that_does_not_fit_is_refused_and_nothing_written)
{
	struct tar_sink to = {refuses, NULL};
	char name[TAR_NAME_MAX + 2];
	struct err e;

	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	ck_assert_int_eq(tar_add(&to, name, 0, "", 0, &e), -ERR_INVALID);
	ck_assert_int_eq(tar_add(&to, "", 0, "", 0, &e), -ERR_INVALID);
	name[TAR_NAME_MAX] = '\0';
	ck_assert_int_eq(tar_add(&to, name, 0, "", 0, &e), -ERR_DISK_FULL);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("tar");
	TCase *tc = tcase_create("tar");

	tcase_add_test(tc, tar_reads_what_is_written);
	tcase_add_test(tc, a_name_that_does_not_fit_is_refused_and_nothing_written);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
