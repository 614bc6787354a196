/* SPDX-License-Identifier: Apache-2.0 */
#include "db/pattern.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/secret.h"
#include "base/strbuf.h"
#include "base/util.h"

static const char DIGITS[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

struct rendering {
	const char *pattern;
	const struct pattern_vars *v;
	struct strbuf out;
	size_t check_at; /* where the check digit goes */
	bool has_check, has_seq;
	struct err *e;
};

static int bad(struct rendering *r, const char *why, const char *part)
{
	return err_set(r->e, ERR_INVALID, "pattern '%s': %s '%.40s'", r->pattern, why, part);
}

/* Luhn mod N: from the right, every second code point doubled, the digits of the products summed in
 * base N. N = 10 is the Luhn of ISO/IEC 7812-1. */
char luhn_mod_n(const char *value, int n)
{
	int factor = 2;
	int sum = 0;

	for (size_t i = strlen(value); i-- > 0;) {
		const char *d = memchr(DIGITS, value[i], (size_t)n);

		if (!d)
			continue;

		int product = factor * (int)(d - DIGITS);

		sum += product / n + product % n;
		factor = 3 - factor;
	}
	return DIGITS[(n - sum % n) % n];
}

static int put_seq(struct rendering *r, const char *spec)
{
	int width = 0;
	int base = 10;
	int used = 0;
	char digits[72];
	int n = 0;
	uint64_t v = (uint64_t)r->v->seq;

	if (*spec && (sscanf(spec, ":%2d%n:%2d%n", &width, &used, &base, &used) < 1 || spec[used] ||
			     width < 1 || width > 20 || (base != 10 && base != 16 && base != 36)))
		return bad(r, "a sequence is {seq:WIDTH} or {seq:WIDTH:10|16|36}, not", spec);
	do
		digits[n++] = DIGITS[v % (unsigned)base];
	while ((v /= (unsigned)base) > 0);
	if (width && n > width)
		return bad(r, "the sequence outgrew its width", spec);
	while (n < width)
		digits[n++] = '0';
	while (n > 0)
		sb_add_n(&r->out, &digits[--n], 1);
	r->has_seq = true;
	return 0;
}

/* What people guess first: all alike, up by one, down by one. */
static bool is_plain(const char *digits, size_t n)
{
	for (int step = -1; step <= 1; step++) {
		size_t i = 1;

		while (i < n && strchr(DIGITS, digits[i]) - strchr(DIGITS, digits[i - 1]) == step)
			i++;
		if (i == n)
			return true;
	}
	return false;
}

/* Each digit is as likely as the others: a byte past the last whole set of them is drawn again. */
static void draw(char *ret, size_t n, unsigned base)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t b;

		do
			random_bytes(&b, 1);
		while (b >= 256 / base * base);
		ret[i] = DIGITS[b % base];
	}
}

#define RANDOM_MIN   4
#define RANDOM_ALONE 6
#define RANDOM_MAX   20

static int put_random(struct rendering *r, const char *spec)
{
	int width = 0, base = 10, used = 0;
	char digits[RANDOM_MAX];
	double space = 1;

	if (sscanf(spec, ":%2d%n:%2d%n", &width, &used, &base, &used) < 1 || spec[used] ||
		width < RANDOM_MIN || width > RANDOM_MAX ||
		(base != 10 && base != 16 && base != 36))
		return bad(r,
			"drawn digits are {random:WIDTH} or {random:WIDTH:10|16|36} with a width of 4 to 20, not",
			spec);
	for (int i = 0; i < width; i++)
		space *= base;
	if (!r->has_seq && width >= RANDOM_ALONE && (double)r->v->seq >= space / 16)
		return bad(r, "the pool is for more values than a 16th of those that can be drawn:",
			spec);
	do
		draw(digits, (size_t)width, (unsigned)base);
	while (is_plain(digits, (size_t)width));
	sb_add_n(&r->out, digits, (size_t)width);
	r->has_seq = r->has_seq || width >= RANDOM_ALONE;
	return 0;
}

static int put_eui(struct rendering *r, const char *spec, int width)
{
	const struct eui_block *block = r->v->block;
	uint64_t v = (uint64_t)r->v->seq;
	uint64_t size = block ? eui_block_size(block, width) : UINT64_C(1) << 48;
	struct eui a = block && v < size ? eui_of_block(block, width, v) : (struct eui){v, width};
	enum eui_form form = EUI_COLON;
	char text[EUI_TEXT_SIZE];

	if (*spec && !eui_form_from_str(spec + 1, &form))
		return bad(r, "the form of an address is colon, dash or bare, not", spec + 1);
	if (v >= size)
		return bad(r,
			block ? "the number is past the end of the block"
			      : "a MAC address has 48 bits",
			"{mac}");
	eui_text(&a, form, text);
	sb_add(&r->out, text);
	r->has_seq = true;
	return 0;
}

static int put_mac(struct rendering *r, const char *spec)
{
	return put_eui(r, spec, 48);
}

