/* SPDX-License-Identifier: Apache-2.0
 *
 * What makes units fail at a step: db/reports.h.
 *
 *	first runs of units, by step and place ──> exact tests, corrected for how many there are
 *	                                       ──> is it the station, its fixture, the order, or the units?
 *	second runs of those that failed       ──> does a unit pass elsewhere?
 */
#include "base/spc.h"
#include "base/util.h"
#include "db/reports_impl.h"
#include "db/rollup_steps.h"
#include "db/rollups_impl.h"
#include "db/stmt.h"

/* Fewer second runs elsewhere say too little, and more are asked for. */
#define RETESTS_WANTED 5
#define ASKED_UNITS    10

enum place { PLACE_STATION, PLACE_FIXTURE, PLACE_LOT, PLACE_COUNT };
static const char *const place_members[] = {"station", "fixture", "job"};

struct first {
	char *at[PLACE_COUNT], *recipe, *step;
	int64_t n;
};

/* A place at a step, against all others that made the recipe. */
struct trial {
	const char *recipe, *step, *name; /* of the counts */
	enum place place;
	int64_t failed, units, other_failed, other_units;
	double p, adjusted;
	bool worse;
};

struct compare {
	const struct yield_filter *f;
	struct first *first;
	size_t firsts, first_cap;
	json_t *units;	/* recipe -> name -> count, by place */
	json_t *failed; /* recipe -> step -> name -> count, by place */
	struct trial *trial;
	size_t trials, trial_cap;
};

static void compare_done(struct compare *c)
{
	for (size_t i = 0; i < c->firsts; i++) {
		for (size_t k = 0; k < PLACE_COUNT; k++)
			free(c->first[i].at[k]);
		free(c->first[i].recipe);
		free(c->first[i].step);
	}
	free(c->first);
	free(c->trial);
	json_decref(c->units);
	json_decref(c->failed);
}

/* --- counts --- */

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

static json_t *within(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	if (!v) {
		v = json_object();
		json_object_set_new(o, key, v);
	}
	return v;
}

