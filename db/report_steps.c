/* SPDX-License-Identifier: Apache-2.0
 *
 * The reports about steps and time of db/reports.h.
 */
#include "base/util.h"
#include "db/reports_impl.h"
#include "db/rollup_steps.h"

/* --- yield by step --- */

struct step_sum {
	char *recipe, *step;
	struct rollup_step sum; /* without its texts */
};

struct step_sums {
	const struct rollup_filter *of;
	struct step_sum *at;
	size_t n, cap;
};

static void step_sums_done(struct step_sums *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->at[i].recipe);
		free(s->at[i].step);
	}
	free(s->at);
}

static void *grown(void *at, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return at;
	*cap = MAX(2 * *cap, (size_t)64);
	at = reallocarray(at, *cap, size);
	if (!at)
		abort();
	return at;
}

static struct rollup_step *find_step(struct step_sums *s, const struct rollup_step *row)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->at[i].recipe, row->recipe) && !strcmp(s->at[i].step, row->step))
			return &s->at[i].sum;
	s->at = grown(s->at, s->n, &s->cap, sizeof *s->at);
	s->at[s->n] = (struct step_sum){.recipe = xstrdup(row->recipe), .step = xstrdup(row->step)};
	return &s->at[s->n++].sum;
}

static void add_step(void *data, const struct rollup_step *row)
{
	struct rollup_step *sum = find_step(data, row);

	sum->passed += row->passed;
	sum->failed += row->failed;
	sum->error += row->error;
	sum->retried += row->retried;
	sum->units += row->units;
	sum->first_passed += row->first_passed;
}

static int add_steps(struct db *d, const struct rollup_range *range, void *data, struct err *e)
{
	struct step_sums *s = data;

	return rollup_steps_read(d, range, s->of, ROLLUP_RECIPE, add_step, s, e);
}

static int by_step(const void *a, const void *b)
{
	const struct step_sum *x = a, *y = b;
	int r = strcmp(x->recipe, y->recipe);

	return r ? r : strcmp(x->step, y->step);
}

static json_t *step_json(const struct step_sum *s)
{
	const int64_t judged = s->sum.passed + s->sum.failed;
	json_t *runs = json_pack("{s:I, s:I, s:I}", "passed", (json_int_t)s->sum.passed, "failed",
		(json_int_t)s->sum.failed, "error", (json_int_t)s->sum.error);

	return json_pack("{s:o, s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:I, s:o}", "recipe",
		reports_text(s->recipe), "step", s->step, "runs", runs, "run_yield",
		reports_ratio(s->sum.passed, judged), "units", (json_int_t)s->sum.units,
		"first_passed", (json_int_t)s->sum.first_passed, "first_pass_yield",
		reports_ratio(s->sum.first_passed, s->sum.units), "first_pass_interval",
		reports_interval(s->sum.first_passed, s->sum.units), "retried",
		(json_int_t)s->sum.retried, "retry_rate",
		reports_ratio(s->sum.retried, judged + s->sum.error));
}

/* The product of the yields of the steps; null of nothing, and of several recipes. */
static json_t *rolled(const struct step_sums *s)
{
	double product = 1;

	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->at[i].recipe, s->at[0].recipe) != 0)
			return json_null();
		if (s->at[i].sum.units)
			product *= (double)s->at[i].sum.first_passed / (double)s->at[i].sum.units;
	}
	return s->n ? json_real(product) : json_null();
}

int reports_steps(struct db *d, const struct yield_filter *f, json_t **ret_groups,
	json_t **ret_rolled, struct err *e)
{
	_cleanup_(step_sums_done) struct step_sums s = {.of = &f->of};
	int r = reports_each_range(d, f, add_steps, &s, e);

	if (r < 0)
		return r;
	if (s.n)
		qsort(s.at, s.n, sizeof *s.at, by_step);
	*ret_groups = json_array();
	for (size_t i = 0; i < s.n; i++)
		json_array_append_new(*ret_groups, step_json(&s.at[i]));
	*ret_rolled = rolled(&s);
	return 0;
}

