/* SPDX-License-Identifier: Apache-2.0
 *
 * /events: the durable events as a list, or, for a client that accepts text/event-stream, live. A
 * live client first gets what it missed out of the database (Last-Event-ID, ?after=), then follows
 * the feed; one that falls behind the feed's ring reads the database again. Station views come
 * between, without an id; with ?log=true, also what runs say while they go on (run-log). A quiet
 * stream has a comment every 10 s; with ?heartbeat=true every second an event, which a browser's
 * script sees, which it does not see of a comment: a page that hears none for 3 s knows that what
 * it shows is old.
 */
#include "api/accept.h"
#include "api/route.h"
#include "base/iotime.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "db/events.h"

#define COMMENT_US    (10 * US_PER_S)
#define HEARTBEAT_US  (900 * US_PER_MS) /* less than the second after which a stream is read */
#define CATCH_UP_PAGE 200

struct follower {
	struct api *api;
	struct principal who;
	struct stream *stream;
	struct feed_sub *sub;
	int64_t last_seq;
	bool behind; /* read the database before the feed */
	bool log;    /* wants run-log frames */
	bool beats;  /* wants heartbeats as events */
	struct strbuf out;
	size_t sent; /* of out */
	uint64_t heartbeat_us;
};

/* Frames of a stream hold no raw line breaks: JSON has none. */
static void add_frame(struct strbuf *b, int64_t seq, const char *type, const char *json)
{
	if (seq > 0)
		sb_addf(b, "id: %lld\n", (long long)seq);
	sb_addf(b, "event: %s\ndata: %s\n\n", type, json);
}

/* One page out of the database; false when there is no more. */
static bool catch_up(struct follower *f)
{
	char after[24];
	struct db_page page = {.limit = CATCH_UP_PAGE, .after = after};
	struct db_list list = {0};
	struct err e;
	struct db *d = readers_take(f->api->readers, &e);
	json_t *o;
	size_t i;
	bool more = false;

	snprintf(after, sizeof after, "%lld", (long long)f->last_seq);
	if (d && events_list(d, &(struct event_filter){0}, &page, &list, &e) == 0) {
		json_array_foreach(list.items, i, o) {
			char *text = json_dumps(o, JSON_COMPACT);
			bool inside = scope_has_item(f->who.scopes, SCOPE_EVENT, o);

			f->last_seq = json_integer_value(json_object_get(o, "seq"));
			if (inside)
				add_frame(&f->out, f->last_seq,
					json_string_value(json_object_get(o, "type")), text);
			free(text);
		}
		more = list.next[0] != 0;
		/* A page of which nothing is shown must end this read as well: the thread is not its own. */
		if (more && f->out.len == 0)
			sb_add(&f->out, ": further on\n\n");
		json_decref(list.items);
	}
	readers_give(f->api->readers, d);
	return more;
}

static bool wants(const struct follower *f, const struct feed_item *item)
{
	return scope_has(f->who.scopes, "stations", item->station) &&
	       (f->log || strcmp(item->type, "run-log") != 0);
}

static void follow(struct follower *f)
{
	struct feed_item *item;
	int r;

	if (f->behind) {
		f->behind = catch_up(f);
		return;
	}
	while (f->out.len < 65536 && (r = feed_next(f->sub, &item)) != 0) {
		if (r < 0) {
			f->behind = true;
			return;
		}
		if (item->seq == 0 || item->seq > f->last_seq) {
			/* A hole means that the feed began after last_seq: the database has it. */
			if (item->seq > f->last_seq + 1) {
				f->behind = true;
				feed_item_unref(item);
				return;
			}
			if (wants(f, item))
				add_frame(&f->out, item->seq, item->type, item->json);
			if (item->seq > 0)
				f->last_seq = item->seq;
		}
		feed_item_unref(item);
	}
}

/* It carries the number of the last event, so that a client that comes back knows where to go on.
 * */
