/* SPDX-License-Identifier: Apache-2.0
 *
 * The check (lint) of a recipe: one walk over the JSON that builds the recipe and collects every
 * mistake on the way.
 */
#include "base/util.h"
#include "daemon/recipe/args.h"
#include "daemon/recipe/head.h"
#include "daemon/recipe/later.h"
#include "daemon/recipe/recipe.h"
#include "daemon/recipe/schema.h"
#include "daemon/recipe/unfold.h"

#define POWER_AFTER_US (20 * US_PER_S)

struct check {
	struct mistakes *m;
	struct recipe *r;
	bool bench; /* it is for a bench: paths of this machine are taken */
	/* While a step is looked at: */
	struct recipe_step *step;
	const struct frame *frame; /* of its names */
	bool secret_ok;		   /* what is looked at may hold a secret */
	const char *what;	   /* and what that is, in a sentence */
	enum step_phase phase;
	size_t index;
};

/* Of a step, or of its retry: the schema has the same keys. */
static void check_keys(
	struct check *c, const json_t *o, const char *pointer, const struct form_row *rows)
{
	const char *names[32] = {0};
	const char *key;
	json_t *v;

	for (size_t i = 0; rows[i].key && i + 1 < ARRAY_LEN(names); i++)
		names[i] = rows[i].key;
	json_object_foreach((json_t *)o, key, v) {
		_cleanup_(freep) char *p = pointer_key(pointer, key);
		const char *const *n = names;

		while (*n && strcmp(*n, key) != 0)
			n++;
		if (!*n)
			mistakes_add_unknown(c->m, p, "key", key, names);
	}
}

/* The string at key, NULL with a mistake if it is not a string or, when required, missing. */
static const char *get_string(
	struct check *c, const json_t *o, const char *pointer, const char *key, bool required)
{
	const json_t *v = json_object_get(o, key);
	_cleanup_(freep) char *p = pointer_key(pointer, key);

	if (!v && required)
		mistakes_add(c->m, pointer, "'%s' is missing", key);
	else if (v && !json_is_string(v))
		mistakes_add(c->m, p, "'%s' must be a string (quote it)", key);
	return json_string_value(v);
}

static uint64_t get_duration(
	struct check *c, const json_t *o, const char *pointer, const char *key, uint64_t def)
{
	const json_t *v = json_object_get(o, key);
	_cleanup_(freep) char *p = pointer_key(pointer, key);
	unsigned long long us;

	if (!v)
		return def;
	if (!json_is_string(v) || !parse_duration_us(json_string_value(v), &us) || us == 0) {
		mistakes_add(c->m, p,
			"'%s' must be a duration with its unit such as 500ms, 60s or 5m", key);
		return def;
	}
	return us;
}

static bool one_of(const char *s, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(*names, s))
			return true;
	return false;
}

/* --- references --- */

/* id: as the run calls it. */
static const struct recipe_step *step_of_run(const struct check *c, const char *id)
{
	for (int phase = 0; phase <= (int)c->phase; phase++) {
		size_t n = phase == (int)c->phase ? c->index : c->r->steps[phase];

		for (size_t i = 0; i < n; i++)
			if (!strcmp(c->r->step[phase][i].id, id))
				return &c->r->step[phase][i];
	}
	return NULL;
}

/* id: as the step that is looked at calls it. */
static const struct recipe_step *earlier_step(const struct check *c, const char *id)
{
	const struct recipe_step *s = NULL;
	char *ids[2];

	frame_ids(c->frame, id, ids);
	for (int i = 0; i < 2 && !s; i++)
		s = ids[i] ? step_of_run(c, ids[i]) : NULL;
	free(ids[0]);
	free(ids[1]);
	return s;
}

static int bad_name(struct err *e, const char *path, const char *word, const char *const *names)
{
	const char *near = nearest_name(word, names);

	return near ? err_set(e, ERR_NOT_FOUND, "'${%s}': unknown '%s', did you mean '%s'?", path,
			      word, near)
		    : err_set(e, ERR_NOT_FOUND, "'${%s}': unknown '%s'", path, word);
}

static int check_ref(void *data, const char *path, struct err *e);

/* What who uses the part has bound to the name. */
static int bound(struct check *c, const struct frame *part, const char *section, const char *path,
	const char *name, struct err *e)
{
	const struct frame *frame = c->frame;
	const char *text;
	int r;

	if (strcmp(section, "params") != 0) {
		text = !strcmp(section, "ports") ? frame_port(frame, name)
						 : frame_artifact(frame, name);
		return text ? 0
			    : err_set(e, ERR_NOT_FOUND, "'${%s}' is bound to nothing by '%s'", path,
				      part->name);
	}
	text = json_string_value(json_object_get(part->with, name));
	if (!text)
		return 0;
	c->frame = part->parent;
	r = template_refs(text, check_ref, c, e);
	c->frame = frame;
	return r;
}

