/* SPDX-License-Identifier: Apache-2.0
 *
 * The records of runs and their tree: written with the run's end, complete, and proven by hand.
 */
#include "db/run_record.h"

#include "base/jcs.h"
#include "db/checkpoints.h"
#include "db/record_tree.h"
#include "db/stmt.h"
#include "tests/unit/db/fixture.h"

static void begin_epoch(int64_t generation, const char *epoch)
{
	static const char sql[] =
		"INSERT INTO epochs (generation, epoch, begun_at, begun_by, reason,"
		" from_seq, after_seq) VALUES (?, ?, 1, 'test', 'test', 0, 0)";

	TX(db_do(fx.db, &fx.e, sql, generation, epoch));
}

static void setup(void)
{
	fixture_setup();
	begin_epoch(1, "00112233445566ff");
}

static void do_run(int i)
{
	char id[16];

	snprintf(id, sizeof id, "r%d", i);
	open_run(id, "A1", NULL);

	const struct step_begin b = {id, 1, "measure", "x.y", "steps", 1, false, 1600};
	const struct step_end end = {
		.run = id, .n = 1, .outcome = "passed", .ended_ms = 1700, .duration_us = 1234567};
	const double v = 3.3;
	const struct measured m = {
		.run = id, .step_n = 1, .k = 1, .name = "vdd", .value = &v, .verdict = "pass"};

	TX(runs_step_begin(fx.db, &b, &fx.e));
	TX(runs_measure(fx.db, &m, &fx.e));
	TX(runs_step_end(fx.db, &end, &fx.e));
	TX(runs_log(fx.db, id, 1, 1650, '>', "hello", &fx.e));
	finish_run(id, i % 3 ? "passed" : "failed");
}

static json_t *record(int64_t n)
{
	char *text = NULL;
	json_t *o;

	OK(run_records_text(fx.db, n, &text, &fx.e));
	o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_ptr_nonnull(o);
	free(text);
	return o;
}

START_TEST(the_end_of_a_run_writes_its_record_with_all_that_is_known)
{
	json_t *o;

	do_run(1);
	do_run(2);
	o = record(2);
	ck_assert_str_eq(str_at(o, "_type"), RECORD_TYPE);
	ck_assert_str_eq(str_at(o, "host"), "00112233445566ff");
	ck_assert_str_eq(str_at(o, "epoch"), "00112233445566ff");
	ck_assert_int_eq(int_at(o, "n"), 2);
	ck_assert_str_eq(str_at(o, "report.id"), "r2");
	ck_assert_str_eq(str_at(o, "report.station"), "A1");
	ck_assert_str_eq(str_at(o, "report.recipe.name"), "thermo");
	ck_assert_str_eq(str_at(o, "report.steps.0.measurements.0.name"), "vdd");
	ck_assert_int_eq(int_at(o, "steps.0.duration_us"), 1234567);
	ck_assert_int_eq(int_at(o, "measurements.0.k"), 1);
	ck_assert_int_eq(int_at(o, "row.chain"), 2);
	ck_assert_int_eq(int_at(o, "log.lines"), 1);
	ck_assert_uint_eq(strlen(str_at(o, "report.hash")), 64);
	json_decref(o);
}
END_TEST

START_TEST(each_record_has_the_digest_of_the_one_before_it_and_is_canonical)
{
	char previous[SHA256_HEX] = RECORD_FIRST_HASH;

	for (int i = 1; i <= 5; i++)
		do_run(i);
	for (int i = 1; i <= 5; i++) {
		_cleanup_(freep) char *text = NULL;
		_cleanup_(freep) char *again = NULL;
		json_t *o = record(i);

		OK(run_records_text(fx.db, i, &text, &fx.e));
		OK(jcs(o, &again, &fx.e));
		ck_assert_str_eq(text, again);
		ck_assert_str_eq(str_at(o, "previous"), previous);
		sha256_hex_of(text, strlen(text), previous);
		json_decref(o);
	}
}
END_TEST

START_TEST(the_tree_is_that_of_the_texts_at_every_size)
{
	const struct merkle_nodes tree = record_tree(fx.db);
	struct merkle_growth g = {0};

	for (int i = 1; i <= 21; i++) {
		_cleanup_(freep) char *text = NULL;
		struct merkle_hash leaf, root, stored;
		struct merkle_proof p;

		do_run(i);
		OK(run_records_text(fx.db, i, &text, &fx.e));
		leaf = merkle_leaf(text, strlen(text));
		OK(merkle_add(&g, &leaf, NULL, NULL, &fx.e));
		root = merkle_root_of(&g);
		OK(merkle_root(&tree, (uint64_t)i, &stored, &fx.e));
		ck_assert(merkle_equal(&root, &stored));
		OK(merkle_inclusion(&tree, (uint64_t)i - 1, (uint64_t)i, &p, &fx.e));
		ck_assert(merkle_included(&leaf, (uint64_t)i - 1, (uint64_t)i, &p, &root));
	}
}
END_TEST

START_TEST(the_record_of_a_run_is_what_its_rows_say)
{
	struct record_place p = {.n = 2};
	_cleanup_(freep) char *text = NULL;
	_cleanup_(freep) char *first = NULL;
	_cleanup_(freep) char *again = NULL;
	json_t *o = NULL;

	do_run(1);
	do_run(2);
	do_run(3);
	OK(record_here(fx.db, &p, &fx.e));
	OK(run_records_text(fx.db, 1, &first, &fx.e));
	OK(run_records_text(fx.db, 2, &text, &fx.e));
	sha256_hex_of(first, strlen(first), p.previous);
	OK(run_record_build(fx.db, "r2", &p, NULL, &o, &fx.e));
	OK(jcs(o, &again, &fx.e));
	ck_assert_str_eq(text, again);
	json_decref(o);
}
END_TEST

