/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether this database is the one that the line has worked with, or an older copy, another one, or
 * a new one instead of one that is lost: the database against its high-water marks
 * (db/marks.h). An older copy would hand out serial numbers and event numbers that are out already.
 *
 *   marks     database          verdict
 *   -------   ---------------   -----------------------------------------------------
 *   none      no epoch          LINEAGE_NEW       both begin
 *   none      epoch, marked     LINEAGE_UNMARKED  restored elsewhere, or the marks are lost
 *   none      epoch, unmarked   LINEAGE_BEGUN     a crash at the first start: marks are made
 *   damaged   any               LINEAGE_DAMAGED   what was given out is not known
 *   torn      behind SEQ        LINEAGE_DAMAGED   lines are missing that it does not know
 *   any       no epoch          LINEAGE_LOST      nothing but a new database where records were
 *   E         present epoch E   LINEAGE_SAME      at or ahead of the marks
 *   E         E, or a former    LINEAGE_MOVED     on another machine than wrote the marks
 *   E         present epoch E   LINEAGE_OLDER     fewer events, or a sequence is behind
 *   E         E is a former one LINEAGE_BEGUN     a crash after the acceptance: marks are made
 *   E         E is unknown      LINEAGE_OTHER     a copy from before E, or from another line
 *
 * All calls: the thread that opens the database, or the writer's transaction.
 */
#pragma once

#include "db/marks.h"

enum lineage {
	LINEAGE_SAME,
	LINEAGE_NEW,
	LINEAGE_BEGUN,
	LINEAGE_UNMARKED,
	LINEAGE_LOST,
	LINEAGE_OLDER,
	LINEAGE_OTHER,
	LINEAGE_DAMAGED,
	LINEAGE_MOVED,
};

struct lineage_view {
	enum lineage verdict;
	struct marks_head db; /* of the database; epoch "" none */
	struct marks_head marks;
	char flaw[128];	       /* of the marks, "" none */
	int behind;	       /* pools whose sequence is behind its mark */
	char pool[DB_ID_SIZE]; /* the first of them */
	int64_t pool_next, mark_next;
};

/* Whether provd may go on without a person: SAME, NEW, BEGUN. */
bool lineage_sound(enum lineage v);
/* machine: this one, "" where that is not known; then no copy is taken for one that has moved. */
int lineage_compare(struct db *d, const struct marks *m, bool marks_exist, const char *machine,
	struct lineage_view *ret, struct err *e);
/* One sentence for people: what was found, and what it means. */
void lineage_describe(const struct lineage_view *v, char *buf, size_t size);

/* The present epoch; zeroed where there is none. seq: of the newest event. */
int lineage_head(struct db *d, struct marks_head *ret, struct err *e);
/* Newest first: array of {generation, epoch, begun_at, begun_by, reason, after_seq}. */
int lineage_list(struct db *d, json_t **ret, struct err *e);

struct lineage_accept {
	const struct marks *marks;
	const char *by, *reason;
	const json_t *pools; /* {id: next}: what a person says was given out; NULL: {} */
	bool need_pools; /* there are no marks, or damaged ones: every pool with a pattern must be
			    named */
};
/* A new epoch in the writer's transaction: every sequence goes past its mark and past what the
 * person said, values that were exposed are void, events go on after the marks' newest. Then
 * marks_begin() with *ret, then lineage_marked(). -ERR_UNPROCESSABLE names what is missing. */
int lineage_begin(
	struct db *tx, const struct lineage_accept *a, struct marks_head *ret, struct err *e);
/* The marks of the present epoch are on disk. */
int lineage_marked(struct db *tx, struct err *e);
/* The marks learn how far the pools of this database are, before they are written again. */
int lineage_raise(struct db *d, struct marks *m, struct err *e);
