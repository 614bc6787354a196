/* SPDX-License-Identifier: Apache-2.0
 *
 * High-water marks: what was given out, kept in a file outside the database, so that a restored
 * backup cannot give it out again (db/lineage.h compares the two).
 *
 *   offset 0, 256   two headers, written in turn: "H2 COUNT EPOCH GENERATION SEQ LINES SYNCED
 *                   MACHINE", "-" where that is not known
 *   from 512 on     lines, numbered from 1, each a fact that only grows:
 *                   "N P NEXT POOL"    the sequence of a pool has reached NEXT
 *                   "N V KIND VALUE"   a value that a person gave (a list, a scan) was exposed
 *
 * Each header and line begins with the first 8 hex digits of its SHA-256. A header says how many
 * lines there were (LINES), and how many of them had been synced before it was written (SYNCED):
 *
 *   MARKS_WHOLE     lines 1..LINES are whole, more may follow
 *   MARKS_TORN      lines 1..SYNCED are whole: a power cut within a sync, or damage
 *   MARKS_DAMAGED   anything else, or a header is missing: no crash leaves this
 *
 * In a torn file only lines are missing whose commits come before the header's SEQ: a database that
 * has the event SEQ knows all that they said, any other one must not go on (db/lineage.h). A file
 * of provd before this format ("H COUNT EPOCH GENERATION SEQ", lines without numbers) is read, and
 * written in this format when the line goes on; a bad line of it is torn if it is the last one, and
 * damage otherwise.
 *
 *   COMMIT (fsync) -> marks_note() (fdatasync where a value is exposed) -> tickets are answered
 *
 * A database that has fewer events than its marks is therefore an older copy, never a crash: the
 * marks are written after the commit. One thread at a time: the one that opens, then the writer.
 */
#pragma once

#include "db/db.h"

#define MARKS_EPOCH_SIZE   17
#define MARKS_MACHINE_SIZE 17

struct marks;

struct marks_head {
	char epoch[MARKS_EPOCH_SIZE]; /* 16 hex digits; "" none yet */
	int64_t generation;
	int64_t seq; /* of the newest event */
};

enum marks_state {
	MARKS_WHOLE,
	MARKS_TORN,
	MARKS_DAMAGED,
};

/* Reads the file; one that does not exist is an empty one, which marks_begin() makes. Where neither
 * header can be read, the head has no epoch. Of a damaged file the lines that are whole count. */
int marks_open(const char *path, bool *ret_exists, struct marks **ret, struct err *e);
struct marks *marks_free(struct marks *m);
DEFINE_CLEANUP(struct marks, marks_free)

/* As the file was read; marks_begin() makes it whole. */
enum marks_state marks_state(const struct marks *m);
/* What is torn or damaged, "" where the file is whole. */
const char *marks_flaw(const struct marks *m);
/* Whether the file is to be written again before a line is added: torn, or of an older format. */
bool marks_worn(const struct marks *m);
const struct marks_head *marks_head(const struct marks *m);
/* The machine that wrote the file, "" where it does not say. */
const char *marks_machine(const struct marks *m);
/* The machine that writes from now on; "" leaves it as it is. A file that says none is worn. */
void marks_bind(struct marks *m, const char *machine);
/* The pools that are known, in no order; NULL after the last. */
const char *marks_pool(const struct marks *m, size_t i, int64_t *ret_next);
/* Calls each value that a person gave and that was exposed; an error of `each` ends it. */
int marks_values(const struct marks *m,
	int (*each)(void *data, const char *kind, const char *value, struct err *e), void *data,
	struct err *e);

/* The sequence of a pool has reached `next` at least; written by the next marks_begin(). */
void marks_raise(struct marks *m, const char *pool, int64_t next);
/* Writes the file again under a head (durable, all or nothing); the facts stay. */
int marks_begin(struct marks *m, const struct marks_head *head, struct err *e);
/* Whether a line can be added: adds one that says nothing new, durable. */
int marks_probe(struct marks *m, struct err *e);
/* What a commit gave out; durable where one of the marks asks for it (db_mark.exposed). */
int marks_note(struct marks *m, int64_t seq, const struct db_mark *mark, size_t n, struct err *e);
