/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers of a plant in the ledger of a host: from leases alone, of a session that is proven, never twice.
 */
#include "db/plant.h"

#include "db/backlog.h"
#include "db/events.h"
#include "db/jobs.h"
#include "db/plant_claims.h"
#include "db/pools.h"
#include "db/retention.h"
#include "tests/unit/db/fixture.h"

#define DAY INT64_C(86400000)

static int units;

static int add_pool(int64_t lease_values)
{
	const struct pool_new p = {.id = "sn",
		.kind = "serial",
		.pattern = "P-{seq:04}",
		.first = 1,
		.last = 9999,
		.check = "none",
		.span = 1};

	return plant_pool(fx.db, &p, lease_values, &fx.e);
}

/* A host in session 1 with the pool sn. */
static void begin(void)
{
	TX(plant_begin(fx.db, &fx.e));
	TX(plant_session(fx.db, 1, "here", &fx.e));
	TX(add_pool(10));
}

static int lease(int64_t id, int64_t first, int64_t last, int64_t granted_at, int64_t expires_at)
{
	const struct plant_lease l = {id, first, last, granted_at, expires_at, "sn"};

	return plant_leased(fx.db, &l, &fx.e);
}

static int reserve(char ret[LEDGER_VALUE_SIZE])
{
	const struct ledger_source s = {.from = LEDGER_POOL, .kind = "serial", .pool = "sn"};
	struct run_new n = {.station = "A1"};
	char run[DB_ID_SIZE];

	snprintf(run, sizeof run, "run-%d", ++units);
	n.id = run;
	OK(runs_open(fx.db, &n, &fx.e));
	return ledger_reserve(fx.db, run, &s, ret, &fx.e);
}

static void gives(const char *value)
{
	char got[LEDGER_VALUE_SIZE];

	TX(reserve(got));
	ck_assert_str_eq(got, value);
}

static void refuses(int code)
{
	char got[LEDGER_VALUE_SIZE];

	TX_FAILS(code, reserve(got));
}

static int64_t remaining(void)
{
	json_t *p;
	int64_t n;

	OK(pools_get(fx.db, "sn", &p, &fx.e));
	n = json_integer_value(json_object_get(p, "remaining"));
	json_decref(p);
	return n;
}

static bool wants(int64_t now_ms, struct plant_want *ret)
{
	json_t *none = json_array();
	int r = plant_wants(fx.db, now_ms, none, ret, &fx.e);

	json_decref(none);
	ck_assert_int_ge(r, 0);
	return r > 0;
}

START_TEST(only_what_is_leased_is_given_out_and_leases_follow_one_another)
{
	struct plant_back b;

	begin();
	refuses(ERR_POOL_EMPTY);
	TX(lease(7, 101, 102, wall_ms(), wall_ms() + DAY));
	TX(lease(9, 201, 202, wall_ms(), wall_ms() + DAY));
	ck_assert_int_eq(remaining(), 4);
	gives("P-0101");
	gives("P-0102");
	gives("P-0201");
	ck_assert_int_eq(remaining(), 1);
	gives("P-0202");
	refuses(ERR_POOL_EMPTY);
	ck_assert_msg(
		strstr(fx.e.msg, "used up the numbers that the plant leased"), "%s", fx.e.msg);
	/* What lies between is known to be others'. */
	ck_assert_int_eq(
		db_has(fx.db, &fx.e,
			"SELECT 1 FROM pool_skips WHERE pool_id = 'sn' AND first = 103 AND last = 200"),
		1);
	/* Numbers that the sequence has passed are never gone back to: they go back to the plant. */
	TX(lease(10, 150, 160, wall_ms(), wall_ms() + DAY));
	refuses(ERR_POOL_EMPTY);
	ck_assert_int_eq(plant_back(fx.db, &b, &fx.e), 1);
	ck_assert_int_eq(b.id, 10);
	ck_assert_int_eq(b.next, 150);
}
END_TEST

START_TEST(nothing_is_given_out_until_the_session_is_proven)
{
	begin();
	TX(lease(7, 1, 10, wall_ms(), wall_ms() + DAY));
	gives("P-0001");
	TX(plant_opened(fx.db, &fx.e));
	refuses(ERR_HOST_UNPROVEN);
	ck_assert_int_eq(remaining(), 0);
	TX(plant_proven(fx.db, &fx.e));
	gives("P-0002");
	TX(plant_stop(fx.db, ERR_HOST_OLDER, "host H1 is older", &fx.e));
	refuses(ERR_HOST_OLDER);
	ck_assert_msg(strstr(fx.e.msg, "host H1 is older"), "%s", fx.e.msg);
	/* A start does not end a refusal, a new session does: without the leases of the one before. */
	TX(plant_opened(fx.db, &fx.e));
	refuses(ERR_HOST_OLDER);
	TX(plant_session(fx.db, 2, "there", &fx.e));
	refuses(ERR_POOL_EMPTY);
	TX(lease(8, 50, 60, wall_ms(), wall_ms() + DAY));
	gives("P-0050");
}
END_TEST

