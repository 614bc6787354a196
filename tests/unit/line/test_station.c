/* SPDX-License-Identifier: Apache-2.0
 *
 * What the watchdog sees of a station's worker: one that has nothing to do shows life all the same,
 * and one that hangs does not.
 */
#include "daemon/line/station.h"

#include <string.h>

#include "base/iotime.h"
#include "base/tree.h"
#include "base/util.h"
#include "daemon/line/fleet.h"
#include "daemon/line/station_priv.h"
#include "tests/unit/unit.h"

static char dir[64];
static struct config *config;
static struct fleet *fleet;
static struct station *station;

static void setup(void)
{
	_cleanup_(freep) char *path = NULL;
	struct strbuf report = {0};
	struct err e;
	FILE *f;

	strcpy(dir, "/tmp/provd-station-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	path = xasprintf("%s/provd.yaml", dir);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	fprintf(f,
		"state_dir: %s/state\nhotplug: []\n"
		"stations: [{id: A1, ports: {console: {path: 1-1}}}]\n",
		dir);
	fclose(f);
	ck_assert_msg(config_load(path, &report, &config, &e) == 0, "%s", report.s);
	ck_assert_msg(fleet_new(config, &fleet, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(station_new(fleet, config, &config->station[0], &station, &e), 0);
}

static void teardown(void)
{
	station_stop(station, true);
	station_free(station);
	fleet_free(fleet);
	config_unref(config);
	tree_clear(dir);
	rmdir(dir);
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

/* How long a port seems to have been empty, when a device comes that udev knew `late_us` before. */
static uint64_t away(uint64_t late_us)
{
	struct device_facts f = {.vid = "1209", .pid = "0001", .generation = 1};

	station->port[0] = (struct presence){0};
	station_present(station, 0, &f, false);
	station_absent(station, 0);
	f.generation++;
	f.came_us = late_us ? now_us() - late_us : 0;
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
	/* What every plugging takes is not counted. */
	ck_assert_uint_lt(away(1000), US_PER_S);
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
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