/* --- time --- */

struct bar {
	char *place, *part, *step;
	int64_t low, upper, n, ms;
};

struct bars {
	const struct rollup_filter *of;
	unsigned by;
	const char *part;
	struct bar *at;
	size_t n, cap;
};

static void bars_done(struct bars *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free(b->at[i].place);
		free(b->at[i].part);
		free(b->at[i].step);
	}
	free(b->at);
}

static char *place_name(unsigned by, const struct rollup_time *row)
{
	if (by == ROLLUP_VERSION)
		return xasprintf("%s@%lld", row->recipe, (long long)row->version);
	return xstrdup(by == ROLLUP_STATION   ? row->station
		       : by == ROLLUP_FIXTURE ? row->fixture
					      : row->recipe);
}

static void add_bar(void *data, const struct rollup_time *row)
{
	struct bars *b = data;

	b->at = grown(b->at, b->n, &b->cap, sizeof *b->at);
	b->at[b->n++] = (struct bar){.place = place_name(b->by, row),
		.part = xstrdup(row->part),
		.step = xstrdup(row->step),
		.low = row->bar,
		.upper = row->upper,
		.n = row->n,
		.ms = row->ms};
}

static int add_bars(struct db *d, const struct rollup_range *range, void *data, struct err *e)
{
	struct bars *b = data;

	return rollup_times_read(d, range, b->of, b->by, b->part, add_bar, b, e);
}

static int same_row(const struct bar *x, const struct bar *y)
{
	int r = strcmp(x->place, y->place);

	r = r ? r : strcmp(x->part, y->part);
	return r ? r : strcmp(x->step, y->step);
}

static int by_row(const void *a, const void *b)
{
	const struct bar *x = a, *y = b;
	int r = same_row(x, y);

	return r ? r : (x->low > y->low) - (x->low < y->low);
}

static int read_bars(struct db *d, const struct yield_filter *f, struct bars *b, struct err *e)
{
	int r = reports_each_range(d, f, add_bars, b, e);

	if (r == 0 && b->n)
		qsort(b->at, b->n, sizeof *b->at, by_row);
	return r;
}

/* How many bars from here on are of the same row. */
static size_t row_length(const struct bars *b, size_t i)
{
	size_t k = i;

	while (k < b->n && same_row(&b->at[k], &b->at[i]) == 0)
		k++;
	return k - i;
}

struct row_sum {
	int64_t n, ms;
};

static struct row_sum sum_of(const struct bar *at, size_t n)
{
	struct row_sum s = {0};

	for (size_t i = 0; i < n; i++) {
		s.n += at[i].n;
		s.ms += at[i].ms;
	}
	return s;
}

/* What so large a share of the runs took at most: within its bar as if they were spread evenly. */
static double percentile(const struct bar *at, size_t n, double share)
{
	const double wanted = share * (double)sum_of(at, n).n;
	double before = 0;

	for (size_t i = 0; i < n; i++) {
		const double here = (double)at[i].n;

		if (before + here >= wanted)
			return (double)at[i].low +
			       (double)(at[i].upper - at[i].low) * (wanted - before) / here;
		before += here;
	}
	return n ? (double)at[n - 1].upper : 0;
}

/* The time between units, and the whole of one, are not parts of a unit's time. */
static bool is_of_unit(const struct bar *b)
{
	return strcmp(b->part, "cycle") != 0 && strcmp(b->part, "idle") != 0;
}

struct place_sum {
	int64_t ms;    /* of all parts of units */
	int64_t units; /* that passed */
};

static struct place_sum sum_place(const struct bars *b, const char *place)
{
	struct place_sum s = {0};

