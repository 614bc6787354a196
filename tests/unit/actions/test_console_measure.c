/* SPDX-License-Identifier: Apache-2.0
 *
 * What a console says as a value, a sweep or a text: what is measured, by which limits, and what is no measurement.
 */
#include "tests/unit/actions/command_line.h"

static struct rig rig;
static struct fake_link wire;

static void set_up(void)
{
	rig = (struct rig){.wire = &wire, .secrets = secret_set_new()};
	fake_init(&wire, command_line, NULL);
	answers = NULL;
}

static void tear_down(void)
{
	rig_done(&rig);
	fake_done(&wire);
}

static int run(const char *action, const char *with)
{
	return rig_run(&rig, action, with);
}

static void assert_says(const char *what)
{
	const char *msg = rig.out.verdict == STEP_FAILED ? rig.out.message : rig.e.msg;

	ck_assert_msg(strstr(msg, what), "'%s' does not say '%s'", msg, what);
}

static int measure(const char *says, const char *more)
{
	struct answer a[] = {{"read temp", says}, {0}};
	_cleanup_(freep) char *with =
		xasprintf("{\"port\":\"c\",\"send\":\"read temp\",\"low\":20,\"high\":30%s}", more);

	answers = a;
	rig.measurements = 0;
	/* A unit of its own each time: nothing is owed. */
	link_turn_clear(&wire.link.turn);

	int r = run("console.measure", with);

	answers = NULL;
	return r;
}

START_TEST(flaw_18_a_measurement_is_recorded_with_its_limits_unit_and_verdict)
{
	ck_assert_msg(measure("21.5 C", ",\"unit\":\"degC\",\"marginal\":2") == 0, "%s", rig.e.msg);
	ck_assert_uint_eq(rig.measurements, 1);
	ck_assert(rig.measured.is_number && rig.measured.has_low && rig.measured.has_high);
	ck_assert_double_eq_tol(rig.measured.value, 21.5, 1e-9);
	ck_assert_double_eq_tol(rig.measured.low, 20, 1e-9);
	ck_assert_str_eq(rig.verdict, "marginal");
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
}
END_TEST

START_TEST(flaw_19_a_value_outside_its_limits_fails_and_is_recorded)
{
	ck_assert_int_eq(measure("30.01", ""), 0);
	ck_assert_int_eq(rig.out.code, ERR_LIMIT_HIGH);
	ck_assert_int_eq(measure("temp=19.99", ""), 0);
	ck_assert_int_eq(rig.out.code, ERR_LIMIT_LOW);
	ck_assert_str_eq(rig.verdict, "fail");
	ck_assert_int_eq(measure("20", ""), 0);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
}
END_TEST

START_TEST(flaw_20_what_is_no_number_fails_the_step_and_crashes_nothing)
{
	static const char *const no_numbers[] = {
		"nan", "inf", "-inf", "sensor?", "0x19", "25,5", "v25.1.2", "temp25", "1e999"};

	for (size_t i = 0; i < ARRAY_LEN(no_numbers); i++) {
		ck_assert_msg(measure(no_numbers[i], "") == 0, "%s", no_numbers[i]);
		ck_assert_msg(rig.out.verdict == STEP_FAILED, "'%s' passed", no_numbers[i]);
		ck_assert_msg(
			rig.out.code == ERR_NOT_A_NUMBER, "'%s': %d", no_numbers[i], rig.out.code);
		ck_assert_uint_eq(rig.measurements, 1);
	}
	/* Words outside of the pattern, by which the number is not the value. */
	ck_assert_int_eq(measure("V=25.1 V OVERLOAD", ",\"pattern\":\"V=([\\\\d.]+)\""), 0);
	ck_assert_int_eq(rig.out.code, ERR_NOT_A_NUMBER);
	ck_assert_int_eq(measure("V=25.1 V overall", ",\"pattern\":\"V=([\\\\d.]+)\""), 0);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	/* Another value after it, or none. */
	static const char *const pairs[] = {
		"25.1\r\n29.9", "Expected: 25.1\r\nActual: 29.9", "25.1 C\r\nOVERLOAD", "25\r\n.9"};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		ck_assert_int_eq(measure(pairs[i], ""), 0);
		ck_assert_msg(rig.out.code == ERR_NOT_A_NUMBER, "'%s': %d", pairs[i], rig.out.code);
	}
	ck_assert_int_eq(measure("V=25.1\r\nV=29.9", ",\"pattern\":\"V=([\\\\d.]+)\""), 0);
	ck_assert_int_eq(rig.out.code, ERR_NOT_A_NUMBER);
	ck_assert_int_eq(measure("25.1\r\n25.1\r\nesp32> ", ""), 0);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	ck_assert_int_eq(measure("V=25.1\r\nI=0.2", ",\"pattern\":\"V=([\\\\d.]+)\""), 0);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	ck_assert_int_eq(measure("offset=nan", ",\"pattern\":\"offset=(\\\\S+)\""), 0);
	ck_assert_int_eq(rig.out.code, ERR_NOT_A_NUMBER);
}
END_TEST

