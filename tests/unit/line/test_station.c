/* SPDX-License-Identifier: Apache-2.0
 *
 * A station without a fleet: units come and go, are run, fail, are held; and what the watchdog sees
 * of its worker.
 */
#include "daemon/line/station.h"

#include <string.h>

#include "base/iotime.h"
#include "base/util.h"
#include "daemon/line/station_impl.h"
#include "db/stmt.h"
#include "db/writer.h"
#include "tests/unit/line/line_rig.h"
#include "tests/unit/unit.h"

static struct line_rig rig;
static struct station *station;

static void setup(void)
{
	struct err e;

	line_rig_open(&rig, "stations: [{id: A1, settle: 10ms, quarantine_after: 2,\n"
			    "  ports: {console: {path: 1-1}}}]\n");
	ck_assert_int_eq(
		station_new(&rig.services, rig.config, &rig.config->station[0], &station, &e), 0);
}

static void teardown(void)
{
	station_stop(station, true);
	station_free(station);
	line_rig_close(&rig);
}

/* Spins until the worker's tick is as asked: it is an atomic, and nothing else shows it. */
static void until_tick(bool in_future)
{
	while ((station_tick_us(station) > now_us()) != in_future)
		sched_yield();
}

START_TEST(a_worker_with_nothing_to_do_says_when_it_shows_life_again)
{
	until_tick(true);
	ck_assert_uint_le(station_tick_us(station), now_us() + 20 * US_PER_S);
}
END_TEST

START_TEST(a_worker_that_hangs_shows_no_life)
{
	uint64_t tick;

	until_tick(true);
	mutex_lock(&station->lock); /* what it needs next, and never gets */
	station_poke(station);
	until_tick(false);
	tick = station_tick_us(station);
	ck_assert_uint_le(tick, now_us());
	mutex_unlock(&station->lock);
	until_tick(true);
}
END_TEST

/* How long a port seems to have been empty, when a device comes that udev knew `late_us` before its
 * leaving was seen; 0: after it. */
static uint64_t away(uint64_t late_us)
{
	struct device_facts f = {.vid = "1209", .pid = "0001", .generation = 1};

	station->port[0] = (struct presence){0};
	station_present(station, 0, &f, false);
	station_absent(station, 0);
	f.generation++;
	f.came_us = now_us() - late_us;
	station_present(station, 0, &f, false);
	return station->port[0].away_us;
}

/* Leaving and coming that are read in one go were not a bounce for sure. */
START_TEST(an_absence_that_was_seen_late_is_not_taken_for_a_bounce)
{
	/* Without the worker, which would look at it first. */
	station_stop(station, true);
	while (!station_ended(station))
		sched_yield();
	ck_assert_uint_lt(away(0), US_PER_S);
	ck_assert_uint_ge(away(30 * US_PER_S), 30 * US_PER_S);
	ck_assert_uint_ge(away(1000), 30 * US_PER_S);
}
END_TEST

/* --- the life of a unit --- */

static const char ask_recipe[] = "recipe: ask\nversion: 1\nunit: {model: M, serial: {pool: sn}}\n"
				 "ports: {console: {kind: tty}}\nsteps:\n"
				 "  - {id: name, action: unit.serial}\n"
				 "  - {id: ask, action: operator.prompt, with: {text: fine?}}\n";

static struct device_facts unit(uint64_t generation, const char *serial)
{
	struct device_facts f = {.vid = "1209", .pid = "0001", .generation = generation};

	snprintf(f.serial, sizeof f.serial, "%s", serial);
	snprintf(f.path, sizeof f.path, "1-1");
	return f;
}

static void plug(uint64_t generation, bool wrong)
{
	const struct device_facts f = unit(generation, "");

	station_present(station, 0, &f, wrong);
}

static bool has_prompt(json_t *view, const void *data)
{
	return json_is_object(json_object_get(view, "prompt"));
}

