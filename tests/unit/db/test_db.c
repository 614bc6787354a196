/* SPDX-License-Identifier: Apache-2.0 */
#include "db/db.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/iotime.h"
#include "db/events.h"
#include "db/migrations.h"
#include "db/stmt.h"
#include "tests/unit/db/fixture.h"

static int one_int(const char *sql)
{
	int64_t n = -1;

	ck_assert_int_eq(db_int(fx.db, &fx.e, &n, sql), 1);
	return (int)n;
}

START_TEST(the_files_next_to_a_database_are_those_that_it_names)
{
	_cleanup_(freep) char *log = db_log_path(fx.path);
	_cleanup_(freep) char *sums = db_sums_path(fx.path);

	TX(db_event(fx.db, "kept", NULL, NULL, NULL, NULL, NULL, &fx.e));
	ck_assert_int_eq(access(log, F_OK), 0);
	ck_assert_int_eq(access(sums, F_OK), 0);
}
END_TEST

START_TEST(files_are_for_the_owner_alone)
{
	char path[128];
	struct db *d = NULL;
	struct stat st;

	snprintf(path, sizeof path, "%s/sub/x.db", fx.dir);
	OK(db_open(path, &d, &fx.e));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	strcat(path, "-wal");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	db_free(d);
	snprintf(path, sizeof path, "%s/sub", fx.dir);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0700);
	strcat(path, "/x.db");
	unlink(path);
	snprintf(path, sizeof path, "%s/sub", fx.dir);
	rmdir(path);
}
END_TEST

