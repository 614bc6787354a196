/* SPDX-License-Identifier: Apache-2.0
 *
 * What came of requests to webhooks reaches the records once, also where the disk was full for a while.
 */
#include "daemon/line/webhook_ends.h"

#include "base/iotime.h"
#include "base/util.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

#define ROWS 3

static struct writer *writer;
static struct webhook_ends *ends;
static int64_t row[ROWS];
static unsigned recorded; /* atomic */

static void on_recorded(void *data)
{
	(void)data;
	__atomic_add_fetch(&recorded, 1, __ATOMIC_ACQ_REL);
}

static void setup(void)
{
	const struct webhook_said w = {.url = "https://mes.example/hook", .secret = "hook"};
	struct delivery due[ROWS];
	json_t *nothing = json_array();
	int64_t waiting;
	size_t n;
	bool more;

	fixture_setup();
	TX(webhooks_add(fx.db, "mes", &w, &fx.e));
	for (int i = 0; i < ROWS; i++) {
		/* Of one station they would go one after another. */
		const char station[] = {'A', (char)('1' + i), 0};

		TX(db_event(fx.db, "unit-changed", station, NULL, NULL, NULL, NULL, &fx.e));
	}
	TX(webhooks_take(fx.db, "mes", &more, &waiting, &fx.e));
	OK(webhooks_due(fx.db, "mes", nothing, ROWS, due, &n, &fx.e));
	ck_assert_uint_eq(n, ROWS);
	for (int i = 0; i < ROWS; i++) {
		row[i] = due[i].n;
		free(due[i].body);
	}
	json_decref(nothing);
	recorded = 0;
}

static void teardown(void)
{
	webhook_ends_free(ends);
	writer_free(writer);
	fixture_remove_files();
}

static void begin(void)
{
	OK(writer_new(fx.db, NULL, &writer, &fx.e));
	fx.db = NULL;
	ends = webhook_ends_new(writer, on_recorded, NULL);
}

/* What it says is on record with it: more than the pages of before have room for. */
static void end_row(int i)
{
	static char text[16 * 1024];
	const struct delivery_end end = {.webhook = "mes",
		.n = row[i],
		.key = "webhooks",
		.status = 500,
		.message = memset(text, 'x', sizeof text - 1),
		.give_up_ms = 1000};

	webhook_ends_add(ends, &end);
}

static int push_and_pull(void)
{
	const unsigned before = __atomic_load_n(&recorded, __ATOMIC_ACQUIRE);

	OK(webhook_ends_push(ends, &fx.e));
	while (__atomic_load_n(&recorded, __ATOMIC_ACQUIRE) == before)
		iotime_sleep(US_PER_MS, &(struct iotime){NO_DEADLINE, NULL}, NULL);
	return webhook_ends_pull(ends, &fx.e);
}

static size_t held(void)
{
	json_t *list = json_array();
	size_t n;

	webhook_ends_list(ends, "mes", list, list);
	n = json_array_size(list);
	json_decref(list);
	return n;
}

static int64_t not_tried(void)
{
	struct db *d = NULL;
	int64_t n = -1;

	OK(db_open_reader(fx.path, &d, &fx.e));
	ck_assert_int_eq(
		db_int(d, &fx.e, &n, "SELECT count(*) FROM deliveries WHERE attempts = 0"), 1);
	db_free(d);
	return n;
}

static int lift_quota(struct db *tx, void *data, struct err *e)
{
	(void)data;
	return db_set_quota(tx, 1ll << 40, e);
}

START_TEST(what_ended_is_on_record_and_held_no_longer)
{
	begin();
	end_row(0);
	end_row(1);
	ck_assert_uint_eq(held(), 2);
	ck_assert_int_eq(push_and_pull(), 1);
	ck_assert_uint_eq(held(), 0);
	ck_assert_int_eq(not_tried(), 1);
}
END_TEST

/* Its rows are neither forgotten nor free to be sent again. */
START_TEST(a_full_disk_keeps_what_ended_until_there_is_room)
{
	int64_t size = 0;

	OK(db_size(fx.db, &size, &fx.e));
	OK(db_set_quota(fx.db, size, &fx.e));
	begin();
	end_row(0);
	end_row(1);
	ck_assert_int_eq(push_and_pull(), -ERR_DISK_FULL);
	ck_assert_uint_eq(held(), 2);
	end_row(2);
	ck_assert_int_eq(push_and_pull(), -ERR_DISK_FULL);
	ck_assert_uint_eq(held(), 3);
	ck_assert_int_eq(not_tried(), ROWS);
	OK(writer_do(writer, lift_quota, NULL, &fx.e));
	ck_assert_int_eq(push_and_pull(), 1);
	ck_assert_uint_eq(held(), 1);
	ck_assert_int_eq(push_and_pull(), 1);
	ck_assert_uint_eq(held(), 0);
	ck_assert_int_eq(not_tried(), 0);
}
END_TEST

START_TEST(the_end_records_what_is_left)
{
	begin();
	end_row(0);
	OK(webhook_ends_push(ends, &fx.e));
	end_row(1);
	ends = webhook_ends_free(ends);
	ck_assert_int_eq(not_tried(), 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("webhook_ends");
	TCase *t = tcase_create("webhook_ends");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_ended_is_on_record_and_held_no_longer);
	tcase_add_test(t, a_full_disk_keeps_what_ended_until_there_is_room);
	tcase_add_test(t, the_end_records_what_is_left);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
