/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows by the names of their columns: every statement of db/ has those that are read of it, and a
 * column that is added, moved or missing never shifts a value.
 */
#include "db/rows.h"

#include "base/util.h"
#include "db/stmt.h"
#include "tests/unit/db/fixture.h"

/* All SELECT() of the library, by the linker. */
extern const struct select *const __start_db_selects[];
extern const struct select *const __stop_db_selects[];

START_TEST(every_kept_statement_has_the_columns_that_are_read_of_it)
{
	size_t n = 0;

	for (const struct select *const *s = __start_db_selects; s < __stop_db_selects; s++, n++) {
		_cleanup_(query_done) struct query q = {0};

		ck_assert_msg(select_begin(&q, fx.db, &fx.e, *s) == 0, "%s", fx.e.msg);
	}
	ck_assert_uint_gt(n, 40);
}
END_TEST

struct row {
	int64_t number;
	bool yes;
	char text[4];
	const char *borrowed;
	json_t *json;
};

static const struct column row_columns[] = {COL(struct row, number), COL(struct row, yes),
	COL(struct row, text), COL_AS(struct row, borrowed, "name"), COL(struct row, json), {0}};

static void read_row(const char *sql, struct query *q, struct row *ret)
{
	const struct select s = {sql, row_columns};

	*q = (struct query){0};
	ck_assert_msg(select_begin(q, fx.db, &fx.e, &s) == 0, "%s", fx.e.msg);
	ck_assert_int_eq(select_next(q, ret, &fx.e), 1);
}

START_TEST(a_row_is_read_by_names_in_any_order)
{
	static const char *const sql[] = {
		"SELECT 7 AS number, 2 AS yes, 'longer' AS text, 'x' AS name, '[1]' AS json",
		"SELECT 'added', '[1]' AS json, 'x' AS name, 7 AS number, 2 AS yes, 'longer' AS text"};

	for (size_t i = 0; i < ARRAY_LEN(sql); i++) {
		struct query q;
		struct row r;

		read_row(sql[i], &q, &r);
		ck_assert_int_eq(r.number, 7);
		ck_assert(r.yes);
		ck_assert_str_eq(r.text, "lon");
		ck_assert_str_eq(r.borrowed, "x");
		ck_assert_uint_eq(json_array_size(r.json), 1);
		json_decref(r.json);
		query_done(&q);
	}
}
END_TEST

START_TEST(a_text_is_cut_at_a_whole_character)
{
	static const char *const said[][2] = {{"'ab\u00e4'", "ab"}, {"'a\u00e4b'", "a\u00e4"},
		{"'\u20ac'", "\u20ac"}, {"'a\u20ac'", "a"}, {"'\U0001f600'", ""}, {"'abc'", "abc"},
		{"''", ""}};

	for (size_t i = 0; i < ARRAY_LEN(said); i++) {
		_cleanup_(freep) char *sql = xasprintf(
			"SELECT 7 AS number, 2 AS yes, %s AS text, 'x' AS name, '[]' AS json",
			said[i][0]);
		struct query q;
		struct row r;

		read_row(sql, &q, &r);
		ck_assert_str_eq(r.text, said[i][1]);
		json_decref(r.json);
		query_done(&q);
	}
}
END_TEST

START_TEST(a_null_is_nothing_of_its_kind)
{
	struct query q;
	struct row r = {.number = 1, .yes = true, .text = "x", .borrowed = "x"};

	read_row("SELECT NULL AS number, NULL AS yes, NULL AS text, NULL AS name, NULL AS json", &q,
		&r);
	ck_assert_int_eq(r.number, 0);
	ck_assert(!r.yes);
	ck_assert_str_eq(r.text, "");
	ck_assert_ptr_null(r.borrowed);
	ck_assert_ptr_null(r.json);
	query_done(&q);
}
END_TEST

