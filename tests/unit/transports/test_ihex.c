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
		{EOF_RECORD "\n\n:0400000000000000FC\n", "line 4: something comes after the end"},
		{EOF_RECORD EOF_RECORD, "line 2: something comes after the end"},
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

START_TEST(lines_of_comment_are_passed_over_with_a_note)
{
	static const char *const same[] = {
		"; device = MK3\n# second\n:0400100001020304E2\n:00000001FF\n",
		":0400100001020304E2\n;between\n\n#\n:00000001FF\n",
		":0400100001020304E2\n:00000001FF\n;PIC18F45K50\n  \n;CRC=1A2B\n",
	};

	for (size_t k = 0; k < ARRAY_LEN(same); k++) {
		struct image *i = accepted_text(same[k]);

		ck_assert_uint_eq(i->bytes, 4);
		ck_assert_msg(i->notes == 1 && strstr(i->note[0], "2 lines of comment"), "%s",
			i->note[0]);
		image_unref(i);
	}
}
END_TEST

START_TEST(a_record_whose_mark_became_that_of_a_comment_is_not_lost)
{
	static const struct bad_text bad[] = {
		{":01000000AA55\n;0400100001020304E2\n:00000001FF\n",
			"line 2: a whole record after ';'"},
		{":01000000AA55\n#0400100001020304E2\n:00000001FF\n",
			"line 2: a whole record after '#'"},
	};

	refused_texts(bad, ARRAY_LEN(bad));
}
END_TEST

START_TEST(unlike_bytes_for_one_address_are_taken_where_the_recipe_says_so)
{
	struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);
	struct strbuf b = {0};
	struct image *i = NULL;

	ihex_record(&b, 0, 0x10, (const uint8_t *)"\1\2\3\4", 4);
	ihex_record(&b, 0, 0x12, (const uint8_t *)"\3\xff\xaa", 3);
	ihex_record(&b, 0, 0x11, (const uint8_t *)"\x99", 1);
	ihex_record(&b, 0, 0x20, (const uint8_t *)"zz", 2);
	ihex_record(&b, 1, 0, NULL, 0);
	refused(b.s, b.len, ERR_IMAGE_INVALID, "'overlap: last' keeps the later ones");
	o.last_wins = true;
	ck_assert_msg(parse_with(b.s, b.len, &o, &i) == 0, "%s", e.msg);
	ck_assert_uint_eq(i->count, 2);
	ck_assert_uint_eq(i->segments[0].len, 5);
	ck_assert_mem_eq(i->segments[0].data, "\1\x99\3\xff\xaa", 5);
	ck_assert_uint_eq(i->bytes, 7);
	ck_assert_msg(i->notes == 1 && strstr(i->note[0], "as declared"), "%s", i->note[0]);
	image_unref(i);
	sb_done(&b);
}
END_TEST

static void block(struct strbuf *b, uint16_t board, uint8_t data_type, const char *data)
{
	const uint8_t start[] = {(uint8_t)(board >> 8), (uint8_t)board, 0xc0, 0xde};
	static const uint8_t entry[] = {0, 0, 1, 0xc1};

	ihex_record(b, 4, 0, (const uint8_t *)"\0\0", 2);
	ihex_record(b, 10, 0, start, 4);
	ihex_record(b, data_type, 0, (const uint8_t *)data, strlen(data));
	if (board == 0x9903)
		ihex_record(b, 5, 0, entry, 4);
	ihex_record(b, 12, 0, (const uint8_t *)"\xff\xff", 2);
	ihex_record(b, 11, 0, (const uint8_t *)"\xff", 1);
}

START_TEST(of_a_universal_file_the_board_is_chosen)
{
	struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);
	struct strbuf b = {0};
	struct image *i = NULL;

	block(&b, 0x9900, 0, "first");
	block(&b, 0x9903, 13, "second board");
	block(&b, 0x9900, 0, "first");
	ihex_record(&b, 1, 0, NULL, 0);
	refused(b.s, b.len, ERR_INVALID, "for the boards 0x9900, 0x9903: say which ('board')");
	o.hex_board = 0x9903;
	ck_assert_msg(parse_with(b.s, b.len, &o, &i) == 0, "%s", e.msg);
	ck_assert_uint_eq(i->bytes, 12);
	ck_assert_mem_eq(i->segments[0].data, "second board", 12);
	ck_assert(i->has_entry && i->entry == 0x1c1);
	image_unref(i);
	o.hex_board = 0x9900;
	ck_assert_msg(parse_with(b.s, b.len, &o, &i) == 0, "%s", e.msg);
	ck_assert_uint_eq(i->bytes, 5);
	ck_assert(!i->has_entry);
	image_unref(i);
	o.hex_board = 0x9904;
	ck_assert_int_eq(parse_with(b.s, b.len, &o, &i), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "nothing for board 0x9904"), "%s", e.msg);
	sb_done(&b);
}
END_TEST

START_TEST(a_universal_file_for_one_board_needs_no_choice)
{
	struct strbuf b = {0};

	block(&b, 0x9903, 13, "alone");
	ihex_record(&b, 1, 0, NULL, 0);

	_cleanup_(image_unrefp) struct image *i = accepted(b.s, b.len);

	ck_assert_uint_eq(i->bytes, 5);
	ck_assert_msg(strstr(i->note[0], "board 0x9903"), "%s", i->note[0]);
	sb_done(&b);
}
END_TEST

START_TEST(records_of_blocks_without_a_block_are_refused)
{
	static const struct bad_text bad[] = {
		{":0100000DAA48\n:00000001FF\n", "line 1: a record of type 0d belongs to"},
		{":0400000A9900123413\n:00000001FF\n", "line 1: a block of a universal"},
	};
	static const char plain[] = ":01000000AA55\n:00000001FF\n";
	struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);
	struct image *i = NULL;

	refused_texts(bad, ARRAY_LEN(bad));
	o.hex_board = 0x9900;
	ck_assert_int_eq(parse_with(plain, sizeof plain - 1, &o, &i), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "no universal HEX file"), "%s", e.msg);
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
	tcase_add_test(t, lines_of_comment_are_passed_over_with_a_note);
	tcase_add_test(t, a_record_whose_mark_became_that_of_a_comment_is_not_lost);
	tcase_add_test(t, unlike_bytes_for_one_address_are_taken_where_the_recipe_says_so);
	tcase_add_test(t, of_a_universal_file_the_board_is_chosen);
	tcase_add_test(t, a_universal_file_for_one_board_needs_no_choice);
	tcase_add_test(t, records_of_blocks_without_a_block_are_refused);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(ihex_suite)
