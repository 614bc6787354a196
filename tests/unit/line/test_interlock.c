/* SPDX-License-Identifier: Apache-2.0
 *
 * The judgement of interlocks, with a clock of the test's.
 */
#include "daemon/line/interlock.h"

#include <string.h>
#include <time.h>

#include "base/iotime.h"
#include "base/util.h"
#include "tests/unit/unit.h"

#define HOUR_MS	 INT64_C(3600000)
#define NOW	 (1000 * HOUR_MS)
#define HOURS(n) ((uint64_t)(n)*3600 * US_PER_S)

static const struct interlocks_config all = {
	.golden = {.every_us = HOURS(8), .warn_us = HOURS(1), .policy = INTERLOCK_BLOCKS},
	.contacts = {.limit = 100, .warn = 10, .policy = INTERLOCK_BLOCKS},
	.calibration = {.on = true, .warn_us = HOURS(24), .policy = INTERLOCK_WARNS},
	.yield = {.below = 90, .runs = 10, .policy = INTERLOCK_BLOCKS},
};

/* Nothing is near. */
static struct fixture_facts sound(void)
{
	struct fixture_facts f = {.contacts = 1000,
		.since_service = 5,
		.calibrated_until_ms = NOW + 1000 * HOUR_MS,
		.golden_ms = NOW - HOUR_MS,
		.golden_outcome = "passed",
		.recent = 10,
		.recent_passed = 10};

	return f;
}

static enum interlock_state state_of(
	const struct interlocks_config *c, const struct fixture_facts *f, enum interlock which)
{
	struct interlocks i;

	interlocks_judge(c, f, NOW, &i);
	return i.of[which].state;
}

START_TEST(what_nobody_asked_for_is_off)
{
	const struct interlocks_config none = {0};
	const struct fixture_facts nothing = {0};

	for (int i = 0; i < INTERLOCK_COUNT; i++)
		ck_assert_int_eq(state_of(&none, &nothing, (enum interlock)i), INTERLOCK_OFF);
	ck_assert_int_eq(interlocks_recent(&none), 0);
	ck_assert_int_eq(interlocks_recent(&all), 10);
}
END_TEST

/* Each from sound to due, one step at a time. */
static const struct {
	enum interlock which;
	int64_t golden_ago, since_service, calibrated_in, recent, passed;
	const char *outcome;
	enum interlock_state want;
} steps[] = {
	{INTERLOCK_GOLDEN, 0, 0, 1, 0, 0, "passed", INTERLOCK_OK},
	{INTERLOCK_GOLDEN, 7 * HOUR_MS - 1, 0, 1, 0, 0, "passed", INTERLOCK_OK},
	{INTERLOCK_GOLDEN, 7 * HOUR_MS, 0, 1, 0, 0, "passed", INTERLOCK_NEAR},
	{INTERLOCK_GOLDEN, 8 * HOUR_MS - 1, 0, 1, 0, 0, "passed", INTERLOCK_NEAR},
	{INTERLOCK_GOLDEN, 8 * HOUR_MS, 0, 1, 0, 0, "passed", INTERLOCK_DUE},
	{INTERLOCK_GOLDEN, 0, 0, 1, 0, 0, "failed", INTERLOCK_DUE},
	{INTERLOCK_GOLDEN, 0, 0, 1, 0, 0, "error", INTERLOCK_DUE},
	{INTERLOCK_GOLDEN, NOW, 0, 1, 0, 0, "", INTERLOCK_DUE}, /* never */
	{INTERLOCK_CONTACTS, 0, 89, 1, 0, 0, "passed", INTERLOCK_OK},
	{INTERLOCK_CONTACTS, 0, 90, 1, 0, 0, "passed", INTERLOCK_NEAR},
	{INTERLOCK_CONTACTS, 0, 99, 1, 0, 0, "passed", INTERLOCK_NEAR},
	{INTERLOCK_CONTACTS, 0, 100, 1, 0, 0, "passed", INTERLOCK_DUE},
	{INTERLOCK_CALIBRATION, 0, 0, 24 * HOUR_MS + 1, 0, 0, "passed", INTERLOCK_OK},
	{INTERLOCK_CALIBRATION, 0, 0, 24 * HOUR_MS, 0, 0, "passed", INTERLOCK_NEAR},
	{INTERLOCK_CALIBRATION, 0, 0, 0, 0, 0, "passed", INTERLOCK_DUE},
	{INTERLOCK_CALIBRATION, 0, 0, -NOW, 0, 0, "passed", INTERLOCK_DUE}, /* none */
	{INTERLOCK_YIELD, 0, 0, 1, 9, 0, "passed", INTERLOCK_OK},	    /* too few to judge */
	{INTERLOCK_YIELD, 0, 0, 1, 10, 10, "passed", INTERLOCK_OK},
	{INTERLOCK_YIELD, 0, 0, 1, 10, 9, "passed", INTERLOCK_NEAR}, /* one more would stop it */
	{INTERLOCK_YIELD, 0, 0, 1, 10, 8, "passed", INTERLOCK_DUE},
};

