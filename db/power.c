/* SPDX-License-Identifier: Apache-2.0 */
#include "db/power.h"

#include "base/timefmt.h"
#include "base/util.h"
#include "db/stmt.h"

int power_owed_put(struct db *tx, const char *station, const struct power_owed *p, struct err *e)
{
	static const char sql[] =
		"INSERT OR REPLACE INTO power_owed (station, run, want, at) VALUES (?, ?, ?, ?)";

	return db_do(tx, e, sql, station, p->run, p->want, wall_ms());
}

int power_owed_get(struct db *d, const char *station, struct power_owed *ret, struct err *e)
{
	static const struct column columns[] = {
		COL(struct power_owed, run), COL(struct power_owed, want), {0}};
	SELECT(find, "SELECT run, want FROM power_owed WHERE station = ?", columns);

	*ret = (struct power_owed){0};
	return MIN(select_one(d, e, &find, ret, station), 0);
}

int power_owed_settle(struct db *tx, const char *station, struct err *e)
{
	return db_do(tx, e, "DELETE FROM power_owed WHERE station = ?", station);
}
