/* SPDX-License-Identifier: Apache-2.0
 *
 * What handlers that read have in common: a reader, a page, an answer.
 */
#include "api/route.h"
#include <strings.h>

#include "base/csv.h"
#include "base/iotime.h"
#include "base/strbuf.h"
#include "base/timefmt.h"
#include "base/util.h"

int api_read(struct call *c, read_one_fn *read, json_t **ret, struct err *e)
{
	struct db *d = readers_take(c->api->readers, e);
	int r = d ? db_snapshot(d, e) : -(int)e->code;

	if (r == 0)
		r = read(d, c, ret, e);
	if (d)
		db_snapshot_end(d);
	readers_give(c->api->readers, d);
	return r;
}

void api_resource(struct call *c, json_t *o)
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
			return;
		}
	}
	response_json(c->rs, 200, o);
}

int api_answer_one(struct call *c, read_one_fn *read, struct err *e)
{
	json_t *o = NULL;
	int r = api_read(c, read, &o, e);

	if (r == 0)
		api_resource(c, o);
	return r;
}

/* --- Prefer: wait=N --- */

#define WAIT_MOST_S 60

/* The next preference after this one, whatever stands between; a comma within quotes is none. */
static const char *next_preference(const char *p)
{
	bool quoted = false;

	for (; *p && (quoted || *p != ','); p++) {
		if (quoted && *p == '\\' && p[1])
			p++;
		else if (*p == '"')
			quoted = !quoted;
	}
	return *p ? p + 1 : NULL;
}

/* "wait=10", with white space or quotes where RFC 7240, 2 allows them; 0: it is something else. */
static unsigned read_wait(const char *p)
{
	unsigned long n;
	bool quoted;
	size_t digits;

	p += strspn(p, " \t");
	if (strncasecmp(p, "wait", 4) != 0)
		return 0;
	p += 4 + strspn(p + 4, " \t");
	if (*p++ != '=')
		return 0;
	p += strspn(p, " \t");
	quoted = *p == '"';
	p += quoted;
	digits = strspn(p, "0123456789");
	n = strtoul(p, NULL, 10);
	if (digits == 0 || (quoted && p[digits++] != '"'))
		return 0;
	p += digits;
	p += strspn(p, " \t");
	return *p && *p != ',' && *p != ';' ? 0 : (unsigned)MIN(n, WAIT_MOST_S);
}

/* Of the preferences of a request ("respond-async, wait=10"); 0: none that is understood, as RFC 7240, 2 wants it. */
static unsigned wait_of(const struct request *rq)
{
	unsigned n = 0;

	for (const char *p = request_header(rq, "Prefer"); p && n == 0; p = next_preference(p))
		n = read_wait(p);
	return n;
}

static bool is_as_named(const struct call *c, const json_t *o)
{
	const char *match = request_header(c->rq, "If-None-Match");
	char tag[32];

	snprintf(tag, sizeof tag, "\"%lld\"",
		(long long)json_integer_value(json_object_get(o, "revision")));
	return match && !strcmp(match, tag);
}

int api_wait_begin(struct call *c, bool can, struct api_wait *ret, struct err *e)
{
	const uint64_t until = c->rq->wait_until_us;

	*ret = (struct api_wait){
		.s = can ? wait_of(c->rq) : 0, .ticket = httpd_wait_ticket(c->api->httpd)};
	ret->until_us = until ? until : now_us() + ret->s * US_PER_S;
	if (until && !auth_still(c->api->auth, c->who))
		return err_set(e, ERR_UNAUTHORIZED, "this token is not valid any more");
	return 0;
}

/* What is answered in the end says so. */
bool api_wait_on(struct call *c, const struct api_wait *w, const char *topic)
{
	const bool waits = w->s && topic && now_us() < w->until_us;

	if (waits) {
		c->rs->wait_until_us = w->until_us;
		c->rs->wait_ticket = w->ticket;
		snprintf(c->rs->wait_topic, sizeof c->rs->wait_topic, "%s", topic);
	} else if (w->s) {
		response_header(c->rs, "Preference-Applied", "wait=%u", w->s);
	}
	return waits;
}

