/* SPDX-License-Identifier: Apache-2.0 */
#include "db/db.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>

#include "db/db_impl.h"
#include "db/migrations.h"
#include "db/page_sums.h"
#include "db/stmt.h"

/* "pvd1" in the header of the file (sqlite.org/fileformat2.html, 1.3.17): file(1) and we can tell
 * it from other databases. */
#define APPLICATION_ID 0x70766431
/* A reader never waits in WAL mode but for a checkpoint's reset; the writer only for a foreign
 * sqlite3 shell. */
#define BUSY_MS 5000

static const char WRITER_SETUP[] = "PRAGMA journal_mode = WAL;"
				   "PRAGMA synchronous = FULL;"
				   "PRAGMA foreign_keys = ON;"
				   "PRAGMA trusted_schema = OFF;"
				   "PRAGMA temp_store = MEMORY;"
				   "PRAGMA journal_size_limit = 67108864;"
				   "PRAGMA wal_autocheckpoint = 4000;";
static const char READER_SETUP[] = "PRAGMA query_only = ON;"
				   "PRAGMA trusted_schema = OFF;"
				   "PRAGMA temp_store = MEMORY;";

struct db *db_free(struct db *d)
{
	if (!d)
		return NULL;
	db_pending_cut(d, 0, 0);
	free(d->event);
	free(d->mark);
	for (size_t i = 0; i < DB_CACHE_SLOTS; i++)
		sqlite3_finalize(d->cache[i].st);
	sqlite3_close(d->sql);
	free(d->path);
	free(d);
	return NULL;
}

static int pragma_int(struct db *d, const char *sql, int64_t *ret, struct err *e)
{
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, d, e, sql);

	if (r < 0)
		return r;
	r = query_next(&q, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_DATABASE, "%s gave no row", sql);
	*ret = col_int(&q, 0);
	return 0;
}

/* Ours, and not from the future. An empty file is ours to fill. */
static int check_header(struct db *d, int64_t *ret_version, struct err *e)
{
	int64_t app = 0;
	int64_t tables = 0;
	int r = pragma_int(d, "PRAGMA application_id", &app, e);

	if (r == 0)
		r = pragma_int(d, "PRAGMA user_version", ret_version, e);
	if (r == 0)
		r = pragma_int(d, "SELECT EXISTS (SELECT 1 FROM sqlite_schema)", &tables, e);
	if (r < 0)
		return r;
	if (app != APPLICATION_ID && (app != 0 || tables != 0 || *ret_version != 0))
		return err_set(e, ERR_UNSUPPORTED, "this is the database of another program");
	if (*ret_version > migration_count)
		return err_set(e, ERR_UNSUPPORTED,
			"schema %d was made by a newer provd (this one knows up to %d): install that provd or restore the backup",
			(int)*ret_version, migration_count);
	return 0;
}

static int migrate_one(struct db *d, int64_t version, struct err *e)
{
	char stamp[96];
	int r = db_begin(d, e);

	if (r < 0)
		return r;
	r = db_script(d, migrations[version].sql, e);
	if (r == 0) {
		snprintf(stamp, sizeof stamp, "PRAGMA application_id=%d; PRAGMA user_version=%d",
			APPLICATION_ID, (int)version + 1);
		r = db_script(d, stamp, e);
	}
	if (r == 0)
		r = db_commit(d, e);
	if (r < 0)
		db_rollback(d);
	return r;
}

static int migrate(struct db *d, struct err *e)
{
	int64_t version = 0;
	int r = check_header(d, &version, e);

	for (; r == 0 && version < migration_count; version++) {
		r = migrate_one(d, version, e);
		if (r < 0)
			err_prefix(e, "migration %s", migrations[version].name);
	}
	return r;
}

/* Made before sqlite sees it, so that no moment shows it to others; -wal and -shm inherit the
 * mode. */