START_TEST(each_is_seen_before_it_bites)
{
	struct fixture_facts f = sound();

	f.golden_ms = NOW - steps[_i].golden_ago;
	f.since_service = steps[_i].since_service;
	f.calibrated_until_ms = NOW + steps[_i].calibrated_in;
	f.recent = steps[_i].recent;
	f.recent_passed = steps[_i].passed;
	snprintf(f.golden_outcome, sizeof f.golden_outcome, "%s", steps[_i].outcome);
	ck_assert_int_eq(state_of(&all, &f, steps[_i].which), steps[_i].want);
}
END_TEST

START_TEST(only_what_blocks_stops_a_run_and_only_until_it_is_released)
{
	struct fixture_facts f = sound();
	struct interlocks i;
	struct err e;

	f.calibrated_until_ms = NOW - 1; /* warns alone */
	interlocks_judge(&all, &f, NOW, &i);
	ck_assert_int_eq(interlocks_check(&i, &e), 0);
	f.since_service = 100;
	interlocks_judge(&all, &f, NOW, &i);
	ck_assert_int_eq(interlocks_check(&i, &e), -ERR_INTERLOCK);
	ck_assert_ptr_nonnull(strstr(e.msg, "100 units since its last service"));
	f.release[INTERLOCK_CONTACTS] = (struct interlock_release){
		.until_ms = NOW + HOUR_MS, .by = "boss", .reason = "new pins come at noon"};
	interlocks_judge(&all, &f, NOW, &i);
	ck_assert_int_eq(interlocks_check(&i, &e), 0);
	ck_assert_int_eq(i.of[INTERLOCK_CONTACTS].state, INTERLOCK_RELEASED);
	interlocks_judge(&all, &f, NOW + HOUR_MS, &i);
	ck_assert_int_eq(interlocks_check(&i, &e), -ERR_INTERLOCK);
}
END_TEST

START_TEST(a_release_of_what_is_not_due_says_nothing)
{
	struct fixture_facts f = sound();

	f.release[INTERLOCK_CONTACTS].until_ms = NOW + HOUR_MS;
	ck_assert_int_eq(state_of(&all, &f, INTERLOCK_CONTACTS), INTERLOCK_OK);
}
END_TEST

START_TEST(the_next_look_is_at_the_next_moment_that_matters)
{
	struct fixture_facts f = sound();

	ck_assert_int_eq(interlocks_next_ms(&all, &f, NOW), NOW + 6 * HOUR_MS);
	ck_assert_int_eq(interlocks_next_ms(&all, &f, NOW + 6 * HOUR_MS), NOW + 7 * HOUR_MS);
	f.release[INTERLOCK_YIELD].until_ms = NOW + HOUR_MS;
	ck_assert_int_eq(interlocks_next_ms(&all, &f, NOW), NOW + HOUR_MS);
	f = (struct fixture_facts){0};
	ck_assert_int_eq(interlocks_next_ms(&all, &f, NOW), 0);
}
END_TEST

