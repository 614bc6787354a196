/* SPDX-License-Identifier: Apache-2.0
 *
 * Promise 3: a value is used once. Each rule by itself, then a random walk that holds the whole
 * ledger against a model of what was given out.
 */
#include "db/ledger.h"

#include "db/events.h"
#include "db/jobs.h"
#include "db/pools.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

static char value[LEDGER_VALUE_SIZE];

static const struct ledger_source from_pool = {
	.from = LEDGER_POOL, .kind = "serial", .pool = "sn", .model = "T200"};

static struct ledger_source scanned(const char *v)
{
	return (struct ledger_source){.from = LEDGER_SCAN, .kind = "serial", .value = v};
}

static void make_pool(int64_t first, int64_t last)
{
	struct pool_new p = {
		.id = "sn",
		.kind = "serial",
		.pattern = "SN{seq:04}",
		.first = first,
		.last = last,
		.check = "none",
		.low_water = 1,
	};

	TX(pools_create(fx.db, &p, &fx.e));
}

static int make_job(const char *id, const char *const *serials, size_t n, json_t **offending)
{
	json_t *list = json_array();
	struct job_new j = {
		.id = id,
		.recipe = "thermo",
		.version = 1,
		.recipe_sha256 = "0000",
		.quantity = (int64_t)n,
		.serials = list,
		.created_by = "mes",
	};

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(serials[i]));
	OK(db_begin(fx.db, &fx.e));

	int r = jobs_create(fx.db, &j, offending, &fx.e);

	if (r < 0)
		db_rollback(fx.db);
	else
		OK(db_commit(fx.db, &fx.e));
	json_decref(list);
	return r;
}

static int events_of(const char *type)
{
	struct event_filter f = {.type = type};
	struct db_list l;

	OK(events_list(fx.db, &f, NULL, &l, &fx.e));

	int n = (int)json_array_size(l.items);

	json_decref(l.items);
	return n;
}

static void assert_unit(const char *serial, const char *state)
{
	json_t *u = NULL;

	OK(units_get(fx.db, serial, &u, &fx.e));
	ck_assert_str_eq(str_at(u, "state"), state);
	json_decref(u);
}

START_TEST(a_run_keeps_the_value_it_was_given)
{
	make_pool(1, 9);
	open_run("r1", "A1", NULL);
	TX(ledger_reserve(fx.db, "r1", &from_pool, value, &fx.e));
	ck_assert_str_eq(value, "SN0001");
	TX(ledger_reserve(fx.db, "r1", &from_pool, value, &fx.e));
	ck_assert_str_eq(value, "SN0001");
	open_run("r2", "A2", NULL);
	TX(ledger_reserve(fx.db, "r2", &from_pool, value, &fx.e));
	ck_assert_str_eq(value, "SN0002");
	ck_assert_int_eq(events_of("serial-reserved"), 2);
}
END_TEST

static const struct {
	const char *outcome;
	bool exposed;
	const char *state, *unit;
} settles[] = {
	{"passed", true, "committed", "passed"},
	{"passed", false, "committed", "passed"},
	{"failed", true, "committed", "failed"},
	{"error", true, "committed", "suspect"},
	{"aborted", true, "committed", "suspect"},
	{"interrupted", true, "committed", "suspect"},
	{"failed", false, "void", NULL},
	{"error", false, "void", NULL},
	{"aborted", false, "void", NULL},
	{"interrupted", false, "void", NULL},
};

START_TEST(a_pool_value_is_committed_if_it_may_be_on_the_device_else_void)
{
	json_t *row = NULL;

	make_pool(1, 9);
	open_run("r1", "A1", NULL);
	TX(ledger_reserve(fx.db, "r1", &from_pool, value, &fx.e));
	if (settles[_i].exposed)
		TX(ledger_expose(fx.db, "r1", &fx.e));
	finish_run("r1", settles[_i].outcome);
	assert_ledger("SN0001", settles[_i].state);
	OK(ledger_get(fx.db, "serial", "SN0001", &row, &fx.e));
	ck_assert_str_eq(str_at(row, "reason"), "because");
	json_decref(row);
	if (settles[_i].unit)
		assert_unit("SN0001", settles[_i].unit);
	else
		FAILS(ERR_NOT_FOUND, units_get(fx.db, "SN0001", &row, &fx.e));

	/* Whatever came of it, the next run gets the next value. */
	open_run("r2", "A1", NULL);
	TX(ledger_reserve(fx.db, "r2", &from_pool, value, &fx.e));
	ck_assert_str_eq(value, "SN0002");
}
END_TEST