START_TEST(a_reply_in_another_multiple_is_converted_and_in_another_unit_refused)
{
	ck_assert_int_eq(measure("25100 m\u00b0C", ",\"unit\":\"degC\""), 0);
	ck_assert_int_eq(rig.out.code, ERR_NOT_A_NUMBER);
	ck_assert_int_eq(measure("25100 mV", ",\"unit\":\"V\""), 0);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	ck_assert_double_eq_tol(rig.measured.value, 25.1, 1e-9);
	ck_assert_str_eq(rig_text(rig.out.evidence, "reply"), "25100 mV");
	ck_assert_int_eq(measure("25.1 mV", ",\"unit\":\"V\""), 0);
	ck_assert_int_eq(rig.out.code, ERR_LIMIT_LOW);
	ck_assert_int_eq(measure("25.1 A", ",\"unit\":\"V\""), 0);
	ck_assert_int_eq(rig.out.code, ERR_NOT_A_NUMBER);
	assert_says("is not in V");
	ck_assert_int_eq(measure("25.1 mV", ""), 0);
	ck_assert_int_eq(rig.out.code, ERR_NOT_A_NUMBER);
	assert_says("add unit: mV");
	/* The pattern picks the number, and the unit after it counts all the same. */
	ck_assert_int_eq(measure("V=25.1 mV ok", ",\"unit\":\"V\",\"pattern\":\"V=([0-9.]+)\""), 0);
	ck_assert_int_eq(rig.out.code, ERR_LIMIT_LOW);
	ck_assert_int_eq(measure("- 25", ",\"pattern\":\"([0-9.]+)\""), 0);
	ck_assert_int_eq(rig.out.code, ERR_NOT_A_NUMBER);
	ck_assert_int_eq(measure("V\t25.1", ",\"pattern\":\"V\\\\t(\\\\S+)\""), 0);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
}
END_TEST

START_TEST(a_reply_without_a_value_is_not_passed_by_the_line_after_it)
{
	ck_assert_int_eq(measure("value: OL\r\nstatus: 25", ""), 0);
	ck_assert_int_eq(rig.out.code, ERR_NOT_A_NUMBER);
	ck_assert_int_eq(measure("1.#QNAN\r\n25", ""), 0);
	ck_assert_int_eq(rig.out.code, ERR_NOT_A_NUMBER);
	ck_assert_int_eq(measure("\x1b[32m25.0\x1b[0m", ""), 0);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
}
END_TEST

START_TEST(limits_that_come_in_at_the_run_are_checked_there)
{
	struct answer a[] = {{"read", "25"}, {0}};

	answers = a;
	ck_assert_int_eq(
		run("console.measure", "{\"port\":\"c\",\"send\":\"read\",\"low\":30,\"high\":20}"),
		-ERR_RECIPE_INVALID);
	ck_assert_uint_eq(wire.heard_len, 0);
	answers = NULL;
}
END_TEST

/* --- more than one number, and none --- */

#define SWEEP_AXIS "\"axis\":{\"unit\":\"Hz\",\"start\":100,\"step\":100,\"points\":4}"
#define SWEEP_MASK ",\"limits\":[\"100 300 1 -\",\"300 400 1 3\"]"

static int sweep(const char *says, const char *with)
{
	struct answer a[] = {{"sweep", says}, {0}};
	_cleanup_(freep) char *all =
		xasprintf("{\"port\":\"c\",\"send\":\"sweep\",\"unit\":\"V\",%s}", with);
	int r;

	answers = a;
	rig.measurements = 0;
	link_turn_clear(&wire.link.turn);
	r = run("console.sweep", all);
	answers = NULL;
	return r;
}

