/* SPDX-License-Identifier: Apache-2.0
 *
 * How far the spool folder is: from the next event on, of the types that are wanted, and what is kept for it.
 */
#include "db/spool.h"

#include "base/util.h"
#include "db/retention.h"
#include "tests/unit/db/fixture.h"

static void event(const char *type)
{
	TX(db_event(fx.db, type, NULL, NULL, NULL, NULL, NULL, &fx.e));
}

static int64_t place(const char *dir)
{
	int64_t seen = -1;
	int r = spool_place(fx.db, dir, &seen, &fx.e);

	ck_assert_int_ge(r, 0);
	return r ? seen : -1;
}

START_TEST(a_folder_begins_with_the_next_event_and_another_one_again)
{
	event("one");
	ck_assert_int_eq(place("/a"), -1);
	TX(spool_begin(fx.db, "/a", &fx.e));
	ck_assert_int_eq(place("/a"), 1);
	event("two");
	ck_assert_int_eq(place("/a"), 1);
	ck_assert_int_eq(place("/b"), -1);
	TX(spool_begin(fx.db, "/b", &fx.e));
	ck_assert_int_eq(place("/b"), 2);
	ck_assert_int_eq(place("/a"), -1);
	ck_assert_int_eq(spool_place(fx.db, "", &(int64_t){0}, &fx.e), 0);
	TX(spool_begin(fx.db, "", &fx.e));
	ck_assert_int_eq(spool_place(fx.db, "", &(int64_t){0}, &fx.e), 1);
}
END_TEST

START_TEST(what_is_wanted_comes_in_order_and_the_rest_is_passed_over)
{
	json_t *types = json_pack("[s, s]", "run-*", "job-created");
	int64_t seq[2], upto;
	size_t n;

	TX(spool_begin(fx.db, "/a", &fx.e));
	event("run-started");
	event("job-changed");
	event("job-created");
	event("run-finished");
	event("else");
	OK(spool_next(fx.db, 0, types, 2, seq, &n, &upto, &fx.e));
	ck_assert(n == 2 && seq[0] == 1 && seq[1] == 3 && upto == 3);
	OK(spool_next(fx.db, upto, types, 2, seq, &n, &upto, &fx.e));
	ck_assert(n == 1 && seq[0] == 4 && upto == 5);
	OK(spool_next(fx.db, upto, types, 2, seq, &n, &upto, &fx.e));
	ck_assert(n == 0 && upto == 5);
	json_decref(types);
}
END_TEST

START_TEST(what_is_not_written_is_kept_and_said)
{
	const struct retention p = {.now_ms = INT64_MAX, .believed = true, .events_keep_ms = 1000};
	struct spool_state now;

	ck_assert_int_eq(spool_state(fx.db, &now, &fx.e), 0);
	TX(spool_begin(fx.db, "/a", &fx.e));
	event("one");
	event("two");
	TX(spool_seen(fx.db, 1, "it is full", &fx.e));
	TX(spool_seen(fx.db, 1, "it is gone", &fx.e));
	TX(retention_apply(fx.db, &p, &fx.e));
	ck_assert_int_eq(spool_state(fx.db, &now, &fx.e), 1);
	ck_assert_str_eq(now.dir, "/a");
	ck_assert_str_eq(now.message, "it is gone");
	ck_assert(now.waiting == 1 && now.oldest_ms > 0 && now.failing_since_ms > 0);
	TX(spool_seen(fx.db, 2, NULL, &fx.e));
	ck_assert_int_eq(spool_state(fx.db, &now, &fx.e), 1);
	ck_assert(now.waiting == 0 && now.oldest_ms == 0 && now.failing_since_ms == 0);
	ck_assert_str_eq(now.message, "");
	TX(retention_apply(fx.db, &p, &fx.e));
	ck_assert_int_eq(place("/a"), 2);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("spool");
	TCase *tc = tcase_create("spool");

	tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
	tcase_add_test(tc, a_folder_begins_with_the_next_event_and_another_one_again);
	tcase_add_test(tc, what_is_wanted_comes_in_order_and_the_rest_is_passed_over);
	tcase_add_test(tc, what_is_not_written_is_kept_and_said);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