START_TEST(a_commit_is_synced_and_references_are_checked)
{
	ck_assert_int_eq(one_int("PRAGMA synchronous"), 2);
	ck_assert_int_eq(one_int("PRAGMA foreign_keys"), 1);
	ck_assert_int_eq(one_int("SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
	ck_assert_int_eq(one_int("PRAGMA user_version"), migration_count);
	ck_assert_int_eq(one_int("PRAGMA application_id"), 0x70766431);
}
END_TEST

START_TEST(opening_again_keeps_everything)
{
	TX(db_event(fx.db, "hello", "A1", NULL, NULL, NULL, NULL, &fx.e));
	for (int i = 0; i < 3; i++)
		fixture_reopen();
	ck_assert_int_eq(one_int("SELECT count(*) FROM events"), 1);
}
END_TEST

START_TEST(a_database_of_a_newer_provd_is_refused_and_untouched)
{
	struct db *d = NULL;

	OK(db_script(fx.db, "PRAGMA user_version = 9999", &fx.e));
	fx.db = db_free(fx.db);
	FAILS(ERR_UNSUPPORTED, db_open(fx.path, &d, &fx.e));
	ck_assert_ptr_nonnull(strstr(fx.e.msg, "newer provd"));
	FAILS(ERR_UNSUPPORTED, db_open_reader(fx.path, &d, &fx.e));
	ck_assert_ptr_null(d);
}
END_TEST

START_TEST(a_foreign_or_broken_file_is_refused)
{
	char path[128];
	struct db *d = NULL;

	OK(db_script(fx.db, "PRAGMA application_id = 1", &fx.e));
	fx.db = db_free(fx.db);
	FAILS(ERR_UNSUPPORTED, db_open(fx.path, &d, &fx.e));
	snprintf(path, sizeof path, "%s/text", fx.dir);

	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(write(fd, "this is not a database at all\n", 30), 30);
	close(fd);
	FAILS(ERR_RECORDS_DAMAGED, db_open(path, &d, &fx.e));
	FAILS(ERR_DATABASE, db_open_reader("/tmp/absent/nothing.db", &d, &fx.e));
}
END_TEST

START_TEST(a_reader_sees_commits_and_cannot_write)
{
	struct db *r = NULL;
	struct db_list l;

	OK(db_open_reader(fx.path, &r, &fx.e));
	OK(db_begin(fx.db, &fx.e));
	OK(db_event(fx.db, "a", NULL, NULL, NULL, NULL, NULL, &fx.e));
	OK(events_list(r, NULL, NULL, &l, &fx.e));
	ck_assert_uint_eq(json_array_size(l.items), 0);
	json_decref(l.items);
	OK(db_commit(fx.db, &fx.e));
	OK(events_list(r, NULL, NULL, &l, &fx.e));
	ck_assert_uint_eq(json_array_size(l.items), 1);
	json_decref(l.items);
	FAILS(ERR_DATABASE, db_event(r, "b", NULL, NULL, NULL, NULL, NULL, &fx.e));
	db_free(r);
}
END_TEST

START_TEST(events_are_listed_by_several_types_and_by_how_a_type_begins)
{
	static const struct {
		const char *types;
		size_t found;
	} asked[] = {{"job-created", 1}, {"job-created,unit-changed", 2}, {"job-*", 2},
		{"job-*,unit-changed", 3}, {"job,unit", 0}};
	struct db_list l;

	TX(db_event(fx.db, "job-created", NULL, NULL, NULL, NULL, NULL, &fx.e));
	TX(db_event(fx.db, "job-changed", NULL, NULL, NULL, NULL, NULL, &fx.e));
	TX(db_event(fx.db, "unit-changed", NULL, NULL, NULL, NULL, NULL, &fx.e));
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		const struct event_filter f = {.type = asked[i].types};

		OK(events_list(fx.db, &f, NULL, &l, &fx.e));
		ck_assert_msg(json_array_size(l.items) == asked[i].found, "%s: %zu found",
			asked[i].types, json_array_size(l.items));
		json_decref(l.items);
	}
}
END_TEST

START_TEST(constraints_and_a_full_quota_have_their_codes)
{
	char big[4096];

	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = 0;
	FAILS(ERR_CONFLICT, db_run(fx.db, &fx.e,
				    "INSERT INTO tokens (id, name, role, secret_sha256,"
				    " created_at) VALUES ('a', 'b', 'king', 'c', 1)"));
	OK(db_set_quota(fx.db, 1, &fx.e)); /* sqlite never goes below the present size */
	FAILS(ERR_DISK_FULL, ({
		int r = 0;

		for (int i = 0; i < 1000 && r >= 0; i++)
			r = db_run(fx.db, &fx.e,
				"INSERT INTO audit (at, principal, action, target,"
				" detail) VALUES (1, 'p', 'a', 't', ?)",
				big);
		r;
	}));
	OK(db_set_quota(fx.db, 0, &fx.e));
	ck_assert_int_eq(db_run(fx.db, &fx.e,
				 "INSERT INTO audit (at, principal, action, target,"
				 " detail) VALUES (1, 'p', 'a', 't', ?)",
				 big),
		1);
}
END_TEST

START_TEST(a_statement_may_be_used_inside_itself)
{
	struct row {
		int64_t value;
	} a, b;
	static const struct column columns[] = {COL(struct row, value), {0}};
	static const struct select all = {"SELECT value FROM json_each('[1, 2, 3]')", columns};
	int sum = 0;
	struct query outer;

	OK(select_begin(&outer, fx.db, &fx.e, &all));
	while (select_next(&outer, &a, &fx.e) > 0) {
		struct query inner;

		OK(select_begin(&inner, fx.db, &fx.e, &all));
		while (select_next(&inner, &b, &fx.e) > 0)
			sum += (int)(a.value * b.value);
		query_done(&inner);
	}
	query_done(&outer);
	ck_assert_int_eq(sum, 36);
}
END_TEST

/* Start to READY is a promise: nothing at open or recovery may walk the tables. */
START_TEST(opening_and_recovery_with_100000_units_stay_fast)
{
	static const char fill[] =
		"BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <"
		" 100000) INSERT INTO units (id, serial, state, created_at, updated_at)"
		" SELECT 'unit-' || i, 'SN' || i, 'passed', i, i FROM n;"
		" WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
		" INSERT INTO runs (id, station, unit_id, serial, state, outcome, attached_at,"
		" ended_at, chain, hash) SELECT 'run-' || i, 'A1', 'unit-' || i, 'SN' || i,"
		" 'finished', 'passed', i, i, i, 'h' FROM n; COMMIT;";
	int64_t n = -1;

	OK(db_script(fx.db, fill, &fx.e));
	fx.db = db_free(fx.db);

	uint64_t t = now_us();

	OK(db_open(fx.path, &fx.db, &fx.e));
	TX(runs_recover(fx.db, &n, &fx.e));
	t = now_us() - t;
	ck_assert_int_eq(n, 0);
	printf("open and recovery with 100,000 units: %.1f ms\n", (double)t / 1000);
	ck_assert_msg(t < 100000, "%llu us", (unsigned long long)t);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("db");
	TCase *t = tcase_create("db");

	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, the_files_next_to_a_database_are_those_that_it_names);
	tcase_add_test(t, files_are_for_the_owner_alone);
	tcase_add_test(t, a_commit_is_synced_and_references_are_checked);
	tcase_add_test(t, opening_again_keeps_everything);
	tcase_add_test(t, a_database_of_a_newer_provd_is_refused_and_untouched);
	tcase_add_test(t, a_foreign_or_broken_file_is_refused);
	tcase_add_test(t, a_reader_sees_commits_and_cannot_write);
	tcase_add_test(t, events_are_listed_by_several_types_and_by_how_a_type_begins);
	tcase_add_test(t, constraints_and_a_full_quota_have_their_codes);
	tcase_add_test(t, a_statement_may_be_used_inside_itself);
	tcase_add_test(t, opening_and_recovery_with_100000_units_stay_fast);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
