/* SPDX-License-Identifier: Apache-2.0
 *
 * console.sweep and console.text: measurements that are more than one number, and those that are none.
 */
#include "daemon/actions/common.h"
#include "daemon/actions/guide/sweep.h"

#define _dialogue_ _cleanup_(dialogue_done) struct dialogue_env
#define _reply_	   _cleanup_(console_reply_done) struct console_reply
#define _sweep_	   _cleanup_(sweep_done) struct sweep

static const char *name_of(const struct step *s, const struct args *a)
{
	return args_has(a, "name") ? args_str(a, "name") : s->id;
}

/* The first group of the pattern, or the whole line. */
static const char *picked(const struct console_reply *got)
{
	return got->groups > 1 && got->group[1] ? got->group[1] : got->line;
}

/* --- a sweep --- */

static int read_axis(const struct args *a, struct sweep *s, struct err *e)
{
	const struct args *axis = args_object(a, "axis");
	const bool list = args_given(axis, "values");
	const bool rule =
		args_given(axis, "start") && args_given(axis, "step") && args_given(axis, "points");

	if (!axis)
		return 0; /* it is known at the run */
	if (list == rule)
		return err_set(e, ERR_RECIPE_INVALID,
			"'axis' needs 'values', or 'start', 'step' and 'points'");
	if (list)
		return args_has(axis, "values") ? sweep_axis_list(s, args_str(axis, "values"), e)
						: 0;
	if (!args_has(axis, "start") || !args_has(axis, "step") || !args_has(axis, "points"))
		return 0; /* they are known at the run */
	return sweep_axis(s, args_number(axis, "start"), args_number(axis, "step"),
		(size_t)args_int(axis, "points"), e);
}

static int read_sweep(const struct args *a, struct sweep *s, struct err *e)
{
	int r = read_axis(a, s, e);

	return r < 0 || !s->n || !args_has(a, "limits")
		       ? r
		       : sweep_limits(s, args_json(a, "limits"), e);
}

static int sweep_check(const struct args *a, struct err *e)
{
	_sweep_ s = {0};
	int r = read_sweep(a, &s, e);

	if (r == 0)
		r = sweep_margin(&s, args_number(a, "marginal"), e);
	if (r == 0 && args_number(a, "marginal") > 0 && !args_given(a, "limits"))
		r = err_set(e, ERR_RECIPE_INVALID, "'marginal' needs 'limits'");
	return r < 0 ? r : dialogue_check(a, e);
}

static json_t *number_or_null(bool has, double v)
{
	return has ? json_real(v) : json_null();
}

static json_t *axis_json(const struct args *a, const struct sweep *s)
{
	const struct args *axis = args_object(a, "axis");
	json_t *values = json_array();

	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(values, json_real(s->x[i]));
	return json_pack("{s:s?, s:s?, s:o}", "name", args_str(axis, "name"), "unit",
		args_str(axis, "unit"), "values", values);
}

static json_t *limits_json(const struct sweep *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->bands; i++) {
		const struct sweep_band *b = &s->band[i];

		json_array_append_new(
			list, json_pack("{s:f, s:f, s:o, s:o}", "from", b->from, "to", b->to, "low",
				      number_or_null(b->has_low, b->low), "high",
				      number_or_null(b->has_high, b->high)));
	}
	return list;
}

/* What is kept of it. */
static json_t *sweep_json(
	const struct args *a, const struct sweep *s, const double *y, const json_t *outside)
{
	json_t *values = json_array();

	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(values, json_real(y[i]));
	return json_pack("{s:s, s:o, s:o, s:o, s:O}", "kind", "sweep", "axis", axis_json(a, s),
		"values", values, "limits", limits_json(s), "outside", outside);
}

struct judged {
	json_t *outside; /* the numbers of the points, from 1 */
	size_t first;	 /* of them, from 0 */
	bool low, marginal;
};

static void judge_point(
	const struct sweep *s, const double *y, size_t i, double margin, struct judged *j)
{
	const enum sweep_point p = sweep_judge(s, i, y[i], margin);
	const bool out = p == SWEEP_LOW || p == SWEEP_HIGH;

	if (out && json_array_size(j->outside) == 0) {
		j->first = i;
		j->low = p == SWEEP_LOW;
	}
	if (out)
		json_array_append_new(j->outside, json_integer((json_int_t)i + 1));
	j->marginal = j->marginal || p == SWEEP_MARGINAL;
}

static void fail_sweep(const struct step *s, const struct args *a, const struct sweep *w,
	const double *y, const struct judged *j, struct step_result *out)
{
	const char *unit = args_str(a, "unit"), *axis = args_str(args_object(a, "axis"), "unit");
	const struct sweep_band *b = sweep_band_at(w, j->first);

	result_fail(out, j->low ? ERR_LIMIT_LOW : ERR_LIMIT_HIGH,
		"%s: %.10g %s at %.10g %s is %s the limit %.10g; %zu of %zu points are outside",
		name_of(s, a), y[j->first], unit ? unit : "", w->x[j->first], axis ? axis : "",
		j->low ? "below" : "above", j->low ? b->low : b->high, json_array_size(j->outside),
		w->n);
}

