/* SPDX-License-Identifier: Apache-2.0 */
#include "db/stmt.h"

#include <math.h>

#include "base/timefmt.h"
#include "db/db_impl.h"

bool db_in_transaction(struct db *d)
{
	return d->engine->ops->in_transaction(d->engine);
}

static uint64_t text_hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3u;
	return h;
}

/* The cached statement of this text, or a new one: cached while there is room, the query's own
 * where the cached one is in use further up the stack. */
static int prepare(struct query *q, const char *sql, struct err *e)
{
	struct db *d = q->db;
	const struct engine_ops *ops = d->engine->ops;
	uint64_t h = text_hash(sql);
	size_t slot = h % DB_CACHE_SLOTS;
	int r;

	for (; d->cache[slot].st; slot = (slot + 1) % DB_CACHE_SLOTS)
		if (d->cache[slot].hash == h && !strcmp(ops->sql(d->cache[slot].st), sql)) {
			q->st = d->cache[slot].st;
			q->own = ops->busy(q->st);
			if (!q->own)
				return 0;
			break;
		}
	q->st = NULL;
	r = ops->prepare(d->engine, sql, !q->own, &q->st, e);
	if (r < 0)
		return r;
	if (!q->own && d->cached < DB_CACHE_SLOTS * 3 / 4) {
		d->cache[slot].hash = h;
		d->cache[slot].st = q->st;
		d->cached++;
	} else {
		q->own = true;
	}
	return 0;
}

int query_begin_with(struct query *q, struct db *d, struct err *e, const char *sql,
	const struct bind *parameters)
{
	int r;

	*q = (struct query){.db = d};
	if (d->in_tx && !db_in_transaction(d))
		return err_set(e, ERR_DATABASE, "the transaction was given up by an earlier error");
	r = prepare(q, sql, e);
	for (int i = 0; r == 0 && parameters[i].type != BIND_END; i++)
		r = d->engine->ops->bind(d->engine, q->st, i + 1, &parameters[i], e);
	return r;
}

int query_next(struct query *q, struct err *e)
{
	return q->db->engine->ops->step(q->db->engine, q->st, e);
}

void query_done(struct query *q)
{
	if (q->st && q->own)
		q->db->engine->ops->finalize(q->st);
	else if (q->st)
		q->db->engine->ops->reset(q->st);
	*q = (struct query){0};
}

int db_run_with(struct db *d, struct err *e, const char *sql, const struct bind *parameters)
{
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin_with(&q, d, e, sql, parameters);

	if (r < 0)
		return r;
	do
		r = query_next(&q, e);
	while (r > 0);
	return r < 0 ? r : d->engine->ops->changed(d->engine);
}

int db_do_with(struct db *d, struct err *e, const char *sql, const struct bind *parameters)
{
	int r = db_run_with(d, e, sql, parameters);

	return r < 0 ? r : 0;
}

int db_run_one_with(struct db *d, struct err *e, const char *what, const char *sql,
	const struct bind *parameters)
{
	int r = db_run_with(d, e, sql, parameters);

	if (r < 0)
		return r;
	return r == 1 ? 0 : err_set(e, ERR_NOT_FOUND, "%s is not there", what);
}

int db_script(struct db *d, const char *sql, struct err *e)
{
	return d->engine->ops->script(d->engine, sql, e);
}

int64_t col_int(const struct query *q, int i)
{
	return q->db->engine->ops->get_int(q->st, i);
}

double col_real(const struct query *q, int i)
{
	return q->db->engine->ops->get_real(q->st, i);
}

bool col_null(const struct query *q, int i)
{
	return q->db->engine->ops->is_null(q->st, i);
}

const char *col_str(const struct query *q, int i)
{
	const char *s = q->db->engine->ops->get_text(q->st, i);

	return s ? s : "";
}

char *col_dup(const struct query *q, int i)
{
	return col_null(q, i) ? NULL : xstrdup(col_str(q, i));
}

void col_copy(const struct query *q, int i, char *buf, size_t size)
{
	snprintf(buf, size, "%s", col_str(q, i));
}

static json_t *col_json(const struct query *q, int i, char kind)
{
	char when[RFC3339_SIZE];
	json_t *v = NULL;

	if (col_null(q, i))
		return json_null();
	if (kind == 'i')
		v = json_integer(col_int(q, i));
	else if (kind == 'd')
		v = isfinite(col_real(q, i)) ? json_real(col_real(q, i)) : json_null();
	else if (kind == 'b')
		v = json_boolean(col_int(q, i) != 0);
	else if (kind == 't')
		v = json_string(rfc3339(col_int(q, i), when));
	else if (kind == 'j')
		v = json_loads(col_str(q, i), JSON_DECODE_ANY, NULL);
	else
		v = json_string(col_str(q, i));
	return v ? v : json_null();
}

