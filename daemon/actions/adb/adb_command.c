/* SPDX-License-Identifier: Apache-2.0
 *
 * adb.shell, adb.logcat. A command has passed when the unit gave its exit status, and it is the one
 * that was expected.
 */
#include "daemon/actions/adb/adb_session.h"

#define LOGGED_LINES 100
/* Several times what the buffers of a unit hold. */
#define LOGCAT_MAX (16u << 20)

/* command; the words of `args` each quoted: one after the other where there is no command, else as
 * $1 $2 ... of it. */
static int command_of(const struct args *a, struct strbuf *b, struct err *e)
{
	const json_t *list = args_json(a, "args");
	const char *command = args_str(a, "command");
	const json_t *word;
	size_t i;

	if (!command && json_array_size(list) == 0)
		return err_set(e, ERR_RECIPE_INVALID, "adb.shell takes 'command', 'args' or both");
	if (command && json_array_size(list))
		sb_add(b, "set --");
	json_array_foreach(list, i, word) {
		if (b->len)
			sb_add(b, " ");
		adb_quote(b, json_string_value(word) ? json_string_value(word) : "");
	}
	if (command && b->len)
		sb_add(b, "; ");
	if (command)
		sb_add(b, command);
	return 0;
}

static void log_lines(struct step *s, const char *text)
{
	for (int i = 0; *text && i < LOGGED_LINES; i++) {
		size_t n = strcspn(text, "\n");

		step_log(s, '<', "%.*s", (int)n, text);
		text += n + (text[n] == '\n');
	}
	if (*text)
		step_log(s, '#', "more lines are in the step's outputs");
}

static bool may_hold(const struct regex *x, const char *line, size_t n, struct regex_match *m)
{
	(void)m;
	return regex_may_match(x, line, n);
}

/* The first line of which `is` is true, or NULL; *ret_n its length. */
static const char *find_line(
	bool (*is)(const struct regex *x, const char *line, size_t n, struct regex_match *m),
	const struct regex *x, const char *text, size_t *ret_n, struct regex_match *m)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		if (is(x, text, n, m)) {
			*ret_n = n;
			return text;
		}
		text += n + (text[n] == '\n');
	}
	return NULL;
}

static int expect_line(
	const struct args *a, const char *text, struct step_result *out, struct err *e)
{
	_cleanup_(regex_freep) struct regex *x = NULL;
	struct regex_match m;
	const char *line;
	size_t n = 0;
	int r = arg_regex(a, "expect", NULL, &x, e);

	if (r < 0 || !x)
		return r;
	line = find_line(text_agrees, x, text, &n, &m);
	if (!line)
		return result_fail(out, ERR_UNEXPECTED_REPLY, "no line matches '%.80s': %.160s",
			args_str(a, "expect"), *text ? text : "(nothing was said)");
	result_evidence(out, "reply", adb_json_text(line, n));
	result_output(out, "reply", adb_json_text(line, n));
	for (int i = 1; i < m.groups && i < REGEX_GROUPS; i++) {
		bool set = m.group[i].start != (size_t)-1;
		char name[16];

		snprintf(name, sizeof name, "match%d", i);
		result_output(out, name,
			adb_json_text(set ? line + m.group[i].start : "",
				set ? m.group[i].end - m.group[i].start : 0));
	}
	return 0;
}

static void put_result(const struct adb_shell_result *res, const char *text, const char *err,
	struct step_result *out)
{
	char sha256[SHA256_HEX];

	sha256_hex_of(res->out.s ? res->out.s : "", res->out.len, sha256);
	result_evidence(out, "status", json_integer(res->status));
	result_evidence(out, "status_by",
		json_string(res->by_marker ? "a marker after the command: the unit has no shell v2"
					   : "shell v2"));
	result_evidence(out, "stdout_bytes", json_integer((json_int_t)res->out.len));
	result_evidence(out, "stdout_sha256", json_string(sha256));
	result_evidence(out, "cut", json_boolean(res->cut));
	result_output(out, "stdout", json_string(text));
	result_output(out, "stderr", json_string(err));
	result_output(out, "status", json_integer(res->status));
}

