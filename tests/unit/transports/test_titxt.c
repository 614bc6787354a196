/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/transports/image_check.h"

START_TEST(sections_become_segments)
{
	static const char text[] =
		"@F000\r\n31 40 00 03 B2 40 80 5A\r\n20 01\r\n@FFFE\r\n00 F0\r\nq\r\n";
	_cleanup_(image_unrefp) struct image *i = accepted(text, sizeof text - 1);

	ck_assert_int_eq(i->format, IMAGE_TITXT);
	ck_assert(i->placed);
	ck_assert_uint_eq(i->count, 2);
	ck_assert_uint_eq(i->segments[0].address, 0xf000);
	ck_assert_uint_eq(i->segments[0].len, 10);
	ck_assert_mem_eq(i->segments[0].data, "\x31\x40\x00\x03\xb2\x40\x80\x5a\x20\x01", 10);
	ck_assert_uint_eq(i->segments[1].address, 0xfffe);
	ck_assert_mem_eq(i->segments[1].data, "\x00\xf0", 2);
}
END_TEST

START_TEST(addresses_of_larger_parts_and_small_letters_are_read)
{
	static const char text[] = "@10000\nab CD\n@8\n0a\nQ";
	_cleanup_(image_unrefp) struct image *i = accepted(text, sizeof text - 1);

	ck_assert_uint_eq(i->segments[0].address, 8);
	ck_assert_uint_eq(i->segments[1].address, 0x10000);
	ck_assert_mem_eq(i->segments[1].data, "\xab\xcd", 2);
}
END_TEST

START_TEST(every_way_to_break_a_file_is_told_with_its_line)
{
	static const struct bad_text bad[] = {
		{"@F000\n31 40\n", "line 2: the file ends without the end mark"},
		{"@F000\n31 40\nq\n00\n", "line 4: something follows the end mark"},
		{"@F000\n31 40\n@\nq\n", "line 3: an address has 1 to 8"},
		{"@F000\n31 40\n@123456789\nq\n", "line 3: an address has 1 to 8"},
		{"@F000\n31 40\n@F0G0\nq\n", "line 3: column 4: a hexadecimal digit"},
		{"@F000\n31 4\nq\n", "line 2: column 4: a byte of two"},
		{"@F000\n31 400\nq\n", "line 2: column 4: a byte of two"},
		{"@F000\n31 40\nxy\nq\n", "line 3: column 1: a byte of two"},
		{"@F000\n31 40\n@F001\n41\nq\n",
			"line 4: the byte for 0x0000f001 is there already, another one"},
	};

	refused_texts(bad, ARRAY_LEN(bad));
}
END_TEST

START_TEST(a_file_cut_at_any_byte_is_refused)
{
	static const char text[] = "@F000\n31 40 00 03\n@FFFE\n00 F0\nq\n";

	for (size_t n = 1; n + 2 < sizeof text - 1; n++) {
		struct image *i = NULL;
		/* Named as its tools name it, so that no stump is taken for a raw binary. */
		struct image_opts o = {
			.address = 0, .address_is_default = true, .format = IMAGE_TITXT};

		ck_assert_int_lt(parse_with(text, n, &o, &i), 0);
	}
}
END_TEST

START_TEST(an_address_above_4_GiB_is_refused)
{
	static const char text[] = "@FFFFFFFF\n00 01\nq\n";

	refused(text, sizeof text - 1, ERR_IMAGE_RANGE, "2 bytes at 0xffffffff");
}
END_TEST

static Suite *titxt_suite(void)
{
	Suite *s = suite_create("titxt");
	TCase *t = tcase_create("titxt");

	tcase_add_test(t, sections_become_segments);
	tcase_add_test(t, addresses_of_larger_parts_and_small_letters_are_read);
	tcase_add_test(t, every_way_to_break_a_file_is_told_with_its_line);
	tcase_add_test(t, a_file_cut_at_any_byte_is_refused);
	tcase_add_test(t, an_address_above_4_GiB_is_refused);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(titxt_suite)
