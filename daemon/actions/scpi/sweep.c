/* SPDX-License-Identifier: Apache-2.0
 *
 * instrument.sweep: one reading at each of many points, in their order. Each answer belongs to its point by the number
 * of its question, so that one that is late or lost costs another question and nothing else.
 */
#include <math.h>

#include "base/strbuf.h"
#include "daemon/actions/scpi/instrument.h"

#define POINTS_MAX   100000
#define NUMBER_BYTES 32

struct sweep {
	struct instrument_step x;
	const struct args *a;
	struct strbuf csv;
	double min, max;
	unsigned again; /* questions that were asked once more */
};

static void sweep_done(struct sweep *w)
{
	instrument_done(&w->x);
	sb_done(&w->csv);
}

static double point_of(const struct args *a, int64_t i)
{
	double from = args_number(a, "from"), to = args_number(a, "to");

	return from + (to - from) * (double)i / (double)(args_int(a, "points") - 1);
}

/* One reading: asked again where there was no answer. */
static int read_point(struct sweep *w, double at, double *ret, struct err *e)
{
	struct reading q = reading_of(w->a);
	char text[NUMBER_BYTES];
	_cleanup_(freep) char *query = NULL;
	int64_t left = args_int(w->a, "again");
	int r;

	snprintf(text, sizeof text, "%.10g", at);
	q.query = query = fill_in(q.query, (struct filling[]){{"point", text}, {0}});
	for (;; left--) {
		r = instrument_read(&w->x, &q, ret, NULL, e);
		if (r != -ERR_INSTRUMENT_LATE || left == 0 || iotime_check(&w->x.s->it, NULL) < 0)
			break;
		w->again++;
	}
	return r < 0 ? err_prefix(e, "point %s", text) : 0;
}

static int read_all(struct sweep *w, struct err *e)
{
	int64_t n = args_int(w->a, "points");
	const char *unit = args_has(w->a, "unit") ? args_str(w->a, "unit") : "";

	sb_addf(&w->csv, "point,value%s%s%s\n", *unit ? " (" : "", unit, *unit ? ")" : "");
	for (int64_t i = 0; i < n; i++) {
		double at = point_of(w->a, i), v = 0;
		int r = read_point(w, at, &v, e);

		if (r < 0)
			return r;
		w->min = i ? fmin(w->min, v) : v;
		w->max = i ? fmax(w->max, v) : v;
		sb_addf(&w->csv, "%.10g,%.12g\n", at, v);
		step_progress(w->x.s, "sweep", (uint64_t)i + 1, (uint64_t)n);
	}
	return 0;
}

static int judge(
	struct sweep *w, const char *what, double v, struct step_result *out, struct err *e)
{
	struct measurement m = measurement_of(w->x.s, w->a);
	_cleanup_(freep) char *name = xasprintf("%s.%s", m.name, what);

	m.name = name;
	m.is_number = true;
	m.value = v;
	result_evidence(out, what, json_real(v));
	result_output(out, what, json_real(v));
	return step_measure(w->x.s, &m, out, e);
}

static int sweep_with(struct sweep *w, struct step_result *out, struct err *e)
{
	struct err why = {0};
	int r = read_all(w, &why);

	result_evidence(out, "asked_again", json_integer(w->again));
	/* A reading that is none is a verdict on the unit. */
	if (r == -ERR_NOT_A_NUMBER)
		return result_fail(out, ERR_NOT_A_NUMBER, "%s", why.msg);
	if (r < 0) {
		if (e)
			*e = why;
		return r;
	}
	result_evidence(out, "readings", json_integer(args_int(w->a, "points")));
	if (args_has(w->a, "file"))
		r = save_file(w->x.s, args_str(w->a, "file"), w->csv.s, w->csv.len, e);
	if (r == 0)
		r = judge(w, "min", w->min, out, e);
	return r == 0 ? judge(w, "max", w->max, out, e) : r;
}

static int sweep_check(const struct args *a, struct err *e)
{
	int r;

	if (args_has(a, "query") && !strstr(args_str(a, "query"), "{point}"))
		return err_set(e, ERR_RECIPE_INVALID,
			"'query' has no {point}: 'VOLT {point};:MEAS:VOLT?' expected");
	r = measure_limits(a, e);
	return r < 0 ? r : reading_check(a, e);
}

static int sweep_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(sweep_done) struct sweep w = {.a = a};
	int r = sweep_check(a, e);

	if (r == 0)
		r = instrument_open(&w.x, s, args_str(a, "instrument"), e);
	if (r < 0)
		return r;
	result_evidence(out, "instrument", instrument_json(&w.x));
	r = instrument_route(&w.x, a, out, e);
	if (r < 0)
		return r;
	scpi_mute(w.x.scpi);
	return sweep_with(&w, out, e);
}

static const struct action_arg sweep_args[] = {
	ARG_ROW_INSTRUMENT,
	ARG_ROW_ROUTE,
	ARG_ROWS_READING,
	{.name = "from",
		.type = ARG_NUMBER,
		.required = true,
		.doc = "the first {point} of 'query'"},
	{.name = "to", .type = ARG_NUMBER, .required = true, .doc = "the last one"},
	{.name = "points",
		.type = ARG_INT,
		.required = true,
		.low = 2,
		.high = POINTS_MAX,
		.doc = "how many, at equal distances"},
	{.name = "again",
		.type = ARG_INT,
		.def = "2",
		.low = 0,
		.high = 100,
		.doc = "how often a point is asked for again whose answer did not come in time"},
	{.name = "file", .type = ARG_OUTPUT, .doc = "points and values go there, as CSV"},
	ARG_ROWS_LIMITS,
	{0},
};

static const struct action_output sweep_outputs[] = {
	{"min", "the smallest value"}, {"max", "the largest"}, {0}};

const struct action action_instrument_sweep = {
	.name = "instrument.sweep",
	.doc = "Measures at many points in a row, keeps them in a file, and judges the smallest and the largest value.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = sweep_args,
	.outputs = sweep_outputs,
	.default_timeout_us = 600 * US_PER_S,
	.check = sweep_check,
	.run = sweep_run,
};
