/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/run_log.h"

#include <jansson.h>

#include "base/thread.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/feed.h"
#include "db/runs.h"
#include "db/writer.h"

/* Of one batch, shown live: a screen's worth. The log itself has all of them. */
#define TOLD_MAX 50

struct log_line {
	int64_t k;
	int64_t at_ms;
	char dir;
	char *text;
};

struct lines {
	struct log_line *line;
	size_t count;
};

struct run_log {
	struct writer *writer;
	struct feed *feed;
	char run_id[UUID_SIZE];
	char station[64];
	struct mutex lock;
	int refs;	    /* as all below under the lock: the recorder, and a batch that waits */
	struct lines fresh; /* in no transaction yet */
	bool queued;	    /* a batch of them is on its way */
	struct lines taken; /* of the step's end */
	struct lines queue; /* of the batch */
	int64_t next_k;
	struct run_log_limits max;
	uint64_t count, bytes; /* kept */
	bool full;	       /* from then on nothing is kept, also not what would fit */
	uint64_t left;	       /* not kept, and not said yet */
};

struct run_log *run_log_new(struct writer *w, struct feed *feed, const char *run_id,
	const char *station, const struct run_log_limits *max)
{
	struct run_log *l = xcalloc(1, sizeof *l);

	l->writer = w;
	l->feed = feed;
	snprintf(l->run_id, sizeof l->run_id, "%s", run_id);
	snprintf(l->station, sizeof l->station, "%s", station);
	mutex_init(&l->lock);
	l->refs = 1;
	l->next_k = 1;
	l->max = *max;
	return l;
}

static void drop(struct lines *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->line[i].text);
	free(s->line);
	*s = (struct lines){0};
}

static void unref(struct run_log *l)
{
	mutex_lock(&l->lock);
	bool last = --l->refs == 0;
	mutex_unlock(&l->lock);
	if (!last)
		return;
	drop(&l->fresh);
	drop(&l->taken);
	drop(&l->queue);
	mutex_done(&l->lock);
	free(l);
}

struct run_log *run_log_free(struct run_log *l)
{
	if (l)
		unref(l);
	return NULL;
}

static void move_lines(struct lines *to, struct lines *from)
{
	struct log_line *grown;

	if (!from->count)
		return;
	grown = reallocarray(to->line, to->count + from->count, sizeof *grown);
	if (!grown)
		abort();
	memcpy(grown + to->count, from->line, from->count * sizeof *grown);
	to->line = grown;
	to->count += from->count;
	free(from->line);
	*from = (struct lines){0};
}

static int write_lines(struct run_log *l, const struct lines *s, struct db *tx, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < s->count && r == 0; i++)
		r = runs_log(tx, l->run_id, s->line[i].k, s->line[i].at_ms, s->line[i].dir,
			s->line[i].text, e);
	return r;
}

static void tell(struct run_log *l, const struct lines *s)
{
	size_t from = s->count > TOLD_MAX ? s->count - TOLD_MAX : 0;
	json_t *list = json_array();
	char at[RFC3339_SIZE];

	for (size_t i = from; i < s->count; i++) {
		const struct log_line *x = &s->line[i];

		json_array_append_new(
			list, json_pack("{s:I, s:s, s:s#, s:s}", "k", (json_int_t)x->k, "at",
				      rfc3339(x->at_ms, at), "dir", &x->dir, 1, "text", x->text));
	}

	json_t *o = json_pack("{s:s, s:s, s:i, s:o}", "run", l->run_id, "station", l->station,
		"left_out", (int)from, "lines", list);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	if (text)
		feed_publish(l->feed, 0, "run-log", l->station, NULL, text);
	free(text);
	json_decref(o);
}

/* What was in a transaction is on disk, or is fresh again. */
static void settle(struct run_log *l, struct lines *s, bool committed)
{
	struct lines mine = {0};

	mutex_lock(&l->lock);
	/* They are numbered: their order here does not matter. */
	move_lines(committed ? &mine : &l->fresh, s);
	mutex_unlock(&l->lock);
	if (mine.count)
		tell(l, &mine);
	drop(&mine);
}

static int apply_batch(struct db *tx, void *data, struct err *e)
{
	struct run_log *l = data;

	mutex_lock(&l->lock);
	move_lines(&l->queue, &l->fresh);
	mutex_unlock(&l->lock);
	/* No one else looks at the queue until batch_told(). */
	return write_lines(l, &l->queue, tx, e);
}

static void batch_told(void *data, int result, const struct err *err);

/* With a reference of its own. Where it cannot be, the lines go with the end of the step. */
static void submit_batch(struct run_log *l)
{
	struct err e;

	if (writer_later(l->writer, apply_batch, l, batch_told, &e) == 0)
		return;
	mutex_lock(&l->lock);
	l->queued = false;
	mutex_unlock(&l->lock);
	unref(l);
}

static void batch_told(void *data, int result, const struct err *err)
{
	struct run_log *l = data;
	bool again;

	settle(l, &l->queue, result >= 0);
	mutex_lock(&l->lock);
	again = result >= 0 && l->fresh.count > 0;
	l->queued = again;
	mutex_unlock(&l->lock);
	if (again)
		submit_batch(l);
	else
		unref(l);
}

static void append(struct run_log *l, char dir, const char *text) REQUIRES(l->lock)
{
	struct lines *s = &l->fresh;
	struct log_line *grown = reallocarray(s->line, s->count + 1, sizeof *grown);

	if (!grown)
		abort();
	s->line = grown;
	grown[s->count++] = (struct log_line){l->next_k++, wall_ms(), dir, xstrdup(text)};
}

/* Whether a batch is to be submitted for what is fresh. */
static bool take_batch(struct run_log *l) REQUIRES(l->lock)
{
	bool submit = !l->queued;

	l->queued = true;
	l->refs += submit;
	return submit;
}

void run_log_add(struct run_log *l, char dir, const char *text)
{
	uint64_t n = strlen(text) + RUN_LOG_LINE_BYTES;
	bool submit = false;
	bool fits;

	mutex_lock(&l->lock);
	fits = !l->full && l->count < l->max.lines && n <= l->max.bytes - l->bytes;
	if (fits) {
		l->count++;
		l->bytes += n;
		append(l, dir, text);
	} else {
		if (!l->full)
			append(l, '#', "the log of this run is full: what follows is counted");
		submit = !l->full;
		l->full = true;
		l->left++;
	}
	if (fits || submit)
		submit = take_batch(l);
	mutex_unlock(&l->lock);
	if (submit)
		submit_batch(l);
}

void run_log_end(struct run_log *l)
{
	mutex_lock(&l->lock);
	if (l->left) {
		_cleanup_(freep) char *text = xasprintf("%llu line%s more, not kept",
			(unsigned long long)l->left, l->left == 1 ? "" : "s");

		append(l, '#', text);
		l->left = 0;
	}
	mutex_unlock(&l->lock);
}

int run_log_write(struct run_log *l, struct db *tx, struct err *e)
{
	mutex_lock(&l->lock);
	move_lines(&l->taken, &l->fresh);
	mutex_unlock(&l->lock);
	/* The worker waits for this transaction: no one else looks at it. */
	return write_lines(l, &l->taken, tx, e);
}

void run_log_written(struct run_log *l, bool committed)
{
	settle(l, &l->taken, committed);
}
