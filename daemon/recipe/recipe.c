/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/recipe.h"

#include "base/util.h"
#include "daemon/recipe/args.h"
#include "daemon/recipe/items.h"

DEFINE_CLEANUP(struct yaml_doc, yaml_doc_free)

const char *step_phase_str(enum step_phase p)
{
	static const char *const name[] = {"setup", "steps", "teardown"};

	return name[p];
}

struct recipe *recipe_ref(struct recipe *r)
{
	if (r)
		__atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
	return r;
}

struct recipe *recipe_unref(struct recipe *r)
{
	if (!r || __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	for (int phase = 0; phase < 3; phase++) {
		for (size_t i = 0; i < r->steps[phase]; i++) {
			free(r->step[phase][i].id);
			free(r->step[phase][i].when);
			for (size_t k = 0; k < r->step[phase][i].slots; k++)
				free(r->step[phase][i].slot[k]);
			free(r->step[phase][i].slot);
			json_decref(r->step[phase][i].own);
			json_decref(r->step[phase][i].own_known);
		}
		free(r->step[phase]);
	}
	for (size_t i = 0; i < r->ports; i++) {
		free(r->port[i].role);
		free(r->port[i].kind);
	}
	free(r->port);
	for (size_t i = 0; i < r->secrets; i++)
		free(r->secret[i]);
	free(r->secret);
	free(r->name);
	free(r->title);
	free(r->model);
	free(r->serial_pool);
	free(r->serial_pattern);
	free(r->firmware_step);
	free(r->firmware_output);
	frames_free(r->frames);
	json_decref(r->leave);
	json_decref(r->json);
	free(r);
	return NULL;
}

char *recipe_canonical(const json_t *root)
{
	char *s = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	if (!s)
		abort();
	return s;
}

int recipe_load(const char *name, const char *text, size_t len, struct strbuf *report,
	struct recipe **ret, struct err *e)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
	struct mistakes m = {0};
	int r = yaml_parse(name, text, len, &doc, e);

	if (r < 0) {
		if (report && e)
			sb_addf(report, "%s\n", e->msg);
		return r;
	}
	r = recipe_check(doc->root, &m, ret, e);
	if (r < 0 && report)
		mistakes_print(&m, name, doc, report);
	mistakes_done(&m);
	return r;
}

const char *recipe_artifact(const struct recipe *r, const char *name)
{
	return json_string_value(json_object_get(json_object_get(r->json, "artifacts"), name));
}

const struct recipe_port *recipe_port(const struct recipe *r, const char *role)
{
	for (size_t i = 0; i < r->ports; i++)
		if (!strcmp(r->port[i].role, role))
			return &r->port[i];
	return NULL;
}

size_t recipe_step_count(const struct recipe *r)
{
	return r->steps[PHASE_SETUP] + r->steps[PHASE_STEPS] + r->steps[PHASE_TEARDOWN];
}

static const struct action_arg *param_row(const char *type, struct action_arg *row)
{
	static const struct {
		const char *name;
		enum arg_type type;
	} types[] = {{"string", ARG_STRING}, {"number", ARG_NUMBER}, {"integer", ARG_INT},
		{"bool", ARG_BOOL}};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (!strcmp(types[i].name, type)) {
			row->type = types[i].type;
			return row;
		}
	}
	return NULL;
}

/* value: of the declared type. A choice may be written with or without quotes, 1 or 1.0. */
static bool is_choice(const json_t *choice, const json_t *value)
{
	double v;

	if (json_is_number(value) && json_is_string(choice))
		return parse_number(json_string_value(choice), &v) && v == json_number_value(value);
	if (json_is_number(value))
		return json_is_number(choice) &&
		       json_number_value(choice) == json_number_value(value);
	return json_equal(choice, value);
}

static int check_choice(const char *name, const json_t *choices, const json_t *value, struct err *e)
{
	size_t n = json_array_size(choices);
	size_t i = 0;

	while (i < n && !is_choice(json_array_get(choices, i), value))
		i++;
	return i < n || n == 0
		       ? 0
		       : err_set(e, ERR_INVALID,
				 "parameter '%s': the value is not one of its choices", name);
}

static json_t *typed(enum arg_type type, const struct args *a, const char *name)
{
	if (type == ARG_BOOL)
		return json_boolean(args_bool(a, name));
	return type == ARG_INT ? json_integer(args_int(a, name)) : json_real(args_number(a, name));
}

