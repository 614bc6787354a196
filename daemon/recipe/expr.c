/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/expr.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/jcs.h"
#include "base/strbuf.h"
#include "base/util.h"

#define PATH_MAX_LEN 200

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* "[12]", the turn of a loop: the characters that it takes, 0 for anything else. */
static size_t turn_at(const char *s)
{
	size_t n = strspn(s + 1, "0123456789");

	return *s == '[' && n > 0 && n < 5 && s[n + 1] == ']' ? n + 2 : 0;
}

/* *p is after "${"; on success it is after the "}". */
static int take_path(const char **p, char path[PATH_MAX_LEN], struct err *e)
{
	const char *end = strchr(*p, '}');
	size_t n = end ? (size_t)(end - *p) : 0;

	if (!end)
		return err_set(e, ERR_INVALID, "'${' without '}'");
	if (n == 0 || n >= PATH_MAX_LEN)
		return err_set(e, ERR_INVALID, "'${%.*s}' is not a reference", (int)MIN(n, 60), *p);
	for (size_t i = 0; i < n; i++) {
		char c = (*p)[i];
		size_t turn = i > 0 && is_name_char((*p)[i - 1]) ? turn_at(*p + i) : 0;
		bool dot = c == '.' && i > 0 && i + 1 < n && (*p)[i - 1] != '.';

		if (turn)
			i += turn - 1;
		else if (!is_name_char(c) && !dot)
			return err_set(e, ERR_INVALID,
				"'${%.*s}' is not a reference: names and dots only", (int)n, *p);
	}
	memcpy(path, *p, n);
	path[n] = 0;
	*p = end + 1;
	return 0;
}

/* Walks the text: literal pieces to `literal`, references to `ref`. */
static int walk(const char *text, int (*ref)(void *, const char *, struct err *),
	void (*literal)(void *, const char *, size_t), void *data, struct err *e)
{
	const char *p = text;

	while (*p) {
		char path[PATH_MAX_LEN];
		int r;

		if (!strncmp(p, "$${", 3)) {
			literal(data, "${", 2);
			p += 3;
		} else if (!strncmp(p, "${", 2)) {
			p += 2;
			r = take_path(&p, path, e);
			if (r == 0)
				r = ref(data, path, e);
			if (r != 0)
				return r;
		} else {
			literal(data, p, 1);
			p++;
		}
	}
	return 0;
}

