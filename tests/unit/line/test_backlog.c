/* SPDX-License-Identifier: Apache-2.0
 *
 * When the line waits for those who are told, and what is read of what waits.
 */
#include "daemon/line/backlog.h"

#include "base/util.h"
#include "daemon/line/recorder.h"
#include "daemon/line/records.h"
#include "daemon/line/services.h"
#include "db/outbox.h"
#include "db/spool.h"
#include "db/stmt.h"
#include "db/webhooks.h"
#include "tests/unit/line/line_rig.h"
#include "tests/unit/unit.h"

#define NOW 1000000000ll

static const struct outbox_config limits = {.stop_after = 100,
	.warn_after = 10,
	.stop_age_us = 4000000000ull, /* 4000 s */
	.warn_age_us = 1000000000ull};

static const struct {
	int64_t waiting, age_ms;
	bool held;
	enum backlog_level level;
} cases[] = {
	{0, 0, false, BACKLOG_FINE}, {10, 1000000, false, BACKLOG_FINE},
	{11, 0, false, BACKLOG_WARNS}, {1, 1000001, false, BACKLOG_WARNS},
	{100, 4000000, false, BACKLOG_WARNS}, {101, 0, false, BACKLOG_STOPS},
	{1, 4000001, false, BACKLOG_STOPS}, {76, 0, true, BACKLOG_STOPS},
	{75, 0, true, BACKLOG_WARNS}, {1, 3000001, true, BACKLOG_STOPS},
	{1, 3000000, true, BACKLOG_WARNS}, {0, 0, true, BACKLOG_FINE},
	{1, -5000000, false, BACKLOG_FINE}, /* written by a clock that was ahead */
};

START_TEST(what_waits_is_fine_or_warned_of_or_stops_the_line)
{
	const struct backlog_row row = {.waiting = cases[_i].waiting,
		.oldest_ms = cases[_i].waiting ? NOW - cases[_i].age_ms : 0};

	ck_assert_int_eq(backlog_judge(&limits, &row, NOW, cases[_i].held), cases[_i].level);
}
END_TEST

START_TEST(without_a_limit_or_a_clock_nothing_is_too_much_or_too_old)
{
	const struct outbox_config none = {0};
	const struct backlog_row row = {.waiting = 1000000, .oldest_ms = 1};
	const struct backlog_row few = {.waiting = 1, .oldest_ms = 1};

	ck_assert_int_eq(backlog_judge(&none, &row, NOW, true), BACKLOG_FINE);
	ck_assert_int_eq(backlog_judge(&limits, &few, 0, false), BACKLOG_FINE);
	ck_assert_int_eq(backlog_judge(&limits, &row, 0, false), BACKLOG_STOPS);
}
END_TEST

static struct line_rig rig;

static int apply_waits(struct db *tx, void *data, struct err *e)
{
	const struct webhook_said w = {.url = "https://mes.example/x", .secret = "s"};
	json_t *payload = json_object();
	const struct outbox_new o = {.kind = "step",
		.key = "1",
		.target = "cloud",
		.order_key = "u",
		.payload = payload};
	json_t *types = json_array();
	const struct webhook_own own = {
		.id = "x1", .url = "amqps://broker.example/cfx", .types = types};
	int r = webhooks_add(tx, "w1", &w, e);

	if (r == 0)
		r = webhooks_own(tx, &own, 1, e);
	if (r == 0)
		r = spool_begin(tx, "/srv/spool", e);
	if (r == 0)
		r = db_event(tx, "one", NULL, NULL, NULL, NULL, NULL, e);
	if (r == 0)
		r = outbox_add(tx, &o, e);
	json_decref(payload);
	json_decref(types);
	return r;
}

START_TEST(each_of_those_who_are_told_is_one)
{
	struct backlog_list list;
	struct db *d;
	struct err e = {0};

	line_rig_open(&rig, "stations: []\n");
	ck_assert_msg(writer_do(rig.services.writer, apply_waits, NULL, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(db_open_reader(records_path(rig.services.records), &d, &e), 0);
	ck_assert_int_eq(backlog_read(d, &list, &e), 0);
	ck_assert_uint_eq(list.n, 4);
	ck_assert_str_eq(list.row[0].name, "cloud");
	ck_assert_str_eq(list.row[1].where, "https://mes.example/x");
	ck_assert_str_eq(list.row[2].where, "amqps://broker.example/cfx");
	ck_assert_str_eq(list.row[3].where, "/srv/spool");
	for (size_t i = 0; i < list.n; i++) {
		ck_assert_int_eq(list.row[i].kind, (int)i);
		ck_assert_int_eq(list.row[i].waiting, 1);
		ck_assert_int_gt(list.row[i].oldest_ms, 0);
	}
	backlog_list_done(&list);
	db_free(d);
	line_rig_close(&rig);
}
END_TEST

START_TEST(no_new_run_begins_while_the_line_waits)
{
	struct station_row row = {0};
	struct recorder *rec = NULL;
	struct err e = {0};

	line_rig_open(&rig, "stations: [{id: A1, ports: {console: {path: 1-1}}}]\n");
	holds_set(rig.services.holds, HOLD_BACKLOG, "5 messages wait");
	ck_assert_int_eq(
		recorder_open(&rig.services, &rig.config->station[0], &row, NULL, &rec, &e),
		-ERR_BACKLOG);
	ck_assert_str_eq(e.msg, "5 messages wait");
	holds_lift(rig.services.holds, HOLD_BACKLOG);
	ck_assert_int_ne(
		recorder_open(&rig.services, &rig.config->station[0], &row, NULL, &rec, &e),
		-ERR_BACKLOG);
	recorder_free(rec);
	line_rig_close(&rig);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("backlog");
	TCase *t = tcase_create("backlog");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(
		t, what_waits_is_fine_or_warned_of_or_stops_the_line, 0, (int)ARRAY_LEN(cases));
	tcase_add_test(t, without_a_limit_or_a_clock_nothing_is_too_much_or_too_old);
	tcase_add_test(t, each_of_those_who_are_told_is_one);
	tcase_add_test(t, no_new_run_begins_while_the_line_waits);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
