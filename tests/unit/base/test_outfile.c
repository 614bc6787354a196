/* SPDX-License-Identifier: Apache-2.0 */
#include "base/outfile.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/tree.h"
#include "base/util.h"
#include "tests/unit/unit.h"

static struct err e;
static char dir[64], path[80], part[96];

static void setup(void)
{
	strcpy(dir, "/tmp/test_outfile.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/f", dir);
	snprintf(part, sizeof part, "%s.part", path);
}

static void teardown(void)
{
	tree_remove(dir);
}

START_TEST(it_has_its_name_once_it_is_whole)
{
	struct outfile f = {.fd = -1};
	char sha256[SHA256_HEX], expected[SHA256_HEX], got[8] = "";

	ck_assert_int_eq(outfile_open(&f, path, &e), 0);
	ck_assert_int_eq(outfile_add(&f, "abc", 3, &e), 0);
	ck_assert_int_eq(outfile_add(&f, "de", 2, &e), 0);
	ck_assert_int_eq(outfile_end(&f, sha256, &e), 0);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_eq(outfile_commit(&f, &e), 0);
	outfile_done(&f);
	sha256_hex_of("abcde", 5, expected);
	ck_assert_str_eq(sha256, expected);
	ck_assert_int_ne(access(part, F_OK), 0);

	FILE *in = fopen(path, "re");

	ck_assert_ptr_nonnull(in);
	ck_assert_uint_eq(fread(got, 1, sizeof got, in), 5);
	fclose(in);
	ck_assert_str_eq(got, "abcde");
}
END_TEST

START_TEST(what_is_not_committed_leaves_nothing_and_the_old_one_stays)
{
	struct outfile f = {.fd = -1};
	struct stat st;

	fclose(fopen(path, "we"));
	ck_assert_int_eq(outfile_open(&f, path, &e), 0);
	ck_assert_int_eq(outfile_add(&f, "abc", 3, &e), 0);
	outfile_done(&f);
	ck_assert_int_ne(access(part, F_OK), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
}
END_TEST

START_TEST(a_link_and_a_taken_name_are_errors)
{
	struct outfile f = {.fd = -1};

	ck_assert_int_eq(symlink("/dev/full", part), 0);
	ck_assert_int_eq(outfile_open(&f, path, &e), -ERR_IO);
	outfile_done(&f);
	ck_assert_int_eq(access(part, F_OK), 0); /* not ours */

	f = (struct outfile){.fd = -1};
	ck_assert_int_eq(unlink(part), 0);
	ck_assert_int_eq(outfile_open(&f, path, &e), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(outfile_commit(&f, &e), -ERR_IO);
	outfile_done(&f);
	ck_assert_int_ne(access(part, F_OK), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("outfile");
	TCase *t = tcase_create("outfile");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, it_has_its_name_once_it_is_whole);
	tcase_add_test(t, what_is_not_committed_leaves_nothing_and_the_old_one_stays);
	tcase_add_test(t, a_link_and_a_taken_name_are_errors);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
