/* SPDX-License-Identifier: Apache-2.0
 *
 * What a unit gets as one set: all of it or nothing, one lease, each value on record before it leaves,
 * and no more of them than the order is for.
 */
#include "db/ledger.h"

#include <pthread.h>

#include "db/events.h"
#include "db/jobs.h"
#include "db/pools.h"
#include "db/stmt.h"
#include "db/units.h"
#include "db/writer.h"
#include "tests/unit/db/fixture.h"

static const struct ledger_source set[] = {
	{.from = LEDGER_POOL, .kind = "serial", .pool = "sn"},
	{.from = LEDGER_POOL, .pool = "macs", .slot = "eth0"},
	{.from = LEDGER_POOL, .pool = "macs", .slot = "wifi"},
	{.from = LEDGER_POOL, .pool = "keys", .slot = "license"},
};
#define SET ARRAY_LEN(set)

static char value[SET][LEDGER_VALUE_SIZE];
static char lease[UUID_SIZE];

static void make_pools(int64_t macs)
{
	const struct pool_new sn = {.id = "sn",
		.kind = "serial",
		.pattern = "SN{seq:04}",
		.first = 1,
		.last = 999,
		.check = "none"};
	const struct pool_new mac = {.id = "macs",
		.kind = "mac",
		.pattern = "{mac}",
		.block = "AC:DE:48",
		.last = macs - 1,
		.check = "none"};
	const struct pool_new keys = {.id = "keys", .kind = "license", .check = "none"};
	json_t *list = json_pack("[s, s, s]", "K1", "K2", "K3");

	TX(pools_create(fx.db, &sn, &fx.e));
	TX(pools_create(fx.db, &mac, &fx.e));
	TX(pools_create(fx.db, &keys, &fx.e));
	TX(pools_add_values(fx.db, "keys", list, NULL, &fx.e));
	json_decref(list);
}

static void make_job(const char *id, int64_t quantity)
{
	const struct job_new j = {.id = id,
		.recipe = "thermo",
		.version = 1,
		.recipe_sha256 = "0000",
		.quantity = quantity,
		.created_by = "mes"};

	TX(jobs_create(fx.db, &j, NULL, &fx.e));
}

/* A run with its unit and its set. */
static void take(const char *run, const char *job, const char *chip)
{
	char unit[DB_ID_SIZE];

	open_run(run, "A1", job);
	TX(units_identify(fx.db, run, chip, "T200", unit, &fx.e));
	TX(ledger_reserve_set(fx.db, run, set, SET, lease, value, &fx.e));
}

static long long next_of(const char *pool)
{
	json_t *p = NULL;
	long long next;

	OK(pools_get(fx.db, pool, &p, &fx.e));
	next = int_at(p, "next");
	json_decref(p);
	return next;
}

#define assert_state(kind, value, want)                                       \
	do {                                                                  \
		char state_buf[128];                                          \
		ck_assert_str_eq(ledger_state(kind, value, state_buf), want); \
	} while (0)

static void assert_lease(const char *kind, const char *v, const char *want)
{
	json_t *row = NULL;

	OK(ledger_get(fx.db, kind, v, &row, &fx.e));
	ck_assert_str_eq(str_at(row, "lease"), want);
	json_decref(row);
}

START_TEST(a_set_has_its_values_by_name_and_one_lease)
{
	struct event_filter f = {.type = "identity-leased"};
	struct db_list l;

	make_pools(9);
	take("r1", NULL, "chip-a");
	ck_assert_str_eq(value[0], "SN0001");
	ck_assert_str_eq(value[1], "AC:DE:48:00:00:00");
	ck_assert_str_eq(value[2], "AC:DE:48:00:00:01");
	ck_assert_str_eq(value[3], "K1");
	assert_lease("serial", value[0], lease);
	assert_lease("mac", value[2], lease);
	assert_lease("license", "K1", lease);
	OK(events_list(fx.db, &f, NULL, &l, &fx.e));
	ck_assert_uint_eq(json_array_size(l.items), 1);
	ck_assert_str_eq(str_at(l.items, "0.data.values.wifi"), "AC:DE:48:00:00:01");
	ck_assert_str_eq(str_at(l.items, "0.data.values.serial"), "SN0001");
	json_decref(l.items);

	/* Asked again it is the same set, and nothing is drawn. */
	TX(ledger_reserve_set(fx.db, "r1", set, SET, lease, value, &fx.e));
	ck_assert_str_eq(value[2], "AC:DE:48:00:00:01");
	assert_lease("mac", value[1], lease);
	ck_assert_int_eq(next_of("macs"), 2);
}
END_TEST

