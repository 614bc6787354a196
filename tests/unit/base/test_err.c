/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

START_TEST(every_code_has_a_name_of_its_own_that_finds_it_again)
{
	for (int a = 0; a < ERR_CODE_COUNT; a++) {
		ck_assert_int_eq(err_code_from_str(err_code_str((enum err_code)a)), a);
		for (const char *p = err_code_str((enum err_code)a); *p; p++)
			ck_assert_msg((*p >= 'a' && *p <= 'z') || *p == '-', "%s",
				err_code_str((enum err_code)a));
	}
	ck_assert_int_eq(err_code_from_str("no-such-code"), -1);
}
END_TEST

START_TEST(context_grows_on_the_way_up_and_the_code_stays)
{
	struct err e = {0};

	ck_assert_int_eq(err_set(&e, ERR_TIMEOUT, "no answer in %d s", 2), -ERR_TIMEOUT);
	ck_assert_int_eq(err_prefix(&e, "erase page %d", 3), -ERR_TIMEOUT);
	ck_assert_int_eq(err_prefix(&e, "station A3"), -ERR_TIMEOUT);
	ck_assert_str_eq(e.msg, "station A3: erase page 3: no answer in 2 s");
	ck_assert_int_eq(err_from_ret(-ERR_TIMEOUT), ERR_TIMEOUT);
}
END_TEST

START_TEST(a_message_may_be_built_from_itself_and_never_overflows)
{
	struct err e = {0};

	err_set(&e, ERR_IO, "first");
	err_set(&e, ERR_IO, "again %s", e.msg);
	ck_assert_str_eq(e.msg, "again first");
	for (int i = 0; i < 100; i++)
		err_prefix(&e, "one more piece of context %d", i);
	ck_assert_uint_lt(strlen(e.msg), sizeof e.msg);
	ck_assert_ptr_nonnull(strstr(e.msg, "context 99"));
}
END_TEST

START_TEST(errno_picks_the_code_that_tells_whose_fault_it_is)
{
	static const struct {
		int os;
		enum err_code code;
	} rows[] = {{EACCES, ERR_ACCESS}, {EBUSY, ERR_BUSY}, {ENOSPC, ERR_DISK_FULL},
		{ENODEV, ERR_DEVICE_GONE}, {ENXIO, ERR_DEVICE_GONE}, {ENOMEM, ERR_NO_MEMORY},
		{EIO, ERR_IO}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = {0};

		ck_assert_int_eq(err_errno(&e, ERR_IO, rows[i].os, "open x"), -(int)rows[i].code);
		ck_assert_int_eq(e.os_errno, rows[i].os);
		ck_assert_msg(!strncmp(e.msg, "open x: ", 8), "%s", e.msg);
	}
	ck_assert_int_eq(err_errno(NULL, ERR_TOOL_MISSING, ENOENT, "x"), -ERR_TOOL_MISSING);
}
END_TEST

START_TEST(the_class_decides_the_outcome)
{
	ck_assert_int_eq(err_code_class(ERR_VERIFY_MISMATCH), ERR_CLASS_UNIT);
	ck_assert_int_eq(err_code_class(ERR_TOOL_MISSING), ERR_CLASS_LINE);
	ck_assert_int_eq(err_code_class(ERR_ABORTED), ERR_CLASS_PERSON);
	ck_assert_int_eq(err_code_class(ERR_NONE), ERR_CLASS_NONE);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("err");
	TCase *t = tcase_create("err");

	tcase_add_test(t, every_code_has_a_name_of_its_own_that_finds_it_again);
	tcase_add_test(t, context_grows_on_the_way_up_and_the_code_stays);
	tcase_add_test(t, a_message_may_be_built_from_itself_and_never_overflows);
	tcase_add_test(t, errno_picks_the_code_that_tells_whose_fault_it_is);
	tcase_add_test(t, the_class_decides_the_outcome);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