static int declared(
	struct check *c, const char *section, const char *path, const char *name, struct err *e)
{
	const struct frame *part = frame_part(c->frame);
	const json_t *o = json_object_get(part ? part->part : c->r->json, section);
	const char *names[65] = {0};
	const char *key;
	json_t *v;
	size_t n = 0;

	json_object_foreach((json_t *)o, key, v) {
		if (!strcmp(key, name))
			return part ? bound(c, part, section, path, name, e) : 0;
		if (n < 64)
			names[n++] = key;
	}
	if (n == 0)
		return err_set(
			e, ERR_NOT_FOUND, "'${%s}': the recipe declares no %s", path, section);
	return bad_name(e, path, name, names);
}

static int no_secret_here(const struct check *c, const char *path, struct err *e)
{
	return err_set(e, ERR_INVALID,
		"'${%s}': %s may hold no secret, since others see it (see `provctl actions`)", path,
		c->what);
}

/* The step that is looked at sends the value of this slot, "" of the serial number. */
static void note_slot(const struct check *c, const char *slot)
{
	struct recipe_step *s = c->step;

	if (!s)
		return;
	for (size_t i = 0; i < s->slots; i++)
		if (!strcmp(s->slot[i], slot))
			return;
	s->slot = reallocarray(s->slot, s->slots + 1, sizeof *s->slot);
	if (!s->slot)
		abort();
	s->slot[s->slots++] = xstrdup(slot);
}

/* What a step has that says nothing of its values. */
static bool is_about_step(const char *output)
{
	static const char *const names[] = {"outcome", "code", "lease", NULL};

	return one_of(output, names);
}

/* A step that may be done when the run is over has outputs only for those that wait with it. */
static int wait_for_output(const struct check *c, const struct recipe_step *s, const char *path,
	const char *output, struct err *e)
{
	if (!s->later || (c->step && c->step->later) || !strcmp(output, "outcome") ||
		!strcmp(output, "code"))
		return 0;
	return err_set(e, ERR_INVALID,
		"'${%s}': step '%s' says 'offline: later' and may have no outputs during the run: only a step that says it as well may use them",
		path, s->id);
}

/* The outputs of a step by name; those beyond the room are not suggested, but known. */
static bool has_output(
	const struct recipe_step *s, const char *name, const char *names[], size_t room)
{
	const json_t *own = s->action->names ? json_object_get(s->with, s->action->names) : NULL;
	const char *key;
	json_t *v;
	size_t n = 2;

	names[0] = "outcome";
	names[1] = "code";
	for (const struct action_output *o = s->action->outputs; o && o->name; o++)
		if (n < room)
			names[n++] = o->name;
	json_object_foreach((json_t *)own, key, v)
		if (n < room)
			names[n++] = key;
	return one_of(name, names) || json_object_get(own, name);
}

static int step_output(const struct check *c, const char *path, const char *rest, struct err *e)
{
	const char *dot = strrchr(rest, '.');
	_cleanup_(freep) char *id = dot ? strndup(rest, (size_t)(dot - rest)) : xstrdup(rest);
	_cleanup_(freep) char *first = xasprintf("%s[1]", id);
	const struct recipe_step *s = earlier_step(c, id);
	const char *names[32] = {0};

	if (!s && earlier_step(c, first))
		return err_set(e, ERR_NOT_FOUND,
			"'${%s}': step '%s' is in a loop: name its turn, such as '${steps.%s.OUTPUT}'",
			path, id, first);
	if (!s)
		return err_set(
			e, ERR_NOT_FOUND, "'${%s}': no earlier step has the id '%s'", path, id);
	if (!dot)
		return err_set(
			e, ERR_NOT_FOUND, "'${%s}': name an output: ${steps.%s.OUTPUT}", path, id);
	/* The action itself may be unknown: that is one mistake, not two. */
	if (!s->action)
		return 0;
	if (!has_output(s, dot + 1, names, ARRAY_LEN(names) - 1))
		return bad_name(e, path, dot + 1, names);
	for (const struct action_output *o = s->action->outputs; o && o->name; o++)
		if (o->secret && !c->secret_ok && !strcmp(dot + 1, o->name))
			return no_secret_here(c, path, e);
	if (wait_for_output(c, s, path, dot + 1, e) < 0)
		return -(int)e->code;
	if (s->action->flags & ACTION_GIVES_VALUES && !is_about_step(dot + 1))
		note_slot(c, strcmp(dot + 1, "serial") ? dot + 1 : "");
	return 0;
}

static int secret_ref(struct check *c, const char *path, const char *name, struct err *e)
{
	struct recipe *r = c->r;

	if (!c->secret_ok)
		return no_secret_here(c, path, e);
	for (size_t i = 0; i < r->secrets; i++)
		if (!strcmp(r->secret[i], name))
			return 0;
	r->secret = reallocarray(r->secret, r->secrets + 1, sizeof *r->secret);
	if (!r->secret)
		abort();
	r->secret[r->secrets++] = xstrdup(name);
	return 0; /* whether it is there is known at the run: a bench may lack what the line has */
}