/* Answers the prompt that is open once there is one. */
static void answer(const char *text)
{
	json_t *view;
	struct err e;

	line_rig_until(&rig, station, has_prompt, NULL);
	view = station_json(station);
	ck_assert_msg(
		station_answer(station,
			json_string_value(json_object_get(json_object_get(view, "prompt"), "id")),
			text, "operator", &e) == 0,
		"%s", e.msg);
	json_decref(view);
}

static void command(enum station_command c)
{
	struct err e;

	ck_assert_msg(station_command(station, c, "boss", &e) == 0, "%s", e.msg);
}

static void recorded(const char *sql, const char *expected)
{
	_cleanup_(freep) char *found = line_rig_ask(&rig, sql);

	ck_assert_str_eq(found, expected);
}

static void order(unsigned quantity)
{
	char id[UUID_SIZE];

	line_rig_pool(&rig, "sn", "S{seq:04}");
	line_rig_recipe(&rig, ask_recipe);
	line_rig_order(&rig, "ask", quantity, id);
	station_wake(station);
}

START_TEST(a_unit_is_run_once_and_its_end_is_on_record)
{
	order(2);
	plug(1, false);
	answer("yes");
	line_rig_until_state(&rig, station, STATION_DONE);
	recorded("SELECT outcome || ' ' || station FROM runs", "passed A1");
	recorded("SELECT value || ' ' || state FROM serials", "S0001 committed");
	recorded("SELECT passed FROM jobs", "1");
	station_absent(station, 0);
	line_rig_until_state(&rig, station, STATION_EMPTY);
	recorded("SELECT count(*) FROM runs", "1");
}
END_TEST

START_TEST(a_unit_waits_while_there_is_no_order)
{
	plug(1, false);
	line_rig_until_state(&rig, station, STATION_READY);
	order(1);
	answer("yes");
	line_rig_until_state(&rig, station, STATION_DONE);
}
END_TEST

START_TEST(a_wrong_device_is_a_fault_until_it_leaves)
{
	plug(1, true);
	line_rig_until_state(&rig, station, STATION_FAULT);
	station_absent(station, 0);
	line_rig_until_state(&rig, station, STATION_EMPTY);
	recorded("SELECT count(*) FROM runs", "0");
}
END_TEST

/* What the view of the station has counted at its port. */
static void port_says(int came, int lost)
{
	json_t *view = station_json(station);
	const json_t *port = json_array_get(json_object_get(view, "ports"), 0);

	ck_assert_int_eq(json_integer_value(json_object_get(port, "came")), came);
	ck_assert_int_eq(json_integer_value(json_object_get(port, "lost")), lost);
	json_decref(view);
}

START_TEST(a_unit_that_is_unplugged_in_its_run_ends_it)
{
	order(1);
	plug(1, false);
	line_rig_until(&rig, station, has_prompt, NULL);
	port_says(1, 0);
	station_absent(station, 0);
	line_rig_until_state(&rig, station, STATION_EMPTY);
	port_says(1, 1);
	recorded("SELECT outcome || ' ' || code FROM runs", "error device-gone");
	recorded("SELECT state FROM prompts", "cancelled");
}
END_TEST

START_TEST(units_that_fail_at_one_step_in_a_row_hold_the_station)
{
	order(9);
	plug(1, false);
	answer("no");
	line_rig_until_state(&rig, station, STATION_DONE);
	station_absent(station, 0);
	line_rig_until_state(&rig, station, STATION_EMPTY);
	plug(2, false);
	answer("no");
	line_rig_until_state(&rig, station, STATION_QUARANTINED);
	recorded("SELECT group_concat(outcome || ' ' || code, ', ') FROM runs",
		"failed operator-failed, failed operator-failed");
	/* The next unit waits for a person. */
	station_absent(station, 0);
	plug(3, false);
	command(STATION_CMD_CLEAR);
	answer("yes");
	line_rig_until_state(&rig, station, STATION_DONE);
}
END_TEST

static int use_pool_up(struct db *tx, void *data, struct err *e)
{
	return db_do(tx, e, "UPDATE pools SET next = 1000");
}

