/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/form.h"
#include "base/timefmt.h"
#include "plant/ingest.h"
#include "plant/leases.h"
#include "plant/metrics.h"
#include "plant/orders.h"
#include "plant/reports.h"
#include "plant/router.h"
#include "plant/schema.h"

/* --- bodies --- */

/* The body by its rows; the first mistake is the error. */
static int read_form(const struct ask *a, const struct form_row *rows, void *to, struct err *e)
{
	struct mistakes m = {0};
	int r = 0;

	form_read(rows, a->body, "", "field", to, &m);
	if (m.count > 0)
		r = err_set(e, ERR_UNPROCESSABLE, "%s: %s",
			*m.item[0].pointer ? m.item[0].pointer : "the body", m.item[0].text);
	mistakes_done(&m);
	return r;
}

static json_t *items(json_t *list)
{
	return json_pack("{s:o, s:n}", "items", list, "next_cursor");
}

/* --- without a token --- */

static int livez(struct ask *a, json_t **ret, struct err *e)
{
	*ret = json_pack("{s:s}", "status", "alive");
	return 0;
}

static int readyz(struct ask *a, json_t **ret, struct err *e)
{
	struct pg_rows *rows = NULL;
	int r = pool_read(a->plant->pool,
		&PG("SELECT pg_is_in_recovery(), current_setting('synchronous_standby_names'),"
		    " (SELECT max(version) FROM plant_schema)"),
		&rows, &a->it, e);

	if (r == 0 && pg_true(rows, 0, 0))
		r = err_set(e, ERR_SERVICE_DOWN,
			"the plant's database is a standby, which takes no records: promote it, or name the primary");
	if (r == 0)
		r = schema_check(pg_int(rows, 0, 2), e);
	if (r == 0)
		*ret = json_pack(
			"{s:s, s:b}", "status", "ready", "replicated", *pg_text(rows, 0, 1) != 0);
	pg_rows_free(rows);
	return r;
}

/* --- hosts speak --- */

static const struct form_row session_rows[] = {
	{"protocol", FORM_INT, .required = true, .low = 0, .high = INT32_MAX,
		FORM_AT(struct session_ask, protocol)},
	{"epoch", FORM_TEXT, .required = true, .low = 1, .high = 63,
		FORM_AT(struct session_ask, epoch)},
	{"generation", FORM_INT, .required = true, .low = 0, .high = INT64_MAX,
		FORM_AT(struct session_ask, generation)},
	{"fence", FORM_INT, .required = true, .low = 0, .high = INT64_MAX,
		FORM_AT(struct session_ask, fence)},
	{"nonce", FORM_TEXT, .required = true, .low = 16, .high = 64,
		FORM_AT(struct session_ask, nonce)},
	{"home", FORM_TEXT, .required = true, .low = 16, .high = 64,
		FORM_AT(struct session_ask, home)},
	{"place", FORM_TEXT, .required = true, .low = 16, .high = 64,
		FORM_AT(struct session_ask, place)},
	{"seq", FORM_INT, .required = true, .low = 0, .high = INT64_MAX,
		FORM_AT(struct session_ask, seq)},
	{0},
};

/* Why a host may not speak is on record: people see it where they look at the plant. */
static int note(struct ask *a, int r, const struct err *e)
{
	if (r == -ERR_HOST_COPIED || r == -ERR_HOST_OLDER || r == -ERR_PLANT_VERSION)
		hosts_note_refusal(a->plant->pool, a->who.host, e, &a->it);
	return r;
}

static int host_session(struct ask *a, json_t **ret, struct err *e)
{
	struct session_ask s = {0};
	int r = read_form(a, session_rows, &s, e);

	if (r == 0)
		r = note(a, hosts_session(a->plant->pool, a->who.host, &s, ret, &a->it, e), e);
	form_done(session_rows, &s);
	return r;
}

