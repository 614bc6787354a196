/* SPDX-License-Identifier: Apache-2.0
 *
 * Webhooks on record: which events become rows, in which order they go out, and what becomes of a row and of its webhook.
 */
#include "db/webhooks.h"

#include "base/util.h"
#include "db/canonical.h"
#include "db/events.h"
#include "db/retention.h"
#include "db/stmt.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

#define DAY_MS (24ll * 3600 * 1000)

static json_t *nothing;

static void setup(void)
{
	fixture_setup();
	nothing = json_array();
}

static void teardown(void)
{
	json_decref(nothing);
	fixture_teardown();
}

static void hook(const char *id, const json_t *types, const char *station)
{
	const struct webhook_said w = {.url = "https://mes.example/hook",
		.secret = "hook",
		.types = types,
		.station = station};

	TX(webhooks_add(fx.db, id, &w, &fx.e));
}

static void event(const char *type, const char *station, const char *run)
{
	TX(db_event(fx.db, type, station, NULL, run, NULL, NULL, &fx.e));
}

/* Takes what there is; whether there is more. */
static bool take(const char *id)
{
	int64_t waiting;
	bool more;

	TX(webhooks_take(fx.db, id, &more, &waiting, &fx.e));
	return more;
}

/* The event numbers, with spaces, of what would go out. */
static const char *due(const char *id, const json_t *not_these)
{
	static char text[512];
	struct delivery row[16];
	size_t n;

	*text = 0;
	OK(webhooks_due(fx.db, id, not_these, 16, row, &n, &fx.e));
	for (size_t i = 0; i < n; i++) {
		json_t *body = json_loads(row[i].body, 0, NULL);

		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%lld", i ? " " : "",
			int_at(body, "seq"));
		json_decref(body);
		free(row[i].body);
	}
	return text;
}

static int64_t number(const char *sql)
{
	int64_t n = 0;

	ck_assert_int_ge(db_int(fx.db, &fx.e, &n, sql), 0);
	return n;
}

static int64_t row_of(int64_t seq)
{
	int64_t n = 0;

	ck_assert_int_eq(
		db_int(fx.db, &fx.e, &n, "SELECT n FROM deliveries WHERE event = ?", seq), 1);
	return n;
}

static void ends(const char *id, int64_t seq, int status, int64_t waited_ms, int64_t failing_ms)
{
	const struct delivery_end end = {.webhook = id,
		.n = row_of(seq),
		.status = status,
		.done = status / 100 == 2,
		.gone = status == 410,
		.message = status / 100 == 2 ? NULL : "it answers 500",
		.answer = "oh",
		.waited_ms = waited_ms,
		.failing_ms = failing_ms,
		.give_up_ms = 5 * DAY_MS};

	const struct delivery_end *const ends[] = {&end};

	TX(webhooks_end(fx.db, ends, 1, &fx.e));
}

static char *state_of(int64_t seq)
{
	static char text[16];

	ck_assert_int_eq(db_text(fx.db, &fx.e, text, sizeof text,
				 "SELECT state FROM deliveries WHERE event = ?", seq),
		1);
	return text;
}

START_TEST(what_was_asked_for_comes_from_then_on_and_nothing_else)
{
	json_t *types = json_pack("[s, s]", "run-finished", "unit-*");
	json_t *first = NULL;

	/* Also where nothing has happened so far. */
	hook("early", NULL, NULL);
	OK(webhooks_get(fx.db, "early", &first, &fx.e));
	ck_assert(json_is_integer(at(first, "behind")));
	json_decref(first);
	TX(webhooks_remove(fx.db, "early", &fx.e));
	event("unit-changed", "A1", NULL);
	hook("all", NULL, NULL);
	hook("some", types, NULL);
	hook("a2", NULL, "A2");
	event("unit-changed", "A1", NULL); /* 2 */
	event("run-finished", "A2", NULL);
	event("run-finished-not", "A3", NULL);
	event("unix", "A4", NULL);
	ck_assert(!take("all") && !take("some") && !take("a2"));
	ck_assert_str_eq(due("all", nothing), "2 3 4 5");
	ck_assert_str_eq(due("some", nothing), "2 3");
	ck_assert_str_eq(due("a2", nothing), "3");
	json_decref(types);
}
END_TEST

