/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/dfu/dfu_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int add_runs(struct dfu_memory *m, const char *text, struct err *e)
{
	const char *p = strchr(text, '/');
	uint64_t at = 0;

	while (p && *p == '/' && m->runs < DFU_MEMORY_RUNS) {
		int used = 0;
		unsigned address, pages, bytes;
		char unit, letter;

		if (sscanf(p, "/0x%x/%n", &address, &used) == 1 && used) {
			at = address;
			p += used;
		} else {
			p++;
		}
		while (sscanf(p, "%u*%u%c%c%n", &pages, &bytes, &unit, &letter, &used) == 4) {
			m->run[m->runs].address = (uint32_t)at;
			m->run[m->runs].page = bytes << (unit == 'K' ? 10 : unit == 'M' ? 20 : 0);
			m->run[m->runs].pages = pages;
			m->run[m->runs].access = (unsigned)letter & 7;
			at += (uint64_t)m->run[m->runs].page * pages;
			m->runs++;
			p += used;
			if (*p != ',' || m->runs == DFU_MEMORY_RUNS)
				break;
			p++;
		}
	}
	if (!m->runs || at > UINT32_MAX)
		return err_set(e, ERR_INVALID, "'%s' is not a memory map", text);
	m->base = m->run[0].address;
	m->size = (uint32_t)at - m->base;
	return 0;
}

static int keep(struct dfu_memory *m, const char *path, struct err *e)
{
	struct stat st;

	m->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (m->fd < 0 || fstat(m->fd, &st) < 0)
		return err_errno(e, ERR_IO, errno, "%s", path);
	m->used = (uint32_t)MIN((uint64_t)st.st_size, (uint64_t)m->size);
	if (pread(m->fd, m->cell, m->used, 0) != (ssize_t)m->used)
		return err_errno(e, ERR_IO, errno, "%s", path);
	return 0;
}

int dfu_memory_new(
	const char *text, uint32_t size, const char *path, struct dfu_memory **ret, struct err *e)
{
	_cleanup_(dfu_memory_freep) struct dfu_memory *m = xcalloc(1, sizeof *m);
	int r = 0;

	m->fd = -1;
	m->name = xstrdup(text);
	m->size = size;
	if (*text == '@')
		r = add_runs(m, text, e);
	if (r < 0)
		return r;
	m->cell = malloc(m->size);
	if (!m->cell)
		return err_set(e, ERR_NO_MEMORY, "%u bytes of flash", m->size);
	memset(m->cell, 0xff, m->size);
	if (path)
		r = keep(m, path, e);
	if (r == 0)
		*ret = steal_ptr(&m);
	return r;
}

struct dfu_memory *dfu_memory_free(struct dfu_memory *m)
{
	if (m) {
		closep(&m->fd);
		free(m->cell);
		free(m->name);
		free(m);
	}
	return NULL;
}

static void flush(struct dfu_memory *m, uint32_t offset, size_t n)
{
	if (m->fd >= 0 && pwrite(m->fd, m->cell + offset, n, offset) < 0)
		m->fd = -1; /* a full disk: the test sees the file's old content */
}

static bool inside(const struct dfu_memory *m, uint32_t address, size_t n)
{
	return address >= m->base && n <= m->size && address - m->base <= m->size - n;
}

/* The run of an address; -1 for none, or for a plain partition. */
static int run_of(const struct dfu_memory *m, uint32_t address)
{
	for (size_t i = 0; i < m->runs; i++)
		if (address >= m->run[i].address &&
			address - m->run[i].address < (uint64_t)m->run[i].page * m->run[i].pages)
			return (int)i;
	return -1;
}

static bool allowed(const struct dfu_memory *m, uint32_t address, unsigned access)
{
	int i = run_of(m, address);

	return !m->runs || (i >= 0 && m->run[i].access & access);
}

static bool is_one_time(const struct dfu_memory *m)
{
	bool once = m->runs > 0;

	for (size_t i = 0; i < m->runs; i++)
		once = once && !(m->run[i].access & 2);
	return once;
}

static bool is_locked(const struct dfu_memory *m, uint32_t offset)
{
	uint32_t blocks, locks;

	if (m->runs != 2 || !is_one_time(m))
		return false;
	blocks = m->run[0].page * m->run[0].pages;
	locks = m->run[1].page * m->run[1].pages;
	return offset < blocks && m->cell[blocks + offset / (blocks / locks)] == 0;
}

bool dfu_memory_write(
	struct dfu_memory *m, uint32_t address, const uint8_t *p, size_t n, int64_t weak)
{
	uint32_t offset = address - m->base;

	if (!inside(m, address, n) || !allowed(m, address, 4))
		return false;
	for (size_t i = 0; i < n; i++)
		if (is_locked(m, offset + (uint32_t)i))
			return false;
	for (size_t i = 0; i < n; i++) {
		uint8_t old = m->cell[offset + i];

		m->cell[offset + i] = m->runs ? old & p[i] : p[i];
		if (weak == (int64_t)offset + (int64_t)i)
			m->cell[offset + i] = (uint8_t)(m->cell[offset + i] ^ 0x01);
	}
	m->used = MAX(m->used, offset + (uint32_t)n);
	flush(m, offset, n);
	return true;
}

bool dfu_memory_read(const struct dfu_memory *m, uint32_t address, uint8_t *p, size_t n)
{
	if (!inside(m, address, n) || !allowed(m, address, 1))
		return false;
	memcpy(p, m->cell + (address - m->base), n);
	return true;
}

bool dfu_memory_erase_page(struct dfu_memory *m, uint32_t address)
{
	int i = run_of(m, address);

	if (i < 0 || !(m->run[i].access & 2))
		return false;

	uint32_t page = m->run[i].page;
	uint32_t begin = address - (address - m->run[i].address) % page - m->base;

	memset(m->cell + begin, 0xff, page);
	flush(m, begin, page);
	return true;
}

void dfu_memory_erase_all(struct dfu_memory *m)
{
	if (is_one_time(m))
		return;
	memset(m->cell, 0xff, m->size);
	flush(m, 0, m->size);
}
