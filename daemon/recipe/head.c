/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/head.h"

#include "base/regex.h"
#include "base/util.h"

/* What the rows fill; the rest goes into the recipe. */
struct head {
	struct recipe *r;
	char *name, *title, *description;
	uint32_t version;
	uint64_t timeout_us;
	int power_after; /* enum power_after */
	const json_t *phase[3], *parts;
};

/* --- the unit --- */

/* As long as that of a unit's record: a longer one would be cut there. */
#define MODEL_BYTES_MAX 64

struct unit_form {
	struct recipe *r;
	char *model, *firmware_version;
};

struct serial_form {
	char *pool, *from, *pattern;
};

static const struct form_row serial_rows[] = {
	{"pool", FORM_TEXT, .doc = "The pool that gives one to each unit.",
		FORM_AT(struct serial_form, pool)},
	{"from", FORM_TEXT, .doc = "job: the order has them. scan: a step reads it from the unit.",
		FORM_AT(struct serial_form, from)},
	{"pattern", FORM_TEXT, .doc = "A regular expression that it must match.",
		FORM_AT(struct serial_form, pattern)},
	{0},
};

static void check_pattern(const char *pattern, const char *pointer, struct mistakes *m)
{
	_cleanup_(freep) char *p = pointer_key(pointer, "pattern");
	struct regex *re;
	struct err e;

	if (regex_new(pattern, &re, &e) < 0)
		mistakes_add(m, p, "%s", e.msg);
	else
		regex_free(re);
}

static void set_source(
	struct recipe *r, const struct serial_form *f, const char *pointer, struct mistakes *m)
{
	_cleanup_(freep) char *from_p = pointer_key(pointer, "from");

	if (f->pool && f->from)
		mistakes_add(m, pointer, "'pool' and 'from' exclude each other");
	else if (f->pool)
		r->serial_source = SERIAL_POOL;
	else if (f->from && !strcmp(f->from, "job"))
		r->serial_source = SERIAL_JOB;
	else if (f->from && !strcmp(f->from, "scan"))
		r->serial_source = SERIAL_SCAN;
	else if (f->from)
		mistakes_add(m, from_p, "'%s': job or scan expected", f->from);
	else
		mistakes_add(m, pointer, "'pool' or 'from' is missing");
}

static void read_serial(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct recipe *r = ((struct unit_form *)to)->r;
	struct serial_form f = {0};

	if (!json_is_object(v)) {
		mistakes_add(m, pointer,
			"'serial' must be {pool: NAME}, {from: job} or {from: scan, pattern: ...}");
		return;
	}
	form_read(serial_rows, v, pointer, "key", &f, m);
	if (f.pattern)
		check_pattern(f.pattern, pointer, m);
	set_source(r, &f, pointer, m);
	r->serial_pool = steal_ptr(&f.pool);
	r->serial_pattern = steal_ptr(&f.pattern);
	form_done(serial_rows, &f);
}

static const struct form_row unit_rows[] = {
	{"model", FORM_TEXT, .high = MODEL_BYTES_MAX, .doc = "What is made.",
		FORM_AT(struct unit_form, model)},
	{"serial", FORM_OWN, .read = read_serial, .rows = serial_rows,
		.doc = "Where serial numbers come from: a pool, the order, or a scan."},
	{"firmware_version", FORM_TEXT,
		.doc = "The output of a step that read it from the unit, such as '${steps.version.match1}'.",
		FORM_AT(struct unit_form, firmware_version)},
	{0},
};

static void read_unit(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct unit_form f = {.r = ((struct head *)to)->r};

	if (!json_is_object(v)) {
		mistakes_add(m, pointer, "'unit' must be a mapping");
		return;
	}
	form_read(unit_rows, v, pointer, "key", &f, m);
	f.r->model = steal_ptr(&f.model);
	form_done(unit_rows, &f);
}

/* --- ports --- */

static const char *const parities[] = {
	[LINK_PARITY_NONE] = "none", [LINK_PARITY_EVEN] = "even", [LINK_PARITY_ODD] = "odd", NULL};

static void read_kind(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct recipe_port *port = to;
	const char *kind = json_string_value(v);

	if (!kind)
		mistakes_add(m, pointer, "'kind' must be a string (quote it)");
	else if (!port_kind(kind))
		mistakes_add_unknown(m, pointer, "kind of port", kind, port_kind_names);
	if (kind)
		str_replace(&port->kind, kind);
}

static void read_level(
	const char *key, const json_t *v, const char *pointer, int *ret, struct mistakes *m)
{
	if (json_is_boolean(v))
		*ret = json_is_true(v);
	else if (json_is_integer(v) && (json_integer_value(v) == 0 || json_integer_value(v) == 1))
		*ret = (int)json_integer_value(v);
	else
		mistakes_add(m, pointer, "'%s' must be 0 or 1", key);
}

