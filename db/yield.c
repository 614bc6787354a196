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

static int begin(
	struct query *q, struct db *d, const char *sql, const struct yield_filter *f, struct err *e)
{
	return query_begin(q, d, e, sql, f->from_ms, f->to_ms ? f->to_ms : INT64_MAX, f->job,
		f->station, f->recipe);
}

static json_t *no_counts(void)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:i}", "passed", 0, "failed", 0, "error", 0,
		"aborted", 0, "interrupted", 0);
}

int reports_stations(struct db *d, int64_t since_ms, json_t **ret, struct err *e)
{
	static const char sql[] =
		"SELECT station, outcome, count(*) FROM runs WHERE state = 'finished'"
		" AND kind = 'production' AND ended_at >= ? GROUP BY station, outcome";
	_cleanup_(query_done) struct query q = {0};
	json_t *all = json_object();
	int r = query_begin(&q, d, e, sql, since_ms);

	while (r >= 0 && (r = query_next(&q, e)) > 0) {
		json_t *s = json_object_get(all, col_str(&q, 0));

		if (!s) {
			s = no_counts();
			json_object_set_new(all, col_str(&q, 0), s);
		}
		json_object_set_new(s, col_str(&q, 1), json_integer(col_int(&q, 2)));
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
	static const char sql[] =
		"SELECT outcome, count(*) FROM runs WHERE " IN_WINDOW " GROUP BY outcome";
	_cleanup_(query_done) struct query q = {0};
	json_t *runs = no_counts();
	int r = begin(&q, d, sql, f, e);

	while (r >= 0 && (r = query_next(&q, e)) > 0)
		json_object_set_new(runs, col_str(&q, 0), json_integer(col_int(&q, 1)));

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
	static const char sql[] =
		"WITH counted AS (SELECT coalesce(unit_id, id) AS u, chain, outcome FROM runs"
		" WHERE " IN_WINDOW " AND outcome IN ('passed', 'failed')),"
		" firsts AS (SELECT u, outcome, min(chain), count(*) AS n FROM counted GROUP BY u),"
		" lasts AS (SELECT u, outcome, max(chain) FROM counted GROUP BY u)"
		" SELECT count(*), sum(f.outcome = 'passed'), sum(l.outcome = 'passed'), sum(n > 1)"
		" FROM firsts f JOIN lasts l ON l.u = f.u WHERE NOT EXISTS (SELECT 1 FROM runs r"
		" WHERE r.unit_id = f.u AND r.kind = 'production' AND r.ended_at < ?1"
		" AND r.outcome IN ('passed', 'failed') AND (?5 IS NULL OR r.recipe = ?5))";
	_cleanup_(query_done) struct query q = {0};
	int r = begin(&q, d, sql, f, e);

	if (r == 0)
		r = query_next(&q, e);
	if (r < 0)
		return r;

	int64_t n = col_int(&q, 0);

	json_object_set_new(out, "units", json_integer(n));
	json_object_set_new(out, "first_passed", json_integer(col_int(&q, 1)));
	json_object_set_new(out, "first_pass_yield", ratio(col_int(&q, 1), n));
	json_object_set_new(out, "last_passed", json_integer(col_int(&q, 2)));
	json_object_set_new(out, "final_yield", ratio(col_int(&q, 2), n));
	json_object_set_new(out, "retested", json_integer(col_int(&q, 3)));
	json_object_set_new(out, "retest_rate", ratio(col_int(&q, 3), n));
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
	static const char sql[] =
		"SELECT step, code, count(*) AS count FROM runs WHERE " IN_WINDOW
		" AND outcome = 'failed' GROUP BY step, code ORDER BY count(*) DESC, step, code";
	_cleanup_(query_done) struct query q = {0};
	json_t *rows = json_array();
	int64_t total = 0;
	int r = begin(&q, d, sql, f, e);

	while (r >= 0 && (r = query_next(&q, e)) > 0) {
		json_array_append_new(rows, row_json(&q, "ssi"));
		total += col_int(&q, 2);
	}
	if (r < 0) {
		json_decref(rows);
		return r;
	}
	set_shares(rows, total);
	*ret = rows;
	return 0;
}
