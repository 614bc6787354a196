/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl report: yield and causes, of a time, a station, a recipe or an order.
 */
#include "base/util.h"
#include "cli/provctl.h"

#define FILTERS \
	"[--from TIME] [--to TIME] [--station S] [--fixture F] [--recipe R [--version N]] [--job J] [--csv FILE]"

#define OEE_FILTERS "[--station S] [--fixture F] [--recipe R [--version N]] [--job J] [--csv FILE]"

struct report_options {
	char *query; /* owned */
	const char *csv;
};

static void options_done(struct report_options *o)
{
	free(o->query);
}

#define _options_ _cleanup_(options_done) struct report_options

/* more: "by", "outcome" or NULL. -1 after a message where something is wrong. */
static int read_options(int argc, char **argv, const char *more, struct report_options *o)
{
	static const char *const no_query[] = {"csv", NULL};
	const char *from = NULL, *to = NULL, *station = NULL, *fixture = NULL, *recipe = NULL,
		   *version = NULL, *job = NULL, *other = NULL;
	const struct option_row rows[] = {{"from", &from, NULL}, {"to", &to, NULL},
		{"station", &station, NULL}, {"fixture", &fixture, NULL}, {"recipe", &recipe, NULL},
		{"version", &version, NULL}, {"job", &job, NULL}, {"csv", &o->csv, NULL},
		{more, &other, NULL}, {0}};
	int n = ctl_options(argc, argv, rows, NULL, 0);

	o->query = ctl_query(rows, no_query);
	return n;
}

static int read_measured(int argc, char **argv, struct report_options *o)
{
	static const char *const no_query[] = {"csv", NULL};
	const char *from = NULL, *to = NULL, *station = NULL, *recipe = NULL, *version = NULL,
		   *job = NULL, *step = NULL, *name = NULL, *limit = NULL;
	const struct option_row rows[] = {{"from", &from, NULL}, {"to", &to, NULL},
		{"station", &station, NULL}, {"recipe", &recipe, NULL}, {"version", &version, NULL},
		{"job", &job, NULL}, {"csv", &o->csv, NULL}, {"step", &step, NULL},
		{"name", &name, NULL}, {"limit", &limit, NULL}, {0}};
	int n = ctl_options(argc, argv, rows, NULL, 0);

	o->query = ctl_query(rows, no_query);
	return n == 0 && recipe && step && name ? 0 : -1;
}

/* "96.3 %", or "-" of nothing. */
static void add_share(struct table *t, const json_t *o, const char *member)
{
	const json_t *v = json_object_get(o, member);
	char text[16];

	snprintf(text, sizeof text, "%.1f %%", 100 * json_number_value(v));
	table_add(t, json_is_number(v) ? text : NULL);
}

static void add_text(struct table *t, const json_t *o, const char *path)
{
	_cleanup_(freep) char *text = json_text(o, path);

	table_add(t, *text ? text : NULL);
}

static void add_yield(struct table *t, const json_t *o, const char *name)
{
	table_add(t, name);
	add_text(t, o, "units");
	add_share(t, o, "first_pass_yield");
	add_share(t, o, "final_yield");
	add_share(t, o, "retest_rate");
	add_text(t, o, "runs.passed");
	add_text(t, o, "runs.failed");
	add_text(t, o, "runs.error");
	add_share(t, o, "run_yield");
}

static char *named_or(const json_t *o, const char *member, const char *absent)
{
	char *text = json_text(o, member);

	if (*text)
		return text;
	free(text);
	return xstrdup(absent);
}

static char *shift_name(const json_t *o)
{
	_cleanup_(freep) char *from = json_text(o, "from");
	_cleanup_(freep) char *shift = json_text(o, "shift");

	return *shift ? xasprintf("%s %s", from, shift) : steal_ptr(&from);
}

static char *step_name(const json_t *o, const char *recipe)
{
	_cleanup_(freep) char *step = json_text(o, "step");

	return xasprintf("%s %s", *recipe ? recipe : "(no recipe)", step);
}

/* A station, a fixture, a recipe with or without its version, a step of one, a shift, or when a time begins; owned by
 * the caller. */
