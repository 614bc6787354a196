/* SPDX-License-Identifier: Apache-2.0
 *
 * /events: the durable events as a list, or, for a client that accepts text/event-stream, live
 * (api/live.h). A live client first gets what it missed out of the database (Last-Event-ID,
 * ?after=), then follows the feed. Station views come between, without an id; with ?log=true, also
 * what runs say while they go on (run-log). The filters of the list hold for both. A quiet stream
 * has a comment every 10 s; with ?heartbeat=true every second an event, which a browser's script
 * sees, which it does not see of a comment: a page that hears none for 3 s knows that what it shows
 * is old.
 *
 * A client without streams asks for the list with ?after= and "Prefer: wait=N": the answer comes with the next event.
 */
#include "api/accept.h"
#include "api/event_topics.h"
#include "api/live.h"
#include "api/route.h"
#include "base/iotime.h"
#include "base/util.h"
#include "db/events.h"

struct follower {
	struct api *api;
	struct principal who;
	struct stream *stream;
	struct live *live;
};

static long follower_read(void *data, char *buf, size_t size)
{
	return live_read(((struct follower *)data)->live, buf, size, now_us());
}

static void follower_free(void *data)
{
	struct follower *f = data;

	live_free(f->live);
	free(f);
}

static void follower_notify(void *data)
{
	stream_wake(((struct follower *)data)->stream);
}

/* At least once a second: a revoked token or an ended session ends its streams. */
static bool follower_allowed(void *data)
{
	const struct follower *f = data;

	return auth_still(f->api->auth, &f->who);
}

static const struct stream_ops follower_ops = {follower_read, follower_free};

static bool says_true(const struct call *c, const char *name)
{
	const char *v = request_query(c->rq, name);

	return v && !strcmp(v, "true");
}

static struct follower *follower_new(struct call *c, int64_t after)
{
	struct follower *f = xcalloc(1, sizeof *f);
	const struct live_opts o = {.readers = c->api->readers,
		.feed = fleet_feed(c->api->fleet),
		.scopes = c->who->scopes,
		.types = request_query(c->rq, "type"),
		.station = request_query(c->rq, "station"),
		.job = request_query(c->rq, "job_id"),
		.run = request_query(c->rq, "run_id"),
		.serial = request_query(c->rq, "serial"),
		.log = says_true(c, "log"),
		.beats = says_true(c, "heartbeat"),
		.after = after,
		.allowed = follower_allowed,
		.notify = follower_notify,
		.data = f};

	f->api = c->api;
	f->who = *c->who;
	f->live = live_new(&o, now_us());
	return f;
}

static int open_stream(struct call *c, int64_t after, int64_t last, struct err *e)
{
	struct follower *f = follower_new(c, after);

	f->stream = stream_new(c->api->httpd, STREAM_LIVE, &follower_ops, f, c->who->id);
	if (!f->stream) {
		follower_free(f);
		return err_set(e, ERR_OVERLOADED,
			"there are as many live streams as this principal, or all together, may have: end one of them");
	}
	live_begin(f->live, last);
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

static struct event_filter filter_of(const struct call *c)
{
	return (struct event_filter){
		.type = request_query(c->rq, "type"),
		.station = request_query(c->rq, "station"),
		.job = request_query(c->rq, "job_id"),
		.run = request_query(c->rq, "run_id"),
		.serial = request_query(c->rq, "serial"),
	};
}

static int read_events(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	const struct event_filter filter = filter_of(c);

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

/* Whether there is nothing of what was asked for, and the client waits for it. */
static bool waits(struct call *c, const struct api_wait *w, const struct db_list *list)
{
	const struct event_filter f = filter_of(c);
	char topic[WAIT_TOPIC_SIZE];

	api_narrow(c, list->items);
	event_topic(&f, topic);
	return api_wait_on(
		c, w, json_array_size(list->items) == 0 && !list->next[0] ? topic : NULL);
}

static int answer_list(struct call *c, const struct db_page *page, const char *epoch, struct err *e)
{
	struct db_list list = {0};
	struct api_wait w;
	char seq[24];
	struct db *d;
	int r = api_wait_begin(c, !c->rq->head, &w, e);

	if (r < 0)
		return r;
	d = readers_take(c->api->readers, e);
	r = d ? read_events(d, c, page, &list, e) : -(int)e->code;
	readers_give(c->api->readers, d);
	if (r < 0)
		return r;
	if (waits(c, &w, &list)) {
		json_decref(list.items);
		return 0;
	}
	if (list.next[0]) {
		snprintf(seq, sizeof seq, "%.23s", list.next);
		snprintf(list.next, sizeof list.next, "%s-%s", epoch, seq);
	}
	c->list_extra = json_pack("{s:s}", "epoch", epoch);
	api_list(c, &list);
	return 0;
}

/* Whether it can go on after that event: it is of this epoch, and was not pruned. */
static int check_place(struct call *c, int64_t after, int64_t *ret_last, struct err *e)
{
	int64_t first = 0;
	struct db *d = readers_take(c->api->readers, e);
	int r = d ? events_bounds(d, &first, ret_last, e) : -(int)e->code;

	if (r == 0 && after >= 0 && first > 0 && after < first - 1)
		r = err_set(e, ERR_GONE, "events up to %lld are pruned", (long long)first - 1);
	if (r == 0 && after >= 0)
		r = events_check_cursor(d, after, e);
	readers_give(c->api->readers, d);
	return r;
}

static int get_events(struct call *c, struct err *e)
{
	struct db_page page = {0};
	char epoch[MARKS_EPOCH_SIZE];
	char text[24];
	int64_t after = -1;
	int64_t last = 0;
	int r;

	records_epoch(fleet_records(c->api->fleet), epoch);
	r = events_check_types(request_query(c->rq, "type"), e);
	if (r == 0)
		r = events_place(c, epoch, &page, &after, e);
	response_header(c->rs, "Provd-Epoch", "%s", epoch);
	if (r == 0)
		r = check_place(c, after, &last, e);
	if (r < 0)
		return r;
	snprintf(text, sizeof text, "%lld", (long long)after);
	page.after = after >= 0 ? text : NULL;
	if (wants_lines(c))
		return export_events(c, page.after, e);
	if (!c->rq->head && accept_names(request_header(c->rq, "Accept"), "text/event-stream"))
		return open_stream(c, after, last, e);
	return answer_list(c, &page, epoch, e);
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
