/* SPDX-License-Identifier: Apache-2.0
 *
 * /pools: where serial numbers, MAC addresses and license keys come from.
 */
#include <strings.h>

#include "api/route.h"
#include "base/csv.h"
#include "base/util.h"
#include "db/ledger.h"
#include "db/pools.h"

static int read_pools(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return pools_list(d, ret, e);
}

static int get_pools(struct call *c, struct err *e)
{
	return api_answer_all(c, read_pools, e);
}

static int read_pool(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return pools_get(d, request_param(c->rq, "id"), ret, e);
}

static int get_pool(struct call *c, struct err *e)
{
	return api_answer_one(c, read_pool, e);
}

struct change_pool {
	struct pool_new p;
	int64_t revision;
	const json_t *values;
	const json_t *lines; /* of each value, where it came as lines; NULL otherwise */
	json_t *offending;
};

static int apply_create(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct change_pool *n = data;
	int r = pools_create(tx, &n->p, e);

	if (r == 0 && n->values)
		r = pools_add_values(tx, n->p.id, n->values, &n->offending, e);
	return r < 0 ? r : pools_get(tx, n->p.id, ret, e);
}

/* What is wrong with one value: where it came in, and its line where the list had lines. */
static json_t *value_error(const struct change_pool *n, const json_t *offending)
{
	size_t index = (size_t)json_integer_value(json_object_get(offending, "index"));
	_cleanup_(freep) char *pointer = xasprintf("/values/%zu", index);

	return json_pack("{s:s, s:O, s:O, s:O*}", "pointer", pointer, "value",
		json_object_get(offending, "value"), "detail", json_object_get(offending, "reason"),
		"line", json_array_get(n->lines, index));
}

static int run_change(struct call *c, struct change *ch, struct change_pool *n, struct err *e)
{
	int r = api_change(c, ch, e);

	if (json_array_size(n->offending) > 0) {
		json_t *errors = json_array();
		json_t *o;
		size_t i;

		json_array_foreach(n->offending, i, o)
			json_array_append_new(errors, value_error(n, o));
		c->problem_errors = errors;
	}
	json_decref(n->offending);
	return r;
}

static const char *const kinds[] = {"serial", "mac", "license", NULL};
static const char *const checks[] = {"none", "luhn", "mod36", NULL};

struct pool_form {
	char *id, *pattern, *model;
	int kind, check;
	int64_t first, last, low_water, span;
	char *block;
	bool local;
	const json_t *values;
};

static const struct form_row pool_rows[] = {
	{"id", FORM_TEXT, .required = true, .low = 1, .high = 63,
		.doc = "The name of the pool, without a slash.", FORM_AT(struct pool_form, id)},
	{"kind", FORM_CHOICE, .choices = kinds, .def = "serial", .doc = "What it gives out.",
		FORM_AT(struct pool_form, kind)},
	{"pattern", FORM_TEXT,
		.doc = "How a number becomes a value, such as 'SN-{date:%y%V}-{seq:05}'. A pool has this or values.",
		FORM_AT(struct pool_form, pattern)},
	{"first", FORM_INT, .low = 0, .high = INT64_MAX, .def = "1",
		.doc = "The first number of a pattern.", FORM_AT(struct pool_form, first)},
	{"last", FORM_INT, .low = 0, .high = INT64_MAX, .def = "999999",
		.doc = "The last number of a pattern.", FORM_AT(struct pool_form, last)},
	{"check", FORM_CHOICE, .choices = checks, .def = "none",
		.doc = "The check character of a pattern.", FORM_AT(struct pool_form, check)},
	{"model", FORM_TEXT, .doc = "The model that the values are for.",
		FORM_AT(struct pool_form, model)},
	{"low_water", FORM_INT, .low = 0, .high = INT64_MAX, .def = "0",
		.doc = "An event pool-low says when so many are left.",
		FORM_AT(struct pool_form, low_water)},
	{"block", FORM_TEXT,
		.doc = "Of addresses: the block of the IEEE that they come from, 6, 7 or 9 hexadecimal digits such as AC:DE:48. The numbers count within it.",
		FORM_AT(struct pool_form, block)},
	{"local", FORM_BOOL, .def = "false",
		.doc = "Of addresses: they are locally administered, on purpose.",
		FORM_AT(struct pool_form, local)},
	{"span", FORM_INT, .low = 1, .high = 256, .def = "1",
		.doc = "Of addresses: each value is the first of so many, aligned. A power of two.",
		FORM_AT(struct pool_form, span)},
	{"values", FORM_TEXTS, .doc = "The values themselves. A pool has these or a pattern.",
		FORM_AT(struct pool_form, values)},
	{0},
};

