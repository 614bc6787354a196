/* SPDX-License-Identifier: Apache-2.0
 *
 * calibrate.*: the unit and an instrument read the same thing at several points; what corrects the unit is computed,
 * judged, written, read back, and proved at a point that was not used.
 *
 *	each point: set it, reference, unit ──> fit ──> within its bounds? ──> write ──> read back
 *	                                                  no: nothing is written           │
 *	                     one more point: set it, reference, the unit's own value <─────┘
 */
#include <math.h>

#include "base/strbuf.h"
#include "daemon/actions/scpi/fit.h"
#include "daemon/actions/scpi/instrument.h"

#define DECIMALS_MAX 12
#define NUMBER_BYTES 336 /* any double with its decimals: one that is cut is another number */
#define READS_MAX    100

/* How a kind fits, and which numbers of it are written: all at once, or the two of each point. */
struct kind {
	bool by_point;
	unsigned (*terms)(const struct args *a);
};

struct calibration {
	struct step *s;
	const struct args *a;
	const struct kind *kind;
	struct instrument_step meter;
	struct dialogue_env unit;
	struct fit_point point[FIT_POINTS_MAX];
	double at[FIT_POINTS_MAX]; /* what was set */
	unsigned points;
	struct fit fit; /* as it is written: rounded */
};

static void calibration_done(struct calibration *c)
{
	dialogue_done(&c->unit);
	instrument_done(&c->meter);
}

/* --- readings --- */

static char *with_point(const char *template, double at)
{
	char text[NUMBER_BYTES];

	snprintf(text, sizeof text, "%.10g", at);
	return fill_in(template, (struct filling[]){{"point", text}, {0}});
}

static int set_point(struct calibration *c, double at, struct err *e)
{
	_cleanup_(freep) char *send =
		args_has(c->a, "set") ? with_point(args_str(c->a, "set"), at) : NULL;

	return send ? instrument_command(&c->meter, send, e) : 0;
}

static int read_reference(struct calibration *c, double at, double *ret, struct err *e)
{
	const struct settling how = settling_of(c->a);
	struct reading q = reading_of(c->a);
	struct settled got = {0};
	_cleanup_(freep) char *query = with_point(q.query, at);
	int r;

	q.query = query;
	r = instrument_settle(&c->meter, &q, &how, &got, e);
	free(got.text);
	/* The reference is the line's, and not the unit's. */
	if (r == -ERR_NOT_A_NUMBER) {
		if (e)
			e->code = ERR_INSTRUMENT;
		return err_prefix(e, "instrument '%s', at %.10g", c->meter.name, at);
	}
	if (r == 0 && !got.rests)
		return err_set(e, ERR_INSTRUMENT,
			"instrument '%s' does not settle at %.10g: the standard deviation of its readings is %.4g, no more than %.4g expected",
			c->meter.name, at, got.deviation, how.spread);
	*ret = got.mean;
	return r;
}

/* The mean of the unit's readings. */
static int read_unit(struct calibration *c, const struct args *how, double *ret, struct err *e)
{
	int64_t times = args_int(how, "samples");
	double sum = 0;
	int r = 0;

	for (int64_t i = 0; r == 0 && i < times; i++) {
		_cleanup_(console_reply_done) struct console_reply got = {0};
		double v = 0;

		r = dialogue_ask(
			&c->unit, c->s, args_str(how, "send"), args_str(how, "pattern"), &got, e);
		if (r == 0)
			r = reply_value(
				got.line, args_str(how, "pattern"), args_str(c->a, "unit"), &v, e);
		sum += v;
	}
	*ret = sum / (double)times;
	return r;
}

/* One point: reference and unit. */
static int read_pair(struct calibration *c, double at, const struct args *how,
	struct fit_point *ret, struct err *e)
{
	int r = set_point(c, at, e);

	if (r == 0)
		r = read_reference(c, at, &ret->reference, e);
	if (r == 0)
		r = read_unit(c, how, &ret->raw, e);
	return r < 0 ? err_prefix(e, "point %.10g", at) : 0;
}

static json_t *pair_json(double at, const struct fit_point *p)
{
	return json_pack("{s:f, s:f, s:f, s:f}", "point", at, "reference", p->reference, "unit",
		p->raw, "error", p->raw - p->reference);
}

static int read_points(struct calibration *c, struct step_result *out, struct err *e)
{
	json_t *before = json_array();
	int r = 0;

	for (unsigned i = 0; r == 0 && i < c->points; i++) {
		r = read_pair(c, c->at[i], args_object(c->a, "read"), &c->point[i], e);
		if (r == 0)
			json_array_append_new(before, pair_json(c->at[i], &c->point[i]));
		step_progress(c->s, "measure", i + 1, c->points);
	}
	result_evidence(out, "before", before);
	return r;
}

