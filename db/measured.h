/* SPDX-License-Identifier: Apache-2.0
 *
 * What was measured on many units, and what it says about the process and the gauge (base/spc.h).
 */
#pragma once

#include "db/db.h"

#define MEASURED_DEFAULT 1000
#define MEASURED_MAX	 10000

struct measured_filter {
	const char *name, *step, *recipe;
	int64_t version;	/* 0: all */
	const char *station;	/* NULL: all */
	const char *job;	/* NULL: all */
	int64_t from_ms, to_ms; /* of the end of the run, to_ms excluded; 0: open */
	int64_t limit;		/* the newest so many values; 0: MEASURED_DEFAULT */
};

/* What the newest production runs measured: array of {recipe, step, name, unit, low, high}. */
int measured_list(struct db *d, json_t **ret, struct err *e);

/* Each value that is on record, in the order of the runs' beginnings: {seq, run, station, job, recipe, version,
 * serial, ended_at, step, step_n, k, name, value, text, unit, low, high, verdict}. version and limit of the
 * filter count nothing here. */
int measured_rows(struct db *d, const struct measured_filter *f, const struct db_page *page,
	struct db_list *ret, struct err *e);

/* Capability and control charts of production runs: {name, step, recipe, unit, low, high (of the newest
 * value), n, mean, min, max, sigma_within, sigma_overall, cp, cpk, pp, ppk, reason, chart: {mean, lower,
 * upper, range_upper}, points: [{at, value, run, serial, station, verdict, rules}]}, oldest first. What
 * there is not is null. -ERR_NOT_FOUND without a value, -ERR_CONFLICT where units are mixed. */
int measured_capability(struct db *d, const struct measured_filter *f, json_t **ret, struct err *e);

/* Gauge R&R of golden runs, or of a job that was made for the study: parts are units, appraisers stations; of each unit at each station the newest
 * values, as many as all of them have. -ERR_CONFLICT says what is missing for a study. */
int measured_gauge(struct db *d, const struct measured_filter *f, json_t **ret, struct err *e);
