/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/leases.h"

#include <string.h>

#include "base/form.h"
#include "base/timefmt.h"
#include "db/pool_shape.h"
#include "plant/audit.h"

#define MS_PER_DAY INT64_C(86400000)

/* --- a new pool --- */

static const char *const kinds[] = {"serial", "mac", "license", NULL};
static const char *const checks[] = {"none", "luhn", "mod36", NULL};

struct pool_form {
	char *id, *pattern, *model, *block;
	int kind, check;
	int64_t first, last, span, lease_values, lease_days;
	bool local;
};

const struct form_row pool_rows[] = {
	{"id", FORM_TEXT, .required = true, .low = 1, .high = 63,
		.doc = "Its name, which recipes use.", FORM_AT(struct pool_form, id)},
	{"kind", FORM_CHOICE, .choices = kinds, .def = "serial", FORM_AT(struct pool_form, kind)},
	{"pattern", FORM_TEXT, .required = true, .low = 1, .high = 159,
		.doc = "As that of a pool of a host.", FORM_AT(struct pool_form, pattern)},
	{"first", FORM_INT, .low = 0, .high = INT64_MAX - 1, .def = "1",
		FORM_AT(struct pool_form, first)},
	{"last", FORM_INT, .required = true, .low = 0, .high = INT64_MAX - 1,
		FORM_AT(struct pool_form, last)},
	{"check", FORM_CHOICE, .choices = checks, .def = "none", FORM_AT(struct pool_form, check)},
	{"model", FORM_TEXT, .low = 1, .high = 63, FORM_AT(struct pool_form, model)},
	{"block", FORM_TEXT, .low = 1, .high = 23, FORM_AT(struct pool_form, block)},
	{"local", FORM_BOOL, .def = "false", FORM_AT(struct pool_form, local)},
	{"span", FORM_INT, .low = 1, .high = 256, .def = "1", FORM_AT(struct pool_form, span)},
	{"lease_values", FORM_INT, .low = 1, .high = 10000000, .def = "1000",
		.doc = "How many values a host gets at a time.",
		FORM_AT(struct pool_form, lease_values)},
	{"lease_days", FORM_INT, .low = 1, .high = 3650, .def = "30",
		.doc = "How long it may give them out.", FORM_AT(struct pool_form, lease_days)},
	{0},
};

static struct pool_new shape_of(const struct pool_form *f)
{
	return (struct pool_new){.id = f->id,
		.kind = kinds[f->kind],
		.pattern = f->pattern,
		.first = f->first,
		.last = f->last,
		.check = checks[f->check],
		.model = f->model,
		.block = f->block,
		.local = f->local,
		.span = f->span};
}

struct adding {
	const struct pool_form *f;
	const char *by;
};

/* Two pools of the plant could never be on one host. */
static int check_others(
	struct pg *tx, const struct pool_new *p, const struct iotime *it, struct err *e)
{
	static const char sql[] = "SELECT id, pattern, checked, first, last, block FROM pools"
				  " WHERE kind = $1 ORDER BY id";
	struct pg_rows *rows = NULL;
	int r = pg_run(tx,
		(struct pg_query[]){
			PG("LOCK TABLE pools IN SHARE ROW EXCLUSIVE MODE"), PG(sql, p->kind)},
		2, &rows, it, e);

	for (int i = 0; r == 0 && i < pg_count(rows); i++) {
		const struct pool_new other = {.id = pg_text(rows, i, 0),
			.pattern = pg_text(rows, i, 1),
			.check = pg_text(rows, i, 2),
			.first = pg_int(rows, i, 3),
			.last = pg_int(rows, i, 4),
			.block = pg_text(rows, i, 5)};

		if (!strcmp(other.id, p->id))
			r = err_set(e, ERR_CONFLICT, "there is a pool %s already", p->id);
		else if (pools_both_give(p, &other))
			r = err_set(e, ERR_CONFLICT,
				"pool %s and pool %s could give the same %s: give them other ranges or patterns",
				p->id, other.id, p->kind);
	}
	pg_rows_free(rows);
	return r;
}