START_TEST(given_values_go_back_when_they_never_left)
{
	static const char *const list[] = {"J1", "J2"};
	struct ledger_source job = {.from = LEDGER_JOB, .kind = "serial"};
	struct ledger_source scan = scanned("LABEL1");

	ck_assert_int_eq(make_job("job", list, 2, NULL), 0);
	open_run("r1", "A1", "job");
	TX(ledger_reserve(fx.db, "r1", &job, value, &fx.e));
	ck_assert_str_eq(value, "J1");
	finish_run("r1", "error");
	assert_ledger("J1", "free");
	ck_assert_int_eq(events_of("serial-released"), 1);
	open_run("r2", "A1", "job");
	TX(ledger_reserve(fx.db, "r2", &job, value, &fx.e));
	ck_assert_str_eq(value, "J1");
	open_run("r3", "A2", NULL);
	TX(ledger_reserve(fx.db, "r3", &scan, value, &fx.e));
	finish_run("r3", "aborted");
	assert_ledger("LABEL1", "free");
	open_run("r4", "A2", NULL);
	TX(ledger_reserve(fx.db, "r4", &scan, value, &fx.e));
	finish_run("r4", "passed");
	assert_ledger("LABEL1", "committed");
}
END_TEST

START_TEST(an_empty_pool_says_so_and_can_be_extended)
{
	json_t *p = NULL;

	make_pool(9, 10);
	for (int i = 0; i < 2; i++) {
		char run[8];

		snprintf(run, sizeof run, "r%d", i);
		open_run(run, "A1", NULL);
		TX(ledger_reserve(fx.db, run, &from_pool, value, &fx.e));
		finish_run(run, "passed");
	}
	ck_assert_int_eq(events_of("pool-low"), 1);
	open_run("r9", "A1", NULL);
	TX_FAILS(ERR_POOL_EMPTY, ledger_reserve(fx.db, "r9", &from_pool, value, &fx.e));
	TX_FAILS(ERR_PRECONDITION, pools_extend(fx.db, "sn", 20, 1, 7, &fx.e));
	TX_FAILS(ERR_INVALID, pools_extend(fx.db, "sn", 5, 1, 0, &fx.e));
	TX_FAILS(ERR_INVALID, pools_extend(fx.db, "sn", 10000, 1, 0, &fx.e)); /* width 4 */
	TX(pools_extend(fx.db, "sn", 20, 1, 1, &fx.e));
	OK(pools_get(fx.db, "sn", &p, &fx.e));
	ck_assert_int_eq(int_at(p, "remaining"), 10);
	json_decref(p);
	TX(ledger_reserve(fx.db, "r9", &from_pool, value, &fx.e));
	ck_assert_str_eq(value, "SN0011");
}
END_TEST

START_TEST(a_list_with_bad_values_is_refused_whole_and_each_is_named)
{
	static const char *const first[] = {"A", "B"};
	static const char *const second[] = {"C", "A", "C", "with space", "U"};
	struct ledger_source scan = scanned("U");
	json_t *bad = NULL;
	json_t *row = NULL;

	open_run("r1", "A1", NULL);
	TX(ledger_reserve(fx.db, "r1", &scan, value, &fx.e));
	finish_run("r1", "passed");
	ck_assert_int_eq(make_job("j1", first, 2, NULL), 0);
	ck_assert_int_eq(make_job("j2", second, 5, &bad), -ERR_CONFLICT);
	ck_assert_uint_eq(json_array_size(bad), 4);
	ck_assert_str_eq(str_at(bad, "0.value"), "A");
	ck_assert_str_eq(str_at(bad, "0.reason"), "waits in the list of another job");
	ck_assert_str_eq(str_at(bad, "1.reason"), "twice in this list, first as number 1");
	ck_assert_int_eq(int_at(bad, "1.index"), 2);
	ck_assert_str_eq(str_at(bad, "2.reason"), "not printable, or with a space");
	ck_assert_str_eq(str_at(bad, "3.reason"), "used by a unit");
	json_decref(bad);
	FAILS(ERR_NOT_FOUND, ledger_get(fx.db, "serial", "C", &row, &fx.e));
	FAILS(ERR_NOT_FOUND, jobs_get(fx.db, "j2", &row, &fx.e));

	/* What a cancelled job never used may be ordered again. */
	TX(jobs_act(fx.db, "j1", JOB_CANCEL, &(struct job_word){.by = "mes"}, &fx.e));
	ck_assert_int_eq(make_job("j3", first, 2, NULL), 0);
}
END_TEST

