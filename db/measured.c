/* SPDX-License-Identifier: Apache-2.0 */
#include "db/measured.h"

#include <math.h>

#include "base/spc.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "db/ledger.h"
#include "db/stmt.h"

#define NEWEST_RUNS "500"
#define MANY_RUNS   "5000"

int measured_list(struct db *d, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"recipe", AS_TEXT}, {"step", AS_TEXT},
		{"name", AS_TEXT}, {"unit", AS_TEXT}, {"low", AS_REAL}, {"high", AS_REAL}, {0}};
	SELECT(list,
		"SELECT recipe, step, name, unit, low, high FROM (SELECT r.recipe AS recipe,"
		" s.id AS step, m.name AS name, m.unit AS unit, m.low AS low, m.high AS high,"
		" max(r.seq) FROM (SELECT id, seq, recipe FROM runs WHERE kind = 'production'"
		" ORDER BY seq DESC LIMIT " NEWEST_RUNS ") r JOIN measurements m ON m.run_id = r.id"
		" JOIN steps s ON s.run_id = m.run_id AND s.n = m.step_n"
		" WHERE m.value IS NOT NULL GROUP BY 1, 2, 3) ORDER BY recipe, step, name",
		columns);

	return db_all_json(d, e, &list, ret);
}

int measured_rows(struct db *d, const struct measured_filter *f, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	static const struct column columns[] = {{"seq", AS_INT}, {"run", AS_TEXT},
		{"station", AS_TEXT}, {"job", AS_TEXT}, {"recipe", AS_TEXT}, {"version", AS_INT},
		{"serial", AS_TEXT}, {"ended_at", AS_TIME}, {"step", AS_TEXT}, {"step_n", AS_INT},
		{"k", AS_INT}, {"name", AS_TEXT}, {"value", AS_REAL}, {"text", AS_TEXT},
		{"unit", AS_TEXT}, {"low", AS_REAL}, {"high", AS_REAL}, {"verdict", AS_TEXT}, {0}};
	SELECT(list,
		"SELECT r.seq AS seq, printf('%06d.%06d', m.step_n, m.k) AS place, m.run_id AS run,"
		" r.station AS station, r.job_id AS job, r.recipe AS recipe, r.version AS version,"
		" r.serial AS serial, r.ended_at AS ended_at, s.id AS step, m.step_n AS step_n,"
		" m.k AS k, m.name AS name, m.value AS value, m.text AS text, m.unit AS unit,"
		" m.low AS low, m.high AS high, m.verdict AS verdict FROM runs r"
		" CROSS JOIN measurements m ON m.run_id = r.id"
		" JOIN steps s ON s.run_id = m.run_id AND s.n = m.step_n",
		columns);
	static const struct keyset order = {.major = "seq",
		.minor = "place",
		.ascending = true,
		.table = "runs r",
		.rows = 600};
	struct sel s;

	sel_init(&s, &list);
	sel_found(&s, "r.job_id = ?", f->job);
	sel_found(&s, "r.station = ?", f->station);
	sel_found(&s, "r.recipe = ?", f->recipe);
	sel_looked(&s, "s.id = ?", f->step);
	sel_looked(&s, "m.name = ?", f->name);
	if (f->from_ms)
		sel_looked_int(&s, "r.ended_at >= ?", f->from_ms);
	if (f->to_ms)
		sel_looked_int(&s, "r.ended_at < ?", f->to_ms);
	return sel_page(&s, d, &order, page, ret, e);
}

/* --- the values --- */

struct value {
	double x;
	int64_t at;
	char run[DB_ID_SIZE], serial[LEDGER_VALUE_SIZE], station[DB_ID_SIZE], verdict[16];
};

struct values {
	struct value *at;
	size_t n, cap;
	char unit[32];
	double low, high; /* of the newest */
};

static void values_done(struct values *v)
{
	free(v->at);
}

struct value_row {
	double value, low, high;
	const char *unit, *run, *serial, *station, *verdict;
	int64_t at;
};

static struct value *next_value(struct values *v)
{
	if (v->n == v->cap) {
		struct value *grown;

		v->cap = MAX(2 * v->cap, (size_t)64);
		grown = reallocarray(v->at, v->cap, sizeof *grown);
		if (!grown)
			abort();
		v->at = grown;
	}
	return &v->at[v->n++];
}

