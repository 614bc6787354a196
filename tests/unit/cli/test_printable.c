/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/printable.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "tests/unit/unit.h"

/* RFC 3629. */
static size_t encode(uint32_t c, char *out)
{
	if (c < 0x80)
		return out[0] = (char)c, 1;
	if (c < 0x800)
		return out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 0x3f)), 2;
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static void expect(const char *in, size_t n, const char *keep, const char *want)
{
	struct strbuf b = {0};

	ck_assert_uint_eq(printable_add(&b, in, n, keep, false), n);
	ck_assert_str_eq(b.s ? b.s : "", want);
	sb_done(&b);
}

static const struct {
	uint32_t first, last;
} harmful[] = {{0x00, 0x1f}, {0x7f, 0x9f}, {0xad, 0xad}, {0x61c, 0x61c}, {0x180e, 0x180e},
	{0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb},
	{0xe0000, 0xe007f}};

START_TEST(what_acts_or_hides_becomes_its_escape)
{
	for (size_t i = 0; i < ARRAY_LEN(harmful); i++) {
		for (uint32_t c = harmful[i].first; c <= harmful[i].last; c++) {
			char in[6] = "a";
			size_t n = 1 + encode(c, in + 1);
			char want[16];

			if (c == '\n' || c == '\t' || c == '\r')
				snprintf(want, sizeof want, "a\\%cb",
					c == '\n'   ? 'n'
					: c == '\t' ? 't'
						    : 'r');
			else
				snprintf(want, sizeof want,
					c < 0x80      ? "a\\x%02xb"
					: c < 0x10000 ? "a\\u%04xb"
						      : "a\\U%08xb",
					c);
			in[n++] = 'b';
			expect(in, n, "", want);
		}
	}
}
END_TEST

START_TEST(the_neighbours_of_what_is_escaped_stay)
{
	static const uint32_t kept[] = {0x20, 0x7e, 0xa0, 0xac, 0xae, 0x61b, 0x61d, 0x200a, 0x2010,
		0x2027, 0x202f, 0x205f, 0x2070, 0xfefe, 0xff00, 0xfff8, 0xfffc, 0xdffff, 0xe0080,
		0x1f600, 0x4e2d, 0x10ffff, '\\'};

	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		char in[5] = "";

		expect(in, encode(kept[i], in), "", in);
	}
	expect("a\nb\tc\x1b", 6, "\n\t", "a\nb\tc\\x1b");
}
END_TEST

START_TEST(bytes_that_are_no_utf8_are_shown_as_bytes)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{"\x80", "\\x80"}, {"\xc0\x80", "\\xc0\\x80"}, /* overlong NUL */
		{"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},	       /* overlong / */
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},	       /* a surrogate */
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},  /* beyond U+10FFFF */
		{"\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80"}, {"\xff\xfe", "\\xff\\xfe"},
		{"x\xe2\x82", "x\\xe2\\x82"},	  /* cut off */
		{"\xe2\x82z", "\\xe2\\x82z"},	  /* broken by a letter */
		{"\xc2\x1b[2J", "\\xc2\\x1b[2J"}, /* broken by an escape */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect(rows[i].in, strlen(rows[i].in), "", rows[i].want);
}
END_TEST

START_TEST(a_character_that_comes_in_parts_waits_for_its_end)
{
	struct strbuf b = {0};

	ck_assert_uint_eq(printable_add(&b, "a\xe2\x80", 3, "", true), 1);
	ck_assert_uint_eq(printable_add(&b, "\xe2\x80\xae", 3, "", true), 3);
	ck_assert_str_eq(b.s, "a\\u202e");
	sb_done(&b);
}
END_TEST

START_TEST(json_keeps_its_meaning)
{
	_cleanup_(freep) char *out =
		printable_json("{\n \"a\": \"\xe2\x80\xae\x7f\xf3\xa0\x80\x81\xc2\x9b 中\"}");

	ck_assert_str_eq(out, "{\n \"a\": \"\\u202e\\u007f\\udb40\\udc01\\u009b 中\"}");
}
END_TEST

START_TEST(a_cut_counts_characters)
{
	_cleanup_(freep) char *two = printable_cut("äöü", 2);
	_cleanup_(freep) char *all = printable_cut("äöü", 9);

	ck_assert_str_eq(two, "äö");
	ck_assert_str_eq(all, "äöü");
}
END_TEST

/* The streams of this (forked) test are pipes. */
START_TEST(stdout_and_stderr_let_nothing_through_but_our_own)
{
	char got[256] = "";
	int out[2];

	ck_assert_int_eq(pipe(out), 0);
	dup2(out[1], STDOUT_FILENO);
	dup2(out[1], STDERR_FILENO);
	close(out[1]);
	printable_guard();
	printf("%s", "title \033]0;x\a");
	printable_sequence(stdout, "\033[32m");
	printf("line\n%s", "\xe2");
	fflush(stdout);
	printf("%s", "\x80\xae|\r\xe2");
	ck_assert_int_eq(fclose(stdout), 0);
	fprintf(stderr, "%s\n",
		"\xc2\x9b"
		"2J");
	ck_assert_int_gt(read(out[0], got, sizeof got - 1), 0);
	ck_assert_str_eq(got, "title \\x1b]0;x\\x07\033[32mline\n\\u202e|\\r\\xe2\\u009b2J\n");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("printable");
	TCase *t = tcase_create("printable");

	tcase_add_test(t, what_acts_or_hides_becomes_its_escape);
	tcase_add_test(t, the_neighbours_of_what_is_escaped_stay);
	tcase_add_test(t, bytes_that_are_no_utf8_are_shown_as_bytes);
	tcase_add_test(t, a_character_that_comes_in_parts_waits_for_its_end);
	tcase_add_test(t, json_keeps_its_meaning);
	tcase_add_test(t, a_cut_counts_characters);
	tcase_add_test(t, stdout_and_stderr_let_nothing_through_but_our_own);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
