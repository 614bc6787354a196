/* SPDX-License-Identifier: Apache-2.0
 *
 * Which row of a webhook goes out next: of each unit and run one at a time and in order, and those of others next to them.
 */
#include "daemon/line/webhook_queue.h"

#include "base/util.h"
#include "db/stmt.h"
#include "tests/unit/db/fixture.h"

static struct webhook_queue *queue;
static json_t *none;

static void setup(void)
{
	const struct webhook_said w = {.url = "https://mes.example/hook", .secret = "hook"};

	fixture_setup();
	TX(webhooks_add(fx.db, "mes", &w, &fx.e));
	queue = webhook_queue_new();
	none = json_array();
}

static void teardown(void)
{
	json_decref(none);
	webhook_queue_free(queue);
	fixture_teardown();
}

/* Events of units, a letter each; a capital one is of a run of the same name as well. */
static void happen(const char *units)
{
	int64_t waiting;
	bool more;

	for (const char *u = units; *u; u++) {
		const char unit[] = {(char)(*u | 0x20), 0}, run[] = {*u, 0};

		TX(db_event(fx.db, "unit-changed", NULL, NULL, *u < 'a' ? run : NULL, NULL,
			json_pack("{s:s}", "unit", unit), &fx.e));
	}
	TX(webhooks_take(fx.db, "mes", &more, &waiting, &fx.e));
}

static void load(const json_t *held, const json_t *taken)
{
	OK(webhook_queue_load(queue, fx.db, "mes", held, taken, &fx.e));
}

/* All that may go out now, which is under way then. */
static const char *next(void)
{
	static char text[64];
	const struct waiting_row *row;

	*text = 0;
	while ((row = webhook_queue_next(queue)))
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%lld",
			*text ? " " : "", (long long)row->event);
	return text;
}

static int64_t row_of(int64_t event)
{
	int64_t n = 0;

	ck_assert_int_eq(
		db_int(fx.db, &fx.e, &n, "SELECT n FROM deliveries WHERE event = ?", event), 1);
	return n;
}

static void taken(int64_t event)
{
	webhook_queue_taken(queue, row_of(event));
}

START_TEST(of_a_unit_one_row_at_a_time_and_the_next_one_once_it_is_taken)
{
	happen("aabacb");
	load(none, none);
	ck_assert_str_eq(next(), "1 3 5");
	ck_assert_str_eq(next(), "");
	taken(3);
	ck_assert_str_eq(next(), "6");
	taken(1);
	ck_assert_str_eq(next(), "2");
	taken(2);
	ck_assert_str_eq(next(), "4");
	webhook_queue_taken(queue, 99); /* which is not there */
	ck_assert_str_eq(next(), "");
}
END_TEST

/* A run's early events do not know their unit, its late ones do: the unit's next event comes after all of them. */
START_TEST(a_row_of_a_run_and_a_unit_waits_for_both)
{
	happen("Aaab");
	TX(db_run(fx.db, &fx.e, "UPDATE deliveries SET unit = NULL WHERE event = 1") < 0);
	TX(db_run(fx.db, &fx.e, "UPDATE deliveries SET run_id = 'A' WHERE event = 2") < 0);
	load(none, none);
	ck_assert_str_eq(next(), "1 4");
	taken(4);
	ck_assert_str_eq(next(), "");
	taken(1);
	ck_assert_str_eq(next(), "2");
	taken(2);
	ck_assert_str_eq(next(), "3");
}
END_TEST

START_TEST(what_is_held_stops_its_own_unit_and_what_is_taken_no_one)
{
	json_t *held, *has;

	happen("aabbc");
	held = json_pack("[I]", (json_int_t)row_of(1));
	has = json_pack("[I]", (json_int_t)row_of(3));
	load(held, has);
	ck_assert_str_eq(next(), "4 5");
	load(none, has);
	ck_assert_str_eq(next(), "1 4 5");
	/* One that was under way and was read again is held by who has it. */
	load(held, none);
	ck_assert_str_eq(next(), "3 5");
	json_decref(held);
	json_decref(has);
}
END_TEST

START_TEST(more_rows_than_were_thought_of_are_read_as_well)
{
	size_t n = 0;

	for (int i = 0; i < 12; i++) {
		happen("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
		TX(db_run(fx.db, &fx.e,
			   "UPDATE deliveries SET unit = n, state = 'done', settled_at = 1") < 0);
	}
	/* As if people had asked for all of them again. */
	TX(db_run(fx.db, &fx.e, "UPDATE deliveries SET state = 'waiting', settled_at = NULL") < 0);
	load(none, none);
	while (webhook_queue_next(queue))
		n++;
	ck_assert_uint_eq(n, 12 * 78);
	load(none, none);
	ck_assert_ptr_nonnull(webhook_queue_next(queue));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("webhook_queue");
	TCase *t = tcase_create("webhook_queue");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, of_a_unit_one_row_at_a_time_and_the_next_one_once_it_is_taken);
	tcase_add_test(t, a_row_of_a_run_and_a_unit_waits_for_both);
	tcase_add_test(t, what_is_held_stops_its_own_unit_and_what_is_taken_no_one);
	tcase_add_test(t, more_rows_than_were_thought_of_are_read_as_well);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