START_TEST(events_of_a_unit_go_out_one_after_another_and_others_next_to_them)
{
	char unit[DB_ID_SIZE];
	int64_t first;

	open_run("r1", "A1", NULL);
	open_run("r2", "A2", NULL);
	hook("w", NULL, NULL);
	first = number("SELECT max(seq) FROM events") + 1;
	event("step", "A1", "r1"); /* the unit is not known */
	event("step", "A2", "r2");
	take("w");
	TX(units_identify(fx.db, "r1", "chip", "T200", unit, &fx.e));
	event("step", "A1", "r1");
	finish_run("r1", "failed");
	open_run("r3", "A3", NULL); /* the same unit elsewhere */
	TX(units_identify(fx.db, "r3", "chip", "T200", unit, &fx.e));
	event("step", "A3", "r3");
	take("w");

	const char *now = due("w", nothing);
	_cleanup_(freep) char *want =
		xasprintf("%lld %lld", (long long)first, (long long)first + 1);

	ck_assert_msg(!strncmp(now, want, strlen(want)), "%s", now);
	/* Until all of r1 has gone, nothing of the unit in r3 does. */
	while (number(
		"SELECT count(*) FROM deliveries WHERE run_id = 'r1' AND state = 'waiting'")) {
		int64_t next = number("SELECT min(event) FROM deliveries WHERE run_id = 'r1'"
				      " AND state = 'waiting'");
		int64_t later = number("SELECT min(event) FROM deliveries WHERE run_id = 'r3'"
				       " AND unit IS NOT NULL");
		_cleanup_(freep) char *not = xasprintf(" %lld", (long long)later);

		ck_assert_ptr_null(strstr(due("w", nothing), not ));
		ends("w", next, 204, 0, 0);
	}
	ck_assert_str_ne(due("w", nothing), "");
}
END_TEST

START_TEST(however_much_waits_few_of_it_are_rows_and_none_is_left_out)
{
	int64_t done = 0;

	hook("w", NULL, NULL);
	OK(db_begin(fx.db, &fx.e));
	for (int i = 0; i < 5000; i++)
		OK(db_event(fx.db, "tick", NULL, NULL, NULL, NULL, NULL, &fx.e));
	OK(db_commit(fx.db, &fx.e));
	ck_assert(take("w"));
	for (bool more = true; more; more = take("w")) {
		ck_assert_int_le(number("SELECT count(*) FROM deliveries WHERE state = 'waiting'"),
			WEBHOOK_OPEN_MAX);
		done = number("SELECT done FROM webhooks");
		TX(db_do(fx.db, &fx.e,
			"UPDATE webhooks SET done = done + (SELECT count(*) FROM deliveries WHERE"
			" state = 'waiting')"));
		TX(db_do(fx.db, &fx.e,
			"UPDATE deliveries SET state = 'done', settled_at = 1"
			" WHERE state = 'waiting'"));
	}
	done = number("SELECT done FROM webhooks") +
	       number("SELECT count(*) FROM deliveries WHERE state = 'waiting'");
	ck_assert_int_eq(done, 5000);
	ck_assert_int_le(
		number("SELECT count(*) FROM deliveries"), WEBHOOK_DONE_KEPT + WEBHOOK_OPEN_MAX);
}
END_TEST

START_TEST(a_row_that_nobody_takes_is_put_aside_while_others_get_through)
{
	json_t *row = NULL;

	hook("w", NULL, NULL);
	event("bad", "A1", NULL); /* 1 */
	event("good", "A2", NULL);
	event("after", "A1", NULL);
	take("w");
	ck_assert_str_eq(due("w", nothing), "1 2");
	ends("w", 1, 500, 0, 0);
	ends("w", 2, 200, 0, 0);
	ends("w", 1, 400, 4 * DAY_MS, 0);
	ck_assert_str_eq(state_of(1), "waiting");
	ck_assert_str_eq(due("w", nothing), "1");
	ends("w", 1, 500, DAY_MS, 0);
	ck_assert_str_eq(state_of(1), "dead");
	ck_assert_int_eq(number("SELECT count(*) FROM events WHERE type = 'webhook-dead'"), 1);
	ck_assert_str_eq(due("w", nothing), "3");
	/* Nothing about a webhook is sent to itself. */
	take("w");
	ck_assert_int_eq(number("SELECT count(*) FROM deliveries"), 3);
	OK(webhooks_delivery(fx.db, "w", row_of(1), &row, &fx.e));
	ck_assert_int_eq(int_at(row, "attempts"), 3);
	ck_assert_int_eq(int_at(row, "status"), 500);
	ck_assert_str_eq(str_at(row, "answer"), "oh");

	_cleanup_(freep) char *id = xstrdup(str_at(row, "id"));

	json_decref(row);
	TX(webhooks_redeliver(fx.db, "w", row_of(1), &fx.e));
	ck_assert_str_eq(due("w", nothing), "1");
	OK(webhooks_delivery(fx.db, "w", row_of(1), &row, &fx.e));
	ck_assert_str_eq(str_at(row, "id"), id);
	TX_FAILS(ERR_CONFLICT, webhooks_redeliver(fx.db, "w", row_of(1), &fx.e));
	TX_FAILS(ERR_NOT_FOUND, webhooks_redeliver(fx.db, "w", 99, &fx.e));
	json_decref(row);
}
END_TEST