	for (size_t i = 0; i < b->n; i++) {
		if (strcmp(b->at[i].place, place) != 0)
			continue;
		if (is_of_unit(&b->at[i]))
			s.ms += b->at[i].ms;
		else if (!strcmp(b->at[i].part, "cycle"))
			s.units += b->at[i].n;
	}
	return s;
}

static json_t *time_json(
	const struct bar *at, size_t n, const struct place_sum *place, const char *member)
{
	const struct row_sum s = sum_of(at, n);
	json_t *o = json_object();

	if (member)
		json_object_set_new(o, member, reports_text(at->place));
	json_object_set_new(o, "part", json_string(at->part));
	json_object_set_new(o, "step", reports_text(at->step));
	json_object_set_new(o, "runs", json_integer(s.n));
	json_object_set_new(o, "ms", json_integer(s.ms));
	json_object_set_new(
		o, "share", is_of_unit(at) ? reports_ratio(s.ms, place->ms) : json_null());
	json_object_set_new(o, "per_unit_ms", reports_ratio(s.ms, place->units));
	json_object_set_new(o, "mean_ms", reports_ratio(s.ms, s.n));
	json_object_set_new(o, "p50_ms", json_real(percentile(at, n, 0.5)));
	json_object_set_new(o, "p95_ms", json_real(percentile(at, n, 0.95)));
	return o;
}

int reports_time(
	struct db *d, const struct yield_filter *f, unsigned by, json_t **ret, struct err *e)
{
	_cleanup_(bars_done) struct bars b = {.of = &f->of, .by = by};
	const char *member = by == ROLLUP_STATION   ? "station"
			     : by == ROLLUP_FIXTURE ? "fixture"
			     : by == ROLLUP_RECIPE  ? "recipe"
						    : NULL;
	struct place_sum place = {0};
	int r = read_bars(d, f, &b, e);

	if (r < 0)
		return r;
	*ret = json_array();
	for (size_t i = 0, n; i < b.n; i += n) {
		n = row_length(&b, i);
		if (i == 0 || strcmp(b.at[i].place, b.at[i - 1].place) != 0)
			place = sum_place(&b, b.at[i].place);
		json_array_append_new(*ret, time_json(&b.at[i], n, &place, member));
	}
	return 0;
}

/* --- OEE --- */

/* The cycle that a recipe can have: what a tenth of its units that passed did not need. */
#define IDEAL_SHARE 0.1

struct effect {
	const struct rollup_filter *of;
	const json_t *ideals; /* "recipe@version" -> ms */
	json_t *stations;     /* name -> counts */
};

static void add_int(json_t *o, const char *member, int64_t n)
{
	json_object_set_new(
		o, member, json_integer(json_integer_value(json_object_get(o, member)) + n));
}

static void add_effect(void *data, const struct rollup *row)
{
	struct effect *x = data;
	_cleanup_(freep) char *recipe = xasprintf("%s@%lld", row->recipe, (long long)row->version);
	const double ideal = json_number_value(json_object_get(x->ideals, recipe));
	const int64_t count = row->passed + row->failed;
	json_t *o = json_object_get(x->stations, row->station);
	double sum;

	if (!o) {
		o = json_object();
		json_object_set_new(x->stations, row->station, o);
	}
	sum = json_real_value(json_object_get(o, "ideal_ms")) + ideal * (double)count;
	json_object_set_new(o, "ideal_ms", json_real(sum));
	add_int(o, "run_ms", row->busy_ms);
	add_int(o, "count", count);
	add_int(o, "good", row->passed);
}

static int add_effects(struct db *d, const struct rollup_range *range, void *data, struct err *e)
{
	struct effect *x = data;

	return rollups_read(d, range, x->of, ROLLUP_STATION | ROLLUP_VERSION, add_effect, x, e);
}