/* --- what corrects it --- */

static double rounded(const struct calibration *c, double v)
{
	double unit = pow(10, -(double)args_int(c->a, "decimals"));

	return rint(v / unit) * unit + 0.0; /* no "-0.0" is written */
}

/* As it will be in the unit, which holds so many decimals. */
static int make_fit(struct calibration *c, struct err *e)
{
	int r = c->kind->by_point
			? fit_table(c->point, c->points, &c->fit, e)
			: fit_polynomial(c->point, c->points, c->kind->terms(c->a), &c->fit, e);

	for (unsigned i = 0; r == 0 && i < c->fit.terms; i++)
		c->fit.c[i] = rounded(c, c->fit.c[i]);
	for (unsigned i = 0; r == 0 && i < c->fit.points; i++)
		c->fit.point[i] = (struct fit_point){
			rounded(c, c->fit.point[i].raw), rounded(c, c->fit.point[i].reference)};
	return r;
}

/* A bound that the recipe gives: what lies outside is written to no unit. */
static int within(
	struct step_result *out, const char *what, double v, double most, const char *unit)
{
	if (v <= most)
		return 0;
	return result_fail(out, ERR_CALIBRATION,
		"the %s is %.6g%s%s, no more than %.6g expected: nothing was written to the unit",
		what, v, *unit ? " " : "", unit, most);
}

static void judge_fit(struct calibration *c, struct step_result *out)
{
	const char *unit = args_has(c->a, "unit") ? args_str(c->a, "unit") : "";
	double residual = fit_residual(&c->fit, c->point, c->points),
	       change = fit_correction(&c->fit, c->point, c->points);

	result_evidence(out, "residual", json_real(residual));
	result_evidence(out, "correction", json_real(change));
	within(out, "largest correction", change, args_number(c->a, "correction"), unit);
	if (out->verdict == STEP_PASSED)
		within(out, "largest residual", residual, args_number(c->a, "residual"), unit);
}

/* --- into the unit, and back --- */

/* The numbers of one command, by the names of its places. */
struct numbers {
	char name[FIT_TERMS_MAX][8], text[FIT_TERMS_MAX + 1][NUMBER_BYTES];
	double v[FIT_TERMS_MAX];
	unsigned n;
};

static void add_number(struct calibration *c, struct numbers *k, const char *name, double v)
{
	snprintf(k->name[k->n], sizeof k->name[0], "%s", name);
	snprintf(k->text[k->n], sizeof k->text[0], "%.*f", (int)args_int(c->a, "decimals"), v);
	k->v[k->n++] = v;
}

/* Of the i-th command. */
static struct numbers numbers_of(struct calibration *c, unsigned i)
{
	static const char *const names[FIT_TERMS_MAX] = {"c0", "c1", "c2", "c3", "c4", "c5"};
	struct numbers k = {0};

	if (c->kind->by_point) {
		add_number(c, &k, "raw", c->fit.point[i].raw);
		add_number(c, &k, "value", c->fit.point[i].reference);
		return k;
	}
	for (unsigned j = 0; j < c->fit.terms; j++)
		add_number(c, &k, names[j], c->fit.c[j]);
	return k;
}

/* {c0} and {c1} are also {offset} and {gain}; {index} counts from 0. */
static char *filled(const char *template, const struct numbers *k, unsigned index)
{
	struct filling with[FIT_TERMS_MAX + 4] = {0};
	char text[NUMBER_BYTES];
	unsigned n = 0;

	snprintf(text, sizeof text, "%u", index);
	with[n++] = (struct filling){"index", text};
	for (unsigned i = 0; i < k->n; i++)
		with[n++] = (struct filling){k->name[i], k->text[i]};
	if (k->n > 1) {
		with[n++] = (struct filling){"offset", k->text[0]};
		with[n++] = (struct filling){"gain", k->text[1]};
	}
	return fill_in(template, with);
}

