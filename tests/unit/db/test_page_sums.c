/* SPDX-License-Identifier: Apache-2.0
 *
 * A byte that changes in the file of the database is seen when its page is read; what a crash, a
 * copy, or another program that only reads leaves is not taken for that.
 */
#include "db/sqlite/page_sums.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "db/audit.h"
#include "db/integrity.h"
#include "db/stmt.h"
#include "tests/unit/db/fixture.h"

#define PAGE 4096

static char sums_path[96], wal_path[96];

static void fill(int from, int to)
{
	static const struct audit_who who = {.principal = "tester"};

	for (int i = from; i < to; i++) {
		char target[64];

		snprintf(target, sizeof target, "target-%d", i);
		TX(audit_add(fx.db, &who, "test.fill", target, NULL, &fx.e));
	}
}

static void setup(void)
{
	fixture_setup();
	snprintf(sums_path, sizeof sums_path, "%s-sums", fx.path);
	snprintf(wal_path, sizeof wal_path, "%s-wal", fx.path);
	fill(0, 400);
}

static void teardown(void)
{
	fixture_teardown();
}

static off_t file_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : 0;
}

static void flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t b;

	ck_assert_int_eq(pread(fd, &b, 1, at), 1);
	b ^= 0x40;
	ck_assert_int_eq(pwrite(fd, &b, 1, at), 1);
	close(fd);
}

/* "" or what the check of the file finds. */
static const char *found(void)
{
	static char text[320];

	OK(integrity_structure(fx.db, NULL, text, &fx.e));
	return text;
}

static int count_audit(void)
{
	int r = db_run(fx.db, &fx.e, "SELECT count(target), max(length(target)) FROM audit");

	return MIN(r, 0);
}

START_TEST(a_changed_byte_of_each_page_is_seen)
{
	off_t pages;

	fx.db = db_free(fx.db);
	pages = file_bytes(fx.path) / PAGE;
	ck_assert_int_gt((int)pages, 40);
	for (off_t i = 1; i <= pages; i++) {
		char want[64];
		off_t at = i * PAGE - 1 - i % 50; /* pages are used from their ends */

		flip(fx.path, at);
		snprintf(want, sizeof want, "page %d of the database is not what was written",
			(int)i);
		if (db_open(fx.path, &fx.db, &fx.e) == 0)
			ck_assert_msg(strstr(found(), want) != NULL, "%s: %s", want, found());
		else
			ck_assert_int_eq(fx.e.code, ERR_RECORDS_DAMAGED);
		fx.db = db_free(fx.db);
		flip(fx.path, at);
	}
	OK(db_open(fx.path, &fx.db, &fx.e));
	ck_assert_str_eq(found(), "");
}
END_TEST

START_TEST(a_damaged_page_is_not_served)
{
	static const char sql[] = "SELECT max(pageno) FROM dbstat WHERE name = 'audit'"
				  " AND pagetype = 'leaf'";
	int64_t page;

	ck_assert_int_eq(db_int(fx.db, &fx.e, &page, sql), 1);
	fx.db = db_free(fx.db);
	flip(fx.path, page * PAGE - 3);
	OK(db_open(fx.path, &fx.db, &fx.e));
	FAILS(ERR_RECORDS_DAMAGED, count_audit());
	ck_assert_int_eq(db_damaged_page(fx.db), page);
	ck_assert_ptr_nonnull(strstr(found(), "table audit"));
	/* Who looks for what there is can look. */
	db_tolerate(fx.db, true);
	OK(count_audit());
	db_tolerate(fx.db, false);
}
END_TEST

