/* SPDX-License-Identifier: Apache-2.0 */
#include "api/request_check.h"

#include <strings.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "db/jobs.h"
#include "db/prompts.h"
#include "db/runs.h"
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

/* --- what a limited principal may name --- */

int request_check_scope(
	const struct request *rq, const struct route *r, const json_t *scopes, struct err *e)
{
	static const struct {
		enum scope_rule rule;
		const char *param, *list, *what;
	} named[] = {{SCOPE_STATION, "id", "stations", "station"},
		{SCOPE_POOL, "id", "pools", "pool"}, {SCOPE_RECIPE, "name", "recipes", "recipe"}};

	if (!scope_can_hold(scopes, r->scope))
		return err_set(e, ERR_OUT_OF_SCOPE,
			"this token is limited to some %s, and what is here cannot be narrowed to them",
			json_object_get(scopes, "pools")     ? "pools"
			: json_object_get(scopes, "recipes") ? "recipes"
							     : "stations");
	for (size_t i = 0; i < ARRAY_LEN(named); i++) {
		const char *name = request_param(rq, named[i].param);

		if (named[i].rule == r->scope && name && !scope_has(scopes, named[i].list, name))
			return err_set(e, ERR_OUT_OF_SCOPE,
				"%s '%s' is outside of what this token may name", named[i].what,
				name);
	}
	return 0;
}

static int read_row(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	const struct route *r = c->rq->route;
	const char *id = request_param(c->rq, "id");

	return r->scope == SCOPE_JOB   ? jobs_get(d, id, ret, e)
	       : r->scope == SCOPE_RUN ? runs_get(d, id, ret, e)
				       : prompts_get(d, id, ret, e);
}

int request_check_row(struct call *c, const struct route *r, struct err *e)
{
	json_t *row = NULL;
	int ret;

	if (!c->who || !c->who->scopes || !request_param(c->rq, "id") ||
		(r->scope != SCOPE_JOB && r->scope != SCOPE_RUN && r->scope != SCOPE_PROMPT))
		return 0;
	ret = api_read(c, read_row, &row, e);
	if (ret == 0 && !scope_has_item(c->who->scopes, r->scope, row))
		ret = err_set(e, ERR_OUT_OF_SCOPE,
			"'%s' belongs to a station or recipe that is outside of what this token may name",
			request_param(c->rq, "id"));
	json_decref(row);
	return ret;
}