START_TEST(a_scanned_serial_is_refused_unless_it_is_rework)
{
	struct ledger_source scan = scanned("S1");
	json_t *run = NULL;

	open_run("r1", "A1", NULL);
	TX(ledger_reserve(fx.db, "r1", &scan, value, &fx.e));
	TX(ledger_expose(fx.db, "r1", &fx.e));
	open_run("r2", "A2", NULL);
	TX_FAILS(ERR_SERIAL_CONFLICT, ledger_reserve(fx.db, "r2", &scan, value, &fx.e));
	finish_run("r1", "failed");
	assert_unit("S1", "failed");

	/* Rework: the same unit, the same serial, a second run, and not in two fixtures. */
	TX(ledger_reserve(fx.db, "r2", &scan, value, &fx.e));
	ck_assert_str_eq(value, "S1");
	open_run("r3", "A3", NULL);
	TX_FAILS(ERR_SERIAL_CONFLICT, ledger_reserve(fx.db, "r3", &scan, value, &fx.e));
	finish_run("r2", "passed");
	assert_unit("S1", "passed");
	OK(runs_get(fx.db, "r2", &run, &fx.e));

	json_t *unit = NULL;

	OK(units_get(fx.db, "S1", &unit, &fx.e));
	ck_assert_str_eq(str_at(run, "unit"), str_at(unit, "id"));
	json_decref(unit);
	json_decref(run);

	/* It passed: the next one with that label is another unit. */
	TX_FAILS(ERR_SERIAL_CONFLICT, ledger_reserve(fx.db, "r3", &scan, value, &fx.e));
}
END_TEST

START_TEST(a_known_chip_keeps_its_serial_and_another_chip_cannot_take_it)
{
	struct ledger_source scan = scanned("SN0001");
	char unit[DB_ID_SIZE];
	char again[DB_ID_SIZE];

	make_pool(1, 9);
	open_run("r1", "A1", NULL);
	TX(units_identify(fx.db, "r1", "chip-a", "T200", unit, &fx.e));
	TX(ledger_reserve(fx.db, "r1", &from_pool, value, &fx.e));
	TX(ledger_expose(fx.db, "r1", &fx.e));
	TX_FAILS(ERR_WRONG_DEVICE, units_identify(fx.db, "r1", "chip-b", "T200", again, &fx.e));
	finish_run("r1", "failed");
	open_run("r2", "A1", NULL);
	TX(units_identify(fx.db, "r2", "chip-a", "T200", again, &fx.e));
	ck_assert_str_eq(unit, again);
	TX(ledger_reserve(fx.db, "r2", &from_pool, value, &fx.e));
	ck_assert_str_eq(value, "SN0001");
	finish_run("r2", "error");
	assert_unit("SN0001", "failed"); /* nothing was sent: as it was */
	open_run("r3", "A1", NULL);
	TX(units_identify(fx.db, "r3", "chip-c", "T200", again, &fx.e));
	TX_FAILS(ERR_SERIAL_CONFLICT, ledger_reserve(fx.db, "r3", &scan, value, &fx.e));
}
END_TEST

START_TEST(what_the_device_carries_is_exposed_from_the_start)
{
	struct ledger_source dev = {.from = LEDGER_DEVICE, .kind = "serial", .value = "D1"};

	open_run("r1", "A1", NULL);
	TX(ledger_reserve(fx.db, "r1", &dev, value, &fx.e));
	finish_run("r1", "error");
	assert_ledger("D1", "committed");
	assert_unit("D1", "suspect");
}
END_TEST

START_TEST(a_pool_passes_over_what_was_scanned_before)
{
	struct ledger_source scan = scanned("SN0001");

	make_pool(1, 9);
	open_run("r1", "A1", NULL);
	TX(ledger_reserve(fx.db, "r1", &scan, value, &fx.e));
	finish_run("r1", "passed");
	open_run("r2", "A1", NULL);
	TX(ledger_reserve(fx.db, "r2", &from_pool, value, &fx.e));
	ck_assert_str_eq(value, "SN0002");
	ck_assert_int_eq(events_of("serial-skipped"), 1);
}
END_TEST

