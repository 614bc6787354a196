/* SPDX-License-Identifier: Apache-2.0
 *
 * What a field holds, every cell of what may be done to it, and the map that says what it is.
 */
#include "daemon/actions/otp_rules.h"
#include "tests/unit/unit.h"

/* open or locked, then plain, plain with `complete`, coded. */
static const struct {
	enum otp_seen seen;
	enum otp_deed open[3], locked[3];
} cells[] = {
	{OTP_UNREADABLE, {OTP_CANNOT_TELL, OTP_CANNOT_TELL, OTP_CANNOT_TELL},
		{OTP_CLOSED, OTP_CLOSED, OTP_CLOSED}},
	{OTP_EQUAL, {OTP_DONE, OTP_DONE, OTP_DONE}, {OTP_DONE, OTP_DONE, OTP_DONE}},
	{OTP_BLANK, {OTP_BURN, OTP_BURN, OTP_BURN}, {OTP_IS_LOCKED, OTP_IS_LOCKED, OTP_IS_LOCKED}},
	{OTP_PART, {OTP_MAY_NOT, OTP_COMPLETE, OTP_DEAD}, {OTP_IS_LOCKED, OTP_IS_LOCKED, OTP_DEAD}},
	{OTP_OTHER, {OTP_CONFLICT, OTP_CONFLICT, OTP_CONFLICT},
		{OTP_CONFLICT, OTP_CONFLICT, OTP_CONFLICT}},
};

START_TEST(every_cell_of_the_table)
{
	static const enum otp_coding coded[] = {OTP_REPEAT3, OTP_REPEAT4, OTP_ECC};
	enum otp_seen seen = cells[_i].seen;

	for (int l = OTP_OPEN; l <= OTP_LOCK_UNKNOWN; l++) {
		const enum otp_deed *row = l == OTP_LOCKED ? cells[_i].locked : cells[_i].open;

		ck_assert_int_eq(otp_decide(seen, OTP_PLAIN, false, (enum otp_locked)l), row[0]);
		ck_assert_int_eq(otp_decide(seen, OTP_PLAIN, true, (enum otp_locked)l), row[1]);
		for (size_t c = 0; c < ARRAY_LEN(coded); c++)
			for (int complete = 0; complete < 2; complete++)
				ck_assert_int_eq(
					otp_decide(seen, coded[c], complete, (enum otp_locked)l),
					row[2]);
	}
}
END_TEST

/* Nothing that can take a bit is ever done to a coded field with a bit in it. */
START_TEST(a_coded_field_that_is_not_blank_is_never_written)
{
	for (int s = OTP_EQUAL; s <= OTP_OTHER; s++)
		for (int l = OTP_OPEN; l <= OTP_LOCK_UNKNOWN; l++)
			for (int complete = 0; complete < 2 && s != OTP_BLANK; complete++) {
				enum otp_deed d = otp_decide(
					(enum otp_seen)s, OTP_ECC, complete, (enum otp_locked)l);

				ck_assert(d != OTP_BURN && d != OTP_COMPLETE);
			}
}
END_TEST

static const struct {
	enum otp_bits bits;
	uint32_t width;
	uint8_t have[2], wanted[2];
	enum otp_seen seen;
} seen[] = {
	{OTP_SET, 16, {0, 0}, {1, 2}, OTP_BLANK},
	{OTP_SET, 16, {1, 2}, {1, 2}, OTP_EQUAL},
	{OTP_SET, 16, {1, 0}, {1, 2}, OTP_PART},
	{OTP_SET, 16, {0, 4}, {1, 2}, OTP_OTHER},
	{OTP_SET, 16, {1, 6}, {1, 2}, OTP_OTHER},
	{OTP_SET, 16, {0, 0}, {0, 0}, OTP_EQUAL},
	{OTP_SET, 16, {0, 1}, {0, 0}, OTP_OTHER},
	{OTP_CLEAR, 16, {0xff, 0xff}, {0xfe, 0xff}, OTP_BLANK},
	{OTP_CLEAR, 16, {0xfe, 0xff}, {0xfe, 0xf0}, OTP_PART},
	{OTP_CLEAR, 16, {0xfd, 0xff}, {0xfe, 0xff}, OTP_OTHER},
	{OTP_CLEAR, 12, {0x0f, 0xff}, {0x0e, 0xff}, OTP_BLANK},
	{OTP_CLEAR, 12, {0x0e, 0xff}, {0x0e, 0x00}, OTP_PART},
};

START_TEST(what_is_burnt_goes_by_the_direction_of_the_bits)
{
	const struct otp_field f = {.width = seen[_i].width, .bits = seen[_i].bits};

	ck_assert_int_eq(otp_compare(&f, seen[_i].have, seen[_i].wanted), seen[_i].seen);
}
END_TEST

static const struct {
	uint32_t width;
	const char *text;
	const char *bytes; /* hex; NULL: refused */
} values[] = {
	{32, "00ff10aB", "00ff10ab"},
	{32, "0x5", "00000005"},
	{32, "0x000000000000005", "00000005"},
	{32, "0x0", "00000000"},
	{32, "0x123456789", NULL},
	{32, "00ff10", NULL},
	{32, "00ff10ab0", NULL},
	{32, "00ff10ag", NULL},
	{32, "0x", NULL},
	{32, "", NULL},
	{4, "0f", "0f"},
	{4, "0xf", "0f"},
	{4, "10", NULL},
	{4, "0x10", NULL},
	{12, "0fff", "0fff"},
	{12, "1000", NULL},
};

