/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal of what cannot be undone: which intent a later run finds, and what becomes of it.
 */
#include "base/digest.h"
#include "db/integrity.h"
#include "db/journal.h"
#include "db/stmt.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

static char digest[SHA256_HEX];
static struct journal_open open_row;
static bool for_good;
static const char *value = "x";

static int intends_in(const char *run, int64_t step_n, const char *station, const char *unit,
	enum journal_seen seen)
{
	const struct journal_intent i = {
		.run = run,
		.step_n = step_n,
		.station = station,
		.action = "fuse.burn",
		.unit = unit,
		.what = "fuse 3",
		.digest = sha256_hex_of(value, 1, digest),
		.for_good = for_good,
		.seen = seen,
		.observed = "as seen",
	};

	return journal_intend(fx.db, &i, &open_row, &fx.e);
}

static int intends(const char *run, const char *station, const char *unit, enum journal_seen seen)
{
	return intends_in(run, 1, station, unit, seen);
}

/* "state/observed/settled_by" of the intent of a run, "" where it has none. */
static const char *row_of(const char *run)
{
	static const char sql[] = "SELECT state || '/' || coalesce(observed, '') || '/' ||"
				  " coalesce(settled_by, '') FROM intents WHERE run_id = ?";
	static char text[256];

	text[0] = '\0';
	ck_assert_int_ge(db_text(fx.db, &fx.e, text, sizeof text, sql, run), 0);
	return text;
}

/* A run that intended, and was cut off: by the crash of provd that is found at its next start. */
static void cut_off(const char *run, const char *station, const char *unit)
{
	int64_t n;

	open_run(run, station, NULL);
	TX(intends(run, station, unit, JOURNAL_NOT_DONE));
	ck_assert_str_eq(open_row.run, "");
	fixture_reopen();
	TX(runs_recover(fx.db, &n, &fx.e));
	ck_assert_str_eq(row_of(run), "intent//");
}

START_TEST(an_act_that_passes_is_committed_and_nothing_of_it_is_open)
{
	open_run("a", "A1", NULL);
	TX(intends("a", "A1", "SN1", JOURNAL_CANNOT_TELL));
	ck_assert_str_eq(row_of("a"), "intent//");
	TX(journal_commit(fx.db, "a", 1, "{}", &fx.e));
	ck_assert_str_eq(row_of("a"), "committed/{}/a");
	TX_FAILS(ERR_NOT_FOUND, journal_commit(fx.db, "a", 1, "{}", &fx.e));
	TX_FAILS(ERR_NOT_FOUND, journal_commit(fx.db, "a", 2, "{}", &fx.e));
	open_run("b", "A1", NULL);
	TX(intends("b", "A1", "SN1", JOURNAL_CANNOT_TELL));
	ck_assert_str_eq(open_row.run, "");
	ck_assert_str_eq(row_of("b"), "intent//");
}
END_TEST

START_TEST(what_the_device_shows_settles_the_intent_of_a_crash)
{
	cut_off("a", "A1", "SN1");
	open_run("b", "A2", NULL);
	TX(intends("b", "A2", "SN1", JOURNAL_DONE));
	ck_assert_str_eq(open_row.run, "a");
	ck_assert_str_eq(row_of("a"), "committed/as seen/b");
	ck_assert_str_eq(row_of("b"), "");
	cut_off("c", "A1", "SN2");
	open_run("d", "A1", NULL);
	TX(intends("d", "A1", "SN2", JOURNAL_NOT_DONE));
	ck_assert_str_eq(open_row.run, "c");
	ck_assert_str_eq(row_of("c"), "void/as seen/d");
	ck_assert_str_eq(row_of("d"), "intent//");
}
END_TEST