/* With the fewest digits that mean it: a measured 24.6 is not 24.600000000000001. */
static char *real_text(double v)
{
	char text[JCS_NUMBER_SIZE];

	jcs_number(v, text);
	return xasprintf("%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

/* A scalar as it is in text. */
static char *text_of(const json_t *v)
{
	if (json_is_string(v))
		return xstrdup(json_string_value(v));
	if (json_is_real(v))
		return real_text(json_real_value(v));

	char *s = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
	char *copy = xstrdup(s);

	free(s);
	return copy;
}

struct builder {
	const struct scope *scope;
	enum quoting quoting;
	struct strbuf out;
};

static void build_literal(void *data, const char *s, size_t n)
{
	struct builder *b = data;

	sb_add_n(&b->out, s, n);
}

static int build_ref(void *data, const char *path, struct err *e)
{
	struct builder *b = data;
	json_t *v;
	int r = b->scope->lookup(b->scope->data, path, &v, e);

	if (r < 0)
		return r;

	_cleanup_(freep) char *s = text_of(v);

	json_decref(v);
	for (const char *p = s; *p; p++) {
		if (b->quoting == QUOTE_REGEX && strchr("\\^$.[]|()?*+{}#-/ ", *p))
			sb_add(&b->out, "\\");
		sb_add_n(&b->out, p, 1);
	}
	return 0;
}

int template_eval(
	const char *text, enum quoting q, const struct scope *scope, json_t **ret, struct err *e)
{
	struct builder b = {.scope = scope, .quoting = q};
	int r;

	if (q == QUOTE_NONE && !strncmp(text, "${", 2)) {
		const char *p = text + 2;
		char path[PATH_MAX_LEN];

		r = take_path(&p, path, e);
		if (r < 0)
			return r;
		if (!*p)
			return scope->lookup(scope->data, path, ret, e);
	}
	r = walk(text, build_ref, build_literal, &b, e);
	if (r == 0) {
		*ret = json_string(b.out.s ? b.out.s : "");
		if (!*ret)
			r = err_set(e, ERR_INVALID, "the text is not valid UTF-8");
	}
	sb_done(&b.out);
	return r;
}

static void ignore_literal(void *data, const char *s, size_t n)
{
}

struct ref_call {
	int (*fn)(void *data, const char *path, struct err *e);
	void *data;
};

static int call_ref(void *data, const char *path, struct err *e)
{
	struct ref_call *c = data;

	return c->fn(c->data, path, e);
}

int template_refs(const char *text, int (*fn)(void *data, const char *path, struct err *e),
	void *data, struct err *e)
{
	struct ref_call c = {fn, data};

	return walk(text, call_ref, ignore_literal, &c, e);
}

/* or := and ("||" and)*   and := not ("&&" not)*   not := "!" not | "(" or ")" | comparison
 * comparison := operand (op operand)? */
struct parser {
	const char *p;
	const struct scope *scope;
	int depth;
	struct err *e;
};

static int parse_or(struct parser *ps, bool *ret);

static bool accept(struct parser *ps, const char *token)
{
	while (isspace((unsigned char)*ps->p))
		ps->p++;

	size_t n = strlen(token);

	if (strncmp(ps->p, token, n) != 0)
		return false;
	ps->p += n;
	return true;
}

static int parse_operand(struct parser *ps, json_t **ret)
{
	char path[PATH_MAX_LEN];

	if (accept(ps, "${")) {
		int r = take_path(&ps->p, path, ps->e);

		return r < 0 ? r : ps->scope->lookup(ps->scope->data, path, ret, ps->e);
	}
	if (*ps->p == '\'' || *ps->p == '"') {
		const char *end = strchr(ps->p + 1, *ps->p);

		if (!end)
			return err_set(ps->e, ERR_INVALID, "a quote is not closed");
		*ret = json_stringn(ps->p + 1, (size_t)(end - ps->p - 1));
		ps->p = end + 1;
		return *ret ? 0 : err_set(ps->e, ERR_INVALID, "the text is not valid UTF-8");
	}

	size_t n = strcspn(ps->p, " \t\r\n=!<>&|()'\"$");

	if (n == 0)
		return err_set(ps->e, ERR_INVALID,
			*ps->p ? "a value was expected at '%.12s'"
			       : "a value was expected at the end%s",
			ps->p);
	*ret = json_stringn(ps->p, n);
	ps->p += n;
	return *ret ? 0 : err_set(ps->e, ERR_INVALID, "the text is not valid UTF-8");
}

static bool truth(const json_t *v)
{
	_cleanup_(freep) char *s = text_of(v);

	return *s && strcmp(s, "false") != 0 && strcmp(s, "null") != 0 && strcmp(s, "0") != 0;
}

static int parse_comparison(struct parser *ps, bool *ret)
{
	static const char *const ops[] = {"==", "!=", "<=", ">=", "<", ">"};
	json_t *left;
	json_t *right;
	size_t op = 0;
	int r = parse_operand(ps, &left);

	if (r < 0)
		return r;
	while (op < ARRAY_LEN(ops) && !accept(ps, ops[op]))
		op++;
	if (op == ARRAY_LEN(ops)) {
		*ret = truth(left);
		json_decref(left);
		return 0;
	}
	r = parse_operand(ps, &right);
	if (r < 0) {
		json_decref(left);
		return r;
	}

	_cleanup_(freep) char *a = text_of(left);
	_cleanup_(freep) char *b = text_of(right);
	double x;
	double y;
	int c;

	json_decref(left);
	json_decref(right);
	if (parse_number(a, &x) && parse_number(b, &y))
		c = x < y ? -1 : x > y;
	else
		c = strcmp(a, b);

	const bool result[] = {c == 0, c != 0, c <= 0, c >= 0, c<0, c> 0};

	*ret = result[op];
	return 0;
}

static int parse_not(struct parser *ps, bool *ret)
{
	int r;

	if (++ps->depth > 40)
		return err_set(ps->e, ERR_INVALID, "the condition is nested too deeply");
	if (accept(ps, "(")) {
		r = parse_or(ps, ret);
		if (r == 0 && !accept(ps, ")"))
			r = err_set(ps->e, ERR_INVALID, "')' was expected at '%.12s'", ps->p);
	} else if (accept(ps, "!")) {
		r = parse_not(ps, ret);
		if (r == 0)
			*ret = !*ret;
	} else {
		r = parse_comparison(ps, ret);
	}
	ps->depth--;
	return r;
}

static int parse_and(struct parser *ps, bool *ret)
{
	int r = parse_not(ps, ret);

	while (r == 0 && accept(ps, "&&")) {
		bool more;

		r = parse_not(ps, &more);
		if (r == 0)
			*ret = *ret && more;
	}
	return r;
}

static int parse_or(struct parser *ps, bool *ret)
{
	int r = parse_and(ps, ret);

	while (r == 0 && accept(ps, "||")) {
		bool more;

		r = parse_and(ps, &more);
		if (r == 0)
			*ret = *ret || more;
	}
	return r;
}

int condition_eval(const char *text, const struct scope *scope, bool *ret, struct err *e)
{
	struct parser ps = {.p = text, .scope = scope, .e = e};
	bool v = false;
	int r = parse_or(&ps, &v);

	if (r < 0)
		return r;
	accept(&ps, "");
	if (*ps.p)
		return err_set(e, ERR_INVALID, "unexpected '%.12s'", ps.p);
	*ret = v;
	return 0;
}
