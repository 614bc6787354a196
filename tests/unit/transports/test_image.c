/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/image.h"

#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/transports/image_files.h"
#include "tests/unit/unit.h"

static char path[] = "/tmp/test_image.XXXXXX";
static struct err e;

static void make_file(void)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void drop_file(void)
{
	unlink(path);
}

static int open_of(const void *bytes, size_t n, uint64_t address, struct image **ret)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
	close(fd);
	return image_open(path, &IMAGE_OPTS(address), ret, &e);
}

START_TEST(a_raw_binary_is_one_segment_at_its_address)
{
	_cleanup_(image_unrefp) struct image *i = NULL;

	ck_assert_int_eq(open_of("\x01\x02\x03", 3, 0x08010000, &i), 0);
	ck_assert_uint_eq(i->count, 1);
	ck_assert_uint_eq(i->segments[0].address, 0x08010000);
	ck_assert_uint_eq(i->segments[0].len, 3);
	ck_assert_mem_eq(i->segments[0].data, "\x01\x02\x03", 3);
	ck_assert_int_eq(i->format, IMAGE_BIN);
	ck_assert(!i->placed);
	ck_assert_str_eq(
		i->sha256, "039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81");
	/* sha256 of 00000108 00000000, 03000000 00000000, 010203 */
	ck_assert_str_eq(
		i->payload, "97581c412546769097b23271ac1faebc434fe26671a3ee4d2d8459a66cf08636");
}
END_TEST

START_TEST(a_file_that_changes_later_changes_nothing_that_is_flashed)
{
	_cleanup_(image_unrefp) struct image *i = NULL;

	ck_assert_int_eq(open_of("good", 4, 0, &i), 0);
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert_mem_eq(i->segments[0].data, "good", 4);

	struct image *other = image_ref(i);

	ck_assert_ptr_null(image_unref(other));
	ck_assert_mem_eq(i->segments[0].data, "good", 4);
}
END_TEST

START_TEST(flaw_15_a_text_or_container_file_is_not_flashed_as_it_is)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *says;
		enum image_format is;
	} files[] = {
		{":020000040800F2\r\n:00000001FF\r\n", 30, "Intel HEX", IMAGE_IHEX},
		{"\r\n:00000001FF\n", 14, "Intel HEX", IMAGE_IHEX},
		{"made by hand\n:00000001FF\n", 25, "Intel HEX", IMAGE_IHEX},
		{"\xef\xbb\xbf:00000001FF\n", 15, "Intel HEX", IMAGE_IHEX},
		{"\xff\xfe:\0000\0000\0000\0000\0000\0000\0000\0001\0F\0F\0", 24, "Intel HEX",
			IMAGE_IHEX},
		{"S00600004844521B\nS9030000FC\n", 28, "S-record", IMAGE_SREC},
		{"\177ELF\1\1\1\0", 8, "ELF", IMAGE_ELF},
		{"UF2\nWQ]\x9e", 8, "UF2", IMAGE_UF2},
		{"DfuSe\1", 6, "DFU", IMAGE_DFU},
		{"abcdefgh\0\1UFD\x10\1\2\3\4", 18, "DFU", IMAGE_DFU},
		{"\x3a\xff\x26\xed\1\0\0\0", 8, "sparse", IMAGE_SPARSE},
		{"PK\3\4zzzz", 8, "zip", IMAGE_ZIP},
		{"ANDROID!zzzz", 12, "boot image", IMAGE_BOOTIMG},
		{"VNDRBOOTzzzz", 12, "boot image", IMAGE_BOOTIMG},
		{"@F000\n31 40\nq\n", 14, "TI-TXT", IMAGE_TITXT},
		{"s1040010AA41\ns9030000FC\n", 25, "S-record", IMAGE_SREC},
	};
	const struct image_opts o = {.address = 0, .format = IMAGE_BIN};

	for (size_t k = 0; k < ARRAY_LEN(files); k++) {
		struct image *i = NULL;

		ck_assert_int_eq(image_detect(files[k].bytes, files[k].n), files[k].is);
		ck_assert_int_lt(open_of(files[k].bytes, files[k].n, 0, &i), 0);
		ck_assert_ptr_null(i);

		int r = image_parse("a.bin", files[k].bytes, files[k].n, &o, &i, &e);

		/* A format with addresses is never a raw binary; of the others the recipe says. */
		if (image_format_is_firmware(files[k].is)) {
			ck_assert_int_lt(r, 0);
			ck_assert_msg(strstr(e.msg, files[k].says), "%s", e.msg);
		} else {
			ck_assert_msg(r == 0 && i->declared == IMAGE_BIN, "%s", e.msg);
			ck_assert_uint_eq(i->bytes, files[k].n);
			i = image_unref(i);
		}
	}
}
END_TEST

