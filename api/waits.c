/* SPDX-License-Identifier: Apache-2.0 */
#include "api/waits.h"

#include "base/iotime.h"
#include "base/thread.h"
#include "base/util.h"

struct waits {
	struct mutex lock;
	struct wait *first;
	uint64_t changes; /* so many wake-ups there were */
	unsigned count, total, of_one;
	bool stopping;
	void (*ready)(void *data, struct wait *w);
	void *data;
};

struct waits *waits_new(
	unsigned total, unsigned of_one, void (*ready)(void *data, struct wait *w), void *data)
{
	struct waits *ws = xcalloc(1, sizeof *ws);

	mutex_init(&ws->lock);
	ws->total = total;
	ws->of_one = of_one;
	ws->ready = ready;
	ws->data = data;
	return ws;
}

struct waits *waits_free(struct waits *ws)
{
	if (ws) {
		mutex_done(&ws->lock);
		free(ws);
	}
	return NULL;
}

uint64_t waits_ticket(struct waits *ws)
{
	mutex_lock(&ws->lock);
	uint64_t ticket = ws->changes;
	mutex_unlock(&ws->lock);
	return ticket;
}

static bool is_full_locked(const struct waits *ws, const char *owner) REQUIRES(ws->lock)
{
	unsigned n = 0;

	for (const struct wait *w = ws->first; w; w = w->next)
		n += !strcmp(w->owner, owner);
	return ws->count >= ws->total || n >= ws->of_one;
}

enum wait_added waits_add(struct waits *ws, struct wait *w)
{
	enum wait_added r;
	bool late = false;

	mutex_lock(&ws->lock);
	r = ws->stopping ? WAIT_STOPPING : is_full_locked(ws, w->owner) ? WAIT_FULL : WAIT_ADDED;
	if (r == WAIT_ADDED) {
		late = w->ticket != ws->changes;
		if (!late) {
			w->next = ws->first;
			ws->first = w;
			ws->count++;
		}
	}
	mutex_unlock(&ws->lock);
	if (late)
		ws->ready(ws->data, w);
	return r;
}

static void notice_gone_locked(struct waits *ws, bool (*gone)(const struct wait *w))
	REQUIRES(ws->lock)
{
	for (struct wait *w = ws->first; w; w = w->next)
		if (gone(w))
			w->until_us = 1;
}

/* Takes out those of the topic (NULL: any) that are due. */
static struct wait *take_locked(struct waits *ws, const char *topic, uint64_t now)
	REQUIRES(ws->lock)
{
	struct wait *taken = NULL;

	for (struct wait **p = &ws->first; *p;) {
		struct wait *w = *p;

		if ((topic && strcmp(w->topic, topic) != 0) || w->until_us > now) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		w->next = taken;
		taken = w;
		ws->count--;
	}
	return taken;
}

static void hand_over(struct waits *ws, struct wait *w)
{
	while (w) {
		struct wait *next = w->next; /* it may be gone after the call */

		ws->ready(ws->data, w);
		w = next;
	}
}

void waits_wake(struct waits *ws, const char *topic)
{
	struct wait *taken;

	mutex_lock(&ws->lock);
	ws->changes++;
	taken = take_locked(ws, topic, NO_DEADLINE);
	mutex_unlock(&ws->lock);
	hand_over(ws, taken);
}

void waits_tick(struct waits *ws, uint64_t now_us, bool (*gone)(const struct wait *w))
{
	struct wait *taken;

	mutex_lock(&ws->lock);
	if (gone)
		notice_gone_locked(ws, gone);
	taken = take_locked(ws, NULL, now_us);
	mutex_unlock(&ws->lock);
	hand_over(ws, taken);
}

void waits_stop(struct waits *ws)
{
	mutex_lock(&ws->lock);
	ws->stopping = true;
	mutex_unlock(&ws->lock);
	waits_wake(ws, NULL);
}
