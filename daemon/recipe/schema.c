/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/schema.h"

#include "base/util.h"
#include "daemon/recipe/action.h"
#include "daemon/recipe/args.h"
#include "daemon/recipe/head.h"

static const char *const on_fails[] = {"stop", "continue", NULL};
static const char *const offlines[] = {"fail", "later", NULL};

const struct form_row retry_rows[] = {
	{"attempts", FORM_INT, .required = true, .low = 1, .high = 20,
		.doc = "How often it is tried, the first time included."},
	{"delay", FORM_DURATION, .low = 1, .doc = "Before each further attempt; by default none."},
	{"on", FORM_LIST,
		.doc = "The causes for which it is tried again; by default all but a wrong device and a person's abort."},
	{0},
};

const struct form_row step_rows[] = {
	{"id", FORM_TEXT, .low = 1, .high = 64,
		.doc = "Its name in records and in '${steps.ID.OUTPUT}': letters, digits, - and _. By default its place, such as steps-2."},
	{"action", FORM_OWN, .doc = "What it does."},
	{"use", FORM_TEXT, .low = 1, .doc = "NAME@VERSION of a recipe whose steps come here."},
	{"for_each", FORM_ANY, .schema = "{\"type\":[\"string\",\"array\"]}",
		.doc = "Once for each item: a list, or '${params.NAME}' of one."},
	{"steps", FORM_LIST, .low = 1, .doc = "Those of a loop, where it is more than one."},
	{"with", FORM_MAPPING, .doc = "The arguments of its action."},
	{"timeout", FORM_DURATION, .low = 1,
		.doc = "For one attempt; by default what its action says."},
	{"retry", FORM_OWN, .rows = retry_rows, .doc = "Tries again; not what is irreversible."},
	{"on_fail", FORM_CHOICE, .choices = on_fails,
		.doc = "stop, or continue after a failed step: the run is failed all the same. By default stop."},
	{"offline", FORM_CHOICE, .choices = offlines,
		.doc = "later: where its service is away, it is carried out when the run is over. By default fail."},
	{"attach", FORM_BOOL, .doc = "The files that it saves are attached to the run."},
	{"when", FORM_TEXT, .doc = "A condition: it is skipped where that is false."},
	{"title", FORM_TEXT, .doc = "What people call it."},
	{0},
};

/* --- the arguments of an action --- */

/* A text with a reference is judged when its value is known. */
static json_t *or_reference(json_t *schema)
{
	return json_pack(
		"{s:[o, {s:s, s:s}]}", "anyOf", schema, "type", "string", "pattern", "\\$\\{");
}

static json_t *scalar_schema(void)
{
	return json_pack("{s:[s, s, s]}", "type", "string", "number", "boolean");
}

/* `type` of JSON, or a text of that pattern. */
static json_t *number_schema(const struct action_arg *row, const char *type, const char *pattern)
{
	json_t *o = json_pack("{s:[s, s], s:s}", "type", type, "string", "pattern", pattern);

	if (row->high > row->low) {
		json_object_set_new(o, "minimum", json_real(row->low));
		json_object_set_new(o, "maximum", json_real(row->high));
	}
	return or_reference(o);
}

/* A choice that looks like a number, or like true or false, may be written without quotes. */
static json_t *choice_schema(const struct action_arg *row)
{
	json_t *names = json_array();

	for (const char *const *c = row->choices; *c; c++) {
		json_t *bare = json_loads(*c, JSON_DECODE_ANY, NULL);

		json_array_append_new(names, json_string(*c));
		if (json_is_integer(bare) || json_is_boolean(bare))
			json_array_append(names, bare);
		json_decref(bare);
	}
	return or_reference(json_pack("{s:o}", "enum", names));
}

static json_t *args_schema(const struct action_arg *rows);

static json_t *arg_type_schema(const struct action_arg *row)
{
	switch (row->type) {
	case ARG_STRING:
	case ARG_REGEX:
	case ARG_PORT:
	case ARG_IMAGE:
	case ARG_OUTPUT:
		return row->quoted ? json_pack("{s:s}", "type", "string") : scalar_schema();
	case ARG_BOOL:
		return or_reference(json_pack("{s:[b, b, s, s]}", "enum", 1, 0, "true", "false"));
	case ARG_INT:
		return number_schema(row, "integer", "^-?(0[xX][0-9a-fA-F]+|[0-9]+)$");
	case ARG_NUMBER:
		return number_schema(row, "number", "^[-+.0-9eE]+$");
	case ARG_SIZE:
		return or_reference(json_pack("{s:[s, s], s:s, s:i}", "type", "integer", "string",
			"pattern", "^(0[xX][0-9a-fA-F]+|[0-9]+)[KMG]?$", "minimum", 0));
	case ARG_DURATION:
		return or_reference(json_pack(
			"{s:s, s:s}", "type", "string", "pattern", "^[0-9]+(us|ms|s|m|h|d)$"));
	case ARG_CHOICE:
		return choice_schema(row);
	case ARG_LIST:
		return or_reference(
			json_pack("{s:s, s:{s:s}}", "type", "array", "items", "type", "string"));
	case ARG_MAP:
		return or_reference(json_pack(
			"{s:s, s:o}", "type", "object", "additionalProperties", scalar_schema()));
	case ARG_OBJECT:
		return args_schema(row->fields);
	case ARG_OBJECTS:
		return json_pack("{s:s, s:i, s:o}", "type", "object", "minProperties", 1,
			"additionalProperties", args_schema(row->fields));
	}
	return json_object();
}