/* As HackRF publishes its files: a header was put before what had its suffix already. */
START_TEST(a_wrong_dfu_suffix_is_sent_where_a_device_takes_files_and_the_recipe_says_so)
{
	static const char bytes[] = "abcdefgh\0\1UFD\x10\1\2\3\4";
	static const char records[] = ":00000001FF\n\xff\xff\0\0\0\0\0\1UFD\x10\1\2\3\4";
	struct image_opts o = {.address = 0, .format = IMAGE_BIN, .as_is = true};
	struct image *i = NULL;

	ck_assert_msg(image_parse("a.dfu", bytes, 18, &o, &i, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(i->bytes, 18);
	ck_assert_uint_eq(i->notes, 1);
	ck_assert_ptr_nonnull(strstr(i->note[0], "suffix is wrong"));
	i = image_unref(i);
	/* What has addresses is never raw, and nothing is sent so that nobody declared. */
	ck_assert_int_lt(image_parse("a.dfu", records, 28, &o, &i, &e), 0);
	o.format = IMAGE_ANY;
	ck_assert_int_lt(image_parse("a.dfu", bytes, 18, &o, &i, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.msg, "checksum is wrong"));
}
END_TEST

START_TEST(bytes_that_only_begin_like_a_format_stay_a_raw_binary)
{
	_cleanup_(image_unrefp) struct image *i = NULL;
	_cleanup_(image_unrefp) struct image *other = NULL;
	static const uint8_t binary[] = "\x01\n:00000001FF\n";

	ck_assert_int_eq(open_of(":0200zz", 6, 0, &i), 0);
	ck_assert_int_eq(open_of(binary, sizeof binary, 0, &other), 0);
}
END_TEST

START_TEST(flaw_13_an_image_that_does_not_fit_is_refused)
{
	struct image *i = NULL;

	ck_assert_int_eq(open_of("", 0, 0, &i), -ERR_IMAGE_INVALID);
	ck_assert_int_eq(open_of("1234", 4, 0xfffffffd, &i), -ERR_IMAGE_RANGE);
	ck_assert_int_eq(open_of("1234", 4, 1ull << 32, &i), -ERR_IMAGE_RANGE);
	ck_assert_int_eq(open_of("1234", 4, IMAGE_NO_ADDRESS, &i), -ERR_INVALID);
	ck_assert_int_eq(truncate(path, (off_t)IMAGE_MAX_BYTES + 1), 0);
	ck_assert_int_eq(image_open(path, &IMAGE_OPTS(0), &i, &e), -ERR_IMAGE_INVALID);
	ck_assert_int_eq(image_open("/nonexistent/a.bin", &IMAGE_OPTS(0), &i, &e), -ERR_NOT_FOUND);
	ck_assert_int_eq(image_open("/tmp", &IMAGE_OPTS(0), &i, &e), -ERR_IMAGE_INVALID);
	ck_assert_int_eq(open_of("1234", 4, 0xfffffffc, &i), 0);
	image_unref(i);
}
END_TEST

static const char hex[] = ":0400100001020304E2\n:00000001FF\n";

START_TEST(an_address_is_refused_where_the_file_has_its_own_and_a_default_gives_way)
{
	struct image_opts o = IMAGE_OPTS(0x1000);
	struct image *i = NULL;

	ck_assert_int_eq(image_parse("a.hex", hex, sizeof hex - 1, &o, &i, &e), -ERR_INVALID);
	ck_assert_msg(strstr(e.msg, "leave the address"), "%s", e.msg);
	o.address_is_default = true;
	ck_assert_int_eq(image_parse("a.hex", hex, sizeof hex - 1, &o, &i, &e), 0);
	ck_assert_uint_eq(i->segments[0].address, 0x10);
	ck_assert(i->placed);
	i = image_unref(i);
	ck_assert_int_eq(image_parse("a.bin", "1234", 4, &o, &i, &e), 0);
	ck_assert_uint_eq(i->segments[0].address, 0x1000);
	image_unref(i);
}
END_TEST

START_TEST(another_format_than_the_recipe_says_is_refused)
{
	struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);
	struct image *i = NULL;

	o.format = IMAGE_ELF;
	ck_assert_int_eq(image_parse("a", hex, sizeof hex - 1, &o, &i, &e), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "is an Intel HEX file, not an ELF file"), "%s", e.msg);
	for (int f = 0; f <= IMAGE_ANY; f++)
		ck_assert_int_eq(image_format_from_str(image_format_str(f)), f);
	ck_assert_int_eq(image_format_from_str("hex"), -1);
}
END_TEST

