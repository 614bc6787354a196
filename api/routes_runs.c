/* SPDX-License-Identifier: Apache-2.0
 *
 * /runs, /measurements and /units: the records, read only except for a supervisor's word on a unit.
 */
#include "api/route.h"
#include "base/util.h"
#include "daemon/line/outputs.h"
#include "db/archives.h"
#include "db/genealogy.h"
#include "db/integrity.h"
#include "db/journal.h"
#include "db/measured.h"
#include "db/reports.h"
#include "db/runs.h"
#include "db/units.h"

static int read_runs(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	struct run_filter f = {
		.station = request_query(c->rq, "station"),
		.job = request_query(c->rq, "job_id"),
		.serial = request_query(c->rq, "serial"),
		.unit = request_query(c->rq, "unit"),
		.outcome = request_query(c->rq, "outcome"),
		.state = request_query(c->rq, "state"),
		.recipe = request_query(c->rq, "recipe"),
		.step = request_query(c->rq, "step"),
		.code = request_query(c->rq, "code"),
	};
	int r = api_times_query(c, &f.from_ms, &f.to_ms, e);

	return r < 0 ? r : runs_list(d, &f, page, ret, e);
}

static int get_runs(struct call *c, struct err *e)
{
	static const char *const members[] = {"seq", "id", "kind", "job", "station", "recipe",
		"version", "model", "unit", "serial", "state", "outcome", "code", "step", "message",
		"firmware", "attached_at", "started_at", "ended_at", "duration_ms", "recipe_sha256",
		"completes", "hash", NULL};

	return api_answer_list(c, read_runs, members, e);
}

int api_check_run(struct db *d, const struct call *c, struct err *e)
{
	const char *id = request_param(c->rq, "id");
	json_t *run = NULL;
	int r = runs_get(d, id, &run, e);

	json_decref(run);
	if (r == 0)
		r = archives_check_run(d, id, e);
	return r < 0 ? r : integrity_run(d, id, e);
}

static int read_run(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	int r = api_check_run(d, c, e);

	return r < 0 ? r : runs_get(d, request_param(c->rq, "id"), ret, e);
}

static int get_run(struct call *c, struct err *e)
{
	return api_answer_one(c, read_run, e);
}

static int read_steps(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	int r = api_check_run(d, c, e);

	return r < 0 ? r : runs_steps(d, request_param(c->rq, "id"), ret, e);
}

static int get_steps(struct call *c, struct err *e)
{
	return api_answer_all(c, read_steps, e);
}

static int read_measurements(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	int r = api_check_run(d, c, e);

	return r < 0 ? r : runs_measurements(d, request_param(c->rq, "id"), ret, e);
}

static int get_measurements(struct call *c, struct err *e)
{
	return api_answer_all(c, read_measurements, e);
}

static int read_report(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	int r = api_check_run(d, c, e);

	return r < 0 ? r : reports_run(d, request_param(c->rq, "id"), ret, e);
}

static int get_report(struct call *c, struct err *e)
{
	return api_answer_one(c, read_report, e);
}

static int read_log(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	int r = api_check_run(d, c, e);

	return r < 0 ? r : runs_log_list(d, request_param(c->rq, "id"), page, ret, e);
}

