/* SPDX-License-Identifier: Apache-2.0
 *
 * The record of a run, without a station: what is on disk after each call, and what stays when one
 * fails.
 */
#include "daemon/line/recorder.h"

#include <string.h>

#include "base/util.h"
#include "daemon/line/records.h"
#include "tests/unit/line/line_rig.h"
#include "tests/unit/unit.h"

static struct line_rig rig;
static const struct station_config *station;
static struct station_row row;
static struct recorder *rec;
static struct err e;

static const char recipe_text[] = "recipe: two\nversion: 1\nunit: {model: M, serial: {pool: sn}}\n"
				  "steps:\n"
				  "  - {id: name, action: unit.serial}\n"
				  "  - {id: ask, action: operator.prompt, with: {text: fine?}}\n";

static void setup(void)
{
	line_rig_open(&rig, "stations: [{id: A1, ports: {console: {path: 1-1}}}]\n");
	station = &rig.config->station[0];
	row = (struct station_row){0};
	rec = NULL;
}

static void teardown(void)
{
	recorder_free(rec);
	line_rig_close(&rig);
}

static void order(unsigned quantity)
{
	char id[UUID_SIZE];

	line_rig_pool(&rig, "sn", "S{seq:04}");
	line_rig_recipe(&rig, recipe_text);
	line_rig_order(&rig, "two", quantity, id);
}

static void opens(void)
{
	ck_assert_msg(
		recorder_open(&rig.services, station, &row, NULL, &rec, &e) == 0, "%s", e.msg);
}

static void recorded(const char *sql, const char *expected)
{
	_cleanup_(freep) char *found = line_rig_ask(&rig, sql);

	ck_assert_str_eq(found, expected);
}

static struct step_record step(unsigned n, enum outcome outcome)
{
	const struct recipe *r = recorder_claim(rec)->recipe;

	return (struct step_record){.n = n,
		.step = &r->step[PHASE_STEPS][n - 1],
		.phase = PHASE_STEPS,
		.attempt = 1,
		.outcome = outcome,
		.message = ""};
}

START_TEST(without_an_order_nothing_is_opened)
{
	ck_assert_int_eq(
		recorder_open(&rig.services, station, &row, NULL, &rec, &e), -ERR_NOT_FOUND);
	recorded("SELECT count(*) FROM runs", "0");
}
END_TEST

START_TEST(a_held_line_opens_nothing)
{
	order(1);
	holds_set(rig.services.holds, HOLD_DAMAGE, "something");
	ck_assert_int_eq(
		recorder_open(&rig.services, station, &row, NULL, &rec, &e), -ERR_RECORDS_DAMAGED);
	recorded("SELECT count(*) FROM runs", "0");
	recorded("SELECT state FROM jobs", "queued");
}
END_TEST

START_TEST(a_run_is_on_disk_from_its_attach_to_its_end)
{
	const struct run_result passed = {.outcome = OUTCOME_PASSED};
	struct step_record s;
	struct runner_sink sink;
	char serial[64];
	char again[64];

	order(1);
	opens();
	recorded("SELECT state || ' ' || station FROM runs", "open A1");
	recorded("SELECT state FROM jobs", "running");
	sink = recorder_sink(rec);
	s = step(1, OUTCOME_PASSED);
	ck_assert_int_eq(sink.step_begin(sink.data, &s, &e), 0);
	ck_assert_int_eq(recorder_serial(rec, NULL, NULL, serial, &e), 0);
	ck_assert_int_eq(recorder_serial(rec, NULL, NULL, again, &e), 0);
	ck_assert_str_eq(serial, "S0001");
	ck_assert_str_eq(again, serial);
	recorded("SELECT state FROM serials", "reserved");
	ck_assert_int_eq(sink.expose(sink.data, "", &e), 0);
	recorded("SELECT exposed FROM runs", "1");
	ck_assert_int_eq(sink.step_end(sink.data, &s, &e), 0);
	recorded("SELECT id || ' ' || outcome FROM steps", "name passed");
	ck_assert_int_eq(recorder_close(rec, &passed, &row, &e), 0);
	recorded("SELECT outcome || ' ' || serial FROM runs", "passed S0001");
	recorded("SELECT state FROM serials", "committed");
	recorded("SELECT state || ' ' || passed FROM jobs", "done 1");
}
END_TEST

