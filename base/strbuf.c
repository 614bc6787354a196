/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strbuf.h"

#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/util.h"

static void grow(struct strbuf *b, size_t more)
{
	size_t need = b->len + more + 1;

	if (need <= b->cap)
		return;

	size_t cap = MAX(need, b->cap * 2);
	/* What is put together may be a secret. */
	char *s = secret_realloc(b->s, MAX(cap, 64));

	if (!s)
		abort();
	b->s = s;
	b->cap = MAX(cap, 64);
}

void sb_add_n(struct strbuf *b, const void *s, size_t n)
{
	grow(b, n);
	if (n)
		memcpy(b->s + b->len, s, n);
	b->len += n;
	b->s[b->len] = 0;
}

void sb_add(struct strbuf *b, const char *s)
{
	sb_add_n(b, s, strlen(s));
}

void sb_addf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap;
	va_list again;

	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n >= 0) {
		grow(b, (size_t)n);
		vsnprintf(b->s + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

/* The length of the valid UTF-8 sequence at p (RFC 3629: no overlong forms, no surrogates), or 0.
 */
static size_t utf8_len(const uint8_t *p, size_t n)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t min;
	} row[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

	for (size_t k = 0; k < ARRAY_LEN(row); k++) {
		if ((p[0] & row[k].mask) != row[k].lead)
			continue;
		if (k + 1 > n)
			return 0;

		uint32_t c = p[0] & (uint8_t)~row[k].mask;

		for (size_t i = 1; i <= k; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (p[i] & 0x3f);
		}
		if (c < row[k].min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return 0;
		return k + 1;
	}
	return 0;
}

bool is_utf8(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t k = 1;

	for (size_t i = 0; i < n && k > 0; i += k)
		k = utf8_len(p + i, n - i);
	return k > 0;
}

void sb_add_escaped(struct strbuf *b, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n;) {
		size_t k = utf8_len(p + i, n - i);

		if (p[i] == '\n')
			sb_add(b, "\\n");
		else if (p[i] == '\r')
			sb_add(b, "\\r");
		else if (p[i] == '\t')
			sb_add(b, "\\t");
		else if (k == 0 || p[i] < 0x20 || p[i] == 0x7f)
			sb_addf(b, "\\x%02x", p[i]);
		else
			sb_add_n(b, p + i, k);
		i += k ? k : 1;
	}
}

void sb_add_xml(struct strbuf *b, const char *s, size_t n)
{
	static const char *const names[] = {['&'] = "&amp;",
		['<'] = "&lt;",
		['>'] = "&gt;",
		['"'] = "&quot;",
		['\''] = "&#39;"};

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < sizeof names / sizeof *names && names[c])
			sb_add(b, names[c]);
		else
			sb_add_n(b, s + i, 1);
	}
}

void sb_clear(struct strbuf *b)
{
	b->len = 0;
	if (b->s)
		b->s[0] = 0;
}

char *sb_take(struct strbuf *b)
{
	char *s = b->s ? b->s : xstrdup("");

	*b = (struct strbuf){0};
	return s;
}

void sb_done(struct strbuf *b)
{
	secret_free(b->s);
	*b = (struct strbuf){0};
}

/* Unsigned digits in base 10 or 16; returns the end or NULL on none or overflow. */
static const char *digits(const char *s, unsigned base, unsigned long long *ret)
{
	const char *p = s;
	unsigned long long v = 0;

	for (;; p++) {
		unsigned d;

		if (*p >= '0' && *p <= '9')
			d = (unsigned)(*p - '0');
		else if (base == 16 && isxdigit((unsigned char)*p))
			d = (unsigned)(tolower((unsigned char)*p) - 'a' + 10);
		else
			break;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
			return NULL;
	}
	if (p == s)
		return NULL;
	*ret = v;
	return p;
}

bool parse_duration_us(const char *s, unsigned long long *ret_us)
{
	static const struct {
		const char *suffix;
		unsigned long long us;
	} units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}, {"m", 60000000}, {"h", 3600000000ull},
		{"d", 86400000000ull}};
	unsigned long long v;
	const char *end = digits(s, 10, &v);

	for (size_t i = 0; end && i < ARRAY_LEN(units); i++)
		if (!strcmp(end, units[i].suffix))
			return !__builtin_mul_overflow(v, units[i].us, ret_us);
	return false;
}

bool parse_size(const char *s, unsigned long long *ret)
{
	bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
	unsigned long long v;
	unsigned long long k = 1;
	const char *end = digits(hex ? s + 2 : s, hex ? 16 : 10, &v);

	if (!end)
		return false;
	if (!strcmp(end, "K"))
		k = 1ull << 10;
	else if (!strcmp(end, "M"))
		k = 1ull << 20;
	else if (!strcmp(end, "G"))
		k = 1ull << 30;
	else if (*end)
		return false;
	return !__builtin_mul_overflow(v, k, ret);
}

bool parse_number(const char *s, double *ret)
{
	static locale_t c_locale;
	locale_t loc = __atomic_load_n(&c_locale, __ATOMIC_ACQUIRE);

	/* Only what looks like a number reaches strtod: no hex, no "nan", no "inf". */
	for (const char *p = s; *p; p++)
		if (!strchr("0123456789+-.eE", *p))
			return false;
	if (!loc) {
		locale_t fresh = newlocale(LC_ALL_MASK, "C", NULL);

		if (!fresh)
			return false;
		if (__atomic_compare_exchange_n(
			    &c_locale, &loc, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			loc = fresh;
		else
			freelocale(fresh);
	}

	char *end;
	double v = strtod_l(s, &end, loc);

	if (end == s || *end || !isfinite(v))
		return false;
	*ret = v;
	return true;
}

static size_t edit_distance(const char *a, const char *b)
{
	size_t n = strlen(b);
	size_t row[65];

	if (strlen(a) > 64 || n > 64)
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diag = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t up = row[j];
			size_t cost = diag + (a[i - 1] != b[j - 1]);

			row[j] = MIN(cost, MIN(up, row[j - 1]) + 1);
			diag = up;
		}
	}
	return row[n];
}

const char *nearest_name(const char *word, const char *const *names)
{
	const char *best = NULL;
	size_t best_d = MAX(strlen(word) / 3, 2) + 1;

	for (; *names; names++) {
		size_t d = edit_distance(word, *names);

		if (d < best_d) {
			best_d = d;
			best = *names;
		}
	}
	return best;
}
