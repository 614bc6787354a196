/* SPDX-License-Identifier: Apache-2.0
 *
 * What a pool may be: its values are what its kind says, and no other pool could give them.
 */
#include "db/pools.h"

#include "base/timefmt.h"
#include "db/events.h"
#include "db/stmt.h"
#include "tests/unit/db/fixture.h"

/* A pool that is right, to be spoilt in one way. */
static const struct pool_new macs = {.id = "macs",
	.kind = "mac",
	.pattern = "{mac}",
	.check = "none",
	.block = "AC:DE:48",
	.first = 0x100,
	.last = 0x1ff};

static const struct {
	struct pool_new p;
	const char *why;
} refused[] = {
	{{.kind = "mac", .pattern = "M{seq}", .last = 9}, "pattern {mac}"},
	{{.kind = "mac", .pattern = "{mac}{seq}", .last = 9}, "pattern {mac}"},
	{{.kind = "mac", .pattern = "{mac}", .check = "luhn", .last = 9}, "pattern {mac}"},
	{{.kind = "mac", .pattern = "{eui64}", .last = 9}, "needs the 'block'"},
	{{.kind = "mac", .pattern = "{mac}", .block = "AC:DE", .last = 9}, "MA-S"},
	{{.kind = "mac", .pattern = "{mac}", .block = "AC:DE:48", .last = 1 << 24},
		"ends at 16777215 (AC:DE:48:FF:FF:FF)"},
	{{.kind = "mac", .pattern = "{mac}", .block = "AC:DE:48:A", .last = 1 << 20},
		"ends at 1048575 (AC:DE:48:AF:FF:FF)"},
	{{.kind = "mac", .pattern = "{mac}", .block = "70:B3:D5:12:3", .last = 4096},
		"ends at 4095 (70:B3:D5:12:3F:FF)"},
	{{.kind = "mac", .pattern = "{mac}", .first = 0xacde48fffff0, .last = 0xacde49000000},
		"(AC:DE:48:FF:FF:FF)"},
	{{.kind = "mac", .pattern = "{mac}", .block = "01:00:5E", .last = 9}, "multicast"},
	{{.kind = "mac", .pattern = "{eui64}", .block = "AD:DE:48", .last = 9}, "multicast"},
	{{.kind = "mac", .pattern = "{mac}", .block = "02:00:00", .last = 9}, "local: true"},
	{{.kind = "mac", .pattern = "{mac}", .block = "AC:DE:48", .local = true, .last = 9},
		"not locally administered"},
	{{.kind = "mac", .pattern = "{mac}", .block = "AC:DE:48", .span = 4, .first = 2, .last = 7},
		"a multiple of 4, and is 2"},
	{{.kind = "mac", .pattern = "{mac}", .block = "AC:DE:48", .span = 4, .last = 8},
		"cut them short"},
	{{.kind = "mac", .pattern = "{mac}", .block = "AC:DE:48", .span = 3, .last = 8},
		"power of two"},
	{{.kind = "serial", .pattern = "SN{seq}", .block = "AC:DE:48", .last = 9}, "kind mac"},
	{{.kind = "license", .span = 2}, "kind mac"},
	{{.kind = "serial", .pattern = "SN{seq:1}", .last = 10}, "outgrew"},
	{{.kind = "serial", .pattern = "SN{seq}", .first = 9, .last = 8}, "is empty"},
	{{.kind = "license", .check = "luhn"}, "no check digit"},
};

START_TEST(a_pool_that_cannot_give_its_kind_is_refused_with_the_reason)
{
	struct pool_new p = refused[_i].p;

	p.id = "bad";
	p.check = p.check ? p.check : "none";
	TX_FAILS(ERR_INVALID, pools_create(fx.db, &p, &fx.e));
	ck_assert_msg(strstr(fx.e.msg, refused[_i].why) != NULL, "%s", fx.e.msg);
}
END_TEST

START_TEST(an_id_is_of_one_pool)
{
	const struct pool_new list = {.id = "keys", .kind = "license", .check = "none"};

	TX(pools_create(fx.db, &list, &fx.e));
	TX_FAILS(ERR_CONFLICT, pools_create(fx.db, &list, &fx.e));
	ck_assert_str_eq(
		fx.e.msg, "there is a pool keys already: choose another id, or add to that one");
}
END_TEST

static void make(const struct pool_new *like, const char *id, int64_t first, int64_t last)
{
	struct pool_new p = *like;

	p.id = id;
	p.first = first;
	p.last = last;
	TX(pools_create(fx.db, &p, &fx.e));
}

static void overlaps(const struct pool_new *p, const char *other)
{
	TX_FAILS(ERR_CONFLICT, pools_create(fx.db, p, &fx.e));
	ck_assert_msg(strstr(fx.e.msg, p->id) && strstr(fx.e.msg, other), "%s", fx.e.msg);
}

