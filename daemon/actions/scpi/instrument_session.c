/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/scpi/instrument.h"

#include <math.h>

#include "base/timefmt.h"
#include "daemon/recipe/quantity.h"

#define ANSWER_KEPT_MAX 65536 /* bytes, of which each may take four in a record */

_Static_assert(
	sizeof(struct scpi_turn) <= LINK_MEMO_BYTES, "the turn of an instrument outlives a step");

/* Nothing of an instrument is the unit's fault: a deadline that passed is the instrument's. */
static int of_line(const struct instrument_step *x, int r, struct err *e)
{
	if (r == -ERR_TIMEOUT || r == -ERR_DEVICE_GONE) {
		r = r == -ERR_TIMEOUT ? -ERR_INSTRUMENT_LATE : -ERR_INSTRUMENT;
		/* A unit that left is a cancel of its own. */
		if (iotime_check(&x->s->it, NULL) == -ERR_DEVICE_GONE)
			r = -ERR_DEVICE_GONE;
		if (e)
			e->code = err_from_ret(r);
	}
	return r < 0 ? err_prefix(e, "instrument '%s'", x->name) : r;
}

static int check_calibration(const struct instrument *i, struct err *e)
{
	char today[RFC3339_SIZE];

	rfc3339_now(today);
	if (!i->calibrated_until[0] || strncmp(today, i->calibrated_until, 10) <= 0)
		return 0;
	return err_set(e, ERR_CALIBRATION_DUE,
		"its calibration held until %s, and today is %.10s%s%s: have it calibrated",
		i->calibrated_until, today, i->owner[0] ? "; it is looked after by " : "",
		i->owner);
}

static int take_turn(struct instrument_step *x, struct err *e)
{
	int r;

	if (!x->i.queue)
		return 0;
	r = link_queue_enter(x->i.queue, x->i.address, &x->s->it, &x->pass, e);
	return r == -ERR_TIMEOUT ? err_prefix(e, "other stations have it") : r;
}

static int connect(struct instrument_step *x, struct err *e)
{
	const struct link_config cfg = LINK_CONFIG_DEFAULT;
	const struct scpi_opts o = {.answer_us = x->i.answer_us,
		.proof = x->i.late_us ? SCPI_PROOF_LATE : SCPI_PROOF_ESE,
		.late_us = x->i.late_us,
		.turn = x->pass ? link_pass_memo(x->pass) : &x->own,
		.tell = step_teller(x->s)};
	struct err why = {0};
	int r = link_open(x->i.address, &cfg, &x->s->it, &x->link, &why);

	if (r < 0 && iotime_check(&x->s->it, NULL) == 0)
		return err_set(e, ERR_INSTRUMENT,
			"it cannot be reached at %s (is it on, and in the network?): %s",
			x->i.address, why.msg);
	if (r < 0 && e)
		*e = why;
	return r < 0 ? r : scpi_new(x->link, &o, &x->s->it, &x->scpi, e);
}

static int identify(struct instrument_step *x, struct err *e)
{
	_cleanup_(regex_freep) struct regex *pattern = NULL;
	_cleanup_(sb_done) struct strbuf b = {0};
	int r = scpi_query(x->scpi, "*IDN?", &x->s->it, &b, e);

	if (r == 0)
		r = scpi_identity_read(b.s ? b.s : "", &x->id, e);
	if (r == 0 && x->i.identity[0])
		r = regex_new(x->i.identity, &pattern, e);
	if (r < 0)
		return r;
	if (pattern && !regex_match(pattern, b.s, b.len, NULL))
		return err_set(e, ERR_INSTRUMENT,
			"at %s is %s %s with serial number %s: provd.yaml says that it fits '%s'",
			x->i.address, x->id.maker, x->id.model, x->id.serial, x->i.identity);
	return 0;
}

int instrument_open(struct instrument_step *x, struct step *s, const char *name, struct err *e)
{
	int r;

	*x = (struct instrument_step){.s = s, .name = name};
	r = step_instrument(s, name, &x->i, e);
	if (r < 0)
		return r;
	r = check_calibration(&x->i, e);
	if (r == 0)
		r = take_turn(x, e);
	if (r == 0)
		r = connect(x, e);
	if (r == 0)
		r = identify(x, e);
	return of_line(x, r, e);
}

