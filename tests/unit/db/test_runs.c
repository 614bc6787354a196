/* SPDX-License-Identifier: Apache-2.0
 *
 * A run from its attachment to its link in the chain, and what a start after a crash makes of it.
 */
#include "db/runs.h"

#include "db/events.h"
#include "db/jobs.h"
#include "db/prompts.h"
#include "db/integrity.h"
#include "db/reports.h"
#include "db/stmt.h"
#include "db/told.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

static void begin_named(const char *run, int64_t n, const char *id, bool irreversible)
{
	struct step_begin b = {
		.run = run,
		.n = n,
		.id = id,
		.action = "console.measure",
		.phase = "steps",
		.attempt = 1,
		.irreversible = irreversible,
		.started_ms = 2000,
	};

	TX(runs_step_begin(fx.db, &b, &fx.e));
}

static void begin_step(const char *run, int64_t n, bool irreversible)
{
	begin_named(run, n, "read-temp", irreversible);
}

static void end_step(const char *run, int64_t n, const char *outcome, const char *code)
{
	json_t *evidence = json_pack("{s:s}", "sha256", "abcd");
	struct step_end s = {
		.run = run,
		.n = n,
		.outcome = outcome,
		.code = code,
		.message = code ? "too hot" : NULL,
		.evidence = evidence,
		.ended_ms = 2300,
		.duration_us = 300500,
	};

	TX(runs_step_end(fx.db, &s, &fx.e));
	json_decref(evidence);
}

static void measure(const char *run, int64_t n, double v)
{
	double low = 20;
	double high = 30;
	struct measured m = {
		.run = run,
		.step_n = n,
		.k = 1,
		.name = "temp",
		.value = &v,
		.text = "25.1",
		.unit = "degC",
		.low = &low,
		.high = &high,
		.verdict = "pass",
	};

	TX(runs_measure(fx.db, &m, &fx.e));
}

static void whole_run(const char *id, const char *outcome)
{
	struct ledger_source s = {.from = LEDGER_SCAN, .kind = "serial", .value = id};
	char value[LEDGER_VALUE_SIZE];

	open_run(id, "A1", NULL);
	TX(ledger_reserve(fx.db, id, &s, value, &fx.e));
	begin_step(id, 1, false);
	measure(id, 1, 25.1);
	end_step(id, 1, !strcmp(outcome, "passed") ? "passed" : "failed",
		!strcmp(outcome, "passed") ? NULL : "limit-high");
	finish_run(id, outcome);
}

static void check_chain(int64_t checked, const char *broken)
{
	char found[320];
	int64_t runs;

	OK(integrity_chain(fx.db, NULL, &runs, found, &fx.e));
	ck_assert_int_eq(runs, checked);
	if (!*broken) {
		ck_assert_str_eq(found, "");
		return;
	}
	ck_assert_msg(!strncmp(found, "run ", 4) && !strncmp(found + 4, broken, strlen(broken)),
		"%s", found);
	FAILS(ERR_RECORDS_DAMAGED, integrity_run(fx.db, broken, &fx.e));
}

START_TEST(the_report_says_what_happened)
{
	json_t *firmware = json_pack("{s:s}", "version", "1.4.2");
	json_t *r = NULL;

	open_run("r1", "A1", NULL);
	TX(runs_set_firmware(fx.db, "r1", firmware, &fx.e));
	json_decref(firmware);
	begin_step("r1", 1, false);
	measure("r1", 1, 0.1);
	end_step("r1", 1, "passed", "none");
	begin_step("r1", 2, false);
	end_step("r1", 2, "failed", "limit-high");
	finish_run("r1", "failed");
	OK(reports_run(fx.db, "r1", &r, &fx.e));
	ck_assert_str_eq(str_at(r, "firmware_version"), "1.4.2");
	ck_assert_str_eq(str_at(r, "timestamp"), "1970-01-01T00:00:03.000Z");
	ck_assert(json_is_false(at(r, "passed")));
	ck_assert(json_is_null(at(r, "serial_number")));
	ck_assert_str_eq(str_at(r, "outcome"), "failed");
	ck_assert_int_eq(int_at(r, "duration_ms"), 1500);
	ck_assert_str_eq(str_at(r, "recipe.name"), "thermo");
	ck_assert_int_eq(int_at(r, "recipe.version"), 1);
	ck_assert(json_is_true(at(r, "steps.0.success")));
	ck_assert(json_is_null(at(r, "steps.0.code")));
	ck_assert_int_eq(int_at(r, "steps.0.duration_ms"), 300);
	ck_assert_str_eq(str_at(r, "steps.0.evidence.sha256"), "abcd");
	ck_assert_str_eq(str_at(r, "steps.0.measurements.0.name"), "temp");
	ck_assert(json_real_value(at(r, "steps.0.measurements.0.value")) == 0.1);
	ck_assert_str_eq(str_at(r, "steps.1.code"), "limit-high");
	ck_assert_str_eq(str_at(r, "steps.1.message"), "too hot");
	ck_assert_uint_eq(strlen(str_at(r, "hash")), 64);
	ck_assert_str_eq(str_at(r, "prev_hash"), REPORT_FIRST_HASH);
	json_decref(r);
}
END_TEST

