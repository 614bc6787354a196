/* SPDX-License-Identifier: Apache-2.0
 *
 * instrument.*: measuring instruments by SCPI.
 */
#include "daemon/actions/scpi/instrument.h"

#include <math.h>

#include "base/strbuf.h"
#include "daemon/recipe/quantity.h"

#define _instrument_ _cleanup_(instrument_done) struct instrument_step

static int open_of(struct instrument_step *x, struct step *s, const struct args *a,
	struct step_result *out, struct err *e)
{
	int r = instrument_open(x, s, args_str(a, "instrument"), e);

	if (x->id.maker[0])
		result_evidence(out, "instrument", instrument_json(x));
	return r;
}

/* --- instrument.identify --- */

static int identify_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_instrument_ x = {0};
	int r = open_of(&x, s, a, out, e);

	if (r < 0)
		return r;
	result_output(out, "maker", json_string(x.id.maker));
	result_output(out, "model", json_string(x.id.model));
	result_output(out, "serial", json_string(x.id.serial));
	result_output(out, "firmware", json_string(x.id.firmware));
	return 0;
}

static const struct action_arg identify_args[] = {ARG_ROW_INSTRUMENT, {0}};

static const struct action_output identify_outputs[] = {
	{"maker", "as it says itself"},
	{"model", "of it"},
	{"serial", "its serial number"},
	{"firmware", "its version"},
	{0},
};

const struct action action_instrument_identify = {
	.name = "instrument.identify",
	.doc = "Asks a measuring instrument who it is, and whether its calibration holds.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = identify_args,
	.outputs = identify_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.run = identify_run,
};

/* --- instrument.query --- */

static json_t *block_json(const struct strbuf *b, bool block)
{
	char sha256[SHA256_HEX];

	return json_pack("{s:s, s:I, s:s}", "kind", block ? "block" : "text", "bytes",
		(json_int_t)b->len, "sha256", sha256_hex_of(b->s ? b->s : "", b->len, sha256));
}

/* The bytes of a block, or the line as it came. */
static int query_to_file(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_instrument_ x = {0};
	_cleanup_(sb_done) struct strbuf b = {0};
	bool block = false;
	int r = open_of(&x, s, a, out, e);

	if (r == 0)
		r = instrument_route(&x, a, out, e);
	if (r == 0)
		r = instrument_query_block(&x, args_str(a, "send"), &b, &block, e);
	if (r < 0)
		return r;
	result_evidence(out, "answer", block_json(&b, block));
	return save_file(s, args_str(a, "file"), b.s ? b.s : "", b.len, e);
}

static int query_check(const struct args *a, struct err *e)
{
	return args_given(a, "file") && args_given(a, "expect")
		       ? err_set(e, ERR_RECIPE_INVALID,
				 "'file' and 'expect' are one too many: an answer goes into a file, or is looked at")
		       : 0;
}

static int query_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_instrument_ x = {0};
	_cleanup_(regex_freep) struct regex *expect = NULL;
	_cleanup_(freep) char *answer = NULL;
	int r = arg_regex(a, "expect", NULL, &expect, e);

	if (args_has(a, "file"))
		return query_to_file(s, a, out, e);

	if (r == 0)
		r = open_of(&x, s, a, out, e);
	if (r == 0)
		r = instrument_route(&x, a, out, e);
	if (r == 0)
		r = instrument_query(&x, args_str(a, "send"), &answer, e);
	if (r < 0)
		return r;
	result_evidence(out, "answer", json_string(answer));
	result_output(out, "answer", json_string(answer));
	if (expect && !regex_match(expect, answer, strlen(answer), NULL))
		return err_set(e, ERR_INSTRUMENT,
			"instrument '%s' answered '%.60s' with '%.80s': what fits '%s' expected",
			x.name, args_str(a, "send"), answer, regex_pattern(expect));
	return 0;
}

static const struct action_arg query_args[] = {
	ARG_ROW_INSTRUMENT,
	{.name = "send",
		.type = ARG_STRING,
		.required = true,
		.doc = "the question, with its '?': SYST:VERS?"},
	{.name = "expect", .type = ARG_REGEX, .doc = "what the answer has to fit"},
	{.name = "file",
		.type = ARG_OUTPUT,
		.doc = "the answer goes there, and is no output: the bytes of a definite length block (a waveform, a picture of the screen), or the line"},
	ARG_ROW_ROUTE,
	{0},
};

static const struct action_output query_outputs[] = {{"answer", "the line, as it came"}, {0}};

const struct action action_instrument_query = {
	.name = "instrument.query",
	.doc = "Asks a measuring instrument something that is no measurement.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = query_args,
	.outputs = query_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.check = query_check,
	.run = query_run,
};

/* --- instrument.set --- */

static int read_back(
	struct instrument_step *x, const struct args *rb, struct step_result *out, struct err *e)
{
	const struct reading q = reading_of(rb);
	double want = args_number(rb, "value"), off = args_number(rb, "tolerance"), got;
	int r = instrument_read(x, &q, &got, NULL, e);

