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

/* Where each column is in the rows of the statement. */
static int find_places(struct query *q, const char *sql, struct err *e)
{
	const struct engine_ops *ops = q->db->engine->ops;
	int n = ops->columns(q->st);

	for (size_t k = 0; q->columns[k].name; k++) {
		int found = 0;

		for (int i = 0; i < n && k < COLUMNS_MAX; i++) {
			if (strcmp(ops->column_name(q->st, i), q->columns[k].name) != 0)
				continue;
			q->place[k] = (uint8_t)i;
			found++;
		}
		if (found != 1)
			return err_set(e, ERR_INTERNAL,
				"a statement has %d columns '%s' where one is read: %.200s", found,
				q->columns[k].name, sql);
	}
	return 0;
}

/* The places are the cached statement's, looked up for its first reader. */
static int set_columns(struct query *q, size_t slot, const char *sql, struct err *e)
{
	struct db *d = q->db;
	int r;

	if (!q->own && d->cache[slot].columns == q->columns) {
		memcpy(q->place, d->cache[slot].place, sizeof q->place);
		return 0;
	}
	r = find_places(q, sql, e);
	if (r == 0 && !q->own) {
		d->cache[slot].columns = q->columns;
		memcpy(d->cache[slot].place, q->place, sizeof q->place);
	}
	return r;
}

/* The cached statement of this text, or a new one: cached while there is room, the query's own
 * where the cached one is in use further up the stack. */
static int prepare(struct query *q, const char *sql, size_t *ret_slot, struct err *e)
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
			*ret_slot = slot;
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
		*ret_slot = slot;
	} else {
		q->own = true;
	}
	return 0;
}

static int begin(struct query *q, struct db *d, struct err *e, const char *sql,
	const struct column *columns, const struct bind *parameters)
{
	size_t slot = 0;
	int r;

	*q = (struct query){.db = d, .columns = columns};
	if (d->in_tx && !db_in_transaction(d))
		return err_set(e, ERR_DATABASE, "the transaction was given up by an earlier error");
	r = prepare(q, sql, &slot, e);
	if (r == 0 && columns)
		r = set_columns(q, slot, sql, e);
	for (int i = 0; r == 0 && parameters[i].type != BIND_END; i++)
		r = d->engine->ops->bind(d->engine, q->st, i + 1, &parameters[i], e);
	return r;
}

static int step(struct query *q, struct err *e)
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
	int r = begin(&q, d, e, sql, NULL, parameters);

	if (r < 0)
		return r;
	do
		r = step(&q, e);
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

/* --- rows --- */

/* Cut at a whole character: JSON takes no half of one. */
static void copy_text(const char *s, char *field, size_t size)
{
	size_t n = s ? strnlen(s, size) : 0;

	if (n == size)
		for (n--; n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80;)
			n--;
	if (n > 0)
		memcpy(field, s, n);
	field[n] = '\0';
}

static json_t *parsed(const char *s)
{
	return s ? json_loads(s, JSON_DECODE_ANY, NULL) : NULL;
}

static void read_field(const struct query *q, size_t k, void *to)
{
	const struct engine_ops *ops = q->db->engine->ops;
	const struct column *c = &q->columns[k];
	void *field = (char *)to + c->at;
	int i = q->place[k];

	switch (c->type) {
	case COLUMN_INT:
		*(int64_t *)field = ops->get_int(q->st, i);
		break;
	case COLUMN_REAL:
		*(double *)field = ops->is_null(q->st, i) ? NAN : ops->get_real(q->st, i);
		break;
	case COLUMN_BOOL:
		*(bool *)field = ops->get_int(q->st, i) != 0;
		break;
	case COLUMN_COPY:
		copy_text(ops->get_text(q->st, i), field, c->size);
		break;
	case COLUMN_BORROWED:
		*(const char **)field = ops->get_text(q->st, i);
		break;
	case COLUMN_JSON:
		*(json_t **)field = parsed(ops->get_text(q->st, i));
		break;
	case AS_TEXT:
	case AS_INT:
	case AS_REAL:
	case AS_BOOL:
	case AS_TIME:
	case AS_JSON:
		break;
	}
}

static json_t *column_json(const struct query *q, int i, enum column_type type)
{
	const struct engine_ops *ops = q->db->engine->ops;
	char when[RFC3339_SIZE];

	switch (type) {
	case AS_TEXT:
	case COLUMN_COPY:
	case COLUMN_BORROWED:
		return json_string(ops->get_text(q->st, i));
	case AS_INT:
	case COLUMN_INT:
		return json_integer(ops->get_int(q->st, i));
	case AS_REAL:
	case COLUMN_REAL:
		return json_real(ops->get_real(q->st, i)); /* NULL where it is not finite */
	case AS_BOOL:
	case COLUMN_BOOL:
		return json_boolean(ops->get_int(q->st, i) != 0);
	case AS_TIME:
		return json_string(rfc3339(ops->get_int(q->st, i), when));
	case AS_JSON:
	case COLUMN_JSON:
		return parsed(ops->get_text(q->st, i));
	}
	return NULL;
}