static int item_ref(const struct check *c, const char *path, struct err *e)
{
	const struct frame *turn = frame_turn(c->frame);
	json_t *v = NULL;
	int r;

	/* It is an order that has the list. */
	if (turn && !turn->item)
		return 0;
	r = frame_item(c->frame, path, &v, e);
	json_decref(v);
	return r;
}

static int check_ref(void *data, const char *path, struct err *e)
{
	static const char *const roots[] = {"unit", "job", "params", "artifacts", "ports",
		"station", "secrets", "steps", "run", "item", "turn", NULL};
	static const char *const unit_names[] = {"serial", "model", "id", NULL};
	static const char *const job_names[] = {"id", "external_ref", NULL};
	static const char *const station_names[] = {"id", "title", NULL};
	static const char *const run_names[] = {"id", NULL};
	struct check *c = data;
	const char *dot = strchr(path, '.');
	_cleanup_(freep) char *root = dot ? strndup(path, (size_t)(dot - path)) : xstrdup(path);
	const char *rest = dot ? dot + 1 : "";

	if (frame_is_item(path))
		return item_ref(c, path, e);
	if (!one_of(root, roots))
		return bad_name(e, path, root, roots);
	if (!*rest)
		return err_set(e, ERR_NOT_FOUND, "'${%s}' needs a name after it", path);
	if (!strcmp(path, "unit.serial")) {
		note_slot(c, "");
		return c->r->serial_source != SERIAL_NONE
			       ? 0
			       : err_set(e, ERR_NOT_FOUND,
					 "'${unit.serial}': the recipe says not where serials come from (unit: {serial: {pool: NAME}})");
	}
	if (!strcmp(root, "unit"))
		return one_of(rest, unit_names) ? 0 : bad_name(e, path, rest, unit_names);
	if (!strcmp(root, "job"))
		return one_of(rest, job_names) ? 0 : bad_name(e, path, rest, job_names);
	if (!strcmp(root, "station"))
		return one_of(rest, station_names) ? 0 : bad_name(e, path, rest, station_names);
	if (!strcmp(root, "run"))
		return one_of(rest, run_names) ? 0 : bad_name(e, path, rest, run_names);
	if (!strcmp(root, "steps"))
		return step_output(c, path, rest, e);
	if (!strcmp(root, "secrets"))
		return secret_ref(c, path, rest, e);
	return declared(c, root, path, rest, e);
}

static void check_arg_refs(
	void *data, const char *pointer, const char *text, const struct action_arg *row)
{
	struct check *c = data;
	_cleanup_(freep) char *what = xasprintf("'%s'", row ? row->name : "");
	struct err e;

	/* An action that is unknown is one mistake, not two. */
	c->secret_ok = !row || row->secret;
	c->what = what;
	if (template_refs(text, check_ref, c, &e) < 0)
		mistakes_add(c->m, pointer, "%s", e.msg);
}

/* Every reference resolves at the check: this scope gives any known name an empty text. */
static int when_lookup(void *data, const char *path, json_t **ret, struct err *e)
{
	int r = check_ref(data, path, e);

	if (r == 0)
		*ret = json_string("");
	return r;
}

/* --- steps --- */

static void check_port_kind(struct check *c, const struct recipe_step *s,
	const struct action_arg *row, const struct recipe_port *port, const char *pointer)
{
	unsigned kind = port_kind(port->kind);
	char takes[PORT_KINDS_BYTES];

	/* A kind that is unknown has been named already. */
	if (!kind || row->ports & kind)
		return;
	port_kinds_text(row->ports, takes);
	mistakes_add(c->m, pointer, "port '%s' is of kind %s: %s takes %s", port->role, port->kind,
		s->action->name, takes);
}

/* A part names its own ports; the run knows those of the recipe. */
static void rename_port(struct recipe_step *s, const char *arg, const char *role)
{
	if (!frame_part(s->frame))
		return;
	json_object_set_new(s->own, arg, json_string(role));
	json_object_set_new(s->own_known, arg, json_string(role));
}

static void unknown_port(struct check *c, const char *role, const char *pointer)
{
	const struct frame *part = frame_part(c->frame);
	const json_t *ports = json_object_get(part ? part->part : c->r->json, "ports");
	const char *names[65] = {0};
	const char *key;
	json_t *v;
	size_t n = 0;

	/* A recipe's own that is none has a mistake already. */
	if (json_object_get(ports, role)) {
		if (part)
			mistakes_add(c->m, pointer, "port '%s' of '%s' is bound to nothing", role,
				part->name);
		return;
	}
	json_object_foreach((json_t *)ports, key, v)
		if (n < 64)
			names[n++] = key;
	mistakes_add_unknown(c->m, pointer, "port", role, names);
	c->m->item[c->m->count - 1].at_key = false;
}

/* Of a name the digits are no way to write it: 5 is not what '5' is, and a list or mapping has been named already. */
static void check_is_text(
	struct check *c, const struct action_arg *row, const json_t *v, const char *p)
{
	_cleanup_(freep) char *shown = NULL;