/* Whether the unit holds the numbers, as the groups of the pattern say them. */
static int compare(const struct calibration *c, const struct console_reply *got,
	const struct numbers *k, struct step_result *out, struct err *e)
{
	double off = 0.51 * pow(10, -(double)args_int(c->a, "decimals"));

	for (unsigned i = 0; i < k->n; i++) {
		const char *text = got->groups > (int)i + 1 ? got->group[i + 1] : NULL;
		double v;

		if (!text)
			return err_set(e, ERR_RECIPE_INVALID,
				"'read_back.pattern' has no group %u for {%s}: one for each number expected",
				i + 1, k->name[i]);
		if (!parse_number(text + (*text == '+'), &v) || fabs(v - k->v[i]) > off)
			return result_fail(out, ERR_READ_BACK_MISMATCH,
				"read back: the unit holds '%.40s' for {%s}, and was given %s",
				text, k->name[i], k->text[i]);
	}
	return 0;
}

static int read_back(struct calibration *c, const struct numbers *k, unsigned i,
	struct step_result *out, struct err *e)
{
	const struct args *rb = args_object(c->a, "read_back");
	_cleanup_(console_reply_done) struct console_reply got = {0};
	_cleanup_(freep) char *send = filled(args_str(rb, "send"), k, i);
	int r = dialogue_ask(&c->unit, c->s, send, args_str(rb, "pattern"), &got, e);

	return r < 0 ? err_prefix(e, "read back") : compare(c, &got, k, out, e);
}

static int write_one(
	struct calibration *c, unsigned i, json_t *written, struct step_result *out, struct err *e)
{
	struct numbers k = numbers_of(c, i);
	_cleanup_(console_reply_done) struct console_reply got = {0};
	_cleanup_(freep) char *send = filled(args_str(c->a, "write"), &k, i);
	int r = dialogue_ask(&c->unit, c->s, send, args_str(c->a, "expect"), &got, e);

	json_array_append_new(written, json_string(send));
	return r;
}

static int write_all(struct calibration *c, struct step_result *out, struct err *e)
{
	unsigned n = c->kind->by_point ? c->points : 1;
	json_t *written = json_array();
	int r = 0;

	for (unsigned i = 0; r == 0 && i < n; i++)
		r = write_one(c, i, written, out, e);
	/* All of it stays, also what came first. */
	for (unsigned i = 0; r == 0 && out->verdict == STEP_PASSED && i < n; i++) {
		struct numbers k = numbers_of(c, i);

		r = read_back(c, &k, i, out, e);
	}
	result_evidence(out, "written", written);
	return r;
}

/* --- the proof --- */

static int verify(struct calibration *c, struct step_result *out, struct err *e)
{
	double at = args_number(c->a, "verify_at"), off = args_number(c->a, "tolerance");
	struct measurement m = {.name = args_has(c->a, "name") ? args_str(c->a, "name") : c->s->id,
		.is_number = true,
		.unit = args_str(c->a, "unit"),
		.has_low = true,
		.has_high = true,
		.low = -off,
		.high = off};
	struct fit_point p;
	int r = read_pair(c, at, args_object(c->a, "check"), &p, e);

	if (r < 0)
		return err_prefix(e, "after the calibration was written");
	result_evidence(out, "after", pair_json(at, &p));
	result_evidence(
		out, "proof", json_string("read back, and measured at a point that was not used"));
	m.value = p.raw - p.reference;
	result_output(out, "error", json_real(m.value));
	return step_measure(c->s, &m, out, e);
}

static void say_fit(const struct calibration *c, struct step_result *out)
{
	json_t *terms = json_array();

	for (unsigned i = 0; i < c->fit.terms; i++)
		json_array_append_new(terms, json_real(c->fit.c[i]));
	if (c->fit.terms) {
		result_evidence(out, "terms", terms);
		result_output(out, "offset", json_real(c->fit.c[0]));
		result_output(out, "gain", json_real(c->fit.c[1]));
	} else {
		json_decref(terms);
	}
	result_evidence(out, "instrument", instrument_json(&c->meter));
}

static int calibrate_with(struct calibration *c, struct step_result *out, struct err *e)
{
	int r = read_points(c, out, e);

	if (r == 0)
		r = make_fit(c, e);
	say_fit(c, out);
	if (r < 0)
		return r;
	judge_fit(c, out);
	if (out->verdict == STEP_PASSED)
		r = write_all(c, out, e);
	return r == 0 && out->verdict == STEP_PASSED ? verify(c, out, e) : r;
}

/* --- arguments --- */

