/* SPDX-License-Identifier: Apache-2.0 */
#include "db/clock.h"

#include "db/events.h"
#include "db/stmt.h"

/* The floor is kept now and then; what came after is in the newest events. Those of a clock that
 * fell are earlier ones, and pass unseen. */
#define RECENT 2000

int clock_floor(struct db *d, int64_t *ret_ms, struct err *e)
{
	static const char sql[] =
		"SELECT max(c.floor_ms, coalesce((SELECT max(at) FROM (SELECT at FROM events"
		" WHERE seq > c.after_seq ORDER BY seq DESC LIMIT ?)), 0)) FROM clock c";
	int64_t ms = 0;
	int r = db_int(d, e, &ms, sql, (int64_t)RECENT);

	if (r < 0)
		return r;
	*ret_ms = ms;
	return 0;
}

int clock_keep(struct db *tx, int64_t ms, struct err *e)
{
	return db_do(tx, e, "UPDATE clock SET floor_ms = max(floor_ms, ?)", ms);
}

int clock_accept(struct db *tx, int64_t ms, const char *by, const char *reason, struct err *e)
{
	int64_t first;
	int64_t last;
	int r = events_bounds(tx, &first, &last, e);

	if (r == 0)
		r = db_do(tx, e, "UPDATE clock SET floor_ms = ?, after_seq = ?", ms, last);
	if (r < 0)
		return r;
	return db_event(tx, "clock-accepted", NULL, NULL, NULL, NULL,
		json_pack("{s:s, s:s}", "by", by, "reason", reason), e);
}
