/* SPDX-License-Identifier: Apache-2.0
 *
 * /pools: where serial numbers, MAC addresses and license keys come from.
 */
#include "api/route.h"
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
	json_t *values;
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

static int int_member(const json_t *o, const char *key, int64_t def, int64_t *ret, struct err *e)
{
	const json_t *v = json_object_get(o, key);

	if (v && (!json_is_integer(v) || json_integer_value(v) < 0))
		return err_set(e, ERR_INVALID, "'%s' must be a whole number", key);
	*ret = v ? json_integer_value(v) : def;
	return 0;
}

static int str_member(
	const json_t *o, const char *key, const char *def, const char **ret, struct err *e)
{
	const json_t *v = json_object_get(o, key);

	if (v && !json_is_string(v))
		return err_set(e, ERR_INVALID, "'%s' must be a string", key);
	*ret = v ? json_string_value(v) : def;
	return 0;
}

static int run_change(struct call *c, struct change *ch, struct change_pool *n, struct err *e)
{
	int r = api_change(c, ch, e);

	if (json_array_size(n->offending) > 0) {
		json_t *errors = json_array();
		json_t *o;
		size_t i;

		json_array_foreach(n->offending, i, o)
			json_array_append_new(
				errors, json_pack("{s:s, s:O, s:O}", "pointer", "/values", "value",
						json_object_get(o, "value"), "detail",
						json_object_get(o, "reason")));
		c->problem_errors = errors;
	}
	json_decref(n->offending);
	return r;
}

/* {id, kind: serial|mac|license, pattern, first, last, check: none|luhn|mod36, model?, low_water?}
 * or {id, values: [...]} */
static int post_pool(struct call *c, struct err *e)
{
	struct change_pool n = {0};
	struct change ch = {.apply = apply_create,
		.data = &n,
		.status = 201,
		.location = "/api/v1/pools/%s",
		.audit = "pool.create"};
	int r = api_need_object(c, e);

	if (r < 0)
		return r;
	n.values = json_object_get(c->body, "values");
	if (str_member(c->body, "id", NULL, &n.p.id, e) < 0 ||
		str_member(c->body, "kind", "serial", &n.p.kind, e) < 0 ||
		str_member(c->body, "pattern", NULL, &n.p.pattern, e) < 0 ||
		str_member(c->body, "check", "none", &n.p.check, e) < 0 ||
		str_member(c->body, "model", NULL, &n.p.model, e) < 0 ||
		int_member(c->body, "first", 1, &n.p.first, e) < 0 ||
		int_member(c->body, "last", 999999, &n.p.last, e) < 0 ||
		int_member(c->body, "low_water", 0, &n.p.low_water, e) < 0)
		return -(int)e->code;
	if (!n.p.id || !*n.p.id || strlen(n.p.id) >= DB_ID_SIZE || strchr(n.p.id, '/'))
		return err_set(e, ERR_INVALID, "'id' is missing or no name");
	if (!n.p.pattern == !n.values || (n.values && !json_is_array(n.values)))
		return err_set(e, ERR_INVALID, "a pool has a 'pattern' or a list of 'values'");
	ch.target = n.p.id;
	return run_change(c, &ch, &n, e);
}

static int apply_extend(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct change_pool *n = data;
	int r = pools_extend(tx, n->p.id, n->p.last, n->p.low_water, n->revision, e);

	return r < 0 ? r : pools_get(tx, n->p.id, ret, e);
}

static int patch_pool(struct call *c, struct err *e)
{
	struct change_pool n = {.p.id = request_param(c->rq, "id")};
	struct change ch = {.apply = apply_extend,
		.data = &n,
		.status = 200,
		.audit = "pool.extend",
		.target = n.p.id};
	json_t *old = NULL;
	int r = api_need_object(c, e);

	if (r == 0)
		r = api_read(c, read_pool, &old, e);
	if (r == 0)
		r = api_match(c, &n.revision, e);
	if (r == 0)
		r = int_member(c->body, "last", json_integer_value(json_object_get(old, "last")),
			&n.p.last, e);
	if (r == 0)
		r = int_member(c->body, "low_water",
			json_integer_value(json_object_get(old, "low_water")), &n.p.low_water, e);
	json_decref(old);
	return r < 0 ? r : api_change(c, &ch, e);
}