static char *group_name(const json_t *o)
{
	_cleanup_(freep) char *version = json_text(o, "version");
	_cleanup_(freep) char *recipe = json_text(o, "recipe");

	if (json_object_get(o, "station"))
		return json_text(o, "station");
	if (json_object_get(o, "fixture"))
		return named_or(o, "fixture", "(not known)");
	if (json_object_get(o, "from"))
		return shift_name(o);
	if (json_object_get(o, "step"))
		return step_name(o, recipe);
	if (!*recipe)
		return xstrdup("(no recipe)");
	return *version ? xasprintf("%s@%s", recipe, version) : steal_ptr(&recipe);
}

static void print_yield(struct ctl *c, const json_t *o)
{
	static const char *const heads[] = {"", "UNITS", "FIRST PASS", "FINAL", "RETESTED",
		"PASSED", "FAILED", "ERROR", "RUN YIELD"};
	const json_t *group;
	struct table t;
	size_t i;

	table_begin(&t, heads, ARRAY_LEN(heads));
	json_array_foreach(json_object_get(o, "groups"), i, group) {
		_cleanup_(freep) char *name = group_name(group);

		add_yield(&t, group, name);
	}
	add_yield(&t, o, "all");
	table_print(&t, c->color);
	table_done(&t);
	if (json_is_real(json_object_get(o, "rolled_throughput_yield")))
		printf("rolled throughput yield: %.1f %%\n",
			100 * json_real_value(json_object_get(o, "rolled_throughput_yield")));
}

static void print_causes(struct ctl *c, const json_t *o)
{
	static const char *const heads[] = {"STEP", "CODE", "COUNT", "SHARE", "CUMULATIVE"};
	const json_t *row;
	struct table t;
	size_t i;

	table_begin(&t, heads, ARRAY_LEN(heads));
	json_array_foreach(json_object_get(o, "items"), i, row) {
		add_text(&t, row, "step");
		add_text(&t, row, "code");
		add_text(&t, row, "count");
		add_share(&t, row, "share");
		add_share(&t, row, "cumulative");
	}
	table_print(&t, c->color);
	table_done(&t);
}

/* "12.3 s", or "-" of nothing. */
static void add_seconds(struct table *t, const json_t *o, const char *member)
{
	const json_t *v = json_object_get(o, member);
	char text[32];

	snprintf(text, sizeof text, "%.1f s", json_number_value(v) / 1000);
	table_add(t, json_is_number(v) ? text : NULL);
}

static void print_time(struct ctl *c, const json_t *o)
{
	static const char *const heads[] = {
		"", "PART", "STEP", "RUNS", "SHARE", "A UNIT", "P50", "P95"};
	const json_t *row;
	struct table t;
	size_t i;

	table_begin(&t, heads, ARRAY_LEN(heads));
	json_array_foreach(json_object_get(o, "items"), i, row) {
		const char *const by[] = {"station", "fixture", "recipe"};
		const char *place = "all";

		for (size_t k = 0; k < ARRAY_LEN(by); k++)
			if (json_is_string(json_object_get(row, by[k])))
				place = json_string_value(json_object_get(row, by[k]));
		table_add(&t, place);
		add_text(&t, row, "part");
		add_text(&t, row, "step");
		add_text(&t, row, "runs");
		add_share(&t, row, "share");
		add_seconds(&t, row, "per_unit_ms");
		add_seconds(&t, row, "p50_ms");
		add_seconds(&t, row, "p95_ms");
	}
	table_print(&t, c->color);
	table_done(&t);
}

static void add_effect(struct table *t, const json_t *o, const char *name)
{
	const json_t *rate = json_object_get(o, "per_hour");
	char text[32];

	snprintf(text, sizeof text, "%.1f", json_number_value(rate));
	table_add(t, name);
	add_share(t, o, "availability");
	add_share(t, o, "performance");
	add_share(t, o, "quality");
	add_share(t, o, "oee");
	add_text(t, o, "good");
	table_add(t, json_is_number(rate) ? text : NULL);
	add_seconds(t, o, "takt_ms");
}

static void print_oee(struct ctl *c, const json_t *o)
{
	static const char *const heads[] = {
		"", "AVAILABILITY", "PERFORMANCE", "QUALITY", "OEE", "GOOD", "AN HOUR", "TAKT"};
	const json_t *group;
	struct table t;
	size_t i;

	table_begin(&t, heads, ARRAY_LEN(heads));
	json_array_foreach(json_object_get(o, "groups"), i, group) {
		_cleanup_(freep) char *name = group_name(group);

		add_effect(&t, group, name);
	}
	add_effect(&t, o, "all");
	table_print(&t, c->color);
	table_done(&t);
}

