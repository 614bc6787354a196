/* SPDX-License-Identifier: Apache-2.0
 *
 * openocd.dump, openocd.erase, openocd.command.
 */
#include "base/strbuf.h"
#include "daemon/actions/tools/openocd.h"
#include "transports/tools/openocd_rpc.h"

static int ranged(struct openocd_step *x, struct step *s, const struct args *a,
	struct step_result *out, struct err *e)
{
	int r = openocd_step_init(x, s, a, e);

	x->job.address = args_size(a, "address");
	x->job.size = args_size(a, "size");
	if (r == 0)
		r = openocd_step_run(x, out, e);
	return r;
}

static void tell_range(const struct openocd_step *x, struct step_result *out)
{
	result_evidence(out, "address", json_sprintf("0x%08llx", (long long)x->job.address));
	result_evidence(out, "bytes", json_integer((json_int_t)x->job.size));
}

/* --- dump --- */

static int dump_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(openocd_step_done) struct openocd_step x = {.job.kind = OPENOCD_DUMP};
	int r = ranged(&x, s, a, out, e);

	if (r == 0)
		r = save_file(s, args_str(a, "file"), x.result.read, x.job.size, e);
	if (r < 0)
		return r;
	tell_range(&x, out);
	result_output(out, "sha256", json_string(x.result.sha256_read));
	result_output(out, "bytes", json_integer((json_int_t)x.job.size));
	return 0;
}

static const struct action_arg dump_args[] = {
	OPENOCD_ROWS_PROBE,
	{.name = "file", .type = ARG_OUTPUT, .required = true, .doc = "where the bytes go"},
	{.name = "address", .type = ARG_SIZE, .required = true, .doc = "where they begin"},
	{.name = "size", .type = ARG_SIZE, .required = true, .unit = "bytes", .doc = "how many"},
	OPENOCD_ROW_BEFORE("halt"),
	OPENOCD_ROW_AFTER("resume"),
	{0},
};

static const struct action_output dump_outputs[] = {
	{"sha256", "of the bytes"}, {"bytes", "how many"}, {0}};

const struct action action_openocd_dump = {
	.name = "openocd.dump",
	.program = "openocd",
	.doc = "Reads memory through a debug probe into a file.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = dump_args,
	.outputs = dump_outputs,
	.default_timeout_us = 300 * US_PER_S,
	.run = dump_run,
};

/* --- erase --- */

static int erase_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(openocd_step_done) struct openocd_step x = {.job.kind = OPENOCD_ERASE};
	int r;

	x.job.erased = (uint8_t)args_int(a, "erased");
	r = ranged(&x, s, a, out, e);
	if (r < 0)
		return r;
	tell_range(&x, out);
	result_evidence(out, "blank", json_string("provd: read-back"));
	return 0;
}

static const struct action_arg erase_args[] = {
	OPENOCD_ROWS_PROBE,
	{.name = "address", .type = ARG_SIZE, .required = true, .doc = "where a sector begins"},
	{.name = "size",
		.type = ARG_SIZE,
		.required = true,
		.unit = "bytes",
		.doc = "whole sectors"},
	{.name = "erased",
		.type = ARG_INT,
		.def = "0xff",
		.low = 0,
		.high = 255,
		.doc = "what a blank cell reads as"},
	OPENOCD_ROW_BEFORE("reset-init"),
	OPENOCD_ROW_AFTER("none"),
	{0},
};

const struct action action_openocd_erase = {
	.name = "openocd.erase",
	.program = "openocd",
	.doc = "Erases flash through a debug probe and reads back that it is blank.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = erase_args,
	.default_timeout_us = 180 * US_PER_S,
	.run = erase_run,
};

/* --- command --- */

struct words {
	const char *command[OPENOCD_COMMANDS_MAX + 2];
	const char *expect[OPENOCD_LINES_MAX + 2];
	char *value[OPENOCD_COMMANDS_MAX + 1]; /* `set` commands, owned */
	size_t values;
};