static int get_log(struct call *c, struct err *e)
{
	return api_answer_page(c, read_log, e);
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

static int read_files(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	json_t *steps = NULL;
	json_t *step;
	size_t i;
	int r = read_steps(d, c, &steps, e);

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
	int r = api_read(c, read_files, &items, e);

	if (r < 0)
		return r;
	json_array_foreach(items, i, file) {
		_cleanup_(closep) int fd = -1;
		uint64_t bytes;
		int kept = outputs_open(root, request_param(c->rq, "id"),
			json_string_value(json_object_get(file, "name")), &fd, &bytes, NULL);

		json_object_set_new(file, "kept", json_boolean(kept == 0));
	}
	api_items(c, items);
	return 0;
}

static int get_file(struct call *c, struct err *e)
{
	const char *name = request_param(c->rq, "name");
	_cleanup_(freep) char *target = xasprintf("%s/%s", request_param(c->rq, "id"), name);
	json_t *items = NULL;
	json_t *file = NULL;
	size_t i;
	int r = api_read(c, read_files, &items, e);

	if (r < 0)
		return r;
	json_array_foreach(items, i, file)
		if (!strcmp(name, json_string_value(json_object_get(file, "name"))))
			break;
	r = i < json_array_size(items)
		    ? open_file(c, file, e)
		    : err_set(e, ERR_NOT_FOUND, "the run wrote no file '%.128s'", name);
	json_decref(items);
	/* What came out of a unit may be as secret as what goes in: each download is on record. */
	if (r == 0)
		r = api_audit(c, "run.file.get", target, e);
	if (r < 0)
		return r;
	c->rs->status = 200;
	snprintf(c->rs->content_type, sizeof c->rs->content_type, "application/octet-stream");
	return 0;
}

/* --- units --- */

static int read_units(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	return units_list(
		d, request_query(c->rq, "state"), request_query(c->rq, "model"), page, ret, e);
}

static int get_units(struct call *c, struct err *e)
{
	static const char *const members[] = {
		"id", "serial", "model", "chip_id", "state", "created_at", "updated_at", NULL};

	return api_answer_list(c, read_units, members, e);
}

/* --- measurements --- */

static int read_all_measurements(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	struct measured_filter f = {
		.name = request_query(c->rq, "name"),
		.step = request_query(c->rq, "step"),
		.recipe = request_query(c->rq, "recipe"),
		.station = request_query(c->rq, "station"),
		.job = request_query(c->rq, "job_id"),
	};
	int r = api_times_query(c, &f.from_ms, &f.to_ms, e);

	return r < 0 ? r : measured_rows(d, &f, page, ret, e);
}

static int get_all_measurements(struct call *c, struct err *e)
{
	static const char *const members[] = {"seq", "run", "ended_at", "station", "job", "recipe",
		"version", "serial", "step", "step_n", "k", "name", "value", "text", "unit", "low",
		"high", "verdict", NULL};

	return api_answer_list(c, read_all_measurements, members, e);
}

static int read_unit(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return units_get(d, request_param(c->rq, "id"), ret, e);
}

static int get_unit(struct call *c, struct err *e)
{
	return api_answer_one(c, read_unit, e);
}

static int read_history(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	json_t *unit = NULL;
	int r = read_unit(d, c, &unit, e);

	if (r == 0) {
		struct run_filter f = {.unit = json_string_value(json_object_get(unit, "id"))};

		r = runs_list(d, &f, page, ret, e);
	}
	json_decref(unit);
	return r;
}

static int get_history(struct call *c, struct err *e)
{
	return api_answer_page(c, read_history, e);
}

static int read_journal(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	json_t *unit = NULL;
	int r = read_unit(d, c, &unit, e);

	if (r == 0)
		r = journal_list(d, json_string_value(json_object_get(unit, "id")), ret, e);
	json_decref(unit);
	return r;
}

static int get_journal(struct call *c, struct err *e)
{
	return api_answer_all(c, read_journal, e);
}

static int read_genealogy(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return genealogy_get(d, request_param(c->rq, "id"), ret, e);
}

static int get_genealogy(struct call *c, struct err *e)
{
	return api_answer_one(c, read_genealogy, e);
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

struct verdict_form {
	char *reason;
};

static const struct form_row verdict_rows[] = {
	{"reason", FORM_TEXT, .required = true, .low = 1, .doc = "Why, for the record.",
		FORM_AT(struct verdict_form, reason)},
	{0},
};

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
	const struct verdict_form *f;

	if (strcmp(verb, "release") != 0 && strcmp(verb, "scrap") != 0)
		return err_set(e, ERR_NOT_FOUND, "a unit has no action '%s'", verb);
	f = api_form(c, e);
	if (!f)
		return -(int)e->code;
	v.reason = f->reason;
	return api_change(c, &ch, e);
}

static const char *const run_states[] = {"open", "finished", NULL};
static const char *const outcomes[] = {
	"passed", "provisioned", "failed", "error", "aborted", "interrupted", NULL};
static const char *const unit_states[] = {
	"new", "provisioned", "passed", "failed", "suspect", "scrapped", NULL};
static const struct query_param query_runs[] = {{"station", NULL}, {"job_id", NULL},
	{"serial", NULL}, {"unit", NULL}, {"outcome", outcomes}, {"state", run_states},
	{"recipe", NULL}, {"step", NULL}, {"code", NULL}, {"from", NULL}, {"to", NULL},
	QUERY_EXPORT, {0}};
static const struct query_param query_page[] = {QUERY_PAGE, {0}};
static const struct query_param query_units[] = {
	{"state", unit_states}, {"model", NULL}, QUERY_EXPORT, {0}};
static const struct query_param query_measurements[] = {{"name", NULL}, {"step", NULL},
	{"recipe", NULL}, {"station", NULL}, {"job_id", NULL}, {"from", NULL}, {"to", NULL},
	QUERY_EXPORT, {0}};

const struct route routes_runs[] = {
	{HTTP_GET, "/api/v1/runs", MAY_READ, ROUTE_NO_BODY, 0, get_runs, query_runs,
		.scope = SCOPE_RUN},
	{HTTP_GET, "/api/v1/measurements", MAY_READ, ROUTE_NO_BODY, 0, get_all_measurements,
		query_measurements},
	{HTTP_GET, "/api/v1/runs/{id}", MAY_READ, ROUTE_NO_BODY, 0, get_run, .scope = SCOPE_RUN},
	{HTTP_GET, "/api/v1/runs/{id}/steps", MAY_READ, ROUTE_NO_BODY, 0, get_steps,
		.scope = SCOPE_RUN},
	{HTTP_GET, "/api/v1/runs/{id}/measurements", MAY_READ, ROUTE_NO_BODY, 0, get_measurements,
		.scope = SCOPE_RUN},
	{HTTP_GET, "/api/v1/runs/{id}/log", MAY_READ, ROUTE_NO_BODY, 0, get_log, query_page,
		.scope = SCOPE_RUN},
	{HTTP_GET, "/api/v1/runs/{id}/report", MAY_READ, ROUTE_NO_BODY, 0, get_report,
		.scope = SCOPE_RUN},
	{HTTP_GET, "/api/v1/runs/{id}/files", MAY_READ, ROUTE_NO_BODY, 0, get_files,
		.scope = SCOPE_RUN},
	{HTTP_GET, "/api/v1/runs/{id}/files/{name}", MAY_READ, ROUTE_NO_BODY, 0, get_file,
		.scope = SCOPE_RUN},
	{0},
};

const struct route routes_units[] = {
	{HTTP_GET, "/api/v1/units", MAY_READ, ROUTE_NO_BODY, 0, get_units, query_units},
	{HTTP_GET, "/api/v1/units/{id}", MAY_READ, ROUTE_NO_BODY, 0, get_unit},
	{HTTP_GET, "/api/v1/units/{id}/history", MAY_READ, ROUTE_NO_BODY, 0, get_history,
		query_page},
	{HTTP_GET, "/api/v1/units/{id}/journal", MAY_READ, ROUTE_NO_BODY, 0, get_journal},
	{HTTP_GET, "/api/v1/units/{id}/genealogy", MAY_READ, ROUTE_NO_BODY, 0, get_genealogy},
	{HTTP_POST, "/api/v1/units/{id}/actions/{action}", MAY_RELEASE, 0, 0, post_unit_action,
		NULL, FORM(verdict_rows, struct verdict_form)},
	{0},
};