static int host_status(struct ask *a, json_t **ret, struct err *e)
{
	return hosts_status(a->plant->pool, a->who.host, ret, &a->it, e);
}

static int host_records(struct ask *a, json_t **ret, struct err *e)
{
	struct batch b;
	int r = batch_read(a->who.host, wall_ms(), a->rq->body ? (const char *)a->rq->body : "",
		a->rq->body_len, &b, e);

	if (r < 0)
		return r;
	r = note(a, ingest(a->plant->pool, a->who.host, &b, ret, &a->it, e), e);
	batch_done(&b);
	return r;
}

struct lease_form {
	int64_t fence, lease, next;
	char *request, *pool;
};

static const struct form_row lease_rows[] = {
	{"fence", FORM_INT, .required = true, .low = 0, .high = INT64_MAX,
		FORM_AT(struct lease_form, fence)},
	{"request", FORM_TEXT, .required = true, .low = 16, .high = 64,
		FORM_AT(struct lease_form, request)},
	{"pool", FORM_TEXT, .required = true, .low = 1, .high = 63,
		FORM_AT(struct lease_form, pool)},
	{0},
};
static const struct form_row return_rows[] = {
	{"fence", FORM_INT, .required = true, .low = 0, .high = INT64_MAX,
		FORM_AT(struct lease_form, fence)},
	{"lease", FORM_INT, .required = true, .low = 1, .high = INT64_MAX,
		FORM_AT(struct lease_form, lease)},
	{"next", FORM_INT, .required = true, .low = 0, .high = INT64_MAX,
		.doc = "Nothing from here on is given out any more.",
		FORM_AT(struct lease_form, next)},
	{0},
};

static int host_lease(struct ask *a, json_t **ret, struct err *e)
{
	struct lease_form f = {0};
	int r = read_form(a, lease_rows, &f, e);

	if (r == 0)
		r = note(a,
			leases_take(a->plant->pool, a->who.host, f.fence, f.request, f.pool, ret,
				&a->it, e),
			e);
	form_done(lease_rows, &f);
	return r;
}

static int host_return(struct ask *a, json_t **ret, struct err *e)
{
	struct lease_form f = {0};
	int r = read_form(a, return_rows, &f, e);

	if (r == 0)
		r = note(a,
			leases_return(
				a->plant->pool, a->who.host, f.fence, f.lease, f.next, &a->it, e),
			e);
	if (r == 0)
		*ret = json_pack("{s:I}", "lease", (json_int_t)f.lease);
	form_done(return_rows, &f);
	return r;
}

static const struct form_row claim_rows[] = {
	{"fence", FORM_INT, .required = true, .low = 0, .high = INT64_MAX,
		FORM_AT(struct claim_ask, fence)},
	{"request", FORM_TEXT, .required = true, .low = 16, .high = 64,
		FORM_AT(struct claim_ask, request)},
	{"most", FORM_INT, .required = true, .low = 1, .high = 100000,
		FORM_AT(struct claim_ask, most)},
	{"recipes", FORM_TEXTS, .required = true, FORM_AT(struct claim_ask, recipes)},
	{0},
};

struct claim_end {
	int64_t fence, claim;
	char *refused;
};
static const struct form_row claim_end_rows[] = {
	{"fence", FORM_INT, .required = true, .low = 0, .high = INT64_MAX,
		FORM_AT(struct claim_end, fence)},
	{"claim", FORM_INT, .required = true, .low = 1, .high = INT64_MAX,
		FORM_AT(struct claim_end, claim)},
	{"refused", FORM_TEXT, .low = 1, .high = 500, .doc = "Why the host could not take it.",
		FORM_AT(struct claim_end, refused)},
	{0},
};

static int host_claim(struct ask *a, json_t **ret, struct err *e)
{
	struct claim_ask f = {0};
	int r = read_form(a, claim_rows, &f, e);

	if (r == 0)
		r = note(a, orders_claim(a->plant->pool, a->who.host, &f, ret, &a->it, e), e);
	form_done(claim_rows, &f);
	return r;
}