START_TEST(a_pool_that_is_empty_in_the_middle_leaves_everything_as_it_was)
{
	json_t *row = NULL;

	make_pools(3);
	take("r1", NULL, "chip-a");
	open_run("r2", "A2", NULL);
	TX_FAILS(ERR_POOL_EMPTY, ledger_reserve_set(fx.db, "r2", set, SET, lease, value, &fx.e));
	ck_assert_msg(strstr(fx.e.msg, "wifi") && strstr(fx.e.msg, "macs"), "%s", fx.e.msg);
	ck_assert_int_eq(next_of("sn"), 2);
	ck_assert_int_eq(next_of("macs"), 2);
	FAILS(ERR_NOT_FOUND, ledger_get(fx.db, "serial", "SN0002", &row, &fx.e));
	assert_state("license", "K2", "free");
}
END_TEST

START_TEST(rework_keeps_the_set_and_its_lease_and_scrap_keeps_it_used)
{
	char first[SET][LEDGER_VALUE_SIZE], was[UUID_SIZE];

	make_pools(9);
	take("r1", NULL, "chip-a");
	memcpy(first, value, sizeof first);
	memcpy(was, lease, sizeof was);
	TX(ledger_expose(fx.db, "r1", &fx.e));
	finish_run("r1", "failed");
	take("r2", NULL, "chip-a");
	for (size_t i = 0; i < SET; i++)
		ck_assert_str_eq(first[i], value[i]);
	ck_assert_str_eq(was, lease);
	finish_run("r2", "passed");

	json_t *unit = NULL;

	OK(units_get(fx.db, first[0], &unit, &fx.e));
	TX(units_set_state(fx.db, str_at(unit, "id"), "scrapped", "dropped", "anna", &fx.e));
	json_decref(unit);
	for (size_t i = 0; i < SET; i++)
		assert_state(i == 0 ? "serial" : i == 3 ? "license" : "mac", first[i], "committed");
	take("r3", NULL, "chip-b");
	ck_assert_str_eq(value[0], "SN0002");
	ck_assert_str_eq(value[1], "AC:DE:48:00:00:02");
	ck_assert_str_eq(value[3], "K2");
	ck_assert_str_ne(was, lease);
}
END_TEST

START_TEST(only_what_left_stays_with_a_unit_that_did_not_pass)
{
	make_pools(9);
	take("r1", NULL, "chip-a");
	TX(ledger_expose_slot(fx.db, "r1", "eth0", &fx.e));
	finish_run("r1", "failed");
	assert_state("mac", "AC:DE:48:00:00:00", "committed");
	assert_state("mac", "AC:DE:48:00:00:01", "void");
	assert_state("serial", "SN0001", "void");
	assert_state("license", "K1", "free");
	assert_lease("license", "K1", "(null)");
	/* The unit keeps the one, and gets the others new: one set, one lease. */
	char was[UUID_SIZE];

	memcpy(was, lease, sizeof was);
	take("r2", NULL, "chip-a");
	ck_assert_str_eq(value[0], "SN0002");
	ck_assert_str_eq(value[1], "AC:DE:48:00:00:00");
	ck_assert_str_eq(value[2], "AC:DE:48:00:00:02");
	ck_assert_str_eq(value[3], "K1");
	ck_assert_str_eq(was, lease);
	assert_lease("mac", value[2], lease);
}
END_TEST

