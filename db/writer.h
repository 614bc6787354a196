/* SPDX-License-Identifier: Apache-2.0
 *
 * The writer: one thread with the only write connection. A thread with something to record submits
 * an apply function; the writer takes all that waits, and makes one transaction of it:
 *
 *   BEGIN  [SAVEPOINT apply RELEASE]...  COMMIT (fsync)  marks  tickets answered, in order  events
 * published
 *
 * An apply that fails is rolled back alone and its ticket gets its error. If the COMMIT fails,
 * every ticket of the group gets that error and no event is published. Under load the groups grow
 * by themselves: the cost of the fsync is shared by all that came while the last one ran.
 */
#pragma once

#include "db/db.h"

#define WRITER_LATER_US 250000

struct metrics;
struct writer;

struct writer_opts {
	size_t capacity;	    /* tickets that may wait, 0: 4096 */
	size_t group;		    /* most tickets of one commit, 0: 512 */
	bool one_commit_per_record; /* to measure what grouping gains */
	/* What a commit gave out, before its tickets are answered (db/marks.h); seq: its newest
	 * event, 0 none. Where it fails, the tickets that gave something out get the error, though
	 * the commit is on disk: what they reserved stays used, and no device sees it. May be NULL.
	 */
	int (*marks)(void *data, int64_t seq, const struct db_mark *mark, size_t n, struct err *e);
	/* Before each group, on the writer thread: sees to it that the disk has room for it. May be
	 * NULL. */
	void (*make_room)(void *data);
	/* A commit found no room (-ERR_DISK_FULL): nothing of its group is recorded. May be NULL.
	 */
	void (*full)(void *data, const struct err *e);
	/* A commit or a ticket met damage (-ERR_RECORDS_DAMAGED). May be NULL. */
	void (*damaged)(void *data, const struct err *e);
	/* The events of one commit, in order; on the writer thread, outside any transaction. It
	 * must not submit and wait. May be NULL. */
	void (*committed)(void *data, const struct db_event *ev, size_t n);
	void *data;
};

/* Applied on the writer thread, inside a transaction: SQL only, no waiting. Returns < 0 to undo its
 * own changes. */
#define WRITER_APPLY(name) int (*name)(struct db * tx, void *data, struct err *e)

/* Takes db over, on success only. */
int writer_new(struct db *db, const struct writer_opts *o, struct writer **ret, struct err *e);
/* Writes all that waits, then ends the thread and closes the database. */
struct writer *writer_free(struct writer *w);
DEFINE_CLEANUP(struct writer, writer_free)

/* Any thread; never waits. done (may be NULL) is called on the writer thread once the result is
 * durable: result is what apply returned, or the error of the commit. -ERR_OVERLOADED when too much
 * waits, -ERR_SHUTDOWN once writer_free has begun; done is not called then. */
int writer_submit(struct writer *w, WRITER_APPLY(apply), void *data,
	void (*done)(void *data, int result, const struct err *err), struct err *e);
/* As writer_submit, for what may wait: it goes with the next commit that is made for something
 * else, or in one of its own WRITER_LATER_US after. */
int writer_later(struct writer *w, WRITER_APPLY(apply), void *data,
	void (*done)(void *data, int result, const struct err *err), struct err *e);
/* Submits and waits for the true result: not cancelled half-way. Not from the writer thread. */
int writer_do(struct writer *w, WRITER_APPLY(apply), void *data, struct err *e);

/* When the thread last came round (monotonic us); it does so at least once a second. */
uint64_t writer_tick_us(const struct writer *w);
/* Commits since the start, and tickets in them. */
void writer_stats(const struct writer *w, uint64_t *ret_commits, uint64_t *ret_tickets);
/* 0, or why the newest commit failed: nothing of it is recorded. Any thread. */
int writer_check(struct writer *w, struct err *e);
/* How many tickets wait, without those of the commit that is being made. Any thread. */
size_t writer_waiting(struct writer *w);
/* How long commits take, and how many failed; lives as long as the writer. */
struct metrics *writer_metrics(const struct writer *w);