/* Values as they are: what an item may be is for a step to say. */
static int list_param(
	const char *name, const json_t *choices, const json_t *given, json_t *out, struct err *e)
{
	json_t *v;
	size_t i;
	int r = 0;

	if (!json_is_array(given))
		return err_set(e, ERR_INVALID, "parameter '%s' must be a list", name);
	if (json_array_size(given) == 0 || json_array_size(given) > ITEMS_MAX)
		return err_set(e, ERR_INVALID, "parameter '%s' has %zu items: 1 to %d expected",
			name, json_array_size(given), ITEMS_MAX);
	json_array_foreach((json_t *)given, i, v) {
		r = item_check(v, e);
		if (r == 0)
			r = check_choice(name, choices, v, e);
		if (r < 0)
			return err_prefix(e, "parameter '%s', item %zu", name, i + 1);
	}
	json_object_set(out, name, (json_t *)given);
	return 0;
}

int recipe_param(
	const char *name, const json_t *decl, const json_t *given, json_t *out, struct err *e)
{
	const char *type = json_string_value(json_object_get(decl, "type"));
	struct action_arg row[2] = {{.name = name, .doc = "a parameter of the recipe"}};
	json_t *choices = json_object_get(decl, "choices");
	json_t *with;
	struct args *a;
	int r;

	if (!given)
		return err_set(e, ERR_INVALID, "parameter '%s' is missing", name);
	if (type && !strcmp(type, "list"))
		return list_param(name, choices, given, out, e);
	param_row(type ? type : "string", row);
	/* A value from outside is data, not a template. */
	if (!json_is_string(given) && row->type == ARG_STRING)
		return err_set(e, ERR_INVALID, "parameter '%s' must be a string", name);
	if (json_is_string(given) && row->type == ARG_STRING) {
		json_object_set(out, name, (json_t *)given);
		return check_choice(name, choices, given, e);
	}
	with = json_pack("{s:O}", name, given);
	r = args_new(row, with, &(struct scope){0}, &a, e);
	json_decref(with);
	if (r < 0)
		return r;
	json_object_set_new(out, name, typed(row->type, a, name));
	args_free(a);
	return check_choice(name, choices, json_object_get(out, name), e);
}

int recipe_params(const struct recipe *r, const json_t *given, json_t **ret, struct err *e)
{
	const json_t *declared = json_object_get(r->json, "params");
	json_t *out = json_object();
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)given, name, v) {
		if (!json_object_get(declared, name)) {
			json_decref(out);
			return err_set(
				e, ERR_INVALID, "recipe %s has no parameter '%s'", r->name, name);
		}
	}
	json_object_foreach((json_t *)declared, name, v) {
		const json_t *value = json_object_get(given, name);
		/* A copy: the recipe may be shared with other threads. */
		json_t *copy = json_deep_copy(value ? value : json_object_get(v, "default"));
		int err = recipe_param(name, v, copy, out, e);

		json_decref(copy);
		if (err < 0) {
			json_decref(out);
			return err;
		}
	}
	*ret = out;
	return 0;
}

static void add_params_mistake(
	const char *pointer, const char *name, struct mistakes *m, const char *text)
{
	_cleanup_(freep) char *p = pointer_key(pointer, name);

	mistakes_add(m, p, "%s", text);
}

/* The steps that the lists make, before any unit is there. */
static void check_loops(
	const struct recipe *r, const json_t *params, const char *pointer, struct mistakes *m)
{
	struct recipe *bound = NULL;
	struct err e;

	if (recipe_bind(r, params, &bound, &e) < 0)
		mistakes_add(m, pointer, "%s", e.msg);
	recipe_unref(bound);
}

int recipe_params_read(const struct recipe *r, const json_t *given, bool partial,
	const char *pointer, struct mistakes *m, json_t **ret)
{
	const json_t *declared = json_object_get(r->json, "params");
	const size_t before = m->count;
	json_t *out = json_object();
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)given, name, v) {
		_cleanup_(freep) char *text = NULL;

		if (json_object_get(declared, name))
			continue;
		text = xasprintf("recipe %s has no parameter '%.64s'", r->name, name);
		add_params_mistake(pointer, name, m, text);
	}
	json_object_foreach((json_t *)declared, name, v) {
		const json_t *value = json_object_get(given, name);
		json_t *copy =
			json_deep_copy(value || partial ? value : json_object_get(v, "default"));
		struct err e;

		if (!copy && !partial)
			mistakes_add(m, pointer, "parameter '%s' is missing", name);
		else if (copy && recipe_param(name, v, copy, out, &e) < 0)
			add_params_mistake(pointer, name, m, e.msg);
		json_decref(copy);
	}
	if (m->count == before && !partial)
		check_loops(r, out, pointer, m);
	if (m->count > before) {
		json_decref(out);
		return -ERR_INVALID;
	}
	*ret = out;
	return 0;
}
