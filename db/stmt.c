/* SPDX-License-Identifier: Apache-2.0 */
#include "db/stmt.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>

#include "base/timefmt.h"
#include "db/db_impl.h"

/* The index of the log is made larger: that fails for want of room, and sqlite keeps no errno. */
static bool no_room(struct db *d, int code)
{
	int os = d->sql ? sqlite3_system_errno(d->sql) : 0;

	return code == SQLITE_IOERR_SHMSIZE || os == ENOSPC || os == EDQUOT;
}

int db_error(struct db *d, struct err *e, const char *what)
{
	int code = d->sql ? sqlite3_extended_errcode(d->sql) : SQLITE_NOMEM;
	const char *text = d->sql ? sqlite3_errmsg(d->sql) : "out of memory";
	enum err_code ours = ERR_DATABASE;

	if (code == SQLITE_IOERR_DATA)
		return err_set(e, ERR_RECORDS_DAMAGED,
			"page %u of the database is not what was written to it (%s)",
			db_damaged_page(d), what);
	switch (code & 0xff) {
	case SQLITE_FULL:
		ours = ERR_DISK_FULL;
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		ours = ERR_RECORDS_DAMAGED;
		break;
	case SQLITE_IOERR:
		ours = no_room(d, code) ? ERR_DISK_FULL : ERR_DATABASE;
		break;
	case SQLITE_CANTOPEN:
		ours = no_room(d, code) ? ERR_DISK_FULL : ERR_DATABASE;
		break;
	case SQLITE_CONSTRAINT:
		ours = ERR_CONFLICT;
		break;
	case SQLITE_NOMEM:
		ours = ERR_NO_MEMORY;
		break;
	case SQLITE_TOOBIG:
		ours = ERR_TOO_LARGE;
		break;
	default: /* not an enum of ours: sqlite's list is open */
		break;
	}
	return err_set(e, ours, "%s: %s (sqlite %d)", what, text, code);
}

bool db_in_transaction(struct db *d)
{
	return !sqlite3_get_autocommit(d->sql);
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
	uint64_t h = text_hash(sql);
	size_t slot = h % DB_CACHE_SLOTS;

	for (; d->cache[slot].st; slot = (slot + 1) % DB_CACHE_SLOTS)
		if (d->cache[slot].hash == h && !strcmp(sqlite3_sql(d->cache[slot].st), sql)) {
			q->st = d->cache[slot].st;
			q->own = sqlite3_stmt_busy(q->st);
			if (!q->own)
				return 0;
			break;
		}
	if (sqlite3_prepare_v3(d->sql, sql, -1, q->own ? 0 : SQLITE_PREPARE_PERSISTENT, &q->st,
		    NULL) != SQLITE_OK) {
		q->st = NULL;
		return db_error(d, e, sql);
	}
	if (!q->own && d->cached < DB_CACHE_SLOTS * 3 / 4) {
		d->cache[slot].hash = h;
		d->cache[slot].st = q->st;
		d->cached++;
	} else {
		q->own = true;
	}
	return 0;
}

char *canonical(const json_t *j)
{
	return json_dumps(
		j, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
}

static int bind_canonical(sqlite3_stmt *st, int i, const json_t *j)
{
	char *text = canonical(j);

	return text ? sqlite3_bind_text(st, i, text, -1, free) : SQLITE_NOMEM;
}

/* Text stays the caller's: every query ends before its parameters do. */
static int bind_one(sqlite3_stmt *st, int i, const struct bind *b)
{
	switch (b->type) {
	case BIND_INT:
		return sqlite3_bind_int64(st, i, b->i);
	case BIND_REAL:
		return sqlite3_bind_double(st, i, b->d);
	case BIND_TEXT:
		return sqlite3_bind_text(st, i, b->s, -1, SQLITE_STATIC);
	case BIND_JSON:
		return b->j ? bind_canonical(st, i, b->j) : sqlite3_bind_null(st, i);
	case BIND_NOTHING:
	case BIND_END:
		break;
	}
	return sqlite3_bind_null(st, i);
}

int query_begin_with(struct query *q, struct db *d, struct err *e, const char *sql,
	const struct bind *parameters)
{
	int rc = SQLITE_OK;
	int r;

	*q = (struct query){.db = d};
	if (d->in_tx && sqlite3_get_autocommit(d->sql))
		return err_set(e, ERR_DATABASE, "the transaction was given up by an earlier error");
	r = prepare(q, sql, e);
	if (r < 0)
		return r;
	for (int i = 0; rc == SQLITE_OK && parameters[i].type != BIND_END; i++)
		rc = bind_one(q->st, i + 1, &parameters[i]);
	return rc == SQLITE_OK ? 0 : db_error(d, e, sql);
}

/* The first words of a statement are enough to find it, and the message has room for the cause. */
static int query_error(struct query *q, struct err *e)
{
	char head[48];

	snprintf(head, sizeof head, "%s", sqlite3_sql(q->st));
	return db_error(q->db, e, head);
}

int query_next(struct query *q, struct err *e)
{
	int rc = sqlite3_step(q->st);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	return query_error(q, e);
}

void query_done(struct query *q)
{
	if (q->st && q->own) {
		sqlite3_finalize(q->st);
	} else if (q->st) {
		sqlite3_reset(q->st);
		sqlite3_clear_bindings(q->st);
	}
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
	return r < 0 ? r : sqlite3_changes(d->sql);
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
	if (sqlite3_exec(d->sql, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_error(d, e, "script");
	return 0;
}

int64_t col_int(const struct query *q, int i)
{
	return sqlite3_column_int64(q->st, i);
}

double col_real(const struct query *q, int i)
{
	return sqlite3_column_double(q->st, i);
}

bool col_null(const struct query *q, int i)
{
	return sqlite3_column_type(q->st, i) == SQLITE_NULL;
}

const char *col_str(const struct query *q, int i)
{
	const char *s = (const char *)sqlite3_column_text(q->st, i);

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
			json_object_set_new(
				row, sqlite3_column_name(q->st, i), col_json(q, i, kinds[i]));
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
