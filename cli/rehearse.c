/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl recipe rehearse: the limits of a recipe against what was measured with the versions before it,
 * so that it is known before they go live what they would have failed.
 */
#include <math.h>

#include "base/spc.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "cli/bench.h"

#define VALUES_MAX "10000"

struct judged {
	size_t n, failed, fails; /* with the limits of then, and with these */
	size_t newly, no_more;	 /* passed then and fails now, and the other way round */
	double cpk;		 /* with these; NAN: none */
	const char *note;	 /* why nothing was judged; NULL: it was */
	char text[ERR_TEXT_BYTES];
};

/* "30d", or a duration such as 12h; false for anything else. */
static bool parse_span(const char *text, int64_t *ret_ms)
{
	unsigned long long us;
	char *end;
	unsigned long long days = strtoull(text, &end, 10);

	if (*text >= '0' && *text <= '9' && !strcmp(end, "d") && days > 0 && days < 36500) {
		*ret_ms = (int64_t)days * 86400000;
		return true;
	}
	if (!parse_duration_us(text, &us) || us < 1000)
		return false;
	*ret_ms = (int64_t)(us / 1000);
	return true;
}

/* NAN where the recipe has none; *ret_fixed is false where only a run knows it. */
static double limit_of(const json_t *with, const char *name, bool *ret_fixed)
{
	const json_t *v = json_object_get(with, name);

	if (v && !json_is_number(v))
		*ret_fixed = false;
	return json_is_number(v) ? json_number_value(v) : NAN;
}

static void judge(struct judged *j, const json_t *points, double low, double high)
{
	double *x = xcalloc(json_array_size(points) + 1, sizeof *x);
	const json_t *p;
	size_t i;

	json_array_foreach((json_t *)points, i, p) {
		const char *verdict = json_string_value(json_object_get(p, "verdict"));
		bool failed = verdict && !strcmp(verdict, "fail");
		bool fails;

		x[i] = json_number_value(json_object_get(p, "value"));
		fails = x[i] < low || x[i] > high;
		j->failed += failed;
		j->fails += fails;
		j->newly += fails && !failed;
		j->no_more += !fails && failed;
	}
	j->n = json_array_size(points);
	j->cpk = spc_of(x, j->n, low, high).cpk;
	free(x);
}

/* 0 with what came of it, also where there is nothing to judge by; else an exit status. */
static int rehearse_step(struct ctl *c, const struct recipe *recipe, const struct recipe_step *step,
	const char *from, struct judged *ret)
{
	bool fixed = true;
	double low = limit_of(step->known, "low", &fixed),
	       high = limit_of(step->known, "high", &fixed);
	_cleanup_(freep) char *r = url_segment(recipe->name);
	_cleanup_(freep) char *s = url_segment(step->id);
	_cleanup_(freep) char *n =
		url_segment(json_string_value(json_object_get(step->known, "name")));
	_cleanup_(freep) char *path = xasprintf(
		"/api/v1/reports/capability?recipe=%s&step=%s&name=%s&from=%s&limit=" VALUES_MAX, r,
		s, n, from);
	json_t *o = NULL;
	struct err e;
	int k;

	*ret = (struct judged){.cpk = NAN, .note = fixed ? NULL : "its limits are parameters"};
	if (!fixed)
		return 0;
	k = api_get(c, path, &o, &e);
	if (k == -ERR_NOT_FOUND) {
		ret->note = "nothing was measured in that time";
	} else if (k == -ERR_CONFLICT) {
		snprintf(ret->text, sizeof ret->text, "%s", e.msg);
		ret->note = ret->text;
	} else if (k < 0) {
		return ctl_fail(&e);
	} else {
		judge(ret, json_object_get(o, "points"), low, high);
	}
	json_decref(o);
	return 0;
}

static json_t *judged_json(const struct recipe_step *step, const struct judged *j)
{
	return json_pack("{s:s, s:O?, s:I, s:I, s:I, s:I, s:I, s:o, s:s?}", "step", step->id,
		"name", json_object_get(step->known, "name"), "values", (json_int_t)j->n, "failed",
		(json_int_t)j->failed, "fails", (json_int_t)j->fails, "newly_fails",
		(json_int_t)j->newly, "no_longer_fails", (json_int_t)j->no_more, "cpk",
		isfinite(j->cpk) ? json_real(j->cpk) : json_null(), "note", j->note);
}

static bool is_measured(const struct recipe_step *s)
{
	return json_is_string(json_object_get(s->known, "name")) &&
	       (json_object_get(s->known, "low") || json_object_get(s->known, "high"));
}

static int rehearse_all(struct ctl *c, const struct recipe *recipe, const char *from, json_t *ret)
{
	for (size_t p = 0; p < ARRAY_LEN(recipe->step); p++)
		for (size_t i = 0; i < recipe->steps[p]; i++) {
			const struct recipe_step *step = &recipe->step[p][i];
			struct judged j;
			int status;

			if (!is_measured(step))
				continue;
			status = rehearse_step(c, recipe, step, from, &j);
			if (status != 0)
				return status;
			json_array_append_new(ret, judged_json(step, &j));
		}
	return 0;
}

static int cmd_rehearse(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {"step", "name", "values", "failed", "fails",
		"newly_fails", "no_longer_fails", "cpk", "note", NULL};
	const char *against = "30d";
	const struct option_row rows[] = {{"against", &against, NULL}, {0}};
	struct recipe *recipe;
	char from[RFC3339_SIZE];
	char *file = NULL;
	int64_t span_ms;
	json_t *o;
	int status;

	if (ctl_options(argc, argv, rows, &file, 1) != 1)
		return ctl_usage("recipe rehearse FILE [--against 30d]");
	if (!parse_span(against, &span_ms))
		return ctl_usage("--against '%s': a time such as 30d or 12h expected", against);
	recipe = recipe_of_file(c, file);
	if (!recipe)
		return EXIT_USAGE;
	o = json_pack("{s:[]}", "items");
	rfc3339(wall_ms() - span_ms, from);
	status = rehearse_all(c, recipe, from, json_object_get(o, "items"));
	if (status == 0 && json_array_size(json_object_get(o, "items")) == 0 && !c->json)
		printf("%s has no step with limits\n", file);
	else if (status == 0)
		print_items(c, o, members);
	json_decref(o);
	recipe_unref(recipe);
	return status;
}

const struct command commands_rehearse[] = {
	{"recipe rehearse", "FILE [--against 30d]",
		"Judge what was measured by the limits of this file: what would fail",
		cmd_rehearse},
	{0},
};