START_TEST(addresses_of_two_pools_never_overlap_in_whatever_form)
{
	struct pool_new p = macs;

	make(&macs, "macs", 0x100, 0x1ff);
	make(&macs, "after", 0x200, 0x2ff);
	p.id = "new";
	p.pattern = "{mac:bare}";
	p.first = p.last = 0x1ff;
	overlaps(&p, "macs");
	p.block = NULL;
	p.first = p.last = 0xacde480001ff;
	overlaps(&p, "macs");
	p.block = "AC:DE:48:0";
	p.first = 0;
	p.last = 0x100;
	overlaps(&p, "macs");
	/* Of 64 bits they are other ones. */
	p.pattern = "{eui64}";
	TX(pools_create(fx.db, &p, &fx.e));
	TX_FAILS(ERR_CONFLICT, pools_extend(fx.db, "macs", 0x200, 0, 0, &fx.e));
	ck_assert_msg(strstr(fx.e.msg, "macs") && strstr(fx.e.msg, "after"), "%s", fx.e.msg);
	TX(pools_extend(fx.db, "after", 0x3ff, 0, 0, &fx.e));
	TX_FAILS(ERR_INVALID, pools_extend(fx.db, "after", 1 << 24, 0, 0, &fx.e));
}
END_TEST

START_TEST(serials_of_two_pools_never_overlap)
{
	struct pool_new p = {.id = "sn",
		.kind = "serial",
		.pattern = "SN{seq:4}",
		.first = 1,
		.last = 1999,
		.check = "none"};

	TX(pools_create(fx.db, &p, &fx.e));
	p.id = "new";
	p.pattern = "SN1{seq:3}";
	p.last = 999;
	overlaps(&p, "sn");
	/* The same text of another kind is another thing. */
	p.kind = "license";
	TX(pools_create(fx.db, &p, &fx.e));
}
END_TEST

static int add(const char *pool, const char *value, json_t **bad)
{
	json_t *values = json_pack("[s, s]", "AC-DE-48-00-00-01", value);

	OK(db_begin(fx.db, &fx.e));

	int r = pools_add_values(fx.db, pool, values, bad, &fx.e);

	if (r < 0)
		db_rollback(fx.db);
	else
		OK(db_commit(fx.db, &fx.e));
	json_decref(values);
	return r;
}

START_TEST(a_list_of_addresses_has_addresses_that_no_pattern_gives)
{
	static const struct pool_new list = {.id = "list", .kind = "mac", .check = "none"};
	static const struct {
		const char *value, *why;
	} bad[] = {
		{"hello", "not a MAC address"},
		{"01:00:5E:00:00:01", "multicast"},
		{"ac:de:48:00:01:80", "pool macs could give it as well as pool list"},
		{"AC:DE:48:00:00:01", "twice in this list, first as number 1"},
	};
	struct pool_new p = macs;

	TX(pools_create(fx.db, &macs, &fx.e));
	TX(pools_create(fx.db, &list, &fx.e));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		json_t *offending = NULL;

		ck_assert_int_eq(add("list", bad[i].value, &offending), -ERR_CONFLICT);
		ck_assert_int_eq(int_at(offending, "0.index"), 1);
		ck_assert_msg(strstr(str_at(offending, "0.reason"), bad[i].why) != NULL, "%s",
			str_at(offending, "0.reason"));
		json_decref(offending);
	}
	ck_assert_int_eq(add("list", "acde48000002", NULL), 0);
	/* The ledger has it in one form, so that no other form of it is another one. */
	json_t *row = NULL, *offending = NULL;

	OK(ledger_get(fx.db, "mac", "AC:DE:48:00:00:02", &row, &fx.e));
	json_decref(row);
	ck_assert_int_eq(add("list", "ac-de-48-00-00-02", &offending), -ERR_CONFLICT);
	ck_assert_str_eq(str_at(offending, "1.reason"), "waits in a pool");
	json_decref(offending);
	p.id = "new";
	p.first = 0;
	p.last = 1;
	overlaps(&p, "list");
}
END_TEST

