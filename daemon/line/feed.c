/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/feed.h"

#include "base/thread.h"
#include "base/util.h"

struct feed_sub {
	struct feed *feed;
	uint64_t next; /* position in the stream of items */
	void (*notify)(void *data);
	void *data;
	struct feed_sub *link;
};

struct feed {
	struct mutex lock;
	struct mutex
		notify_lock; /* held while callbacks run, so that unsubscribe can wait for them */
	struct feed_item **ring;
	size_t size;
	uint64_t head; /* items ever published */
	int64_t last_seq;
	struct feed_sub *subs; /* under notify_lock */
};

struct feed *feed_new(size_t ring)
{
	struct feed *f = xcalloc(1, sizeof *f);

	mutex_init(&f->lock);
	mutex_init(&f->notify_lock);
	f->ring = xcalloc(ring, sizeof(struct feed_item *));
	f->size = ring;
	return f;
}

struct feed_item *feed_item_unref(struct feed_item *i)
{
	if (i && __atomic_sub_fetch(&i->refs, 1, __ATOMIC_ACQ_REL) == 0) {
		free(i->json);
		free(i);
	}
	return NULL;
}

struct feed *feed_free(struct feed *f)
{
	if (!f)
		return NULL;
	for (size_t i = 0; i < f->size; i++)
		feed_item_unref(f->ring[i]);
	free(f->ring);
	mutex_done(&f->lock);
	mutex_done(&f->notify_lock);
	free(f);
	return NULL;
}

void feed_publish(struct feed *f, int64_t seq, const char *type, const char *station,
	const char *job, const char *json)
{
	struct feed_item *i = xcalloc(1, sizeof *i);
	struct feed_item *old;

	i->refs = 1;
	i->seq = seq;
	snprintf(i->type, sizeof i->type, "%s", type);
	snprintf(i->station, sizeof i->station, "%s", station ? station : "");
	snprintf(i->job, sizeof i->job, "%s", job ? job : "");
	i->json = xstrdup(json);
	mutex_lock(&f->lock);
	old = f->ring[f->head % f->size];
	f->ring[f->head++ % f->size] = i;
	if (seq > f->last_seq)
		f->last_seq = seq;
	mutex_unlock(&f->lock);
	feed_item_unref(old);
	mutex_lock(&f->notify_lock);
	for (struct feed_sub *s = f->subs; s; s = s->link)
		s->notify(s->data);
	mutex_unlock(&f->notify_lock);
}

int64_t feed_last_seq(struct feed *f)
{
	mutex_lock(&f->lock);
	int64_t seq = f->last_seq;
	mutex_unlock(&f->lock);
	return seq;
}

struct feed_sub *feed_subscribe(struct feed *f, void (*notify)(void *data), void *data)
{
	struct feed_sub *s = xcalloc(1, sizeof *s);

	s->feed = f;
	s->notify = notify;
	s->data = data;
	mutex_lock(&f->lock);
	s->next = f->head;
	mutex_unlock(&f->lock);
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
	if (f->head - s->next > f->size) {
		s->next = f->head - f->size;
		r = -1;
	} else if (s->next < f->head) {
		struct feed_item *i = f->ring[s->next++ % f->size];

		__atomic_add_fetch(&i->refs, 1, __ATOMIC_RELAXED);
		*ret = i;
		r = 1;
	}
	mutex_unlock(&f->lock);
	return r;
}