json_t *row_json(const struct query *q)
{
	json_t *row = json_object();

	for (size_t k = 0; q->columns[k].name; k++) {
		int i = q->place[k];
		json_t *v = q->db->engine->ops->is_null(q->st, i)
				    ? NULL
				    : column_json(q, i, q->columns[k].type);

		json_object_set_new(row, q->columns[k].name, v ? v : json_null());
	}
	return row;
}

int select_begin_with(struct query *q, struct db *d, struct err *e, const struct select *s,
	const struct bind *parameters)
{
	return begin(q, d, e, s->sql, s->columns, parameters);
}

int select_next(struct query *q, void *to, struct err *e)
{
	int r = step(q, e);

	for (size_t k = 0; r > 0 && to && q->columns[k].name; k++)
		read_field(q, k, to);
	return r;
}

int select_one_with(struct db *d, struct err *e, const struct select *s, void *to,
	const struct bind *parameters)
{
	_cleanup_(query_done) struct query q = {0};
	int r = select_begin_with(&q, d, e, s, parameters);

	for (size_t k = 0; r == 0 && s->columns[k].name; k++)
		if (s->columns[k].type == COLUMN_BORROWED)
			return err_set(e, ERR_INTERNAL,
				"the column '%s' would be borrowed from a row that is gone: %.200s",
				s->columns[k].name, s->sql);
	return r < 0 ? r : select_next(&q, to, e);
}

/* The first row of a statement with one column. */
static int only_column(struct query *q, struct db *d, struct err *e, const char *sql,
	const struct bind *parameters)
{
	int r = begin(q, d, e, sql, NULL, parameters);

	if (r == 0 && d->engine->ops->columns(q->st) != 1)
		r = err_set(e, ERR_INTERNAL, "a statement has other than one column: %.200s", sql);
	return r < 0 ? r : step(q, e);
}

int db_int_with(
	struct db *d, struct err *e, int64_t *ret, const char *sql, const struct bind *parameters)
{
	_cleanup_(query_done) struct query q = {0};
	int r = only_column(&q, d, e, sql, parameters);

	if (r > 0)
		*ret = d->engine->ops->get_int(q.st, 0);
	return r;
}

int db_text_with(struct db *d, struct err *e, char *buf, size_t size, const char *sql,
	const struct bind *parameters)
{
	_cleanup_(query_done) struct query q = {0};
	int r = only_column(&q, d, e, sql, parameters);

	if (r > 0)
		copy_text(d->engine->ops->get_text(q.st, 0), buf, size);
	return r;
}

int db_has_with(struct db *d, struct err *e, const char *sql, const struct bind *parameters)
{
	_cleanup_(query_done) struct query q = {0};
	int r = begin(&q, d, e, sql, NULL, parameters);

	return r < 0 ? r : step(&q, e);
}

