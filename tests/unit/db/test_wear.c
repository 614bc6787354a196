/* SPDX-License-Identifier: Apache-2.0
 *
 * Erase cycles of units: what the evidence of each action that erases says of them, and how they add up.
 */
#include "db/wear.h"

#include "db/fixtures.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

/* Evidence as the actions write it; region "": nothing was erased. */
static const struct {
	const char *action, *evidence, *region;
	int64_t erases;
} steps[] = {
	{"serialboot.flash", "{\"address\":134283264,\"attempts\":3,\"chunks\":7,\"bytes\":9}",
		"0x08010000", 3},
	{"serialboot.read", "{\"address\":134283264,\"bytes\":9}", "", 0},
	{"serialboot.erase", "{\"blank_from\":134217728,\"blank_bytes\":4096}", "0x08000000", 1},
	{"stm32.flash",
		"{\"pages_erased\":4,\"attempts\":1,\"image\":{\"segments\":[{\"address\":\"0x08004000\"}]}}",
		"0x08004000", 1},
	{"stm32.flash", "{\"pages_erased\":0,\"attempts\":1,\"pages_equal\":4}", "", 0},
	{"stm32.erase", "{\"blank_from\":\"0x08000000\",\"blank_bytes\":4096}", "0x08000000", 1},
	{"dfu.flash", "{\"pages_erased\":2,\"bytes\":10}", "flash", 1},
	{"gdb.flash", "{\"blocks_erased\":2,\"image\":{\"segments\":[{\"address\":\"0x20\"}]}}",
		"0x00000020", 1},
	{"fastboot.erase", "{\"erased\":\"userdata\",\"proof\":\"acknowledged\"}", "userdata", 1},
	{"console.command", "{\"reply\":\"OK\"}", "", 0},
};

START_TEST(the_evidence_of_each_action_says_what_it_erased)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		json_t *evidence = json_loads(steps[i].evidence, 0, NULL);
		struct wear w = {0};
		bool erased = wear_of_step(steps[i].action, evidence, &w);

		ck_assert_msg(erased == (*steps[i].region != 0), "%zu", i);
		ck_assert_str_eq(w.region, steps[i].region);
		ck_assert_int_eq(w.erases, steps[i].erases);
		json_decref(evidence);
	}
}
END_TEST

static void a_step(
	const char *run, int n, const char *action, const char *evidence, const char *outcome)
{
	json_t *j = json_loads(evidence, 0, NULL);
	const struct step_begin b = {run, n, action, action, "steps", 1, false, 1600};
	const struct step_end end = {.run = run,
		.n = n,
		.outcome = outcome,
		.evidence = j,
		.ended_ms = 1700,
		.duration_us = 100000};

	TX(runs_step_begin(fx.db, &b, &fx.e));
	TX(runs_step_end(fx.db, &end, &fx.e));
	json_decref(j);
}

static void a_run(const char *id, const char *chip, char unit[DB_ID_SIZE], const char *outcome)
{
	open_run(id, "A1", NULL);
	if (chip)
		TX(units_identify(fx.db, id, chip, NULL, unit, &fx.e));
	a_step(id, 1, "serialboot.flash", steps[0].evidence, outcome);
	a_step(id, 2, "fastboot.erase", steps[8].evidence, "passed");
	a_step(id, 3, "console.command", steps[9].evidence, "passed");
	finish_run(id, outcome);
}

START_TEST(erases_add_up_by_unit_and_region_whatever_came_of_the_run)
{
	char one[DB_ID_SIZE], other[DB_ID_SIZE];
	struct fixture_facts facts;
	struct wear w;

	a_run("r1", "chip1", one, "passed");
	a_run("r2", "chip1", one, "failed");
	a_run("r3", "chip2", other, "passed");
	a_run("r4", NULL, NULL, "failed");
	ck_assert_int_eq(wear_worst(fx.db, one, &w, &fx.e), 1);
	ck_assert_str_eq(w.region, "0x08010000");
	ck_assert_int_eq(w.erases, 6);
	ck_assert_int_eq(wear_worst(fx.db, other, &w, &fx.e), 1);
	ck_assert_int_eq(w.erases, 3);
	ck_assert_int_eq(wear_worst(fx.db, "nobody", &w, &fx.e), 0);
	/* What was not recognised and was written to is a unit of its own. */
	OK(fixtures_facts(fx.db, "A1", "A1", 0, &facts, &fx.e));
	ck_assert_int_eq(facts.worn_erases, 3);
	a_run("r5", "chip1", one, "passed");
	OK(fixtures_facts(fx.db, "A1", "A1", 0, &facts, &fx.e));
	ck_assert_int_eq(facts.worn_erases, 9);
	ck_assert_str_eq(facts.worn_region, "0x08010000");
	ck_assert_str_eq(facts.worn_unit, "chip1");
}
END_TEST

START_TEST(flash_does_not_heal)
{
	char unit[DB_ID_SIZE];

	a_run("r1", "chip1", unit, "passed");
	TX_FAILS(ERR_CONFLICT, db_do(fx.db, &fx.e, "UPDATE unit_wear SET erases = 1"));
	TX_FAILS(ERR_CONFLICT, db_do(fx.db, &fx.e, "DELETE FROM unit_wear"));
}
END_TEST

START_TEST(of_a_fixture_and_its_instruments_the_calibration_that_ends_first_counts)
{
	char *const two[] = {(char *)"dmm-7", (char *)"scope-2"};
	struct fixture_facts facts;

	TX(fixtures_calibrated(fx.db, "A1", 5000, "ann", "new", &fx.e));
	TX(fixtures_calibrated(fx.db, "dmm-7", 4000, "ann", "new", &fx.e));
	OK(fixtures_facts(fx.db, "A1", "A1", 0, &facts, &fx.e));
	OK(fixtures_instruments(fx.db, two, 0, &facts, &fx.e));
	ck_assert_int_eq(facts.calibrated_until_ms, 5000);
	ck_assert_str_eq(facts.calibration_of, "");
	OK(fixtures_instruments(fx.db, two, 1, &facts, &fx.e));
	ck_assert_int_eq(facts.calibrated_until_ms, 4000);
	ck_assert_str_eq(facts.calibration_of, "dmm-7");
	OK(fixtures_instruments(fx.db, two, 2, &facts, &fx.e)); /* the scope never was */
	ck_assert_int_eq(facts.calibrated_until_ms, 0);
	ck_assert_str_eq(facts.calibration_of, "scope-2");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("wear");
	TCase *t = tcase_create("wear");

	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_add_test(t, the_evidence_of_each_action_says_what_it_erased);
	tcase_add_test(t, erases_add_up_by_unit_and_region_whatever_came_of_the_run);
	tcase_add_test(t, flash_does_not_heal);
	tcase_add_test(t, of_a_fixture_and_its_instruments_the_calibration_that_ends_first_counts);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
