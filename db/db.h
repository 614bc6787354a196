/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection to provd's database, by whatever engine (db/engine.h). A connection is used by one
 * thread at a time; the write connection belongs to the writer thread (db/writer.h), readers to
 * the thread that opened them.
 *
 * Durability (design, promise 2): WAL with synchronous=FULL, so a COMMIT that returned 0 survives
 * a power cut. Opening reads the header only and costs the same for any number of units.
 *
 * Codes: -ERR_DISK_FULL (disk or quota), -ERR_CONFLICT (a constraint or an immutability rule),
 * -ERR_NOT_FOUND, -ERR_INVALID (a malformed request), -ERR_DATABASE with sqlite's text otherwise.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/util.h"

/* Room for the ids of the database: UUIDs, names of recipes and steps (64 characters), of stations,
 * pools, tokens. */
#define DB_ID_SIZE 65

struct db;

/* Opens for writing: makes the directory (0700) and the file (0600) if they are absent, and brings
 * the schema up to date. ":memory:" is one of the connection's own, in no file. -ERR_UNSUPPORTED
 * for a database of a newer provd or another program. */
int db_open(const char *path, struct db **ret, struct err *e);
/* Opens an existing database for reading; every statement sees the last commit. */
int db_open_reader(const char *path, struct db **ret, struct err *e);
struct db *db_free(struct db *d);
DEFINE_CLEANUP(struct db, db_free)

/* The file of its log, and that of the sums of its pages: owned by the caller; NULL where the
 * engine has no such file. The database may be absent. */
char *db_log_path(const char *path);
char *db_sums_path(const char *path);

/* The first page that was read and does not hold what was written to it (db/sqlite/page_sums.h), 0
 * none. From the opening on such a page is -ERR_RECORDS_DAMAGED; what had to be read to open is
 * not. */
unsigned db_damaged_page(struct db *d);
/* Whether the sums of the pages were made from what the file holds, and why; NULL: no. */
const char *db_sums_begun(struct db *d, size_t *ret_pages);
/* Damage is noted alone, to find out what there is before anyone is served. */
void db_tolerate(struct db *d, bool damage);

/* A quota: what would make the file larger fails with -ERR_DISK_FULL. 0 lifts it. */
int db_set_quota(struct db *d, int64_t bytes, struct err *e);
/* Bytes of the database without its log. */
int db_size(struct db *d, int64_t *ret_bytes, struct err *e);

/* Gives at most so many free pages back, in the transaction of tx; 0 none. *ret_free: the bytes that are free then. */
int db_shrink(struct db *tx, int pages, int64_t *ret_free, struct err *e);
/* While nothing waits: what is in a log goes into the database. Readers are never waited for. */
void db_tidy(struct db *d);

/* A write transaction. The writer thread does this; others only in tests and tools. */
int db_begin(struct db *d, struct err *e);
int db_commit(struct db *d, struct err *e);
void db_rollback(struct db *d);

/* Until its end, every statement of this connection sees the same commit. For a reader. */
int db_snapshot(struct db *d, struct err *e);
void db_snapshot_end(struct db *d);

/* An event as it was committed. Strings may be NULL where they do not apply. */
struct db_event {
	int64_t seq;
	int64_t at; /* ms UTC */
	char *type;
	char *station;
	char *job;
	char *run;
	char *serial;
	char *data; /* canonical JSON of an object */
};

/* Appends an event in the transaction of tx; it is published after the commit. Takes the reference
 * of data (NULL: {}). */
int db_event(struct db *tx, const char *type, const char *station, const char *job, const char *run,
	const char *serial, json_t *data, struct err *e);

/* Something that was given out, for the high-water marks outside the database (db/marks.h). */
struct db_mark {
	char *pool; /* its sequence has reached `next`; NULL: none */
	int64_t next;
	char *kind, *value; /* a value that a person gave; NULL: none */
	bool exposed;	    /* a device sees it next: the mark is durable first */
};

/* In the transaction of tx; the marks are written after its commit, before its ticket is answered.
 */
void db_mark_pool(struct db *tx, const char *pool, int64_t next);
void db_mark_exposed(struct db *tx);
/* The epoch that this transaction begins: marks_begin() with its head comes next. */
#define DB_MARK_EPOCH "epoch"
void db_mark_epoch(struct db *tx);
void db_mark_value(struct db *tx, const char *kind, const char *value);

/* One page of a list. `after` is the `next` of the page before, NULL or "" for the first. */
struct db_page {
	unsigned limit; /* 1..1000, 0: 100 */
	const char *after;
	bool cursors; /* each item has its own as "cursor": what comes after it */
};

struct db_list {
	json_t *items;	/* array, owned by the caller */
	char next[128]; /* "" on the last page */
};