/* "S1: 20 of 50, others 9 of 100". */
static char *cause_text(const json_t *row)
{
	const char *verdict = json_string_value(json_object_get(row, "verdict"));
	const json_t *o = json_object_get(row, verdict ? verdict : "");
	_cleanup_(freep) char *name = json_text(o, !json_object_get(o, "job") ? verdict : "job");

	if (!json_is_object(o))
		return xstrdup("");
	return xasprintf("%s: %lld of %lld, others %lld of %lld", name,
		(long long)json_integer_value(json_object_get(o, "failed")),
		(long long)json_integer_value(json_object_get(o, "units")),
		(long long)json_integer_value(json_object_get(o, "other_failed")),
		(long long)json_integer_value(json_object_get(o, "other_units")));
}

static void print_asks(const json_t *rows)
{
	const json_t *row, *unit;
	size_t i, k;

	json_array_foreach(rows, i, row) {
		const char *ask = json_string_value(json_object_get(row, "ask"));

		if (!ask)
			continue;
		printf("\n%s: %s:", json_string_value(json_object_get(row, "step")), ask);
		json_array_foreach(json_object_get(row, "ask_units"), k, unit)
			printf(" %s", json_string_value(unit));
		printf("\n");
	}
}

static void print_comparison(struct ctl *c, const json_t *o)
{
	static const char *const heads[] = {
		"STEP", "FAILED", "UNITS", "VERDICT", "", "PASSED ELSEWHERE", "FAILED ELSEWHERE"};
	const json_t *row;
	struct table t;
	size_t i;

	table_begin(&t, heads, ARRAY_LEN(heads));
	json_array_foreach(json_object_get(o, "items"), i, row) {
		_cleanup_(freep) char *cause = cause_text(row);

		add_text(&t, row, "step");
		add_text(&t, row, "failed");
		add_text(&t, row, "units");
		add_text(&t, row, "verdict");
		table_add(&t, cause);
		add_text(&t, row, "retests.other_passed");
		add_text(&t, row, "retests.other_failed");
	}
	table_print(&t, c->color);
	table_done(&t);
	print_asks(json_object_get(o, "items"));
}

/* One member a line. */
static void print_members(const json_t *o, const char *const *members)
{
	struct table t;

	table_init(&t, 2);
	for (; *members; members++) {
		table_add(&t, *members);
		add_text(&t, o, *members);
	}
	table_print(&t, false);
	table_done(&t);
}

static void print_capability(struct ctl *c, const json_t *o)
{
	static const char *const members[] = {"unit", "low", "high", "n", "mean", "min", "max",
		"sigma_within", "sigma_overall", "cp", "cpk", "pp", "ppk", "reason", "chart.lower",
		"chart.upper", "chart.range_upper", NULL};
	const json_t *point;
	size_t i, n = 0;

	print_members(o, members);
	json_array_foreach(json_object_get(o, "points"), i, point)
		n += json_array_size(json_object_get(point, "rules")) > 0;
	printf("%zu of %zu values complete a rule of Western Electric\n", n,
		json_array_size(json_object_get(o, "points")));
}

static void print_gauge(struct ctl *c, const json_t *o)
{
	static const char *const members[] = {"unit", "units", "stations", "trials",
		"repeatability", "reproducibility", "part_variation", "gauge", "total", "percent",
		"percent_of_tolerance", "categories", "interaction_pooled", NULL};

	print_members(o, members);
}

static void print_measurements(struct ctl *c, const json_t *o)
{
	static const char *const members[] = {
		"recipe", "step", "name", "unit", "low", "high", NULL};

	print_items(c, o, members);
}

static int report(struct ctl *c, const char *what, const struct report_options *o,
	void (*print)(struct ctl *c, const json_t *o))
{
	/* The query begins with the separator. */
	const char *query = o->query && *o->query ? o->query + 1 : "";
	_cleanup_(freep) char *path = xasprintf(
		"/api/v1/reports/%s%s%s%s", what, o->csv ? ".csv" : "", *query ? "?" : "", query);
	json_t *answer = NULL;
	struct err e;

	if (o->csv)
		return api_download(c, path, o->csv, "", &e) < 0 ? ctl_fail(&e) : EXIT_PASSED;
	if (api_get(c, path, &answer, &e) < 0)
		return ctl_fail(&e);
	if (c->json)
		print_json(answer);
	else
		print(c, answer);
	json_decref(answer);
	return EXIT_PASSED;
}

