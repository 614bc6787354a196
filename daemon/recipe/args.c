/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/args.h"

#include <math.h>

#include "base/jcs.h"
#include "base/regex.h"
#include "base/util.h"

struct value {
	bool present;
	bool given;   /* it is written, whatever it will be */
	json_t *json; /* substituted, as written */
	union {
		bool b;
		int64_t i;
		double d;
		uint64_t u;
		struct args *object;
	};
};

struct args {
	const struct action_arg *rows;
	size_t count;
	struct value *value;
};

static const char *const type_name[] = {
	[ARG_STRING] = "string",
	[ARG_REGEX] = "pattern",
	[ARG_BOOL] = "true or false",
	[ARG_INT] = "integer",
	[ARG_NUMBER] = "number",
	[ARG_SIZE] = "size or address",
	[ARG_DURATION] = "duration",
	[ARG_PORT] = "port",
	[ARG_IMAGE] = "image",
	[ARG_OUTPUT] = "output",
	[ARG_CHOICE] = "choice",
	[ARG_LIST] = "list",
	[ARG_MAP] = "mapping",
	[ARG_OBJECT] = "mapping",
	[ARG_OBJECTS] = "mappings",
};

const char *arg_type_str(enum arg_type t)
{
	return type_name[t];
}

DEFINE_CLEANUP(struct args, args_free)
DEFINE_CLEANUP(struct regex, regex_free)

static int bad(const struct action_arg *row, const char *shown, const char *expected, struct err *e)
{
	return err_set(e, ERR_INVALID, "'%s' is '%.80s': %s expected", row->name, shown, expected);
}

static int check_range(const struct action_arg *row, double v, const char *shown, struct err *e)
{
	if (row->high > row->low && (v < row->low || v > row->high))
		return err_set(e, ERR_INVALID, "'%s' is %.80s: from %g to %g allowed", row->name,
			shown, row->low, row->high);
	return 0;
}

static int convert_int(const struct action_arg *row, const char *s, struct value *v, struct err *e)
{
	bool negative = *s == '-';
	unsigned long long u;

	if (!parse_size(s + negative, &u) || u > INT64_MAX || strpbrk(s, "KMG"))
		return bad(row, s, "an integer (decimal or 0x...)", e);
	v->i = negative ? -(int64_t)u : (int64_t)u;
	return check_range(row, (double)v->i, s, e);
}

static int convert_choice(const struct action_arg *row, const char *s, struct err *e)
{
	for (const char *const *c = row->choices; *c; c++)
		if (!strcmp(*c, s))
			return 0;

	struct strbuf all = {0};

	for (const char *const *c = row->choices; *c; c++)
		sb_addf(&all, "%s%s", c == row->choices ? "" : ", ", *c);

	int r = err_set(e, ERR_INVALID, "'%s' is '%.40s': one of %s expected", row->name, s, all.s);

	sb_done(&all);
	return r;
}

static int convert_scalar(
	const struct action_arg *row, const char *s, struct value *v, struct err *e)
{
	unsigned long long u;

	switch (row->type) {
	case ARG_STRING:
	case ARG_PORT:
	case ARG_IMAGE:
	case ARG_OUTPUT:
		return 0;
	case ARG_REGEX: {
		_cleanup_(regex_freep) struct regex *r = NULL;

		return regex_new(s, &r, e) < 0 ? err_prefix(e, "'%s'", row->name) : 0;
	}
	case ARG_BOOL:
		/* YAML 1.2 has only true and false; `state: on` and the like are choices. */
		if (strcmp(s, "true") != 0 && strcmp(s, "false") != 0)
			return bad(row, s, "true or false", e);
		v->b = *s == 't';
		return 0;
	case ARG_INT:
		return convert_int(row, s, v, e);
	case ARG_NUMBER:
		if (!parse_number(s, &v->d))
			return bad(row, s, "a number", e);
		return check_range(row, v->d, s, e);
	case ARG_SIZE:
		if (!parse_size(s, &u))
			return bad(row, s, "a size or address such as 4096, 0x8000 or 64K", e);
		v->u = u;
		return 0;
	case ARG_DURATION:
		if (!parse_duration_us(s, &u))
			return bad(row, s, "a duration with its unit such as 500ms, 60s or 5m", e);
		v->u = u;
		return 0;
	case ARG_CHOICE:
		return convert_choice(row, s, e);
	case ARG_LIST:
	case ARG_MAP:
	case ARG_OBJECT:
	case ARG_OBJECTS:
		break;
	}
	return err_set(e, ERR_INTERNAL, "'%s' is not a scalar", row->name);
}

