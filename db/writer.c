/* SPDX-License-Identifier: Apache-2.0 */
#include "db/writer.h"

#include <semaphore.h>

#include "base/iotime.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "db/db_impl.h"
#include "db/stmt.h"

#define IDLE_US US_PER_S
/* Beyond this the log file is cut back to nothing when the line is quiet. */

enum { COMMIT_SECONDS, COMMITS_FAILED };

static const uint64_t commit_bounds_us[] = {
	1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 5000000, 30000000, 0};
static const struct metric_row metric_rows[] = {
	[COMMIT_SECONDS] = {"provd_writer_commit_duration_seconds", METRIC_HISTOGRAM,
		"How long a transaction takes, from its first record until it is durable.", {NULL},
		commit_bounds_us, .most = 1},
	[COMMITS_FAILED] = {"provd_writer_commits_failed_total", METRIC_COUNTER,
		"Transactions that could not be made durable: nothing of them is recorded.",
		{"code"}, .most = 32},
	{0},
};

struct ticket {
	struct ticket *next;
	WRITER_APPLY(apply);
	void *data;
	void (*done)(void *data, int result, const struct err *err);
	int result;
	bool later;
	bool marks; /* it gave something out */
	struct err err;
};

struct writer {
	struct db *db; /* writer thread only, once it runs */
	struct writer_opts o;
	pthread_t thread;
	struct mutex lock;
	struct cond wake;
	struct ticket *first; /* under lock, as all down to err */
	struct ticket **last;
	size_t waiting;
	size_t urgent;	   /* of those that wait */
	uint64_t later_us; /* when the first of the others is due */
	bool stopping;
	bool asleep;
	int result; /* of the newest commit, with its error */
	struct err err;
	uint64_t tick_us; /* atomic */
	uint64_t commits; /* atomic */
	uint64_t tickets; /* atomic */
	struct metrics *metrics;
};

/* One ticket in its savepoint. Returns an error only when the whole transaction is lost. */
static int apply_one(struct writer *w, struct ticket *t, struct err *e)
{
	size_t events = w->db->events;
	size_t marks = w->db->marks;
	int r = db_do(w->db, e, "SAVEPOINT ticket");

	if (r < 0)
		return r;
	t->result = t->apply(w->db, t->data, &t->err);
	t->marks = w->db->marks > marks;
	if (t->result >= 0)
		return db_do(w->db, e, "RELEASE ticket");
	if (!db_in_transaction(w->db)) {
		/* On some errors (I/O, memory) sqlite gives up the transaction, others' work with
		 * it. */
		*e = t->err;
		return t->result;
	}
	db_pending_cut(w->db, events, marks);
	return db_script(w->db, "ROLLBACK TO ticket; RELEASE ticket", e);
}

/* Nothing of the group is on disk: those that had succeeded get the error. */
static void fail_group(struct ticket *group, int r, const struct err *e)
{
	for (struct ticket *t = group; t; t = t->next)
		if (t->result >= 0) {
			t->result = r;
			t->err = *e;
		}
}

static void note_marks(struct writer *w, struct ticket *group)
{
	struct db *d = w->db;
	struct err e;

	if (!w->o.marks || (!d->events && !d->marks) ||
		w->o.marks(w->o.data, d->events ? d->event[d->events - 1].seq : 0, d->mark,
			d->marks, &e) == 0)
		return;
	for (struct ticket *t = group; t; t = t->next) {
		if (t->marks && t->result >= 0) {
			t->result = -(int)e.code;
			t->err = e;
		}
	}
}

/* A ticket that found no room, where the others did. */
static void report_full(struct writer *w, const struct ticket *group)
{
	for (const struct ticket *t = group; t && w->o.full; t = t->next)
		if (t->result == -ERR_DISK_FULL)
			w->o.full(w->o.data, &t->err);
}

static void report_damage(struct writer *w, const struct ticket *group)
{
	for (const struct ticket *t = group; t && w->o.damaged; t = t->next)
		if (t->result == -ERR_RECORDS_DAMAGED)
			w->o.damaged(w->o.data, &t->err);
}