static void read_dtr(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	read_level("dtr", v, pointer, &((struct recipe_port *)to)->dtr, m);
}

static void read_rts(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	read_level("rts", v, pointer, &((struct recipe_port *)to)->rts, m);
}

#define LEVEL_SCHEMA "{\"enum\":[0,1,false,true]}"

static const struct form_row port_rows[] = {
	{"kind", FORM_OWN, .read = read_kind,
		.schema = "{\"enum\":[\"tty\",\"tcp\",\"udp\",\"usb\",\"probe\",\"any\"]}",
		.doc = "What it must be; by default tty."},
	{"baud", FORM_INT, .low = 50, .high = 20000000, .doc = "The speed of the line.",
		FORM_AT(struct recipe_port, baud)},
	{"parity", FORM_CHOICE, .choices = parities, .def = "none", .doc = "Of the line.",
		FORM_AT(struct recipe_port, parity)},
	{"rtscts", FORM_BOOL, .doc = "Flow control of the line.",
		FORM_AT(struct recipe_port, rtscts)},
	{"optional", FORM_BOOL, .doc = "A station may lack it.",
		FORM_AT(struct recipe_port, optional)},
	{"dtr", FORM_OWN, .read = read_dtr, .schema = LEVEL_SCHEMA,
		.doc = "The level of DTR; by default as the driver does."},
	{"rts", FORM_OWN, .read = read_rts, .schema = LEVEL_SCHEMA,
		.doc = "The level of RTS; by default as the driver does."},
	{0},
};

static void read_port(const char *role, const json_t *o, const char *pointer,
	struct recipe_port *out, struct mistakes *m)
{
	*out = (struct recipe_port){
		.role = xstrdup(role), .kind = xstrdup("tty"), .dtr = -1, .rts = -1};
	if (!recipe_is_identifier(role, ""))
		mistakes_add(m, pointer, "'%s' is not a name for a port", role);
	if (json_is_object(o))
		form_read(port_rows, o, pointer, "key", out, m);
	else
		mistakes_add(m, pointer, "port '%s' must be a mapping such as {kind: tty}", role);
}

static void read_ports(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct recipe *r = ((struct head *)to)->r;
	const char *role;
	json_t *o;

	if (!json_is_object(v)) {
		mistakes_add(m, pointer, "'ports' must be a mapping of roles");
		return;
	}
	r->port = xcalloc(json_object_size(v), sizeof *r->port);
	json_object_foreach((json_t *)v, role, o) {
		_cleanup_(freep) char *p = pointer_key(pointer, role);

		read_port(role, o, p, &r->port[r->ports++], m);
	}
}

/* --- artifacts and parameters --- */

static void read_artifacts(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	const char *name;
	json_t *ref;

	if (!json_is_object(v))
		mistakes_add(m, pointer, "'artifacts' must be a mapping of names to files");
	json_object_foreach((json_t *)v, name, ref) {
		_cleanup_(freep) char *p = pointer_key(pointer, name);

		if (!recipe_is_identifier(name, ""))
			mistakes_add(m, p, "'%s' is not a name for an artifact", name);
		if (!json_is_string(ref) || !json_string_length(ref))
			mistakes_add(m, p, "artifact '%s' must name a file or a sha256", name);
	}
}

struct param_form {
	char *title;
	bool good_type;
	const json_t *def, *choices;
};

static void read_type(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	static const char *const types[] = {"string", "number", "integer", "bool", "list", NULL};
	const char *type = json_string_value(v);
	size_t i = 0;

	while (type && types[i] && strcmp(types[i], type) != 0)
		i++;
	((struct param_form *)to)->good_type = type && types[i];
	if (!type)
		mistakes_add(m, pointer, "'type' must be a string (quote it)");
	else if (!types[i])
		mistakes_add_unknown(m, pointer, "type", type, types);
}

static const struct form_row param_rows[] = {
	{"type", FORM_OWN, .read = read_type,
		.schema = "{\"enum\":[\"string\",\"number\",\"integer\",\"bool\",\"list\"]}",
		.doc = "By default string. list: of texts, numbers, true or false, or mappings of those, for 'for_each'."},
	{"default", FORM_ANY, .doc = "Without it an order must give a value.",
		FORM_AT(struct param_form, def)},
	{"title", FORM_TEXT, .doc = "What people call it.", FORM_AT(struct param_form, title)},
	{"choices", FORM_LIST, .doc = "The only values.", FORM_AT(struct param_form, choices)},
	{0},
};

static void check_default(const char *recipe, const char *name, const json_t *decl,
	const char *pointer, struct mistakes *m)
{
	char unnamed[] = "";
	struct recipe probe = {.json = json_pack("{s:{s:O}}", "params", name, decl)};
	json_t *out = NULL;
	struct err e;

	probe.name = recipe ? (char *)recipe : unnamed;
	if (recipe_params(&probe, NULL, &out, &e) < 0)
		mistakes_add(m, pointer, "the default: %s", e.msg);
	json_decref(out);
	json_decref(probe.json);
}