static int judge_shell(struct step *s, const struct args *a, const struct adb_shell_result *res,
	struct step_result *out, struct err *e)
{
	_cleanup_(freep) char *text = adb_lines(&res->out);
	_cleanup_(freep) char *err = adb_lines(&res->err);
	int64_t wanted = args_int(a, "status");

	log_lines(s, text);
	log_lines(s, err);
	put_result(res, text, err, out);
	if (res->status != wanted)
		return result_fail(out, ERR_DEVICE_REFUSED,
			"the command ended with status %d, %d expected: %.200s", res->status,
			(int)wanted, *err ? err : text);
	return expect_line(a, text, out, e);
}

static int shell_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(adb_session_done) struct adb_session x = {.s = s, .a = a};
	_cleanup_(sb_done) struct strbuf command = {0};
	struct adb_shell_result res = {0};
	int r = command_of(a, &command, e);

	if (r == 0)
		r = adb_session_open(&x, e);
	if (r == 0)
		r = adb_shell(x.conn, command.s, ADB_TEXT_MAX, NULL, NULL, &s->it, &res, e);
	if (r == 0)
		r = judge_shell(s, a, &res, out, e);
	adb_shell_result_done(&res);
	return r;
}

static const struct action_arg shell_args[] = {
	ARG_ROWS_ADB,
	{.name = "command",
		.type = ARG_STRING,
		.doc = "for the unit's shell, as it is written; a value that may hold anything belongs into 'args'"},
	{.name = "args",
		.type = ARG_LIST,
		.secret = true,
		.doc = "words that the shell takes as they are, whatever they hold: the command itself, or \"$1\" \"$2\" ... of 'command'"},
	{.name = "status",
		.type = ARG_INT,
		.def = "0",
		.low = 0,
		.high = 255,
		.doc = "exit status that is success"},
	{.name = "expect", .type = ARG_REGEX, .doc = "a line of its output has to match"},
	{0},
};

static const struct action_output shell_outputs[] = {
	{"stdout", "what it said, at most 64 KiB, control bytes escaped"},
	{"stderr", "the same of its standard error"}, {"status", "its exit status"},
	OUTPUT_ROWS_REPLY, {0}};

const struct action action_adb_shell = {
	.name = "adb.shell",
	.doc = "Runs a command on the unit and looks at its exit status.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = shell_args,
	.outputs = shell_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.run = shell_run,
};

/* --- logcat --- */

static void logcat_command(const struct args *a, struct strbuf *b)
{
	const json_t *word;
	size_t i;

	sb_add(b, "logcat -d");
	if (args_has(a, "lines"))
		sb_addf(b, " -t %lld", (long long)args_int(a, "lines"));
	if (args_has(a, "format")) {
		sb_add(b, " -v ");
		adb_quote(b, args_str(a, "format"));
	}
	json_array_foreach(args_json(a, "buffers"), i, word) {
		sb_add(b, " -b ");
		adb_quote(b, json_string_value(word) ? json_string_value(word) : "");
	}
	json_array_foreach(args_json(a, "filter"), i, word) {
		sb_add(b, " ");
		adb_quote(b, json_string_value(word) ? json_string_value(word) : "");
	}
}

static int forbid_line(
	const struct args *a, const char *text, struct step_result *out, struct err *e)
{
	_cleanup_(regex_freep) struct regex *x = NULL;
	const char *line;
	size_t n = 0;
	int r = arg_regex(a, "forbid", NULL, &x, e);

	line = r == 0 && x ? find_line(may_hold, x, text, &n, NULL) : NULL;
	if (line)
		return result_fail(out, ERR_UNEXPECTED_REPLY,
			"the log holds a line that matches '%.80s': %.*s", args_str(a, "forbid"),
			(int)MIN(n, (size_t)160), line);
	return r;
}

static int judge_log(struct step *s, const struct args *a, const struct adb_shell_result *res,
	struct step_result *out, struct err *e)
{
	_cleanup_(freep) char *text = adb_lines(&res->out);
	struct strbuf end = res->out;
	_cleanup_(freep) char *shown = NULL;
	int r = 0;