static int put_eui64(struct rendering *r, const char *spec)
{
	if (!r->v->block)
		return bad(r, "the pool names no block for", "{eui64}");
	return put_eui(r, spec, 64);
}

static int put_date(struct rendering *r, const char *spec)
{
	char text[LEDGER_VALUE_SIZE];
	time_t t = (time_t)(r->v->now_ms / 1000 + r->v->utc_offset_s);
	struct tm tm;

	if (spec[0] != ':' || !spec[1])
		return bad(r, "a date is {date:%Y%m%d}, not", spec);
	/* Only conversions that no locale changes. */
	for (const char *p = spec + 1; *p; p++)
		if (*p == '%' && (!p[1] || !strchr("YymdjHMVGgu", *++p)))
			return bad(r, "this date conversion is not allowed:", p - 1);
	gmtime_r(&t, &tm);
	if (!strftime(text, sizeof text, spec + 1, &tm))
		return bad(r, "the date is too long:", spec);
	sb_add(&r->out, text);
	return 0;
}

static int put_station(struct rendering *r, const char *spec)
{
	if (*spec || !r->v->station || !*r->v->station)
		return bad(r, "no station to put in", "{station}");
	sb_add(&r->out, r->v->station);
	return 0;
}

static int put_model(struct rendering *r, const char *spec)
{
	if (*spec || !r->v->model || !*r->v->model)
		return bad(r, "no model to put in", "{model}");
	sb_add(&r->out, r->v->model);
	return 0;
}

static int put_check(struct rendering *r, const char *spec)
{
	if (*spec || r->has_check)
		return bad(r, "one {check} without argument, not", spec);
	r->has_check = true;
	r->check_at = r->out.len;
	return 0;
}

static const struct {
	const char *name;
	int (*put)(struct rendering *r, const char *spec);
} placeholders[] = {
	{"seq", put_seq},
	{"random", put_random},
	{"mac", put_mac},
	{"eui64", put_eui64},
	{"date", put_date},
	{"station", put_station},
	{"model", put_model},
	{"check", put_check},
};

static int put_placeholder(struct rendering *r, const char *inside)
{
	for (size_t i = 0; i < ARRAY_LEN(placeholders); i++) {
		size_t n = strlen(placeholders[i].name);

		if (!strncmp(inside, placeholders[i].name, n) && (!inside[n] || inside[n] == ':'))
			return placeholders[i].put(r, inside + n);
	}
	return bad(r, "unknown placeholder", inside);
}

static int render_parts(struct rendering *r)
{
	for (const char *p = r->pattern; *p;) {
		char inside[64];
		const char *end = strchr(p, '}');

		if (*p == '}' || *p <= ' ' || *p > '~')
			return bad(r, "this character is not allowed:", p);
		if (*p != '{') {
			sb_add_n(&r->out, p++, 1);
			continue;
		}
		if (!end || (size_t)(end - p) >= sizeof inside)
			return bad(r, "unclosed placeholder", p);
		snprintf(inside, sizeof inside, "%.*s", (int)(end - p - 1), p + 1);

		int k = put_placeholder(r, inside);

		if (k < 0)
			return k;
		p = end + 1;
	}
	return 0;
}

static int finish(struct rendering *r, const char *check, char ret[LEDGER_VALUE_SIZE])
{
	int base = !strcmp(check, "luhn") ? 10 : !strcmp(check, "mod36") ? 36 : 0;

	if (!r->has_seq)
		return bad(r, "needs", "{seq}");
	if (r->has_check != (base != 0))
		return bad(r,
			base ? "has a check digit, but nowhere" : "has no check digit to put at",
			"{check}");
	if (r->out.len + (base != 0) >= LEDGER_VALUE_SIZE)
		return bad(r, "gives a value that is too long:", r->out.s);
	if (!base)
		snprintf(ret, LEDGER_VALUE_SIZE, "%s", r->out.s);
	else
		snprintf(ret, LEDGER_VALUE_SIZE, "%.*s%c%s", (int)r->check_at, r->out.s,
			luhn_mod_n(r->out.s, base), r->out.s + r->check_at);
	return 0;
}

int pattern_render(const char *pattern, const char *check, const struct pattern_vars *v,
	char ret[LEDGER_VALUE_SIZE], struct err *e)
{
	struct rendering r = {.pattern = pattern, .v = v, .e = e};
	int k = render_parts(&r);

	if (k == 0)
		k = finish(&r, check, ret);
	sb_done(&r.out);
	return k;
}

int pattern_check(const char *pattern, const char *check, int64_t last,
	const struct eui_block *block, struct err *e)
{
	struct pattern_vars v = {.seq = last, .station = "S", .model = "M", .block = block};
	char value[LEDGER_VALUE_SIZE];

	return pattern_render(pattern, check, &v, value, e);
}

bool pattern_dated(const char *pattern)
{
	return strstr(pattern, "{date") != NULL;
}
