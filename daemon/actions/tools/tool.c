/* SPDX-License-Identifier: Apache-2.0
 *
 * tool.run: any program, as an argv list, so that a site adds its own programmer by a recipe alone.
 * Its exit status proves nothing: it passes on the lines that it said.
 */
#include "daemon/actions/tool_step.h"

struct tables {
	struct tool_marker success[TOOL_MARKERS_MAX + 1];
	struct tool_rule rule[TOOL_RULES_MAX + 1];
	size_t rules;
};

static const char **argv_of(const json_t *list)
{
	size_t n = json_array_size(list);
	const char **v = xcalloc(n + 1, sizeof *v);

	for (size_t i = 0; i < n; i++)
		v[i] = json_string_value(json_array_get(list, i));
	return v;
}

static char **env_of(const json_t *map)
{
	char **v = xcalloc(json_object_size(map) + 1, sizeof *v);
	size_t n = 0;
	const char *key;
	json_t *item;

	json_object_foreach((json_t *)(uintptr_t)map, key, item) {
		char *text = json_is_string(item) ? NULL : json_dumps(item, JSON_ENCODE_ANY);

		v[n++] = xasprintf("%s=%s", key, text ? text : json_string_value(item));
		free(text);
	}
	return v;
}

static void env_done(char ***env)
{
	for (char **v = *env; v && *v; v++) {
		secret_wipe(*v, strlen(*v));
		free(*v);
	}
	free(*env);
}

static int fill_success(struct tables *t, const struct args *a, struct err *e)
{
	const json_t *list = args_json(a, "success");
	size_t n = json_array_size(list);

	if (n == 0)
		return err_set(e, ERR_RECIPE_INVALID,
			"'success' is empty: an exit status alone is not evidence");
	if (n > TOOL_MARKERS_MAX)
		return err_set(e, ERR_RECIPE_INVALID, "'success' has more than %d patterns",
			TOOL_MARKERS_MAX);
	for (size_t i = 0; i < n; i++)
		t->success[i].pattern = json_string_value(json_array_get(list, i));
	return 0;
}

static int add_rule(struct tables *t, const char *pattern, enum err_code code, struct err *e)
{
	if (t->rules == TOOL_RULES_MAX)
		return err_set(e, ERR_RECIPE_INVALID,
			"'causes' and 'failure' have more than %d patterns", TOOL_RULES_MAX);
	t->rule[t->rules++] = (struct tool_rule){.pattern = pattern, .code = code};
	return 0;
}

/* "CODE: PATTERN". A list, since a mapping has no order once it was stored. */
static int add_cause(struct tables *t, const char *text, struct err *e)
{
	const char *colon = strchr(text, ':');
	char name[40];
	int code = -1;

	if (colon && (size_t)(colon - text) < sizeof name) {
		snprintf(name, sizeof name, "%.*s", (int)(colon - text), text);
		code = err_code_from_str(name);
	}
	if (code <= ERR_NONE)
		return err_set(e, ERR_RECIPE_INVALID,
			"'causes' has '%.80s': a code of provd's, a colon and a pattern expected",
			text);
	return add_rule(t, colon + 1 + strspn(colon + 1, " "), (enum err_code)code, e);
}

/* What has a cause comes first: it is the more specific. */
static int fill_rules(struct tables *t, const struct args *a, struct err *e)
{
	const json_t *causes = args_json(a, "causes");
	const json_t *failure = args_json(a, "failure");
	int r = 0;

	for (size_t i = 0; r == 0 && i < json_array_size(causes); i++)
		r = add_cause(t, json_string_value(json_array_get(causes, i)), e);
	for (size_t i = 0; r == 0 && i < json_array_size(failure); i++)
		r = add_rule(t, json_string_value(json_array_get(failure, i)), ERR_TOOL_FAILED, e);
	return r;
}

/* Copies: a program that writes into its input spoils nobody's artifact. */
static int copy_files(
	struct tool_step *t, const struct args *a, struct step_result *out, struct err *e)
{
	json_t *files = (json_t *)(uintptr_t)args_json(a, "files");
	json_t *sums = files ? json_object() : NULL;
	const char *name;
	json_t *item;
	int r = 0;

	json_object_foreach(files, name, item) {
		char path[FILE_PATH_BYTES], sha256[SHA256_HEX];
		const char *ref = json_string_value(item);

		r = ref ? t->s->ops->image(t->s->env, ref, path, e)
			: err_set(e, ERR_RECIPE_INVALID, "'files': %s is not an artifact", name);
		if (r == 0)
			r = tool_dir_copy(&t->dir, name, path, sha256, &t->s->it, e);
		if (r < 0)
			break;
		json_object_set_new(sums, name, json_string(sha256));
	}
	if (r < 0) {
		json_decref(sums);
		return r;
	}
	if (sums)
		result_evidence(out, "files", sums);
	return 0;
}

/* Asked before the run where there are arguments for it; else it is looked for in the output. */
static int ask_version(
	struct tool_step *t, const struct args *a, const char *program, char ret[64], struct err *e)
{
	_cleanup_(freep) const char **more = argv_of(args_json(a, "version_args"));
	const char *argv[8] = {program};
	size_t n = 1;

	for (size_t i = 0; more[i]; i++) {
		if (n == ARRAY_LEN(argv) - 1)
			return err_set(e, ERR_RECIPE_INVALID, "'version_args' has more than %zu",
				ARRAY_LEN(argv) - 2);
		argv[n++] = more[i];
	}
	if (n == 1)
		return 0;
	return tool_version(argv, args_str(a, "version"), ret, &t->s->it, e);
}

