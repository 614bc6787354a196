/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/stm32_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/strbuf.h"

static int add_run(struct stm32_memory *m, const char *text, size_t n, struct err *e)
{
	_cleanup_(freep) char *s = strndup(text, n);
	char *star = strchr(s, '*');
	unsigned long long count = 1;
	unsigned long long bytes = 0;

	if (star)
		*star = 0;
	if (m->runs == STM32_MEMORY_RUNS || (star && !parse_size(s, &count)) ||
		!parse_size(star ? star + 1 : s, &bytes) || !bytes || bytes > m->size)
		return err_set(e, ERR_INVALID, "'%.*s' is not a run of pages", (int)n, text);
	m->run[m->runs].bytes = (uint32_t)bytes;
	m->run[m->runs].count = (uint32_t)count;
	m->runs++;
	return 0;
}

static int add_runs(struct stm32_memory *m, const char *text, struct err *e)
{
	for (const char *p = text;; p++) {
		size_t n = strcspn(p, ",");
		int r = add_run(m, p, n, e);

		if (r < 0)
			return r;
		p += n;
		if (!*p)
			return 0;
	}
}

static int open_in(const char *dir, const char *name, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	return fd >= 0 ? fd : err_errno(e, ERR_IO, errno, "%s", path);
}

static void keep(struct stm32_memory *m, uint32_t offset, size_t n)
{
	if (m->fd >= 0 && pwrite(m->fd, m->cell + offset, n, offset) != (ssize_t)n)
		closep(&m->fd), m->fd = -1; /* a full disk: the test sees the old content */
}

void stm32_memory_keep_options(struct stm32_memory *m)
{
	if (m->options < 0)
		return;
	if (pwrite(m->options, &m->read_protected, 1, 0) != 1 ||
		pwrite(m->options, m->write_protected, sizeof m->write_protected, 1) < 0 ||
		pwrite(m->options, &m->user_option, 1, 1 + sizeof m->write_protected) != 1)
		closep(&m->options), m->options = -1;
}

static int open_files(struct stm32_memory *m, const char *dir, struct err *e)
{
	struct stat st;

	m->fd = open_in(dir, "flash.bin", e);
	m->options = m->fd < 0 ? -1 : open_in(dir, "options", e);
	if (m->options < 0)
		return -(int)(e ? e->code : ERR_IO);
	if (fstat(m->fd, &st) == 0 && st.st_size == (off_t)m->size) {
		if (pread(m->fd, m->cell, m->size, 0) != (ssize_t)m->size)
			return err_errno(e, ERR_IO, errno, "%s/flash.bin", dir);
		if (pread(m->options, &m->read_protected, 1, 0) == 1 &&
			pread(m->options, m->write_protected, sizeof m->write_protected, 1) > 0 &&
			pread(m->options, &m->user_option, 1, 1 + sizeof m->write_protected) == 1)
			return 0;
	}
	keep(m, 0, m->size);
	stm32_memory_keep_options(m);
	return 0;
}

int stm32_memory_new(uint32_t base, uint32_t size, uint8_t erased, const char *pages,
	const char *dir, struct stm32_memory **ret, struct err *e)
{
	_cleanup_(stm32_memory_freep) struct stm32_memory *m = xcalloc(1, sizeof *m);
	int r;

	m->fd = m->options = -1;
	m->user_option = 0xef;
	m->base = base;
	m->size = size;
	m->erased = erased;
	m->cell = malloc(size);
	if (!m->cell)
		return err_set(e, ERR_NO_MEMORY, "%u bytes of flash", size);
	memset(m->cell, erased, size);
	r = add_runs(m, pages, e);
	if (r == 0 && dir)
		r = open_files(m, dir, e);
	if (r == 0)
		*ret = steal_ptr(&m);
	return r;
}

struct stm32_memory *stm32_memory_free(struct stm32_memory *m)
{
	if (m) {
		closep(&m->fd);
		closep(&m->options);
		free(m->cell);
		free(m);
	}
	return NULL;
}

bool stm32_memory_holds(const struct stm32_memory *m, uint32_t address, size_t n)
{
	return address >= m->base && n <= m->size && address - m->base <= m->size - n;
}

/* Offset and size of a page; false where there is none. */
static bool find_page(
	const struct stm32_memory *m, uint32_t page, uint32_t *offset, uint32_t *bytes)
{
	uint32_t at = 0;

	for (size_t i = 0; i < m->runs; i++) {
		bool last = i + 1 == m->runs;

		if (last || page < m->run[i].count) {
			uint64_t there = at + (uint64_t)page * m->run[i].bytes;

			*offset = (uint32_t)there;
			*bytes = m->run[i].bytes;
			return there + m->run[i].bytes <= m->size;
		}
		page -= m->run[i].count;
		at += m->run[i].count * m->run[i].bytes;
	}
	return false;
}

uint32_t stm32_memory_pages(const struct stm32_memory *m)
{
	uint32_t n = 0;
	uint32_t offset, bytes;

	while (find_page(m, n, &offset, &bytes))
		n++;
	return n;
}

static bool is_write_protected(const struct stm32_memory *m, uint32_t page)
{
	return page < sizeof m->write_protected && m->write_protected[page];
}

bool stm32_memory_erase(struct stm32_memory *m, uint32_t page)
{
	uint32_t offset, bytes;

	if (!find_page(m, page, &offset, &bytes))
		return false;
	if (is_write_protected(m, page))
		return true;
	memset(m->cell + offset, m->erased, bytes);
	keep(m, offset, bytes);
	return true;
}

void stm32_memory_erase_all(struct stm32_memory *m)
{
	for (uint32_t page = 0; stm32_memory_erase(m, page);)
		page++;
}

static bool cell_is_protected(const struct stm32_memory *m, uint32_t at)
{
	uint32_t offset, bytes;

	for (uint32_t page = 0; find_page(m, page, &offset, &bytes); page++)
		if (at >= offset && at - offset < bytes)
			return is_write_protected(m, page);
	return false;
}

bool stm32_memory_write(
	struct stm32_memory *m, uint32_t address, const uint8_t *p, size_t n, int64_t weak)
{
	uint32_t offset = address - m->base;

	if (cell_is_protected(m, offset))
		return true;
	for (size_t i = 0; i < n; i++)
		if (m->cell[offset + i] != m->erased && m->cell[offset + i] != p[i])
			return false;
	memcpy(m->cell + offset, p, n);
	if (weak >= (int64_t)offset && weak < (int64_t)offset + (int64_t)n)
		m->cell[weak] ^= 0x01;
	keep(m, offset, n);
	return true;
}

uint32_t stm32_memory_used(const struct stm32_memory *m)
{
	uint32_t n = m->size;

	while (n > 0 && m->cell[n - 1] == m->erased)
		n--;
	return n;
}
