/* SPDX-License-Identifier: Apache-2.0 */
#include "api/router.h"

#include <strings.h>

#include "api/problem.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "daemon/recipe/mistake.h"
#include "db/audit.h"
#include "db/idempotency.h"

#define DEFAULT_MAX_BODY (256 * 1024)
#define JSON_MAX_DEPTH	 64

const struct query_param query_any[] = {{0}};
const char *const fields_none[] = {NULL};

const struct route *const route_tables[] = {routes_stations, routes_jobs, routes_recipes,
	routes_artifacts, routes_runs, routes_units, routes_pools, routes_prompts, routes_events,
	routes_meta, routes_records, routes_tokens, routes_web};
const size_t route_table_count = ARRAY_LEN(route_tables);

/* --- matching --- */

/* "/stations/{id}/x" against a path; fills the parameters. A pattern that ends in {rest...} takes
 * what is left. */
static bool path_matches(const char *pattern, struct request *rq)
{
	const char *p = rq->path;
	size_t n = 0;

	memset(rq->param, 0, sizeof rq->param);
	while (*pattern) {
		if (*pattern != '{') {
			if (*pattern++ != *p++)
				return false;
			continue;
		}

		const char *name = pattern + 1;
		const char *end = strchr(pattern, '}');
		size_t len = strcspn(p, "/");

		if (len == 0 || len >= sizeof rq->param[0].value || n == REQUEST_PARAMS)
			return false;
		rq->param[n].name = name;
		memcpy(rq->param[n].value, p, len);
		rq->param[n].value[len] = 0;
		n++;
		p += len;
		pattern = end + 1;
	}
	return !*p;
}

const char *request_param(const struct request *rq, const char *name)
{
	size_t len = strlen(name);

	/* The name stands in the pattern, up to its brace. */
	for (size_t i = 0; i < REQUEST_PARAMS && rq->param[i].name; i++)
		if (!strncmp(rq->param[i].name, name, len) && rq->param[i].name[len] == '}')
			return rq->param[i].value;
	return NULL;
}

