/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timefmt.h"

#include <string.h>

#include "base/thread.h"
#include "base/util.h"
#include "tests/unit/unit.h"

static const struct {
	const char *text;
	int64_t ms;
} good[] = {
	{"1970-01-01T00:00:00Z", 0},
	{"2026-11-22T15:58:41.123Z", 1795363121123},
	{"2026-11-22t15:58:41.123z", 1795363121123},
	{"2026-11-22T16:58:41.123+01:00", 1795363121123},
	{"2026-11-22T10:28:41.1235-05:30", 1795363121123},
	{"2024-02-29T23:59:59.999Z", 1709251199999},
	{"2026-11-22T15:58:41.1Z", 1795363121100},
};

START_TEST(instants_are_read_in_any_offset_and_precision)
{
	int64_t ms = -1;
	char text[RFC3339_SIZE];
	int64_t again = -1;

	ck_assert_int_eq(rfc3339_parse(good[_i].text, &ms), 0);
	ck_assert_int_eq(ms, good[_i].ms);
	ck_assert_int_eq(rfc3339_parse(rfc3339(ms, text), &again), 0);
	ck_assert_int_eq(again, ms);
	ck_assert_uint_eq(strlen(text), 24);
}
END_TEST

static const char *const bad[] = {
	"",
	"2026-11-22",
	"2026-11-22T15:58:41",
	"2026-11-22 15:58:41Z",
	"2026-13-22T15:58:41Z",
	"2026-11-00T15:58:41Z",
	"2026-11-22T24:58:41Z",
	"2026-11-22T15:60:41Z",
	"2026-11-22T15:58:41.Z",
	"2026-11-22T15:58:41.1234567890Z",
	"2026-11-22T15:58:41+0100",
	"2026-11-22T15:58:41+01:60",
	"2026-11-22T15:58:41Zx",
	"2026-02-29T15:58:41Z",
	"2026-02-29T15:58:60Z",
	"2026-01-99T15:58:60Z",
	"9999-12-31T23:59:59-00:01",
	"9999-12-31T23:59:60Z",
	"0000-01-01T00:00:00+00:01",
};

START_TEST(what_is_no_instant_is_refused)
{
	int64_t ms = 77;

	ck_assert_msg(rfc3339_parse(bad[_i], &ms) < 0, "%s", bad[_i]);
	ck_assert_int_eq(ms, 77);
}
END_TEST

START_TEST(uuids_are_of_version_7_and_in_order)
{
	char last[UUID_SIZE];
	char next[UUID_SIZE];
	unsigned long long ms;

	uuid7(last);
	ck_assert_uint_eq(strlen(last), 36);
	for (int i = 0; i < 20000; i++) {
		uuid7(next);
		ck_assert_msg(strcmp(last, next) < 0, "%s then %s", last, next);
		ck_assert_int_eq(next[14], '7');
		ck_assert_ptr_nonnull(strchr("89ab", next[19]));
		memcpy(last, next, sizeof last);
	}

	char hex[13];

	snprintf(hex, sizeof hex, "%.8s%.4s", last, last + 9);
	ms = strtoull(hex, NULL, 16);
	ck_assert_int_lt(llabs((long long)ms - wall_ms()), 60000);
}
END_TEST

#define MANY 2000

START_TEST(a_uuid_of_version_7_says_when_it_was_made)
{
	static const char *const other[] = {"", "..", "01890000-0000-4000-8000-000000000001",
		"01890000-0000-7000-8000-00000000000", "01890000-0000-7000-8000-0000000000011",
		"01890000/0000-7000-8000-000000000001", "0189000g-0000-7000-8000-000000000001"};
	char now[UUID_SIZE];
	int64_t before = wall_ms();
	int64_t ms = uuid7_ms(uuid7(now));

	ck_assert_int_ge(ms, before);
	ck_assert_int_eq(uuid7_ms("0189abcd-ef01-7000-8000-000000000001"), 0x0189abcdef01);
	for (size_t i = 0; i < ARRAY_LEN(other); i++)
		ck_assert_msg(uuid7_ms(other[i]) == -1, "'%s' is taken", other[i]);
}
END_TEST

static void *make_uuids(void *arg)
{
	char(*out)[UUID_SIZE] = arg;

	for (int i = 0; i < MANY; i++)
		uuid7(out[i]);
	return NULL;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

START_TEST(uuids_of_several_threads_are_all_different)
{
	static char all[4 * MANY][UUID_SIZE];
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(thread_start(&t[i], "uuid", make_uuids, all[i * MANY], NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	qsort(all, ARRAY_LEN(all), sizeof all[0], by_text);
	for (size_t i = 1; i < ARRAY_LEN(all); i++)
		ck_assert_str_ne(all[i - 1], all[i]);
}
END_TEST

START_TEST(what_is_no_time_is_refused)
{
	static const char *const odd[] = {"2026-02-31T00:00:00Z", "2026-01-01T 1:02:03Z",
		" 026-01-01T00:00:00Z", "2026-01-01T15:-1:41Z", "2026-01-01T00:00:00+-1:00",
		"2026-01-01T00:00:00", "2026-01-01T00:00:00Zx", "2026-01-01T00:00:00.Z"};
	int64_t ms;

	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		ck_assert_msg(rfc3339_parse(odd[i], &ms) < 0, "%s", odd[i]);
}
END_TEST

START_TEST(before_1970_is_told_right)
{
	char buf[RFC3339_SIZE];

	ck_assert_str_eq(rfc3339(-1, buf), "1969-12-31T23:59:59.999Z");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("timefmt");
	TCase *t = tcase_create("timefmt");

	tcase_set_timeout(t, 20);
	tcase_add_loop_test(t, instants_are_read_in_any_offset_and_precision, 0, ARRAY_LEN(good));
	tcase_add_loop_test(t, what_is_no_instant_is_refused, 0, ARRAY_LEN(bad));
	tcase_add_test(t, uuids_are_of_version_7_and_in_order);
	tcase_add_test(t, a_uuid_of_version_7_says_when_it_was_made);
	tcase_add_test(t, uuids_of_several_threads_are_all_different);
	tcase_add_test(t, what_is_no_time_is_refused);
	tcase_add_test(t, before_1970_is_told_right);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
