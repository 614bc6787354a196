/* SPDX-License-Identifier: Apache-2.0
 *
 * Actions on a bench: `exec`, and the guide's own commands made of it. Each becomes a recipe of one
 * or a few steps, checked and run by the same code as on a station.
 */
#include "base/util.h"
#include "cli/bench.h"

/* A literal stays one: nothing of argv is a template. */
static char *literal(const char *s)
{
	struct strbuf b = {0};

	for (; *s; s++) {
		if (!strncmp(s, "${", 2))
			sb_add(&b, "$");
		sb_add_n(&b, s, 1);
	}
	return sb_take(&b);
}

static json_t *empty_recipe(const char *name)
{
	return json_pack("{s:s, s:i, s:{}, s:[]}", "recipe", name, "version", 1, "ports", "steps");
}

static int run_json(const struct ctl *c, json_t *root, json_t *ports, const char *serial)
{
	struct bench b = {.ctl = c, .ports = ports, .serial = serial};
	struct mistakes m = {0};
	struct recipe *recipe;
	struct err e;
	int r = recipe_check_bench(root, &m, &recipe, &e);

	for (size_t i = 0; i < m.count; i++)
		ctl_usage("%s", m.item[i].text);
	mistakes_done(&m);
	if (r < 0)
		return EXIT_USAGE;
	r = bench_run(&b, recipe);
	recipe_unref(recipe);
	return r;
}

static const struct action_arg *find_row(const struct action_arg *rows, const char *name, size_t n)
{
	for (; rows && rows->name; rows++)
		if (strlen(rows->name) == n && !strncmp(rows->name, name, n))
			return rows;
	return NULL;
}

/* A value of argv as the row's type wants it: lists and maps as JSON, a list also by repetition. */
static int set_value(json_t *with, const struct action_arg *row, const char *key, const char *value)
{
	json_t *old = json_object_get(with, key);
	_cleanup_(freep) char *text = literal(value);
	json_t *v = NULL;

	if (row && (row->type == ARG_LIST || row->type == ARG_MAP || row->type == ARG_OBJECTS) &&
		(*value == '[' || *value == '{')) {
		v = json_loads(text, 0, NULL);
		if (!v)
			return -1;
	} else if (row && row->type == ARG_LIST) {
		if (!old)
			json_object_set_new(with, key, old = json_array());
		json_array_append_new(old, json_string(text));
		return 0;
	}
	json_object_set_new(with, key, v ? v : json_string(text));
	return 0;
}

/* The kind of port that an address is of; "any" for an unknown kind, which is an error when it is
 * opened. */
static const char *kind_of(const char *address)
{
	size_t n = strcspn(address, ":");

	for (const char *const *k = port_kind_names; k[1]; k++)
		if (strlen(*k) == n && !strncmp(*k, address, n))
			return *k;
	return "any";
}

/* key=value or key.member=value. Ports become roles of the same name. */
static int add_arg(const struct action *action, json_t *root, json_t *with, json_t *ports,
	const char *arg, struct err *e)
{
	const char *eq = strchr(arg, '=');
	size_t n = eq ? (size_t)(eq - arg) : 0;
	const char *dot = eq ? memchr(arg, '.', n) : NULL;
	_cleanup_(freep) char *key = eq ? strndup(arg, n) : NULL;
	const struct action_arg *row;
	char *address;
	int r;

	if (!eq || n == 0)
		return err_set(e, ERR_INVALID, "'%s': NAME=VALUE expected", arg);
	if (dot) {
		_cleanup_(freep) char *outer = strndup(arg, (size_t)(dot - arg));
		json_t *inner = json_object_get(with, outer);

		row = find_row(action->args, outer, strlen(outer));
		if (!inner)
			json_object_set_new(with, outer, inner = json_object());
		if (row && row->type == ARG_MAP)
			row = NULL;
		else if (row)
			row = find_row(row->fields, dot + 1, n - (size_t)(dot + 1 - arg));
		return set_value(inner, row, key + (dot + 1 - arg), eq + 1) == 0
			       ? 0
			       : err_set(e, ERR_INVALID, "'%s' is not JSON", arg);
	}
	row = find_row(action->args, key, n);
	if (!row || row->type != ARG_PORT)
		return set_value(with, row, key, eq + 1) == 0
			       ? 0
			       : err_set(e, ERR_INVALID, "'%s' is not JSON", arg);
	r = bench_address(eq + 1, &address, e);
	if (r < 0)
		return r;
	json_object_set_new(ports, key, json_string(address));
	json_object_set_new(
		json_object_get(root, "ports"), key, json_pack("{s:s}", "kind", kind_of(address)));
	json_object_set_new(with, key, json_string(key));
	free(address);
	return 0;
}

