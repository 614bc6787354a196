/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/webhook_ends.h"

#include "base/thread.h"
#include "base/util.h"

#define ENDS_MAX 256 /* of one transaction */

struct ended {
	struct delivery_end end; /* its texts are those below */
	char webhook[DB_ID_SIZE];
	char *message, *answer;
};

struct batch {
	struct ended item[ENDS_MAX];
	size_t n;
};

struct webhook_ends {
	struct writer *writer;
	void (*recorded)(void *data);
	void *data;
	struct batch *adding, *going;
	bool pushed; /* `going` is the writer's, or was; else it waits for a place on the disk */
	struct mutex lock;
	struct cond ended;
	bool done; /* under the lock, as the next two */
	int result;
	struct err err;
};

static void empty(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free(b->item[i].message);
		free(b->item[i].answer);
	}
	b->n = 0;
}

struct webhook_ends *webhook_ends_new(
	struct writer *writer, void (*recorded)(void *data), void *data)
{
	struct webhook_ends *w = xcalloc(1, sizeof *w);

	w->writer = writer;
	w->recorded = recorded;
	w->data = data;
	w->adding = xcalloc(1, sizeof *w->adding);
	w->going = xcalloc(1, sizeof *w->going);
	mutex_init(&w->lock);
	cond_init(&w->ended);
	return w;
}

bool webhook_ends_full(const struct webhook_ends *w)
{
	return w->adding->n == ENDS_MAX;
}

void webhook_ends_add(struct webhook_ends *w, const struct delivery_end *end)
{
	struct ended *to = &w->adding->item[w->adding->n++];

	*to = (struct ended){.end = *end,
		.message = end->message ? xstrdup(end->message) : NULL,
		.answer = end->answer ? xstrdup(end->answer) : NULL};
	snprintf(to->webhook, sizeof to->webhook, "%s", end->webhook);
	to->end.webhook = to->webhook;
	to->end.message = to->message;
	to->end.answer = to->answer;
}

static int apply(struct db *tx, void *data, struct err *e)
{
	const struct batch *b = ((const struct webhook_ends *)data)->going;
	const struct delivery_end *end[ENDS_MAX];

	for (size_t i = 0; i < b->n; i++)
		end[i] = &b->item[i].end;
	return webhooks_end(tx, end, b->n, e);
}

static void on_done(void *data, int result, const struct err *err)
{
	struct webhook_ends *w = data;

	/* All of it under the lock: after that w may be gone. */
	mutex_lock(&w->lock);
	w->result = result;
	if (result < 0)
		w->err = *err;
	w->done = true;
	w->recorded(w->data);
	cond_signal(&w->ended);
	mutex_unlock(&w->lock);
}

int webhook_ends_push(struct webhook_ends *w, struct err *e)
{
	struct batch *spare = w->going;
	int r;

	if (w->pushed)
		return 0;
	if (spare->n == 0) {
		w->going = w->adding;
		w->adding = spare;
	}
	if (w->going->n == 0)
		return 0;
	w->pushed = true;
	r = writer_submit(w->writer, apply, w, on_done, e);
	if (r < 0)
		w->pushed = false;
	return r;
}

int webhook_ends_pull(struct webhook_ends *w, struct err *e)
{
	int r;

	mutex_lock(&w->lock);
	if (!w->done) {
		mutex_unlock(&w->lock);
		return 0;
	}
	w->done = false;
	r = w->result;
	if (r < 0)
		*e = w->err;
	mutex_unlock(&w->lock);
	w->pushed = false;
	/* The receiver has them: the next push tries again, and nothing is sent twice. */
	if (r != -ERR_DISK_FULL)
		empty(w->going);
	return r < 0 ? r : 1;
}

static void list_batch(const struct batch *b, const char *webhook, json_t *taken, json_t *others)
{
	for (size_t i = 0; i < b->n; i++)
		if (!strcmp(b->item[i].webhook, webhook))
			json_array_append_new(b->item[i].end.done ? taken : others,
				json_integer(b->item[i].end.n));
}

void webhook_ends_list(
	const struct webhook_ends *w, const char *webhook, json_t *taken, json_t *others)
{
	list_batch(w->adding, webhook, taken, others);
	list_batch(w->going, webhook, taken, others);
}

static void wait_recorded(struct webhook_ends *w)
{
	mutex_lock(&w->lock);
	while (w->pushed && !w->done)
		cond_wait(&w->ended, &w->lock);
	mutex_unlock(&w->lock);
}

struct webhook_ends *webhook_ends_free(struct webhook_ends *w)
{
	struct err e;

	if (!w)
		return NULL;
	/* Those that are going, and those that were added since. */
	for (int i = 0; i < 2; i++) {
		wait_recorded(w);
		webhook_ends_pull(w, &e);
		webhook_ends_push(w, &e);
	}
	wait_recorded(w);
	empty(w->adding);
	empty(w->going);
	free(w->adding);
	free(w->going);
	cond_done(&w->ended);
	mutex_done(&w->lock);
	free(w);
	return NULL;
}
