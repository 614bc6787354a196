/* SPDX-License-Identifier: Apache-2.0
 *
 * The outbox: which rows go out and in which order, and what becomes of the run and the unit.
 */
#include "db/integrity.h"
#include "db/journal.h"
#include "db/migrations.h"
#include "db/outbox.h"
#include "db/reports.h"
#include "db/stmt.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

#define SOON 1000

static struct outbox_row row;
static json_t *nowhere;

/* A run of a unit with that chip, with so many deferred steps. */
static void defers(const char *run, const char *chip, int steps)
{
	char unit[DB_ID_SIZE];

	open_run(run, "A1", NULL);
	TX(units_identify(fx.db, run, chip, "T200", unit, &fx.e));
	for (int n = 1; n <= steps; n++) {
		_cleanup_(freep) char *id = xasprintf("step%d", n);
		_cleanup_(freep) char *key = xasprintf("%s/%d", run, n);
		json_t *payload = json_pack("{s:s, s:s, s:{}}", "step", id, "action", "x", "with");
		const struct step_begin b = {run, n, id, "x", "steps", 1, false, 1600};
		const struct step_end end = {.run = run,
			.n = n,
			.outcome = "deferred",
			.code = "service-unreachable",
			.ended_ms = 1700};
		const struct outbox_new o = {.kind = OUTBOX_KIND_STEP,
			.key = key,
			.target = n < 9 ? "cloud" : "other",
			.payload = payload,
			.run = run,
			.step_n = n};

		TX(runs_step_begin(fx.db, &b, &fx.e));
		TX(runs_step_end(fx.db, &end, &fx.e));
		TX(outbox_add(fx.db, &o, &fx.e));
		TX_FAILS(ERR_CONFLICT, outbox_add(fx.db, &o, &fx.e));
		json_decref(payload);
	}
}

/* "RUN/STEP" of the row that would go out, "" none. */
static const char *next_at(int64_t now)
{
	static char text[160];
	int r;

	json_decref(row.payload);
	r = outbox_next(fx.db, nowhere, now, &row, &fx.e);
	ck_assert_int_ge(r, 0);
	if (r == 0)
		return "";
	snprintf(text, sizeof text, "%s/%s", row.run, str_at(row.payload, "step"));
	return text;
}

static const char *next(void)
{
	return next_at(wall_ms() + SOON);
}

static const char *text_of(const char *sql, const char *key)
{
	static char text[256];

	text[0] = '\0';
	ck_assert_int_ge(db_text(fx.db, &fx.e, text, sizeof text, sql, key), 0);
	return text;
}

static const char *unit_of(const char *run)
{
	return text_of(
		"SELECT u.state FROM units u JOIN runs r ON r.unit_id = u.id WHERE r.id = ?", run);
}

static const char *states_of(const char *run)
{
	return text_of("SELECT group_concat(state, ' ') FROM (SELECT state FROM outbox"
		       " WHERE run_id = ? ORDER BY seq)",
		run);
}

/* The row that next() found. */
static void done(void)
{
	json_t *result =
		json_pack("{s:{s:s}, s:{s:s}}", "evidence", "id", "d1", "outputs", "id", "d1");

	TX(outbox_begin(fx.db, row.id, &fx.e));
	TX(outbox_done(fx.db, row.id, result, &fx.e));
	json_decref(result);
}

static void is_whole(void)
{
	char text[ERR_TEXT_BYTES];
	int64_t runs;

	OK(integrity_chain(fx.db, NULL, &runs, text, &fx.e));
	ck_assert_str_eq(text, "");
	OK(integrity_tables(fx.db, NULL, text, &fx.e));
	ck_assert_str_eq(text, "");
}

START_TEST(rows_wait_for_the_run_then_go_out_in_order_and_the_unit_passes_at_the_last)
{
	json_t *run = NULL, *outputs = NULL;

	defers("a", "c1", 2);
	ck_assert_str_eq(next(), "");
	finish_run("a", "passed");
	ck_assert_str_eq(unit_of("a"), "provisioned");
	OK(runs_get(fx.db, "a", &run, &fx.e));
	ck_assert_str_eq(str_at(run, "outcome"), "provisioned");
	json_decref(run);
	ck_assert_str_eq(next(), "a/step1");
	done();
	ck_assert_str_eq(unit_of("a"), "provisioned");
	OK(outbox_outputs(fx.db, "a", &outputs, &fx.e));
	ck_assert_str_eq(str_at(outputs, "step1.id"), "d1");
	json_decref(outputs);
	is_whole();
	ck_assert_str_eq(next(), "a/step2");
	done();
	ck_assert_str_eq(next(), "");
	ck_assert_str_eq(unit_of("a"), "passed");
	is_whole();
}
END_TEST