static int unknown_action(const char *name)
{
	const char *names[128] = {0};

	for (size_t i = 0; action_table[i] && i < 127; i++)
		names[i] = action_table[i]->name;

	const char *near = nearest_name(name, names);

	return near ? ctl_usage("unknown action '%s', did you mean '%s'?", name, near)
		    : ctl_usage("unknown action '%s': see provctl actions", name);
}

static int cmd_exec(struct ctl *c, int argc, char **argv)
{
	const struct action *action = argc >= 2 ? action_find(argv[1]) : NULL;
	const char *serial = NULL;
	json_t *root;
	json_t *ports;
	json_t *with;
	json_t *step;
	struct err e = {0};
	int r = 0;

	if (argc < 2)
		return ctl_usage("exec ACTION NAME=VALUE ...");
	if (!action)
		return unknown_action(argv[1]);
	root = empty_recipe("bench");
	ports = json_object();
	with = json_object();
	step = json_pack("{s:s, s:s, s:o}", "id", "exec", "action", action->name, "with", with);
	json_array_append_new(json_object_get(root, "steps"), step);
	for (int i = 2; i < argc && r == 0; i++) {
		if (!strncmp(argv[i], "timeout=", 8) && !find_row(action->args, "timeout", 7))
			json_object_set_new(step, "timeout", json_string(argv[i] + 8));
		else if (!strncmp(argv[i], "--timeout=", 10))
			json_object_set_new(step, "timeout", json_string(argv[i] + 10));
		else if (!strncmp(argv[i], "--serial=", 9))
			serial = argv[i] + 9;
		else
			r = add_arg(action, root, with, ports, argv[i], &e);
	}
	if (serial)
		json_object_set_new(root, "unit", json_pack("{s:{s:s}}", "serial", "from", "job"));
	r = r < 0 ? ctl_fail(&e) : run_json(c, root, ports, serial);
	json_decref(root);
	json_decref(ports);
	return r;
}

/* --- the guide's commands --- */

struct guide {
	const char *port, *baud;
	json_t *root, *ports;
};

static int guide_begin(struct guide *g, int argc, char **argv, char **words, int max)
{
	const struct option_row rows[] = {
		{"port", &g->port, NULL}, {"baudrate", &g->baud, NULL}, {0}};
	int n = ctl_options(argc, argv, rows, words, max);
	json_int_t baud;
	json_t *port;
	char *address;
	struct err e;

	if (n < 0)
		return -1;
	if (!g->port)
		g->port = getenv("PORT") ? getenv("PORT") : "/dev/ttyUSB0";
	if (!g->baud)
		g->baud = getenv("BAUDRATE") ? getenv("BAUDRATE") : "115200";
	if (!whole_number(g->baud, &baud))
		return ctl_usage("--baudrate '%s' is not a whole number", g->baud), -1;
	if (bench_address(g->port, &address, &e) < 0)
		return ctl_fail(&e), -1;
	g->root = empty_recipe("bench");
	port = json_pack("{s:s, s:I}", "kind", "any", "baud", baud);
	json_object_set_new(json_object_get(g->root, "ports"), "console", port);
	g->ports = json_pack("{s:s}", "console", address);
	free(address);
	return n;
}

static void add_step(struct guide *g, const char *id, const char *action, json_t *with)
{
	json_object_set_new(with, "port", json_string("console"));
	json_array_append_new(json_object_get(g->root, "steps"),
		json_pack("{s:s, s:s, s:o}", "id", id, "action", action, "with", with));
}