int db_one_json(struct db *d, struct err *e, const char *what, const struct select *s, json_t **ret,
	const char *key)
{
	_cleanup_(query_done) struct query q = {0};
	int r = select_begin(&q, d, e, s, key);

	if (r == 0)
		r = select_next(&q, NULL, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no %s '%s'", what, key);
	*ret = row_json(&q);
	return 0;
}

int db_all_json_with(struct db *d, struct err *e, const struct select *s, json_t **ret,
	const struct bind *parameters)
{
	_cleanup_(query_done) struct query q = {0};
	json_t *all = json_array();
	int r = select_begin_with(&q, d, e, s, parameters);

	while (r >= 0 && (r = select_next(&q, NULL, e)) > 0)
		json_array_append_new(all, row_json(&q));
	if (r < 0) {
		json_decref(all);
		return r;
	}
	*ret = all;
	return 0;
}

/* --- selections --- */

void sel_init(struct sel *s, const struct select *head)
{
	*s = (struct sel){.columns = head->columns};
	sb_add(&s->sql, head->sql);
	s->head = s->sql.len;
}

void sel_look(struct sel *s)
{
	if (s->looked)
		return;
	s->looked = true;
	s->found_end = s->sql.len;
	s->found_n = s->n;
}

bool sel_and(struct sel *s, const char *cond)
{
	if (s->n >= (int)ARRAY_LEN(s->param) - 5) /* room for the keyset */
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

void sel_found(struct sel *s, const char *cond, const char *v)
{
	if (!v || !*v)
		return;
	if (s->found)
		sel_look(s);
	s->found = true;
	sel_str(s, cond, v);
}

void sel_looked(struct sel *s, const char *cond, const char *v)
{
	if (!v || !*v)
		return;
	sel_look(s);
	sel_str(s, cond, v);
}

void sel_looked_int(struct sel *s, const char *cond, int64_t v)
{
	sel_look(s);
	sel_int(s, cond, v);
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

/* The columns of the keyset are in the row, whether they are in its object or not. */
static int key_places(struct query *q, const struct keyset *k, int ret[2], struct err *e)
{
	const struct column key[] = {{.name = k->major}, {.name = k->minor}, {0}};
	struct query look = {.db = q->db, .st = q->st, .columns = key};
	int r = find_places(&look, "a page", e);

	ret[0] = look.place[0];
	ret[1] = look.place[1];
	return r;
}

static void set_next(
	struct db_list *l, const struct keyset *k, const struct query *q, const int place[2])
{
	const struct engine_ops *ops = q->db->engine->ops;
	long long major = ops->get_int(q->st, place[0]);

	if (k->minor)
		snprintf(l->next, sizeof l->next, "%lld.%s", major, ops->get_text(q->st, place[1]));
	else
		snprintf(l->next, sizeof l->next, "%lld", major);
}

/* The last row that a page looks at: so many from its beginning, of those that an index finds. 0: there
 * are fewer. */
static int find_stop(struct sel *s, struct db *d, const struct keyset *k, const char *after,
	int64_t *ret, struct err *e)
{
	struct sel rows = {.where = s->found_end > s->head, .n = s->found_n};
	int r;

	memcpy(rows.param, s->param, sizeof rows.param);
	sb_addf(&rows.sql, "SELECT %s FROM %s", k->major, k->table);
	sb_add_n(&rows.sql, s->sql.s + s->head, s->found_end - s->head);
	if (after && sel_and(&rows, k->major)) {
		sb_add(&rows.sql, k->ascending ? " >= ?" : " <= ?");
		rows.param[rows.n++] = bind_int(strtoll(after, NULL, 10));
	}
	sb_addf(&rows.sql, " ORDER BY %s%s LIMIT 1 OFFSET ?", k->major,
		k->ascending ? "" : " DESC");
	rows.param[rows.n++] = bind_int((k->rows ? k->rows : SEL_ROWS) - 1);
	rows.param[rows.n] = (struct bind){.type = BIND_END};
	*ret = 0;
	r = db_int_with(d, e, ret, rows.sql.s, rows.param);
	sb_done(&rows.sql);
	return MIN(r, 0);
}

static int add_stop(struct sel *s, struct db *d, const struct keyset *k, const char *after,
	int64_t *ret, struct err *e)
{
	int r = find_stop(s, d, k, after, ret, e);

	if (r == 0 && *ret) {
		sb_addf(&s->sql, "%s%s %s ?", s->where ? " AND " : " WHERE ", k->major,
			k->ascending ? "<=" : ">=");
		s->where = true;
		s->param[s->n++] = bind_int(*ret);
	}
	return r;
}

static void order_by(struct sel *s, const struct keyset *k, unsigned limit)
{
	const char *way = k->ascending ? "" : " DESC";

	sb_addf(&s->sql, " ORDER BY %s%s", k->major, way);
	if (k->minor)
		sb_addf(&s->sql, ", %s%s", k->minor, way);
	sb_add(&s->sql, " LIMIT ?");
	s->param[s->n++] = bind_int((int64_t)limit + 1);
	s->param[s->n] = (struct bind){.type = BIND_END};
}

int sel_page(struct sel *s, struct db *d, const struct keyset *k, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	_cleanup_(query_done) struct query q = {0};
	unsigned limit = page && page->limit ? MIN(page->limit, 1000u) : 100;
	struct db_list l = {.items = json_array()};
	const char *after = page && page->after && *page->after ? page->after : NULL;
	int64_t stop = 0;
	int place[2] = {0};
	int r = 0;

	if (after)
		r = sel_after(s, k, after, e);
	if (r == 0 && s->looked)
		r = add_stop(s, d, k, after, &stop, e);
	order_by(s, k, limit);
	if (r == 0)
		r = begin(&q, d, e, s->sql.s, s->columns, s->param);
	if (r == 0)
		r = key_places(&q, k, place, e);
	while (r >= 0 && (r = step(&q, e)) > 0) {
		if (json_array_size(l.items) == limit)
			break;
		json_array_append_new(l.items, row_json(&q));
		set_next(&l, k, &q, place);
		if (page && page->cursors)
			json_object_set_new(json_array_get(l.items, json_array_size(l.items) - 1),
				"cursor", json_string(l.next));
	}
	if (r == 0)
		l.next[0] = 0; /* the last page */
	if (r == 0 && stop)
		snprintf(l.next, sizeof l.next, "%lld%s", (long long)stop, k->minor ? ".~" : "");
	query_done(&q); /* before its text goes */
	sb_done(&s->sql);
	if (r < 0) {
		json_decref(l.items);
		return r;
	}
	*ret = l;
	return 0;
}