static void note_result(struct writer *w, int r, const struct err *e)
{
	mutex_lock(&w->lock);
	w->result = r;
	w->err = *e;
	mutex_unlock(&w->lock);
}

static void run_group(struct writer *w, struct ticket *group)
{
	const uint64_t begun_us = now_us();
	struct err e = {0};
	uint64_t n = 0;
	int r;

	if (w->o.make_room)
		w->o.make_room(w->o.data);
	r = db_begin(w->db, &e);
	for (struct ticket *t = group; t && r == 0; t = t->next, n++)
		r = apply_one(w, t, &e);
	if (r == 0)
		r = db_commit(w->db, &e);
	if (r < 0) {
		db_rollback(w->db);
		fail_group(group, r, &e);
		metrics_count(w->metrics, COMMITS_FAILED, &(const char *){err_code_str(e.code)}, 1);
		if (r == -ERR_DISK_FULL && w->o.full)
			w->o.full(w->o.data, &e);
	} else {
		report_full(w, group);
		note_marks(w, group);
	}
	report_damage(w, group);
	note_result(w, MIN(r, 0), &e);
	metrics_observe(w->metrics, COMMIT_SECONDS, NULL, now_us() - begun_us);
	__atomic_add_fetch(&w->commits, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&w->tickets, n, __ATOMIC_RELAXED);
}

static void tell(struct writer *w, struct ticket *group)
{
	while (group) {
		struct ticket *t = group;

		group = t->next;
		if (t->done)
			t->done(t->data, t->result, &t->err);
		free(t);
	}
	if (w->db->events && w->o.committed)
		w->o.committed(w->o.data, w->db->event, w->db->events);
	db_pending_cut(w->db, 0, 0);
}

/* Whether a commit is to be made now. */
static bool wanted(const struct writer *w) REQUIRES(w->lock)
{
	return w->urgent || w->stopping || (w->first && now_us() >= w->later_us);
}

/* false after an idle second. */
static bool sleep_until_wanted(struct writer *w) REQUIRES(w->lock)
{
	uint64_t until = now_us() + IDLE_US;

	w->asleep = true;
	while (!wanted(w) && now_us() < until)
		cond_wait_until(&w->wake, &w->lock, w->first ? MIN(until, w->later_us) : until);
	w->asleep = false;
	return wanted(w);
}

/* The tickets of the next commit, NULL after an idle second or at the end (*ret_end). */
static struct ticket *take_group(struct writer *w, bool *ret_end)
{
	size_t most = w->o.one_commit_per_record ? 1 : w->o.group;

	mutex_lock(&w->lock);
	if (!sleep_until_wanted(w)) {
		mutex_unlock(&w->lock);
		*ret_end = false;
		return NULL;
	}

	struct ticket *group = w->first;
	struct ticket **end = &w->first;

	for (; *end && most > 0; most--, w->waiting--) {
		w->urgent -= !(*end)->later;
		end = &(*end)->next;
	}
	w->first = *end;
	*end = NULL;
	if (!w->first)
		w->last = &w->first;
	if (end == &w->first)
		group = NULL;
	*ret_end = !group && w->stopping;
	mutex_unlock(&w->lock);
	return group;
}

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	bool end = false;
	bool dirty = false;

	while (!end) {
		struct ticket *group = take_group(w, &end);

		__atomic_store_n(&w->tick_us, now_us(), __ATOMIC_RELAXED);
		if (group) {
			run_group(w, group);
			tell(w, group);
			dirty = true;
		} else if (dirty) {
			db_tidy(w->db);
			dirty = false;
		}
	}
	return NULL;
}

