/* SPDX-License-Identifier: Apache-2.0 */
#include "db/pools.h"

#include "base/timefmt.h"
#include "db/ledger.h"
#include "db/pattern.h"
#include "db/pool_check.h"
#include "db/stmt.h"

static int check_id(struct db *tx, const char *id, struct err *e)
{
	int r = db_has(tx, e, "SELECT 1 FROM pools WHERE id = ?", id);

	if (r > 0)
		return err_set(e, ERR_CONFLICT,
			"there is a pool %s already: choose another id, or add to that one", id);
	return r;
}

int pools_create(struct db *tx, const struct pool_new *p, struct err *e)
{
	static const char sql[] =
		"INSERT INTO pools (id, kind, pattern, first, last, next, checked, model,"
		" low_water, block, local, span, created_at)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?4, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
	int64_t first = p->pattern ? p->first : 0;
	int64_t last = p->pattern ? p->last : -1;
	int r = check_id(tx, p->id, e);

	if (r == 0)
		r = pool_check(tx, p, e);
	if (r == 0)
		r = db_run(tx, e, sql, p->id, p->kind, p->pattern, first, last, p->check, p->model,
			p->low_water, p->block, p->local, p->span ? p->span : (int64_t)1,
			wall_ms());
	if (r < 0)
		return r;
	return db_event(tx, "pool-created", NULL, NULL, NULL, NULL,
		json_pack("{s:s, s:s}", "pool", p->id, "kind", p->kind), e);
}

struct pool_row {
	const char *kind, *pattern, *checked, *block; /* pattern NULL: a list */
	int64_t first, next, last, span, revision;
	bool local;
};

static const struct column pool_columns[] = {COL(struct pool_row, kind),
	COL(struct pool_row, pattern), COL(struct pool_row, checked), COL(struct pool_row, block),
	COL(struct pool_row, first), COL(struct pool_row, next), COL(struct pool_row, last),
	COL(struct pool_row, span), COL(struct pool_row, revision), COL(struct pool_row, local),
	{0}};

/* The texts of *ret are borrowed until q is done. */
static int find_pool(
	struct query *q, struct db *tx, const char *id, struct pool_row *ret, struct err *e)
{
	SELECT(find,
		"SELECT kind, pattern, checked, block, first, next, last, span, revision, local"
		" FROM pools WHERE id = ?",
		pool_columns);
	int r = select_begin(q, tx, e, &find, id);

	if (r == 0)
		r = select_next(q, ret, e);
	return r == 0 ? err_set(e, ERR_NOT_FOUND, "there is no pool '%s'", id) : r;
}

/* The pool with another end. */
static int check_extended(
	struct db *tx, const char *id, const struct pool_row *row, int64_t last, struct err *e)
{
	const struct pool_new p = {.id = id,
		.kind = row->kind,
		.pattern = row->pattern,
		.first = row->first,
		.last = last,
		.check = row->checked,
		.block = row->block,
		.local = row->local,
		.span = row->span};

	return row->pattern && last != row->last ? pool_check(tx, &p, e) : 0;
}

int pools_extend(struct db *tx, const char *id, int64_t last, int64_t low_water, int64_t revision,
	struct err *e)
{
	static const char sql[] = "UPDATE pools SET last = ?, low_water = ?,"
				  " revision = revision + 1 WHERE id = ?";
	_cleanup_(query_done) struct query q = {0};
	struct pool_row row;
	int r = find_pool(&q, tx, id, &row, e);

	if (r < 0)
		return r;
	if (revision && revision != row.revision)
		return err_set(e, ERR_PRECONDITION, "pool %s was changed meanwhile (revision %lld)",
			id, (long long)row.revision);
	if (last < row.last)
		return err_set(e, ERR_INVALID, "pool %s ends at %lld and can only grow", id,
			(long long)row.last);
	if (!row.pattern && last != row.last)
		return err_set(e, ERR_INVALID, "pool %s is a list: add values instead", id);
	r = check_extended(tx, id, &row, last, e);
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
	static const char sql[] = "UPDATE pools SET next = ?, revision = revision + 1 WHERE id = ?";
	static const char skip[] = "INSERT INTO pool_skips (pool_id, first, last, at, by, reason)"
				   " VALUES (?, ?, ?, ?, ?, ?)";
	_cleanup_(query_done) struct query q = {0};
	struct pool_row row;
	int r = find_pool(&q, tx, id, &row, e);

