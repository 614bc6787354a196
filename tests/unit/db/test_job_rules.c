/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of an order: every cell of the table against the one written here, and each cell as the database carries it
 * out.
 */
#include "db/job_rules.h"

#include "db/jobs.h"
#include "tests/unit/db/fixture.h"

/* One line for each sign, one word for each state in the order of the enum; . refused, = stays. */
static const char *const cells[JOB_SIGN_COUNT] = {
	/*              queued    running  paused    stopping done aborted cancelled */
	/* clang-format off */
	[JOB_PAUSE]    = "paused    paused   .         .       . . .",
	[JOB_RESUME]   = ".         .        queued    .       . . .",
	[JOB_HOLD]     = "=         =        =         .       . . .",
	[JOB_RELEASE]  = "=         =        =         .       . . .",
	[JOB_CHANGE]   = "=         =        =         .       . . .",
	[JOB_STOP]     = "stopping  stopping stopping  .       . . .",
	[JOB_COMPLETE] = "stopping  stopping stopping  .       . . .",
	[JOB_ABORT]    = "aborted   aborted  aborted   aborted . . .",
	[JOB_CANCEL]   = "cancelled .        cancelled .       . . .",
	[JOB_BEGIN]    = "running   =        .         .       . . .",
	[JOB_ENOUGH]   = "done      done     done      done    . . .",
	[JOB_IDLE]     = ".         .        .         done    . . .",
	[JOB_EXPIRE]   = "stopping  stopping stopping  .       . . .",
	[JOB_LAPSE]    = "cancelled .        cancelled .       . . .",
	/* clang-format on */
};

static void cell_of(int sign, int state, char ret[16])
{
	const char *p = cells[sign];

	for (int i = 0; i < state; i++) {
		p += strcspn(p, " ");
		p += strspn(p, " ");
	}
	snprintf(ret, 16, "%.*s", (int)strcspn(p, " "), p);
}

START_TEST(every_cell_is_as_written_here)
{
	for (int sign = 0; sign < JOB_SIGN_COUNT; sign++)
		for (int s = 0; s < JOB_STATE_COUNT; s++) {
			const struct job_rule r = job_rule((enum job_state)s, (enum job_sign)sign);
			char want[16];

			cell_of(sign, s, want);
			ck_assert_msg(!strcmp(r.effect == JOB_REFUSED ? "."
					      : r.effect == JOB_STAYS ? "="
								      : job_state_str(r.next),
					      want),
				"%s, %s: %s expected", job_state_str((enum job_state)s),
				job_sign_str((enum job_sign)sign), want);
		}
}
END_TEST

/* An order in that state, in which one run is open where it has begun. */
static void put(enum job_state s)
{
	const bool begun = s == JOB_RUNNING || s == JOB_STOPPING;
	const struct job_new j = {.id = "j",
		.recipe = "thermo",
		.version = 1,
		.recipe_sha256 = "0",
		.quantity = 3,
		.created_by = "mes"};
	char sql[160];

	TX(jobs_create(fx.db, &j, NULL, &fx.e));
	if (begun)
		open_run("r", "A1", "j");
	snprintf(sql, sizeof sql, "UPDATE jobs SET state = '%s', finished_at = %s",
		job_state_str(s), job_state_is_end(s) ? "1" : "NULL");
	OK(db_script(fx.db, sql, &fx.e));
}

static void assert_order(const char *state, const char *how)
{
	json_t *j = NULL;

	OK(jobs_get(fx.db, "j", &j, &fx.e));
	ck_assert_str_eq(str_at(j, "state"), state);
	ck_assert_str_eq(str_at(j, "ending.how"), how);
	json_decref(j);
}

static int word(enum job_sign verb, const char *reason)
{
	return jobs_act(
		fx.db, "j", verb, &(struct job_word){.by = "anna", .reason = reason}, &fx.e);
}

static const char *how_of_verb(enum job_sign verb)
{
	return verb == JOB_STOP	      ? "stopped"
	       : verb == JOB_COMPLETE ? "short"
	       : verb == JOB_ABORT    ? "aborted"
	       : verb == JOB_CANCEL   ? "cancelled"
				      : "(null)";
}

