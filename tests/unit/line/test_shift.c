/* SPDX-License-Identifier: Apache-2.0
 *
 * Which shift a moment is in, also over midnight and on the days on which the clock is set.
 */
#include "daemon/line/shift.h"

#include <stdlib.h>
#include <time.h>

#include "base/timefmt.h"
#include "base/util.h"
#include "tests/unit/unit.h"

#define HOUR_MS 3600000LL

static const struct shift_config three[] = {
	{.name = (char *)"early", .from_min = 360, .to_min = 840, .units = 480},
	{.name = (char *)"late", .from_min = 840, .to_min = 1320},
	{.name = (char *)"night", .from_min = 1320, .to_min = 360},
};

static void setup(void)
{
	setenv("TZ", "Europe/Berlin", 1);
	tzset();
}

static int64_t local(int month, int day, int hour, int minute)
{
	struct tm tm = {.tm_year = 126,
		.tm_mon = month - 1,
		.tm_mday = day,
		.tm_hour = hour,
		.tm_min = minute,
		.tm_isdst = -1};

	return (int64_t)mktime(&tm) * 1000;
}

static void is_in(int64_t at, const char *name, int64_t from, int64_t to)
{
	struct shift_span s;

	shift_at(three, ARRAY_LEN(three), at, &s);
	ck_assert_str_eq(s.name, name);
	ck_assert_int_eq(s.from_ms, from);
	ck_assert_int_eq(s.to_ms, to);
}

START_TEST(a_moment_is_in_the_shift_that_it_falls_into)
{
	int64_t six = local(7, 14, 6, 0), ten = local(7, 14, 22, 0), next = local(7, 15, 6, 0);

	is_in(six, "early", six, six + 8 * HOUR_MS);
	is_in(six + 8 * HOUR_MS - 1, "early", six, six + 8 * HOUR_MS);
	is_in(six + 8 * HOUR_MS, "late", six + 8 * HOUR_MS, ten);
	is_in(ten, "night", ten, next);
	is_in(local(7, 15, 0, 30), "night", ten, next);
	is_in(next - 1, "night", ten, next);
}
END_TEST

START_TEST(a_night_on_which_the_clock_is_set_is_as_long_as_it_is)
{
	struct shift_span s;

	shift_at(three, ARRAY_LEN(three), local(10, 25, 3, 30), &s);
	ck_assert_str_eq(s.name, "night");
	ck_assert_int_eq(s.to_ms - s.from_ms, 9 * HOUR_MS);
	shift_at(three, ARRAY_LEN(three), local(3, 29, 4, 0), &s);
	ck_assert_int_eq(s.to_ms - s.from_ms, 7 * HOUR_MS);
}
END_TEST

/* On 2026-10-25 there is 02:30 twice, on 2026-03-29 not at all; in Havana there is a midnight twice. */
START_TEST(a_border_that_there_is_twice_or_never_is_one)
{
	static const struct shift_config two[] = {
		{.name = (char *)"night", .from_min = 1320, .to_min = 150},
		{.name = (char *)"day", .from_min = 150, .to_min = 1320},
	};
	const int64_t night[] = {local(10, 24, 22, 0), local(3, 28, 22, 0)};

	for (size_t i = 0; i < ARRAY_LEN(night); i++)
		for (int64_t at = night[i]; at < night[i] + 26 * HOUR_MS; at += HOUR_MS / 4) {
			struct shift_span s;

			/* Whatever was asked before. */
			local_day_ms(at + (at % 7 - 3) * 24 * 60 * HOUR_MS, 0, 150);
			shift_at(two, ARRAY_LEN(two), at, &s);
			ck_assert_ptr_nonnull(s.name);
			ck_assert_int_gt(s.to_ms, s.from_ms);
		}
	ck_assert_int_eq(local_day_ms(night[0], 1, 150), night[0] + 9 * HOUR_MS / 2);
	ck_assert_int_eq(local_day_ms(night[1], 1, 150), night[1] + 9 * HOUR_MS / 2);
	setenv("TZ", "America/Havana", 1);
	tzset();
	/* 2026-11-01T04:30:00Z, a half past the first midnight. */
	ck_assert_int_eq(local_day_ms(1793507400000, 0, 0), 1793505600000);
}
END_TEST

