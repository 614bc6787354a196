/* SPDX-License-Identifier: Apache-2.0 */
#include "db/reports_impl.h"

#include "base/spc.h"
#include "base/util.h"

json_t *reports_ratio(int64_t part, int64_t whole)
{
	return whole > 0 ? json_real((double)part / (double)whole) : json_null();
}

/* --- the parts of a window, added up --- */

/* What is open, or goes further than the runs, ends with the block that they are in. */
static int close_window(
	struct db *d, const struct yield_filter *f, int64_t *from, int64_t *to, struct err *e)
{
	int r = rollups_bounds(d, from, to, e);

	*from = MAX(*from, f->from_ms);
	*to = f->to_ms ? MIN(*to, f->to_ms) : *to;
	return r;
}

int reports_each_range(
	struct db *d, const struct yield_filter *f, reports_range_fn *fn, void *data, struct err *e)
{
	struct rollup_range parts[ROLLUP_RANGES];
	int64_t from, to;
	size_t n = 1;
	int r = close_window(d, f, &from, &to, e);

	if (r < 0 || from >= to)
		return r;
	parts[0] = (struct rollup_range){0, from, to};
	/* A job's runs are few, and found by an index of their own. */
	if (!f->of.job)
		n = rollup_ranges(from, to, parts);
	for (size_t i = 0; i < n && r == 0; i++)
		r = fn(d, &parts[i], data, e);
	return r;
}

json_t *reports_interval(int64_t part, int64_t whole)
{
	double low, high;

	if (whole <= 0)
		return json_null();
	spc_wilson(part, whole, &low, &high);
	return json_pack("[f, f]", low, high);
}

json_t *reports_text(const char *s)
{
	return *s ? json_string(s) : json_null();
}
