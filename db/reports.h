/* SPDX-License-Identifier: Apache-2.0
 *
 * What is read out of the records: the report of a run and its hash chain, and the counts that
 * people steer by.
 *
 * Hash of a run: SHA-256, in hex, of the hash before it (64 characters; zeros for the first)
 * followed by the canonical JSON (sorted keys, no space) of its report without `hash` and
 * `prev_hash`. Links are in the order in which runs finished.
 */
#pragma once

#include "db/db.h"
#include "db/rollups.h"

#define REPORT_FIRST_HASH "0000000000000000000000000000000000000000000000000000000000000000"

/* The report of a run, finished or not. `passed` is true for the outcome passed alone. */
int reports_run(struct db *d, const char *run, json_t **ret, struct err *e);
/* The hash of a report of reports_run(), which gets its members `prev_hash` and `hash`. */
int reports_chain(json_t *report, const char *prev_hash, char ret_hash[SHA256_HEX], struct err *e);
int reports_hash(struct db *d, const char *run, const char *prev_hash, char ret_hash[SHA256_HEX],
	struct err *e);

/* Object by station: {passed, failed, error, aborted, interrupted} of the production runs that
 * ended since then. */
int reports_stations(struct db *d, int64_t since_ms, json_t **ret, struct err *e);

struct yield_filter {
	int64_t from_ms, to_ms; /* of ended_at, to_ms excluded; 0: open */
	struct rollup_filter of;
};
/* Counts of the window, never mixed: runs (passed, failed, error, aborted, interrupted, and
 * run_yield = passed / (passed + failed)); units whose first run of all is in it (units,
 * first_passed, first_pass_yield; last_passed, final_yield; retested, retest_rate), at the station
 * and in the job of that run, their last run the last one so far. With a recipe, or by recipe or
 * version, the first and the last run of that recipe. A yield of nothing is null. Only production
 * runs; only passed and failed runs make a unit seen. A run that never learnt which unit it had is
 * a unit of its own. first_pass_interval: Wilson, 95 %. by: "groups" has the same for each station,
 * recipe or version; a station also p_value and verdict, by Fisher's exact test of its first passes against
 * all others: "like-others", or "better" or "worse" where p is below 0.05 / stations. */
int reports_yield(
	struct db *d, const struct yield_filter *f, enum rollup_by by, json_t **ret, struct err *e);
/* The same for each [at[i], at[i + 1]) of n times, as an array with `from` and `to`. */
int reports_trend(struct db *d, const struct rollup_filter *of, const int64_t *at, size_t n,
	json_t **ret, struct err *e);
/* The orders of a shift: those that are to be made then, and those of which a production run ended in it. An array of
 * {id, recipe, version, external_ref, state, quantity, deadline, passed, made, failed, due}: passed in all, made and failed
 * in the shift, due: what was left of the order when the shift began; 0 of an order that was cancelled or aborted. */
int reports_shift(struct db *d, int64_t from_ms, int64_t to_ms, json_t **ret, struct err *e);
/* Step and code that ended runs with that outcome ("failed", "error", ...): array of {step, code,
 * count, share, cumulative}, most first. */
int reports_pareto(struct db *d, const struct yield_filter *f, const char *outcome, json_t **ret,
	struct err *e);
