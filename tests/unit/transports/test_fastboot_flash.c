/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/transports/fake_pipe.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "transports/protocols/fastboot/fastboot_all.h"
#include "transports/protocols/fastboot/fastboot_impl.h"

static struct fake_pipe pipe_;
static struct fastboot *f;
static struct err e;
static const struct iotime soon = {UINT64_MAX - 1, NULL};

static void open_with(const struct fake_line *script)
{
	static const struct fastboot_config c = {0};

	e = (struct err){0};
	fake_pipe_init(&pipe_, script);
	ck_assert_int_eq(fastboot_new(&pipe_.pipe, &c, NULL, &soon, &f, &e), 0);
}

static void done(void)
{
	f = fastboot_free(f);
	fake_pipe_done(&pipe_);
}

static void says(const char *what)
{
	ck_assert_msg(strstr(e.msg, what) != NULL, "'%s' does not say '%s'", e.msg, what);
}

START_TEST(words_of_a_missing_partition_differ_from_those_of_an_unknown_question)
{
	static const struct {
		const char *words;
		bool unknown;
	} rows[] = {
		{"cannot find partition", true},       /* U-Boot */
		{"invalid partition or device", true}, /* U-Boot */
		{"partition doesn't exist", true},     /* LK */
		{"Could not open partition", true},    /* fastbootd */
		{"Partition nosuch not found", true},
		{"no such partition", true},
		{"Unknown partition: nosuch", true},
		{"Variable not implemented", false}, /* U-Boot */
		{"Unknown variable", false},	     /* fastbootd */
		{"Unknown variable partition-size:nosuch", false},
		{"GetVar Variable Not found", false}, /* ABL */
		{"unknown command", false},
		{"partition-size: not found", false},
		{"not supported", false},
		{"", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(fastboot_refusal_is_unknown_partition(rows[i].words, "nosuch") ==
				      rows[i].unknown,
			"%s", rows[i].words);
	/* A refusal may repeat the partition's name: the name must not be read as a reason. */
	ck_assert(!fastboot_refusal_is_unknown_partition("partition: busy", "found"));
	ck_assert(!fastboot_refusal_is_unknown_partition("found: partition busy", "found"));
}
END_TEST

static struct blob *image_of(const char *text)
{
	struct blob *b = NULL;
	uint8_t *bytes = NULL;

	ck_assert_int_eq(blob_new("x.img", strlen(text), &bytes, &b, &e), 0);
	memcpy(bytes, text, strlen(text));
	blob_seal(b);
	return b;
}

static int flash(const struct fake_line *script, const char *partition, bool unlisted)
{
	_cleanup_(blob_unrefp) struct blob *b = image_of("\1\2\3\4");
	const struct fastboot_flash_opts o = {
		.partition = partition, .unlisted = unlisted, .verify = FASTBOOT_VERIFY_NONE};
	struct fastboot_flashed t = {0};
	size_t sent;

	open_with(script);

	int r = fastboot_flash(f, b, &o, &soon, &t, &e);

	sent = pipe_.sent_n;
	ck_assert_uint_eq(sent, r == 0 ? 4 : 0);
	done();
	return r;
}

#define ASKED(name)                                                            \
	{"getvar:version", {"OKAY0.4"}},                                       \
		{"getvar:has-slot:" name, {"FAILVariable not implemented"}},   \
		{"getvar:max-download-size", {"OKAY0x1000000"}},               \
		{"getvar:is-logical:" name, {"FAILVariable not implemented"}}, \
	{                                                                      \
		"getvar:version",                                              \
		{                                                              \
			"OKAY0.4"                                              \
		}                                                              \
	}
#define SENT(name)                                                                  \
	{"download:00000004", {"DATA00000004", "OKAY"}}, {"flash:" name, {"OKAY"}}, \
		{"getvar:version", {"OKAY0.4"}},                                    \
	{                                                                           \
		0                                                                   \
	}

START_TEST(an_unknown_partition_is_said_before_a_byte_moves)
{
	static const struct fake_line script[] = {ASKED("nosuch"),
		{"getvar:partition-size:nosuch", {"FAILcannot find partition"}},
		{"getvar:partition-type:nosuch", {"FAILcannot find partition"}}, {0}};

	ck_assert_int_eq(flash(script, "nosuch", false), -ERR_NOT_FOUND);
	says("'nosuch' (it says: cannot find partition)");
}
END_TEST

START_TEST(a_device_without_the_variable_is_flashed_as_ever)
{
	static const struct fake_line none[] = {ASKED("boot"),
		{"getvar:partition-size:boot", {"FAILVariable not implemented"}}, SENT("boot")};
	static const struct fake_line empty[] = {
		ASKED("boot"), {"getvar:partition-size:boot", {"OKAY"}}, SENT("boot")};
	/* One that sizes no such partition, and knows its type. */
	static const struct fake_line typed[] = {ASKED("boot"),
		{"getvar:partition-size:boot", {"FAILcannot find partition"}},
		{"getvar:partition-type:boot", {"OKAYraw"}}, SENT("boot")};

	ck_assert_msg(flash(none, "boot", false) == 0, "%s", e.msg);
	ck_assert_msg(flash(empty, "boot", false) == 0, "%s", e.msg);
	ck_assert_msg(flash(typed, "boot", false) == 0, "%s", e.msg);
}
END_TEST

START_TEST(names_of_the_bootloader_s_own_are_sent)
{
	static const struct fake_line gpt[] = {ASKED("gpt"),
		{"getvar:partition-size:gpt", {"FAILcannot find partition"}}, SENT("gpt")};
	static const struct fake_line boot0[] = {ASKED("mmc0boot0"),
		{"getvar:partition-size:mmc0boot0", {"FAILcannot find partition"}},
		SENT("mmc0boot0")};
	static const struct fake_line other[] = {ASKED("zimage"),
		{"getvar:partition-size:zimage", {"FAILcannot find partition"}}, SENT("zimage")};

	ck_assert_msg(flash(gpt, "gpt", false) == 0, "%s", e.msg);
	ck_assert_msg(flash(boot0, "mmc0boot0", false) == 0, "%s", e.msg);
	ck_assert_msg(flash(other, "zimage", true) == 0, "%s", e.msg);
}
END_TEST

START_TEST(a_flash_that_is_refused_for_its_name_has_damaged_nothing)
{
	static const struct fake_line script[] = {ASKED("nosuch"),
		{"getvar:partition-size:nosuch", {"FAILVariable not implemented"}},
		{"download:00000004", {"DATA00000004", "OKAY"}},
		{"flash:nosuch", {"FAILcannot find partition"}}, {0}};
	_cleanup_(blob_unrefp) struct blob *b = image_of("\1\2\3\4");
	const struct fastboot_flash_opts o = {
		.partition = "nosuch", .verify = FASTBOOT_VERIFY_NONE};
	struct fastboot_flashed t = {0};

	open_with(script);
	ck_assert_int_eq(fastboot_flash(f, b, &o, &soon, &t, &e), -ERR_DEVICE_REFUSED);
	says("cannot find partition");
	ck_assert_msg(!strstr(e.msg, "damaged"), "%s", e.msg);
	done();
}
END_TEST

/* -- packages -- */

static char dir[64];

static void make_dir(void)
{
	snprintf(dir, sizeof dir, "/tmp/test_fastboot_flash.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void drop_dir(void)
{
	_cleanup_(freep) char *cmd = xasprintf("rm -r %s", dir);

	ck_assert_int_eq(system(cmd), 0);
}

static void member(const char *name, const void *bytes, size_t n)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
	close(fd);
}

static int open_package(struct archive **a, struct fastboot_package *p)
{
	static const struct fastboot_all_opts o = {.partial = true};

	ck_assert_int_eq(archive_open_dir(dir, a, &e), 0);
	return fastboot_package_open(*a, &o, &soon, p, &e);
}

static void package_refused(const char *what)
{
	_cleanup_(archive_closep) struct archive *a = NULL;
	struct fastboot_package p;

	ck_assert_int_eq(open_package(&a, &p), -ERR_IMAGE_INVALID);
	says(what);
}

static const uint8_t raw[] = {1, 2, 3, 4, 5, 6, 7, 8};

static void good_members(void)
{
	member("android-info.txt", "require board=x\n", 16);
	member("dtbo.img", raw, sizeof raw);
	member("system.img", raw, sizeof raw);
	member("vendor.img", raw, sizeof raw);
}

START_TEST(every_member_is_looked_at_before_the_device_is)
{
	/* One block that is said, and none that is there. */
	static const uint8_t cut[] = {0x3a, 0xff, 0x26, 0xed, 1, 0, 0, 0, 28, 0, 12, 0, 0, 0x10, 0,
		0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xc1, 0xca, 0, 0, 1, 0, 0, 0, 12, 0x10, 0,
		0};
	static const char page[] = "<!DOCTYPE html><html></html>";
	uint8_t boot[64] = "ANDROID!";

	boot[8] = boot[9] = boot[36 + 1] = 0x10; /* a kernel of 4 KiB, pages of 4 KiB */
	good_members();
	member("vendor.img", cut, sizeof cut);
	package_refused("chunk 1 needs 4108 bytes");
	member("vendor.img", page, sizeof page - 1);
	package_refused("vendor.img is a web page (HTML)");
	member("vendor.img", boot, sizeof boot);
	package_refused("is it cut off?");
	member("vendor.img", "", 0);
	package_refused("is empty");
}
END_TEST

#define ROOM(name, size)                                                                \
	{"getvar:has-slot:" name, {"OKAYno"}}, {"getvar:is-logical:" name, {"OKAYno"}}, \
	{                                                                               \
		"getvar:partition-size:" name,                                          \
		{                                                                       \
			size                                                            \
		}                                                                       \
	}

static int check_package(const struct fake_line *script)
{
	static const struct fastboot_all_opts o = {.partial = true};
	_cleanup_(archive_closep) struct archive *a = NULL;
	struct fastboot_package p;

	good_members();
	ck_assert_msg(open_package(&a, &p) == 0, "%s", e.msg);
	open_with(script);

	int r = fastboot_package_check(f, &p, &o, &soon, &e);

	ck_assert_uint_eq(pipe_.sent_n, 0);
	fastboot_package_done(&p);
	done();
	return r;
}

START_TEST(every_partition_is_known_and_large_enough_before_the_first_is_written)
{
	static const struct fake_line good[] = {{"getvar:version", {"OKAY0.4"}},
		{"getvar:product", {"OKAYx"}}, {"getvar:product", {"OKAYx"}},
		ROOM("dtbo", "OKAY0x8"), ROOM("system", "OKAY0x1000"),
		ROOM("vendor", "FAILUnknown variable"), {0}};
	static const struct fake_line small[] = {{"getvar:version", {"OKAY0.4"}},
		{"getvar:product", {"OKAYx"}}, {"getvar:product", {"OKAYx"}},
		ROOM("dtbo", "OKAY0x8"), ROOM("system", "OKAY0x1000"), ROOM("vendor", "OKAY0x7"),
		{0}};
	static const struct fake_line unknown[] = {{"getvar:version", {"OKAY0.4"}},
		{"getvar:product", {"OKAYx"}}, {"getvar:product", {"OKAYx"}},
		ROOM("dtbo", "OKAY0x8"), ROOM("system", "FAILno such partition"),
		{"getvar:partition-type:system", {"FAILno such partition"}}, {0}};

	ck_assert_msg(check_package(good) == 0, "%s", e.msg);
	ck_assert_int_eq(check_package(small), -ERR_IMAGE_RANGE);
	says("vendor.img makes 8 bytes, partition vendor has 7: nothing was written");
	ck_assert_int_eq(check_package(unknown), -ERR_NOT_FOUND);
	says("'system' (it says: no such partition)");
}
END_TEST

START_TEST(a_member_that_changed_after_it_was_checked_is_not_sent)
{
	static const struct fastboot_all_opts o = {.partial = true, .verify = FASTBOOT_VERIFY_NONE};
	static const struct fastboot_all_hooks h = {0};
	static const struct fake_line script[] = {
		{"getvar:version", {"OKAY0.4"}}, {"getvar:snapshot-update-status", {"FAIL"}}, {0}};
	_cleanup_(archive_closep) struct archive *a = NULL;
	struct fastboot_package p;

	good_members();
	ck_assert_int_eq(open_package(&a, &p), 0);
	member("dtbo.img", "otherwise", 9);
	open_with(script);
	ck_assert_int_eq(fastboot_package_run(f, &p, &o, &h, &soon, &e), -ERR_IMAGE_INVALID);
	says("dtbo.img is another file than the one that was checked");
	fastboot_package_done(&p);
	done();
}
END_TEST

static Suite *fastboot_flash_suite(void)
{
	Suite *s = suite_create("fastboot_flash");
	TCase *t = tcase_create("fastboot_flash");

	tcase_add_checked_fixture(t, make_dir, drop_dir);
	tcase_add_test(t, words_of_a_missing_partition_differ_from_those_of_an_unknown_question);
	tcase_add_test(t, an_unknown_partition_is_said_before_a_byte_moves);
	tcase_add_test(t, a_device_without_the_variable_is_flashed_as_ever);
	tcase_add_test(t, names_of_the_bootloader_s_own_are_sent);
	tcase_add_test(t, a_flash_that_is_refused_for_its_name_has_damaged_nothing);
	tcase_add_test(t, every_member_is_looked_at_before_the_device_is);
	tcase_add_test(t, every_partition_is_known_and_large_enough_before_the_first_is_written);
	tcase_add_test(t, a_member_that_changed_after_it_was_checked_is_not_sent);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(fastboot_flash_suite)
