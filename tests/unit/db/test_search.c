/* SPDX-License-Identifier: Apache-2.0
 *
 * A text leads to what it names, in whichever form it was typed, and never by reading a table.
 */
#include "db/search.h"

#include "base/util.h"
#include "db/stmt.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

static char unit_id[DB_ID_SIZE];

/* r1 is of a unit with an address; r2 tried a serial number and never learnt its unit. */
static void setup(void)
{
	fixture_setup();
	OK(db_begin(fx.db, &fx.e));
	OK(runs_open(
		fx.db, &(struct run_new){.id = "r1", .station = "A1", .attached_ms = 1000}, &fx.e));
	OK(runs_open(
		fx.db, &(struct run_new){.id = "r2", .station = "A2", .attached_ms = 2000}, &fx.e));
	OK(units_identify(fx.db, "r1", "0123ABCD", NULL, unit_id, &fx.e));
	OK(db_do(fx.db, &fx.e, "UPDATE units SET serial = 'SN-1a' WHERE id = ?", unit_id));
	OK(db_do(fx.db, &fx.e, "UPDATE runs SET serial = 'SN-2' WHERE id = 'r2'"));
	OK(db_do(fx.db, &fx.e,
		"INSERT INTO serials (value, kind, slot, state, run_id, unit_id) VALUES"
		" ('AC:DE:48:00:12:3F', 'mac', 'eth0', 'committed', 'r1', ?1),"
		" ('AC-DE-48-00-12-40', 'mac', 'eth1', 'reserved', 'r2', NULL),"
		" ('SECRET-KEY', 'license', '', 'committed', 'r1', ?1)",
		unit_id));
	OK(db_do(fx.db, &fx.e,
		"INSERT INTO jobs (id, recipe, version, recipe_sha256, quantity, state, affinity, params, serial_source,"
		" external_ref, created_by, created_at, updated_at) VALUES ('j1', 'p', 1, 'x', 1, 'queued', '[]', '{}', '{}',"
		" 'WO-4711', 'mes', 1, 1)"));
	OK(db_do(fx.db, &fx.e,
		"INSERT INTO jobs (id, recipe, version, recipe_sha256, quantity, state, affinity, params, serial_source,"
		" number, created_by, created_at, updated_at) VALUES ('j2', 'p', 1, 'x', 1, 'queued', '[]', '{}', '{}',"
		" 'PO-12', 'mes', 1, 1)"));
	OK(db_commit(fx.db, &fx.e));
}

static void leads_to(const char *text, const char *kind, const char *id)
{
	json_t *found = NULL, *one;

	OK(search_text(fx.db, text, &found, &fx.e));
	ck_assert_msg(json_array_size(found) == 1, "%s: %zu found", text, json_array_size(found));
	one = json_array_get(found, 0);
	ck_assert_str_eq(json_string_value(json_object_get(one, "kind")), kind);
	ck_assert_str_eq(json_string_value(json_object_get(one, "id")), id);
	json_decref(found);
}

START_TEST(a_unit_is_found_by_all_that_names_it)
{
	leads_to(unit_id, "unit", unit_id);
	leads_to("SN-1a", "unit", unit_id);
	leads_to("0123ABCD", "unit", unit_id);
	leads_to("0123abcd", "unit", unit_id);
	leads_to("AC:DE:48:00:12:3F", "unit", unit_id);
	leads_to("ac:de:48:00:12:3f", "unit", unit_id);
	leads_to("ac-de-48-00-12-3f", "unit", unit_id);
	leads_to("acde4800123f", "unit", unit_id);
}
END_TEST

START_TEST(an_order_and_a_run_are_found)
{
	leads_to("wo-4711", "job", "j1");
	leads_to("j1", "job", "j1");
	leads_to("po-12", "job", "j2");
	leads_to("r1", "run", "r1");
	leads_to("SN-2", "run", "r2");
	leads_to("acde48001240", "run", "r2");
}
END_TEST

START_TEST(what_nobody_knows_is_nothing_and_a_key_is_not_looked_up)
{
	static const char *const texts[] = {"SN-3", "AC:DE:48:00:12:41", "SECRET-KEY", "%", "sn"};
	char long_text[SEARCH_MAX + 2];
	json_t *found = NULL;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		OK(search_text(fx.db, texts[i], &found, &fx.e));
		ck_assert_msg(json_array_size(found) == 0, "%s is found", texts[i]);
		json_decref(found);
	}
	memset(long_text, 'a', sizeof long_text);
	long_text[sizeof long_text - 1] = 0;
	FAILS(ERR_INVALID, search_text(fx.db, long_text, &found, &fx.e));
	FAILS(ERR_INVALID, search_text(fx.db, "", &found, &fx.e));
}
END_TEST

START_TEST(no_table_is_read_from_its_beginning)
{
	struct step {
		char detail[256];
	} step;
	static const struct column columns[] = {COL(struct step, detail), {0}};

	for (const struct select *const *s = search_selects; *s; s++) {
		_cleanup_(freep) char *sql = xasprintf("EXPLAIN QUERY PLAN %s", (*s)->sql);
		const struct select plan = {sql, columns};
		_cleanup_(query_done) struct query q = {0};
		int r = select_begin(&q, fx.db, &fx.e, &plan, "x");
		size_t steps = 0;

		ck_assert_int_eq(r, 0);
		for (; (r = select_next(&q, &step, &fx.e)) > 0; steps++)
			ck_assert_msg(
				!strstr(step.detail, "SCAN"), "%s: %s", (*s)->sql, step.detail);
		ck_assert_uint_gt(steps, 0);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("search");
	TCase *t = tcase_create("search");

	tcase_add_checked_fixture(t, setup, fixture_teardown);
	tcase_add_test(t, a_unit_is_found_by_all_that_names_it);
	tcase_add_test(t, an_order_and_a_run_are_found);
	tcase_add_test(t, what_nobody_knows_is_nothing_and_a_key_is_not_looked_up);
	tcase_add_test(t, no_table_is_read_from_its_beginning);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
