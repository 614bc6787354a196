/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "base/util.h"

struct feed_sub {
	struct feed *feed;
	struct feed_opts opts;
	uint64_t next; /* position in the stream of items; under the feed's lock */
	struct feed_sub *link;
};

struct feed {
	struct mutex lock;
	struct cond published;
	struct feed_item **ring;
	size_t size;
	uint64_t head; /* items ever published */
	uint64_t told; /* of them, those that the subscribers were woken for */
	int64_t last_seq;
	bool stop;
	struct mutex
		notify_lock;   /* held while callbacks run, so that unsubscribe can wait for them */
	struct feed_sub *subs; /* under notify_lock */
	pthread_t teller;
};

/* --- items --- */

static size_t text_size(const char *s)
{
	return s ? strlen(s) + 1 : 1;
}

static const char *put_text(char **at, const char *s)
{
	char *text = *at;

	strcpy(text, s ? s : "");
	*at += strlen(text) + 1;
	return text;
}

/* One piece of memory: the item, the frame, the words of the news. A frame has no raw line break inside: JSON
 * has none. */
struct feed_item *feed_item_new(const struct feed_news *n, const char *json)
{
	char head[128];
	int head_len =
		n->seq > 0 ? snprintf(head, sizeof head,
				     "id: %lld\nevent: %.60s\ndata: ", (long long)n->seq, n->type)
			   : snprintf(head, sizeof head, "event: %.60s\ndata: ", n->type);
	const size_t json_len = strlen(json);
	const size_t frame_len = (size_t)head_len + json_len + 2;
	struct feed_item *i =
		xcalloc(1, sizeof *i + frame_len + text_size(n->type) + text_size(n->station) +
				   text_size(n->job) + text_size(n->run) + text_size(n->serial));
	char *at = (char *)(i + 1);

	*i = (struct feed_item){.refs = 1,
		.frame = at,
		.frame_len = frame_len,
		.json = at + head_len,
		.json_len = json_len};
	memcpy(at, head, (size_t)head_len);
	memcpy(at + head_len, json, json_len);
	memcpy(at + head_len + json_len, "\n\n", 2);
	at += frame_len;
	i->news.seq = n->seq;
	i->news.type = put_text(&at, n->type);
	i->news.station = put_text(&at, n->station);
	i->news.job = put_text(&at, n->job);
	i->news.run = put_text(&at, n->run);
	i->news.serial = put_text(&at, n->serial);
	return i;
}

struct feed_item *feed_item_unref(struct feed_item *i)
{
	if (i && __atomic_sub_fetch(&i->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(i);
	return NULL;
}

/* --- what a subscriber has still to read --- */

static bool missed_locked(const struct feed *f, const struct feed_sub *s) REQUIRES(f->lock)
{
	return f->head - s->next > f->size;
}

/* Goes over what it does not want; whether something is left. */
static bool has_news_locked(const struct feed *f, struct feed_sub *s) REQUIRES(f->lock)
{
	if (missed_locked(f, s))
		return true;
	while (s->next < f->head && s->opts.wants &&
		!s->opts.wants(s->opts.data, &f->ring[s->next % f->size]->news))
		s->next++;
	return s->next < f->head;
}

/* --- the thread that wakes them --- */

static void wake_all(struct feed *f)
{
	mutex_lock(&f->notify_lock);
	for (struct feed_sub *s = f->subs; s; s = s->link) {
		mutex_lock(&f->lock);
		bool news = has_news_locked(f, s);
		mutex_unlock(&f->lock);
		if (news)
			s->opts.notify(s->opts.data);
	}
	mutex_unlock(&f->notify_lock);
}

static void *teller_main(void *arg)
{
	struct feed *f = arg;

	mutex_lock(&f->lock);
	while (!f->stop) {
		if (f->told == f->head) {
			cond_wait(&f->published, &f->lock);
			continue;
		}
		f->told = f->head;
		mutex_unlock(&f->lock);
		wake_all(f);
		mutex_lock(&f->lock);
	}
	mutex_unlock(&f->lock);
	return NULL;
}

/* --- the feed --- */

static void feed_drop(struct feed *f)
{
	for (size_t i = 0; i < f->size; i++)
		feed_item_unref(f->ring[i]);
	free(f->ring);
	cond_done(&f->published);
	mutex_done(&f->lock);
	mutex_done(&f->notify_lock);
	free(f);
}

int feed_new(size_t ring, struct feed **ret, struct err *e)
{
	struct feed *f = xcalloc(1, sizeof *f);
	int r;

	mutex_init(&f->lock);
	mutex_init(&f->notify_lock);
	cond_init(&f->published);
	f->ring = xcalloc(ring, sizeof(struct feed_item *));
	f->size = ring;
	r = thread_start(&f->teller, "feed", teller_main, f, e);
	if (r < 0)
		feed_drop(f);
	else
		*ret = f;
	return r;
}

struct feed *feed_free(struct feed *f)
{
	if (!f)
		return NULL;
	mutex_lock(&f->lock);
	f->stop = true;
	cond_signal(&f->published);
	mutex_unlock(&f->lock);
	pthread_join(f->teller, NULL);
	feed_drop(f);
	return NULL;
}

void feed_publish(struct feed *f, const struct feed_news *n, const char *json)
{
	struct feed_item *i = feed_item_new(n, json);
	struct feed_item *old;

	mutex_lock(&f->lock);
	old = f->ring[f->head % f->size];
	f->ring[f->head++ % f->size] = i;
	if (n->seq > f->last_seq)
		f->last_seq = n->seq;
	cond_signal(&f->published);
	mutex_unlock(&f->lock);
	feed_item_unref(old);
}

int64_t feed_last_seq(struct feed *f)
{
	mutex_lock(&f->lock);
	int64_t seq = f->last_seq;
	mutex_unlock(&f->lock);
	return seq;
}

/* --- subscribers --- */

struct feed_sub *feed_subscribe(struct feed *f, const struct feed_opts *o)
{
	struct feed_sub *s = xcalloc(1, sizeof *s);

	s->feed = f;
	s->opts = *o;
	feed_rejoin(s);
	mutex_lock(&f->notify_lock);
	s->link = f->subs;
	f->subs = s;
	mutex_unlock(&f->notify_lock);
	return s;
}

struct feed_sub *feed_unsubscribe(struct feed_sub *s)
{
	if (!s)
		return NULL;
	mutex_lock(&s->feed->notify_lock);
	for (struct feed_sub **p = &s->feed->subs; *p; p = &(*p)->link) {
		if (*p == s) {
			*p = s->link;
			break;
		}
	}
	mutex_unlock(&s->feed->notify_lock);
	free(s);
	return NULL;
}

int feed_next(struct feed_sub *s, struct feed_item **ret)
{
	struct feed *f = s->feed;
	int r = 0;

	mutex_lock(&f->lock);
	if (missed_locked(f, s)) {
		s->next = f->head - f->size;
		r = -1;
	} else if (has_news_locked(f, s)) {
		struct feed_item *i = f->ring[s->next++ % f->size];

		__atomic_add_fetch(&i->refs, 1, __ATOMIC_RELAXED);
		*ret = i;
		r = 1;
	}
	mutex_unlock(&f->lock);
	return r;
}

void feed_rejoin(struct feed_sub *s)
{
	mutex_lock(&s->feed->lock);
	s->next = s->feed->head;
	mutex_unlock(&s->feed->lock);
}
