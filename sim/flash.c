/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/flash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define ERASED 0xff
#define GROW   65536u

struct flash {
	struct flash_geometry g;
	uint8_t *cells; /* cap bytes, of which used were written */
	size_t cap;
	size_t used;
	int fd; /* -1: not kept */
	int io_error;
};

static void reserve(struct flash *f, size_t n)
{
	if (n <= f->cap)
		return;

	size_t cap = MIN((n + GROW - 1) / GROW * GROW, (size_t)f->g.size);
	uint8_t *cells = realloc(f->cells, cap);

	if (!cells)
		abort();
	memset(cells + f->cap, ERASED, cap - f->cap);
	f->cells = cells;
	f->cap = cap;
}

static int load(struct flash *f, const char *path, struct err *e)
{
	struct stat st;

	f->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return err_errno(e, ERR_IO, errno, "%s", path);
	if ((uint64_t)st.st_size > f->g.size)
		return err_set(e, ERR_INVALID, "%s: %lld bytes do not fit a flash of %u", path,
			(long long)st.st_size, f->g.size);
	reserve(f, (size_t)st.st_size);
	while (f->used < (size_t)st.st_size) {
		ssize_t r = pread(
			f->fd, f->cells + f->used, (size_t)st.st_size - f->used, (off_t)f->used);

		if (r <= 0)
			return err_errno(e, ERR_IO, r < 0 ? errno : EIO, "%s", path);
		f->used += (size_t)r;
	}
	return 0;
}

int flash_new(const struct flash_geometry *g, const char *path, struct flash **ret, struct err *e)
{
	if (!g->size || !g->page || !g->unit || g->size % g->page || g->page % g->unit)
		return err_set(e, ERR_INVALID,
			"flash: size %u, page %u and write unit %u must divide one another",
			g->size, g->page, g->unit);

	_cleanup_(flash_freep) struct flash *f = xcalloc(1, sizeof *f);

	f->g = *g;
	f->fd = -1;
	if (path) {
		int r = load(f, path, e);

		if (r < 0)
			return r;
	}
	*ret = steal_ptr(&f);
	return 0;
}

struct flash *flash_free(struct flash *f)
{
	if (f) {
		if (f->fd >= 0)
			close(f->fd);
		free(f->cells);
		free(f);
	}
	return NULL;
}

static bool in_range(const struct flash *f, uint32_t addr, size_t n)
{
	return addr >= f->g.base && (uint64_t)(addr - f->g.base) + n <= f->g.size;
}

static void keep(struct flash *f, size_t from, size_t n)
{
	if (f->fd < 0)
		return;
	while (n) {
		ssize_t r = pwrite(f->fd, f->cells + from, n, (off_t)from);

		if (r < 0) {
			if (!f->io_error)
				f->io_error = errno;
			return;
		}
		from += (size_t)r;
		n -= (size_t)r;
	}
}

enum flash_verdict flash_write(struct flash *f, uint32_t addr, const void *p, size_t n, bool strict)
{
	const uint8_t *src = p;

	if (!in_range(f, addr, n))
		return FLASH_RANGE;

	size_t off = addr - f->g.base;

	if (strict && (off % f->g.unit || n % f->g.unit))
		return FLASH_UNALIGNED;
	for (size_t i = off; strict && i < off + n && i < f->used; i++)
		if (f->cells[i] != ERASED)
			return FLASH_NOT_ERASED;
	reserve(f, off + n);
	for (size_t i = 0; i < n; i++)
		f->cells[off + i] &= src[i];

	/* A gap below the write becomes content: it reads as erased cells in the file too. */
	size_t from = MIN(off, f->used);

	f->used = MAX(f->used, off + n);
	keep(f, from, off + n - from);
	return FLASH_OK;
}

enum flash_verdict flash_read(const struct flash *f, uint32_t addr, void *buf, size_t n)
{
	if (!in_range(f, addr, n))
		return FLASH_RANGE;

	size_t off = addr - f->g.base;
	size_t have = off < f->used ? MIN(n, f->used - off) : 0;

	if (have)
		memcpy(buf, f->cells + off, have);
	memset((uint8_t *)buf + have, ERASED, n - have);
	return FLASH_OK;
}

void flash_erase(struct flash *f)
{
	if (f->used)
		memset(f->cells, ERASED, f->used);
	f->used = 0;
	if (f->fd >= 0 && ftruncate(f->fd, 0) < 0 && !f->io_error)
		f->io_error = errno;
}

void flash_erase_page(struct flash *f, uint32_t addr)
{
	if (!in_range(f, addr, 1))
		return;

	size_t off = (addr - f->g.base) / f->g.page * f->g.page;

	if (off >= f->used)
		return;

	size_t n = MIN((size_t)f->g.page, f->used - off);

	memset(f->cells + off, ERASED, n);
	keep(f, off, n);
}

void flash_damage(struct flash *f, uint32_t offset)
{
	if (offset >= f->used)
		return;
	f->cells[offset] ^= 1;
	keep(f, offset, 1);
}

const struct flash_geometry *flash_geometry(const struct flash *f)
{
	return &f->g;
}

const uint8_t *flash_content(const struct flash *f)
{
	return f->cells ? f->cells : (const uint8_t *)"";
}

size_t flash_used(const struct flash *f)
{
	return f->used;
}

bool flash_blank(const struct flash *f)
{
	uint8_t head[8];
	uint8_t erased[sizeof head];

	memset(erased, ERASED, sizeof erased);
	flash_read(f, f->g.base, head, MIN(sizeof head, (size_t)f->g.size));
	return !f->used || !memcmp(head, erased, MIN(sizeof head, (size_t)f->g.size));
}

int flash_io_error(const struct flash *f)
{
	return f->io_error;
}
