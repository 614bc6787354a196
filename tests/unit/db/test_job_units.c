/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of an order: which run gets which unit, and what becomes of it.
 */
#include "db/job_units.h"

#include "db/jobs.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

/* "S1 S2@chip2": a list, each with its place as a parameter. */
static json_t *rows_of(const char *words)
{
	json_t *rows = json_array();
	char copy[256], *save, *at;

	snprintf(copy, sizeof copy, "%s", words);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		at = strchr(w, '@');
		if (at)
			*at++ = 0;
		json_array_append_new(
			rows, json_pack("{s:s, s:s*, s:{s:I}}", "serial", w, "chip_id", at,
				      "params", "place", (json_int_t)json_array_size(rows) + 1));
	}
	return rows;
}

static int order(const char *id, const char *words, enum job_assign assign, bool rework,
	json_t **ret_offending)
{
	json_t *rows = rows_of(words);
	const struct job_new j = {.id = id,
		.recipe = "thermo",
		.version = 1,
		.recipe_sha256 = "0000",
		.quantity = (int64_t)json_array_size(rows),
		.units = rows,
		.assign = assign,
		.rework = rework,
		.created_by = "mes"};
	int r;

	OK(db_begin(fx.db, &fx.e));
	r = jobs_create(fx.db, &j, ret_offending, &fx.e);
	if (r < 0)
		db_rollback(fx.db);
	else
		OK(db_commit(fx.db, &fx.e));
	json_decref(rows);
	return r;
}

static void in_order(const char *id, const char *words)
{
	OK(order(id, words, JOB_ASSIGN_IN_ORDER, false, NULL));
}

/* The serial of the row that a new run takes; "" none. */
static const char *take(const char *job, const char *run, const char *mark)
{
	static char serial[LEDGER_VALUE_SIZE];
	json_t *marks = mark ? json_pack("[s]", mark) : NULL;
	struct job_row row = {0};
	int r;

	open_run(run, "A1", job);
	OK(db_begin(fx.db, &fx.e));
	r = job_units_take(fx.db, job, run, marks, &row, &fx.e);
	ck_assert_msg(r >= 0, "%s", fx.e.msg);
	OK(db_commit(fx.db, &fx.e));
	snprintf(serial, sizeof serial, "%s", row.serial);
	if (r > 0)
		ck_assert_int_eq(int_at(row.params, "place"), row.n);
	job_row_done(&row);
	json_decref(marks);
	return serial;
}

static int match(const char *job, const char *run, const char *serial, const char *chip)
{
	struct job_row row = {0};
	int r;

	OK(db_begin(fx.db, &fx.e));
	r = job_units_match(fx.db, job, run, serial, chip, &row, &fx.e);
	if (r < 0)
		db_rollback(fx.db);
	else
		OK(db_commit(fx.db, &fx.e));
	job_row_done(&row);
	return r;
}

/* The run reserves the number of its row, and sends it where exposed. */
static void give(const char *run, const char *serial, bool exposed)
{
	const struct ledger_source s = {.from = LEDGER_JOB, .kind = "serial", .value = serial};
	char got[LEDGER_VALUE_SIZE];

	TX(ledger_reserve(fx.db, run, &s, got, &fx.e));
	ck_assert_str_eq(got, serial);
	if (exposed)
		TX(ledger_expose(fx.db, run, &fx.e));
}

static void assert_units(const char *job, const char *want)
{
	struct db_page page = {.limit = 100};
	struct db_list l = {0};
	char found[512] = "";
	json_t *row;
	size_t i;

	OK(job_units_list(fx.db, job, NULL, &page, &l, &fx.e));
	json_array_foreach(l.items, i, row) {
		const size_t n = strlen(found);

		snprintf(found + n, sizeof found - n, "%s%s:%s", n ? " " : "",
			str_at(row, "serial"), str_at(row, "state"));
	}
	json_decref(l.items);
	ck_assert_str_eq(found, want);
}

static void assert_job(const char *id, const char *state, const char *how)
{
	json_t *j = NULL;

	OK(jobs_get(fx.db, id, &j, &fx.e));
	ck_assert_str_eq(str_at(j, "state"), state);
	ck_assert_str_eq(str_at(j, "ending.how"), how);
	json_decref(j);
}