START_TEST(macs_and_licenses_are_values_of_the_run_too)
{
	struct pool_new macs = {.id = "macs",
		.kind = "mac",
		.pattern = "{mac}",
		.first = 0xacde48000000,
		.last = 0xacde480000ff,
		.check = "none"};
	struct pool_new keys = {.id = "keys", .kind = "license", .check = "none"};
	struct ledger_source eth = {
		.from = LEDGER_POOL, .kind = "mac", .pool = "macs", .slot = "eth0"};
	struct ledger_source wifi = {
		.from = LEDGER_POOL, .kind = "mac", .pool = "macs", .slot = "wifi"};
	struct ledger_source key = {.from = LEDGER_POOL, .kind = "license", .pool = "keys"};
	json_t *values = json_pack("[s, s]", "KEY-1", "KEY-2");

	TX(pools_create(fx.db, &macs, &fx.e));
	TX(pools_create(fx.db, &keys, &fx.e));
	TX(pools_add_values(fx.db, "keys", values, NULL, &fx.e));
	json_decref(values);
	open_run("r1", "A1", NULL);
	TX(ledger_reserve(fx.db, "r1", &eth, value, &fx.e));
	ck_assert_str_eq(value, "AC:DE:48:00:00:00");
	TX(ledger_reserve(fx.db, "r1", &wifi, value, &fx.e));
	ck_assert_str_eq(value, "AC:DE:48:00:00:01");
	TX(ledger_reserve(fx.db, "r1", &key, value, &fx.e));
	ck_assert_str_eq(value, "KEY-1");
	finish_run("r1", "error");

	char s[128];

	ck_assert_str_eq(ledger_state("mac", "AC:DE:48:00:00:00", s), "void");
	ck_assert_str_eq(ledger_state("license", "KEY-1", s), "free"); /* bought, never sent */
}
END_TEST

START_TEST(the_schema_itself_refuses_to_free_a_used_value)
{
	make_pool(1, 9);
	open_run("r1", "A1", NULL);
	TX(ledger_reserve(fx.db, "r1", &from_pool, value, &fx.e));
	finish_run("r1", "passed");
	TX_FAILS(ERR_CONFLICT, ledger_reserve(fx.db, "r1", &from_pool, value, &fx.e));
	TX_FAILS(ERR_CONFLICT, ledger_expose(fx.db, "r1", &fx.e));
}
END_TEST

#define RUNS 400

/* What the walk knows of each run. */
struct walk_run {
	char id[16];
	char value[LEDGER_VALUE_SIZE];
	bool exposed;
	bool open;
};

static unsigned seed;

