/* SPDX-License-Identifier: Apache-2.0
 *
 * Archives are made by Python's zipfile, not by the library that reads them.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "transports/images/archive.h"

static char dir[64];
static struct err e;
static const struct iotime soon = {UINT64_MAX - 1, NULL};

static const char maker[] = "import sys, zipfile\n"
			    "z = zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED)\n"
			    "z.writestr('boot.img', b'boot' * 5000)\n"
			    "z.writestr('info.txt', b'text')\n"
			    "z.writestr('sub/inner.img', b'x')\n"
			    "z.writestr('../out.img', b'x')\n"
			    "z.writestr('empty.img', b'')\n"
			    "z.close()\n";

static void set_up(void)
{
	char command[2048];

	strcpy(dir, "/tmp/test_archive.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(command, sizeof command, "/usr/bin/python3 -W ignore -c \"%s\" %s/a.zip", maker,
		dir);
	ck_assert_int_eq(system(command), 0);
	snprintf(command, sizeof command, "cd %s && mkdir d && printf hello > d/boot.img", dir);
	ck_assert_int_eq(system(command), 0);
}

static void tear_down(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static struct blob *zip_blob(const char *name)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);
	struct blob *b = NULL;

	ck_assert_msg(blob_open(path, BLOB_COPIED, &b, &e) == 0, "%s", e.msg);
	return b;
}

static void make_zip(const char *name, const char *script)
{
	char command[1024];

	snprintf(command, sizeof command, "/usr/bin/python3 -W ignore -c \"%s\" %s/%s", script, dir,
		name);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(a_package_is_whole_only_with_the_members_that_nobody_asked_for)
{
	struct archive *a = NULL;
	struct blob *zip, *b = NULL;

	make_zip("torn.zip",
		"import sys, zipfile\n"
		"z = zipfile.ZipFile(sys.argv[1], 'w')\n"
		"z.writestr('boot.img', b'boot')\n"
		"z.writestr('unused.img', b'unused')\n"
		"z.close()\n"
		"d = open(sys.argv[1], 'rb').read()\n"
		"open(sys.argv[1], 'wb').write(d.replace(b'gunused', b'gunuseD', 1))\n");
	zip = zip_blob("torn.zip");
	ck_assert_msg(archive_open_zip(zip, &a, &e) == 0, "%s", e.msg);
	ck_assert_msg(archive_get(a, "boot.img", 100, &soon, &b, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(archive_check(a, &soon, &e), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "unused.img is damaged"), "%s", e.msg);
	blob_unref(b);
	archive_close(a);
	blob_unref(zip);
}
END_TEST

START_TEST(two_members_of_one_name_are_refused)
{
	struct archive *a = NULL;
	struct blob *zip;

	make_zip("twice.zip", "import sys, zipfile\n"
			      "z = zipfile.ZipFile(sys.argv[1], 'w')\n"
			      "z.writestr('boot.img', b'good')\n"
			      "z.writestr('boot.img', b'evil')\n"
			      "z.close()\n");
	zip = zip_blob("twice.zip");
	ck_assert_int_eq(archive_open_zip(zip, &a, &e), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "twice.zip: File already exists"), "%s", e.msg);
	blob_unref(zip);
}
END_TEST

/* As Finder makes it of a folder. */
START_TEST(what_macos_adds_is_no_other_folder)
{
	struct archive *a = NULL;
	struct blob *zip;

	make_zip("mac.zip", "import sys, zipfile\n"
			    "z = zipfile.ZipFile(sys.argv[1], 'w')\n"
			    "z.writestr('__MACOSX/._fw', b'attributes')\n"
			    "z.writestr('fw/boot.img', b'boot')\n"
			    "z.writestr('__MACOSX/fw/._boot.img', b'attributes')\n"
			    "z.close()\n");
	zip = zip_blob("mac.zip");
	ck_assert_msg(archive_open_zip(zip, &a, &e) == 0, "%s", e.msg);
	archive_enter(a);
	ck_assert(archive_has(a, "boot.img", NULL));
	archive_close(a);
	blob_unref(zip);
	make_zip("two.zip", "import sys, zipfile\n"
			    "z = zipfile.ZipFile(sys.argv[1], 'w')\n"
			    "z.writestr('fw/boot.img', b'boot')\n"
			    "z.writestr('other/boot.img', b'boot')\n"
			    "z.close()\n");
	zip = zip_blob("two.zip");
	ck_assert_msg(archive_open_zip(zip, &a, &e) == 0, "%s", e.msg);
	archive_enter(a);
	ck_assert(!archive_has(a, "boot.img", NULL));
	archive_close(a);
	blob_unref(zip);
}
END_TEST

