/* SPDX-License-Identifier: Apache-2.0 */
#include "base/terminal.h"

#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static const struct {
	const char *said, *shown;
} rows[] = {
	{"OK", "OK"},
	{"", ""},
	/* colours, erasing, the cursor */
	{"\x1b[32mOK\x1b[0m", "OK"},
	{"\x1b[0;32mOK\x1b[0m\x1b[K", "OK"},
	{"\x1b[38;5;196mERROR\x1b[m: locked", "ERROR: locked"},
	{"\x1b[38:2::255:0:0mred\x1b[0m", "red"},
	{"\x1b[2K\x1b[1G> ", ">"},
	{"\x1b[?25lspin\x1b[?25h", "spin"},
	{"\x1b[>4;1mkeys", "keys"},
	{"21\x1b[1D.5", "21 .5"},
	{"50%\x1b[3D60%", "50% 60%"},
	{"two \x1b[Kwords", "two words"},
	{"3.3\x1b"
	 "E3",
		"3.3 3"},
	{"1\x1b[s2\x1b[u3", "1 2 3"},
	{"1\x1b"
	 "72\x1b"
	 "83",
		"1 2 3"},
	{"12\x1b[2b", "12"},
	{"1\x1b[2b2", "1 2"},
	{"1\x1b(B2", "12"},
	/* strings with either terminator */
	{"\x1b]0;title\x07OK", "OK"},
	{"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"},
	{"\x1bP1$r0m\x1b\\OK", "OK"},
	{"\x1b_hidden\x1b\\OK", "OK"},
	{"\x1b^secret\x07OK", "OK"},
	{"\x1bXstring\x1b\\OK", "OK"},
	/* one that does not end hides nothing */
	{"\x1b]0;ERROR locked", "0;ERROR locked"},
	{"\x1bP ERROR\x1b[0m", " ERROR"},
	{"OK\x1b[", "OK"},
	{"OK\x1b[31", "OK"},
	{"OK\x1b", "OK"},
	{"\x1b[31\xc3\xa9rror", "\xc3\xa9rror"},
	{"\x1b[3\x01x", "\x01x"},
	/* others: character sets, save, reset */
	{"\x1b(BOK\x1b)0", "OK"},
	{"\x1b#8OK", "OK"},
	{"\x1b"
	 "7OK\x1b"
	 "8",
		"OK"},
	{"\x1b"
	 "cOK",
		"OK"},
	/* backspace */
	{"|\b/\b-\bOK", "OK"},
	{"\b\bOK", "OK"},
	{"12\b3", "13"},
	/* blanks at the end, not at the begin */
	{"OK \t\r", "OK"},
	{"  OK", "  OK"},
	{"\x1b[32mOK \x1b[0m", "OK"},
};

START_TEST(a_line_is_what_a_terminal_shows_of_it)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(freep) char *line = xstrdup(rows[i].said);
		size_t n = terminal_plain(line, strlen(line));

		ck_assert_msg(n == strlen(rows[i].shown) && !memcmp(line, rows[i].shown, n),
			"row %zu: '%.*s' in the place of '%s'", i, (int)n, line, rows[i].shown);
	}
}
END_TEST

START_TEST(a_line_that_is_cut_anywhere_never_shows_more_than_was_said)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t cut = 0; cut <= strlen(rows[i].said); cut++) {
			char *line = strndup(rows[i].said, cut);

			ck_assert_uint_le(terminal_plain(line, cut), cut);
			free(line);
		}
}
END_TEST

START_TEST(stripping_alone_keeps_the_blank_of_a_prompt)
{
	char prompt[] = "\x1b[1m> \x1b[0m";
	size_t n = terminal_strip(prompt, strlen(prompt));

	ck_assert_uint_eq(n, 2);
	ck_assert_mem_eq(prompt, "> ", 2);
}
END_TEST

START_TEST(a_sequence_that_is_not_at_its_end_is_seen)
{
	static const char *const cut[] = {
		"\x1b", "a\x1b[", "\x1b[3", "\x1b[0m\x1b[1;3", "\x1b(", "\x1b]0;title"};
	static const char *const whole[] = {"", "a", "\x1b[0m", "\x1b[3mx", "\x1b(B",
		"\x1b]0;t\x07", "\x1b]0;t\x1b\\", "\x1b[0m> "};

	for (size_t i = 0; i < ARRAY_LEN(cut); i++)
		ck_assert_msg(terminal_is_cut(cut[i], strlen(cut[i])), "row %zu", i);
	for (size_t i = 0; i < ARRAY_LEN(whole); i++)
		ck_assert_msg(!terminal_is_cut(whole[i], strlen(whole[i])), "row %zu", i);
}
END_TEST

static Suite *terminal_suite(void)
{
	Suite *s = suite_create("terminal");
	TCase *t = tcase_create("terminal");

	tcase_add_test(t, a_line_is_what_a_terminal_shows_of_it);
	tcase_add_test(t, a_line_that_is_cut_anywhere_never_shows_more_than_was_said);
	tcase_add_test(t, stripping_alone_keeps_the_blank_of_a_prompt);
	tcase_add_test(t, a_sequence_that_is_not_at_its_end_is_seen);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(terminal_suite)