START_TEST(a_name_that_is_missing_or_there_twice_is_an_error_before_any_row)
{
	static const struct {
		const char *sql, *said;
	} wrong[] = {
		{"SELECT 7 AS number, 2 AS yes, 't' AS text, '[]' AS json", "0 columns 'name'"},
		{"SELECT 7 AS number, 2 AS yes, 't' AS text, 'x' AS name, 'y' AS name, 1 AS json",
			"2 columns 'name'"},
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		const struct select s = {wrong[i].sql, row_columns};

		/* Also once it is kept. */
		for (int again = 0; again < 2; again++) {
			_cleanup_(query_done) struct query q = {0};

			FAILS(ERR_INTERNAL, select_begin(&q, fx.db, &fx.e, &s));
			ck_assert_ptr_nonnull(strstr(fx.e.msg, wrong[i].said));
		}
	}
}
END_TEST

START_TEST(one_statement_may_be_read_in_two_ways)
{
	static const char sql[] = "SELECT 'a' AS x, 'b' AS y";
	struct pair {
		char x[4], y[4];
	} p;
	static const struct column both[] = {COL(struct pair, x), COL(struct pair, y), {0}};
	static const struct column crossed[] = {
		COL_AS(struct pair, x, "y"), COL_AS(struct pair, y, "x"), {0}};
	const struct select straight = {sql, both};
	const struct select other = {sql, crossed};

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(select_one(fx.db, &fx.e, &straight, &p), 1);
		ck_assert_str_eq(p.x, "a");
		ck_assert_int_eq(select_one(fx.db, &fx.e, &other, &p), 1);
		ck_assert_str_eq(p.x, "b");
	}
}
END_TEST

START_TEST(an_object_has_the_members_that_are_named)
{
	static const struct column columns[] = {{"s", AS_TEXT}, {"i", AS_INT}, {"d", AS_REAL},
		{"b", AS_BOOL}, {"t", AS_TIME}, {"j", AS_JSON}, {"n", AS_TEXT}, {0}};
	static const struct select s = {"SELECT 1 AS hidden, 'x' AS s, 5 AS i, 2.5 AS d, 1 AS b,"
					" 1000 AS t, '{\"a\":1}' AS j, NULL AS n",
		columns};
	json_t *all = NULL;

	OK(db_all_json(fx.db, &fx.e, &s, &all));
	ck_assert_uint_eq(json_object_size(at(all, "0")), 7);
	ck_assert_str_eq(str_at(all, "0.s"), "x");
	ck_assert_int_eq(int_at(all, "0.i"), 5);
	ck_assert_double_eq(json_real_value(at(all, "0.d")), 2.5);
	ck_assert(json_is_true(at(all, "0.b")));
	ck_assert_str_eq(str_at(all, "0.t"), "1970-01-01T00:00:01.000Z");
	ck_assert_int_eq(int_at(all, "0.j.a"), 1);
	ck_assert(json_is_null(at(all, "0.n")));
	json_decref(all);
}
END_TEST

START_TEST(what_would_be_read_by_its_place_is_refused)
{
	const struct select borrows = {
		"SELECT 7 AS number, 2 AS yes, 't' AS text, 'x' AS name, '1' AS json", row_columns};
	char text[8] = "";
	struct row r;
	int64_t n;

	FAILS(ERR_INTERNAL, db_int(fx.db, &fx.e, &n, "SELECT 1, 2"));
	FAILS(ERR_INTERNAL, db_text(fx.db, &fx.e, text, sizeof text, "SELECT 'a', 'b'"));
	FAILS(ERR_INTERNAL, select_one(fx.db, &fx.e, &borrows, &r));
	ck_assert_int_eq(db_text(fx.db, &fx.e, text, sizeof text, "SELECT 'abc'"), 1);
	ck_assert_str_eq(text, "abc");
	ck_assert_int_eq(db_int(fx.db, &fx.e, &n, "SELECT 1 WHERE 0"), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("rows");
	TCase *t = tcase_create("rows");

	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_add_test(t, every_kept_statement_has_the_columns_that_are_read_of_it);
	tcase_add_test(t, a_row_is_read_by_names_in_any_order);
	tcase_add_test(t, a_text_is_cut_at_a_whole_character);
	tcase_add_test(t, a_null_is_nothing_of_its_kind);
	tcase_add_test(t, a_name_that_is_missing_or_there_twice_is_an_error_before_any_row);
	tcase_add_test(t, one_statement_may_be_read_in_two_ways);
	tcase_add_test(t, an_object_has_the_members_that_are_named);
	tcase_add_test(t, what_would_be_read_by_its_place_is_refused);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