START_TEST(a_value_fits_its_field_or_is_refused)
{
	struct otp_field f = {.name = (char[]){"f"}, .width = values[_i].width};
	uint8_t p[OTP_BYTES];
	char hex[OTP_HEX];
	struct err e = {0};
	int r = otp_value_parse(&f, values[_i].text, p, &e);

	if (!values[_i].bytes) {
		ck_assert_int_eq(r, -ERR_RECIPE_INVALID);
		ck_assert(!*values[_i].text || !strstr(e.msg, "00ff"));
		return;
	}
	ck_assert_msg(r == 0, "%s", e.msg);
	ck_assert_str_eq(hex_of(p, otp_bytes(&f), hex), values[_i].bytes);
}
END_TEST

static const char map_text[] =
	"otp: a chip\n"
	"fields:\n"
	"  boot: {width: 4}\n"
	"  key: {width: 256, coding: repeat3, readable: false, secret: true}\n"
	"  uid: {width: 96, bits: clear, lock: none, console: U}\n";

START_TEST(a_map_names_each_field_and_what_it_is)
{
	_cleanup_(otp_map_freep) struct otp_map *m = NULL;
	const struct otp_field *f;
	struct err e = {0};

	ck_assert_msg(otp_map_parse("m", map_text, sizeof map_text - 1, &m, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(m->title, "a chip");
	ck_assert_int_eq(otp_map_field(m, "boot", &f, &e), 0);
	ck_assert(f->width == 4 && f->bits == OTP_SET && f->coding == OTP_PLAIN &&
		  f->lock == OTP_LOCK_COMMAND && f->readable && !f->secret && !f->console);
	ck_assert_int_eq(otp_map_field(m, "key", &f, &e), 0);
	ck_assert(f->coding == OTP_REPEAT3 && !f->readable && f->secret);
	ck_assert_int_eq(otp_map_field(m, "uid", &f, &e), 0);
	ck_assert(f->bits == OTP_CLEAR && f->lock == OTP_LOCK_NONE && !strcmp(f->console, "U"));
	ck_assert_int_eq(otp_map_field(m, "bot", &f, &e), -ERR_RECIPE_INVALID);
	ck_assert_ptr_nonnull(strstr(e.msg, "did you mean 'boot'"));
}
END_TEST

static const struct {
	const char *text, *says;
} wrong[] = {
	{"", "m:1:1"},
	{"- a\n", "must be a mapping"},
	{"otp: a\n", "fields"},
	{"otp: a\nfields: {}\n", "at least one field"},
	{"otp: a\nfields: {a: 5}\n", "must be a mapping such as"},
	{"otp: a\nfields: {a: {}}\n", "width"},
	{"otp: a\nfields: {a: {width: 0}}\n", "width"},
	{"otp: a\nfields: {a: {width: 4097}}\n", "width"},
	{"otp: a\nfields: {a: {width: 8, codin: ecc}}\n", "coding"},
	{"otp: a\nfields: {a: {width: 8, coding: rs}}\n", "coding"},
	{"otp: a\nfields: {a: {width: 8, address: 0x100000000}}\n", "above 0xffffffff"},
	{"otp: a\nfields: {a: {width: 16, address: 0xffffffff}}\n", "above 0xffffffff"},
	{"otp: a\nfields: {a: {width: 64, address: 8, lock: byte, lock_at: 15}}\n",
		"0x0000000f that locks field 'a' is a part of field 'a'"},
	{"otp: a\nfields: {b: {width: 8, address: 4}, a: {width: 8, address: 8, lock: byte, "
	 "lock_at: 4}}\n",
		"that locks field 'a' is a part of field 'b'"},
	{"otp: a\nfields: {a: {width: 8, address: 0, lock: byte}}\n", "'lock_at'"},
	{"otp: a\nfields: {a: {width: 8, address: 0, lock_at: 0}}\n", "'lock_at'"},
	{"otp: a\nfields: {a: {width: 8, lock: byte, lock_at: 0}}\n", "'address'"},
	{"otp: a\nfields: {a b: {width: 8}}\n", "not a name"},
	{"otp: a\nfields: {a: {width: 8, console: 'x y'}}\n", "not a name"},
	{"otp: a\nfields: {a: {width: 8}, a: {width: 9}}\n", "m:2"},
};

START_TEST(a_mistake_in_a_map_is_said_with_its_place)
{
	struct otp_map *m = NULL;
	struct err e = {0};

	ck_assert_int_eq(otp_map_parse("m", wrong[_i].text, strlen(wrong[_i].text), &m, &e),
		-ERR_RECIPE_INVALID);
	ck_assert_ptr_null(m);
	ck_assert_msg(
		strstr(e.msg, wrong[_i].says), "'%s' does not say '%s'", e.msg, wrong[_i].says);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("otp_rules");
	TCase *c = tcase_create("otp_rules");

	tcase_add_loop_test(c, every_cell_of_the_table, 0, (int)ARRAY_LEN(cells));
	tcase_add_test(c, a_coded_field_that_is_not_blank_is_never_written);
	tcase_add_loop_test(
		c, what_is_burnt_goes_by_the_direction_of_the_bits, 0, (int)ARRAY_LEN(seen));
	tcase_add_loop_test(c, a_value_fits_its_field_or_is_refused, 0, (int)ARRAY_LEN(values));
	tcase_add_test(c, a_map_names_each_field_and_what_it_is);
	tcase_add_loop_test(c, a_mistake_in_a_map_is_said_with_its_place, 0, (int)ARRAY_LEN(wrong));
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
