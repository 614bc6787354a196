/* SPDX-License-Identifier: Apache-2.0
 *
 * What is told of an event over IPC-CFX.
 */
#include "daemon/line/cfx_messages.h"

#include <string.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "tests/unit/unit.h"

#define RUN    "01a00000-0000-7000-8000-000000000001"
#define BEFORE "01a00000-0000-7000-8000-000000000000"

static json_t *told, *all;

static json_t *parsed(const char *text)
{
	json_error_t e;
	json_t *o = json_loads(text, 0, &e);

	ck_assert_msg(o != NULL, "%s", e.text);
	return o;
}

static void setup(void)
{
	all = json_array();
	told = parsed(
		"{\"report\": {\"id\": \"" RUN
		"\", \"kind\": \"production\", \"outcome\": \"passed\","
		"  \"code\": null, \"step\": null, \"message\": null, \"serial_number\": \"SN1\","
		"  \"started_at\": \"2026-11-30T10:00:10.000Z\", \"ended_at\": \"2026-11-30T10:00:12.500Z\","
		"  \"recipe\": {\"name\": \"r\", \"version\": 3}, \"steps\": ["
		"    {\"n\": 1, \"id\": \"volts\", \"action\": \"console.measure\", \"outcome\": \"passed\","
		"     \"message\": null, \"started_at\": \"2026-11-30T10:00:11.000Z\", \"duration_ms\": 250,"
		"     \"measurements\": [{\"name\": \"u\", \"value\": 3.3, \"text\": \"3.3\", \"unit\": \"V\","
		"       \"low\": 3.2, \"high\": null, \"verdict\": \"pass\"},"
		"      {\"name\": \"says\", \"value\": null, \"text\": \"ok\", \"unit\": null, \"low\": null,"
		"       \"high\": null, \"verdict\": \"fail\"}]}]},"
		" \"values\": [{\"kind\": \"serial\", \"slot\": \"\", \"value\": \"SN1\"},"
		"  {\"kind\": \"mac\", \"slot\": \"wifi\", \"value\": \"00:11\"}],"
		" \"reference\": \"PO-1\","
		" \"before\": {\"id\": \"" BEFORE "\", \"outcome\": \"passed\", \"code\": null,"
		"  \"message\": null, \"ended_at\": \"2026-11-30T09:58:45.000Z\"}}");
}

static void teardown(void)
{
	json_decref(told);
	json_decref(all);
}

static json_t *event(const char *type, const char *data)
{
	_cleanup_(sb_done) struct strbuf b = {0};
	json_t *o;

	sb_addf(&b,
		"{\"type\": \"%s\", \"seq\": 7, \"timestamp\": \"2026-11-30T10:00:00.000Z\","
		" \"station\": \"A1\", \"job\": \"J\", \"run\": \"" RUN
		"\", \"serial\": \"SN1\", \"data\": %s}",
		type, data);
	o = parsed(b.s);
	return o;
}

/* The last parts of the names, with spaces. */
static const char *names(const char *type, const char *data, const json_t *only)
{
	static char text[512];
	json_t *e = event(type, data), *list = cfx_messages(e, told, only), *m;
	size_t i;

	*text = 0;
	json_array_foreach(list, i, m) {
		const char *name = json_string_value(json_object_get(m, "name"));

		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "",
			strrchr(name, '.') + 1);
	}
	json_decref(list);
	json_decref(e);
	return text;
}

/* The body of a message, a new reference. */
static json_t *body(const char *type, const char *data, const char *name)
{
	json_t *only = json_pack("[s]", name), *e = event(type, data);
	json_t *list = cfx_messages(e, told, only);
	json_t *o = json_incref(json_object_get(json_array_get(list, 0), "body"));

	ck_assert_uint_eq(json_array_size(list), 1);
	json_decref(list);
	json_decref(e);
	json_decref(only);
	return o;
}

static json_t *report(void)
{
	return json_object_get(told, "report");
}

static void outcome(const char *text, const char *code)
{
	json_object_set_new(report(), "outcome", json_string(text));
	json_object_set_new(report(), "code", json_string(code));
}