	if (!json_is_number(v) && !json_is_boolean(v))
		return;
	shown = json_dumps(v, JSON_ENCODE_ANY);
	mistakes_add(c->m, p, "'%s' is %.40s: a name as a text expected", row->name, shown);
}

static void check_port_arg(
	struct check *c, struct recipe_step *s, const struct action_arg *row, const char *p)
{
	const json_t *v = json_object_get(s->known, row->name);
	const char *role = json_string_value(v);
	const char *outer;
	const struct recipe_port *port;

	if (!role) {
		check_is_text(c, row, v, p);
		return;
	}
	if (strstr(role, "${")) {
		if (frame_part(c->frame))
			mistakes_add(c->m, p,
				"'%s' of a part must be the name of one of its ports, known before the run",
				row->name);
		return;
	}
	outer = frame_port(c->frame, role);
	port = outer ? recipe_port(c->r, outer) : NULL;
	if (!port) {
		unknown_port(c, role, p);
		return;
	}
	check_port_kind(c, s, row, port, p);
	rename_port(s, row->name, outer);
}

static void check_port_args(struct check *c, struct recipe_step *s, const char *pointer)
{
	for (const struct action_arg *row = s->action->args; row->name; row++) {
		_cleanup_(freep) char *p = pointer_key(pointer, row->name);

		if (row->type == ARG_PORT)
			check_port_arg(c, s, row, p);
	}
}

/* The text with a letter for each reference. */
static char *without_refs(const char *text)
{
	struct strbuf b = {0};

	for (const char *p = text; *p; p++) {
		const char *end = !strncmp(p, "${", 2) ? strchr(p, '}') : NULL;

		sb_add_n(&b, end ? "x" : p, 1);
		p = end ? end : p;
	}
	return sb_take(&b);
}

static void check_kept_names(struct check *c, const json_t *list, const char *pointer)
{
	json_t *v;
	size_t i;

	json_array_foreach((json_t *)list, i, v) {
		_cleanup_(freep) char *p = pointer_index(pointer, i);
		_cleanup_(freep) char *name =
			json_is_string(v) ? without_refs(json_string_value(v)) : NULL;
		struct err e;

		if (name && output_name_check(name, &e) < 0)
			mistakes_add(c->m, p, "%s", e.msg);
	}
}

/* A station writes into a folder of the run alone, and reads artifacts alone. */
static void check_paths(struct check *c, const struct recipe_step *s, const char *pointer)
{
	for (const struct action_arg *row = s->action->args; row->name && !c->bench; row++) {
		const char *text = json_string_value(json_object_get(s->known, row->name));
		_cleanup_(freep) char *p = pointer_key(pointer, row->name);
		_cleanup_(freep) char *name = text ? without_refs(text) : NULL;
		struct err e;

		if (row->type == ARG_IMAGE || row->type == ARG_OUTPUT)
			check_is_text(c, row, json_object_get(s->known, row->name), p);
		if (row->type == ARG_IMAGE && text && !strstr(text, "${") && !is_sha256_hex(text))
			mistakes_add(c->m, p,
				"'%s' is '%.80s': a declared artifact expected, such as '${artifacts.NAME}'",
				row->name, text);
		else if (row->type == ARG_OUTPUT && name && output_name_check(name, &e) < 0)
			mistakes_add(c->m, p, "'%s': %s", row->name, e.msg);
		else if (row->keeps)
			check_kept_names(c, json_object_get(s->known, row->name), p);
		else if (row->bench && json_object_get(s->with, row->name))
			mistakes_add(c->m, p,
				row->type == ARG_BOOL
					? "'%s' is for a bench, where a person looks: no unit of the line passes unproved"
					: "'%s' is a path of the machine: only a bench takes it, on a station files are artifacts",
				row->name);
	}
}

/* Arguments that are good each by itself, and not together. */
static void check_together(struct check *c, const struct recipe_step *s, const char *pointer)
{
	struct args *literals;
	struct err e = {0};

	if (!s->action->check)
		return;
	literals = args_literal(s->action->args, s->known);
	if (s->action->check(literals, &e) < 0)
		mistakes_add(c->m, pointer, "%s", e.msg);
	args_free(literals);
}

/* The references of a step whose action is unknown. */
static void check_refs_within(struct check *c, const json_t *j, const char *pointer)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_string(j))
		check_arg_refs(c, pointer, json_string_value(j), NULL);
	json_array_foreach((json_t *)j, i, item) {
		_cleanup_(freep) char *p = pointer_index(pointer, i);

		check_refs_within(c, item, p);
	}
	json_object_foreach((json_t *)j, key, item) {
		_cleanup_(freep) char *p = pointer_key(pointer, key);

		check_refs_within(c, item, p);
	}
}