int writer_new(struct db *db, const struct writer_opts *o, struct writer **ret, struct err *e)
{
	struct writer *w = xcalloc(1, sizeof *w);

	if (o)
		w->o = *o;
	if (!w->o.capacity)
		w->o.capacity = 4096;
	if (!w->o.group)
		w->o.group = 512;
	w->db = db;
	w->last = &w->first;
	w->tick_us = now_us();
	w->metrics = metrics_new(metric_rows);
	mutex_init(&w->lock);
	cond_init(&w->wake);

	int r = thread_start(&w->thread, "writer", writer_main, w, e);

	if (r < 0) {
		mutex_done(&w->lock);
		cond_done(&w->wake);
		metrics_free(w->metrics);
		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

struct writer *writer_free(struct writer *w)
{
	if (!w)
		return NULL;
	mutex_lock(&w->lock);
	w->stopping = true;
	cond_signal(&w->wake);
	mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	db_free(w->db);
	mutex_done(&w->lock);
	cond_done(&w->wake);
	metrics_free(w->metrics);
	free(w);
	return NULL;
}

static int submit(struct writer *w, const struct ticket *ticket, struct err *e)
{
	struct ticket *t = xcalloc(1, sizeof *t);
	int r = 0;

	*t = *ticket;
	mutex_lock(&w->lock);
	if (w->stopping) {
		r = err_set(e, ERR_SHUTDOWN, "provd is stopping");
	} else if (w->waiting == w->o.capacity) {
		r = err_set(e, ERR_OVERLOADED, "%zu records wait for the disk", w->waiting);
	} else {
		if (t->later && w->waiting == w->urgent)
			w->later_us = now_us() + WRITER_LATER_US;
		*w->last = t;
		w->last = &t->next;
		w->waiting++;
		w->urgent += !t->later;
		if (w->asleep)
			cond_signal(&w->wake);
	}
	mutex_unlock(&w->lock);
	if (r < 0)
		free(t);
	return r;
}

int writer_submit(struct writer *w, WRITER_APPLY(apply), void *data,
	void (*done)(void *data, int result, const struct err *err), struct err *e)
{
	return submit(w, &(struct ticket){.apply = apply, .data = data, .done = done}, e);
}

int writer_later(struct writer *w, WRITER_APPLY(apply), void *data,
	void (*done)(void *data, int result, const struct err *err), struct err *e)
{
	return submit(
		w, &(struct ticket){.apply = apply, .data = data, .done = done, .later = true}, e);
}

struct waiter {
	WRITER_APPLY(apply);
	void *data;
	/* Not a mutex and a condition: sixty waiters that wake at once would queue for the lock
	 * that their teller still holds. */
	sem_t told;
	int result;
	struct err err;
};

static int waiter_apply(struct db *tx, void *data, struct err *e)
{
	struct waiter *v = data;

	return v->apply(tx, v->data, e);
}

static void waiter_done(void *data, int result, const struct err *err)
{
	struct waiter *v = data;

	v->result = result;
	if (result < 0)
		v->err = *err;
	sem_post(&v->told);
}

int writer_do(struct writer *w, WRITER_APPLY(apply), void *data, struct err *e)
{
	struct waiter v = {.apply = apply, .data = data};

	sem_init(&v.told, 0, 0);

	int r = writer_submit(w, waiter_apply, &v, waiter_done, e);

	if (r == 0) {
		while (sem_wait(&v.told) < 0)
			; /* a signal */
		r = v.result;
		if (r < 0 && e)
			*e = v.err;
	}
	sem_destroy(&v.told);
	return r;
}

uint64_t writer_tick_us(const struct writer *w)
{
	return __atomic_load_n(&w->tick_us, __ATOMIC_RELAXED);
}

void writer_stats(const struct writer *w, uint64_t *ret_commits, uint64_t *ret_tickets)
{
	*ret_commits = __atomic_load_n(&w->commits, __ATOMIC_RELAXED);
	*ret_tickets = __atomic_load_n(&w->tickets, __ATOMIC_RELAXED);
}

int writer_check(struct writer *w, struct err *e)
{
	mutex_lock(&w->lock);
	int r = w->result;
	*e = w->err;
	mutex_unlock(&w->lock);
	return r;
}

size_t writer_waiting(struct writer *w)
{
	mutex_lock(&w->lock);
	size_t n = w->waiting;
	mutex_unlock(&w->lock);
	return n;
}

struct metrics *writer_metrics(const struct writer *w)
{
	return w->metrics;
}