START_TEST(an_inspected_file_needs_no_target)
{
	_cleanup_(image_unrefp) struct image *i = NULL;

	ck_assert_int_eq(image_parse("a.bin", "1234", 4, &IMAGE_OPTS_INSPECT, &i, &e), 0);
	ck_assert_uint_eq(i->segments[0].address, 0);
	ck_assert(!i->placed);
}
END_TEST

/* 0x10..0x13 and 0x20..0x21 */
static struct image *two_parts(void)
{
	static const struct part p[] = {
		{0x20, (const uint8_t *)"yz", 2}, {0x10, (const uint8_t *)"abcd", 4}};
	struct strbuf b = {0};
	struct image *i = NULL;

	write_ihex(&b, p, 2, 3);
	ck_assert_int_eq(image_parse("two.hex", b.s, b.len, &IMAGE_OPTS_INSPECT, &i, &e), 0);
	ck_assert_uint_eq(i->count, 2);
	sb_done(&b);
	return i;
}

START_TEST(pages_are_filled_with_what_the_image_holds_of_them)
{
	_cleanup_(image_unrefp) struct image *i = two_parts();
	char page[33];

	memset(page, '.', 32);
	page[32] = 0;
	ck_assert_uint_eq(image_read(i, 0, 8, page, 32), 6);
	ck_assert_str_eq(page, "........abcd............yz......");
	memset(page, '.', 32);
	ck_assert_uint_eq(image_read(i, 0, 0x12, page, 1), 1);
	ck_assert_str_eq(page, "c...............................");
	ck_assert_uint_eq(image_read(i, 0, 0x14, page, 12), 0);
	ck_assert_uint_eq(image_read(i, 1, 0x10, page, 32), 0);
}
END_TEST

START_TEST(the_next_byte_is_found_across_gaps)
{
	_cleanup_(image_unrefp) struct image *i = two_parts();
	uint64_t at = 0;

	ck_assert(image_next(i, 0, 0, &at));
	ck_assert_uint_eq(at, 0x10);
	ck_assert(image_next(i, 0, 0x13, &at));
	ck_assert_uint_eq(at, 0x13);
	ck_assert(image_next(i, 0, 0x14, &at));
	ck_assert_uint_eq(at, 0x20);
	ck_assert(!image_next(i, 0, 0x22, &at));
	ck_assert(!image_next(i, 1, 0, &at));
}
END_TEST

START_TEST(the_first_byte_outside_of_a_range_is_named)
{
	_cleanup_(image_unrefp) struct image *i = two_parts();

	ck_assert_int_eq(image_check_range(i, 0x10, 0x12, &e), 0);
	ck_assert_int_eq(image_check_range(i, 0, 1ull << 32, &e), 0);
	ck_assert_int_eq(image_check_range(i, 0x10, 0x11, &e), -ERR_IMAGE_RANGE);
	ck_assert_msg(strstr(e.msg, "0x00000021 lies outside"), "%s", e.msg);
	ck_assert_int_eq(image_check_range(i, 0x12, 0x100, &e), -ERR_IMAGE_RANGE);
	ck_assert_msg(strstr(e.msg, "0x00000010 lies outside"), "%s", e.msg);
}
END_TEST