static void check_retry(struct check *c, struct recipe_step *s, const json_t *retry, const char *sp)
{
	_cleanup_(freep) char *p = pointer_key(sp, "retry");
	_cleanup_(freep) char *on_p = pointer_key(p, "on");
	const json_t *attempts = json_object_get(retry, "attempts");
	const json_t *on = json_object_get(retry, "on");
	json_t *v;
	size_t i;

	if (!json_is_object(retry)) {
		mistakes_add(c->m, p, "'retry' must be a mapping such as {attempts: 2, delay: 1s}");
		return;
	}
	check_keys(c, retry, p, retry_rows);
	if (!json_is_integer(attempts) || json_integer_value(attempts) < 1 ||
		json_integer_value(attempts) > 20) {
		mistakes_add(c->m, p, "'attempts' must be an integer from 1 to 20");
	} else {
		s->attempts = (unsigned)json_integer_value(attempts);
	}
	if (s->action && s->action->flags & ACTION_IRREVERSIBLE && s->attempts > 1)
		mistakes_add(
			c->m, p, "%s is irreversible: it is never tried twice", s->action->name);
	s->retry_delay_us = get_duration(c, retry, p, "delay", 0);
	if (on && !json_is_array(on))
		mistakes_add(c->m, on_p, "'on' must be a list of causes such as [timeout, io]");
	json_array_foreach((json_t *)on, i, v) {
		_cleanup_(freep) char *vp = pointer_index(on_p, i);
		int code = json_is_string(v) ? err_code_from_str(json_string_value(v)) : -1;

		if (code > 0) {
			s->retry_on[code] = true;
			continue;
		}
		const char *names[ERR_CODE_COUNT + 1] = {0};

		for (int k = 1; k < ERR_CODE_COUNT; k++)
			names[k - 1] = err_code_str((enum err_code)k);
		mistakes_add_unknown(
			c->m, vp, "cause", json_is_string(v) ? json_string_value(v) : "?", names);
	}
}

/* The number that somebody scanned comes in by this step. */
static bool brings_serial(const struct recipe_step *s)
{
	return (!strcmp(s->action->name, "unit.serial") && json_object_get(s->with, "value")) ||
	       (!strcmp(s->action->name, "unit.identity") && json_object_get(s->with, "serial"));
}

/* Without a '$' in any text: as a template it means itself. */
static bool is_plain(const json_t *j)
{
	const char *key;
	json_t *v;
	size_t i;

	if (json_is_string(j))
		return !strchr(json_string_value(j), '$');
	json_array_foreach((json_t *)j, i, v)
		if (!is_plain(v))
			return false;
	json_object_foreach((json_t *)j, key, v)
		if (!is_plain(v))
			return false;
	return true;
}

static const struct action_arg *row_of(const struct action_arg *rows, const char *name)
{
	for (; rows && rows->name; rows++)
		if (!strcmp(rows->name, name))
			return rows;
	return NULL;
}

/* A copy with what is known before the run in its place. In a pattern a value is quoted, which only
 * a run does. */
static json_t *known_of(const json_t *j, const struct action_arg *row, const struct scope *scope)
{
	const struct action_arg *fields = row && row->type == ARG_OBJECT ? row->fields : NULL;
	const char *text = json_string_value(j);
	const char *key;
	json_t *v = NULL, *out;
	size_t i;

	if (text && strstr(text, "${") && !(row && row->type == ARG_REGEX) &&
		template_eval(text, QUOTE_NONE, scope, &v, NULL) == 0) {
		if (is_plain(v))
			return v;
		json_decref(v);
	}
	if (!json_is_array(j) && !json_is_object(j))
		return json_deep_copy(j);
	out = json_is_array(j) ? json_array() : json_object();
	json_array_foreach((json_t *)j, i, v)
		json_array_append_new(out, known_of(v, row, scope));
	json_object_foreach((json_t *)j, key, v) {
		const struct action_arg *of = fields ? row_of(fields, key) : row;

		/* A member of one of several mappings. */
		if (row && row->type == ARG_OBJECTS && row_of(row->fields, key))
			of = row_of(row->fields, key);
		json_object_set_new(out, key, known_of(v, of, scope));
	}
	return out;
}

static void set_known(struct recipe_step *s)
{
	struct frame_known known = {s->frame, NULL};
	const struct scope scope = {.lookup = frame_lookup, .data = &known};
	const char *key;
	json_t *v;

	s->known = s->with;
	if (!s->frame || !s->with)
		return;
	s->own_known = json_object();
	json_object_foreach((json_t *)s->with, key, v)
		json_object_set_new(
			s->own_known, key, known_of(v, row_of(s->action->args, key), &scope));
	s->known = s->own_known;
	if (!frame_part(s->frame))
		return;
	s->own = json_deep_copy(s->with);
	s->with = s->own;
}

