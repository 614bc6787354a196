/* SPDX-License-Identifier: Apache-2.0
 *
 * The counts that people steer by (db/sql/0013_rollups.sql, 0026_quality.sql), kept in the transaction of each run's end,
 * so that a report of a year costs what one of a day does.
 *
 *	from          hour          day            32 days          day           hour        to
 *	  |-- runs ---|--- hours ---|---- days ----|---- blocks ----|--- days ---|-- hours --|- runs -|
 *
 * The parts of an hour at both ends are counted in the runs themselves.
 */
#pragma once

#include "db/db.h"

#define ROLLUP_RANGES 7

/* A part of a window: of the rollups of that span, or (0) of the runs. */
struct rollup_range {
	int64_t span_s;
	int64_t from_ms, to_ms; /* to_ms excluded */
};
/* The parts of [from_ms, to_ms) that are not empty, each moment in one of them; how many. */
size_t rollup_ranges(int64_t from_ms, int64_t to_ms, struct rollup_range ret[ROLLUP_RANGES]);

/* Of one station, fixture, recipe or version, where they are grouped by it. */
struct rollup {
	const char *station, *fixture, *recipe; /* "": not grouped by it, or not known */
	int64_t version;			/* 0: the same */
	int64_t passed, failed, error, aborted, interrupted; /* runs */
	int64_t busy_ms;
	int64_t units, first_passed, last_passed, retested; /* by their first counted run */
};
/* Bits: a version is one of its recipe. */
enum rollup_by {
	ROLLUP_ALL = 0,
	ROLLUP_STATION = 1 << 0,
	ROLLUP_FIXTURE = 1 << 1,
	ROLLUP_RECIPE = 1 << 2,
	ROLLUP_VERSION = ROLLUP_RECIPE | 1 << 3
};
typedef void rollup_fn(void *data, const struct rollup *row);

struct rollup_filter {
	const char *job; /* each may be NULL; with a job there are runs alone: span 0 */
	const char *station;
	const char *fixture;
	const char *recipe; /* units are then counted by their runs of this recipe */
	int64_t version;    /* 0: all */
};
/* Calls fn with each row of one range; by: of enum rollup_by. */
int rollups_read(struct db *d, const struct rollup_range *range, const struct rollup_filter *f,
	unsigned by, rollup_fn *fn, void *data, struct err *e);

struct rollup_cause {
	const char *step, *code; /* "": none */
	int64_t n;
};
typedef void rollup_cause_fn(void *data, const struct rollup_cause *row);
/* What ended the runs of one range with that outcome. */
int rollups_causes(struct db *d, const struct rollup_range *range, const struct rollup_filter *f,
	const char *outcome, rollup_cause_fn *fn, void *data, struct err *e);
/* Borders of blocks between which all runs ended: what is open goes no further, and has no parts of an
 * hour. */
int rollups_bounds(struct db *d, int64_t *ret_from_ms, int64_t *ret_to_ms, struct err *e);

/* The next block of 32 days, from `at` on, that has runs or counts: 1, or 0 where there is none. */
int rollups_next_block(
	struct db *d, int64_t at, int64_t *ret_from_ms, int64_t *ret_to_ms, struct err *e);

/* Counts a run that has just been finished and has its place in the chain. */
int rollups_add(struct db *tx, const char *run, struct err *e);
/* Against the runs: a sentence in ret, "" where they say the same. */
int rollups_check(struct db *d, char ret[ERR_TEXT_BYTES], struct err *e);
