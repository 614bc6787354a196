/* SPDX-License-Identifier: Apache-2.0 */
#include "db/spool.h"

#include "base/timefmt.h"
#include "db/events.h"
#include "db/stmt.h"

int spool_begin(struct db *tx, const char *dir, struct err *e)
{
	int64_t first, last;
	int r = events_bounds(tx, &first, &last, e);

	if (r == 0)
		r = db_do(tx, e, "DELETE FROM spool WHERE dir <> ?", dir);
	if (r < 0 || !*dir)
		return r;
	r = db_do(tx, e, "INSERT OR IGNORE INTO spool (dir, seen) VALUES (?, ?)", dir, last);
	/* Of the events a restored database has fewer. */
	return r < 0 ? r : db_do(tx, e, "UPDATE spool SET seen = ?1 WHERE seen > ?1", last);
}

int spool_place(struct db *d, const char *dir, int64_t *ret_seen, struct err *e)
{
	static const char sql[] =
		"SELECT seen FROM spool WHERE dir = ?1 AND seen <= coalesce((SELECT seq FROM"
		" sqlite_sequence WHERE name = 'events'), 0) AND NOT EXISTS (SELECT 1 FROM spool"
		" WHERE dir <> ?1)";
	int r;

	if (*dir)
		return db_int(d, e, ret_seen, sql, dir);
	r = db_has(d, e, "SELECT 1 FROM spool");
	return r < 0 ? r : !r;
}

int spool_next(struct db *d, int64_t seen, const json_t *types, size_t max, int64_t *ret_seq,
	size_t *ret_n, int64_t *ret_upto, struct err *e)
{
	struct found {
		int64_t seq;
	} row;
	static const struct column columns[] = {COL(struct found, seq), {0}};
	SELECT(next,
		"SELECT e.seq AS seq FROM events e WHERE e.seq > ?1 AND e.seq <= ?2"
		" AND " EVENTS_OF_TYPES("?3") " ORDER BY e.seq LIMIT ?4",
		columns);
	_cleanup_(query_done) struct query q = {0};
	int64_t first, last;
	int r = events_bounds(d, &first, &last, e);

	*ret_n = 0;
	*ret_upto = MIN(seen + SPOOL_SCAN, last);
	if (r == 0)
		r = select_begin(&q, d, e, &next, seen, *ret_upto, types, (int64_t)max);
	while (r >= 0 && (r = select_next(&q, &row, e)) > 0)
		ret_seq[(*ret_n)++] = row.seq;
	if (r == 0 && *ret_n == max)
		*ret_upto = ret_seq[max - 1];
	return MIN(r, 0);
}

int spool_seen(struct db *tx, int64_t seen, const char *message, struct err *e)
{
	static const char sql[] = "UPDATE spool SET seen = ?1, message = ?2, failing_since ="
				  " CASE WHEN ?2 IS NOT NULL THEN coalesce(failing_since, ?3) END";

	return db_do(tx, e, sql, seen, message, wall_ms());
}

int spool_state(struct db *d, struct spool_state *ret, struct err *e)
{
	static const struct column columns[] = {COL(struct spool_state, dir),
		COL(struct spool_state, message), COL(struct spool_state, waiting),
		COL(struct spool_state, oldest_ms),
		COL_AS(struct spool_state, failing_since_ms, "failing_since"), {0}};
	SELECT(find,
		"SELECT dir, message, max(coalesce((SELECT seq FROM sqlite_sequence WHERE name ="
		" 'events'), 0) - seen, 0) AS waiting, coalesce((SELECT at FROM events WHERE"
		" events.seq > seen ORDER BY seq LIMIT 1), 0) AS oldest_ms, failing_since"
		" FROM spool",
		columns);

	*ret = (struct spool_state){0};
	return select_one(d, e, &find, ret);
}

int spool_need(struct db *d, int64_t *ret, struct err *e)
{
	int64_t seen = 0;
	int r = db_int(d, e, &seen, "SELECT seen FROM spool");

	if (r >= 0)
		*ret = r > 0 ? seen + 1 : INT64_MAX;
	return MIN(r, 0);
}
