/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists whose filter no index finds: a page looks at so many rows and no more, and following the cursors gives what one look at all
 * rows would, in order and once.
 */
#include "base/util.h"
#include "db/events.h"
#include "db/ledger.h"
#include "db/runs.h"
#include "db/stmt.h"
#include "tests/unit/db/fixture.h"

#define ROWS (3 * SEL_ROWS + 7)

/* Every row n from 1 on that is a multiple of it is rare. */
#define EVERY 997

static json_t *found;
static int pages, empty;

typedef int page_fn(const struct db_page *page, struct db_list *ret);

static void walk(page_fn *read, const char *key)
{
	char after[128] = "";

	found = json_array();
	pages = empty = 0;
	for (bool more = true; more; pages++) {
		const struct db_page page = {.limit = 2, .after = *after ? after : NULL};
		struct db_list l = {0};
		json_t *o;
		size_t i;

		ck_assert_int_lt(pages, 100);
		OK(read(&page, &l));
		ck_assert_uint_le(json_array_size(l.items), 2);
		empty += json_array_size(l.items) == 0;
		json_array_foreach(l.items, i, o)
			json_array_append(found, json_object_get(o, key));
		more = l.next[0] != 0;
		snprintf(after, sizeof after, "%s", l.next);
		json_decref(l.items);
	}
}

static void assert_found(int64_t first, int64_t step, size_t n)
{
	ck_assert_uint_eq(json_array_size(found), n);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(
			json_integer_value(json_array_get(found, i)), first + (int64_t)i * step);
	found = (json_decref(found), NULL);
}

static struct event_filter events;

static int read_events(const struct db_page *page, struct db_list *ret)
{
	return events_list(fx.db, &events, page, ret, &fx.e);
}

static void make_events(void)
{
	_cleanup_(freep) char *sql = xasprintf(
		"WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < %d)"
		" INSERT INTO events (at, type, station, data) SELECT n, CASE WHEN n %% %d = 0 THEN"
		" 'run-rare' ELSE 'tick' END, CASE WHEN n %% %d = 0 THEN 'A2' ELSE 'A1' END, '{}' FROM n",
		ROWS, EVERY, EVERY);

	OK(db_script(fx.db, "DELETE FROM events; DELETE FROM sqlite_sequence WHERE name = 'events'",
		&fx.e));
	OK(db_script(fx.db, sql, &fx.e));
}

START_TEST(events_of_a_rare_kind_are_all_found_in_order)
{
	make_events();
	for (int i = 0; i < 4; i++) {
		events = (struct event_filter){.type = i == 0	? "run-rare"
						       : i == 1 ? "run-*,none"
						       : i == 2 ? "none,run-rare"
								: NULL,
			.station = i == 3 ? "A2" : NULL};
		walk(read_events, "seq");
		assert_found(EVERY, EVERY, ROWS / EVERY);
	}
	/* A page ends where it has looked enough. */
	events = (struct event_filter){.type = "none"};
	walk(read_events, "seq");
	ck_assert_int_eq(pages, empty);
	ck_assert_int_eq(pages, ROWS / (SEL_ROWS - 1) + 1);
	assert_found(0, 0, 0);
}
END_TEST

START_TEST(what_is_no_type_is_no_text_of_a_statement)
{
	events = (struct event_filter){.type = "x' OR 1 OR type = 'y"};

	struct db_list l;

	FAILS(ERR_INVALID, events_list(fx.db, &events, NULL, &l, &fx.e));
}
END_TEST

static struct run_filter runs;

static int read_runs(const struct db_page *page, struct db_list *ret)
{
	return runs_list(fx.db, &runs, page, ret, &fx.e);
}

/* Run n was attached at n, at one of two stations. */
static void make_runs(void)
{
	_cleanup_(freep) char *sql = xasprintf(
		"WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < %d)"
		" INSERT INTO runs (id, station, kind, state, attached_at) SELECT 'r' || n,"
		" 'A' || (n %% 2), 'production', 'open', n FROM n",
		ROWS);

	OK(db_script(fx.db, sql, &fx.e));
}

START_TEST(runs_of_a_time_long_ago_are_found_after_many_pages)
{
	make_runs();
	runs = (struct run_filter){.from_ms = 2, .to_ms = 9};
	walk(read_runs, "seq");
	ck_assert_int_ge(empty, 2);
	assert_found(8, -1, 7);
	/* With an index the pages go by what it finds: half as many. */
	runs.station = "A1";
	walk(read_runs, "seq");
	ck_assert_int_eq(empty, 1);
	assert_found(7, -2, 3);
}
END_TEST

/* Run n of many, so that each pair of filters finds some and leaves others out. */
#define PAIR_RUNS  AMOUNT(20000, 4000)
#define LITERAL(n) #n
#define TEXT_OF(n) LITERAL(n)

static void make_different_runs(void)
{
	static const char sql[] =
		"WITH RECURSIVE n (n, x) AS (VALUES (1, 7) UNION ALL SELECT n + 1,"
		" (x * 1103515245 + 12345) % 2147483648 FROM n WHERE n < " TEXT_OF(
			PAIR_RUNS) ")"
				   " INSERT INTO runs (id, station, kind, state, attached_at, serial, recipe, outcome, step,"
				   " code, ended_at, deferred) SELECT 'r' || n, 'A' || (x / 65536 % 3), 'production',"
				   " CASE WHEN n % 500 = 3 THEN 'open' ELSE 'finished' END, n, 'S' || (x / 131072 % 3),"
				   " 'rec' || (x / 262144 % 3), CASE WHEN n % 500 <> 3 THEN CASE WHEN x / 524288 % 3 > 0"
				   " THEN 'passed' ELSE 'failed' END END, 'step' || (x / 1048576 % 3),"
				   " 'code' || (x / 2097152 % 3), n, x / 4194304 % 2 FROM n";

	OK(db_script(fx.db, sql, &fx.e));
}