json_t *row_json(const struct query *q, const char *kinds)
{
	json_t *row = json_object();

	for (int i = 0; kinds[i]; i++)
		if (kinds[i] != '-')
			json_object_set_new(row, q->db->engine->ops->column_name(q->st, i),
				col_json(q, i, kinds[i]));
	return row;
}

int db_one_json(struct db *d, struct err *e, const char *what, const char *kinds, json_t **ret,
	const char *sql, const char *key)
{
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin_with(&q, d, e, sql, key ? BINDS(key) : BINDS());

	if (r < 0)
		return r;
	r = query_next(&q, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no %s '%s'", what, key ? key : "");
	*ret = row_json(&q, kinds);
	return 0;
}

int db_all_json(struct db *d, struct err *e, const char *kinds, json_t **ret, const char *sql,
	const char *key)
{
	_cleanup_(query_done) struct query q = {0};
	json_t *all = json_array();
	int r = query_begin_with(&q, d, e, sql, key ? BINDS(key) : BINDS());

	while (r >= 0 && (r = query_next(&q, e)) > 0)
		json_array_append_new(all, row_json(&q, kinds));
	if (r < 0) {
		json_decref(all);
		return r;
	}
	*ret = all;
	return 0;
}

void sel_init(struct sel *s, const char *head)
{
	*s = (struct sel){0};
	sb_add(&s->sql, head);
}

bool sel_and(struct sel *s, const char *cond)
{
	if (s->n >= (int)ARRAY_LEN(s->param) - 3) /* room for the keyset */
		return false;
	sb_add(&s->sql, s->where ? " AND " : " WHERE ");
	sb_add(&s->sql, cond);
	s->where = true;
	return true;
}

void sel_str(struct sel *s, const char *cond, const char *v)
{
	if (v && *v && sel_and(s, cond))
		s->param[s->n++] = bind_text(v);
}

void sel_int(struct sel *s, const char *cond, int64_t v)
{
	if (sel_and(s, cond))
		s->param[s->n++] = bind_int(v);
}

/* A cursor is "major" or "major.minor". */
static int sel_after(struct sel *s, const struct keyset *k, const char *after, struct err *e)
{
	char *end;
	long long major = strtoll(after, &end, 10);
	char op = k->ascending ? '>' : '<';

	if (end == after || *end != (k->minor ? '.' : '\0'))
		return err_set(e, ERR_INVALID, "cursor '%.40s' is malformed", after);
	sb_add(&s->sql, s->where ? " AND " : " WHERE ");
	s->param[s->n++] = bind_int(major);
	if (k->minor) {
		sb_addf(&s->sql, "(%s, %s) %c (?, ?)", k->major, k->minor, op);
		s->param[s->n++] = bind_text(end + 1);
	} else {
		sb_addf(&s->sql, "%s %c ?", k->major, op);
	}
	return 0;
}

static void set_next(struct db_list *l, const struct keyset *k, const struct query *q)
{
	if (k->minor)
		snprintf(l->next, sizeof l->next, "%lld.%s", (long long)col_int(q, 0),
			col_str(q, 1));
	else
		snprintf(l->next, sizeof l->next, "%lld", (long long)col_int(q, 0));
}

int sel_page(struct sel *s, struct db *d, const struct keyset *k, const struct db_page *page,
	const char *kinds, struct db_list *ret, struct err *e)
{
	_cleanup_(query_done) struct query q = {0};
	unsigned limit = page && page->limit ? MIN(page->limit, 1000u) : 100;
	const char *way = k->ascending ? "" : " DESC";
	struct db_list l = {.items = json_array()};
	int r = 0;

	if (page && page->after && *page->after)
		r = sel_after(s, k, page->after, e);
	sb_addf(&s->sql, " ORDER BY %s%s", k->major, way);
	if (k->minor)
		sb_addf(&s->sql, ", %s%s", k->minor, way);
	sb_add(&s->sql, " LIMIT ?");
	s->param[s->n++] = bind_int((int64_t)limit + 1);
	s->param[s->n] = (struct bind){.type = BIND_END};
	if (r == 0)
		r = query_begin_with(&q, d, e, s->sql.s, s->param);
	while (r >= 0 && (r = query_next(&q, e)) > 0) {
		if (json_array_size(l.items) == limit)
			break;
		json_array_append_new(l.items, row_json(&q, kinds));
		set_next(&l, k, &q);
	}
	if (r == 0)
		l.next[0] = 0; /* the last page */
	query_done(&q);	       /* before its text goes */
	sb_done(&s->sql);
	if (r < 0) {
		json_decref(l.items);
		return r;
	}
	*ret = l;
	return 0;
}