/* Of all stations: one that is slow does not make its own ideal. */
static int find_ideals(struct db *d, const struct yield_filter *f, json_t **ret, struct err *e)
{
	struct yield_filter all = *f;
	_cleanup_(bars_done) struct bars b = {.of = &all.of, .by = ROLLUP_VERSION, .part = "cycle"};
	int r;

	all.of.station = all.of.fixture = NULL;
	r = read_bars(d, &all, &b, e);
	if (r < 0)
		return r;
	*ret = json_object();
	for (size_t i = 0, n; i < b.n; i += n) {
		n = row_length(&b, i);
		json_object_set_new(
			*ret, b.at[i].place, json_real(percentile(&b.at[i], n, IDEAL_SHARE)));
	}
	return 0;
}

static json_t *share_of(double part, double whole)
{
	return whole > 0 ? json_real(part / whole) : json_null();
}

static void set_effect(
	json_t *o, const json_t *counts, const struct reports_plan *plan, int64_t stations)
{
	const double planned = (double)(plan->planned_ms * stations);
	const int64_t run = json_integer_value(json_object_get(counts, "run_ms"));
	const int64_t count = json_integer_value(json_object_get(counts, "count"));
	const int64_t good = json_integer_value(json_object_get(counts, "good"));
	const double ideal = json_number_value(json_object_get(counts, "ideal_ms"));

	json_object_set_new(o, "planned_ms", json_integer(plan->planned_ms * stations));
	json_object_set_new(o, "run_ms", json_integer(run));
	json_object_set_new(o, "ideal_ms", json_real(ideal));
	json_object_set_new(o, "count", json_integer(count));
	json_object_set_new(o, "good", json_integer(good));
	json_object_set_new(o, "availability", share_of((double)run, planned));
	json_object_set_new(o, "performance", count ? share_of(ideal, (double)run) : json_null());
	json_object_set_new(o, "quality", reports_ratio(good, count));
	json_object_set_new(o, "oee",
		count && run > 0 ? share_of(ideal * (double)good / (double)count, planned)
				 : json_null());
	json_object_set_new(
		o, "per_hour", share_of((double)good * 3600000, (double)plan->planned_ms));
}

static json_t *effect_json(const struct effect *x, const struct reports_plan *plan, bool by_station)
{
	json_t *o = json_object(), *all = json_object(), *groups = json_array(), *counts;
	const size_t n = json_object_size(x->stations);
	const char *station;
	double ideal = 0;

	json_object_foreach(x->stations, station, counts) {
		json_t *group = json_pack("{s:s}", "station", station);

		set_effect(group, counts, plan, 1);
		json_array_append_new(groups, group);
		add_int(all, "run_ms", json_integer_value(json_object_get(counts, "run_ms")));
		add_int(all, "count", json_integer_value(json_object_get(counts, "count")));
		add_int(all, "good", json_integer_value(json_object_get(counts, "good")));
		ideal += json_number_value(json_object_get(counts, "ideal_ms"));
	}
	json_object_set_new(all, "ideal_ms", json_real(ideal));
	set_effect(o, all, plan, (int64_t)n);
	json_object_set_new(o, "stations", json_integer((json_int_t)n));
	json_object_set_new(o, "demand", plan->demand > 0 ? json_real(plan->demand) : json_null());
	json_object_set_new(o, "takt_ms", share_of((double)plan->demand_ms, plan->demand));
	if (by_station)
		json_object_set(o, "groups", groups);
	json_decref(groups);
	json_decref(all);
	return o;
}

int reports_oee(struct db *d, const struct yield_filter *f, const struct reports_plan *plan,
	bool by_station, json_t **ret, struct err *e)
{
	json_t *ideals = NULL;
	struct effect x = {.of = &f->of, .stations = json_object()};
	int r = find_ideals(d, f, &ideals, e);

	x.ideals = ideals;
	if (r == 0)
		r = reports_each_range(d, f, add_effects, &x, e);
	if (r == 0)
		*ret = effect_json(&x, plan, by_station);
	json_decref(ideals);
	json_decref(x.stations);
	return r;
}
