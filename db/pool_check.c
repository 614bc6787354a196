/* SPDX-License-Identifier: Apache-2.0 */
#include "db/pool_check.h"

#include "db/stmt.h"

static const struct column made_columns[] = {COL(struct pool_new, id),
	COL(struct pool_new, pattern), COL_AS(struct pool_new, check, "checked"),
	COL(struct pool_new, first), COL(struct pool_new, last), COL(struct pool_new, block), {0}};

SELECT(pools_that_make,
	"SELECT id, pattern, checked, first, last, block FROM pools"
	" WHERE kind = ? AND pattern IS NOT NULL ORDER BY id",
	made_columns);

static int check_made(struct db *tx, const struct pool_new *p, struct err *e)
{
	_cleanup_(query_done) struct query q = {0};
	struct pool_new other;
	int r = select_begin(&q, tx, e, &pools_that_make, p->kind);

	while (r == 0 && (r = select_next(&q, &other, e)) > 0)
		r = strcmp(p->id, other.id) && pools_both_give(p, &other)
			    ? err_set(e, ERR_CONFLICT,
				      "pool %s and pool %s could give the same %s: give them other ranges or patterns",
				      p->id, other.id, p->kind)
			    : 0;
	return r;
}

static int check_listed(struct db *tx, const struct pool_new *p, struct err *e)
{
	struct listed {
		const char *pool, *value;
	} row;
	static const struct column columns[] = {
		COL(struct listed, pool), COL(struct listed, value), {0}};
	SELECT(listed,
		"SELECT s.pool_id AS pool, s.value AS value FROM pools p"
		" CROSS JOIN serials s ON s.pool_id = p.id WHERE p.kind = ? AND p.pattern IS NULL",
		columns);
	_cleanup_(query_done) struct query q = {0};
	int r = select_begin(&q, tx, e, &listed, p->kind);

	while (r == 0 && (r = select_next(&q, &row, e)) > 0)
		r = pool_gives(p, row.value)
			    ? err_set(e, ERR_CONFLICT,
				      "pool %s could give '%s', which is in the list of pool %s: give it another range or pattern",
				      p->id, row.value, row.pool)
			    : 0;
	return r;
}

int pool_giving(
	struct db *tx, const char *kind, const char *value, char ret_id[DB_ID_SIZE], struct err *e)
{
	_cleanup_(query_done) struct query q = {0};
	struct pool_new other;
	int r = select_begin(&q, tx, e, &pools_that_make, kind);

	while (r == 0 && (r = select_next(&q, &other, e)) > 0) {
		if (pool_gives(&other, value)) {
			snprintf(ret_id, DB_ID_SIZE, "%s", other.id);
			return 1;
		}
		r = 0;
	}
	return r;
}

int pool_check(struct db *tx, const struct pool_new *p, struct err *e)
{
	int r;

	if (!p->pattern) {
		if (strcmp(p->check, "none"))
			return err_set(e, ERR_INVALID,
				"pool %s: a list has no check digit of its own", p->id);
		return pool_check_no_addresses(p, e);
	}
	r = pool_check_alone(p, e);
	if (r == 0)
		r = check_made(tx, p, e);
	return r < 0 ? r : check_listed(tx, p, e);
}
