/* SPDX-License-Identifier: Apache-2.0
 *
 * tool.run: any program, as an argv list. Its exit status alone proves nothing: it passes on the
 * lines that it said.
 */
#include "daemon/actions/common.h"
#include "daemon/actions/rows.h"

#include "base/proc.h"
#include "base/strbuf.h"

#define MARKERS_MAX	 32
#define OUTPUT_MAX_BYTES (256ull * 1024 * 1024)
#define LOG_MAX_LINES	 2000

struct marker {
	const char *pattern;
	struct regex *regex;
	char *line; /* the first that matched, escaped */
};

struct markers {
	struct marker m[MARKERS_MAX];
	size_t count;
};

struct watch {
	struct step *step;
	struct markers success, failure;
	struct regex *evidence;
	char *value; /* what the evidence pattern captured */
	unsigned logged;
};

static int markers_new(struct markers *ms, const struct args *a, const char *name, struct err *e)
{
	const json_t *list = args_json(a, name);
	size_t n = json_array_size(list);

	if (n > MARKERS_MAX)
		return err_set(
			e, ERR_RECIPE_INVALID, "'%s' has more than %d patterns", name, MARKERS_MAX);
	for (size_t i = 0; i < n; i++) {
		struct marker *m = &ms->m[ms->count++];

		m->pattern = json_string_value(json_array_get(list, i));
		if (regex_new(m->pattern, &m->regex, e) < 0) {
			err_prefix(e, "'%s'", name);
			return err_set(e, ERR_RECIPE_INVALID, "%s", e ? e->msg : "");
		}
	}
	return 0;
}

static void markers_done(struct markers *ms)
{
	for (size_t i = 0; i < ms->count; i++) {
		regex_free(ms->m[i].regex);
		free(ms->m[i].line);
	}
}

static void watch_done(struct watch *w)
{
	markers_done(&w->success);
	markers_done(&w->failure);
	regex_free(w->evidence);
	free(w->value);
}

static char *escaped(const char *bytes, size_t n)
{
	struct strbuf b = {0};

	sb_add_escaped(&b, bytes, n);
	return sb_take(&b);
}

static void mark(struct markers *ms, const char *bytes, size_t n)
{
	for (size_t i = 0; i < ms->count; i++)
		if (!ms->m[i].line && regex_match(ms->m[i].regex, bytes, n, NULL))
			ms->m[i].line = escaped(bytes, n);
}

static void see_line(void *data, enum proc_stream stream, const char *bytes, size_t n)
{
	struct watch *w = data;
	struct regex_match m;

	if (w->logged++ < LOG_MAX_LINES) {
		_cleanup_(freep) char *text = escaped(bytes, n);

		step_log(w->step, stream == PROC_STDOUT ? '<' : '#', "%s", text);
	}
	mark(&w->success, bytes, n);
	mark(&w->failure, bytes, n);
	if (w->evidence && !w->value && regex_match(w->evidence, bytes, n, &m)) {
		int g = m.groups > 1 && m.group[1].start != (size_t)-1;

		w->value = escaped(bytes + m.group[g].start, m.group[g].end - m.group[g].start);
	}
}

/* argv is public: any user of the machine can read it. */
static int check_argv(struct step *s, const char *const *argv, struct err *e)
{
	if (!argv[0])
		return err_set(e, ERR_RECIPE_INVALID, "'argv' is empty");
	for (size_t i = 0; argv[i]; i++) {
		_cleanup_(freep) char *masked = secret_mask(s->secrets, argv[i]);

		if (strcmp(masked, argv[i]) != 0)
			return err_set(e, ERR_RECIPE_INVALID,
				"argument %zu of 'argv' holds a secret: pass it in 'env'", i);
	}
	return 0;
}

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

static int judge(const struct watch *w, const struct proc_result *pr, int64_t want,
	struct step_result *out, struct err *e)
{
	json_t *lines;