int api_answer_later(struct call *c, read_one_fn *read, const char *topic, struct err *e)
{
	struct api_wait w;
	json_t *o = NULL;
	int r = api_wait_begin(c, request_header(c->rq, "If-None-Match"), &w, e);

	if (r == 0)
		r = api_read(c, read, &o, e);
	if (r < 0)
		return r;
	if (api_wait_on(c, &w, is_as_named(c, o) ? topic : NULL))
		json_decref(o);
	else
		api_resource(c, o);
	return 0;
}

void api_narrow(const struct call *c, json_t *items)
{
	const struct route *route = c->rq->route;

	/* Below a thing of the path, which was looked at, lists are of that thing. */
	if (c->who && !strchr(route->pattern, '{'))
		scope_narrow(c->who->scopes, route->scope, items);
}

void api_items(struct call *c, json_t *items)
{
	api_narrow(c, items);
	response_json(c->rs, 200, json_pack("{s:o, s:n}", "items", items, "next_cursor"));
}

int api_answer_all(struct call *c, read_one_fn *read, struct err *e)
{
	json_t *items = NULL;
	int r = api_read(c, read, &items, e);

	if (r == 0)
		api_items(c, items);
	return r;
}

int api_page(const struct call *c, struct db_page *ret, struct err *e)
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

/* The query of the request, but for the cursor. */
static bool keep_query(void *data, const char *name, const char *value)
{
	struct strbuf *next = data;

	if (!strcmp(name, "cursor"))
		return true;
	sb_addf(next, "%s=", name);
	add_query(next, value ? value : "");
	sb_add(next, "&");
	return true;
}

void api_link_next(struct call *c, const struct db_list *l)
{
	struct strbuf next = {0};

	if (!l->next[0])
		return;
	request_each_query(c->rq, keep_query, &next);
	sb_add(&next, "cursor=");
	add_query(&next, l->next);
	response_header(c->rs, "Link", "<%s?%s>; rel=\"next\"", c->rq->path, next.s);
	sb_done(&next);
}

void api_list(struct call *c, struct db_list *l)
{
	json_t *o;

	api_narrow(c, l->items);
	o = json_pack("{s:o, s:s?}", "items", l->items, "next_cursor", l->next[0] ? l->next : NULL);

	api_link_next(c, l);
	if (c->list_extra)
		json_object_update(o, c->list_extra);
	response_json(c->rs, 200, o);
}

int api_read_page(struct call *c, read_page_fn *read, struct db_list *ret, struct err *e)
{
	struct db_page page = {0};
	struct db *d;
	int r = api_page(c, &page, e);

	if (r < 0)
		return r;
	d = readers_take(c->api->readers, e);
	r = d ? read(d, c, &page, ret, e) : -(int)e->code;
	readers_give(c->api->readers, d);
	return r;
}

int api_answer_page(struct call *c, read_page_fn *read, struct err *e)
{
	struct db_list list = {0};
	int r = api_read_page(c, read, &list, e);

	if (r == 0)
		api_list(c, &list);
	return r;
}

int api_match(struct call *c, int64_t *ret_revision, struct err *e)
{
	const char *match = request_header(c->rq, "If-Match");
	unsigned long long v = 0;
	_cleanup_(freep) char *inner = NULL;
	size_t n;

	if (!match)
		return err_set(e, ERR_PRECONDITION, "If-Match is needed (the resource's ETag)");
	if (!strcmp(match, "*")) {
		*ret_revision = 0;
		return 0;
	}
	n = *match == '"' ? strspn(match + 1, "0123456789") : 0;
	if (n > 0 && !strcmp(match + 1 + n, "\""))
		inner = strndup(match + 1, n);
	if (!inner || !parse_size(inner, &v) || v == 0 || v > INT64_MAX)
		return err_set(e, ERR_PRECONDITION, "If-Match is not an ETag of this resource");
	*ret_revision = (int64_t)v;
	return 0;
}

