/* SPDX-License-Identifier: Apache-2.0
 *
 * Records that were changed in one place: each is found and named there. And what goes on in a database
 * that nobody changed is never taken for a change.
 */
#include "db/verify.h"

#include "base/dsse.h"
#include "base/jcs.h"
#include "base/x509.h"
#include "db/checkpoints.h"
#include "db/jobs.h"
#include "db/journal.h"
#include "db/record_export.h"
#include "db/run_record.h"
#include "db/stmt.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

static struct strbuf said;
static struct verify_result result;

static void setup(void)
{
	fixture_setup();
	OK(db_script(fx.db,
		"INSERT INTO epochs (generation, epoch, begun_at, begun_by, reason, from_seq,"
		" after_seq) VALUES (1, '00112233445566ff', 1, 'test', 'test', 0, 0)",
		&fx.e));
}

static void teardown(void)
{
	sb_done(&said);
	fixture_teardown();
}

static void do_run(int i)
{
	const char *chip = i % 2 ? "chip-a" : "chip-b";
	const double v = 3.25;
	json_t *evidence = json_pack("{s:s, s:f}", "reply", "VDD=3.25", "value", 3.25);
	char id[16], unit[DB_ID_SIZE];

	snprintf(id, sizeof id, "r%d", i);
	open_run(id, "A1", NULL);
	TX(units_identify(fx.db, id, chip, "T200", unit, &fx.e));

	const struct step_begin b = {id, 1, "measure", "x.y", "steps", 1, false, 1600};
	const struct step_end end = {.run = id,
		.n = 1,
		.outcome = "passed",
		.evidence = evidence,
		.ended_ms = 1700,
		.duration_us = 1234567};
	const struct measured m = {.run = id,
		.step_n = 1,
		.k = 1,
		.name = "vdd",
		.value = &v,
		.text = "3.25",
		.verdict = "pass"};

	TX(runs_step_begin(fx.db, &b, &fx.e));
	TX(runs_measure(fx.db, &m, &fx.e));
	TX(runs_step_end(fx.db, &end, &fx.e));
	TX(runs_log(fx.db, id, 1, 1650, '>', "hello", &fx.e));
	finish_run(id, i % 3 ? "passed" : "failed");
	json_decref(evidence);
}

static void do_checkpoint(void)
{
	char text[CHECKPOINT_TEXT_BYTES];
	_cleanup_(freep) char *note = NULL;
	struct checkpoint c;

	OK(checkpoints_look(fx.db, &c, &fx.e));
	checkpoint_text(&c, text);
	note = checkpoint_note(text, NULL, NULL);
	TX(checkpoints_add(fx.db, &c, note, NULL, &fx.e));
}

/* Eight records, with checkpoints over 3 and 8 of them. */
static void do_eight(void)
{
	for (int i = 1; i <= 8; i++) {
		do_run(i);
		if (i == 3 || i == 8)
			do_checkpoint();
	}
}

static void found(void *data, const char *sentence)
{
	sb_addf(&said, "%s\n", sentence);
}

/* The sentences of what is found in the database as it is. */
static const char *look(void)
{
	const struct verify_opts o = {.found = found};

	sb_clear(&said);
	OK(verify_database(fx.path, &o, &result, &fx.e));
	return said.s ? said.s : "";
}

#define assert_whole() ck_assert_str_eq(look(), "")

/* As somebody who owns the file. */
static void change(const char *sql)
{
	static const char *const triggers[] = {"runs_finished_stay", "runs_remain", "steps_late",
		"steps_finished_stay", "steps_remain", "measurements_late", "measurements_stay",
		"measurements_remain", "run_log_remains", "run_records_grow", "run_records_stay",
		"run_records_remain", "record_nodes_grow", "record_nodes_stay",
		"record_nodes_remain", "checkpoints_grow", "checkpoints_stay",
		"checkpoints_remain"};

	OK(db_script(fx.db, "PRAGMA foreign_keys = OFF", &fx.e));
	for (size_t i = 0; i < ARRAY_LEN(triggers); i++) {
		_cleanup_(freep) char *drop = xasprintf("DROP TRIGGER %s", triggers[i]);

		OK(db_script(fx.db, drop, &fx.e));
	}
	OK(db_script(fx.db, sql, &fx.e));
}

START_TEST(what_nobody_changed_is_whole_at_every_size)
{
	assert_whole();
	for (int i = 1; i <= 20; i++) {
		do_run(i);
		if (i % 4 == 0)
			do_checkpoint();
		assert_whole();
		ck_assert_int_eq(result.records, i);
		ck_assert_str_eq(result.host, "00112233445566ff");
	}
	ck_assert_int_eq(result.checkpoints, 5);
	ck_assert_int_eq(result.covered, 0);
}
END_TEST

