/* SPDX-License-Identifier: Apache-2.0 */
#include "db/pattern_shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define PARTS_MAX 160

static const char DIGITS[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* One place of a value: the characters that may be there. */
struct part {
	bool may[128];
	bool repeats; /* once or more often */
};

struct shape {
	struct part part[PARTS_MAX];
	size_t n;
	/* The sequence where its place and width are fixed: seq_width 0 otherwise. */
	size_t seq_at, seq_width;
	int seq_base;
	bool loose; /* a part repeats */
};

static struct part *add(struct shape *s, const char *characters, bool repeats)
{
	struct part *p = &s->part[MIN(s->n, (size_t)PARTS_MAX - 1)];

	for (; *characters; characters++)
		p->may[(unsigned char)*characters & 127] = true;
	p->repeats = repeats;
	s->loose |= repeats;
	s->n += s->n < PARTS_MAX;
	return p;
}

static void add_class(struct shape *s, int base, size_t width, bool repeats)
{
	char set[sizeof DIGITS];

	snprintf(set, sizeof set, "%.*s", base, DIGITS);
	for (size_t i = 0; i < width; i++)
		add(s, set, repeats);
}

static void add_text(struct shape *s, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(s, (char[]){text[i], 0}, false);
}

static size_t write_number(int64_t v, int base, size_t width, char ret[72])
{
	char digits[72];
	size_t n = 0, i = 0;

	do
		digits[n++] = DIGITS[v % base];
	while ((v /= base) > 0);
	while (n < width)
		digits[n++] = '0';
	while (n > 0)
		ret[i++] = digits[--n];
	ret[i] = '\0';
	return i;
}

/* {seq:WIDTH:BASE}: the digits that all numbers of the range begin with, and any after them. */
static void add_seq(struct shape *s, const char *spec, const struct pattern_range *r)
{
	char first[72], last[72];
	int width = 0, base = 10;
	size_t n, m, same = 0;

	sscanf(spec, ":%2d:%2d", &width, &base);
	n = write_number(r->first, base, (size_t)width, first);
	m = write_number(r->last, base, (size_t)width, last);
	if (n != m) {
		add_class(s, base, 1, true);
		return;
	}
	while (same < n && first[same] == last[same])
		same++;
	if (!s->loose && !s->seq_width) {
		s->seq_at = s->n;
		s->seq_width = n;
		s->seq_base = base;
	}
	add_text(s, first, same);
	add_class(s, base, n - same, false);
}

static void add_date(struct shape *s, const char *spec)
{
	static const char widths[] = "Y4G4j3u1";

	for (const char *p = spec + 1; *p; p++) {
		const char *w;

		if (*p != '%') {
			add_text(s, p, 1);
			continue;
		}
		w = strchr(widths, *++p);
		add_class(s, 10, w ? (size_t)(w[1] - '0') : 2, false);
	}
}

static void add_anything(struct shape *s)
{
	struct part *p = add(s, "", true);

	for (int c = ' ' + 1; c <= '~'; c++)
		p->may[c] = true;
}

static void add_random(struct shape *s, const char *spec)
{
	int width = 0, base = 10;

	sscanf(spec, ":%2d:%2d", &width, &base);
	add_class(s, base, (size_t)width, false);
}

static void add_placeholder(struct shape *s, const char *inside, const struct pattern_range *r)
{
	if (!strncmp(inside, "seq", 3))
		add_seq(s, inside + 3, r);
	else if (!strncmp(inside, "random", 6))
		add_random(s, inside + 6);
	else if (!strncmp(inside, "date", 4))
		add_date(s, inside + 4);
	else if (!strcmp(inside, "check"))
		add_class(s, strcmp(r->check, "luhn") ? 36 : 10, 1, false);
	else
		add_anything(s);
}

static struct shape *shape_of(const struct pattern_range *r)
{
	struct shape *s = xcalloc(1, sizeof *s);

	for (const char *p = r->pattern; *p; p++) {
		const char *end = *p == '{' ? strchr(p, '}') : NULL;
		char inside[64];

		if (!end) {
			add_text(s, p, 1);
			continue;
		}
		snprintf(inside, sizeof inside, "%.*s", (int)(end - p - 1), p + 1);
		add_placeholder(s, inside, r);
		p = end;
	}
	return s;
}

static bool share(const struct part *a, const struct part *b)
{
	for (size_t c = 0; c < ARRAY_LEN(a->may); c++)
		if (a->may[c] && b->may[c])
			return true;
	return false;
}

/* Both are walked in step: at[i][j] is that i parts of the one and j of the other gave the same
 * text. */
static bool common(const struct shape *a, const struct shape *b)
{
	bool(*at)[PARTS_MAX + 1] = xcalloc(PARTS_MAX + 1, sizeof *at);
	bool met;

	at[0][0] = true;
	for (size_t i = 0; i < a->n; i++)
		for (size_t j = 0; j < b->n; j++) {
			if (!at[i][j] || !share(&a->part[i], &b->part[j]))
				continue;
			at[i + 1][j + 1] = true;
			at[i][j + 1] |= a->part[i].repeats;
			at[i + 1][j] |= b->part[j].repeats;
		}
	met = at[a->n][b->n];
	free(at);
	return met;
}

static bool apart(const struct pattern_range *a, const struct pattern_range *b)
{
	return a->last < b->first || b->last < a->first;
}

/* The sequences are in the same place, so that other numbers are other values. */
static bool aligned(const struct shape *a, const struct shape *b)
{
	return a->seq_width && a->seq_width == b->seq_width && a->seq_at == b->seq_at &&
	       a->seq_base == b->seq_base;
}

bool pattern_overlap(const struct pattern_range *a, const struct pattern_range *b)
{
	struct shape *x, *y;
	bool met;

	if (!strcmp(a->pattern, b->pattern) && apart(a, b))
		return false;
	x = shape_of(a);
	y = shape_of(b);
	met = !(aligned(x, y) && apart(a, b)) && common(x, y);
	free(x);
	free(y);
	return met;
}

bool pattern_could_give(const struct pattern_range *a, const char *value)
{
	struct shape *x = shape_of(a);
	struct shape *y = xcalloc(1, sizeof *y);
	bool met;

	add_text(y, value, strlen(value));
	met = common(x, y);
	free(x);
	free(y);
	return met;
}
