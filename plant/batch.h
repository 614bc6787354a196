/* SPDX-License-Identifier: Apache-2.0
 *
 * What a host sends of its records, read strictly, and laid out as rows of COPY for the database. The body:
 *
 *	{fence, after, records: [{record: {seq, timestamp, type, station, job, run, serial, data}, told: {...}}, ...]}
 *
 * after: the number of the record before the first one, 0 none. Each record has a larger number than the one before it;
 * numbers between them were never records (a restored host goes on after a gap). told: of run-finished, the run as a whole
 * (report, values, reference). Any thread.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/strbuf.h"

#define BATCH_RECORDS_MAX 500
#define BATCH_BYTES_MAX	  (32u * 1024 * 1024)

/* What goes into a table by COPY. */
enum batch_table { BATCH_RECORDS, BATCH_RUNS, BATCH_MEASUREMENTS, BATCH_TABLES };

struct batch_record {
	int64_t seq;
	char digest[SHA256_HEX];  /* of its text, as it is stored */
	size_t end[BATCH_TABLES]; /* of its rows in each text */
	size_t values;		  /* of all records up to this one */
};

struct batch {
	int64_t fence, after;
	int64_t last; /* of the newest record; after where there is none */
	size_t n;
	struct batch_record *record; /* n of them */
	struct strbuf text
		[BATCH_TABLES]; /* rows of COPY, in the order of the columns of plant/ingest.c */
	json_t *values;		/* objects of {kind, slot, value, unit, run, at}, for the ledger */
};

/* host, now_ms: columns of what is stored. -ERR_INVALID for what is no such object, -ERR_UNPROCESSABLE with the record where
 * one is not right. */
int batch_read(const char *host, int64_t now_ms, const void *body, size_t bytes, struct batch *ret,
	struct err *e);
void batch_done(struct batch *b);
/* How many of its records the plant has: those up to `seen`. */
size_t batch_known(const struct batch *b, int64_t seen);
/* The rows of all records but the first `skip`; *ret_bytes 0: none. Borrowed. */
const char *batch_rows(const struct batch *b, enum batch_table t, size_t skip, size_t *ret_bytes);
/* The same of the values for the ledger: a new array. */
json_t *batch_values(const struct batch *b, size_t skip);
