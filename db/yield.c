/* SPDX-License-Identifier: Apache-2.0
 *
 * The counts of db/reports.h.
 */
#include "db/reports.h"

#include "base/spc.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "db/reports_impl.h"
#include "db/stmt.h"

static json_t *no_counts(void)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:i}", "passed", 0, "failed", 0, "error", 0,
		"aborted", 0, "interrupted", 0);
}

int reports_stations(struct db *d, int64_t since_ms, json_t **ret, struct err *e)
{
	struct counted {
		const char *station, *outcome;
		int64_t n;
	} row;
	static const struct column columns[] = {COL(struct counted, station),
		COL(struct counted, outcome), COL(struct counted, n), {0}};
	SELECT(count,
		"SELECT station, outcome, count(*) AS n FROM runs WHERE state = 'finished'"
		" AND kind = 'production' AND ended_at >= ? GROUP BY station, outcome",
		columns);
	_cleanup_(query_done) struct query q = {0};
	json_t *all = json_object();
	int r = select_begin(&q, d, e, &count, since_ms);

	while (r >= 0 && (r = select_next(&q, &row, e)) > 0) {
		json_t *s = json_object_get(all, row.station);

		if (!s) {
			s = no_counts();
			json_object_set_new(all, row.station, s);
		}
		json_object_set_new(s, row.outcome, json_integer(row.n));
	}
	if (r < 0) {
		json_decref(all);
		return r;
	}
	*ret = all;
	return 0;
}

/* --- yield --- */

struct group {
	char *name,
		*recipe; /* the first by which they are found: a station, a fixture, or "recipe@version" */
	struct rollup sum; /* without its texts */
};

struct groups {
	const struct rollup_filter *of;
	unsigned by;
	json_t *place; /* name -> index */
	struct group *at;
	size_t n, cap;
};

static void groups_done(struct groups *g)
{
	for (size_t i = 0; i < g->n; i++) {
		free(g->at[i].name);
		free(g->at[i].recipe);
	}
	free(g->at);
	json_decref(g->place);
}

static char *group_name(unsigned by, const struct rollup *row)
{
	if (by == ROLLUP_STATION || by == ROLLUP_FIXTURE)
		return xstrdup(by == ROLLUP_STATION ? row->station : row->fixture);
	return xasprintf("%s@%lld", row->recipe, (long long)row->version);
}

static struct group *find_group(struct groups *g, const struct rollup *row)
{
	_cleanup_(freep) char *name = group_name(g->by, row);
	json_t *place = json_object_get(g->place, name);

	if (place)
		return &g->at[json_integer_value(place)];
	if (g->n == g->cap) {
		struct group *grown;

		g->cap = MAX(2 * g->cap, (size_t)16);
		grown = reallocarray(g->at, g->cap, sizeof *grown);
		if (!grown)
			abort();
		g->at = grown;
	}
	json_object_set_new(g->place, name, json_integer((json_int_t)g->n));
	g->at[g->n] = (struct group){.recipe = xstrdup(row->recipe),
		.name = steal_ptr(&name),
		.sum.version = row->version};
	return &g->at[g->n++];
}

static void add(struct rollup *sum, const struct rollup *row)
{
	sum->passed += row->passed;
	sum->failed += row->failed;
	sum->error += row->error;
	sum->aborted += row->aborted;
	sum->interrupted += row->interrupted;
	sum->busy_ms += row->busy_ms;
	sum->units += row->units;
	sum->first_passed += row->first_passed;
	sum->last_passed += row->last_passed;
	sum->retested += row->retested;
}

static void add_to_group(void *data, const struct rollup *row)
{
	add(&find_group(data, row)->sum, row);
}

static int add_range(struct db *d, const struct rollup_range *range, void *data, struct err *e)
{
	struct groups *g = data;

	return rollups_read(d, range, g->of, g->by, add_to_group, g, e);
}

static void set_counts(json_t *o, const struct rollup *s)
{
	json_object_set_new(o, "runs",
		json_pack("{s:I, s:I, s:I, s:I, s:I}", "passed", (json_int_t)s->passed, "failed",
			(json_int_t)s->failed, "error", (json_int_t)s->error, "aborted",
			(json_int_t)s->aborted, "interrupted", (json_int_t)s->interrupted));
	json_object_set_new(o, "run_yield", reports_ratio(s->passed, s->passed + s->failed));
	json_object_set_new(o, "busy_ms", json_integer(s->busy_ms));
	json_object_set_new(o, "units", json_integer(s->units));
	json_object_set_new(o, "first_passed", json_integer(s->first_passed));
	json_object_set_new(o, "first_pass_yield", reports_ratio(s->first_passed, s->units));
	json_object_set_new(o, "first_pass_interval", reports_interval(s->first_passed, s->units));
	json_object_set_new(o, "last_passed", json_integer(s->last_passed));
	json_object_set_new(o, "final_yield", reports_ratio(s->last_passed, s->units));
	json_object_set_new(o, "retested", json_integer(s->retested));
	json_object_set_new(o, "retest_rate", reports_ratio(s->retested, s->units));
}

