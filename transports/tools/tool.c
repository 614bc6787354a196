/* SPDX-License-Identifier: Apache-2.0 */
#include "base/regex.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "transports/tools/tool_impl.h"

#define VERSION_US  (10 * US_PER_S)
#define WORD_MAX    64
#define SAID_LENGTH 200 /* of a line in a sentence */

/* --- the environment --- */

static bool given(const struct tool_spec *s, const char *name)
{
	size_t n = strlen(name);

	for (const char *const *v = s->env; v && *v; v++)
		if (!strncmp(*v, name, n) && (*v)[n] == '=')
			return true;
	return false;
}

char **tool_env_new(const struct tool_spec *s)
{
	const char *own[][2] = {{"LC_ALL", "C.UTF-8"}, {"HOME", s->dir}, {"TMPDIR", s->dir},
		{"XDG_CONFIG_HOME", s->dir}, {"XDG_CACHE_HOME", s->dir}};
	size_t n = 0;
	size_t k = 0;

	while (s->env && s->env[n])
		n++;

	char **env = xcalloc(n + ARRAY_LEN(own) + 1, sizeof *env);

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (own[i][1] && !given(s, own[i][0]))
			env[k++] = xasprintf("%s=%s", own[i][0], own[i][1]);
	for (size_t i = 0; i < n; i++)
		env[k++] = xstrdup(s->env[i]);
	return env;
}

void tool_env_free(char **env)
{
	for (char **v = env; v && *v; v++) {
		secret_wipe(*v, strlen(*v));
		free(*v);
	}
	free(env);
}

/* --- the verdict --- */

static int rule_error(const struct tool_spec *s, const struct tool_outcome *o, struct err *e)
{
	if (!o->rule)
		return 0;
	if (!o->rule->sentence)
		return err_set(e, o->rule->code, "%s said '%.*s'", tool_name(s), SAID_LENGTH,
			o->rule_line);
	return err_set(e, o->rule->code, "%s: %s: '%.*s'", tool_name(s), o->rule->sentence,
		SAID_LENGTH, o->rule_line);
}

static int judge_end(const struct tool_spec *s, const struct tool_outcome *o, struct err *e)
{
	const struct proc_result *p = &o->proc;
	const char *said = o->complaint ? o->complaint : o->last;

	if (p->term_signal)
		return err_set(e, ERR_TOOL_FAILED, "%s was ended by signal %d (%s)", tool_name(s),
			p->term_signal,
			sigdescr_np(p->term_signal) ? sigdescr_np(p->term_signal) : "unknown");
	if (p->exit_status != s->exit_status)
		return err_set(e, ERR_TOOL_FAILED,
			"%s ended with status %d, expected %d; %s: '%.*s'", tool_name(s),
			p->exit_status, s->exit_status, o->complaint ? "it said" : "its last line",
			SAID_LENGTH, said ? said : "");
	return 0;
}

static int judge_markers(const struct tool_spec *s, const struct tool_outcome *o, struct err *e)
{
	for (size_t i = 0; s->success && s->success[i].pattern; i++) {
		unsigned want = s->success[i].count ? s->success[i].count : 1;

		if (want == TOOL_MAY)
			continue;
		if (o->count[i] == 0)
			return err_set(e, ERR_NO_EVIDENCE,
				"%s ended well and said nothing that matches '%s'", tool_name(s),
				s->success[i].pattern);
		if (o->count[i] < want)
			return err_set(e, ERR_NO_EVIDENCE,
				"%s said what matches '%s' %u times, expected %u", tool_name(s),
				s->success[i].pattern, o->count[i], want);
	}
	if (s->evidence && !o->value)
		return err_set(e, ERR_NO_EVIDENCE, "%s said nothing that matches 'evidence' ('%s')",
			tool_name(s), s->evidence);
	return 0;
}

/* A failure that was said, or a flood, explains more than a status or a deadline that it led to.
 * Where a person stopped it, or its device was lost, that is the error. */