START_TEST(what_is_committed_for_good_is_found_again_and_not_intended)
{
	open_run("a", "A1", NULL);
	TX(intends("a", "A1", "SN1", JOURNAL_NOT_DONE));
	TX(journal_commit(fx.db, "a", 1, "{}", &fx.e));
	for_good = true;
	open_run("b", "A2", NULL);
	TX(intends("b", "A2", "SN1", JOURNAL_CANNOT_TELL));
	ck_assert_str_eq(open_row.run, "a");
	ck_assert(open_row.committed && !open_row.other);
	ck_assert_str_eq(row_of("b"), "");
	ck_assert_str_eq(row_of("a"), "committed/{}/a");
	/* Of another unit, or of one that says nothing, it says nothing. */
	open_run("c", "A1", NULL);
	TX(intends("c", "A1", "SN2", JOURNAL_CANNOT_TELL));
	ck_assert_str_eq(open_row.run, "");
	ck_assert_str_eq(row_of("c"), "intent//");
	open_run("d", "A4", NULL);
	TX(intends("d", "A4", "", JOURNAL_CANNOT_TELL));
	ck_assert_str_eq(open_row.run, "");
	for_good = false;
}
END_TEST

START_TEST(a_unit_that_spells_its_name_otherwise_is_the_same)
{
	for_good = true;
	open_run("a", "A1", NULL);
	TX(intends("a", "A1", "00ffab", JOURNAL_NOT_DONE));
	TX(journal_commit(fx.db, "a", 1, "{}", &fx.e));
	open_run("b", "A2", NULL);
	TX(intends("b", "A2", "00FFAB", JOURNAL_CANNOT_TELL));
	ck_assert_str_eq(open_row.run, "a");
	ck_assert(open_row.committed);
	ck_assert_str_eq(row_of("b"), "");
	cut_off("c", "A1", "00ffac");
	open_run("d", "A2", NULL);
	TX(intends("d", "A2", "00FFAC", JOURNAL_CANNOT_TELL));
	ck_assert_str_eq(open_row.run, "c");
	ck_assert_str_eq(row_of("d"), "");
	for_good = false;
}
END_TEST

START_TEST(a_closed_unit_is_never_intended_on)
{
	for_good = true;
	open_run("a", "A1", NULL);
	TX(intends("a", "A1", "SN1", JOURNAL_CLOSED));
	ck_assert_str_eq(open_row.run, "");
	ck_assert_str_eq(row_of("a"), "");
	cut_off("b", "A1", "SN2");
	open_run("c", "A2", NULL);
	TX(intends("c", "A2", "SN2", JOURNAL_CLOSED));
	ck_assert_str_eq(open_row.run, "b");
	ck_assert(!open_row.committed);
	ck_assert_str_eq(row_of("b"), "suspect/as seen/c");
	ck_assert_str_eq(row_of("c"), "");
	for_good = false;
}
END_TEST

START_TEST(what_was_committed_with_another_value_is_said)
{
	open_run("a", "A1", NULL);
	TX(intends("a", "A1", "SN1", JOURNAL_NOT_DONE));
	TX(journal_commit(fx.db, "a", 1, "{}", &fx.e));
	open_run("b", "A1", NULL);
	for_good = true;
	value = "y";
	TX(intends("b", "A1", "SN1", JOURNAL_CLOSED));
	ck_assert(open_row.committed && open_row.other);
	ck_assert_str_eq(row_of("b"), "");
	for_good = false;
	value = "x";
}
END_TEST

START_TEST(half_of_an_act_makes_its_intent_suspect_and_nothing_is_intended)
{
	cut_off("a", "A1", "SN1");
	open_run("b", "A2", NULL);
	TX(intends("b", "A2", "SN1", JOURNAL_HALF));
	ck_assert_str_eq(open_row.run, "a");
	ck_assert_str_eq(row_of("a"), "suspect/as seen/b");
	ck_assert_str_eq(row_of("b"), "");
	/* Where no act is open, none is invented. */
	open_run("c", "A1", NULL);
	TX(intends("c", "A1", "SN2", JOURNAL_HALF));
	ck_assert_str_eq(open_row.run, "");
	ck_assert_str_eq(row_of("c"), "");
}
END_TEST

