/* SPDX-License-Identifier: Apache-2.0
 *
 * Serial Vector Format, revision E (ASSET InterTech, 1999): statements that end with ';', comments after '!' and "//", bits as
 * hexadecimal numbers in parentheses. What is read: whether each statement is one, whether its numbers fit their
 * length, and what is compared. A mask that is not given is the one of the scan before where the length is the same, else
 * all ones.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "transports/images/fpga_impl.h"

#define WORD_MAX 32

enum group { GROUP_TDI, GROUP_TDO, GROUP_MASK, GROUP_SMASK, GROUPS };
static const char *const group_names[GROUPS] = {"TDI", "TDO", "MASK", "SMASK"};

struct number {
	bool given, nonzero;
	uint64_t low; /* the 64 lowest bits */
};

struct scan { /* what persists of SIR and SDR */
	uint64_t bits;
	struct number mask;
};

struct svf {
	const char *name;
	const uint8_t *s;
	size_t n, at;
	uint64_t line;
	struct fpga_file *ret;
	struct scan ir, dr;
	uint64_t ir_value;
};

static int wrong(const struct svf *x, struct err *e, const char *what)
{
	if (x->at == x->n)
		what = "it ends within a statement: it is cut off";
	return err_set(e, ERR_IMAGE_INVALID, "configuration file %s, line %llu: %s", x->name,
		(unsigned long long)x->line, what);
}

static void skip_blanks(struct svf *x)
{
	while (x->at < x->n) {
		uint8_t c = x->s[x->at];
		bool comment = c == '!' || (c == '/' && x->at + 1 < x->n && x->s[x->at + 1] == '/');

		if (comment)
			while (x->at < x->n && x->s[x->at] != '\n')
				x->at++;
		else if (isspace(c))
			x->at++;
		else
			return;
		x->line += x->at > 0 && x->s[x->at - 1] == '\n';
	}
}

static size_t word(struct svf *x, char ret[WORD_MAX])
{
	size_t n = 0;

	skip_blanks(x);
	while (x->at < x->n && !isspace(x->s[x->at]) && !strchr(";()!", x->s[x->at]) &&
		n + 1 < WORD_MAX)
		ret[n++] = (char)toupper(x->s[x->at++]);
	ret[n] = 0;
	return n;
}

static int digit(uint8_t c)
{
	return isdigit(c) ? c - '0' : isxdigit(c) ? (c | 0x20) - 'a' + 10 : -1;
}

/* "( 0F 3c\n)" */
static int number(struct svf *x, uint64_t bits, struct number *ret, struct err *e)
{
	uint64_t digits = 0;

	skip_blanks(x);
	if (x->at == x->n || x->s[x->at++] != '(')
		return wrong(x, e, "a number in parentheses expected");
	*ret = (struct number){.given = true};
	for (;; x->at++) {
		skip_blanks(x);
		if (x->at == x->n)
			return wrong(x, e, "a number without its end");
		if (x->s[x->at] == ')')
			break;

		int d = digit(x->s[x->at]);

		if (d < 0)
			return wrong(x, e, "a hexadecimal digit expected in a number");
		digits += digits > 0 || d > 0;
		ret->nonzero |= d > 0;
		ret->low = ret->low << 4 | (uint64_t)d;
	}
	x->at++;
	return digits > (bits + 3) / 4 ? wrong(x, e, "a number has more bits than its scan") : 0;
}

static int groups(struct svf *x, uint64_t bits, struct number g[GROUPS], struct err *e)
{
	char w[WORD_MAX];
	int r = 0;

	while (r == 0 && word(x, w) > 0) {
		enum group k = 0;

		while (k < GROUPS && strcmp(w, group_names[k]) != 0)
			k++;
		if (k == GROUPS || g[k].given)
			return wrong(x, e, "TDI, TDO, MASK or SMASK expected, each once");
		r = number(x, bits, &g[k], e);
	}
	return r;
}

static void compared(struct svf *x, const struct number *tdo, const struct number *mask)
{
	struct fpga_file *f = x->ret;

	if (mask->given && !mask->nonzero)
		return;
	f->compares++;
	if (x->dr.bits == 32 && f->checks < FPGA_CHECKS_MAX)
		f->check[f->checks++] = (struct fpga_svf_check){x->ir_value, (unsigned)x->ir.bits,
			(uint32_t)tdo->low, mask->given ? (uint32_t)mask->low : UINT32_MAX};
}

static int scan(struct svf *x, bool dr, struct err *e)
{
	struct scan *s = dr ? &x->dr : &x->ir;
	struct number g[GROUPS] = {0};
	char w[WORD_MAX], *end;
	uint64_t bits;
	int r;

	word(x, w);
	bits = strtoull(w, &end, 10);
	if (!isdigit((unsigned char)w[0]) || *end || bits > UINT32_MAX)
		return wrong(x, e, "the number of bits of a scan expected");
	r = groups(x, bits, g, e);
	if (r < 0)
		return r;
	if (bits != s->bits)
		s->mask = (struct number){0};
	s->bits = bits;
	if (g[GROUP_MASK].given)
		s->mask = g[GROUP_MASK];
	if (!dr && g[GROUP_TDI].given)
		x->ir_value = g[GROUP_TDI].low;
	if (dr && g[GROUP_TDO].given)
		compared(x, &g[GROUP_TDO], &s->mask);
	return 0;
}

/* Up to the ';', with its parentheses. */
static void rest(struct svf *x)
{
	skip_blanks(x);
	while (x->at < x->n && x->s[x->at] != ';') {
		x->at++;
		skip_blanks(x);
	}
}

static int statement(struct svf *x, const char *w, struct err *e)
{
	static const char *const others[] = {"ENDDR", "ENDIR", "FREQUENCY", "HDR", "HIR", "PIO",
		"PIOMAP", "RUNTEST", "STATE", "TDR", "TIR", "TRST", NULL};
	int r = 0;

	if (!strcmp(w, "SDR") || !strcmp(w, "SIR")) {
		r = scan(x, w[1] == 'D', e);
	} else {
		size_t i = 0;

		while (others[i] && strcmp(w, others[i]) != 0)
			i++;
		if (!others[i])
			return wrong(x, e, "a statement of SVF expected");
		rest(x);
	}
	if (r < 0)
		return r;
	skip_blanks(x);
	if (x->at == x->n)
		return wrong(x, e, "a statement without ';'");
	if (x->s[x->at++] != ';')
		return wrong(x, e, "';' expected after a statement");
	x->ret->commands++;
	return 0;
}

int fpga_read_svf(
	const char *name, const uint8_t *bytes, size_t n, struct fpga_file *ret, struct err *e)
{
	struct svf x = {.name = name, .s = bytes, .n = n, .line = 1, .ret = ret};
	char w[WORD_MAX];
	int r = 0;

	while (r == 0 && word(&x, w) > 0)
		r = statement(&x, w, e);
	if (r == 0 && x.at < n)
		r = wrong(&x, e, "a statement of SVF expected");
	return r;
}
