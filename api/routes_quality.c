/* SPDX-License-Identifier: Apache-2.0
 *
 * /reports/time, /reports/oee and /reports/comparison: where the time of units goes, what the stations make
 * of what was planned, and whether it is they or the units (db/reports.h).
 */
#include "api/report_window.h"
#include "api/route.h"
#include "base/timefmt.h"
#include "base/util.h"

/* --- time --- */

static const char *const time_by[] = {"station", "fixture", "recipe", NULL};

static int read_time(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	static const unsigned groups[] = {ROLLUP_STATION, ROLLUP_FIXTURE, ROLLUP_RECIPE};
	const char *by = request_query(c->rq, "by");
	unsigned group = ROLLUP_ALL;
	struct yield_filter f;
	int r = report_filter(c, &f, e);

	for (size_t i = 0; by && i < ARRAY_LEN(groups); i++)
		if (!strcmp(by, time_by[i]))
			group = groups[i];
	return r < 0 ? r : reports_time(d, &f, group, ret, e);
}

static int get_time(struct call *c, struct err *e)
{
	return api_answer_all(c, read_time, e);
}

static int get_time_csv(struct call *c, struct err *e)
{
	static const char *const members[] = {"station", "fixture", "recipe", "part", "step",
		"runs", "ms", "share", "per_unit_ms", "mean_ms", "p50_ms", "p95_ms", NULL};
	json_t *rows = NULL;
	int r = api_read(c, read_time, &rows, e);

	if (r < 0)
		return r;
	report_csv(c, rows, members);
	json_decref(rows);
	return 0;
}

/* --- effectiveness --- */

/* The plan is found day by day. */
#define PLAN_MAX_MS (400LL * 86400000)

static const char *const oee_by[] = {"station", "shift", "hour", "day", NULL};

static int check_window(const struct yield_filter *f, struct err *e)
{
	if (!f->from_ms || !f->to_ms)
		return err_set(e, ERR_INVALID,
			"'from' and 'to' are needed: what was planned is that of a time");
	if (f->to_ms - f->from_ms > PLAN_MAX_MS)
		return err_set(e, ERR_INVALID,
			"more than 400 days: a shorter time between 'from' and 'to' expected");
	return 0;
}

static int one_oee(struct db *d, const struct call *c, const struct yield_filter *f,
	bool by_station, json_t **ret, struct err *e)
{
	struct reports_plan plan;

	report_plan(c, f->from_ms, f->to_ms, &plan);
	return reports_oee(d, f, &plan, by_station, ret, e);
}

static int add_times(struct db *d, const struct call *c, const struct yield_filter *f,
	const char *by, json_t *out, struct err *e)
{
	json_t *groups = json_array();
	struct report_borders b;
	int r = report_borders_find(c, f, by, &b, e);

	for (size_t i = 0; r == 0 && i + 1 < b.n; i++) {
		const struct yield_filter part = {b.at[i], b.at[i + 1], f->of};
		char from[RFC3339_SIZE], to[RFC3339_SIZE];
		json_t *o = NULL;

		r = one_oee(d, c, &part, false, &o, e);
		if (r < 0)
			break;
		json_object_set_new(o, "from", json_string(rfc3339(b.at[i], from)));
		json_object_set_new(o, "to", json_string(rfc3339(b.at[i + 1], to)));
		json_array_append_new(groups, o);
	}
	report_name_shifts(c, by, &b, groups);
	json_object_set_new(out, "groups", groups);
	report_borders_done(&b);
	return r;
}

static int read_oee(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	const char *by = request_query(c->rq, "by");
	const bool by_station = by && !strcmp(by, "station");
	struct yield_filter f;
	int r = report_filter(c, &f, e);

	if (r == 0)
		r = check_window(&f, e);
	if (r == 0)
		r = one_oee(d, c, &f, by_station, ret, e);
	if (r == 0 && by && !by_station)
		r = add_times(d, c, &f, by, *ret, e);
	if (r < 0) {
		json_decref(*ret);
		*ret = NULL;
	}
	return r;
}

