/* SPDX-License-Identifier: Apache-2.0
 *
 * High-water marks: what was given out, kept in a file outside the database, so that a restored
 * backup cannot give it out again (db/lineage.h compares the two).
 *
 *   offset 0, 256   two headers, written in turn: "H COUNT EPOCH GENERATION SEQ"
 *   from 512 on     lines, each a fact that only grows:
 *                   "P NEXT POOL"    the sequence of a pool has reached NEXT
 *                   "V KIND VALUE"   a value that a person gave (a list, a scan) was exposed
 *
 * Each header and line begins with the first 8 hex digits of its SHA-256. What is damaged is passed
 * over: the facts are maxima, their order does not matter, and a newer one follows.
 *
 *   COMMIT (fsync) -> marks_note() (fdatasync where a value is exposed) -> tickets are answered
 *
 * A database that has fewer events than its marks is therefore an older copy, never a crash: the
 * marks are written after the commit. One thread at a time: who opens, then the writer.
 */
#pragma once

#include "db/db.h"

#define MARKS_EPOCH_SIZE 17

struct marks;

struct marks_head {
	char epoch[MARKS_EPOCH_SIZE]; /* 16 hex digits; "" none yet */
	int64_t generation;
	int64_t seq; /* of the newest event */
};

/* Reads the file; one that does not exist is an empty one, which marks_begin() makes. Where neither
 * header can be read, the head has no epoch, and the lines that are whole count. */
int marks_open(const char *path, bool *ret_exists, struct marks **ret, struct err *e);
struct marks *marks_free(struct marks *m);
DEFINE_CLEANUP(struct marks, marks_free)

const struct marks_head *marks_head(const struct marks *m);
/* The pools that are known, in no order; NULL after the last. */
const char *marks_pool(const struct marks *m, size_t i, int64_t *ret_next);
/* Calls each value that a person gave and that was exposed; an error of `each` ends it. */
int marks_values(const struct marks *m,
	int (*each)(void *data, const char *kind, const char *value, struct err *e), void *data,
	struct err *e);

/* Writes the file again under a head (durable, all or nothing); the facts stay. */
int marks_begin(struct marks *m, const struct marks_head *head, struct err *e);
/* What a commit gave out; durable where one of the marks asks for it (db_mark.exposed). */
int marks_note(struct marks *m, int64_t seq, const struct db_mark *mark, size_t n, struct err *e);
