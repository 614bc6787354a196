/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/orders.h"

#include <string.h>

#include "base/timefmt.h"
#include "plant/audit.h"

/* What passed of a claim c. */
#define PASSED                                                                                             \
	"(SELECT count(DISTINCT coalesce(r.unit, r.id)) FROM runs r WHERE r.reference = '" CLAIM_REFERENCE \
	"' || c.id AND r.host = c.host AND r.kind = 'production' AND"                                      \
	" r.outcome = 'passed')"
#define TAKEN(order)                                                                   \
	"coalesce((SELECT sum(CASE WHEN c.state = 'out' THEN c.quantity ELSE c.passed" \
	" END) FROM claims c WHERE c.order_id = " order "), 0)"

/* --- people --- */

struct order_form {
	char *id, *recipe;
	int64_t quantity, priority, claim_s;
	const json_t *params;
};

static const struct form_row order_rows[] = {
	{"id", FORM_TEXT, .required = true, .low = 1, .high = 63, FORM_AT(struct order_form, id)},
	{"recipe", FORM_TEXT, .required = true, .low = 1, .high = 64,
		FORM_AT(struct order_form, recipe)},
	{"quantity", FORM_INT, .required = true, .low = 1, .high = 1000000,
		FORM_AT(struct order_form, quantity)},
	{"priority", FORM_INT, .low = -1000, .high = 1000, .def = "0",
		FORM_AT(struct order_form, priority)},
	{"params", FORM_MAPPING, FORM_AT(struct order_form, params)},
	{"claim_s", FORM_INT, .low = 1, .high = 30 * 86400, .def = "28800",
		.doc = "How long a host may begin units of its part.",
		FORM_AT(struct order_form, claim_s)},
	{0},
};

struct adding {
	const struct order_form *f;
	const char *by;
};

static int apply_add(struct pg *tx, void *data, const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"INSERT INTO orders (id, recipe, quantity, priority, body, claim_ms, state, created_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, 'open', $7)";
	const struct adding *a = data;
	char *params = a->f->params ? json_dumps(a->f->params, JSON_COMPACT | JSON_SORT_KEYS)
				    : strdup("{}");
	int r = params ? pg_run(tx,
				 &PG(sql, a->f->id, a->f->recipe, PG_INT(a->f->quantity),
					 PG_INT(a->f->priority), params,
					 PG_INT(a->f->claim_s * 1000), PG_INT(wall_ms())),
				 1, NULL, it, e)
		       : err_set(e, ERR_NO_MEMORY, "an order");

	free(params);
	if (r == -ERR_CONFLICT)
		return err_set(e, ERR_CONFLICT,
			"there is an order '%s' already, or that is not a name: up to 63 letters, digits, '_', '.' and '-' expected",
			a->f->id);
	return r < 0 ? r : audit(tx, a->by, "order-add", a->f->id, "", it, e);
}

int orders_add(struct pool *p, const json_t *body, const char *by, json_t **ret,
	const struct iotime *it, struct err *e)
{
	struct mistakes m = {0};
	struct order_form f = {0};
	int r = 0;

	form_read(order_rows, body, "", "field", &f, &m);
	if (m.count > 0)
		r = err_set(e, ERR_UNPROCESSABLE, "%s: %s", m.item[0].pointer, m.item[0].text);
	if (r == 0)
		r = plant_name_check(f.id, e);
	if (r == 0)
		r = pool_do(p, apply_add, &(struct adding){&f, by}, it, e);
	if (r == 0)
		*ret = json_pack("{s:s}", "id", f.id);
	mistakes_done(&m);
	form_done(order_rows, &f);
	return r;
}

struct cancelling {
	const char *id, *reason, *by;
};

static int apply_cancel(struct pg *tx, void *data, const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"UPDATE orders SET state = 'cancelled', why = $2, finished_at = $3"
		" WHERE id = $1 AND state IN ('open', 'held')";
	const struct cancelling *c = data;
	struct pg_rows *rows = NULL;
	int r = pg_run(tx, &PG(sql, c->id, c->reason, PG_INT(wall_ms())), 1, &rows, it, e);

	if (r == 0 && pg_changed(rows) == 0)
		r = err_set(e, ERR_CONFLICT, "there is no order '%s' that is open or held", c->id);
	pg_rows_free(rows);
	return r < 0 ? r : audit(tx, c->by, "order-cancel", c->id, c->reason, it, e);
}

int orders_cancel(struct pool *p, const char *id, const char *reason, const char *by,
	const struct iotime *it, struct err *e)
{
	struct cancelling c = {id, reason, by};

	return pool_do(p, apply_cancel, &c, it, e);
}

