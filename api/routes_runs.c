/* SPDX-License-Identifier: Apache-2.0
 *
 * /runs and /units: the records, read only but for a supervisor's word on a unit.
 */
#include "api/router.h"
#include "base/util.h"
#include "daemon/line/outputs.h"
#include "db/integrity.h"
#include "db/reports.h"
#include "db/runs.h"
#include "db/units.h"

static int time_query(struct call *c, const char *name, int64_t *ret, struct err *e)
{
	const char *s = request_query(c->rq, name);

	if (s && rfc3339_parse(s, ret) < 0)
		return err_set(
			e, ERR_INVALID, "'%s' must be a time such as 2026-12-31T18:00:00Z", name);
	return 0;
}

static int get_runs(struct call *c, struct err *e)
{
	struct run_filter f = {
		.station = request_query(c->rq, "station"),
		.job = request_query(c->rq, "job_id"),
		.serial = request_query(c->rq, "serial"),
		.unit = request_query(c->rq, "unit"),
		.outcome = request_query(c->rq, "outcome"),
		.state = request_query(c->rq, "state"),
		.recipe = request_query(c->rq, "recipe"),
	};
	struct db_list list = {0};
	struct db_page page;
	struct db *d;
	int r = api_page(c, &page, e);

	if (r == 0)
		r = time_query(c, "from", &f.from_ms, e);
	if (r == 0)
		r = time_query(c, "to", &f.to_ms, e);
	if (r < 0)
		return r;
	d = api_reader(c->api, e);
	r = d ? runs_list(d, &f, &page, &list, e) : -(int)e->code;
	api_reader_back(c->api, d);
	return r < 0 ? r : api_answer_list(c, &list, e);
}

/* What a reader function gives for the id of the path. */
static int answer_of(struct call *c,
	int (*read)(struct db *, const char *, json_t **, struct err *), bool list, struct err *e)
{
	struct db *d = api_reader(c->api, e);
	json_t *o = NULL;
	json_t *run = NULL;
	const char *id = request_param(c->rq, "id");
	/* An empty list of a run that is not there is no answer. */
	int r = d && list ? runs_get(d, id, &run, e) : d ? 0 : -(int)e->code;

	json_decref(run);
	/* What is served of a finished run is what was recorded. */
	if (r == 0)
		r = integrity_run(d, id, e);
	if (r == 0)
		r = read(d, id, &o, e);
	api_reader_back(c->api, d);
	if (r < 0)
		return r;
	if (list)
		o = json_pack("{s:o, s:n}", "items", o, "next_cursor");
	return api_answer_resource(c, o);
}

static int get_run(struct call *c, struct err *e)
{
	return answer_of(c, runs_get, false, e);
}

static int get_steps(struct call *c, struct err *e)
{
	return answer_of(c, runs_steps, true, e);
}

static int get_measurements(struct call *c, struct err *e)
{
	return answer_of(c, runs_measurements, true, e);
}

static int get_report(struct call *c, struct err *e)
{
	return answer_of(c, reports_run, false, e);
}

static int get_log(struct call *c, struct err *e)
{
	struct db_list list = {0};
	struct db_page page;
	json_t *run = NULL;
	struct db *d;
	int r = api_page(c, &page, e);

	if (r < 0)
		return r;
	d = api_reader(c->api, e);
	r = d ? runs_get(d, request_param(c->rq, "id"), &run, e) : -(int)e->code;
	json_decref(run);
	if (r == 0)
		r = runs_log_list(d, request_param(c->rq, "id"), &page, &list, e);
	api_reader_back(c->api, d);
	return r < 0 ? r : api_answer_list(c, &list, e);
}

/* --- files that its steps wrote --- */

static void note_files(json_t *items, const json_t *step)
{
	const json_t *saved = json_object_get(json_object_get(step, "evidence"), "saved");
	json_t *file;
	size_t i;

	json_array_foreach((json_t *)saved, i, file) {
		const char *name = json_string_value(json_object_get(file, "name"));
		json_t *old;
		size_t k;

		if (!name)
			continue;
		/* Another attempt replaced it. */
		json_array_foreach(items, k, old)
			if (!strcmp(name, json_string_value(json_object_get(old, "name"))))
				break;
		if (k < json_array_size(items))
			json_array_remove(items, k);
		json_array_append_new(items,
			json_pack("{s:s, s:O, s:O, s:O, s:O}", "name", name, "size",
				json_object_get(file, "bytes"), "sha256",
				json_object_get(file, "sha256"), "step",
				json_object_get(step, "id"), "n", json_object_get(step, "n")));
	}
}

