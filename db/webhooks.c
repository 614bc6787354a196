/* SPDX-License-Identifier: Apache-2.0 */
#include "db/webhooks.h"

#include "base/timefmt.h"
#include "db/events.h"
#include "db/run_facts.h"
#include "db/stmt.h"

const char *const webhook_formats[] = {
	[WEBHOOK_EVENT] = "event", [WEBHOOK_WSJF] = "wsjf", [WEBHOOK_CFX] = "cfx", NULL};

/* --- what people say --- */

int webhooks_newest(struct db *d, int64_t *ret, struct err *e)
{
	int64_t first;

	return events_bounds(d, &first, ret, e);
}

int webhooks_add(struct db *tx, const char *id, const struct webhook_said *w, struct err *e)
{
	static const char count[] = "SELECT count(*) FROM webhooks WHERE format <> 'cfx'";
	static const char sql[] =
		"INSERT INTO webhooks (id, url, types, station, job, secret, enabled, seen,"
		" created_at, updated_at, format, auth) VALUES (?1, ?2, coalesce(?3, '[]'), ?4, ?5,"
		" ?6, ?7, ?8, ?9, ?9, coalesce(?10, 'event'), ?11)";
	int64_t n = 0;
	int64_t newest;
	int r = db_int(tx, e, &n, count);

	if (r >= 0 && n >= WEBHOOKS_MAX)
		return err_set(e, ERR_CONFLICT,
			"there are %d webhooks, and no more are taken: delete one", WEBHOOKS_MAX);
	if (r >= 0)
		r = webhooks_newest(tx, &newest, e);
	return r < 0 ? r
		     : db_do(tx, e, sql, id, w->url, w->types, w->station, w->job, w->secret,
			       w->enabled ? *w->enabled : true, newest, wall_ms(), w->format,
			       w->auth);
}

/* 0 where it is there, of that revision (0: any). */
static int check_there(struct db *d, const char *id, int64_t revision, struct err *e)
{
	int64_t now = 0;
	int r = db_int(d, e, &now, "SELECT revision FROM webhooks WHERE id = ?", id);

	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no webhook '%s'", id);
	if (r > 0 && revision && revision != now)
		return err_set(e, ERR_PRECONDITION,
			"webhook %s was changed meanwhile: its revision is %lld", id,
			(long long)now);
	return MIN(r, 0);
}

/* As check_there(), of one that the API may change. */
static int check_theirs(struct db *d, const char *id, int64_t revision, struct err *e)
{
	static const char own[] = "SELECT 1 FROM webhooks WHERE id = ? AND format = 'cfx'";
	int r = check_there(d, id, revision, e);

	if (r == 0)
		r = db_has(d, e, own, id);
	if (r > 0)
		return err_set(e, ERR_CONFLICT,
			"webhook %s is an address of 'cfx' in provd.yaml: change it there (here 'enabled' alone)",
			id);
	return r;
}

/* As check_theirs(), of one that has events as they are. */
static int check_event(struct db *d, const char *id, int64_t revision, struct err *e)
{
	static const char report[] = "SELECT 1 FROM webhooks WHERE id = ? AND format <> 'event'";
	int r = check_theirs(d, id, revision, e);

	if (r == 0)
		r = db_has(d, e, report, id);
	if (r > 0)
		return err_set(e, ERR_CONFLICT,
			"webhook %s gets the reports of runs, and has types and a test of none",
			id);
	return r;
}

static bool only_enabled(const struct webhook_said *w)
{
	return w->enabled && !w->url && !w->types && !w->station && !w->job && !w->no_station &&
	       !w->no_job;
}

int webhooks_change(struct db *tx, const char *id, const struct webhook_said *w, int64_t revision,
	struct err *e)
{
	static const char sql[] =
		"UPDATE webhooks SET url = coalesce(?2, url), types = coalesce(?3, types),"
		" station = CASE WHEN ?4 THEN ?5 ELSE station END,"
		" job = CASE WHEN ?6 THEN ?7 ELSE job END, secret = coalesce(?8, secret),"
		" enabled = coalesce(?9, enabled), revision = revision + 1, updated_at = ?10"
		" WHERE id = ?1";
	static const char fresh[] =
		"UPDATE webhooks SET failures = 0, failing_ms = 0, reason = NULL WHERE id = ?";
	int r = only_enabled(w) ? check_there(tx, id, revision, e)
		: w->types	? check_event(tx, id, revision, e)
				: check_theirs(tx, id, revision, e);