START_TEST(a_lease_ends_and_is_renewed_at_half_its_time)
{
	const int64_t now = wall_ms();
	struct plant_back b;
	struct plant_want w;

	begin();
	TX(lease(7, 1, 10, now - 3 * DAY, now - DAY));
	refuses(ERR_LEASE_EXPIRED);
	TX(lease(8, 11, 30, now - DAY, now + 10 * DAY));
	gives("P-0011");
	ck_assert(!wants(now, &w));
	ck_assert(wants(now + 6 * DAY, &w));
	ck_assert_str_eq(w.pool, "sn");
	ck_assert_str_eq(w.request, "");
	TX(plant_request(fx.db, "sn", &fx.e));
	ck_assert(wants(now, &w));
	ck_assert_uint_eq(strlen(w.request), PLANT_NONCE_SIZE - 1);
	/* The rest of the old one goes back from its next number on, and is not used any more. */
	TX(lease(9, 41, 60, now + 6 * DAY, now + 20 * DAY));
	gives("P-0041");
	for (int64_t id = 7, next[] = {1, 12}; id <= 8; id++) {
		ck_assert_int_eq(plant_back(fx.db, &b, &fx.e), 1);
		ck_assert_int_eq(b.id, id);
		ck_assert_int_eq(b.next, next[id - 7]);
		TX(plant_was_back(fx.db, id, &fx.e));
	}
	ck_assert_int_eq(plant_back(fx.db, &b, &fx.e), 0);
	TX_FAILS(ERR_CONFLICT,
		db_script(fx.db, "UPDATE plant_leases SET state = 'begun' WHERE id = 8", &fx.e));
}
END_TEST

START_TEST(a_pool_that_runs_low_wants_more)
{
	struct plant_want w;

	begin();
	ck_assert(wants(wall_ms(), &w));
	TX(lease(7, 1, 10, wall_ms(), wall_ms() + DAY));
	ck_assert(!wants(wall_ms(), &w));
	gives("P-0001");
	ck_assert(wants(wall_ms(), &w));
}
END_TEST

START_TEST(a_pool_of_this_host_by_that_name_is_a_conflict)
{
	const struct pool_new own = {.id = "sn",
		.kind = "serial",
		.pattern = "X{seq:04}",
		.first = 1,
		.last = 9,
		.check = "none"};
	const struct pool_new same = {.id = "zz",
		.kind = "serial",
		.pattern = "P-{seq:04}",
		.first = 5,
		.last = 9,
		.check = "none"};

	TX(plant_begin(fx.db, &fx.e));
	TX(pools_create(fx.db, &own, &fx.e));
	TX_FAILS(ERR_CONFLICT, add_pool(10));
	ck_assert_msg(strstr(fx.e.msg, "one of its own by that name"), "%s", fx.e.msg);
	TX(pools_create(fx.db, &same, &fx.e));
	OK(db_begin(fx.db, &fx.e));
	OK(db_script(fx.db, "DELETE FROM pools WHERE id = 'sn'", &fx.e));
	ck_assert_int_eq(add_pool(10), -ERR_CONFLICT);
	ck_assert_msg(strstr(fx.e.msg, "zz"), "%s", fx.e.msg);
	db_rollback(fx.db);
}
END_TEST

START_TEST(what_the_plant_has_not_got_is_kept_and_counted)
{
	const struct retention old = {
		.now_ms = wall_ms() + 90 * DAY, .events_keep_ms = DAY, .believed = true};
	struct backlog_list list;
	struct plant_state s;
	int64_t seq[4], first, last;
	size_t n;

	begin();
	for (int i = 0; i < 3; i++)
		TX(db_event(fx.db, "x", NULL, NULL, NULL, NULL, NULL, &fx.e));
	ck_assert_int_eq(plant_state(fx.db, &s, &fx.e), 1);
	OK(plant_next(fx.db, s.seen, 4, seq, &n, &fx.e));
	ck_assert_uint_eq(n, 4);
	TX(plant_seen(fx.db, seq[1], NULL, &fx.e));
	TX(retention_apply(fx.db, &old, &fx.e));
	OK(events_bounds(fx.db, &first, &last, &fx.e));
	ck_assert_int_eq(first, seq[2]);
	OK(backlog_read(fx.db, &list, &fx.e));
	ck_assert_uint_eq(list.n, 1);
	ck_assert_int_eq(list.row[0].kind, BACKLOG_PLANT);
	ck_assert_int_eq(list.row[0].waiting, last - seq[1]);
	ck_assert_int_gt(list.row[0].oldest_ms, 0);
	backlog_list_done(&list);
	/* Without a plant nothing is kept for it. */
	TX(plant_named(fx.db, false, &fx.e));
	TX(retention_apply(fx.db, &old, &fx.e));
	OK(events_bounds(fx.db, &first, &last, &fx.e));
	ck_assert_int_eq(first, last + 1);
	OK(backlog_read(fx.db, &list, &fx.e));
	ck_assert_uint_eq(list.n, 0);
	/* It never goes back. */
	TX(plant_seen(fx.db, 1, NULL, &fx.e));
	ck_assert_int_eq(plant_state(fx.db, &s, &fx.e), 1);
	ck_assert_int_eq(s.seen, seq[1]);
}
END_TEST

