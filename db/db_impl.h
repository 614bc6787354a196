/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to db/: the inside of a connection, shared by db.c, stmt.c, events.c and writer.c.
 */
#pragma once

#include "db/db.h"
#include "db/engine.h"
#include "db/rows.h"

#define DB_CACHE_SLOTS 256

struct db {
	struct engine *engine;
	char *path;
	/* Between db_begin() and its end. An engine gives a transaction up by itself on some errors
	 * (full, I/O); what would follow must not run in one of its own. */
	bool in_tx;
	/* Of a provd that had no archives yet, as others may look at it (db/offline.h). */
	bool before_archives;
	bool before_fixtures;	 /* the same, of runs without their fixture */
	bool before_details;	 /* and of measurements of one number alone */
	bool before_attachments; /* and of runs without attached files, and prompts without pictures */
	struct {
		uint64_t hash;
		struct engine_stmt *st;
		const struct column *columns; /* whose places these are */
		uint8_t place[COLUMNS_MAX];
	} cache[DB_CACHE_SLOTS]; /* open addressing by the hash of the text */
	unsigned cached;
	/* The events of the transaction, for the hook after its commit. */
	struct db_event *event;
	size_t events;
	size_t events_cap;
	/* What the transaction gave out, for the marks outside the database. */
	struct db_mark *mark;
	size_t marks;
	size_t marks_cap;
};

/* Forgets the events and marks from those indexes on (a savepoint was rolled back, or all were
 * published). */
void db_pending_cut(struct db *d, size_t events, size_t marks);

/* A connection as it is, whatever its schema. */
int db_connect(const char *path, enum engine_mode mode, struct db **ret, struct err *e);
/* Its schema; -ERR_UNSUPPORTED for one that a newer provd made. */
int db_schema(struct db *d, int64_t *ret_version, struct err *e);
/* From that schema to the next, in one transaction. */
int db_migrate_one(struct db *d, int64_t version, struct err *e);
