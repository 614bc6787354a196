/* SPDX-License-Identifier: Apache-2.0
 *
 * The counts of steps, of the time of each unit, and of what units failed at first
 * (db/sql/0026_quality.sql), kept and read as those of db/rollups.h. Production runs alone.
 *
 * Steps leave the database with the months that go to an archive: the parts of an hour at both ends of a
 * window know nothing of those, and the check passes them over. Whole hours stay.
 */
#pragma once

#include "db/rollups.h"

/* A text of a row is borrowed while fn runs; "" where the rows are not grouped by it. by: of enum
 * rollup_by. */
struct rollup_step {
	const char *station, *fixture, *recipe, *step;
	int64_t version;
	int64_t passed, failed, error, retried; /* runs */
	int64_t units, first_passed;		/* first runs of units in their recipe */
};
typedef void rollup_step_fn(void *data, const struct rollup_step *row);
int rollup_steps_read(struct db *d, const struct rollup_range *range, const struct rollup_filter *f,
	unsigned by, rollup_step_fn *fn, void *data, struct err *e);

/* One bar of the histogram of a part: n runs that took from `bar` up to `upper` ms (excluded), and ms all
 * together. step "": the part has none. */
struct rollup_time {
	const char *station, *fixture, *recipe, *part, *step;
	int64_t version;
	int64_t bar, upper, n, ms;
};
typedef void rollup_time_fn(void *data, const struct rollup_time *row);
/* part: NULL for all. */
int rollup_times_read(struct db *d, const struct rollup_range *range, const struct rollup_filter *f,
	unsigned by, const char *part, rollup_time_fn *fn, void *data, struct err *e);

/* First runs of units in their recipe, that failed at this step, or ("") passed. */
struct rollup_first {
	const char *station, *fixture, *recipe, *job, *step;
	int64_t n;
};
typedef void rollup_first_fn(void *data, const struct rollup_first *row);
int rollup_firsts_read(struct db *d, const struct rollup_range *range,
	const struct rollup_filter *f, rollup_first_fn *fn, void *data, struct err *e);

/* Counts a run that has just been finished and has its place in the chain. */
int rollup_steps_add(struct db *tx, const char *run, struct err *e);
/* Against the runs and steps that are there, block by block: a sentence in ret, "" where they say the
 * same. */
int rollup_steps_check(struct db *d, char ret[ERR_TEXT_BYTES], struct err *e);