/* Ends without closing anything, as a kill does. */
static void work_and_be_killed(bool checkpoint)
{
	pid_t pid;
	int status;

	fx.db = db_free(fx.db);
	pid = fork();
	if (pid == 0) {
		OK(db_open(fx.path, &fx.db, &fx.e));
		fill(400, 800);
		if (checkpoint)
			db_run(fx.db, &fx.e, "PRAGMA wal_checkpoint(PASSIVE)");
		fill(800, 900);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_gt((int)file_bytes(wal_path), PAGE);
}

START_TEST(a_kill_is_no_damage)
{
	for (int i = 0; i < 2; i++) {
		work_and_be_killed(i == 1);
		OK(db_open(fx.path, &fx.db, &fx.e));
		ck_assert_str_eq(found(), "");
		OK(count_audit());
	}
}
END_TEST

START_TEST(a_page_that_a_checkpoint_tore_is_read_from_the_log)
{
	work_and_be_killed(false);
	/* The end of the table: it is in the log, and a checkpoint had begun to move it. */
	flip(fx.path, file_bytes(fx.path) - 5);
	OK(db_open(fx.path, &fx.db, &fx.e));
	OK(count_audit());
	fx.db = db_free(fx.db);
	OK(db_open(fx.path, &fx.db, &fx.e));
	ck_assert_str_eq(found(), "");
}
END_TEST

static void other_program(const char *sql)
{
	sqlite3 *d = NULL;

	ck_assert_int_eq(sqlite3_open(fx.path, &d), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(d, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(d);
}

START_TEST(what_another_program_writes_is_damage_and_what_it_reads_is_not)
{
	fx.db = db_free(fx.db);
	other_program("SELECT count(*) FROM audit");
	OK(db_open(fx.path, &fx.db, &fx.e));
	ck_assert_str_eq(found(), "");
	/* After a kill the last to close moves the log into the file. */
	work_and_be_killed(true);
	other_program("SELECT count(*) FROM audit");
	ck_assert_int_eq((int)file_bytes(wal_path), 0);
	OK(db_open(fx.path, &fx.db, &fx.e));
	ck_assert_str_eq(found(), "");
	OK(count_audit());
	fx.db = db_free(fx.db);
	other_program("UPDATE pools SET low_water = 1; UPDATE clock SET floor_ms = 1");
	OK(db_open(fx.path, &fx.db, &fx.e));
	ck_assert_ptr_nonnull(strstr(found(), "is not what was written"));
}
END_TEST

START_TEST(a_copy_in_the_place_of_the_file_begins_again)
{
	char cmd[400];

	OK(db_script(fx.db, "PRAGMA wal_checkpoint(TRUNCATE)", &fx.e));
	snprintf(cmd, sizeof cmd, "cp %s %s.copy", fx.path, fx.path);
	ck_assert_int_eq(system(cmd), 0);
	fill(400, 900);
	fx.db = db_free(fx.db);
	snprintf(cmd, sizeof cmd, "mv %s %s.old && mv %s.copy %s", fx.path, fx.path, fx.path,
		fx.path);
	ck_assert_int_eq(system(cmd), 0);
	OK(db_open(fx.path, &fx.db, &fx.e));
	ck_assert_str_eq(found(), "");
	/* And for those that had none. */
	fx.db = db_free(fx.db);
	ck_assert_int_eq(unlink(sums_path), 0);
	OK(db_open(fx.path, &fx.db, &fx.e));
	ck_assert_str_eq(found(), "");
	fx.db = db_free(fx.db);
	flip(fx.path, 30 * PAGE - 4);
	OK(db_open(fx.path, &fx.db, &fx.e));
	ck_assert_str_ne(found(), "");
}
END_TEST

START_TEST(a_file_that_shrinks_and_grows_stays_whole)
{
	fill(400, 900);
	OK(db_script(fx.db,
		"CREATE TABLE big AS SELECT * FROM audit; DROP TABLE big; VACUUM;"
		"PRAGMA wal_checkpoint(TRUNCATE)",
		&fx.e));
	fixture_reopen();
	ck_assert_str_eq(found(), "");
	fill(900, 1200);
	fixture_reopen();
	ck_assert_str_eq(found(), "");
}
END_TEST

static bool writing; /* atomic */

static void *read_on(void *arg)
{
	static const char sql[] = "SELECT count(target), max(length(target)) FROM audit";
	struct db *d = NULL;
	struct err e = {0};
	intptr_t bad = 0;

	while (__atomic_load_n(&writing, __ATOMIC_ACQUIRE) && !bad) {
		bad = db_open_reader(fx.path, &d, &e) < 0 || db_run(d, &e, sql) < 0 ||
		      db_damaged_page(d) != 0;
		d = db_free(d);
	}
	return (void *)bad;
}

/* Nobody reads a page of the file that a checkpoint writes at that moment. */
START_TEST(readers_meet_no_damage_while_checkpoints_move_the_log)
{
	pthread_t reader[3];

	__atomic_store_n(&writing, true, __ATOMIC_RELEASE);
	for (size_t i = 0; i < ARRAY_LEN(reader); i++)
		ck_assert_int_eq(pthread_create(&reader[i], NULL, read_on, NULL), 0);
	for (int i = 0; i < 60; i++) {
		fill(1000 + i * 4, 1000 + i * 4 + 4);
		db_run(fx.db, &fx.e, "PRAGMA wal_checkpoint(PASSIVE)");
	}
	__atomic_store_n(&writing, false, __ATOMIC_RELEASE);
	for (size_t i = 0; i < ARRAY_LEN(reader); i++) {
		void *bad;

		pthread_join(reader[i], &bad);
		ck_assert_ptr_null(bad);
	}
	ck_assert_str_eq(found(), "");
}
END_TEST

struct asks {
	int n, until;
};

static bool count_asks(void *data)
{
	struct asks *a = data;

	return ++a->n > a->until;
}

/* The pages of a year take seconds: neither a start nor an end waits for all of them. */
START_TEST(a_check_that_is_stopped_reads_no_further)
{
	struct asks all = {.until = INT_MAX}, some = {.until = 3};
	const struct integrity_stop never = {count_asks, &all}, soon = {count_asks, &some};
	char text[ERR_TEXT_BYTES];

	OK(db_script(fx.db,
		"CREATE TABLE big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
		" LIMIT 4000) SELECT i, zeroblob(3000) FROM n; PRAGMA wal_checkpoint(TRUNCATE)",
		&fx.e));
	fixture_reopen();
	OK(integrity_structure(fx.db, &never, text, &fx.e));
	ck_assert_str_eq(text, "");
	ck_assert_int_gt(all.n, 4000 / 64);
	FAILS(ERR_ABORTED, integrity_structure(fx.db, &soon, text, &fx.e));
	ck_assert_str_eq(text, "");
	ck_assert_int_lt(some.n, 20);
	/* The next reader is not stopped. */
	ck_assert_str_eq(found(), "");
	OK(count_audit());
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("page_sums");
	TCase *t = tcase_create("page_sums");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_changed_byte_of_each_page_is_seen);
	tcase_add_test(t, a_damaged_page_is_not_served);
	tcase_add_test(t, a_kill_is_no_damage);
	tcase_add_test(t, a_page_that_a_checkpoint_tore_is_read_from_the_log);
	tcase_add_test(t, what_another_program_writes_is_damage_and_what_it_reads_is_not);
	tcase_add_test(t, a_copy_in_the_place_of_the_file_begins_again);
	tcase_add_test(t, a_file_that_shrinks_and_grows_stays_whole);
	tcase_add_test(t, readers_meet_no_damage_while_checkpoints_move_the_log);
	tcase_add_test(t, a_check_that_is_stopped_reads_no_further);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