	if (r == 0)
		r = db_do(tx, e, sql, id, w->url, w->types, w->station || w->no_station, w->station,
			w->job || w->no_job, w->job, w->secret,
			w->enabled ? bind_int(*w->enabled) : BIND_NULL, wall_ms());
	return r < 0 || !w->enabled ? r : db_do(tx, e, fresh, id);
}

int webhooks_rotate(
	struct db *tx, const char *id, const char *secret, int64_t old_until_ms, struct err *e)
{
	static const char sql[] =
		"UPDATE webhooks SET old_secret = secret, old_until = ?3, secret = ?2,"
		" revision = revision + 1, updated_at = ?4 WHERE id = ?1";
	int r = check_theirs(tx, id, 0, e);

	return r < 0 ? r : db_do(tx, e, sql, id, secret, old_until_ms, wall_ms());
}

static int forget(struct db *tx, const char *id, struct err *e)
{
	int r = db_do(tx, e, "DELETE FROM deliveries WHERE webhook = ?", id);

	return r < 0 ? r : db_do(tx, e, "DELETE FROM webhooks WHERE id = ?", id);
}

int webhooks_remove(struct db *tx, const char *id, struct err *e)
{
	int r = check_theirs(tx, id, 0, e);

	return r < 0 ? r : forget(tx, id, e);
}

/* --- those of provd.yaml --- */

static int put_own(struct db *tx, const struct webhook_own *o, int64_t newest, struct err *e)
{
	static const char sql[] =
		"INSERT INTO webhooks (id, url, types, stations, secret, enabled, seen, created_at,"
		" updated_at, format) VALUES (?1, ?2, ?3, ?4, '', 1, ?5, ?6, ?6, 'cfx')"
		" ON CONFLICT (id) DO UPDATE SET url = ?2, types = ?3, stations = ?4,"
		" updated_at = ?6, revision = revision + 1 WHERE url <> ?2 OR types <> ?3"
		" OR stations IS NOT ?4";

	return db_do(tx, e, sql, o->id, o->url, o->types, o->stations, newest, wall_ms());
}

/* Those that are not among them any more. */
static int forget_own(struct db *tx, const json_t *ids, struct err *e)
{
	static const char sql[] = "SELECT id FROM webhooks WHERE format = 'cfx' AND id NOT IN"
				  " (SELECT value FROM json_each(?)) LIMIT 1";
	char id[DB_ID_SIZE];
	int r, gone = 0;

	do {
		r = db_text(tx, e, id, sizeof id, sql, ids);
		if (r > 0)
			gone = forget(tx, id, e);
	} while (r > 0 && gone == 0);
	return gone < 0 ? gone : r;
}

int webhooks_has_own(struct db *d, struct err *e)
{
	return db_has(d, e, "SELECT 1 FROM webhooks WHERE format = 'cfx'");
}

int webhooks_own(struct db *tx, const struct webhook_own *own, size_t n, struct err *e)
{
	json_t *ids = json_array();
	int64_t newest;
	int r = webhooks_newest(tx, &newest, e);

	for (size_t i = 0; i < n && r == 0; i++) {
		json_array_append_new(ids, json_string(own[i].id));
		r = put_own(tx, &own[i], newest, e);
	}
	if (r == 0)
		r = forget_own(tx, ids, e);
	json_decref(ids);
	return r;
}

#define COLUMNS                                                                                                 \
	"id, url, types, station, stations, job, format, auth, nullif(secret, '') AS secret, old_secret,"       \
	" CASE WHEN old_secret IS NOT NULL THEN old_until END AS old_until, enabled, reason, done,"             \
	" failures, lost, (SELECT count(*) FROM deliveries d WHERE d.webhook = w.id AND"                        \
	" d.state = 'waiting') AS waiting, (SELECT count(*) FROM deliveries d WHERE"                            \
	" d.webhook = w.id AND d.state = 'dead') AS dead, max(coalesce((SELECT seq FROM"                        \
	" sqlite_sequence WHERE name = 'events'), 0) - seen, 0) AS behind, (SELECT at FROM events WHERE seq >=" \
	" coalesce((SELECT min(event) FROM deliveries d WHERE d.webhook = w.id AND d.state = 'waiting'),"       \
	" w.seen + 1) ORDER BY seq LIMIT 1) AS oldest_at, (SELECT message FROM deliveries d WHERE d.webhook ="  \
	" w.id AND d.state IN ('waiting', 'dead') AND message IS NOT NULL ORDER BY tried_at DESC LIMIT 1)"      \
	" AS last_error, created_at, updated_at, revision"

