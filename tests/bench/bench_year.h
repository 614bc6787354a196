/* SPDX-License-Identifier: Apache-2.0
 *
 * A year of a line as it might have been, out of a seed: the same seed, count, days and end give the same runs.
 * Eight stations in two shifts, six days a week; what they measure drifts with the months and jumps after
 * maintenance, contacts go bad for some dozens of units, units that failed come back, recipe, firmware and a
 * tool change with the quarters, and people answer questions.
 */
#pragma once

#include <stdint.h>

#include "db/db.h"

#define YEAR_STATIONS 8

struct year {
	uint64_t random;
	int64_t end_ms, days;
	long count;
	double offset[YEAR_STATIONS]; /* volts, of the fixture since its last maintenance */
	int bad[YEAR_STATIONS];	      /* units for which its contact still is bad */
	int again[YEAR_STATIONS];     /* unit that comes back next, 0 none */
};

void year_begin(struct year *y, uint64_t seed, long count, int64_t days, int64_t end_ms);
/* The run i of count, from 0, in the transaction of tx. */
int year_run(struct db *tx, struct year *y, long i, struct err *e);