START_TEST(what_was_done_later_is_a_record_of_its_own_in_the_chain_that_counts_nowhere)
{
	json_t *run = NULL, *report = NULL;
	const char *id;

	defers("a", "c1", 1);
	finish_run("a", "passed");
	next();
	done();
	id = text_of("SELECT id FROM runs WHERE completes = ?", "a");
	OK(runs_get(fx.db, id, &run, &fx.e));
	ck_assert_str_eq(str_at(run, "kind"), "completion");
	ck_assert_str_eq(str_at(run, "completes"), "a");
	ck_assert_str_eq(str_at(run, "outcome"), "passed");
	ck_assert_int_eq(json_string_length(at(run, "hash")), 64);
	json_decref(run);
	OK(reports_run(fx.db, id, &report, &fx.e));
	ck_assert_str_eq(str_at(report, "steps.0.id"), "step1");
	ck_assert_str_eq(str_at(report, "steps.0.evidence.id"), "d1");
	json_decref(report);
	OK(reports_run(fx.db, "a", &report, &fx.e));
	ck_assert_str_eq(str_at(report, "outcome"), "provisioned");
	ck_assert_str_eq(str_at(report, "steps.0.outcome"), "deferred");
	ck_assert(json_is_false(at(report, "passed")));
	json_decref(report);
	ck_assert_str_eq(
		text_of("SELECT count(*) FROM runs WHERE kind = 'production' AND id <> ?", ""),
		"1");
}
END_TEST

START_TEST(a_run_that_did_not_pass_tells_nobody)
{
	static const char *const ends[] = {"failed", "error", "aborted", "interrupted"};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		defers(ends[i], ends[i], 1);
		finish_run(ends[i], ends[i]);
		ck_assert_str_eq(states_of(ends[i]), "void");
	}
	ck_assert_str_eq(next(), "");
}
END_TEST

START_TEST(a_refused_row_stops_its_own_unit_until_a_person_says_once_more)
{
	char id[DB_ID_SIZE];

	defers("a", "c1", 2);
	defers("b", "c2", 1);
	finish_run("a", "passed");
	finish_run("b", "passed");
	ck_assert_str_eq(next(), "a/step1");
	memcpy(id, row.id, sizeof id);
	TX(outbox_begin(fx.db, id, &fx.e));
	TX(outbox_refuse(fx.db, id, ERR_SERVICE_REFUSED, "HTTP 422", &fx.e));
	ck_assert_str_eq(unit_of("a"), "suspect");
	ck_assert_str_eq(next(), "b/step1");
	done();
	ck_assert_str_eq(unit_of("b"), "passed");
	ck_assert_str_eq(next(), "");
	TX(outbox_retry(fx.db, id, "anna", &fx.e));
	ck_assert_str_eq(unit_of("a"), "provisioned");
	ck_assert_str_eq(next(), "a/step1");
	ck_assert_int_eq(row.attempts, 1);
	done();
	TX_FAILS(ERR_CONFLICT, outbox_retry(fx.db, id, "anna", &fx.e));
	TX_FAILS(ERR_NOT_FOUND, outbox_retry(fx.db, "none", "anna", &fx.e));
}
END_TEST

START_TEST(a_row_that_is_put_off_is_due_again_also_by_a_clock_that_jumps)
{
	const int64_t now = wall_ms();

	defers("a", "c1", 1);
	finish_run("a", "passed");
	ck_assert_str_eq(next(), "a/step1");
	TX(outbox_begin(fx.db, row.id, &fx.e));
	TX(outbox_put_off(fx.db, row.id, ERR_SERVICE_DOWN, "away", 600000, &fx.e));
	ck_assert_str_eq(next(), "");
	ck_assert_str_eq(next_at(now + 700000), "a/step1");
	ck_assert_str_eq(next_at(now - 300000), "");
	/* A clock that was years ahead when the row was put off. */
	ck_assert_str_eq(next_at(now - 100 * OUTBOX_LATEST_MS), "a/step1");
	TX(outbox_put_off(fx.db, row.id, ERR_SERVICE_DOWN, "away", INT64_MAX / 2, &fx.e));
	ck_assert_str_eq(next_at(wall_ms() + OUTBOX_LATEST_MS + SOON), "a/step1");
}
END_TEST

START_TEST(a_target_that_is_away_keeps_no_other)
{
	json_t *cloud = json_pack("[s]", "cloud");

	defers("a", "c1", 1);
	defers("b", "c2", 9);
	finish_run("a", "passed");
	ck_assert_int_eq(outbox_next(fx.db, cloud, wall_ms() + SOON, &row, &fx.e), 0);
	ck_assert_str_eq(next(), "a/step1");
	json_decref(cloud);
	finish_run("b", "failed");
}
END_TEST