static int host_claim_end(struct ask *a, json_t **ret, struct err *e)
{
	struct claim_end f = {0};
	int r = read_form(a, claim_end_rows, &f, e);

	if (r == 0)
		r = note(a,
			orders_claim_ended(a->plant->pool, a->who.host, f.fence, f.claim, f.refused,
				&a->it, e),
			e);
	if (r == 0)
		*ret = json_pack("{s:I}", "claim", (json_int_t)f.claim);
	form_done(claim_end_rows, &f);
	return r;
}

/* --- people --- */

struct named {
	char *id, *reason;
};
static const struct form_row host_rows[] = {
	{"id", FORM_TEXT, .required = true, .low = 1, .high = 63, FORM_AT(struct named, id)}, {0}};
static const struct form_row reason_rows[] = {{"reason", FORM_TEXT, .required = true, .low = 1,
						      .high = 500, FORM_AT(struct named, reason)},
	{0}};

static int hosts_post(struct ask *a, json_t **ret, struct err *e)
{
	struct named n = {0};
	int r = read_form(a, host_rows, &n, e);

	if (r == 0)
		r = plant_name_check(n.id, e);
	if (r == 0)
		r = hosts_add(a->plant->pool, n.id, a->who.name, ret, &a->it, e);
	form_done(host_rows, &n);
	return r;
}

static int host_token(struct ask *a, json_t **ret, struct err *e)
{
	return hosts_token(a->plant->pool, request_param(a->rq, "id"), a->who.name, ret, &a->it, e);
}

static int host_readmit(struct ask *a, json_t **ret, struct err *e)
{
	const char *id = request_param(a->rq, "id");
	struct named n = {0};
	int r = read_form(a, reason_rows, &n, e);

	if (r == 0)
		r = hosts_readmit(a->plant->pool, id, n.reason, a->who.name, &a->it, e);
	if (r == 0)
		*ret = json_pack("{s:s}", "id", id);
	form_done(reason_rows, &n);
	return r;
}

static int listed(int r, json_t **ret)
{
	if (r == 0)
		*ret = items(*ret);
	return r;
}

static int hosts_get(struct ask *a, json_t **ret, struct err *e)
{
	return listed(hosts_list(a->plant->pool, ret, &a->it, e), ret);
}

static int pools_get_all(struct ask *a, json_t **ret, struct err *e)
{
	return listed(leases_pools(a->plant->pool, ret, &a->it, e), ret);
}

static int pools_post(struct ask *a, json_t **ret, struct err *e)
{
	return leases_add_pool(a->plant->pool, a->body, a->who.name, ret, &a->it, e);
}

static int orders_get_all(struct ask *a, json_t **ret, struct err *e)
{
	return listed(orders_list(a->plant->pool, ret, &a->it, e), ret);
}

static int orders_post(struct ask *a, json_t **ret, struct err *e)
{
	return orders_add(a->plant->pool, a->body, a->who.name, ret, &a->it, e);
}

static int order_cancel(struct ask *a, json_t **ret, struct err *e)
{
	const char *id = request_param(a->rq, "id");
	struct named n = {0};
	int r = read_form(a, reason_rows, &n, e);

	if (r == 0)
		r = orders_cancel(a->plant->pool, id, n.reason, a->who.name, &a->it, e);
	if (r == 0)
		*ret = json_pack("{s:s}", "id", id);
	form_done(reason_rows, &n);
	return r;
}

static int leases_get(struct ask *a, json_t **ret, struct err *e)
{
	return listed(leases_list(a->plant->pool, request_query(a->rq, "host"),
			      request_query(a->rq, "pool"), ret, &a->it, e),
		ret);
}

static int runs_get(struct ask *a, json_t **ret, struct err *e)
{
	return listed(report_runs(a->plant->pool, request_query(a->rq, "serial"),
			      request_query(a->rq, "host"), ret, &a->it, e),
		ret);
}