static int run_files(struct call *c, json_t **ret, struct err *e)
{
	const char *id = request_param(c->rq, "id");
	struct db *d = api_reader(c->api, e);
	json_t *run = NULL;
	json_t *steps = NULL;
	json_t *step;
	size_t i;
	int r = d ? runs_get(d, id, &run, e) : -(int)e->code;

	json_decref(run);
	if (r == 0)
		r = integrity_run(d, id, e);
	if (r == 0)
		r = runs_steps(d, id, &steps, e);
	api_reader_back(c->api, d);
	if (r < 0)
		return r;
	*ret = json_array();
	json_array_foreach(steps, i, step)
		note_files(*ret, step);
	json_decref(steps);
	return 0;
}

static int open_file(struct call *c, const json_t *file, struct err *e)
{
	const char *name = json_string_value(json_object_get(file, "name"));
	int64_t want = json_integer_value(json_object_get(file, "size"));
	uint64_t bytes = 0;
	int fd = -1;
	int r = outputs_open(store_output(fleet_store(c->api->fleet)), request_param(c->rq, "id"),
		name, &fd, &bytes, e);

	if (r == 0 && bytes != (uint64_t)want)
		r = err_set(e, ERR_GONE, "the file '%s' has %llu bytes, %lld were recorded", name,
			(unsigned long long)bytes, (long long)want);
	if (r < 0) {
		closep(&fd);
		return r;
	}
	c->rs->fd = fd;
	c->rs->body_len = (size_t)bytes;
	return 0;
}

static int get_files(struct call *c, struct err *e)
{
	const char *root = store_output(fleet_store(c->api->fleet));
	json_t *items = NULL;
	json_t *file;
	size_t i;
	int r = run_files(c, &items, e);

	if (r < 0)
		return r;
	json_array_foreach(items, i, file) {
		_cleanup_(closep) int fd = -1;
		uint64_t bytes;
		int kept = outputs_open(root, request_param(c->rq, "id"),
			json_string_value(json_object_get(file, "name")), &fd, &bytes, NULL);

		json_object_set_new(file, "kept", json_boolean(kept == 0));
	}
	return api_answer_resource(c, json_pack("{s:o, s:n}", "items", items, "next_cursor"));
}

static int get_file(struct call *c, struct err *e)
{
	const char *name = request_param(c->rq, "name");
	_cleanup_(freep) char *target = xasprintf("%s/%s", request_param(c->rq, "id"), name);
	json_t *items = NULL;
	json_t *file = NULL;
	size_t i;
	int r = run_files(c, &items, e);

	if (r < 0)
		return r;
	json_array_foreach(items, i, file)
		if (!strcmp(name, json_string_value(json_object_get(file, "name"))))
			break;
	r = i < json_array_size(items)
		    ? open_file(c, file, e)
		    : err_set(e, ERR_NOT_FOUND, "the run wrote no file '%.128s'", name);
	json_decref(items);
	/* What came out of a unit may be as secret as what goes in: who took it is on record. */
	if (r == 0)
		r = api_audit(c, "run.file.get", target, e);
	if (r < 0)
		return r;
	c->rs->status = 200;
	snprintf(c->rs->content_type, sizeof c->rs->content_type, "application/octet-stream");
	return 0;
}

static int get_yield(struct call *c, struct err *e)
{
	struct yield_filter f = {
		.job = request_query(c->rq, "job_id"),
		.station = request_query(c->rq, "station"),
		.recipe = request_query(c->rq, "recipe"),
		.to_ms = INT64_MAX,
	};
	bool pareto = strstr(c->rq->path, "pareto") != NULL;
	struct db *d;
	json_t *o = NULL;
	int r = time_query(c, "from", &f.from_ms, e);

	if (r == 0)
		r = time_query(c, "to", &f.to_ms, e);
	if (r < 0)
		return r;
	d = api_reader(c->api, e);
	r = !d	     ? -(int)e->code
	    : pareto ? reports_pareto(d, &f, &o, e)
		     : reports_yield(d, &f, &o, e);
	api_reader_back(c->api, d);
	if (r < 0)
		return r;
	response_json(c->rs, 200, pareto ? json_pack("{s:o, s:n}", "items", o, "next_cursor") : o);
	return 0;
}

/* --- units --- */

static int get_units(struct call *c, struct err *e)
{
	struct db_list list = {0};
	struct db_page page;
	struct db *d;
	int r = api_page(c, &page, e);

	if (r < 0)
		return r;
	d = api_reader(c->api, e);
	r = d ? units_list(d, request_query(c->rq, "state"), request_query(c->rq, "model"), &page,
			&list, e)
	      : -(int)e->code;
	api_reader_back(c->api, d);
	return r < 0 ? r : api_answer_list(c, &list, e);
}

static int get_unit(struct call *c, struct err *e)
{
	return answer_of(c, units_get, false, e);
}