static void read_param(const char *recipe, const char *name, const json_t *o, const char *pointer,
	struct mistakes *m)
{
	struct param_form f = {.good_type = true};

	if (!recipe_is_identifier(name, ""))
		mistakes_add(m, pointer, "'%s' is not a name for a parameter", name);
	if (!json_is_object(o)) {
		mistakes_add(m, pointer, "parameter '%s' must be a mapping such as {type: string}",
			name);
		return;
	}
	form_read(param_rows, o, pointer, "key", &f, m);
	if (f.def && f.good_type)
		check_default(recipe, name, o, pointer, m);
	form_done(param_rows, &f);
}

static void read_params(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	const struct head *h = to;
	const char *name;
	json_t *o;

	if (!json_is_object(v))
		mistakes_add(m, pointer, "'params' must be a mapping");
	json_object_foreach((json_t *)v, name, o) {
		_cleanup_(freep) char *p = pointer_key(pointer, name);

		read_param(h->name, name, o, p, m);
	}
}

/* --- the whole --- */

static const char *const power_afters[] = {[POWER_AFTER_NOTHING] = "nothing",
	[POWER_AFTER_ON] = "on",
	[POWER_AFTER_OFF] = "off",
	[POWER_AFTER_AS_FOUND] = "as_found",
	NULL};

#define STEPS_SCHEMA "{\"type\":\"array\",\"items\":{\"type\":\"object\"}}"

const struct form_row recipe_rows[] = {
	{"recipe", FORM_TEXT, .required = true,
		.doc = "Its name: letters, digits, - _ and ., at most 64.",
		FORM_AT(struct head, name)},
	{"version", FORM_INT, .required = true, .low = 1, .high = 1000000000,
		.doc = "Each version is approved once and never changes.",
		FORM_AT(struct head, version)},
	{"title", FORM_TEXT, .doc = "What people call it.", FORM_AT(struct head, title)},
	{"description", FORM_TEXT, .doc = "For who reads it.", FORM_AT(struct head, description)},
	{"unit", FORM_OWN, .read = read_unit, .rows = unit_rows, .doc = "What is made."},
	{"ports", FORM_OWN, .read = read_ports, .each = port_rows,
		.doc = "What its steps talk to, by role."},
	{"artifacts", FORM_OWN, .read = read_artifacts,
		.schema =
			"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\",\"minLength\":1}}",
		.doc = "Names of files: each is a stored artifact by its file name or SHA-256."},
	{"params", FORM_OWN, .read = read_params, .each = param_rows,
		.doc = "What an order may say."},
	{"timeout", FORM_DURATION, .low = 1,
		.doc = "Of the whole run without its teardown; by default none.",
		FORM_AT(struct head, timeout_us)},
	{"power_after", FORM_CHOICE, .choices = power_afters, .def = "nothing",
		.doc = "How the power of the unit is left, whatever happened: on, off, or as_found before its first switch in this run. The teardown ends with a step power-after that does it; where provd was killed, its next start does. nothing: as the steps left it.",
		FORM_AT(struct head, power_after)},
	{"parts", FORM_MAPPING,
		.doc = "The recipes that its steps use, by NAME@VERSION, as they were: provd adds them.",
		FORM_AT(struct head, parts)},
	{"setup", FORM_ANY, .schema = STEPS_SCHEMA, .doc = "Steps before the others.",
		FORM_AT(struct head, phase[PHASE_SETUP])},
	{"steps", FORM_ANY, .required = true, .schema = STEPS_SCHEMA, .doc = "Its steps.",
		FORM_AT(struct head, phase[PHASE_STEPS])},
	{"teardown", FORM_ANY, .schema = STEPS_SCHEMA,
		.doc = "Steps that run whatever came before.",
		FORM_AT(struct head, phase[PHASE_TEARDOWN])},
	{0},
};

void recipe_head_read(const json_t *root, struct recipe *r, struct mistakes *m)
{
	struct head h = {.r = r, .timeout_us = NO_DEADLINE};

	form_read(recipe_rows, root, "", "key", &h, m);
	if (h.name && (!recipe_is_identifier(h.name, ".") || strchr(".-_", h.name[0])))
		mistakes_add(m, "/recipe",
			"'%s' is not a name: letters, digits, - _ and ., at most 64", h.name);
	r->name = steal_ptr(&h.name);
	r->version = h.version;
	r->title = steal_ptr(&h.title);
	r->timeout_us = h.timeout_us;
	r->power_after = (enum power_after)h.power_after;
	form_done(recipe_rows, &h);
}