/* _i: a verb and a state. */
START_TEST(each_verb_does_what_its_cell_says)
{
	const enum job_sign verb = (enum job_sign)(_i / JOB_STATE_COUNT);
	const enum job_state state = (enum job_state)(_i % JOB_STATE_COUNT);
	const struct job_rule r = job_rule(state, verb);
	const int64_t priority = 4;
	const struct job_change c = {.priority = &priority};

	put(state);
	if (verb == JOB_RELEASE && r.effect != JOB_REFUSED)
		TX(word(JOB_HOLD, "quality"));
	if (r.effect == JOB_REFUSED && verb == JOB_CHANGE)
		TX_FAILS(ERR_CONFLICT, jobs_change(fx.db, "j", &c, 0, "anna", &fx.e));
	else if (verb == JOB_CHANGE)
		TX(jobs_change(fx.db, "j", &c, 0, "anna", &fx.e));
	else if (r.effect == JOB_REFUSED)
		TX_FAILS(ERR_CONFLICT, word(verb, "quality"));
	else
		TX(word(verb, "quality"));
	if (r.effect == JOB_REFUSED)
		assert_order(job_state_str(state), "(null)");
	else if (r.next == JOB_STOPPING && state != JOB_RUNNING)
		assert_order("done", how_of_verb(verb)); /* nothing is under way */
	else
		assert_order(job_state_str(r.next), how_of_verb(verb));
}
END_TEST

START_TEST(a_hold_and_a_short_end_say_why)
{
	put(JOB_QUEUED);
	TX_FAILS(ERR_INVALID, word(JOB_HOLD, NULL));
	TX_FAILS(ERR_INVALID, word(JOB_COMPLETE, ""));
	assert_order("queued", "(null)");
}
END_TEST

START_TEST(an_order_that_is_held_gets_no_unit_until_it_is_released)
{
	const struct job_taker taker = {.station = "A1"};
	struct job j = {0};

	put(JOB_QUEUED);
	TX(word(JOB_HOLD, "quality"));
	TX_FAILS(ERR_CONFLICT, word(JOB_HOLD, "again"));
	TX_FAILS(ERR_NOT_FOUND, jobs_claim(fx.db, &taker, &j, &fx.e));
	TX(word(JOB_RELEASE, NULL));
	TX_FAILS(ERR_CONFLICT, word(JOB_RELEASE, NULL));
	TX(jobs_claim(fx.db, &taker, &j, &fx.e));
	ck_assert_str_eq(j.id, "j");
	job_done(&j);
}
END_TEST

START_TEST(an_order_that_has_begun_is_not_cancelled)
{
	put(JOB_RUNNING);
	TX(word(JOB_PAUSE, NULL));
	TX_FAILS(ERR_CONFLICT, word(JOB_CANCEL, NULL));
	finish_run("r", "failed");
	TX_FAILS(ERR_CONFLICT, word(JOB_CANCEL, NULL));
	TX(word(JOB_STOP, NULL));
	assert_order("done", "stopped");
}
END_TEST

START_TEST(what_was_ordered_is_complete_whatever_was_asked_while_it_ended)
{
	const int64_t one = 1;
	const struct job_change c = {.quantity = &one};

	put(JOB_RUNNING);
	TX(jobs_change(fx.db, "j", &c, 0, "anna", &fx.e));
	TX(word(JOB_STOP, NULL));
	assert_order("stopping", "stopped");
	finish_run("r", "passed");
	assert_order("done", "complete");
}
END_TEST

static void expire_at(int64_t ms)
{
	const struct job_change c = {.expires_ms = &ms};

	TX(jobs_change(fx.db, "j", &c, 0, "anna", &fx.e));
}