static int keep_value(struct values *v, const struct value_row *row, struct err *e)
{
	const char *unit = row->unit ? row->unit : "";
	struct value *to;

	if (v->n == 0) {
		snprintf(v->unit, sizeof v->unit, "%s", unit);
		v->low = row->low;
		v->high = row->high;
	} else if (strcmp(v->unit, unit) != 0) {
		return err_set(e, ERR_CONFLICT,
			"values in '%s' and in '%s' are mixed: ask for one version of the recipe",
			v->unit, unit);
	}
	to = next_value(v);
	to->x = row->value;
	to->at = row->at;
	snprintf(to->run, sizeof to->run, "%s", row->run);
	snprintf(to->serial, sizeof to->serial, "%s", row->serial ? row->serial : "");
	snprintf(to->station, sizeof to->station, "%s", row->station);
	snprintf(to->verdict, sizeof to->verdict, "%s", row->verdict);
	return 0;
}

/* The ids between which the runs of a window are, so that the index leads there; all, where there are
 * many of them. Ids rise with the time (UUIDv7) of a clock that may have been wrong. */
struct ids {
	char first[DB_ID_SIZE], last[DB_ID_SIZE];
};

static int find_ids(struct db *d, const struct measured_filter *f, struct ids *ret, struct err *e)
{
	struct span {
		char first[DB_ID_SIZE], last[DB_ID_SIZE];
		int64_t n;
	} span = {0};
	static const struct column columns[] = {
		COL(struct span, first), COL(struct span, last), COL(struct span, n), {0}};
	SELECT(find,
		"SELECT min(id) AS first, max(id) AS last, count(*) AS n FROM (SELECT id FROM runs"
		" WHERE state = 'finished' AND ended_at >= ?1 AND ended_at < ?2 LIMIT " MANY_RUNS
		")",
		columns);
	int r = 0;

	*ret = (struct ids){.first = "", .last = "~"};
	if (f->from_ms || f->to_ms)
		r = select_one(d, e, &find, &span, f->from_ms, f->to_ms ? f->to_ms : INT64_MAX);
	if (r <= 0 || span.n == atoll(MANY_RUNS))
		return MIN(r, 0);
	memcpy(ret->first, span.first, sizeof ret->first);
	memcpy(ret->last, span.last, sizeof ret->last);
	return 0;
}

/* Newest first. */
static int read_values(struct db *d, const struct measured_filter *f, const char *kind,
	struct values *ret, struct err *e)
{
	static const struct column columns[] = {COL(struct value_row, value),
		COL(struct value_row, low), COL(struct value_row, high),
		COL(struct value_row, unit), COL(struct value_row, run),
		COL(struct value_row, serial), COL(struct value_row, station),
		COL(struct value_row, verdict), COL(struct value_row, at), {0}};
	SELECT(find,
		"SELECT m.value AS value, m.low AS low, m.high AS high, m.unit AS unit,"
		" m.verdict AS verdict, r.id AS run, r.serial AS serial, r.station AS station,"
		" r.ended_at AS at FROM measurements m"
		" CROSS JOIN runs r ON r.id = m.run_id"
		" CROSS JOIN steps s ON s.run_id = m.run_id AND s.n = m.step_n"
		" WHERE m.name = ?1 AND m.run_id >= ?2 AND m.run_id <= ?3 AND m.value IS NOT NULL"
		" AND s.id = ?4 AND r.recipe = ?5 AND (?6 = 0 OR r.version = ?6)"
		" AND (?7 IS NULL OR r.station = ?7) AND r.state = 'finished' AND (?8 IS NULL OR r.kind = ?8)"
		" AND (?12 IS NULL OR r.job_id = ?12)"
		" AND r.ended_at >= ?9 AND r.ended_at < ?10 ORDER BY m.run_id DESC LIMIT ?11",
		columns);
	_cleanup_(query_done) struct query q = {0};
	int64_t to = f->to_ms ? f->to_ms : INT64_MAX;
	struct value_row row;
	struct ids ids;
	int r = find_ids(d, f, &ids, e);