	/* The newest lines are the ones that matter. */
	if (end.len > ADB_TEXT_MAX) {
		end.s += end.len - ADB_TEXT_MAX;
		end.len = ADB_TEXT_MAX;
	}
	shown = adb_lines(&end);
	put_result(res, shown, "", out);
	if (res->cut)
		return err_set(e, ERR_TOO_LARGE, "the log is longer than %u MiB", LOGCAT_MAX >> 20);
	if (args_has(a, "file"))
		r = save_file(
			s, args_str(a, "file"), res->out.s ? res->out.s : "", res->out.len, e);
	if (r == 0)
		r = expect_line(a, text, out, e);
	if (r == 0 && out->verdict == STEP_PASSED)
		r = forbid_line(a, text, out, e);
	return r;
}

static int logcat_dump(struct adb_session *x, struct step_result *out, struct err *e)
{
	_cleanup_(sb_done) struct strbuf command = {0};
	struct adb_shell_result res = {0};
	int r;

	logcat_command(x->a, &command);
	r = adb_shell(x->conn, command.s, LOGCAT_MAX, NULL, NULL, &x->s->it, &res, e);
	if (r == 0 && res.status != 0) {
		_cleanup_(freep) char *said = adb_lines(res.err.len ? &res.err : &res.out);

		r = err_set(e, ERR_DEVICE_REFUSED, "logcat ended with status %d: %.200s",
			res.status, said);
	}
	if (r == 0)
		r = judge_log(x->s, x->a, &res, out, e);
	adb_shell_result_done(&res);
	return r;
}

static int logcat_clear(struct adb_session *x, struct step_result *out, struct err *e)
{
	struct adb_shell_result res = {0};
	int r = adb_shell_ok(x->conn, "logcat -c", &x->s->it, &res, e);

	if (r == 0)
		result_evidence(out, "cleared", json_string("logcat -c ended with status 0"));
	adb_shell_result_done(&res);
	return r;
}

static int logcat_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(adb_session_done) struct adb_session x = {.s = s, .a = a};
	int r = adb_session_open(&x, e);

	if (r == 0 && args_bool(a, "dump"))
		r = logcat_dump(&x, out, e);
	if (r == 0 && args_bool(a, "clear"))
		r = logcat_clear(&x, out, e);
	if (r == 0 && !out->evidence)
		r = err_set(e, ERR_RECIPE_INVALID, "adb.logcat with neither 'dump' nor 'clear'");
	return r;
}

static const struct action_arg logcat_args[] = {
	ARG_ROWS_ADB,
	{.name = "dump", .type = ARG_BOOL, .def = "true", .doc = "read what the log holds"},
	{.name = "clear", .type = ARG_BOOL, .def = "false", .doc = "empty it (after that)"},
	{.name = "file", .type = ARG_OUTPUT, .doc = "where the log goes"},
	{.name = "buffers", .type = ARG_LIST, .doc = "main, system, crash, radio, events, kernel"},
	{.name = "filter", .type = ARG_LIST, .doc = "as logcat takes them: ActivityManager:I *:S"},
	{.name = "format", .type = ARG_STRING, .doc = "of a line: threadtime, brief, ..."},
	{.name = "lines",
		.type = ARG_INT,
		.low = 1,
		.high = 10000000,
		.doc = "only the newest so many"},
	{.name = "expect", .type = ARG_REGEX, .doc = "a line has to match"},
	{.name = "forbid", .type = ARG_REGEX, .doc = "no line may match"},
	{0},
};

static const struct action_output logcat_outputs[] = {
	{"stdout", "the newest 64 KiB of the log, control bytes escaped"}, {"stderr", "empty"},
	{"status", "of logcat"}, OUTPUT_ROWS_REPLY, {0}};

const struct action action_adb_logcat = {
	.name = "adb.logcat",
	.doc = "Reads the unit's log, looks for lines in it, clears it.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = logcat_args,
	.outputs = logcat_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.run = logcat_run,
};