START_TEST(each_value_that_leaves_is_an_event_of_its_own)
{
	struct event_filter f = {.type = "serial-exposed"};
	struct db_list l;

	make_pools(9);
	take("r1", NULL, "chip-a");
	TX(ledger_expose_slot(fx.db, "r1", "wifi", &fx.e));
	TX(ledger_expose_slot(fx.db, "r1", "wifi", &fx.e));
	TX(ledger_expose_slot(fx.db, "r1", "", &fx.e));
	OK(events_list(fx.db, &f, NULL, &l, &fx.e));
	ck_assert_uint_eq(json_array_size(l.items), 2);
	ck_assert_str_eq(str_at(l.items, "0.data.value"), "AC:DE:48:00:00:01");
	ck_assert_str_eq(str_at(l.items, "1.data.value"), "SN0001");
	json_decref(l.items);
}
END_TEST

START_TEST(an_order_gives_out_no_more_than_it_is_for)
{
	make_pools(20);
	make_job("j", 1);
	take("r1", "j", "chip-a");
	TX(ledger_expose(fx.db, "r1", &fx.e));
	/* A second run of an order for one: the first may still pass. */
	take("r2", "j", "chip-b");
	TX_FAILS(ERR_QUOTA, ledger_expose_slot(fx.db, "r2", "eth0", &fx.e));
	ck_assert_msg(strstr(fx.e.msg, "is for 1, and 1 are out"), "%s", fx.e.msg);
	/* What is on a unit that did not pass is explained. */
	finish_run("r1", "failed");
	TX(ledger_expose_slot(fx.db, "r2", "eth0", &fx.e));
	finish_run("r2", "passed");
	take("r3", "j", "chip-c");
	TX_FAILS(ERR_QUOTA, ledger_expose_slot(fx.db, "r3", "eth0", &fx.e));
	/* The passed unit comes again: its values are out already. */
	finish_run("r3", "aborted");
	take("r4", "j", "chip-b");
	TX(ledger_expose(fx.db, "r4", &fx.e));
}
END_TEST

START_TEST(another_recipe_than_the_order_has_exposes_nothing)
{
	const struct job_new j = {.id = "j",
		.recipe = "thermo",
		.version = 1,
		.recipe_sha256 = "1111",
		.quantity = 5,
		.created_by = "mes"};

	make_pools(9);
	TX(jobs_create(fx.db, &j, NULL, &fx.e));
	take("r1", "j", "chip-a");
	TX_FAILS(ERR_QUOTA, ledger_expose(fx.db, "r1", &fx.e));
	ck_assert_msg(strstr(fx.e.msg, "another recipe"), "%s", fx.e.msg);
	finish_run("r1", "error");
	assert_state("mac", "AC:DE:48:00:00:00", "void");
}
END_TEST

static json_t *gaps_of(const char *pool)
{
	const struct db_page page = {.limit = 1000};
	struct db_list l;

	OK(pools_gaps(fx.db, pool, &page, &l, &fx.e));
	return l.items;
}

START_TEST(every_number_that_no_passed_unit_carries_has_its_reason)
{
	struct run_end end = {.run = "r1",
		.outcome = "failed",
		.code = "timeout",
		.message = "no answer",
		.ended_ms = 3000};
	json_t *gaps;

	make_pools(40);
	take("r1", NULL, "chip-a");
	TX(ledger_expose_slot(fx.db, "r1", "eth0", &fx.e));
	TX(runs_finish(fx.db, &end, &fx.e));
	take("r2", NULL, "chip-b");
	finish_run("r2", "passed");
	TX(pools_advance(fx.db, "macs", 10, "used by the old line", "anna", &fx.e));
	take("r3", NULL, "chip-c");
	gaps = gaps_of("macs");
	ck_assert_uint_eq(json_array_size(gaps), 5);
	ck_assert_int_eq(int_at(gaps, "0.first"), 0);
	ck_assert_str_eq(str_at(gaps, "0.state"), "committed");
	ck_assert_str_eq(str_at(gaps, "0.run"), "r1");
	ck_assert_str_eq(str_at(gaps, "0.code"), "timeout");
	ck_assert_msg(strstr(str_at(gaps, "0.why"), "on a unit that is failed") != NULL, "%s",
		str_at(gaps, "0.why"));
	ck_assert_str_eq(str_at(gaps, "1.value"), "AC:DE:48:00:00:01");
	ck_assert_str_eq(str_at(gaps, "1.state"), "void");
	ck_assert_str_eq(str_at(gaps, "1.outcome"), "failed");
	ck_assert_int_eq(int_at(gaps, "2.first"), 4);
	ck_assert_int_eq(int_at(gaps, "2.last"), 9);
	ck_assert_str_eq(str_at(gaps, "2.why"), "advanced by anna: used by the old line");
	ck_assert_str_eq(str_at(gaps, "4.why"), "in work");
	ck_assert_str_eq(str_at(gaps, "4.run"), "r3");
	json_decref(gaps);
	/* Once the failed unit passes, it carries what it was sent. */
	finish_run("r3", "passed");
	take("r4", NULL, "chip-a");
	finish_run("r4", "passed");
	gaps = gaps_of("macs");
	ck_assert_uint_eq(json_array_size(gaps), 2);
	ck_assert_int_eq(int_at(gaps, "0.first"), 1);
	ck_assert_int_eq(int_at(gaps, "1.first"), 4);
	json_decref(gaps);
	FAILS(ERR_NOT_FOUND, pools_gaps(fx.db, "none", NULL, NULL, &fx.e));
}
END_TEST