static bool is_scalar(const json_t *j)
{
	return json_is_string(j) || json_is_number(j) || json_is_boolean(j);
}

/* A scalar's text, as it would be written. */
static char *scalar_text(const json_t *j)
{
	if (json_is_string(j))
		return xstrdup(json_string_value(j));
	if (json_is_real(j)) {
		char buf[JCS_NUMBER_SIZE];

		return xstrdup(jcs_number(json_real_value(j), buf));
	}

	char *s = json_dumps(j, JSON_ENCODE_ANY);
	char *copy = xstrdup(s);

	free(s);
	return copy;
}

/* Each member is a mapping of texts by the rows in `fields`, of which none is missing. */
static int convert_objects(const struct action_arg *row, const json_t *j, struct err *e)
{
	const char *key;
	json_t *item;

	if (!json_is_object(j))
		return bad(row, "a single value", "a mapping of names to mappings", e);
	json_object_foreach((json_t *)j, key, item) {
		if (!json_is_object(item))
			return err_set(
				e, ERR_INVALID, "'%s' of '%s' is not a mapping", key, row->name);
		for (const struct action_arg *f = row->fields; f->name; f++)
			if (!is_scalar(json_object_get(item, f->name)) &&
				(f->required || json_object_get(item, f->name)))
				return err_set(e, ERR_INVALID, "'%s.%s' of '%s' is missing: %s",
					key, f->name, row->name, f->doc);
	}
	return 0;
}

static int convert(const struct action_arg *row, json_t *j, struct value *v, struct err *e)
{
	const char *key;
	json_t *item;
	size_t i;

	switch (row->type) {
	case ARG_LIST:
		if (!json_is_array(j))
			return bad(row, "a single value", "a list", e);
		json_array_foreach(j, i, item)
			if (!json_is_string(item))
				return err_set(e, ERR_INVALID,
					"item %zu of '%s' is not a string (quote it)", i + 1,
					row->name);
		return 0;
	case ARG_MAP:
		if (!json_is_object(j))
			return bad(row, "a single value", "a mapping", e);
		json_object_foreach(j, key, item)
			if (!is_scalar(item))
				return err_set(e, ERR_INVALID, "'%s' of '%s' is not a scalar", key,
					row->name);
		return 0;
	case ARG_OBJECT:
		return 0;
	case ARG_OBJECTS:
		return convert_objects(row, j, e);
	case ARG_STRING:
	case ARG_REGEX:
	case ARG_BOOL:
	case ARG_INT:
	case ARG_NUMBER:
	case ARG_SIZE:
	case ARG_DURATION:
	case ARG_PORT:
	case ARG_IMAGE:
	case ARG_OUTPUT:
	case ARG_CHOICE:
		break;
	}
	if (!is_scalar(j))
		return bad(row, json_is_null(j) ? "null" : "a list or mapping",
			arg_type_str(row->type), e);

	_cleanup_(freep) char *s = scalar_text(j);

	return convert_scalar(row, s, v, e);
}

/* Every string in j evaluated, the rest as it is. */
static int substitute(
	const json_t *j, enum quoting q, const struct scope *scope, json_t **ret, struct err *e)
{
	const char *key;
	json_t *item;
	size_t i;
	json_t *out;
	int r = 0;

	if (json_is_string(j))
		return template_eval(json_string_value(j), q, scope, ret, e);
	if (json_is_array(j)) {
		out = json_array();
		json_array_foreach((json_t *)j, i, item) {
			json_t *v;

			r = substitute(item, q, scope, &v, e);
			if (r < 0)
				break;
			json_array_append_new(out, v);
		}
	} else if (json_is_object(j)) {
		out = json_object();
		json_object_foreach((json_t *)j, key, item) {
			json_t *v;

			r = substitute(item, q, scope, &v, e);
			if (r < 0)
				break;
			json_object_set_new(out, key, v);
		}
	} else {
		out = json_deep_copy(j); /* of a shared recipe */
	}
	if (r < 0) {
		json_decref(out);
		return r;
	}
	*ret = out;
	return 0;
}