int tool_judge(const struct tool_spec *s, const struct tool_outcome *o, int ran, struct err *e)
{
	int r;

	if (ran < 0 && ran != -ERR_TIMEOUT && ran != -ERR_TOOL_FAILED)
		return ran;
	r = rule_error(s, o, e);
	/* What was not read may have held a failure. */
	if (r == 0 && o->cut && ran != -ERR_TOOL_FAILED)
		r = err_set(e, ERR_TOOL_FAILED,
			"%s printed more than %llu KiB: a failure may hide in what was not read",
			tool_name(s), (unsigned long long)(tool_output_max(s) >> 10));
	if (r == 0)
		r = ran;
	return r < 0 ? r : judge_markers(s, o, e);
}

int tool_run(
	const struct tool_spec *s, struct tool_outcome *ret, const struct iotime *it, struct err *e)
{
	struct tool_watch *w = NULL;
	struct proc_opts o = {
		.argv = s->argv,
		.cwd = s->cwd ? s->cwd : s->dir,
		.own_dir = s->dir,
		.max_output_bytes = tool_output_max(s),
		.cr_ends_line = true,
		.kill_grace_us = s->kill_grace_us,
		.terminal = s->terminal,
		.line = tool_watch_line,
		.slow = tool_watch_slow,
	};
	struct proc_result pr = {.exit_status = -1};
	uint64_t t0 = now_us();
	char **env;
	int r;

	*ret = (struct tool_outcome){.proc = pr};
	r = tool_watch_new(s, &w, e);
	if (r < 0)
		return r;
	env = tool_env_new(s);
	o.env = (const char *const *)env;
	o.data = w;
	r = proc_run(&o, it, &pr, e);
	tool_env_free(env);
	tool_watch_flush(w);
	*ret = tool_watch_take(w);
	tool_watch_free(w);
	ret->proc = pr;
	ret->cut |= pr.truncated[PROC_STDOUT] || pr.truncated[PROC_STDERR];
	ret->elapsed_us = now_us() - t0;
	ret->program = proc_find(s->argv[0]);
	if (r == 0)
		r = judge_end(s, ret, e);
	return tool_judge(s, ret, r, e);
}

void tool_outcome_done(struct tool_outcome *o)
{
	for (size_t i = 0; i < TOOL_MARKERS_MAX; i++)
		free(o->marker[i]);
	free(o->program);
	free(o->version);
	free(o->value);
	free(o->rule_line);
	free(o->complaint);
	free(o->last);
	*o = (struct tool_outcome){0};
}

int tool_version(const char *const *argv, const char *pattern, char ret[64],
	const struct iotime *it, struct err *e)
{
	const struct tool_spec s = {.argv = argv, .version = pattern};
	struct iotime soon = iotime_within(it, VERSION_US);
	struct tool_outcome o;
	int r = tool_run(&s, &o, &soon, e);
	bool ran = o.proc.exit_status >= 0 || o.proc.term_signal;

	if (ran) {
		snprintf(ret, 64, "%s", o.version ? o.version : "");
		r = iotime_check(it, e);
	}
	tool_outcome_done(&o);
	return r;
}

/* --- words that go into scripts --- */

static bool only(const char *s, const char *more)
{
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			    (*s >= '0' && *s <= '9') || strchr(more, *s)))
			return false;
	return true;
}

int tool_check_word(const char *what, const char *word, struct err *e)
{
	/* A leading '-' would be an option. */
	if (!*word || *word == '-' || strlen(word) > WORD_MAX || !only(word, "._-"))
		return err_set(e, ERR_INVALID,
			"%s is '%.80s': letters, digits, '.', '_' and '-' expected, %d at most",
			what, word, WORD_MAX);
	return 0;
}

int tool_check_path(const char *what, const char *path, struct err *e)
{
	if (!*path || *path == '-' || strstr(path, "..") || !only(path, "._/-"))
		return err_set(e, ERR_INVALID,
			"%s is '%.200s': letters, digits, '.', '_', '/' and '-' expected, no '..'",
			what, path);
	return 0;
}