START_TEST(what_is_shown_says_who_released_it_and_why)
{
	struct fixture_facts f = sound();
	struct interlocks i;
	json_t *list, *o;

	f.golden_ms = NOW - 7 * HOUR_MS;
	f.since_service = 100;
	f.release[INTERLOCK_CONTACTS] = (struct interlock_release){
		.until_ms = NOW + HOUR_MS, .by = "boss", .reason = "new pins come at noon"};
	interlocks_judge(&all, &f, NOW, &i);
	list = interlocks_json(&i, &f);
	ck_assert_uint_eq(json_array_size(list), 2);
	o = json_array_get(list, 0);
	ck_assert_str_eq(json_string_value(json_object_get(o, "interlock")), "golden");
	ck_assert_str_eq(json_string_value(json_object_get(o, "state")), "near");
	ck_assert_ptr_null(json_object_get(o, "released_by"));
	o = json_array_get(list, 1);
	ck_assert_str_eq(json_string_value(json_object_get(o, "state")), "released");
	ck_assert_str_eq(json_string_value(json_object_get(o, "released_by")), "boss");
	ck_assert_str_eq(json_string_value(json_object_get(o, "reason")), "new pins come at noon");
	json_decref(list);
}
END_TEST

START_TEST(an_instrument_whose_calibration_has_run_out_is_named)
{
	struct fixture_facts f = sound();
	struct interlocks got;

	f.calibrated_until_ms = NOW;
	snprintf(f.calibration_of, sizeof f.calibration_of, "dmm-7");
	interlocks_judge(&all, &f, NOW, &got);
	ck_assert_int_eq(got.of[INTERLOCK_CALIBRATION].state, INTERLOCK_DUE);
	ck_assert_ptr_nonnull(strstr(got.of[INTERLOCK_CALIBRATION].message,
		"the calibration of instrument dmm-7 holds until"));
	f.calibrated_until_ms = 0;
	interlocks_judge(&all, &f, NOW, &got);
	ck_assert_ptr_nonnull(strstr(got.of[INTERLOCK_CALIBRATION].message,
		"no calibration of instrument dmm-7 is on record"));
}
END_TEST

START_TEST(flash_that_was_erased_too_often_ends_the_run_of_its_unit_alone)
{
	struct interlocks_config c = {
		.wear = {.endurance = 100, .warn = 10, .policy = INTERLOCK_BLOCKS}};
	struct interlock_release none = {0}, given = {.until_ms = NOW + 1};
	struct fixture_facts f = sound();
	struct interlocks got;
	struct err e = {0};

	f.worn_erases = 89;
	ck_assert_int_eq(state_of(&c, &f, INTERLOCK_WEAR), INTERLOCK_OK);
	f.worn_erases = 90;
	ck_assert_int_eq(state_of(&c, &f, INTERLOCK_WEAR), INTERLOCK_NEAR);
	f.worn_erases = 100;
	snprintf(f.worn_unit, sizeof f.worn_unit, "SN1");
	snprintf(f.worn_region, sizeof f.worn_region, "0x08000000");
	interlocks_judge(&c, &f, NOW, &got);
	ck_assert_int_eq(got.of[INTERLOCK_WEAR].state, INTERLOCK_DUE);
	ck_assert_ptr_nonnull(strstr(got.of[INTERLOCK_WEAR].message,
		"the flash of unit SN1 was erased 100 times at 0x08000000, at most 100 expected"));
	ck_assert_int_eq(interlocks_check(&got, &e), 0); /* another unit is not worn */
	ck_assert_int_eq(interlocks_worn(&c, &none, "SN1", "0x08000000", 99, NOW, &e), 0);
	ck_assert_int_eq(
		interlocks_worn(&c, &none, "SN1", "0x08000000", 100, NOW, &e), -ERR_INTERLOCK);
	ck_assert_ptr_nonnull(strstr(e.msg, "unit SN1"));
	ck_assert_int_eq(interlocks_worn(&c, &given, "SN1", "0x08000000", 100, NOW, &e), 0);
	c.wear.policy = INTERLOCK_WARNS;
	ck_assert_int_eq(interlocks_worn(&c, &none, "SN1", "0x08000000", 100, NOW, &e), 0);
}
END_TEST

/* Every day from 6 to 14 and from 14 to 22 o'clock, in the time zone of the host. */
static const struct shift_config two[] = {
	{.name = (char *)"early", .from_min = 360, .to_min = 840},
	{.name = (char *)"late", .from_min = 840, .to_min = 1320},
};