void instrument_done(struct instrument_step *x)
{
	scpi_free(x->scpi);
	link_close(x->link);
	link_pass_leave(x->pass);
	*x = (struct instrument_step){0};
}

json_t *instrument_json(const struct instrument_step *x)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", x->name, "maker", x->id.maker,
		"model", x->id.model, "serial", x->id.serial, "firmware", x->id.firmware);

	if (x->i.owner[0])
		json_object_set_new(o, "owner", json_string(x->i.owner));
	if (x->i.calibrated_until[0])
		json_object_set_new(o, "calibrated_until", json_string(x->i.calibrated_until));
	if (x->pass) {
		struct link_turns t = link_pass_turns(x->pass);

		json_object_set_new(o, "queue",
			json_pack("{s:I, s:I, s:I}", "asked", (json_int_t)t.asked, "turn",
				(json_int_t)t.turn, "waited_ms",
				(json_int_t)(t.waited_us / US_PER_MS)));
	}
	return o;
}

int instrument_command(struct instrument_step *x, const char *text, struct err *e)
{
	return of_line(x, scpi_command(x->scpi, text, &x->s->it, e), e);
}

int instrument_query(struct instrument_step *x, const char *text, char **ret, struct err *e)
{
	struct strbuf b = {0};
	int r = scpi_query(x->scpi, text, &x->s->it, &b, e);
	struct strbuf shown = {0};

	if (r == 0 && b.len > ANSWER_KEPT_MAX)
		r = err_set(e, ERR_INSTRUMENT,
			"its answer to '%.60s' has %zu bytes, no more than %d expected: it is part of the record",
			text, b.len, ANSWER_KEPT_MAX);
	if (r == 0)
		sb_add_escaped(&shown, b.s ? b.s : "", b.len);
	sb_done(&b);
	if (r == 0)
		*ret = sb_take(&shown);
	return of_line(x, r, e);
}

int instrument_query_block(struct instrument_step *x, const char *text, struct strbuf *ret,
	bool *ret_block, struct err *e)
{
	return of_line(x, scpi_query_block(x->scpi, text, &x->s->it, ret, ret_block, e), e);
}

/* --- a multiplexer --- */

const struct action_arg instrument_route_fields[] = {
	{.name = "send",
		.type = ARG_STRING,
		.required = true,
		.doc = "the command that closes it: ROUT:CLOS (@101)"},
	{.name = "query",
		.type = ARG_STRING,
		.required = true,
		.doc = "the question that proves it: ROUT:CLOS? (@101)"},
	{.name = "expect",
		.type = ARG_REGEX,
		.def = "^\\+?1$",
		.doc = "what its answer has to fit"},
	{0},
};

int instrument_route(
	struct instrument_step *x, const struct args *a, struct step_result *out, struct err *e)
{
	const struct args *route = args_has(a, "route") ? args_object(a, "route") : NULL;
	_cleanup_(regex_freep) struct regex *expect = NULL;
	_cleanup_(freep) char *answer = NULL;
	int r = route ? arg_regex(route, "expect", NULL, &expect, e) : 0;

	if (!route || r < 0)
		return r;
	r = instrument_command(x, args_str(route, "send"), e);
	if (r == 0)
		r = instrument_query(x, args_str(route, "query"), &answer, e);
	if (r < 0)
		return r;
	result_evidence(out, "route",
		json_pack("{s:s, s:s}", "sent", args_str(route, "send"), "answer", answer));
	if (regex_match(expect, answer, strlen(answer), NULL))
		return 0;
	return err_set(e, ERR_INSTRUMENT,
		"instrument '%s' answered '%.60s' with '%.60s' after '%.60s', what fits '%s' expected: nothing was measured (does the relay close?)",
		x->name, args_str(route, "query"), answer, args_str(route, "send"),
		regex_pattern(expect));
}