/* What no row can say. */
static int check_pool(struct call *c, const struct pool_form *f, struct err *e)
{
	struct mistakes m = {0};

	if (strchr(f->id, '/'))
		mistakes_add(&m, "/id", "'id' is '%s': a name without a slash expected", f->id);
	if (!f->pattern == !f->values)
		mistakes_add(&m, "", "a pool has a 'pattern' or a list of 'values'");
	if (m.count == 0 && !scope_has(c->who->scopes, "pools", f->id)) {
		mistakes_add(&m, "/id", "pool '%s' is outside of what this token may name", f->id);
		return api_outside(c, &m, e);
	}
	return api_mistakes(c, &m, NULL, e);
}

static int post_pool(struct call *c, struct err *e)
{
	const struct pool_form *f = api_form(c, e);
	struct change_pool n = {0};
	struct change ch = {.apply = apply_create,
		.data = &n,
		.status = 201,
		.location = "/api/v1/pools/%s",
		.audit = "pool.create"};

	if (!f || check_pool(c, f, e) < 0)
		return -(int)e->code;
	n.values = f->values;
	n.p = (struct pool_new){.id = f->id,
		.kind = kinds[f->kind],
		.pattern = f->pattern,
		.check = checks[f->check],
		.model = f->model,
		.first = f->first,
		.last = f->last,
		.low_water = f->low_water,
		.block = f->block,
		.local = f->local,
		.span = f->span};
	ch.target = n.p.id;
	return run_change(c, &ch, &n, e);
}

static int apply_extend(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct change_pool *n = data;
	int r = pools_extend(tx, n->p.id, n->p.last, n->p.low_water, n->revision, e);

	return r < 0 ? r : pools_get(tx, n->p.id, ret, e);
}

struct extend_form {
	int64_t last, low_water;
};

static const struct form_row extend_rows[] = {
	{"last", FORM_INT, .low = 0, .high = INT64_MAX, .doc = "The last number of a pattern.",
		FORM_AT(struct extend_form, last)},
	{"low_water", FORM_INT, .low = 0, .high = INT64_MAX,
		.doc = "An event pool-low says when so many are left.",
		FORM_AT(struct extend_form, low_water)},
	{0},
};

static int patch_pool(struct call *c, struct err *e)
{
	const struct extend_form *f = api_form(c, e);
	struct change_pool n = {.p.id = request_param(c->rq, "id")};
	struct change ch = {.apply = apply_extend,
		.data = &n,
		.status = 200,
		.audit = "pool.extend",
		.target = n.p.id};
	json_t *old = NULL;
	int r = f ? api_read(c, read_pool, &old, e) : -(int)e->code;

	if (r == 0)
		r = api_match(c, &n.revision, e);
	if (r == 0) {
		n.p.last = api_given(c, "last") ? f->last
						: json_integer_value(json_object_get(old, "last"));
		n.p.low_water = api_given(c, "low_water")
					? f->low_water
					: json_integer_value(json_object_get(old, "low_water"));
	}
	json_decref(old);
	return r < 0 ? r : api_change(c, &ch, e);
}

static int apply_values(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct change_pool *n = data;
	int r = pools_add_values(tx, n->p.id, n->values, &n->offending, e);

	return r < 0 ? r : pools_get(tx, n->p.id, ret, e);
}

struct values_form {
	const json_t *values;
};

static const struct form_row values_rows[] = {
	{"values", FORM_TEXTS, .required = true, .low = 1,
		.doc = "What the pool has from now on as well, all or none.",
		FORM_AT(struct values_form, values)},
	{0},
};

static bool is_csv(const struct call *c)
{
	const char *type = request_header(c->rq, "Content-Type");

	return type && !strncasecmp(type, "text/csv", 8);
}

static int post_csv(struct call *c, struct change *ch, struct change_pool *n, struct err *e)
{
	struct csv_column list = {0};
	int r = csv_read_column((const char *)c->rq->body, c->rq->body_len, "value", &list, e);

	if (r == 0) {
		n->values = list.values;
		n->lines = list.lines;
		r = run_change(c, ch, n, e);
	}
	json_decref(list.values);
	json_decref(list.lines);
	return r;
}

static int post_values(struct call *c, struct err *e)
{
	struct change_pool n = {.p.id = request_param(c->rq, "id")};
	struct change ch = {.apply = apply_values,
		.data = &n,
		.status = 200,
		.audit = "pool.values",
		.target = n.p.id};
	const struct values_form *f;

	if (is_csv(c))
		return post_csv(c, &ch, &n, e);
	f = api_form(c, e);
	if (!f)
		return -(int)e->code;
	n.values = f->values;
	return run_change(c, &ch, &n, e);
}

struct advance {
	const char *id, *by, *reason;
	int64_t next;
};

static int apply_advance(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct advance *a = data;
	int r = pools_advance(tx, a->id, a->next, a->reason, a->by, e);

	return r < 0 ? r : pools_get(tx, a->id, ret, e);
}

struct advance_form {
	char *reason;
	int64_t next;
};

