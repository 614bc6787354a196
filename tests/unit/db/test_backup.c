/* SPDX-License-Identifier: Apache-2.0
 *
 * A backup is whole or is not there; what was changed in it is named; and a restored one puts nothing at risk
 * that was there. The database is worked with while it is copied.
 */
#include "db/backup.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/manifest.h"
#include "base/seal.h"
#include "base/state_lock.h"
#include "base/strbuf.h"
#include "base/tree.h"
#include "db/artifacts.h"
#include "db/restore.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

static char state[96], to[96];
static struct strbuf said;
static struct backup_result result;

static void heard(void *data, const char *sentence)
{
	sb_addf(&said, "%s\n", sentence);
}

static const struct backup_ear ear = {heard, NULL};

static char *path_of(const char *dir, const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void put(const char *dir, const char *name, const char *text)
{
	_cleanup_(freep) char *path = path_of(dir, name);
	_cleanup_(fclosep) FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
}

static bool is_there(const char *dir, const char *name)
{
	_cleanup_(freep) char *path = path_of(dir, name);

	return access(path, F_OK) == 0;
}

static void do_run(int i)
{
	char id[16], unit[DB_ID_SIZE];

	snprintf(id, sizeof id, "r%d", i);
	open_run(id, "A1", NULL);
	TX(units_identify(fx.db, id, "chip", "T200", unit, &fx.e));
	TX(runs_log(fx.db, id, 1, 1650, '>', "hello", &fx.e));
	finish_run(id, "passed");
}

static void add_artifact(const char *text, char sha256[SHA256_HEX])
{
	_cleanup_(freep) char *dir = path_of(state, "artifacts");
	bool created;

	sha256_hex_of(text, strlen(text), sha256);

	const struct artifact a = {.sha256 = sha256,
		.name = "app.bin",
		.size_bytes = (int64_t)strlen(text),
		.format = "raw",
		.created_by = "test"};

	put(dir, sha256, text);
	TX(artifacts_add(fx.db, &a, &created, &fx.e));
}

static void setup(void)
{
	_cleanup_(freep) char *artifacts = NULL, *keep = NULL, *key = NULL;
	_cleanup_(seal_freep) struct seal *seal = NULL;

	snprintf(fx.dir, sizeof fx.dir, "/tmp/test_backup_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fx.dir));
	snprintf(state, sizeof state, "%s/state", fx.dir);
	snprintf(to, sizeof to, "%s/backup", fx.dir);
	artifacts = path_of(state, "artifacts");
	keep = path_of(state, "keep");
	key = path_of(keep, "records.key");
	OK(tree_make(artifacts, &fx.e));
	OK(tree_make(keep, &fx.e));
	OK(seal_open(key, &seal, &fx.e));
	snprintf(fx.path, sizeof fx.path, "%.60s/provd.db", state);
	OK(db_open(fx.path, &fx.db, &fx.e));
	OK(db_script(fx.db,
		"INSERT INTO epochs (generation, epoch, begun_at, begun_by, reason, from_seq,"
		" after_seq) VALUES (1, '00112233445566ff', 1, 'test', 'test', 0, 0)",
		&fx.e));
	for (int i = 1; i <= 5; i++)
		do_run(i);
}

static void teardown(void)
{
	sb_done(&said);
	fx.db = db_free(fx.db);
	tree_remove(fx.dir);
}

static int make(void)
{
	const struct backup_opts o = {.state_dir = state, .to = to, .ear = ear};

	sb_clear(&said);
	return backup_make(&o, &result, &fx.e);
}

static const char *look(void)
{
	sb_clear(&said);
	OK(backup_verify(to, NULL, 0, &ear, &result, &fx.e));
	return said.s ? said.s : "";
}

START_TEST(a_backup_of_a_database_in_use_is_whole_and_signed)
{
	_cleanup_(freep) char *key = path_of(state, "keep/records.key");
	_cleanup_(seal_freep) struct seal *seal = NULL;
	struct x509_key public = {0};
	char sha256[SHA256_HEX];
	struct stat st;

	add_artifact("firmware", sha256);
	OK(make());
	ck_assert_int_eq(result.findings, 0);
	ck_assert_int_eq(result.files, 2);
	ck_assert(result.is_signed);
	/* What comes later is not in it, and does not change it. */
	do_run(6);
	ck_assert_str_eq(look(), "");
	ck_assert_int_eq(result.at.size, 5);
	ck_assert_str_eq(result.at.host, "00112233445566ff");
	ck_assert_int_eq(stat(to, &st), 0);
	ck_assert_int_eq(st.st_mode & 077, 0);

	OK(seal_open(key, &seal, &fx.e));
	OK(x509_key_read(seal_public(seal), &public, &fx.e));
	OK(backup_verify(to, &public, 1, &ear, &result, &fx.e));
	ck_assert(result.is_signed);
	ck_assert_int_eq(result.findings, 0);
	x509_key_done(&public);
}
END_TEST

START_TEST(a_signature_of_another_key_is_found)
{
	_cleanup_(freep) char *other = path_of(fx.dir, "other.key");
	_cleanup_(seal_freep) struct seal *seal = NULL;
	struct x509_key public = {0};

	OK(make());
	OK(seal_open(other, &seal, &fx.e));
	OK(x509_key_read(seal_public(seal), &public, &fx.e));
	OK(backup_verify(to, &public, 1, &ear, &result, &fx.e));
	ck_assert(!result.is_signed);
	ck_assert_int_eq(result.findings, 1);
	ck_assert_ptr_nonnull(strstr(said.s, "signed by none of the keys"));
	x509_key_done(&public);
}
END_TEST

/* Another process commits all the while, and moves its log into the file. */
static void work_until(int stop)
{
	struct pollfd p = {.fd = stop, .events = POLLIN};

	fx.db = db_free(fx.db);
	OK(db_open(fx.path, &fx.db, &fx.e));
	for (int i = 100; poll(&p, 1, 0) == 0; i++) {
		do_run(i);
		if (i % 5 == 0)
			db_tidy(fx.db);
	}
	fx.db = db_free(fx.db);
}

START_TEST(a_writer_in_another_process_is_no_damage)
{
	int stop[2];
	pid_t child;
	int status;

	ck_assert_int_eq(pipe(stop), 0);
	fx.db = db_free(fx.db);
	child = fork();
	if (child == 0) {
		work_until(stop[0]);
		_exit(0);
	}
	for (int i = 0; i < 5; i++) {
		snprintf(to, sizeof to, "%.60s/backup%d", fx.dir, i);
		ck_assert_msg(make() == 0, "%s%s", fx.e.msg, said.s ? said.s : "");
		ck_assert_str_eq(look(), "");
	}
	ck_assert_int_eq(write(stop[1], "x", 1), 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(a_damaged_page_ends_it_and_is_named)
{
	int fd;

	fx.db = db_free(fx.db);
	fd = open(fx.path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, "?", 1, 8 * 4096 + 4000), 1);
	close(fd);
	FAILS(ERR_RECORDS_DAMAGED, make());
	ck_assert_msg(strstr(fx.e.msg, "page 9 of the database"), "%s", fx.e.msg);
	ck_assert(!is_there(fx.dir, "backup"));
	ck_assert(!is_there(fx.dir, ".provd-backup.part"));
}
END_TEST

START_TEST(a_changed_row_ends_it_and_is_named)
{
	OK(db_script(fx.db, "UPDATE run_log SET text = 'hallo' WHERE run_id = 'r3'", &fx.e));
	FAILS(ERR_RECORDS_DAMAGED, make());
	ck_assert_msg(strstr(said.s, "provd.db: run r3 (record 3): log, sha256"), "%s", said.s);
	ck_assert(!is_there(fx.dir, "backup"));
}
END_TEST

START_TEST(a_name_that_is_taken_is_refused)
{
	OK(make());
	FAILS(ERR_CONFLICT, make());
	ck_assert_str_eq(look(), "");
}
END_TEST

START_TEST(what_a_killed_one_left_is_used_again)
{
	_cleanup_(freep) char *part = path_of(fx.dir, ".provd-backup.part");

	OK(tree_make(part, &fx.e));
	put(part, "half", "x");
	OK(make());
	ck_assert_str_eq(look(), "");
	ck_assert(!is_there(fx.dir, ".provd-backup.part"));
}
END_TEST

START_TEST(a_lost_artifact_is_told_and_the_rest_is_made)
{
	_cleanup_(freep) char *artifacts = path_of(state, "artifacts");
	char lost[SHA256_HEX], changed[SHA256_HEX], good[SHA256_HEX];
	_cleanup_(freep) char *path = NULL;

	add_artifact("lost", lost);
	add_artifact("changed", changed);
	add_artifact("good", good);
	path = path_of(artifacts, lost);
	unlink(path);
	put(artifacts, changed, "chunged");
	OK(make());
	ck_assert_int_eq(result.findings, 2);
	ck_assert_ptr_nonnull(strstr(said.s, lost));
	ck_assert_ptr_nonnull(strstr(said.s, changed));
	ck_assert_str_eq(look(), "");
	ck_assert_int_eq(result.files, 2);
}
END_TEST

START_TEST(no_private_key_goes_with_it_in_the_clear)
{
	const struct backup_extra extra[] = {{"keys/clear.pem", NULL, false},
		{"keys/wrapped.pem", NULL, true}, {"keys/raw.key", NULL, true}};
	struct backup_extra x[ARRAY_LEN(extra)];
	const struct backup_opts o = {
		.state_dir = state, .to = to, .extra = x, .extras = ARRAY_LEN(x), .ear = ear};

	put(fx.dir, "clear.pem", "text\n-----BEGIN EC PRIVATE KEY-----\nAA==\n");
	put(fx.dir, "wrapped.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n");
	put(fx.dir, "raw.key", "0123456789abcdef");
	for (size_t i = 0; i < ARRAY_LEN(x); i++) {
		x[i] = extra[i];
		x[i].path = path_of(fx.dir, strchr(extra[i].name, '/') + 1);
	}
	OK(backup_make(&o, &result, &fx.e));
	for (size_t i = 0; i < ARRAY_LEN(x); i++)
		free((char *)x[i].path);
	ck_assert_int_eq(result.findings, 2);
	ck_assert(!is_there(to, "keys/clear.pem"));
	ck_assert(!is_there(to, "keys/raw.key"));
	ck_assert(is_there(to, "keys/wrapped.pem"));
	ck_assert_str_eq(look(), "");
}
END_TEST

static const struct {
	const char *file, *says;
	bool cut;
} damage[] = {
	{"provd.db", "provd.db has ", true},
	{"provd.db", "provd.db was changed", false},
	{"artifacts/X", " has ", true},
	{"artifacts/X", " was changed", false},
};

static void spoil(const char *name, bool cut)
{
	_cleanup_(freep) char *path = path_of(to, name);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char c;

	ck_assert_int_ge(fd, 0);
	if (cut)
		ck_assert_int_eq(ftruncate(fd, lseek(fd, 0, SEEK_END) / 2), 0);
	ck_assert_int_eq(pread(fd, &c, 1, 5), 1);
	c = (char)(c ^ 1);
	ck_assert_int_eq(pwrite(fd, &c, 1, 5), 1);
	close(fd);
}

START_TEST(damage_is_named_and_nothing_is_restored_from_it)
{
	char sha256[SHA256_HEX], before[SHA256_HEX], after[SHA256_HEX];
	struct restore_result restored;
	const struct restore_opts o = {.backup = to, .state_dir = state, .ear = ear};
	_cleanup_(freep) char *name = NULL;

	add_artifact("firmware of a unit", sha256);
	fx.db = db_free(fx.db);
	OK(make());
	name = strchr(damage[_i].file, '/') ? xasprintf("artifacts/%s", sha256)
					    : xstrdup(damage[_i].file);
	/* An artifact may be linked: the one in the state directory is another file then. */
	{
		_cleanup_(freep) char *path = path_of(to, name);
		_cleanup_(freep) char *copy =
			xasprintf("cp %s %s.new && mv %s.new %s", path, path, path, path);

		ck_assert_int_eq(system(copy), 0);
	}
	spoil(name, damage[_i].cut);
	look();
	ck_assert_int_gt(result.findings, 0);
	ck_assert_msg(strstr(said.s, damage[_i].says) && strstr(said.s, name), "%s", said.s);
	OK(sha256_file(fx.path, before, &fx.e));
	FAILS(ERR_RECORDS_DAMAGED, restore_backup(&o, &restored, &fx.e));
	OK(sha256_file(fx.path, after, &fx.e));
	ck_assert_str_eq(before, after);
	ck_assert_str_eq(restored.aside, "");
	ck_assert(!is_there(state, "restore.part"));
}
END_TEST

START_TEST(what_is_missing_or_added_is_named)
{
	_cleanup_(freep) char *database = path_of(to, "provd.db");

	OK(make());
	put(to, "extra", "x");
	ck_assert_str_eq(look(), "extra is not in the manifest: it was added\n");
	unlink(database);
	ck_assert_ptr_nonnull(strstr(look(), "provd.db is missing\n"));
}
END_TEST

START_TEST(a_manifest_of_another_backup_is_found)
{
	_cleanup_(freep) char *move = NULL;

	OK(make());
	move = xasprintf("mv %s/manifest.json %s/kept; rm -r %s", to, fx.dir, to);
	ck_assert_int_eq(system(move), 0);
	do_run(6);
	OK(make());
	free(move);
	move = xasprintf("mv %s/kept %s/manifest.json", fx.dir, to);
	ck_assert_int_eq(system(move), 0);
	ck_assert_ptr_nonnull(strstr(look(), "provd.db "));
	ck_assert_int_gt(result.findings, 0);
}
END_TEST

START_TEST(restore_moves_what_is_there_aside_and_leaves_the_marks)
{
	struct restore_result restored;
	struct restore_opts o = {.backup = to, .state_dir = state, .ear = ear, .dry_run = true};
	char sha256[SHA256_HEX], marks[SHA256_HEX], after[SHA256_HEX];
	_cleanup_(freep) char *marks_path = path_of(state, "provd.marks");
	int64_t runs = 0;

	add_artifact("firmware", sha256);
	OK(make());
	do_run(6);
	fx.db = db_free(fx.db);
	put(state, "provd.marks", "what was given out");
	OK(sha256_file(marks_path, marks, &fx.e));
	OK(restore_backup(&o, &restored, &fx.e));
	ck_assert_str_eq(restored.aside, "");
	o.dry_run = false;
	OK(restore_backup(&o, &restored, &fx.e));
	ck_assert(restored.has_marks);
	OK(sha256_file(marks_path, after, &fx.e));
	ck_assert_str_eq(marks, after);
	ck_assert(is_there(restored.aside, "provd.db"));
	ck_assert(is_there(restored.aside, "artifacts"));
	ck_assert(!is_there(state, "restore.part"));
	OK(db_open(fx.path, &fx.db, &fx.e));
	ck_assert_int_eq(db_int(fx.db, &fx.e, &runs, "SELECT count(*) FROM runs"), 1);
	ck_assert_int_eq(runs, 5);
	fx.db = db_free(fx.db);
	/* The backup is as it was, and the old records can be gone back to. */
	ck_assert_str_eq(look(), "");
	snprintf(fx.path, sizeof fx.path, "%.60s/provd.db", restored.aside);
}
END_TEST

START_TEST(nothing_is_restored_under_a_provd_that_works)
{
	const struct restore_opts o = {.backup = to, .state_dir = state, .ear = ear};
	struct restore_result restored;
	int lock = -1;

	OK(make());
	OK(state_lock(state, &lock, &fx.e));
	FAILS(ERR_BUSY, restore_backup(&o, &restored, &fx.e));
	ck_assert_ptr_nonnull(strstr(fx.e.msg, "stop provd first"));
	close(lock);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("backup");
	TCase *t = tcase_create("backup");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_backup_of_a_database_in_use_is_whole_and_signed);
	tcase_add_test(t, a_signature_of_another_key_is_found);
	tcase_add_test(t, a_writer_in_another_process_is_no_damage);
	tcase_add_test(t, a_damaged_page_ends_it_and_is_named);
	tcase_add_test(t, a_changed_row_ends_it_and_is_named);
	tcase_add_test(t, a_name_that_is_taken_is_refused);
	tcase_add_test(t, what_a_killed_one_left_is_used_again);
	tcase_add_test(t, a_lost_artifact_is_told_and_the_rest_is_made);
	tcase_add_test(t, no_private_key_goes_with_it_in_the_clear);
	tcase_add_loop_test(
		t, damage_is_named_and_nothing_is_restored_from_it, 0, (int)ARRAY_LEN(damage));
	tcase_add_test(t, what_is_missing_or_added_is_named);
	tcase_add_test(t, a_manifest_of_another_backup_is_found);
	tcase_add_test(t, restore_moves_what_is_there_aside_and_leaves_the_marks);
	tcase_add_test(t, nothing_is_restored_under_a_provd_that_works);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