static const struct column columns[] = {{"id", AS_TEXT}, {"url", AS_TEXT}, {"types", AS_JSON},
	{"station", AS_TEXT}, {"stations", AS_JSON}, {"job", AS_TEXT}, {"format", AS_TEXT},
	{"auth", AS_TEXT}, {"secret", AS_TEXT}, {"old_secret", AS_TEXT}, {"old_until", AS_TIME},
	{"enabled", AS_BOOL}, {"reason", AS_TEXT}, {"done", AS_INT}, {"failures", AS_INT},
	{"lost", AS_INT}, {"waiting", AS_INT}, {"dead", AS_INT}, {"behind", AS_INT},
	{"oldest_at", AS_TIME}, {"last_error", AS_TEXT}, {"created_at", AS_TIME},
	{"updated_at", AS_TIME}, {"revision", AS_INT}, {0}};

int webhooks_get(struct db *d, const char *id, json_t **ret, struct err *e)
{
	SELECT(get, "SELECT " COLUMNS " FROM webhooks w WHERE id = ?", columns);

	return db_one_json(d, e, "webhook", &get, ret, id);
}

int webhooks_list(struct db *d, json_t **ret, struct err *e)
{
	SELECT(list, "SELECT " COLUMNS " FROM webhooks w ORDER BY created_at, id", columns);

	return db_all_json(d, e, &list, ret);
}

/* --- deliveries as people see them --- */

#define DELIVERY                                                                              \
	"n, id, event, (SELECT type FROM events WHERE seq = event) AS type, state, attempts," \
	" status, code, message, answer, created_at, tried_at, settled_at FROM deliveries"

static const struct column delivery_columns[] = {{"n", AS_INT}, {"id", AS_TEXT}, {"event", AS_INT},
	{"type", AS_TEXT}, {"state", AS_TEXT}, {"attempts", AS_INT}, {"status", AS_INT},
	{"code", AS_TEXT}, {"message", AS_TEXT}, {"answer", AS_TEXT}, {"created_at", AS_TIME},
	{"tried_at", AS_TIME}, {"settled_at", AS_TIME}, {0}};

int webhooks_deliveries(struct db *d, const char *id, const char *state, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	SELECT(list, "SELECT " DELIVERY, delivery_columns);
	static const struct keyset order = {.major = "n"};
	struct sel s;
	int r = check_there(d, id, 0, e);

	if (r < 0)
		return r;
	sel_init(&s, &list);
	sel_str(&s, "webhook = ?", id);
	sel_str(&s, "state = ?", state);
	return sel_page(&s, d, &order, page, ret, e);
}

static int no_delivery(const char *id, int64_t n, struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "webhook %s has no delivery %lld", id, (long long)n);
}

int webhooks_delivery(struct db *d, const char *id, int64_t n, json_t **ret, struct err *e)
{
	SELECT(one, "SELECT " DELIVERY " WHERE webhook = ? AND n = ?", delivery_columns);
	json_t *rows = NULL;
	int r = check_there(d, id, 0, e);

	if (r == 0)
		r = db_all_json(d, e, &one, &rows, id, n);
	if (r == 0 && json_array_size(rows) == 0)
		r = no_delivery(id, n, e);
	if (r == 0)
		*ret = json_incref(json_array_get(rows, 0));
	json_decref(rows);
	return r;
}

struct settled {
	char state[16];
	bool kept; /* its event is */
};

