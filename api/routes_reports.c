/* SPDX-License-Identifier: Apache-2.0
 *
 * /reports: the counts that people steer by, out of the rollups (db/rollups.h).
 */
#include "api/report_window.h"
#include "api/route.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/config.h"
#include "daemon/line/fleet.h"
#include "daemon/line/shift.h"
#include "db/measured.h"
#include "db/reports.h"

static int add_trend(struct db *d, const struct call *c, const struct yield_filter *f,
	const char *by, json_t *out, struct err *e)
{
	struct report_borders b;
	json_t *groups = NULL;
	int r = report_borders_find(c, f, by, &b, e);

	if (r == 0)
		r = reports_trend(d, &f->of, b.at, b.n, &groups, e);
	if (r == 0) {
		report_name_shifts(c, by, &b, groups);
		json_object_set_new(out, "groups", groups);
	}
	report_borders_done(&b);
	return r;
}

static int add_steps(struct db *d, const struct yield_filter *f, json_t *out, struct err *e)
{
	json_t *groups = NULL, *rolled = NULL;
	int r = reports_steps(d, f, &groups, &rolled, e);

	if (r < 0)
		return r;
	json_object_set_new(out, "groups", groups);
	json_object_set_new(out, "rolled_throughput_yield", rolled);
	return 0;
}

/* --- the routes --- */

static const char *const yield_by[] = {
	"station", "fixture", "recipe", "version", "step", "shift", "hour", "day", NULL};
/* Of the first of them. */
static const unsigned yield_groups[] = {
	ROLLUP_STATION, ROLLUP_FIXTURE, ROLLUP_RECIPE, ROLLUP_VERSION};

static unsigned group_of(const char *by)
{
	for (size_t i = 0; by && i < ARRAY_LEN(yield_groups); i++)
		if (!strcmp(by, yield_by[i]))
			return yield_groups[i];
	return ROLLUP_ALL;
}

static int read_yield(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	const char *by = request_query(c->rq, "by");
	const unsigned group = group_of(by);
	struct yield_filter f;
	int r = report_filter(c, &f, e);

	if (r == 0)
		r = reports_yield(d, &f, group, ret, e);
	if (r == 0 && by && group == ROLLUP_ALL)
		r = !strcmp(by, "step") ? add_steps(d, &f, *ret, e)
					: add_trend(d, c, &f, by, *ret, e);
	if (r < 0) {
		json_decref(*ret);
		*ret = NULL;
	}
	return r;
}

static int get_yield(struct call *c, struct err *e)
{
	return api_answer_one(c, read_yield, e);
}

static int read_pareto(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	const char *outcome = request_query(c->rq, "outcome");
	struct yield_filter f;
	int r = report_filter(c, &f, e);

	return r < 0 ? r : reports_pareto(d, &f, outcome ? outcome : "failed", ret, e);
}

static int get_pareto(struct call *c, struct err *e)
{
	return api_answer_all(c, read_pareto, e);
}

/* --- measurements --- */

static int read_measurements(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return measured_list(d, ret, e);
}

static int get_measurements(struct call *c, struct err *e)
{
	return api_answer_all(c, read_measurements, e);
}

static int limit_query(const struct call *c, int64_t *ret, struct err *e)
{
	const char *s = request_query(c->rq, "limit");
	char *end;

	if (!s)
		return 0;
	*ret = strtoll(s, &end, 10);
	if (*end || *s < '0' || *s > '9' || *ret < 1 || *ret > MEASURED_MAX)
		return err_set(e, ERR_INVALID, "'limit' is '%.32s': a number from 1 to %d expected",
			s, MEASURED_MAX);
	return 0;
}

static int read_measured_filter(const struct call *c, struct measured_filter *ret, struct err *e)
{
	int r;

	*ret = (struct measured_filter){
		.name = request_query(c->rq, "name"),
		.step = request_query(c->rq, "step"),
		.recipe = request_query(c->rq, "recipe"),
		.station = request_query(c->rq, "station"),
		.job = request_query(c->rq, "job_id"),
	};
	if (!ret->name || !ret->step || !ret->recipe)
		return err_set(e, ERR_INVALID,
			"'recipe', 'step' and 'name' are needed: /reports/measurements lists them");
	r = api_version_query(c, &ret->version, e);
	if (r == 0)
		r = api_times_query(c, &ret->from_ms, &ret->to_ms, e);
	return r < 0 ? r : limit_query(c, &ret->limit, e);
}

static int read_capability(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	struct measured_filter f;
	int r = read_measured_filter(c, &f, e);

	return r < 0 ? r : measured_capability(d, &f, ret, e);
}

static int get_capability(struct call *c, struct err *e)
{
	return api_answer_one(c, read_capability, e);
}

static int read_gauge(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	struct measured_filter f;
	int r = read_measured_filter(c, &f, e);

	if (r == 0 && !f.limit)
		f.limit = MEASURED_MAX;
	return r < 0 ? r : measured_gauge(d, &f, ret, e);
}

static int get_gauge(struct call *c, struct err *e)
{
	return api_answer_one(c, read_gauge, e);
}

/* --- the shift --- */

static json_t *shift_json(const struct shift_span *s)
{
	char from[RFC3339_SIZE], to[RFC3339_SIZE];

	return json_pack("{s:s?, s:s, s:s}", "name", s->name, "from", rfc3339(s->from_ms, from),
		"to", rfc3339(s->to_ms, to));
}

