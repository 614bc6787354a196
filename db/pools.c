/* SPDX-License-Identifier: Apache-2.0 */
#include "db/pools.h"

#include "base/timefmt.h"
#include "db/ledger.h"
#include "db/pattern.h"
#include "db/stmt.h"

int pools_create(struct db *tx, const struct pool_new *p, struct err *e)
{
	static const char sql[] = "INSERT INTO pools (id, kind, pattern, first, last, next, "
				  "checked, model, low_water,"
				  " created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?4, ?6, ?7, ?8, ?9)";
	int64_t first = p->pattern ? p->first : 0;
	int64_t last = p->pattern ? p->last : -1;
	int r = 0;

	if (p->pattern && (first < 0 || last < first))
		return err_set(e, ERR_INVALID, "pool %s: the range %lld..%lld is empty", p->id,
			(long long)first, (long long)last);
	if (p->pattern)
		r = pattern_check(p->pattern, p->check, last, e);
	else if (strcmp(p->check, "none"))
		return err_set(
			e, ERR_INVALID, "pool %s: a list has no check digit of its own", p->id);
	if (r == 0)
		r = db_run(tx, e, sql, p->id, p->kind, p->pattern, first, last, p->check, p->model,
			p->low_water, wall_ms());
	if (r < 0)
		return r;
	return db_event(tx, "pool-created", NULL, NULL, NULL, NULL,
		json_pack("{s:s, s:s}", "pool", p->id, "kind", p->kind), e);
}

/* q is at the pool's row on success; sql has one parameter, the pool's id. */
static int find_pool(struct query *q, struct db *tx, const char *sql, const char *id, struct err *e)
{
	int r = query_begin(q, tx, e, sql, id);

	if (r == 0)
		r = query_next(q, e);
	return r == 0 ? err_set(e, ERR_NOT_FOUND, "there is no pool '%s'", id) : r;
}

int pools_extend(struct db *tx, const char *id, int64_t last, int64_t low_water, int64_t revision,
	struct err *e)
{
	static const char find[] =
		"SELECT revision, last, pattern, checked FROM pools WHERE id = ?";
	static const char sql[] = "UPDATE pools SET last = ?, low_water = ?,"
				  " revision = revision + 1 WHERE id = ?";
	_cleanup_(query_done) struct query q = {0};
	int r = find_pool(&q, tx, find, id, e);

	if (r < 0)
		return r;
	if (revision && revision != col_int(&q, 0))
		return err_set(e, ERR_PRECONDITION, "pool %s was changed meanwhile (revision %lld)",
			id, (long long)col_int(&q, 0));
	if (last < col_int(&q, 1))
		return err_set(e, ERR_INVALID, "pool %s ends at %lld and can only grow", id,
			(long long)col_int(&q, 1));
	if (col_null(&q, 2) && last != col_int(&q, 1))
		return err_set(e, ERR_INVALID, "pool %s is a list: add values instead", id);
	r = col_null(&q, 2) ? 0 : pattern_check(col_str(&q, 2), col_str(&q, 3), last, e);
	if (r == 0)
		r = db_run(tx, e, sql, last, low_water, id);
	if (r < 0)
		return r;
	return db_event(tx, "pool-extended", NULL, NULL, NULL, NULL,
		json_pack("{s:s, s:I}", "pool", id, "last", (json_int_t)last), e);
}

int pools_advance(struct db *tx, const char *id, int64_t next, const char *reason, const char *by,
	struct err *e)
{
	static const char find[] = "SELECT next, last, pattern FROM pools WHERE id = ?";
	static const char sql[] = "UPDATE pools SET next = ?, revision = revision + 1 WHERE id = ?";
	_cleanup_(query_done) struct query q = {0};
	int r = find_pool(&q, tx, find, id, e);

	if (r < 0)
		return r;
	if (col_null(&q, 2))
		return err_set(e, ERR_INVALID,
			"pool %s is a list of values: it has no sequence to advance", id);
	if (next < col_int(&q, 0) || next > col_int(&q, 1) + 1)
		return err_set(e, ERR_INVALID,
			"pool %s: the next number is %lld now and can go up to %lld, not to %lld",
			id, (long long)col_int(&q, 0), (long long)col_int(&q, 1) + 1,
			(long long)next);
	r = db_run(tx, e, sql, next, id);
	if (r < 0)
		return r;
	db_mark_pool(tx, id, next);
	return db_event(tx, "pool-advanced", NULL, NULL, NULL, NULL,
		json_pack("{s:s, s:I, s:I, s:s, s:s}", "pool", id, "from",
			(json_int_t)col_int(&q, 0), "to", (json_int_t)next, "reason", reason, "by",
			by),
		e);
}

int pools_add_values(
	struct db *tx, const char *id, const json_t *values, json_t **ret_offending, struct err *e)
{
	static const char find[] = "SELECT kind, pattern FROM pools WHERE id = ?";
	_cleanup_(query_done) struct query q = {0};
	int r = find_pool(&q, tx, find, id, e);

	if (r < 0)
		return r;
	if (!col_null(&q, 1))
		return err_set(e, ERR_INVALID, "pool %s makes its values by a pattern", id);
	return ledger_add_values(tx, col_str(&q, 0), id, NULL, values, ret_offending, e);
}

int pools_dated(struct db *d, const char *id, bool *ret, struct err *e)
{
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, d, e, "SELECT pattern FROM pools WHERE id = ?", id);

	if (r == 0)
		r = query_next(&q, e);
	if (r < 0)
		return r;
	*ret = r > 0 && !col_null(&q, 0) && pattern_dated(col_str(&q, 0));
	return 0;
}

#define SELECT_POOLS                                                                           \
	"SELECT id, kind, pattern, first, last, next, checked AS \"check\", model, low_water," \
	" created_at, revision, CASE WHEN pattern IS NULL THEN (SELECT count(*) FROM serials"  \
	" WHERE pool_id = pools.id AND state = 'free') ELSE last - next + 1 END AS remaining"  \
	" FROM pools"
#define KINDS "sssiiissitii"

int pools_get(struct db *d, const char *id, json_t **ret, struct err *e)
{
	static const char sql[] = SELECT_POOLS " WHERE id = ?";

	return db_one_json(d, e, "pool", KINDS, ret, sql, id);
}

int pools_list(struct db *d, json_t **ret, struct err *e)
{
	static const char sql[] = SELECT_POOLS " ORDER BY id";

	return db_all_json(d, e, KINDS, ret, sql, NULL);
}