START_TEST(between_shifts_and_without_any)
{
	struct shift_span s;

	shift_at(three, 1, local(7, 14, 20, 0), &s);
	ck_assert_ptr_null(s.name);
	ck_assert_int_eq(s.from_ms, local(7, 14, 14, 0));
	ck_assert_int_eq(s.to_ms, local(7, 15, 6, 0));
	shift_at(NULL, 0, local(7, 14, 20, 0), &s);
	ck_assert_ptr_null(s.name);
	ck_assert_int_eq(s.from_ms, local(7, 14, 0, 0));
	ck_assert_int_eq(s.to_ms, local(7, 15, 0, 0));
}
END_TEST

START_TEST(of_two_shifts_at_once_the_later_one_counts)
{
	const struct shift_config two[] = {{.name = (char *)"day", .from_min = 360, .to_min = 1080},
		{.name = (char *)"extra", .from_min = 600, .to_min = 720}};
	struct shift_span s;

	shift_at(two, 2, local(7, 14, 11, 0), &s);
	ck_assert_str_eq(s.name, "extra");
	shift_at(two, 2, local(7, 14, 13, 0), &s);
	ck_assert_str_eq(s.name, "day");
}
END_TEST

START_TEST(what_is_planned_is_what_of_the_time_is_in_a_shift)
{
	const int64_t five = local(7, 14, 5, 0), seven = local(7, 14, 7, 0);
	struct shift_plan p;

	ck_assert_int_eq(shift_next_ms(three, 1, five), local(7, 14, 6, 0));
	ck_assert_int_eq(shift_next_ms(three, 1, seven), local(7, 14, 14, 0));
	ck_assert_int_eq(shift_next_ms(three, 1, local(7, 14, 14, 0)), local(7, 15, 6, 0));
	ck_assert_int_eq(shift_next_ms(NULL, 0, five), local(7, 15, 0, 0));
	shift_plan(three, 1, five, local(7, 16, 8, 0), &p); /* two whole, and two of eight hours */
	ck_assert_int_eq(p.planned_ms, 18 * HOUR_MS);
	ck_assert_int_eq(p.demand_ms, 18 * HOUR_MS);
	ck_assert_double_eq_tol(p.demand, 2.25 * 480, 1e-9);
	shift_plan(three, 3, five, five + 24 * HOUR_MS,
		&p); /* the clock round, the early shift says how many */
	ck_assert_int_eq(p.planned_ms, 24 * HOUR_MS);
	ck_assert_int_eq(p.demand_ms, 8 * HOUR_MS);
	ck_assert_double_eq_tol(p.demand, 480, 1e-9);
	shift_plan(NULL, 0, five, seven, &p);
	ck_assert_int_eq(p.planned_ms, 2 * HOUR_MS);
	ck_assert_double_eq(p.demand, 0);
	shift_plan(three, 3, seven, five, &p);
	ck_assert_int_eq(p.planned_ms, 0);
}
END_TEST

START_TEST(a_time_of_the_day_has_hours_and_minutes)
{
	static const char *const bad[] = {
		"", "6:00", "06:60", "24:00", "0600", "06:0a", "06-00", "06:000"};

	ck_assert_int_eq(shift_minutes("06:05"), 365);
	ck_assert_int_eq(shift_minutes("23:59"), 1439);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_int_eq(shift_minutes(bad[i]), -1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("shift");
	TCase *t = tcase_create("shift");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, a_moment_is_in_the_shift_that_it_falls_into);
	tcase_add_test(t, a_night_on_which_the_clock_is_set_is_as_long_as_it_is);
	tcase_add_test(t, a_border_that_there_is_twice_or_never_is_one);
	tcase_add_test(t, between_shifts_and_without_any);
	tcase_add_test(t, of_two_shifts_at_once_the_later_one_counts);
	tcase_add_test(t, what_is_planned_is_what_of_the_time_is_in_a_shift);
	tcase_add_test(t, a_time_of_the_day_has_hours_and_minutes);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
