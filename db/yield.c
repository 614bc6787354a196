/* SPDX-License-Identifier: Apache-2.0
 *
 * The counts of db/reports.h.
 */
#include "db/reports.h"
#include "db/stmt.h"

/* The production runs of a window: ?1 from, ?2 to, ?3 job, ?4 station, ?5 recipe. */
#define IN_WINDOW                                                                         \
	"state = 'finished' AND kind = 'production' AND ended_at >= ?1 AND ended_at < ?2" \
	" AND (?3 IS NULL OR job_id = ?3) AND (?4 IS NULL OR station = ?4)"               \
	" AND (?5 IS NULL OR recipe = ?5)"

static int begin(struct query *q, struct db *d, const struct select *s,
	const struct yield_filter *f, struct err *e)
{
	return select_begin(q, d, e, s, f->from_ms, f->to_ms ? f->to_ms : INT64_MAX, f->job,
		f->station, f->recipe);
}

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

static json_t *ratio(int64_t part, int64_t whole)
{
	return whole > 0 ? json_real((double)part / (double)whole) : json_null();
}

static int count_runs(struct db *d, const struct yield_filter *f, json_t *out, struct err *e)
{
	struct counted {
		const char *outcome;
		int64_t n;
	} row;
	static const struct column columns[] = {
		COL(struct counted, outcome), COL(struct counted, n), {0}};
	SELECT(count,
		"SELECT outcome, count(*) AS n FROM runs WHERE " IN_WINDOW " GROUP BY outcome",
		columns);
	_cleanup_(query_done) struct query q = {0};
	json_t *runs = no_counts();
	int r = begin(&q, d, &count, f, e);

	while (r >= 0 && (r = select_next(&q, &row, e)) > 0)
		json_object_set_new(runs, row.outcome, json_integer(row.n));

	int64_t passed = json_integer_value(json_object_get(runs, "passed"));
	int64_t failed = json_integer_value(json_object_get(runs, "failed"));

	json_object_set_new(out, "runs", runs);
	json_object_set_new(out, "run_yield", ratio(passed, passed + failed));
	return MIN(r, 0);
}

static int count_units(struct db *d, const struct yield_filter *f, json_t *out, struct err *e)
{
	/* SQLite takes the bare columns next to a single min() or max() from that row
	 * (lang_select.html, "Bare columns in an aggregate query"). */
	struct counted {
		int64_t units, first_passed, last_passed, retested;
	} row = {0};
	static const struct column columns[] = {COL(struct counted, units),
		COL(struct counted, first_passed), COL(struct counted, last_passed),
		COL(struct counted, retested), {0}};
	SELECT(count,
		"WITH counted AS (SELECT coalesce(unit_id, id) AS u, chain, outcome FROM runs"
		" WHERE " IN_WINDOW " AND outcome IN ('passed', 'failed')),"
		" firsts AS (SELECT u, outcome, min(chain), count(*) AS n FROM counted GROUP BY u),"
		" lasts AS (SELECT u, outcome, max(chain) FROM counted GROUP BY u)"
		" SELECT count(*) AS units, sum(f.outcome = 'passed') AS first_passed,"
		" sum(l.outcome = 'passed') AS last_passed, sum(n > 1) AS retested"
		" FROM firsts f JOIN lasts l ON l.u = f.u WHERE NOT EXISTS (SELECT 1 FROM runs r"
		" WHERE r.unit_id = f.u AND r.kind = 'production' AND r.ended_at < ?1"
		" AND r.outcome IN ('passed', 'failed') AND (?5 IS NULL OR r.recipe = ?5))",
		columns);
	_cleanup_(query_done) struct query q = {0};
	int r = begin(&q, d, &count, f, e);

	if (r == 0)
		r = select_next(&q, &row, e);
	if (r < 0)
		return r;
	json_object_set_new(out, "units", json_integer(row.units));
	json_object_set_new(out, "first_passed", json_integer(row.first_passed));
	json_object_set_new(out, "first_pass_yield", ratio(row.first_passed, row.units));
	json_object_set_new(out, "last_passed", json_integer(row.last_passed));
	json_object_set_new(out, "final_yield", ratio(row.last_passed, row.units));
	json_object_set_new(out, "retested", json_integer(row.retested));
	json_object_set_new(out, "retest_rate", ratio(row.retested, row.units));
	return 0;
}

int reports_yield(struct db *d, const struct yield_filter *f, json_t **ret, struct err *e)
{
	json_t *out = json_object();
	int r = count_runs(d, f, out, e);

	if (r == 0)
		r = count_units(d, f, out, e);
	if (r < 0) {
		json_decref(out);
		return r;
	}
	*ret = out;
	return 0;
}

/* Shares need the whole: a second walk. */
static void set_shares(json_t *rows, int64_t total)
{
	int64_t sum = 0;
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row) {
		int64_t n = json_integer_value(json_object_get(row, "count"));

		sum += n;
		json_object_set_new(row, "share", ratio(n, total));
		json_object_set_new(row, "cumulative", ratio(sum, total));
	}
}

int reports_pareto(struct db *d, const struct yield_filter *f, json_t **ret, struct err *e)
{
	static const struct column columns[] = {
		{"step", AS_TEXT}, {"code", AS_TEXT}, {"count", AS_INT}, {0}};
	SELECT(count,
		"SELECT step, code, count(*) AS count FROM runs WHERE " IN_WINDOW
		" AND outcome = 'failed' GROUP BY step, code ORDER BY count(*) DESC, step, code",
		columns);
	_cleanup_(query_done) struct query q = {0};
	json_t *rows = json_array();
	int64_t total = 0;
	int r = begin(&q, d, &count, f, e);

	while (r >= 0 && (r = select_next(&q, NULL, e)) > 0) {
		json_t *row = row_json(&q);

		total += json_integer_value(json_object_get(row, "count"));
		json_array_append_new(rows, row);
	}
	if (r < 0) {
		json_decref(rows);
		return r;
	}
	set_shares(rows, total);
	*ret = rows;
	return 0;
}
