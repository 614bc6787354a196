/* SPDX-License-Identifier: Apache-2.0
 *
 * The salt of an installation: one for all, and on disk before a digest is made with it.
 */
#include "daemon/actions/otp_salt.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static char dir[64];
static bool file_synced, folder_synced;

/* In the place of the C library's. */
int fsync(int fd)
{
	_cleanup_(freep) char *path = xasprintf("%s/otp-salt", dir);
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	if (!S_ISDIR(st.st_mode))
		file_synced = true;
	else if (access(path, F_OK) == 0)
		folder_synced = true;
	return (int)syscall(SYS_fsync, fd);
}

static int keep(void *env, const char *name, char ret[FILE_PATH_BYTES], struct err *e)
{
	snprintf(ret, FILE_PATH_BYTES, "%s/%s", dir, name);
	return 0;
}

static void digest(char ret[SHA256_HEX])
{
	static const struct step_env_ops ops = {.keep = keep};
	struct step s = {.ops = &ops};
	struct err e;

	ck_assert_msg(otp_salted_digest(&s, "key", 3, ret, &e) == 0, "%s", e.msg);
}

START_TEST(the_salt_and_its_name_are_on_disk_before_it_is_used)
{
	char first[SHA256_HEX], second[SHA256_HEX];
	_cleanup_(freep) char *path = NULL;

	strcpy(dir, "/tmp/test_otp_salt.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	digest(first);
	ck_assert(file_synced && folder_synced);
	digest(second);
	ck_assert_str_eq(first, second);
	path = xasprintf("%s/otp-salt", dir);
	ck_assert_int_eq(unlink(path), 0);
	digest(second);
	ck_assert_str_ne(first, second);
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0); /* nothing else is left there */
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("otp_salt");
	TCase *t = tcase_create("otp_salt");

	tcase_add_test(t, the_salt_and_its_name_are_on_disk_before_it_is_used);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