static int apply_add(struct pg *tx, void *data, const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"INSERT INTO pools (id, kind, pattern, checked, model, block, local, span, first, last,"
		" next, lease_values, lease_ms, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9,"
		" $10, $9, $11, $12, $13)";
	const struct adding *a = data;
	const struct pool_new p = shape_of(a->f);
	int r = check_others(tx, &p, it, e);

	if (r == 0)
		r = pg_run(tx,
			&PG(sql, p.id, p.kind, p.pattern, p.check, p.model, p.block,
				p.local ? "true" : "false", PG_INT(p.span), PG_INT(p.first),
				PG_INT(p.last), PG_INT(a->f->lease_values),
				PG_INT(a->f->lease_days * MS_PER_DAY), PG_INT(wall_ms())),
			1, NULL, it, e);
	if (r == -ERR_CONFLICT)
		return r;
	return r < 0 ? r : audit(tx, a->by, "pool-add", p.id, p.pattern, it, e);
}

static int first_mistake(const struct mistakes *m, struct err *e)
{
	return m->count == 0 ? 0
			     : err_set(e, ERR_UNPROCESSABLE, "%s: %s", m->item[0].pointer,
				       m->item[0].text);
}

int leases_add_pool(struct pool *p, const json_t *body, const char *by, json_t **ret,
	const struct iotime *it, struct err *e)
{
	struct mistakes m = {0};
	struct pool_form f = {0};
	struct pool_new shape;
	int r;

	form_read(pool_rows, body, "", "field", &f, &m);
	r = first_mistake(&m, e);
	if (r == 0)
		r = plant_name_check(f.id, e);
	if (r == 0) {
		shape = shape_of(&f);
		r = pool_check_alone(&shape, e);
	}
	if (r == 0)
		r = pool_do(p, apply_add, &(struct adding){&f, by}, it, e);
	if (r == 0)
		*ret = json_pack("{s:s}", "id", f.id);
	mistakes_done(&m);
	form_done(pool_rows, &f);
	return r;
}

/* --- what there is --- */

#define POOL_AS_JSON                                                                       \
	"jsonb_build_object('id', id, 'kind', kind, 'pattern', pattern, 'check', checked," \
	" 'model', model, 'block', block, 'local', local, 'span', span, 'first', first,"   \
	" 'last', last, 'lease_values', lease_values"

int leases_definitions(struct pg *tx, json_t **ret, const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"SELECT coalesce(jsonb_agg(" POOL_AS_JSON ") ORDER BY id), '[]') FROM pools";
	struct pg_rows *rows = NULL;
	int r = pg_run(tx, &PG(sql), 1, &rows, it, e);

	if (r == 0)
		r = rows_json(rows, ret, e);
	pg_rows_free(rows);
	return r;
}

int leases_pools(struct pool *p, json_t **ret, const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"SELECT coalesce(jsonb_agg(" POOL_AS_JSON
		", 'next', next, 'never_leased', (last - next + 1) / span, 'out', coalesce((SELECT"
		" sum(l.end_at - l.first) FROM leases l WHERE l.pool = pools.id AND l.state = 'out'), 0)"
		" / span, 'given_back', coalesce((SELECT sum(f.end_at - f.first) FROM free_ranges f"
		" WHERE f.pool = pools.id), 0) / span) ORDER BY id), '[]') FROM pools";

	return read_json(p, &PG(sql), ret, it, e);
}

int leases_list(struct pool *p, const char *host, const char *pool, json_t **ret,
	const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"SELECT coalesce(jsonb_agg(jsonb_build_object('lease', id, 'pool', pool, 'host', host,"
		" 'fence', fence, 'first', first, 'last', end_at - 1, 'granted_last', granted_end - 1,"
		" 'granted_at', granted_at, 'expires_at', expires_at, 'state', state, 'why', why)"
		" ORDER BY id DESC), '[]') FROM (SELECT * FROM leases WHERE ($1::text IS NULL OR host ="
		" $1) AND ($2::text IS NULL OR pool = $2) ORDER BY id DESC LIMIT 1000) AS newest";

	return read_json(p, &PG(sql, host, pool), ret, it, e);
}

/* --- a lease --- */

struct taking {
	const char *host, *request, *pool;
	int64_t fence;
	/* What there is of it: */
	int64_t next, last, span, values, lease_ms;
	/* And what it gets: */
	int64_t lease, first, end, expires_ms, now_ms;
};