int webhooks_redeliver(struct db *tx, const char *id, int64_t n, struct err *e)
{
	static const struct column state_columns[] = {
		COL(struct settled, state), COL(struct settled, kept), {0}};
	SELECT(find,
		"SELECT state, EXISTS (SELECT 1 FROM events WHERE seq = event) AS kept"
		" FROM deliveries WHERE webhook = ? AND n = ?",
		state_columns);
	static const char sql[] =
		"UPDATE deliveries SET state = 'waiting', waited_ms = 0, done_before = NULL,"
		" settled_at = NULL WHERE n = ?";
	struct settled now;
	int r = check_there(tx, id, 0, e);

	if (r == 0)
		r = select_one(tx, e, &find, &now, id, n);
	if (r < 0)
		return r;
	if (r == 0)
		return no_delivery(id, n, e);
	if (!strcmp(now.state, "waiting"))
		return err_set(e, ERR_CONFLICT, "delivery %lld of webhook %s waits already",
			(long long)n, id);
	if (!now.kept)
		return err_set(e, ERR_GONE,
			"the event of delivery %lld is no longer kept ('events_keep' of provd.yaml)",
			(long long)n);
	return db_do(tx, e, sql, n);
}

#define NEW_ID "'msg_' || lower(hex(randomblob(16)))"

int webhooks_test(struct db *tx, const char *id, const char *by, int64_t *ret_n, struct err *e)
{
	static const char enabled[] = "SELECT 1 FROM webhooks WHERE id = ? AND enabled";
	static const char sql[] =
		"INSERT INTO deliveries (webhook, id, event, unit, state, created_at)"
		" SELECT ?1, " NEW_ID ", max(seq), 'test', 'waiting', ?2 FROM events";
	int r = check_event(tx, id, 0, e);

	if (r == 0)
		r = db_has(tx, e, enabled, id);
	if (r == 0)
		return err_set(e, ERR_CONFLICT, "webhook %s is disabled: enable it first", id);
	if (r > 0)
		r = db_event(tx, "webhook-test", NULL, NULL, NULL, NULL,
			json_pack("{s:s, s:s}", "webhook", id, "by", by), e);
	if (r == 0)
		r = db_do(tx, e, sql, id, wall_ms());
	return r < 0 ? r
		     : MIN(db_int(tx, e, ret_n, "SELECT max(n) FROM deliveries WHERE webhook = ?",
				   id),
			       0);
}

/* --- what is taken out of the events --- */

int webhooks_enabled(
	struct db *d, bool own, struct webhook ret[WEBHOOKS_MAX], size_t *ret_n, struct err *e)
{
	static const struct column list_columns[] = {COL(struct webhook, id),
		COL(struct webhook, url), COL(struct webhook, secret),
		COL(struct webhook, old_secret), COL(struct webhook, auth),
		COL(struct webhook, format), COL_AS(struct webhook, old_until_ms, "old_until"),
		COL(struct webhook, seen), COL(struct webhook, failures), {0}};
	SELECT(list,
		"SELECT id, url, secret, old_secret, auth, format, old_until, seen, failures"
		" FROM webhooks WHERE enabled AND (format = 'cfx') = ? ORDER BY id",
		list_columns);
	_cleanup_(query_done) struct query q = {0};
	int r = select_begin(&q, d, e, &list, (int64_t)own);

	*ret_n = 0;
	while (r >= 0 && *ret_n < WEBHOOKS_MAX && (r = select_next(&q, &ret[*ret_n], e)) > 0)
		++*ret_n;
	return MIN(r, 0);
}

/* Of the events a restored database has fewer, and those that were removed are lost to it. */
static int find_place(struct db *tx, const char *id, int64_t first, int64_t last, int64_t *ret_seen,
	struct err *e)
{
	static const char lost[] =
		"UPDATE webhooks SET lost = lost + ?2 - 1 - seen, seen = ?2 - 1 WHERE id = ?1"
		" AND seen < ?2 - 1";
	static const char fewer[] = "UPDATE webhooks SET seen = ?2 WHERE id = ?1 AND seen > ?2";
	int r = db_run(tx, e, lost, id, first);

	if (r >= 0)
		r = db_run(tx, e, fewer, id, last);
	return r < 0 ? r
		     : MIN(db_int(tx, e, ret_seen, "SELECT seen FROM webhooks WHERE id = ?", id),
			       0);
}

