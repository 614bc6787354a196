/* SPDX-License-Identifier: Apache-2.0
 *
 * A database of each released schema (tests/unit/db/schemas) goes forward to what a new one is, with its rows; what that
 * takes is known before, on a copy, without a byte of the database changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/state_lock.h"
#include "base/strbuf.h"
#include "base/tree.h"
#include "base/util.h"
#include "db/upgrade.h"
#include "tests/unit/db/fixture.h"

#define SCHEMAS_MAX 256

static char *file_text(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t n = 0;
	ssize_t got;

	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	got = getdelim(&text, &n, 0, f);
	ck_assert_msg(got > 0, "%s is empty", path);
	fclose(f);
	return text;
}

static void run_sql(sqlite3 *sql, const char *text)
{
	char *why = NULL;

	ck_assert_msg(sqlite3_exec(sql, text, NULL, NULL, &why) == SQLITE_OK, "%s", why);
}

/* Of the files, the newest; schemas that were not released yet have none. */
static int newest_kept(void)
{
	int newest = 0;
	char path[PATH_MAX];

	for (int n = 1; n < SCHEMAS_MAX; n++) {
		snprintf(path, sizeof path, SCHEMAS_DIR "/%04d.sql", n);
		if (access(path, F_OK) < 0)
			break;
		newest = n;
	}
	return newest;
}

/* What is next to the database belongs to the one before. */
static void remove_rest(void)
{
	_cleanup_(freep) char *log = db_log_path(fx.path);
	_cleanup_(freep) char *sums = db_sums_path(fx.path);

	unlink(log);
	unlink(sums);
}

/* The file of that schema as the database of the fixture, which is not open afterwards. */
static void load(int schema)
{
	char path[PATH_MAX];
	char stamp[96];
	sqlite3 *sql;
	char *text;

	fx.db = db_free(fx.db);
	remove_rest();
	unlink(fx.path);
	snprintf(path, sizeof path, SCHEMAS_DIR "/%04d.sql", schema);
	text = file_text(path);
	ck_assert_int_eq(sqlite3_open(fx.path, &sql), SQLITE_OK);
	run_sql(sql, text);
	/* As db/sqlite/engine.c marks a file as ours. */
	snprintf(stamp, sizeof stamp, "PRAGMA application_id = %d; PRAGMA user_version = %d",
		0x70766431, schema);
	run_sql(sql, stamp);
	sqlite3_close(sql);
	free(text);
}

static int add_row(void *data, int columns, char **value, char **name)
{
	struct strbuf *out = data;

	for (int i = 0; i < columns; i++)
		sb_addf(out, "%s%s", i > 0 ? " | " : "", value[i] ? value[i] : "NULL");
	sb_add(out, "\n");
	return 0;
}

