/* SPDX-License-Identifier: Apache-2.0 */
#include "db/stations.h"

#include "db/stmt.h"

int stations_put(struct db *tx, const char *station, const struct station_row *row, struct err *e)
{
	static const char sql[] = "INSERT OR REPLACE INTO stations"
				  " (id, plugged, held, code, message, fail_step, fail_count)"
				  " VALUES (?, ?, ?, ?, ?, ?, ?)";

	return db_do(tx, e, sql, station, row->plugged, row->held, row->code, row->message,
		row->fail_step, row->fail_count);
}

/* 1 with a row. */
static int first_row(
	struct query *q, struct db *d, const char *sql, const char *station, struct err *e)
{
	int r = query_begin(q, d, e, sql, station);

	return r < 0 ? r : query_next(q, e);
}

int stations_get(struct db *d, const char *station, struct station_row *ret, struct err *e)
{
	static const char sql[] = "SELECT plugged, held, code, message, fail_step, fail_count"
				  " FROM stations WHERE id = ?";
	_cleanup_(query_done) struct query q = {0};
	int r = first_row(&q, d, sql, station, e);

	*ret = (struct station_row){0};
	if (r == 1) {
		col_copy(&q, 0, ret->plugged, sizeof ret->plugged);
		col_copy(&q, 1, ret->held, sizeof ret->held);
		col_copy(&q, 2, ret->code, sizeof ret->code);
		col_copy(&q, 3, ret->message, sizeof ret->message);
		col_copy(&q, 4, ret->fail_step, sizeof ret->fail_step);
		ret->fail_count = col_int(&q, 5);
	}
	return MIN(r, 0);
}

int stations_last(struct db *d, const char *station, struct station_last *ret, struct err *e)
{
	static const char sql[] = "SELECT id, serial, outcome, code, step, message, ended_at"
				  " FROM runs WHERE station = ? AND state = 'finished'"
				  " ORDER BY seq DESC LIMIT 1";
	_cleanup_(query_done) struct query q = {0};
	int r = first_row(&q, d, sql, station, e);

	*ret = (struct station_last){0};
	if (r == 1) {
		col_copy(&q, 0, ret->run, sizeof ret->run);
		col_copy(&q, 1, ret->serial, sizeof ret->serial);
		col_copy(&q, 2, ret->outcome, sizeof ret->outcome);
		col_copy(&q, 3, ret->code, sizeof ret->code);
		col_copy(&q, 4, ret->step, sizeof ret->step);
		col_copy(&q, 5, ret->message, sizeof ret->message);
		ret->ended_ms = col_int(&q, 6);
	}
	return MIN(r, 0);
}

int stations_count(struct db *d, const char *station, int64_t since_ms, struct station_counts *ret,
	struct err *e)
{
	static const char sql[] = "SELECT outcome, count(*) FROM runs WHERE state = 'finished'"
				  " AND ended_at >= ? AND station = ? GROUP BY outcome";
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, d, e, sql, since_ms, station);

	*ret = (struct station_counts){0};
	while (r == 0 && (r = query_next(&q, e)) == 1) {
		const char *outcome = col_str(&q, 0);
		unsigned n = (unsigned)col_int(&q, 1);

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