static int apply_values(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct change_pool *n = data;
	int r = pools_add_values(tx, n->p.id, n->values, &n->offending, e);

	return r < 0 ? r : pools_get(tx, n->p.id, ret, e);
}

static int post_values(struct call *c, struct err *e)
{
	struct change_pool n = {.p.id = request_param(c->rq, "id")};
	struct change ch = {.apply = apply_values,
		.data = &n,
		.status = 200,
		.audit = "pool.values",
		.target = n.p.id};
	int r = api_need_object(c, e);

	if (r < 0)
		return r;
	n.values = json_object_get(c->body, "values");
	if (!json_is_array(n.values) || json_array_size(n.values) == 0)
		return err_set(e, ERR_INVALID, "'values' must be a list");
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

/* Also while the records are held: what is known to be given out is passed over first. */
static int post_advance(struct call *c, struct err *e)
{
	struct advance a = {.id = request_param(c->rq, "id"), .by = c->who->name};
	struct change ch = {.apply = apply_advance,
		.data = &a,
		.status = 200,
		.audit = "pool.advance",
		.target = a.id};
	const json_t *next;
	int r = api_need_object(c, e);

	if (r < 0)
		return r;
	next = json_object_get(c->body, "next");
	a.reason = json_string_value(json_object_get(c->body, "reason"));
	if (!json_is_integer(next))
		return err_set(e, ERR_UNPROCESSABLE, "'next' is missing: the number to go on with");
	if (!a.reason || !*a.reason || strlen(a.reason) > 300)
		return err_set(e, ERR_UNPROCESSABLE,
			"'reason' is missing: a text of 1 to 300 bytes, which stays on record");
	a.next = json_integer_value(next);
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
	};

	return ledger_list(d, &f, page, ret, e);
}

static int get_ledger(struct call *c, struct err *e)
{
	return api_answer_page(c, read_ledger, e);
}

static const char *const kinds[] = {"serial", "mac", "license", NULL};
static const char *const states[] = {"free", "reserved", "committed", "void", NULL};
static const struct query_param query_of_pool[] = {
	{"kind", kinds}, {"state", states}, {"job_id", NULL}, {"run_id", NULL}, QUERY_PAGE, {0}};
static const struct query_param query_serials[] = {{"kind", kinds}, {"state", states},
	{"pool", NULL}, {"job_id", NULL}, {"run_id", NULL}, QUERY_PAGE, {0}};
static const char *const pool_fields[] = {
	"id", "kind", "pattern", "check", "model", "first", "last", "low_water", "values", NULL};
static const char *const patch_fields[] = {"last", "low_water", NULL};
static const char *const values_fields[] = {"values", NULL};
static const char *const advance_fields[] = {"next", "reason", NULL};

const struct route routes_pools[] = {
	{HTTP_GET, "/api/v1/pools", MAY_READ, ROUTE_NO_BODY, 0, get_pools},
	{HTTP_POST, "/api/v1/pools", MAY_ORDER, ROUTE_ORDERS, 8 * 1024 * 1024, post_pool, NULL,
		pool_fields},
	{HTTP_GET, "/api/v1/pools/{id}", MAY_READ, ROUTE_NO_BODY, 0, get_pool},
	{HTTP_PATCH, "/api/v1/pools/{id}", MAY_ORDER, 0, 0, patch_pool, NULL, patch_fields},
	{HTTP_POST, "/api/v1/pools/{id}/values", MAY_ORDER, ROUTE_ORDERS, 8 * 1024 * 1024,
		post_values, NULL, values_fields},
	{HTTP_POST, "/api/v1/pools/{id}/actions/advance", MAY_ADMIN | ROLE_BIT(SUPERVISOR),
		ROUTE_WHEN_HELD, 0, post_advance, NULL, advance_fields},
	{HTTP_GET, "/api/v1/pools/{id}/serials", MAY_READ, ROUTE_NO_BODY, 0, get_ledger,
		query_of_pool},
	{HTTP_GET, "/api/v1/serials", MAY_READ, ROUTE_NO_BODY, 0, get_ledger, query_serials},
	{0},
};