START_TEST(a_number_that_was_in_the_ledger_is_a_gap_unless_a_passed_unit_has_it)
{
	const struct ledger_source scan = {
		.from = LEDGER_SCAN, .kind = "serial", .value = "SN0001"};
	char one[LEDGER_VALUE_SIZE];
	json_t *gaps;

	make_pools(40);
	open_run("r1", "A1", NULL);
	TX(ledger_reserve(fx.db, "r1", &scan, one, &fx.e));
	take("r2", NULL, "chip-b");
	ck_assert_str_eq(value[0], "SN0002");
	finish_run("r2", "passed");
	gaps = gaps_of("sn");
	ck_assert_uint_eq(json_array_size(gaps), 1);
	ck_assert_str_eq(str_at(gaps, "0.value"), "SN0001");
	ck_assert_str_eq(str_at(gaps, "0.state"), "skipped");
	json_decref(gaps);
	finish_run("r1", "passed");
	gaps = gaps_of("sn");
	ck_assert_uint_eq(json_array_size(gaps), 0);
	json_decref(gaps);
}
END_TEST

START_TEST(a_passcode_is_of_one_unit_and_one_that_never_left_is_a_gap)
{
	const struct pool_new codes = {.id = "codes",
		.kind = "license",
		.pattern = "{random:8}",
		.last = 999,
		.check = "none"};
	const struct ledger_source code = {
		.from = LEDGER_POOL, .kind = "license", .slot = "code", .pool = "codes"};
	char first[LEDGER_VALUE_SIZE], again[LEDGER_VALUE_SIZE], second[LEDGER_VALUE_SIZE];
	json_t *gaps;

	TX(pools_create(fx.db, &codes, &fx.e));
	open_run("r1", "A1", NULL);
	TX(ledger_reserve(fx.db, "r1", &code, first, &fx.e));
	TX(ledger_reserve(fx.db, "r1", &code, again, &fx.e));
	ck_assert_str_eq(first, again);
	TX(ledger_expose_slot(fx.db, "r1", "code", &fx.e));
	finish_run("r1", "passed");
	open_run("r2", "A1", NULL);
	TX(ledger_reserve(fx.db, "r2", &code, second, &fx.e));
	ck_assert_str_ne(first, second);
	finish_run("r2", "error");
	gaps = gaps_of("codes");
	ck_assert_uint_eq(json_array_size(gaps), 1);
	ck_assert_int_eq(int_at(gaps, "0.first"), 1);
	ck_assert_str_eq(str_at(gaps, "0.value"), second);
	ck_assert_str_eq(str_at(gaps, "0.state"), "void");
	json_decref(gaps);
	/* No list brings one of them again. */
	json_t *list = json_pack("[s]", first);

	TX_FAILS(
		ERR_CONFLICT, ledger_add_values(fx.db, "license", "keys", NULL, list, NULL, &fx.e));
	json_decref(list);
}
END_TEST