START_TEST(where_nobody_can_tell_nothing_is_intended_until_a_person_releases_the_unit)
{
	char unit[DB_ID_SIZE];

	open_run("a", "A1", NULL);
	TX(units_identify(fx.db, "a", "chip-a", NULL, unit, &fx.e));
	TX(intends("a", "A1", "SN1", JOURNAL_NOT_DONE));
	finish_run("a", "error");
	for (int i = 0; i < 2; i++) {
		const char *run = i ? "c" : "b";

		open_run(run, "A2", NULL);
		TX(intends(run, "A2", "SN1", JOURNAL_CANNOT_TELL));
		ck_assert_str_eq(open_row.run, "a");
		ck_assert_str_eq(open_row.unit, unit);
		ck_assert_str_eq(row_of("a"), "suspect/as seen/b");
		ck_assert_str_eq(row_of(run), "");
	}
	TX(units_set_state(fx.db, unit, "failed", "read with a probe", "anna", &fx.e));
	ck_assert_str_eq(row_of("a"), "void/anna: read with a probe/anna");
	open_run("d", "A2", NULL);
	TX(intends("d", "A2", "SN1", JOURNAL_CANNOT_TELL));
	ck_assert_str_eq(open_row.run, "");
	ck_assert_str_eq(row_of("d"), "intent//");
}
END_TEST

/* What the records know of the unit counts where the device says nothing of itself. */
START_TEST(a_unit_is_known_again_by_its_record)
{
	char unit[DB_ID_SIZE];

	open_run("a", "A1", NULL);
	TX(units_identify(fx.db, "a", "chip-a", NULL, unit, &fx.e));
	TX(intends("a", "A1", "SN1", JOURNAL_NOT_DONE));
	finish_run("a", "error");
	open_run("b", "A2", NULL);
	TX(units_identify(fx.db, "b", "chip-a", NULL, unit, &fx.e));
	TX(intends("b", "A2", "", JOURNAL_DONE));
	ck_assert_str_eq(row_of("a"), "committed/as seen/b");
}
END_TEST

START_TEST(a_unit_that_may_be_it_is_not_acted_on_blindly_and_settles_nothing)
{
	cut_off("a", "A1", "SN1");
	open_run("b", "A1", NULL);
	TX(intends("b", "A1", "", JOURNAL_CANNOT_TELL));
	ck_assert_str_eq(open_row.run, "a");
	ck_assert_str_eq(row_of("a"), "intent//");
	ck_assert_str_eq(row_of("b"), "");
	TX(intends("b", "A1", "", JOURNAL_DONE));
	ck_assert_str_eq(open_row.run, "");
	TX(intends("b", "A1", "", JOURNAL_NOT_DONE));
	ck_assert_str_eq(row_of("a"), "intent//");
	ck_assert_str_eq(row_of("b"), "intent//");
}
END_TEST

START_TEST(another_unit_another_station_and_another_thing_are_no_business_of_it)
{
	struct journal_intent i = {.step_n = 1,
		.station = "A1",
		.action = "fuse.burn",
		.unit = "SN1",
		.observed = "-"};

	cut_off("a", "A1", "SN1");
	open_run("b", "A1", NULL);
	TX(intends("b", "A1", "SN2", JOURNAL_CANNOT_TELL));
	ck_assert_str_eq(row_of("b"), "intent//");
	open_run("c", "A2", NULL);
	TX(intends("c", "A2", "", JOURNAL_CANNOT_TELL));
	ck_assert_str_eq(row_of("c"), "intent//");
	open_run("d", "A1", NULL);
	i.run = "d";
	i.what = "fuse 4";
	i.digest = digest;
	TX(journal_intend(fx.db, &i, &open_row, &fx.e));
	ck_assert_str_eq(row_of("d"), "intent//");
	ck_assert_str_eq(row_of("a"), "intent//");
}
END_TEST

START_TEST(a_release_leaves_the_step_alone_that_acts_now)
{
	char unit[DB_ID_SIZE];

	open_run("a", "A1", NULL);
	TX(units_identify(fx.db, "a", "chip-a", NULL, unit, &fx.e));
	TX(intends("a", "A1", "SN1", JOURNAL_NOT_DONE));
	TX(units_set_state(fx.db, unit, "failed", "too early", "anna", &fx.e));
	TX(journal_commit(fx.db, "a", 1, "{}", &fx.e));
}
END_TEST