/* Where the path has other methods only, they are bits of *ret_others. */
static const struct route *find_route(struct request *rq, unsigned *ret_others)
{
	*ret_others = 0;
	for (size_t t = 0; t < route_table_count; t++) {
		for (const struct route *r = route_tables[t]; r->pattern; r++) {
			if (!path_matches(r->pattern, rq))
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

/* A browser's cookie travels by itself: what changes something must come from our own pages. */
static bool origin_is_ours(const struct request *rq)
{
	const char *origin = request_header(rq, "Origin");
	const char *host = request_header(rq, "Host");
	const char *at = origin ? strstr(origin, "://") : NULL;

	return at && host && !strcasecmp(at + 3, host);
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

/* Who asks, and whether it may; else the answer. */
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
	if (who->by_cookie && rq->method != HTTP_GET && !origin_is_ours(rq))
		return refuse_with(
			rq, rs, 403, ERR_FORBIDDEN, "the request comes from another site");
	if (check_holds(a, rq, r, &e) < 0)
		return refuse_with(rq, rs, problem_status(e.code), e.code, e.msg);
	return 0;
}

static int begin(void *data, struct request *rq, struct response *rs, struct intake *ret)
{
	struct api *a = data;
	unsigned others;
	const struct route *r = find_route(rq, &others);

	if (!r && others)
		return refuse_method(rq, rs, others);
	if (!r)
		return refuse_with(rq, rs, 404, ERR_NOT_FOUND, "there is nothing at this path");
	rq->route = r;
	*ret = (struct intake){.upload = r->flags & ROUTE_UPLOAD,
		.heavy = r->flags & ROUTE_UPLOAD,
		.direct = r->flags & ROUTE_DIRECT,
		.max_body = r->max_body ? r->max_body : DEFAULT_MAX_BODY};
	if (ret->upload) {
		struct config *c = fleet_config(a->fleet);

		ret->max_body = c->artifact_max_bytes;
		config_unref(c);
	}
	return r->flags & ROUTE_PUBLIC ? 0 : let_in(a, r, rq, rs, ret);
}

/* --- what a request may say --- */

struct query_look {
	const struct query_param *allowed;
	unsigned seen; /* bits of allowed */
	struct err *e;
	int result;
};

static void list_names(struct strbuf *b, const char *const *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sb_addf(b, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", name[i]);
}

static int refuse_name(const struct query_look *q, const char *name)
{
	struct strbuf b = {0};
	const char *names[16];
	size_t n = 0;

	for (const struct query_param *p = q->allowed; p && p->name && n < ARRAY_LEN(names); p++)
		names[n++] = p->name;
	list_names(&b, names, n);
	err_set(q->e, ERR_INVALID, "this path takes no parameter '%.60s' (%s%s)", name,
		n ? "it takes " : "it takes none", b.s ? b.s : "");
	sb_done(&b);
	return -ERR_INVALID;
}

static int refuse_value(const struct query_look *q, const struct query_param *p, const char *value)
{
	struct strbuf b = {0};
	size_t n = 0;

	while (p->values[n])
		n++;
	list_names(&b, p->values, n);
	err_set(q->e, ERR_INVALID, "'%s' cannot be '%.60s': it is %s", p->name, value, b.s);
	sb_done(&b);
	return -ERR_INVALID;
}

static bool is_one_of(const char *s, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(s, *names))
			return true;
	return false;
}

static bool look_at_query(void *data, const char *name, const char *value)
{
	struct query_look *q = data;
	const struct query_param *p = q->allowed;

	/* "?&limit=5" says nothing more than "?limit=5". */
	if (!*name && (!value || !*value))
		return true;
	while (p && p->name && strcmp(p->name, name) != 0)
		p++;
	if (!p || !p->name)
		q->result = refuse_name(q, name);
	else if (q->seen & 1u << (p - q->allowed))
		q->result = err_set(q->e, ERR_INVALID, "the parameter '%s' came twice", name);
	else if (!value || !*value)
		q->result = err_set(q->e, ERR_INVALID, "the parameter '%s' has no value", name);
	else if (p->values && !is_one_of(value, p->values))
		q->result = refuse_value(q, p, value);
	else
		q->seen |= 1u << (p - q->allowed);
	return q->result == 0;
}

/* A filter that is misspelt would show everything: it is refused. */
static int check_query(const struct call *c, const struct route *r, struct err *e)
{
	struct query_look q = {.allowed = r->query, .e = e};

	if (r->query != query_any)
		request_each_query(c->rq, look_at_query, &q);
	return q.result;
}

/* What a client means and provd does not know must not be lost in silence. */
static int check_fields(struct call *c, const struct route *r, struct err *e)
{
	struct mistakes m = {0};
	const char *key;
	json_t *v;

	if (!r->fields || !json_is_object(c->body))
		return 0;
	json_object_foreach(c->body, key, v) {
		_cleanup_(freep) char *p = pointer_key("", key);

		if (is_one_of(key, r->fields))
			continue;
		if (r->fields[0])
			mistakes_add_unknown(&m, p, "field", key, r->fields);
		else
			mistakes_add(&m, p, "this request takes no fields");
	}
	if (m.count > 0) {
		c->problem_errors = mistakes_json(&m, NULL);
		err_set(e, ERR_UNPROCESSABLE, "%s", m.item[0].text);
	}
	mistakes_done(&m);
	return c->problem_errors ? -ERR_UNPROCESSABLE : 0;
}

static bool too_deep(const char *s, size_t n)
{
	int depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < n; i++) {
		if (in_string) {
			if (s[i] == '\\')
				i++;
			else if (s[i] == '"')
				in_string = false;
		} else if (s[i] == '"') {
			in_string = true;
		} else if (s[i] == '[' || s[i] == '{') {
			if (++depth > JSON_MAX_DEPTH)
				return true;
		} else if (s[i] == ']' || s[i] == '}') {
			depth--;
		}
	}
	return false;
}

static int parse_body(struct call *c, struct err *e)
{
	const char *text = (const char *)c->rq->body;
	const char *type = request_header(c->rq, "Content-Type");
	json_error_t je;

	if (c->rq->body_len == 0)
		return 0;
	/* Recipes may also come as YAML: their handler reads the text itself. */
	if (type && strncasecmp(type, "application/yaml", 16) == 0)
		return 0;
	if (too_deep(text, c->rq->body_len))
		return err_set(e, ERR_INVALID, "the JSON is nested too deeply");
	c->body = json_loadb(text, c->rq->body_len, JSON_REJECT_DUPLICATES, &je);
	if (!c->body)
		return err_set(e, ERR_INVALID, "no JSON: line %d, column %d: %s", je.line,
			je.column, je.text);
	return 0;
}

static int repeat(struct call *c, struct err *e);

static void handle(void *data, struct request *rq, struct response *rs)
{
	const struct route *r = rq->route;
	struct call c = {.api = data, .rq = rq, .rs = rs, .who = rq->principal};
	struct err e = {0};
	int ret = check_query(&c, r, &e);

	if (ret == 0 && !(r->flags & ROUTE_UPLOAD))
		ret = parse_body(&c, &e);
	if (ret == 0)
		ret = check_fields(&c, r, &e);
	if (ret == 0 && c.who)
		ret = repeat(&c, &e);
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
	json_decref(c.body);
	json_decref(c.list_extra);
	json_decref(c.problem_errors);
}

static void refuse(
	void *data, struct request *rq, struct response *rs, int status, const char *detail)
{
	problem_answer(rs, rq, status,
		status == 413			 ? ERR_TOO_LARGE
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

static void done(void *data, struct request *rq)
{
	artifact_quota_give(&((struct api *)data)->quota, rq->upload_taken);
	free((void *)rq->principal);
}

const struct httpd_ops router_ops = {begin, upload, handle, refuse, done};

/* --- readers --- */

struct db *api_reader(struct api *a, struct err *e)
{
	struct db *d = NULL;

	mutex_lock(&a->reader_lock);
	if (a->readers > 0)
		d = a->reader[--a->readers];
	mutex_unlock(&a->reader_lock);
	if (!d && db_open_reader(fleet_db_path(a->fleet), &d, e) < 0)
		return NULL;
	return d;
}

void api_reader_back(struct api *a, struct db *d)
{
	if (!d)
		return;
	mutex_lock(&a->reader_lock);
	if (a->readers < ARRAY_LEN(a->reader)) {
		a->reader[a->readers++] = d;
		d = NULL;
	}
	mutex_unlock(&a->reader_lock);
	db_free(d);
}

/* --- changes --- */

/* The Idempotency-Key of a request and what it stands for. */
struct request_key {
	struct idempotent id; /* id.key NULL: none */
	char body_hash[SHA256_HEX];
	char bytes_hash[SHA256_HEX];
	char method_path[600];
};

/* What the body means: a client may send its order again with other spaces, or its members in
 * another order. A text that is no JSON (a recipe in YAML) is its bytes. */
static const char *hash_body(const struct call *c, char ret[SHA256_HEX])
{
	_cleanup_(freep) char *text =
		c->body ? json_dumps(c->body, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY)
			: NULL;

	return text ? sha256_hex_of(text, strlen(text), ret)
		    : sha256_hex_of(c->rq->body, c->rq->body_len, ret);
}

static int read_key(const struct call *c, struct request_key *ret, struct err *e)
{
	const char *key = request_header(c->rq, "Idempotency-Key");

	ret->id.key = NULL;
	if (!key || !c->who)
		return 0;
	if (strlen(key) > 200 || !*key)
		return err_set(e, ERR_INVALID, "Idempotency-Key: 1 to 200 characters");
	snprintf(ret->method_path, sizeof ret->method_path, "%s %s", http_method_str(c->rq->method),
		c->rq->path);
	ret->id = (struct idempotent){.key = key,
		.principal = c->who->id,
		.method_path = ret->method_path,
		.body_sha256 = hash_body(c, ret->body_hash),
		.body_sha256_bytes = sha256_hex_of(c->rq->body, c->rq->body_len, ret->bytes_hash)};
	return 0;
}

static int find_answer(
	struct db *d, const struct request_key *k, struct idempotent_answer *ret, struct err *e)
{
	int r = idempotency_find(d, &k->id, ret, e);

	if (r == -ERR_INVALID && e)
		r = -(int)(e->code = ERR_UNPROCESSABLE);
	return r;
}

static void answer_again(struct call *c, struct idempotent_answer *stored)
{
	const char *where = json_string_value(json_object_get(stored->headers, "Location"));

	response_text(c->rs, stored->status, "application/json", stored->response,
		strlen(stored->response));
	stored->response = NULL;
	response_header(c->rs, "Idempotent-Replayed", "true");
	if (where)
		response_header(c->rs, "Location", "%s", where);
	idempotent_answer_done(stored);
}

/* A repetition gets its answer before the handler looks at it: what it asked for may be impossible
 * by now, just because it was done. 1: answered. */
static int repeat(struct call *c, struct err *e)
{
	struct request_key key;
	struct idempotent_answer stored = {0};
	struct db *d;
	int r = c->rq->method == HTTP_GET ? 0 : read_key(c, &key, e);

	if (r < 0 || c->rq->method == HTTP_GET || !key.id.key)
		return r;
	d = api_reader(c->api, e);
	r = d ? find_answer(d, &key, &stored, e) : -(int)e->code;
	api_reader_back(c->api, d);
	if (r == 1)
		answer_again(c, &stored);
	return r;
}

struct change_run {
	const struct change *ch;
	struct call *c;
	struct request_key key;
	struct idempotent_answer stored;
	bool repeated;
	json_t *answer;
	char location[200];
};

static void set_location(struct change_run *x)
{
	const char *key = x->ch->location_key ? x->ch->location_key : "id";
	const char *id = json_string_value(json_object_get(x->answer, key));

	if (x->ch->location && id)
		snprintf(x->location, sizeof x->location, x->ch->location, id);
}

static int apply_change(struct db *tx, void *data, struct err *e)
{
	struct change_run *x = data;
	const struct change *ch = x->ch;
	const struct audit_who who = api_who(x->c);
	int r = 0;

	if (x->key.id.key) {
		/* In the writer's transaction no other request with this key is under way. */
		r = find_answer(tx, &x->key, &x->stored, e);
		if (r == 1) {
			x->repeated = true;
			return 0;
		}
		if (r < 0)
			return r;
	}
	r = ch->apply(tx, ch->data, &x->answer, e);
	if (r == 0 && ch->audit)
		r = audit_add(tx, &who, ch->audit, ch->target ? ch->target : "", NULL, e);
	if (r == 0 && x->key.id.key) {
		char *text = json_dumps(x->answer, JSON_COMPACT | JSON_ENCODE_ANY);
		json_t *headers = json_object();

		set_location(x);
		if (x->location[0])
			json_object_set_new(headers, "Location", json_string(x->location));
		r = idempotency_store(tx, &x->key.id, ch->status, headers, text ? text : "null", e);
		json_decref(headers);
		free(text);
	}
	return r;
}

int api_change(struct call *c, const struct change *ch, struct err *e)
{
	struct change_run x = {.ch = ch, .c = c};
	int r = read_key(c, &x.key, e);

	if (r == 0)
		r = writer_do(fleet_writer(c->api->fleet), apply_change, &x, e);
	if (r < 0) {
		json_decref(x.answer);
		idempotent_answer_done(&x.stored);
		return r;
	}
	if (x.repeated) {
		answer_again(c, &x.stored);
		return 0;
	}
	if (ch->committed)
		ch->committed(ch->data);
	set_location(&x);
	if (x.location[0])
		response_header(c->rs, "Location", "%s", x.location);
	response_json(c->rs, ch->status, x.answer);
	return 0;
}

/* --- the audit trail --- */

struct audit_who api_who(const struct call *c)
{
	return (struct audit_who){.principal = c->who ? c->who->name : "provd",
		.token = c->who ? c->who->id : NULL,
		.address = c->rq->peer};
}

struct audit_entry {
	struct audit_who who;
	const char *action, *target;
};

static int apply_audit(struct db *tx, void *data, struct err *e)
{
	const struct audit_entry *a = data;

	return audit_add(tx, &a->who, a->action, a->target, NULL, e);
}

int api_audit(struct call *c, const char *action, const char *target, struct err *e)
{
	struct audit_entry entry = {api_who(c), action, target};

	return writer_do(fleet_writer(c->api->fleet), apply_audit, &entry, e);
}

struct failure_note {
	struct auth_refusal why;
	char address[64];
};

static int apply_failure(struct db *tx, void *data, struct err *e)
{
	const struct failure_note *n = data;
	/* Whoever it was: the token that was tried proves nothing. */
	const struct audit_who who = {
		.principal = "nobody", .token = n->why.token, .address = n->address};
	json_t *detail = json_pack("{s:i, s:i}", "failures", (int)n->why.guard.failures,
		"not_noted_before", (int)n->why.guard.suppressed);
	int r = audit_add(tx, &who, "auth.failed", n->address, detail, e);

	json_decref(detail);
	return r;
}

static void failure_noted(void *data, int result, const struct err *e)
{
	if (result < 0)
		log_error("a wrong token could not be noted: %s", e->msg);
	free(data);
}

void api_note_failure(struct api *a, const struct request *rq, const struct auth_refusal *why)
{
	struct failure_note *n = xcalloc(1, sizeof *n);
	struct err e;

	n->why = *why;
	snprintf(n->address, sizeof n->address, "%s", rq->peer);
	log_warning("a wrong token came from %s (%u in the last minute)", n->address,
		why->guard.failures);
	if (writer_submit(fleet_writer(a->fleet), apply_failure, n, failure_noted, &e) < 0)
		failure_noted(n, -(int)e.code, &e);
}

/* --- helpers --- */

int api_page(struct call *c, struct db_page *ret, struct err *e)
{
	const char *limit = request_query(c->rq, "limit");
	unsigned long long n = 100;

	if (limit && (!parse_size(limit, &n) || n < 1 || n > 1000))
		return err_set(e, ERR_INVALID, "limit: 1 to 1000");
	ret->limit = (unsigned)n;
	ret->after = request_query(c->rq, "cursor");
	return 0;
}

static void add_query(struct strbuf *b, const char *s)
{
	for (; *s; s++) {
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:",
			    *s))
			sb_add_n(b, s, 1);
		else
			sb_addf(b, "%%%02X", (unsigned char)*s);
	}
}

int api_answer_list(struct call *c, struct db_list *l, struct err *e)
{
	json_t *o = json_pack(
		"{s:o, s:s*}", "items", l->items, "next_cursor", l->next[0] ? l->next : NULL);

	if (!l->next[0])
		json_object_set_new(o, "next_cursor", json_null());
	else {
		struct strbuf next = {0};

		add_query(&next, l->next);
		response_header(c->rs, "Link", "<%s?cursor=%s>; rel=\"next\"", c->rq->path, next.s);
		sb_done(&next);
	}
	if (c->list_extra)
		json_object_update(o, c->list_extra);
	response_json(c->rs, 200, o);
	return 0;
}

int api_answer_resource(struct call *c, json_t *o)
{
	const json_t *revision = json_object_get(o, "revision");
	const char *match = request_header(c->rq, "If-None-Match");
	char tag[32];

	if (json_is_integer(revision)) {
		snprintf(tag, sizeof tag, "\"%lld\"", (long long)json_integer_value(revision));
		response_header(c->rs, "ETag", "%s", tag);
		if (match && !strcmp(match, tag)) {
			json_decref(o);
			response_text(c->rs, 304, "application/json", xstrdup(""), 0);
			return 0;
		}
	}
	response_json(c->rs, 200, o);
	return 0;
}

int api_check_match(struct call *c, int64_t revision, struct err *e)
{
	const char *match = request_header(c->rq, "If-Match");
	char tag[32];

	snprintf(tag, sizeof tag, "\"%lld\"", (long long)revision);
	if (!match)
		return err_set(e, ERR_PRECONDITION, "If-Match is needed (the resource's ETag)");
	if (strcmp(match, tag) != 0 && strcmp(match, "*") != 0)
		return err_set(e, ERR_PRECONDITION, "the resource is at revision %s now", tag);
	return 0;
}

int api_need_object(struct call *c, struct err *e)
{
	return json_is_object(c->body) ? 0
				       : err_set(e, ERR_INVALID, "the body must be a JSON object");
}
