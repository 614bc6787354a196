/* SPDX-License-Identifier: Apache-2.0
 *
 * What the reports have in common: their query, the times that they are grouped by, and their lines.
 */
#pragma once

#include "api/call.h"
#include "db/reports.h"

/* What report_filter() reads. */
#define QUERY_REPORT                                                              \
	{"job_id", NULL}, {"station", NULL}, {"fixture", NULL}, {"recipe", NULL}, \
		{"version", NULL}, {"from", NULL},                                \
	{                                                                         \
		"to", NULL                                                        \
	}

/* Texts are borrowed of the request. */
int report_filter(const struct call *c, struct yield_filter *ret, struct err *e);

/* Where each hour, day or shift of a window begins, and its end; of the time zone of this machine. */
struct report_borders {
	int64_t *at; /* owned, n of them */
	size_t n;
};
/* by: "hour", "day" or "shift". -ERR_INVALID without both ends, or where there are too many; *ret may be
 * given to report_borders_done() in any case. */
int report_borders_find(const struct call *c, const struct yield_filter *f, const char *by,
	struct report_borders *ret, struct err *e);
void report_borders_done(struct report_borders *b);
/* With "shift": each group gets the name of its shift, null between two. */
void report_name_shifts(
	const struct call *c, const char *by, const struct report_borders *b, json_t *groups);
/* What provd.yaml plans for the time from border i to the next one. */
void report_plan(const struct call *c, int64_t from_ms, int64_t to_ms, struct reports_plan *ret);

/* Rows as lines of these members, NULL-terminated. */
void report_csv(struct call *c, const json_t *rows, const char *const *members);
