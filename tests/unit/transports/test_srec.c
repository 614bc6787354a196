/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/transports/image_check.h"

#define END "S9030000FC\n"

START_TEST(every_way_to_break_a_file_is_told_with_its_line)
{
	static const struct bad_text bad[] = {
		{"S107001001020304DE\n", "line 1: the file ends without an S7, S8 or S9"},
		{"S107001001020304DF\n" END, "line 1: checksum 0xdf, 0xde expected"},
		{"S107001001020304D\n" END, "line 1: an odd number of digits"},
		{"S1070010010203\n" END, "line 1: the record says 7 bytes, and has 5"},
		{"S10600100102030 4DE\n" END, "column 16"},
		{"S107001001020304DE\nS4030000FC\n" END, "line 2: unknown record type S4"},
		{"S107001001020304DE\nS5030002FA\n" END,
			"line 2: the count says 2 data records, 1 came"},
		{"S107001001020304DE\n" END "S107001001020304DE\n",
			"line 3: something comes after"},
		{"S107001001020304DE\nS90400000 0FB\n", "column 10"},
		{"S107001001020304DE\nS904000000FB\n", "line 2: an S9 record carries no data"},
		{"S107001001020304DE\nX9030000FC\n",
			"line 2: a record begins with 'S' and a digit"},
		{"S3040010 00EB\n" END, "column"},
		{"S304001000EB\n" END, "line 1: an S3 record has 4 address bytes and a checksum"},
		{"S00600004844521B\n" END, "holds no data"},
		{"S107001001020304DE\nS105001203FFE6\n" END,
			"line 2: the byte for 0x00000013 is there already, another one"},
	};

	refused_texts(bad, ARRAY_LEN(bad));
}
END_TEST

START_TEST(all_widths_of_addresses_are_read)
{
	static const char text[] = "S00600004844521B\n"
				   "S1040010AA41\n"
				   "S205123456BBA3\n"
				   "S30608000000CC25\n"
				   "S5030003F9\n"
				   "S70508000101F0\n";
	_cleanup_(image_unrefp) struct image *i = accepted(text, sizeof text - 1);

	ck_assert_uint_eq(i->count, 3);
	ck_assert_uint_eq(i->segments[0].address, 0x10);
	ck_assert_uint_eq(i->segments[1].address, 0x123456);
	ck_assert_uint_eq(i->segments[2].address, 0x08000000);
	ck_assert_uint_eq(i->segments[2].data[0], 0xcc);
	ck_assert(i->has_entry);
	ck_assert_uint_eq(i->entry, 0x08000101);
}
END_TEST

START_TEST(a_start_of_0_is_none_and_a_narrower_end_is_a_note)
{
	static const char text[] = "S30608000000CC25\nS9030000FC\n";
	_cleanup_(image_unrefp) struct image *i = accepted(text, sizeof text - 1);

	ck_assert(!i->has_entry);
	ck_assert_msg(i->notes == 1 && strstr(i->note[0], "narrower"), "%s", i->note[0]);
}
END_TEST

START_TEST(a_right_count_proves_as_well_that_the_file_is_whole)
{
	static const char *const whole[] = {
		"S1040010AA41\nS1040020BB20\nS5030002FA\n",
		"s1040010aa41\ns1040020bb20\ns5030002fa\n",
		"S1040010AA41\nS1040020BB20\nS604000002F9\n; made by a script\n",
	};
	static const struct bad_text cut[] = {
		{"S1040010AA41\nS5030002FA\n", "line 2: the count says 2 data records, 1 came"},
		{"S1040010AA41\nS5030001FB\nS1040020BB20\n", "line 3: the file ends without"},
		{"S1040010AA41\n#1040020BB20\nS5030001FB\n", "line 2: a whole record after '#'"},
	};

	for (size_t k = 0; k < ARRAY_LEN(whole); k++) {
		struct image *i = accepted(whole[k], strlen(whole[k]));

		ck_assert_uint_eq(i->bytes, 2);
		ck_assert_msg(strstr(i->note[0], "there is no S7"), "%s", i->note[0]);
		image_unref(i);
	}
	refused_texts(cut, ARRAY_LEN(cut));
}
END_TEST

START_TEST(small_letters_are_read)
{
	static const char text[] = "s00600004844521b\ns1040010aa41\ns9030000fc\n";
	_cleanup_(image_unrefp) struct image *i = accepted(text, sizeof text - 1);

	ck_assert_int_eq(i->format, IMAGE_SREC);
	ck_assert_uint_eq(i->segments[0].data[0], 0xaa);
	ck_assert_uint_eq(i->notes, 0);
}
END_TEST

static Suite *srec_suite(void)
{
	Suite *s = suite_create("srec");
	TCase *t = tcase_create("srec");

	tcase_add_test(t, every_way_to_break_a_file_is_told_with_its_line);
	tcase_add_test(t, all_widths_of_addresses_are_read);
	tcase_add_test(t, a_start_of_0_is_none_and_a_narrower_end_is_a_note);
	tcase_add_test(t, a_right_count_proves_as_well_that_the_file_is_whole);
	tcase_add_test(t, small_letters_are_read);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(srec_suite)