static int points_of(const struct args *a, double *ret, unsigned *ret_n, struct err *e)
{
	const json_t *list = args_json(a, "points");
	double verify_at = args_number(a, "verify_at");
	size_t i;
	json_t *v;

	if (json_array_size(list) > FIT_POINTS_MAX)
		return err_set(e, ERR_RECIPE_INVALID, "'points' has more than %d", FIT_POINTS_MAX);
	json_array_foreach((json_t *)(uintptr_t)list, i, v) {
		const char *text = json_string_value(v);

		if (!text || !parse_number(text, &ret[i]))
			return err_set(e, ERR_RECIPE_INVALID, "'points': '%.40s' is not a number",
				text ? text : "");
		if (args_has(a, "verify_at") &&
			fabs(ret[i] - verify_at) <= 1e-9 * fmax(1, fabs(verify_at)))
			return err_set(e, ERR_RECIPE_INVALID,
				"'verify_at' is %.10g, one of 'points': a point that was used proves nothing",
				verify_at);
	}
	*ret_n = (unsigned)json_array_size(list);
	return 0;
}

static int check_terms(const struct args *a, unsigned terms, struct err *e)
{
	double at[FIT_POINTS_MAX];
	unsigned n = terms;
	int r = args_has(a, "points") ? points_of(a, at, &n, e) : 0;

	if (r == 0 && n < terms)
		return err_set(
			e, ERR_RECIPE_INVALID, "'points' has %u: %u or more expected", n, terms);
	if (r == 0)
		r = reading_check(a, e);
	return r < 0 ? r : settling_check(a, e);
}

static int calibrate(struct step *s, const struct args *a, const struct kind *kind,
	struct step_result *out, struct err *e)
{
	_cleanup_(calibration_done) struct calibration c = {.s = s, .a = a, .kind = kind};
	int r = points_of(a, c.at, &c.points, e);

	if (r == 0)
		r = instrument_open(&c.meter, s, args_str(a, "instrument"), e);
	if (r == 0)
		r = instrument_route(&c.meter, a, out, e);
	if (r == 0)
		r = dialogue_open(s, a, &c.unit, e);
	return r < 0 ? r : calibrate_with(&c, out, e);
}

static unsigned two(const struct args *a)
{
	return 2;
}

static unsigned by_degree(const struct args *a)
{
	return (unsigned)args_int(a, "degree") + 1;
}

#define READ_ROWS(send_doc)                                                                  \
	{.name = "send", .type = ARG_STRING, .required = true, .doc = send_doc},             \
		{.name = "pattern",                                                          \
			.type = ARG_REGEX,                                                   \
			.required = true,                                                    \
			.doc = "the reply; its first group is the number"},                  \
	{                                                                                    \
		.name = "samples", .type = ARG_INT, .def = "1", .low = 1, .high = READS_MAX, \
		.doc = "readings whose mean it is"                                           \
	}

static const struct action_arg read_fields[] = {
	READ_ROWS("asks the unit what it reads without correction"), {0}};
static const struct action_arg check_fields[] = {
	READ_ROWS("asks the unit what it reads with its correction"), {0}};
static const struct action_arg read_back_fields[] = {
	{.name = "send",
		.type = ARG_STRING,
		.required = true,
		.doc = "asks what the unit holds; of a table with {index}"},
	{.name = "pattern",
		.type = ARG_REGEX,
		.required = true,
		.doc = "the reply, with a group for each number in the order c0, c1 ..., or raw, value"},
	{0},
};

