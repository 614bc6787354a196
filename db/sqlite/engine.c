/* SPDX-License-Identifier: Apache-2.0
 *
 * SQLite as the engine: with the layer of page_sums.c the only place that knows sqlite3.h. WAL with
 * synchronous=FULL, so that a COMMIT that returned survives a power cut.
 */
#include "db/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "db/canonical.h"
#include "db/sqlite/page_sums.h"

/* "pvd1" in the header of the file (sqlite.org/fileformat2.html, 1.3.17): file(1) and provd
 * know it from other databases by that. */
#define APPLICATION_ID 0x70766431
/* A reader waits in WAL mode only for a checkpoint's reset; the writer only for a foreign
 * sqlite3 shell. */
#define BUSY_MS 5000
/* Pages of the log beyond which it is cut back. */
#define WAL_TRUNCATE_PAGES 8192
/* Statements of sqlite's own between two looks at the watch. */
#define WATCH_OPS 20000

struct connection {
	struct engine engine;
	sqlite3 *sql;
};

static const char WRITER_SETUP[] = "PRAGMA journal_mode = WAL;"
				   "PRAGMA synchronous = FULL;"
				   "PRAGMA foreign_keys = ON;"
				   "PRAGMA trusted_schema = OFF;"
				   "PRAGMA temp_store = MEMORY;"
				   "PRAGMA journal_size_limit = 67108864;"
				   "PRAGMA wal_autocheckpoint = 4000;";
/* For a file that is made now, before anything is in it: free pages can be given back while the line runs. */
static const char FIRST_SETUP[] = "PRAGMA auto_vacuum = INCREMENTAL;";
static const char READER_SETUP[] = "PRAGMA query_only = ON;"
				   "PRAGMA trusted_schema = OFF;"
				   "PRAGMA temp_store = MEMORY;";

static sqlite3 *of(struct engine *g)
{
	return container_of(g, struct connection, engine)->sql;
}

static sqlite3_stmt *st_of(struct engine_stmt *st)
{
	return (sqlite3_stmt *)st;
}

/* The index of the log is made larger: that fails where there is no room, and sqlite keeps no
 * errno. */
static bool no_room(sqlite3 *sql, int code)
{
	int os = sql ? sqlite3_system_errno(sql) : 0;

	return code == SQLITE_IOERR_SHMSIZE || os == ENOSPC || os == EDQUOT;
}

static int error_of(sqlite3 *sql, const char *what, struct err *e)
{
	int code = sql ? sqlite3_extended_errcode(sql) : SQLITE_NOMEM;
	const char *text = sql ? sqlite3_errmsg(sql) : "out of memory";
	enum err_code ours = ERR_DATABASE;

	if (code == SQLITE_IOERR_DATA)
		return err_set(e, ERR_RECORDS_DAMAGED,
			"page %u of the database is not what was written to it (%s)",
			page_sums_damaged(sql), what);
	switch (code & 0xff) {
	case SQLITE_FULL:
		ours = ERR_DISK_FULL;
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		ours = ERR_RECORDS_DAMAGED;
		break;
	case SQLITE_IOERR:
		ours = no_room(sql, code) ? ERR_DISK_FULL : ERR_DATABASE;
		break;
	case SQLITE_CANTOPEN:
		ours = no_room(sql, code) ? ERR_DISK_FULL : ERR_DATABASE;
		break;
	case SQLITE_CONSTRAINT:
		ours = ERR_CONFLICT;
		break;
	case SQLITE_NOMEM:
		ours = ERR_NO_MEMORY;
		break;
	case SQLITE_TOOBIG:
		ours = ERR_TOO_LARGE;
		break;
	default: /* not an enum of ours: sqlite's list is open */
		break;
	}
	return err_set(e, ours, "%s: %s (sqlite %d)", what, text, code);
}

/* --- opening --- */

/* Made before sqlite sees it, so that no moment shows it to others; -wal and -shm inherit the
 * mode. */