START_TEST(a_set_of_values_is_reserved_whole_and_leaves_one_by_one)
{
	const struct run_result failed = {.outcome = OUTCOME_FAILED, .code = ERR_TIMEOUT};
	json_t *wanted =
		json_pack("{s:{s:s}, s:{s:s}}", "one", "pool", "keys", "two", "pool", "keys");
	json_t *none =
		json_pack("{s:{s:s}, s:{s:s}}", "one", "pool", "keys", "two", "pool", "gone");
	struct runner_sink sink;
	json_t *got = NULL;

	line_rig_pool(&rig, "keys", "K{seq:3}");
	order(1);
	opens();
	ck_assert_int_eq(recorder_values(rec, NULL, none, &got, &e), -ERR_NOT_FOUND);
	ck_assert_msg(strstr(e.msg, "'gone'") != NULL, "%s", e.msg);
	recorded("SELECT count(*) FROM serials", "0");
	ck_assert_msg(recorder_values(rec, NULL, wanted, &got, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(json_string_value(json_object_get(got, "serial")), "S0001");
	ck_assert_str_eq(json_string_value(json_object_get(got, "two")), "K002");
	recorded("SELECT count(DISTINCT lease) || ' ' || count(lease) FROM serials", "1 3");
	sink = recorder_sink(rec);
	ck_assert_int_eq(sink.expose(sink.data, "two", &e), 0);
	recorded("SELECT value FROM serials WHERE exposed = 1", "K002");
	ck_assert_int_eq(recorder_close(rec, &failed, &row, &e), 0);
	recorded("SELECT group_concat(value || ' ' || state) FROM serials",
		"S0001 void,K001 void,K002 committed");
	json_decref(got);
	json_decref(wanted);
	json_decref(none);
}
END_TEST

START_TEST(measurements_go_with_the_step_that_took_them)
{
	const struct measurement m = {.name = "volt",
		.is_number = true,
		.value = 3.25,
		.unit = "V",
		.has_low = true,
		.low = 3};
	struct step_record s;
	struct runner_sink sink;

	order(1);
	opens();
	sink = recorder_sink(rec);
	s = step(1, OUTCOME_PASSED);
	ck_assert_int_eq(sink.step_begin(sink.data, &s, &e), 0);
	ck_assert_int_eq(sink.measured(sink.data, &s, &m, "pass", &e), 0);
	recorded("SELECT count(*) FROM measurements", "0");
	ck_assert_int_eq(sink.step_end(sink.data, &s, &e), 0);
	recorded("SELECT name || ' ' || value || ' ' || unit || ' ' || verdict FROM measurements",
		"volt 3.25 V pass");
}
END_TEST

/* What a crash would leave between the two: the intent is there, the act is not on record. */
START_TEST(an_intent_is_on_disk_before_the_act_and_is_committed_with_the_steps_end)
{
	const struct intent i = {.unit = "chip-1",
		.what = "fuse 3",
		.digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"};
	const struct observation blank = {OBSERVED_BLANK, "it reads FF"};
	struct earlier_intent earlier = {0};
	struct step_record s;
	struct runner_sink sink;

	order(1);
	opens();
	sink = recorder_sink(rec);
	s = step(1, OUTCOME_PASSED);
	ck_assert_int_eq(sink.step_begin(sink.data, &s, &e), 0);
	ck_assert_msg(recorder_intend(rec, &i, &blank, &earlier, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(earlier.run, "");
	recorded("SELECT station || ' ' || step_n || ' ' || action || ' ' || unit || ' ' || what"
		 " || ' ' || who || ' ' || state FROM intents",
		"A1 1 unit.serial chip-1 fuse 3 mes intent");
	recorder_intended(rec, "{\"read\":\"00\"}");
	recorded("SELECT state FROM intents", "intent");
	ck_assert_msg(sink.step_end(sink.data, &s, &e) == 0, "%s", e.msg);
	recorded("SELECT state || ' ' || observed FROM intents", "committed {\"read\":\"00\"}");
	s = step(2, OUTCOME_PASSED);
	ck_assert_int_eq(sink.step_begin(sink.data, &s, &e), 0);
	ck_assert_msg(sink.step_end(sink.data, &s, &e) == 0, "%s", e.msg);
}
END_TEST

START_TEST(an_act_whose_step_could_not_be_ended_is_committed_with_what_comes_next)
{
	const struct intent i = {.unit = "chip-1",
		.what = "fuse 3",
		.digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"};
	const struct observation blank = {OBSERVED_BLANK, "it reads FF"};
	struct earlier_intent earlier = {0};
	struct step_record s;
	struct runner_sink sink;

	order(1);
	opens();
	sink = recorder_sink(rec);
	s = step(1, OUTCOME_PASSED);
	ck_assert_int_eq(sink.step_begin(sink.data, &s, &e), 0);
	ck_assert_int_eq(recorder_intend(rec, &i, &blank, &earlier, &e), 0);
	recorder_intended(rec, "{}");
	s.n = 9; /* which never began */
	ck_assert_int_lt(sink.step_end(sink.data, &s, &e), 0);
	recorded("SELECT state FROM intents", "intent");
	s = step(2, OUTCOME_PASSED);
	ck_assert_int_eq(sink.step_begin(sink.data, &s, &e), 0);
	ck_assert_msg(sink.step_end(sink.data, &s, &e) == 0, "%s", e.msg);
	recorded("SELECT step_n || ' ' || state FROM intents", "1 committed");
}
END_TEST

START_TEST(the_end_of_a_step_that_never_began_is_refused)
{
	struct step_record s;
	struct runner_sink sink;

	order(1);
	opens();
	sink = recorder_sink(rec);
	s = step(2, OUTCOME_PASSED);
	ck_assert_int_lt(sink.step_end(sink.data, &s, &e), 0);
	recorded("SELECT count(*) FROM steps", "0");
}
END_TEST

START_TEST(a_unit_that_did_not_pass_gives_its_place_in_the_order_back)
{
	const struct run_result failed = {
		.outcome = OUTCOME_FAILED, .code = ERR_LIMIT_LOW, .step = "ask", .message = "low"};

	order(1);
	opens();
	ck_assert_int_eq(recorder_close(rec, &failed, &row, &e), 0);
	recorded("SELECT outcome || ' ' || code || ' ' || step FROM runs", "failed limit-low ask");
	recorded("SELECT state || ' ' || failed FROM jobs", "running 1");
	rec = recorder_free(rec);
	opens();
	recorded("SELECT count(*) FROM runs WHERE state = 'open'", "1");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("recorder");
	TCase *t = tcase_create("recorder");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, without_an_order_nothing_is_opened);
	tcase_add_test(t, a_held_line_opens_nothing);
	tcase_add_test(t, a_run_is_on_disk_from_its_attach_to_its_end);
	tcase_add_test(t, a_set_of_values_is_reserved_whole_and_leaves_one_by_one);
	tcase_add_test(t, measurements_go_with_the_step_that_took_them);
	tcase_add_test(t, an_intent_is_on_disk_before_the_act_and_is_committed_with_the_steps_end);
	tcase_add_test(t, an_act_whose_step_could_not_be_ended_is_committed_with_what_comes_next);
	tcase_add_test(t, the_end_of_a_step_that_never_began_is_refused);
	tcase_add_test(t, a_unit_that_did_not_pass_gives_its_place_in_the_order_back);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
