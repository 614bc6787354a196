/* SPDX-License-Identifier: Apache-2.0
 *
 * A station with interlocks, without a fleet: what is due keeps units waiting, golden units are run in
 * spite of it, and a person's word lets it go on.
 */
#include "daemon/line/interlock.h"

#include <string.h>

#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/station_impl.h"
#include "db/units.h"
#include "db/writer.h"
#include "tests/unit/line/line_rig.h"
#include "tests/unit/unit.h"

static struct line_rig rig;
static struct station *station;

static const char golden_lock[] = "interlocks: {golden: {every: 8h, units: [G1]}}\n";
static const char contacts_lock[] = "interlocks: {contacts: {limit: 2, warn: 1}}\n";
static const char yield_lock[] = "interlocks: {yield: {below: 80, runs: 5}}\n";

static void begin(const char *interlocks)
{
	_cleanup_(freep) char *yaml =
		xasprintf("%sstations: [{id: A1, fixture: F7, settle: 10ms,"
			  " quarantine_after: 0, ports: {console: {path: 1-1}}}]\n",
			interlocks);
	struct err e;

	line_rig_open(&rig, yaml);
	ck_assert_int_eq(
		station_new(&rig.services, rig.config, &rig.config->station[0], &station, &e), 0);
	line_rig_recipe(&rig,
		"recipe: scan\nversion: 1\nunit: {model: M, serial: {from: scan}}\n"
		"ports: {console: {kind: tty}}\nsteps:\n"
		"  - {id: scan, action: operator.scan, with: {text: 'scan it'}}\n"
		"  - {id: serial, action: unit.serial, with: {value: '${steps.scan.value}'}}\n"
		"  - {id: ask, action: operator.prompt, with: {text: fine?}}\n");
}

static void end(void)
{
	station_stop(station, true);
	station_free(station);
	line_rig_close(&rig);
}

static void order(const char *kind, unsigned quantity)
{
	char id[UUID_SIZE];

	line_rig_order_of(&rig, kind, "scan", quantity, id);
	station_wake(station);
}

static void plug(void)
{
	static uint64_t generation;
	struct device_facts f = {.vid = "1209", .pid = "0001", .generation = ++generation};

	snprintf(f.path, sizeof f.path, "1-1");
	station_present(station, 0, &f, false);
}

static void unplug(void)
{
	station_absent(station, 0);
	line_rig_until_state(&rig, station, STATION_EMPTY);
}

static bool asks(json_t *view, const void *text)
{
	const char *asked =
		json_string_value(json_object_get(json_object_get(view, "prompt"), "text"));

	return asked && !strcmp(asked, text);
}

static void answer(const char *question, const char *text)
{
	json_t *view;
	struct err e;

	line_rig_until(&rig, station, asks, question);
	view = station_json(station);
	ck_assert_msg(
		station_answer(station,
			json_string_value(json_object_get(json_object_get(view, "prompt"), "id")),
			text, "operator", &e) == 0,
		"%s", e.msg);
	json_decref(view);
}

static void run_unit(const char *serial, const char *verdict)
{
	plug();
	answer("scan it", serial);
	answer("fine?", verdict);
	line_rig_until_state(&rig, station, STATION_DONE);
	unplug();
}

struct wanted {
	const char *interlock, *state;
};

/* state "": nothing is shown of it. */
static bool shows(json_t *view, const void *data)
{
	const struct wanted *w = data;
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(view, "interlocks"), i, o)
		if (!strcmp(json_string_value(json_object_get(o, "interlock")), w->interlock))
			return !strcmp(json_string_value(json_object_get(o, "state")), w->state);
	return !*w->state;
}

static void until_shown(const char *interlock, const char *state)
{
	const struct wanted w = {interlock, state};

	line_rig_until(&rig, station, shows, &w);
}

static bool is_blocked(json_t *view, const void *data)
{
	const char *code = json_string_value(json_object_get(view, "code"));

	return code && !strcmp(code, "interlock");
}

static void recorded(const char *sql, const char *expected)
{
	_cleanup_(freep) char *found = line_rig_ask(&rig, sql);

	ck_assert_str_eq(found, expected);
}

struct word {
	enum interlock which;
	int64_t until_ms;
};

static int apply_release(struct db *tx, void *data, struct err *e)
{
	const struct word *w = data;

	return fixtures_release(tx, "A1", w->which, w->until_ms, "boss", "we must ship", e);
}

static void release(enum interlock which)
{
	struct word w = {which, wall_ms() + 3600000};
	struct err e;

	ck_assert_int_eq(writer_do(rig.services.writer, apply_release, &w, &e), 0);
	station_interlocks_stale(station);
}

static int apply_serviced(struct db *tx, void *data, struct err *e)
{
	return fixtures_serviced(tx, "F7", "boss", "new pins", e);
}

