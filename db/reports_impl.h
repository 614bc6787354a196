/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to the reports: what they have in common.
 */
#pragma once

#include "db/reports.h"

/* By chance one line in twenty would have something that is marked. */
#define REPORTS_CHANCE 0.05

typedef int reports_range_fn(
	struct db *d, const struct rollup_range *range, void *data, struct err *e);
/* Each part of the window of f once. */
int reports_each_range(struct db *d, const struct yield_filter *f, reports_range_fn *fn, void *data,
	struct err *e);

json_t *reports_ratio(int64_t part, int64_t whole); /* null of nothing */
/* What the share may be, where few units were made: Wilson, 95 %. */
json_t *reports_interval(int64_t part, int64_t whole);
json_t *reports_text(const char *s); /* null of "" */
