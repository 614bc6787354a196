/* SPDX-License-Identifier: Apache-2.0
 *
 * Values along an axis, and the mask of limits that they are judged by: pure, any thread.
 *
 *	high   ────────┐          ┌────────      limits: rows from..to along the axis, each with low, high
 *	               └──────────┘              or both. They follow one another without a gap, and cover
 *	low    ─────────────────────────────     the axis. A point at the border of two rows is in the
 *	       |  row 1 |  row 2  |  row 3  |    later one.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define SWEEP_POINTS_MAX 2000

struct sweep_band {
	double from, to, low, high;
	bool has_low, has_high;
};

struct sweep {
	double *x; /* owned, rising; n of them */
	size_t n;
	struct sweep_band *band; /* owned; none: nothing is judged */
	size_t bands;
};

/* Points start, start + step, ... */
int sweep_axis(struct sweep *s, double start, double step, size_t points, struct err *e);
/* Points of a list of numbers as sweep_read() takes it, which has to rise. */
int sweep_axis_list(struct sweep *s, const char *values, struct err *e);
/* A list of texts "FROM TO LOW HIGH", "-" for no limit, after the axis. -ERR_RECIPE_INVALID names the row: one that has
 * no limits, a gap, rows that overlap, points of the axis that no row covers. */
int sweep_limits(struct sweep *s, const json_t *limits, struct err *e);
void sweep_done(struct sweep *s);

/* The limits at point i; NULL where nothing is judged. */
const struct sweep_band *sweep_band_at(const struct sweep *s, size_t i);
/* How a value at point i is judged; nearer than `margin` to a limit it is marginal, and without limits good. */
enum sweep_point { SWEEP_GOOD, SWEEP_MARGINAL, SWEEP_LOW, SWEEP_HIGH };
enum sweep_point sweep_judge(const struct sweep *s, size_t i, double y, double margin);
/* Whether a margin leaves any value good: -ERR_RECIPE_INVALID for one below 0, without limits, or that takes the whole range
 * between both limits of a row, which is named. */
int sweep_margin(const struct sweep *s, double margin, struct err *e);
/* Numbers in a text, by semicolons, where there are none by commas, and else by blanks, each in `unit` (NULL: none
 * is named). *ret is owned, n of them. -ERR_NOT_A_NUMBER names the value. */
int sweep_read(const char *text, const char *unit, double **ret, size_t *ret_n, struct err *e);