static const struct {
	const char *sql, *says;
} changes[] = {
	{"UPDATE measurements SET value = 3.5 WHERE run_id = 'r4'",
		"run r4 (record 4): report, steps 1 'measure', measurements 1 'vdd', value: 3.25 was recorded, 3.5 is there\n"},
	{"UPDATE measurements SET k = 2 WHERE run_id = 'r4'",
		"run r4 (record 4): measurements 1, k: 1 was recorded, 2 is there\n"},
	{"UPDATE steps SET duration_us = 1234566 WHERE run_id = 'r2'",
		"run r2 (record 2): steps 1, duration_us: 1234567 was recorded, 1234566 is there\n"},
	{"UPDATE steps SET evidence = '{\"reply\":\"VDD=3.25\",\"value\":3.250}' WHERE run_id = 'r5'",
		"run r5 (record 5): evidence of step 1: its JSON is not as provd wrote it\n"},
	{"UPDATE run_log SET text = 'hallo' WHERE run_id = 'r7'",
		"run r7 (record 7): log, sha256: "},
	{"UPDATE runs SET exposed = 1 WHERE id = 'r1'",
		"run r1 (record 1): row, exposed: 0 was recorded, 1 is there\n"},
	{"DELETE FROM measurements WHERE run_id = 'r8'",
		"run r8 (record 8): report, steps 1 'measure', measurements 1 'vdd': "},
	{"INSERT INTO steps (run_id, n, id, action, phase, state, outcome, started_at) VALUES"
	 " ('r3', 2, 'more', 'x.y', 'steps', 'done', 'passed', 1)",
		"run r3 (record 3): report, steps 2 'more': nothing was recorded, "},
	{"DELETE FROM runs WHERE id = 'r6'", "run r6 (record 6): the row of the run is missing"},
	{"UPDATE run_records SET record = replace(record, '3.25', '3.26') WHERE n = 3",
		"run r3 (record 3): the text of the record was changed; its rows are as they were recorded\n"},
	{"UPDATE run_records SET record = replace(record, '3.25', '3.26') WHERE n = 8",
		"run r8 (record 8): the text of the record was changed; its rows are as they were recorded\n"},
	{"DELETE FROM run_records WHERE n = 5",
		"run r5 (record 5): the record is missing; its rows are as they were recorded\n"},
	{"DELETE FROM run_records WHERE n = 8",
		"run r8 (record 8): the record is missing; its rows are as they were recorded\n"},
	{"UPDATE record_nodes SET hash = replace(hash, substr(hash, 1, 1), 'g') WHERE pos = 0",
		"run r1 (record 1): its leaf in the tree (node 0) was changed or is missing\n"},
	{"UPDATE record_nodes SET hash = (SELECT hash FROM record_nodes WHERE pos = 0) WHERE pos = 5",
		"the tree of records: node 5, over the records 3 to 4, was changed or is missing\n"},
	{"INSERT INTO record_nodes SELECT 15, hash FROM record_nodes WHERE pos = 0",
		"the tree of records: node 15 belongs to no record"},
	{"DELETE FROM checkpoints WHERE seq = 1", "checkpoint 1 is missing\n"},
	{"DELETE FROM checkpoints WHERE seq = 2", "checkpoint 2 is missing\n"},
	{"UPDATE checkpoints SET size = 4 WHERE seq = 1",
		"checkpoint 1: its row says 4 records, and its note 3; or another time\n"},
	{"UPDATE checkpoints SET note = replace(note, 'time', 'tame')",
		"checkpoint 1: line 5 of the checkpoint: "},
	{"UPDATE runs SET state = 'open', chain = NULL, ended_at = NULL, outcome = NULL WHERE id = 'r8'",
		"run r8 (record 8): "},
	{"INSERT INTO runs (id, station, state, outcome, attached_at, ended_at) VALUES"
	 " ('extra', 'A1', 'finished', 'passed', 1, 2)",
		"run extra has ended, and it is not in the chain: it was added or changed\n"},
	{"INSERT INTO run_log VALUES ('nobody', 1, 1, '>', 'x')",
		"run nobody, line 1 of its log: there is no such run"},
	{"UPDATE epochs SET epoch = 'ffffffffffffffff'; ",
		"run r1 (record 1): it is of the host '00112233445566ff', and these records are of 'ffffffffffffffff'\n"},
};

