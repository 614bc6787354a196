/* SPDX-License-Identifier: Apache-2.0
 *
 * A machine is told from others by a digest that does not say what it is called.
 */
#include "daemon/line/machine.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char path[] = "/tmp/test_machine_XXXXXX";

static int name(const char *text, char ret[MARKS_MACHINE_SIZE], struct err *e)
{
	FILE *f = fopen(path, "we");

	fputs(text, f);
	fclose(f);
	return machine_name(path, ret, e);
}

START_TEST(each_machine_has_a_name_of_its_own_that_is_not_its_id)
{
	char a[MARKS_MACHINE_SIZE];
	char b[MARKS_MACHINE_SIZE];
	struct err e = {0};

	close(mkstemp(path));
	ck_assert_int_eq(name("0123456789abcdef0123456789abcdef\n", a, &e), 0);
	ck_assert_uint_eq(strlen(a), MARKS_MACHINE_SIZE - 1);
	ck_assert_ptr_null(strstr("0123456789abcdef0123456789abcdef", a));
	ck_assert_int_eq(name("0123456789abcdef0123456789abcdef", b, &e), 0);
	ck_assert_str_eq(a, b);
	ck_assert_int_eq(name("0123456789abcdef0123456789abcdee\n", b, &e), 0);
	ck_assert_str_ne(a, b);
	unlink(path);
}
END_TEST

START_TEST(what_names_no_machine_is_said)
{
	static const char *const texts[] = {"", "\n", "uninitialized\n", "short\nand more lines\n"};
	char a[MARKS_MACHINE_SIZE];
	struct err e = {0};

	close(mkstemp(path));
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		ck_assert_int_lt(name(texts[i], a, &e), 0);
		ck_assert_str_eq(a, "");
		ck_assert_ptr_nonnull(strstr(e.msg, path));
	}
	unlink(path);
	ck_assert_int_lt(machine_name(path, a, &e), 0);
	ck_assert_str_eq(a, "");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("machine");
	TCase *t = tcase_create("machine");

	tcase_add_test(t, each_machine_has_a_name_of_its_own_that_is_not_its_id);
	tcase_add_test(t, what_names_no_machine_is_said);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
