/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/dfu/dfuse_map.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_END (1ull << 32)

struct reader {
	const char *text;
	const char *p;
	struct err *e;
};

static int bad(struct reader *r, const char *expected)
{
	return err_set(r->e, ERR_PROTOCOL, "memory map '%.120s': %s expected at character %zu",
		r->text, expected, (size_t)(r->p - r->text));
}

static void skip_blanks(struct reader *r)
{
	while (*r->p == ' ')
		r->p++;
}

/* At most 10 digits of the base: what is longer is not a 32-bit number. */
static int number(struct reader *r, int base, uint64_t *ret)
{
	uint64_t v = 0;
	unsigned digits = 0;

	for (; base == 16 ? isxdigit((unsigned char)*r->p) : isdigit((unsigned char)*r->p);
		r->p++) {
		char c = (char)tolower((unsigned char)*r->p);

		v = v * (unsigned)base + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
		if (++digits > 10)
			return bad(r, "a 32-bit number");
	}
	if (digits == 0 || v >= ADDRESS_END)
		return bad(r, "a 32-bit number");
	*ret = v;
	return 0;
}

/* The multiplier and the letter after a size. */
static int size_and_access(struct reader *r, uint64_t *bytes, unsigned *access)
{
	unsigned shift = 0;

	switch (*r->p) {
	case 'K':
		shift = 10;
		r->p++;
		break;
	case 'M':
		shift = 20;
		r->p++;
		break;
	case 'B':
	case ' ':
		r->p++;
		break;
	}
	if (*r->p < 'a' || *r->p > 'g')
		return bad(r, "a letter from a to g (what the memory allows)");
	*access = (unsigned)*r->p++ & 7;
	*bytes <<= shift;
	return *bytes > 0 && *bytes < ADDRESS_END ? 0 : bad(r, "a page of 1 byte to 4 GiB");
}

static int put_run(struct reader *r, struct dfuse_map *m, const struct dfuse_run *x)
{
	size_t i = m->runs;

	if (m->runs == DFUSE_RUNS_MAX)
		return err_set(r->e, ERR_PROTOCOL, "memory map '%.120s': more than %d groups",
			r->text, DFUSE_RUNS_MAX);
	if (dfuse_run_end(x) > ADDRESS_END)
		return err_set(
			r->e, ERR_PROTOCOL, "memory map '%.120s': it ends above 4 GiB", r->text);
	for (; i > 0 && m->run[i - 1].address > x->address; i--)
		m->run[i] = m->run[i - 1];
	m->run[i] = *x;
	m->runs++;
	if ((i > 0 && dfuse_run_end(&m->run[i - 1]) > x->address) ||
		(i + 1 < m->runs && dfuse_run_end(x) > m->run[i + 1].address))
		return err_set(r->e, ERR_PROTOCOL, "memory map '%.120s': groups overlap at 0x%llx",
			r->text, (unsigned long long)x->address);
	return 0;
}

/* 04*016Kg,01*064Kg: *address moves past them. */
static int groups(struct reader *r, struct dfuse_map *m, uint64_t address)
{
	for (;;) {
		struct dfuse_run x = {.address = address};
		uint64_t pages = 0, bytes = 0;

		skip_blanks(r);
		if (number(r, 10, &pages) < 0)
			return -ERR_PROTOCOL;
		if (pages == 0 || *r->p != '*')
			return bad(r, pages == 0 ? "a number of pages" : "'*'");
		r->p++;
		if (number(r, 10, &bytes) < 0 || size_and_access(r, &bytes, &x.access) < 0)
			return -ERR_PROTOCOL;
		x.pages = (uint32_t)pages;
		x.page_bytes = (uint32_t)bytes;
		/* "Device Feature": it is erased as a whole, whatever its letter says. */
		if (!strncmp(m->name, "Device Feature", 14))
			x.access |= DFUSE_ERASABLE;

		int e = put_run(r, m, &x);

		if (e < 0)
			return e;
		address = dfuse_run_end(&x);
		skip_blanks(r);
		if (*r->p != ',')
			return 0;
		r->p++;
	}
}

static int name(struct reader *r, struct dfuse_map *m)
{
	size_t n;

	if (*r->p != '@')
		return bad(r, "'@'");
	r->p++;
	n = strcspn(r->p, "/");
	if (!r->p[n])
		return bad(r, "'/' after the name");

	size_t keep = n;

	while (keep > 0 && r->p[keep - 1] == ' ')
		keep--;
	if (keep >= sizeof m->name)
		keep = sizeof m->name - 1;
	memcpy(m->name, r->p, keep);
	m->name[keep] = 0;
	r->p += n;
	return 0;
}

int dfuse_map_parse(const char *text, struct dfuse_map *ret, struct err *e)
{
	struct reader r = {text, text, e};
	struct dfuse_map m = {.runs = 0};
	int x = name(&r, &m);

	while (x == 0 && *r.p == '/') {
		uint64_t address = 0;

		r.p++;
		skip_blanks(&r);
		if (r.p[0] != '0' || (r.p[1] != 'x' && r.p[1] != 'X'))
			return bad(&r, "an address such as 0x08000000");
		r.p += 2;
		x = number(&r, 16, &address);
		if (x == 0 && *r.p != '/')
			return bad(&r, "'/' after the address");
		r.p++;
		if (x == 0)
			x = groups(&r, &m, address);
	}
	if (x < 0)
		return x;
	skip_blanks(&r);
	if (*r.p || m.runs == 0)
		return bad(&r, *r.p ? "the end" : "a group of pages");
	*ret = m;
	return 0;
}

const struct dfuse_run *dfuse_map_find(const struct dfuse_map *m, uint64_t address)
{
	for (size_t i = 0; i < m->runs; i++)
		if (address >= m->run[i].address && address < dfuse_run_end(&m->run[i]))
			return &m->run[i];
	return NULL;
}

int dfuse_map_check(
	const struct dfuse_map *m, uint64_t address, uint64_t n, unsigned access, struct err *e)
{
	static const char *const words[] = {"", "readable", "erasable", "", "writable"};
	uint64_t end = address + n;

	while (address < end) {
		const struct dfuse_run *r = dfuse_map_find(m, address);

		if (!r)
			return err_set(e, ERR_IMAGE_RANGE, "'%s' has no memory at 0x%08llx",
				m->name, (unsigned long long)address);
		if (access & ~r->access & DFUSE_ERASABLE && access & r->access & DFUSE_WRITABLE)
			return err_set(e, ERR_IMAGE_RANGE,
				"'%s' can be written and not erased at 0x%08llx: option bytes or OTP, where a write may be for ever, are refused on purpose: leave them out of the file, or say 'erase: none' in a step of its own",
				m->name, (unsigned long long)address);
		for (unsigned bit = 1; bit <= DFUSE_WRITABLE; bit <<= 1)
			if (access & ~r->access & bit)
				return err_set(e, ERR_IMAGE_RANGE, "'%s' is not %s at 0x%08llx",
					m->name, words[bit], (unsigned long long)address);
		address = dfuse_run_end(r);
	}
	return 0;
}
