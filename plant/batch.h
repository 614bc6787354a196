/* SPDX-License-Identifier: Apache-2.0
 *
 * What a host sends of its records, read strictly, and laid out as rows for the database. The body:
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

#include "base/err.h"

#define BATCH_RECORDS_MAX 500
#define BATCH_BYTES_MAX	  (8u * 1024 * 1024)

struct batch {
	int64_t fence, after;
	int64_t last; /* of the newest record; after where there is none */
	size_t n;
	/* Arrays of objects, whose members are the columns of these tables. */
	json_t *records, *runs, *measurements, *values;
};

/* -ERR_INVALID for what is no such object, -ERR_UNPROCESSABLE with the record where one is not right. */
int batch_read(const void *body, size_t bytes, struct batch *ret, struct err *e);
void batch_done(struct batch *b);
/* Takes the records out that the plant has: those up to `seen`, with what belongs to them; appends {seq, digest} of each
 * to an array. */
void batch_skip(struct batch *b, int64_t seen, json_t *had);
