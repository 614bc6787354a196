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
 * fixture, recipe or version; a station or fixture also p_value and verdict, by Fisher's exact test of its first
 * passes against all others: "like-others", or "better" or "worse" where p is below 0.05 / how many there are. */
int reports_yield(
	struct db *d, const struct yield_filter *f, unsigned by, json_t **ret, struct err *e);
/* The yield of each step of each recipe: array of {recipe, step, runs {passed, failed, error}, run_yield, units,
 * first_passed, first_pass_yield, first_pass_interval, retried, retry_rate}. A run counts by its last attempt at
 * the step; units by their first run in the recipe, first_passed at the first attempt. rolled: rolled throughput
 * yield, the product of the first-pass yields; null where there are several recipes. */
int reports_steps(struct db *d, const struct yield_filter *f, json_t **ret_groups,
	json_t **ret_rolled, struct err *e);
/* Where the time goes, by part of a run and step: array of {station, fixture or recipe (as `by` says, or none of
 * them), part, step, runs, ms, share, per_unit_ms, mean_ms, p50_ms, p95_ms}. Parts as in db/sql/0026_quality.sql;
 * percentiles out of a histogram, within a bar of it. share: of the time of all units at that place; null of
 * idle time and of cycles. per_unit_ms: over the units that passed. */
int reports_time(
	struct db *d, const struct yield_filter *f, unsigned by, json_t **ret, struct err *e);

/* What was planned for a window, of each station. */
struct reports_plan {
	int64_t planned_ms;
	double demand;	   /* units that all stations together are to make; 0: not said */
	int64_t demand_ms; /* planned time in which that is */
};
/* Overall equipment effectiveness of the stations that had a run in the window (ISO 22400-2): {planned_ms, run_ms,
 * ideal_ms, count, good, availability = run / planned, performance = ideal / run, quality = good / count, oee =
 * ideal * good / count / planned, per_hour = good / planned hours of one station's plan, stations, demand,
 * takt_ms = planned / demand}. run: the time of its runs, whatever came of them; count: passed and failed runs; ideal: for each of
 * these the cycle of its recipe and version that the fastest tenth of passed runs had at most, at any station, in the window. by_station:
 * "groups" has the same of each, without the last three. */
int reports_oee(struct db *d, const struct yield_filter *f, const struct reports_plan *plan,
	bool by_station, json_t **ret, struct err *e);

/* What makes units fail at each step at which some did, most failures first: array of {recipe, step, failed, units, verdict,
 * reason, station, fixture, lot, retests: {same_passed, same_failed, other_passed, other_failed}, ask, ask_units}. Counted are
 * the first runs of units in the recipe. station, fixture, lot (the order): the one of each kind that is least likely by chance,
 * against all others of the kind, null where none is worse: {station, fixture or job, failed, units, other_failed, other_units,
 * p_value by Fisher's exact test (two-sided), p_adjusted by Holm over all steps and places of the kind, marked: below 0.05}.
 *
 *	verdict   station, fixture, lot: it differs, also where only units count that it shares with others
 *	          unit: nothing differs, or what failed there failed again at other stations
 *
 * retests: the second runs of the units that failed first (at the station that is marked). ask: what a person should do, null
 * where enough is known; ask_units: serial numbers or ids, at most 10. */
int reports_comparison(struct db *d, const struct yield_filter *f, json_t **ret, struct err *e);
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