static int64_t local(int day, int hour, int minute)
{
	struct tm tm = {.tm_year = 126,
		.tm_mon = 6,
		.tm_mday = day,
		.tm_hour = hour,
		.tm_min = minute,
		.tm_isdst = -1};

	return (int64_t)mktime(&tm) * 1000;
}

START_TEST(a_golden_unit_is_due_as_each_shift_begins)
{
	const struct interlocks_config c = {.golden = {.each_shift = true,
						    .warn_us = HOURS(1),
						    .policy = INTERLOCK_BLOCKS,
						    .shift = two,
						    .shifts = ARRAY_LEN(two)}};
	static const struct {
		int golden_hour, now_hour, now_minute;
		enum interlock_state want;
		int next_hour; /* of the next look; 29: 5 of the next day */
	} at[] = {
		{5, 6, 0, INTERLOCK_DUE, 0}, {5, 13, 0, INTERLOCK_DUE, 0},
		{7, 8, 0, INTERLOCK_OK, 13}, {7, 13, 0, INTERLOCK_NEAR, 14},
		{7, 14, 0, INTERLOCK_DUE, 0}, {15, 16, 0, INTERLOCK_OK, 29},
		{15, 23, 0, INTERLOCK_OK, 29}, /* nobody works then */
	};

	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		const int64_t now = local(14, at[i].now_hour, at[i].now_minute);
		struct fixture_facts f = sound();
		struct interlocks got;

		f.golden_ms = local(14, at[i].golden_hour, 30);
		interlocks_judge(&c, &f, now, &got);
		ck_assert_msg(got.of[INTERLOCK_GOLDEN].state == at[i].want, "%zu: %s", i,
			interlock_state_str(got.of[INTERLOCK_GOLDEN].state));
		ck_assert(got.of[INTERLOCK_GOLDEN].blocks);
		if (at[i].next_hour)
			ck_assert_int_eq(interlocks_next_ms(&c, &f, now),
				local(14 + at[i].next_hour / 24, at[i].next_hour % 24, 0));
	}
}
END_TEST

START_TEST(of_every_and_each_shift_the_sooner_counts)
{
	struct interlocks_config c = {.golden = {.every_us = HOURS(2),
					      .each_shift = true,
					      .shift = two,
					      .shifts = ARRAY_LEN(two)}};
	struct fixture_facts f = sound();
	struct interlocks got;

	f.golden_ms = local(14, 7, 0);
	interlocks_judge(&c, &f, local(14, 8, 59), &got);
	ck_assert_int_eq(got.of[INTERLOCK_GOLDEN].state, INTERLOCK_OK);
	ck_assert_int_eq(got.of[INTERLOCK_GOLDEN].until_ms, local(14, 9, 0));
	interlocks_judge(&c, &f, local(14, 9, 0), &got);
	ck_assert_int_eq(got.of[INTERLOCK_GOLDEN].state, INTERLOCK_DUE);
	f.golden_ms = local(14, 13, 30);
	interlocks_judge(&c, &f, local(14, 14, 0), &got);
	ck_assert_int_eq(got.of[INTERLOCK_GOLDEN].state, INTERLOCK_DUE);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("interlock");
	TCase *t = tcase_create("interlock");

	tcase_add_test(t, what_nobody_asked_for_is_off);
	tcase_add_loop_test(t, each_is_seen_before_it_bites, 0, (int)ARRAY_LEN(steps));
	tcase_add_test(t, only_what_blocks_stops_a_run_and_only_until_it_is_released);
	tcase_add_test(t, a_release_of_what_is_not_due_says_nothing);
	tcase_add_test(t, the_next_look_is_at_the_next_moment_that_matters);
	tcase_add_test(t, what_is_shown_says_who_released_it_and_why);
	tcase_add_test(t, an_instrument_whose_calibration_has_run_out_is_named);
	tcase_add_test(t, flash_that_was_erased_too_often_ends_the_run_of_its_unit_alone);
	tcase_add_test(t, a_golden_unit_is_due_as_each_shift_begins);
	tcase_add_test(t, of_every_and_each_shift_the_sooner_counts);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