START_TEST(no_unit_is_taken_until_a_golden_unit_has_passed)
{
	begin(golden_lock);
	until_shown("golden", "due");
	order("production", 1);
	plug();
	line_rig_until(&rig, station, is_blocked, NULL);
	recorded("SELECT count(*) FROM runs", "0");
	unplug();
	order("golden", 1);
	run_unit("G1", "yes");
	until_shown("golden", "");
	recorded("SELECT golden_outcome FROM fixtures WHERE id = 'F7'", "passed");
	recorded("SELECT group_concat(kind || ' ' || state || ' ' || passed) FROM"
		 " (SELECT * FROM jobs ORDER BY kind)",
		"golden done 1,production queued 0");
	run_unit("S1", "yes");
	recorded("SELECT kind FROM runs ORDER BY seq DESC LIMIT 1", "production");
	recorded("SELECT sum(passed) FROM rollups WHERE span = 3600", "1");
	end();
}
END_TEST

START_TEST(another_unit_proves_nothing)
{
	begin(golden_lock);
	order("golden", 2);
	run_unit("S9", "yes");
	recorded("SELECT count(*) FROM events WHERE type = 'golden-unit-unknown'", "1");
	until_shown("golden", "due");
	run_unit("G1", "no");
	recorded("SELECT golden_outcome FROM fixtures WHERE id = 'F7'", "failed");
	until_shown("golden", "due");
	run_unit("G1", "yes");
	until_shown("golden", "");
	order("golden", 1);
	run_unit("G1", "yes"); /* the same unit, the same number, once more */
	recorded("SELECT golden_outcome FROM fixtures WHERE id = 'F7'", "passed");
	recorded("SELECT count(*) FROM serials", "0");
	end();
}
END_TEST

static int apply_scrap(struct db *tx, void *data, struct err *e)
{
	return units_set_state(tx, data, "scrapped", "it fell", "boss", e);
}

/* A unit that did not pass is ordered as a golden one: it must not leave the line as passed. */
START_TEST(a_golden_run_says_nothing_of_its_unit)
{
	_cleanup_(freep) char *unit = NULL;
	struct err e;

	begin(golden_lock);
	order("golden", 2);
	run_unit("G1", "yes");
	recorded("SELECT state FROM units WHERE chip_id = 'G1'", "new");
	unit = line_rig_ask(&rig, "SELECT id FROM units");
	ck_assert_int_eq(writer_do(rig.services.writer, apply_scrap, unit, &e), 0);
	run_unit("G1", "yes");
	recorded("SELECT group_concat(kind || ' ' || outcome) FROM runs",
		"golden passed,golden passed");
	recorded("SELECT state FROM units WHERE chip_id = 'G1'", "scrapped");
	end();
}
END_TEST

START_TEST(worn_contacts_stop_the_station_until_it_is_serviced)
{
	struct err e;

	begin(contacts_lock);
	order("production", 9);
	run_unit("S1", "yes");
	until_shown("contacts", "near");
	run_unit("S2", "yes");
	until_shown("contacts", "due");
	recorded("SELECT count(*) FROM events WHERE type = 'interlock-due'", "1");
	plug();
	line_rig_until(&rig, station, is_blocked, NULL);
	ck_assert_int_eq(writer_do(rig.services.writer, apply_serviced, NULL, &e), 0);
	station_interlocks_stale(station);
	answer("scan it", "S3");
	answer("fine?", "yes");
	line_rig_until_state(&rig, station, STATION_DONE);
	recorded("SELECT contacts || ' ' || since_service FROM fixtures", "3 1");
	end();
}
END_TEST

START_TEST(a_release_lets_it_go_on_and_is_shown)
{
	begin(contacts_lock);
	order("production", 9);
	run_unit("S1", "yes");
	run_unit("S2", "yes");
	until_shown("contacts", "due");
	release(INTERLOCK_CONTACTS);
	until_shown("contacts", "released");
	run_unit("S3", "yes");
	recorded("SELECT count(*) FROM events WHERE type = 'interlock-released'", "1");
	end();
}
END_TEST

START_TEST(too_many_failures_stop_it_and_are_counted_again_after_a_release)
{
	begin(yield_lock);
	order("production", 9);
	run_unit("S1", "yes");
	run_unit("S2", "yes");
	run_unit("S3", "yes");
	run_unit("S4", "no");
	until_shown("yield", "");
	run_unit("S5", "no");
	until_shown("yield", "due");
	release(INTERLOCK_YIELD);
	until_shown("yield", "");
	run_unit("S6", "no");
	until_shown("yield", "");
	end();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("station_interlocks");
	TCase *t = tcase_create("station_interlocks");

	tcase_add_test(t, no_unit_is_taken_until_a_golden_unit_has_passed);
	tcase_add_test(t, another_unit_proves_nothing);
	tcase_add_test(t, a_golden_run_says_nothing_of_its_unit);
	tcase_add_test(t, worn_contacts_stop_the_station_until_it_is_serviced);
	tcase_add_test(t, a_release_lets_it_go_on_and_is_shown);
	tcase_add_test(t, too_many_failures_stop_it_and_are_counted_again_after_a_release);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