static int get_oee(struct call *c, struct err *e)
{
	return api_answer_one(c, read_oee, e);
}

static int get_oee_csv(struct call *c, struct err *e)
{
	static const char *const members[] = {"station", "shift", "from", "to", "planned_ms",
		"run_ms", "ideal_ms", "count", "good", "availability", "performance", "quality",
		"oee", "per_hour", "stations", "demand", "takt_ms", NULL};
	json_t *o = NULL, *rows;
	int r = api_read(c, read_oee, &o, e);

	if (r < 0)
		return r;
	rows = json_incref(json_object_get(o, "groups"));
	if (!rows)
		rows = json_pack("[O]", o);
	report_csv(c, rows, members);
	json_decref(rows);
	json_decref(o);
	return 0;
}

/* --- stations compared --- */

static int read_comparison(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	struct yield_filter f;
	int r = report_filter(c, &f, e);

	return r < 0 ? r : reports_comparison(d, &f, ret, e);
}

static int get_comparison(struct call *c, struct err *e)
{
	return api_answer_all(c, read_comparison, e);
}

/* Who is named by the verdict, with its numbers, and the second runs, in the line of the step. */
static void flatten(json_t *row)
{
	static const char *const causes[] = {"station", "fixture", "lot"};
	const char *verdict = json_string_value(json_object_get(row, "verdict"));
	json_t *cause = json_incref(json_object_get(row, verdict)), *n;
	const char *name;

	json_object_set(row, "all_failed", json_object_get(row, "failed"));
	json_object_set(row, "all_units", json_object_get(row, "units"));
	json_object_foreach(json_object_get(row, "retests"), name, n) {
		_cleanup_(freep) char *column = xasprintf("again_%s", name);

		json_object_set(row, column, n);
	}
	for (size_t i = 0; i < ARRAY_LEN(causes); i++)
		json_object_del(row, causes[i]);
	json_object_del(row, "failed");
	json_object_del(row, "units");
	if (json_is_object(cause))
		json_object_update(row, cause);
	json_decref(cause);
}

static int get_comparison_csv(struct call *c, struct err *e)
{
	static const char *const members[] = {"recipe", "step", "all_failed", "all_units",
		"verdict", "reason", "station", "fixture", "job", "failed", "units", "other_failed",
		"other_units", "p_value", "p_adjusted", "again_same_passed", "again_same_failed",
		"again_other_passed", "again_other_failed", NULL};
	json_t *rows = NULL, *row;
	size_t i;
	int r = api_read(c, read_comparison, &rows, e);

	if (r < 0)
		return r;
	json_array_foreach(rows, i, row)
		flatten(row);
	report_csv(c, rows, members);
	json_decref(rows);
	return 0;
}

static const struct query_param query_comparison[] = {QUERY_REPORT, {0}};
static const struct query_param query_time[] = {QUERY_REPORT, {"by", time_by}, {0}};
static const struct query_param query_oee[] = {QUERY_REPORT, {"by", oee_by}, {0}};

const struct route routes_quality[] = {
	{HTTP_GET, "/api/v1/reports/time", MAY_READ, ROUTE_NO_BODY, 0, get_time, query_time},
	{HTTP_GET, "/api/v1/reports/time.csv", MAY_READ, ROUTE_NO_BODY, 0, get_time_csv,
		query_time},
	{HTTP_GET, "/api/v1/reports/oee", MAY_READ, ROUTE_NO_BODY, 0, get_oee, query_oee},
	{HTTP_GET, "/api/v1/reports/oee.csv", MAY_READ, ROUTE_NO_BODY, 0, get_oee_csv, query_oee},
	{HTTP_GET, "/api/v1/reports/comparison", MAY_READ, ROUTE_NO_BODY, 0, get_comparison,
		query_comparison},
	{HTTP_GET, "/api/v1/reports/comparison.csv", MAY_READ, ROUTE_NO_BODY, 0, get_comparison_csv,
		query_comparison},
	{0},
};
