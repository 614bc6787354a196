/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "transports/images/bootimg.h"

static uint8_t file[65536];
static struct err e;

static void header(
	uint32_t kernel, uint32_t ramdisk, uint32_t second, uint32_t page, uint32_t version)
{
	struct wbytes b = wbytes_of(file, sizeof file);

	memset(file, 0, sizeof file);
	wb_put(&b, "ANDROID!", 8);
	wb_le32(&b, kernel);
	wb_le32(&b, version < 3 ? 0x10008000 : ramdisk);
	wb_le32(&b, version < 3 ? ramdisk : 0);
	wb_le32(&b, 0);
	wb_le32(&b, second);
	wb_fill(&b, 0, 8);
	wb_le32(&b, page);
	wb_le32(&b, version);
}

START_TEST(what_a_file_is_is_told_by_its_marks)
{
	static const struct {
		const char *bytes;
		size_t n, at;
		enum content content;
	} rows[] = {
		{"ANDROID!", 8, 0, CONTENT_BOOT},
		{"VNDRBOOT", 8, 0, CONTENT_VENDOR_BOOT},
		{"AVB0", 4, 0, CONTENT_VBMETA},
		{"\xd7\xb7\xab\x1e", 4, 0, CONTENT_DTBO},
		{"\x1f\x8b", 2, 0, CONTENT_GZIP},
		{"\x53\xef", 2, 1080, CONTENT_EXT4},
		{"EFI PART", 8, 512, CONTENT_DISK},
		{"PK\x03\x04", 4, 0, CONTENT_ZIP},
		{"nothing", 7, 0, CONTENT_UNKNOWN},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		memset(file, 0, sizeof file);
		memcpy(file + rows[i].at, rows[i].bytes, rows[i].n);
		ck_assert_int_eq(content_detect(file, sizeof file), rows[i].content);
		/* Cut off within its mark it is something else. */
		ck_assert_int_eq(content_detect(file, rows[i].at + rows[i].n - 1), CONTENT_UNKNOWN);
		ck_assert_ptr_nonnull(content_name(rows[i].content));
	}
	ck_assert_int_eq(content_detect(file, 0), CONTENT_UNKNOWN);
}
END_TEST

START_TEST(a_boot_image_names_no_more_than_the_file_holds)
{
	struct bootimg b;

	header(5000, 3000, 0, 2048, 1);
	/* header 2048, kernel 6144, then the ramdisk's own bytes */
	ck_assert_int_eq(bootimg_check("b", file, 2048 + 6144 + 3000, &b, &e), 0);
	ck_assert_uint_eq(b.need_bytes, 2048 + 6144 + 3000);
	ck_assert_int_eq(bootimg_check("b", file, 2048 + 6144 + 2999, &b, &e), -ERR_IMAGE_INVALID);
	ck_assert_ptr_nonnull(strstr(e.msg, "cut off"));
	header(5000, 3000, 0, 0, 4);
	ck_assert_int_eq(bootimg_check("b", file, 4096 + 8192 + 3000, &b, &e), 0);
	ck_assert_uint_eq(b.version, 4);
	ck_assert_int_eq(bootimg_check("b", file, 4096, &b, &e), -ERR_IMAGE_INVALID);
	header(100, 0, 0, 3000, 0);
	ck_assert_int_eq(bootimg_check("b", file, sizeof file, &b, &e), -ERR_IMAGE_INVALID);
	ck_assert_ptr_nonnull(strstr(e.msg, "3000"));
	/* Version 0 may have the size of a device tree there. */
	header(100, 0, 0, 4096, 70000);
	ck_assert_int_eq(bootimg_check("b", file, sizeof file, &b, &e), 0);
	ck_assert_uint_eq(b.version, 0);
	header(UINT32_MAX, UINT32_MAX, UINT32_MAX, 65536, 2);
	ck_assert_int_eq(bootimg_check("b", file, sizeof file, &b, &e), -ERR_IMAGE_INVALID);
}
END_TEST

START_TEST(every_truncation_of_a_header_is_refused)
{
	struct bootimg b;

	header(5000, 3000, 0, 2048, 1);
	for (size_t n = 0; n < 64; n++) {
		uint8_t *copy = malloc(n + 1);

		memcpy(copy, file, n);
		ck_assert_int_eq(bootimg_check("b", copy, n, &b, &e), -ERR_IMAGE_INVALID);
		free(copy);
	}
}
END_TEST

START_TEST(a_footer_is_in_the_last_64_bytes)
{
	memset(file, 0, sizeof file);
	memcpy(file + 1000, "AVBf", 4);
	ck_assert(avb_footer_present(file, 1064));
	ck_assert(!avb_footer_present(file, 1063));
	ck_assert(!avb_footer_present(file, 63));
}
END_TEST

START_TEST(an_odd_file_on_a_partition_is_told_of)
{
	char text[200];

	content_warning("boot", CONTENT_EXT4, text, sizeof text);
	ck_assert_str_eq(
		text, "partition boot gets an ext4 file system, an Android boot image is usual");
	content_warning("boot_a", CONTENT_BOOT, text, sizeof text);
	ck_assert_str_eq(text, "");
	content_warning("bootloader", CONTENT_UNKNOWN, text, sizeof text);
	ck_assert_str_eq(text, "");
	content_warning("system", CONTENT_DISK, text, sizeof text);
	ck_assert_ptr_nonnull(strstr(text, "partition table"));
}
END_TEST

static Suite *bootimg_suite(void)
{
	Suite *s = suite_create("bootimg");
	TCase *t = tcase_create("bootimg");

	tcase_add_test(t, what_a_file_is_is_told_by_its_marks);
	tcase_add_test(t, a_boot_image_names_no_more_than_the_file_holds);
	tcase_add_test(t, every_truncation_of_a_header_is_refused);
	tcase_add_test(t, a_footer_is_in_the_last_64_bytes);
	tcase_add_test(t, an_odd_file_on_a_partition_is_told_of);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(bootimg_suite)
