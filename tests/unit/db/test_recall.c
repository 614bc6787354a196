/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run had a part in leads back to it, whatever is asked for together, and page by page.
 */
#include "db/recall.h"

#include "base/util.h"
#include "db/stmt.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

#define RUNS   120
#define MINUTE 60000LL
#define BEGIN  1700000000000LL

/* Of run i: which artifact, tool and station; who answered. */
static const char *const artifacts[] = {"aa11", "bb22", "cc33"};
static const char *const tools[] = {"openocd 0.12.0", "esptool", NULL};
static const char *const people[] = {"anna", NULL, "berta", NULL, NULL};

static void one_run(int i)
{
	char id[16], station[8], chip[16], unit[DB_ID_SIZE];
	const char *artifact = artifacts[i % 3], *tool = tools[i / 2 % 3], *person = people[i % 5];
	int64_t at = BEGIN + i * MINUTE;
	const struct run_new begin = {.id = id, .station = station, .attached_ms = at};
	json_t *firmware =
		json_pack("{s:{s:s}, s:s}", "artifacts", "app", artifact, "version", "1");
	json_t *evidence = json_pack("{s:s?}", "program", tool ? strtok(strdupa(tool), " ") : NULL);
	const struct run_start start = {
		.run = id, .recipe = "p", .version = 1 + i % 2, .firmware = firmware};
	const struct step_begin step = {
		.run = id, .n = 1, .id = "s", .action = "tool.run", .phase = "steps", .attempt = 1};
	const struct step_end done = {.run = id, .n = 1, .outcome = "passed", .evidence = evidence};
	const struct run_end end = {
		.run = id, .outcome = i % 10 ? "passed" : "failed", .ended_ms = at + MINUTE};

	if (tool && strchr(tool, ' '))
		json_object_set_new(evidence, "version", json_string(strchr(tool, ' ') + 1));
	snprintf(id, sizeof id, "r%d", i);
	snprintf(station, sizeof station, "S%d", i % 4);
	snprintf(chip, sizeof chip, "chip%d", i / 2);
	OK(db_begin(fx.db, &fx.e));
	OK(runs_open(fx.db, &begin, &fx.e));
	OK(runs_start(fx.db, &start, &fx.e));
	OK(units_identify(fx.db, id, chip, NULL, unit, &fx.e));
	OK(runs_step_begin(fx.db, &step, &fx.e));
	OK(runs_step_end(fx.db, &done, &fx.e));
	if (person)
		OK(db_do(fx.db, &fx.e,
			"INSERT INTO prompts (id, run_id, station, kind, text, state, answer, answered_by,"
			" created_at, settled_at) VALUES (?1, ?1, 'S', 'confirm', '?', 'answered', 'yes', ?2, 1, 1)",
			id, person));
	OK(runs_finish(fx.db, &end, &fx.e));
	OK(db_commit(fx.db, &fx.e));
	json_decref(firmware);
	json_decref(evidence);
}

static void setup(void)
{
	fixture_setup();
	for (int i = 0; i < RUNS; i++)
		one_run(i);
}

static bool is_wanted(const struct recall_filter *f, int i)
{
	const char *tool = tools[i / 2 % 3], *person = people[i % 5];
	int64_t ended = BEGIN + (i + 1) * MINUTE;

	return (!f->artifact || !strcmp(f->artifact, artifacts[i % 3])) &&
	       (!f->tool || (tool && !strcmp(f->tool, tool))) &&
	       (!f->answered_by || (person && !strcmp(f->answered_by, person))) &&
	       (!f->station || f->station[1] - '0' == i % 4) &&
	       (!f->version || f->version == 1 + i % 2) &&
	       (!f->outcome || !strcmp(f->outcome, i % 10 ? "passed" : "failed")) &&
	       (!f->from_ms || ended >= f->from_ms) && (!f->to_ms || ended < f->to_ms);
}

/* All pages of 7, newest first, are the runs that are wanted and no other. */
static void assert_recall(const struct recall_filter *f)
{
	char after[128] = "";
	int i = RUNS - 1;

	do {
		struct db_page page = {.limit = 7, .after = after};
		struct db_list list;
		json_t *row;
		size_t k;

		OK(recall_list(fx.db, f, &page, &list, &fx.e));
		json_array_foreach(list.items, k, row) {
			char want[16];

			while (i >= 0 && !is_wanted(f, i))
				i--;
			snprintf(want, sizeof want, "r%d", i--);
			ck_assert_str_eq(str_at(row, "run"), want);
			ck_assert(json_is_string(at(row, "unit")));
		}
		json_decref(list.items);
		snprintf(after, sizeof after, "%s", list.next);
	} while (*after);
	while (i >= 0 && !is_wanted(f, i))
		i--;
	ck_assert_int_lt(i, 0);
}