START_TEST(only_the_outcome_passed_is_a_pass)
{
	static const char *const outcomes[] = {
		"passed", "failed", "error", "aborted", "interrupted"};
	json_t *r = NULL;

	whole_run("r1", outcomes[_i]);
	OK(reports_run(fx.db, "r1", &r, &fx.e));
	ck_assert_int_eq(json_is_true(at(r, "passed")), _i == 0);
	ck_assert_str_eq(str_at(r, "serial_number"), "r1");
	json_decref(r);
}
END_TEST

START_TEST(the_chain_holds_and_shows_what_was_tampered_with)
{
	static const char *const attacks[] = {
		"UPDATE runs SET outcome = 'passed' WHERE id = 'b'",
		"UPDATE measurements SET value = 25.10000001 WHERE run_id = 'b'",
		"UPDATE steps SET evidence = NULL WHERE run_id = 'b'",
		"UPDATE runs SET serial = 'other' WHERE id = 'b'",
		"DELETE FROM measurements WHERE run_id = 'b'",
		"UPDATE runs SET hash = hash || '0' WHERE id = 'b'",
		"UPDATE runs SET prev_hash = prev_hash || '0' WHERE id = 'b'",
	};

	whole_run("a", "passed");
	whole_run("b", "failed");
	whole_run("c", "passed");
	check_chain(3, "");
	/* The schema refuses... */
	FAILS(ERR_CONFLICT, db_script(fx.db, attacks[_i], &fx.e));
	check_chain(3, "");
	/* ...and one who drops the triggers is found out. */
	OK(db_script(fx.db,
		"DROP TRIGGER runs_finished_stay; DROP TRIGGER steps_finished_stay;"
		" DROP TRIGGER measurements_stay; DROP TRIGGER measurements_remain",
		&fx.e));
	OK(db_script(fx.db, attacks[_i], &fx.e));
	check_chain(1, "b");
	OK(integrity_run(fx.db, "a", &fx.e));
}
END_TEST

START_TEST(how_long_a_run_took_is_not_asked_of_the_wall_clock)
{
	const int64_t took = 1234;
	struct run_end end = {.run = "a", .outcome = "passed", .ended_ms = 5, .duration_ms = &took};
	json_t *j = NULL;
	int64_t n;

	/* The clock fell to 1970 while it went on. */
	open_run("a", "A1", NULL);
	TX(runs_finish(fx.db, &end, &fx.e));
	OK(reports_run(fx.db, "a", &j, &fx.e));
	ck_assert_int_eq(int_at(j, "duration_ms"), took);
	json_decref(j);
	OK(runs_get(fx.db, "a", &j, &fx.e));
	ck_assert_int_eq(int_at(j, "duration_ms"), took);
	json_decref(j);
	/* Of one that a crash cut off it is not known. */
	open_run("b", "A1", NULL);
	TX(runs_recover(fx.db, &n, &fx.e));
	OK(runs_get(fx.db, "b", &j, &fx.e));
	ck_assert(json_is_null(at(j, "duration_ms")));
	json_decref(j);
	check_chain(2, "");
}
END_TEST

START_TEST(a_finished_run_takes_no_more_steps_or_measurements)
{
	struct step_begin b = {.run = "a", .n = 9, .id = "x", .action = "y", .phase = "steps"};
	double v = 1;
	struct measured m = {
		.run = "a", .step_n = 1, .k = 9, .name = "late", .value = &v, .verdict = "pass"};
	struct run_end end = {.run = "a", .outcome = "passed", .ended_ms = 1};

	whole_run("a", "failed");
	TX_FAILS(ERR_CONFLICT, runs_step_begin(fx.db, &b, &fx.e));
	TX_FAILS(ERR_CONFLICT, runs_measure(fx.db, &m, &fx.e));
	TX_FAILS(ERR_CONFLICT, runs_finish(fx.db, &end, &fx.e));
	TX_FAILS(ERR_NOT_FOUND, ({
		end.run = "nowhere";
		runs_finish(fx.db, &end, &fx.e);
	}));
}
END_TEST