static void add_heartbeat(struct follower *f)
{
	if (f->beats)
		sb_addf(&f->out, "event: heartbeat\ndata: {\"seq\":%lld}\n\n",
			(long long)f->last_seq);
	else
		sb_add(&f->out, ": alive\n\n");
}

static long follower_read(void *data, char *buf, size_t size)
{
	struct follower *f = data;
	uint64_t now = now_us();
	size_t n;

	/* At least once a second: a revoked token or an ended session ends its streams. */
	if (!auth_still(f->api->auth, &f->who))
		return -1;
	if (f->sent == f->out.len) {
		sb_clear(&f->out);
		f->sent = 0;
		do
			follow(f);
		while (f->behind && f->out.len == 0 &&
			f->last_seq < feed_last_seq(fleet_feed(f->api->fleet)));
		if (f->out.len == 0 && now >= f->heartbeat_us)
			add_heartbeat(f);
		if (f->out.len)
			f->heartbeat_us = now + (f->beats ? HEARTBEAT_US : COMMENT_US);
	}
	n = MIN(size, f->out.len - f->sent);
	if (n)
		memcpy(buf, f->out.s + f->sent, n);
	f->sent += n;
	return (long)n;
}

static void follower_free(void *data)
{
	struct follower *f = data;

	feed_unsubscribe(f->sub);
	sb_done(&f->out);
	free(f);
}

static void follower_notify(void *data)
{
	stream_wake(((struct follower *)data)->stream);
}

static const struct stream_ops follower_ops = {follower_read, follower_free};

static int open_stream(struct call *c, int64_t after, int64_t last, struct err *e)
{
	struct follower *f = xcalloc(1, sizeof *f);
	const char *log = request_query(c->rq, "log");
	const char *beats = request_query(c->rq, "heartbeat");

	f->api = c->api;
	f->who = *c->who;
	f->last_seq = after >= 0 ? after : last;
	f->behind = after >= 0;
	f->log = log && !strcmp(log, "true");
	f->beats = beats && !strcmp(beats, "true");
	/* The first one at once: the page learns that the stream is there. */
	sb_add(&f->out, "retry: 2000\n\n");
	if (f->beats)
		add_heartbeat(f);
	f->heartbeat_us = now_us() + (f->beats ? HEARTBEAT_US : COMMENT_US);
	f->stream = stream_new(c->api->httpd, &follower_ops, f, c->who->id);
	if (!f->stream) {
		sb_done(&f->out);
		free(f);
		return err_set(e, ERR_OVERLOADED, "too many live streams");
	}
	f->sub = feed_subscribe(fleet_feed(c->api->fleet), follower_notify, f);
	c->rs->status = 200;
	c->rs->stream = f->stream;
	c->rs->close = true; /* nothing is asked on it after its end */
	snprintf(c->rs->content_type, sizeof c->rs->content_type, "text/event-stream");
	response_header(c->rs, "Cache-Control", "no-store");
	return 0;
}

/* SEQ, or EPOCH-SEQ: a number of another epoch says nothing about this one's events. */
static int parse_seq(const char *s, const char *epoch, int64_t *ret, struct err *e)
{
	const char *dash = s && *s != '-' ? strchr(s, '-') : NULL;
	unsigned long long v;

	if (!s)
		return 0;
	if (dash && ((size_t)(dash - s) != strlen(epoch) || strncmp(s, epoch, strlen(epoch)) != 0))
		return err_set(e, ERR_GONE,
			"'%.40s' is of another epoch than %s: the records were restored; read the present state, then go on from there",
			s, epoch);
	s = dash ? dash + 1 : s;
	if (!parse_size(s, &v) || v > INT64_MAX || strpbrk(s, "xKMG"))
		return err_set(e, ERR_INVALID, "'%.40s' is not a sequence number", s);
	*ret = (int64_t)v;
	return 0;
}

