/* SPDX-License-Identifier: Apache-2.0
 *
 * The gaps of a pool: what it has spent, and no passed unit carries.
 */
#include "db/pools.h"
#include "db/stmt.h"

#define TAKEN                                                                                  \
	"SELECT s.pool_id AS pool, s.ordinal AS first, s.ordinal + p.span - 1 AS last,"        \
	" s.value AS value, s.slot AS slot, s.state AS state, s.exposed AS exposed,"           \
	" s.run_id AS run, r.station AS station, s.unit_id AS unit,"                           \
	" coalesce(s.settled_at, s.reserved_at) AS at, r.outcome AS outcome, r.code AS code,"  \
	" CASE s.state WHEN 'reserved' THEN 'in work' WHEN 'void' THEN s.reason"               \
	" ELSE 'on a unit that is ' || u.state || ': ' || coalesce(s.reason, '') END AS why"   \
	" FROM serials s JOIN pools p ON p.id = s.pool_id LEFT JOIN runs r ON r.id = s.run_id" \
	" LEFT JOIN units u ON u.id = s.unit_id"                                               \
	" WHERE s.state IN ('reserved', 'void') OR (s.state = 'committed' AND u.state NOT IN ('passed', 'provisioned'))"

/* A value that was in the ledger already may be on a passed unit. */
#define PASSED_OVER                                                                            \
	"SELECT k.pool_id AS pool, k.first AS first, k.last AS last, k.value AS value,"        \
	" '' AS slot, 'skipped' AS state, 0 AS exposed, NULL AS run, NULL AS station,"         \
	" NULL AS unit, k.at AS at, NULL AS outcome, NULL AS code,"                            \
	" CASE k.by WHEN '' THEN k.reason ELSE 'advanced by ' || k.by || ': ' || k.reason END" \
	" AS why FROM pool_skips k JOIN pools p ON p.id = k.pool_id"                           \
	" WHERE k.value IS NULL OR NOT EXISTS (SELECT 1 FROM serials s"                        \
	" JOIN units u ON u.id = s.unit_id WHERE s.kind = p.kind AND s.value = k.value"        \
	" AND s.state = 'committed' AND u.state IN ('passed', 'provisioned'))"

static const struct column columns[] = {{"first", AS_INT}, {"last", AS_INT}, {"value", AS_TEXT},
	{"slot", AS_TEXT}, {"state", AS_TEXT}, {"exposed", AS_BOOL}, {"run", AS_TEXT},
	{"station", AS_TEXT}, {"unit", AS_TEXT}, {"at", AS_TIME}, {"outcome", AS_TEXT},
	{"code", AS_TEXT}, {"why", AS_TEXT}, {0}};

int pools_gaps(struct db *d, const char *id, const struct db_page *page, struct db_list *ret,
	struct err *e)
{
	SELECT(gaps,
		"SELECT first, last, value, slot, state, exposed, run, station, unit, at, outcome,"
		" code, why FROM (" TAKEN " UNION ALL " PASSED_OVER ")",
		columns);
	static const struct keyset order = {.major = "first", .ascending = true};
	static const char exists[] = "SELECT 1 FROM pools WHERE id = ?";
	struct sel s;
	int r = db_has(d, e, exists, id);

	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no pool '%s'", id);
	if (r < 0)
		return r;
	sel_init(&s, &gaps);
	sel_str(&s, "pool = ?", id);
	return sel_page(&s, d, &order, page, ret, e);
}