/* A run's early events do not know their unit: they are of one order with the others of their run. */
static int take(
	struct db *tx, const char *id, int64_t after, int64_t upto, int64_t room, struct err *e)
{
	static const char sql[] =
		"INSERT INTO deliveries (webhook, id, event, run_id, unit, state, created_at)"
		" SELECT ?1, " NEW_ID ", e.seq, e.run_id, coalesce(json_extract(e.data, '$.unit'),"
		" (SELECT unit_id FROM runs WHERE id = e.run_id),"
		" (SELECT id FROM units WHERE serial = e.serial),"
		" CASE WHEN e.run_id IS NULL THEN coalesce('job ' || e.job_id,"
		" 'station ' || e.station, 'type ' || e.type) END), 'waiting', ?5"
		" FROM events e, webhooks w WHERE w.id = ?1 AND e.seq > ?2 AND e.seq <= ?3"
		" AND " EVENTS_OF_TYPES(
			"w.types") " AND (w.station IS NULL OR w.station = e.station)"
				   " AND (w.stations IS NULL OR e.station IN"
				   " (SELECT value FROM json_each(w.stations)))"
				   " AND (w.job IS NULL OR w.job = e.job_id)"
				   " AND coalesce(json_extract(e.data, '$.webhook'), '') <> ?1"
				   " ORDER BY e.seq LIMIT ?4";

	return db_run(tx, e, sql, id, after, upto, room, wall_ms());
}

static int forget_done(struct db *tx, const char *id, struct err *e)
{
	static const char sql[] =
		"DELETE FROM deliveries WHERE n IN (SELECT n FROM deliveries WHERE webhook = ?"
		" AND state = 'done' ORDER BY n DESC LIMIT -1 OFFSET ?)";

	return db_do(tx, e, sql, id, WEBHOOK_DONE_KEPT);
}

int webhooks_take(
	struct db *tx, const char *id, bool *ret_more, int64_t *ret_waiting, struct err *e)
{
	static const char count[] =
		"SELECT count(*) FROM deliveries WHERE webhook = ? AND state = 'waiting'";
	/* A test's row may have a newer event than those that are taken here. */
	static const char newest[] =
		"SELECT event FROM deliveries WHERE webhook = ? ORDER BY n DESC LIMIT 1";
	static const char put[] = "UPDATE webhooks SET seen = ? WHERE id = ?";
	int64_t first, last, seen = 0, open = 0, upto, room;
	int r = events_bounds(tx, &first, &last, e);

	if (r == 0)
		r = find_place(tx, id, first, last, &seen, e);
	if (r == 0)
		r = MIN(db_int(tx, e, &open, count, id), 0);
	if (r < 0)
		return r;
	room = WEBHOOK_OPEN_MAX - open;
	upto = MIN(seen + WEBHOOK_SCAN, last);
	*ret_more = seen < last;
	*ret_waiting = open;
	if (room <= 0 || seen >= last)
		return 0;
	r = take(tx, id, seen, upto, room, e);
	*ret_waiting += MAX(r, 0);
	if (r >= room)
		r = db_int(tx, e, &upto, newest, id);
	if (r >= 0)
		r = db_do(tx, e, put, upto, id);
	*ret_more = upto < last;
	return r < 0 ? r : forget_done(tx, id, e);
}

/* --- on the way --- */

/* FNV-1a. Two that share one by chance go out one after another as well. */
static uint64_t key_of(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; s && *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3u;
	return s ? MAX(h, 1u) : 0;
}

struct waiting {
	int64_t n, attempts, event;
	const char *id, *run_id, *unit;
	bool held;
};

int webhooks_waiting(struct db *d, const char *id, const json_t *held, const json_t *taken,
	size_t max, struct waiting_row *ret, size_t *ret_n, struct err *e)
{
	static const struct column waiting_columns[] = {COL(struct waiting, n),
		COL(struct waiting, attempts), COL(struct waiting, event), COL(struct waiting, id),
		COL(struct waiting, run_id), COL(struct waiting, unit), COL(struct waiting, held),
		{0}};
	SELECT(list,
		"SELECT n, attempts, event, id, run_id, unit,"
		" n IN (SELECT value FROM json_each(?2)) AS held FROM deliveries WHERE webhook = ?1"
		" AND state = 'waiting' AND n NOT IN (SELECT value FROM json_each(?3))"
		" ORDER BY n LIMIT ?4",
		waiting_columns);
	_cleanup_(query_done) struct query q = {0};
	struct waiting row;
	int r = select_begin(&q, d, e, &list, id, held, taken, (int64_t)max);

	*ret_n = 0;
	while (r >= 0 && *ret_n < max && (r = select_next(&q, &row, e)) > 0) {
		struct waiting_row *to = &ret[(*ret_n)++];

		*to = (struct waiting_row){.n = row.n,
			.attempts = row.attempts,
			.event = row.event,
			.run = key_of(row.run_id),
			.unit = key_of(row.unit),
			.held = row.held};
		snprintf(to->id, sizeof to->id, "%s", row.id);
	}
	return MIN(r, 0);
}