static void words_done(struct words *w)
{
	for (size_t i = 0; i < w->values; i++)
		free(w->value[i]);
}

static bool name_ok(const char *name)
{
	return *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

/* A value never becomes Tcl: it is a variable, whatever characters it holds. */
static int take_values(struct words *w, const struct args *a, struct err *e)
{
	const json_t *map = args_has(a, "values") ? args_json(a, "values") : NULL;
	const char *name;
	json_t *item;
	int r = 0;

	json_object_foreach((json_t *)(uintptr_t)map, name, item) {
		_cleanup_(freep) char *text = json_is_string(item)
						      ? xstrdup(json_string_value(item))
						      : json_dumps(item, JSON_ENCODE_ANY);
		_cleanup_(freep) char *word = NULL;

		if (!name_ok(name))
			return err_set(e, ERR_RECIPE_INVALID,
				"'values': '%.40s' is not a name: a-z, 0-9 and _ expected", name);
		if (w->values == OPENOCD_COMMANDS_MAX)
			return err_set(e, ERR_RECIPE_INVALID, "'values' has more than %d",
				OPENOCD_COMMANDS_MAX);
		r = openocd_quote(text ? text : "", &word, e);
		if (r < 0)
			return err_prefix(e, "value '%s'", name);
		w->value[w->values++] = xasprintf("set %s %s", name, word);
	}
	return r;
}

static int take_list(const struct args *a, const char *name, const char **to, size_t used,
	size_t most, struct err *e)
{
	const json_t *list = args_json(a, name);
	size_t n = json_array_size(list);

	if (n == 0)
		return err_set(e, ERR_RECIPE_INVALID, "'%s' is empty", name);
	if (n + used > most)
		return err_set(e, ERR_RECIPE_INVALID, "'%s' has more than %zu", name, most - used);
	for (size_t i = 0; i < n; i++)
		to[used + i] = json_string_value(json_array_get(list, i));
	return 0;
}

static int take_words(struct words *w, const struct args *a, struct err *e)
{
	int r = take_values(w, a, e);

	for (size_t i = 0; r == 0 && i < w->values; i++)
		w->command[i] = w->value[i];
	if (r == 0)
		r = take_list(a, "commands", w->command, w->values, OPENOCD_COMMANDS_MAX, e);
	if (r == 0)
		r = take_list(a, "expect", w->expect, 0, OPENOCD_LINES_MAX, e);
	return r;
}

static int command_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(openocd_step_done) struct openocd_step x = {.job.kind = OPENOCD_COMMAND};
	_cleanup_(words_done) struct words w = {0};
	int r = openocd_step_init(&x, s, a, e);

	if (r == 0)
		r = take_words(&w, a, e);
	x.job.command = w.command;
	x.job.expect = w.expect;
	if (r == 0)
		r = openocd_step_run(&x, out, e);
	return r;
}

static const struct action_arg command_args[] = {
	OPENOCD_ROWS_PROBE,
	{.name = "commands",
		.type = ARG_LIST,
		.required = true,
		.doc = "OpenOCD's own, each a line of Tcl: 'mdw 0x1ffff7e8 3', 'echo $id'. Never put a unit's value into one: see values"},
	{.name = "values",
		.type = ARG_MAP,
		.doc = "variables for the commands, as text whatever they hold: id: '${unit.serial}'"},
	{.name = "expect",
		.type = ARG_LIST,
		.required = true,
		.doc = "patterns; a line of the output must match each of them"},
	OPENOCD_ROW_BEFORE("halt"),
	OPENOCD_ROW_AFTER("resume"),
	{0},
};

const struct action action_openocd_command = {
	.name = "openocd.command",
	.program = "openocd",
	.doc = "Runs commands of OpenOCD's own through a debug probe and judges what they print.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = command_args,
	.default_timeout_us = 60 * US_PER_S,
	.run = command_run,
};