	if (r == -ERR_NOT_A_NUMBER) {
		if (e)
			e->code = ERR_INSTRUMENT;
		return err_prefix(e, "instrument '%s': read back", x->name);
	}
	if (r < 0)
		return r;
	result_evidence(out, "read_back", json_real(got));
	result_evidence(out, "proof", json_string("read-back"));
	if (fabs(got - want) <= off)
		return 0;
	return err_set(e, ERR_INSTRUMENT,
		"instrument '%s' is at %.10g%s%s, and was set to %.10g (tolerance %g)", x->name,
		got, q.unit ? " " : "", q.unit ? q.unit : "", want, off);
}

static int set_check(const struct args *a, struct err *e)
{
	return args_has(a, "read_back") ? reading_check(args_object(a, "read_back"), e) : 0;
}

static int set_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_instrument_ x = {0};
	int r = open_of(&x, s, a, out, e);

	if (r == 0)
		r = instrument_command(&x, args_str(a, "send"), e);
	if (r < 0)
		return r;
	result_evidence(out, "sent", json_string(args_str(a, "send")));
	result_evidence(out, "proof", json_string("done, and no error in its queue"));
	return args_has(a, "read_back") ? read_back(&x, args_object(a, "read_back"), out, e) : 0;
}

static const struct action_arg read_back_fields[] = {
	ARG_ROWS_READING,
	{.name = "value",
		.type = ARG_NUMBER,
		.required = true,
		.doc = "what it has to be, in 'unit'"},
	{.name = "tolerance",
		.type = ARG_NUMBER,
		.required = true,
		.low = 0,
		.high = 1e30,
		.doc = "how far from it, in 'unit'"},
	{0},
};

static const struct action_arg set_args[] = {
	ARG_ROW_INSTRUMENT,
	{.name = "send",
		.type = ARG_STRING,
		.required = true,
		.doc = "the command, without '?': VOLT 3.3"},
	{.name = "read_back",
		.type = ARG_OBJECT,
		.fields = read_back_fields,
		.doc = "a question that proves it"},
	{0},
};

const struct action action_instrument_set = {
	.name = "instrument.set",
	.doc = "Sets a measuring instrument or a source, and looks for an error; reads the value back where the recipe says so.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = set_args,
	.default_timeout_us = 60 * US_PER_S,
	.check = set_check,
	.run = set_run,
};

/* --- instrument.measure --- */

static int measure_check(const struct args *a, struct err *e)
{
	int r = measure_limits(a, e);

	if (r == 0)
		r = reading_check(a, e);
	return r < 0 ? r : settling_check(a, e);
}

static int judge(struct step *s, const struct args *a, const struct settled *got, const char *why,
	struct step_result *out, struct err *e)
{
	struct measurement m = measurement_of(s, a);

	m.text = got->text;
	m.why = why;
	m.is_number = !why;
	m.value = got->mean;
	result_evidence(out, "answer", json_string(got->text ? got->text : ""));
	result_evidence(out, "readings", json_integer(got->readings));
	if (m.is_number) {
		result_evidence(out, "value", json_real(m.value));
		result_evidence(out, "deviation", json_real(got->deviation));
		result_output(out, "value", json_real(m.value));
	}
	if (m.unit)
		result_evidence(out, "unit", json_string(m.unit));
	return step_measure(s, &m, out, e);
}

static int measure_with(struct instrument_step *x, const struct args *a, struct settled *got,
	struct step_result *out, struct err *e)
{
	const struct reading q = reading_of(a);
	const struct settling how = settling_of(a);
	struct err why = {0};
	int r = instrument_settle(x, &q, &how, got, &why);

	if (r < 0 && r != -ERR_NOT_A_NUMBER) {
		if (e)
			*e = why;
		return r;
	}
	r = judge(x->s, a, got, r < 0 ? why.msg : NULL, out, e);
	if (r < 0 || why.code != ERR_NONE || got->rests)
		return r;
	return result_fail(out, ERR_NOT_SETTLED,
		"%u readings in %.1f s, and the standard deviation of the newest %u is %.4g: no more than %.4g expected",
		got->readings, (double)how.within_us / 1e6, how.samples, got->deviation,
		how.spread);
}

static int measure_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_instrument_ x = {0};
	struct settled got = {0};
	int r = measure_check(a, e);

	if (r == 0)
		r = open_of(&x, s, a, out, e);
	if (r == 0)
		r = instrument_route(&x, a, out, e);
	if (r == 0)
		r = measure_with(&x, a, &got, out, e);
	free(got.text);
	return r;
}

static const struct action_arg measure_args[] = {
	ARG_ROW_INSTRUMENT,
	ARG_ROW_ROUTE,
	ARG_ROWS_READING,
	ARG_ROWS_LIMITS,
	ARG_ROWS_SETTLING,
	{0},
};

static const struct action_output measure_outputs[] = {{"value", "the number, in 'unit'"}, {0}};

const struct action action_instrument_measure = {
	.name = "instrument.measure",
	.doc = "Measures with an instrument, waits until the value has settled where the recipe says so, and judges it by its limits.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = measure_args,
	.outputs = measure_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.check = measure_check,
	.run = measure_run,
};
