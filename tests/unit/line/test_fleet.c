/* SPDX-License-Identifier: Apache-2.0
 *
 * The fleet in one process: stations come and go with the configuration, a running one stays until
 * it is idle, and commands find their station.
 */
#include "daemon/line/fleet.h"

#include <sched.h>
#include <string.h>

#include "base/iotime.h"
#include "base/tree.h"
#include "base/util.h"
#include "tests/unit/unit.h"

static char dir[64];
static struct fleet *fleet;
static struct err e;

static struct config *load(const char *stations)
{
	_cleanup_(freep) char *path = xasprintf("%s/provd.yaml", dir);
	struct strbuf report = {0};
	struct config *c = NULL;
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "state_dir: %s/state\nhotplug: ['stream:%s/events']\nstations:\n%s", dir, dir,
		stations);
	fclose(f);
	ck_assert_msg(config_load(path, &report, &c, &e) == 0, "%s", report.s);
	sb_done(&report);
	return c;
}

static void setup(void)
{
	struct config *c;

	strcpy(dir, "/tmp/provd-fleet-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	c = load("  - {id: A1, ports: {console: {path: 1-1}}}\n"
		 "  - {id: A2, ports: {console: {path: 1-2}}}\n");
	ck_assert_msg(fleet_new(c, &fleet, &e) == 0, "%s", e.msg);
	ck_assert_msg(fleet_start(fleet, &e) == 0, "%s", e.msg);
	config_unref(c);
}

static void teardown(void)
{
	fleet_free(fleet);
	tree_clear(dir);
	rmdir(dir);
}

static char *ids(void)
{
	json_t *list = fleet_stations_json(fleet);
	struct strbuf all = {0};
	json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
		sb_addf(&all, "%s%s", i ? " " : "", json_string_value(json_object_get(o, "id")));
	json_decref(list);
	return sb_take(&all);
}

static void reload(const char *stations, const char *expected)
{
	struct config *c = load(stations);
	_cleanup_(freep) char *found = NULL;

	fleet_reload(fleet, c);
	config_unref(c);
	found = ids();
	ck_assert_str_eq(found, expected);
}

START_TEST(a_reload_adds_and_removes_what_changed)
{
	uint64_t before = fleet_views_version(fleet);

	reload("  - {id: A2, ports: {console: {path: 1-2}}}\n"
	       "  - {id: A3, ports: {console: {path: 1-3}}}\n",
		"A2 A3");
	ck_assert_uint_gt(fleet_views_version(fleet), before);
	/* The same once more changes nothing. */
	reload("  - {id: A2, ports: {console: {path: 1-2}}}\n"
	       "  - {id: A3, ports: {console: {path: 1-3}}}\n",
		"A2 A3");
	/* A station that changed is another one. */
	reload("  - {id: A2, title: Two, ports: {console: {path: 1-9}}}\n", "A2");

	json_t *a2 = fleet_station_json(fleet, "A2");

	ck_assert_str_eq(json_string_value(json_object_get(a2, "title")), "Two");
	json_decref(a2);
	ck_assert_ptr_null(fleet_station_json(fleet, "A1"));
}
END_TEST

START_TEST(commands_and_answers_find_their_station)
{
	ck_assert_int_eq(
		fleet_command(fleet, "A9", STATION_CMD_DISABLE, "boss", &e), -ERR_NOT_FOUND);
	ck_assert_str_eq(e.msg, "there is no station 'A9'");
	ck_assert_int_eq(fleet_command(fleet, "A1", STATION_CMD_CLEAR, "boss", &e), -ERR_CONFLICT);
	ck_assert_int_eq(fleet_command(fleet, "A1", STATION_CMD_DISABLE, "boss", &e), 0);
	ck_assert_int_eq(fleet_answer(fleet, "A9", "p", "yes", "op", &e), -ERR_NOT_FOUND);
	ck_assert_int_eq(fleet_answer(fleet, "A1", "p", "yes", "op", &e), -ERR_NOT_FOUND);
}
END_TEST

START_TEST(the_summary_counts_each_station_once)
{
	struct fleet_summary s;
	unsigned sum = 0;

	fleet_summary(fleet, &s);
	for (int i = 0; i < STATION_STATE_COUNT; i++)
		sum += s.in[i];
	ck_assert_uint_eq(s.stations, 2);
	ck_assert_uint_eq(sum, 2);
}
END_TEST

START_TEST(a_fleet_that_comes_round_is_alive_and_stops)
{
	ck_assert(fleet_alive(fleet, 30 * US_PER_S));
	ck_assert_uint_eq(fleet_source_count(fleet), 1);
	fleet_tick(fleet);
	fleet_stop(fleet, false);
	while (!fleet_stopped(fleet))
		sched_yield();
}
END_TEST

START_TEST(two_fleets_do_not_share_a_state_directory)
{
	struct config *c = load("  - {id: A1, ports: {console: {path: 1-1}}}\n");
	struct fleet *second = NULL;

	ck_assert_int_eq(fleet_new(c, &second, &e), -ERR_BUSY);
	ck_assert_ptr_null(second);
	config_unref(c);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("fleet");
	TCase *t = tcase_create("fleet");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_reload_adds_and_removes_what_changed);
	tcase_add_test(t, commands_and_answers_find_their_station);
	tcase_add_test(t, the_summary_counts_each_station_once);
	tcase_add_test(t, a_fleet_that_comes_round_is_alive_and_stops);
	tcase_add_test(t, two_fleets_do_not_share_a_state_directory);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