/* --- readings --- */

struct reading reading_of(const struct args *a)
{
	return (struct reading){
		args_str(a, "query"), args_str(a, "unit"), args_str(a, "answers_in")};
}

int reading_check(const struct args *a, struct err *e)
{
	struct quantity one = {.value = 1};
	double v;

	if (!args_given(a, "answers_in") && args_has(a, "unit") &&
		!quantity_is_coherent(args_str(a, "unit")))
		return err_set(e, ERR_RECIPE_INVALID,
			"'unit' is %.40s: 'answers_in' is needed with it, since an answer without a unit may be in that or in the unit of the SI",
			args_str(a, "unit"));
	if (!args_has(a, "answers_in"))
		return 0;
	if (!args_given(a, "unit"))
		return err_set(e, ERR_RECIPE_INVALID, "'answers_in' needs 'unit'");
	if (args_has(a, "unit") && quantity_in_coherent(&one, args_str(a, "answers_in"),
					   args_str(a, "unit"), &v, NULL) < 0)
		return err_set(e, ERR_RECIPE_INVALID,
			"'answers_in' is %.40s, and 'unit' is %.40s: one cannot be converted into the other",
			args_str(a, "answers_in"), args_str(a, "unit"));
	return 0;
}

int instrument_read(struct instrument_step *x, const struct reading *q, double *ret,
	char **ret_text, struct err *e)
{
	char *text = NULL;
	struct quantity got;
	int r = instrument_query(x, q->query, &text, e);

	if (r < 0)
		return r;
	r = quantity_parse(text, &got, e);
	if (r == 0)
		r = quantity_in_coherent(&got, q->answers_in, q->unit, ret, e);
	if (ret_text)
		*ret_text = steal_ptr(&text);
	free(text);
	return r;
}

struct settling settling_of(const struct args *a)
{
	return (struct settling){
		.samples = (unsigned)args_int(a, "samples"),
		.has_spread = args_has(a, "spread"),
		.spread = args_number(a, "spread"),
		.interval_us = args_duration_us(a, "interval"),
		.within_us = args_duration_us(a, "settle_within"),
	};
}

int settling_check(const struct args *a, struct err *e)
{
	if (!args_has(a, "spread"))
		return 0;
	if (args_int(a, "samples") < 2)
		return err_set(e, ERR_RECIPE_INVALID,
			"'spread' is that of several readings: 'samples' of 2 or more expected");
	if (args_number(a, "spread") <= 0)
		return err_set(e, ERR_RECIPE_INVALID,
			"'spread' is %g: a standard deviation above 0 expected",
			args_number(a, "spread"));
	return 0;
}

/* Mean and standard deviation (of a sample, n - 1). */
static void statistics(const double *v, unsigned n, struct settled *ret)
{
	double sum = 0, squares = 0;

	for (unsigned i = 0; i < n; i++)
		sum += v[i];
	ret->mean = sum / n;
	for (unsigned i = 0; i < n; i++)
		squares += (v[i] - ret->mean) * (v[i] - ret->mean);
	ret->deviation = n > 1 ? sqrt(squares / (n - 1)) : 0;
}

int instrument_settle(struct instrument_step *x, const struct reading *q,
	const struct settling *how, struct settled *ret, struct err *e)
{
	_cleanup_(freep) double *ring = xcalloc(how->samples, sizeof *ring);
	uint64_t until = now_us() + how->within_us;

	for (;;) {
		char *text = NULL;
		int r = instrument_read(x, q, &ring[ret->readings % how->samples], &text, e);

		if (text) {
			free(ret->text);
			ret->text = text;
		}
		if (r < 0)
			return r;
		if (++ret->readings >= how->samples) {
			statistics(ring, how->samples, ret);
			ret->rests = !how->has_spread || ret->deviation <= how->spread;
			if (ret->rests || now_us() >= until)
				return 0;
		}
		r = how->interval_us ? iotime_sleep(how->interval_us, &x->s->it, e) : 0;
		if (r < 0)
			return of_line(x, r, e);
	}
}
