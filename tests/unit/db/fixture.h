/* SPDX-License-Identifier: Apache-2.0
 *
 * A database in a folder of its own, and short words for what the tests do with it. Changes are
 * made in one transaction each, as the writer does.
 */
#pragma once

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "db/db.h"
#include "db/ledger.h"
#include "db/migrations.h"
#include "db/runs.h"
#include "db/stmt.h"
#include "tests/unit/unit.h"

struct fixture {
	char dir[64];
	char path[80];
	struct db *db;
	struct err e;
};

static struct fixture fx;

#define OK(call)                                                           \
	do {                                                               \
		int ok_r = (call);                                         \
		ck_assert_msg(ok_r == 0, #call ": %d %s", ok_r, fx.e.msg); \
	} while (0)
#define FAILS(code, call) ck_assert_int_eq((call), -(code))
/* In a transaction that is committed; the statement may use fx.db and &fx.e. */
#define TX(call)                                                           \
	do {                                                               \
		OK(db_begin(fx.db, &fx.e));                                \
		int tx_r = (call);                                         \
		ck_assert_msg(tx_r == 0, #call ": %d %s", tx_r, fx.e.msg); \
		OK(db_commit(fx.db, &fx.e));                               \
	} while (0)
#define TX_FAILS(code, call)                                                     \
	do {                                                                     \
		OK(db_begin(fx.db, &fx.e));                                      \
		int tx_r = (call);                                               \
		db_rollback(fx.db);                                              \
		ck_assert_msg(tx_r == -(code), #call ": %d %s", tx_r, fx.e.msg); \
	} while (0)

/* FNV-1a over all migrations: what a template was made by. */
static inline uint64_t fixture_migrations_sum(void)
{
	uint64_t sum = 0xcbf29ce484222325;

	for (int i = 0; i < migration_count; i++)
		for (const char *p = migrations[i].sql; *p; p++)
			sum = (sum ^ (uint8_t)*p) * 0x100000001b3;
	return sum;
}

static inline bool fixture_copy(const char *from, const char *to)
{
	char buf[64 * 1024];
	FILE *in = fopen(from, "re");
	FILE *out = in ? fopen(to, "we") : NULL;
	bool ok = out != NULL;
	size_t n;

	while (ok && (n = fread(buf, 1, sizeof buf, in)) > 0)
		ok = fwrite(buf, 1, n, out) == n;
	if (in)
		fclose(in);
	return out && fclose(out) == 0 && ok;
}

/* Both files are there together, or none is: another test may make the folder at the same time, and the first one stays. */
static inline void fixture_keep(const char *template)
{
	char from[sizeof fx.path + 16], part[160], to[200];
	bool ok;

	snprintf(part, sizeof part, "%s.%d", template, (int)getpid());
	ok = mkdir(part, 0700) == 0;
	for (size_t i = 0; i < 2; i++) {
		snprintf(from, sizeof from, "%s%s", fx.path, i ? "-sums" : "");
		snprintf(to, sizeof to, "%s/provd.db%s", part, i ? "-sums" : "");
		ok = ok && fixture_copy(from, to);
	}
	if (ok && rename(part, template) == 0)
		return;
	for (size_t i = 0; i < 2; i++) {
		snprintf(to, sizeof to, "%s/provd.db%s", part, i ? "-sums" : "");
		unlink(to);
	}
	rmdir(part);
}

/* The migrations take a tenth of a second, and each test has a database of its own: one that was migrated is copied. It
 * lies in the build's folder, under a name that says which migrations made it. */
static inline int fixture_open(void)
{
	const char *build = getenv("MESON_BUILD_ROOT");
	char template[128], from[160], to[sizeof fx.path + 16];
	bool there = build != NULL;
	int r;

	snprintf(template, sizeof template, "%s/tests/unit/template-%016llx", build ? build : "",
		(unsigned long long)fixture_migrations_sum());
	for (size_t i = 0; there && i < 2; i++) {
		snprintf(from, sizeof from, "%s/provd.db%s", template, i ? "-sums" : "");
		snprintf(to, sizeof to, "%s%s", fx.path, i ? "-sums" : "");
		there = fixture_copy(from, to);
	}
	r = db_open(fx.path, &fx.db, &fx.e);
	if (r < 0 || there || !build)
		return r;
	fx.db = db_free(fx.db);
	fixture_keep(template);
	return db_open(fx.path, &fx.db, &fx.e);
}

static inline void fixture_setup(void)
{
	snprintf(fx.dir, sizeof fx.dir, "/tmp/test_db_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fx.dir));
	snprintf(fx.path, sizeof fx.path, "%s/provd.db", fx.dir);
	OK(fixture_open());
}

static inline void fixture_remove_files(void)
{
	DIR *d = opendir(fx.dir);

	for (struct dirent *f; d && (f = readdir(d));) {
		char path[PATH_MAX];

		snprintf(path, sizeof path, "%s/%s", fx.dir, f->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(fx.dir);
}

static inline void fixture_teardown(void)
{
	fx.db = db_free(fx.db);
	fixture_remove_files();
}

/* The triggers that the migration of archives replaces, as they were. */
#define FIXTURE_REMAIN                                                                       \
	"CREATE TRIGGER steps_remain BEFORE DELETE ON steps BEGIN SELECT RAISE (ABORT, '');" \
	" END; CREATE TRIGGER measurements_remain BEFORE DELETE ON measurements BEGIN"       \
	" SELECT RAISE (ABORT, ''); END; CREATE TRIGGER run_records_remain BEFORE DELETE ON" \
	" run_records BEGIN SELECT RAISE (ABORT, ''); END; CREATE TRIGGER run_records_grow"  \
	" BEFORE INSERT ON run_records WHEN false BEGIN SELECT 1; END; CREATE TRIGGER"       \
	" checkpoints_grow BEFORE INSERT ON checkpoints WHEN false BEGIN SELECT 1; END;"

/* What takes each migration away again, from that of the identity on. */
static const char *const fixture_undo[] = {
	[10] = "DROP TRIGGER serials_lease_stays; DROP INDEX serials_by_number;"
	       " ALTER TABLE serials DROP COLUMN lease; DROP TABLE pool_skips;",
	[11] = "DROP TABLE certificates;",
	[12] = "BEGIN; PRAGMA defer_foreign_keys = ON; DROP TABLE outbox;"
	       " ALTER TABLE steps DROP COLUMN deferred; DROP INDEX runs_by_completed;"
	       " ALTER TABLE runs DROP COLUMN completes; ALTER TABLE runs DROP COLUMN deferred;"
	       " CREATE TABLE kept AS SELECT * FROM units; DROP TABLE units; CREATE TABLE units ("
	       " id TEXT PRIMARY KEY, serial TEXT UNIQUE, model TEXT, chip_id TEXT, state TEXT NOT NULL"
	       " CHECK (state IN ('new', 'passed', 'failed', 'suspect', 'scrapped')), created_at INTEGER"
	       " NOT NULL, updated_at INTEGER NOT NULL) STRICT, WITHOUT ROWID; INSERT INTO units SELECT *"
	       " FROM kept; DROP TABLE kept; COMMIT;",
	[13] = "DROP TABLE rollups; DROP TABLE rollup_causes;",
	[14] = "DROP TABLE run_traits; DROP TABLE traits;",
	[15] = "DROP TRIGGER certificates_asked_stays; ALTER TABLE certificates DROP COLUMN asked;",
	[16] = "DROP TRIGGER prompts_approved_stay; ALTER TABLE prompts DROP COLUMN approval;"
	       " ALTER TABLE runs DROP COLUMN exposed_step;",
	[17] = "DROP TABLE run_records; DROP TABLE record_nodes; DROP TABLE checkpoints;",
	[18] = "DROP TABLE fixtures; DROP TABLE interlock_releases; ALTER TABLE jobs DROP COLUMN kind;",
	[19] = "DROP TABLE deliveries; DROP TABLE webhooks; DROP TABLE spool;",
	[20] = "DROP TRIGGER tokens_stay; ALTER TABLE tokens DROP COLUMN expires_at;"
	       " ALTER TABLE tokens DROP COLUMN scopes; ALTER TABLE tokens DROP COLUMN rotated_at;"
	       " ALTER TABLE tokens DROP COLUMN old_sha256; ALTER TABLE tokens DROP COLUMN old_until;"
	       " ALTER TABLE tokens DROP COLUMN used_at; ALTER TABLE tokens DROP COLUMN used_from;"
	       " CREATE TRIGGER tokens_stay BEFORE UPDATE ON tokens WHEN OLD.revoked_at IS NOT NULL"
	       " BEGIN SELECT RAISE (ABORT, 'a token can only be revoked, once'); END;",
	[21] = "DROP TRIGGER run_log_remains; DROP TRIGGER steps_remain; DROP TRIGGER measurements_remain;"
	       " DROP TRIGGER run_records_remain; DROP TRIGGER run_records_grow; DROP TRIGGER checkpoints_grow;"
	       " DROP TABLE archives;" FIXTURE_REMAIN,
	[22] = "DROP TABLE job_units; DROP TRIGGER jobs_number_stays; DROP INDEX jobs_by_number;"
	       " DROP INDEX jobs_by_expiry; ALTER TABLE jobs DROP COLUMN number;"
	       " ALTER TABLE jobs DROP COLUMN content_sha256; ALTER TABLE jobs DROP COLUMN expires;"
	       " ALTER TABLE jobs DROP COLUMN requires; ALTER TABLE jobs DROP COLUMN hold;"
	       " ALTER TABLE jobs DROP COLUMN ending; ALTER TABLE jobs DROP COLUMN rework;"
	       " ALTER TABLE jobs DROP COLUMN assign; ALTER TABLE jobs DROP COLUMN route_check;",
	[23] = "DROP TABLE traces;",
	[24] = "DROP INDEX units_by_model;",
	[25] = "ALTER TABLE webhooks DROP COLUMN format; ALTER TABLE webhooks DROP COLUMN stations;"
	       " ALTER TABLE webhooks DROP COLUMN auth; ALTER TABLE deliveries DROP COLUMN code;",
	[33] = "DROP TABLE plant_claims; DROP TABLE plant_leases; DROP TABLE plant_pools; DROP TABLE plant;",
	[32] = "DROP INDEX events_of_holds; DROP INDEX intents_committed; DROP INDEX prompts_by_state; DROP INDEX prompts_by_station;",
	[31] = "DROP TABLE attachments; DROP TABLE attachment_room; ALTER TABLE prompts DROP COLUMN picture;"
	       " ALTER TABLE prompts DROP COLUMN picture_text;",
	[30] = "DROP TABLE artifact_names; CREATE INDEX artifacts_by_name ON artifacts (name, created_at);",
	[29] = "DROP TABLE power_owed;",
	[28] = "DROP TABLE unit_wear;",
	[27] = "ALTER TABLE measurements DROP COLUMN detail;",
	[26] = "DROP TABLE rollup_steps; DROP TABLE rollup_times; DROP TABLE rollup_firsts; DROP TABLE time_bars;"
	       " ALTER TABLE runs DROP COLUMN fixture;"
	       " CREATE TABLE kept AS SELECT span, at, station, recipe, version, sum(passed) AS passed,"
	       " sum(failed) AS failed, sum(error) AS error, sum(aborted) AS aborted,"
	       " sum(interrupted) AS interrupted, sum(busy_ms) AS busy_ms, sum(units) AS units,"
	       " sum(first_passed) AS first_passed, sum(last_passed) AS last_passed,"
	       " sum(retested) AS retested, sum(process_units) AS process_units,"
	       " sum(process_first_passed) AS process_first_passed,"
	       " sum(process_last_passed) AS process_last_passed,"
	       " sum(process_retested) AS process_retested FROM rollups GROUP BY 1, 2, 3, 4, 5;"
	       " DROP TABLE rollups; ALTER TABLE kept RENAME TO rollups;"
	       " CREATE TABLE kept AS SELECT span, at, station, recipe, version, outcome, step, code,"
	       " sum(n) AS n FROM rollup_causes GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;"
	       " DROP TABLE rollup_causes; ALTER TABLE kept RENAME TO rollup_causes;",
};

/* The database as it was before that migration: the next opening upgrades it. */
static inline void fixture_before(int migration)
{
	char version[64];

	ck_assert_int_eq((int)(sizeof fixture_undo / sizeof *fixture_undo) - 1, migration_count);
	for (int i = migration_count; i >= migration; i--)
		OK(db_script(fx.db, fixture_undo[i], &fx.e));
	snprintf(version, sizeof version, "PRAGMA user_version = %d", migration - 1);
	OK(db_script(fx.db, version, &fx.e));
}

static inline void fixture_reopen(void)
{
	fx.db = db_free(fx.db);
	OK(db_open(fx.path, &fx.db, &fx.e));
}

/* A member by its JSON path "a.b"; borrowed. */
static inline json_t *at(json_t *j, const char *path)
{
	char key[64];

	while (j && *path) {
		size_t n = strcspn(path, ".");

		snprintf(key, sizeof key, "%.*s", (int)n, path);
		j = json_is_array(j) ? json_array_get(j, (size_t)atoi(key))
				     : json_object_get(j, key);
		path += n + (path[n] == '.');
	}
	return j;
}

static inline const char *str_at(json_t *j, const char *path)
{
	const char *s = json_string_value(at(j, path));

	return s ? s : "(null)";
}

static inline long long int_at(json_t *j, const char *path)
{
	return json_integer_value(at(j, path));
}

/* An open run, started for a job or for none. */
static inline void open_run(const char *id, const char *station, const char *job)
{
	struct run_new n = {.id = id, .station = station, .attached_ms = 1000};
	struct run_start s = {
		.run = id,
		.job = job,
		.recipe = "thermo",
		.version = 1,
		.recipe_sha256 = "0000",
		.model = "T200",
		.started_ms = 1500,
	};

	TX(runs_open(fx.db, &n, &fx.e));
	TX(runs_start(fx.db, &s, &fx.e));
}

static inline void finish_run(const char *id, const char *outcome)
{
	struct run_end end = {
		.run = id, .outcome = outcome, .message = "because", .ended_ms = 3000};

	TX(runs_finish(fx.db, &end, &fx.e));
}

/* "state/reason" of a value of the ledger. */
static inline char *ledger_state(const char *kind, const char *value, char buf[128])
{
	json_t *row = NULL;

	OK(ledger_get(fx.db, kind, value, &row, &fx.e));
	snprintf(buf, 128, "%s", str_at(row, "state"));
	json_decref(row);
	return buf;
}

#define assert_ledger(value, want)                                                \
	do {                                                                      \
		char state_buf[128];                                              \
		ck_assert_str_eq(ledger_state("serial", value, state_buf), want); \
	} while (0)