struct message_row {
	struct event_row event;
	const char *trace_id, *parent_id, *tracestate;
	int64_t flags;
};

#define COL_EVENT(field) COL_AS(struct message_row, event.field, #field)

static void take_message(const struct message_row *row, struct delivery *ret)
{
	ret->body = events_text(&row->event);
	if (!row->trace_id)
		return;
	snprintf(ret->trace.id, sizeof ret->trace.id, "%s", row->trace_id);
	snprintf(ret->trace.parent, sizeof ret->trace.parent, "%s", row->parent_id);
	snprintf(ret->trace.state, sizeof ret->trace.state, "%s", row->tracestate);
	ret->trace.flags = (uint8_t)row->flags;
}

int webhooks_message(
	struct db *d, const struct waiting_row *row, struct delivery *ret, struct err *e)
{
	static const struct column message_columns[] = {COL_EVENT(seq), COL_EVENT(at),
		COL_EVENT(type), COL_EVENT(station), COL_EVENT(job), COL_EVENT(run),
		COL_EVENT(serial), COL_EVENT(data), COL(struct message_row, trace_id),
		COL(struct message_row, parent_id), COL(struct message_row, tracestate),
		COL(struct message_row, flags), {0}};
	SELECT(find,
		"SELECT e.seq AS seq, e.at AS at, e.type AS type, e.station AS station,"
		" e.job_id AS job, e.run_id AS run, e.serial AS serial,"
		" CASE WHEN json_valid(e.data) THEN e.data END AS data, t.trace_id AS trace_id,"
		" t.parent_id AS parent_id, t.tracestate AS tracestate, t.flags AS flags"
		" FROM events e LEFT JOIN traces t ON t.job_id = e.job_id WHERE e.seq = ?",
		message_columns);
	_cleanup_(query_done) struct query q = {0};
	struct message_row message;
	int r = select_begin(&q, d, e, &find, row->event);

	*ret = (struct delivery){.n = row->n, .attempts = row->attempts, .event = row->event};
	memcpy(ret->id, row->id, sizeof ret->id);
	if (r == 0)
		r = select_next(&q, &message, e);
	if (r > 0)
		take_message(&message, ret);
	return MIN(r, 0);
}

struct due_row {
	int64_t n, attempts, event;
	char id[WEBHOOK_ID_BYTES];
};

int webhooks_due(struct db *d, const char *id, const json_t *not_these, size_t max,
	struct delivery *ret, size_t *ret_n, struct err *e)
{
	static const struct column due_columns[] = {COL(struct due_row, n),
		COL(struct due_row, attempts), COL(struct due_row, event), COL(struct due_row, id),
		{0}};
	SELECT(due,
		"SELECT n, attempts, event, id FROM deliveries d WHERE webhook = ?1"
		" AND state = 'waiting' AND n NOT IN (SELECT value FROM json_each(?2))"
		" AND NOT EXISTS (SELECT 1 FROM deliveries b WHERE b.webhook = ?1"
		" AND b.state = 'waiting' AND b.run_id = d.run_id AND b.n < d.n)"
		" AND NOT EXISTS (SELECT 1 FROM deliveries b WHERE b.webhook = ?1"
		" AND b.state = 'waiting' AND b.unit = d.unit AND b.n < d.n)"
		" ORDER BY n LIMIT ?3",
		due_columns);
	_cleanup_(query_done) struct query q = {0};
	struct due_row row;
	int r = select_begin(&q, d, e, &due, id, not_these, (int64_t)max);

	*ret_n = 0;
	while (r >= 0 && *ret_n < max && (r = select_next(&q, &row, e)) > 0) {
		struct waiting_row found = {
			.n = row.n, .attempts = row.attempts, .event = row.event};

		memcpy(found.id, row.id, sizeof found.id);
		r = webhooks_message(d, &found, &ret[(*ret_n)++], e);
	}
	return MIN(r, 0);
}

struct tried {
	int64_t attempts, waited_ms, done_before, event, done, failing_ms;
	char message[ERR_TEXT_BYTES];
};