int api_need_object(struct call *c, struct err *e)
{
	return json_is_object(c->body) ? 0
				       : err_set(e, ERR_INVALID, "the body must be a JSON object");
}

int api_mistakes(struct call *c, struct mistakes *m, const struct yaml_doc *doc, struct err *e)
{
	int r = 0;

	if (m->count > 0) {
		c->problem_errors = mistakes_json(m, doc);
		r = err_set(e, ERR_UNPROCESSABLE, "%s", m->item[0].text);
	}
	mistakes_done(m);
	return r;
}

int api_outside(struct call *c, struct mistakes *m, struct err *e)
{
	int r = api_mistakes(c, m, NULL, e);

	return r < 0 ? -(int)(e->code = ERR_OUT_OF_SCOPE) : 0;
}

void *api_form(struct call *c, struct err *e)
{
	const struct route *route = c->rq->route;
	struct mistakes m = {0};

	if (api_need_object(c, e) < 0)
		return NULL;
	c->form = xcalloc(1, route->form_size);
	form_read(route->form, c->body, "", "field", c->form, &m);
	return api_mistakes(c, &m, NULL, e) < 0 ? NULL : c->form;
}

int api_judged(struct call *c, const char *pointer, int r, const struct err *e)
{
	if (r < 0 && !c->problem_errors)
		c->problem_errors = json_pack("[{s:s, s:s}]", "pointer", pointer, "detail", e->msg);
	return r;
}

bool api_given(const struct call *c, const char *key)
{
	return json_object_get(c->body, key) != NULL;
}

int api_time_query(const struct call *c, const char *name, int64_t *ret, struct err *e)
{
	const char *s = request_query(c->rq, name);

	if (s && rfc3339_parse(s, ret) < 0)
		return err_set(
			e, ERR_INVALID, "'%s' must be a time such as 2026-12-31T18:00:00Z", name);
	return 0;
}

int api_times_query(const struct call *c, int64_t *from_ms, int64_t *to_ms, struct err *e)
{
	int r = api_time_query(c, "from", from_ms, e);

	if (r == 0)
		r = api_time_query(c, "to", to_ms, e);
	if (r == 0 && request_query(c->rq, "from") && request_query(c->rq, "to") &&
		*from_ms > *to_ms)
		r = err_set(e, ERR_INVALID,
			"'from' is later than 'to': nothing lies between them; exchange the two times");
	return r;
}

int api_version_query(const struct call *c, int64_t *ret, struct err *e)
{
	const char *s = request_query(c->rq, "version");
	char *end;

	if (!s)
		return 0;
	*ret = strtoll(s, &end, 10);
	if (*end || *ret < 1 || *s < '0' || *s > '9')
		return err_set(e, ERR_INVALID,
			"'version' is '%.32s': the version of a recipe expected, a number from 1",
			s);
	if (!request_query(c->rq, "recipe"))
		return err_set(e, ERR_INVALID,
			"'version' alone says nothing: add the recipe that it is of");
	return 0;
}

int api_answer_page_csv(
	struct call *c, read_page_fn *read, const char *const *members, struct err *e)
{
	struct db_list list = {0};
	struct strbuf text = {0};
	json_t *row;
	size_t i;
	int r = api_read_page(c, read, &list, e);

	if (r < 0)
		return r;
	if (!request_query(c->rq, "cursor"))
		csv_write_names(&text, members);
	json_array_foreach(list.items, i, row)
		csv_write_row(&text, row, members);
	json_decref(list.items);
	api_link_next(c, &list);
	i = text.len;
	response_text(c->rs, 200, "text/csv; charset=utf-8", sb_take(&text), i);
	return 0;
}

void api_page_guards(struct call *c, const char *policy)
{
	response_header(c->rs, "Content-Security-Policy", "%s", policy);
	response_header(c->rs, "Referrer-Policy", "no-referrer");
	response_header(c->rs, "X-Frame-Options", "DENY");
	response_header(c->rs, "Cross-Origin-Opener-Policy", "same-origin");
	response_header(c->rs, "Cross-Origin-Resource-Policy", "same-origin");
}