START_TEST(a_question_keeps_its_name_until_it_is_answered)
{
	struct plant_state a, b;

	TX(plant_begin(fx.db, &fx.e));
	TX(plant_ask(fx.db, "here", &fx.e));
	ck_assert_int_eq(plant_state(fx.db, &a, &fx.e), 1);
	TX(plant_ask(fx.db, "here", &fx.e));
	ck_assert_int_eq(plant_state(fx.db, &b, &fx.e), 1);
	ck_assert_str_eq(a.nonce, b.nonce);
	/* From another place it is another question. */
	TX(plant_ask(fx.db, "there", &fx.e));
	ck_assert_int_eq(plant_state(fx.db, &b, &fx.e), 1);
	ck_assert_str_ne(a.nonce, b.nonce);
}
END_TEST

static int add_job(const char *id, int64_t quantity)
{
	const struct job_new n = {.id = id,
		.recipe = "r",
		.version = 1,
		.recipe_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		.quantity = quantity,
		.created_by = "plant"};

	return jobs_create(fx.db, &n, NULL, &fx.e);
}

static bool has_room(int64_t stations, char request[PLANT_NONCE_SIZE])
{
	json_t *recipes = NULL;
	int r = plant_claim_room(fx.db, stations, &recipes, request, &fx.e);

	json_decref(recipes);
	ck_assert_int_ge(r, 0);
	return r > 0;
}

START_TEST(a_part_of_an_order_is_told_of_once_it_has_ended)
{
	char request[PLANT_NONCE_SIZE], again[PLANT_NONCE_SIZE];
	struct plant_claim c;

	ck_assert_msg(!has_room(2, request), "a host without a plant asks for nothing");
	begin();
	ck_assert(has_room(2, request));
	ck_assert_str_eq(request, "");
	TX(plant_claim_request(fx.db, &fx.e));
	ck_assert(has_room(2, request));
	TX(plant_claim_request(fx.db, &fx.e));
	ck_assert(has_room(2, again));
	ck_assert_str_eq(request, again);
	TX(add_job("job-1", 2));
	TX(plant_claim_taken(fx.db, 5, "o-1", "job-1", NULL, &fx.e));
	ck_assert_msg(!has_room(2, request), "it has a unit for each station");
	ck_assert(has_room(3, request));
	ck_assert_str_eq(request, "");
	ck_assert_int_eq(plant_claim_ended(fx.db, &c, &fx.e), 0);
	TX(jobs_act(fx.db, "job-1", JOB_CANCEL, &(struct job_word){.by = "x"}, &fx.e));
	ck_assert_int_eq(plant_claim_ended(fx.db, &c, &fx.e), 1);
	ck_assert_int_eq(c.id, 5);
	ck_assert_str_eq(c.why, "");
	TX(plant_claim_told(fx.db, 5, &fx.e));
	ck_assert_int_eq(plant_claim_ended(fx.db, &c, &fx.e), 0);
	/* One that could not be made is told of at once, with why. */
	TX(plant_claim_taken(fx.db, 6, "o-1", NULL, "no such parameter", &fx.e));
	ck_assert_int_eq(plant_claim_ended(fx.db, &c, &fx.e), 1);
	ck_assert_str_eq(c.why, "no such parameter");
	TX_FAILS(ERR_CONFLICT, plant_claim_taken(fx.db, 6, "o-1", "job-1", NULL, &fx.e));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("plant");
	TCase *t = tcase_create("plant");

	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_add_test(t, only_what_is_leased_is_given_out_and_leases_follow_one_another);
	tcase_add_test(t, nothing_is_given_out_until_the_session_is_proven);
	tcase_add_test(t, a_lease_ends_and_is_renewed_at_half_its_time);
	tcase_add_test(t, a_pool_that_runs_low_wants_more);
	tcase_add_test(t, a_pool_of_this_host_by_that_name_is_a_conflict);
	tcase_add_test(t, what_the_plant_has_not_got_is_kept_and_counted);
	tcase_add_test(t, a_question_keeps_its_name_until_it_is_answered);
	tcase_add_test(t, a_part_of_an_order_is_told_of_once_it_has_ended);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
