/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/link_queue.h"

#include <errno.h>
#include <poll.h>
#include <stdalign.h>
#include <sys/eventfd.h>

#include "base/thread.h"

/* On the stack of a thread that waits. */
struct waiter {
	struct waiter *next;
	int fd;
	bool granted;
	uint64_t turn;
};

struct thing {
	struct thing *next;
	char *name;
	bool taken;
	uint64_t turns;
	struct waiter *first;
	alignas(max_align_t) uint8_t memo[LINK_MEMO_BYTES];
};

struct link_queue {
	struct mutex lock;
	struct thing *first; /* under lock; a thing stays until the queue is freed */
};

struct link_pass {
	struct link_queue *queue;
	struct thing *thing;
	struct link_turns turns;
};

struct link_queue *link_queue_new(void)
{
	struct link_queue *q = xcalloc(1, sizeof *q);

	mutex_init(&q->lock);
	return q;
}

struct link_queue *link_queue_free(struct link_queue *q)
{
	while (q && q->first) {
		struct thing *t = q->first;

		q->first = t->next;
		free(t->name);
		free(t);
	}
	if (q)
		mutex_done(&q->lock);
	free(q);
	return NULL;
}

static struct thing *thing_locked(struct link_queue *q, const char *name) REQUIRES(q->lock)
{
	struct thing *t = q->first;

	while (t && strcmp(t->name, name) != 0)
		t = t->next;
	if (t)
		return t;
	t = aligned_alloc(alignof(struct thing), sizeof *t);
	if (!t)
		abort();
	*t = (struct thing){.next = q->first, .name = xstrdup(name)};
	q->first = t;
	return t;
}

static void give_locked(struct link_queue *q, struct thing *t) REQUIRES(q->lock)
{
	struct waiter *w = t->first;

	t->taken = w != NULL;
	if (!w)
		return;
	t->first = w->next;
	w->granted = true;
	w->turn = ++t->turns;
	eventfd_write(w->fd, 1);
}

static void append_locked(struct link_queue *q, struct thing *t, struct waiter *w) REQUIRES(q->lock)
{
	struct waiter **at = &t->first;

	while (*at)
		at = &(*at)->next;
	*at = w;
}

/* It waits no more; where it was given the thing meanwhile, the next one gets it. */
static void give_up(struct link_queue *q, struct thing *t, struct waiter *w)
{
	mutex_lock(&q->lock);
	for (struct waiter **at = &t->first; *at; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			break;
		}
	if (w->granted)
		give_locked(q, t);
	mutex_unlock(&q->lock);
}

static int wait_turn(struct link_queue *q, struct thing *t, struct link_turns *ret,
	const struct iotime *it, struct err *e)
{
	struct waiter w = {.fd = eventfd(0, EFD_CLOEXEC)};
	bool waits;
	int r = 0;

	if (w.fd < 0)
		return err_errno(e, ERR_IO, errno, "eventfd");
	mutex_lock(&q->lock);
	ret->asked = t->turns;
	waits = t->taken;
	if (waits)
		append_locked(q, t, &w);
	else
		w.turn = ++t->turns;
	t->taken = true;
	mutex_unlock(&q->lock);
	if (waits)
		r = iotime_wait(w.fd, POLLIN, it, e);
	if (r < 0)
		give_up(q, t, &w);
	/* Whoever gave it is done with it, and with what its turn left in the memo. */
	mutex_lock(&q->lock);
	ret->turn = w.turn;
	mutex_unlock(&q->lock);
	close(w.fd);
	return MIN(r, 0);
}

int link_queue_enter(struct link_queue *q, const char *name, const struct iotime *it,
	struct link_pass **ret, struct err *e)
{
	struct link_turns turns;
	uint64_t since = now_us();
	struct thing *t;
	int r;

	mutex_lock(&q->lock);
	t = thing_locked(q, name);
	mutex_unlock(&q->lock);
	r = wait_turn(q, t, &turns, it, e);
	if (r < 0)
		return r;
	turns.waited_us = now_us() - since;
	*ret = xcalloc(1, sizeof **ret);
	**ret = (struct link_pass){q, t, turns};
	return 0;
}

struct link_pass *link_pass_leave(struct link_pass *p)
{
	if (!p)
		return NULL;
	mutex_lock(&p->queue->lock);
	give_locked(p->queue, p->thing);
	mutex_unlock(&p->queue->lock);
	free(p);
	return NULL;
}

void *link_pass_memo(struct link_pass *p)
{
	return p->thing->memo;
}

struct link_turns link_pass_turns(const struct link_pass *p)
{
	return p->turns;
}
