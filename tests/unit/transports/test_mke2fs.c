/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/tools/mke2fs.h"

#include "tests/unit/transports/fake_tool.h"
#include "tests/unit/unit.h"

#define BYTES (64ull << 20)
#define SAYS                                                                                      \
	"mke2fs 1.47.0 (5-Feb-2023)\nDiscarding device blocks:     0/16384\b\b\b\b\b\b\b\b\b\b\b" \
	"           \b\b\b\b\b\b\b\b\b\b\bdone\nCreating filesystem with 16384 4k blocks and "    \
	"16384 inodes\n\nAllocating group tables: 0/1\b\b\b   \b\b\bdone\n"
#define DONE                                                                            \
	"Writing superblocks and filesystem accounting information: 0/1\b\b\b   \b\b\b" \
	"done\n\n"

static struct fake_tool fake;
static struct tool_outcome seen;
static struct tool_dir dir;
static char path[600];
static struct err e;

static void set_up(void)
{
	fake_tool_init(&fake);
	ck_assert_int_eq(tool_dir_new("/tmp", &dir, &e), 0);
	e = (struct err){0};
}

static void tear_down(void)
{
	tool_dir_done(&dir);
	tool_outcome_done(&seen);
	fake_tool_done(&fake);
}

static int make(const char *program, uint64_t bytes)
{
	const struct iotime it = {now_us() + 30 * US_PER_S, NULL};
	const struct teller none = {0};

	tool_outcome_done(&seen);
	tool_dir_done(&dir);
	ck_assert_int_eq(tool_dir_new("/tmp", &dir, &e), 0);
	return mke2fs_ext4(program, &dir, bytes, &none, &seen, path, &it, &e);
}

START_TEST(the_real_one_makes_what_its_super_block_says)
{
	static const uint64_t sizes[] = {1 << 20, BYTES, 5ull << 30};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		ck_assert_msg(
			make(NULL, sizes[i]) == 0, "%llu: %s", (unsigned long long)sizes[i], e.msg);
		ck_assert_uint_eq(seen.sum[0], sizes[i] / MKE2FS_BLOCK);
		ck_assert_ptr_nonnull(strstr(seen.program, "/mke2fs"));
		ck_assert_ptr_nonnull(strchr(seen.version, '.'));
		ck_assert_int_eq(mke2fs_check(path, sizes[i] + MKE2FS_BLOCK, &e), -ERR_NO_EVIDENCE);
	}
}
END_TEST

static void poke(off_t at, uint8_t v)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, &v, 1, at), 1);
	close(fd);
}

START_TEST(another_super_block_is_no_proof)
{
	static const struct {
		off_t at;
		uint8_t v;
	} changes[] = {{1024 + 0x38, 0x52}, {1024 + 0x18, 1}, {1024 + 0x04, 7}, {1024 + 0x60, 0},
		{1024 + 0x150, 1}};

	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		ck_assert_int_eq(make(NULL, BYTES), 0);
		poke(changes[i].at, changes[i].v);
		ck_assert_int_eq(mke2fs_check(path, BYTES, &e), -ERR_NO_EVIDENCE);
	}
	ck_assert_int_eq(truncate(path, 100), 0);
	ck_assert_int_eq(mke2fs_check(path, 100, &e), -ERR_NO_EVIDENCE);
	ck_assert_int_eq(mke2fs_check("/no/such", 100, &e), -ERR_NO_EVIDENCE);
}
END_TEST

START_TEST(one_that_lies_made_nothing)
{
	fake_tool_says(&fake, SAYS DONE, "0");
	ck_assert_int_eq(make(fake.program, BYTES), -ERR_NO_EVIDENCE);
	ck_assert_ptr_nonnull(strstr(e.msg, "no super block"));
	ck_assert_str_eq(seen.version, "1.47.0");
	ck_assert_str_eq(
		seen.marker[1], "Writing superblocks and filesystem accounting information: done");
	fake_tool_says(&fake, SAYS, "0");
	ck_assert_int_eq(make(fake.program, BYTES), -ERR_NO_EVIDENCE);
	fake_tool_says(&fake, SAYS "mke2fs: the moon is full\n", "1");
	ck_assert_int_eq(make(fake.program, BYTES), -ERR_TOOL_FAILED);
	ck_assert_ptr_nonnull(strstr(e.msg, "status 1, expected 0; it said: 'mke2fs: the moon"));
	fake_tool_says(&fake,
		SAYS "ext4.img: No space left on device while writing superblock\n" DONE, "0");
	ck_assert_int_eq(make(fake.program, BYTES), -ERR_DISK_FULL);
	ck_assert_int_eq(make("no-such-mke2fs", BYTES), -ERR_TOOL_MISSING);
}
END_TEST

static Suite *mke2fs_suite(void)
{
	Suite *s = suite_create("mke2fs");
	TCase *t = tcase_create("mke2fs");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 50);
	tcase_add_test(t, the_real_one_makes_what_its_super_block_says);
	tcase_add_test(t, another_super_block_is_no_proof);
	tcase_add_test(t, one_that_lies_made_nothing);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(mke2fs_suite)
