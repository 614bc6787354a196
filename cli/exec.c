/* SPDX-License-Identifier: Apache-2.0
 *
 * Actions on a bench: `exec` makes a recipe of one step, checked and run by the same code as on a station.
 */
#include "base/util.h"
#include "cli/bench.h"

char *bench_literal(const char *s)
{
	struct strbuf b = {0};

	for (; *s; s++) {
		if (!strncmp(s, "${", 2))
			sb_add(&b, "$");
		sb_add_n(&b, s, 1);
	}
	return sb_take(&b);
}

int bench_check_words(int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		json_t *word = json_string(argv[i]);

		if (!word)
			return ctl_usage(
				"word %d of the command is not UTF-8: rename the file, or correct it",
				i + 1);
		json_decref(word);
	}
	return 0;
}

json_t *bench_empty_recipe(void)
{
	return json_pack(
		"{s:s, s:i, s:{}, s:[]}", "recipe", "bench", "version", 1, "ports", "steps");
}

int bench_run_json(const struct bench *b, json_t *root)
{
	struct mistakes m = {0};
	struct recipe *recipe;
	struct err e;
	int r = recipe_check_bench(root, &m, &recipe, &e);

	for (size_t i = 0; i < m.count; i++)
		ctl_usage("%s", m.item[i].text);
	mistakes_done(&m);
	if (r < 0)
		return EXIT_USAGE;
	r = bench_run(b, recipe);
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
	_cleanup_(freep) char *text = bench_literal(value);
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

/* --out FILE: the same as file=FILE, for who is used to it. */
static int set_out(const struct action *action, json_t *with, const char *file, struct err *e)
{
	const struct action_arg *row = find_row(action->args, "file", 4);

	if (!row || row->type != ARG_OUTPUT)
		return err_set(e, ERR_INVALID, "%s writes no file: leave --out away", action->name);
	if (!file || !*file)
		return err_set(e, ERR_INVALID, "--out needs the name of a file");
	return set_value(with, row, "file", file);
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
	if (bench_check_words(argc, argv) != 0)
		return EXIT_USAGE;
	root = bench_empty_recipe();
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
		else if (!strcmp(argv[i], "--out"))
			r = set_out(action, with, i + 1 < argc ? argv[i + 1] : NULL, &e), i++;
		else if (!strncmp(argv[i], "--out=", 6))
			r = set_out(action, with, argv[i] + 6, &e);
		else
			r = add_arg(action, root, with, ports, argv[i], &e);
	}
	if (serial)
		json_object_set_new(root, "unit", json_pack("{s:{s:s}}", "serial", "from", "job"));
	r = r < 0 ? ctl_fail(&e)
		  : bench_run_json(
			    &(struct bench){.ctl = c, .ports = ports, .serial = serial}, root);
	json_decref(root);
	json_decref(ports);
	return r;
}

const struct command commands_bench[] = {
	{"exec", "ACTION NAME=VALUE ... [--out FILE]",
		"Run one action on a bench, without a daemon", cmd_exec},
	{0},
};
