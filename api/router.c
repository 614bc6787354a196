/* SPDX-License-Identifier: Apache-2.0 */
#include "api/router.h"

#include <strings.h>
#include <unistd.h>

#include "api/access_log.h"
#include "api/httpd_upload.h"
#include "api/metrics.h"
#include "api/problem.h"
#include "api/request_check.h"
#include "api/route_match.h"
#include "base/digest.h"
#include "base/iotime.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/util.h"

#define DEFAULT_MAX_BODY (256 * 1024)

const struct query_param query_any[] = {{0}};
const struct form_row form_none[] = {{0}};

const struct route *const route_tables[] = {routes_stations, routes_jobs, routes_recipes,
	routes_artifacts, routes_runs, routes_attachments, routes_units, routes_pools,
	routes_prompts, routes_events, routes_export, routes_fixtures, routes_keys, routes_meta,
	routes_outbox, routes_quality, routes_records, routes_recall, routes_reports, routes_search,
	routes_tokens, routes_web, routes_webhooks};
const size_t route_table_count = ARRAY_LEN(route_tables);

/* --- matching --- */

/* Where the path has other methods only, they are bits of *ret_others. */
static const struct route *find_route(struct request *rq, unsigned *ret_others)
{
	*ret_others = 0;
	for (size_t t = 0; t < route_table_count; t++) {
		for (const struct route *r = route_tables[t]; r->pattern; r++) {
			if (!route_matches(r->pattern, rq))
				continue;
			if (r->method == rq->method)
				return r;
			*ret_others |= 1u << r->method;
		}
	}
	return NULL;
}

/* --- the three calls of httpd --- */

static int refuse_with(
	struct request *rq, struct response *rs, int status, enum err_code code, const char *detail)
{
	problem_answer(rs, rq, status, code, detail, NULL);
	return status;
}

/* RFC 9110, 15.5.6: with the methods that it has. */
static int refuse_method(struct request *rq, struct response *rs, unsigned methods)
{
	struct strbuf b = {0};

	for (int m = 0; m < HTTP_METHODS; m++)
		if (methods & 1u << m)
			sb_addf(&b, "%s%s", b.len ? ", " : "",
				http_method_str((enum http_method)m));
	if (methods & 1u << HTTP_GET)
		sb_add(&b, ", HEAD");
	response_header(rs, "Allow", "%s", b.s);
	sb_done(&b);
	return refuse_with(rq, rs, 405, ERR_INVALID, "this path has no such method");
}

/* A browser's cookie and certificate travel by themselves: what changes something must come from our own
 * pages. A program that shows a certificate names no origin; a browser always does. */
static bool origin_is_ours(const struct request *rq, const struct principal *who)
{
	const char *origin = request_header(rq, "Origin");
	const char *host = request_header(rq, "Host");
	const char *at = origin ? strstr(origin, "://") : NULL;

	if (!origin)
		return !who->by_cookie;
	/* Before a proxy with TLS it is https where provd is not. */
	if (rq->secure && strncasecmp(origin, "https://", 8) != 0)
		return false;
	return at && host && !strcasecmp(at + 3, host);
}

/* Before a route is looked up: a certificate that came must be good, and where one is needed none is not
 * taken for a client that has only a token. */
static int check_certificate(struct api *a, struct request *rq, struct response *rs)
{
	struct auth_refusal why;
	const char *reason = "";

	if (rq->client)
		reason = rq->client->refused;
	else if (rq->secure && __atomic_load_n(&a->client_required, __ATOMIC_RELAXED))
		reason = "a client certificate is needed here, and none came";
	if (!*reason)
		return 0;
	auth_certificate_refused(a->auth, rq, &why);
	if (why.note)
		api_note_certificate(a, rq, reason, &why);
	return refuse_with(rq, rs, 401, ERR_CERT_REFUSED, reason);
}

/* What keeps the line from taking this request (daemon/line/holds.h). */
static int check_holds(
	struct api *a, const struct request *rq, const struct route *r, struct err *e)
{
	unsigned stops = r->flags & ROUTE_ORDERS ? HOLD_STOPS_ORDERS : 0;
	int ret;

	if (rq->method == HTTP_GET || r->flags & ROUTE_PUBLIC)
		return 0;
	if (!(r->flags & ROUTE_WHEN_HELD))
		stops |= HOLD_STOPS_CHANGES;
	ret = holds_check(fleet_holds(a->fleet), stops, e);
	if (ret == 0 && r->flags & ROUTE_ORDERS)
		ret = disk_check(records_disk(fleet_records(a->fleet)), 0, e);
	return ret;
}

