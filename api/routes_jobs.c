/* SPDX-License-Identifier: Apache-2.0
 *
 * /jobs: orders of the MES and of supervisors.
 */
#include "api/route.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/job_order.h"
#include "db/job_units.h"
#include "db/jobs.h"

/* 100,000 units with their parameters. */
#define ORDER_BODY_MAX (32 * 1024 * 1024)

static int read_jobs(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	const struct job_filter f = {.state = request_query(c->rq, "state"),
		.external_ref = request_query(c->rq, "external_ref"),
		.number = request_query(c->rq, "number")};

	return jobs_list(d, &f, page, ret, e);
}

static int get_jobs(struct call *c, struct err *e)
{
	return api_answer_page(c, read_jobs, e);
}

static int read_job(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return jobs_get(d, request_param(c->rq, "id"), ret, e);
}

static int get_job(struct call *c, struct err *e)
{
	return api_answer_later(c, read_job, request_param(c->rq, "id"), e);
}

struct post {
	struct job_order *order;
	struct fleet *fleet;
	struct change *change;
	json_t *offending;
};

/* One that is here already is answered as it is, and nothing is noted of it. */
static int apply_post(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct post *p = data;
	int r = job_order_apply(tx, p->order, ret, &p->offending, e);

	if (r > 0) {
		p->change->status = 200;
		p->change->audit = NULL;
	}
	return MIN(r, 0);
}

static int read_posted(struct db *d, void *data, json_t **ret, struct err *e)
{
	return job_order_read(d, ((struct post *)data)->order, ret, e);
}

static void post_committed(void *data)
{
	struct fleet *f = ((struct post *)data)->fleet;

	orders_times_changed(fleet_orders(f));
	fleet_wake_stations(f);
}

/* Of a long list all of it may be wrong. */
#define OFFENDING_MAX 1000

/* [{index, value, reason}] -> [{pointer, detail}] of the request. */
static json_t *offending_errors(const json_t *body, const json_t *offending)
{
	const bool units = json_object_get(body, "units");
	json_t *errors = json_array();
	json_t *o;
	size_t i;

	json_array_foreach((json_t *)offending, i, o) {
		const long long at = json_integer_value(json_object_get(o, "index"));
		_cleanup_(freep) char *p = units ? xasprintf("/units/%lld/serial", at)
						 : xasprintf("/serials/%lld", at);

		if (i == OFFENDING_MAX)
			break;
		json_array_append_new(
			errors, json_pack("{s:s, s:o}", "pointer", p, "detail",
					json_sprintf("%s: %s",
						json_string_value(json_object_get(o, "value")),
						json_string_value(json_object_get(o, "reason")))));
	}
	return errors;
}

/* Whether these stations, of which none means all, are what the principal may name. */
static void check_scope_stations(const struct call *c, const json_t *ids, struct mistakes *m)
{
	const json_t *v;
	size_t i;

	if (!json_object_get(c->who->scopes, "stations"))
		return;
	if (json_array_size(ids) == 0)
		mistakes_add(m, "/stations",
			"a job without 'stations' may run at any, and this token is limited to some: name them");
	json_array_foreach(ids, i, v)
		if (!scope_has(c->who->scopes, "stations", json_string_value(v))) {
			_cleanup_(freep) char *p = pointer_index("/stations", i);

			mistakes_add(m, p, "station '%s' is outside of what this token may name",
				json_string_value(v));
		}
}

/* The recipe, its pools and its stations, before anything is ordered. */
static int check_scope(struct call *c, const struct job_order *o, struct err *e)
{
	const struct recipe *recipe = job_order_recipe(o);
	struct mistakes m = {0};
	const char *pool;

	if (!scope_has(c->who->scopes, "recipes", recipe->name))
		mistakes_add(&m, "/recipe", "recipe '%s' is outside of what this token may name",
			recipe->name);
	else if (!scope_has_pools_of(c->who->scopes, recipe->json, &pool))
		mistakes_add(&m, "/recipe",
			"recipe '%s' draws from the pool '%s', which is outside of what this token may name",
			recipe->name, pool);
	check_scope_stations(c, json_object_get(c->body, "stations"), &m);
	return api_outside(c, &m, e);
}