static int disable(struct db *tx, const struct delivery_end *end, const char *reason, struct err *e)
{
	static const char sql[] = "UPDATE webhooks SET enabled = 0, reason = ?, updated_at = ?,"
				  " revision = revision + 1 WHERE id = ? AND enabled";
	int r = db_run(tx, e, sql, reason, wall_ms(), end->webhook);

	if (r <= 0)
		return r;
	return db_event(tx, "webhook-disabled", NULL, NULL, NULL, NULL,
		json_pack("{s:s, s:s}", "webhook", end->webhook, "reason", reason), e);
}

static int bury(struct db *tx, const struct delivery_end *end, const struct tried *t, struct err *e)
{
	static const char sql[] =
		"UPDATE deliveries SET state = 'dead', settled_at = ? WHERE n = ?";
	int r = db_do(tx, e, sql, wall_ms(), end->n);

	if (r < 0)
		return r;
	return db_event(tx, "webhook-dead", NULL, NULL, NULL, NULL,
		json_pack("{s:s, s:I, s:I, s:I, s:s*}", "webhook", end->webhook, "delivery",
			(json_int_t)end->n, "event", (json_int_t)t->event, "attempts",
			(json_int_t)t->attempts, "message", or_null(t->message)),
		e);
}

/* 1 with what is known of it now, 0 where it does not wait. */
static int note_failure(
	struct db *tx, const struct delivery_end *end, struct tried *ret, struct err *e)
{
	static const char row[] =
		"UPDATE deliveries SET attempts = attempts + 1, waited_ms = waited_ms + ?3,"
		" done_before = coalesce(done_before, (SELECT done FROM webhooks WHERE id = ?2)),"
		" status = nullif(?4, 0), message = ?5, answer = ?6, tried_at = ?7, code = ?8"
		" WHERE n = ?1 AND state = 'waiting'";
	static const char hook[] =
		"UPDATE webhooks SET failures = failures + 1, failing_ms = failing_ms + ?"
		" WHERE id = ?";
	static const struct column tried_columns[] = {COL(struct tried, attempts),
		COL(struct tried, waited_ms), COL(struct tried, done_before),
		COL(struct tried, event), COL(struct tried, done), COL(struct tried, failing_ms),
		COL(struct tried, message), {0}};
	SELECT(find,
		"SELECT attempts, waited_ms, done_before, event, w.done AS done,"
		" w.failing_ms AS failing_ms, message FROM deliveries d"
		" JOIN webhooks w ON w.id = d.webhook WHERE n = ?",
		tried_columns);
	int r = db_run(tx, e, row, end->n, end->webhook, end->waited_ms, end->status, end->message,
		end->answer, wall_ms(), end->code);

	if (r > 0)
		r = db_run(tx, e, hook, end->failing_ms, end->webhook);
	return r <= 0 ? r : select_one(tx, e, &find, ret, end->n);
}

static int end_failed(struct db *tx, const struct delivery_end *end, struct err *e)
{
	struct tried t = {0};
	int r = note_failure(tx, end, &t, e);

	if (r <= 0)
		return r;
	if (end->gone)
		return disable(tx, end, "the receiver answers 410: it wants nothing any more", e);
	if (t.failing_ms >= end->give_up_ms) {
		_cleanup_(freep) char *reason =
			xasprintf("the receiver took nothing for as long as 'give_up' of '%s' says",
				end->key ? end->key : "webhooks");

		return disable(tx, end, reason, e);
	}
	return t.waited_ms >= end->give_up_ms && t.done > t.done_before ? bury(tx, end, &t, e) : 0;
}

static bool is_same_end(const struct delivery_end *a, const struct delivery_end *b)
{
	return b->done && b->status == a->status && !strcmp(b->webhook, a->webhook);
}

/* Of the first, and of those after it that ended in the same way: one statement for all of them, which are most of what ends.
 * *ret_n: how many. */
static int end_done(struct db *tx, const struct delivery_end *const *end, size_t n, size_t *ret_n,
	struct err *e)
{
	static const char rows[] =
		"UPDATE deliveries SET state = 'done', attempts = attempts + 1, status = ?2,"
		" message = NULL, answer = NULL, code = NULL, tried_at = ?3, settled_at = ?3"
		" WHERE n IN (SELECT value FROM json_each(?1)) AND state = 'waiting'";
	static const char hook[] = "UPDATE webhooks SET done = done + ?, failures = 0,"
				   " failing_ms = 0 WHERE id = ?";
	json_t *list = json_array();
	size_t same = 0;
	int r;

