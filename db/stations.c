/* SPDX-License-Identifier: Apache-2.0 */
#include "db/stations.h"

#include "db/run_facts.h"
#include "db/stmt.h"

/* was: `held` of before. */
static int tell_hold(struct db *tx, const char *station, const struct station_row *row,
	const char *was, const char *by, const char *run, struct err *e)
{
	json_t *data = row->held[0] ? json_pack("{s:s, s:s*, s:s*, s:s*, s:s*}", "held", row->held,
					      "was", or_null(was), "code", or_null(row->code),
					      "message", or_null(row->message), "by", by)
				    : json_pack("{s:s, s:s*}", "was", was, "by", by);

	return db_event(tx, row->held[0] ? "station-held" : "station-freed", station, NULL, run,
		NULL, data, e);
}

int stations_put(struct db *tx, const char *station, const struct station_row *row, const char *by,
	const char *run, struct err *e)
{
	static const char sql[] = "INSERT OR REPLACE INTO stations"
				  " (id, plugged, held, code, message, fail_step, fail_count)"
				  " VALUES (?, ?, ?, ?, ?, ?, ?)";
	char was[sizeof row->held] = "";
	int r = db_text(tx, e, was, sizeof was, "SELECT held FROM stations WHERE id = ?", station);

	if (r >= 0)
		r = db_do(tx, e, sql, station, row->plugged, row->held, row->code, row->message,
			row->fail_step, row->fail_count);
	return r < 0 || !strcmp(was, row->held) ? MIN(r, 0)
						: tell_hold(tx, station, row, was, by, run, e);
}

int stations_get(struct db *d, const char *station, struct station_row *ret, struct err *e)
{
	static const struct column columns[] = {COL(struct station_row, plugged),
		COL(struct station_row, held), COL(struct station_row, code),
		COL(struct station_row, message), COL(struct station_row, fail_step),
		COL(struct station_row, fail_count), {0}};
	SELECT(find,
		"SELECT plugged, held, code, message, fail_step, fail_count"
		" FROM stations WHERE id = ?",
		columns);

	*ret = (struct station_row){0};
	return MIN(select_one(d, e, &find, ret, station), 0);
}

int stations_last(struct db *d, const char *station, struct station_last *ret, struct err *e)
{
	static const struct column columns[] = {COL_AS(struct station_last, run, "id"),
		COL(struct station_last, serial), COL(struct station_last, outcome),
		COL(struct station_last, code), COL(struct station_last, step),
		COL(struct station_last, message),
		COL_AS(struct station_last, ended_ms, "ended_at"), {0}};
	SELECT(find,
		"SELECT id, serial, " RUN_OUTCOME ", code, step, message, ended_at"
		" FROM runs WHERE station = ? AND state = 'finished' AND completes IS NULL"
		" ORDER BY seq DESC LIMIT 1",
		columns);

	*ret = (struct station_last){0};
	return MIN(select_one(d, e, &find, ret, station), 0);
}

int stations_count(struct db *d, const char *station, int64_t since_ms, struct station_counts *ret,
	struct err *e)
{
	struct counted {
		const char *outcome;
		int64_t n;
	} row;
	static const struct column columns[] = {
		COL(struct counted, outcome), COL(struct counted, n), {0}};
	SELECT(count,
		"SELECT outcome, count(*) AS n FROM runs WHERE state = 'finished'"
		" AND ended_at >= ? AND station = ? AND completes IS NULL GROUP BY outcome",
		columns);
	_cleanup_(query_done) struct query q = {0};
	int r = select_begin(&q, d, e, &count, since_ms, station);

	*ret = (struct station_counts){0};
	while (r == 0 && (r = select_next(&q, &row, e)) == 1) {
		const char *outcome = row.outcome ? row.outcome : "";
		unsigned n = (unsigned)row.n;

		if (!strcmp(outcome, "passed"))
			ret->passed = n;
		else if (!strcmp(outcome, "failed"))
			ret->failed = n;
		else if (!strcmp(outcome, "error"))
			ret->error = n;
		else if (!strcmp(outcome, "aborted"))
			ret->aborted = n;
		r = 0;
	}
	return r;
}