/* An order that is here is found before anyone looks at the request again: its recipe may be retired by now. */
static int answer_same(struct call *c, struct db *d, struct err *e)
{
	const char *number = json_string_value(json_object_get(c->body, "number"));
	char content[SHA256_HEX];
	json_t *job = NULL;
	int r;

	if (!number)
		return 0;
	job_order_digest(c->body, content);
	r = job_order_find(d, number, content, &job, e);
	if (r <= 0)
		return api_judged(c, "/number", r, e);
	if (!scope_has_item(c->who->scopes, SCOPE_JOB, job)) {
		json_decref(job);
		return err_set(e, ERR_OUT_OF_SCOPE,
			"number '%.64s' is that of an order that is outside of what this token may name",
			number);
	}
	response_header(c->rs, "Location", "/api/v1/jobs/%s",
		json_string_value(json_object_get(job, "id")));
	response_json(c->rs, 200, job);
	return 1;
}

/* 1: answered. */
static int read_order(struct call *c, struct post *p, struct mistakes *m, struct err *e)
{
	struct config *config = fleet_config(c->api->fleet);
	struct db *d = readers_take(c->api->readers, e);
	int r = d ? answer_same(c, d, e) : -(int)e->code;

	if (r == 0)
		r = job_order_new(fleet_orders(c->api->fleet), d, config, c->body, c->who->name, m,
			&p->order, e);
	readers_give(c->api->readers, d);
	config_unref(config);
	return r;
}

static int post_job(struct call *c, struct err *e)
{
	struct change ch = {.apply = apply_post,
		.read = read_posted,
		.committed = post_committed,
		.status = 201,
		.location = "/api/v1/jobs/%s",
		.audit = "job.create"};
	struct post p = {.fleet = c->api->fleet, .change = &ch};
	struct mistakes m = {0};
	struct trace_context trace;
	int r = api_need_object(c, e);

	ch.data = &p;
	if (r == 0)
		r = read_order(c, &p, &m, e);
	if (m.count > 0)
		r = api_mistakes(c, &m, NULL, e);
	if (r == 0)
		r = check_scope(c, p.order, e);
	if (r == 0 && request_trace(c->rq, &trace))
		job_order_trace(p.order, &trace);
	if (r == 0)
		r = api_change(c, &ch, e);
	if (p.offending && json_array_size(p.offending) > 0)
		c->problem_errors = offending_errors(c->body, p.offending);
	else if (r == -ERR_CONFLICT)
		api_judged(c, "/number", r, e);
	json_decref(p.offending);
	job_order_free(p.order);
	return MIN(r, 0);
}

/* --- changes of a job --- */

struct act {
	const char *id, *by;
	struct fleet *fleet;
	enum job_sign verb;
	const char *reason;
	int64_t revision;
	struct job_change change;
};

static int apply_act(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct act *a = data;
	const struct job_word w = {.revision = a->revision, .reason = a->reason, .by = a->by};
	int r = jobs_act(tx, a->id, a->verb, &w, e);

	return r < 0 ? r : jobs_get(tx, a->id, ret, e);
}

static int apply_patch(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct act *a = data;
	int r = jobs_change(tx, a->id, &a->change, a->revision, a->by, e);

	return r < 0 ? r : jobs_get(tx, a->id, ret, e);
}

static void act_committed(void *data)
{
	const struct act *a = data;

	if (a->verb == JOB_ABORT)
		fleet_abort_job(a->fleet, a->id);
	orders_times_changed(fleet_orders(a->fleet));
	fleet_wake_stations(a->fleet);
}

struct action_form {
	char *reason;
};

static const struct form_row action_rows[] = {
	{"reason", FORM_TEXT, .low = 1, .high = JOB_REASON_SIZE - 1,
		.doc = "Why; needed by hold and complete.", FORM_AT(struct action_form, reason)},
	{0},
};

/* No body is one without a reason. */
static int read_action(struct call *c, struct action_form *f, struct err *e)
{
	struct mistakes m = {0};
	int r = c->body ? api_need_object(c, e) : 0;

	if (r == 0 && c->body)
		form_read(action_rows, c->body, "", "field", f, &m);
	return r < 0 ? r : api_mistakes(c, &m, NULL, e);
}

static bool needs_reason(enum job_sign verb)
{
	return verb == JOB_HOLD || verb == JOB_COMPLETE;
}

static int check_action(struct call *c, const struct act *a, struct err *e)
{
	struct mistakes m = {0};

	if (needs_reason(a->verb) && !a->reason)
		mistakes_add(&m, "/reason",
			"'reason' is missing: say why, it goes on record and is shown to people");
	return api_mistakes(c, &m, NULL, e);
}