static int by_name(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	int r = strcmp(x->recipe, y->recipe);

	if (r == 0 && x->sum.version != y->sum.version)
		return x->sum.version < y->sum.version ? -1 : 1;
	return r ? r : strcmp(x->name, y->name);
}

static json_t *group_json(const struct group *g, unsigned by)
{
	json_t *o = json_object();

	if (by == ROLLUP_STATION)
		json_object_set_new(o, "station", json_string(g->name));
	else if (by == ROLLUP_FIXTURE)
		json_object_set_new(o, "fixture", reports_text(g->name));
	else
		json_object_set_new(
			o, "recipe", g->recipe[0] ? json_string(g->recipe) : json_null());
	if (by == ROLLUP_VERSION)
		json_object_set_new(
			o, "version", g->sum.version ? json_integer(g->sum.version) : json_null());
	set_counts(o, &g->sum);
	return o;
}

static int count_groups(
	struct db *d, const struct yield_filter *f, unsigned by, struct groups *ret, struct err *e)
{
	*ret = (struct groups){.of = &f->of, .by = by, .place = json_object()};
	return reports_each_range(d, f, add_range, ret, e);
}

/* A station, or a fixture, against all others. */
static void compare_place(
	json_t *o, const struct rollup *here, const struct rollup *all, size_t places)
{
	int64_t good = all->first_passed - here->first_passed;
	int64_t bad = all->units - here->units - good;
	double p = spc_fisher(here->first_passed, here->units - here->first_passed, good, bad);
	bool better = here->first_passed * (good + bad) > good * here->units;
	bool alone = here->units == 0 || good + bad == 0;

	json_object_set_new(o, "p_value", alone ? json_null() : json_real(p));
	json_object_set_new(o, "verdict",
		alone				       ? json_null()
		: p >= REPORTS_CHANCE / (double)places ? json_string("like-others")
						       : json_string(better ? "better" : "worse"));
}

static json_t *groups_json(struct groups *g, const struct rollup *all)
{
	json_t *list = json_array();

	if (g->n > 0)
		qsort(g->at, g->n, sizeof *g->at, by_name);
	for (size_t i = 0; i < g->n; i++) {
		json_t *o = group_json(&g->at[i], g->by);

		if (g->by == ROLLUP_STATION || g->by == ROLLUP_FIXTURE)
			compare_place(o, &g->at[i].sum, all, g->n);
		json_array_append_new(list, o);
	}
	return list;
}

int reports_yield(
	struct db *d, const struct yield_filter *f, unsigned by, json_t **ret, struct err *e)
{
	_cleanup_(groups_done) struct groups all = {0}, some = {0};
	struct rollup total = {0};
	int r = count_groups(d, f, ROLLUP_ALL, &all, e);

	if (r == 0 && by != ROLLUP_ALL)
		r = count_groups(d, f, by, &some, e);
	if (r < 0)
		return r;
	if (all.n)
		total = all.at[0].sum;
	*ret = json_object();
	set_counts(*ret, &total);
	if (by != ROLLUP_ALL)
		json_object_set_new(*ret, "groups", groups_json(&some, &total));
	return 0;
}

int reports_trend(struct db *d, const struct rollup_filter *of, const int64_t *at, size_t n,
	json_t **ret, struct err *e)
{
	json_t *list = json_array();
	int r = 0;

	for (size_t i = 0; i + 1 < n && r == 0; i++) {
		const struct yield_filter f = {at[i], at[i + 1], *of};
		_cleanup_(groups_done) struct groups g = {0};
		char from[RFC3339_SIZE], to[RFC3339_SIZE];
		json_t *o = json_pack(
			"{s:s, s:s}", "from", rfc3339(at[i], from), "to", rfc3339(at[i + 1], to));

		r = count_groups(d, &f, ROLLUP_ALL, &g, e);
		set_counts(o, g.n ? &g.at[0].sum : &(struct rollup){0});
		json_array_append_new(list, o);
	}
	if (r < 0) {
		json_decref(list);
		return r;
	}
	*ret = list;
	return 0;
}

/* --- Pareto --- */

