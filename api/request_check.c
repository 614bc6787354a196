/* SPDX-License-Identifier: Apache-2.0 */
#include "api/request_check.h"

#include <strings.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "base/mistake.h"

#define JSON_MAX_DEPTH 64

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
	const char *names[16] = {0};
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
int request_check_query(const struct request *rq, const struct route *r, struct err *e)
{
	struct query_look q = {.allowed = r->query, .e = e};

	if (r->query != query_any)
		request_each_query(rq, look_at_query, &q);
	return q.result;
}

/* What a client means and provd does not know must not be lost in silence: here where there is
 * nothing to read; else the handler reads the form. */
int request_check_empty(struct call *c, const struct route *r, struct err *e)
{
	struct mistakes m = {0};
	const char *key;
	json_t *v;

	if (r->form != form_none || !c->body)
		return 0;
	if (!json_is_object(c->body))
		return err_set(e, ERR_INVALID,
			"this request takes no fields: send no body, or an empty JSON object");
	json_object_foreach(c->body, key, v) {
		_cleanup_(freep) char *p = pointer_key("", key);

		mistakes_add(&m, p, "this request takes no fields");
	}
	return api_mistakes(c, &m, NULL, e);
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

int request_read_body(struct call *c, const struct route *r, struct err *e)
{
	const char *text = (const char *)c->rq->body;
	const char *type = request_header(c->rq, "Content-Type");
	json_error_t je;

	if (c->rq->body_len == 0)
		return 0;
	/* Recipes may also come as YAML: their handler reads the text itself. */
	if (r->flags & ROUTE_YAML && type && strncasecmp(type, "application/yaml", 16) == 0)
		return 0;
	if (r->flags & ROUTE_CSV && type && strncasecmp(type, "text/csv", 8) == 0)
		return 0;
	if (too_deep(text, c->rq->body_len))
		return err_set(e, ERR_INVALID, "the JSON is nested too deeply");
	c->body = json_loadb(text, c->rq->body_len, JSON_REJECT_DUPLICATES, &je);
	if (!c->body)
		return err_set(e, ERR_INVALID, "no JSON: line %d, column %d: %s", je.line,
			je.column, je.text);
	return 0;
}