int orders_list(struct pool *p, json_t **ret, const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"SELECT coalesce(jsonb_agg(jsonb_build_object('id', o.id, 'recipe', recipe, 'quantity',"
		" quantity, 'priority', priority, 'state', state, 'why', why, 'created_at', created_at,"
		" 'finished_at', finished_at, 'remaining', quantity - " TAKEN(
			"o.id") ", 'passed', coalesce((SELECT sum(" PASSED
				") FROM claims c WHERE c.order_id = o.id), 0),"
				" 'claims', coalesce((SELECT jsonb_agg(jsonb_build_object('claim', c.id, 'host', c.host,"
				" 'quantity', c.quantity, 'state', c.state, 'lapsed', c.lapsed, 'passed', " PASSED
				", 'expires_at', c.expires_at) ORDER BY c.id) FROM claims c WHERE c.order_id = o.id),"
				" '[]')) ORDER BY created_at DESC, o.id), '[]') FROM (SELECT * FROM orders ORDER BY"
				" created_at DESC, id LIMIT 200) AS o";

	return read_json(p, &PG(sql), ret, it, e);
}

/* --- a claim --- */

struct claiming {
	const char *host;
	const struct claim_ask *a;
	char *recipes; /* as JSON */
	int64_t now_ms;
	json_t *answer;
};

/* The time of a claim is over, and a tenth of it for clocks that run apart: what is not known to have passed is open
 * again. */
static int lapse(struct pg *tx, const struct claiming *c, const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"UPDATE claims c SET state = 'ended', lapsed = true, passed = " PASSED
		" WHERE c.id IN (SELECT l.id FROM claims l JOIN orders o ON o.id = l.order_id WHERE"
		" l.state = 'out' AND l.expires_at + (l.expires_at - l.granted_at) / 10 < $1"
		" ORDER BY l.id LIMIT 20 FOR UPDATE OF l SKIP LOCKED)";

	return pg_run(tx, &PG(sql, PG_INT(c->now_ms)), 1, NULL, it, e);
}

static json_t *claim_json(const struct pg_rows *rows, int64_t now_ms)
{
	const char *body = pg_text(rows, 0, 5);
	json_t *params = body ? json_loads(body, 0, NULL) : NULL;

	return json_pack("{s:I, s:s, s:s, s:I, s:I, s:o}", "claim", (json_int_t)pg_int(rows, 0, 0),
		"order", pg_text(rows, 0, 1), "recipe", pg_text(rows, 0, 2), "quantity",
		(json_int_t)pg_int(rows, 0, 3), "expires_in_s",
		(json_int_t)MAX(pg_int(rows, 0, 4) - now_ms, 0) / 1000, "params",
		params ? params : json_object());
}

/* 1: it was asked before. */
static int find_answered(struct pg *tx, struct claiming *c, const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"SELECT c.id, o.id, o.recipe, c.quantity, c.expires_at, o.body FROM claims c JOIN orders o"
		" ON o.id = c.order_id WHERE c.host = $1 AND c.request = $2";
	struct pg_rows *rows = NULL;
	int r = pg_run(tx, &PG(sql, c->host, c->a->request), 1, &rows, it, e);

	if (r == 0 && pg_count(rows) > 0) {
		c->answer = claim_json(rows, c->now_ms);
		r = 1;
	}
	pg_rows_free(rows);
	return r;
}

struct found {
	char id[64];
	int64_t remaining, claim_ms;
};

/* 1 with an order that nobody else is taking from at this moment, 0 none. */
static int find_order(struct pg *tx, const struct claiming *c, struct found *ret,
	const struct iotime *it, struct err *e)
{
	static const char pick[] =
		"SELECT o.id FROM orders o WHERE o.state = 'open' AND o.recipe IN (SELECT"
		" jsonb_array_elements_text($1::jsonb)) AND o.quantity > " TAKEN(
			"o.id") " ORDER BY o.priority DESC, o.created_at, o.id LIMIT 1 FOR UPDATE SKIP LOCKED";
	/* Again, now that it is locked: others may have taken from it in between. */
	static const char left[] = "SELECT o.quantity - " TAKEN(
		"o.id") ", claim_ms FROM orders o WHERE o.id = $1 AND o.state = 'open'";
	struct pg_rows *rows = NULL;
	int r = pg_run(tx, &PG(pick, c->recipes), 1, &rows, it, e);
	bool found = r == 0 && pg_count(rows) > 0;

	if (found)
		snprintf(ret->id, sizeof ret->id, "%s", pg_text(rows, 0, 0));
	pg_rows_free(rows);
	rows = NULL;
	if (!found)
		return r;
	r = pg_run(tx, &PG(left, ret->id), 1, &rows, it, e);
	if (r == 0 && pg_count(rows) > 0 && pg_int(rows, 0, 0) > 0) {
		ret->remaining = pg_int(rows, 0, 0);
		ret->claim_ms = pg_int(rows, 0, 1);
		r = 1;
	}
	pg_rows_free(rows);
	return r;
}

