/* SPDX-License-Identifier: Apache-2.0 */
#include "db/stations.h"

#include "db/stmt.h"

int stations_served(struct db *tx, const char *station, const char *plugged, struct err *e)
{
	if (!plugged || !plugged[0])
		return db_do(tx, e, "DELETE FROM stations WHERE id = ?", "s", station);
	return db_do(tx, e,
		"INSERT INTO stations (id, plugged) VALUES (?, ?)"
		" ON CONFLICT (id) DO UPDATE SET plugged = excluded.plugged",
		"ss", station, plugged);
}

static int recall_plugged(
	struct db *d, const char *station, struct station_memory *ret, struct err *e)
{
	struct query q = {0};
	int r = query_begin(&q, d, e, "SELECT plugged FROM stations WHERE id = ?", "s", station);

	if (r == 0)
		r = query_next(&q, e);
	if (r == 1)
		col_copy(&q, 0, ret->plugged, sizeof ret->plugged);
	query_done(&q);
	return MIN(r, 0);
}

int stations_recall(struct db *d, const char *station, struct station_memory *ret, struct err *e)
{
	static const char sql[] = "SELECT id, serial, outcome, code, step, message, ended_at"
				  " FROM runs WHERE station = ? AND state = 'finished'"
				  " ORDER BY seq DESC LIMIT 1";
	struct query q = {0};
	int r;

	*ret = (struct station_memory){0};
	r = recall_plugged(d, station, ret, e);
	if (r == 0)
		r = query_begin(&q, d, e, sql, "s", station);
	if (r == 0)
		r = query_next(&q, e);
	if (r == 1) {
		col_copy(&q, 0, ret->run, sizeof ret->run);
		col_copy(&q, 1, ret->serial, sizeof ret->serial);
		col_copy(&q, 2, ret->outcome, sizeof ret->outcome);
		col_copy(&q, 3, ret->code, sizeof ret->code);
		col_copy(&q, 4, ret->step, sizeof ret->step);
		col_copy(&q, 5, ret->message, sizeof ret->message);
		ret->ended_ms = col_int(&q, 6);
	}
	query_done(&q);
	return MIN(r, 0);
}
