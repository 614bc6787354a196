/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/pg.h"

#include <string.h>

#include "tests/unit/unit.h"

static const struct {
	const char *state;
	enum err_code code;
} states[] = {
	{"08006", ERR_SERVICE_DOWN},
	{"57P01", ERR_SERVICE_DOWN},
	{"57P03", ERR_SERVICE_DOWN},
	{"25006", ERR_SERVICE_DOWN},
	{"53300", ERR_SERVICE_DOWN},
	{"40001", ERR_BUSY},
	{"40P01", ERR_BUSY},
	{"55P03", ERR_BUSY},
	{"53100", ERR_DISK_FULL},
	{"53200", ERR_DATABASE},
	{"23505", ERR_CONFLICT},
	{"23P01", ERR_CONFLICT},
	{"57014", ERR_DATABASE},
	{"42P01", ERR_DATABASE},
	{NULL, ERR_DATABASE},
};

START_TEST(what_postgresql_says_has_a_code)
{
	ck_assert_int_eq(pg_code(states[_i].state), states[_i].code);
}
END_TEST

START_TEST(a_statement_counts_its_parameters)
{
	ck_assert_int_eq(PG("SELECT 1").n, 0);
	ck_assert_int_eq(PG("SELECT $1", "a").n, 1);
	ck_assert_int_eq(PG("SELECT $1, $2", PG_INT(-5), NULL).n, 2);
	ck_assert_str_eq(PG("SELECT $1, $2", PG_INT(-5), NULL).arg[0], "-5");
}
END_TEST

static int open_dsn(const char *dsn, struct err *e)
{
	const struct iotime it = {now_us() + 5 * US_PER_S, NULL};
	struct pg *p;

	return pg_open(dsn, &it, &p, e);
}

START_TEST(a_database_that_is_not_there_is_named_without_its_password)
{
	struct err e;

	ck_assert_int_eq(
		open_dsn("host=/nonexistent password=opensesame dbname=x", &e), -ERR_SERVICE_DOWN);
	ck_assert_msg(strstr(e.msg, "the plant's database: not reached"), "%s", e.msg);
	ck_assert_ptr_null(strstr(e.msg, "opensesame"));
	ck_assert_int_eq(open_dsn("password=open sesame", &e), -ERR_INVALID);
	ck_assert_ptr_null(strstr(e.msg, "sesame"));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("plant_pg");
	TCase *t = tcase_create("pg");

	tcase_add_loop_test(
		t, what_postgresql_says_has_a_code, 0, (int)(sizeof states / sizeof *states));
	tcase_add_test(t, a_statement_counts_its_parameters);
	tcase_add_test(t, a_database_that_is_not_there_is_named_without_its_password);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
