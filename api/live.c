/* SPDX-License-Identifier: Apache-2.0 */
#include "api/live.h"

#include "api/scope.h"
#include "base/iotime.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "db/events.h"

#define COMMENT_US    (10 * US_PER_S)
#define HEARTBEAT_US  (900 * US_PER_MS) /* less than the second after which a stream is read */
#define CATCH_UP_PAGE 200
#define SLOW_US	      (60 * US_PER_S)

enum live_state {
	LIVE_BEHIND, /* reads the database before the feed */
	LIVE_LIVE,
	LIVE_ENDED /* what is in `out` still goes */
};

struct live {
	struct live_opts opts;
	char *words[5]; /* what opts asks for */
	struct feed_sub *sub;
	enum live_state state;
	bool resync;		/* transient frames were missed while it was behind */
	uint64_t slow_since_us; /* it ran over then, and was never up to date since; 0: it is */
	int64_t last_seq;
	struct feed_item *item; /* under way */
	struct strbuf out;	/* frames that are this client's alone; before the item */
	size_t sent;		/* of what is under way */
	uint64_t heartbeat_us;	/* the next one */
};

struct live *live_new(const struct live_opts *o, uint64_t now_us)
{
	struct live *l = xcalloc(1, sizeof *l);
	const char **word[] = {
		&l->opts.types, &l->opts.station, &l->opts.job, &l->opts.run, &l->opts.serial};

	l->opts = *o;
	for (size_t i = 0; i < ARRAY_LEN(word); i++)
		if (*word[i])
			*word[i] = l->words[i] = xstrdup(*word[i]);
	/* The first one at once: the page learns that the stream is there. */
	sb_add(&l->out, "retry: 2000\n\n");
	l->heartbeat_us = now_us + (o->beats ? HEARTBEAT_US : COMMENT_US);
	return l;
}

struct live *live_free(struct live *l)
{
	if (!l)
		return NULL;
	feed_unsubscribe(l->sub);
	feed_item_unref(l->item);
	sb_done(&l->out);
	for (size_t i = 0; i < ARRAY_LEN(l->words); i++)
		free(l->words[i]);
	free(l);
	return NULL;
}

/* It carries the number of the last event, so that a client that comes back knows where to go on. */
static void add_heartbeat(struct live *l)
{
	if (l->opts.beats)
		sb_addf(&l->out, "event: heartbeat\ndata: {\"seq\":%lld}\n\n",
			(long long)l->last_seq);
	else
		sb_add(&l->out, ": alive\n\n");
}

/* --- what it wants --- */

static bool is(const char *asked, const char *has)
{
	return !asked || !*asked || (has && !strcmp(asked, has));
}

static bool asks_for(const struct live_opts *o, const struct feed_news *n)
{
	if (!o->log && !strcmp(n->type, "run-log"))
		return false;
	return (!o->types || !*o->types || events_type_among(o->types, n->type)) &&
	       is(o->station, n->station) && is(o->job, n->job) && is(o->run, n->run) &&
	       is(o->serial, n->serial);
}

static bool wants(const void *data, const struct feed_news *n)
{
	const struct live *l = data;

	return scope_has(l->opts.scopes, "stations", n->station) && asks_for(&l->opts, n);
}

static void on_news(void *data)
{
	const struct live *l = data;

	l->opts.notify(l->opts.data);
}

void live_begin(struct live *l, int64_t last)
{
	const struct feed_opts o = {wants, on_news, l};

	l->last_seq = l->opts.after >= 0 ? l->opts.after : last;
	if (l->opts.beats)
		add_heartbeat(l);
	l->sub = feed_subscribe(l->opts.feed, &o);
}

/* --- out of the database --- */

