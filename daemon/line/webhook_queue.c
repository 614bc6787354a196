/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/webhook_queue.h"

#include "base/util.h"

#define NONE	SIZE_MAX
#define AT_ONCE 512 /* rows that there is room for at first */

struct queued {
	struct waiting_row row;
	bool taken;
	size_t after_run, after_unit; /* the one before it of its run, and of its unit; NONE */
};

struct webhook_queue {
	struct queued *item;
	size_t n;
	size_t first; /* all before it are taken */
};

/* The newest item of a key, while they are linked: open addressing. */
struct newest {
	uint64_t *key;
	size_t *item;
	size_t slots; /* a power of two */
};

struct webhook_queue *webhook_queue_new(void)
{
	return xcalloc(1, sizeof(struct webhook_queue));
}

static void forget(struct webhook_queue *q)
{
	free(q->item);
	*q = (struct webhook_queue){0};
}

struct webhook_queue *webhook_queue_free(struct webhook_queue *q)
{
	if (q)
		forget(q);
	free(q);
	return NULL;
}

/* The item of before with that key, in whose place this one is. */
static size_t replace(struct newest *t, uint64_t key, size_t item)
{
	size_t slot = key & (t->slots - 1);
	size_t before;

	if (!key)
		return NONE;
	while (t->key[slot] && t->key[slot] != key)
		slot = (slot + 1) & (t->slots - 1);
	before = t->key[slot] ? t->item[slot] : NONE;
	t->key[slot] = key;
	t->item[slot] = item;
	return before;
}

static void make_newest(struct newest *t, size_t n)
{
	t->slots = 16;
	while (t->slots < 2 * n)
		t->slots *= 2;
	t->key = xcalloc(t->slots, sizeof *t->key);
	t->item = xcalloc(t->slots, sizeof *t->item);
}

static void newest_done(struct newest *t)
{
	free(t->key);
	free(t->item);
}

static void link_items(struct webhook_queue *q)
{
	struct newest runs, units;

	make_newest(&runs, q->n);
	make_newest(&units, q->n);
	for (size_t i = 0; i < q->n; i++) {
		q->item[i].after_run = replace(&runs, q->item[i].row.run, i);
		q->item[i].after_unit = replace(&units, q->item[i].row.unit, i);
	}
	newest_done(&runs);
	newest_done(&units);
}

int webhook_queue_load(struct webhook_queue *q, struct db *d, const char *webhook,
	const json_t *held, const json_t *taken, struct err *e)
{
	struct waiting_row *row = NULL;
	size_t room = AT_ONCE / 2, n = 0;
	int r = 0;

	forget(q);
	do {
		room *= 2;
		free(row);
		row = xcalloc(room, sizeof *row);
		r = webhooks_waiting(d, webhook, held, taken, room, row, &n, e);
	} while (r == 0 && n == room && room < WEBHOOK_QUEUE_MAX);
	if (r == 0 && n > 0) {
		q->item = xcalloc(n, sizeof *q->item);
		q->n = n;
		for (size_t i = 0; i < n; i++)
			q->item[i].row = row[i];
		link_items(q);
	}
	free(row);
	return r;
}

static bool is_over(const struct webhook_queue *q, size_t item)
{
	return item == NONE || q->item[item].taken;
}

const struct waiting_row *webhook_queue_next(struct webhook_queue *q)
{
	for (size_t i = q->first; i < q->n; i++) {
		struct queued *it = &q->item[i];

		if (it->taken || it->row.held || !is_over(q, it->after_run) ||
			!is_over(q, it->after_unit))
			continue;
		it->row.held = true;
		return &it->row;
	}
	return NULL;
}

void webhook_queue_taken(struct webhook_queue *q, int64_t n)
{
	for (size_t i = q->first; i < q->n && q->item[i].row.n <= n; i++)
		if (q->item[i].row.n == n)
			q->item[i].taken = true;
	while (q->first < q->n && q->item[q->first].taken)
		q->first++;
}