/* Shares need the whole: a second walk. */
static void set_shares(json_t *rows, int64_t total)
{
	int64_t sum = 0;
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row) {
		int64_t n = json_integer_value(json_object_get(row, "count"));

		sum += n;
		json_object_set_new(row, "share", reports_ratio(n, total));
		json_object_set_new(row, "cumulative", reports_ratio(sum, total));
	}
}

struct causes {
	const struct yield_filter *f;
	const char *outcome;
	json_t *by_step; /* step -> code -> count */
	int64_t total;
};

static void add_cause(void *data, const struct rollup_cause *row)
{
	struct causes *c = data;
	json_t *codes = json_object_get(c->by_step, row->step);
	json_t *n;

	if (!codes) {
		codes = json_object();
		json_object_set_new(c->by_step, row->step, codes);
	}
	n = json_object_get(codes, row->code);
	json_object_set_new(codes, row->code, json_integer(json_integer_value(n) + row->n));
	c->total += row->n;
}

static int add_causes(struct db *d, const struct rollup_range *range, void *data, struct err *e)
{
	struct causes *c = data;

	return rollups_causes(d, range, &c->f->of, c->outcome, add_cause, c, e);
}

static int most_first(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	json_int_t m = json_integer_value(json_object_get(x, "count"));
	json_int_t n = json_integer_value(json_object_get(y, "count"));
	const char *names[] = {"step", "code"};
	int r = m == n ? 0 : m > n ? -1 : 1;

	for (size_t i = 0; i < ARRAY_LEN(names) && r == 0; i++) {
		const char *p = json_string_value(json_object_get(x, names[i]));
		const char *q = json_string_value(json_object_get(y, names[i]));

		r = strcmp(p ? p : "", q ? q : "");
	}
	return r;
}

static json_t *causes_json(const struct causes *c)
{
	json_t *rows = json_array(), *codes, *n, **at;
	const char *step, *code;
	size_t count = 0;

	json_object_foreach(c->by_step, step, codes)
		count += json_object_size(codes);
	at = xcalloc(count + 1, sizeof(json_t *));
	count = 0;
	json_object_foreach(c->by_step, step, codes)
		json_object_foreach(codes, code, n)
			at[count++] = json_pack("{s:o, s:o, s:O}", "step", reports_text(step),
				"code", reports_text(code), "count", n);
	qsort(at, count, sizeof(json_t *), most_first);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(rows, at[i]);
	free(at);
	return rows;
}

int reports_pareto(struct db *d, const struct yield_filter *f, const char *outcome, json_t **ret,
	struct err *e)
{
	struct causes c = {.f = f, .outcome = outcome, .by_step = json_object()};
	int r = reports_each_range(d, f, add_causes, &c, e);

	if (r == 0) {
		*ret = causes_json(&c);
		set_shares(*ret, c.total);
	}
	json_decref(c.by_step);
	return r;
}

/* --- a shift --- */

int reports_shift(struct db *d, int64_t from_ms, int64_t to_ms, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"id", AS_TEXT}, {"recipe", AS_TEXT},
		{"version", AS_INT}, {"external_ref", AS_TEXT}, {"state", AS_TEXT},
		{"quantity", AS_INT}, {"deadline", AS_TIME}, {"passed", AS_INT}, {"made", AS_INT},
		{"failed", AS_INT}, {"due", AS_INT}, {"hold", AS_JSON}, {"ending", AS_JSON},
		{"finished_at", AS_TIME}, {0}};
	SELECT(list,
		"WITH ended AS MATERIALIZED (SELECT job_id, sum(outcome = 'passed') AS made,"
		" sum(outcome = 'failed') AS failed FROM runs WHERE state = 'finished'"
		" AND ended_at >= ?1 AND ended_at < ?2 AND kind = 'production' AND job_id IS NOT NULL GROUP BY job_id)"
		" SELECT j.id AS id, recipe, version, external_ref, state, quantity, deadline, j.passed AS passed,"
		" coalesce(e.made, 0) AS made, coalesce(e.failed, 0) AS failed,"
		" CASE WHEN state IN ('cancelled', 'aborted') THEN 0"
		" ELSE max(0, quantity - j.passed + coalesce(e.made, 0)) END AS due, hold, ending, finished_at"
		" FROM (SELECT job_id AS id FROM ended UNION SELECT id FROM jobs"
		" WHERE state IN ('queued', 'running', 'paused', 'stopping') AND created_at < ?2) n"
		" JOIN jobs j ON j.id = n.id LEFT JOIN ended e ON e.job_id = j.id"
		" WHERE j.kind = 'production' ORDER BY j.priority DESC, j.created_at, j.id LIMIT 1000",
		columns);

	return db_all_json(d, e, &list, ret, from_ms, to_ms);
}
