/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/webhook_takes.h"

#include "base/thread.h"
#include "base/util.h"

struct webhook_takes {
	struct writer *writer;
	void (*told)(void *data);
	void *data;
	struct webhook_taken taken[WEBHOOKS_MAX]; /* the writer's while it goes on */
	size_t n;
	bool busy;
	struct mutex lock;
	struct cond ended;
	bool done; /* under the lock, as the next two */
	int result;
	struct err err;
};

struct webhook_takes *webhook_takes_new(struct writer *writer, void (*done)(void *data), void *data)
{
	struct webhook_takes *t = xcalloc(1, sizeof *t);

	t->writer = writer;
	t->told = done;
	t->data = data;
	mutex_init(&t->lock);
	cond_init(&t->ended);
	return t;
}

bool webhook_takes_is_busy(const struct webhook_takes *t)
{
	return t->busy;
}

static int apply(struct db *tx, void *data, struct err *e)
{
	struct webhook_takes *t = data;
	int r = 0;

	for (size_t i = 0; i < t->n && r == 0; i++)
		r = webhooks_take(tx, t->taken[i].id, &t->taken[i].more, &t->taken[i].waiting, e);
	return r;
}

static void on_done(void *data, int result, const struct err *err)
{
	struct webhook_takes *t = data;

	/* All of it under the lock: after that t may be gone. */
	mutex_lock(&t->lock);
	t->result = result;
	if (result < 0)
		t->err = *err;
	t->done = true;
	t->told(t->data);
	cond_signal(&t->ended);
	mutex_unlock(&t->lock);
}

int webhook_takes_begin(
	struct webhook_takes *t, const struct webhook *const *hook, size_t n, struct err *e)
{
	int r;

	if (t->busy)
		return 0;
	t->n = MIN(n, (size_t)WEBHOOKS_MAX);
	for (size_t i = 0; i < t->n; i++) {
		t->taken[i] = (struct webhook_taken){.more = true};
		memcpy(t->taken[i].id, hook[i]->id, sizeof t->taken[i].id);
	}
	t->busy = true;
	r = writer_submit(t->writer, apply, t, on_done, e);
	if (r < 0)
		t->busy = false;
	return r;
}

int webhook_takes_end(
	struct webhook_takes *t, const struct webhook_taken **ret, size_t *ret_n, struct err *e)
{
	int r;

	mutex_lock(&t->lock);
	if (!t->done) {
		mutex_unlock(&t->lock);
		return 0;
	}
	t->done = false;
	r = t->result;
	if (r < 0)
		*e = t->err;
	mutex_unlock(&t->lock);
	t->busy = false;
	if (r < 0)
		return r;
	*ret = t->taken;
	*ret_n = t->n;
	return 1;
}

struct webhook_takes *webhook_takes_free(struct webhook_takes *t)
{
	if (!t)
		return NULL;
	mutex_lock(&t->lock);
	while (t->busy && !t->done)
		cond_wait(&t->ended, &t->lock);
	mutex_unlock(&t->lock);
	cond_done(&t->ended);
	mutex_done(&t->lock);
	free(t);
	return NULL;
}