/* 1 where this question was answered before. */
static int find_answered(struct pg *tx, struct taking *t, const struct iotime *it, struct err *e)
{
	static const char sql[] = "SELECT id, first, end_at, expires_at, pool, state FROM leases"
				  " WHERE host = $1 AND request = $2";
	struct pg_rows *rows = NULL;
	int r = pg_run(tx, &PG(sql, t->host, t->request), 1, &rows, it, e);

	if (r == 0 && pg_count(rows) > 0) {
		if (strcmp(pg_text(rows, 0, 4), t->pool) || strcmp(pg_text(rows, 0, 5), "out")) {
			r = err_set(e, ERR_CONFLICT,
				"host %s asked for a lease by the name %.40s before, and that one is over: another name expected",
				t->host, t->request);
		} else {
			t->lease = pg_int(rows, 0, 0);
			t->first = pg_int(rows, 0, 1);
			t->end = pg_int(rows, 0, 2);
			t->expires_ms = pg_int(rows, 0, 3);
			r = 1;
		}
	}
	pg_rows_free(rows);
	return r;
}

static int find_pool(struct pg *tx, struct taking *t, const struct iotime *it, struct err *e)
{
	static const char sql[] = "SELECT next, last, span, lease_values, lease_ms FROM pools"
				  " WHERE id = $1 FOR UPDATE";
	struct pg_rows *rows = NULL;
	int r = pg_run(tx, &PG(sql, t->pool), 1, &rows, it, e);

	if (r == 0 && pg_count(rows) == 0)
		r = err_set(e, ERR_NOT_FOUND, "the plant has no pool '%s'", t->pool);
	if (r == 0) {
		t->next = pg_int(rows, 0, 0);
		t->last = pg_int(rows, 0, 1);
		t->span = pg_int(rows, 0, 2);
		t->values = pg_int(rows, 0, 3);
		t->lease_ms = pg_int(rows, 0, 4);
	}
	pg_rows_free(rows);
	return r;
}

/* What others gave back, where it comes after all that this host ever had: its sequence never goes back. 1 with it. */
static int take_free(struct pg *tx, struct taking *t, const struct iotime *it, struct err *e)
{
	static const char find[] =
		"SELECT first, end_at FROM free_ranges WHERE pool = $1 AND first >= coalesce((SELECT"
		" max(granted_end) FROM leases WHERE pool = $1 AND host = $2), 0) ORDER BY first LIMIT 1"
		" FOR UPDATE";
	static const char cut[] =
		"UPDATE free_ranges SET first = $3 WHERE pool = $1 AND first = $2";
	static const char all[] = "DELETE FROM free_ranges WHERE pool = $1 AND first = $2";
	struct pg_rows *rows = NULL;
	int64_t end = 0;
	int r = pg_run(tx, &PG(find, t->pool, t->host), 1, &rows, it, e);
	bool found = r == 0 && pg_count(rows) > 0;

	if (found) {
		t->first = pg_int(rows, 0, 0);
		end = pg_int(rows, 0, 1);
		t->end = MIN(end, t->first + t->values * t->span);
	}
	pg_rows_free(rows);
	if (!found)
		return r;
	r = t->end < end ? pg_run(tx, &PG(cut, t->pool, PG_INT(t->first), PG_INT(t->end)), 1, NULL,
				   it, e)
			 : pg_run(tx, &PG(all, t->pool, PG_INT(t->first)), 1, NULL, it, e);
	return r < 0 ? r : 1;
}

static int take_new(struct pg *tx, struct taking *t, const struct iotime *it, struct err *e)
{
	int64_t left = t->last - t->next + 1;

	if (left <= 0)
		return err_set(e, ERR_POOL_EMPTY,
			"pool %s of the plant has leased its last number (%lld)", t->pool,
			(long long)t->last);
	t->first = t->next;
	t->end = t->next + MIN(left, t->values * t->span);
	return pg_run(tx, &PG("UPDATE pools SET next = $2 WHERE id = $1", t->pool, PG_INT(t->end)),
		1, NULL, it, e);
}