static const char yield_usage[] =
	"report yield [--by station|fixture|recipe|version|step|shift|hour|day] " FILTERS;
static const char comparison_usage[] = "report comparison " FILTERS;
static const char time_usage[] = "report time [--by station|fixture|recipe] " FILTERS;
static const char oee_usage[] =
	"report oee --from TIME --to TIME [--by station|shift|hour|day] " OEE_FILTERS;
static const char pareto_usage[] =
	"report pareto [--outcome failed|error|aborted|interrupted] " FILTERS;

/* What is filtered by time, station, fixture, recipe and order. */
struct kind {
	const char *what, *more, *usage;
	void (*print)(struct ctl *c, const json_t *o);
};

static int filtered(struct ctl *c, int argc, char **argv, const struct kind *k)
{
	_options_ o = {0};

	if (read_options(argc, argv, k->more, &o) != 0)
		return ctl_usage("%s", k->usage);
	return report(c, k->what, &o, k->print);
}

static int report_yield(struct ctl *c, int argc, char **argv)
{
	return filtered(c, argc, argv, &(struct kind){"yield", "by", yield_usage, print_yield});
}

static int report_pareto(struct ctl *c, int argc, char **argv)
{
	return filtered(
		c, argc, argv, &(struct kind){"pareto", "outcome", pareto_usage, print_causes});
}

static int report_time(struct ctl *c, int argc, char **argv)
{
	return filtered(c, argc, argv, &(struct kind){"time", "by", time_usage, print_time});
}

static int report_oee(struct ctl *c, int argc, char **argv)
{
	return filtered(c, argc, argv, &(struct kind){"oee", "by", oee_usage, print_oee});
}

static int report_comparison(struct ctl *c, int argc, char **argv)
{
	return filtered(c, argc, argv,
		&(struct kind){"comparison", NULL, comparison_usage, print_comparison});
}

static int report_measurements(struct ctl *c, int argc, char **argv)
{
	const struct report_options none = {0};

	if (ctl_options(argc, argv, NULL, NULL, 0) != 0)
		return ctl_usage("report measurements");
	return report(c, "measurements", &none, print_measurements);
}

#define MEASURED                                                                                       \
	"--recipe R --step S --name N [--version N] [--station S] [--job J] [--from TIME] [--to TIME]" \
	" [--limit N]"
static const char capability_usage[] = "report capability " MEASURED " [--csv FILE]";
static const char gauge_usage[] = "report gauge " MEASURED;

static int report_capability(struct ctl *c, int argc, char **argv)
{
	_options_ o = {0};

	if (read_measured(argc, argv, &o) != 0)
		return ctl_usage("%s", capability_usage);
	return report(c, "capability", &o, print_capability);
}

static int report_gauge(struct ctl *c, int argc, char **argv)
{
	_options_ o = {0};

	if (read_measured(argc, argv, &o) != 0 || o.csv)
		return ctl_usage("%s", gauge_usage);
	return report(c, "gauge", &o, print_gauge);
}

const struct command commands_reports[] = {
	{"report yield", "[--by station|fixture|recipe|version|step|shift|hour|day] " FILTERS,
		"First-pass, final and run yield, of all and of each group", report_yield},
	{"report pareto", "[--outcome failed|error|aborted|interrupted] " FILTERS,
		"What ended runs, the most frequent cause first", report_pareto},
	{"report time", "[--by station|fixture|recipe] " FILTERS,
		"Where the time of units goes: steps, people, the change of units", report_time},
	{"report oee", "--from TIME --to TIME [--by station|shift|hour|day] " OEE_FILTERS,
		"Availability, performance, quality, throughput and takt", report_oee},
	{"report comparison", FILTERS,
		"What makes units fail: they, a station, a fixture or an order", report_comparison},
	{"report measurements", "", "What recipes measure, with step, unit and limits",
		report_measurements},
	{"report capability", MEASURED " [--csv FILE]",
		"Cp, Cpk, Pp, Ppk and the limits of the control chart", report_capability},
	{"report gauge", MEASURED, "Gauge R&R of golden units, or of an order made for the study",
		report_gauge},
	{0},
};