	if (r < 0)
		return r;
	if (!row.pattern)
		return err_set(e, ERR_INVALID,
			"pool %s is a list of values: it has no sequence to advance", id);
	if (next < row.next || next > row.last + 1)
		return err_set(e, ERR_INVALID,
			"pool %s: the next number is %lld now and can go up to %lld, not to %lld",
			id, (long long)row.next, (long long)row.last + 1, (long long)next);
	if ((next - row.first) % row.span)
		return err_set(e, ERR_INVALID,
			"pool %s: a value is the first of %lld addresses: %lld is within those of another value",
			id, (long long)row.span, (long long)next);
	r = db_run(tx, e, sql, next, id);
	if (r >= 0 && next > row.next)
		r = db_do(tx, e, skip, id, row.next, next - 1, wall_ms(), by, reason);
	if (r < 0)
		return r;
	db_mark_pool(tx, id, next);
	return db_event(tx, "pool-advanced", NULL, NULL, NULL, NULL,
		json_pack("{s:s, s:I, s:I, s:s, s:s}", "pool", id, "from", (json_int_t)row.next,
			"to", (json_int_t)next, "reason", reason, "by", by),
		e);
}

int pools_add_values(
	struct db *tx, const char *id, const json_t *values, json_t **ret_offending, struct err *e)
{
	_cleanup_(query_done) struct query q = {0};
	struct pool_row row;
	int r = find_pool(&q, tx, id, &row, e);

	if (r < 0)
		return r;
	if (row.pattern)
		return err_set(e, ERR_INVALID, "pool %s makes its values by a pattern", id);
	return ledger_add_values(tx, row.kind, id, NULL, values, ret_offending, e);
}

int pools_dated(struct db *d, const char *id, bool *ret, struct err *e)
{
	_cleanup_(query_done) struct query q = {0};
	struct pool_row row;
	int r = find_pool(&q, d, id, &row, e);

	if (r < 0 && r != -ERR_NOT_FOUND)
		return r;
	*ret = r > 0 && row.pattern && pattern_dated(row.pattern);
	return 0;
}

/* How fast a pattern is used up: of its newest values, which are at the end of serials_by_pool, those of
 * the last week, and since when that is. In a list the newest values are those that came in last. */
#define WEEK_AGO "unixepoch() * 1000 - 604800000"
#define SPENT_WEEK                                                                     \
	"CASE WHEN pattern IS NULL THEN NULL ELSE (SELECT count(*) FROM"               \
	" (SELECT reserved_at FROM serials WHERE pool_id = pools.id ORDER BY seq DESC" \
	" LIMIT 2000) WHERE reserved_at >= " WEEK_AGO ") END AS spent_week,"           \
	" CASE WHEN pattern IS NULL THEN NULL ELSE max(created_at, " WEEK_AGO ","      \
	" coalesce((SELECT reserved_at FROM serials WHERE pool_id = pools.id"          \
	" ORDER BY seq DESC LIMIT 1 OFFSET 1999), 0)) END AS spent_since"
/* Of a pool of the plant: what this host may give out (db/plant.h). */
#define LEASED                                                                               \
	"coalesce((SELECT sum((l.last - max(l.first, pools.next) + 1) / pools.span) FROM"    \
	" plant_leases l, plant p WHERE l.pool_id = pools.id AND l.fence = p.fence AND"      \
	" p.state = 'good' AND l.state IN ('waiting', 'begun') AND l.last >= pools.next AND" \
	" l.expires_at > unixepoch() * 1000), 0)"
#define SELECT_POOLS                                                                                              \
	"SELECT id, kind, pattern, first, last, next, checked AS \"check\", model, low_water,"                    \
	" block, local, span, created_at, revision, CASE WHEN pattern IS NULL THEN (SELECT count(*) FROM serials" \
	" WHERE pool_id = pools.id AND state = 'free') WHEN id IN (SELECT pool_id FROM plant_pools)"              \
	" THEN " LEASED " ELSE (last - next + 1) / span END AS remaining, " SPENT_WEEK                            \
	" FROM pools"

static const struct column columns[] = {{"id", AS_TEXT}, {"kind", AS_TEXT}, {"pattern", AS_TEXT},
	{"first", AS_INT}, {"last", AS_INT}, {"next", AS_INT}, {"check", AS_TEXT},
	{"model", AS_TEXT}, {"low_water", AS_INT}, {"block", AS_TEXT}, {"local", AS_BOOL},
	{"span", AS_INT}, {"created_at", AS_TIME}, {"revision", AS_INT}, {"remaining", AS_INT},
	{"spent_week", AS_INT}, {"spent_since", AS_TIME}, {0}};

int pools_get(struct db *d, const char *id, json_t **ret, struct err *e)
{
	SELECT(get, SELECT_POOLS " WHERE id = ?", columns);

	return db_one_json(d, e, "pool", &get, ret, id);
}

int pools_list(struct db *d, json_t **ret, struct err *e)
{
	SELECT(all, SELECT_POOLS " ORDER BY id", columns);

	return db_all_json(d, e, &all, ret);
}