static int64_t count_at(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static void add_count(json_t *o, const char *key, int64_t n)
{
	json_object_set_new(o, key, json_integer(count_at(o, key) + n));
}

static void keep_first(void *data, const struct rollup_first *row)
{
	struct compare *c = data;
	struct first *f;

	c->first = grown(c->first, c->firsts, &c->first_cap, sizeof *c->first);
	f = &c->first[c->firsts++];
	*f = (struct first){.at = {xstrdup(row->station), xstrdup(row->fixture), xstrdup(row->job)},
		.recipe = xstrdup(row->recipe),
		.step = xstrdup(row->step),
		.n = row->n};
	for (size_t k = 0; k < PLACE_COUNT; k++) {
		const char *place = place_members[k];

		add_count(within(within(c->units, row->recipe), place), f->at[k], f->n);
		if (*f->step)
			add_count(within(within(within(c->failed, row->recipe), f->step), place),
				f->at[k], f->n);
	}
}

static int keep_firsts(struct db *d, const struct rollup_range *range, void *data, struct err *e)
{
	struct compare *c = data;

	return rollup_firsts_read(d, range, &c->f->of, keep_first, c, e);
}

/* --- tests --- */

static int64_t sum_of(const json_t *counts)
{
	const char *name;
	json_t *n;
	int64_t sum = 0;

	json_object_foreach((json_t *)counts, name, n)
		sum += json_integer_value(n);
	return sum;
}

static void judge(struct trial *t)
{
	const int64_t good = t->units - t->failed, other_good = t->other_units - t->other_failed;

	t->worse = t->failed * t->other_units > t->other_failed * t->units;
	t->p = t->worse ? spc_fisher(good, t->failed, other_good, t->other_failed) : 1;
}

/* Each place that made units of the recipe, at one step; one alone cannot be compared. */
static void add_trials(struct compare *c, const char *recipe, const char *step, enum place place)
{
	const char *member = place_members[place], *name;
	json_t *units = json_object_get(json_object_get(c->units, recipe), member);
	const json_t *failed =
		json_object_get(json_object_get(json_object_get(c->failed, recipe), step), member);
	const int64_t all = sum_of(units), all_failed = sum_of(failed);
	json_t *n;

	json_object_foreach(units, name, n) {
		struct trial *t;

		if (json_object_size(units) < 2)
			break;
		c->trial = grown(c->trial, c->trials, &c->trial_cap, sizeof *c->trial);
		t = &c->trial[c->trials++];
		*t = (struct trial){.recipe = recipe,
			.step = step,
			.name = name,
			.place = place,
			.failed = count_at(failed, name),
			.units = json_integer_value(n)};
		t->other_failed = all_failed - t->failed;
		t->other_units = all - t->units;
		judge(t);
	}
}

static int by_place_and_chance(const void *a, const void *b)
{
	const struct trial *x = a, *y = b;
	int r = (int)x->place - (int)y->place;

	if (r == 0)
		r = (x->p > y->p) - (x->p < y->p);
	r = r ? r : strcmp(x->recipe, y->recipe);
	r = r ? r : strcmp(x->step, y->step);
	return r ? r : strcmp(x->name, y->name);
}

/* Holm: the k-th of n by its chance counts n - k + 1 times, and no less than the one before it. */
static void adjust(struct trial *t, size_t n)
{
	double floor = 0;

	for (size_t k = 0; k < n; k++) {
		floor = MAX(floor, MIN(1.0, (double)(n - k) * t[k].p));
		t[k].adjusted = floor;
	}
}

static void adjust_places(struct compare *c)
{
	if (c->trials)
		qsort(c->trial, c->trials, sizeof *c->trial, by_place_and_chance);
	for (size_t i = 0, n; i < c->trials; i += n) {
		for (n = 1; i + n < c->trials && c->trial[i + n].place == c->trial[i].place; n++)
			;
		adjust(&c->trial[i], n);
	}
}

static void make_trials(struct compare *c)
{
	const char *recipe, *step;
	json_t *steps, *at;

	json_object_foreach(c->failed, recipe, steps)
		json_object_foreach(steps, step, at)
			for (enum place p = 0; p < PLACE_COUNT; p++)
				add_trials(c, recipe, step, p);
	adjust_places(c);
}

static bool is_marked(const struct trial *t)
{
	return t && t->worse && t->adjusted < REPORTS_CHANCE;
}

/* The one that is least likely by chance; NULL where there is nothing to compare. */
static const struct trial *worst(
	const struct compare *c, const char *recipe, const char *step, enum place place)
{
	for (size_t i = 0; i < c->trials; i++) {
		const struct trial *t = &c->trial[i];

		if (t->place == place && t->worse && !strcmp(t->recipe, recipe) &&
			!strcmp(t->step, step))
			return t;
	}
	return NULL;
}

/* --- apart from another cause --- */

/* Whether units were made there at t and at others. */
static bool is_shared(
	const struct compare *c, const struct trial *t, enum place other, const char *name)
{
	bool here = false, there = false;

	for (size_t i = 0; i < c->firsts; i++) {
		const struct first *f = &c->first[i];

		if (strcmp(f->recipe, t->recipe) != 0 || strcmp(f->at[other], name) != 0)
			continue;
		if (!strcmp(f->at[t->place], t->name))
			here = true;
		else
			there = true;
	}
	return here && there;
}

/* The numbers of t where only what it shares with others counts: of a station, the units of fixtures that were
 * also at other stations. */
static struct trial within_shared(const struct compare *c, const struct trial *t, enum place other)
{
	struct trial ret = {
		.recipe = t->recipe, .step = t->step, .name = t->name, .place = t->place};
	json_t *shared = json_object();

	for (size_t i = 0; i < c->firsts; i++) {
		const struct first *f = &c->first[i];
		const bool here = !strcmp(f->at[t->place], t->name);
		const int64_t failed = strcmp(f->step, t->step) ? 0 : f->n;

		if (strcmp(f->recipe, t->recipe) != 0)
			continue;
		if (!json_object_get(shared, f->at[other]))
			json_object_set_new(shared, f->at[other],
				json_boolean(is_shared(c, t, other, f->at[other])));
		if (!json_is_true(json_object_get(shared, f->at[other])))
			continue;
		*(here ? &ret.units : &ret.other_units) += f->n;
		*(here ? &ret.failed : &ret.other_failed) += failed;
	}
	json_decref(shared);
	judge(&ret);
	return ret;
}

/* Of two places that are both marked, whether t is still worse at those of the other kind that it shares. */
static bool is_worse_apart(const struct compare *c, const struct trial *t, enum place other)
{
	const struct trial apart = within_shared(c, t, other);

	return apart.units && apart.other_units && apart.worse && apart.p < REPORTS_CHANCE;
}

/* --- second runs --- */

struct retests {
	int64_t same_passed, same_failed, other_passed, other_failed;
	json_t *waiting; /* serial numbers or ids of units that only failed at one station */
};

/* ?1 from, ?2 to, ?3 job, ?4 station, ?5 recipe, ?6 version, ?8 fixture; ?9 recipe and ?10 step of the verdict,
 * ?11 its station. */
#define FAILED_FIRST                                                                                    \
	"WITH r AS (SELECT r.id AS id, r.unit_id AS unit, r.station AS station, r.chain AS chain,"      \
	" coalesce(r.recipe, '') AS recipe FROM runs r WHERE r.state = 'finished'"                      \
	" AND r.kind = 'production' AND r.ended_at >= ?1 AND r.ended_at < ?2"                           \
	" AND r.outcome = 'failed' AND r.unit_id IS NOT NULL AND (?3 IS NULL OR job_id = ?3)" OF_FILTER \
	" AND ?7 IS NULL AND coalesce(r.recipe, '') = ?9 AND r.step = ?10"                              \
	" AND (?11 IS NULL OR r.station = ?11) AND " IS_FIRST(IN_ITS_PROCESS) ") "
#define LATER                                                                                     \
	"FROM runs p WHERE p.unit_id = r.unit AND p.state = 'finished' AND p.kind = 'production'" \
	" AND p.outcome IN ('passed', 'failed') AND coalesce(p.recipe, '') = r.recipe"            \
	" AND p.chain > r.chain"

static int count_retests(struct db *d, const struct compare *c, const struct trial *t,
	const char *station, struct retests *ret, struct err *e)
{
	static const struct column columns[] = {COL(struct retests, same_passed),
		COL(struct retests, same_failed), COL(struct retests, other_passed),
		COL(struct retests, other_failed), {0}};
	SELECT(count,
		FAILED_FIRST
		"SELECT coalesce(sum(n.station = r.station AND n.outcome = 'passed'), 0) AS same_passed,"
		" coalesce(sum(n.station = r.station AND n.outcome = 'failed'), 0) AS same_failed,"
		" coalesce(sum(n.station <> r.station AND n.outcome = 'passed'), 0) AS other_passed,"
		" coalesce(sum(n.station <> r.station AND n.outcome = 'failed'), 0) AS other_failed"
		" FROM r JOIN runs n ON n.id = (SELECT p.id " LATER " ORDER BY p.chain LIMIT 1)",
		columns);
	const struct rollup_filter *f = &c->f->of;
	const int64_t to = c->f->to_ms ? c->f->to_ms : INT64_MAX;

	return MIN(select_one(d, e, &count, ret, c->f->from_ms, to, f->job, f->station, f->recipe,
			   f->version, BIND_NULL, f->fixture, t->recipe, t->step, station),
		0);
}

static int list_waiting(struct db *d, const struct compare *c, const struct trial *t,
	const char *station, json_t **ret, struct err *e)
{
	struct row {
		char name[DB_ID_SIZE];
	} row;
	static const struct column columns[] = {COL(struct row, name), {0}};
	SELECT(list,
		FAILED_FIRST
		"SELECT coalesce(u.serial, u.id) AS name FROM r JOIN units u ON u.id = r.unit"
		" WHERE u.state NOT IN ('passed', 'scrapped') AND NOT EXISTS (SELECT 1 " LATER
		" AND p.station <> r.station) ORDER BY r.chain DESC LIMIT ?12",
		columns);
	const struct rollup_filter *f = &c->f->of;
	const int64_t to = c->f->to_ms ? c->f->to_ms : INT64_MAX;
	_cleanup_(query_done) struct query q = {0};
	int r = select_begin(&q, d, e, &list, c->f->from_ms, to, f->job, f->station, f->recipe,
		f->version, BIND_NULL, f->fixture, t->recipe, t->step, station, ASKED_UNITS);

	*ret = json_array();
	while (r >= 0 && (r = select_next(&q, &row, e)) > 0)
		json_array_append_new(*ret, json_string(row.name));
	return MIN(r, 0);
}

static int read_retests(struct db *d, const struct compare *c, const struct trial *t,
	const char *station, struct retests *ret, struct err *e)
{
	int r = count_retests(d, c, t, station, ret, e);

	return r < 0 ? r : list_waiting(d, c, t, station, &ret->waiting, e);
}

/* --- the verdict --- */

struct finding {
	const char *verdict, *reason;		     /* reason: a sentence */
	const struct trial *station, *fixture, *lot; /* NULL: nothing to compare */
	struct retests again;
};

static bool fails_everywhere(const struct retests *r)
{
	return r->other_failed > r->other_passed &&
	       r->other_failed + r->other_passed >= RETESTS_WANTED;
}

static void judge_station(const struct compare *c, struct finding *v)
{
	const bool station = is_worse_apart(c, v->station, PLACE_FIXTURE);
	const bool fixture = is_marked(v->fixture) && is_worse_apart(c, v->fixture, PLACE_STATION);

	v->verdict = fixture && !station ? "fixture" : "station";
	v->reason =
		fixture && !station
			? "units fail more often with this fixture, at whichever station it is"
		: station
			? "units fail more often at this station, with whichever fixture"
			: "units fail more often at this station; it and its fixture cannot be told apart until they change";
}

static void judge_finding(const struct compare *c, struct finding *v)
{
	const bool station = is_marked(v->station), fixture = is_marked(v->fixture),
		   lot = is_marked(v->lot);

	if ((station || fixture) && fails_everywhere(&v->again)) {
		v->verdict = "unit";
		v->reason = "the units that failed here failed again at other stations";
	} else if (lot && (!station || (is_worse_apart(c, v->lot, PLACE_STATION) &&
					       !is_worse_apart(c, v->station, PLACE_LOT)))) {
		v->verdict = "lot";
		v->reason = "units of this order fail more often than others at the same stations";
	} else if (station) {
		judge_station(c, v);
	} else if (fixture) {
		v->verdict = "fixture";
		v->reason = "units fail more often with this fixture, at whichever station it is";
	} else {
		v->verdict = "unit";
		v->reason =
			"no station, fixture or order differs from the others by more than chance";
	}
}

static json_t *trial_json(const struct trial *t)
{
	if (!t)
		return json_null();
	return json_pack("{s:o, s:I, s:I, s:I, s:I, s:f, s:f, s:b}", place_members[t->place],
		reports_text(t->name), "failed", (json_int_t)t->failed, "units",
		(json_int_t)t->units, "other_failed", (json_int_t)t->other_failed, "other_units",
		(json_int_t)t->other_units, "p_value", t->p, "p_adjusted", t->adjusted, "marked",
		is_marked(t));
}

static const char *ask_of(const struct finding *v)
{
	if (v->again.other_passed + v->again.other_failed >= RETESTS_WANTED)
		return NULL;
	if (json_array_size(v->again.waiting) == 0)
		return NULL;
	return "run these units at another station: those that pass there speak for the station, its fixture or a cable, those that fail there for the unit";
}

static json_t *finding_json(
	const struct compare *c, const char *recipe, const char *step, const struct finding *v)
{
	const json_t *at = json_object_get(
		json_object_get(json_object_get(c->failed, recipe), step), "station");
	const json_t *units = json_object_get(json_object_get(c->units, recipe), "station");
	const struct retests *a = &v->again;

	return json_pack(
		"{s:o, s:s, s:I, s:I, s:s, s:s, s:o, s:o, s:o, s:{s:I, s:I, s:I, s:I}, s:s?, s:o}",
		"recipe", reports_text(recipe), "step", step, "failed", (json_int_t)sum_of(at),
		"units", (json_int_t)sum_of(units), "verdict", v->verdict, "reason", v->reason,
		"station", trial_json(v->station), "fixture", trial_json(v->fixture), "lot",
		trial_json(v->lot), "retests", "same_passed", (json_int_t)a->same_passed,
		"same_failed", (json_int_t)a->same_failed, "other_passed",
		(json_int_t)a->other_passed, "other_failed", (json_int_t)a->other_failed, "ask",
		ask_of(v), "ask_units", ask_of(v) ? json_incref(a->waiting) : json_array());
}

static int find(struct db *d, const struct compare *c, const char *recipe, const char *step,
	json_t *out, struct err *e)
{
	const struct trial at = {.recipe = recipe, .step = step};
	struct finding v = {.station = worst(c, recipe, step, PLACE_STATION),
		.fixture = worst(c, recipe, step, PLACE_FIXTURE),
		.lot = worst(c, recipe, step, PLACE_LOT)};
	int r = read_retests(d, c, &at, is_marked(v.station) ? v.station->name : NULL, &v.again, e);

	if (r == 0) {
		judge_finding(c, &v);
		json_array_append_new(out, finding_json(c, recipe, step, &v));
	}
	json_decref(v.again.waiting);
	return r;
}

static int most_failed(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	const int64_t m = count_at(x, "failed"), n = count_at(y, "failed");
	const char *p = json_string_value(json_object_get(x, "step"));
	const char *q = json_string_value(json_object_get(y, "step"));

	return m != n ? (m > n ? -1 : 1) : strcmp(p, q);
}

static void sort(json_t *rows)
{
	const size_t n = json_array_size(rows);
	json_t **at = xcalloc(n + 1, sizeof(json_t *));

	for (size_t i = 0; i < n; i++)
		at[i] = json_incref(json_array_get(rows, i));
	json_array_clear(rows);
	if (n)
		qsort(at, n, sizeof(json_t *), most_failed);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(rows, at[i]);
	free(at);
}

int reports_comparison(struct db *d, const struct yield_filter *f, json_t **ret, struct err *e)
{
	_cleanup_(compare_done) struct compare c = {
		.f = f, .units = json_object(), .failed = json_object()};
	json_t *rows = json_array(), *steps, *at;
	const char *recipe, *step;
	int r = reports_each_range(d, f, keep_firsts, &c, e);

	make_trials(&c);
	json_object_foreach(c.failed, recipe, steps)
		json_object_foreach(steps, step, at)
			if (r == 0)
				r = find(d, &c, recipe, step, rows, e);
	if (r < 0) {
		json_decref(rows);
		return r;
	}
	sort(rows);
	*ret = rows;
	return 0;
}
