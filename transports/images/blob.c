/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/secret.h"
#include "base/strbuf.h"
#include "base/thread.h"

/* Up to here a copy is kept in memory; above, it would weigh on a station with little of it. */
#define MEMORY_MAX_BYTES (8ull << 20)
#define COPY_STEP_BYTES	 (1u << 30)
#define COPY_BUF_BYTES	 (256u * 1024)
/* Below, a thread costs more than the digest. */
#define THREAD_FROM_BYTES (1u << 20)

static int check_size(const char *path, int fd, uint64_t *ret, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, ERR_IO, errno, "file %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_IMAGE_INVALID, "file %s: not a regular file", path);
	if (st.st_size == 0)
		return err_set(e, ERR_IMAGE_INVALID, "file %s is empty", path);
	if ((uint64_t)st.st_size > BLOB_MAX_BYTES)
		return err_set(e, ERR_TOO_LARGE, "file %s has %lld bytes, more than %llu GiB", path,
			(long long)st.st_size, BLOB_MAX_BYTES >> 30);
	*ret = (uint64_t)st.st_size;
	return 0;
}

/* A file without a name: TMPDIR, else /var/tmp, which is a disk where /tmp is memory. */
static int scratch_file(const char *path, struct err *e)
{
	const char *dir = getenv("TMPDIR");

	if (!dir || !*dir)
		dir = "/var/tmp";

	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		_cleanup_(freep) char *name = xasprintf("%s/blob.XXXXXX", dir);

		fd = mkostemp(name, O_CLOEXEC);
		if (fd >= 0)
			unlink(name);
	}
	return fd >= 0 ? fd : err_errno(e, ERR_IO, errno, "a copy of %s in %s", path, dir);
}

static int shrank(const char *path, struct err *e)
{
	return err_set(e, ERR_IMAGE_INVALID, "file %s shrank while it was read", path);
}

static int read_into(const char *path, int fd, uint8_t *to, uint64_t n, struct err *e)
{
	for (uint64_t got = 0; got < n;) {
		ssize_t k = read(fd, to + got, MIN(n - got, (uint64_t)COPY_STEP_BYTES));

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_errno(e, ERR_IO, errno, "file %s", path);
		if (k == 0)
			return shrank(path, e);
		got += (uint64_t)k;
	}
	return 0;
}

static int write_all(const char *path, int fd, const uint8_t *p, size_t n, struct err *e)
{
	while (n > 0) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_errno(e, ERR_IO, errno, "a copy of %s", path);
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

/* What the kernel cannot copy by itself. */
static int copy_by_hand(const char *path, int from, int to, uint64_t n, struct err *e)
{
	_cleanup_(freep) uint8_t *buf = malloc(COPY_BUF_BYTES);
	int r = 0;

	if (!buf)
		return err_set(e, ERR_NO_MEMORY, "a copy of %s", path);
	while (r == 0 && n > 0) {
		size_t k = (size_t)MIN(n, (uint64_t)COPY_BUF_BYTES);

		r = read_into(path, from, buf, k, e);
		if (r == 0)
			r = write_all(path, to, buf, k, e);
		n -= k;
	}
	return r;
}

static int copy_file(const char *path, int from, int to, uint64_t n, struct err *e)
{
	struct stat st;
	uint64_t done = 0;

	if (ioctl(to, FICLONE, from) == 0) {
		if (fstat(to, &st) < 0 || (uint64_t)st.st_size < n)
			return shrank(path, e);
		return 0;
	}
	while (done < n) {
		ssize_t k = copy_file_range(
			from, NULL, to, NULL, (size_t)MIN(n - done, (uint64_t)COPY_STEP_BYTES), 0);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0 && errno != ENOSPC && errno != EIO && errno != EDQUOT)
			return copy_by_hand(path, from, to, n - done, e);
		if (k < 0)
			return err_errno(e, ERR_IO, errno, "a copy of %s", path);
		if (k == 0)
			return shrank(path, e);
		done += (uint64_t)k;
	}
	return 0;
}

static int map(struct blob *b, int fd, int prot, struct err *e)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *p = mmap(NULL, (size_t)b->size, prot, flags, fd, 0);

	if (p == MAP_FAILED)
		return err_errno(e, ERR_NO_MEMORY, errno, "file %s", b->path);
	b->data = p;
	return 0;
}

/* --- the digest --- */

struct blob_digest {
	struct mutex lock;
	pthread_t thread;
	bool begun;		 /* thread is to be joined */
	char sha256[SHA256_HEX]; /* "": not known yet */
};

