/* SPDX-License-Identifier: Apache-2.0
 *
 * One entry for each file and way of reading it. The first request reads, outside of the lock; one
 * that comes meanwhile waits at the entry's eventfd, which is written once and never read:
 *
 *	LOADING --read--> READY --no one holds it, and others were used since--> freed
 *	   +----error---> GONE: those who waited try for themselves
 */
#include "transports/images/cache.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "base/thread.h"
#include "transports/images/name_kinds.h"

#define KEPT_UNUSED 4

/* What makes two openings the same. The path is not among it: a store may link one file twice. */
struct key {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
	bool blob, unpacked;
	struct image_opts opts;		/* of an image */
	char member[PACKED_NAME_BYTES]; /* of an archive, "" */
	const struct name_kind *name;	/* of an image: what its name says that it is */
};

enum entry_state { LOADING, READY, GONE };

struct entry {
	struct entry *next;
	struct key key;
	enum entry_state state;
	int done_fd;
	unsigned waiting; /* threads that look at the entry without the lock */
	uint64_t used_us;
	union {
		struct image *image;
		struct blob *blob;
	} held; /* READY: one reference of the cache's own */
};

struct image_cache {
	struct mutex lock;
	struct entry *first;
};

/* What a caller asks for, and gets. */
struct request {
	const char *path;
	const struct image_opts *opts; /* NULL: a blob */
	bool immutable;
	const char *unpack_name; /* of a blob: what is in the file of that name; NULL: its bytes */
	const char *member;
	const struct iotime *it;
	struct image *image;
	struct blob *blob;
};

static struct entry *entry_free(struct entry *n)
{
	if (n->key.blob)
		blob_unref(n->held.blob);
	else
		image_unref(n->held.image);
	closep(&n->done_fd);
	free(n);
	return NULL;
}

struct image_cache *image_cache_new(void)
{
	struct image_cache *c = xcalloc(1, sizeof *c);

	mutex_init(&c->lock);
	return c;
}