	if (pr->term_signal)
		return err_set(
			e, ERR_TOOL_FAILED, "the program was ended by signal %d", pr->term_signal);
	for (size_t i = 0; i < w->failure.count; i++)
		if (w->failure.m[i].line)
			return err_set(e, ERR_TOOL_FAILED, "the program said '%.200s'",
				w->failure.m[i].line);
	if (pr->exit_status != want)
		return err_set(e, ERR_TOOL_FAILED,
			"the program ended with status %d, expected %lld", pr->exit_status,
			(long long)want);
	/* What was not read may have held a failure. */
	if (pr->truncated[PROC_STDOUT] || pr->truncated[PROC_STDERR])
		return err_set(e, ERR_TOOL_FAILED, "the program said more than %llu MiB",
			OUTPUT_MAX_BYTES >> 20);
	lines = json_array();
	for (size_t i = 0; i < w->success.count; i++) {
		if (!w->success.m[i].line) {
			json_decref(lines);
			return err_set(e, ERR_NO_EVIDENCE,
				"the program ended with status %d and said nothing that matches "
				"'%s'",
				pr->exit_status, w->success.m[i].pattern);
		}
		json_array_append_new(lines, json_string(w->success.m[i].line));
	}
	result_evidence(out, "lines", lines);
	if (!w->evidence)
		return 0;
	if (!w->value)
		return err_set(
			e, ERR_NO_EVIDENCE, "the program said nothing that matches 'evidence'");
	result_evidence(out, "value", json_string(w->value));
	result_output(out, "value", json_string(w->value));
	return 0;
}

static int tool_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(watch_done) struct watch w = {.step = s};
	_cleanup_(freep) const char **argv = argv_of(args_json(a, "argv"));
	_cleanup_(env_done) char **env = env_of(args_json(a, "env"));
	struct proc_opts o = {
		.argv = argv,
		.cwd = args_str(a, "cwd"),
		.env = (const char *const *)env,
		.max_output_bytes = OUTPUT_MAX_BYTES,
		.line = see_line,
		.data = &w,
	};
	struct proc_result pr;
	int r = check_argv(s, argv, e);

	if (r == 0)
		r = markers_new(&w.success, a, "success", e);
	if (r == 0)
		r = markers_new(&w.failure, a, "failure", e);
	if (r == 0)
		r = arg_regex(a, "evidence", NULL, &w.evidence, e);
	if (r == 0 && w.success.count == 0)
		r = err_set(e, ERR_RECIPE_INVALID,
			"'success' is empty: an exit status alone is no evidence");
	if (r < 0)
		return r;
	step_log(s, '#', "run %s", argv[0]);
	r = proc_run(&o, &s->it, &pr, e);
	if (r < 0)
		return r;
	result_output(out, "status", json_integer(pr.exit_status));
	return judge(&w, &pr, args_int(a, "status"), out, e);
}

static const struct action_arg tool_args[] = {
	{.name = "argv",
		.type = ARG_LIST,
		.required = true,
		.doc = "the program and its arguments; never a shell"},
	{.name = "success",
		.type = ARG_LIST,
		.required = true,
		.doc = "patterns; a line of the output must match each of them"},
	{.name = "failure", .type = ARG_LIST, .doc = "patterns that no line may match"},
	{.name = "evidence",
		.type = ARG_REGEX,
		.doc = "a line that must come; its first group is kept"},
	{.name = "status",
		.type = ARG_INT,
		.def = "0",
		.low = 0,
		.high = 255,
		.doc = "the exit status of success"},
	{.name = "cwd", .type = ARG_STRING, .doc = "directory to run in"},
	{.name = "env", .type = ARG_MAP, .doc = "variables to add to PATH, LANG and HOME"},
	{0},
};

static const struct action_output tool_outputs[] = {
	{"status", "the exit status"}, {"value", "what 'evidence' captured"}, {0}};

const struct action action_tool_run = {
	.name = "tool.run",
	.doc = "Runs a program and judges it by what it says.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = tool_args,
	.outputs = tool_outputs,
	.default_timeout_us = 120 * US_PER_S,
	.run = tool_run,
};