/* A literal is in the recipe for all to read; what came in through a reference may be a secret. */
static bool has_reference(const json_t *j)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_string(j))
		return strstr(json_string_value(j), "${") != NULL;
	json_array_foreach((json_t *)j, i, item)
		if (has_reference(item))
			return true;
	json_object_foreach((json_t *)j, key, item)
		if (has_reference(item))
			return true;
	return false;
}

static bool holds_secret(const struct secret_set *s, const json_t *j)
{
	const char *key;
	json_t *item;
	size_t i;

	if (is_scalar(j)) {
		_cleanup_(freep) char *text = scalar_text(j);

		return secret_found(s, text);
	}
	json_array_foreach((json_t *)j, i, item)
		if (holds_secret(s, item))
			return true;
	json_object_foreach((json_t *)j, key, item)
		if (holds_secret(s, item))
			return true;
	return false;
}

static int refuse_secret(const struct action_arg *row, struct err *e)
{
	return err_set(e, ERR_INVALID,
		"'%s' would hold a secret, and others see what it holds: give it to an argument that may carry one (see `provctl actions`)",
		row->name);
}

static int check_quotes(const struct action_arg *row, const json_t *j, struct err *e)
{
	if (!row->quoted || json_is_string(j))
		return 0;
	return err_set(e, ERR_INVALID,
		"'%s' is a number: its digits as a text expected, with quotes around them (without them 0x10 is 16)",
		row->name);
}

/* The first field of a mapping of mappings that would hold a secret; NULL: none. */
static const struct action_arg *secret_field(const struct action_arg *row, const json_t *given,
	const json_t *values, const struct scope *scope)
{
	const char *key;
	json_t *item;

	json_object_foreach((json_t *)values, key, item)
		for (const struct action_arg *f = row->fields; f->name; f++)
			if (!f->secret &&
				has_reference(
					json_object_get(json_object_get(given, key), f->name)) &&
				holds_secret(scope->secrets, json_object_get(item, f->name)))
				return f;
	return NULL;
}

static int fill(const struct action_arg *row, const json_t *given, const struct scope *scope,
	struct value *v, struct err *e)
{
	const struct action_arg *hidden = NULL;
	int r;

	v->present = true;
	if (row->type == ARG_OBJECT) {
		if (!json_is_object(given))
			return bad(row, "a single value", "a mapping", e);
		r = args_new(row->fields, given, scope, &v->object, e);
		return r < 0 ? err_prefix(e, "'%s'", row->name) : 0;
	}
	r = substitute(
		given, row->type == ARG_REGEX ? QUOTE_REGEX : QUOTE_NONE, scope, &v->json, e);
	if (r < 0)
		return err_prefix(e, "'%s'", row->name);
	if (row->type == ARG_OBJECTS)
		hidden = secret_field(row, given, v->json, scope);
	else if (!row->secret && has_reference(given) && holds_secret(scope->secrets, v->json))
		hidden = row;
	if (hidden)
		return refuse_secret(hidden, e);
	r = check_quotes(row, v->json, e);
	if (r < 0)
		return r;
	if (json_is_number(v->json) || json_is_boolean(v->json)) {
		/* A string argument that was written without quotes. */
		_cleanup_(freep) char *s = scalar_text(v->json);

		json_decref(v->json);
		v->json = json_string(s);
	}
	return convert(row, v->json, v, e);
}

/* Without a value, though it is written. */
static void forget(const struct action_arg *row, struct value *v)
{
	if (row->type == ARG_OBJECT)
		args_free(v->object);
	json_decref(v->json);
	*v = (struct value){.given = v->given};
}