	for (; same < n && is_same_end(end[0], end[same]); same++)
		json_array_append_new(list, json_integer(end[same]->n));
	r = db_run(tx, e, rows, list, end[0]->status, wall_ms());
	json_decref(list);
	*ret_n = same;
	return r <= 0 ? r : db_do(tx, e, hook, (int64_t)r, end[0]->webhook);
}

int webhooks_end(struct db *tx, const struct delivery_end *const *end, size_t n, struct err *e)
{
	size_t taken = 1;
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i += taken) {
		taken = 1;
		r = end[i]->done ? end_done(tx, &end[i], n - i, &taken, e)
				 : end_failed(tx, end[i], e);
	}
	return MIN(r, 0);
}

/* --- what waits --- */

int webhooks_behind(
	struct db *d, struct webhook_behind ret[WEBHOOKS_ALL_MAX], size_t *ret_n, struct err *e)
{
	static const struct column behind_columns[] = {COL(struct webhook_behind, id),
		COL(struct webhook_behind, url), COL(struct webhook_behind, own),
		COL(struct webhook_behind, waiting), COL(struct webhook_behind, oldest_ms), {0}};
	SELECT(list,
		"SELECT w.id AS id, w.url AS url, w.format = 'cfx' AS own, (SELECT count(*) FROM deliveries d WHERE d.webhook = w.id AND"
		" d.state = 'waiting') + max(coalesce((SELECT seq FROM sqlite_sequence WHERE"
		" name = 'events'), 0) - w.seen, 0) AS waiting, coalesce((SELECT at FROM events"
		" WHERE seq >= coalesce((SELECT min(event) FROM deliveries d WHERE d.webhook = w.id"
		" AND d.state = 'waiting'), w.seen + 1) ORDER BY seq LIMIT 1), 0) AS oldest_ms"
		" FROM webhooks w WHERE enabled ORDER BY id",
		behind_columns);
	_cleanup_(query_done) struct query q = {0};
	int r = select_begin(&q, d, e, &list);

	*ret_n = 0;
	while (r >= 0 && *ret_n < WEBHOOKS_ALL_MAX && (r = select_next(&q, &ret[*ret_n], e)) > 0)
		++*ret_n;
	return MIN(r, 0);
}

static int need(struct db *d, bool runs, int64_t *ret, struct err *e)
{
	static const char sql[] =
		"SELECT min(seq) FROM (SELECT seen + 1 AS seq FROM webhooks WHERE enabled"
		" AND (format <> 'event' OR NOT ?1) UNION ALL SELECT min(event) FROM deliveries"
		" WHERE state = 'waiting' AND webhook IN (SELECT id FROM webhooks WHERE enabled"
		" AND (format <> 'event' OR NOT ?1)))";
	int64_t seq = 0;
	int r = db_int(d, e, &seq, sql, (int64_t)runs);

	if (r >= 0)
		*ret = seq > 0 ? seq : INT64_MAX;
	return MIN(r, 0);
}

int webhooks_need(struct db *d, int64_t *ret, struct err *e)
{
	return need(d, false, ret, e);
}

int webhooks_need_runs(struct db *d, int64_t *ret, struct err *e)
{
	return need(d, true, ret, e);
}

int webhooks_prune(struct db *tx, struct err *e)
{
	static const char lost[] =
		"UPDATE webhooks SET lost = lost + (SELECT count(*) FROM deliveries d WHERE"
		" +d.webhook = webhooks.id AND d.state = 'waiting' AND d.event < ?)";
	static const char waiting[] =
		"DELETE FROM deliveries WHERE state = 'waiting' AND event < ?";
	/* Few of each receiver are kept. */
	static const char others[] =
		"DELETE FROM deliveries WHERE n IN (SELECT d.n FROM webhooks w CROSS JOIN deliveries d"
		" ON d.webhook = w.id AND d.state IN ('done', 'dead') WHERE d.event < ?)";
	int64_t first, last;
	int r = events_bounds(tx, &first, &last, e);

	if (r == 0)
		r = db_do(tx, e, lost, first);
	if (r == 0)
		r = db_do(tx, e, waiting, first);
	return r < 0 ? r : db_do(tx, e, others, first);
}
