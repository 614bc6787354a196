/* SPDX-License-Identifier: Apache-2.0
 *
 * The records of this line: the database, its high-water marks, room on the disk, the clock, and
 * whether they can be relied on. Opened before anything else of the line, closed after it.
 *
 *   records_open()   database, marks, comparison (db/lineage.h); holds what a person must decide
 *   records_tick()   every second: room, clock, retention; every hour: the head of the chain
 *   records_check()  in the background: structure of the file, hash chain, ledger (scrub.h)
 */
#pragma once

#include "daemon/line/config.h"
#include "daemon/line/disk.h"
#include "daemon/line/holds.h"
#include "daemon/line/wall.h"
#include "db/lineage.h"
#include "db/writer.h"

struct records;

struct records_opts {
	const struct config *config; /* for the time of the call */
	struct holds *holds;
	/* The events of a commit, on the writer thread (db/writer.h). */
	void (*committed)(void *data, const struct db_event *ev, size_t n);
	void *data;
};

/* main. A database that cannot be opened is an error; one that must not be used is a hold. */
int records_open(const struct records_opts *o, struct records **ret, struct err *e);
struct records *records_free(struct records *r);
DEFINE_CLEANUP(struct records, records_free)
void records_tick(struct records *r, const struct config *c);
/* At a clean stop, once all runs have ended: the head of the chain leaves the host. main. */
void records_tell_head(struct records *r);
/* Begins the check in the background, again where one goes on. main. */
void records_check(struct records *r);

struct writer *records_writer(const struct records *r);
struct disk *records_disk(const struct records *r);
struct wall *records_wall(const struct records *r);
const char *records_path(const struct records *r);
/* What signs what leaves this host; NULL where there is no key. */
struct seal;
const struct seal *records_seal(const struct records *r);
/* Of the present epoch. Any thread. */
void records_epoch(struct records *r, char ret[MARKS_EPOCH_SIZE]);

/* {epoch, generation, lineage: {verdict, message, ...}, holds, check: {...}}. Any thread. */
json_t *records_json(struct records *r);
/* A person takes this database as the line's own. Two halves of one change: the first in the
 * writer's transaction, the second after its commit. pools: {id: next} or NULL. -ERR_CONFLICT where
 * nothing is to be accepted. */
int records_accept_apply(struct records *r, struct db *tx, const json_t *pools, const char *by,
	const char *reason, json_t **ret, struct err *e);
int records_accepted(struct records *r, struct err *e);
/* A person says that the clock is right. */
int records_accept_clock_apply(struct records *r, struct db *tx, const char *by, const char *reason,
	json_t **ret, struct err *e);
void records_clock_accepted(struct records *r);