static int make_args(const struct action_arg *rows, const json_t *with, const struct scope *scope,
	bool early, struct args **ret, struct err *e)
{
	_cleanup_(args_freep) struct args *a = xcalloc(1, sizeof *a);

	a->rows = rows;
	while (rows[a->count].name)
		a->count++;
	a->value = xcalloc(a->count, sizeof *a->value);
	for (size_t i = 0; i < a->count; i++) {
		const json_t *given = json_object_get(with, rows[i].name);
		int r = 0;

		if (given && !json_is_null(given)) {
			a->value[i].given = true;
			r = fill(&rows[i], given, scope, &a->value[i], e);
		} else if (rows[i].def) {
			json_t *def = json_string(rows[i].def);

			r = fill(&rows[i], def, scope, &a->value[i], e);
			json_decref(def);
		} else if (rows[i].required && !early) {
			r = err_set(
				e, ERR_INVALID, "'%s' is missing: %s", rows[i].name, rows[i].doc);
		}
		if (r == -ERR_NOT_FOUND && early) {
			forget(&rows[i], &a->value[i]);
			r = 0;
		}
		if (r < 0)
			return r;
	}
	*ret = steal_ptr(&a);
	return 0;
}

int args_new(const struct action_arg *rows, const json_t *with, const struct scope *scope,
	struct args **ret, struct err *e)
{
	return make_args(rows, with, scope, false, ret, e);
}

int args_known(const struct action_arg *rows, const json_t *with, const struct scope *scope,
	struct args **ret, struct err *e)
{
	return make_args(rows, with, scope, true, ret, e);
}

static int no_name(void *data, const char *path, json_t **ret, struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "'${%s}' has no value yet", path);
}

struct args *args_literal(const struct action_arg *rows, const json_t *with)
{
	const struct scope none = {.lookup = no_name};
	struct args *a = xcalloc(1, sizeof *a);

	a->rows = rows;
	while (rows[a->count].name)
		a->count++;
	a->value = xcalloc(a->count, sizeof *a->value);
	for (size_t i = 0; i < a->count; i++) {
		json_t *given = json_object_get(with, rows[i].name);

		if (!given || json_is_null(given))
			continue;
		a->value[i].given = true;
		/* One that is not known whole is not there. */
		if (rows[i].type == ARG_OBJECT && has_reference(given))
			continue;
		if (fill(&rows[i], given, &none, &a->value[i], NULL) < 0)
			forget(&rows[i], &a->value[i]);
	}
	return a;
}

void json_wipe(json_t *j)
{
	const char *key;
	json_t *item;
	size_t i;

	if (!j || j->refcount != 1)
		return;
	if (json_is_string(j))
		secret_wipe((char *)(uintptr_t)json_string_value(j), json_string_length(j));
	json_array_foreach(j, i, item)
		json_wipe(item);
	json_object_foreach(j, key, item)
		json_wipe(item);
}

struct args *args_free(struct args *a)
{
	if (!a)
		return NULL;
	for (size_t i = 0; a->value && i < a->count; i++) {
		json_wipe(a->value[i].json); /* what was substituted may be a secret */
		json_decref(a->value[i].json);
		if (a->rows[i].type == ARG_OBJECT && a->value[i].present)
			args_free(a->value[i].object);
	}
	free(a->value);
	free(a);
	return NULL;
}

static const struct value *find(const struct args *a, const char *name)
{
	for (size_t i = 0; a && i < a->count; i++)
		if (!strcmp(a->rows[i].name, name))
			return a->value[i].present ? &a->value[i] : NULL;
	return NULL;
}

bool args_given(const struct args *a, const char *name)
{
	for (size_t i = 0; a && i < a->count; i++)
		if (!strcmp(a->rows[i].name, name))
			return a->value[i].given || a->value[i].present;
	return false;
}

bool args_has(const struct args *a, const char *name)
{
	return find(a, name) != NULL;
}

const char *args_str(const struct args *a, const char *name)
{
	const struct value *v = find(a, name);

	return v ? json_string_value(v->json) : NULL;
}

bool args_bool(const struct args *a, const char *name)
{
	const struct value *v = find(a, name);

	return v && v->b;
}

int64_t args_int(const struct args *a, const char *name)
{
	const struct value *v = find(a, name);

	return v ? v->i : 0;
}

double args_number(const struct args *a, const char *name)
{
	const struct value *v = find(a, name);

	return v ? v->d : 0;
}

uint64_t args_size(const struct args *a, const char *name)
{
	const struct value *v = find(a, name);

	return v ? v->u : 0;
}

uint64_t args_duration_us(const struct args *a, const char *name)
{
	return args_size(a, name);
}

