/* SPDX-License-Identifier: Apache-2.0 */
#include "api/report_window.h"

#include <time.h>

#include "base/csv.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "daemon/line/config.h"
#include "daemon/line/fleet.h"
#include "daemon/line/shift.h"

#define GROUPS_MAX 400
#define HOUR_MS	   3600000

int report_filter(const struct call *c, struct yield_filter *ret, struct err *e)
{
	int r;

	*ret = (struct yield_filter){.of = {
					     .job = request_query(c->rq, "job_id"),
					     .station = request_query(c->rq, "station"),
					     .fixture = request_query(c->rq, "fixture"),
					     .recipe = request_query(c->rq, "recipe"),
				     }};
	r = api_times_query(c, &ret->from_ms, &ret->to_ms, e);
	return r < 0 ? r : api_version_query(c, &ret->of.version, e);
}

/* The next hour, the next midnight, or where the next shift begins or ends. */
static int64_t next_border(const struct config *config, int64_t ms, const char *by)
{
	if (!strcmp(by, "hour"))
		return ms - ms % HOUR_MS + HOUR_MS;
	return shift_next_ms(config->shift, !strcmp(by, "shift") ? config->shifts : 0, ms);
}

int report_borders_find(const struct call *c, const struct yield_filter *f, const char *by,
	struct report_borders *ret, struct err *e)
{
	struct config *config;
	int64_t at = f->from_ms;

	*ret = (struct report_borders){.at = xcalloc(GROUPS_MAX + 1, sizeof *ret->at)};
	if (!f->from_ms || !f->to_ms)
		return err_set(
			e, ERR_INVALID, "'by' is '%s': 'from' and 'to' are needed with it", by);
	config = fleet_config(c->api->fleet);
	for (; at < f->to_ms && ret->n < GROUPS_MAX; at = next_border(config, at, by))
		ret->at[ret->n++] = at;
	config_unref(config);
	if (at < f->to_ms)
		return err_set(e, ERR_INVALID,
			"more than %d %ss: a shorter time between 'from' and 'to' expected",
			GROUPS_MAX, by);
	ret->at[ret->n++] = f->to_ms;
	return 0;
}

void report_borders_done(struct report_borders *b)
{
	free(b->at);
}

void report_name_shifts(
	const struct call *c, const char *by, const struct report_borders *b, json_t *groups)
{
	struct config *config = fleet_config(c->api->fleet);
	json_t *group;
	size_t i;

	json_array_foreach(groups, i, group) {
		struct shift_span s;

		if (strcmp(by, "shift") != 0)
			break;
		shift_at(config->shift, config->shifts, b->at[i], &s);
		json_object_set_new(group, "shift", s.name ? json_string(s.name) : json_null());
	}
	config_unref(config);
}

void report_plan(const struct call *c, int64_t from_ms, int64_t to_ms, struct reports_plan *ret)
{
	struct config *config = fleet_config(c->api->fleet);
	struct shift_plan plan;

	shift_plan(config->shift, config->shifts, from_ms, to_ms, &plan);
	*ret = (struct reports_plan){
		.planned_ms = plan.planned_ms, .demand = plan.demand, .demand_ms = plan.demand_ms};
	config_unref(config);
}

void report_csv(struct call *c, const json_t *rows, const char *const *members)
{
	struct strbuf text = {0};
	const json_t *row;
	size_t i, n;

	csv_write_names(&text, members);
	json_array_foreach(rows, i, row)
		csv_write_row(&text, row, members);
	n = text.len;
	response_text(c->rs, 200, "text/csv; charset=utf-8", sb_take(&text), n);
}