static void check_action(struct check *c, struct recipe_step *s, const json_t *o, const char *p)
{
	_cleanup_(freep) char *action_p = pointer_key(p, "action");
	_cleanup_(freep) char *with_p = pointer_key(p, "with");
	const char *name = get_string(c, o, p, "action", true);

	s->with = json_object_get(o, "with");
	if (s->with && !json_is_object(s->with)) {
		mistakes_add(c->m, with_p, "'with' must be a mapping");
		s->with = NULL;
	}
	if (!name) {
		check_refs_within(c, s->with, with_p);
		return;
	}
	s->action = action_find(name);
	if (!s->action) {
		const char *names[256] = {0};

		for (size_t i = 0; action_table[i] && i < 255; i++)
			names[i] = action_table[i]->name;
		mistakes_add_unknown(c->m, action_p, "action", name, names);
		c->m->item[c->m->count - 1].at_key = false;
		check_refs_within(c, s->with, with_p);
		return;
	}
	s->timeout_us = s->action->default_timeout_us;
	set_known(s);
	args_check(s->action->args, s->known, json_object_get(o, "with") ? with_p : p, c->m,
		check_arg_refs, c);
	check_port_args(c, s, with_p);
	check_paths(c, s, with_p);
	check_together(c, s, with_p);
	/* unit.serial hands the number out; only what sends it to a device exposes it. */
	if (c->r->serial_source == SERIAL_NONE &&
		(!strcmp(s->action->name, "unit.serial") || brings_serial(s)))
		mistakes_add(c->m, p,
			"the recipe says not where serials come from (unit: {serial: {pool: NAME}})");
}

static bool says_later(struct check *c, const json_t *o, const char *p)
{
	const char *offline = get_string(c, o, p, "offline", false);
	_cleanup_(freep) char *op = pointer_key(p, "offline");
	bool later = offline && !strcmp(offline, "later");

	if (offline && !later && strcmp(offline, "fail") != 0)
		mistakes_add(c->m, op, "'%s': fail or later expected", offline);
	return later;
}

static void check_later(struct check *c, const struct recipe_step *s, const char *p)
{
	_cleanup_(freep) char *op = pointer_key(p, "offline");
	struct err e;

	if (c->frame)
		mistakes_add(c->m, op,
			"'offline: later' is for a step of the recipe itself, not of a loop or a part");
	else if (c->phase != PHASE_STEPS)
		mistakes_add(c->m, op,
			"'offline: later' is for 'steps': setup and teardown end with the run");
	else if (later_check(s->action, s->with, &e) < 0)
		mistakes_add(c->m, op, "%s", e.msg);
}

/* Whether the step is given the name of a file that it saves. */
static bool saves_file(const struct recipe_step *s)
{
	for (const struct action_arg *row = s->action->args; row->name; row++)
		if ((row->type == ARG_OUTPUT || row->keeps) && json_object_get(s->with, row->name))
			return true;
	return false;
}

static void check_attach(struct check *c, struct recipe_step *s, const json_t *o, const char *p)
{
	const json_t *attach = json_object_get(o, "attach");
	_cleanup_(freep) char *ap = pointer_key(p, "attach");

	if (attach && !json_is_boolean(attach))
		mistakes_add(c->m, ap, "'attach' is true or false");
	s->attach = json_is_true(attach);
	if (s->attach && s->action && !saves_file(s))
		mistakes_add(c->m, ap,
			"'attach' is for a step that saves a file: %s is given no name for one (such as 'file')",
			s->action->name);
}

static void set_id(struct check *c, struct recipe_step *s, const char *id, const char *pointer)
{
	char *ids[2];

	frame_ids(c->frame, id, ids);
	if (step_of_run(c, ids[0] ? ids[0] : ids[1]))
		mistakes_add(c->m, pointer, "the id '%s' is used twice", id);
	str_replace(&s->id, ids[0] ? ids[0] : ids[1]);
	if (strlen(s->id) >= STEP_ID_BYTES)
		mistakes_add(c->m, pointer,
			"the id '%s' is too long with those of its parts: at most %d characters",
			id, STEP_ID_BYTES - 1);
	free(ids[0]);
	free(ids[1]);
}

static void check_condition(struct check *c, const char *when, const char *pointer)
{
	bool ignored;
	struct err e;

	c->secret_ok = false;
	c->what = "'when'";
	if (condition_eval(when, &(struct scope){when_lookup, c}, &ignored, &e) < 0)
		mistakes_add(c->m, pointer, "%s", e.msg);
}

static bool is_inside(const struct frame *f, const struct frame *outer)
{
	while (f && f != outer)
		f = f->parent;
	return f != NULL;
}

/* What a turn or a part says of all of its steps, at the first of them. */
static void check_frames(
	struct check *c, const struct unfolded_step *from, const struct frame *before)
{
	bool asked = true;

	for (const struct frame *f = from->frame; f && !is_inside(before, f); f = f->parent) {
		_cleanup_(freep) char *when_p = pointer_key(f->pointer, "when");
		_cleanup_(freep) char *with_p = pointer_key(f->pointer, "with");
		const char *key;
		json_t *v;
		struct err e;

		c->frame = f->turn ? f : f->parent;
		asked = asked && f != from->unasked;
		if (f->when && asked)
			check_condition(c, f->when, when_p);
		/* Which argument it goes to, and whether that may hold a secret, its steps say. */
		c->secret_ok = true;
		json_object_foreach((json_t *)f->with, key, v) {
			_cleanup_(freep) char *p = pointer_key(with_p, key);

			if (json_is_string(v) &&
				template_refs(json_string_value(v), check_ref, c, &e) < 0)
				mistakes_add(c->m, p, "%s", e.msg);
		}
	}
}