START_TEST(members_of_a_zip_come_whole_and_outlive_it)
{
	struct blob *zip = zip_blob("a.zip"), *b = NULL;
	struct archive *a = NULL;
	uint64_t n = 0;

	ck_assert_msg(archive_open_zip(zip, &a, &e) == 0, "%s", e.msg);
	blob_unref(zip);
	ck_assert(archive_has(a, "boot.img", &n));
	ck_assert_uint_eq(n, 20000);
	ck_assert(!archive_has(a, "nope.img", NULL));
	ck_assert_int_eq(archive_get(a, "boot.img", 20000, &soon, &b, &e), 0);
	archive_close(a);
	ck_assert_uint_eq(b->size, 20000);
	for (size_t i = 0; i < b->size; i += 4)
		ck_assert_mem_eq(b->data + i, "boot", 4);
	ck_assert_ptr_nonnull(strstr(b->path, "a.zip/boot.img"));
	blob_unref(b);
}
END_TEST

START_TEST(no_name_leads_out_of_a_package)
{
	static const char *const names[] = {
		"../out.img", "sub/inner.img", "/etc/passwd", "..", ".", "", ".hidden", "a\\b"};
	struct blob *zip = zip_blob("a.zip"), *b = NULL;
	struct archive *a[2];
	_cleanup_(freep) char *path = xasprintf("%s/d", dir);

	ck_assert_int_eq(archive_open_zip(zip, &a[0], &e), 0);
	ck_assert_int_eq(archive_open_dir(path, &a[1], &e), 0);
	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; i < ARRAY_LEN(names); i++) {
			ck_assert(!archive_has(a[k], names[i], NULL));
			ck_assert_int_eq(
				archive_get(a[k], names[i], 100, &soon, &b, &e), -ERR_INVALID);
		}
		archive_close(a[k]);
	}
	blob_unref(zip);
}
END_TEST

START_TEST(limits_and_missing_members_are_told)
{
	struct blob *zip = zip_blob("a.zip"), *b = NULL;
	struct archive *a = NULL;

	ck_assert_int_eq(archive_open_zip(zip, &a, &e), 0);
	ck_assert_int_eq(archive_get(a, "boot.img", 19999, &soon, &b, &e), -ERR_TOO_LARGE);
	ck_assert_int_eq(archive_get(a, "nope.img", 10, &soon, &b, &e), -ERR_NOT_FOUND);
	ck_assert_int_eq(archive_get(a, "empty.img", 10, &soon, &b, &e), -ERR_IMAGE_INVALID);
	archive_close(a);
	blob_unref(zip);
}
END_TEST

START_TEST(a_directory_is_the_same)
{
	_cleanup_(freep) char *path = xasprintf("%s/d", dir);
	_cleanup_(freep) char *file = xasprintf("%s/a.zip", dir);
	struct archive *a = NULL;
	struct blob *b = NULL;

	ck_assert_int_eq(archive_open_dir(path, &a, &e), 0);
	ck_assert_int_eq(archive_get(a, "boot.img", 100, &soon, &b, &e), 0);
	ck_assert_mem_eq(b->data, "hello", 5);
	blob_unref(b);
	ck_assert_int_eq(archive_get(a, "boot.img", 4, &soon, &b, &e), -ERR_TOO_LARGE);
	archive_close(a);
	ck_assert_int_eq(archive_open_dir(file, &a, &e), -ERR_INVALID);
	ck_assert_int_eq(archive_open_dir("/nonexistent", &a, &e), -ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_damaged_zip_is_refused_at_each_byte_or_gives_the_right_bytes)
{
	struct blob *zip = zip_blob("a.zip");

	for (size_t at = 0; at < zip->size; at++) {
		struct blob *bad = NULL, *b = NULL;
		struct archive *a = NULL;
		uint8_t *bytes;

		ck_assert_int_eq(blob_new("bad.zip", zip->size, &bytes, &bad, &e), 0);
		memcpy(bytes, zip->data, zip->size);
		bytes[at] ^= 0x55;
		blob_seal(bad);
		if (archive_open_zip(bad, &a, &e) == 0 &&
			archive_get(a, "boot.img", 1 << 20, &soon, &b, &e) == 0) {
			ck_assert_uint_eq(b->size, 20000);
			ck_assert_mem_eq(b->data + 19996, "boot", 4);
		}
		blob_unref(b);
		archive_close(a);
		blob_unref(bad);
	}
	blob_unref(zip);
}
END_TEST

static Suite *archive_suite(void)
{
	Suite *s = suite_create("archive");
	TCase *t = tcase_create("archive");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_package_is_whole_only_with_the_members_that_nobody_asked_for);
	tcase_add_test(t, two_members_of_one_name_are_refused);
	tcase_add_test(t, what_macos_adds_is_no_other_folder);
	tcase_add_test(t, members_of_a_zip_come_whole_and_outlive_it);
	tcase_add_test(t, no_name_leads_out_of_a_package);
	tcase_add_test(t, limits_and_missing_members_are_told);
	tcase_add_test(t, a_directory_is_the_same);
	tcase_add_test(t, a_damaged_zip_is_refused_at_each_byte_or_gives_the_right_bytes);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(archive_suite)