START_TEST(what_was_scrapped_and_comes_back_is_not_acted_on_blindly)
{
	char unit[DB_ID_SIZE];

	open_run("a", "A1", NULL);
	TX(units_identify(fx.db, "a", "chip-a", NULL, unit, &fx.e));
	TX(intends("a", "A1", "SN1", JOURNAL_NOT_DONE));
	finish_run("a", "error");
	TX(units_set_state(fx.db, unit, "scrapped", "dropped", "anna", &fx.e));
	open_run("b", "A2", NULL);
	TX(intends("b", "A2", "SN1", JOURNAL_CANNOT_TELL));
	ck_assert_str_eq(open_row.unit, unit);
	ck_assert_str_eq(row_of("b"), "");
}
END_TEST

START_TEST(a_unit_that_has_passed_is_not_released)
{
	char unit[DB_ID_SIZE];

	open_run("a", "A1", NULL);
	TX(units_identify(fx.db, "a", "chip-a", NULL, unit, &fx.e));
	finish_run("a", "passed");
	FAILS(ERR_CONFLICT, units_set_state(fx.db, unit, "failed", "a slip", "anna", &fx.e));
	TX(units_set_state(fx.db, unit, "scrapped", "dropped", "anna", &fx.e));
}
END_TEST

/* Boards that are new often have the same serial number, and are made at several stations at once. */
START_TEST(what_another_station_does_now_is_its_own_to_settle)
{
	open_run("a", "A1", NULL);
	TX(intends("a", "A1", "SN1", JOURNAL_NOT_DONE));
	open_run("b", "A2", NULL);
	TX(intends("b", "A2", "SN1", JOURNAL_DONE));
	ck_assert_str_eq(open_row.run, "");
	TX(intends("b", "A2", "SN1", JOURNAL_CANNOT_TELL));
	ck_assert_str_eq(open_row.run, "a");
	ck_assert_str_eq(row_of("b"), "");
	TX(intends("b", "A2", "SN1", JOURNAL_NOT_DONE));
	ck_assert_str_eq(row_of("a"), "intent//");
	TX(journal_commit(fx.db, "a", 1, "{}", &fx.e));
	TX(journal_commit(fx.db, "b", 1, "{}", &fx.e));
	ck_assert_str_eq(row_of("a"), "committed/{}/a");
}
END_TEST

START_TEST(a_later_step_settles_what_its_own_run_began_though_the_unit_has_no_name)
{
	open_run("a", "A1", NULL);
	TX(intends("a", "A1", "", JOURNAL_NOT_DONE));
	TX(intends_in("a", 2, "A1", "", JOURNAL_NOT_DONE));
	ck_assert_str_eq(open_row.run, "a");
	TX(journal_commit(fx.db, "a", 2, "{}", &fx.e));
	finish_run("a", "passed");
	open_run("b", "A1", NULL);
	TX(intends("b", "A1", "", JOURNAL_CANNOT_TELL));
	ck_assert_str_eq(open_row.run, "");
}
END_TEST

/* A step of the teardown that failed, in a run that ended for another reason. */
START_TEST(whatever_ends_a_run_with_an_open_act_there_is_a_unit_to_release)
{
	json_t *units = NULL;

	open_run("a", "A1", NULL);
	TX(intends("a", "A1", "", JOURNAL_NOT_DONE));
	finish_run("a", "error");
	open_run("b", "A1", NULL);
	TX(intends("b", "A1", "", JOURNAL_CANNOT_TELL));
	ck_assert_str_ne(open_row.unit, "");
	OK(units_get(fx.db, open_row.unit, &units, &fx.e));
	ck_assert_str_eq(str_at(units, "state"), "suspect");
	json_decref(units);
	TX(units_set_state(fx.db, open_row.unit, "failed", "seen", "anna", &fx.e));
	TX(intends("b", "A1", "", JOURNAL_CANNOT_TELL));
	ck_assert_str_eq(row_of("b"), "intent//");
}
END_TEST