/* Finds the principal, and whether it may do this; else answers. */
static int let_in(struct api *a, const struct route *r, struct request *rq, struct response *rs,
	struct intake *ret)
{
	struct principal *who = xcalloc(1, sizeof *who);
	struct auth_refusal why;
	struct err e;

	ret->owner = "";
	if (auth_check(a->auth, rq, a->rate_limit, who, &why, &e) < 0) {
		if (who->id[0])
			ret->owner = NULL; /* a right token that comes too often */
		if (why.note)
			api_note_failure(a, rq, &why);
		rs->retry_after_s = why.retry_after_s;
		free(who);
		return refuse_with(rq, rs, problem_status(e.code), e.code, e.msg);
	}
	rq->principal = who;
	ret->owner = who->id;
	if (!(r->roles & 1u << who->role))
		return refuse_with(
			rq, rs, 403, ERR_FORBIDDEN, "the role of this token may not do that");
	if (request_check_scope(rq, r, who->scopes, &e) < 0)
		return refuse_with(rq, rs, 403, e.code, e.msg);
	if ((who->by_cookie || who->by_certificate) && rq->method != HTTP_GET &&
		!origin_is_ours(rq, who))
		return refuse_with(
			rq, rs, 403, ERR_FORBIDDEN, "the request comes from another site");
	if (check_holds(a, rq, r, &e) < 0)
		return refuse_with(rq, rs, problem_status(e.code), e.code, e.msg);
	return 0;
}

/* Another site's page would log a browser in as somebody else (POST /session). A browser says over TLS
 * where a request comes from, whatever a proxy makes of the Host. */
static bool is_cross_site(const struct request *rq)
{
	const char *site = request_header(rq, "Sec-Fetch-Site");

	return rq->method != HTTP_GET && site && !strcasecmp(site, "cross-site");
}

/* Which file it goes to, where it comes in pieces. */
static int begin_upload(struct api *a, struct request *rq, struct intake *ret, const char **ret_why)
{
	const char *sha = request_param(rq, "sha256");
	struct config *c = fleet_config(a->fleet);
	int status = upload_read_range(rq, &rq->upload_piece, ret_why);

	ret->max_body = c->artifact_max_bytes;
	config_unref(c);
	if (status != 0 || rq->upload_piece.total == 0)
		return status;
	if (!sha || !is_sha256_hex(sha)) {
		*ret_why = "the path must end in the SHA-256 in lower-case hex";
		return 400;
	}
	snprintf(rq->upload_path, sizeof rq->upload_path, "%s/" UPLOAD_PART "%s",
		store_artifacts(fleet_store(a->fleet)), sha);
	return 0;
}

static int begin(void *data, struct request *rq, struct response *rs, struct intake *ret)
{
	struct api *a = data;
	unsigned others;
	const struct route *r;
	const char *why;
	int status = check_certificate(a, rq, rs);

	if (status != 0)
		return status;
	r = find_route(rq, &others);
	if (!r && others)
		return refuse_method(rq, rs, others);
	if (!r)
		return refuse_with(rq, rs, 404, ERR_NOT_FOUND, "there is nothing at this path");
	rq->route = r;
	*ret = (struct intake){.upload = r->flags & ROUTE_UPLOAD,
		.heavy = r->flags & ROUTE_UPLOAD,
		.direct = r->flags & ROUTE_DIRECT,
		.max_body = r->max_body ? r->max_body : DEFAULT_MAX_BODY};
	if (ret->upload)
		status = begin_upload(a, rq, ret, &why);
	if (status != 0)
		return refuse_with(rq, rs, status, ERR_INVALID, why);
	if (r->flags & ROUTE_PUBLIC && is_cross_site(rq))
		return refuse_with(
			rq, rs, 403, ERR_FORBIDDEN, "the request comes from another site");
	return r->flags & ROUTE_PUBLIC ? 0 : let_in(a, r, rq, rs, ret);
}

/* A browser comes back over TLS alone (RFC 6797). Not of localhost, which other programs serve too. */
static void add_hsts(const struct request *rq, struct response *rs)
{
	const char *host = request_header(rq, "Host");

	if (rq->secure && host && strncasecmp(host, "localhost", 9) != 0)
		response_header(rs, "Strict-Transport-Security", "max-age=31536000");
}

