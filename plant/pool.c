/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/pool.h"

#include "base/thread.h"

#define TRIES 5

struct pool {
	char *dsn;
	struct mutex lock;
	struct pg **idle; /* the newest last */
	size_t idles, most;
};

int pool_new(const char *dsn, size_t most, struct pool **ret, struct err *e)
{
	struct pool *p = xcalloc(1, sizeof *p);

	p->dsn = xstrdup(dsn);
	p->most = most;
	p->idle = xcalloc(most, sizeof(struct pg *));
	mutex_init(&p->lock);
	*ret = p;
	return 0;
}

struct pool *pool_free(struct pool *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < p->idles; i++)
		pg_free(p->idle[i]);
	mutex_done(&p->lock);
	free(p->idle);
	free(p->dsn);
	free(p);
	return NULL;
}

/* ret_used: it may have died since. */
static int take(
	struct pool *p, struct pg **ret, bool *ret_used, const struct iotime *it, struct err *e)
{
	*ret = NULL;
	mutex_lock(&p->lock);
	if (p->idles > 0)
		*ret = p->idle[--p->idles];
	mutex_unlock(&p->lock);
	*ret_used = *ret != NULL;
	return *ret ? 0 : pg_open(p->dsn, it, ret, e);
}

static void give(struct pool *p, struct pg *c)
{
	bool keep = pg_sound(c);

	mutex_lock(&p->lock);
	keep = keep && p->idles < p->most;
	if (keep)
		p->idle[p->idles++] = c;
	mutex_unlock(&p->lock);
	if (!keep)
		pg_free(c);
}

struct deed {
	POOL_APPLY(apply); /* NULL: `read` */
	void *data;
	const struct pg_query *read;
	struct pg_rows **rows;
};

static int carry_out(struct pg *c, const struct deed *d, const struct iotime *it, struct err *e)
{
	int r;

	if (!d->apply)
		return pg_run(c, d->read, 1, d->rows, it, e);
	pg_begin(c);
	r = d->apply(c, d->data, it, e);
	if (r == 0)
		return pg_commit(c, it, e);
	pg_rollback(c, it);
	return r;
}

/* The database was restarted: each connection that is idle is dead, and only asking shows it. */
static int attempt(struct pool *p, const struct deed *d, const struct iotime *it, struct err *e)
{
	bool used = true;
	int r = 0;

	while (used) {
		struct pg *c;

		r = take(p, &c, &used, it, e);
		if (r < 0)
			return r;
		r = carry_out(c, d, it, e);
		used = used && r == -ERR_SERVICE_DOWN && !pg_sound(c) && iotime_left_us(it) > 0;
		give(p, c);
	}
	return r;
}

static int try_all(struct pool *p, const struct deed *d, const struct iotime *it, struct err *e)
{
	int r = err_set(e, ERR_BUSY, "the plant had no time left for this request: ask again");

	for (int i = 0; i < TRIES && r == -ERR_BUSY && iotime_left_us(it) > 0; i++)
		r = attempt(p, d, it, e);
	return r;
}

int pool_do(struct pool *p, POOL_APPLY(apply), void *data, const struct iotime *it, struct err *e)
{
	return try_all(p, &(struct deed){.apply = apply, .data = data}, it, e);
}

int pool_read(struct pool *p, const struct pg_query *q, struct pg_rows **ret,
	const struct iotime *it, struct err *e)
{
	return try_all(p, &(struct deed){.read = q, .rows = ret}, it, e);
}
