/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jcs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/util.h"

/* --- numbers --- */

#define DIGITS_MAX 17

/* v is 0.DIGITS times ten to the power of point. */
struct decimal {
	char digits[DIGITS_MAX + 1];
	int point;
};

static void set_decimal(struct decimal *d, const char *scientific)
{
	size_t n = 0;

	for (const char *p = scientific; *p && *p != 'e'; p++)
		if (*p != '.')
			d->digits[n++] = *p;
	d->digits[n] = 0;
	d->point = atoi(strchr(scientific, 'e') + 1) + 1;
}

/* The next larger number of as many digits. */
static void next_up(char *scientific)
{
	char *p = strchr(scientific, 'e') - 1;

	for (; p >= scientific && (*p == '9' || *p == '.'); p--)
		if (*p == '9')
			*p = '0';
	if (p >= scientific)
		++*p;
}

/* The fewest digits that are read as v again, of those the nearest (6.1.6.1.20, note 2). Next to a power
 * of two more numbers above it are read as it than below: the nearest one of n digits may not be read
 * as v where the one above it is. */
static void shortest(double v, struct decimal *ret)
{
	char text[40];

	for (int n = 1; n <= DIGITS_MAX; n++) {
		snprintf(text, sizeof text, "%.*e", n - 1, v);
		if (strtod(text, NULL) != v)
			next_up(text);
		if (strtod(text, NULL) == v)
			break;
	}
	set_decimal(ret, text);
	for (size_t n = strlen(ret->digits); n > 1 && ret->digits[n - 1] == '0'; n--)
		ret->digits[n - 1] = 0;
}

static void write_exponent(struct strbuf *b, const struct decimal *d)
{
	int exponent = d->point - 1;

	sb_add_n(b, d->digits, 1);
	if (d->digits[1])
		sb_addf(b, ".%s", d->digits + 1);
	sb_addf(b, "e%c%d", exponent < 0 ? '-' : '+', abs(exponent));
}

static void write_decimal(struct strbuf *b, const struct decimal *d)
{
	int k = (int)strlen(d->digits);

	if (k <= d->point && d->point <= 21)
		sb_addf(b, "%s%.*s", d->digits, d->point - k, "00000000000000000000");
	else if (0 < d->point && d->point <= 21)
		sb_addf(b, "%.*s.%s", d->point, d->digits, d->digits + d->point);
	else if (-6 < d->point && d->point <= 0)
		sb_addf(b, "0.%.*s%s", -d->point, "000000", d->digits);
	else
		write_exponent(b, d);
}

char *jcs_number(double v, char ret[JCS_NUMBER_SIZE])
{
	struct strbuf b = {0};
	struct decimal d;

	if (v == 0)
		return strcpy(ret, "0"); /* also -0 */
	if (v < 0)
		sb_add(&b, "-");
	shortest(fabs(v), &d);
	write_decimal(&b, &d);
	snprintf(ret, JCS_NUMBER_SIZE, "%s", b.s);
	sb_done(&b);
	return ret;
}

static int write_integer(struct strbuf *b, json_int_t v, struct err *e)
{
	if (v > JCS_INTEGER_MAX || v < -JCS_INTEGER_MAX)
		return err_set(e, ERR_INVALID,
			"the integer %lld has no canonical form: at most 2^53 - 1 expected; give it as a text",
			(long long)v);
	sb_addf(b, "%lld", (long long)v);
	return 0;
}

/* --- texts --- */

static void write_escaped(struct strbuf *b, unsigned char c)
{
	static const char plain[] = "\b\t\n\f\r";
	static const char letter[] = "btnfr";
	const char *p = c ? strchr(plain, c) : NULL;

	if (c == '"' || c == '\\')
		sb_addf(b, "\\%c", c);
	else if (p)
		sb_addf(b, "\\%c", letter[p - plain]);
	else
		sb_addf(b, "\\u%04x", c);
}

static void write_text(struct strbuf *b, const char *s, size_t n)
{
	size_t from = 0;

	sb_add_n(b, "\"", 1);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		sb_add_n(b, s + from, i - from);
		write_escaped(b, c);
		from = i + 1;
	}
	sb_add_n(b, s + from, n - from);
	sb_add_n(b, "\"", 1);
}

/* In UTF-16 a character beyond U+FFFF begins with a unit of D800 to DBFF, and so comes before those from
 * U+E000 on. In UTF-8 it begins with a byte from F0 on, and those with EE and EF. */
static int weight(unsigned char c)
{
	return c >= 0xf0 ? c - 2 : c >= 0xee ? c + 0x10 : c;
}

static int by_utf16(const void *a, const void *b)
{
	const unsigned char *x = *(const unsigned char *const *)a;
	const unsigned char *y = *(const unsigned char *const *)b;

	while (*x && *x == *y) {
		x++;
		y++;
	}
	return weight(*x) - weight(*y);
}

/* --- values --- */

static int write_value(struct strbuf *b, const json_t *j, struct err *e);

static int write_object(struct strbuf *b, const json_t *j, struct err *e)
{
	_cleanup_(freep) const char **names = xcalloc(json_object_size(j) + 1, sizeof *names);
	const char *name;
	json_t *v;
	size_t n = 0;
	int r = 0;

	json_object_foreach((json_t *)j, name, v)
		names[n++] = name;
	qsort(names, n, sizeof *names, by_utf16);
	sb_add(b, "{");
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (i)
			sb_add(b, ",");
		write_text(b, names[i], strlen(names[i]));
		sb_add(b, ":");
		r = write_value(b, json_object_get(j, names[i]), e);
	}
	sb_add(b, "}");
	return r;
}

static int write_array(struct strbuf *b, const json_t *j, struct err *e)
{
	int r = 0;

	sb_add(b, "[");
	for (size_t i = 0; r == 0 && i < json_array_size(j); i++) {
		if (i)
			sb_add(b, ",");
		r = write_value(b, json_array_get(j, i), e);
	}
	sb_add(b, "]");
	return r;
}

static int write_value(struct strbuf *b, const json_t *j, struct err *e)
{
	char number[JCS_NUMBER_SIZE];

	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return write_object(b, j, e);
	case JSON_ARRAY:
		return write_array(b, j, e);
	case JSON_STRING:
		write_text(b, json_string_value(j), json_string_length(j));
		return 0;
	case JSON_INTEGER:
		return write_integer(b, json_integer_value(j), e);
	case JSON_REAL:
		sb_add(b, jcs_number(json_real_value(j), number));
		return 0;
	case JSON_TRUE:
		sb_add(b, "true");
		return 0;
	case JSON_FALSE:
		sb_add(b, "false");
		return 0;
	case JSON_NULL:
		break;
	}
	sb_add(b, "null");
	return 0;
}

int jcs(const json_t *j, char **ret, struct err *e)
{
	struct strbuf b = {0};
	int r = write_value(&b, j, e);

	if (r == 0)
		*ret = sb_take(&b);
	sb_done(&b);
	return r;
}