	if (r == 0)
		r = select_begin(&q, d, e, &find, f->name, ids.first, ids.last, f->step, f->recipe,
			f->version, f->station, kind, f->from_ms, to,
			f->limit ? f->limit : (int64_t)MEASURED_DEFAULT, f->job);
	while (r >= 0 && (r = select_next(&q, &row, e)) > 0) {
		r = keep_value(ret, &row, e);
		if (r < 0)
			return r;
	}
	return MIN(r, 0);
}

/* --- capability --- */

static json_t *number_or_null(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

static void set_numbers(json_t *o, const char *const *names, const double *x)
{
	for (size_t i = 0; names[i]; i++)
		json_object_set_new(o, names[i], number_or_null(x[i]));
}

static json_t *rules_json(uint8_t rules)
{
	json_t *list = json_array();

	for (int k = 0; k < 8; k++)
		if (rules & 1u << k)
			json_array_append_new(list, json_integer(k + 1));
	return list;
}

static json_t *point_json(const struct value *v, uint8_t rules)
{
	char when[RFC3339_SIZE];

	return json_pack("{s:s, s:f, s:s, s:o, s:s, s:s, s:o}", "at", rfc3339(v->at, when), "value",
		v->x, "run", v->run, "serial", v->serial[0] ? json_string(v->serial) : json_null(),
		"station", v->station, "verdict", v->verdict, "rules", rules_json(rules));
}

/* x: the values, oldest first. */
static json_t *points_json(const struct values *v, const double *x, const struct spc *s)
{
	uint8_t *rules = xcalloc(v->n, 1);
	json_t *list = json_array();

	spc_rules(x, v->n, s, rules);
	for (size_t i = 0; i < v->n; i++)
		json_array_append_new(list, point_json(&v->at[v->n - 1 - i], rules[i]));
	free(rules);
	return list;
}

static json_t *capability_json(const struct values *v)
{
	static const char *const names[] = {"low", "high", "mean", "min", "max", "sigma_within",
		"sigma_overall", "cp", "cpk", "pp", "ppk", NULL};
	static const char *const lines[] = {"mean", "lower", "upper", "range_upper", NULL};
	double *x = xcalloc(v->n, sizeof *x);
	json_t *o = json_object(), *chart = json_object();
	struct spc s;

	for (size_t i = 0; i < v->n; i++)
		x[i] = v->at[v->n - 1 - i].x;
	s = spc_of(x, v->n, v->low, v->high);
	set_numbers(o, names,
		(double[]){v->low, v->high, s.mean, s.min, s.max, s.within, s.overall, s.cp, s.cpk,
			s.pp, s.ppk});
	set_numbers(chart, lines, (double[]){s.mean, s.lower, s.upper, s.range_upper});
	json_object_set_new(o, "n", json_integer((json_int_t)v->n));
	json_object_set_new(o, "reason", s.reason ? json_string(s.reason) : json_null());
	json_object_set_new(o, "chart", chart);
	json_object_set_new(o, "points", points_json(v, x, &s));
	free(x);
	return o;
}

static void set_what(json_t *o, const struct measured_filter *f, const struct values *v)
{
	json_object_set_new(o, "name", json_string(f->name));
	json_object_set_new(o, "step", json_string(f->step));
	json_object_set_new(o, "recipe", json_string(f->recipe));
	json_object_set_new(o, "unit", v->unit[0] ? json_string(v->unit) : json_null());
}

static int find_values(struct db *d, const struct measured_filter *f, const char *kind,
	struct values *ret, struct err *e)
{
	int r = read_values(d, f, kind, ret, e);

	if (r == 0 && ret->n == 0)
		return err_set(e, ERR_NOT_FOUND,
			"no %s run of recipe '%.64s' has a value '%.64s' of its step '%.64s' in that time",
			kind ? kind : "such", f->recipe, f->name, f->step);
	return r;
}

int measured_capability(struct db *d, const struct measured_filter *f, json_t **ret, struct err *e)
{
	_cleanup_(values_done) struct values v = {0};
	int r = find_values(d, f, "production", &v, e);

	if (r < 0)
		return r;
	*ret = capability_json(&v);
	set_what(*ret, f, &v);
	return 0;
}

/* --- gauge R&R --- */

/* The different names among the values, in the order of first sight. */
struct names {
	const char **at; /* borrowed */
	size_t n;
};

static void names_done(struct names *n)
{
	free(n->at);
}

static size_t place_of(struct names *n, const char *name)
{
	size_t i = 0;

	while (i < n->n && strcmp(n->at[i], name) != 0)
		i++;
	if (i == n->n)
		n->at[n->n++] = name;
	return i;
}

struct study {
	struct names units, stations;
	size_t *count; /* of each cell, by unit and station */
	size_t trials; /* of the cell with the fewest */
	double *x;
};

static void study_done(struct study *s)
{
	names_done(&s->units);
	names_done(&s->stations);
	free(s->count);
	free(s->x);
}

static size_t cell_of(struct study *s, const struct value *v)
{
	return place_of(&s->units, v->serial) * s->stations.n + place_of(&s->stations, v->station);
}

/* Which units and stations there are, and how often each unit was measured at each of them. */
static int lay_out(struct study *s, const struct values *v, struct err *e)
{
	size_t least = 0;

	s->units.at = xcalloc(v->n, sizeof(char *));
	s->stations.at = xcalloc(v->n, sizeof(char *));
	for (size_t i = 0; i < v->n; i++) {
		place_of(&s->units, v->at[i].serial);
		place_of(&s->stations, v->at[i].station);
	}
	s->count = xcalloc(s->units.n * s->stations.n, sizeof *s->count);
	for (size_t i = 0; i < v->n; i++)
		s->count[cell_of(s, &v->at[i])]++;
	for (size_t i = 0; i < s->units.n * s->stations.n; i++)
		least = s->count[i] < s->count[least] ? i : least;
	s->trials = s->count[least];
	if (s->units.n >= 2 && s->trials >= 2)
		return 0;
	return err_set(e, ERR_CONFLICT,
		"a gauge study needs two units or more, each measured twice or more at each station: there are %zu units, and '%.64s' was measured %zu times at %.64s",
		s->units.n, s->units.at[least / s->stations.n], s->trials,
		s->stations.at[least % s->stations.n]);
}

/* The newest values of each cell. */
static void fill_cells(struct study *s, const struct values *v)
{
	size_t cells = s->units.n * s->stations.n;

	s->x = xcalloc(cells * s->trials, sizeof *s->x);
	memset(s->count, 0, cells * sizeof *s->count);
	for (size_t i = 0; i < v->n; i++) {
		size_t cell = cell_of(s, &v->at[i]);

		if (s->count[cell] < s->trials)
			s->x[cell * s->trials + s->count[cell]++] = v->at[i].x;
	}
}

static json_t *gauge_json(const struct study *s, const struct grr *g)
{
	static const char *const names[] = {"repeatability", "reproducibility", "part_variation",
		"gauge", "total", "percent", "percent_of_tolerance", "categories", NULL};
	json_t *o = json_pack("{s:I, s:I, s:I, s:b}", "units", (json_int_t)s->units.n, "stations",
		(json_int_t)s->stations.n, "trials", (json_int_t)s->trials, "interaction_pooled",
		g->pooled);

	set_numbers(o, names,
		(double[]){g->repeatability, g->reproducibility, g->parts, g->gauge, g->total,
			g->percent, g->tolerance, g->categories});
	return o;
}

int measured_gauge(struct db *d, const struct measured_filter *f, json_t **ret, struct err *e)
{
	_cleanup_(values_done) struct values v = {0};
	_cleanup_(study_done) struct study s = {0};
	struct grr g;
	int r = find_values(d, f, f->job ? NULL : "golden", &v, e);

	if (r == 0)
		r = lay_out(&s, &v, e);
	if (r < 0)
		return r;
	fill_cells(&s, &v);
	if (!grr_of(s.x, s.units.n, s.stations.n, s.trials, v.low, v.high, &g))
		return err_set(
			e, ERR_CONFLICT, "all values are equal: no gauge can be judged by them");
	*ret = gauge_json(&s, &g);
	set_what(*ret, f, &v);
	return 0;
}