static int make_file(const char *path, struct err *e)
{
	_cleanup_(freep) char *copy = xstrdup(path);
	const char *dir = dirname(copy);

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_errno(e, ERR_IO, errno, "make directory %s", dir);

	_cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "open %s", path);
	return 0;
}

static int connect_to(const char *path, int flags, struct db **ret, struct err *e)
{
	_cleanup_(db_freep) struct db *d = xcalloc(1, sizeof *d);

	d->path = xstrdup(path);
	if (sqlite3_open_v2(path, &d->sql, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
		    strcmp(path, ":memory:") != 0 ? page_sums_vfs() : NULL) != SQLITE_OK)
		return db_error(d, e, "open");
	sqlite3_busy_timeout(d->sql, BUSY_MS);
	sqlite3_db_config(d->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(d->sql, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(d->sql, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	*ret = steal_ptr(&d);
	return 0;
}

int db_open(const char *path, struct db **ret, struct err *e)
{
	_cleanup_(db_freep) struct db *d = NULL;
	int r = strcmp(path, ":memory:") != 0 ? make_file(path, e) : 0;

	if (r == 0)
		r = connect_to(path, SQLITE_OPEN_READWRITE, &d, e);
	if (r == 0)
		r = db_script(d, WRITER_SETUP, e);
	if (r == 0)
		r = migrate(d, e);
	if (r < 0) {
		err_prefix(e, "database %s", path);
		return r;
	}
	page_sums_strict(d->sql, true);
	*ret = steal_ptr(&d);
	return 0;
}

int db_open_reader(const char *path, struct db **ret, struct err *e)
{
	_cleanup_(db_freep) struct db *d = NULL;
	int64_t version;
	int r = connect_to(path, SQLITE_OPEN_READONLY, &d, e);

	if (r == 0)
		r = db_script(d, READER_SETUP, e);
	if (r == 0)
		r = check_header(d, &version, e);
	if (r < 0) {
		err_prefix(e, "database %s", path);
		return r;
	}
	page_sums_strict(d->sql, true);
	*ret = steal_ptr(&d);
	return 0;
}

void db_tolerate(struct db *d, bool damage)
{
	page_sums_strict(d->sql, !damage);
}

const char *db_sums_begun(struct db *d, size_t *ret_pages)
{
	return page_sums_begun(d->sql, ret_pages);
}

unsigned db_damaged_page(struct db *d)
{
	return page_sums_damaged(d->sql);
}

int db_set_quota(struct db *d, int64_t bytes, struct err *e)
{
	char sql[64];
	int64_t page = 0;
	int r = pragma_int(d, "PRAGMA page_size", &page, e);

	if (r < 0)
		return r;
	snprintf(sql, sizeof sql, "PRAGMA max_page_count=%lld",
		bytes > 0 ? (long long)((bytes + page - 1) / page) : 0xfffffffell);
	return db_script(d, sql, e);
}

int db_size(struct db *d, int64_t *ret_bytes, struct err *e)
{
	int64_t page = 0;
	int64_t count = 0;
	int r = pragma_int(d, "PRAGMA page_size", &page, e);

	if (r == 0)
		r = pragma_int(d, "PRAGMA page_count", &count, e);
	if (r == 0)
		*ret_bytes = page * count;
	return r;
}

int db_begin(struct db *d, struct err *e)
{
	db_pending_cut(d, 0, 0);

	int r = db_do(d, e, "BEGIN IMMEDIATE");

	d->in_tx = r == 0;
	return r;
}

int db_commit(struct db *d, struct err *e)
{
	int r = db_do(d, e, "COMMIT");

	if (r == 0)
		d->in_tx = false;
	return r;
}

void db_rollback(struct db *d)
{
	d->in_tx = false;
	/* sqlite rolls back by itself on some errors (full, I/O); then there is nothing to do. */
	if (!sqlite3_get_autocommit(d->sql))
		sqlite3_exec(d->sql, "ROLLBACK", NULL, NULL, NULL);
	db_pending_cut(d, 0, 0);
}