static const struct form_row advance_rows[] = {
	{"next", FORM_INT, .required = true, .low = INT64_MIN, .high = INT64_MAX,
		.doc = "The number to go on with; never less than it is.",
		FORM_AT(struct advance_form, next)},
	{"reason", FORM_TEXT, .required = true, .low = 1, .high = 300,
		.doc = "Why: it stays on record.", FORM_AT(struct advance_form, reason)},
	{0},
};

/* Also while the records are held: what is known to be given out is passed over first. */
static int post_advance(struct call *c, struct err *e)
{
	const struct advance_form *f = api_form(c, e);
	struct advance a = {.id = request_param(c->rq, "id"), .by = c->who->name};
	struct change ch = {.apply = apply_advance,
		.data = &a,
		.status = 200,
		.audit = "pool.advance",
		.target = a.id};

	if (!f)
		return -(int)e->code;
	a.next = f->next;
	a.reason = f->reason;
	return api_change(c, &ch, e);
}

static int read_ledger(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	const char *pool = request_param(c->rq, "id");
	const struct ledger_filter f = {
		.kind = request_query(c->rq, "kind"),
		.state = request_query(c->rq, "state"),
		.pool = pool ? pool : request_query(c->rq, "pool"),
		.job = request_query(c->rq, "job_id"),
		.run = request_query(c->rq, "run_id"),
		.unit = request_query(c->rq, "unit_id"),
	};

	return ledger_list(d, &f, page, ret, e);
}

static int get_ledger(struct call *c, struct err *e)
{
	static const char *const members[] = {"value", "kind", "slot", "pool", "job", "state",
		"run", "unit", "lease", "exposed", "reason", "reserved_at", "settled_at", NULL};

	return api_answer_list(c, read_ledger, members, e);
}

static int get_values_csv(struct call *c, struct err *e)
{
	static const char *const members[] = {"value", "kind", "slot", "state", "run", "unit",
		"exposed", "reason", "reserved_at", "settled_at", NULL};

	return api_answer_page_csv(c, read_ledger, members, e);
}

static int read_gaps(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	return pools_gaps(d, request_param(c->rq, "id"), page, ret, e);
}

static int get_gaps(struct call *c, struct err *e)
{
	return api_answer_page(c, read_gaps, e);
}

static const struct query_param query_of_gaps[] = {QUERY_PAGE, {0}};
static const char *const states[] = {"free", "reserved", "committed", "void", NULL};
static const struct query_param query_of_pool[] = {
	{"kind", kinds}, {"state", states}, {"job_id", NULL}, {"run_id", NULL}, QUERY_PAGE, {0}};
static const struct query_param query_serials[] = {{"kind", kinds}, {"state", states},
	{"pool", NULL}, {"job_id", NULL}, {"run_id", NULL}, {"unit_id", NULL}, QUERY_EXPORT, {0}};
const struct route routes_pools[] = {
	{HTTP_GET, "/api/v1/pools", MAY_READ, ROUTE_NO_BODY, 0, get_pools, .scope = SCOPE_POOL},
	{HTTP_POST, "/api/v1/pools", MAY_ORDER, ROUTE_ORDERS, 8 * 1024 * 1024, post_pool, NULL,
		FORM(pool_rows, struct pool_form), .scope = SCOPE_POOL},
	{HTTP_GET, "/api/v1/pools/{id}", MAY_READ, ROUTE_NO_BODY, 0, get_pool, .scope = SCOPE_POOL},
	{HTTP_PATCH, "/api/v1/pools/{id}", MAY_ORDER, 0, 0, patch_pool, NULL,
		FORM(extend_rows, struct extend_form), .scope = SCOPE_POOL},
	{HTTP_GET, "/api/v1/pools/{id}/values.csv", MAY_READ, ROUTE_NO_BODY, 0, get_values_csv,
		query_of_pool, .scope = SCOPE_POOL},
	{HTTP_POST, "/api/v1/pools/{id}/values", MAY_ORDER, ROUTE_ORDERS | ROUTE_CSV,
		8 * 1024 * 1024, post_values, NULL, FORM(values_rows, struct values_form),
		.scope = SCOPE_POOL},
	{HTTP_POST, "/api/v1/pools/{id}/actions/advance", MAY_ADMIN | ROLE_BIT(SUPERVISOR),
		ROUTE_WHEN_HELD, 0, post_advance, NULL, FORM(advance_rows, struct advance_form),
		.scope = SCOPE_POOL},
	{HTTP_GET, "/api/v1/pools/{id}/serials", MAY_READ, ROUTE_NO_BODY, 0, get_ledger,
		query_of_pool, .scope = SCOPE_POOL},
	{HTTP_GET, "/api/v1/pools/{id}/gaps", MAY_READ, ROUTE_NO_BODY, 0, get_gaps, query_of_gaps,
		.scope = SCOPE_POOL},
	{HTTP_GET, "/api/v1/serials", MAY_READ, ROUTE_NO_BODY, 0, get_ledger, query_serials},
	{0},
};