START_TEST(a_run_cannot_pass_with_a_step_that_has_no_end)
{
	struct run_end end = {.run = "a", .outcome = "passed", .ended_ms = 1};

	open_run("a", "A1", NULL);
	begin_step("a", 1, false);
	TX_FAILS(ERR_INTERNAL, runs_finish(fx.db, &end, &fx.e));
}
END_TEST

START_TEST(a_crash_leaves_interrupted_runs_suspect_units_and_no_open_prompt)
{
	struct ledger_source s = {.from = LEDGER_SCAN, .kind = "serial", .value = "S1"};
	struct prompt_new p = {
		.id = "p1", .run = "a", .station = "A1", .kind = "confirm", .text = "Lid closed?"};
	char value[LEDGER_VALUE_SIZE];
	int64_t n = 0;
	json_t *j = NULL;

	open_run("a", "A1", NULL);
	TX(ledger_reserve(fx.db, "a", &s, value, &fx.e));
	TX(ledger_expose(fx.db, "a", &fx.e));
	begin_step("a", 1, false);
	TX(prompts_ask(fx.db, &p, &fx.e));
	open_run("b", "A2", NULL);
	whole_run("c", "passed");
	fixture_reopen();
	TX(runs_recover(fx.db, &n, &fx.e));
	ck_assert_int_eq(n, 2);
	OK(reports_run(fx.db, "a", &j, &fx.e));
	ck_assert_str_eq(str_at(j, "outcome"), "interrupted");
	ck_assert_str_eq(str_at(j, "code"), "interrupted");
	ck_assert_str_eq(str_at(j, "step"), "read-temp");
	ck_assert_str_eq(str_at(j, "steps.0.outcome"), "interrupted");
	json_decref(j);
	assert_ledger("S1", "committed");
	OK(units_get(fx.db, "S1", &j, &fx.e));
	ck_assert_str_eq(str_at(j, "state"), "suspect");
	json_decref(j);
	OK(prompts_get(fx.db, "p1", &j, &fx.e));
	ck_assert_str_eq(str_at(j, "state"), "cancelled");
	json_decref(j);
	TX(runs_recover(fx.db, &n, &fx.e));
	ck_assert_int_eq(n, 0);
	check_chain(3, "");
}
END_TEST

/* What a run did after its value left in its first step. A name that comes again is another attempt. */
static const struct {
	const char *outcome;  /* of the run */
	const char *steps[4]; /* NAME=OUTCOME; the value leaves in the first */
	const char *unit;     /* "new": the run says nothing of it */
} sent[] = {
	{"error", {"set=passed", "cloud=error"}, "new"},
	{"aborted", {"set=passed", "ask=aborted"}, "new"},
	{"error", {"set=error"}, "suspect"},
	{"aborted", {"set=aborted"}, "suspect"},
	{"error", {"set=error", "set=passed", "cloud=error"}, "new"},
	{"error", {"set=failed", "other=passed", "cloud=error"}, "suspect"},
	{"interrupted", {"set=passed", "cloud=interrupted"}, "suspect"},
	{"failed", {"set=passed", "test=failed"}, "failed"},
};

START_TEST(a_unit_is_suspect_where_nobody_knows_whether_it_has_what_was_sent)
{
	struct ledger_source s = {.from = LEDGER_SCAN, .kind = "serial", .value = "S1"};
	char value[LEDGER_VALUE_SIZE];
	json_t *j = NULL;

	open_run("a", "A1", NULL);
	TX(ledger_reserve(fx.db, "a", &s, value, &fx.e));
	for (int i = 0; i < 4 && sent[_i].steps[i]; i++) {
		const char *end = strchr(sent[_i].steps[i], '=');
		_cleanup_(freep) char *name =
			strndup(sent[_i].steps[i], (size_t)(end - sent[_i].steps[i]));

		begin_named("a", i + 1, name, false);
		if (i == 0)
			TX(ledger_expose_slot(fx.db, "a", "", &fx.e));
		end_step("a", i + 1, end + 1, strcmp(end + 1, "passed") ? "io" : NULL);
	}
	finish_run("a", sent[_i].outcome);
	assert_ledger("S1", "committed");
	OK(units_get(fx.db, "S1", &j, &fx.e));
	ck_assert_str_eq(str_at(j, "state"), sent[_i].unit);
	json_decref(j);
}
END_TEST

START_TEST(an_irreversible_step_without_an_end_makes_the_unit_suspect)
{
	char unit[DB_ID_SIZE];
	int64_t n;
	json_t *j = NULL;

	open_run("a", "A1", NULL);
	TX(units_identify(fx.db, "a", "chip-a", NULL, unit, &fx.e));
	begin_step("a", 1, true);
	TX(runs_recover(fx.db, &n, &fx.e));
	OK(units_get(fx.db, unit, &j, &fx.e));
	ck_assert_str_eq(str_at(j, "state"), "suspect");
	json_decref(j);
	TX(units_set_state(fx.db, unit, "failed", "fuses read back blank", "anna", &fx.e));
}
END_TEST

