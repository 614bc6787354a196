/* SPDX-License-Identifier: Apache-2.0
 *
 * console.*: a dialogue in lines with the unit's own command line.
 */
#include "daemon/actions/common.h"

#include "base/strbuf.h"
#include "daemon/recipe/quantity.h"

/* Structures on the stack: their own cleanup takes a pointer to them. */
#define _dialogue_ _cleanup_(dialogue_done) struct dialogue_env
#define _reply_	   _cleanup_(console_reply_done) struct console_reply

static int read_back(struct dialogue_env *d, struct step *s, const struct args *rb,
	struct step_result *out, struct err *e)
{
	_reply_ got = {0};
	struct err why = {0};
	int r = dialogue_ask(d, s, args_str(rb, "send"), args_str(rb, "expect"), &got, &why);

	if (r == -ERR_UNEXPECTED_REPLY)
		return result_fail(out, ERR_READ_BACK_MISMATCH, "read back: %s", why.msg);
	if (r < 0) {
		if (e)
			*e = why;
		err_prefix(e, "read back");
		return r;
	}
	result_evidence(out, "read_back", json_string(got.line));
	result_evidence(out, "proof", json_string("read-back"));
	return 0;
}

static int command_proof(struct dialogue_env *d, struct step *s, const struct args *a,
	const struct console_reply *got, struct step_result *out, struct err *e)
{
	result_evidence(out, "reply", json_string(got->line));
	/* The unit said so, no more: what it holds only a read-back shows. */
	result_evidence(out, "proof", json_string("acknowledged"));
	output_reply(out, got);
	if (args_has(a, "read_back"))
		return read_back(d, s, args_object(a, "read_back"), out, e);
	return 0;
}

static int command_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_dialogue_ d = {0};
	_reply_ got = {0};
	int r = dialogue_open(s, a, &d, e);

	if (r == 0)
		r = dialogue_ask(&d, s, args_str(a, "send"), args_str(a, "expect"), &got, e);
	if (r == 0)
		r = command_proof(&d, s, a, &got, out, e);
	return dialogue_save(&d, s, a, r, e);
}

static const struct action_arg read_back_fields[] = {
	{.name = "send",
		.type = ARG_STRING,
		.required = true,
		.secret = true,
		.doc = "the command that reads it"},
	{.name = "expect",
		.type = ARG_REGEX,
		.secret = true,
		.required = true,
		.doc = "what the unit must answer; anchor it with ^ and $"},
	{0},
};

static const struct action_arg command_args[] = {
	ARG_ROW_PORT,
	{.name = "send",
		.type = ARG_STRING,
		.required = true,
		.secret = true,
		.doc = "the command, one line"},
	{.name = "expect",
		.type = ARG_REGEX,
		.secret = true,
		.def = CONSOLE_EXPECT_DEFAULT,
		.doc = "the reply that agrees; anchor it with ^ and $"},
	ARG_ROW_ERROR,
	{.name = "read_back",
		.type = ARG_OBJECT,
		.fields = read_back_fields,
		.doc = "a second command that proves that the unit holds the value"},
	ARG_ROW_HEARD,
	ARG_ROWS_DIALOGUE,
	{0},
};

static const struct action_output reply_outputs[] = {OUTPUT_ROWS_REPLY, {0}};

const struct action action_console_command = {
	.name = "console.command",
	.doc = "Sends a command line and judges the reply; reads the value back where the recipe says so.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = command_args,
	.outputs = reply_outputs,
	.default_timeout_us = 30 * US_PER_S,
	.check = dialogue_check,
	.run = command_run,
};

static int measure_check(const struct args *a, struct err *e)
{
	int r = measure_limits(a, e);

	return r < 0 ? r : dialogue_check(a, e);
}

/* text: what the unit said; value: what was read out of it, NULL where it is not a number, for
 * which why has the reason. */
static int measured(struct step *s, const struct args *a, const char *text, const double *value,
	const char *why, struct step_result *out, struct err *e)
{
	struct measurement m = measurement_of(s, a);

	m.text = text;
	m.why = why;
	m.is_number = value != NULL;
	m.value = value ? *value : 0;
	result_evidence(out, "reply", json_string(text));
	if (m.is_number) {
		result_evidence(out, "value", json_real(m.value));
		result_output(out, "value", json_real(m.value));
	}
	if (m.unit)
		result_evidence(out, "unit", json_string(m.unit));
	return step_measure(s, &m, out, e);
}

/* Whether a line after that of the value says another one, or that there is none. A prompt that the
 * recipe does not name (esp32>) has digits too. */
static bool contradicts(const char *other, const char *pattern, const char *unit, double value)
{
	double another;

	if (!other)
		return false;
	if (reply_value(other, pattern, unit, &another, NULL) == 0)
		return another < value || another > value;
	return !pattern &&
	       (quantity_is_none(other, strlen(other)) || strchr("0123456789.+-", *other));
}

