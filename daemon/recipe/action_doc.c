/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/action_doc.h"

#include "base/util.h"
#include "daemon/recipe/action.h"
#include "daemon/recipe/args.h"

static const struct {
	enum action_flags flag;
	const char *name, *doc;
} flags[] = {
	{ACTION_IRREVERSIBLE, "irreversible", "happens at most once: observe, intent, act, commit"},
	{ACTION_WRITES_FLASH, "writes-flash", "changes what the unit holds"},
	{ACTION_NEEDS_EVIDENCE, "needs-evidence", "cannot pass without proof"},
	{ACTION_REENUMERATES, "reenumerates", "the device may leave and come back"},
	{ACTION_SAFE_TO_RETRY, "safe-to-retry", "may be tried again after any failure"},
	{ACTION_NEEDS_PERSON, "needs-person", "waits for somebody's answer"},
	{ACTION_GIVES_VALUES, "gives-values",
		"its outputs are values of the ledger: the first step that refers to one makes it used"},
	{ACTION_MAY_WAIT, "may-wait", "may be carried out later (offline: later)"},
};

static json_t *arg_json(const struct action_arg *a)
{
	json_t *o = json_pack("{s:s, s:s, s:b, s:b, s:s}", "name", a->name, "type",
		arg_type_str(a->type), "required", a->required, "secret", a->secret, "doc",
		a->doc ? a->doc : "");

	if (a->def)
		json_object_set_new(o, "default", json_string(a->def));
	if (a->unit)
		json_object_set_new(o, "unit", json_string(a->unit));
	if (a->high > a->low) {
		json_object_set_new(o, "low", json_real(a->low));
		json_object_set_new(o, "high", json_real(a->high));
	}
	if (a->type == ARG_PORT) {
		json_t *list = json_array();

		for (const char *const *k = port_kind_names; k[1]; k++)
			if (a->ports & port_kind(*k))
				json_array_append_new(list, json_string(*k));
		json_object_set_new(o, "ports", list);
	}
	if (a->type == ARG_CHOICE) {
		json_t *list = json_array();

		for (const char *const *c = a->choices; *c; c++)
			json_array_append_new(list, json_string(*c));
		json_object_set_new(o, "choices", list);
	}
	if (a->type == ARG_OBJECT || a->type == ARG_OBJECTS) {
		json_t *list = json_array();

		for (const struct action_arg *f = a->fields; f->name; f++)
			json_array_append_new(list, arg_json(f));
		json_object_set_new(o, "fields", list);
	}
	return o;
}

static json_t *action_json(const struct action *a)
{
	json_t *args = json_array();
	json_t *outputs = json_array();
	json_t *names = json_array();

	for (const struct action_arg *r = a->args; r->name; r++)
		json_array_append_new(args, arg_json(r));
	for (const struct action_output *o = a->outputs; o && o->name; o++)
		json_array_append_new(outputs, json_pack("{s:s, s:s, s:b}", "name", o->name, "doc",
						       o->doc, "secret", o->secret));
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (a->flags & flags[i].flag)
			json_array_append_new(names, json_string(flags[i].name));
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:I}", "name", a->name, "doc", a->doc, "args",
		args, "outputs", outputs, "flags", names, "timeout_ms",
		(json_int_t)(a->default_timeout_us / US_PER_MS));
}

json_t *actions_json(void)
{
	json_t *list = json_array();

	for (const struct action *const *a = action_table; *a; a++)
		json_array_append_new(list, action_json(*a));
	return list;
}

/* A bar would end the cell of a table. */
static void add_cell(struct strbuf *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '|')
			sb_add(out, "\\");
		sb_add_n(out, s, 1);
	}
}

static void args_markdown(struct strbuf *out, const struct action_arg *rows, const char *prefix)
{
	for (const struct action_arg *r = rows; r->name; r++) {
		sb_addf(out, "| `%s%s` | %s | ", prefix, r->name, arg_type_str(r->type));
		if (r->required) {
			sb_add(out, "required");
		} else if (r->def) {
			sb_add(out, "`");
			add_cell(out, r->def);
			sb_add(out, "`");
		}
		sb_add(out, " | ");
		add_cell(out, r->doc ? r->doc : "");
		if (r->unit)
			sb_addf(out, " (%s)", r->unit);
		if (r->type == ARG_CHOICE) {
			sb_add(out, ":");
			for (const char *const *c = r->choices; *c; c++)
				sb_addf(out, "%s `%s`", c == r->choices ? "" : ",", *c);
		}
		if (r->type == ARG_PORT) {
			char takes[PORT_KINDS_BYTES];

			port_kinds_text(r->ports, takes);
			sb_addf(out, " (%s)", r->ports == PORT_KIND_ANY ? "of any kind" : takes);
		}
		if (r->high > r->low)
			sb_addf(out, " [%g, %g]", r->low, r->high);
		if (r->secret)
			sb_add(out, " **(may hold a secret)**");
		sb_add(out, " |\n");
		if (r->type == ARG_OBJECT || r->type == ARG_OBJECTS) {
			_cleanup_(freep) char *inner = xasprintf(
				"%s%s.%s", prefix, r->name, r->type == ARG_OBJECTS ? "NAME." : "");

			args_markdown(out, r->fields, inner);
		}
	}
}

void actions_markdown(struct strbuf *out)
{
	sb_add(out,
		"# Actions\n\nMade from the action table by `provctl actions --markdown`: do not edit.\n\n`${secrets.NAME}` is taken in the arguments that are marked, and refused in every other: by the check, and by the runner where a value that came in at run time holds a secret.\n\n");
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		sb_addf(out, "- **%s**: %s.\n", flags[i].name, flags[i].doc);
	for (const struct action *const *p = action_table; *p; p++) {
		const struct action *a = *p;
		bool any = false;

		sb_addf(out, "\n## %s\n\n%s", a->name, a->doc);
		for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
			if (!(a->flags & flags[i].flag))
				continue;
			sb_addf(out, "%s*%s*", any ? ", " : " ", flags[i].name);
			any = true;
		}
		sb_addf(out, "%s Ends after %llu s unless the step says otherwise.\n",
			any ? "." : "", (unsigned long long)(a->default_timeout_us / US_PER_S));
		if (a->args[0].name)
			sb_add(out,
				"\n| argument | type | default | meaning |\n|---|---|---|---|\n");
		args_markdown(out, a->args, "");
		for (const struct action_output *o = a->outputs; o && o->name; o++)
			sb_addf(out, "%s- output `%s`: %s%s\n", o == a->outputs ? "\n" : "",
				o->name, o->doc, o->secret ? " **(a secret)**" : "");
	}
}