static char *arg_doc(const struct action_arg *row)
{
	struct strbuf b = {0};

	sb_add(&b, row->doc ? row->doc : "");
	if (row->unit)
		sb_addf(&b, " (%s)", row->unit);
	sb_addf(&b, "%s%s", b.s && *b.s ? ". " : "", arg_type_str(row->type));
	if (row->def)
		sb_addf(&b, "; by default %s", *row->def ? row->def : "an empty text");
	if (row->secret)
		sb_add(&b, "; it may hold a secret");
	if (row->bench)
		sb_add(&b, "; only on a bench");
	return sb_take(&b);
}

static json_t *args_schema(const struct action_arg *rows)
{
	json_t *properties = json_object(), *required = json_array(), *o;

	for (; rows->name; rows++) {
		json_t *arg = arg_type_schema(rows);
		_cleanup_(freep) char *doc = arg_doc(rows);

		json_object_set_new(arg, "description", json_string(doc));
		json_object_set_new(properties, rows->name, arg);
		if (rows->required)
			json_array_append_new(required, json_string(rows->name));
	}
	o = json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties,
		"additionalProperties", 0);
	if (json_array_size(required))
		json_object_set(o, "required", required);
	json_decref(required);
	return o;
}

/* --- a step --- */

/* enumDescriptions is a word of editors; a validator passes over it. */
static json_t *action_names(void)
{
	json_t *names = json_array(), *docs = json_array();

	for (const struct action *const *a = action_table; *a; a++) {
		json_array_append_new(names, json_string((*a)->name));
		json_array_append_new(docs, json_string((*a)->doc));
	}
	return json_pack("{s:s, s:o, s:o}", "description", "What it does.", "enum", names,
		"enumDescriptions", docs);
}

static json_t *causes(void)
{
	json_t *names = json_array();

	for (int i = 1; i < ERR_CODE_COUNT; i++)
		json_array_append_new(names, json_string(err_code_str((enum err_code)i)));
	return json_pack("{s:o}", "enum", names);
}

static bool needs_arguments(const struct action *a)
{
	for (const struct action_arg *row = a->args; row->name; row++)
		if (row->required)
			return true;
	return false;
}

/* Where the action is this one, `with` is what it takes. */
static json_t *rule_of(const struct action *a)
{
	_cleanup_(freep) char *ref = xasprintf("#/$defs/%s", a->name);
	json_t *then = json_pack("{s:{s:{s:s}}}", "properties", "with", "$ref", ref);

	if (needs_arguments(a))
		json_object_set_new(then, "required", json_pack("[s]", "with"));
	return json_pack("{s:{s:{s:{s:s}}, s:[s]}, s:o}", "if", "properties", "action", "const",
		a->name, "required", "action", "then", then);
}

static json_t *step_schema(void)
{
	json_t *o = form_schema(step_rows);
	json_t *properties = json_object_get(o, "properties");
	json_t *retry = json_object_get(json_object_get(properties, "retry"), "properties");
	json_t *rules = json_array();

	json_object_set_new(properties, "action", action_names());
	json_object_set_new(json_object_get(retry, "on"), "items", causes());
	/* Of a part. */
	json_object_set_new(properties, "ports",
		json_pack("{s:s, s:s}", "type", "object", "description",
			"Role of the part: role of this recipe."));
	json_object_set_new(properties, "artifacts",
		json_pack("{s:s, s:s}", "type", "object", "description",
			"Name in the part: name in this recipe."));
	json_object_set_new(json_object_get(properties, "steps"), "items",
		json_pack("{s:s}", "$ref", "#/$defs/step"));
	json_object_set_new(o, "anyOf",
		json_pack("[{s:[s]}, {s:[s]}, {s:[s]}]", "required", "action", "required", "use",
			"required", "steps"));
	for (const struct action *const *a = action_table; *a; a++)
		json_array_append_new(rules, rule_of(*a));
	json_object_set_new(o, "allOf", rules);
	return o;
}

json_t *recipe_schema(void)
{
	static const char *const phases[] = {"setup", "steps", "teardown"};
	json_t *o = form_schema(recipe_rows);
	json_t *properties = json_object_get(o, "properties");
	json_t *defs = json_pack("{s:o}", "step", step_schema());

	for (size_t i = 0; i < ARRAY_LEN(phases); i++)
		json_object_set_new(json_object_get(properties, phases[i]), "items",
			json_pack("{s:s}", "$ref", "#/$defs/step"));
	json_object_set_new(json_object_get(properties, "steps"), "minItems", json_integer(1));
	for (const struct action *const *a = action_table; *a; a++)
		json_object_set_new(defs, (*a)->name, args_schema((*a)->args));
	json_object_set_new(
		o, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
	json_object_set_new(o, "title", json_string("A recipe of provd"));
	json_object_set_new(o, "$defs", defs);
	return o;
}