/* A file that came in pieces is whole: it is stored now, or it is not what it should be. Where provd itself could not
 * take it, it is still there for another try. */
static void settle_pieces(struct request *rq, const struct response *rs)
{
	if (rq->upload_kept && rq->upload_sha256[0])
		rq->upload_kept = rs->status >= 500 && access(rq->upload_path, F_OK) == 0;
}

static void handle(void *data, struct request *rq, struct response *rs)
{
	const struct route *r = rq->route;
	struct call c = {.api = data, .rq = rq, .rs = rs, .who = rq->principal};
	struct err e = {0};
	int ret = request_check_query(rq, r, &e);

	add_hsts(rq, rs);
	if (ret == 0 && !(r->flags & ROUTE_UPLOAD))
		ret = request_read_body(&c, r, &e);
	if (ret == 0)
		ret = request_check_empty(&c, r, &e);
	if (ret == 0)
		ret = request_check_row(&c, r, &e);
	if (ret == 0 && c.who)
		ret = api_repeat(&c, &e);
	if (ret == 0)
		ret = r->handle(&c, &e);
	if (ret < 0) {
		int status = problem_status(e.code);

		if (e.code == ERR_PRECONDITION && !request_header(rq, "If-Match"))
			status = 428;
		if (e.code == ERR_RECORDS_DAMAGED)
			holds_set(fleet_holds(c.api->fleet), HOLD_DAMAGE, "%s", e.msg);
		if (status >= 500)
			log_error("%s %s: %s", http_method_str(rq->method), rq->path, e.msg);
		problem_answer(rs, rq, status, e.code, e.msg, c.problem_errors);
	}
	settle_pieces(rq, rs);
	json_decref(c.body);
	json_decref(c.list_extra);
	json_decref(c.problem_errors);
	free(c.key);
	if (c.form)
		form_done(r->form, c.form);
	free(c.form);
}

static void refuse(
	void *data, struct request *rq, struct response *rs, int status, const char *detail)
{
	problem_answer(rs, rq, status,
		status == 413			 ? ERR_TOO_LARGE
		: status == 409			 ? ERR_CONFLICT
		: status == 429 || status == 503 ? ERR_OVERLOADED
		: status == 415 || status == 501 ? ERR_UNSUPPORTED
		: status == 507			 ? ERR_DISK_FULL
						 : ERR_INVALID,
		detail, NULL);
}

static int upload(
	void *data, struct request *rq, uint64_t taken, uint64_t more, const char **ret_why)
{
	struct api *a = data;
	int status = artifact_quota_take(&a->quota, taken, more, ret_why);
	struct err e;

	if (status != 0)
		return status;
	rq->upload_taken += taken;
	if (disk_check(records_disk(fleet_records(a->fleet)), taken + more, &e) == 0)
		return 0;
	*ret_why = "the disk has no room for this file: free some space, or delete artifacts";
	return 507;
}

static void note_access(struct api *a, const struct request *rq)
{
	const struct route *r = rq->route;
	const struct principal *who = rq->principal;
	const uint64_t took_us = now_us() - rq->begun_us;
	struct access_entry n = {.at_ms = wall_ms() - (int64_t)(took_us / US_PER_MS),
		.method = rq->head ? "HEAD" : http_method_str(rq->method),
		.route = r ? r->pattern : "",
		.status = rq->status,
		.bytes = rq->answer_bytes,
		.took_us = took_us};
	struct trace_context trace;

	memcpy(n.request_id, rq->id, sizeof n.request_id);
	snprintf(n.principal, sizeof n.principal, "%s", who ? who->name : "");
	snprintf(n.address, sizeof n.address, "%s", rq->peer ? rq->peer : "");
	if (request_trace(rq, &trace))
		memcpy(n.trace_id, trace.id, sizeof n.trace_id);
	access_log_add(a->access_log, &n);
}

static void done(void *data, struct request *rq)
{
	struct api *a = data;

	api_count_request(a, rq);
	if (access_log_on(a->access_log))
		note_access(a, rq);
	/* What is kept of a file that comes in pieces is still there. */
	if (!rq->upload_kept)
		artifact_quota_give(&a->quota, rq->upload_taken);
	free((void *)rq->principal);
}

const struct httpd_ops router_ops = {begin, upload, handle, refuse, done};
