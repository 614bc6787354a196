/* SPDX-License-Identifier: Apache-2.0
 *
 * What reports add up is what the runs say: against counts that are made here, out of the list of what
 * was done, for any window, station, recipe and order of things.
 */
#include "db/rollups.h"

#include "db/integrity.h"
#include "db/reports.h"
#include "db/stmt.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

#define HOUR 3600000LL
#define DAY  (24 * HOUR)

/* --- the parts of a window --- */

START_TEST(the_parts_of_a_window_hold_each_moment_once)
{
	static const int64_t at[] = {0, 1, HOUR - 1, HOUR, HOUR + 1, 23 * HOUR, DAY - 1, DAY,
		DAY + 5 * HOUR + 7, 31 * DAY, 32 * DAY, 32 * DAY + 1, 64 * DAY, 400 * DAY + 3};

	for (size_t i = 0; i < ARRAY_LEN(at); i++)
		for (size_t k = 0; k < ARRAY_LEN(at); k++) {
			struct rollup_range part[ROLLUP_RANGES];
			size_t n = rollup_ranges(at[i], at[k], part);
			int64_t reached = at[i];

			for (size_t p = 0; p < n; p++) {
				ck_assert_int_eq(part[p].from_ms, reached);
				ck_assert_int_lt(part[p].from_ms, part[p].to_ms);
				if (part[p].span_s) {
					ck_assert_int_eq(
						part[p].from_ms % (part[p].span_s * 1000), 0);
					ck_assert_int_eq(
						part[p].to_ms % (part[p].span_s * 1000), 0);
				} else {
					ck_assert_int_lt(part[p].to_ms - part[p].from_ms, 2 * HOUR);
				}
				reached = part[p].to_ms;
			}
			ck_assert_int_eq(reached, MAX(at[i], at[k]));
		}
}
END_TEST

/* --- a year of everything --- */

#define RUNS	 600
#define UNITS	 90
#define STATIONS 3
#define RECIPES	 2
#define FIXTURES 2

static const char *const outcomes[] = {"passed", "failed", "error", "aborted", "interrupted"};

struct done {
	int unit, station, fixture, recipe, version; /* unit -1: never learnt */
	int outcome, step;
	bool golden;
	int64_t ended;
};
static struct done done[RUNS];
static int made;

static unsigned below(unsigned n)
{
	static uint32_t x = 20261130;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x % n;
}

static bool is_counted(const struct done *r)
{
	return !r->golden && r->outcome <= 1;
}

static void one_run(int i)
{
	struct done *r = &done[i];
	char id[16], unit[DB_ID_SIZE], chip[16], station[8], fixture[8], recipe[8], step[8];
	const struct run_start start = {.run = id, .recipe = recipe, .version = r->version};
	const struct run_new begin = {.id = id,
		.station = station,
		.fixture = fixture,
		.kind = r->golden ? "golden" : NULL,
		.attached_ms = MAX(0, r->ended - 20000)};
	const int64_t took = 5000 + i;
	struct run_end end = {.run = id,
		.outcome = outcomes[r->outcome],
		.step = step,
		.code = r->outcome ? "timeout" : NULL,
		.ended_ms = r->ended,
		.duration_ms = &took};

	snprintf(id, sizeof id, "r%d", i);
	snprintf(station, sizeof station, "S%d", r->station);
	snprintf(fixture, sizeof fixture, "F%d", r->fixture);
	snprintf(recipe, sizeof recipe, "p%d", r->recipe);
	snprintf(step, sizeof step, "s%d", r->step);
	snprintf(chip, sizeof chip, "chip%d", r->unit);
	OK(db_begin(fx.db, &fx.e));
	OK(runs_open(fx.db, &begin, &fx.e));
	OK(runs_start(fx.db, &start, &fx.e));
	if (r->unit >= 0)
		OK(units_identify(fx.db, id, chip, NULL, unit, &fx.e));
	OK(runs_finish(fx.db, &end, &fx.e));
	OK(db_commit(fx.db, &fx.e));
}