static void check_step(struct check *c, const struct unfolded_step *from, struct recipe_step *s)
{
	const json_t *o = from->step;
	const char *p = from->pointer;
	_cleanup_(freep) char *when_p = pointer_key(p, "when");
	_cleanup_(freep) char *id_p = pointer_key(p, "id");
	const char *id;
	const char *on_fail;

	s->attempts = 1;
	s->frame = c->frame = from->frame;
	s->unasked = from->unasked;
	s->id = xasprintf("%s-%zu", step_phase_str(c->phase), from->position);
	if (!json_is_object(o)) {
		mistakes_add(c->m, p, "a step must be a mapping with an 'action'");
		return;
	}
	c->step = s;
	check_keys(c, o, p, step_rows);
	id = get_string(c, o, p, "id", false);
	if (id) {
		if (!recipe_is_identifier(id, ""))
			mistakes_add(c->m, id_p,
				"'%s' is not an id: letters, digits, - and _, at most 64", id);
		set_id(c, s, id, id_p);
	} else if (from->needs_id) {
		mistakes_add(c->m, p, "a step of a loop or a part needs an 'id'");
	}
	get_string(c, o, p, "title", false);
	s->later = says_later(c, o, p);
	check_action(c, s, o, p);
	check_attach(c, s, o, p);
	if (s->later && s->action)
		check_later(c, s, p);
	s->timeout_us =
		get_duration(c, o, p, "timeout", s->timeout_us ? s->timeout_us : 60 * US_PER_S);
	if (json_object_get(o, "retry"))
		check_retry(c, s, json_object_get(o, "retry"), p);
	on_fail = get_string(c, o, p, "on_fail", false);
	if (on_fail && strcmp(on_fail, "stop") != 0 && strcmp(on_fail, "continue") != 0) {
		_cleanup_(freep) char *fp = pointer_key(p, "on_fail");

		mistakes_add(c->m, fp, "'%s': stop or continue expected", on_fail);
	}
	s->continue_on_fail = on_fail && !strcmp(on_fail, "continue");
	str_replace(&s->when, get_string(c, o, p, "when", false));
	if (s->when)
		check_condition(c, s->when, when_p);
	c->step = NULL;
}

static unsigned turn_of(const struct frame *f)
{
	unsigned turn = 0;

	for (; f; f = f->parent)
		turn = MAX(turn, f->turn);
	return turn;
}

/* The same mistake in each turn of a loop, and in each use of a part, is one. What only a later turn has says which; what is in the text
 * of a part says where that is used. */
static void once_for_all(struct mistakes *m, size_t before, const struct frame *f)
{
	const struct frame *part = frame_part(f);
	_cleanup_(freep) char *use =
		part ? strndup(part->id, strlen(part->id) - strlen(".")) : NULL;

	mistakes_merge(m, before, PARTS_POINTER, use);
	for (size_t i = before; i < m->count && f; i++) {
		const unsigned turn = m->item[i].uses ? f->turn : turn_of(f);
		_cleanup_(freep) char *text = m->item[i].text;

		m->item[i].text = turn > 1 ? xasprintf("turn %u: %s", turn, text) : xstrdup(text);
	}
	mistakes_merge(m, before, PARTS_POINTER, use);
}

static void check_phase(struct check *c, const struct unfolded *u, enum step_phase phase)
{
	const json_t *list = json_object_get(c->r->json, step_phase_str(phase));
	const struct frame *before = NULL;

	if (phase == PHASE_STEPS && json_array_size(list) == 0)
		mistakes_add(c->m, list ? "/steps" : "",
			"'steps' is missing or empty: a run without steps proves nothing");
	c->phase = phase;
	c->r->step[phase] = xcalloc(u->steps[phase], sizeof *c->r->step[phase]);
	for (size_t i = 0; i < u->steps[phase]; i++) {
		const struct unfolded_step *from = &u->step[phase][i];
		const size_t mistakes = c->m->count;

		c->index = i;
		c->r->steps[phase] = i + 1;
		check_frames(c, from, before);
		check_step(c, from, &c->r->step[phase][i]);
		once_for_all(c->m, mistakes, from->frame);
		before = from->frame;
	}
	c->frame = NULL;
}

/* Whatever happened before, the power is left as the recipe says: the last step of its teardown. */
static void add_power_after(struct check *c)
{
	struct recipe *r = c->r;
	size_t n = r->steps[PHASE_TEARDOWN];
	const struct action *action = action_find("device.power");
	struct recipe_step *grown;

	if (r->power_after == POWER_AFTER_NOTHING || !action)
		return;
	c->phase = PHASE_TEARDOWN;
	c->index = n;
	if (step_of_run(c, POWER_AFTER_STEP))
		mistakes_add(c->m, "/power_after",
			"a step has the id '" POWER_AFTER_STEP
			"', which is that of the step that power_after adds");
	grown = reallocarray(r->step[PHASE_TEARDOWN], n + 1, sizeof *grown);
	if (!grown)
		abort();
	r->leave = json_pack("{s:s}", "state", "leave");
	grown[n] = (struct recipe_step){.id = xstrdup(POWER_AFTER_STEP),
		.action = action,
		.with = r->leave,
		.known = r->leave,
		.timeout_us = POWER_AFTER_US,
		.attempts = 2,
		.retry_delay_us = US_PER_S};
	r->step[PHASE_TEARDOWN] = grown;
	r->steps[PHASE_TEARDOWN] = n + 1;
}