START_TEST(units_come_in_the_order_of_the_list)
{
	in_order("j", "S1 S2 S3");
	ck_assert_str_eq(take("j", "r1", NULL), "S1");
	ck_assert_str_eq(take("j", "r2", NULL), "S2");
	TX(job_units_begun(fx.db, "r2", &fx.e));
	assert_units("j", "S1:assigned S2:running S3:waiting");
	give("r1", "S1", true);
	finish_run("r1", "passed");
	give("r2", "S2", true);
	finish_run("r2", "failed");
	assert_units("j", "S1:passed S2:failed S3:waiting");
	ck_assert_str_eq(take("j", "r3", NULL), "S3");
	give("r3", "S3", true);
	finish_run("r3", "passed");
	ck_assert_str_eq(take("j", "r4", NULL), "");
	assert_job("j", "queued", "(null)"); /* S2 may still pass */
}
END_TEST

START_TEST(a_number_that_never_left_is_for_the_next_unit)
{
	in_order("j", "S1 S2");
	ck_assert_str_eq(take("j", "r1", NULL), "S1");
	give("r1", "S1", false);
	finish_run("r1", "failed");
	assert_units("j", "S1:waiting S2:waiting");
	ck_assert_str_eq(take("j", "r2", NULL), "S1");
}
END_TEST

START_TEST(a_unit_that_failed_is_known_again_by_its_chip)
{
	char unit[DB_ID_SIZE];

	in_order("j", "S1 S2");
	take("j", "r1", NULL);
	TX(units_identify(fx.db, "r1", "chip-1", "M", unit, &fx.e));
	give("r1", "S1", true);
	finish_run("r1", "failed");
	/* By what its USB device says, before the run begins... */
	ck_assert_str_eq(take("j", "r2", "chip-1"), "S1");
	finish_run("r2", "error");
	/* ... or once its chip was read: the row that it had got goes back. */
	ck_assert_str_eq(take("j", "r3", NULL), "S2");
	TX(units_identify(fx.db, "r3", "chip-1", "M", unit, &fx.e));
	ck_assert_int_eq(match("j", "r3", "S1", "chip-1"), 1);
	assert_units("j", "S1:running S2:waiting");
	ck_assert_int_eq(match("j", "r3", "S1", "chip-1"), 0);
	give("r3", "S1", true);
	finish_run("r3", "passed");
	assert_units("j", "S1:passed S2:waiting");
}
END_TEST

START_TEST(what_is_not_on_the_list_or_done_is_refused)
{
	OK(order("j", "S1@c1 S2@c2", JOB_ASSIGN_RECOGNISED, false, NULL));
	ck_assert_str_eq(take("j", "r1", NULL), "");
	ck_assert_int_eq(match("j", "r1", "S9", NULL), -ERR_SERIAL_CONFLICT);
	ck_assert_int_eq(match("j", "r1", NULL, "c9"), 0);
	ck_assert_int_eq(match("j", "r1", NULL, "c2"), 1);
	ck_assert_str_eq(take("j", "r2", NULL), "");
	ck_assert_int_eq(match("j", "r2", "S2", NULL), -ERR_SERIAL_CONFLICT);
	give("r1", "S2", true);
	finish_run("r1", "passed");
	ck_assert_int_eq(match("j", "r2", "S2", NULL), -ERR_SERIAL_CONFLICT);
	ck_assert_ptr_nonnull(strstr(fx.e.msg, "is passed already"));
}
END_TEST

START_TEST(a_row_does_not_change_once_its_number_left)
{
	in_order("j", "S1 S2");
	take("j", "r1", NULL);
	give("r1", "S1", true);
	ck_assert_int_eq(match("j", "r1", "S2", NULL), -ERR_SERIAL_CONFLICT);
	assert_units("j", "S1:assigned S2:waiting");
}
END_TEST

START_TEST(a_recognised_unit_that_failed_is_that_of_its_row)
{
	OK(order("j", "S1@c1", JOB_ASSIGN_RECOGNISED, false, NULL));
	ck_assert_str_eq(take("j", "r1", "c1"), "S1");
	finish_run("r1", "failed");
	assert_units("j", "S1:failed");
	ck_assert_str_eq(take("j", "r2", "c1"), "S1");
	finish_run("r2", "aborted");
	assert_units("j", "S1:waiting");
}
END_TEST

START_TEST(a_number_is_in_one_open_list)
{
	json_t *offending = NULL;

	in_order("j", "S1 S2");
	ck_assert_int_eq(
		order("k", "S0 S2 S3 S3", JOB_ASSIGN_IN_ORDER, false, &offending), -ERR_CONFLICT);
	ck_assert_uint_eq(json_array_size(offending), 2);
	ck_assert_int_eq(int_at(offending, "0.index"), 1);
	ck_assert_str_eq(str_at(offending, "0.reason"), "waits in the list of another job");
	ck_assert_int_eq(int_at(offending, "1.index"), 3);
	json_decref(offending);
	/* Once its order has ended without it, it may be. */
	TX(jobs_act(fx.db, "j", JOB_CANCEL, &(struct job_word){.by = "mes"}, &fx.e));
	assert_units("j", "S1:cancelled S2:cancelled");
	in_order("k", "S2");
}
END_TEST