START_TEST(what_a_person_passed_over_before_the_upgrade_is_a_gap_too)
{
	json_t *gaps;

	make_pools(40);
	TX(pools_advance(fx.db, "macs", 7, "used by the old line", "anna", &fx.e));
	fixture_before(10);
	fixture_reopen();
	gaps = gaps_of("macs");
	ck_assert_uint_eq(json_array_size(gaps), 1);
	ck_assert_int_eq(int_at(gaps, "0.first"), 0);
	ck_assert_int_eq(int_at(gaps, "0.last"), 6);
	ck_assert_str_eq(str_at(gaps, "0.why"), "advanced by anna: used by the old line");
	json_decref(gaps);
}
END_TEST

/* --- many stations --- */

#define STATIONS 6
#define UNITS	 40

static struct writer *writer;

struct station {
	pthread_t thread;
	unsigned n, seed;
	char run[DB_ID_SIZE];
	bool expose[SET];
	const char *outcome;
	struct err e;
};

static unsigned roll(struct station *s, unsigned n)
{
	s->seed = s->seed * 1664525u + 1013904223u;
	return (s->seed >> 8) % n;
}

static int station_opens(struct db *tx, void *data, struct err *e)
{
	struct station *s = data;
	const struct run_new n = {.id = s->run, .station = "A1", .attached_ms = 1000};
	const struct run_start start = {.run = s->run,
		.recipe = "thermo",
		.version = 1,
		.recipe_sha256 = "0000",
		.model = "T200",
		.started_ms = 1500};
	char unit[DB_ID_SIZE];
	int r = runs_open(tx, &n, e);

	if (r == 0)
		r = runs_start(tx, &start, e);
	return r < 0 ? r : units_identify(tx, s->run, s->run, "T200", unit, e);
}

static int station_takes(struct db *tx, void *data, struct err *e)
{
	struct station *s = data;
	char got[SET][LEDGER_VALUE_SIZE], id[UUID_SIZE];

	return ledger_reserve_set(tx, s->run, set, SET, id, got, e);
}

static int station_sends(struct db *tx, void *data, struct err *e)
{
	struct station *s = data;
	int r = 0;

	for (size_t i = 0; i < SET && r == 0; i++)
		if (s->expose[i])
			r = ledger_expose_slot(tx, s->run, set[i].slot ? set[i].slot : "", e);
	return r;
}

static int station_ends(struct db *tx, void *data, struct err *e)
{
	struct station *s = data;
	const struct run_end end = {.run = s->run,
		.outcome = s->outcome,
		.code = "timeout",
		.message = "because",
		.ended_ms = 3000};

	return runs_finish(tx, &end, e);
}

/* One unit after the other, each with an end of its own; a pool may be empty. */
static void *station_works(void *data)
{
	static const char *const outcomes[] = {"passed", "failed", "error", "aborted"};
	struct station *s = data;

	for (unsigned u = 0; u < UNITS; u++) {
		int r;

		snprintf(s->run, sizeof s->run, "s%u-u%u", s->n, u);
		for (size_t i = 0; i < SET; i++)
			s->expose[i] = roll(s, 2);
		s->outcome = outcomes[roll(s, 4)];
		if (writer_do(writer, station_opens, s, &s->e) < 0)
			return s;
		r = writer_do(writer, station_takes, s, &s->e);
		if (r == -ERR_POOL_EMPTY)
			s->outcome = "error";
		else if (r < 0 || writer_do(writer, station_sends, s, &s->e) < 0)
			return s;
		if (writer_do(writer, station_ends, s, &s->e) < 0)
			return s;
	}
	return NULL;
}

static void many_keys(size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		char key[16];

		snprintf(key, sizeof key, "M%03zu", i);
		json_array_append_new(list, json_string(key));
	}
	TX(pools_add_values(fx.db, "keys", list, NULL, &fx.e));
	json_decref(list);
}

/* Each number up to the pool's next is on a passed unit, or a gap with a reason: never both, never
 * neither. */