static void add_flash(struct guide *g, const char *firmware, bool boot)
{
	_cleanup_(freep) char *path = literal(firmware);

	add_step(g, "flash", "serialboot.flash",
		json_pack("{s:s, s:b}", "image", path, "boot", boot));
}

static void add_serial(struct guide *g, const char *serial)
{
	json_object_set_new(g->root, "unit", json_pack("{s:{s:s}}", "serial", "from", "job"));
	add_step(g, "set-serial", "console.command",
		json_pack("{s:s, s:s, s:{s:s, s:s}}", "send", "SET_SERIAL ${unit.serial}", "expect",
			"^OK$", "read_back", "send", "GET_SERIAL", "expect", "^${unit.serial}$"));
	(void)serial;
}

/* The guide's three, with answers that only the right one matches; the application may still boot.
 */
static void add_tests(struct guide *g)
{
	json_t *first;

	add_step(g, "ping", "console.command",
		json_pack("{s:s, s:s, s:s}", "send", "ping", "expect", "^pong$", "late", "2s"));
	first = json_array_get(json_object_get(g->root, "steps"),
		json_array_size(json_object_get(g->root, "steps")) - 1);
	json_object_set_new(first, "retry",
		json_pack("{s:i, s:s, s:[s, s]}", "attempts", 10, "delay", "200ms", "on", "timeout",
			"unexpected-reply"));
	add_step(g, "version", "console.command",
		json_pack("{s:s, s:s}", "send", "version", "expect", "(^|\\s)v[0-9a-f]\\S*"));
	add_step(g, "status", "console.command",
		json_pack("{s:s, s:s}", "send", "status", "expect", "^OK\\b"));
}

static int guide_end(struct ctl *c, struct guide *g, const char *serial)
{
	int r = run_json(c, g->root, g->ports, serial);

	json_decref(g->root);
	json_decref(g->ports);
	return r;
}

static int cmd_flash(struct ctl *c, int argc, char **argv)
{
	struct guide g = {0};
	char *word;
	int n = guide_begin(&g, argc, argv, &word, 1);

	if (n < 0)
		return EXIT_USAGE;
	if (n == 1)
		add_flash(&g, word, true);
	return n == 1 ? guide_end(c, &g, NULL) : ctl_usage("flash FIRMWARE");
}

static int cmd_set_serial(struct ctl *c, int argc, char **argv)
{
	struct guide g = {0};
	char *word;
	int n = guide_begin(&g, argc, argv, &word, 1);

	if (n < 0)
		return EXIT_USAGE;
	if (n == 1)
		add_serial(&g, word);
	return n == 1 ? guide_end(c, &g, word) : ctl_usage("set-serial SERIAL");
}

static int cmd_test(struct ctl *c, int argc, char **argv)
{
	struct guide g = {0};
	char *word;

	if (guide_begin(&g, argc, argv, &word, 0) < 0)
		return EXIT_USAGE;
	add_tests(&g);
	return guide_end(c, &g, NULL);
}

static int cmd_provision(struct ctl *c, int argc, char **argv)
{
	struct guide g = {0};
	char *word[2];
	int n = guide_begin(&g, argc, argv, word, 2);

	if (n < 0)
		return EXIT_USAGE;
	if (n != 2)
		return ctl_usage("provision FIRMWARE SERIAL");
	add_flash(&g, word[0], true);
	add_tests(&g);
	add_serial(&g, word[1]);
	return guide_end(c, &g, word[1]);
}

const struct command commands_bench[] = {
	{"exec", "ACTION NAME=VALUE ...", "Run one action on a bench, without a daemon", cmd_exec},
	{"flash", "FIRMWARE [--port P --baudrate N]", "Flash over the serial bootloader and verify",
		cmd_flash},
	{"set-serial", "SERIAL [--port P --baudrate N]",
		"Give a unit its serial number and read it back", cmd_set_serial},
	{"test", "[--port P --baudrate N]", "Functional test: ping, version, status", cmd_test},
	{"provision", "FIRMWARE SERIAL [--port P --baudrate N]", "Flash, test and number one unit",
		cmd_provision},
	{0},
};