/* The clock mostly goes on, and sometimes back. */
static void make_runs(int n)
{
	int64_t now = made ? done[made - 1].ended : 20000 * DAY + 5;

	for (int i = made; i < made + n; i++) {
		now += below(4) ? below(HOUR) : below(9) ? below(DAY) : below(40 * DAY);
		if (below(40) == 0)
			now -= below(3 * HOUR);
		done[i] = (struct done){.unit = below(12) ? (int)below(UNITS) : -1,
			.station = (int)below(STATIONS),
			.fixture = (int)below(FIXTURES),
			.recipe = (int)below(RECIPES),
			.version = 1 + (int)below(2),
			.outcome = below(3) ? (int)below(2) : (int)below(5),
			.step = (int)below(4),
			.golden = below(15) == 0,
			.ended = now};
		one_run(i);
	}
	made += n;
}

static void setup(void)
{
	fixture_setup();
	made = 0;
	make_runs(RUNS / 2);
}

/* --- counted here --- */

struct wanted {
	int64_t runs[5], busy, units, first_passed, last_passed, retested;
};

static bool same_unit(int a, int b, bool process)
{
	if (a == b)
		return true;
	return done[a].unit >= 0 && done[a].unit == done[b].unit &&
	       (!process || done[a].recipe == done[b].recipe);
}

static void count_unit(struct wanted *w, int i, bool process)
{
	int last = i;

	for (int k = 0; k < i; k++)
		if (is_counted(&done[k]) && same_unit(i, k, process))
			return;
	for (int k = i; k < made; k++)
		if (is_counted(&done[k]) && same_unit(i, k, process))
			last = k;
	w->units++;
	w->first_passed += done[i].outcome == 0;
	w->last_passed += done[last].outcome == 0;
	w->retested += last != i;
}

static void add_run_of(struct wanted *w, int i, bool process)
{
	w->runs[done[i].outcome]++;
	w->busy += 5000 + i;
	if (is_counted(&done[i]))
		count_unit(w, i, process);
}

static struct wanted count(int64_t from, int64_t to, int station, int recipe, int version)
{
	struct wanted w = {0};

	for (int i = 0; i < made; i++) {
		const struct done *r = &done[i];

		if (r->golden || r->ended < from || r->ended >= to ||
			(station >= 0 && r->station != station) ||
			(recipe >= 0 && r->recipe != recipe) || (version && r->version != version))
			continue;
		add_run_of(&w, i, recipe >= 0);
	}
	return w;
}

static void assert_counts(const struct wanted *w, json_t *o)
{
	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
		char key[32];

		snprintf(key, sizeof key, "runs.%s", outcomes[i]);
		ck_assert_int_eq(int_at(o, key), w->runs[i]);
	}
	ck_assert_int_eq(int_at(o, "busy_ms"), w->busy);
	ck_assert_int_eq(int_at(o, "units"), w->units);
	ck_assert_int_eq(int_at(o, "first_passed"), w->first_passed);
	ck_assert_int_eq(int_at(o, "last_passed"), w->last_passed);
	ck_assert_int_eq(int_at(o, "retested"), w->retested);
}

static void assert_window(int64_t from, int64_t to)
{
	for (int station = -1; station < STATIONS; station++)
		for (int recipe = -1; recipe < RECIPES; recipe++) {
			int version = recipe >= 0 ? (int)below(3) : 0;
			char s[8], p[8];
			const struct yield_filter f = {from, to,
				{.station = station >= 0 ? s : NULL,
					.recipe = recipe >= 0 ? p : NULL,
					.version = version}};
			struct wanted w =
				count(from, to ? to : INT64_MAX, station, recipe, version);
			json_t *got = NULL;

			snprintf(s, sizeof s, "S%d", station);
			snprintf(p, sizeof p, "p%d", recipe);
			OK(reports_yield(fx.db, &f, ROLLUP_ALL, &got, &fx.e));
			assert_counts(&w, got);
			json_decref(got);
		}
}