static int record_sweep(struct step *s, const struct args *a, const struct sweep *w,
	const double *y, const char *text, struct step_result *out, struct err *e)
{
	struct judged j = {.outside = json_array()};
	struct measurement m = {.name = name_of(s, a), .text = text, .unit = args_str(a, "unit")};
	json_t *detail;
	int r;

	for (size_t i = 0; i < w->n; i++)
		judge_point(w, y, i, args_number(a, "marginal"), &j);
	if (json_array_size(j.outside) > 0)
		fail_sweep(s, a, w, y, &j, out);
	detail = sweep_json(a, w, y, j.outside);
	m.detail = detail;
	result_evidence(out, "points", json_integer((json_int_t)w->n));
	result_evidence(out, "outside", json_incref(j.outside));
	r = step_record(s, &m,
		json_array_size(j.outside) > 0 ? "fail"
		: j.marginal		       ? "marginal"
					       : "pass",
		e);
	json_decref(detail);
	json_decref(j.outside);
	return r;
}

/* It answered, and that is no sweep: a verdict, with its record. */
static int record_nothing(struct step *s, const struct args *a, const char *text, const char *why,
	struct step_result *out, struct err *e)
{
	const struct measurement m = {
		.name = name_of(s, a), .text = text, .unit = args_str(a, "unit")};

	result_evidence(out, "reply", json_string(text));
	result_fail(out, ERR_NOT_A_NUMBER, "%s: %s", m.name, why);
	return step_record(s, &m, "fail", e);
}

static int sweep_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_dialogue_ d = {0};
	_reply_ got = {0};
	_sweep_ w = {0};
	_cleanup_(freep) double *y = NULL;
	_cleanup_(freep) char *list = NULL;
	struct err why = {0};
	size_t n = 0;
	int r = read_sweep(a, &w, e);

	/* A margin may have come in at the run. */
	if (r == 0)
		r = sweep_margin(&w, args_number(a, "marginal"), e);
	if (r == 0)
		r = dialogue_open(s, a, &d, e);
	if (r == 0)
		r = dialogue_ask(&d, s, args_str(a, "send"), args_str(a, "pattern"), &got, &why);
	if (r == -ERR_UNEXPECTED_REPLY)
		return record_nothing(s, a, why.msg, why.msg, out, e);
	if (r < 0)
		return why.code ? err_set(e, why.code, "%s", why.msg) : r;
	output_reply(out, &got);
	if (reply_list(got.line, args_str(a, "pattern"), &list, &why) < 0 ||
		sweep_read(list, args_str(a, "unit"), &y, &n, &why) < 0)
		return record_nothing(s, a, got.line, why.msg, out, e);
	if (n != w.n) {
		err_set(&why, ERR_NOT_A_NUMBER, "%zu values came, and the axis has %zu points", n,
			w.n);
		return record_nothing(s, a, got.line, why.msg, out, e);
	}
	return record_sweep(s, a, &w, y, got.line, out, e);
}

static const struct action_arg axis_fields[] = {
	{.name = "name", .type = ARG_STRING, .doc = "what it is: frequency, time"},
	{.name = "unit", .type = ARG_STRING, .doc = "of its values"},
	{.name = "start", .type = ARG_NUMBER, .doc = "the first point"},
	{.name = "step", .type = ARG_NUMBER, .doc = "from each point to the next one"},
	{.name = "points",
		.type = ARG_INT,
		.low = 1,
		.high = SWEEP_POINTS_MAX,
		.doc = "how many there are"},
	{.name = "values", .type = ARG_STRING, .doc = "or all points, rising: '100 200 500'"},
	{0},
};

#define ARG_ROW_SEND                                                                  \
	{                                                                             \
		.name = "send", .type = ARG_STRING, .required = true, .secret = true, \
		.doc = "the command, one line"                                        \
	}
#define ARG_ROW_NAME                                                   \
	{                                                              \
		.name = "name", .type = ARG_STRING,                    \
		.doc = "of the measurement; without it: the step's id" \
	}