START_TEST(each_value_of_a_sweep_is_judged_by_the_limits_at_its_place)
{
	ck_assert_msg(sweep("1.5, 9, 2.5, 3", SWEEP_AXIS SWEEP_MASK) == 0, "%s", rig.e.msg);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	ck_assert_str_eq(rig.verdict, "pass");
	ck_assert_uint_eq(rig.measurements, 1);
	ck_assert_str_eq(rig.detail,
		"{\"axis\":{\"name\":null,\"unit\":\"Hz\",\"values\":[100.0,200.0,300.0,400.0]},"
		"\"kind\":\"sweep\",\"limits\":[{\"from\":100.0,\"high\":null,\"low\":1.0,\"to\":300.0},"
		"{\"from\":300.0,\"high\":3.0,\"low\":1.0,\"to\":400.0}],\"outside\":[],"
		"\"values\":[1.5,9.0,2.5,3.0]}");
	/* At 300 Hz the later row counts. */
	ck_assert_int_eq(sweep("0.5;9;3500 mV;3", SWEEP_AXIS SWEEP_MASK), 0);
	ck_assert_int_eq(rig.out.verdict, STEP_FAILED);
	ck_assert_int_eq(rig.out.code, ERR_LIMIT_LOW);
	ck_assert_str_eq(rig.out.message,
		"the-step: 0.5 V at 100 Hz is below the limit 1; 2 of 4 points are outside");
	ck_assert_str_eq(rig.verdict, "fail");
	ck_assert_ptr_nonnull(strstr(rig.detail, "\"outside\":[1,3]"));
	ck_assert_int_eq(sweep("1.5 9 2.95 2", SWEEP_AXIS SWEEP_MASK ",\"marginal\":0.1"), 0);
	ck_assert_str_eq(rig.verdict, "marginal");
	ck_assert_int_eq(
		sweep("-5 1e3 0 7", SWEEP_AXIS), 0); /* without limits it is kept as it is */
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
}
END_TEST

START_TEST(what_is_no_sweep_fails_and_says_where)
{
	static const struct {
		const char *says, *why;
	} bad[] = {
		{"1, 2, 3", "the-step: 3 values came, and the axis has 4 points"},
		{"1, 2, x, 4", "value 3"},
		{"1, 2, , 4", "value 3"},
		{"1, 2, 3 A, 4", "value 3"},
		{"hello", "hello"},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(sweep(bad[i].says, SWEEP_AXIS) == 0, "%s", rig.e.msg);
		ck_assert_int_eq(rig.out.verdict, STEP_FAILED);
		ck_assert_int_eq(rig.out.code, ERR_NOT_A_NUMBER);
		ck_assert_msg(strstr(rig.out.message, bad[i].why) != NULL, "%s", rig.out.message);
		ck_assert_str_eq(rig.verdict, "fail");
	}
}
END_TEST

START_TEST(limits_with_a_gap_are_named_with_their_place)
{
	static const struct {
		const char *with, *why;
	} bad[] = {
		{SWEEP_AXIS ",\"limits\":[\"100 200 1 -\",\"250 400 1 -\"]",
			"'limits' has a gap from 200 to 250, between row 1 and row 2"},
		{SWEEP_AXIS ",\"limits\":[\"100 300 1 -\",\"250 400 1 -\"]",
			"row 2 of 'limits' begins at 250, before row 1 ends, at 300"},
		{SWEEP_AXIS ",\"limits\":[\"150 400 1 -\"]",
			"'limits' has a gap before row 1: it begins at 150, and the axis at 100"},
		{SWEEP_AXIS ",\"limits\":[\"100 350 1 -\"]",
			"'limits' has a gap after row 1: it ends at 350, and the axis at 400"},
		{SWEEP_AXIS ",\"limits\":[\"100 400 - -\"]", "neither a low nor a high limit"},
		{SWEEP_AXIS ",\"limits\":[\"100 400 2 1\"]", "no value can pass"},
		{SWEEP_AXIS ",\"limits\":[\"100 400 1\"]", "row 1 of 'limits' is '100 400 1'"},
		{SWEEP_AXIS ",\"limits\":[\"100 400 1 2V\"]", "four numbers"},
		{SWEEP_AXIS ",\"limits\":[\"100 400 1 2 3\"]", "four numbers"},
		{SWEEP_AXIS ",\"limits\":[\"400 100 1 2\"]", "FROM and TO expected"},
		{SWEEP_AXIS ",\"limits\":[]", "'limits' is empty"},
		{"\"axis\":{\"values\":\"1 3 2\"}", "value 3 of 'axis' is 2, after 3"},
		{"\"axis\":{\"values\":\"1 a\"}", "no list of numbers"},
		{"\"axis\":{\"start\":1}",
			"'axis' needs 'values', or 'start', 'step' and 'points'"},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_int_eq(sweep("1,2,3,4", bad[i].with), -ERR_RECIPE_INVALID);
		ck_assert_msg(strstr(rig.e.msg, bad[i].why) != NULL, "%s", rig.e.msg);
		ck_assert_uint_eq(rig.measurements, 0);
	}
}
END_TEST

