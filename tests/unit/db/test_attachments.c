/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of what is attached to runs: the quota refuses and harms nothing, the record has them, verification says what
 * happened to a file and where, and a month takes its files with it.
 */
#include "db/attachments.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/jcs.h"
#include "base/strbuf.h"
#include "base/tree.h"
#include "db/archive_write.h"
#include "db/archives.h"
#include "db/checkpoints.h"
#include "db/record_export.h"
#include "db/run_record.h"
#include "db/verify.h"
#include "tests/unit/db/fixture.h"

#define RUN "run-1"

static char store[300], archives[300];
static struct strbuf said;
static struct verify_result result;
static const struct attachment_limits roomy = {1000, 10000, 100000};

static void setup(void)
{
	fixture_setup();
	snprintf(store, sizeof store, "%s-attachments", fx.dir);
	snprintf(archives, sizeof archives, "%s-archive", fx.dir);
	OK(tree_make(store, &fx.e));
	OK(tree_make(archives, &fx.e));
}

static void teardown(void)
{
	sb_done(&said);
	tree_remove(store);
	tree_remove(archives);
	fixture_teardown();
}

static void begin_step(const char *run, int n)
{
	const struct step_begin b = {run, n, "wave", "tool.run", "steps", 1, false, 1600};

	TX(runs_step_begin(fx.db, &b, &fx.e));
}

static void end_step(const char *run, int n)
{
	const struct step_end end = {
		.run = run, .n = n, .outcome = "passed", .ended_ms = 1700, .duration_us = 100000};

	TX(runs_step_end(fx.db, &end, &fx.e));
}