START_TEST(a_unit_that_is_in_a_run_is_left_alone_and_a_run_that_did_it_again_voids_the_rows)
{
	defers("a", "c1", 2);
	finish_run("a", "passed");
	defers("b", "c1", 0);
	ck_assert_str_eq(next(), "");
	finish_run("b", "passed");
	ck_assert_str_eq(states_of("a"), "void void");
	ck_assert_str_eq(unit_of("a"), "passed");
	is_whole();
}
END_TEST

START_TEST(a_pass_of_another_recipe_leaves_the_unit_provisioned)
{
	struct run_start other = {.run = "b",
		.recipe = "final-test",
		.version = 1,
		.recipe_sha256 = "0",
		.started_ms = 1};

	defers("a", "c1", 1);
	finish_run("a", "passed");
	defers("b", "c1", 0);
	TX(runs_start(fx.db, &other, &fx.e));
	finish_run("b", "passed");
	ck_assert_str_eq(unit_of("a"), "provisioned");
	ck_assert_str_eq(next(), "a/step1");
	done();
	ck_assert_str_eq(unit_of("a"), "passed");
}
END_TEST

START_TEST(a_unit_that_failed_later_does_not_pass_by_its_outbox)
{
	defers("a", "c1", 1);
	finish_run("a", "passed");
	defers("b", "c1", 0);
	finish_run("b", "failed");
	ck_assert_str_eq(unit_of("a"), "failed");
	ck_assert_str_eq(next(), "a/step1");
	done();
	ck_assert_str_eq(unit_of("a"), "failed");
}
END_TEST

START_TEST(a_scrapped_unit_is_told_to_nobody)
{
	char unit[DB_ID_SIZE];

	defers("a", "c1", 2);
	finish_run("a", "passed");
	snprintf(unit, sizeof unit, "%s", text_of("SELECT unit_id FROM runs WHERE id = ?", "a"));
	TX(units_set_state(fx.db, unit, "scrapped", "dropped", "anna", &fx.e));
	ck_assert_str_eq(states_of("a"), "void void");
	/* An attempt that was under way changes nothing any more. */
	next();
	TX_FAILS(ERR_CONFLICT,
		outbox_begin(fx.db, text_of("SELECT id FROM outbox WHERE run_id = ? LIMIT 1", "a"),
			&fx.e));
	TX(outbox_put_off(fx.db, text_of("SELECT id FROM outbox WHERE run_id = ? LIMIT 1", "a"),
		ERR_SERVICE_DOWN, "away", 1, &fx.e));
	ck_assert_str_eq(states_of("a"), "void void");
}
END_TEST

START_TEST(what_the_run_may_have_begun_is_settled_by_what_came_of_it)
{
	const struct journal_intent i = {.run = "a",
		.step_n = 1,
		.station = "A1",
		.action = "x",
		.unit = "c1",
		.what = "registration",
		.digest = REPORT_FIRST_HASH,
		.seen = JOURNAL_NOT_DONE,
		.observed = "blank"};
	struct journal_open before;

	defers("a", "c1", 1);
	TX(journal_intend(fx.db, &i, &before, &fx.e));
	finish_run("a", "passed");
	next();
	done();
	ck_assert_str_eq(text_of("SELECT state FROM intents WHERE run_id = ?", "a"), "committed");
	is_whole();
}
END_TEST

START_TEST(what_has_left_does_not_change_and_what_a_run_left_stays)
{
	defers("a", "c1", 1);
	finish_run("a", "passed");
	FAILS(ERR_CONFLICT, db_script(fx.db, "UPDATE outbox SET payload = '{}'", &fx.e));
	FAILS(ERR_CONFLICT, db_script(fx.db, "UPDATE outbox SET target = 'x'", &fx.e));
	FAILS(ERR_CONFLICT, db_script(fx.db, "DELETE FROM outbox", &fx.e));
	next();
	done();
	FAILS(ERR_CONFLICT, db_script(fx.db, "UPDATE outbox SET state = 'waiting'", &fx.e));
}
END_TEST