static int get_history(struct call *c, struct err *e)
{
	struct db_list list = {0};
	struct db_page page;
	json_t *unit = NULL;
	struct db *d;
	int r = api_page(c, &page, e);

	if (r < 0)
		return r;
	d = api_reader(c->api, e);
	r = d ? units_get(d, request_param(c->rq, "id"), &unit, e) : -(int)e->code;
	if (r == 0) {
		struct run_filter f = {.unit = json_string_value(json_object_get(unit, "id"))};

		r = runs_list(d, &f, &page, &list, e);
	}
	json_decref(unit);
	api_reader_back(c->api, d);
	return r < 0 ? r : api_answer_list(c, &list, e);
}

struct verdict {
	const char *unit, *state, *reason, *by;
};

static int apply_verdict(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct verdict *v = data;
	json_t *unit = NULL;
	int r = units_get(tx, v->unit, &unit, e);

	if (r == 0)
		r = units_set_state(tx, json_string_value(json_object_get(unit, "id")), v->state,
			v->reason, v->by, e);
	json_decref(unit);
	return r < 0 ? r : units_get(tx, v->unit, ret, e);
}

/* A suspect unit is released (back to failed: it must pass a run) or scrapped, with a reason. */
static int post_unit_action(struct call *c, struct err *e)
{
	const char *verb = request_param(c->rq, "action");
	struct verdict v = {.unit = request_param(c->rq, "id"),
		.state = !strcmp(verb, "release") ? "failed" : "scrapped",
		.by = c->who->name};
	struct change ch = {.apply = apply_verdict,
		.data = &v,
		.status = 200,
		.audit = "unit.state",
		.target = v.unit};
	int r = api_need_object(c, e);

	if (strcmp(verb, "release") != 0 && strcmp(verb, "scrap") != 0)
		return err_set(e, ERR_NOT_FOUND, "a unit has no action '%s'", verb);
	if (r < 0)
		return r;
	v.reason = json_string_value(json_object_get(c->body, "reason"));
	if (!v.reason || !*v.reason)
		return err_set(e, ERR_INVALID, "'reason' is missing");
	return api_change(c, &ch, e);
}

static const char *const run_states[] = {"open", "finished", NULL};
static const char *const outcomes[] = {"passed", "failed", "error", "aborted", "interrupted", NULL};
static const char *const unit_states[] = {"new", "passed", "failed", "suspect", "scrapped", NULL};
static const struct query_param query_runs[] = {{"station", NULL}, {"job_id", NULL},
	{"serial", NULL}, {"unit", NULL}, {"outcome", outcomes}, {"state", run_states},
	{"recipe", NULL}, {"from", NULL}, {"to", NULL}, QUERY_PAGE, {0}};
static const struct query_param query_page[] = {QUERY_PAGE, {0}};
static const struct query_param query_yield[] = {
	{"job_id", NULL}, {"station", NULL}, {"recipe", NULL}, {"from", NULL}, {"to", NULL}, {0}};
static const struct query_param query_units[] = {
	{"state", unit_states}, {"model", NULL}, QUERY_PAGE, {0}};
static const char *const verdict_fields[] = {"reason", NULL};

const struct route routes_runs[] = {
	{HTTP_GET, "/api/v1/runs", MAY_READ, ROUTE_NO_BODY, 0, get_runs, query_runs},
	{HTTP_GET, "/api/v1/runs/{id}", MAY_READ, ROUTE_NO_BODY, 0, get_run},
	{HTTP_GET, "/api/v1/runs/{id}/steps", MAY_READ, ROUTE_NO_BODY, 0, get_steps},
	{HTTP_GET, "/api/v1/runs/{id}/measurements", MAY_READ, ROUTE_NO_BODY, 0, get_measurements},
	{HTTP_GET, "/api/v1/runs/{id}/log", MAY_READ, ROUTE_NO_BODY, 0, get_log, query_page},
	{HTTP_GET, "/api/v1/runs/{id}/report", MAY_READ, ROUTE_NO_BODY, 0, get_report},
	{HTTP_GET, "/api/v1/runs/{id}/files", MAY_READ, ROUTE_NO_BODY, 0, get_files},
	{HTTP_GET, "/api/v1/runs/{id}/files/{name}", MAY_READ, ROUTE_NO_BODY, 0, get_file},
	{HTTP_GET, "/api/v1/reports/yield", MAY_READ, ROUTE_NO_BODY, 0, get_yield, query_yield},
	{HTTP_GET, "/api/v1/reports/pareto", MAY_READ, ROUTE_NO_BODY, 0, get_yield, query_yield},
	{0},
};

const struct route routes_units[] = {
	{HTTP_GET, "/api/v1/units", MAY_READ, ROUTE_NO_BODY, 0, get_units, query_units},
	{HTTP_GET, "/api/v1/units/{id}", MAY_READ, ROUTE_NO_BODY, 0, get_unit},
	{HTTP_GET, "/api/v1/units/{id}/history", MAY_READ, ROUTE_NO_BODY, 0, get_history,
		query_page},
	{HTTP_POST, "/api/v1/units/{id}/actions/{action}", MAY_RELEASE, 0, 0, post_unit_action,
		NULL, verdict_fields},
	{0},
};