static void account_for(const char *pool)
{
	const struct ledger_filter f = {.pool = pool, .state = "committed"};
	const struct db_page page = {.limit = 1000};
	long long next = next_of(pool), gaps_n = 0, passed = 0;
	json_t *gaps = gaps_of(pool), *row, *seen = json_object();
	struct db_list l;
	size_t i;

	json_array_foreach(gaps, i, row) {
		const char *v = str_at(row, "value");

		ck_assert_msg(json_string_length(at(row, "why")) > 3, "%s has no reason", v);
		ck_assert_msg(json_is_string(at(row, "run")) && json_is_string(at(row, "outcome")),
			"%s has no run", v);
		ck_assert_msg(!json_object_get(seen, v), "%s twice", v);
		json_object_set_new(seen, v, json_true());
		gaps_n += int_at(row, "last") - int_at(row, "first") + 1;
	}
	OK(ledger_list(fx.db, &f, &page, &l, &fx.e));
	json_array_foreach(l.items, i, row) {
		if (json_object_get(seen, str_at(row, "value")))
			continue;
		json_object_set_new(seen, str_at(row, "value"), json_true());
		passed++;
	}
	if (strcmp(pool, "keys") != 0)
		ck_assert_int_eq(gaps_n + passed, next - (strcmp(pool, "sn") ? 0 : 1));
	ck_assert_int_gt(gaps_n, 0);
	ck_assert_int_gt(passed, 0);
	json_decref(l.items);
	json_decref(gaps);
	json_decref(seen);
}

START_TEST(many_stations_never_share_a_value_and_every_gap_is_explained)
{
	static struct station station[STATIONS];
	static const char shared[] =
		"SELECT 1 FROM serials WHERE state = 'committed' AND slot <> 'eth0' AND slot <> 'wifi'"
		" GROUP BY unit_id, kind HAVING count(*) > 1";
	static const char leases[] = "SELECT 1 FROM serials WHERE lease IS NOT NULL GROUP BY lease"
				     " HAVING count(DISTINCT run_id) > 1";
	struct err e = {0};

	make_pools(STATIONS * UNITS); /* half of what they would take: it runs dry under way */
	many_keys(500);
	ck_assert_int_eq(writer_new(fx.db, NULL, &writer, &e), 0);
	for (unsigned i = 0; i < STATIONS; i++) {
		station[i] = (struct station){.n = i, .seed = 7 + i + 100u * (unsigned)_i};
		ck_assert_int_eq(
			pthread_create(&station[i].thread, NULL, station_works, &station[i]), 0);
	}
	for (unsigned i = 0; i < STATIONS; i++) {
		void *failed = NULL;

		pthread_join(station[i].thread, &failed);
		ck_assert_msg(!failed, "%s: %s", station[i].run, station[i].e.msg);
	}
	writer = writer_free(writer);
	fx.db = NULL;
	OK(db_open(fx.path, &fx.db, &fx.e));
	account_for("sn");
	account_for("macs");
	account_for("keys");
	ck_assert_int_eq(db_has(fx.db, &fx.e, shared), 0);
	ck_assert_int_eq(db_has(fx.db, &fx.e, leases), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("identity");
	TCase *t = tcase_create("identity");

	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_add_test(t, a_set_has_its_values_by_name_and_one_lease);
	tcase_add_test(t, a_pool_that_is_empty_in_the_middle_leaves_everything_as_it_was);
	tcase_add_test(t, rework_keeps_the_set_and_its_lease_and_scrap_keeps_it_used);
	tcase_add_test(t, only_what_left_stays_with_a_unit_that_did_not_pass);
	tcase_add_test(t, each_value_that_leaves_is_an_event_of_its_own);
	tcase_add_test(t, an_order_gives_out_no_more_than_it_is_for);
	tcase_add_test(t, another_recipe_than_the_order_has_exposes_nothing);
	tcase_add_test(t, every_number_that_no_passed_unit_carries_has_its_reason);
	tcase_add_test(t, a_number_that_was_in_the_ledger_is_a_gap_unless_a_passed_unit_has_it);
	tcase_add_test(t, a_passcode_is_of_one_unit_and_one_that_never_left_is_a_gap);
	tcase_add_test(t, what_a_person_passed_over_before_the_upgrade_is_a_gap_too);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, many_stations_never_share_a_value_and_every_gap_is_explained, 0, 2);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