START_TEST(a_receiver_that_takes_nothing_is_disabled_and_loses_nothing)
{
	const bool yes = true;
	const struct webhook_said on = {.enabled = &yes};
	json_t *w = NULL;

	hook("w", NULL, NULL);
	event("one", "A1", NULL);
	event("two", "A1", NULL);
	take("w");
	ends("w", 1, 0, 0, 0);
	ends("w", 1, 0, 6 * DAY_MS, 4 * DAY_MS);
	ck_assert_int_eq(number("SELECT enabled FROM webhooks"), 1);
	ends("w", 1, 0, DAY_MS, DAY_MS);
	ck_assert_int_eq(number("SELECT enabled FROM webhooks"), 0);
	ck_assert_int_eq(number("SELECT count(*) FROM events WHERE type = 'webhook-disabled'"), 1);
	ck_assert_str_eq(state_of(1), "waiting");
	OK(webhooks_get(fx.db, "w", &w, &fx.e));
	ck_assert_msg(
		strstr(str_at(w, "reason"), "took nothing") != NULL, "%s", str_at(w, "reason"));
	json_decref(w);
	TX_FAILS(ERR_PRECONDITION, webhooks_change(fx.db, "w", &on, 1, &fx.e));
	TX(webhooks_change(fx.db, "w", &on, 2, &fx.e));
	ck_assert_str_eq(due("w", nothing), "1");
	ends("w", 1, 410, 0, 0);
	ck_assert_int_eq(number("SELECT enabled FROM webhooks"), 0);
	ck_assert_str_eq(state_of(1), "waiting");
}
END_TEST

static void keep_days(int64_t days)
{
	const struct retention p = {.now_ms = wall_ms() + 100 * DAY_MS,
		.believed = true,
		.events_keep_ms = days * DAY_MS};

	TX(retention_apply(fx.db, &p, &fx.e));
}

START_TEST(what_an_enabled_webhook_has_not_got_is_kept_and_of_a_disabled_one_is_counted)
{
	const bool no = false, yes = true;
	const struct webhook_said off = {.enabled = &no}, on = {.enabled = &yes};

	hook("w", NULL, NULL);
	event("one", "A1", NULL);
	event("two", "A1", NULL);
	take("w");
	event("three", "A1", NULL);
	ends("w", 1, 200, 0, 0);
	keep_days(90);
	ck_assert_int_eq(number("SELECT min(seq) FROM events"), 2);
	TX(webhooks_change(fx.db, "w", &off, 0, &fx.e));
	keep_days(90);
	ck_assert_int_eq(number("SELECT count(*) FROM events"), 0);
	ck_assert_int_eq(number("SELECT count(*) FROM deliveries"), 0);
	event("four", "A1", NULL);
	TX(webhooks_change(fx.db, "w", &on, 0, &fx.e));
	take("w");
	ck_assert_str_eq(due("w", nothing), "4");
	ck_assert_int_eq(number("SELECT lost FROM webhooks"), 2);
}
END_TEST

START_TEST(a_test_is_for_its_own_webhook_and_no_event_is_passed_over_for_it)
{
	const bool no = false;
	const struct webhook_said off = {.enabled = &no};
	int64_t n = 0;

	hook("w", NULL, NULL);
	hook("other", NULL, NULL);
	event("one", "A1", NULL);
	TX(webhooks_test(fx.db, "w", "me", &n, &fx.e)); /* 2 */
	event("three", "A1", NULL);
	take("w");
	ck_assert_str_eq(due("w", nothing), "2 1");
	ends("w", 1, 200, 0, 0);
	ck_assert_str_eq(due("w", nothing), "2 3");
	take("other");
	ck_assert_str_eq(due("other", nothing), "1 2");
	TX(webhooks_change(fx.db, "w", &off, 0, &fx.e));
	TX_FAILS(ERR_CONFLICT, webhooks_test(fx.db, "w", "me", &n, &fx.e));
}
END_TEST