static int make_file(const char *path, bool *ret_empty, struct err *e)
{
	struct stat st;
	_cleanup_(freep) char *copy = xstrdup(path);
	const char *dir = dirname(copy);

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_errno(e, ERR_IO, errno, "make directory %s", dir);

	_cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, ERR_IO, errno, "open %s", path);
	*ret_empty = st.st_size == 0;
	return 0;
}

/* "file:PATH?immutable=1" (sqlite.org/uri.html) */
static char *still_uri(const char *path)
{
	struct strbuf b = {0};

	sb_add(&b, "file:");
	for (const char *p = path; *p; p++)
		if (strchr("?#%", *p))
			sb_addf(&b, "%%%02x", (unsigned char)*p);
		else
			sb_add_n(&b, p, 1);
	sb_add(&b, "?immutable=1");
	return sb_take(&b);
}

static int connect_to(
	const char *path, int flags, const char *layer, struct engine **ret, struct err *e)
{
	struct connection *c = xcalloc(1, sizeof *c);

	c->engine.ops = &engine_sqlite;
	if (sqlite3_open_v2(path, &c->sql, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
		    layer) != SQLITE_OK) {
		int r = error_of(c->sql, "open", e);

		engine_sqlite.close(&c->engine);
		return r;
	}
	sqlite3_busy_timeout(c->sql, BUSY_MS);
	sqlite3_db_config(c->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(c->sql, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(c->sql, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	*ret = &c->engine;
	return 0;
}

static int connect_still(const char *path, struct engine **ret, struct err *e)
{
	_cleanup_(freep) char *uri = still_uri(path);

	return connect_to(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL, ret, e);
}

static int do_script(struct engine *g, const char *sql, struct err *e)
{
	return sqlite3_exec(of(g), sql, NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : error_of(of(g), "script", e);
}

static int connect_in(const char *path, enum engine_mode mode, struct engine **ret, struct err *e)
{
	const char *layer = strcmp(path, ":memory:") != 0 ? page_sums_vfs() : NULL;

	switch (mode) {
	case ENGINE_STILL:
		return connect_still(path, ret, e);
	case ENGINE_WRITE:
		return connect_to(path, SQLITE_OPEN_READWRITE, layer, ret, e);
	case ENGINE_READ:
		break;
	}
	return connect_to(path, SQLITE_OPEN_READONLY, layer, ret, e);
}

static int do_open(const char *path, enum engine_mode mode, struct engine **ret, struct err *e)
{
	bool write = mode == ENGINE_WRITE;
	bool empty = false;
	struct engine *g = NULL;
	int r = write && strcmp(path, ":memory:") != 0 ? make_file(path, &empty, e) : 0;

	if (r == 0)
		r = connect_in(path, mode, &g, e);
	if (r == 0 && empty)
		r = do_script(g, FIRST_SETUP, e);
	if (r == 0)
		r = do_script(g, write ? WRITER_SETUP : READER_SETUP, e);
	if (r < 0) {
		if (g)
			engine_sqlite.close(g);
		return r;
	}
	*ret = g;
	return 0;
}

static void do_close(struct engine *g)
{
	struct connection *c = container_of(g, struct connection, engine);

	sqlite3_close(c->sql);
	free(c);
}

/* --- statements --- */

static int do_prepare(
	struct engine *g, const char *sql, bool keep, struct engine_stmt **ret, struct err *e)
{
	sqlite3_stmt *st;

	if (sqlite3_prepare_v3(of(g), sql, -1, keep ? SQLITE_PREPARE_PERSISTENT : 0, &st, NULL) !=
		SQLITE_OK)
		return error_of(of(g), sql, e);
	*ret = (struct engine_stmt *)st;
	return 0;
}

static int bind_canonical(sqlite3_stmt *st, int i, const json_t *j)
{
	char *text = canonical(j);

	return text ? sqlite3_bind_text(st, i, text, -1, free) : SQLITE_NOMEM;
}

/* Text stays the caller's: every query ends before its parameters do. */
static int bind_value(sqlite3_stmt *st, int i, const struct bind *b)
{
	switch (b->type) {
	case BIND_INT:
		return sqlite3_bind_int64(st, i, b->i);
	case BIND_REAL:
		return sqlite3_bind_double(st, i, b->d);
	case BIND_TEXT:
		return sqlite3_bind_text(st, i, b->s, -1, SQLITE_STATIC);
	case BIND_JSON:
		return b->j ? bind_canonical(st, i, b->j) : sqlite3_bind_null(st, i);
	case BIND_NOTHING:
	case BIND_END:
		break;
	}
	return sqlite3_bind_null(st, i);
}

static int do_bind(
	struct engine *g, struct engine_stmt *st, int i, const struct bind *b, struct err *e)
{
	return bind_value(st_of(st), i, b) == SQLITE_OK
		       ? 0
		       : error_of(of(g), sqlite3_sql(st_of(st)), e);
}

static int do_step(struct engine *g, struct engine_stmt *st, struct err *e)
{
	char head[48];

	switch (sqlite3_step(st_of(st))) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default: /* not an enum of ours: sqlite's list is open */
		break;
	}
	/* The first words of a statement are enough to find it, and the message has room for the
	 * cause. */
	snprintf(head, sizeof head, "%s", sqlite3_sql(st_of(st)));
	return error_of(of(g), head, e);
}

static void do_reset(struct engine_stmt *st)
{
	sqlite3_reset(st_of(st));
	sqlite3_clear_bindings(st_of(st));
}

static void do_finalize(struct engine_stmt *st)
{
	sqlite3_finalize(st_of(st));
}

static const char *get_sql(struct engine_stmt *st)
{
	return sqlite3_sql(st_of(st));
}

static bool is_busy(struct engine_stmt *st)
{
	return sqlite3_stmt_busy(st_of(st)) != 0;
}

/* --- a row --- */

static bool is_null(struct engine_stmt *st, int column)
{
	return sqlite3_column_type(st_of(st), column) == SQLITE_NULL;
}

static int64_t get_int(struct engine_stmt *st, int column)
{
	return sqlite3_column_int64(st_of(st), column);
}

static double get_real(struct engine_stmt *st, int column)
{
	return sqlite3_column_double(st_of(st), column);
}

static const char *get_text(struct engine_stmt *st, int column)
{
	return (const char *)sqlite3_column_text(st_of(st), column);
}

static int columns(struct engine_stmt *st)
{
	return sqlite3_column_count(st_of(st));
}

static const char *column_name(struct engine_stmt *st, int column)
{
	return sqlite3_column_name(st_of(st), column);
}

static int changed(struct engine *g)
{
	return sqlite3_changes(of(g));
}

static int64_t last_id(struct engine *g)
{
	return sqlite3_last_insert_rowid(of(g));
}

static bool in_transaction(struct engine *g)
{
	return !sqlite3_get_autocommit(of(g));
}

/* --- the file --- */

static int one_int(struct engine *g, const char *sql, int64_t *ret, struct err *e)
{
	struct engine_stmt *st = NULL;
	int r = do_prepare(g, sql, false, &st, e);

	if (r == 0)
		r = do_step(g, st, e);
	if (r == 0)
		r = err_set(e, ERR_DATABASE, "%s gave no row", sql);
	if (r > 0)
		*ret = get_int(st, 0);
	do_finalize(st);
	return MIN(r, 0);
}

/* Ours; an empty file is ours to fill. */
static int get_schema(struct engine *g, int64_t *ret_version, struct err *e)
{
	int64_t app = 0;
	int64_t tables = 0;
	int r = one_int(g, "PRAGMA application_id", &app, e);

	if (r == 0)
		r = one_int(g, "PRAGMA user_version", ret_version, e);
	if (r == 0)
		r = one_int(g, "SELECT EXISTS (SELECT 1 FROM sqlite_schema)", &tables, e);
	if (r < 0)
		return r;
	return app != APPLICATION_ID && (app != 0 || tables != 0 || *ret_version != 0)
		       ? err_set(e, ERR_UNSUPPORTED, "this is the database of another program")
		       : 0;
}

static int set_schema(struct engine *g, int64_t version, struct err *e)
{
	char stamp[96];

	snprintf(stamp, sizeof stamp, "PRAGMA application_id=%d; PRAGMA user_version=%d",
		APPLICATION_ID, (int)version);
	return do_script(g, stamp, e);
}

static int size(struct engine *g, int64_t *ret_bytes, struct err *e)
{
	int64_t page = 0;
	int64_t count = 0;
	int r = one_int(g, "PRAGMA page_size", &page, e);

	if (r == 0)
		r = one_int(g, "PRAGMA page_count", &count, e);
	if (r == 0)
		*ret_bytes = page * count;
	return r;
}

static int shrink(struct engine *g, int pages, int64_t *ret_free, struct err *e)
{
	char sql[64];
	int64_t page = 0;
	int64_t count = 0;
	int r = 0;

	snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)", pages);
	if (pages > 0)
		r = do_script(g, sql, e);
	if (r == 0)
		r = one_int(g, "PRAGMA page_size", &page, e);
	if (r == 0)
		r = one_int(g, "PRAGMA freelist_count", &count, e);
	if (r == 0)
		*ret_free = page * count;
	return r;
}

static int rebuild(struct engine *g, struct err *e)
{
	return do_script(g, "PRAGMA auto_vacuum = INCREMENTAL; VACUUM;", e);
}

static int set_quota(struct engine *g, int64_t bytes, struct err *e)
{
	char sql[64];
	int64_t page = 0;
	int r = one_int(g, "PRAGMA page_size", &page, e);

	if (r < 0)
		return r;
	snprintf(sql, sizeof sql, "PRAGMA max_page_count=%lld",
		bytes > 0 ? (long long)((bytes + page - 1) / page) : 0xfffffffell);
	return do_script(g, sql, e);
}

static void tidy(struct engine *g)
{
	int pages = 0;

	sqlite3_wal_checkpoint_v2(of(g), NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, NULL);
	if (pages > WAL_TRUNCATE_PAGES) {
		sqlite3_busy_timeout(of(g), 0);
		sqlite3_wal_checkpoint_v2(of(g), NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
		sqlite3_busy_timeout(of(g), BUSY_MS);
	}
}

static void watch(struct engine *g, int (*stop)(void *data), void *data)
{
	sqlite3_progress_handler(of(g), stop ? WATCH_OPS : 0, stop, data);
	page_sums_watch(of(g), stop, data);
}

/* --- a copy --- */

static int copy_slices(sqlite3_backup *b, const struct engine_copy *how, struct err *e)
{
	int code;

	do {
		code = sqlite3_backup_step(b, how->pages ? how->pages : -1);
		if (code == SQLITE_OK && how->between &&
			how->between(how->data, sqlite3_backup_remaining(b),
				sqlite3_backup_pagecount(b)))
			return err_set(e, ERR_ABORTED, "the copy of the database was stopped");
	} while (code == SQLITE_OK);
	return 0;
}

static int copy_to(sqlite3 *from, sqlite3 *to, const struct engine_copy *how, struct err *e)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
	int r = b ? copy_slices(b, how, e) : error_of(to, "copy", e);
	int code = b ? sqlite3_backup_finish(b) : SQLITE_OK;

	if (r == 0 && code == SQLITE_IOERR_DATA)
		r = err_set(e, ERR_RECORDS_DAMAGED,
			"page %u of the database is not what was written to it (copy)",
			page_sums_damaged(from));
	else if (r == 0 && code != SQLITE_OK)
		r = error_of(to, "copy", e);
	return r;
}

/* A snapshot is held all the while: what is committed meanwhile does not begin the copy again
 * (sqlite.org/backup.html). */
static int copy(struct engine *g, const char *to, const struct engine_copy *how, struct err *e)
{
	sqlite3 *sql = NULL;
	int64_t tables = 0;
	int r = do_script(g, "BEGIN", e);

	if (r < 0)
		return r;
	page_sums_follow(of(g));
	r = one_int(g, "SELECT count(*) FROM sqlite_schema", &tables, e);
	if (r == 0 && sqlite3_open_v2(to, &sql,
			      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
				      SQLITE_OPEN_EXRESCODE,
			      NULL) != SQLITE_OK)
		r = error_of(sql, to, e);
	if (r == 0)
		r = copy_to(of(g), sql, how, e);
	sqlite3_close(sql);
	do_script(g, "ROLLBACK", NULL);
	return r;
}

/* --- damage --- */

/* 1 where it is not sound, with what sqlite says in ret. */
static int quick_check(struct engine *g, const char *sql, char ret[200], struct err *e)
{
	struct engine_stmt *st = NULL;
	int r = do_prepare(g, sql, false, &st, e);

	if (r == 0)
		r = do_step(g, st, e);
	if (r > 0) {
		snprintf(ret, 200, "%s", get_text(st, 0) ? get_text(st, 0) : "");
		r = strcmp(ret, "ok") != 0;
	}
	do_finalize(st);
	return r;
}

/* The first table with a page that is not sound; "" where none is. */
static void find_table(struct engine *g, char ret[64])
{
	static const char sql[] = "SELECT name FROM sqlite_schema WHERE type = 'table'"
				  " AND name NOT LIKE 'sqlite!_%' ESCAPE '!'";
	struct engine_stmt *st = NULL;
	char said[200];
	struct err e;

	ret[0] = 0;
	if (do_prepare(g, sql, false, &st, &e) < 0)
		return;
	while (!ret[0] && do_step(g, st, &e) > 0) {
		_cleanup_(freep) char *check =
			xasprintf("PRAGMA quick_check('%s')", get_text(st, 0));

		if (quick_check(g, check, said, &e) != 0)
			snprintf(ret, 64, "%s", get_text(st, 0));
	}
	do_finalize(st);
}

static int check(struct engine *g, char *ret, size_t n, struct err *e)
{
	char table[64];
	char said[200] = "";
	int r = quick_check(g, "PRAGMA quick_check(1)", said, e);
	unsigned page = page_sums_damaged(of(g));

	if (page) {
		find_table(g, table);
		snprintf(ret, n, "page %u of the database is not what was written to it%s%s", page,
			table[0] ? ": table " : "", table);
		return 0;
	}
	if (r > 0)
		snprintf(ret, n, "the file of the database is damaged: %s", said);
	return MIN(r, 0);
}

static void tolerate(struct engine *g, bool damage)
{
	page_sums_strict(of(g), !damage);
}

static unsigned damaged_page(struct engine *g)
{
	return page_sums_damaged(of(g));
}

static const char *sums_begun(struct engine *g, size_t *ret_pages)
{
	return page_sums_begun(of(g), ret_pages);
}

const struct engine_ops engine_sqlite = {
	.name = "sqlite",
	.log_suffix = "-wal",
	.sums_suffix = "-sums",
	.open = do_open,
	.close = do_close,
	.script = do_script,
	.prepare = do_prepare,
	.bind = do_bind,
	.step = do_step,
	.reset = do_reset,
	.finalize = do_finalize,
	.sql = get_sql,
	.busy = is_busy,
	.is_null = is_null,
	.get_int = get_int,
	.get_real = get_real,
	.get_text = get_text,
	.columns = columns,
	.column_name = column_name,
	.changed = changed,
	.last_id = last_id,
	.in_transaction = in_transaction,
	.get_schema = get_schema,
	.set_schema = set_schema,
	.size = size,
	.set_quota = set_quota,
	.tidy = tidy,
	.shrink = shrink,
	.rebuild = rebuild,
	.copy = copy,
	.watch = watch,
	.check = check,
	.tolerate = tolerate,
	.damaged_page = damaged_page,
	.sums_begun = sums_begun,
};
