/* SPDX-License-Identifier: Apache-2.0
 *
 * The state directory: one provd at a time, and what a crash left in it is settled by what the
 * database knows.
 */
#include "daemon/line/store.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/tree.h"
#include "base/util.h"
#include "db/artifacts.h"
#include "db/db.h"
#include "tests/unit/unit.h"

#define KNOWN	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define UNKNOWN "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static char dir[64];
static struct store *store;
static struct db *db;
static struct err e;

static void setup(void)
{
	const struct artifact a = {.sha256 = KNOWN,
		.name = "known.bin",
		.size_bytes = 1,
		.format = "bin",
		.created_by = "someone"};
	bool created;

	strcpy(dir, "/tmp/provd-store-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_msg(store_open(dir, &store, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(db_open(":memory:", &db, &e), 0);
	ck_assert_int_eq(db_begin(db, &e), 0);
	ck_assert_msg(artifacts_add(db, &a, &created, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(db_commit(db, &e), 0);
}

static void teardown(void)
{
	db_free(db);
	store_free(store);
	tree_clear(dir);
	rmdir(dir);
}

static void put(const char *path, bool old)
{
	const struct timespec long_ago[2] = {{1, 0}, {1, 0}};
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	if (old)
		ck_assert_int_eq(futimens(fd, long_ago), 0);
	close(fd);
}

static bool there(const char *path)
{
	return access(path, F_OK) == 0;
}

START_TEST(a_second_provd_does_not_get_the_directory)
{
	struct store *second = NULL;

	ck_assert_int_eq(store_open(dir, &second, &e), -ERR_BUSY);
	ck_assert_ptr_null(second);
	store = store_free(store);
	ck_assert_int_eq(store_open(dir, &store, &e), 0);
}
END_TEST

START_TEST(folders_are_made_and_named_once)
{
	_cleanup_(freep) char *artifact = store_artifact(store, KNOWN);
	_cleanup_(freep) char *aside = store_artifact_aside(store, KNOWN);
	const char *const folders[] = {store_artifacts(store), store_keep(store),
		store_output(store), store_scratch(store)};
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		ck_assert_int_eq(strncmp(folders[i], dir, strlen(dir)), 0);
		ck_assert_int_eq(stat(folders[i], &st), 0);
		ck_assert(S_ISDIR(st.st_mode));
	}
	ck_assert_int_eq(strncmp(artifact, store_artifacts(store), strlen(folders[0])), 0);
	ck_assert_str_ne(artifact, aside);
}
END_TEST

START_TEST(uploads_that_a_crash_left_are_removed)
{
	_cleanup_(freep) char *upload = xasprintf("%s/upload-1", store_artifacts(store));
	_cleanup_(freep) char *known = store_artifact(store, KNOWN);

	put(upload, false);
	put(known, false);
	store_sweep_uploads(store);
	ck_assert(!there(upload));
	ck_assert(there(known));
}
END_TEST

START_TEST(a_deletion_goes_the_way_that_the_database_knows)
{
	_cleanup_(freep) char *known = store_artifact(store, KNOWN);
	_cleanup_(freep) char *known_aside = store_artifact_aside(store, KNOWN);
	_cleanup_(freep) char *gone_aside = store_artifact_aside(store, UNKNOWN);
	_cleanup_(freep) char *gone = store_artifact(store, UNKNOWN);

	/* Set aside, and the deletion did not get to the disk; set aside, and it did. */
	put(known_aside, false);
	put(gone_aside, false);
	store_sweep_artifacts(store, db);
	ck_assert(there(known));
	ck_assert(!there(known_aside));
	ck_assert(!there(gone_aside));
	ck_assert(!there(gone));
}
END_TEST

START_TEST(what_no_record_knows_goes_once_it_is_old)
{
	_cleanup_(freep) char *orphan = store_artifact(store, UNKNOWN);
	_cleanup_(freep) char *known = store_artifact(store, KNOWN);

	put(orphan, false);
	put(known, true);
	store_sweep_artifacts(store, db);
	ck_assert(there(orphan)); /* somebody may still send it again */
	put(orphan, true);
	store_sweep_artifacts(store, db);
	ck_assert(!there(orphan));
	ck_assert(there(known));
}
END_TEST

START_TEST(the_directory_is_made_with_its_parents_or_what_is_in_the_way_is_named)
{
	_cleanup_(freep) char *deep = xasprintf("%s/site/line 2/state", dir);
	_cleanup_(freep) char *file = xasprintf("%s/file", dir);
	_cleanup_(freep) char *below = xasprintf("%s/file/line/state", dir);
	struct store *other = NULL;

	ck_assert_msg(store_open(deep, &other, &e) == 0, "%s", e.msg);
	ck_assert(there(deep));
	store_free(other);
	put(file, false);
	ck_assert_int_eq(store_open(below, &other, &e), -ERR_INVALID);
	ck_assert_msg(strstr(e.msg, "state_dir of provd.yaml"), "%s", e.msg);
	ck_assert_msg(strstr(e.msg, file), "%s", e.msg);
	ck_assert_msg(strstr(e.msg, "ot a directory"), "%s", e.msg);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("store");
	TCase *t = tcase_create("store");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_second_provd_does_not_get_the_directory);
	tcase_add_test(t, the_directory_is_made_with_its_parents_or_what_is_in_the_way_is_named);
	tcase_add_test(t, folders_are_made_and_named_once);
	tcase_add_test(t, uploads_that_a_crash_left_are_removed);
	tcase_add_test(t, a_deletion_goes_the_way_that_the_database_knows);
	tcase_add_test(t, what_no_record_knows_goes_once_it_is_old);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