static int measure_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_dialogue_ d = {0};
	_reply_ got = {0};
	struct err why = {0};
	const char *pattern = args_str(a, "pattern");
	double value;
	int r = measure_check(a, e);

	if (r == 0)
		r = dialogue_open(s, a, &d, e);
	if (r < 0)
		return r;
	r = dialogue_ask(
		&d, s, args_str(a, "send"), pattern ? pattern : QUANTITY_CLAIM, &got, &why);
	/* It answered, and there is no number in what it said: a verdict, with its record. */
	if (r == -ERR_UNEXPECTED_REPLY)
		return measured(s, a, why.msg, NULL, NULL, out, e);
	if (r < 0) {
		if (e)
			*e = why;
		return r;
	}
	output_reply(out, &got);
	r = reply_value(got.line, pattern, args_str(a, "unit"), &value, &why);
	if (r < 0 && r != -ERR_NOT_A_NUMBER)
		return err_set(e, err_from_ret(r), "%s", why.msg);
	if (r == 0 && contradicts(got.other, pattern, args_str(a, "unit"), value))
		r = err_set(&why, ERR_NOT_A_NUMBER,
			"'%.100s' and then '%.100s': one value was expected (give a 'pattern' that only the value's line fits)",
			got.line, got.other);
	return measured(s, a, got.line, r == 0 ? &value : NULL, why.msg, out, e);
}