/* At night all stations of a line would have to be cleared, one by one, because a pool was empty. */
START_TEST(what_is_the_lines_own_holds_no_station)
{
	struct err e;

	order(9);
	ck_assert_int_eq(writer_do(rig.services.writer, use_pool_up, NULL, &e), 0);
	for (unsigned i = 1; i <= 3; i++) {
		plug(i, false);
		line_rig_until_state(&rig, station, STATION_DONE);
		station_absent(station, 0);
		line_rig_until_state(&rig, station, STATION_EMPTY);
	}
	recorded("SELECT group_concat(outcome || ' ' || code, ', ') FROM runs",
		"error pool-empty, error pool-empty, error pool-empty");
}
END_TEST

START_TEST(who_disables_during_a_run_is_on_record_after_it)
{
	order(2);
	plug(1, false);
	line_rig_until(&rig, station, has_prompt, NULL);
	command(STATION_CMD_DISABLE);
	answer("yes");
	line_rig_until_state(&rig, station, STATION_DISABLED);
	recorded("SELECT outcome FROM runs", "passed");
	recorded("SELECT held || ': ' || message FROM stations WHERE id = 'A1'",
		"disabled: disabled by boss");
}
END_TEST

START_TEST(an_abort_ends_the_run_as_aborted)
{
	order(2);
	plug(1, false);
	line_rig_until(&rig, station, has_prompt, NULL);
	command(STATION_CMD_ABORT);
	line_rig_until_state(&rig, station, STATION_DONE);
	recorded("SELECT outcome || ' ' || code FROM runs", "aborted aborted");
}
END_TEST

START_TEST(a_command_that_the_state_does_not_allow_is_refused)
{
	struct err e;

	line_rig_until_state(&rig, station, STATION_EMPTY);
	ck_assert_int_eq(station_command(station, STATION_CMD_CLEAR, "boss", &e), -ERR_CONFLICT);
	ck_assert_str_eq(e.msg, "station A1 is empty");
	ck_assert_int_eq(station_answer(station, "none", "yes", "boss", &e), -ERR_NOT_FOUND);
}
END_TEST

/* As a provd that starts again: the unit that is still plugged has had its run. */
START_TEST(a_unit_that_was_run_is_not_run_again_by_another_worker)
{
	struct device_facts f = unit(1, "X");
	struct err e;

	snprintf(f.enumeration, sizeof f.enumeration, "1/2/3");
	order(9);
	station_present(station, 0, &f, false);
	answer("yes");
	line_rig_until_state(&rig, station, STATION_DONE);
	station_stop(station, false);
	station_free(station);
	ck_assert_int_eq(
		station_new(&rig.services, rig.config, &rig.config->station[0], &station, &e), 0);
	f.generation = 7;
	station_present(station, 0, &f, false);
	line_rig_until_state(&rig, station, STATION_DONE);
	recorded("SELECT count(*) FROM runs", "1");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("station");
	TCase *t = tcase_create("station");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_worker_with_nothing_to_do_says_when_it_shows_life_again);
	tcase_add_test(t, a_worker_that_hangs_shows_no_life);
	tcase_add_test(t, an_absence_that_was_seen_late_is_not_taken_for_a_bounce);
	tcase_add_test(t, a_unit_is_run_once_and_its_end_is_on_record);
	tcase_add_test(t, a_unit_waits_while_there_is_no_order);
	tcase_add_test(t, a_wrong_device_is_a_fault_until_it_leaves);
	tcase_add_test(t, a_unit_that_is_unplugged_in_its_run_ends_it);
	tcase_add_test(t, units_that_fail_at_one_step_in_a_row_hold_the_station);
	tcase_add_test(t, what_is_the_lines_own_holds_no_station);
	tcase_add_test(t, who_disables_during_a_run_is_on_record_after_it);
	tcase_add_test(t, an_abort_ends_the_run_as_aborted);
	tcase_add_test(t, a_command_that_the_state_does_not_allow_is_refused);
	tcase_add_test(t, a_unit_that_was_run_is_not_run_again_by_another_worker);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
