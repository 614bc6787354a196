/* SPDX-License-Identifier: Apache-2.0 */
#include "db/readers.h"

#include "base/thread.h"
#include "base/util.h"

#define KEPT 8

struct readers {
	char *path;
	struct mutex lock;
	struct db *idle[KEPT]; /* under the lock, as the next one */
	size_t count;
};

struct readers *readers_new(const char *path)
{
	struct readers *r = xcalloc(1, sizeof *r);

	r->path = xstrdup(path);
	mutex_init(&r->lock);
	return r;
}

struct readers *readers_free(struct readers *r)
{
	if (!r)
		return NULL;
	for (size_t i = 0; i < r->count; i++)
		db_free(r->idle[i]);
	mutex_done(&r->lock);
	free(r->path);
	free(r);
	return NULL;
}

struct db *readers_take(struct readers *r, struct err *e)
{
	struct db *d = NULL;

	mutex_lock(&r->lock);
	if (r->count > 0)
		d = r->idle[--r->count];
	mutex_unlock(&r->lock);
	if (!d && db_open_reader(r->path, &d, e) < 0)
		return NULL;
	return d;
}

void readers_give(struct readers *r, struct db *d)
{
	if (!d)
		return;
	mutex_lock(&r->lock);
	if (r->count < KEPT) {
		r->idle[r->count++] = d;
		d = NULL;
	}
	mutex_unlock(&r->lock);
	db_free(d);
}