START_TEST(one_change_is_named_where_it_is)
{
	do_eight();
	assert_whole();
	if (strstr(changes[_i].sql, "epochs"))
		OK(db_script(fx.db, "DROP TRIGGER epochs_stay", &fx.e));
	change(changes[_i].sql);
	ck_assert_msg(strstr(look(), changes[_i].says) != NULL, "%s: %s", changes[_i].sql, look());
	/* One change is one finding, but for what it takes with it. */
	if (changes[_i].says[strlen(changes[_i].says) - 1] == '\n' &&
		!strstr(changes[_i].sql, "epochs"))
		ck_assert_msg(!strcmp(look(), changes[_i].says), "%s: %s", changes[_i].sql, look());
}
END_TEST

START_TEST(the_newest_records_are_missed_by_their_checkpoint)
{
	do_eight();
	change("DELETE FROM run_records WHERE n > 6; DELETE FROM record_nodes WHERE pos > 9;"
	       "DELETE FROM measurements WHERE run_id IN ('r7', 'r8');"
	       "DELETE FROM steps WHERE run_id IN ('r7', 'r8');"
	       "DELETE FROM run_log WHERE run_id IN ('r7', 'r8');"
	       "DELETE FROM runs WHERE id IN ('r7', 'r8');");
	ck_assert_str_eq(look(),
		"checkpoint 2 is of 8 records, and there are 6: the newest ones are missing\n");
}
END_TEST

START_TEST(what_is_settled_later_is_no_change)
{
	const struct journal_intent i = {.run = "r1",
		.step_n = 1,
		.station = "A1",
		.action = "otp.burn",
		.unit = "chip-a",
		.what = "key",
		.digest = RECORD_FIRST_HASH,
		.seen = JOURNAL_NOT_DONE,
		.observed = "blank"};
	const struct step_begin b = {"r1", 1, "burn", "otp.burn", "steps", 1, true, 1600};
	struct journal_open open;
	char unit[DB_ID_SIZE];

	open_run("r1", "A1", NULL);
	TX(units_identify(fx.db, "r1", "chip-a", "T200", unit, &fx.e));
	TX(runs_step_begin(fx.db, &b, &fx.e));
	TX(journal_intend(fx.db, &i, &open, &fx.e));
	finish_run("r1", "error");
	assert_whole();
	TX(journal_release(fx.db, unit, "anna", "looked at", &fx.e));
	assert_whole();
	TX(units_set_state(fx.db, unit, "scrapped", "broken", "anna", &fx.e));
	do_run(3);
	assert_whole();
	/* What was recorded of it is not to be changed. */
	change("DROP TRIGGER intents_settled_stay; UPDATE intents SET who = 'nobody'");
	ck_assert_ptr_nonnull(strstr(look(), "run r1 (record 1): acts 1, who: "));
}
END_TEST

/* A certificate that was issued in one run and written to the unit in the next one. */
START_TEST(a_certificate_that_is_delivered_later_is_no_change)
{
	static const char make[] =
		"INSERT INTO certificates (id, run_id, step_n, station, issuer, profile, profile_digest, key,"
		" state, ordered_at) VALUES ('0123456789abcdef0123456789abcdef', 'r1', 1, 'A1', 'factory', 'idevid', '', printf('%064d', 1), 'ordered', 1);"
		" UPDATE certificates SET state = 'issued', pem = 'p', chain = '', sha256 = 's', serial = '5',"
		" subject = 'CN=x', not_before = 1, not_after = 2, issued_at = 2;";

	open_run("r1", "A1", NULL);
	OK(db_script(fx.db, make, &fx.e));
	finish_run("r1", "failed");
	assert_whole();
	OK(db_script(fx.db, "UPDATE certificates SET state = 'delivered', settled_at = 3", &fx.e));
	assert_whole();
	change("DROP TRIGGER certificates_stay; UPDATE certificates SET issuer = 'other'");
	ck_assert_ptr_nonnull(
		strstr(look(), "certificates 1 '0123456789abcdef0123456789abcdef', issuer: "));
}
END_TEST

/* Without a signature that is trusted nothing is proved, whatever the database says of itself. */
START_TEST(a_key_that_was_given_and_signed_nothing_is_named)
{
	/* RFC 8410, 10.1 */
	static const char pem[] =
		"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
		"-----END PUBLIC KEY-----\n";
	struct verify_opts o = {.found = found, .keys = 1};
	struct x509_key key;

	do_eight();
	OK(x509_key_read(pem, &key, &fx.e));
	o.key = &key;
	sb_clear(&said);
	OK(verify_database(fx.path, &o, &result, &fx.e));
	ck_assert_ptr_nonnull(strstr(said.s, "nothing here is under a signature"));
	ck_assert(!result.trusted);
	x509_key_done(&key);
}
END_TEST

