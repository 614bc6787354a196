/* SPDX-License-Identifier: Apache-2.0
 *
 * /jobs: orders of the MES and of supervisors.
 */
#include "api/route.h"
#include "base/util.h"
#include "daemon/line/orders.h"
#include "db/jobs.h"

static int read_jobs(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	return jobs_list(d, request_query(c->rq, "state"), request_query(c->rq, "external_ref"),
		page, ret, e);
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
	return api_answer_one(c, read_job, e);
}

struct post {
	struct job_order *order;
	struct fleet *fleet;
	json_t *offending;
};

static int apply_post(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct post *p = data;

	return job_order_apply(tx, p->order, ret, &p->offending, e);
}

static void post_committed(void *data)
{
	fleet_wake_stations(((struct post *)data)->fleet);
}

/* [{value, reason}] -> [{pointer, detail}] of the request. */
static json_t *offending_errors(const json_t *body, const json_t *offending)
{
	const json_t *serials = json_object_get(body, "serials");
	json_t *errors = json_array();
	json_t *o;
	json_t *v;
	size_t i;
	size_t k;

	json_array_foreach((json_t *)offending, i, o) {
		_cleanup_(freep) char *p = xstrdup("/serials");

		json_array_foreach((json_t *)serials, k, v) {
			if (json_equal(v, json_object_get(o, "value"))) {
				free(p);
				p = xasprintf("/serials/%zu", k);
				break;
			}
		}
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

static int post_job(struct call *c, struct err *e)
{
	struct post p = {.fleet = c->api->fleet};
	struct change ch = {.apply = apply_post,
		.committed = post_committed,
		.data = &p,
		.status = 201,
		.location = "/api/v1/jobs/%s",
		.audit = "job.create"};
	struct config *config;
	struct mistakes m = {0};
	struct trace_context trace;
	struct db *d;
	int r = api_need_object(c, e);

	if (r < 0)
		return r;
	config = fleet_config(c->api->fleet);
	d = readers_take(c->api->readers, e);
	r = d ? job_order_new(fleet_orders(c->api->fleet), d, config, c->body, c->who->name, &m,
			&p.order, e)
	      : -(int)e->code;
	readers_give(c->api->readers, d);
	config_unref(config);
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
	json_decref(p.offending);
	job_order_free(p.order);
	return r;
}

/* --- changes of a job --- */

struct act {
	const char *id, *state, *by;
	struct fleet *fleet;
	int64_t revision;
	bool cut; /* runs under way are aborted */
	struct job_change change;
};

static int apply_act(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct act *a = data;
	int r = jobs_set_state(tx, a->id, a->state, a->revision, a->by, e);

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

	if (a->cut)
		fleet_abort_job(a->fleet, a->id);
	fleet_wake_stations(a->fleet);
}

static int post_action(struct call *c, struct err *e)
{
	static const struct {
		const char *verb, *state;
	} verbs[] = {{"pause", "paused"}, {"resume", "queued"}, {"stop", "stopping"},
		{"abort", "aborted"}, {"cancel", "cancelled"}};
	const char *verb = request_param(c->rq, "action");
	struct act a = {
		.id = request_param(c->rq, "id"), .by = c->who->name, .fleet = c->api->fleet};
	struct change ch = {.apply = apply_act,
		.committed = act_committed,
		.data = &a,
		.status = 200,
		.target = a.id};
	char audit[32];

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (!strcmp(verbs[i].verb, verb))
			a.state = verbs[i].state;
	if (!a.state)
		return err_set(e, ERR_NOT_FOUND, "a job has no action '%s'", verb);
	a.cut = !strcmp(verb, "abort");
	snprintf(audit, sizeof audit, "job.%s", verb);
	ch.audit = audit;
	return api_change(c, &ch, e);
}

struct patch_form {
	int64_t priority, quantity, deadline_ms;
	const json_t *stations;
};

static const struct form_row patch_rows[] = {
	{"priority", FORM_INT, .low = ORDER_PRIORITY_MIN, .high = ORDER_PRIORITY_MAX,
		.doc = "The highest is taken first.", FORM_AT(struct patch_form, priority)},
	{"quantity", FORM_INT, .low = 1, .high = ORDER_QUANTITY_MAX,
		.doc = "Units; not less than have passed.", FORM_AT(struct patch_form, quantity)},
	{"stations", FORM_TEXTS, .doc = "Ids of stations; none of them: any.",
		FORM_AT(struct patch_form, stations)},
	{"deadline", FORM_TIME, .null = true, .doc = "When it should be done; null: no more.",
		FORM_AT(struct patch_form, deadline_ms)},
	{0},
};

static int check_stations(struct call *c, const json_t *ids, struct err *e)
{
	struct config *config = fleet_config(c->api->fleet);
	struct mistakes m = {0};
	const json_t *v;
	size_t i;
	int r;

	json_array_foreach(ids, i, v)
		if (!config_station(config, json_string_value(v))) {
			_cleanup_(freep) char *p = pointer_index("/stations", i);

			mistakes_add(&m, p, "there is no station '%s'", json_string_value(v));
		}
	config_unref(config);
	r = api_mistakes(c, &m, NULL, e);
	m = (struct mistakes){0};
	if (r == 0 && api_given(c, "stations"))
		check_scope_stations(c, ids, &m);
	return r < 0 ? r : api_outside(c, &m, e);
}

/* RFC 7396 on what may change. */
static int patch_job(struct call *c, struct err *e)
{
	const struct patch_form *f = api_form(c, e);
	struct act a = {
		.id = request_param(c->rq, "id"), .by = c->who->name, .fleet = c->api->fleet};
	struct change ch = {.apply = apply_patch,
		.committed = act_committed,
		.data = &a,
		.status = 200,
		.audit = "job.change",
		.target = a.id};
	int r = f ? api_match(c, &a.revision, e) : -(int)e->code;

	if (r == 0)
		r = check_stations(c, f->stations, e);
	if (r < 0)
		return r;
	a.change = (struct job_change){
		.priority = api_given(c, "priority") ? &f->priority : NULL,
		.quantity = api_given(c, "quantity") ? &f->quantity : NULL,
		.deadline_ms = api_given(c, "deadline") ? &f->deadline_ms : NULL,
		.affinity = f->stations,
	};
	return api_change(c, &ch, e);
}

static const char *const states[] = {
	"queued", "running", "paused", "stopping", "done", "aborted", "cancelled", NULL};
static const struct query_param query_jobs[] = {
	{"state", states}, {"external_ref", NULL}, QUERY_PAGE, {0}};

const struct route routes_jobs[] = {
	{HTTP_GET, "/api/v1/jobs", MAY_READ, ROUTE_NO_BODY, 0, get_jobs, query_jobs,
		.scope = SCOPE_JOB},
	{HTTP_POST, "/api/v1/jobs", MAY_ORDER, ROUTE_ORDERS, 8 * 1024 * 1024, post_job, NULL,
		FORM_OF_HANDLER(order_rows), .scope = SCOPE_JOB},
	{HTTP_GET, "/api/v1/jobs/{id}", MAY_READ, ROUTE_NO_BODY, 0, get_job, .scope = SCOPE_JOB},
	{HTTP_PATCH, "/api/v1/jobs/{id}", MAY_ORDER, 0, 0, patch_job, NULL,
		FORM(patch_rows, struct patch_form), .scope = SCOPE_JOB},
	{HTTP_POST, "/api/v1/jobs/{id}/actions/{action}", MAY_ORDER, 0, 0, post_action, NULL,
		FORM_NONE, .scope = SCOPE_JOB},
	{0},
};