START_TEST(only_units_that_failed_are_reworked)
{
	json_t *offending = NULL;
	char serial[LEDGER_VALUE_SIZE];
	const struct ledger_source scan = {.from = LEDGER_SCAN, .kind = "serial", .value = "S1"};

	in_order("j", "S1 S2");
	take("j", "r1", NULL);
	give("r1", "S1", true);
	finish_run("r1", "failed");
	take("j", "r2", NULL);
	give("r2", "S2", true);
	finish_run("r2", "passed");
	TX(jobs_act(fx.db, "j", JOB_STOP, &(struct job_word){.by = "mes"}, &fx.e));
	ck_assert_int_eq(
		order("k", "S1 S2 S3 S1", JOB_ASSIGN_RECOGNISED, true, &offending), -ERR_CONFLICT);
	ck_assert_uint_eq(json_array_size(offending), 3);
	ck_assert_str_eq(str_at(offending, "0.reason"), "has passed: there is nothing to rework");
	ck_assert_str_eq(str_at(offending, "1.reason"), "no unit was made with it");
	ck_assert_str_eq(str_at(offending, "2.reason"), "twice in this list");
	json_decref(offending);
	OK(order("k", "S1", JOB_ASSIGN_RECOGNISED, true, NULL));
	ck_assert_int_eq(order("l", "S1", JOB_ASSIGN_RECOGNISED, true, NULL), -ERR_CONFLICT);
	/* It keeps its number. */
	ck_assert_str_eq(take("k", "r3", NULL), "");
	ck_assert_int_eq(match("k", "r3", "S1", NULL), 1);
	TX(ledger_reserve(fx.db, "r3", &scan, serial, &fx.e));
	finish_run("r3", "passed");
	assert_units("k", "S1:passed");
	assert_job("k", "done", "complete");
	assert_ledger("S1", "committed");
}
END_TEST

/* S1 failed in j, which is open still, and is in a list for rework. */
static void rework_of_an_open_order(void)
{
	in_order("j", "S1 S2");
	take("j", "r1", NULL);
	give("r1", "S1", true);
	finish_run("r1", "failed");
	take("j", "r2", NULL);
	give("r2", "S2", true);
	finish_run("r2", "passed");
	OK(order("k", "S1", JOB_ASSIGN_RECOGNISED, true, NULL));
}

START_TEST(what_passed_as_rework_is_not_made_again_by_its_first_order)
{
	const struct ledger_source scan = {.from = LEDGER_SCAN, .kind = "serial", .value = "S1"};
	char serial[LEDGER_VALUE_SIZE];

	rework_of_an_open_order();
	take("k", "r3", NULL);
	ck_assert_int_eq(match("k", "r3", "S1", NULL), 1);
	TX(ledger_reserve(fx.db, "r3", &scan, serial, &fx.e));
	finish_run("r3", "passed");
	assert_units("k", "S1:passed");
	assert_units("j", "S1:cancelled S2:passed");
	assert_job("j", "done", "short");
	assert_job("k", "done", "complete");
}
END_TEST

START_TEST(what_its_first_order_made_after_all_is_not_reworked)
{
	rework_of_an_open_order();
	take("j", "r3", "S1");
	give("r3", "S1", true);
	finish_run("r3", "passed");
	assert_units("j", "S1:passed S2:passed");
	assert_units("k", "S1:cancelled");
	assert_job("j", "done", "complete");
	assert_job("k", "done", "short");
}
END_TEST

START_TEST(a_scrapped_unit_leaves_each_list_that_has_it)
{
	json_t *u = NULL;

	rework_of_an_open_order();
	OK(units_get(fx.db, "S1", &u, &fx.e));
	TX(units_set_state(fx.db, str_at(u, "id"), "scrapped", "broken", "anna", &fx.e));
	json_decref(u);
	assert_units("j", "S1:scrapped S2:passed");
	assert_units("k", "S1:scrapped");
	assert_job("j", "done", "short");
	assert_job("k", "done", "short");
}
END_TEST