static const struct pair_filter {
	struct run_filter f;
	const char *sql;
} pair_filters[] = {
	{{.station = "A1"}, "station = 'A1'"},
	{{.serial = "S1"}, "serial = 'S1'"},
	{{.outcome = "passed"}, "(outcome = 'passed' AND deferred = 0)"},
	{{.outcome = "provisioned"}, "(outcome = 'passed' AND deferred > 0)"},
	{{.outcome = "failed"}, "outcome = 'failed'"},
	{{.state = "open"}, "state = 'open'"},
	{{.state = "finished"}, "state = 'finished'"},
	{{.recipe = "rec1"}, "recipe = 'rec1'"},
	{{.step = "step1"}, "step = 'step1'"},
	{{.code = "code1"}, "code = 'code1'"},
	{{.from_ms = 9000}, "attached_at >= 9000"},
	{{.to_ms = 3000}, "attached_at < 3000"},
	{{.to_ms = 12000}, "attached_at < 12000"},
};

/* What b says besides a; false where both say the same thing. */
static bool both(const struct run_filter *a, const struct run_filter *b, struct run_filter *ret)
{
	*ret = *a;
	if ((a->outcome && b->outcome) || (a->state && b->state) || (a->to_ms && b->to_ms))
		return false;
	ret->station = b->station ? b->station : ret->station;
	ret->serial = b->serial ? b->serial : ret->serial;
	ret->outcome = b->outcome ? b->outcome : ret->outcome;
	ret->state = b->state ? b->state : ret->state;
	ret->recipe = b->recipe ? b->recipe : ret->recipe;
	ret->step = b->step ? b->step : ret->step;
	ret->code = b->code ? b->code : ret->code;
	ret->from_ms = b->from_ms ? b->from_ms : ret->from_ms;
	ret->to_ms = b->to_ms ? b->to_ms : ret->to_ms;
	return true;
}

/* The numbers in order as one text. */
static void assert_same_runs(const struct run_filter *f, const char *a, const char *b)
{
	_cleanup_(freep) char *sql = xasprintf(
		"SELECT coalesce(group_concat(seq), '') FROM (SELECT seq FROM runs WHERE %s AND %s"
		" ORDER BY seq DESC)",
		a, b);
	static char expected[PAIR_RUNS * 6];
	struct strbuf got = {0};
	char after[128] = "";
	json_t *o;
	size_t i;

	ck_assert_int_eq(db_text(fx.db, &fx.e, expected, sizeof expected, sql), 1);
	for (bool more = true; more;) {
		const struct db_page page = {.limit = 1000, .after = *after ? after : NULL};
		struct db_list l = {0};

		OK(runs_list(fx.db, f, &page, &l, &fx.e));
		json_array_foreach(l.items, i, o)
			sb_addf(&got, "%s%lld", got.len ? "," : "",
				(long long)json_integer_value(json_object_get(o, "seq")));
		more = l.next[0] != 0;
		snprintf(after, sizeof after, "%s", l.next);
		json_decref(l.items);
	}
	ck_assert_msg(!strcmp(expected, got.len ? got.s : ""), "%s AND %s", a, b);
	sb_done(&got);
}

START_TEST(runs_by_each_pair_of_filters_are_those_that_all_rows_give)
{
	const size_t n = ARRAY_LEN(pair_filters);

	make_different_runs();
	for (size_t a = 0; a < n; a++) {
		for (size_t b = 0; b <= a; b++) {
			struct run_filter f = pair_filters[a].f;

			if (a == b || both(&pair_filters[a].f, &pair_filters[b].f, &f))
				assert_same_runs(&f, pair_filters[a].sql, pair_filters[b].sql);
		}
	}
}
END_TEST

static struct ledger_filter numbers;

static int read_numbers(const struct db_page *page, struct db_list *ret)
{
	return ledger_list(fx.db, &numbers, page, ret, &fx.e);
}

START_TEST(numbers_of_a_rare_state)
{
	_cleanup_(freep) char *sql = xasprintf(
		"WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < %d)"
		" INSERT INTO serials (value, kind, state, reason, settled_at) SELECT 'S' || n, 'serial',"
		" 'void', 'x', n FROM n",
		ROWS);

	OK(db_script(fx.db, sql, &fx.e));
	numbers = (struct ledger_filter){.state = "free"};
	walk(read_numbers, "value");
	ck_assert_int_eq(pages, empty);
	assert_found(0, 0, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("lists");
	TCase *t = tcase_create("lists");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_add_test(t, events_of_a_rare_kind_are_all_found_in_order);
	tcase_add_test(t, what_is_no_type_is_no_text_of_a_statement);
	tcase_add_test(t, runs_of_a_time_long_ago_are_found_after_many_pages);
	tcase_add_test(t, runs_by_each_pair_of_filters_are_those_that_all_rows_give);
	tcase_add_test(t, numbers_of_a_rare_state);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