START_TEST(how_much_waits_is_said_of_each_that_is_enabled)
{
	struct webhook_behind row[WEBHOOKS_ALL_MAX];
	struct webhook list[WEBHOOKS_MAX];
	size_t n;

	hook("w", NULL, NULL);
	event("one", "A1", NULL);
	take("w");
	event("two", "A1", NULL);
	OK(webhooks_behind(fx.db, row, &n, &fx.e));
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(row[0].waiting, 2);
	ck_assert_int_eq(row[0].oldest_ms, number("SELECT at FROM events WHERE seq = 1"));
	TX(webhooks_rotate(fx.db, "w", "second", 5000, &fx.e));
	OK(webhooks_enabled(fx.db, false, list, &n, &fx.e));
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(list[0].secret, "second");
	ck_assert_str_eq(list[0].old_secret, "hook");
	TX(webhooks_remove(fx.db, "w", &fx.e));
	ck_assert_int_eq(number("SELECT count(*) FROM deliveries"), 0);
	TX_FAILS(ERR_NOT_FOUND, webhooks_remove(fx.db, "w", &fx.e));
}
END_TEST

/* Those of provd.yaml: one address, of these stations; "" all. */
static void own(const char *id, const char *station)
{
	json_t *types = json_pack("[s]", "run-*"), *stations = json_pack("[s]", station);
	struct webhook_own o = {
		.url = "amqp://b/q", .types = types, .stations = *station ? stations : NULL};

	snprintf(o.id, sizeof o.id, "%s", id);
	TX(webhooks_own(fx.db, &o, 1, &fx.e));
	json_decref(types);
	json_decref(stations);
}

START_TEST(an_address_of_the_configuration_is_a_place_that_only_it_may_change)
{
	const struct webhook_said url = {.url = "https://x"}, on = {.enabled = &(bool){true}};
	struct webhook list[WEBHOOKS_MAX];
	struct webhook_behind row[WEBHOOKS_ALL_MAX];
	size_t n;
	int64_t k;

	ck_assert_int_eq(webhooks_has_own(fx.db, &fx.e), 0);
	event("run-old", "A1", NULL);
	own("cfx-1", "");
	ck_assert_int_eq(webhooks_has_own(fx.db, &fx.e), 1);
	hook("w", NULL, NULL);
	event("run-one", "A1", NULL); /* 2 */
	event("run-two", "A2", NULL); /* 3 */
	event("pool", "A1", NULL);
	OK(webhooks_enabled(fx.db, true, list, &n, &fx.e));
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(list[0].format, "cfx");
	OK(webhooks_enabled(fx.db, false, list, &n, &fx.e));
	ck_assert_str_eq(list[0].id, "w");
	take("cfx-1");
	ck_assert_str_eq(due("cfx-1", nothing), "2 3");
	OK(webhooks_behind(fx.db, row, &n, &fx.e));
	ck_assert_uint_eq(n, 2);
	ck_assert(row[0].own && !row[1].own);
	TX_FAILS(ERR_CONFLICT, webhooks_change(fx.db, "cfx-1", &url, 0, &fx.e));
	TX_FAILS(ERR_CONFLICT, webhooks_rotate(fx.db, "cfx-1", "s", 0, &fx.e));
	TX_FAILS(ERR_CONFLICT, webhooks_remove(fx.db, "cfx-1", &fx.e));
	TX_FAILS(ERR_CONFLICT, webhooks_test(fx.db, "cfx-1", "me", &k, &fx.e));
	TX(webhooks_change(fx.db, "cfx-1", &on, 0, &fx.e));
}
END_TEST

START_TEST(an_address_keeps_its_place_and_another_begins_with_the_next_event)
{
	own("cfx-1", "");
	event("run-one", "A1", NULL); /* 1 */
	own("cfx-1", "A2");
	event("run-two", "A2", NULL);	/* 2 */
	event("run-three", "A1", NULL); /* 3 */
	take("cfx-1");
	ck_assert_str_eq(due("cfx-1", nothing), "2");
	own("cfx-2", "");
	ck_assert_int_eq(number("SELECT count(*) FROM deliveries"), 0);
	event("run-four", "A1", NULL); /* 4 */
	take("cfx-2");
	ck_assert_str_eq(due("cfx-2", nothing), "4");
	TX(webhooks_own(fx.db, NULL, 0, &fx.e));
	ck_assert_int_eq(webhooks_has_own(fx.db, &fx.e), 0);
}
END_TEST