START_TEST(each_condition_and_all_of_them_together_find_their_runs)
{
	for (int mask = 1; mask < 256; mask++) {
		const struct recall_filter f = {
			.artifact = mask & 1 ? "bb22" : NULL,
			.tool = mask & 2 ? "openocd 0.12.0" : NULL,
			.answered_by = mask & 4 ? "berta" : NULL,
			.station = mask & 8 ? "S2" : NULL,
			.recipe = mask & 16 ? "p" : NULL,
			.version = mask & 16 ? 1 : 0,
			.outcome = mask & 32 ? "failed" : NULL,
			.from_ms = mask & 64 ? BEGIN + 30 * MINUTE : 0,
			.to_ms = mask & 128 ? BEGIN + 90 * MINUTE : 0,
		};
		struct db_page page = {0};
		struct db_list list;

		if (mask == 32)
			FAILS(ERR_INVALID, recall_list(fx.db, &f, &page, &list, &fx.e));
		else
			assert_recall(&f);
	}
}
END_TEST

START_TEST(what_no_run_had_a_part_in_finds_nothing)
{
	const struct recall_filter f[] = {{.artifact = "dd44"}, {.tool = "openocd"},
		{.station = "S9"}, {.artifact = "aa11", .issuer = "factory"},
		{.from_ms = BEGIN + 999 * MINUTE}, {.to_ms = BEGIN}};

	for (size_t i = 0; i < ARRAY_LEN(f); i++) {
		struct db_page page = {0};
		struct db_list list;

		OK(recall_list(fx.db, &f[i], &page, &list, &fx.e));
		ck_assert_msg(json_array_size(list.items) == 0, "%zu", i);
		json_decref(list.items);
	}
}
END_TEST

static void assert_traits(void)
{
	json_t *all = NULL, *tools_seen = NULL;

	OK(recall_traits(fx.db, NULL, &all, &fx.e));
	ck_assert_uint_eq(json_array_size(all), 3 + 2 + 2);
	ck_assert_str_eq(str_at(all, "0.kind"), "artifact");
	ck_assert_int_eq(int_at(all, "0.runs"), RUNS / 3);
	OK(recall_traits(fx.db, "tool", &tools_seen, &fx.e));
	ck_assert_uint_eq(json_array_size(tools_seen), 2);
	ck_assert_str_eq(str_at(tools_seen, "1.value"), "openocd 0.12.0");
	ck_assert_int_eq(int_at(tools_seen, "1.runs"), RUNS / 3);
	json_decref(all);
	json_decref(tools_seen);
}

/* A prompt may wait over a weekend; a clock may have been wrong when a run began. */
START_TEST(a_run_counts_by_its_end_whenever_it_began)
{
	const struct recall_filter f = {
		.station = "W", .from_ms = BEGIN + 9000 * MINUTE, .to_ms = BEGIN + 9010 * MINUTE};
	static const int64_t began[] = {BEGIN, BEGIN + 9005 * MINUTE, BEGIN + 999999 * MINUTE};
	struct db_page page = {0};
	struct db_list list;

	for (size_t i = 0; i < ARRAY_LEN(began); i++) {
		char id[16];
		const struct run_new begin = {.id = id, .station = "W", .attached_ms = began[i]};
		const struct run_end end = {.run = id,
			.outcome = "passed",
			.ended_ms = BEGIN + (9001 + (int64_t)i) * MINUTE};

		snprintf(id, sizeof id, "w%zu", i);
		TX(runs_open(fx.db, &begin, &fx.e));
		TX(runs_finish(fx.db, &end, &fx.e));
	}
	OK(recall_list(fx.db, &f, &page, &list, &fx.e));
	ck_assert_uint_eq(json_array_size(list.items), 3);
	json_decref(list.items);
}
END_TEST

START_TEST(what_can_be_asked_for_is_listed_and_an_upgrade_finds_it)
{
	const struct recall_filter f = {.artifact = "bb22", .answered_by = "anna"};

	assert_traits();
	fixture_before(14);
	fixture_reopen();
	assert_traits();
	assert_recall(&f);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("recall");
	TCase *t = tcase_create("recall");

	tcase_add_checked_fixture(t, setup, fixture_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, each_condition_and_all_of_them_together_find_their_runs);
	tcase_add_test(t, what_no_run_had_a_part_in_finds_nothing);
	tcase_add_test(t, a_run_counts_by_its_end_whenever_it_began);
	tcase_add_test(t, what_can_be_asked_for_is_listed_and_an_upgrade_finds_it);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
