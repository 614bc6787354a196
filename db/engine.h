/* SPDX-License-Identifier: Apache-2.0
 *
 * What a database engine does for provd: one table of calls, so that a second engine is one folder
 * next to db/sqlite, and nothing else of db/ knows which one it is.
 *
 * A connection is used by one thread at a time. Errors are codes of ours: -ERR_DISK_FULL (disk or
 * quota), -ERR_CONFLICT (a constraint), -ERR_RECORDS_DAMAGED, -ERR_DATABASE with the engine's text.
 */
#pragma once

#include "base/err.h"
#include "db/bind.h"

/* One connection, and one statement of it: the engine's own structures begin with these. */
struct engine {
	const struct engine_ops *ops;
};
struct engine_stmt;

enum engine_mode {
	/* Makes the file (0600) and its folder (0700) where they are absent; commits are durable. */
	ENGINE_WRITE,
	/* Every statement sees the last commit, and none changes anything. */
	ENGINE_READ,
	/* Nobody has the file open or writes to it: no byte of it or next to it is touched, and the sums of
	 * its pages are not looked at. */
	ENGINE_STILL
};

/* How a copy is made: a few pages, then whoever makes it does something else. */
struct engine_copy {
	int pages; /* of one slice, 0: all at once */
	/* After each slice, with the pages that are left and those that there are; other than 0 ends the
	 * copy with -ERR_ABORTED. */
	int (*between)(void *data, int64_t left, int64_t all);
	void *data;
};

struct engine_ops {
	const char *name;
	/* What the names of the files next to the database end with: its log, and the sums by which
	 * damage is found. NULL: there is no such file. */
	const char *log_suffix, *sums_suffix;

	/* --- required --- */

	int (*open)(const char *path, enum engine_mode mode, struct engine **ret, struct err *e);
	/* After its last statement. */
	void (*close)(struct engine *g);
	/* Several statements without parameters or rows. */
	int (*script)(struct engine *g, const char *sql, struct err *e);

	/* keep: it will be used again. */
	int (*prepare)(struct engine *g, const char *sql, bool keep, struct engine_stmt **ret,
		struct err *e);
	/* i from 1. Text is borrowed until reset. */
	int (*bind)(struct engine *g, struct engine_stmt *st, int i, const struct bind *b,
		struct err *e);
	/* 1 with a row, 0 at the end, or an error. */
	int (*step)(struct engine *g, struct engine_stmt *st, struct err *e);
	/* Its parameters are forgotten, and it may run again. */
	void (*reset)(struct engine_stmt *st);
	/* Takes NULL. */
	void (*finalize)(struct engine_stmt *st);
	const char *(*sql)(struct engine_stmt *st);
	/* Between its first row and its reset. */
	bool (*busy)(struct engine_stmt *st);

	bool (*is_null)(struct engine_stmt *st, int column);
	int64_t (*get_int)(struct engine_stmt *st, int column);
	double (*get_real)(struct engine_stmt *st, int column);
	/* NULL for NULL; valid until the next step. */
	const char *(*get_text)(struct engine_stmt *st, int column);
	/* How many columns a row has, and their names. */
	int (*columns)(struct engine_stmt *st);
	const char *(*column_name)(struct engine_stmt *st, int column);

	/* Rows that the last statement changed, and the number that the last INSERT made. */
	int (*changed)(struct engine *g);
	int64_t (*last_id)(struct engine *g);
	/* An engine may give a transaction up by itself on an error. */
	bool (*in_transaction)(struct engine *g);

	/* Which schema the database has; -ERR_UNSUPPORTED for one of another program. */
	int (*get_schema)(struct engine *g, int64_t *ret_version, struct err *e);
	/* Within the transaction of the migration. */
	int (*set_schema)(struct engine *g, int64_t version, struct err *e);
	/* Bytes of the database without its log. */
	int (*size)(struct engine *g, int64_t *ret_bytes, struct err *e);

	/* --- optional: NULL where the engine has nothing of the kind --- */

	/* What would make the database larger fails; 0 lifts it. */
	int (*set_quota)(struct engine *g, int64_t bytes, struct err *e);
	/* While nothing waits: what is in the log goes into the database. Readers are never waited
	 * for. */
	void (*tidy)(struct engine *g);
	/* Gives at most so many pages that are free back to the file system, in a transaction of the writer; 0
	 * none. *ret_free: bytes of those that are left. Where the database was made by a provd before
	 * archives none is given back, and all are used again. */
	int (*shrink)(struct engine *g, int pages, int64_t *ret_free, struct err *e);
	/* Writes the whole file again, without free pages. Nobody else has it open. */
	int (*rebuild)(struct engine *g, struct err *e);
	/* The whole database as one commit left it, into a file that is not there yet; on disk when it
	 * returns. The line goes on meanwhile. Of one that is opened to read; damaged pages end it. */
	int (*copy)(struct engine *g, const char *to, const struct engine_copy *how, struct err *e);
	/* Called now and then within long statements: other than 0 ends them. NULL: no more. */
	void (*watch)(struct engine *g, int (*stop)(void *data), void *data);
	/* Looks at the structure of the whole file: what is wrong into ret, "" where nothing is. */
	int (*check)(struct engine *g, char *ret, size_t size, struct err *e);
	/* Damage that is met is noted, or (from the opening of a database on) refused. */
	void (*tolerate)(struct engine *g, bool damage);
	/* The first damaged page that was read, 0 none. */
	unsigned (*damaged_page)(struct engine *g);
	/* Whether the sums that find damage were made from what the file holds, and
	 * why; NULL: no. */
	const char *(*sums_begun)(struct engine *g, size_t *ret_pages);
};

extern const struct engine_ops engine_sqlite;