const json_t *args_json(const struct args *a, const char *name)
{
	const struct value *v = find(a, name);

	return v ? v->json : NULL;
}

const struct args *args_object(const struct args *a, const char *name)
{
	const struct value *v = find(a, name);

	return v ? v->object : NULL;
}

struct ref_sink {
	void (*ref)(void *, const char *, const char *, const struct action_arg *);
	void *data;
	struct mistakes *m;
};

/* Hands every string with a reference on; true if there was one in j itself. */
static bool collect(const struct ref_sink *s, const struct action_arg *row, const json_t *j,
	const char *pointer)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_string(j)) {
		if (!strstr(json_string_value(j), "${"))
			return false;
		s->ref(s->data, pointer, json_string_value(j), row);
		return true;
	}
	json_array_foreach((json_t *)j, i, item) {
		_cleanup_(freep) char *p = pointer_index(pointer, i);

		collect(s, row, item, p);
	}
	json_object_foreach((json_t *)j, key, item) {
		_cleanup_(freep) char *p = pointer_key(pointer, key);

		collect(s, row, item, p);
	}
	return false;
}

/* A mapping of names to mappings, each by the rows. */
static void check_objects(const struct ref_sink *s, const struct action_arg *row,
	const json_t *given, const char *pointer)
{
	const char *key;
	json_t *item;

	if (!json_is_object(given) || json_object_size(given) == 0)
		mistakes_add(s->m, pointer, "'%s' needs a mapping of names to mappings", row->name);
	json_object_foreach((json_t *)given, key, item) {
		_cleanup_(freep) char *p = pointer_key(pointer, key);

		if (json_is_object(item))
			args_check(row->fields, item, p, s->m, s->ref, s->data);
		else
			mistakes_add(s->m, p, "'%s' of '%s' needs a mapping", key, row->name);
	}
}

static void check_one(const struct ref_sink *s, const struct action_arg *row, const json_t *given,
	const char *pointer)
{
	struct value v = {0};
	struct err e;

	if (row->type == ARG_OBJECT) {
		if (json_is_object(given))
			args_check(row->fields, given, pointer, s->m, s->ref, s->data);
		else
			mistakes_add(s->m, pointer, "'%s' needs a mapping", row->name);
		return;
	}
	if (row->type == ARG_OBJECTS) {
		check_objects(s, row, given, pointer);
		return;
	}
	if (collect(s, row, given, pointer)) {
		/* The value comes later; the shape of a pattern can be seen now. */
		if (row->type != ARG_REGEX)
			return;
		_cleanup_(regex_freep) struct regex *re = NULL;
		struct strbuf b = {0};

		for (const char *p = json_string_value(given); *p;) {
			const char *end = !strncmp(p, "${", 2) ? strchr(p, '}') : NULL;

			sb_add_n(&b, end ? "x" : p, 1);
			p = end ? end + 1 : p + 1;
		}
		if (regex_new(b.s ? b.s : "", &re, &e) < 0)
			mistakes_add(s->m, pointer, "%s", e.msg);
		sb_done(&b);
		return;
	}
	if (check_quotes(row, given, &e) < 0 || convert(row, (json_t *)given, &v, &e) < 0)
		mistakes_add(s->m, pointer, "%s", e.msg);
}

void args_check(const struct action_arg *rows, const json_t *with, const char *pointer,
	struct mistakes *m,
	void (*ref)(
		void *data, const char *pointer, const char *text, const struct action_arg *row),
	void *data)
{
	const struct ref_sink s = {ref, data, m};
	const char *names[64] = {0};
	const char *key;
	json_t *given;
	size_t n = 0;

	for (; rows[n].name && n + 1 < ARRAY_LEN(names); n++) {
		names[n] = rows[n].name;
		if (rows[n].required && !json_object_get(with, rows[n].name))
			mistakes_add(m, pointer, "'%s' is missing: %s", rows[n].name, rows[n].doc);
	}
	json_object_foreach((json_t *)with, key, given) {
		_cleanup_(freep) char *p = pointer_key(pointer, key);
		size_t i = 0;

		while (i < n && strcmp(names[i], key) != 0)
			i++;
		if (i == n)
			mistakes_add_unknown(m, p, "argument", key, names);
		else
			check_one(&s, &rows[i], given, p);
	}
}