static void add_sums(json_t *shift, json_t *jobs, int64_t units)
{
	json_int_t due = 0, made = 0, failed = 0;
	const json_t *job;
	size_t i;

	json_array_foreach(jobs, i, job) {
		due += json_integer_value(json_object_get(job, "due"));
		made += json_integer_value(json_object_get(job, "made"));
		failed += json_integer_value(json_object_get(job, "failed"));
	}
	json_object_set_new(shift, "plan", json_integer(units ? units : due));
	json_object_set_new(shift, "made", json_integer(made));
	json_object_set_new(shift, "failed", json_integer(failed));
	json_object_set_new(shift, "jobs", jobs);
}

static int read_shift(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	struct config *config = fleet_config(c->api->fleet);
	struct shift_span span;
	int64_t at = 0;
	json_t *jobs = NULL;
	int r = api_time_query(c, "at", &at, e);

	if (r == 0) {
		shift_at(config->shift, config->shifts, at ? at : wall_ms(), &span);
		r = reports_shift(d, span.from_ms, span.to_ms, &jobs, e);
	}
	if (r == 0) {
		*ret = shift_json(&span);
		add_sums(*ret, jobs, span.units);
	}
	config_unref(config);
	return r;
}

static int get_shift(struct call *c, struct err *e)
{
	return api_answer_one(c, read_shift, e);
}

/* --- as lines, for spreadsheets --- */

/* The groups that were asked for; without them one line of all. */
static int get_yield_csv(struct call *c, struct err *e)
{
	static const char *const members[] = {"station", "recipe", "version", "from", "to",
		"passed", "failed", "error", "aborted", "interrupted", "run_yield", "busy_ms",
		"units", "first_passed", "first_pass_yield", "last_passed", "final_yield",
		"retested", "retest_rate", "p_value", "verdict", "fixture", "step", "shift",
		"retried", "retry_rate", NULL};
	json_t *o = NULL, *rows, *row;
	size_t i;
	int r = api_read(c, read_yield, &o, e);

	if (r < 0)
		return r;
	rows = json_incref(json_object_get(o, "groups"));
	if (!rows)
		rows = json_pack("[O]", o);
	json_array_foreach(rows, i, row)
		json_object_update(row, json_object_get(row, "runs"));
	report_csv(c, rows, members);
	json_decref(rows);
	json_decref(o);
	return 0;
}

static int get_capability_csv(struct call *c, struct err *e)
{
	static const char *const members[] = {
		"at", "value", "run", "serial", "station", "verdict", NULL};
	json_t *o = NULL;
	int r = api_read(c, read_capability, &o, e);

	if (r < 0)
		return r;
	report_csv(c, json_object_get(o, "points"), members);
	json_decref(o);
	return 0;
}

static int get_pareto_csv(struct call *c, struct err *e)
{
	static const char *const members[] = {"step", "code", "count", "share", "cumulative", NULL};
	json_t *rows = NULL;
	int r = api_read(c, read_pareto, &rows, e);

	if (r < 0)
		return r;
	report_csv(c, rows, members);
	json_decref(rows);
	return 0;
}

static const char *const causes_of[] = {"failed", "error", "aborted", "interrupted", NULL};
static const struct query_param query_yield[] = {QUERY_REPORT, {"by", yield_by}, {0}};
static const struct query_param query_measured[] = {{"recipe", NULL}, {"version", NULL},
	{"step", NULL}, {"name", NULL}, {"station", NULL}, {"job_id", NULL}, {"from", NULL},
	{"to", NULL}, {"limit", NULL}, {0}};
static const struct query_param query_shift[] = {{"at", NULL}, {0}};
static const struct query_param query_pareto[] = {QUERY_REPORT, {"outcome", causes_of}, {0}};

const struct route routes_reports[] = {
	{HTTP_GET, "/api/v1/reports/yield", MAY_READ, ROUTE_NO_BODY, 0, get_yield, query_yield},
	{HTTP_GET, "/api/v1/reports/pareto", MAY_READ, ROUTE_NO_BODY, 0, get_pareto, query_pareto},
	{HTTP_GET, "/api/v1/reports/yield.csv", MAY_READ, ROUTE_NO_BODY, 0, get_yield_csv,
		query_yield},
	{HTTP_GET, "/api/v1/reports/pareto.csv", MAY_READ, ROUTE_NO_BODY, 0, get_pareto_csv,
		query_pareto},
	{HTTP_GET, "/api/v1/reports/shift", MAY_READ, ROUTE_NO_BODY, 0, get_shift, query_shift},
	{HTTP_GET, "/api/v1/reports/measurements", MAY_READ, ROUTE_NO_BODY, 0, get_measurements},
	{HTTP_GET, "/api/v1/reports/capability", MAY_READ, ROUTE_NO_BODY, 0, get_capability,
		query_measured},
	{HTTP_GET, "/api/v1/reports/capability.csv", MAY_READ, ROUTE_NO_BODY, 0, get_capability_csv,
		query_measured},
	{HTTP_GET, "/api/v1/reports/gauge", MAY_READ, ROUTE_NO_BODY, 0, get_gauge, query_measured},
	{0},
};