static const struct action_arg sweep_args[] = {
	ARG_ROW_PORT,
	ARG_ROW_SEND,
	{.name = "pattern",
		.type = ARG_REGEX,
		.def = "^[-+.0-9].*$",
		.doc = "the reply, its first group the values; by default a line that begins with a number. Values are set apart by semicolons, where there are none by commas, and else by blanks"},
	ARG_ROW_NAME,
	{.name = "unit", .type = ARG_STRING, .doc = "of the values and their limits"},
	{.name = "axis",
		.type = ARG_OBJECT,
		.required = true,
		.fields = axis_fields,
		.doc = "where the values belong: one for each point"},
	{.name = "limits",
		.type = ARG_LIST,
		.doc = "rows 'FROM TO LOW HIGH' along the axis, '-' where there is no limit, which follow one another without a gap and cover it; a point at the border of two belongs to the later one"},
	{.name = "marginal",
		.type = ARG_NUMBER,
		.doc = "a good value nearer than this to a limit is marginal"},
	ARG_ROW_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

static const struct action_output reply_outputs[] = {OUTPUT_ROWS_REPLY, {0}};

const struct action action_console_sweep = {
	.name = "console.sweep",
	.doc = "Asks the unit for values along an axis and judges each by the limits there.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = sweep_args,
	.outputs = reply_outputs,
	.default_timeout_us = 30 * US_PER_S,
	.check = sweep_check,
	.run = sweep_run,
};

/* --- a text --- */

static const char *const wants[] = {"equals", "matches", "one_of"};

static int text_check(const struct args *a, struct err *e)
{
	int n = 0;

	for (size_t i = 0; i < ARRAY_LEN(wants); i++)
		n += args_given(a, wants[i]);
	if (n != 1)
		return err_set(e, ERR_RECIPE_INVALID,
			"one of 'equals', 'matches' and 'one_of' expected, %d are there", n);
	if (args_has(a, "one_of") && json_array_size(args_json(a, "one_of")) == 0)
		return err_set(e, ERR_RECIPE_INVALID, "'one_of' is empty: no text can pass");
	return dialogue_check(a, e);
}

static bool is_one_of(const json_t *list, const char *text)
{
	const json_t *v;
	size_t i;

	json_array_foreach((json_t *)list, i, v)
		if (json_is_string(v) && !strcmp(json_string_value(v), text))
			return true;
	return false;
}

static int agrees(const struct args *a, const char *text, bool *ret, struct err *e)
{
	_cleanup_(regex_freep) struct regex *x = NULL;
	int r = 0;

	if (args_has(a, "equals"))
		*ret = !strcmp(text, args_str(a, "equals"));
	else if (args_has(a, "one_of"))
		*ret = is_one_of(args_json(a, "one_of"), text);
	else {
		struct regex_match m;
		const size_t n = strlen(text);

		r = regex_new(args_str(a, "matches"), &x, e);
		*ret = r == 0 && regex_match(x, text, n, &m) && m.group[0].start == 0 &&
		       m.group[0].end == n;
	}
	return r;
}

/* What was wanted, for the record and for people. */
static json_t *wanted(const struct args *a)
{
	json_t *o = json_pack("{s:s}", "kind", "text");

	if (args_has(a, "one_of"))
		json_object_set_new(o, "one_of", json_deep_copy(args_json(a, "one_of")));
	else if (args_has(a, "equals"))
		json_object_set_new(o, "equals", json_string(args_str(a, "equals")));
	else
		json_object_set_new(o, "matches", json_string(args_str(a, "matches")));
	return o;
}

static void fail_text(const struct step *s, const struct args *a, const char *text,
	const json_t *detail, struct step_result *out)
{
	for (size_t i = 0; i < ARRAY_LEN(wants); i++) {
		const json_t *v = json_object_get(detail, wants[i]);
		char *want = v ? json_dumps(v, JSON_ENCODE_ANY) : NULL;

		if (want)
			result_fail(out, ERR_UNEXPECTED_REPLY,
				"%s: '%.80s' was read, a text that %s %.100s expected",
				name_of(s, a), text,
				i == 0	 ? "equals"
				: i == 1 ? "matches"
					 : "is one of",
				want);
		free(want);
	}
}

static int text_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_dialogue_ d = {0};
	_reply_ got = {0};
	json_t *detail;
	bool good = false;
	int r = text_check(a, e);

	if (r == 0)
		r = dialogue_open(s, a, &d, e);
	if (r == 0)
		r = dialogue_ask(&d, s, args_str(a, "send"), args_str(a, "pattern"), &got, e);
	if (r == 0)
		r = agrees(a, picked(&got), &good, e);
	if (r < 0)
		return r;
	output_reply(out, &got);
	result_evidence(out, "reply", json_string(got.line));
	result_evidence(out, "text", json_string(picked(&got)));
	detail = wanted(a);

	const struct measurement m = {
		.name = name_of(s, a), .text = picked(&got), .detail = detail};

	if (!good)
		fail_text(s, a, picked(&got), detail, out);
	r = step_record(s, &m, good ? "pass" : "fail", e);
	json_decref(detail);
	return r;
}

static const struct action_arg text_args[] = {
	ARG_ROW_PORT,
	ARG_ROW_SEND,
	{.name = "pattern",
		.type = ARG_REGEX,
		.def = "^.+$",
		.doc = "the reply, its first group the text; by default the first line"},
	ARG_ROW_NAME,
	{.name = "equals", .type = ARG_STRING, .doc = "the only good text"},
	{.name = "matches", .type = ARG_REGEX, .doc = "or a pattern that all of it has to match"},
	{.name = "one_of", .type = ARG_LIST, .doc = "or all good texts"},
	ARG_ROW_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

const struct action action_console_text = {
	.name = "console.text",
	.doc = "Asks the unit for a text, judges it, and records it as a measurement.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = text_args,
	.outputs = reply_outputs,
	.default_timeout_us = 30 * US_PER_S,
	.check = text_check,
	.run = text_run,
};
