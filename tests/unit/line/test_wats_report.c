/* SPDX-License-Identifier: Apache-2.0
 *
 * The report of a run for WATS.
 */
#include "daemon/line/wats_report.h"

#include <string.h>

#include "base/util.h"
#include "daemon/line/config.h"
#include "tests/unit/unit.h"

#define MEASURED(name, value, text, low, high, verdict)                  \
	"{\"name\": \"" name "\", \"value\": " value ", \"text\": " text \
	", \"unit\": \"V\", \"low\": " low ", \"high\": " high ", \"verdict\": \"" verdict "\"}"
#define STEP(n, id, phase, outcome, measured)                                         \
	"{\"n\": " n ", \"id\": \"" id "\", \"action\": \"a\", \"phase\": \"" phase   \
	"\", \"outcome\": \"" outcome "\", \"message\": null, \"duration_ms\": 1500," \
	" \"started_at\": \"2026-11-30T10:00:11.000Z\", \"measurements\": [" measured "]}"

static char code[] = "20", name[] = "Flash", place[] = "hall 2";
static const struct wats_config config = {
	.process_code = code, .process_name = name, .location = place};
static json_t *told, *got;

static void setup(void)
{
	json_error_t e;

	told = json_loads(
		"{\"report\": {\"id\": \"R\", \"job\": \"J\", \"station\": \"A1\","
		" \"outcome\": \"failed\", \"code\": \"limit-low\", \"step\": \"volts\","
		" \"message\": \"too low\", \"model\": \"thing\", \"serial_number\": \"SN1\","
		" \"params\": {\"revision\": \"B\"}, \"duration_ms\": 4500,"
		" \"started_at\": \"2026-11-30T10:00:10.000Z\","
		" \"recipe\": {\"name\": \"r\", \"version\": 3}, \"steps\": [" STEP("1", "power",
			"setup", "passed", "") "," STEP("2", "volts", "steps", "failed",
			MEASURED("u", "1.5", "\"1.5\"", "3.2", "null", "fail")) "," STEP("3",
			"volts", "steps", "failed",
			MEASURED("u", "1.6", "\"1.6\"", "3.2", "3.4", "fail")) "," STEP("4", "all",
			"steps", "passed",
			MEASURED("a", "1", "null", "null", "2", "pass") "," MEASURED(
				"b", "1", "null", "null", "null", "pass") "," MEASURED("c", "null",
				"\"ok\"", "null", "null", "pass")) "," STEP("5", "later", "steps",
			"skipped", "") "," STEP("6", "off", "teardown", "error",
			"") "]}, \"values\": [{\"kind\": \"serial\", \"slot\": \"\", \"value\": \"SN1\"},"
			    " {\"kind\": \"mac\", \"slot\": \"wifi\", \"value\": \"00:11\"}], \"reference\": \"PO-1\"}",
		0, &e);
	ck_assert_msg(told != NULL, "%s", e.text);
	got = wats_report(told, &config, "host");
}

static void teardown(void)
{
	json_decref(got);
	json_decref(told);
}

/* A member by its path, as text. */
static void expect(const char *path, const char *value)
{
	const json_t *at = got;
	char copy[128], *rest = copy;
	char *text;

	snprintf(copy, sizeof copy, "%s", path);
	for (char *part; (part = strsep(&rest, "/"));)
		at = json_is_array(at) ? json_array_get(at, strtoul(part, NULL, 10))
				       : json_object_get(at, part);
	text = json_dumps(at, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
	ck_assert_msg(text && !strcmp(text, value), "%s is %s, not %s", path, text, value);
	free(text);
}

START_TEST(the_head_says_which_unit_where_and_what_came_of_it)
{
	expect("type", "\"T\"");
	expect("id", "\"R\"");
	expect("pn", "\"thing\"");
	expect("sn", "\"SN1\"");
	expect("rev", "\"B\"");
	expect("processCode", "\"20\"");
	expect("result", "\"F\"");
	expect("machineName", "\"host/A1\"");
	expect("location", "\"hall 2\"");
	expect("startUTC", "\"2026-11-30T10:00:10.000Z\"");
	expect("miscInfos/1/text", "\"PO-1\"");
	expect("subUnits",
		"[{\"partType\":\"wifi\",\"pn\":\"mac\",\"rev\":\"\",\"sn\":\"00:11\"}]");
	expect("root/status", "\"F\"");
	expect("root/totTime", "4.5");
	expect("root/causedUUTFailure", "true");
}
END_TEST

START_TEST(a_step_has_the_type_of_what_it_measured)
{
	expect("root/steps/0/stepType", "\"ET_PFT\"");
	expect("root/steps/0/booleanMeas/0/status", "\"P\"");
	expect("root/steps/1/stepType", "\"ET_NLT\"");
	expect("root/steps/3/stepType", "\"ET_MNLT\"");
	/* One step has one type: the texts of a step with numbers are a second one. */
	expect("root/steps/4/name", "\"all\"");
	expect("root/steps/4/stepType", "\"ET_SVT\"");
	expect("root/steps/4/stringMeas/0/value", "\"ok\"");
	ck_assert_ptr_null(json_object_get(
		json_array_get(json_object_get(json_object_get(got, "root"), "steps"), 4),
		"numericMeas"));
	expect("root/steps/6/id", "7");
}
END_TEST

START_TEST(a_single_limit_is_in_the_low_one)
{
	expect("root/steps/1/numericMeas/0/compOp", "\"GE\"");
	expect("root/steps/1/numericMeas/0/lowLimit", "3.2");
	expect("root/steps/1/numericMeas/0/highLimit", "null");
	expect("root/steps/2/numericMeas/0/compOp", "\"GELE\"");
	expect("root/steps/2/numericMeas/0/highLimit", "3.4");
	expect("root/steps/3/numericMeas/0/compOp", "\"LE\"");
	expect("root/steps/3/numericMeas/0/lowLimit", "2");
	expect("root/steps/3/numericMeas/1/compOp", "\"LOG\"");
}
END_TEST

START_TEST(each_step_has_its_group_and_status_and_one_caused_the_failure)
{
	static const char *const groups[] = {"S", "M", "M", "M", "M", "M", "C"};
	static const char *const states[] = {"P", "F", "F", "P", "P", "S", "E"};

	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		char path[40], value[8];

		snprintf(path, sizeof path, "root/steps/%zu/group", i);
		snprintf(value, sizeof value, "\"%s\"", groups[i]);
		expect(path, value);
		snprintf(path, sizeof path, "root/steps/%zu/status", i);
		snprintf(value, sizeof value, "\"%s\"", states[i]);
		expect(path, value);
		/* Of several attempts the last. */
		snprintf(path, sizeof path, "root/steps/%zu/causedUUTFailure", i);
		expect(path, i == 2 ? "true" : "false");
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("wats_report");
	TCase *t = tcase_create("wats_report");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_head_says_which_unit_where_and_what_came_of_it);
	tcase_add_test(t, a_step_has_the_type_of_what_it_measured);
	tcase_add_test(t, a_single_limit_is_in_the_low_one);
	tcase_add_test(t, each_step_has_its_group_and_status_and_one_caused_the_failure);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