START_TEST(a_value_of_a_span_stands_for_so_many_addresses)
{
	static const struct ledger_source from = {
		.from = LEDGER_POOL, .kind = "mac", .pool = "macs"};
	struct pool_new p = macs;
	char value[LEDGER_VALUE_SIZE];
	json_t *o = NULL;

	p.span = 4;
	TX(pools_create(fx.db, &p, &fx.e));
	open_run("r1", "A1", NULL);
	TX(ledger_reserve(fx.db, "r1", &from, value, &fx.e));
	ck_assert_str_eq(value, "AC:DE:48:00:01:00");
	open_run("r2", "A2", NULL);
	TX(ledger_reserve(fx.db, "r2", &from, value, &fx.e));
	ck_assert_str_eq(value, "AC:DE:48:00:01:04");
	OK(pools_get(fx.db, "macs", &o, &fx.e));
	ck_assert_int_eq(int_at(o, "next"), 0x108);
	ck_assert_int_eq(int_at(o, "remaining"), 62);
	ck_assert_int_eq(int_at(o, "spent_week"), 2);
	ck_assert_int_eq(int_at(o, "span"), 4);
	ck_assert_str_eq(str_at(o, "block"), "AC:DE:48");
	json_decref(o);
	TX_FAILS(ERR_INVALID, pools_advance(fx.db, "macs", 0x10a, "x", "y", &fx.e));
	TX(pools_advance(fx.db, "macs", 0x1fc, "x", "y", &fx.e));
	open_run("r3", "A3", NULL);
	TX(ledger_reserve(fx.db, "r3", &from, value, &fx.e));
	ck_assert_str_eq(value, "AC:DE:48:00:01:FC");
	open_run("r4", "A4", NULL);
	TX_FAILS(ERR_POOL_EMPTY, ledger_reserve(fx.db, "r4", &from, value, &fx.e));
}
END_TEST

static void run_sql(const char *sql)
{
	OK(db_begin(fx.db, &fx.e));
	ck_assert_msg(db_run(fx.db, &fx.e, sql) >= 0, "%s", fx.e.msg);
	OK(db_commit(fx.db, &fx.e));
}

/* The newest 2000 values count, and of those the ones of a week. */
START_TEST(how_fast_a_pattern_is_used_up_is_that_of_its_last_week)
{
	static const char old[] =
		"INSERT INTO serials (value, kind, pool_id, ordinal, state, reason, reserved_at)"
		" WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9)"
		" SELECT 'O' || i, 'mac', 'macs', i, 'void', 'old', 1000 FROM n";
	static const char fresh[] =
		"INSERT INTO serials (value, kind, pool_id, ordinal, state, reason, reserved_at)"
		" WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2499)"
		" SELECT 'N' || i, 'mac', 'macs', i, 'void', 'new',"
		" unixepoch() * 1000 - 250000 + i * 100 FROM n";
	static const char age[] = "UPDATE pools SET created_at = 1000";
	static const char oldest[] = "SELECT reserved_at FROM serials WHERE value = 'N500'";
	int64_t at, said;
	json_t *o = NULL;

	TX(pools_create(fx.db, &macs, &fx.e));
	run_sql(age);
	run_sql(old);
	OK(pools_get(fx.db, "macs", &o, &fx.e));
	ck_assert_int_eq(int_at(o, "spent_week"), 0);
	json_decref(o);
	run_sql(fresh);
	OK(pools_get(fx.db, "macs", &o, &fx.e));
	ck_assert_int_eq(int_at(o, "spent_week"), 2000);
	ck_assert_int_eq(db_int(fx.db, &fx.e, &at, oldest), 1);
	OK(rfc3339_parse(str_at(o, "spent_since"), &said));
	ck_assert_int_eq(said, at);
	json_decref(o);
}
END_TEST

START_TEST(a_list_that_runs_low_says_so_once)
{
	static const struct pool_new list = {
		.id = "keys", .kind = "license", .check = "none", .low_water = 2};
	static const struct ledger_source from = {
		.from = LEDGER_POOL, .kind = "license", .pool = "keys"};
	struct event_filter f = {.type = "pool-low"};
	json_t *values = json_pack("[s, s, s, s]", "K1", "K2", "K3", "K4");
	char value[LEDGER_VALUE_SIZE];
	struct db_list l;

	TX(pools_create(fx.db, &list, &fx.e));
	TX(pools_add_values(fx.db, "keys", values, NULL, &fx.e));
	json_decref(values);
	for (int i = 0; i < 3; i++) {
		char run[8];

		snprintf(run, sizeof run, "r%d", i);
		open_run(run, "A1", NULL);
		TX(ledger_reserve(fx.db, run, &from, value, &fx.e));
	}
	OK(events_list(fx.db, &f, NULL, &l, &fx.e));
	ck_assert_uint_eq(json_array_size(l.items), 1);
	ck_assert_int_eq(int_at(l.items, "0.data.remaining"), 2);
	json_decref(l.items);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("pools");
	TCase *t = tcase_create("pools");

	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_add_test(t, an_id_is_of_one_pool);
	tcase_add_loop_test(t, a_pool_that_cannot_give_its_kind_is_refused_with_the_reason, 0,
		(int)ARRAY_LEN(refused));
	tcase_add_test(t, addresses_of_two_pools_never_overlap_in_whatever_form);
	tcase_add_test(t, serials_of_two_pools_never_overlap);
	tcase_add_test(t, a_list_of_addresses_has_addresses_that_no_pattern_gives);
	tcase_add_test(t, a_value_of_a_span_stands_for_so_many_addresses);
	tcase_add_test(t, how_fast_a_pattern_is_used_up_is_that_of_its_last_week);
	tcase_add_test(t, a_list_that_runs_low_says_so_once);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