static int grant(struct pg *tx, struct claiming *c, const struct found *f, const struct iotime *it,
	struct err *e)
{
	static const char sql[] =
		"INSERT INTO claims (order_id, host, fence, request, quantity, granted_at, expires_at,"
		" state) VALUES ($1, $2, $3, $4, $5, $6, $7, 'out')";

	return pg_run(tx,
		&PG(sql, f->id, c->host, PG_INT(c->a->fence), c->a->request,
			PG_INT(MIN(f->remaining, c->a->most)), PG_INT(c->now_ms),
			PG_INT(c->now_ms + f->claim_ms)),
		1, NULL, it, e);
}

static int apply_claim(struct pg *tx, void *data, const struct iotime *it, struct err *e)
{
	struct claiming *c = data;
	struct found f = {0};
	int r = hosts_check_fence(tx, c->host, c->a->fence, NULL, it, e);

	c->now_ms = wall_ms();
	json_decref(c->answer);
	c->answer = NULL;
	if (r == 0)
		r = find_answered(tx, c, it, e);
	if (r != 0)
		return MIN(r, 0);
	r = lapse(tx, c, it, e);
	if (r == 0)
		r = find_order(tx, c, &f, it, e);
	if (r == 0)
		c->answer = json_pack("{s:n}", "claim");
	if (r > 0)
		r = grant(tx, c, &f, it, e);
	if (r == 0 && !c->answer)
		r = find_answered(tx, c, it, e);
	return MIN(r, 0);
}

int orders_claim(struct pool *p, const char *host, const struct claim_ask *a, json_t **ret,
	const struct iotime *it, struct err *e)
{
	struct claiming c = {.host = host, .a = a, .recipes = json_dumps(a->recipes, JSON_COMPACT)};
	int r = pool_do(p, apply_claim, &c, it, e);

	free(c.recipes);
	if (r < 0)
		json_decref(c.answer);
	else
		*ret = c.answer;
	return r;
}

/* --- its end --- */

struct ending {
	const char *host, *refused;
	int64_t fence, claim;
};

static int apply_end(struct pg *tx, void *data, const struct iotime *it, struct err *e)
{
	/* The order first, as where a claim is made. */
	static const char lock[] =
		"SELECT o.id FROM orders o JOIN claims c ON c.order_id = o.id WHERE"
		" c.id = $1 AND c.host = $2 FOR UPDATE OF o";
	static const char end[] =
		"UPDATE claims c SET state = 'ended', passed = greatest(c.passed, " PASSED
		") WHERE c.id = $1";
	static const char hold[] =
		"UPDATE orders SET state = 'held', why = $2 WHERE id = $1 AND state = 'open'"
		" AND $2::text IS NOT NULL";
	static const char close[] =
		"UPDATE orders o SET state = 'done', finished_at = $2 WHERE o.id = $1 AND o.state = 'open'"
		" AND o.quantity <= (SELECT sum(c.passed) FROM claims c WHERE c.order_id = o.id)";
	const struct ending *x = data;
	struct pg_rows *rows = NULL;
	int r = hosts_check_fence(tx, x->host, x->fence, NULL, it, e);

	if (r == 0)
		r = pg_run(tx, &PG(lock, PG_INT(x->claim), x->host), 1, &rows, it, e);
	if (r == 0 && pg_count(rows) == 0)
		r = err_set(e, ERR_NOT_FOUND, "host %s has no claim %lld", x->host,
			(long long)x->claim);
	if (r == 0) {
		const char *order = pg_text(rows, 0, 0);

		r = pg_run(tx,
			(struct pg_query[]){PG(end, PG_INT(x->claim)), PG(hold, order, x->refused),
				PG(close, order, PG_INT(wall_ms()))},
			3, NULL, it, e);
	}
	pg_rows_free(rows);
	return r;
}

int orders_claim_ended(struct pool *p, const char *host, int64_t fence, int64_t claim,
	const char *refused, const struct iotime *it, struct err *e)
{
	struct ending x = {host, refused, fence, claim};

	return pool_do(p, apply_end, &x, it, e);
}