static int read_events(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	const struct event_filter filter = {
		.type = request_query(c->rq, "type"),
		.station = request_query(c->rq, "station"),
		.job = request_query(c->rq, "job_id"),
		.run = request_query(c->rq, "run_id"),
		.serial = request_query(c->rq, "serial"),
	};

	return events_list(d, &filter, page, ret, e);
}

static int export_events(struct call *c, const char *after, struct err *e)
{
	static const char *const members[] = {
		"seq", "at", "type", "station", "job", "run", "serial", "data", NULL};

	return api_export(c, read_events, members, after, e);
}

static bool wants_lines(const struct call *c)
{
	const char *format = request_query(c->rq, "format");

	return format && strcmp(format, "json") != 0;
}

/* The event after which it begins, -1 the beginning; the page keeps its limit alone. */
static int events_place(
	struct call *c, const char *epoch, struct db_page *page, int64_t *ret, struct err *e)
{
	const char *last_id = request_header(c->rq, "Last-Event-ID");
	int r = parse_seq(last_id ? last_id : request_query(c->rq, "after"), epoch, ret, e);

	if (r == 0)
		r = api_page(c, page, e);
	if (r == 0 && page->after) {
		r = parse_seq(page->after, epoch, ret, e);
		page->after = NULL;
	}
	return r;
}

static int get_events(struct call *c, struct err *e)
{
	const char *accept = request_header(c->rq, "Accept");
	struct db_list list = {0};
	struct db_page page = {0};
	int64_t after = -1;
	int64_t first = 0;
	int64_t last = 0;
	char text[24];
	struct db *d;
	char epoch[MARKS_EPOCH_SIZE];
	int r;

	records_epoch(fleet_records(c->api->fleet), epoch);
	r = events_place(c, epoch, &page, &after, e);
	if (r < 0)
		return r;
	d = readers_take(c->api->readers, e);
	if (!d)
		return -(int)e->code;
	r = events_bounds(d, &first, &last, e);
	if (r == 0 && after >= 0 && first > 0 && after < first - 1)
		r = err_set(e, ERR_GONE, "events up to %lld are pruned", (long long)first - 1);
	if (r == 0 && after >= 0)
		r = events_check_cursor(d, after, e);
	response_header(c->rs, "Provd-Epoch", "%s", epoch);
	if (r == 0 && wants_lines(c)) {
		readers_give(c->api->readers, d);
		snprintf(text, sizeof text, "%lld", (long long)after);
		return export_events(c, after >= 0 ? text : NULL, e);
	}
	if (r == 0 && !c->rq->head && accept_names(accept, "text/event-stream")) {
		readers_give(c->api->readers, d);
		return open_stream(c, after, last, e);
	}
	if (r == 0) {
		if (!page.after && after >= 0) {
			snprintf(text, sizeof text, "%lld", (long long)after);
			page.after = text;
		}
		r = read_events(d, c, &page, &list, e);
	}
	readers_give(c->api->readers, d);
	if (r < 0)
		return r;
	if (list.next[0]) {
		snprintf(text, sizeof text, "%.23s", list.next);
		snprintf(list.next, sizeof list.next, "%s-%s", epoch, text);
	}
	c->list_extra = json_pack("{s:s}", "epoch", epoch);
	api_list(c, &list);
	return 0;
}

static const char *const yes_no[] = {"true", "false", NULL};
static const struct query_param query_events[] = {{"type", NULL}, {"station", NULL},
	{"job_id", NULL}, {"run_id", NULL}, {"serial", NULL}, {"after", NULL}, {"log", yes_no},
	{"heartbeat", yes_no}, QUERY_EXPORT, {0}};

const struct route routes_events[] = {
	{HTTP_GET, "/api/v1/events", MAY_READ, ROUTE_NO_BODY, 0, get_events, query_events,
		.scope = SCOPE_EVENT},
	{0},
};
