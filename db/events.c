/* SPDX-License-Identifier: Apache-2.0 */
#include "db/events.h"

#include "base/timefmt.h"
#include "db/db_impl.h"
#include "db/stmt.h"

#define TYPE_CHAR "abcdefghijklmnopqrstuvwxyz0123456789-"
#define TYPE_MAX  40

static void event_done(struct db_event *ev)
{
	free(ev->type);
	free(ev->station);
	free(ev->job);
	free(ev->run);
	free(ev->serial);
	free(ev->data);
}

static void mark_done(struct db_mark *m)
{
	free(m->pool);
	free(m->kind);
	free(m->value);
}

void db_pending_cut(struct db *d, size_t events, size_t marks)
{
	while (d->events > events)
		event_done(&d->event[--d->events]);
	while (d->marks > marks)
		mark_done(&d->mark[--d->marks]);
}

static void add_mark(struct db *d, const struct db_mark *m)
{
	if (d->marks == d->marks_cap) {
		size_t cap = MAX(d->marks_cap * 2, 16);
		struct db_mark *grown = reallocarray(d->mark, cap, sizeof *grown);

		if (!grown)
			abort();
		d->mark = grown;
		d->marks_cap = cap;
	}
	d->mark[d->marks++] = *m;
}

void db_mark_pool(struct db *tx, const char *pool, int64_t next)
{
	add_mark(tx, &(struct db_mark){.pool = xstrdup(pool), .next = next});
}

void db_mark_exposed(struct db *tx)
{
	add_mark(tx, &(struct db_mark){.exposed = true});
}

void db_mark_epoch(struct db *tx)
{
	add_mark(tx, &(struct db_mark){.kind = xstrdup(DB_MARK_EPOCH), .exposed = true});
}

void db_mark_value(struct db *tx, const char *kind, const char *value)
{
	add_mark(tx,
		&(struct db_mark){.kind = xstrdup(kind), .value = xstrdup(value), .exposed = true});
}

static struct db_event *event_add(struct db *d)
{
	if (d->events == d->events_cap) {
		size_t cap = MAX(d->events_cap * 2, 64);
		struct db_event *grown = reallocarray(d->event, cap, sizeof *grown);

		if (!grown)
			abort();
		d->event = grown;
		d->events_cap = cap;
	}
	return &d->event[d->events++];
}