static int grant(struct pg *tx, struct taking *t, const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"INSERT INTO leases (pool, host, fence, request, first, end_at, granted_end,"
		" granted_at, expires_at, state) VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, 'out')"
		" RETURNING id";
	struct pg_rows *rows = NULL;
	int r;

	t->expires_ms = t->now_ms + t->lease_ms;
	r = pg_run(tx,
		&PG(sql, t->pool, t->host, PG_INT(t->fence), t->request, PG_INT(t->first),
			PG_INT(t->end), PG_INT(t->now_ms), PG_INT(t->expires_ms)),
		1, &rows, it, e);
	if (r == 0)
		t->lease = pg_int(rows, 0, 0);
	pg_rows_free(rows);
	return r;
}

static int apply_take(struct pg *tx, void *data, const struct iotime *it, struct err *e)
{
	struct taking *t = data;
	int r = hosts_check_fence(tx, t->host, t->fence, NULL, it, e);

	t->now_ms = wall_ms();
	if (r == 0)
		r = find_answered(tx, t, it, e);
	if (r != 0)
		return MIN(r, 0);
	r = find_pool(tx, t, it, e);
	if (r == 0)
		r = take_free(tx, t, it, e);
	if (r == 0)
		r = take_new(tx, t, it, e);
	return r < 0 ? r : grant(tx, t, it, e);
}

int leases_take(struct pool *p, const char *host, int64_t fence, const char *request,
	const char *pool, json_t **ret, const struct iotime *it, struct err *e)
{
	struct taking t = {.host = host, .request = request, .pool = pool, .fence = fence};
	int r = pool_do(p, apply_take, &t, it, e);

	if (r == 0)
		*ret = json_pack("{s:I, s:s, s:I, s:I, s:I}", "lease", (json_int_t)t.lease, "pool",
			pool, "first", (json_int_t)t.first, "last", (json_int_t)t.end - 1,
			"expires_in_s", (json_int_t)MAX(t.expires_ms - t.now_ms, 0) / 1000);
	return r;
}

/* --- what comes back --- */

struct returning {
	const char *host;
	int64_t fence, lease, next;
};

static int give_back(struct pg *tx, const struct returning *b, const char *pool, int64_t end,
	const struct iotime *it, struct err *e)
{
	static const char cut[] = "UPDATE leases SET state = 'returned', end_at = $2 WHERE id = $1";
	static const char keep[] =
		"INSERT INTO free_ranges (pool, first, end_at) SELECT $1, $2::bigint,"
		" $3::bigint WHERE $2::bigint < $3::bigint";

	return pg_run(tx,
		(struct pg_query[]){PG(cut, PG_INT(b->lease), PG_INT(b->next)),
			PG(keep, pool, PG_INT(b->next), PG_INT(end))},
		2, NULL, it, e);
}

static int apply_return(struct pg *tx, void *data, const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"SELECT l.state, l.pool, l.first, l.end_at, p.span FROM leases l JOIN pools p ON p.id ="
		" l.pool WHERE l.id = $1 AND l.host = $2 FOR UPDATE";
	const struct returning *b = data;
	struct pg_rows *rows = NULL;
	int r = hosts_check_fence(tx, b->host, b->fence, NULL, it, e);

	if (r == 0)
		r = pg_run(tx, &PG(sql, PG_INT(b->lease), b->host), 1, &rows, it, e);
	if (r == 0 && pg_count(rows) == 0)
		r = err_set(e, ERR_NOT_FOUND, "host %s has no lease %lld", b->host,
			(long long)b->lease);
	else if (r == 0 && !strcmp(pg_text(rows, 0, 0), "out") &&
		 (b->next < pg_int(rows, 0, 2) || b->next > pg_int(rows, 0, 3) ||
			 (b->next - pg_int(rows, 0, 2)) % pg_int(rows, 0, 4)))
		r = err_set(e, ERR_UNPROCESSABLE,
			"host %s gives lease %lld back from %lld on: a number of its values from %lld to %lld expected",
			b->host, (long long)b->lease, (long long)b->next,
			(long long)pg_int(rows, 0, 2), (long long)pg_int(rows, 0, 3));
	else if (r == 0 && !strcmp(pg_text(rows, 0, 0), "out"))
		r = give_back(tx, b, pg_text(rows, 0, 1), pg_int(rows, 0, 3), it, e);
	pg_rows_free(rows);
	return r;
}

int leases_return(struct pool *p, const char *host, int64_t fence, int64_t lease, int64_t next,
	const struct iotime *it, struct err *e)
{
	struct returning b = {host, fence, lease, next};

	return pool_do(p, apply_return, &b, it, e);
}