static const struct action_arg measure_args[] = {
	ARG_ROW_PORT,
	{.name = "send",
		.type = ARG_STRING,
		.required = true,
		.secret = true,
		.doc = "the command, one line"},
	{.name = "pattern",
		.type = ARG_REGEX,
		.doc = "the reply, its first group the number, or the number and its unit; without it: the first line with a digit, which has to be a number and nothing else but a label before it and its unit"},
	{.name = "unit",
		.type = ARG_STRING,
		.doc = "of the value and its limits; what the unit answers in a multiple of it is converted, in another unit refused"},
	ARG_ROWS_LIMITS,
	ARG_ROW_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

static const struct action_output measure_outputs[] = {
	OUTPUT_ROWS_REPLY, {"value", "the number"}, {0}};

const struct action action_console_measure = {
	.name = "console.measure",
	.doc = "Asks the unit for a number and judges it by its limits.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = measure_args,
	.outputs = measure_outputs,
	.default_timeout_us = 30 * US_PER_S,
	.check = measure_check,
	.run = measure_run,
};

/* One value in text; owned by the caller. */
static char *value_text(const json_t *v)
{
	if (json_is_string(v))
		return xstrdup(json_string_value(v));

	char *s = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	char *copy = xstrdup(s);

	free(s);
	return copy;
}

/* A space would move the border between key and value. */
static int check_key(const char *key, struct err *e)
{
	if (!*key)
		return err_set(e, ERR_INVALID, "a key of 'values' is empty");
	for (const char *p = key; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return err_set(e, ERR_INVALID,
				"the key '%s' of 'values' has a space or control byte", key);
	return 0;
}

/* Lines that give the value of a key: the right one, by itself or after its key, or as the first
 * group another one. For secret_free(). */
static char *telling(const char *key, const char *value)
{
	_cleanup_(freep) char *key_q = regex_quote(key);
	char *value_q = regex_quote(value);
	struct strbuf b = {0};

	sb_addf(&b, "^(?:%s(?:\\s*[=:]\\s*|\\s+))?", key_q);
	sb_add(&b, value_q);
	sb_addf(&b, "$|^(%s\\s*[=:].*)$", key_q);
	secret_free(value_q);
	return sb_take(&b);
}

/* What the reply says that the key holds in the place of the right value; NULL: nothing. */
static const char *another_value(const struct console_reply *got, const char *telling)
{
	_cleanup_(regex_freep) struct regex *x = NULL;
	struct regex_match m;

	if (got->groups > 1 && got->group[1])
		return got->line;
	if (!got->other || regex_new(telling, &x, NULL) < 0 ||
		!regex_match(x, got->other, strlen(got->other), &m))
		return NULL;
	return m.groups > 1 && m.group[1].start != (size_t)-1 ? got->other : NULL;
}

static int get_back(struct dialogue_env *d, struct step *s, const struct args *a, const char *key,
	const char *value, struct step_result *out, json_t *evidence, struct err *e)
{
	_reply_ got = {0};
	char *expect = telling(key, value);
	_cleanup_(freep) char *send = xasprintf("%s %s", args_str(a, "get"), key);
	struct err why = {0};
	int r = dialogue_ask(d, s, send, expect, &got, &why);
	const char *other = r == 0 ? another_value(&got, expect) : NULL;

	secret_free(expect);
	if (r == -ERR_UNEXPECTED_REPLY)
		return result_fail(out, ERR_READ_BACK_MISMATCH, "read back %s: %s", key, why.msg);
	if (r < 0) {
		if (e)
			*e = why;
		err_prefix(e, "read back %s", key);
		return r;
	}
	if (other) {
		_cleanup_(freep) char *shown = secret_mask(s->secrets, other);

		return result_fail(out, ERR_READ_BACK_MISMATCH,
			"read back %s: the unit said '%.100s', another value than the one that was set",
			key, shown);
	}
	json_object_set_new(evidence, key, json_string(got.line));
	return 0;
}

static int set_one(struct dialogue_env *d, struct step *s, const struct args *a, const char *key,
	const char *value, json_t *evidence, struct err *e)
{
	_reply_ got = {0};
	struct strbuf send = {0};
	int r;

	sb_addf(&send, "%s %s ", args_str(a, "set"), key);
	sb_add(&send, value);
	r = dialogue_ask(d, s, send.s, args_str(a, "expect"), &got, e);
	sb_done(&send);
	if (r < 0) {
		err_prefix(e, "set %s", key);
		return r;
	}
	json_object_set_new(evidence, key, json_string(got.line));
	return 0;
}

static int config_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_dialogue_ d = {0};
	json_t *values = (json_t *)(uintptr_t)args_json(a, "values");
	json_t *set = json_object();
	json_t *got = args_bool(a, "read_back") ? json_object() : NULL;
	const char *key;
	json_t *v;
	int r = 0;

	json_object_foreach(values, key, v)
		r = r < 0 ? r : check_key(key, e);
	if (r == 0)
		r = dialogue_open(s, a, &d, e);
	json_object_foreach(values, key, v) {
		_cleanup_(freep) char *text = value_text(v);

		if (r == 0)
			r = set_one(&d, s, a, key, text, set, e);
		if (r == 0 && got)
			r = get_back(&d, s, a, key, text, out, got, e);
		secret_wipe(text, strlen(text));
		if (r < 0 || out->verdict == STEP_FAILED)
			break;
	}
	if (json_object_size(set))
		result_evidence(out, "set", json_incref(set));
	result_evidence(out, "proof", json_string(got ? "read-back" : "acknowledged"));
	if (got && json_object_size(got))
		result_evidence(out, "read_back", json_incref(got));
	json_decref(set);
	json_decref(got);
	return r;
}

static const struct action_arg config_args[] = {
	ARG_ROW_PORT,
	{.name = "values",
		.type = ARG_MAP,
		.required = true,
		.secret = true,
		.doc = "key and value of each entry"},
	{.name = "set", .type = ARG_STRING, .def = "CONFIG_SET", .doc = "the command that sets"},
	{.name = "get", .type = ARG_STRING, .def = "CONFIG_GET", .doc = "the command that reads"},
	{.name = "read_back",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "read each value and compare: a value with a space is only proved so"},
	{.name = "expect",
		.type = ARG_REGEX,
		.def = CONSOLE_EXPECT_DEFAULT,
		.doc = "the reply that agrees"},
	ARG_ROW_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

const struct action action_console_config = {
	.name = "console.config",
	.doc = "Writes configuration values, one command each.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = config_args,
	.default_timeout_us = 60 * US_PER_S,
	.check = dialogue_check,
	.run = config_run,
};

static int expect_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_dialogue_ d = {0};
	_reply_ got = {0};
	_cleanup_(regex_freep) struct regex *x = NULL;
	int r = regex_new(args_str(a, "expect"), &x, e);

	if (r == 0)
		r = dialogue_open(s, a, &d, e);
	if (r < 0)
		return r;

	struct iotime it = iotime_within(&s->it, d.timeout_us);

	r = console_expect(d.console, x, args_has(a, "error") ? d.error : NULL, &it, &got, e);
	r = dialogue_save(&d, s, a, r, e);
	if (r < 0)
		return r;
	result_evidence(out, "line", json_string(got.line));
	output_reply(out, &got);
	return 0;
}

static const struct action_arg expect_args[] = {
	ARG_ROW_PORT,
	{.name = "expect",
		.type = ARG_REGEX,
		.required = true,
		.secret = true,
		.doc = "the line to wait for"},
	{.name = "error", .type = ARG_REGEX, .doc = "a line that ends the wait as refused"},
	ARG_ROW_HEARD,
	{.name = "timeout", .type = ARG_DURATION, .def = "10s", .doc = "for the line"},
	{0},
};

const struct action action_console_expect = {
	.name = "console.expect",
	.doc = "Waits for a line that the unit says by itself, such as its boot banner.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = expect_args,
	.outputs = reply_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.run = expect_run,
};
