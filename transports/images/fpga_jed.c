/* SPDX-License-Identifier: Apache-2.0
 *
 * JEDEC JESD3-C: fields that end with '*' between STX and ETX. QF the number of fuses, F what those have that no L names,
 * L fuses from a number on, C the sum of all fuses (8 to a byte, the first one lowest), N and NOTE texts; after ETX the
 * sum of all characters from STX to ETX, "0000" where there is none.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "transports/images/fpga_impl.h"

#define STX	  0x02
#define ETX	  0x03
#define FUSES_MAX (64u * 1024 * 1024)

struct jed {
	const char *name;
	const uint8_t *s; /* from STX on */
	size_t n, at, base;
	struct fpga_file *ret;
	uint8_t *fuse; /* 8 to a byte */
	uint64_t fuses;
	bool has_sum;
	unsigned sum;
};

/* Whether the field begins with that word. */
static bool begins(const char *field, size_t n, const char *with)
{
	return n >= strlen(with) && !strncasecmp(field, with, strlen(with));
}

static void note(struct jed *j, const char *text, size_t n)
{
	static const char device[] = "NOTE DEVICE NAME:", date[] = "NOTE DATE CREATED:",
			  design[] = "NOTE DESIGN NAME:";

	if (begins(text, n, device))
		fpga_text(j->ret->part, sizeof j->ret->part, text + sizeof device - 1,
			n - sizeof device + 1);
	else if (begins(text, n, date))
		fpga_text(j->ret->date, sizeof j->ret->date, text + sizeof date - 1,
			n - sizeof date + 1);
	else if (begins(text, n, design))
		fpga_text(j->ret->design, sizeof j->ret->design, text + sizeof design - 1,
			n - sizeof design + 1);
}

static bool decimal(const char *s, size_t n, uint64_t *ret, size_t *ret_used)
{
	uint64_t v = 0;
	size_t i = 0;

	while (i < n && isdigit((unsigned char)s[i]) && v <= FUSES_MAX)
		v = v * 10 + (uint64_t)(s[i++] - '0');
	*ret = v;
	*ret_used = i;
	return i > 0 && v <= FUSES_MAX;
}

static int fuse_count(struct jed *j, const char *field, size_t n, struct err *e)
{
	size_t used;

	if (j->fuse)
		return fpga_malformed(j->name, j->base + j->at, e, "a second field QF");
	if (!decimal(field + 2, n - 2, &j->fuses, &used) || j->fuses == 0)
		return fpga_malformed(j->name, j->base + j->at, e,
			"QF: a number of fuses, %u at most, expected", FUSES_MAX);
	j->fuse = xcalloc(1, (size_t)j->fuses / 8 + 1);
	return 0;
}

static int fuse_list(struct jed *j, const char *field, size_t n, struct err *e)
{
	uint64_t at;
	size_t used;

	if (!j->fuse || !decimal(field + 1, n - 1, &at, &used))
		return fpga_malformed(j->name, j->base + j->at, e,
			"L: a field QF before it, and the number of its first fuse expected");
	for (size_t i = 1 + used; i < n; i++) {
		char c = field[i];

		if (isspace((unsigned char)c))
			continue;
		if ((c != '0' && c != '1') || at >= j->fuses)
			return fpga_malformed(j->name, j->base + j->at + i, e,
				"0 or 1 for one of %llu fuses expected",
				(unsigned long long)j->fuses);
		if (c == '1')
			j->fuse[at / 8] |= (uint8_t)(1u << at % 8);
		at++;
	}
	return 0;
}

static int field(struct jed *j, const char *f, size_t n, struct err *e)
{
	char text[5] = "";

	if (begins(f, n, "NOTE") || begins(f, n, "N "))
		note(j, f, n);
	else if (begins(f, n, "QF"))
		return fuse_count(j, f, n, e);
	else if (begins(f, n, "L"))
		return fuse_list(j, f, n, e);
	else if (begins(f, n, "F1"))
		return fpga_malformed(j->name, j->base + j->at, e,
			"F1 is not taken: fuses that no field names are 0");
	else if (begins(f, n, "C") && n == 5) {
		memcpy(text, f + 1, 4);
		j->sum = (unsigned)strtoul(text, NULL, 16);
		j->has_sum = true;
	}
	return 0;
}

static int fields(struct jed *j, size_t etx, struct err *e)
{
	int r = 0;

	j->at = 1;
	while (r == 0 && j->at < etx) {
		const char *f = (const char *)j->s + j->at;
		const char *end = memchr(f, '*', etx - j->at);
		size_t blanks = 0;

		while (j->at + blanks < etx && isspace((unsigned char)f[blanks]))
			blanks++;
		if (j->at + blanks == etx)
			return 0;
		if (!end)
			return fpga_malformed(
				j->name, j->base + j->at, e, "a field without '*' at its end");
		r = field(j, f + blanks, (size_t)(end - f) - MIN(blanks, (size_t)(end - f)), e);
		j->at += (size_t)(end - f) + 1;
	}
	return r;
}

static int check_sums(struct jed *j, size_t etx, struct err *e)
{
	unsigned fuses = 0, all = 0, said;
	char text[5] = "";

	for (size_t i = 0; i < j->fuses / 8 + 1; i++)
		fuses += j->fuse[i];
	if (!j->has_sum)
		return fpga_malformed(
			j->name, j->base + etx, e, "the sum of its fuses (field C) is missing");
	if ((fuses & 0xffff) != j->sum)
		return fpga_malformed(j->name, j->base + etx, e,
			"the sum of its fuses is %04X, its field C says %04X: it was damaged on its way",
			fuses & 0xffff, j->sum);
	if (j->n - etx < 5)
		return fpga_malformed(
			j->name, j->base + etx, e, "four digits expected after ETX: it is cut off");
	memcpy(text, j->s + etx + 1, 4);
	said = (unsigned)strtoul(text, NULL, 16);
	for (size_t i = 0; i <= etx; i++)
		all += j->s[i];
	if (said && (all & 0xffff) != said)
		return fpga_malformed(j->name, j->base + etx, e,
			"the sum of its characters is %04X, it says %04X: it was damaged on its way",
			all & 0xffff, said);
	return 0;
}

int fpga_read_jed(
	const char *name, const uint8_t *bytes, size_t n, struct fpga_file *ret, struct err *e)
{
	const uint8_t *stx = memchr(bytes, STX, n);
	const uint8_t *etx = stx ? memchr(stx, ETX, n - (size_t)(stx - bytes)) : NULL;
	struct jed j = {.name = name, .ret = ret};
	int r;

	if (!etx)
		return fpga_malformed(
			name, n, e, "the end of the text (ETX, 0x03) is missing: it is cut off");
	j.s = stx;
	j.base = (size_t)(stx - bytes);
	j.n = n - j.base;
	r = fields(&j, (size_t)(etx - stx), e);
	if (r == 0 && !j.fuse)
		r = fpga_malformed(
			name, j.base, e, "the number of its fuses (field QF) is missing");
	if (r == 0)
		r = check_sums(&j, (size_t)(etx - stx), e);
	ret->fuses = j.fuses;
	ret->summed = r == 0;
	free(j.fuse);
	return r;
}