static int conflicts_get(struct ask *a, json_t **ret, struct err *e)
{
	return listed(report_conflicts(a->plant->pool, ret, &a->it, e), ret);
}

static int time_query(const struct ask *a, const char *name, int64_t *ret, struct err *e)
{
	const char *s = request_query(a->rq, name);

	if (s && rfc3339_parse(s, ret) < 0)
		return err_set(e, ERR_INVALID, "'%s' is a time such as 2026-11-29T14:00:00Z", name);
	return 0;
}

static int yield_get(struct ask *a, json_t **ret, struct err *e)
{
	int64_t from = 0, to = 0;
	int r = time_query(a, "from", &from, e);

	if (r == 0)
		r = time_query(a, "to", &to, e);
	return r < 0 ? r : report_yield(a->plant->pool, from, to, ret, &a->it, e);
}

static int metrics_get(struct ask *a, json_t **ret, struct err *e)
{
	struct strbuf text = {0};
	int r = metrics_text(a->plant->pool, &text, &a->it, e);

	if (r == 0) {
		const size_t n = text.len;

		response_text(
			a->rs, 200, "text/plain; version=0.0.4; charset=utf-8", sb_take(&text), n);
	}
	sb_done(&text);
	return r;
}

#define V1 "/api/v1"

const struct plant_route plant_routes[] = {
	{HTTP_GET, "/livez", 0, PLANT_PUBLIC, 0, livez},
	{HTTP_GET, "/readyz", 0, PLANT_PUBLIC, 0, readyz},
	{HTTP_GET, "/metrics", MAY_READ, 0, 0, metrics_get},
	{HTTP_GET, V1 "/host", MAY(PLANT_HOST), 0, 0, host_status},
	{HTTP_POST, V1 "/host/session", MAY(PLANT_HOST), 0, 0, host_session},
	{HTTP_POST, V1 "/host/records", MAY(PLANT_HOST), PLANT_RAW, BATCH_BYTES_MAX, host_records},
	{HTTP_POST, V1 "/host/leases", MAY(PLANT_HOST), 0, 0, host_lease},
	{HTTP_POST, V1 "/host/returns", MAY(PLANT_HOST), 0, 0, host_return},
	{HTTP_POST, V1 "/host/claims", MAY(PLANT_HOST), 0, 0, host_claim},
	{HTTP_POST, V1 "/host/claims/end", MAY(PLANT_HOST), 0, 0, host_claim_end},
	{HTTP_GET, V1 "/orders", MAY_READ, 0, 0, orders_get_all},
	{HTTP_POST, V1 "/orders", MAY(PLANT_ADMIN), 0, 0, orders_post, 201},
	{HTTP_POST, V1 "/orders/{id}/cancel", MAY(PLANT_ADMIN), 0, 0, order_cancel},
	{HTTP_GET, V1 "/hosts", MAY_READ, 0, 0, hosts_get},
	{HTTP_POST, V1 "/hosts", MAY(PLANT_ADMIN), 0, 0, hosts_post, 201},
	{HTTP_POST, V1 "/hosts/{id}/token", MAY(PLANT_ADMIN), 0, 0, host_token},
	{HTTP_POST, V1 "/hosts/{id}/readmit", MAY(PLANT_ADMIN), 0, 0, host_readmit},
	{HTTP_GET, V1 "/pools", MAY_READ, 0, 0, pools_get_all},
	{HTTP_POST, V1 "/pools", MAY(PLANT_ADMIN), 0, 0, pools_post, 201},
	{HTTP_GET, V1 "/leases", MAY_READ, 0, 0, leases_get},
	{HTTP_GET, V1 "/runs", MAY_READ, 0, 0, runs_get},
	{HTTP_GET, V1 "/conflicts", MAY_READ, 0, 0, conflicts_get},
	{HTTP_GET, V1 "/reports/yield", MAY_READ, 0, 0, yield_get},
	{0},
};