START_TEST(a_run_that_is_rolled_back_leaves_no_record)
{
	const struct run_end end = {.run = "r2", .outcome = "failed", .ended_ms = 3000};
	int64_t records, missing;

	do_run(1);
	open_run("r2", "A1", NULL);
	OK(db_begin(fx.db, &fx.e));
	OK(runs_finish(fx.db, &end, &fx.e));
	db_rollback(fx.db);
	OK(run_records_count(fx.db, &records, &missing, &fx.e));
	ck_assert_int_eq(records, 1);
	ck_assert_int_eq(missing, 0);
	finish_run("r2", "passed");
	OK(run_records_count(fx.db, &records, &missing, &fx.e));
	ck_assert_int_eq(records, 2);
}
END_TEST

/* 1e19 is written as digits alone, which no reader takes for what it was. */
START_TEST(a_large_real_number_is_read_back)
{
	static const double values[] = {9007199254740993.0 * 2, 1e19, -1e20, 1e21, 1.5e300};
	const struct step_begin b = {"r1", 1, "measure", "x.y", "steps", 1, false, 1600};
	const struct step_end end = {.run = "r1", .n = 1, .outcome = "passed", .ended_ms = 1700};
	_cleanup_(freep) char *again = NULL;
	_cleanup_(freep) char *text = NULL;
	json_t *o;

	open_run("r1", "A1", NULL);
	TX(runs_step_begin(fx.db, &b, &fx.e));
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		const struct measured m = {.run = "r1",
			.step_n = 1,
			.k = (int64_t)i + 1,
			.name = "f",
			.value = &values[i],
			.high = &values[i],
			.verdict = "pass"};

		TX(runs_measure(fx.db, &m, &fx.e));
	}
	TX(runs_step_end(fx.db, &end, &fx.e));
	finish_run("r1", "passed");
	o = record(1);
	OK(run_records_text(fx.db, 1, &text, &fx.e));
	OK(jcs(o, &again, &fx.e));
	ck_assert_str_eq(text, again);
	json_decref(o);
}
END_TEST

START_TEST(runs_of_before_the_update_get_their_records_in_the_order_of_the_chain)
{
	int64_t records, missing;
	json_t *o;

	for (int i = 1; i <= 9; i++)
		do_run(i);
	fixture_before(17);
	fixture_reopen();
	OK(run_records_count(fx.db, &records, &missing, &fx.e));
	ck_assert_int_eq(missing, 9);
	/* Each end of a run catches up a little, and never leaves one out. */
	do_run(10);
	OK(run_records_count(fx.db, &records, &missing, &fx.e));
	ck_assert_int_eq(records, 4);
	ck_assert_int_eq(missing, 6);
	TX(run_records_append(fx.db, 100, NULL, NULL, &fx.e));
	OK(run_records_count(fx.db, &records, &missing, &fx.e));
	ck_assert_int_eq(records, 10);
	ck_assert_int_eq(missing, 0);
	o = record(10);
	ck_assert_str_eq(str_at(o, "report.id"), "r10");
	json_decref(o);
}
END_TEST

START_TEST(no_statement_changes_a_record_a_node_or_a_checkpoint)
{
	static const char *const statements[] = {"UPDATE run_records SET record = '{}'",
		"DELETE FROM run_records", "INSERT INTO run_records (n, record) VALUES (5, '{}')",
		"UPDATE record_nodes SET pos = 7 WHERE pos = 0", "DELETE FROM record_nodes",
		"INSERT INTO record_nodes (pos, hash) SELECT 9, hash FROM record_nodes LIMIT 1",
		"UPDATE checkpoints SET note = ''", "DELETE FROM checkpoints",
		"INSERT INTO checkpoints (size, at, note, public) VALUES (9, 1, '', '')"};
	struct checkpoint c;

	do_run(1);
	do_run(2);
	OK(checkpoints_look(fx.db, &c, &fx.e));
	TX(checkpoints_add(fx.db, &c, "note", NULL, &fx.e));
	FAILS(ERR_CONFLICT, db_script(fx.db, statements[_i], &fx.e));
}
END_TEST

START_TEST(another_epoch_is_another_history)
{
	struct checkpoint before, after;
	json_t *o;

	do_run(1);
	OK(checkpoints_look(fx.db, &before, &fx.e));
	begin_epoch(2, "ffeeddccbbaa9988");
	do_run(2);
	OK(checkpoints_look(fx.db, &after, &fx.e));
	ck_assert_str_eq(before.host, after.host);
	ck_assert_str_eq(after.epoch, "ffeeddccbbaa9988");
	ck_assert_int_eq(after.generation, 2);
	o = record(2);
	ck_assert_str_eq(str_at(o, "host"), before.host);
	ck_assert_str_eq(str_at(o, "epoch"), "ffeeddccbbaa9988");
	json_decref(o);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("run_record");
	TCase *t = tcase_create("run_record");

	tcase_add_checked_fixture(t, setup, fixture_teardown);
	tcase_add_test(t, the_end_of_a_run_writes_its_record_with_all_that_is_known);
	tcase_add_test(t, each_record_has_the_digest_of_the_one_before_it_and_is_canonical);
	tcase_add_test(t, the_tree_is_that_of_the_texts_at_every_size);
	tcase_add_test(t, the_record_of_a_run_is_what_its_rows_say);
	tcase_add_test(t, a_run_that_is_rolled_back_leaves_no_record);
	tcase_add_test(t, runs_of_before_the_update_get_their_records_in_the_order_of_the_chain);
	tcase_add_loop_test(t, no_statement_changes_a_record_a_node_or_a_checkpoint, 0, 9);
	tcase_add_test(t, another_epoch_is_another_history);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_large_real_number_is_read_back);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
