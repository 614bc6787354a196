/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/transports/image_check.h"

#define EOF_RECORD ":00000001FF\n"

static struct image *accepted_text(const char *s)
{
	return accepted(s, strlen(s));
}

START_TEST(every_way_to_break_a_file_is_told_with_its_line)
{
	static const struct bad_text bad[] = {
		{":0400000000000000FC\n", "line 1: the file ends without an end record"},
		{":0400000000000000FC\n:00000001F", "line 2: an odd number of digits"},
		{":0400000000000000FC\n:000000",
			"line 2: the record says 0 data bytes, and has -2"},
		{":0400000000000000FD\n" EOF_RECORD, "line 1: checksum 0xfd, 0xfc expected"},
		{EOF_RECORD "\n\n:0400000000000000FC\n", "line 4: something stands behind the end"},
		{EOF_RECORD EOF_RECORD, "line 2: something stands behind the end"},
		{":0400000000000000FC\n:00000006FA\n" EOF_RECORD,
			"line 2: unknown record type 0x06"},
		{":0400000000G00000FC\n" EOF_RECORD, "line 1: column 12: a hexadecimal digit"},
		{"\n:00000001FF00\n", "line 2: the record says 0 data bytes, and has 1"},
		{":0100000400FB\n" EOF_RECORD, "a record of type 04 has 2 data bytes, not 1"},
		{":0100000100FE\n", "a record of type 01 has 0 data bytes"},
		{" :0400000000000000FC\n" EOF_RECORD, "line 1: a record begins with ':'"},
		{":0400000000000000FC\nhello\n" EOF_RECORD, "line 2: a record begins with ':'"},
		{EOF_RECORD, "holds no data"},
		{":04000003000000FFFA\n" EOF_RECORD, "holds no data"},
		{":020000021000EC\n:02FFFF00000000\n:00000001FF\n", "past the segment's 64 KiB"},
	};

	refused_texts(bad, ARRAY_LEN(bad));
}
END_TEST

START_TEST(a_line_without_end_is_refused)
{
	char text[2000];

	memset(text, '0', sizeof text);
	text[0] = ':';
	refused(text, sizeof text, ERR_IMAGE_INVALID,
		"line 1: a record of 1999 digits is too long");
}
END_TEST

START_TEST(utf_16_is_refused_by_name)
{
	static const char text[] = "\xfe\xff\0:\0000\0000\0000\0000\0000\0000\0000\0001\0F\0F\0\n";

	refused(text, sizeof text - 1, ERR_IMAGE_INVALID, "UTF-16");
}
END_TEST

START_TEST(line_ends_case_marks_and_blanks_are_tolerated)
{
	static const char *const same[] = {
		":0400100001020304E2\n:00000001FF\n",
		":0400100001020304E2\r:00000001FF\r",
		":0400100001020304E2\r\n\r\n:00000001ff",
		"\r\n:0400100001020304e2 \t\r\n:00000001FF  \r\n \x1a",
		"\xef\xbb\xbf:0400100001020304E2\n:00000001FF\n\n\n",
		":020012000304E5\n:020010000102EB\n:00000001FF\n",
	};
	struct image *first = accepted_text(same[0]);

	for (size_t k = 1; k < ARRAY_LEN(same); k++) {
		struct image *i = accepted_text(same[k]);

		ck_assert_str_eq(i->payload, first->payload);
		ck_assert_uint_eq(i->count, 1);
		image_unref(i);
	}
	image_unref(first);
}
END_TEST

START_TEST(bases_move_what_follows_them)
{
	_cleanup_(image_unrefp) struct image *i = accepted_text(":01000000AA55\n"
								":020000040800F2\n:01000000BB44\n"
								":020000021000EC\n:01000000CC33\n"
								":00000001FF\n");

	ck_assert_uint_eq(i->count, 3);
	ck_assert_uint_eq(i->segments[0].address, 0);
	ck_assert_uint_eq(i->segments[1].address, 0x10000);
	ck_assert_uint_eq(i->segments[1].data[0], 0xcc);
	ck_assert_uint_eq(i->segments[2].address, 0x08000000);
	ck_assert_uint_eq(i->segments[2].data[0], 0xbb);
}
END_TEST

START_TEST(a_linear_record_carries_on_beyond_64_KiB_and_not_beyond_4_GiB)
{
	static const char wraps[] = ":02000004FFFFFC\n:02FFFF00AABB9B\n:00000001FF\n";
	struct image *i = accepted_text(":02FFFF00AABB9B\n:00000001FF\n");

	ck_assert_uint_eq(i->segments[0].address, 0xffff);
	ck_assert_uint_eq(i->segments[0].len, 2);
	image_unref(i);
	refused(wraps, sizeof wraps - 1, ERR_IMAGE_RANGE, "line 2: 2 bytes at 0xffffffff");
}
END_TEST

START_TEST(start_records_are_the_entry_point)
{
	struct image *i = accepted_text(":01000000AA55\n:040000050001CCD951\n:00000001FF\n");

	ck_assert(i->has_entry);
	ck_assert_uint_eq(i->entry, 0x1ccd9);
	image_unref(i);
	i = accepted_text(":01000000AA55\n:0400000300007E007B\n:00000001FF\n");
	ck_assert_uint_eq(i->entry, 0x7e00);
	image_unref(i);
	i = accepted_text(":01000000AA55\n:00000001FF\n");
	ck_assert(!i->has_entry);
	image_unref(i);
}
END_TEST

START_TEST(what_comes_twice_alike_is_noted_and_what_differs_is_refused)
{
	static const char differs[] = ":0400100001020304E2\n:0200120003FFEA\n:00000001FF\n";
	struct image *i = accepted_text(":0400100001020304E2\n:020012000304E5\n:00000001FF\n");

	ck_assert_uint_eq(i->bytes, 4);
	ck_assert_msg(
		i->notes == 1 && strstr(i->note[0], "0x00000012 comes twice"), "%s", i->note[0]);
	image_unref(i);
	refused(differs, sizeof differs - 1, ERR_IMAGE_INVALID,
		"line 2: the byte for 0x00000013 is there already, another one");
}
END_TEST

static Suite *ihex_suite(void)
{
	Suite *s = suite_create("ihex");
	TCase *t = tcase_create("ihex");

	tcase_add_test(t, every_way_to_break_a_file_is_told_with_its_line);
	tcase_add_test(t, a_line_without_end_is_refused);
	tcase_add_test(t, utf_16_is_refused_by_name);
	tcase_add_test(t, line_ends_case_marks_and_blanks_are_tolerated);
	tcase_add_test(t, bases_move_what_follows_them);
	tcase_add_test(t, a_linear_record_carries_on_beyond_64_KiB_and_not_beyond_4_GiB);
	tcase_add_test(t, start_records_are_the_entry_point);
	tcase_add_test(t, what_comes_twice_alike_is_noted_and_what_differs_is_refused);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(ihex_suite)