static char *dup_or_null(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

int db_event(struct db *tx, const char *type, const char *station, const char *job, const char *run,
	const char *serial, json_t *data, struct err *e)
{
	static const char sql[] =
		"INSERT INTO events (at, type, station, job_id, run_id, serial, data)"
		" VALUES (?, ?, ?, ?, ?, ?, ?)";
	int64_t at = wall_ms();
	char *text = data ? canonical(data) : xstrdup("{}");

	json_decref(data);
	if (!text)
		return err_set(e, ERR_NO_MEMORY, "event %s", type);

	int r = db_run(tx, e, sql, at, type, station, job, run, serial, text);

	if (r < 0) {
		free(text);
		return r;
	}
	*event_add(tx) = (struct db_event){
		.seq = tx->engine->ops->last_id(tx->engine),
		.at = at,
		.type = xstrdup(type),
		.station = dup_or_null(station),
		.job = dup_or_null(job),
		.run = dup_or_null(run),
		.serial = dup_or_null(serial),
		.data = text,
	};
	return 0;
}

int events_bounds(struct db *d, int64_t *ret_first, int64_t *ret_last, struct err *e)
{
	struct bounds {
		int64_t first, last; /* from 1; 0 without any */
	} b = {0};
	static const struct column columns[] = {
		COL(struct bounds, first), COL(struct bounds, last), {0}};
	/* sqlite_sequence knows the newest even after all were pruned. */
	SELECT(find,
		"SELECT (SELECT min(seq) FROM events) AS first,"
		" (SELECT seq FROM sqlite_sequence WHERE name = 'events') AS last",
		columns);
	int r = select_one(d, e, &find, &b);

	if (r < 0)
		return r;
	*ret_last = b.last;
	*ret_first = b.first ? b.first : b.last + 1;
	return 0;
}

int events_check_cursor(struct db *d, int64_t after, struct err *e)
{
	static const char sql[] =
		"SELECT epoch FROM epochs WHERE from_seq < ?1 AND ?1 <= after_seq";
	int64_t first;
	int64_t last;
	int r = events_bounds(d, &first, &last, e);

	if (r == 0)
		r = db_has(d, e, sql, after);
	if (r < 0 || (r == 0 && after <= last))
		return r;
	return err_set(e, ERR_GONE,
		"event %lld is of an epoch before the records were restored: read the present state, then go on from event %lld",
		(long long)after, (long long)last);
}

static int check_not_pruned(struct db *d, const char *after, struct err *e)
{
	int64_t first;
	int64_t last;
	long long from = after ? strtoll(after, NULL, 10) : 0;

	if (from == 0)
		return 0;

	int r = events_bounds(d, &first, &last, e);

	if (r == 0 && from < first - 1)
		return err_set(e, ERR_GONE,
			"events up to %lld are no longer kept; read the present state, then go on from there",
			(long long)first - 1);
	return r;
}

/* --- types of events, and lists of them --- */

/* Its length, in a list with commas between. */
static size_t type_span(const char *types)
{
	return strcspn(types, ",");
}

static const char *type_after(const char *types)
{
	const size_t n = type_span(types);

	return types[n] ? types + n + 1 : NULL;
}

bool events_type_among(const char *types, const char *type)
{
	for (const char *t = types; t; t = type_after(t)) {
		const size_t n = type_span(t);

		if (n > 0 && t[n - 1] == '*' ? !strncmp(t, type, n - 1)
					     : !strncmp(t, type, n) && !type[n])
			return true;
	}
	return false;
}

int events_check_types(const char *types, struct err *e)
{
	int r = 0;

	for (const char *t = types && *types ? types : NULL; t && r == 0; t = type_after(t)) {
		_cleanup_(freep) char *one = strndup(t, type_span(t));

		r = one ? events_check_type(one, e) : err_set(e, ERR_NO_MEMORY, "a type");
	}
	return r;
}

/* What events_check_types() has let through is text of a statement. */
static void of_types(struct sel *s, const char *types)
{
	struct strbuf cond = {0};

	for (const char *t = types && *types ? types : NULL; t; t = type_after(t))
		sb_addf(&cond, "%stype %s '%.*s'", cond.len ? " OR " : "(",
			memchr(t, '*', type_span(t)) ? "GLOB" : "=", (int)type_span(t), t);
	if (cond.len) {
		sb_add(&cond, ")");
		sel_look(s);
		sel_and(s, cond.s);
	}
	sb_done(&cond);
}

int events_list(struct db *d, const struct event_filter *f, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	static const struct column columns[] = {{"seq", AS_INT}, {"at", AS_TIME}, {"type", AS_TEXT},
		{"station", AS_TEXT}, {"job", AS_TEXT}, {"run", AS_TEXT}, {"serial", AS_TEXT},
		{"data", AS_JSON}, {0}};
	SELECT(list,
		"SELECT seq, at, type, station, job_id AS job, run_id AS run, serial, data"
		" FROM events",
		columns);
	static const struct keyset order = {.major = "seq", .ascending = true, .table = "events"};
	struct sel s;
	int r = check_not_pruned(d, page ? page->after : NULL, e);

	if (r == 0 && f)
		r = events_check_types(f->type, e);
	if (r < 0)
		return r;
	sel_init(&s, &list);
	if (f) {
		/* There are too many events for more indexes. */
		sel_found(&s, "run_id = ?", f->run);
		sel_looked(&s, "job_id = ?", f->job);
		sel_looked(&s, "serial = ?", f->serial);
		sel_looked(&s, "station = ?", f->station);
		of_types(&s, f->type);
	}
	return sel_page(&s, d, &order, page, ret, e);
}

int events_check_type(const char *type, struct err *e)
{
	const size_t n = strspn(type, TYPE_CHAR);

	if (n > 0 && strlen(type) <= TYPE_MAX && (!type[n] || !strcmp(type + n, "*")))
		return 0;
	return err_set(e, ERR_INVALID,
		"'%.40s' is not a type of events: one such as run-finished expected, or its beginning with a '*' at the end",
		type);
}

static void add_escape(struct strbuf *b, char c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *at = strchr(from, c);

	if (at)
		sb_addf(b, "\\%c", to[at - from]);
	else
		sb_addf(b, "\\u%04X", (unsigned char)c);
}

/* As canonical() writes it; the text of a column is UTF-8. */
static void add_string(struct strbuf *b, const char *s)
{
	if (!s) {
		sb_add(b, "null");
		return;
	}
	sb_add(b, "\"");
	for (const char *from = s;; from = ++s) {
		while (*s && *s != '"' && *s != '\\' && (unsigned char)*s >= ' ')
			s++;
		sb_add_n(b, from, (size_t)(s - from));
		if (!*s)
			break;
		add_escape(b, *s);
	}
	sb_add(b, "\"");
}

static void add_member(struct strbuf *b, const char *name, const char *value)
{
	sb_add(b, name);
	add_string(b, value);
}

char *events_text(const struct event_row *row)
{
	struct strbuf b = {0};
	char when[RFC3339_SIZE], seq[24];

	/* In the order of the names. */
	sb_add(&b, "{\"data\":");
	sb_add(&b, row->data ? row->data : "null");
	add_member(&b, ",\"job\":", row->job);
	add_member(&b, ",\"run\":", row->run);
	snprintf(seq, sizeof seq, "%lld", (long long)row->seq);
	sb_add(&b, ",\"seq\":");
	sb_add(&b, seq);
	add_member(&b, ",\"serial\":", row->serial);
	add_member(&b, ",\"station\":", row->station);
	add_member(&b, ",\"timestamp\":", rfc3339(row->at, when));
	add_member(&b, ",\"type\":", row->type);
	sb_add(&b, "}");
	return sb_take(&b);
}

int events_message(struct db *d, int64_t seq, char **ret, struct err *e)
{
	static const struct column columns[] = {COL(struct event_row, seq),
		COL(struct event_row, at), COL(struct event_row, type),
		COL(struct event_row, station), COL(struct event_row, job),
		COL(struct event_row, run), COL(struct event_row, serial),
		COL(struct event_row, data), {0}};
	SELECT(find,
		"SELECT seq, at, type, station, job_id AS job, run_id AS run, serial,"
		" CASE WHEN json_valid(data) THEN data END AS data FROM events WHERE seq = ?",
		columns);
	_cleanup_(query_done) struct query q = {0};
	struct event_row row;
	int r = select_begin(&q, d, e, &find, seq);

	if (r == 0)
		r = select_next(&q, &row, e);
	if (r < 0)
		return r;
	*ret = r > 0 ? events_text(&row) : NULL;
	return 0;
}

int events_prune(
	struct db *tx, int64_t before_ms, int64_t keep, int64_t max, int64_t *ret, struct err *e)
{
	/* Walks from the oldest and stops at the first that stays: seq and time rise together. */
	static const char sql[] = "DELETE FROM events WHERE seq IN"
				  " (SELECT seq FROM events ORDER BY seq LIMIT ?)"
				  " AND at < ? AND seq < ?";
	int r = db_run(tx, e, sql, max, before_ms, keep);

	if (r < 0)
		return r;
	*ret = r;
	return 0;
}