/* Most of what ends is taken, and is one statement; what is not taken in between counts at its place. */
START_TEST(many_ends_are_on_record_as_one_by_one)
{
	struct delivery_end end[6] = {0};
	const struct delivery_end *list[6];

	hook("w", NULL, NULL);
	for (size_t i = 0; i < ARRAY_LEN(end); i++)
		event("unit-changed", (const char[]){'A', (char)('1' + i), 0}, NULL);
	take("w");
	ends("w", 6, 200, 0, 0); /* it does not wait any more, and is not counted again */
	for (size_t i = 0; i < ARRAY_LEN(end); i++) {
		list[i] = &end[i];
		end[i] = (struct delivery_end){.webhook = "w",
			.n = row_of((int64_t)i + 1),
			.status = i == 3  ? 500
				  : i < 2 ? 200
					  : 204,
			.done = i != 3,
			.message = i == 3 ? "it answers 500" : NULL,
			.failing_ms = 7,
			.give_up_ms = 5 * DAY_MS};
	}
	TX(webhooks_end(fx.db, list, 4, &fx.e));
	ck_assert_int_eq(number("SELECT done FROM webhooks"), 4);
	ck_assert_int_eq(number("SELECT failures FROM webhooks"), 1);
	ck_assert_int_eq(number("SELECT failing_ms FROM webhooks"), 7);
	ck_assert_str_eq(due("w", nothing), "4 5");
	TX(webhooks_end(fx.db, list + 4, 2, &fx.e));
	ck_assert_int_eq(number("SELECT done FROM webhooks"), 5);
	ck_assert_int_eq(number("SELECT failures FROM webhooks"), 0);
	ck_assert_int_eq(number("SELECT count(*) FROM deliveries WHERE state = 'done'"), 5);
	ck_assert_int_eq(number("SELECT sum(attempts) FROM deliveries"), 6);
	ck_assert_int_eq(number("SELECT count(*) FROM deliveries WHERE status = 204"), 2);
}
END_TEST

/* Others verify what is made of a row: the same bytes whoever asks, and JSON whatever a text holds. */
START_TEST(the_message_of_an_event_is_canonical_whatever_its_texts_hold)
{
	static const char serial[] = "S\"\\\n\x01 \xc3\xa4\x7f/";
	struct delivery row = {0};
	char *message = NULL, *again;
	json_t *o;
	size_t n;

	hook("w", NULL, NULL);
	TX(db_event(fx.db, "unit-changed", "A1", NULL, NULL, serial,
		json_pack("{s:f, s:s, s:n}", "x", 0.1, "b", serial, "a"), &fx.e));
	take("w");
	OK(events_message(fx.db, 1, &message, &fx.e));
	o = json_loads(message, 0, NULL);
	ck_assert_str_eq(json_string_value(json_object_get(o, "serial")), serial);
	ck_assert(json_is_null(json_object_get(o, "run")));
	ck_assert_uint_eq(json_object_size(o), 8);
	again = canonical(o);
	ck_assert_str_eq(message, again);
	OK(webhooks_due(fx.db, "w", nothing, 1, &row, &n, &fx.e));
	ck_assert_str_eq(row.body, message);
	free(row.body);
	free(again);
	free(message);
	json_decref(o);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("webhooks");
	TCase *tc = tcase_create("webhooks");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_was_asked_for_comes_from_then_on_and_nothing_else);
	tcase_add_test(tc, events_of_a_unit_go_out_one_after_another_and_others_next_to_them);
	tcase_add_test(tc, however_much_waits_few_of_it_are_rows_and_none_is_left_out);
	tcase_add_test(tc, a_row_that_nobody_takes_is_put_aside_while_others_get_through);
	tcase_add_test(tc, a_receiver_that_takes_nothing_is_disabled_and_loses_nothing);
	tcase_add_test(
		tc, what_an_enabled_webhook_has_not_got_is_kept_and_of_a_disabled_one_is_counted);
	tcase_add_test(tc, a_test_is_for_its_own_webhook_and_no_event_is_passed_over_for_it);
	tcase_add_test(tc, how_much_waits_is_said_of_each_that_is_enabled);
	tcase_add_test(tc, an_address_of_the_configuration_is_a_place_that_only_it_may_change);
	tcase_add_test(tc, an_address_keeps_its_place_and_another_begins_with_the_next_event);
	tcase_add_test(tc, many_ends_are_on_record_as_one_by_one);
	tcase_add_test(tc, the_message_of_an_event_is_canonical_whatever_its_texts_hold);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