static int pattern_error(struct err *e)
{
	return e && e->code == ERR_INVALID ? err_set(e, ERR_RECIPE_INVALID, "%s", e->msg)
					   : -(int)ERR_RECIPE_INVALID;
}

static int run_in(struct tool_step *t, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(freep) const char **argv = argv_of(args_json(a, "argv"));
	_cleanup_(env_done) char **env = env_of(args_json(a, "env"));
	struct tables tables = {0};
	char version[64] = "";
	const struct tool_spec spec = {
		.argv = argv,
		.env = (const char *const *)env,
		.dir = t->dir.path,
		.cwd = args_str(a, "cwd"),
		.success = tables.success,
		.partial = true,
		.rules = tables.rule,
		.exit_status = (int)args_int(a, "status"),
		.progress = args_str(a, "progress"),
		.terminal = args_bool(a, "terminal"),
		.evidence = args_str(a, "evidence"),
		.version = args_str(a, "version"),
		.secrets = t->s->secrets,
		.tell = step_teller(t->s),
	};
	struct tool_watch *probe;
	int kept;
	int r = argv[0] ? fill_success(&tables, a, e)
			: err_set(e, ERR_RECIPE_INVALID, "'argv' is empty");

	if (r == 0)
		r = fill_rules(&tables, a, e);
	if (r < 0)
		return r;
	/* All patterns before anything is touched. */
	if (tool_watch_new(&spec, &probe, e) < 0)
		return pattern_error(e);
	tool_watch_free(probe);
	r = copy_files(t, a, out, e);
	if (r == 0 && args_has(a, "version"))
		r = ask_version(t, a, argv[0], version, e);
	if (r < 0)
		return r;
	step_log(t->s, '#', "run %s", argv[0]);
	r = tool_run(&spec, &t->seen, &t->s->it, e);
	if (version[0] && !t->seen.version)
		t->seen.version = xstrdup(version);
	tool_step_evidence(&t->seen, out);
	/* What it left tells why it failed. */
	kept = tool_step_keep(t, args_json(a, "keep"), r == 0, e);
	if (r == 0)
		r = kept;
	if (r < 0)
		return r;
	result_output(out, "status", json_integer(t->seen.proc.exit_status));
	if (t->seen.version)
		result_output(out, "version", json_string(t->seen.version));
	if (t->seen.value) {
		result_evidence(out, "value", json_string(t->seen.value));
		result_output(out, "value", json_string(t->seen.value));
	}
	return 0;
}

/* In another directory a file may be of an earlier run, and of another unit. */
static int tool_check(const struct args *a, struct err *e)
{
	return args_given(a, "keep") && args_given(a, "cwd")
		       ? err_set(e, ERR_RECIPE_INVALID,
				 "'keep' is for files of the step's own directory: leave 'cwd' out, and have the program write there")
		       : 0;
}

static int tool_step_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(tool_step_done) struct tool_step t;
	int r = tool_step_open(&t, s, e);

	if (r == 0)
		r = tool_check(a, e);
	return r < 0 ? r : run_in(&t, a, out, e);
}

static const struct action_arg tool_args[] = {
	{.name = "argv",
		.type = ARG_LIST,
		.required = true,
		.program = true,
		.doc = "the program and its arguments; never a shell. A secret goes into 'env'"},
	{.name = "files",
		.type = ARG_MAP,
		.doc = "name: '${artifacts.NAME}': copied under that name to where it runs"},
	{.name = "keep",
		.type = ARG_LIST,
		.keeps = true,
		.doc = "names of files that it makes where it runs; they are kept with the run, and have to be there when it passes"},
	{.name = "success",
		.type = ARG_LIST,
		.required = true,
		.doc = "patterns; a line of the output must match each of them, and not say NOT, FAILED or the like in the rest"},
	{.name = "failure", .type = ARG_LIST, .doc = "patterns that no line may match"},
	{.name = "causes",
		.type = ARG_LIST,
		.doc = "'code: pattern', for failures with a cause, the most specific first ('timeout: no response')"},
	{.name = "evidence",
		.type = ARG_REGEX,
		.doc = "a line that must come; its first group is kept"},
	{.name = "progress",
		.type = ARG_REGEX,
		.doc = "group 1 is a percentage, or groups 1 and 2 are done and total"},
	{.name = "version",
		.type = ARG_REGEX,
		.doc = "a line with the program's version; its first group is kept"},
	{.name = "version_args",
		.type = ARG_LIST,
		.doc = "arguments that make it print its version; without them: the run itself prints it"},
	{.name = "status",
		.type = ARG_INT,
		.def = "0",
		.low = 0,
		.high = 255,
		.doc = "the exit status of success"},
	{.name = "terminal",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "its stdout is a terminal: for programs that keep what they say until much has come together"},
	{.name = "cwd",
		.type = ARG_STRING,
		.doc = "directory to run in; absent: an empty one of its own"},
	{.name = "env",
		.type = ARG_MAP,
		.secret = true,
		.doc = "variables to add to PATH, LANG, LC_ALL, and HOME and TMPDIR, which are the step's own directory"},
	{0},
};

static const struct action_output tool_outputs[] = {{"status", "the exit status"},
	{"value", "what 'evidence' captured"}, {"version", "of the program, where it printed it"},
	{0}};

const struct action action_tool_run = {
	.name = "tool.run",
	.doc = "Runs a program and judges it by what it says.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = tool_args,
	.outputs = tool_outputs,
	.default_timeout_us = 120 * US_PER_S,
	.check = tool_check,
	.run = tool_step_run,
};
