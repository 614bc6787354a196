/* SPDX-License-Identifier: Apache-2.0 */
#include "db/plant_range.h"

#include "base/timefmt.h"
#include "db/stmt.h"

struct standing {
	char state[12], code[32], why[ERR_TEXT_BYTES];
	int64_t fence;
};

static int refuse(const struct standing *s, const char *pool, struct err *e)
{
	const int code = err_code_from_str(s->code);

	if (!strcmp(s->state, "stopped"))
		return err_set(e, code > 0 ? (enum err_code)code : ERR_HOST_COPIED,
			"pool %s: nothing is given out: %.250s", pool, s->why);
	return err_set(e, ERR_HOST_UNPROVEN,
		"pool %s is the plant's, and since this machine was started, or its database moved, the plant has not said that this is its host and no copy of it: see that it is reached",
		pool);
}

struct range {
	int64_t id, first, last;
	bool waits;
};

static int no_lease(struct db *tx, const char *pool, int64_t next, int64_t fence, struct err *e)
{
	static const char expired[] = "SELECT 1 FROM plant_leases WHERE pool_id = ? AND fence = ?"
				      " AND state IN ('waiting', 'begun') AND last >= ?";
	int r = db_has(tx, e, expired, pool, fence, next);

	if (r > 0)
		return err_set(e, ERR_LEASE_EXPIRED,
			"pool %s: what the plant leased to this host has expired, since the plant was not reached for too long",
			pool);
	return r < 0 ? r
		     : err_set(e, ERR_POOL_EMPTY,
			       "pool %s: this host has used up the numbers that the plant leased to it, and has no others yet: see that the plant is reached, and lease more at a time",
			       pool);
}

static int begin_lease(
	struct db *tx, const char *pool, const struct range *l, int64_t *next, struct err *e)
{
	static const char skip[] =
		"INSERT INTO pool_skips (pool_id, first, last, at, by, reason) VALUES (?, ?, ?, ?, '',"
		" 'the numbers of other hosts of the plant')";
	int r = 0;

	if (l->first > *next)
		r = db_do(tx, e, skip, pool, *next, l->first - 1, wall_ms());
	if (r == 0 && l->waits)
		r = db_do(tx, e, "UPDATE plant_leases SET state = 'begun' WHERE id = ?", l->id);
	*next = MAX(*next, l->first);
	return r;
}

int plant_range(struct db *tx, const char *pool, int64_t *next, int64_t *last, struct err *e)
{
	static const struct column columns[] = {COL(struct standing, state),
		COL(struct standing, code), COL(struct standing, why), COL(struct standing, fence),
		{0}};
	SELECT(find,
		"SELECT plant.state AS state, code, why, fence FROM plant_pools, plant WHERE pool_id = ?",
		columns);
	static const struct column of_range[] = {COL(struct range, id), COL(struct range, first),
		COL(struct range, last), COL(struct range, waits), {0}};
	SELECT(lease,
		"SELECT id, first, last, state = 'waiting' AS waits FROM plant_leases WHERE pool_id = ?"
		" AND fence = ? AND state IN ('waiting', 'begun') AND last >= ? AND expires_at > ?"
		" ORDER BY first LIMIT 1",
		of_range);
	struct standing s;
	struct range l;
	int r = select_one(tx, e, &find, &s, pool);

	if (r <= 0)
		return r;
	if (strcmp(s.state, "good") != 0)
		return refuse(&s, pool, e);
	r = select_one(tx, e, &lease, &l, pool, s.fence, *next, wall_ms());
	if (r == 0)
		return no_lease(tx, pool, *next, s.fence, e);
	if (r > 0)
		r = begin_lease(tx, pool, &l, next, e);
	if (r < 0)
		return r;
	*last = l.last;
	return 1;
}