/* --- files --- */

static json_t *exported;

static const char *look_at_file(void)
{
	const struct verify_opts o = {.found = found};
	_cleanup_(freep) char *text = NULL;

	sb_clear(&said);
	OK(jcs(exported, &text, &fx.e));
	OK(verify_file(text, strlen(text), &o, &result, &fx.e));
	return said.s ? said.s : "";
}

static void set(const char *name, const char *text)
{
	json_object_set_new(exported, name, json_string(text));
}

START_TEST(the_file_of_a_run_is_under_its_checkpoint)
{
	_cleanup_(freep) char *record = NULL;

	do_eight();
	OK(record_of_run(fx.db, "r4", &exported, &fx.e));
	ck_assert_str_eq(look_at_file(), "");
	ck_assert_int_eq(result.records, 1);
	OK(run_records_text(fx.db, 5, &record, &fx.e));
	set("record", record);
	ck_assert_ptr_nonnull(
		strstr(look_at_file(), "entry 1: run r5 (record 4): it is not among"));
	json_object_set_new(exported, "n", json_integer(5));
	ck_assert_ptr_nonnull(
		strstr(look_at_file(), "entry 1: run r5 (record 5): it is not among"));
	set("more", "x");
	ck_assert_ptr_nonnull(strstr(look_at_file(), "the file: 'more' is not known"));
	set("checkpoint", "x");
	ck_assert_ptr_nonnull(strstr(look_at_file(), "this is not a checkpoint"));
	json_decref(exported);
	FAILS(ERR_NOT_FOUND, record_of_run(fx.db, "nobody", &exported, &fx.e));
	open_run("r9", "A1", NULL);
	FAILS(ERR_CONFLICT, record_of_run(fx.db, "r9", &exported, &fx.e));
}
END_TEST

/* The statement as an envelope without a signature. */
static void wrap(json_t *statement)
{
	_cleanup_(freep) char *payload = NULL;
	_cleanup_(freep) char *base64 = NULL;

	OK(jcs(statement, &payload, &fx.e));
	base64 = base64_of(payload, strlen(payload));
	exported = json_pack("{s:s, s:s, s:[]}", "payloadType", DSSE_PAYLOAD_TYPE, "payload",
		base64, "signatures");
}

START_TEST(a_run_that_is_left_out_of_a_unit_is_named)
{
	_cleanup_(freep) char *unit = NULL;
	json_t *run = NULL, *statement = NULL;
	json_t *records;

	do_eight();
	OK(runs_get(fx.db, "r1", &run, &fx.e));
	unit = xstrdup(str_at(run, "unit"));
	json_decref(run);
	OK(record_of_unit(fx.db, unit, &statement, &fx.e));
	records = at(statement, "predicate.records");
	ck_assert_uint_eq(json_array_size(records), 4);
	wrap(statement);
	ck_assert_str_eq(look_at_file(), "");
	ck_assert_int_eq(result.records, 4);
	json_decref(exported);
	/* The records 1, 3, 5 and 7 are the unit's. */
	json_array_remove(records, 1);
	wrap(statement);
	ck_assert_str_eq(look_at_file(),
		"entry 2: run r5 (record 5): the record of the unit before it is number 3, and number 1 is in the file: one is missing or not the unit's\n");
	json_decref(exported);
	json_array_remove(records, 2);
	wrap(statement);
	ck_assert_ptr_nonnull(strstr(look_at_file(), "the digest of its subject"));
	json_decref(exported);
	/* Without the id nothing would be looked at. */
	json_object_set_new(at(statement, "predicate.unit"), "id", json_string(""));
	wrap(statement);
	ck_assert_ptr_nonnull(strstr(look_at_file(), "its unit has no id"));
	json_decref(exported);
	json_decref(statement);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("verify");
	TCase *t = tcase_create("verify");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_nobody_changed_is_whole_at_every_size);
	tcase_add_loop_test(t, one_change_is_named_where_it_is, 0, ARRAY_LEN(changes));
	tcase_add_test(t, the_newest_records_are_missed_by_their_checkpoint);
	tcase_add_test(t, what_is_settled_later_is_no_change);
	tcase_add_test(t, the_file_of_a_run_is_under_its_checkpoint);
	tcase_add_test(t, a_run_that_is_left_out_of_a_unit_is_named);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_certificate_that_is_delivered_later_is_no_change);
	tcase_add_test(t, a_key_that_was_given_and_signed_nothing_is_named);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