START_TEST(a_row_of_no_run_goes_out_by_itself)
{
	const struct outbox_new o = {.kind = "webhook",
		.key = "e1/hook1",
		.order_key = "hook1",
		.target = "hook1",
		.payload = json_pack("{s:s}", "step", "event")};
	struct outbox_counts n;

	TX(outbox_add(fx.db, &o, &fx.e));
	json_decref((json_t *)o.payload);
	ck_assert_str_eq(next(), "/event");
	ck_assert_str_eq(row.kind, "webhook");
	OK(outbox_count(fx.db, &n, &fx.e));
	ck_assert_int_eq(n.waiting, 1);
	ck_assert_int_gt(n.oldest_ms, 0);
	done();
	OK(outbox_count(fx.db, &n, &fx.e));
	ck_assert_int_eq(n.waiting + n.refused, 0);
}
END_TEST

START_TEST(units_of_an_older_provd_come_through_the_upgrade_with_their_runs)
{
	/* The database as it was before the migration. */
	static const char older[] =
		"BEGIN; PRAGMA defer_foreign_keys = ON; DROP TABLE outbox;"
		" ALTER TABLE steps DROP COLUMN deferred; DROP INDEX runs_by_completed;"
		" ALTER TABLE runs DROP COLUMN completes; ALTER TABLE runs DROP COLUMN deferred;"
		" CREATE TABLE kept AS SELECT * FROM units; DROP TABLE units; CREATE TABLE units ("
		" id TEXT PRIMARY KEY, serial TEXT UNIQUE, model TEXT, chip_id TEXT, state TEXT NOT NULL"
		" CHECK (state IN ('new', 'passed', 'failed', 'suspect', 'scrapped')), created_at INTEGER"
		" NOT NULL, updated_at INTEGER NOT NULL) STRICT, WITHOUT ROWID; INSERT INTO units SELECT *"
		" FROM kept; DROP TABLE kept; DROP TRIGGER prompts_approved_stay;"
		" ALTER TABLE prompts DROP COLUMN approval;"
		" ALTER TABLE runs DROP COLUMN exposed_step; COMMIT;";
	/* The outbox and what came after it come again. */
	_cleanup_(freep) char *version =
		xasprintf("PRAGMA user_version = %d", (int)migration_count - 2);
	json_t *unit = NULL;

	defers("a", "c1", 0);
	finish_run("a", "passed");
	OK(db_script(fx.db, older, &fx.e));
	OK(db_script(fx.db, version, &fx.e));
	FAILS(ERR_CONFLICT, db_script(fx.db, "UPDATE units SET state = 'provisioned'", &fx.e));
	fixture_reopen();
	OK(units_get(fx.db, text_of("SELECT unit_id FROM runs WHERE id = ?", "a"), &unit, &fx.e));
	ck_assert_str_eq(str_at(unit, "state"), "passed");
	ck_assert_str_eq(str_at(unit, "chip_id"), "c1");
	json_decref(unit);
	is_whole();
	FAILS(ERR_CONFLICT,
		db_script(fx.db, "DELETE FROM units", &fx.e)); /* its run refers to it */
	defers("b", "c1", 1);
	finish_run("b", "passed");
	ck_assert_str_eq(unit_of("b"), "provisioned");
}
END_TEST

static void setup(void)
{
	fixture_setup();
	row = (struct outbox_row){0};
	nowhere = json_array();
}

static void teardown(void)
{
	json_decref(row.payload);
	json_decref(nowhere);
	fixture_teardown();
}

static Suite *suite(void)
{
	Suite *s = suite_create("outbox");
	TCase *tc = tcase_create("outbox");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(
		tc, rows_wait_for_the_run_then_go_out_in_order_and_the_unit_passes_at_the_last);
	tcase_add_test(
		tc, what_was_done_later_is_a_record_of_its_own_in_the_chain_that_counts_nowhere);
	tcase_add_test(tc, a_run_that_did_not_pass_tells_nobody);
	tcase_add_test(tc, a_refused_row_stops_its_own_unit_until_a_person_says_once_more);
	tcase_add_test(tc, a_row_that_is_put_off_is_due_again_also_by_a_clock_that_jumps);
	tcase_add_test(tc, a_target_that_is_away_keeps_no_other);
	tcase_add_test(tc,
		a_unit_that_is_in_a_run_is_left_alone_and_a_run_that_did_it_again_voids_the_rows);
	tcase_add_test(tc, a_pass_of_another_recipe_leaves_the_unit_provisioned);
	tcase_add_test(tc, a_unit_that_failed_later_does_not_pass_by_its_outbox);
	tcase_add_test(tc, a_scrapped_unit_is_told_to_nobody);
	tcase_add_test(tc, what_the_run_may_have_begun_is_settled_by_what_came_of_it);
	tcase_add_test(tc, what_has_left_does_not_change_and_what_a_run_left_stays);
	tcase_add_test(tc, a_row_of_no_run_goes_out_by_itself);
	tcase_add_test(tc, units_of_an_older_provd_come_through_the_upgrade_with_their_runs);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