START_TEST(an_order_that_has_not_begun_lapses_at_its_time)
{
	int64_t next = 0;
	const struct job_taker taker = {.station = "A1"};
	struct job j = {0};

	put(JOB_QUEUED);
	expire_at(5000);
	TX(jobs_expire(fx.db, 4999, &next, &fx.e));
	ck_assert_int_eq(next, 5000);
	assert_order("queued", "(null)");
	/* Nobody takes it before it is looked at. */
	TX_FAILS(ERR_NOT_FOUND, jobs_claim(fx.db, &taker, &j, &fx.e));
	TX(jobs_expire(fx.db, 5000, &next, &fx.e));
	ck_assert_int_eq(next, INT64_MAX);
	assert_order("cancelled", "expired");
}
END_TEST

START_TEST(an_order_that_has_begun_stops_at_its_time)
{
	int64_t next = 0;

	put(JOB_RUNNING);
	expire_at(5000);
	TX(jobs_expire(fx.db, 6000, &next, &fx.e));
	assert_order("stopping", "expired");
	TX(jobs_expire(fx.db, 6000, &next, &fx.e));
	finish_run("r", "failed");
	assert_order("done", "expired");
}
END_TEST

START_TEST(a_station_takes_only_what_it_is_able_to)
{
	json_t *need = json_pack("[s, s]", "camera", "rf"), *one = json_pack("[s]", "rf"),
	       *all = json_pack("[s, s, s]", "rf", "heat", "camera");
	const struct job_new n = {.id = "j",
		.recipe = "thermo",
		.version = 1,
		.recipe_sha256 = "0",
		.quantity = 1,
		.requires = need,
		.created_by = "mes"};
	struct job_taker taker = {.station = "A1"};
	struct job j = {0};

	TX(jobs_create(fx.db, &n, NULL, &fx.e));
	TX_FAILS(ERR_NOT_FOUND, jobs_claim(fx.db, &taker, &j, &fx.e));
	taker.capabilities = one;
	TX_FAILS(ERR_NOT_FOUND, jobs_claim(fx.db, &taker, &j, &fx.e));
	taker.capabilities = all;
	TX(jobs_claim(fx.db, &taker, &j, &fx.e));
	job_done(&j);
	json_decref(need);
	json_decref(one);
	json_decref(all);
}
END_TEST

START_TEST(a_number_is_of_one_order_for_ever)
{
	struct job_new n = {.id = "j",
		.recipe = "thermo",
		.version = 1,
		.recipe_sha256 = "0",
		.quantity = 1,
		.number = "WO-1",
		.content_sha256 = "abc",
		.created_by = "mes"};
	char id[DB_ID_SIZE];
	bool same;

	ck_assert_int_eq(jobs_by_number(fx.db, "WO-1", "abc", id, &same, &fx.e), 0);
	TX(jobs_create(fx.db, &n, NULL, &fx.e));
	n.id = "k";
	TX_FAILS(ERR_CONFLICT, jobs_create(fx.db, &n, NULL, &fx.e));
	ck_assert_int_eq(jobs_by_number(fx.db, "WO-1", "abc", id, &same, &fx.e), 1);
	ck_assert_str_eq(id, "j");
	ck_assert(same);
	ck_assert_int_eq(jobs_by_number(fx.db, "WO-1", "abd", id, &same, &fx.e), 1);
	ck_assert(!same);
	ck_assert_int_lt(db_script(fx.db, "UPDATE jobs SET number = 'WO-2'", &fx.e), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("job_rules");
	TCase *t = tcase_create("job_rules");

	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_add_test(t, every_cell_is_as_written_here);
	tcase_add_loop_test(t, each_verb_does_what_its_cell_says, 0, JOB_BEGIN * JOB_STATE_COUNT);
	tcase_add_test(t, a_hold_and_a_short_end_say_why);
	tcase_add_test(t, an_order_that_is_held_gets_no_unit_until_it_is_released);
	tcase_add_test(t, an_order_that_has_begun_is_not_cancelled);
	tcase_add_test(t, what_was_ordered_is_complete_whatever_was_asked_while_it_ended);
	tcase_add_test(t, an_order_that_has_not_begun_lapses_at_its_time);
	tcase_add_test(t, an_order_that_has_begun_stops_at_its_time);
	tcase_add_test(t, a_station_takes_only_what_it_is_able_to);
	tcase_add_test(t, a_number_is_of_one_order_for_ever);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