static void *digest_main(void *arg)
{
	const struct blob *b = arg;

	sha256_hex_of(b->data, (size_t)b->size, b->digest->sha256);
	return NULL;
}

/* While its bytes are on their way somewhere else. */
static void digest_begin(struct blob *b)
{
	struct err e;

	if (b->size >= THREAD_FROM_BYTES)
		b->digest->begun =
			thread_start(&b->digest->thread, "digest", digest_main, b, &e) == 0;
}

const char *blob_sha256(const struct blob *b)
{
	struct blob_digest *d = b->digest;

	mutex_lock(&d->lock);
	if (d->begun)
		pthread_join(d->thread, NULL);
	else if (!d->sha256[0])
		digest_main((void *)(uintptr_t)b);
	d->begun = false;
	mutex_unlock(&d->lock);
	return d->sha256;
}

static void digest_free(struct blob_digest *d)
{
	if (d->begun)
		pthread_join(d->thread, NULL);
	mutex_done(&d->lock);
	free(d);
}

/* --- a file that is watched --- */

/* A lease is had only while nobody has the file open to write, also by a mapping. */
static bool watch(struct blob *b, int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		return false;
	b->lease_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return b->lease_fd >= 0;
}

int blob_unchanged(const struct blob *b, struct err *e)
{
	struct stat st;

	if (b->lease_fd < 0 ||
		(fcntl(b->lease_fd, F_GETLEASE) == F_RDLCK && fstat(b->lease_fd, &st) == 0 &&
			(uint64_t)st.st_size == b->size))
		return 0;
	return err_set(e, ERR_IMAGE_INVALID,
		"file %s was opened for writing while it was used: what was sent may be neither the old nor the new one; wait until it is whole, then do it again",
		b->path);
}

/* --- a file --- */

static int load_copy(struct blob *b, int fd, struct err *e)
{
	if (b->size <= MEMORY_MAX_BYTES) {
		int r = map(b, -1, PROT_READ | PROT_WRITE, e);

		return r < 0 ? r : read_into(b->path, fd, (uint8_t *)b->data, b->size, e);
	}

	_cleanup_(closep) int copy = scratch_file(b->path, e);

	if (copy < 0)
		return copy;

	int r = copy_file(b->path, fd, copy, b->size, e);

	return r < 0 ? r : map(b, copy, PROT_READ, e);
}

static int load(struct blob *b, int fd, enum blob_source source, struct err *e)
{
	/* A copy of a small one costs less than the two calls. */
	if (source == BLOB_STORED ||
		(source == BLOB_WATCHED && b->size > MEMORY_MAX_BYTES && watch(b, fd)))
		return map(b, fd, PROT_READ, e);
	return load_copy(b, fd, e);
}

static struct blob *blob_of(const char *path, uint64_t size)
{
	struct blob *b = xcalloc(1, sizeof *b);

	b->refs = 1;
	b->path = xstrdup(path);
	b->size = size;
	b->lease_fd = -1;
	b->digest = xcalloc(1, sizeof *b->digest);
	mutex_init(&b->digest->lock);
	return b;
}

int blob_open(const char *path, enum blob_source source, struct blob **ret, struct err *e)
{
	uint64_t size = 0;
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "there is no file %s", path);
	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "file %s", path);

	int r = check_size(path, fd, &size, e);

	if (r < 0)
		return r;

	_cleanup_(blob_unrefp) struct blob *b = blob_of(path, size);

	r = load(b, fd, source, e);
	if (r < 0)
		return r;
	mprotect((void *)(uintptr_t)b->data, (size_t)b->size, PROT_READ);
	madvise((void *)(uintptr_t)b->data, (size_t)b->size, MADV_WILLNEED);
	digest_begin(b);
	*ret = steal_ptr(&b);
	return 0;
}

static int check_new(const char *name, uint64_t size, struct err *e)
{
	if (size == 0)
		return err_set(e, ERR_IMAGE_INVALID, "%s is empty", name);
	if (size > BLOB_MAX_BYTES)
		return err_set(e, ERR_TOO_LARGE, "%s has %llu bytes, more than %llu GiB", name,
			(unsigned long long)size, BLOB_MAX_BYTES >> 30);
	return 0;
}

int blob_new_private(
	const char *name, uint64_t size, uint8_t **ret_bytes, struct blob **ret, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *b = blob_of(name, size);
	int r = check_new(name, size, e);

	if (r == 0)
		r = map(b, -1, PROT_READ | PROT_WRITE, e);
	if (r < 0)
		return r;
	madvise((void *)(uintptr_t)b->data, (size_t)b->size, MADV_DONTDUMP);
	b->wiped = true;
	*ret_bytes = (uint8_t *)(uintptr_t)b->data;
	*ret = steal_ptr(&b);
	return 0;
}

