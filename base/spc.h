/* SPDX-License-Identifier: Apache-2.0
 *
 * Statistical process control of individual values: what a measurement of many units says about the
 * process. Pure functions, any thread.
 *
 *	within   mean moving range of neighbours / 1.128 (d2 of two): what the process can do, Cp, Cpk
 *	overall  standard deviation with n - 1: what it did, Pp, Ppk
 *
 * Individuals chart: mean +- 3 sigma within (2.66 mean moving ranges); chart of the moving range: up to
 * 3.267 times its mean. Rules of Western Electric (1956), on sigma within, each on one side of the mean: 1 beyond 3 sigma,
 * 2 of 3 beyond 2, 4 of 5 beyond 1, 8 in a row.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fewer values give no capability: their sigma says nothing. */
#define SPC_MIN 30

struct spc {
	size_t n;
	double mean, min, max; /* NAN of nothing, as what follows */
	double moving_range;   /* mean of it; of one value NAN */
	double within, overall;
	double lower, upper, range_upper; /* limits of the two charts */
	double cp, cpl, cpu, cpk, pp, ppl, ppu,
		ppk;	    /* NAN where a limit is missing, or all of them: */
	const char *reason; /* why there is none of them; NULL: there are */
};

/* In the order of time; low, high: NAN without that limit. */
struct spc spc_of(const double *x, size_t n, double low, double high);

/* Rule k (1 to 4) is bit k - 1 of the value that completes it. */
void spc_rules(const double *x, size_t n, const struct spc *s, uint8_t *ret);

/* The interval of Wilson, 95 %, of a share of k among n > 0: what it may be where n is small. */
void spc_wilson(int64_t k, int64_t n, double *ret_low, double *ret_high);
/* The exact test of Fisher, two-sided, of good and bad here and there: how likely shares that differ as
 * much are by chance. */
double spc_fisher(int64_t good, int64_t bad, int64_t other_good, int64_t other_bad);

/* Gauge repeatability and reproducibility, by analysis of variance of a crossed study: each part measured
 * the same number of times by each appraiser. x[(part * appraisers + appraiser) * trials + trial]. The
 * interaction is pooled where its F is not significant at 0.25 (AIAG MSA, 4th edition). */
struct grr {
	double repeatability, reproducibility, parts; /* standard deviations */
	double gauge, total;
	double percent;	   /* of the total variation: 100 gauge / total */
	double tolerance;  /* 100 * 6 gauge / (high - low), NAN without both */
	double categories; /* 1.41 parts / gauge, whole */
	bool pooled;
};
/* false: fewer than two parts, two trials or one appraiser, or no variation. */
bool grr_of(const double *x, size_t parts, size_t appraisers, size_t trials, double low,
	double high, struct grr *ret);