/* Its file in the store as well. */
static void content(const char *text, char sha256[SHA256_HEX])
{
	_cleanup_(freep) char *path = NULL;
	FILE *f;

	sha256_hex_of(text, strlen(text), sha256);
	path = xasprintf("%s/%s", store, sha256);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static int add(const char *run, int n, const char *name, const char *text,
	const struct attachment_limits *max)
{
	char sha256[SHA256_HEX];
	struct attachment a = {.run = run,
		.step_n = n,
		.name = name,
		.sha256 = sha256,
		.bytes = (int64_t)strlen(text),
		.media = "text/csv"};
	int r;

	content(text, sha256);
	OK(db_begin(fx.db, &fx.e));
	r = attachments_add(fx.db, &a, max, &fx.e);
	if (r == 0)
		OK(db_commit(fx.db, &fx.e));
	else
		db_rollback(fx.db);
	return r;
}

static void assert_room(int64_t files, int64_t bytes)
{
	int64_t f = -1, b = -1;

	OK(attachments_room(fx.db, &f, &b, &fx.e));
	ck_assert_int_eq(f, files);
	ck_assert_int_eq(b, bytes);
}

static void assert_refused(const char *what, const char *key)
{
	ck_assert_int_eq(fx.e.code, ERR_ATTACHMENT_QUOTA);
	ck_assert_msg(strstr(fx.e.msg, what) != NULL, "%s", fx.e.msg);
	ck_assert_msg(strstr(fx.e.msg, key) != NULL, "%s", fx.e.msg);
}

START_TEST(each_limit_has_its_sentence_and_harms_nothing_that_is_there)
{
	static const struct attachment_limits file = {9, 100, 100}, run = {10, 15, 100},
					      total = {10, 100, 15};

	open_run(RUN, "A1", NULL);
	begin_step(RUN, 1);
	OK(add(RUN, 1, "a.csv", "0123456789", &roomy));
	ck_assert_int_lt(add(RUN, 1, "b.csv", "abcdefghij", &file), 0);
	assert_refused("the file would be 10 bytes", "'file_max'");
	ck_assert_int_lt(add(RUN, 1, "b.csv", "abcdefghij", &run), 0);
	assert_refused("all of the run would be 20 bytes", "'run_max'");
	ck_assert_int_lt(add(RUN, 1, "b.csv", "abcdefghij", &total), 0);
	assert_refused("all attachments would be 20 bytes", "'quota'");
	assert_room(1, 10);
	/* At the limit there is room, and the same bytes take none of the whole. */
	OK(add(RUN, 1, "c.csv", "01234", &run));
	OK(add(RUN, 1, "d.csv", "0123456789", &(struct attachment_limits){10, 100, 15}));
	assert_room(2, 15);
	/* The same row again is no change, another content under its name is refused. */
	OK(add(RUN, 1, "a.csv", "0123456789", &roomy));
	ck_assert_int_lt(add(RUN, 1, "a.csv", "other", &roomy), 0);
	assert_room(2, 15);
}
END_TEST

START_TEST(a_row_is_of_an_open_step_and_never_changes)
{
	json_t *list = NULL, *one = NULL;

	open_run(RUN, "A1", NULL);
	ck_assert_int_lt(add(RUN, 1, "a.csv", "early", &roomy), 0);
	begin_step(RUN, 1);
	OK(add(RUN, 1, "a.csv", "first", &roomy));
	end_step(RUN, 1);
	ck_assert_int_lt(add(RUN, 1, "b.csv", "late", &roomy), 0);
	/* The next attempt has its own: both stay. */
	begin_step(RUN, 2);
	OK(add(RUN, 2, "a.csv", "second", &roomy));
	end_step(RUN, 2);
	OK(attachments_of_run(fx.db, RUN, &list, &fx.e));
	ck_assert_uint_eq(json_array_size(list), 2);
	ck_assert_str_eq(str_at(list, "0.step"), "wave");
	ck_assert_int_eq(int_at(list, "1.n"), 2);
	OK(attachments_get(fx.db, RUN, 0, "a.csv", &one, &fx.e));
	ck_assert_int_eq(int_at(one, "size"), 6);
	json_decref(one);
	OK(attachments_get(fx.db, RUN, 1, "a.csv", &one, &fx.e));
	ck_assert_int_eq(int_at(one, "size"), 5);
	json_decref(one);
	json_decref(list);
	ck_assert_int_eq(attachments_get(fx.db, RUN, 0, "x", &one, &fx.e), -ERR_NOT_FOUND);
	ck_assert_int_lt(db_script(fx.db, "UPDATE attachments SET media = 'x'", &fx.e), 0);
	ck_assert_int_lt(db_script(fx.db, "DELETE FROM attachments", &fx.e), 0);
	finish_run(RUN, "passed");
	ck_assert_int_lt(db_script(fx.db, "DELETE FROM attachments", &fx.e), 0);
}
END_TEST

static void found(void *data, const char *sentence)
{
	sb_addf(&said, "%s\n", sentence);
}

static const char *look(void)
{
	const struct verify_opts o = {.attachments = store, .found = found};

	sb_clear(&said);
	OK(verify_database(fx.path, &o, &result, &fx.e));
	return said.s ? said.s : "";
}

static void one_run(const char *run, const char *text, int64_t ended_ms)
{
	struct run_end end = {.run = run, .outcome = "passed", .ended_ms = ended_ms};

	open_run(run, "A1", NULL);
	begin_step(run, 1);
	OK(add(run, 1, "wave.csv", text, &roomy));
	end_step(run, 1);
	TX(runs_finish(fx.db, &end, &fx.e));
}

static char *file_of(const char *dir, const char *text)
{
	char sha256[SHA256_HEX];

	return xasprintf("%s/%s", dir, sha256_hex_of(text, strlen(text), sha256));
}

START_TEST(a_changed_cut_or_missing_file_is_found_in_its_place)
{
	_cleanup_(freep) char *path = file_of(store, "0,1\n1,2\n");
	FILE *f;

	one_run(RUN, "0,1\n1,2\n", 3000);
	ck_assert_str_eq(look(), "");
	ck_assert_int_eq(result.attachments, 1);
	/* One bit. */
	f = fopen(path, "r+e");
	ck_assert_ptr_nonnull(f);
	fputc('0' ^ 1, f);
	fclose(f);
	ck_assert_msg(
		strstr(look(),
			"run run-1 (record 1): attachments 1 'wave.csv': the attached file") &&
			strstr(said.s, "has the SHA-256"),
		"%s", said.s);
	ck_assert_int_eq(truncate(path, 4), 0);
	ck_assert_msg(strstr(look(), "has 4 bytes, 8 were recorded") != NULL, "%s", said.s);
	unlink(path);
	ck_assert_msg(strstr(look(), "is missing in") != NULL, "%s", said.s);
	/* What is not a file at all does not stop it. */
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_msg(strstr(look(), "is no file") != NULL, "%s", said.s);
	ck_assert_int_eq(result.findings, 1);
}
END_TEST

/* Records have a host. */
static void begin_epoch(void)
{
	OK(db_script(fx.db,
		"INSERT INTO epochs (generation, epoch, begun_at, begun_by, reason, from_seq,"
		" after_seq) VALUES (1, '00112233445566ff', 1, 'test', 'test', 0, 0)",
		&fx.e));
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

static const char *look_at_file(const char *dir)
{
	const struct verify_opts o = {.found = found, .attachments = dir};
	_cleanup_(freep) char *text = NULL;
	json_t *exported = NULL;

	sb_clear(&said);
	OK(record_of_run(fx.db, RUN, &exported, &fx.e));
	OK(jcs(exported, &text, &fx.e));
	json_decref(exported);
	OK(verify_file(text, strlen(text), &o, &result, &fx.e));
	return said.s ? said.s : "";
}

START_TEST(what_is_attached_to_an_exported_record_is_looked_at_or_said_not_to_be)
{
	_cleanup_(freep) char *path = file_of(store, "0,1\n1,2\n");

	begin_epoch();
	one_run(RUN, "0,1\n1,2\n", 3000);
	do_checkpoint();
	ck_assert_str_eq(look_at_file(store), "");
	ck_assert_int_eq(result.attachments, 1);
	ck_assert_int_eq(result.unseen, 0);
	ck_assert_int_eq(truncate(path, 4), 0);
	ck_assert_msg(
		strstr(look_at_file(store), "attachments 1 'wave.csv'") != NULL, "%s", said.s);
	ck_assert_int_eq(result.findings, 1);
	ck_assert_str_eq(look_at_file(NULL), "");
	ck_assert_int_eq(result.attachments, 0);
	ck_assert_int_eq(result.unseen, 1);
}
END_TEST

/* Somebody who writes to the database itself. */
static void forge(const char *sql)
{
	OK(db_script(fx.db,
		"DROP TRIGGER attachments_stay; DROP TRIGGER attachments_remain; DROP TRIGGER attachments_late",
		&fx.e));
	OK(db_script(fx.db, sql, &fx.e));
}

START_TEST(a_row_that_was_taken_away_or_changed_is_found)
{
	one_run(RUN, "0,1\n", 3000);
	forge("UPDATE attachments SET media = 'text/html'");
	ck_assert_msg(strstr(look(), "attachments") && strstr(said.s, "text/html"), "%s", said.s);
	OK(db_script(fx.db, "DELETE FROM attachments", &fx.e));
	ck_assert_msg(strstr(look(), "attachments") != NULL, "%s", said.s);
}
END_TEST

START_TEST(a_run_without_any_has_the_record_of_before)
{
	_cleanup_(freep) char *text = NULL;

	open_run(RUN, "A1", NULL);
	finish_run(RUN, "passed");
	OK(run_records_text(fx.db, 1, &text, &fx.e));
	ck_assert_ptr_null(strstr(text, "attachments"));
	ck_assert_str_eq(look(), "");
}
END_TEST

#define JANUARY	 1767225600000ll
#define FEBRUARY 1769904000000ll
#define MARCH	 1772323200000ll

/* Two runs of January with files, one of February with one that January has too. */
static struct archive due(void)
{
	const struct archive_policy p = {.now_ms = MARCH, .keep_months = 0};
	struct archive a;

	begin_epoch();
	one_run("run-1", "of January", JANUARY + 1000);
	one_run("run-2", "of both", JANUARY + 2000);
	one_run("run-3", "of both", FEBRUARY + 1000);
	do_checkpoint();
	OK(archive_due(fx.db, &p, &a, &fx.e));
	ck_assert_int_eq(a.to, 2);
	return a;
}

static const char *look_at(const struct archive *a)
{
	const struct verify_opts o = {.found = found};
	_cleanup_(freep) char *path = xasprintf("%s/%s", archives, a->file);

	sb_clear(&said);
	OK(verify_archive(path, &o, &result, &fx.e));
	return said.s ? said.s : "";
}

START_TEST(a_month_takes_its_files_with_it_and_leaves_those_that_others_name)
{
	struct archive a = due();
	const struct verify_opts with = {
		.attachments = store, .archives = archives, .found = found};
	_cleanup_(freep) char *path = xasprintf("%s/" ATTACHMENTS_DIR, archives);
	_cleanup_(freep) char *both = file_of(path, "of both");
	char sha256[SHA256_HEX];
	int64_t left = 1;

	OK(archive_write(fx.db, archives, NULL, NULL, store, &a, &fx.e));
	ck_assert_str_eq(look_at(&a), "");
	ck_assert_int_eq(result.attachments, 2);
	TX(archives_add(fx.db, &a, &fx.e));
	while (left > 0)
		TX(archives_clear(fx.db, 2, &left, &fx.e));
	assert_room(1, 7);
	ck_assert_int_eq(
		attachments_named(fx.db, sha256_hex_of("of January", 10, sha256), &fx.e), 0);
	ck_assert_int_eq(attachments_named(fx.db, sha256_hex_of("of both", 7, sha256), &fx.e), 1);
	/* The whole history at once: two files next to the archive, one of the store. */
	sb_clear(&said);
	OK(verify_database(fx.path, &with, &result, &fx.e));
	ck_assert_str_eq(said.s ? said.s : "", "");
	ck_assert_int_eq(result.attachments, 3);
	unlink(both);
	ck_assert_msg(strstr(look_at(&a), "run run-2 (record 2): attachments 1 'wave.csv'") != NULL,
		"%s", said.s);
}
END_TEST

START_TEST(nothing_is_archived_without_its_file)
{
	struct archive a = due();
	_cleanup_(freep) char *path = file_of(store, "of January");
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	fputs("of Januarz", f);
	fclose(f);
	ck_assert_int_eq(archive_write(fx.db, archives, NULL, NULL, store, &a, &fx.e),
		-ERR_ATTACHMENT_DAMAGED);
	ck_assert_msg(strstr(fx.e.msg, "put back from a backup") != NULL, "%s", fx.e.msg);
	free(path);
	path = xasprintf("%s/%s", archives, a.file);
	ck_assert_int_lt(access(path, F_OK), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("attachments");
	TCase *t = tcase_create("attachments");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, each_limit_has_its_sentence_and_harms_nothing_that_is_there);
	tcase_add_test(t, a_row_is_of_an_open_step_and_never_changes);
	tcase_add_test(t, a_changed_cut_or_missing_file_is_found_in_its_place);
	tcase_add_test(t, what_is_attached_to_an_exported_record_is_looked_at_or_said_not_to_be);
	tcase_add_test(t, a_row_that_was_taken_away_or_changed_is_found);
	tcase_add_test(t, a_run_without_any_has_the_record_of_before);
	tcase_add_test(t, a_month_takes_its_files_with_it_and_leaves_those_that_others_name);
	tcase_add_test(t, nothing_is_archived_without_its_file);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
