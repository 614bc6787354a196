/* SPDX-License-Identifier: Apache-2.0
 *
 * What is removed when, by a clock of the test's: each kind at its age and not before, and nothing
 * else at any age.
 */
#include "db/retention.h"

#include "base/digest.h"
#include "base/util.h"
#include "db/stmt.h"
#include "db/tokens.h"
#include "tests/unit/db/fixture.h"

#define MADE_MS 1000000000000ll
#define DAY_MS	(24ll * 3600 * 1000)

/* One of each kind, made at MADE_MS. */
static void setup(void)
{
	static const char sessions[] =
		"INSERT INTO sessions (hash, token, created_at, used_at, ends_at) VALUES"
		" (printf('%064d', 1), 't1', ?1, ?1, ?2), (printf('%064d', 2), 't1', ?1, ?3, ?2)";
	struct token t = {.id = "t1", .name = "wall", .role = "viewer"};

	fixture_setup();
	memset(t.secret_sha256, 'a', 64);
	TX(tokens_create(fx.db, &t, &fx.e));
	TX(db_do(fx.db, &fx.e,
		"INSERT INTO idempotency (principal, key, method_path, body_sha256, status,"
		" headers, response, created_at) VALUES ('p', 'k', 'POST /', '', 201, '{}', '', ?)",
		MADE_MS));
	TX(db_do(fx.db, &fx.e, sessions, MADE_MS, MADE_MS + SESSION_LIFE_MS,
		MADE_MS + SESSION_LIFE_MS));
	TX(db_do(fx.db, &fx.e, "INSERT INTO events (at, type, data) VALUES (?, 'tick', '{}')",
		MADE_MS));
	TX(db_do(fx.db, &fx.e,
		"INSERT INTO audit (at, principal, action, target, detail)"
		" VALUES (?, 'p', 'a', 't', '{}')",
		MADE_MS));
	open_run("r1", "A1", NULL);
	TX(runs_log(fx.db, "r1", 1, MADE_MS, '>', "hello", &fx.e));
	finish_run("r1", "failed");
	TX(db_do(fx.db, &fx.e, "UPDATE events SET at = ?", MADE_MS));
}

static int64_t count(const char *sql)
{
	int64_t n = -1;

	ck_assert_int_eq(db_int(fx.db, &fx.e, &n, sql), 1);
	return n;
}

static void apply(int64_t after_ms, int64_t events_keep_ms)
{
	const struct retention p = {
		.now_ms = MADE_MS + after_ms, .believed = true, .events_keep_ms = events_keep_ms};

	TX(retention_apply(fx.db, &p, &fx.e));
}

#define KEYS	 "SELECT count(*) FROM idempotency"
#define SESSIONS "SELECT count(*) FROM sessions"
#define EVENTS	 "SELECT count(*) FROM events"

static const struct {
	const char *what;
	const char *left; /* how many are left */
	int64_t age_ms;	  /* still there; 1 ms after, one is gone */
} ages[] = {
	{"keys", KEYS, IDEMPOTENCY_KEEP_MS},
	{"idle sessions", SESSIONS " WHERE hash LIKE '%1'", SESSION_IDLE_MS + SESSION_STORED_MS},
	{"sessions", SESSIONS " WHERE hash LIKE '%2'", SESSION_LIFE_MS - 1},
	{"events", "SELECT min(1, count(*)) FROM events", 90 * DAY_MS},
};

START_TEST(each_kind_goes_at_its_age_and_not_before)
{
	apply(ages[_i].age_ms, 90 * DAY_MS);
	ck_assert_msg(count(ages[_i].left) == 1, "%s went too early", ages[_i].what);
	apply(ages[_i].age_ms + 1, 90 * DAY_MS);
	ck_assert_msg(count(ages[_i].left) == 0, "%s stayed", ages[_i].what);
}
END_TEST

START_TEST(nothing_else_goes_at_any_age)
{
	static const char *const kept[] = {"audit", "runs", "run_log", "tokens", "units"};
	int64_t before[ARRAY_LEN(kept)];
	char sql[64];

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
			snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", kept[i]);
			if (pass == 0)
				before[i] = count(sql);
			else
				ck_assert_msg(count(sql) == before[i], "%s", kept[i]);
		}
		apply(100 * 365 * DAY_MS, 90 * DAY_MS);
	}
	ck_assert_int_eq(before[0] > 0 && before[1] > 0 && before[2] > 0, 1);
	ck_assert_int_eq(count(EVENTS), 0);
}
END_TEST

START_TEST(events_stay_for_ever_where_the_line_says_so)
{
	int64_t before = count(EVENTS);

	apply(100 * 365 * DAY_MS, 0);
	ck_assert_int_eq(count(EVENTS), before);
	ck_assert_int_eq(count(KEYS), 0);
}
END_TEST

START_TEST(by_a_clock_that_cannot_be_believed_nothing_is_too_old)
{
	const struct retention p = {.now_ms = MADE_MS + 1000 * DAY_MS, .events_keep_ms = DAY_MS};
	int64_t before = count(EVENTS);

	TX(retention_apply(fx.db, &p, &fx.e));
	ck_assert_int_eq(count(EVENTS), before);
	ck_assert_int_eq(count(KEYS), 1);
	ck_assert_int_eq(count(SESSIONS), 2);
}
END_TEST

START_TEST(many_events_go_a_little_at_a_time)
{
	int64_t before;

	TX(db_do(fx.db, &fx.e,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)"
		" INSERT INTO events (at, type, data) SELECT ?, 'tick', '{}' FROM n",
		MADE_MS));
	before = count(EVENTS);
	apply(DAY_MS, 1000);
	ck_assert_int_eq(count(EVENTS), before - RETENTION_EVENTS);
	apply(DAY_MS, 1000);
	ck_assert_int_eq(count(EVENTS), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("retention");
	TCase *t = tcase_create("retention");

	tcase_add_checked_fixture(t, setup, fixture_teardown);
	tcase_add_loop_test(t, each_kind_goes_at_its_age_and_not_before, 0, ARRAY_LEN(ages));
	tcase_add_test(t, nothing_else_goes_at_any_age);
	tcase_add_test(t, events_stay_for_ever_where_the_line_says_so);
	tcase_add_test(t, by_a_clock_that_cannot_be_believed_nothing_is_too_old);
	tcase_add_test(t, many_events_go_a_little_at_a_time);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