START_TEST(a_step_that_passed_without_its_commit_is_found_by_the_check_of_the_tables)
{
	const struct step_begin b = {.run = "a",
		.n = 1,
		.id = "burn",
		.action = "fuse.burn",
		.phase = "steps",
		.attempt = 1,
		.irreversible = true};
	const struct step_end end = {.run = "a", .n = 1, .outcome = "passed"};
	char found[ERR_TEXT_BYTES] = "";

	open_run("a", "A1", NULL);
	TX(runs_step_begin(fx.db, &b, &fx.e));
	TX(intends("a", "A1", "SN1", JOURNAL_NOT_DONE));
	OK(integrity_tables(fx.db, NULL, found, &fx.e));
	ck_assert_str_eq(found, "");
	TX(runs_step_end(fx.db, &end, &fx.e));
	OK(integrity_tables(fx.db, NULL, found, &fx.e));
	ck_assert_str_eq(
		found, "a step of run a passed whose act the journal does not know as done");
	TX(journal_commit(fx.db, "a", 1, "{}", &fx.e));
	OK(integrity_tables(fx.db, NULL, found, &fx.e));
	ck_assert_str_eq(found, "");
}
END_TEST

static const char *const forgeries[] = {
	"DELETE FROM intents",
	"UPDATE intents SET what = 'fuse 4'",
	"UPDATE intents SET state = 'void', observed = 'x', settled_by = 'x', settled_at = 1"
	" WHERE run_id = 'a'",
	"UPDATE intents SET state = 'intent', observed = NULL, settled_by = NULL,"
	" settled_at = NULL WHERE run_id = 'a'",
	"INSERT OR REPLACE INTO intents SELECT * FROM intents WHERE run_id = 'b'",
	"INSERT INTO intents SELECT NULL, run_id, 7, station, action, unit, what, digest, who,"
	" state, observed, settled_by, intended_at, settled_at FROM intents WHERE run_id = 'a'",
};

START_TEST(no_sql_takes_an_act_back)
{
	open_run("a", "A1", NULL);
	TX(intends("a", "A1", "SN1", JOURNAL_NOT_DONE));
	TX(journal_commit(fx.db, "a", 1, "{}", &fx.e));
	open_run("b", "A1", NULL);
	TX(intends("b", "A1", "SN1", JOURNAL_NOT_DONE));
	TX_FAILS(ERR_CONFLICT, db_script(fx.db, forgeries[_i], &fx.e));
	TX_FAILS(ERR_CONFLICT, intends("b", "A1", "SN9", JOURNAL_NOT_DONE));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("journal");
	TCase *t = tcase_create("journal");

	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_add_test(t, an_act_that_passes_is_committed_and_nothing_of_it_is_open);
	tcase_add_test(t, what_the_device_shows_settles_the_intent_of_a_crash);
	tcase_add_test(t, what_is_committed_for_good_is_found_again_and_not_intended);
	tcase_add_test(t, a_closed_unit_is_never_intended_on);
	tcase_add_test(t, what_was_committed_with_another_value_is_said);
	tcase_add_test(t, a_unit_that_spells_its_name_otherwise_is_the_same);
	tcase_add_test(t, half_of_an_act_makes_its_intent_suspect_and_nothing_is_intended);
	tcase_add_test(
		t, where_nobody_can_tell_nothing_is_intended_until_a_person_releases_the_unit);
	tcase_add_test(t, a_unit_is_known_again_by_its_record);
	tcase_add_test(t, a_unit_that_may_be_it_is_not_acted_on_blindly_and_settles_nothing);
	tcase_add_test(t, another_unit_another_station_and_another_thing_are_no_business_of_it);
	tcase_add_test(t, a_release_leaves_the_step_alone_that_acts_now);
	tcase_add_test(t, what_was_scrapped_and_comes_back_is_not_acted_on_blindly);
	tcase_add_test(t, a_unit_that_has_passed_is_not_released);
	tcase_add_test(t, what_another_station_does_now_is_its_own_to_settle);
	tcase_add_test(t, a_later_step_settles_what_its_own_run_began_though_the_unit_has_no_name);
	tcase_add_test(t, whatever_ends_a_run_with_an_open_act_there_is_a_unit_to_release);
	tcase_add_test(
		t, a_step_that_passed_without_its_commit_is_found_by_the_check_of_the_tables);
	tcase_add_loop_test(
		t, no_sql_takes_an_act_back, 0, (int)(sizeof forgeries / sizeof *forgeries));
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