START_TEST(lists_come_in_pages_that_neither_miss_nor_repeat)
{
	struct run_filter f = {.station = "A1"};
	struct db_page page = {.limit = 3};
	struct db_list l = {0};
	char after[128] = "";
	int seen = 0;

	for (int i = 0; i < 10; i++) {
		char id[8];

		snprintf(id, sizeof id, "r%d", i);
		open_run(id, i % 5 == 4 ? "B7" : "A1", NULL);
	}
	do {
		size_t i;
		json_t *row;

		page.after = after;
		OK(runs_list(fx.db, &f, &page, &l, &fx.e));
		json_array_foreach(l.items, i, row) {
			ck_assert_str_eq(str_at(row, "station"), "A1");
			seen++;
		}
		json_decref(l.items);
		snprintf(after, sizeof after, "%s", l.next);
	} while (after[0]);
	ck_assert_int_eq(seen, 8);
	f = (struct run_filter){.state = "open"};
	page = (struct db_page){0};
	OK(runs_list(fx.db, &f, &page, &l, &fx.e));
	ck_assert_uint_eq(json_array_size(l.items), 10);
	json_decref(l.items);
	page.after = "rubbish";
	FAILS(ERR_INVALID, runs_list(fx.db, &f, &page, &l, &fx.e));
}
END_TEST

START_TEST(events_tell_the_story_in_order)
{
	static const char *const want[] = {"run-attached", "run-started", "serial-reserved",
		"step-started", "step-finished", "serial-committed", "unit-changed",
		"run-finished"};
	struct event_filter f = {.run = "a"};
	struct db_list l;

	whole_run("a", "passed");
	OK(events_list(fx.db, &f, NULL, &l, &fx.e));
	ck_assert_uint_eq(json_array_size(l.items), ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		json_t *ev = json_array_get(l.items, i);

		ck_assert_str_eq(str_at(ev, "type"), want[i]);
		ck_assert_str_eq(str_at(ev, "station"), "A1");
	}
	json_decref(l.items);
}
END_TEST

START_TEST(what_is_told_of_a_run_has_the_run_before_it_at_its_station)
{
	json_t *o = NULL;

	whole_run("r1", "error");
	open_run("other", "B7", NULL);
	finish_run("other", "passed");
	/* One that never began is none. */
	TX(runs_open(
		fx.db, &(struct run_new){.id = "r2", .station = "A1", .attached_ms = 3000}, &fx.e));
	finish_run("r2", "aborted");
	whole_run("r3", "passed");
	OK(told_run(fx.db, "r3", &o, &fx.e));
	ck_assert_str_eq(str_at(o, "report.id"), "r3");
	ck_assert_str_eq(str_at(o, "before.id"), "r1");
	ck_assert_str_eq(str_at(o, "before.outcome"), "error");
	ck_assert(json_is_array(at(o, "values")));
	ck_assert(json_is_null(at(o, "reference")));
	json_decref(o);
	OK(told_run(fx.db, "r1", &o, &fx.e));
	ck_assert(json_is_null(at(o, "before")));
	json_decref(o);
	FAILS(ERR_NOT_FOUND, told_run(fx.db, "r9", &o, &fx.e));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("runs");
	TCase *t = tcase_create("runs");

	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, the_report_says_what_happened);
	tcase_add_loop_test(t, only_the_outcome_passed_is_a_pass, 0, 5);
	tcase_add_loop_test(t, the_chain_holds_and_shows_what_was_tampered_with, 0, 7);
	tcase_add_test(t, how_long_a_run_took_is_not_asked_of_the_wall_clock);
	tcase_add_test(t, a_finished_run_takes_no_more_steps_or_measurements);
	tcase_add_test(t, a_run_cannot_pass_with_a_step_that_has_no_end);
	tcase_add_test(t, a_crash_leaves_interrupted_runs_suspect_units_and_no_open_prompt);
	tcase_add_loop_test(t, a_unit_is_suspect_where_nobody_knows_whether_it_has_what_was_sent, 0,
		ARRAY_LEN(sent));
	tcase_add_test(t, an_irreversible_step_without_an_end_makes_the_unit_suspect);
	tcase_add_test(t, lists_come_in_pages_that_neither_miss_nor_repeat);
	tcase_add_test(t, events_tell_the_story_in_order);
	tcase_add_test(t, what_is_told_of_a_run_has_the_run_before_it_at_its_station);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