static unsigned dice(unsigned n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static void reserve_for(struct walk_run *r, int n)
{
	static const struct ledger_source job = {.from = LEDGER_JOB, .kind = "serial"};
	char label[16];

	snprintf(label, sizeof label, "L%03u", dice(50));

	struct ledger_source scan = scanned(label);
	const struct ledger_source *s = dice(3) == 0 ? &scan : dice(2) ? &from_pool : &job;

	OK(db_begin(fx.db, &fx.e));

	int k = ledger_reserve(fx.db, r->id, s, r->value, &fx.e);

	if (k == 0) {
		OK(db_commit(fx.db, &fx.e));
		return;
	}
	db_rollback(fx.db);
	r->value[0] = 0;
	ck_assert_msg(k == -ERR_SERIAL_CONFLICT || k == -ERR_POOL_EMPTY, "run %d: %s", n, fx.e.msg);
}

/* Whether it left: the order may have no more to give out. */
static bool expose_for(const struct walk_run *r, int n)
{
	OK(db_begin(fx.db, &fx.e));

	int k = ledger_expose(fx.db, r->id, &fx.e);

	if (k == 0) {
		OK(db_commit(fx.db, &fx.e));
		return true;
	}
	db_rollback(fx.db);
	ck_assert_msg(k == -ERR_QUOTA, "run %d: %s", n, fx.e.msg);
	return false;
}

/* Ends the run by an outcome, or by a crash (half of the time it is the whole line). */
static void end_run(struct walk_run *all, int n, int k)
{
	static const char *const outcomes[] = {"passed", "failed", "error", "aborted"};

	if (dice(4) > 0) {
		finish_run(all[k].id, outcomes[dice(4)]);
		all[k].open = false;
		return;
	}

	int64_t recovered;

	fixture_reopen();
	TX(runs_recover(fx.db, &recovered, &fx.e));
	for (int i = 0; i <= n; i++)
		all[i].open = false;
	TX(runs_recover(fx.db, &recovered, &fx.e));
	ck_assert_int_eq(recovered, 0);
}

/* Every value: at most one unit ever, an end with a reason, and never free once it was sent. */
static void check_walk(const struct walk_run *all, int n)
{
	struct ledger_filter f = {0};
	struct db_page page = {.limit = 1000};
	struct db_list l;
	size_t i;
	json_t *row;

	OK(ledger_list(fx.db, &f, &page, &l, &fx.e));
	json_array_foreach(l.items, i, row) {
		const char *state = str_at(row, "state");
		const char *v = str_at(row, "value");
		bool sent = false;

		for (int k = 0; k < n; k++)
			sent |= all[k].exposed && !strcmp(all[k].value, v);
		ck_assert_msg(strcmp(state, "reserved") != 0, "%s is still reserved", v);
		ck_assert_msg(!sent || !strcmp(state, "committed"), "%s was sent, is %s", v, state);
		if (!strcmp(state, "void") || !strcmp(state, "committed"))
			ck_assert_msg(json_is_string(at(row, "reason")), "%s has no reason", v);
		if (!strcmp(state, "committed"))
			ck_assert(json_is_string(at(row, "unit")));
	}
	json_decref(l.items);
	for (int a = 0; a < n; a++)
		for (int b = a + 1; b < n; b++)
			if (!strncmp(all[a].value, "SN", 2))
				ck_assert_msg(strcmp(all[a].value, all[b].value) != 0,
					"%s was made twice", all[a].value);
}

START_TEST(no_value_is_used_twice_or_lost_whatever_happens)
{
	static struct walk_run all[RUNS];
	static const char *const list[] = {"J1", "J2", "J3", "J4", "J5", "J6", "J7", "J8"};

	seed = 77 + (unsigned)_i;
	make_pool(1, 9999);
	ck_assert_int_eq(make_job("job", list, 8, NULL), 0);
	for (int n = 0; n < RUNS; n++) {
		struct walk_run *r = &all[n];

		*r = (struct walk_run){.open = true};
		snprintf(r->id, sizeof r->id, "run%d", n);
		open_run(r->id, "A1", "job");
		if (dice(10) > 0)
			reserve_for(r, n);
		if (r->value[0] && dice(2)) {
			r->exposed = expose_for(r, n);
		}
		for (int back = 0; back < 3; back++) {
			int k = (int)dice((unsigned)n + 1);

			if (all[k].open)
				end_run(all, n, k);
			if (!all[n].open)
				break;
		}
	}

	int64_t rest;

	TX(runs_recover(fx.db, &rest, &fx.e));
	check_walk(all, RUNS);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ledger");
	TCase *t = tcase_create("ledger");

	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_run_keeps_the_value_it_was_given);
	tcase_add_loop_test(t, a_pool_value_is_committed_if_it_may_be_on_the_device_else_void, 0,
		ARRAY_LEN(settles));
	tcase_add_test(t, given_values_go_back_when_they_never_left);
	tcase_add_test(t, an_empty_pool_says_so_and_can_be_extended);
	tcase_add_test(t, a_list_with_bad_values_is_refused_whole_and_each_is_named);
	tcase_add_test(t, a_scanned_serial_is_refused_unless_it_is_rework);
	tcase_add_test(t, a_known_chip_keeps_its_serial_and_another_chip_cannot_take_it);
	tcase_add_test(t, what_the_device_carries_is_exposed_from_the_start);
	tcase_add_test(t, a_pool_passes_over_what_was_scanned_before);
	tcase_add_test(t, macs_and_licenses_are_values_of_the_run_too);
	tcase_add_test(t, the_schema_itself_refuses_to_free_a_used_value);
	tcase_add_loop_test(t, no_value_is_used_twice_or_lost_whatever_happens, 0, AMOUNT(3, 1));
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