static void expect(json_t *o, const char *path, const char *value)
{
	const json_t *at = o;
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

START_TEST(each_event_has_its_messages_in_their_order)
{
	ck_assert_str_eq(names("run-attached", "{}", all), "UnitsArrived");
	ck_assert_str_eq(names("run-started", "{}", all), "StationStateChanged WorkStarted");
	ck_assert_str_eq(names("step-started", "{\"n\": 1}", all), "WorkStageStarted");
	ck_assert_str_eq(names("step-finished", "{\"n\": 1}", all), "WorkStageCompleted");
	ck_assert_str_eq(names("run-finished", "{}", all),
		"UnitsPersonalized UnitsTested WorkCompleted StationStateChanged UnitsDeparted");
	ck_assert_str_eq(names("pool-created", "{}", all), "");
}
END_TEST

START_TEST(a_run_that_never_began_only_came_and_went)
{
	outcome("aborted", "aborted");
	json_object_set_new(report(), "started_at", json_null());
	ck_assert_str_eq(names("run-finished", "{}", all), "UnitsDeparted");
}
END_TEST

START_TEST(a_fault_of_the_line_is_one_until_the_next_run_begins)
{
	json_t *o;

	outcome("error", "device-gone");
	ck_assert_str_eq(names("run-finished", "{}", all),
		"UnitsTested WorkCompleted FaultOccurred StationStateChanged UnitsDeparted");
	o = body("run-finished", "{}", "CFX.ResourcePerformance.FaultOccurred");
	expect(o, "Fault/FaultCode", "\"device-gone\"");
	expect(o, "Fault/Cause", "\"ElectricalFailure\"");
	expect(o, "Fault/FaultOccurrenceId", "\"" RUN "\"");
	json_decref(o);
	o = body("run-finished", "{}", "CFX.ResourcePerformance.StationStateChanged");
	expect(o, "OldState", "1000");
	expect(o, "OldStateDuration", "\"00:00:02.500\"");
	expect(o, "NewState", "5000");
	json_decref(o);
	json_object_set_new(json_object_get(told, "before"), "outcome", json_string("error"));
	ck_assert_str_eq(
		names("run-started", "{}", all), "FaultCleared StationStateChanged WorkStarted");
	o = body("run-started", "{}", "CFX.ResourcePerformance.FaultCleared");
	expect(o, "FaultOccurrenceId", "\"" BEFORE "\"");
	json_decref(o);
}
END_TEST

static void hold(const char *text)
{
	json_object_set_new(told, "hold", parsed(text));
}

/* A quarantine is a fault from the event on that began it to the one that ended it. */
START_TEST(a_station_that_is_held_has_its_state_and_its_fault)
{
	static const char held[] =
		"{\"held\": \"quarantined\", \"code\": \"limit-low\", \"message\": \"3 in a row\"}";
	json_t *o, *c;

	json_object_set_new(told, "hold", json_null());
	ck_assert_str_eq(names("station-held", held, all), "FaultOccurred StationStateChanged");
	o = body("station-held", held, "CFX.ResourcePerformance.StationStateChanged");
	expect(o, "OldState", "2000");
	expect(o, "OldStateDuration", "\"00:01:15\"");
	expect(o, "NewState", "5000");
	expect(o, "RelatedFault/Description", "\"3 in a row\"");
	hold("{\"held\": \"quarantined\", \"at\": \"2026-11-30T09:59:00.000Z\", \"seq\": 7}");
	ck_assert_str_eq(names("station-freed", "{\"was\": \"quarantined\"}", all),
		"FaultCleared StationStateChanged");
	c = body("station-freed", "{\"was\": \"quarantined\"}",
		"CFX.ResourcePerformance.FaultCleared");
	ck_assert_str_eq(json_string_value(json_object_get(c, "FaultOccurrenceId")),
		json_string_value(
			json_object_get(json_object_get(o, "RelatedFault"), "FaultOccurrenceId")));
	json_decref(c);
	json_decref(o);
	o = body("station-freed", "{\"was\": \"quarantined\"}",
		"CFX.ResourcePerformance.StationStateChanged");
	expect(o, "OldState", "5000");
	expect(o, "OldStateDuration", "\"00:01:00\"");
	expect(o, "NewState", "2000");
	json_decref(o);
	/* A golden unit is run in a quarantine, which goes on. */
	json_object_set_new(report(), "kind", json_string("golden"));
	o = body("run-started", "{}", "CFX.ResourcePerformance.StationStateChanged");
	expect(o, "OldState", "5000");
	expect(o, "NewState", "3000");
	json_decref(o);
	o = body("run-finished", "{}", "CFX.ResourcePerformance.StationStateChanged");
	expect(o, "OldState", "3000");
	expect(o, "NewState", "5000");
	json_decref(o);
}
END_TEST

START_TEST(a_station_that_a_person_disabled_is_down_as_planned)
{
	json_t *o;

	/* Of the last run's fault it is free from then on. */
	json_object_set_new(json_object_get(told, "before"), "outcome", json_string("error"));
	json_object_set_new(told, "hold", json_null());
	ck_assert_str_eq(
		names("station-held", "{\"held\": \"disabled\"}", all), "StationStateChanged");
	o = body("station-held", "{\"held\": \"disabled\"}",
		"CFX.ResourcePerformance.StationStateChanged");
	expect(o, "OldState", "5000");
	expect(o, "NewState", "4000");
	json_decref(o);
	hold("{\"held\": \"disabled\", \"at\": \"2026-11-30T09:59:00.000Z\", \"seq\": 7}");
	ck_assert_str_eq(names("station-freed", "{\"was\": \"disabled\"}", all),
		"FaultCleared StationStateChanged");
	hold("{\"held\": \"\", \"at\": \"2026-11-30T10:00:05.000Z\", \"seq\": 9}");
	ck_assert_str_eq(names("run-started", "{}", all), "StationStateChanged WorkStarted");
	o = body("run-started", "{}", "CFX.ResourcePerformance.StationStateChanged");
	expect(o, "OldState", "2000");
	expect(o, "OldStateDuration", "\"00:00:05\"");
	json_decref(o);
	/* From one to the other. */
	hold("{\"held\": \"quarantined\", \"at\": \"2026-11-30T09:59:00.000Z\", \"seq\": 7}");
	ck_assert_str_eq(
		names("station-held", "{\"held\": \"disabled\", \"was\": \"quarantined\"}", all),
		"FaultCleared StationStateChanged");
}
END_TEST

START_TEST(a_failed_unit_is_not_personalized_and_its_station_is_well)
{
	json_t *o;

	outcome("failed", "limit-low");
	ck_assert_str_eq(names("run-finished", "{}", all),
		"UnitsTested WorkCompleted StationStateChanged UnitsDeparted");
	o = body("run-finished", "{}", "CFX.Production.WorkCompleted");
	expect(o, "Result", "\"Failed\"");
	json_decref(o);
	o = body("run-finished", "{}", "CFX.ResourcePerformance.StationStateChanged");
	expect(o, "NewState", "2000");
	json_decref(o);
}
END_TEST

START_TEST(a_station_works_from_the_start_and_waited_since_the_run_before)
{
	json_t *o = body("run-started", "{}", "CFX.ResourcePerformance.StationStateChanged");

	expect(o, "OldState", "2000");
	expect(o, "OldStateDuration", "\"00:01:25\"");
	expect(o, "NewState", "1000");
	json_decref(o);
	json_object_set_new(report(), "kind", json_string("golden"));
	json_object_set_new(told, "before", json_null());
	o = body("run-started", "{}", "CFX.ResourcePerformance.StationStateChanged");
	expect(o, "OldStateDuration", "\"00:00:00\"");
	expect(o, "NewState", "3000");
	json_decref(o);
}
END_TEST

START_TEST(what_was_measured_and_given_is_in_the_bodies)
{
	json_t *o = body("run-finished", "{}", "CFX.Production.TestAndInspection.UnitsTested");

	expect(o, "RecipeRevision", "\"3\"");
	expect(o, "TestedUnits/0/OverallResult", "\"Passed\"");
	expect(o, "TestedUnits/0/Tests/0/TestEndTime", "\"2026-11-30T10:00:11.250Z\"");
	expect(o, "TestedUnits/0/Tests/0/Measurements/0/MeasuredValue/MinimumAcceptableValue",
		"3.2");
	expect(o, "TestedUnits/0/Tests/0/Measurements/0/MeasuredValue/MaximumAcceptableValue",
		"null");
	expect(o, "TestedUnits/0/Tests/0/Measurements/1/MeasuredValue", "\"ok\"");
	expect(o, "TestedUnits/0/Tests/0/Measurements/1/Result", "\"Failed\"");
	json_decref(o);
	o = body("run-finished", "{}", "CFX.Production.Assembly.UnitsPersonalized");
	expect(o, "PersonalizedUnits/0/Characteristics/1/Name", "\"wifi\"");
	expect(o, "PersonalizedUnits/0/Characteristics/1/Value", "\"00:11\"");
	json_decref(o);
	o = body("run-started", "{}", "CFX.Production.WorkStarted");
	expect(o, "TransactionID", "\"" RUN "\"");
	expect(o, "WorkOrderIdentifier", "{\"WorkOrderId\":\"PO-1\",\"Batch\":\"J\"}");
	json_decref(o);
}
END_TEST

START_TEST(each_outcome_of_a_step_has_its_result)
{
	static const struct {
		const char *outcome, *result;
	} rows[] = {{"passed", "\"Completed\""}, {"failed", "\"Failed\""}, {"error", "\"Aborted\""},
		{"aborted", "\"Aborted\""}, {"interrupted", "\"Aborted\""},
		{"skipped", "\"Skipped\""}, {"deferred", "\"Skipped\""}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char data[80];
		json_t *o;

		snprintf(data, sizeof data, "{\"n\": 2, \"step\": \"s\", \"outcome\": \"%s\"}",
			rows[i].outcome);
		o = body("step-finished", data, "CFX.Production.WorkStageCompleted");
		expect(o, "Result", rows[i].result);
		expect(o, "Stage/StageSequence", "2");
		json_decref(o);
	}
}
END_TEST

START_TEST(what_is_wanted_says_which_events_are_looked_at)
{
	json_t *only = json_pack("[s, s]", "CFX.Production.Work*", "CFX.Heartbeat");
	json_t *none = json_pack("[s]", "CFX.Heartbeat");
	json_t *list = cfx_events(only);

	ck_assert_str_eq(names("run-finished", "{}", only), "WorkCompleted");
	ck_assert_str_eq(names("run-attached", "{}", only), "");
	ck_assert_uint_eq(json_array_size(list), 4);
	json_decref(list);
	/* Not all of them, which an empty list would be. */
	list = cfx_events(none);
	ck_assert_uint_eq(json_array_size(list), 1);
	ck_assert(cfx_wanted(none, "CFX.Heartbeat") && !cfx_wanted(none, "CFX.EndpointConnected"));
	ck_assert(cfx_is_type("CFX.*") && cfx_is_type("CFX.Heartbeat"));
	ck_assert(!cfx_is_type("CFX.Production.UnitsInspected") && !cfx_is_type("Work*"));
	json_decref(list);
	json_decref(none);
	json_decref(only);
}
END_TEST

START_TEST(the_id_of_a_message_is_the_same_each_time_and_no_others)
{
	char a[UUID_SIZE], b[UUID_SIZE];

	ck_assert_str_eq(cfx_unique_id("msg_1", 0, a), cfx_unique_id("msg_1", 0, b));
	ck_assert_uint_eq(strlen(a), 36);
	ck_assert_int_eq(a[14], '8');
	ck_assert_str_ne(a, cfx_unique_id("msg_1", 1, b));
	ck_assert_str_ne(a, cfx_unique_id("msg_2", 0, b));
	/* Where one ends the other does not begin. */
	ck_assert_str_ne(cfx_unique_id("msg_1", 11, a), cfx_unique_id("msg_11", 1, b));
}
END_TEST

START_TEST(an_endpoint_is_a_station_or_all_of_them)
{
	char *handle = cfx_handle("Acme.Provd.{station}", "A1");

	ck_assert_str_eq(handle, "Acme.Provd.A1");
	free(handle);
	handle = cfx_handle("Acme.Provd.hall2", "A1");
	ck_assert_str_eq(handle, "Acme.Provd.hall2");
	free(handle);
	ck_assert(cfx_is_handle("Acme.Provd.{station}") && cfx_is_handle("a.b-c.d_1"));
	ck_assert(!cfx_is_handle("Acme.Provd") && !cfx_is_handle("Acme..x") &&
		  !cfx_is_handle("a.b.c d") && !cfx_is_handle(".a.b") && !cfx_is_handle("a.b.{x}"));
}
END_TEST

START_TEST(a_duration_is_written_as_a_time_span)
{
	char text[40];

	ck_assert_str_eq(cfx_duration(0, text), "00:00:00");
	ck_assert_str_eq(cfx_duration(85250, text), "00:01:25.250");
	ck_assert_str_eq(cfx_duration(90061001, text), "1.01:01:01.001");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("cfx_messages");
	TCase *t = tcase_create("cfx_messages");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, each_event_has_its_messages_in_their_order);
	tcase_add_test(t, a_run_that_never_began_only_came_and_went);
	tcase_add_test(t, a_fault_of_the_line_is_one_until_the_next_run_begins);
	tcase_add_test(t, a_station_that_is_held_has_its_state_and_its_fault);
	tcase_add_test(t, a_station_that_a_person_disabled_is_down_as_planned);
	tcase_add_test(t, a_failed_unit_is_not_personalized_and_its_station_is_well);
	tcase_add_test(t, a_station_works_from_the_start_and_waited_since_the_run_before);
	tcase_add_test(t, what_was_measured_and_given_is_in_the_bodies);
	tcase_add_test(t, each_outcome_of_a_step_has_its_result);
	tcase_add_test(t, what_is_wanted_says_which_events_are_looked_at);
	tcase_add_test(t, the_id_of_a_message_is_the_same_each_time_and_no_others);
	tcase_add_test(t, an_endpoint_is_a_station_or_all_of_them);
	tcase_add_test(t, a_duration_is_written_as_a_time_span);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