static const char *member(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static void add_stored(struct live *l, json_t *o)
{
	const struct feed_news n = {json_integer_value(json_object_get(o, "seq")),
		member(o, "type"), member(o, "station"), member(o, "job"), member(o, "run"),
		member(o, "serial")};
	_cleanup_(freep) char *text = NULL;
	struct feed_item *item;

	l->last_seq = n.seq;
	if (!scope_has_item(l->opts.scopes, SCOPE_EVENT, o) || !asks_for(&l->opts, &n))
		return;
	text = json_dumps(o, JSON_COMPACT);
	item = feed_item_new(&n, text ? text : "{}");
	sb_add_n(&l->out, item->frame, item->frame_len);
	feed_item_unref(item);
}

/* Unfiltered: a page of rare events would read the whole table, on a thread that others wait for. */
static int read_page(struct live *l, struct db_list *ret)
{
	char after[24];
	const struct db_page page = {.limit = CATCH_UP_PAGE, .after = after};
	struct err e;
	struct db *d = readers_take(l->opts.readers, &e);
	int r;

	snprintf(after, sizeof after, "%lld", (long long)l->last_seq);
	r = d ? events_list(d, &(struct event_filter){0}, &page, ret, &e) : -(int)e.code;
	readers_give(l->opts.readers, d);
	return r;
}

static void end(struct live *l, const char *code, const char *detail)
{
	sb_addf(&l->out, "event: end\ndata: {\"code\":\"%s\",\"seq\":%lld,\"detail\":\"%s\"}\n\n",
		code, (long long)l->last_seq, detail);
	l->state = LIVE_ENDED;
}

static void catch_up(struct live *l)
{
	struct db_list list = {0};
	json_t *o;
	size_t i;

	if (read_page(l, &list) < 0) {
		end(l, "unreadable",
			"the events cannot be read: connect again and go on after this one");
		return;
	}
	json_array_foreach(list.items, i, o)
		add_stored(l, o);
	if (!list.next[0]) {
		l->state = LIVE_LIVE;
		if (l->resync)
			sb_addf(&l->out, "event: resync\ndata: {\"seq\":%lld}\n\n",
				(long long)l->last_seq);
		l->resync = false;
	} else if (l->out.len == 0) {
		/* A page of which nothing is shown must end this read as well: the thread is not its own. */
		sb_add(&l->out, ": further on\n\n");
	}
	json_decref(list.items);
}

/* --- out of the feed --- */

/* More came than the ring holds since it was last read: it reads the database again. */
static void run_over(struct live *l, uint64_t now_us)
{
	if (!l->slow_since_us)
		l->slow_since_us = now_us;
	if (now_us - l->slow_since_us >= SLOW_US) {
		end(l, "slow",
			"this client reads more slowly than the line speaks, for a minute: connect again and go on after this event");
		return;
	}
	feed_rejoin(l->sub);
	l->state = LIVE_BEHIND;
	l->resync = true;
	/* This read does not end without a byte: nobody would call for the next one. */
	sb_add(&l->out, ": behind\n\n");
}

/* The next item that the database has not given already. */
static void take_item(struct live *l, uint64_t now_us)
{
	const int64_t newest = feed_last_seq(l->opts.feed);
	int r;

	while ((r = feed_next(l->sub, &l->item)) > 0) {
		if (l->item->news.seq == 0)
			return;
		if (l->item->news.seq > l->last_seq) {
			l->last_seq = l->item->news.seq;
			return;
		}
		l->item = feed_item_unref(l->item);
	}
	if (r < 0) {
		run_over(l, now_us);
		return;
	}
	l->slow_since_us = 0;
	/* It wants none of those up to there. */
	l->last_seq = MAX(l->last_seq, newest);
}

/* --- the bytes --- */

static bool under_way(const struct live *l)
{
	return l->out.len || l->item;
}

static size_t put(struct live *l, char *buf, size_t size)
{
	const char *from = l->out.len ? l->out.s : l->item->frame;
	const size_t len = l->out.len ? l->out.len : l->item->frame_len;
	const size_t n = MIN(size, len - l->sent);

	memcpy(buf, from + l->sent, n);
	l->sent += n;
	if (l->sent < len)
		return n;
	l->sent = 0;
	/* Many clients are quiet for most of the time: none keeps room for what is gone. */
	if (l->out.len)
		sb_done(&l->out);
	else
		l->item = feed_item_unref(l->item);
	return n;
}

/* One page at most for each read. */
static void find(struct live *l, bool *paged, uint64_t now_us)
{
	if (l->state == LIVE_BEHIND && !*paged) {
		*paged = true;
		catch_up(l);
	}
	if (l->state == LIVE_LIVE && !under_way(l))
		take_item(l, now_us);
}

long live_read(struct live *l, char *buf, size_t size, uint64_t now_us)
{
	bool paged = false;
	size_t n = 0;

	if (!l->opts.allowed(l->opts.data))
		return -1;
	while (n < size) {
		if (!under_way(l))
			find(l, &paged, now_us);
		if (!under_way(l) && n == 0 && l->state != LIVE_ENDED && now_us >= l->heartbeat_us)
			add_heartbeat(l);
		if (!under_way(l))
			break;
		n += put(l, buf + n, size - n);
	}
	if (n == 0 && l->state == LIVE_ENDED)
		return -1;
	if (n)
		l->heartbeat_us = now_us + (l->opts.beats ? HEARTBEAT_US : COMMENT_US);
	return (long)n;
}
