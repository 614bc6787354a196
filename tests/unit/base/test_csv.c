/* SPDX-License-Identifier: Apache-2.0 */
#include "base/csv.h"

#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static const struct {
	const char *text;
	const char *values; /* as JSON; NULL: refused */
	const char *lines;  /* as JSON, or what the refusal says */
} lists[] = {
	{"K1\nK2\n", "[\"K1\",\"K2\"]", "[1,2]"},
	{"K1\r\n\r\nK2", "[\"K1\",\"K2\"]", "[1,3]"},
	{"", "[]", "[]"},
	{"value\nK1\n", "[\"K1\"]", "[2]"},
	{"\xef\xbb\xbfvalue\r\nK1\r\n", "[\"K1\"]", "[2]"},
	{"note,value\na,K1\nb,K2\n", "[\"K1\",\"K2\"]", "[2,3]"},
	{"value,note\nK1,\"a\nb\"\nK2,c\n", "[\"K1\",\"K2\"]", "[2,4]"},
	{"\"K\"\"1\"\n\"a,b\"\n", "[\"K\\\"1\",\"a,b\"]", "[1,2]"},
	{"K1,x\n", NULL, "line 1 has 2 columns"},
	{"K1\nK2,x\n", NULL, "line 2 has 2 columns"},
	{"note,value\na\n", NULL, "line 2 has no column 'value'"},
	{"K1\n\"K2\n", NULL, "line 2: the quote has no end"},
	{"\"K1\"x\n", NULL, "line 1: text after the closing quote"},
	{"\xff\n", NULL, "line 1: not text"},
};

START_TEST(a_column_is_read_with_the_line_of_each_value)
{
	struct csv_column c = {0};
	struct err e = {0};
	int r = csv_read_column(lists[_i].text, strlen(lists[_i].text), "value", &c, &e);
	_cleanup_(freep) char *values = NULL, *lines = NULL;

	if (!lists[_i].values) {
		ck_assert_int_eq(r, -ERR_INVALID);
		ck_assert_msg(strstr(e.msg, lists[_i].lines) != NULL, "%s", e.msg);
		return;
	}
	ck_assert_msg(r == 0, "%s", e.msg);
	values = json_dumps(c.values, JSON_COMPACT);
	lines = json_dumps(c.lines, JSON_COMPACT);
	ck_assert_str_eq(values, lists[_i].values);
	ck_assert_str_eq(lines, lists[_i].lines);
	json_decref(c.values);
	json_decref(c.lines);
}
END_TEST

START_TEST(what_is_written_can_be_read_again)
{
	static const char *const names[] = {"note", "value", "n", "none", NULL};
	json_t *o = json_pack(
		"{s:s, s:s, s:i, s:n}", "note", "a,\"b\"\nc", "value", "K1", "n", 3, "none");
	struct strbuf b = {0};
	struct csv_column c = {0};
	struct err e = {0};

	csv_write_names(&b, names);
	csv_write_row(&b, o, names);
	ck_assert_str_eq(b.s, "note,value,n,none\r\n\"a,\"\"b\"\"\nc\",K1,3,\r\n");
	ck_assert_int_eq(csv_read_column(b.s, b.len, "value", &c, &e), 0);
	ck_assert_str_eq(json_string_value(json_array_get(c.values, 0)), "K1");
	json_decref(c.values);
	json_decref(c.lines);
	json_decref(o);
	sb_done(&b);
}
END_TEST

static const struct {
	const char *value, *line; /* as JSON; as it is written */
} cells[] = {
	{"\"=1+1\"", "'=1+1\r\n"},
	{"\"+cmd|' /C calc'!A0\"", "'+cmd|' /C calc'!A0\r\n"},
	{"\"-2+3\"", "'-2+3\r\n"},
	{"\"@SUM(A1)\"", "'@SUM(A1)\r\n"},
	{"\"\\t=1\"", "'\t=1\r\n"},
	{"\"\\r=1\"", "\"'\r=1\"\r\n"},
	{"\"\\n=1\"", "\"'\n=1\"\r\n"},
	{"\"=a,\\\"b\"", "\"'=a,\"\"b\"\r\n"},
	{"-5", "-5\r\n"},
	{"-0.25", "-0.25\r\n"},
	{"\"-12.5e3\"", "-12.5e3\r\n"},
	{"\"+7\"", "+7\r\n"},
	{"\"-\"", "'-\r\n"},
	{"\"a=1\"", "a=1\r\n"},
	{"\"'=1\"", "''=1\r\n"},
	{"\"'a\"", "'a\r\n"},
	{"\"'5\"", "'5\r\n"},
	{"\" =1\"", " =1\r\n"},
	{"\"\"", "\r\n"},
	{"{\"a\":-1}", "\"{\"\"a\"\":-1}\"\r\n"},
	{"true", "true\r\n"},
};

START_TEST(what_a_spreadsheet_would_run_is_a_text_and_a_number_stays_one)
{
	static const char *const names[] = {"v", NULL};
	json_t *o = json_pack("{s:o}", "v", json_loads(cells[_i].value, JSON_DECODE_ANY, NULL));
	struct strbuf b = {0};
	struct csv_column c = {0};
	struct err e = {0};

	csv_write_row(&b, o, names);
	ck_assert_str_eq(b.s, cells[_i].line);
	if (json_string_length(json_object_get(o, "v")) > 0) {
		ck_assert_int_eq(csv_read_column(b.s, b.len, "v", &c, &e), 0);
		ck_assert(json_equal(json_array_get(c.values, 0), json_object_get(o, "v")));
		json_decref(c.values);
		json_decref(c.lines);
	}
	json_decref(o);
	sb_done(&b);
}
END_TEST

static const struct {
	const char *text;
	const char *rows; /* as JSON; or what the refusal says */
} tables[] = {
	{"serial,power\nS1,4\nS2,\n", "[{\"power\":\"4\",\"serial\":\"S1\"},{\"serial\":\"S2\"}]"},
	{"\xef\xbb\xbfserial\r\n\r\n\"S,1\"\r\n", "[{\"serial\":\"S,1\"}]"},
	{"serial,power\nS1\n", "[{\"serial\":\"S1\"}]"},
	{"a\n'=1\n", "[{\"a\":\"=1\"}]"},
	{"serial\n", "[]"},
	{"", "[]"},
	{"serial\nS1,4\n", "line 2 has 2 cells, the first line names 1 columns"},
	{"serial\n\"S1\n", "line 2: the quote has no end"},
	{"serial\n\xff\n", "line 2: not text"},
};

START_TEST(a_table_is_read_by_the_names_of_its_first_line)
{
	json_t *rows = NULL;
	struct err e = {0};
	int r = csv_read_table(tables[_i].text, strlen(tables[_i].text), &rows, &e);
	_cleanup_(freep) char *text =
		r == 0 ? json_dumps(rows, JSON_COMPACT | JSON_SORT_KEYS) : xstrdup(e.msg);

	ck_assert_str_eq(text, tables[_i].rows);
	json_decref(rows);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("csv");
	TCase *t = tcase_create("csv");

	tcase_add_loop_test(
		t, a_column_is_read_with_the_line_of_each_value, 0, (int)ARRAY_LEN(lists));
	tcase_add_test(t, what_is_written_can_be_read_again);
	tcase_add_loop_test(
		t, a_table_is_read_by_the_names_of_its_first_line, 0, (int)ARRAY_LEN(tables));
	tcase_add_loop_test(t, what_a_spreadsheet_would_run_is_a_text_and_a_number_stays_one, 0,
		(int)ARRAY_LEN(cells));
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
