/* SPDX-License-Identifier: Apache-2.0 */
#include "base/teller.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

static char heard[2048];

static void on_progress(void *data, const char *phase, uint64_t done, uint64_t total)
{
	snprintf(data, sizeof heard, "%s %llu/%llu", phase, (unsigned long long)done,
		(unsigned long long)total);
}

static void on_log(void *data, char dir, const char *text)
{
	snprintf(data, sizeof heard, "%c%s", dir, text);
}

START_TEST(what_is_told_arrives_as_it_is)
{
	const struct teller t = {heard, on_progress, on_log};
	char text[1025];

	teller_progress(&t, "write", UINT64_MAX, 0);
	ck_assert_str_eq(heard, "write 18446744073709551615/0");
	teller_log(&t, '<', "%d%% of %s", 7, "it");
	ck_assert_str_eq(heard, "<7% of it");
	teller_line(&t, '>', "100%s");
	ck_assert_str_eq(heard, ">100%s");
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	teller_log(&t, '#', "%s", text);
	ck_assert_str_eq(heard + 1, text);
}
END_TEST

START_TEST(nobody_has_to_listen)
{
	const struct teller only_log = {.data = heard, .log = on_log};
	const struct teller only_progress = {.data = heard, .progress = on_progress};

	teller_log(&only_log, '#', "kept");
	teller_progress(&only_log, "write", 1, 2);
	ck_assert_str_eq(heard, "#kept");
	teller_progress(&only_progress, "erase", 1, 2);
	teller_log(&only_progress, '#', "dropped");
	teller_line(&only_progress, '#', "dropped");
	teller_log(NULL, '#', "dropped");
	teller_line(NULL, '#', "dropped");
	teller_progress(NULL, "read", 1, 2);
	ck_assert_str_eq(heard, "erase 1/2");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("teller");
	TCase *t = tcase_create("teller");

	tcase_add_test(t, what_is_told_arrives_as_it_is);
	tcase_add_test(t, nobody_has_to_listen);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