static int act_on(struct call *c, struct act *a, struct err *e)
{
	struct change ch = {.apply = apply_act,
		.committed = act_committed,
		.data = a,
		.status = 200,
		.target = a->id};
	char audit[32];
	int r = api_match(c, &a->revision, e);

	if (r == 0)
		r = check_action(c, a, e);
	snprintf(audit, sizeof audit, "job.%s", job_sign_str(a->verb));
	ch.audit = audit;
	return r < 0 ? r : api_change(c, &ch, e);
}

static int post_action(struct call *c, struct err *e)
{
	const char *verb = request_param(c->rq, "action");
	struct action_form f = {0};
	struct act a = {.id = request_param(c->rq, "id"),
		.by = c->who->name,
		.fleet = c->api->fleet,
		.verb = job_verb_from(verb)};
	int r;

	if (a.verb == JOB_SIGN_COUNT)
		return err_set(e, ERR_NOT_FOUND, "a job has no action '%s'", verb);
	r = read_action(c, &f, e);
	a.reason = f.reason;
	if (r == 0)
		r = act_on(c, &a, e);
	form_done(action_rows, &f);
	return r;
}

struct patch_form {
	int64_t priority, quantity, deadline_ms, expires_ms;
	const json_t *stations, *requires, *params;
};

static const struct form_row patch_rows[] = {
	{"priority", FORM_INT, .low = ORDER_PRIORITY_MIN, .high = ORDER_PRIORITY_MAX,
		.doc = "The highest is taken first.", FORM_AT(struct patch_form, priority)},
	{"quantity", FORM_INT, .low = 1, .high = ORDER_QUANTITY_MAX,
		.doc = "Units; not less than have passed.", FORM_AT(struct patch_form, quantity)},
	{"stations", FORM_TEXTS, .doc = "Ids of stations; none of them: any.",
		FORM_AT(struct patch_form, stations)},
	{"requires", FORM_TEXTS, .high = 32,
		.doc = "Capabilities that a station must have; none of them: none.",
		FORM_AT(struct patch_form, requires)},
	{"params", FORM_MAPPING,
		.doc = "Parameters of the recipe, each that changes; null: as the recipe has it. Of an order that has begun: 409.",
		FORM_AT(struct patch_form, params)},
	{"deadline", FORM_TIME, .null = true, .doc = "When it should be done; null: no more.",
		FORM_AT(struct patch_form, deadline_ms)},
	{"expires", FORM_TIME, .null = true, .doc = "When it ends by itself; null: never.",
		FORM_AT(struct patch_form, expires_ms)},
	{0},
};

/* As it was looked at when it was ordered: a station that does not fit would take it, and then nothing else. */
static int find_misfits(struct call *c, const struct order_patch *p, struct mistakes *m,
	json_t **ret_params, int64_t *ret_revision, struct err *e)
{
	struct config *config = fleet_config(c->api->fleet);
	struct db *d = readers_take(c->api->readers, e);
	json_t *job = NULL;
	int r = d ? read_job(d, c, &job, e) : -(int)e->code;

	if (r == 0)
		r = orders_check_patch(
			fleet_orders(c->api->fleet), d, config, job, p, m, ret_params, e);
	if (r == 0)
		*ret_revision = json_integer_value(json_object_get(job, "revision"));
	readers_give(c->api->readers, d);
	json_decref(job);
	config_unref(config);
	return r;
}

/* ret_revision: of the order that was looked at, where it was. */
static int check_patch(struct call *c, const struct patch_form *f, json_t **ret_params,
	int64_t *ret_revision, struct err *e)
{
	const struct order_patch p = {f->stations, f->requires, f->params};
	struct mistakes m = {0};
	int r = p.stations || p.requires || p.params
			? find_misfits(c, &p, &m, ret_params, ret_revision, e)
			: 0;

	if (r < 0)
		return r;
	if (f->expires_ms && f->expires_ms <= wall_ms())
		mistakes_add(&m, "/expires", ORDER_EXPIRED);
	r = api_mistakes(c, &m, NULL, e);
	m = (struct mistakes){0};
	if (r == 0 && api_given(c, "stations"))
		check_scope_stations(c, f->stations, &m);
	return r < 0 ? r : api_outside(c, &m, e);
}

/* An order that others change meanwhile is looked at so many times. */
#define PATCH_TRIES 16

