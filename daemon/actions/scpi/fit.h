/* SPDX-License-Identifier: Apache-2.0
 *
 * What corrects a reading: a polynomial through points, or straight lines between them. Pure, any thread.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define FIT_TERMS_MAX  6 /* degree 5 */
#define FIT_POINTS_MAX 64

struct fit_point {
	double raw, reference; /* what the unit reads without correction, and what it should read */
};

struct fit {
	unsigned terms; /* of the polynomial, c0 first; 0: straight lines between the points */
	double c[FIT_TERMS_MAX];
	unsigned points;
	struct fit_point point[FIT_POINTS_MAX]; /* by rising raw */
};

/* Least squares. -ERR_CALIBRATION: fewer different readings than terms, or readings that do not tell the terms
 * apart. */
int fit_polynomial(
	const struct fit_point *p, unsigned n, unsigned terms, struct fit *ret, struct err *e);
/* -ERR_CALIBRATION: two readings are equal, or the references do not go one way with them. */
int fit_table(const struct fit_point *p, unsigned n, struct fit *ret, struct err *e);
/* What a reading is, corrected. Outside of the points of a table its nearest line goes on. */
double fit_apply(const struct fit *f, double raw);
/* The largest distance of a corrected reading from its reference; INFINITY where the fit gives no number. */
double fit_residual(const struct fit *f, const struct fit_point *p, unsigned n);
/* The largest distance of a corrected reading from the reading, likewise. */
double fit_correction(const struct fit *f, const struct fit_point *p, unsigned n);