START_TEST(any_window_says_what_a_recount_says)
{
	int64_t first = done[0].ended, span = done[made - 1].ended - first;

	assert_window(0, 0);
	for (int i = 0; i < 60; i++) {
		int64_t from = first + below((unsigned)(span / 1000)) * 1000LL;
		int64_t to = from + (below(2) ? below(3 * HOUR) : below(60) * DAY + below(DAY));

		if (below(3) == 0)
			from -= from % HOUR;
		if (below(3) == 0)
			to -= to % DAY;
		assert_window(from, to);
		if (i == 30) /* later runs change what earlier units came to */
			make_runs(RUNS / 2);
	}
}
END_TEST

START_TEST(groups_and_trends_say_what_their_windows_say)
{
	const struct yield_filter all = {0};
	const struct rollup_filter none = {0};
	json_t *got = NULL, *group;
	int64_t border[40];
	size_t i, n = 0;

	OK(reports_yield(fx.db, &all, ROLLUP_STATION, &got, &fx.e));
	ck_assert_uint_eq(json_array_size(at(got, "groups")), STATIONS);
	json_array_foreach(at(got, "groups"), i, group) {
		struct wanted w = count(0, INT64_MAX, str_at(group, "station")[1] - '0', -1, 0);

		assert_counts(&w, group);
	}
	json_decref(got);
	OK(reports_yield(fx.db, &all, ROLLUP_FIXTURE, &got, &fx.e));
	ck_assert_uint_eq(json_array_size(at(got, "groups")), FIXTURES);
	json_array_foreach(at(got, "groups"), i, group) {
		const int fixture = str_at(group, "fixture")[1] - '0';
		char name[8];
		const struct yield_filter of = {.of = {.fixture = name}};
		struct wanted w = {0};
		json_t *one = NULL;

		snprintf(name, sizeof name, "F%d", fixture);
		for (int k = 0; k < made; k++)
			if (!done[k].golden && done[k].fixture == fixture)
				add_run_of(&w, k, false);
		assert_counts(&w, group);
		OK(reports_yield(fx.db, &of, ROLLUP_ALL, &one, &fx.e));
		assert_counts(&w, one);
		json_decref(one);
	}
	json_decref(got);
	OK(reports_yield(fx.db, &all, ROLLUP_VERSION, &got, &fx.e));
	ck_assert_uint_eq(json_array_size(at(got, "groups")), RECIPES * 2);
	json_array_foreach(at(got, "groups"), i, group) {
		struct wanted w = count(0, INT64_MAX, -1, str_at(group, "recipe")[1] - '0',
			(int)int_at(group, "version"));

		assert_counts(&w, group);
	}
	json_decref(got);
	for (int64_t t = done[0].ended; n < ARRAY_LEN(border); t += 7 * DAY + 1234567)
		border[n++] = t;
	OK(reports_trend(fx.db, &none, border, n, &got, &fx.e));
	ck_assert_uint_eq(json_array_size(got), n - 1);
	json_array_foreach(got, i, group) {
		struct wanted w = count(border[i], border[i + 1], -1, -1, 0);

		assert_counts(&w, group);
	}
	json_decref(got);
}
END_TEST

static void some_units(const char *station, int good, int bad)
{
	for (int i = 0; i < good + bad; i++) {
		int64_t ended = 90000 * DAY;
		char id[32];
		const struct run_new begin = {.id = id, .station = station, .attached_ms = ended};
		const struct run_end end = {
			.run = id, .outcome = i < good ? "passed" : "failed", .ended_ms = ended};

		snprintf(id, sizeof id, "%s-%d", station, i);
		TX(runs_open(fx.db, &begin, &fx.e));
		TX(runs_finish(fx.db, &end, &fx.e));
	}
}