/* revision: 0 for any, which is then the one that is looked at: what is made of it is put into no other. */
static int patch_at(struct call *c, const struct patch_form *f, int64_t revision, struct err *e)
{
	struct act a = {.id = request_param(c->rq, "id"),
		.by = c->who->name,
		.fleet = c->api->fleet,
		.verb = JOB_CHANGE};
	struct change ch = {.apply = apply_patch,
		.committed = act_committed,
		.data = &a,
		.status = 200,
		.audit = "job.change",
		.target = a.id};
	json_t *params = NULL;
	int r = check_patch(c, f, &params, &a.revision, e);

	if (revision)
		a.revision = revision;
	a.change = (struct job_change){
		.priority = api_given(c, "priority") ? &f->priority : NULL,
		.quantity = api_given(c, "quantity") ? &f->quantity : NULL,
		.deadline_ms = api_given(c, "deadline") ? &f->deadline_ms : NULL,
		.expires_ms = api_given(c, "expires") ? &f->expires_ms : NULL,
		.affinity = f->stations,
		.requires = f->requires,
		.params = params,
	};
	if (r == 0)
		r = api_change(c, &ch, e);
	json_decref(params);
	return r;
}

/* RFC 7396 on what may change. */
static int patch_job(struct call *c, struct err *e)
{
	const struct patch_form *f = api_form(c, e);
	int64_t revision = 0;
	unsigned tries = PATCH_TRIES;
	int r = f ? api_match(c, &revision, e) : -(int)e->code;

	if (r < 0)
		return r;
	do
		r = patch_at(c, f, revision, e);
	while (r == -ERR_PRECONDITION && !revision && --tries > 0);
	return r;
}

/* --- its list --- */

static int read_units(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	return job_units_list(
		d, request_param(c->rq, "id"), request_query(c->rq, "state"), page, ret, e);
}

static int get_units(struct call *c, struct err *e)
{
	static const char *const members[] = {"n", "serial", "chip_id", "state", "run", "attempts",
		"reason", "updated_at", "params", NULL};
	json_t *job = NULL;
	int r = api_read(c, read_job, &job, e);

	json_decref(job);
	return r < 0 ? r : api_answer_list(c, read_units, members, e);
}

static int read_unit(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return job_units_get(d, request_param(c->rq, "id"), request_param(c->rq, "serial"), ret, e);
}

static int get_unit(struct call *c, struct err *e)
{
	return api_answer_one(c, read_unit, e);
}

static const char *const unit_states[] = {
	"waiting", "assigned", "running", "passed", "failed", "scrapped", "cancelled", NULL};
static const struct query_param query_units[] = {{"state", unit_states}, QUERY_EXPORT, {0}};
static const char *const states[] = {
	"queued", "running", "paused", "stopping", "done", "aborted", "cancelled", NULL};
static const struct query_param query_jobs[] = {
	{"state", states}, {"external_ref", NULL}, {"number", NULL}, QUERY_PAGE, {0}};

const struct route routes_jobs[] = {
	{HTTP_GET, "/api/v1/jobs", MAY_READ, ROUTE_NO_BODY, 0, get_jobs, query_jobs,
		.scope = SCOPE_JOB},
	{HTTP_POST, "/api/v1/jobs", MAY_ORDER, ROUTE_ORDERS, ORDER_BODY_MAX, post_job, NULL,
		FORM_OF_HANDLER(order_rows), .scope = SCOPE_JOB},
	{HTTP_GET, "/api/v1/jobs/{id}", MAY_READ, ROUTE_NO_BODY, 0, get_job, .scope = SCOPE_JOB},
	{HTTP_GET, "/api/v1/jobs/{id}/units", MAY_READ, ROUTE_NO_BODY, 0, get_units, query_units,
		.scope = SCOPE_JOB},
	{HTTP_GET, "/api/v1/jobs/{id}/units/{serial}", MAY_READ, ROUTE_NO_BODY, 0, get_unit,
		.scope = SCOPE_JOB},
	{HTTP_PATCH, "/api/v1/jobs/{id}", MAY_ORDER, 0, 0, patch_job, NULL,
		FORM(patch_rows, struct patch_form), .scope = SCOPE_JOB},
	{HTTP_POST, "/api/v1/jobs/{id}/actions/{action}", MAY_ORDER, 0, 0, post_action, NULL,
		FORM_OF_HANDLER(action_rows), .scope = SCOPE_JOB},
	{0},
};