/* What a report calls the firmware's version is what a step read from the unit: one reference to an
 * output. A parameter would say what was ordered. */
static void check_firmware(struct check *c)
{
	static const char pointer[] = "/unit/firmware_version";
	const json_t *unit = json_object_get(c->r->json, "unit");
	const char *text = json_string_value(json_object_get(unit, "firmware_version"));
	size_t n = text ? strlen(text) : 0;
	_cleanup_(freep) char *path = NULL;
	struct err e = {0};
	char *dot;

	if (!text)
		return;
	if (n < 10 || strncmp(text, "${steps.", 8) != 0 || strcspn(text, "}") != n - 1) {
		mistakes_add(c->m, pointer,
			"'firmware_version' is '%.80s': the output of a step that read it from the unit expected, such as '${steps.version.match1}'",
			text);
		return;
	}
	path = strndup(text + 2, n - 3);
	c->phase = PHASE_TEARDOWN;
	c->index = c->r->steps[PHASE_TEARDOWN];
	if (step_output(c, path, path + strlen("steps."), &e) < 0) {
		mistakes_add(c->m, pointer, "%s", e.msg);
		return;
	}
	dot = strrchr(path + strlen("steps."), '.');
	c->r->firmware_output = xstrdup(dot + 1);
	*dot = '\0';
	c->r->firmware_step = xstrdup(path + strlen("steps."));
}

/* A serial that is scanned comes in through unit.serial, which is given the value. */
static void check_scan(struct check *c)
{
	if (c->r->serial_source != SERIAL_SCAN)
		return;
	for (int phase = 0; phase < 3; phase++) {
		for (size_t i = 0; i < c->r->steps[phase]; i++) {
			const struct recipe_step *s = &c->r->step[phase][i];

			if (s->action && brings_serial(s))
				return;
		}
	}
	mistakes_add(c->m, "/unit/serial",
		"the serial is scanned, but no unit.serial step has a 'value' (such as '${steps.ID.value}' of an operator.scan step)");
}

static void check_steps(struct check *c, const json_t *params)
{
	struct unfolded u;

	unfold(c->r->json, params, &u, c->m);
	for (int phase = 0; phase < 3; phase++)
		check_phase(c, &u, (enum step_phase)phase);
	c->r->open = u.open;
	c->r->frames = steal_ptr(&u.frames);
	unfolded_done(&u);
}

static int check_root(json_t *root, bool bench, const json_t *params, struct mistakes *m,
	struct recipe **ret, struct err *e)
{
	size_t before = m->count;
	struct recipe *r = xcalloc(1, sizeof *r);
	struct check c = {.m = m, .r = r, .bench = bench};
	_cleanup_(freep) char *canonical = NULL;

	r->refs = 1;
	r->bench = bench;
	r->json = json_incref(root);
	if (!json_is_object(root)) {
		mistakes_add(m, "", "a recipe must be a mapping");
	} else {
		recipe_head_read(root, r, m);
		check_steps(&c, params);
		add_power_after(&c);
		check_scan(&c);
		check_firmware(&c);
	}
	if (m->count > before) {
		recipe_unref(r);
		return err_set(e, ERR_RECIPE_INVALID, "the recipe has %zu mistake%s: %s",
			m->count - before, m->count - before == 1 ? "" : "s", m->item[before].text);
	}
	canonical = recipe_canonical(root);
	sha256_hex_of(canonical, strlen(canonical), r->sha256);
	*ret = r;
	return 0;
}

int recipe_check(json_t *root, struct mistakes *m, struct recipe **ret, struct err *e)
{
	return check_root(root, false, NULL, m, ret, e);
}

int recipe_check_bench(json_t *root, struct mistakes *m, struct recipe **ret, struct err *e)
{
	return check_root(root, true, NULL, m, ret, e);
}

int recipe_bind(const struct recipe *r, const json_t *params, struct recipe **ret, struct err *e)
{
	struct mistakes m = {0};
	json_t *root;
	int err;

	if (!r->open) {
		*ret = recipe_ref((struct recipe *)(uintptr_t)r);
		return 0;
	}
	/* A copy: the recipe may be shared with other threads. */
	root = json_deep_copy(r->json);
	err = check_root(root, r->bench, params, &m, ret, e);
	if (err < 0)
		err = err_set(e, ERR_INVALID,
			"the lists of the order make steps with %zu mistake%s: %s: %s", m.count,
			m.count == 1 ? "" : "s", m.item[0].pointer, m.item[0].text);
	else
		(*ret)->open = false;
	mistakes_done(&m);
	json_decref(root);
	return err;
}