START_TEST(a_margin_of_a_sweep_is_as_checked_as_that_of_one_value)
{
	static const struct {
		const char *margin, *why;
	} bad[] = {
		{"-0.1", "a distance from the limits, 0 or more, expected"},
		{"1.1", "more than half of the range from 1 to 3 in row 2 of 'limits'"},
	};
	/* A margin of a row with one limit has no end; at the margin itself a value is good. */
	static const struct {
		const char *says, *margin, *verdict;
	} good[] = {
		{"1.5 9 2 2", "0.5", "pass"},
		{"1.25 9 2 2", "0.5", "marginal"},
		{"1.5 9 2 2.75", "0.5", "marginal"},
		{"1 9 2 3", "0", "pass"},
		{"3 9 2 2", "1", "pass"},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_(freep) char *with =
			xasprintf(SWEEP_AXIS SWEEP_MASK ",\"marginal\":%s", bad[i].margin);

		ck_assert_int_eq(sweep("1,2,3,4", with), -ERR_RECIPE_INVALID);
		ck_assert_msg(strstr(rig.e.msg, bad[i].why) != NULL, "%s", rig.e.msg);
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		_cleanup_(freep) char *with =
			xasprintf(SWEEP_AXIS SWEEP_MASK ",\"marginal\":%s", good[i].margin);

		ck_assert_msg(sweep(good[i].says, with) == 0, "%s", rig.e.msg);
		ck_assert_msg(!strcmp(rig.verdict, good[i].verdict), "%s at %s: %s", good[i].says,
			good[i].margin, rig.verdict);
	}
}
END_TEST

static int text(const char *says, const char *with)
{
	struct answer a[] = {{"colour", says}, {0}};
	_cleanup_(freep) char *all = xasprintf("{\"port\":\"c\",\"send\":\"colour\",%s}", with);
	int r;

	answers = a;
	rig.measurements = 0;
	link_turn_clear(&wire.link.turn);
	r = run("console.text", all);
	answers = NULL;
	return r;
}

START_TEST(a_text_is_measured_whole_by_what_it_has_to_be)
{
	static const struct {
		const char *says, *with;
		bool good;
	} all[] = {
		{"red", "\"equals\":\"red\"", true},
		{"dark red", "\"equals\":\"red\"", false},
		{"colour: red", "\"equals\":\"red\",\"pattern\":\"^colour: (.*)$\"", true},
		{"blue", "\"one_of\":[\"red\",\"blue\"]", true},
		{"bluish", "\"one_of\":[\"red\",\"blue\"]", false},
		{"v2.10", "\"matches\":\"v2\\\\.[0-9]+\"", true},
		{"v2.10-dirty", "\"matches\":\"v2\\\\.[0-9]+\"", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		ck_assert_msg(text(all[i].says, all[i].with) == 0, "%zu: %s", i, rig.e.msg);
		ck_assert_msg((rig.out.verdict == STEP_PASSED) == all[i].good, "%zu", i);
		ck_assert_str_eq(rig.verdict, all[i].good ? "pass" : "fail");
		ck_assert_uint_eq(rig.measurements, 1);
		ck_assert_ptr_nonnull(strstr(rig.detail, "\"kind\":\"text\""));
	}
	ck_assert_str_eq(rig.out.message,
		"the-step: 'v2.10-dirty' was read, a text that matches \"v2\\\\.[0-9]+\" expected");
	ck_assert_int_eq(
		text("red", "\"equals\":\"red\",\"one_of\":[\"red\"]"), -ERR_RECIPE_INVALID);
	ck_assert_int_eq(text("red", "\"eol\":\"lf\""), -ERR_RECIPE_INVALID);
}
END_TEST

START_TEST(a_log_line_with_a_time_is_no_measurement)
{
	ck_assert_int_eq(measure("[25.0] wifi up\r\n22.5", ""), 0);
	ck_assert_double_eq_tol(rig.measured.value, 22.5, 1e-9);
}
END_TEST

static Suite *console_measure_suite(void)
{
	Suite *s = suite_create("console_measure");
	TCase *t = tcase_create("console_measure");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 50);
	tcase_add_test(t, flaw_18_a_measurement_is_recorded_with_its_limits_unit_and_verdict);
	tcase_add_test(t, flaw_19_a_value_outside_its_limits_fails_and_is_recorded);
	tcase_add_test(t, flaw_20_what_is_no_number_fails_the_step_and_crashes_nothing);
	tcase_add_test(t, a_reply_in_another_multiple_is_converted_and_in_another_unit_refused);
	tcase_add_test(t, a_reply_without_a_value_is_not_passed_by_the_line_after_it);
	tcase_add_test(t, limits_that_come_in_at_the_run_are_checked_there);
	tcase_add_test(t, each_value_of_a_sweep_is_judged_by_the_limits_at_its_place);
	tcase_add_test(t, what_is_no_sweep_fails_and_says_where);
	tcase_add_test(t, limits_with_a_gap_are_named_with_their_place);
	tcase_add_test(t, a_margin_of_a_sweep_is_as_checked_as_that_of_one_value);
	tcase_add_test(t, a_text_is_measured_whole_by_what_it_has_to_be);
	tcase_add_test(t, a_log_line_with_a_time_is_no_measurement);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(console_measure_suite)