int blob_new(const char *name, uint64_t size, uint8_t **ret_bytes, struct blob **ret, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *b = blob_of(name, size);
	_cleanup_(closep) int fd = -1;
	int r = check_new(name, size, e);

	if (r < 0)
		return r;
	if (size > MEMORY_MAX_BYTES) {
		fd = scratch_file(name, e);
		if (fd < 0)
			return fd;

		/* Room that is missing has to fail here, not as a SIGBUS in a mapping. */
		int why = posix_fallocate(fd, 0, (off_t)size);

		if (why)
			return err_errno(e, ERR_IO, why, "a copy of %s", name);
	}
	r = map(b, fd, PROT_READ | PROT_WRITE, e);
	if (r < 0)
		return r;
	*ret_bytes = (uint8_t *)b->data;
	*ret = steal_ptr(&b);
	return 0;
}

void blob_seal(struct blob *b)
{
	mprotect((void *)(uintptr_t)b->data, (size_t)b->size, PROT_READ);
	digest_begin(b);
}

/* --- one that grows --- */

struct blob_growing {
	char *name;
	uint64_t bytes;
	struct strbuf small; /* up to MEMORY_MAX_BYTES, then all is in the file */
	int fd;
};

struct blob_growing *blob_growing_new(const char *name)
{
	struct blob_growing *g = xcalloc(1, sizeof *g);

	g->name = xstrdup(name);
	g->fd = -1;
	return g;
}

uint64_t blob_growing_bytes(const struct blob_growing *g)
{
	return g->bytes;
}

static int move_to_file(struct blob_growing *g, struct err *e)
{
	int r;

	g->fd = scratch_file(g->name, e);
	if (g->fd < 0)
		return g->fd;
	r = write_all(g->name, g->fd, (const uint8_t *)g->small.s, g->small.len, e);
	sb_done(&g->small);
	g->small = (struct strbuf){0};
	return r;
}

int blob_growing_add(struct blob_growing *g, const void *bytes, size_t n, struct err *e)
{
	int r = 0;

	if (g->bytes + n > BLOB_MAX_BYTES)
		return err_set(e, ERR_TOO_LARGE, "%s has more than %llu GiB", g->name,
			BLOB_MAX_BYTES >> 30);
	if (g->fd < 0 && g->bytes + n > MEMORY_MAX_BYTES)
		r = move_to_file(g, e);
	if (r == 0 && g->fd < 0)
		sb_add_n(&g->small, bytes, n);
	else if (r == 0)
		r = write_all(g->name, g->fd, bytes, n, e);
	g->bytes += n;
	return r;
}

static int seal_file(struct blob_growing *g, struct blob **ret, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *b = blob_of(g->name, g->bytes);
	int r = map(b, g->fd, PROT_READ, e);

	if (r == 0) {
		digest_begin(b);
		*ret = steal_ptr(&b);
	}
	return r;
}

static int seal_memory(struct blob_growing *g, struct blob **ret, struct err *e)
{
	uint8_t *bytes;
	int r = blob_new(g->name, g->bytes, &bytes, ret, e);

	if (r < 0)
		return r;
	memcpy(bytes, g->small.s, g->small.len);
	blob_seal(*ret);
	return 0;
}

int blob_growing_end(struct blob_growing **g, struct blob **ret, struct err *e)
{
	struct blob_growing *own = steal_ptr(g);
	int r = own->fd >= 0 ? seal_file(own, ret, e) : seal_memory(own, ret, e);

	blob_growing_free(own);
	return r;
}

void blob_growing_free(struct blob_growing *g)
{
	if (!g)
		return;
	sb_done(&g->small);
	closep(&g->fd);
	free(g->name);
	free(g);
}

struct blob *blob_ref(struct blob *b)
{
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

static void wipe(struct blob *b)
{
	void *p = (void *)(uintptr_t)b->data;

	if (mprotect(p, (size_t)b->size, PROT_READ | PROT_WRITE) == 0)
		secret_wipe(p, (size_t)b->size);
}

struct blob *blob_unref(struct blob *b)
{
	if (!b || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	digest_free(b->digest);
	if (b->data && b->wiped)
		wipe(b);
	if (b->data)
		munmap((void *)(uintptr_t)b->data, (size_t)b->size);
	if (b->lease_fd >= 0)
		close(b->lease_fd);
	free(b->path);
	free(b);
	return NULL;
}