struct image_cache *image_cache_free(struct image_cache *c)
{
	if (!c)
		return NULL;
	while (c->first) {
		struct entry *n = c->first;

		c->first = n->next;
		entry_free(n);
	}
	mutex_done(&c->lock);
	free(c);
	return NULL;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_opts(const struct image_opts *a, const struct image_opts *b)
{
	return a->address == b->address && a->address_is_default == b->address_is_default &&
	       a->format == b->format && a->uf2_family == b->uf2_family &&
	       a->hex_board == b->hex_board && a->last_wins == b->last_wins &&
	       a->elf_machine == b->elf_machine && a->inspect == b->inspect && a->as_is == b->as_is;
}

static bool same_key(const struct key *a, const struct key *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       same_time(&a->mtime, &b->mtime) && same_time(&a->ctime, &b->ctime) &&
	       a->blob == b->blob && a->unpacked == b->unpacked && !strcmp(a->member, b->member) &&
	       (a->blob || (a->name == b->name && same_opts(&a->opts, &b->opts)));
}

static bool key_of(const struct request *q, struct key *ret)
{
	struct stat st;

	if (stat(q->path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	*ret = (struct key){.dev = st.st_dev,
		.ino = st.st_ino,
		.size = st.st_size,
		.mtime = st.st_mtim,
		.ctime = st.st_ctim,
		.blob = !q->opts,
		.unpacked = q->unpack_name};
	snprintf(ret->member, sizeof ret->member, "%s", q->member ? q->member : "");
	if (q->opts) {
		ret->opts = *q->opts;
		ret->opts.name = ret->opts.member = NULL;
		ret->name = name_kind_of(q->opts->name ? q->opts->name : q->path);
	}
	return true;
}

static int read_file(struct request *q, struct err *e)
{
	const struct packed_opts how = {
		.name = q->unpack_name, .member = q->member, .max = BLOB_MAX_BYTES, .it = *q->it};
	int r;

	if (q->opts)
		return image_open(q->path, q->opts, &q->image, e);
	r = blob_open(q->path, q->immutable ? BLOB_STORED : BLOB_COPIED, &q->blob, e);
	if (r == 0 && q->unpack_name)
		r = packed_open_blob(&q->blob, &how, e);
	if (r < 0)
		q->blob = blob_unref(q->blob);
	return r;
}

static void take(struct request *q, struct entry *n)
{
	n->used_us = now_us();
	if (n->key.blob)
		q->blob = blob_ref(n->held.blob);
	else
		q->image = image_ref(n->held.image);
}

static bool is_idle(const struct entry *n)
{
	const int *refs = n->key.blob ? &n->held.blob->refs : &n->held.image->refs;

	return __atomic_load_n(refs, __ATOMIC_ACQUIRE) == 1;
}

static void unlink_entry(struct image_cache *c, struct entry *n)
{
	struct entry **at = &c->first;

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
}

/* Forgets the one that was used longest ago, where more than a few are held by no one. */
static void forget_locked(struct image_cache *c) REQUIRES(c->lock)
{
	struct entry *oldest = NULL;
	unsigned idle = 0;

	for (struct entry *n = c->first; n; n = n->next) {
		if (n->state != READY || n->waiting || !is_idle(n))
			continue;
		idle++;
		if (!oldest || n->used_us < oldest->used_us)
			oldest = n;
	}
	if (idle <= KEPT_UNUSED)
		return;
	unlink_entry(c, oldest);
	entry_free(oldest);
}

static struct entry *find_locked(struct image_cache *c, const struct key *k) REQUIRES(c->lock)
{
	for (struct entry *n = c->first; n; n = n->next)
		if (same_key(&n->key, k))
			return n;
	return NULL;
}

static struct entry *add_locked(struct image_cache *c, const struct key *k) REQUIRES(c->lock)
{
	struct entry *n = xcalloc(1, sizeof *n);

	n->key = *k;
	n->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	n->next = c->first;
	c->first = n;
	return n;
}

static int wait_for(struct image_cache *c, struct entry *n, const struct iotime *it, struct err *e)
{
	int r = iotime_wait(n->done_fd, POLLIN, it, e);

	mutex_lock(&c->lock);
	n->waiting--;

	bool last = n->state == GONE && n->waiting == 0;

	mutex_unlock(&c->lock);
	if (last)
		entry_free(n);
	return MIN(r, 0);
}

/* Reads for all that wait. A file that changed meanwhile is given to the caller alone. */
static int load(struct image_cache *c, struct entry *n, struct request *q, struct err *e)
{
	struct key now;
	int r = read_file(q, e);
	bool keep = r == 0 && key_of(q, &now) && same_key(&now, &n->key);

	mutex_lock(&c->lock);
	if (keep) {
		if (q->opts)
			n->held.image = image_ref(q->image);
		else
			n->held.blob = blob_ref(q->blob);
		n->used_us = now_us();
	} else {
		unlink_entry(c, n);
	}
	n->state = keep ? READY : GONE;
	eventfd_write(n->done_fd, 1);

	bool last = !keep && n->waiting == 0;

	forget_locked(c);
	mutex_unlock(&c->lock);
	if (last)
		entry_free(n);
	return r;
}

static int get(struct image_cache *c, struct request *q, const struct iotime *it, struct err *e)
{
	struct key k;

	for (;;) {
		struct entry *n;
		int r;

		if (!key_of(q, &k))
			return read_file(q, e);
		mutex_lock(&c->lock);
		n = find_locked(c, &k);
		if (n && n->state == READY) {
			take(q, n);
			mutex_unlock(&c->lock);
			return 0;
		}
		if (!n) {
			n = add_locked(c, &k);
			mutex_unlock(&c->lock);
			return load(c, n, q, e);
		}
		n->waiting++;
		mutex_unlock(&c->lock);
		r = wait_for(c, n, it, e);
		if (r < 0)
			return r;
	}
}

int image_cache_image(struct image_cache *c, const char *path, const struct image_opts *o,
	const struct iotime *it, struct image **ret, struct err *e)
{
	struct request q = {.path = path, .opts = o, .member = o->member, .it = it};
	int r = get(c, &q, it, e);

	if (r == 0)
		*ret = q.image;
	return r;
}

int image_cache_blob(struct image_cache *c, const char *path, bool immutable,
	const struct iotime *it, struct blob **ret, struct err *e)
{
	struct request q = {.path = path, .immutable = immutable, .it = it};
	int r = get(c, &q, it, e);

	if (r == 0)
		*ret = q.blob;
	return r;
}

int image_cache_unpacked(struct image_cache *c, const char *path, const char *name,
	const char *member, const struct iotime *it, struct blob **ret, struct err *e)
{
	struct request q = {
		.path = path, .immutable = true, .unpack_name = name, .member = member, .it = it};
	int r = get(c, &q, it, e);

	if (r == 0)
		*ret = q.blob;
	return r;
}