#define CALIBRATE_ROWS(write_doc)                                                                  \
	ARG_ROW_PORT_OF(PORT_KIND_TTY | PORT_KIND_TCP, "role of the unit's console"),              \
		ARG_ROW_INSTRUMENT_OF("instrument",                                                \
			"the reference, and what sets the points: its name in 'instruments' of "   \
			"provd.yaml"),                                                             \
		ARG_ROW_ROUTE,                                                                     \
		{.name = "set",                                                                    \
			.type = ARG_STRING,                                                        \
			.doc = "the instrument's command that sets a point: VOLT {point}"},        \
		ARG_ROWS_READING,                                                                  \
		{.name = "points",                                                                 \
			.type = ARG_LIST,                                                          \
			.required = true,                                                          \
			.doc = "where unit and reference are read"},                               \
		{.name = "read",                                                                   \
			.type = ARG_OBJECT,                                                        \
			.required = true,                                                          \
			.fields = read_fields,                                                     \
			.doc = "how the unit is read at the points"},                              \
		{.name = "correction",                                                             \
			.type = ARG_NUMBER,                                                        \
			.required = true,                                                          \
			.doc = "no reading is corrected by more than this: else the unit is bad, " \
			       "and nothing is written"},                                          \
		{.name = "residual",                                                               \
			.type = ARG_NUMBER,                                                        \
			.required = true,                                                          \
			.doc = "no point is farther from its reference after the correction"},     \
		{.name = "write", .type = ARG_STRING, .required = true, .doc = write_doc},         \
		{.name = "expect",                                                                 \
			.type = ARG_REGEX,                                                         \
			.def = CONSOLE_EXPECT_DEFAULT,                                             \
			.doc = "the reply that agrees"},                                           \
		{.name = "decimals",                                                               \
			.type = ARG_INT,                                                           \
			.def = "6",                                                                \
			.low = 0,                                                                  \
			.high = DECIMALS_MAX,                                                      \
			.doc = "of the numbers that are written"},                                 \
		{.name = "read_back",                                                              \
			.type = ARG_OBJECT,                                                        \
			.required = true,                                                          \
			.fields = read_back_fields,                                                \
			.doc = "proves that the unit holds them"},                                 \
		{.name = "verify_at",                                                              \
			.type = ARG_NUMBER,                                                        \
			.required = true,                                                          \
			.doc = "one more point, none of 'points'"},                                \
		{.name = "check",                                                                  \
			.type = ARG_OBJECT,                                                        \
			.required = true,                                                          \
			.fields = check_fields,                                                    \
			.doc = "how the unit is read there"},                                      \
		{.name = "tolerance",                                                              \
			.type = ARG_NUMBER,                                                        \
			.required = true,                                                          \
			.low = 0,                                                                  \
			.high = 1e30,                                                              \
			.doc = "how far from the reference it may be there"},                      \
		{.name = "name",                                                                   \
			.type = ARG_STRING,                                                        \
			.doc = "of the measurement of that; without it: the step's id"},           \
		ARG_ROWS_SETTLING, ARG_ROW_ERROR, ARG_ROWS_DIALOGUE

#define OUTPUT_ROW_ERROR                                                         \
	{                                                                        \
		"error", "how far the unit is from the reference at 'verify_at'" \
	}

/* --- calibrate.gain_offset --- */

static int line_check(const struct args *a, struct err *e)
{
	return check_terms(a, 2, e);
}

static int line_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	static const struct kind line = {false, two};

	return calibrate(s, a, &line, out, e);
}

static const struct action_arg line_args[] = {
	CALIBRATE_ROWS("the command that sets them: SET_CAL {gain} {offset}"), {0}};

static const struct action_output line_outputs[] = {
	{"gain", "a reading times this"}, {"offset", "and this more"}, OUTPUT_ROW_ERROR, {0}};

const struct action action_calibrate_gain_offset = {
	.name = "calibrate.gain_offset",
	.doc = "Calibrates a unit against an instrument with a gain and an offset, and proves it at another point.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = line_args,
	.outputs = line_outputs,
	.default_timeout_us = 300 * US_PER_S,
	.check = line_check,
	.run = line_run,
};

/* --- calibrate.polynomial --- */

static int polynomial_check(const struct args *a, struct err *e)
{
	return check_terms(a, by_degree(a), e);
}

static int polynomial_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	static const struct kind polynomial = {false, by_degree};

	return calibrate(s, a, &polynomial, out, e);
}

static const struct action_arg polynomial_args[] = {
	CALIBRATE_ROWS("the command that sets them: SET_CAL {c0} {c1} {c2}"),
	{.name = "degree",
		.type = ARG_INT,
		.def = "2",
		.low = 1,
		.high = FIT_TERMS_MAX - 1,
		.doc = "of the polynomial"},
	{0},
};

static const struct action_output polynomial_outputs[] = {
	{"gain", "the term of degree 1"}, {"offset", "that of degree 0"}, OUTPUT_ROW_ERROR, {0}};

const struct action action_calibrate_polynomial = {
	.name = "calibrate.polynomial",
	.doc = "Calibrates a unit against an instrument with a polynomial, and proves it at another point.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = polynomial_args,
	.outputs = polynomial_outputs,
	.default_timeout_us = 300 * US_PER_S,
	.check = polynomial_check,
	.run = polynomial_run,
};

/* --- calibrate.table --- */

static int table_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	static const struct kind table = {true, two};

	return calibrate(s, a, &table, out, e);
}

static const struct action_arg table_args[] = {
	CALIBRATE_ROWS("the command that sets one point: SET_POINT {index} {raw} {value}"), {0}};

static const struct action_output table_outputs[] = {OUTPUT_ROW_ERROR, {0}};

const struct action action_calibrate_table = {
	.name = "calibrate.table",
	.doc = "Calibrates a unit against an instrument with a table of points, and proves it at another point.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = table_args,
	.outputs = table_outputs,
	.default_timeout_us = 300 * US_PER_S,
	.check = line_check,
	.run = table_run,
};