START_TEST(a_unit_that_is_held_comes_last_and_one_that_is_rejected_not_at_all)
{
	in_order("j", "S1 S2 S3");
	ck_assert_str_eq(take("j", "r1", NULL), "S1");
	TX(job_units_hold(fx.db, "r1", "not yet", &fx.e));
	finish_run("r1", "aborted");
	ck_assert_str_eq(take("j", "r2", NULL), "S2");
	TX(job_units_reject(fx.db, "r2", "wrong route", &fx.e));
	finish_run("r2", "aborted");
	assert_units("j", "S1:waiting S2:cancelled S3:waiting");
	ck_assert_str_eq(take("j", "r3", NULL), "S3");
	give("r3", "S3", true);
	finish_run("r3", "passed");
	ck_assert_str_eq(take("j", "r4", NULL), "S1");
	give("r4", "S1", true);
	finish_run("r4", "passed");
	/* Two of three, and nothing is left. */
	assert_job("j", "done", "short");
}
END_TEST

START_TEST(a_scrapped_unit_is_not_waited_for)
{
	json_t *u = NULL;

	in_order("j", "S1 S2");
	take("j", "r1", NULL);
	give("r1", "S1", true);
	finish_run("r1", "failed");
	take("j", "r2", NULL);
	give("r2", "S2", true);
	finish_run("r2", "passed");
	assert_job("j", "queued", "(null)");
	OK(units_get(fx.db, "S1", &u, &fx.e));
	TX(units_set_state(fx.db, str_at(u, "id"), "scrapped", "broken", "anna", &fx.e));
	json_decref(u);
	assert_units("j", "S1:scrapped S2:passed");
	assert_job("j", "done", "short");
}
END_TEST

START_TEST(a_crash_leaves_no_unit_in_work)
{
	int64_t n;

	in_order("j", "S1 S2");
	take("j", "r1", NULL);
	take("j", "r2", NULL);
	give("r2", "S2", true);
	TX(runs_recover(fx.db, &n, &fx.e));
	assert_units("j", "S1:waiting S2:failed");
}
END_TEST

START_TEST(each_result_is_one_event_of_its_unit)
{
	static const char sql[] = "SELECT count(*) FROM events WHERE type = 'job-unit'"
				  " AND serial = 'S1' AND json_extract(data, '$.state') = ?";
	int64_t n = 0;

	in_order("j", "S1");
	take("j", "r1", NULL);
	finish_run("r1", "aborted"); /* not a result */
	take("j", "r2", NULL);
	give("r2", "S1", true);
	finish_run("r2", "passed");
	db_int(fx.db, &fx.e, &n, sql, "passed");
	ck_assert_int_eq(n, 1);
	db_int(fx.db, &fx.e, &n, "SELECT count(*) FROM events WHERE type = 'job-unit'");
	ck_assert_int_eq(n, 1);
}
END_TEST

START_TEST(a_claim_goes_to_the_order_that_lists_the_unit)
{
	json_t *marks = json_pack("[s]", "c7");
	struct job_taker taker = {.station = "A1", .marks = marks};
	struct job j = {0};

	in_order("first", "S1");
	OK(order("second", "S7@c7", JOB_ASSIGN_RECOGNISED, false, NULL));
	TX(jobs_claim(fx.db, &taker, &j, &fx.e));
	ck_assert_str_eq(j.id, "second");
	job_done(&j);
	taker.marks = NULL;
	TX(jobs_claim(fx.db, &taker, &j, &fx.e));
	ck_assert_str_eq(j.id, "first");
	job_done(&j);
	json_decref(marks);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("job_units");
	TCase *t = tcase_create("job_units");

	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_add_test(t, units_come_in_the_order_of_the_list);
	tcase_add_test(t, a_number_that_never_left_is_for_the_next_unit);
	tcase_add_test(t, a_unit_that_failed_is_known_again_by_its_chip);
	tcase_add_test(t, what_is_not_on_the_list_or_done_is_refused);
	tcase_add_test(t, a_row_does_not_change_once_its_number_left);
	tcase_add_test(t, a_recognised_unit_that_failed_is_that_of_its_row);
	tcase_add_test(t, a_number_is_in_one_open_list);
	tcase_add_test(t, only_units_that_failed_are_reworked);
	tcase_add_test(t, what_passed_as_rework_is_not_made_again_by_its_first_order);
	tcase_add_test(t, what_its_first_order_made_after_all_is_not_reworked);
	tcase_add_test(t, a_scrapped_unit_leaves_each_list_that_has_it);
	tcase_add_test(t, a_unit_that_is_held_comes_last_and_one_that_is_rejected_not_at_all);
	tcase_add_test(t, a_scrapped_unit_is_not_waited_for);
	tcase_add_test(t, a_crash_leaves_no_unit_in_work);
	tcase_add_test(t, each_result_is_one_event_of_its_unit);
	tcase_add_test(t, a_claim_goes_to_the_order_that_lists_the_unit);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