START_TEST(what_is_odd_is_a_note)
{
	static uint8_t mostly[2 << 20];
	/* SP 0x20001000, reset 0x080001c1 */
	static const uint8_t vectors[16] = {0, 0x10, 0, 0x20, 0xc1, 1, 0, 8};
	struct image *i = NULL;

	ck_assert_int_eq(image_parse("a", vectors, 16, &IMAGE_OPTS(0x08010000), &i, &e), 0);
	ck_assert_uint_eq(i->notes, 1);
	ck_assert_msg(strstr(i->note[0], "reset vector"), "%s", i->note[0]);
	i = image_unref(i);
	mostly[0] = mostly[sizeof mostly - 1] = 1;
	ck_assert_int_eq(image_parse("a", mostly, sizeof mostly, &IMAGE_OPTS(0), &i, &e), 0);
	ck_assert_msg(i->notes == 1 && strstr(i->note[0], "one run"), "%s", i->note[0]);
	i = image_unref(i);
	ck_assert_int_eq(image_parse("a", "\xff\xff\xff", 3, &IMAGE_OPTS(0), &i, &e), 0);
	ck_assert_msg(i->notes == 1 && strstr(i->note[0], "every byte"), "%s", i->note[0]);
	image_unref(i);
}
END_TEST

START_TEST(a_gap_of_256_MiB_is_a_note_and_no_error)
{
	static const struct part p[] = {
		{0, (const uint8_t *)"code", 4}, {0x100010c0, (const uint8_t *)"uicr", 4}};
	struct strbuf b = {0};
	struct image *i = NULL;

	write_ihex(&b, p, 2, 16);
	ck_assert_int_eq(image_parse("a", b.s, b.len, &IMAGE_OPTS_INSPECT, &i, &e), 0);
	ck_assert_uint_eq(i->count, 2);
	ck_assert_uint_eq(i->bytes, 8);
	ck_assert_msg(i->notes == 1 && strstr(i->note[0], "256 MiB"), "%s", i->note[0]);
	image_unref(i);
	sb_done(&b);
}
END_TEST

START_TEST(oddities_without_number_take_no_more_room_than_there_is)
{
	struct strbuf b = {0};
	_cleanup_(image_unrefp) struct image *i = NULL;

	for (int k = 0; k < 20; k++)
		ihex_record(&b, 0, 0, NULL, 0);
	write_ihex(&b, &(struct part){0, (const uint8_t *)"x", 1}, 1, 16);
	ck_assert_int_eq(image_parse("a", b.s, b.len, &IMAGE_OPTS_INSPECT, &i, &e), 0);
	ck_assert_uint_eq(i->notes, IMAGE_NOTES_MAX);
	ck_assert_str_eq(i->note[IMAGE_NOTES_MAX - 1], "and more that is odd");
	sb_done(&b);
}
END_TEST

static Suite *image_suite(void)
{
	Suite *s = suite_create("image");
	TCase *t = tcase_create("image");

	tcase_add_checked_fixture(t, make_file, drop_file);
	tcase_add_test(t, a_raw_binary_is_one_segment_at_its_address);
	tcase_add_test(t, a_file_that_changes_later_changes_nothing_that_is_flashed);
	tcase_add_test(t, flaw_15_a_text_or_container_file_is_not_flashed_as_it_is);
	tcase_add_test(
		t, a_wrong_dfu_suffix_is_sent_where_a_device_takes_files_and_the_recipe_says_so);
	tcase_add_test(t, bytes_that_only_begin_like_a_format_stay_a_raw_binary);
	tcase_add_test(t, flaw_13_an_image_that_does_not_fit_is_refused);
	tcase_add_test(t, an_address_is_refused_where_the_file_has_its_own_and_a_default_gives_way);
	tcase_add_test(t, another_format_than_the_recipe_says_is_refused);
	tcase_add_test(t, an_inspected_file_needs_no_target);
	tcase_add_test(t, pages_are_filled_with_what_the_image_holds_of_them);
	tcase_add_test(t, the_next_byte_is_found_across_gaps);
	tcase_add_test(t, the_first_byte_outside_of_a_range_is_named);
	tcase_add_test(t, what_is_odd_is_a_note);
	tcase_add_test(t, a_gap_of_256_MiB_is_a_note_and_no_error);
	tcase_add_test(t, oddities_without_number_take_no_more_room_than_there_is);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(image_suite)
