/* SPDX-License-Identifier: Apache-2.0 */
#include "api/work.h"

#include "base/iotime.h"
#include "base/thread.h"
#include "base/util.h"

struct hand {
	struct work_pool *pool;
	pthread_t thread;
	bool started;
	bool heavy;
	uint64_t since_us; /* of its work; 0: none */
};

struct queue {
	struct work *first, **last;
	uint64_t moved_us; /* when it last got shorter or began to fill */
};

struct work_pool {
	struct mutex lock;
	struct cond more;
	struct queue queue[2]; /* light, heavy */
	unsigned heavy, heavy_most;
	bool ending;
	unsigned hands;
	struct hand hand[];
};

static struct work *pop_locked(struct work_pool *p, bool heavy) REQUIRES(p->lock)
{
	struct queue *q = &p->queue[heavy];
	struct work *w = q->first;

	if (!w || (heavy && p->heavy == p->heavy_most))
		return NULL;
	q->first = w->next;
	if (!q->first)
		q->last = &q->first;
	q->moved_us = now_us();
	w->next = NULL;
	return w;
}

static struct work *next_locked(struct work_pool *p) REQUIRES(p->lock)
{
	struct work *w = pop_locked(p, false);

	return w ? w : pop_locked(p, true);
}

static void *hand_main(void *arg)
{
	struct hand *h = arg;
	struct work_pool *p = h->pool;

	mutex_lock(&p->lock);
	for (;;) {
		struct work *w = next_locked(p);

		if (!w) {
			if (p->ending && !p->queue[true].first)
				break;
			cond_wait(&p->more, &p->lock);
			continue;
		}
		h->heavy = w->heavy;
		h->since_us = now_us();
		p->heavy += h->heavy;
		mutex_unlock(&p->lock);
		w->run(w);
		mutex_lock(&p->lock);
		p->heavy -= h->heavy;
		h->since_us = 0;
		/* Others may wait for the place of a heavy one. */
		if (h->heavy)
			cond_broadcast(&p->more);
	}
	mutex_unlock(&p->lock);
	return NULL;
}

int work_pool_new(unsigned threads, unsigned heavy_most, struct work_pool **ret, struct err *e)
{
	struct work_pool *p = xcalloc(1, sizeof *p + threads * sizeof p->hand[0]);
	int r = 0;

	mutex_init(&p->lock);
	cond_init(&p->more);
	p->heavy_most = heavy_most;
	p->hands = threads;
	for (size_t i = 0; i < ARRAY_LEN(p->queue); i++)
		p->queue[i].last = &p->queue[i].first;
	for (unsigned i = 0; i < threads && r == 0; i++) {
		char name[16];

		snprintf(name, sizeof name, "http-work-%u", i % 100);
		p->hand[i].pool = p;
		r = thread_start(&p->hand[i].thread, name, hand_main, &p->hand[i], e);
		p->hand[i].started = r == 0;
	}
	if (r < 0) {
		work_pool_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct work_pool *work_pool_free(struct work_pool *p)
{
	if (!p)
		return NULL;
	mutex_lock(&p->lock);
	p->ending = true;
	cond_broadcast(&p->more);
	mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->hands; i++)
		if (p->hand[i].started)
			pthread_join(p->hand[i].thread, NULL);
	cond_done(&p->more);
	mutex_done(&p->lock);
	free(p);
	return NULL;
}

void work_submit(struct work_pool *p, struct work *w)
{
	struct queue *q = &p->queue[w->heavy];

	w->next = NULL;
	mutex_lock(&p->lock);
	if (!q->first)
		q->moved_us = now_us();
	*q->last = w;
	q->last = &w->next;
	cond_signal(&p->more);
	mutex_unlock(&p->lock);
}

void work_pool_age(
	struct work_pool *p, uint64_t now, uint64_t *ret_light_us, uint64_t *ret_heavy_us)
{
	uint64_t age[2] = {0, 0};

	mutex_lock(&p->lock);
	for (int heavy = 0; heavy < 2; heavy++)
		if (p->queue[heavy].first && p->queue[heavy].moved_us < now)
			age[heavy] = now - p->queue[heavy].moved_us;
	for (unsigned i = 0; i < p->hands; i++) {
		const struct hand *h = &p->hand[i];

		if (h->since_us && h->since_us < now)
			age[h->heavy] = MAX(age[h->heavy], now - h->since_us);
	}
	mutex_unlock(&p->lock);
	*ret_light_us = age[false];
	*ret_heavy_us = age[true];
}