START_TEST(a_station_that_differs_by_more_than_chance_is_named)
{
	const struct yield_filter f = {.from_ms = 80000 * DAY};
	static const char *const want[] = {"worse", "like-others", "better"};
	json_t *got = NULL;

	some_units("T1", 30, 20);
	some_units("T2", 42, 8);
	some_units("T3", 50, 0);
	OK(reports_yield(fx.db, &f, ROLLUP_STATION, &got, &fx.e));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		json_t *group = json_array_get(at(got, "groups"), i);

		ck_assert_str_eq(str_at(group, "verdict"), want[i]);
	}
	/* R 4.2.2: fisher.test(matrix(c(30, 20, 92, 8), 2)). */
	ck_assert_double_eq_tol(
		json_real_value(at(got, "groups.0.p_value")) / 7.884094987294e-06, 1, 1e-9);
	json_decref(got);
}
END_TEST

START_TEST(causes_say_what_a_recount_says)
{
	const struct yield_filter f = {done[20].ended + 1, done[250].ended + 1, {0}};
	json_t *got = NULL, *row;
	int64_t sum = 0, want = 0;
	size_t i;

	OK(reports_pareto(fx.db, &f, "error", &got, &fx.e));
	json_array_foreach(got, i, row) {
		int64_t n = 0;

		for (int k = 0; k < made; k++)
			n += !done[k].golden && done[k].outcome == 2 &&
			     done[k].ended >= f.from_ms && done[k].ended < f.to_ms &&
			     done[k].step == str_at(row, "step")[1] - '0';
		ck_assert_int_eq(int_at(row, "count"), n);
		sum += n;
	}
	for (int k = 0; k < made; k++)
		want += !done[k].golden && done[k].outcome == 2 && done[k].ended >= f.from_ms &&
			done[k].ended < f.to_ms;
	ck_assert_int_gt(want, 0);
	ck_assert_int_eq(sum, want);
	json_decref(got);
}
END_TEST

/* --- what the check finds, and what an upgrade makes --- */

static const char *said(void)
{
	static char text[ERR_TEXT_BYTES];

	OK(integrity_tables(fx.db, NULL, text, &fx.e));
	return text;
}

START_TEST(a_count_that_does_not_fit_the_runs_is_found)
{
	static const char *const changes[] = {
		"UPDATE rollups SET passed = passed + 1 WHERE span = 3600 AND at ="
		" (SELECT max(at) FROM rollups WHERE span = 3600)",
		"UPDATE rollups SET process_retested = process_retested + 1 WHERE span = 86400",
		"DELETE FROM rollups WHERE span = 2764800 AND station = 'S1'",
		"UPDATE rollup_causes SET n = n + 1 WHERE span = 86400",
		"INSERT INTO rollups SELECT span, at + 999 * 86400000, station, fixture, recipe, version, passed,"
		" failed, error, aborted, interrupted, busy_ms, units, first_passed, last_passed, retested,"
		" process_units, process_first_passed, process_last_passed, process_retested"
		" FROM rollups WHERE span = 3600 LIMIT 1",
	};

	ck_assert_str_eq(said(), "");
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		OK(db_begin(fx.db, &fx.e));
		ck_assert_int_gt(db_run(fx.db, &fx.e, changes[i]), 0);
		ck_assert_msg(strstr(said(), "the counts of the reports") != NULL, "%zu", i);
		db_rollback(fx.db);
	}
	ck_assert_str_eq(said(), "");
}
END_TEST

START_TEST(an_upgrade_counts_the_runs_that_are_there)
{
	fixture_before(13);
	fixture_reopen();
	ck_assert_str_eq(said(), "");
	assert_window(0, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("rollups");
	TCase *ranges = tcase_create("ranges");
	TCase *t = tcase_create("year");

	tcase_add_test(ranges, the_parts_of_a_window_hold_each_moment_once);
	suite_add_tcase(s, ranges);
	tcase_add_checked_fixture(t, setup, fixture_teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, any_window_says_what_a_recount_says);
	tcase_add_test(t, groups_and_trends_say_what_their_windows_say);
	tcase_add_test(t, a_station_that_differs_by_more_than_chance_is_named);
	tcase_add_test(t, causes_say_what_a_recount_says);
	tcase_add_test(t, a_count_that_does_not_fit_the_runs_is_found);
	tcase_add_test(t, an_upgrade_counts_the_runs_that_are_there);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