/* All rows as lines of text; owned by the caller. The database is not open otherwise. */
static char *rows(const char *path, const char *query)
{
	struct strbuf out = {0};
	sqlite3 *sql;
	char *why = NULL;

	ck_assert_int_eq(sqlite3_open_v2(path, &sql, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	ck_assert_msg(
		sqlite3_exec(sql, query, add_row, &out, &why) == SQLITE_OK, "%s: %s", query, why);
	sqlite3_close(sql);
	return sb_take(&out);
}

/* Every table, index and trigger, by name and text; white space aside. */
#define SCHEMA                                                                                        \
	"SELECT type, name, tbl_name, replace (replace (replace (sql, char (10), ''), char (9), '')," \
	" ' ', '') FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name"

/* What the rows of make-schema say in every schema. */
static const char *const kept[][2] = {
	{"SELECT id, serial, state FROM units ORDER BY id",
		"u1 | SN000001 | passed\nu2 | SN000002 | failed\n"},
	{"SELECT id, outcome, code, chain, length (hash) FROM runs ORDER BY id",
		"r1 | passed | NULL | 1 | 64\nr2 | failed | limit-low | 2 | 64\n"},
	{"SELECT name, value, verdict FROM measurements", "vdd | 3.3 | pass\n"},
	{"SELECT value, state, exposed FROM serials", "SN000001 | committed | 1\n"},
	{"SELECT next FROM pools", "3\n"},
	{"SELECT text FROM run_log", "vdd 3.3\n"},
	{"SELECT name, state, approved_by FROM recipes", "line | approved | ben\n"},
	{"SELECT name, role FROM tokens", "anna | admin\n"},
	{"SELECT type FROM events", "run-finished\n"},
	{"SELECT action FROM audit", "recipe.approve\n"},
	{"PRAGMA foreign_key_check", ""},
	{"PRAGMA integrity_check", "ok\n"},
};

static void expect_rows(int schema)
{
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		_cleanup_(freep) char *got = rows(fx.path, kept[i][0]);

		ck_assert_msg(
			!strcmp(got, kept[i][1]), "schema %d: %s: %s", schema, kept[i][0], got);
	}
}

START_TEST(every_schema_that_was_released_goes_forward_with_its_rows)
{
	_cleanup_(freep) char *fresh = NULL;
	const int newest = newest_kept();

	ck_assert_int_ge(newest, 24);
	ck_assert_int_le(newest, migration_count);
	fx.db = db_free(fx.db);
	fresh = rows(fx.path, SCHEMA);
	for (int schema = 1; schema <= newest; schema += AMOUNT(1, 4)) {
		_cleanup_(freep) char *got = NULL;

		load(schema);
		OK(db_open(fx.path, &fx.db, &fx.e));
		fx.db = db_free(fx.db);
		got = rows(fx.path, SCHEMA);
		ck_assert_msg(!strcmp(got, fresh), "schema %d goes forward to\n%s\nand not to\n%s",
			schema, got, fresh);
		expect_rows(schema);
	}
}
END_TEST

/* Appends the rows of each table of a list of names, a line each. */
static char *rows_of_all(const char *path, char *names)
{
	struct strbuf out = {0};

	for (char *save, *name = strtok_r(names, "\n", &save); name;
		name = strtok_r(NULL, "\n", &save)) {
		_cleanup_(freep) char *query = xasprintf("SELECT * FROM \"%s\" ORDER BY 1", name);
		_cleanup_(freep) char *got = rows(path, query);

		sb_addf(&out, "%s\n%s", name, got);
	}
	return sb_take(&out);
}

/* A new database does not go through the history: what it holds is what the history makes. */
START_TEST(a_new_database_is_what_all_migrations_make)
{
	static const char tables[] =
		"SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
	_cleanup_(freep) char *step_by_step = xasprintf("%s/steps.db", fx.dir);
	_cleanup_(freep) char *whole = xasprintf("%s/whole.db", fx.dir);
	const char *const paths[] = {step_by_step, whole};
	char *schema[2], *filled[2];

	for (size_t i = 0; i < 2; i++) {
		_cleanup_(freep) char *names = NULL;
		sqlite3 *sql;

		ck_assert_int_eq(sqlite3_open(paths[i], &sql), SQLITE_OK);
		for (int v = 0; i == 0 && v < migration_count; v++)
			run_sql(sql, migrations[v].sql);
		if (i == 1)
			run_sql(sql, migrations_whole);
		sqlite3_close(sql);
		schema[i] = rows(paths[i], SCHEMA);
		names = rows(paths[i], tables);
		filled[i] = rows_of_all(paths[i], names);
		ck_assert_ptr_nonnull(strstr(filled[i], "time_bars\n0\n"));
	}
	ck_assert_str_eq(schema[0], schema[1]);
	ck_assert_str_eq(filled[0], filled[1]);
	for (size_t i = 0; i < 2; i++) {
		free(schema[i]);
		free(filled[i]);
	}
}
END_TEST

static int files_in(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	ck_assert_ptr_nonnull(d);
	for (struct dirent *f; (f = readdir(d));)
		n += strncmp(f->d_name, "upgrade-check", strlen("upgrade-check")) == 0;
	closedir(d);
	return n;
}

START_TEST(an_upgrade_is_measured_on_a_copy_and_changes_nothing)
{
	struct upgrade u;
	char before[SHA256_HEX];
	char after[SHA256_HEX];
	char *version;

	load(12);
	OK(sha256_file(fx.path, before, &fx.e));
	OK(upgrade_rehearse(fx.dir, &u, &fx.e));
	OK(sha256_file(fx.path, after, &fx.e));
	ck_assert_str_eq(before, after);
	ck_assert_int_eq(files_in(fx.dir), 0);
	ck_assert_int_eq(u.from, 12);
	ck_assert_int_eq(u.to, migration_count);
	ck_assert(u.measured);
	ck_assert_int_gt(u.size_bytes, 0);
	/* Tables and indexes were added. */
	ck_assert_int_gt(u.grown_bytes, 0);
	ck_assert_int_ge(u.peak_bytes, u.grown_bytes);
	version = rows(fx.path, "PRAGMA user_version");
	ck_assert_str_eq(version, "12\n");
	free(version);
}
END_TEST

START_TEST(what_a_killed_check_left_is_removed_and_a_working_one_is_not)
{
	_cleanup_(freep) char *killed = xasprintf("%s/upgrade-check-killed", fx.dir);
	_cleanup_(freep) char *copy = xasprintf("%s/provd.db", killed);
	_cleanup_(freep) char *working = xasprintf("%s/upgrade-check-works", fx.dir);
	_cleanup_(closep) int lock = -1;
	struct upgrade u;

	load(12);
	ck_assert_int_eq(mkdir(killed, 0700), 0);
	ck_assert_int_eq(mkdir(working, 0700), 0);
	close(creat(copy, 0600));
	OK(state_lock(working, &lock, &fx.e));
	OK(upgrade_rehearse(fx.dir, &u, &fx.e));
	ck_assert_int_eq(access(killed, F_OK), -1);
	ck_assert_int_eq(access(working, F_OK), 0);
	tree_remove(working);
}
END_TEST

START_TEST(what_the_start_takes_is_within_what_was_measured)
{
	_cleanup_(freep) char *log = db_log_path(fx.path);
	struct upgrade u;
	struct stat before;
	struct stat after;
	struct stat in_log;

	load(1);
	OK(upgrade_rehearse(fx.dir, &u, &fx.e));
	ck_assert_int_eq(stat(fx.path, &before), 0);
	OK(db_open(fx.path, &fx.db, &fx.e));
	ck_assert_int_eq(stat(fx.path, &after), 0);
	ck_assert_int_eq(stat(log, &in_log), 0);
	ck_assert_int_le(after.st_size - before.st_size, u.grown_bytes);
	ck_assert_int_le(in_log.st_size, u.peak_bytes);
}
END_TEST

START_TEST(a_database_of_this_version_has_nothing_to_do)
{
	struct upgrade u;

	OK(upgrade_rehearse(fx.dir, &u, &fx.e));
	ck_assert_int_eq(u.from, migration_count);
	ck_assert_int_eq(u.to, migration_count);
	ck_assert_int_eq(u.peak_bytes, 0);
}
END_TEST

START_TEST(where_there_is_no_database_a_start_makes_it)
{
	struct upgrade u;

	fx.db = db_free(fx.db);
	remove_rest();
	unlink(fx.path);
	OK(upgrade_rehearse(fx.dir, &u, &fx.e));
	ck_assert_int_eq(u.from, 0);
	ck_assert_int_eq(access(fx.path, F_OK), -1);
}
END_TEST

START_TEST(a_newer_schema_is_refused_with_both_numbers)
{
	struct upgrade u;

	OK(db_script(fx.db, "PRAGMA user_version = 9999", &fx.e));
	fx.db = db_free(fx.db);
	FAILS(ERR_UNSUPPORTED, upgrade_rehearse(fx.dir, &u, &fx.e));
	ck_assert_ptr_nonnull(strstr(fx.e.msg, "schema 9999 was made by a newer provd"));
	FAILS(ERR_UNSUPPORTED, db_open(fx.path, &fx.db, &fx.e));
	fx.db = NULL;
}
END_TEST

START_TEST(a_migration_that_would_fail_is_named)
{
	struct upgrade u;
	sqlite3 *sql;

	load(12);
	ck_assert_int_eq(sqlite3_open(fx.path, &sql), SQLITE_OK);
	run_sql(sql, "CREATE TABLE rollups (stranger)");
	sqlite3_close(sql);
	ck_assert_int_lt(upgrade_rehearse(fx.dir, &u, &fx.e), 0);
	ck_assert_msg(strstr(fx.e.msg, "0013_rollups.sql") != NULL, "%s", fx.e.msg);
	ck_assert_int_eq(files_in(fx.dir), 0);
}
END_TEST

/* An older package reads the schema in the header of the file, without sqlite. */
START_TEST(the_header_of_the_file_has_the_schema_once_it_is_open)
{
	unsigned char number[4];
	FILE *f;

	load(12);
	OK(db_open(fx.path, &fx.db, &fx.e));
	f = fopen(fx.path, "re");
	ck_assert_int_eq(fseek(f, 60, SEEK_SET), 0);
	ck_assert_uint_eq(fread(number, 1, sizeof number, f), sizeof number);
	fclose(f);
	ck_assert_int_eq(number[2] * 256 + number[3], migration_count);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("upgrade");
	TCase *tc = tcase_create("upgrade");

	tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, every_schema_that_was_released_goes_forward_with_its_rows);
	tcase_add_test(tc, a_new_database_is_what_all_migrations_make);
	tcase_add_test(tc, an_upgrade_is_measured_on_a_copy_and_changes_nothing);
	tcase_add_test(tc, what_a_killed_check_left_is_removed_and_a_working_one_is_not);
	tcase_add_test(tc, what_the_start_takes_is_within_what_was_measured);
	tcase_add_test(tc, a_database_of_this_version_has_nothing_to_do);
	tcase_add_test(tc, where_there_is_no_database_a_start_makes_it);
	tcase_add_test(tc, a_newer_schema_is_refused_with_both_numbers);
	tcase_add_test(tc, a_migration_that_would_fail_is_named);
	tcase_add_test(tc, the_header_of_the_file_has_the_schema_once_it_is_open);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
