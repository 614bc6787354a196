/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows for webhooks are made while requests go on: one transaction at a time, for each webhook that was named, and an end waits
 * for it.
 */
#include "daemon/line/webhook_takes.h"

#include "base/iotime.h"
#include "base/util.h"
#include "tests/unit/db/fixture.h"

static struct writer *writer;
static struct webhook_takes *takes;
static const struct webhook mes = {.id = "mes"}, erp = {.id = "erp"};
static unsigned told; /* atomic */

static void on_done(void *data)
{
	(void)data;
	__atomic_add_fetch(&told, 1, __ATOMIC_ACQ_REL);
}

static void setup(void)
{
	const struct webhook_said w = {.url = "https://mes.example/hook", .secret = "hook"};

	fixture_setup();
	TX(webhooks_add(fx.db, "mes", &w, &fx.e));
	TX(webhooks_add(fx.db, "erp", &w, &fx.e));
	for (int i = 0; i < 300; i++)
		TX(db_event(fx.db, "unit-changed", "A1", NULL, NULL, NULL, NULL, &fx.e));
	told = 0;
	OK(writer_new(fx.db, NULL, &writer, &fx.e));
	fx.db = NULL;
	takes = webhook_takes_new(writer, on_done, NULL);
}

static void teardown(void)
{
	webhook_takes_free(takes);
	writer_free(writer);
	fixture_remove_files();
}

static void begin(size_t n)
{
	const struct webhook *const both[] = {&mes, &erp};

	OK(webhook_takes_begin(takes, both, n, &fx.e));
	ck_assert(webhook_takes_is_busy(takes));
}

static int wait_for_end(const struct webhook_taken **ret, size_t *ret_n)
{
	while (__atomic_load_n(&told, __ATOMIC_ACQUIRE) == 0)
		iotime_sleep(US_PER_MS, &(struct iotime){NO_DEADLINE, NULL}, NULL);
	told = 0;
	return webhook_takes_end(takes, ret, ret_n, &fx.e);
}

static int64_t rows_of(const char *id)
{
	struct db *d = NULL;
	int64_t n = -1;

	OK(db_open_reader(fx.path, &d, &fx.e));
	ck_assert_int_eq(
		db_int(d, &fx.e, &n, "SELECT count(*) FROM deliveries WHERE webhook = ?", id), 1);
	db_free(d);
	return n;
}

START_TEST(those_that_were_named_have_their_next_rows)
{
	const struct webhook_taken *taken = NULL;
	size_t n = 0;

	ck_assert_int_eq(webhook_takes_end(takes, &taken, &n, &fx.e), 0);
	begin(1);
	begin(2); /* one goes on, and nothing of this is done */
	ck_assert_int_eq(wait_for_end(&taken, &n), 1);
	ck_assert(!webhook_takes_is_busy(takes));
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(taken[0].id, "mes");
	ck_assert(taken[0].more);
	ck_assert_int_eq(taken[0].waiting, WEBHOOK_OPEN_MAX);
	ck_assert_int_eq(rows_of("erp"), 0);
	begin(2);
	ck_assert_int_eq(wait_for_end(&taken, &n), 1);
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(rows_of("mes"), WEBHOOK_OPEN_MAX);
	ck_assert_int_eq(rows_of("erp"), WEBHOOK_OPEN_MAX);
	ck_assert_int_eq(webhook_takes_end(takes, &taken, &n, &fx.e), 0);
}
END_TEST

static int shrink(struct db *tx, void *data, struct err *e)
{
	int64_t size = 0;
	int r = db_size(tx, &size, e);

	return r < 0 ? r : db_set_quota(tx, size, e);
}

static int lift(struct db *tx, void *data, struct err *e)
{
	return db_set_quota(tx, 1ll << 40, e);
}

START_TEST(where_the_disk_is_full_nothing_is_taken_and_the_next_one_takes_it)
{
	const struct webhook_taken *taken = NULL;
	size_t n = 0;

	OK(writer_do(writer, shrink, NULL, &fx.e));
	begin(2);
	ck_assert_int_eq(wait_for_end(&taken, &n), -ERR_DISK_FULL);
	ck_assert(!webhook_takes_is_busy(takes));
	ck_assert_int_eq(rows_of("mes"), 0);
	OK(writer_do(writer, lift, NULL, &fx.e));
	begin(2);
	ck_assert_int_eq(wait_for_end(&taken, &n), 1);
	ck_assert_int_eq(rows_of("mes"), WEBHOOK_OPEN_MAX);
}
END_TEST

START_TEST(an_end_waits_for_what_goes_on)
{
	begin(2);
	takes = webhook_takes_free(takes);
	ck_assert_uint_eq(__atomic_load_n(&told, __ATOMIC_ACQUIRE), 1);
	ck_assert_int_eq(rows_of("erp"), WEBHOOK_OPEN_MAX);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("webhook_takes");
	TCase *t = tcase_create("webhook_takes");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, those_that_were_named_have_their_next_rows);
	tcase_add_test(t, where_the_disk_is_full_nothing_is_taken_and_the_next_one_takes_it);
	tcase_add_test(t, an_end_waits_for_what_goes_on);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
