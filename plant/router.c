/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/router.h"

#include <strings.h>

#include "api/problem.h"
#include "api/route_match.h"
#include "base/log.h"
#include "base/secret.h"

#define DEFAULT_BODY (64 * 1024)
#define REQUEST_US   (15 * US_PER_S)
#define HEAVY_US     (45 * US_PER_S) /* of a body of many megabytes: a host waits for 60 s */

/* --- before the body --- */

static const struct plant_route *find_route(struct request *rq, bool *ret_path)
{
	*ret_path = false;
	for (const struct plant_route *r = plant_routes; r->pattern; r++) {
		if (!route_matches(r->pattern, rq))
			continue;
		*ret_path = true;
		if (r->method == rq->method)
			return r;
	}
	return NULL;
}

/* RFC 6750, 2.1; NULL where there is none. */
static const char *token_of(const struct request *rq)
{
	static const char scheme[] = "Bearer ";
	const char *said = request_header(rq, "Authorization");

	return said && strncasecmp(said, scheme, strlen(scheme)) == 0 ? said + strlen(scheme)
								      : NULL;
}

static int say_no(
	struct response *rs, struct request *rq, int status, unsigned wait_s, const char *text)
{
	rs->retry_after_s = wait_s;
	problem_answer(rs, rq, status,
		status == 429	? ERR_OVERLOADED
		: status == 503 ? ERR_BUSY
				: ERR_UNAUTHORIZED,
		text, NULL);
	return status;
}

static void note_guess(struct plant *p, const struct request *rq, const char *token)
{
	unsigned failures;

	if (door_failed(p->door, rq->network, token, &failures))
		log_warning("wrong tokens from %s within a minute: %u",
			rq->peer ? rq->peer : "a local socket", failures);
}

/* Nobody's body is read, of up to 32 MiB, whose token is not known. Of a small one the database says more. */
static int ask_door(
	struct plant *p, const struct plant_route *r, struct request *rq, struct response *rs)
{
	const char *said = token_of(rq), *token = tokens_is_text(said) ? said : NULL;
	unsigned wait_s;
	enum door_answer is;

	if (r->flags & PLANT_PUBLIC)
		return 0;
	is = door_ask(p->door, rq->network, token, &wait_s);
	if (is == DOOR_WAIT)
		return say_no(rs, rq, 429, wait_s,
			"too many wrong tokens came from this address or for this token: wait as long as Retry-After says");
	if (!token) {
		if (said)
			note_guess(p, rq, NULL);
		return say_no(rs, rq, 401, 0, "a token is needed: Authorization: Bearer TOKEN");
	}
	return is == DOOR_UNKNOWN && r->max_body > DEFAULT_BODY
		       ? say_no(rs, rq, 503, 1,
				 "this token is not known here yet: it is looked up, ask again in a second")
		       : 0;
}

static int begin(void *data, struct request *rq, struct response *rs, struct intake *ret)
{
	bool path;
	int status;
	const struct plant_route *r = find_route(rq, &path);

	if (!r) {
		problem_answer(rs, rq, path ? 405 : 404, path ? ERR_INVALID : ERR_NOT_FOUND,
			path ? "this path has no such method" : "there is nothing at this path",
			NULL);
		return path ? 405 : 404;
	}
	status = ask_door(data, r, rq, rs);
	if (status)
		return status;
	rq->route = r;
	*ret = (struct intake){.max_body = r->max_body ? r->max_body : DEFAULT_BODY,
		.heavy = r->max_body > DEFAULT_BODY};
	return 0;
}

/* --- who asks --- */

static int find_who(struct ask *a, const struct plant_route *r, struct err *e)
{
	int ret;

	if (r->flags & PLANT_PUBLIC)
		return 0;
	ret = tokens_find(a->plant->pool, token_of(a->rq), &a->who, &a->it, e);
	if (ret == -ERR_UNAUTHORIZED)
		note_guess(a->plant, a->rq, token_of(a->rq));
	if (ret < 0)
		return ret;
	/* A new one, just found: the next request of its owner may be a large one. */
	if (door_wants_look(a->plant->door) &&
		door_look(a->plant->door, a->plant->pool, &a->it, e) < 0)
		*e = (struct err){0};
	return r->roles & MAY(a->who.role)
		       ? 0
		       : err_set(e, ERR_FORBIDDEN, "the role %s may not do that",
				 plant_role_names[a->who.role]);
}

static int read_body(struct ask *a, const struct plant_route *r, struct err *e)
{
	json_error_t why;

	if (r->method == HTTP_GET || r->flags & PLANT_RAW)
		return 0;
	a->body = json_loadb(
		(const char *)a->rq->body, a->rq->body_len, JSON_REJECT_DUPLICATES, &why);
	return json_is_object(a->body)
		       ? 0
		       : err_set(e, ERR_INVALID, "the body is an object of JSON: %s",
				 a->body ? "it is something else" : why.text);
}

static void answer(struct ask *a, const struct plant_route *r, json_t *o)
{
	if (o)
		response_json(a->rs, r->status ? r->status : 200, o);
	response_header(a->rs, "Cache-Control", "no-store");
}

static void handle(void *data, struct request *rq, struct response *rs)
{
	const struct plant_route *r = rq->route;
	struct plant *plant = data;
	const uint64_t takes = r->max_body > DEFAULT_BODY ? HEAVY_US : REQUEST_US;
	struct ask a = {.plant = plant, .rq = rq, .rs = rs, .it = {now_us() + takes, &plant->stop}};
	struct err e = {0};
	json_t *o = NULL;
	int ret = find_who(&a, r, &e);

	if (ret == 0)
		ret = read_body(&a, r, &e);
	if (ret == 0)
		ret = r->handle(&a, &o, &e);
	if (ret == 0) {
		answer(&a, r, o);
	} else {
		const int status = e.code == ERR_BUSY ? 503 : problem_status(e.code);

		if (status >= 500)
			log_error("%s %s: %s", http_method_str(rq->method), rq->path, e.msg);
		problem_answer(rs, rq, status, e.code, e.msg, NULL);
	}
	json_decref(a.body);
}

static void refuse(
	void *data, struct request *rq, struct response *rs, int status, const char *detail)
{
	problem_answer(rs, rq, status,
		status == 413			 ? ERR_TOO_LARGE
		: status == 429 || status == 503 ? ERR_OVERLOADED
		: status == 415 || status == 501 ? ERR_UNSUPPORTED
						 : ERR_INVALID,
		detail, NULL);
}

static int no_upload(
	void *data, struct request *rq, uint64_t taken, uint64_t more, const char **ret_why)
{
	*ret_why = "the plant takes no files";
	return 415;
}

static void done(void *data, struct request *rq)
{
}

const struct httpd_ops plant_ops = {begin, no_upload, handle, refuse, done};
