/* SPDX-License-Identifier: Apache-2.0
 *
 * The record of a run: what others verify (docs/records.md says what each member is). Canonical JSON
 * (RFC 8785), written in the transaction of the run's end and never again:
 *
 *	{_type, host, epoch, n, previous, report, row, steps, measurements, values, certificates, answers,
 *	 acts, log, job, unit_before, attachments}
 *
 * attachments is there where something is attached to the run.
 *
 * The records are the leaves of a tree (db/record_tree.h), in the order of the chain of runs.
 */
#pragma once

#include "base/checkpoint.h"
#include "db/db.h"

#define RECORD_TYPE	  "urn:provd:record:1"
#define RECORD_FIRST_HASH "0000000000000000000000000000000000000000000000000000000000000000"

/* Where a record is: n from 1; previous is the SHA-256 of the record before it. */
struct record_place {
	int64_t n;
	char previous[SHA256_HEX];
	char host
		[CHECKPOINT_HOST_SIZE]; /* the first epoch of the database, as the next one "" where it has none */
	char epoch[CHECKPOINT_HOST_SIZE]; /* the present one */
};
/* host and epoch alone. */
int record_here(struct db *d, struct record_place *ret, struct err *e);

/* What the rows of a finished run say now: a new reference. report: of that run (reports_run()), NULL
 * reads it. Large integers are texts in it. */
int run_record_build(struct db *d, const char *run, const struct record_place *p, json_t *report,
	json_t **ret, struct err *e);

/* A line of the log into the digest that a record has of it: "K AT DIR BYTES:TEXT" and a line end, BYTES the length
 * of its text. */
void run_record_log_line(
	struct sha256 *digest, int64_t k, int64_t at, const char *dir, const char *text);

/* The records of the next runs of the chain that have none, at most so many. report: that of the run
 * `run`, which is asked for only once (NULL: read it). */
int run_records_append(struct db *tx, int64_t most, const char *run, json_t *report, struct err *e);
/* How many records there are, and how many runs of the chain have none yet. */
int run_records_count(struct db *d, int64_t *ret_records, int64_t *ret_missing, struct err *e);
/* The text of a record, owned by the caller. -ERR_NOT_FOUND; -ERR_ARCHIVED with the name of the file. */
int run_records_text(struct db *d, int64_t n, char **ret, struct err *e);
/* The number of a run in the chain; -ERR_NOT_FOUND without such a run, -ERR_CONFLICT for one that has
 * not ended or has no record yet, -ERR_ARCHIVED for one that is in an archive. */
int run_records_number(struct db *d, const char *run, int64_t *ret, struct err *e);
