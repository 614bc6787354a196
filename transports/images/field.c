/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/field.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/eui.h"
#include "base/jcs.h"
#include "base/secret.h"
#include "base/util.h"

enum kind { UNSIGNED, SIGNED, FLOAT, TEXT, HEX, BASE64, MAC };

static const struct type {
	const char *name;
	enum kind kind;
	size_t bytes;
} types[] = {
	{"u8", UNSIGNED, 1},
	{"i8", SIGNED, 1},
	{"u16", UNSIGNED, 2},
	{"i16", SIGNED, 2},
	{"u24", UNSIGNED, 3},
	{"u32", UNSIGNED, 4},
	{"i32", SIGNED, 4},
	{"u64", UNSIGNED, 8},
	{"i64", SIGNED, 8},
	{"f32", FLOAT, 4},
	{"f64", FLOAT, 8},
	{"text", TEXT, 0},
	{"hex", HEX, 0},
	{"base64", BASE64, 0},
	{"mac", MAC, 6},
};

const char *const field_types[] = {"u8", "i8", "u16", "i16", "u24", "u32", "i32", "u64", "i64",
	"f32", "f64", "text", "hex", "base64", "mac", NULL};

static const struct type *type_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (!strcmp(types[i].name, name))
			return &types[i];
	return NULL;
}

size_t field_type_bytes(const char *type)
{
	const struct type *t = type_of(type);

	return t ? t->bytes : 0;
}

static int malformed(const struct field *f, const char *expected, struct err *e)
{
	return err_set(e, ERR_VALUE_MALFORMED,
		"'%s' is of type %s, and its value is not one: %s expected; look at where the value comes from",
		f->name, f->type, expected);
}

static int out_of_range(const struct field *f, struct err *e)
{
	return err_set(e, ERR_VALUE_RANGE,
		"'%s' does not fit its type %s: give it a wider type, or look at where the value comes from",
		f->name, f->type);
}

static int wrong_length(const struct field *f, size_t n, struct err *e)
{
	return err_set(e, ERR_VALUE_TOO_LONG,
		"'%s' has %zu bytes, and its place %zu: %s expected; nothing is cut or stretched",
		f->name, n, f->width,
		n > f->width ? "a shorter value or a larger width" : "that many");
}

static void put_number(const struct field *f, uint64_t v, size_t n, uint8_t *ret)
{
	for (size_t i = 0; i < n; i++)
		ret[f->big ? n - 1 - i : i] = (uint8_t)(v >> 8 * i);
}

/* Decimal or 0x; a leading zero is decimal, unlike in C. */
static bool parse_integer(const char *s, bool *negative, uint64_t *ret)
{
	bool hex;
	char *end;

	*negative = *s == '-';
	s += *negative;
	hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
	if (hex ? !isxdigit((unsigned char)s[2]) : !isdigit((unsigned char)s[0]))
		return false;
	errno = 0;
	*ret = strtoull(s + (hex ? 2 : 0), &end, hex ? 16 : 10);
	return *end == '\0';
}

/* --- decimals --- */

#define EXPONENT_MOST 999 /* far beyond all that fits */

/* Digits of a value, 21 of them: with the 17 of a scale they fit into 128 bits. */
static const unsigned __int128 digits_end = (unsigned __int128)1000000000000 * 1000000000;

/* Digits times 10 to the power of an exponent: what a binary number is not. */
struct decimal {
	bool negative;
	unsigned __int128 digits;
	int exponent;
};

static const char *take_digits(const char *s, bool fraction, int *count, struct decimal *d)
{
	for (; isdigit((unsigned char)*s); s++, *count += 1) {
		const unsigned v = (unsigned)(*s - '0');

		/* Digits beyond those that count are cut. */
		if (d->digits * 10 + v >= digits_end) {
			d->exponent += !fraction;
			continue;
		}
		d->digits = d->digits * 10 + v;
		d->exponent -= fraction;
	}
	return s;
}

static int take_exponent(const char **s)
{
	const char *p = *s + 1;
	char *end;
	long v;

	if (!isdigit((unsigned char)p[*p == '-' || *p == '+']))
		return 0;
	v = strtol(p, &end, 10);
	*s = end;
	return (int)MAX(-EXPONENT_MOST, MIN(v, EXPONENT_MOST));
}

static bool parse_decimal(const char *s, struct decimal *ret)
{
	struct decimal d = {.negative = *s == '-'};
	int count = 0;

	s += *s == '-' || *s == '+';
	s = take_digits(s, false, &count, &d);
	if (*s == '.')
		s = take_digits(s + 1, true, &count, &d);
	if (count && (*s == 'e' || *s == 'E'))
		d.exponent += take_exponent(&s);
	*ret = d;
	return count && !*s;
}

/* digits times 10 to the power of an exponent, rounded half away from zero. false: it is above 64 bits. */
static bool round_decimal(unsigned __int128 digits, int exponent, uint64_t *ret)
{
	unsigned __int128 ten = 1;

	for (; exponent > 0 && digits && digits <= UINT64_MAX; exponent--)
		digits *= 10;
	for (; exponent < 0 && ten <= digits; exponent++)
		ten *= 10;
	/* Below a tenth of it nothing is left. */
	if (exponent < 0)
		digits = 0;
	digits = digits / ten + (digits % ten * 2 >= ten);
	*ret = (uint64_t)digits;
	return digits <= UINT64_MAX;
}

/* A decimal times `scale`, rounded half away from zero; in decimals, since 1.005 times 100 is below 100.5 as binary numbers, and
 * those have not all integers above 2 to the power of 53. */
static int scaled(const struct field *f, bool *negative, uint64_t *ret, struct err *e)
{
	char text[JCS_NUMBER_SIZE];
	struct decimal v;
	struct decimal scale;

	if (!parse_decimal(f->value, &v))
		return malformed(f, "a decimal number", e);
	if (!isfinite(f->scale) || !parse_decimal(jcs_number(f->scale, text), &scale))
		return err_set(e, ERR_INVALID, "'%s': its scale is not a number", f->name);
	*negative = v.negative != scale.negative;
	return round_decimal(v.digits * scale.digits, v.exponent + scale.exponent, ret)
		       ? 0
		       : out_of_range(f, e);
}

static int put_integer(const struct field *f, const struct type *t, uint8_t *ret, struct err *e)
{
	uint64_t most = t->bytes == 8 ? UINT64_MAX : (1ull << 8 * t->bytes) - 1;
	bool negative = false;
	uint64_t v = 0;
	int r = 0;

	if (f->scale != 0)
		r = scaled(f, &negative, &v, e);
	else if (!parse_integer(f->value, &negative, &v))
		r = malformed(f, "an integer, decimal or 0x...,", e);
	else if (errno == ERANGE)
		r = out_of_range(f, e);
	if (r < 0)
		return r;
	if (t->kind == SIGNED)
		most = most / 2 + negative;
	if (v > most || (negative && v && t->kind == UNSIGNED))
		return out_of_range(f, e);
	put_number(f, negative ? -v : v, t->bytes, ret);
	return 0;
}

/* No digit but 0 before an exponent: what is too small for a float is not zero. */
static bool is_zero(const char *s)
{
	return strcspn(s, "123456789") >= strcspn(s, "eE");
}

static int put_float(const struct field *f, const struct type *t, uint8_t *ret, struct err *e)
{
	char *end;
	double v = strtod(f->value, &end);
	/* By itself: a double in between would round twice. */
	const float narrow = strtof(f->value, NULL);
	const bool is_narrow = t->bytes == 4;
	uint64_t bits = 0;
	uint32_t half;

	if (end == f->value || *end || isspace((unsigned char)*f->value) || isnan(v))
		return malformed(f, "a number", e);
	if (isinf(v) || (is_narrow && isinf(narrow)))
		return out_of_range(f, e);
	if ((is_narrow ? narrow == 0 : v == 0) && !is_zero(f->value))
		return out_of_range(f, e);
	memcpy(&half, &narrow, sizeof half);
	memcpy(&bits, &v, sizeof v);
	put_number(f, is_narrow ? half : bits, t->bytes, ret);
	return 0;
}

static int put_text(const struct field *f, uint8_t *ret, size_t *ret_n, struct err *e)
{
	size_t n = strlen(f->value);

	if (n > (f->width ? f->width : FIELD_MAX_BYTES))
		return err_set(e, ERR_VALUE_TOO_LONG,
			"'%s' has %zu bytes, and its place %zu: a shorter value or a larger width expected; nothing is cut",
			f->name, n, f->width ? f->width : (size_t)FIELD_MAX_BYTES);
	memcpy(ret, f->value, n);
	*ret_n = f->width ? f->width : n;
	memset(ret + n, f->padding, *ret_n - n);
	return 0;
}

static int put_hex(const struct field *f, uint8_t *ret, size_t *ret_n, struct err *e)
{
	size_t n = strlen(f->value) / 2;

	if (n > FIELD_MAX_BYTES || strlen(f->value) % 2 || !hex_parse(f->value, ret, n))
		return malformed(f, "pairs of hexadecimal digits and nothing else", e);
	*ret_n = n;
	return 0;
}

static int put_base64(const struct field *f, uint8_t *ret, size_t *ret_n, struct err *e)
{
	size_t n = 0;
	uint8_t *bytes = base64_parse(f->value, &n);
	int r = 0;

	if (!bytes || n == 0 || n > FIELD_MAX_BYTES) {
		r = malformed(f, "base64 in one line", e);
	} else {
		memcpy(ret, bytes, n);
		*ret_n = n;
	}
	if (bytes)
		secret_wipe(bytes, n);
	free(bytes);
	return r;
}

static int put_mac(const struct field *f, uint8_t *ret, size_t *ret_n, struct err *e)
{
	const struct field whole = {.big = true};
	struct eui a;

	if (!eui_parse(f->value, &a))
		return malformed(f, "an address as AC:DE:48:00:12:34", e);
	*ret_n = (size_t)a.width / 8;
	put_number(&whole, a.bits, *ret_n, ret);
	if (f->width && *ret_n != f->width)
		return wrong_length(f, *ret_n, e);
	return f->width || a.width == 48
		       ? 0
		       : err_set(e, ERR_VALUE_TOO_LONG,
				 "'%s' is an address of 8 bytes, and a place of 6 is meant where no width is given: say 'width: 8'",
				 f->name);
}

int field_bytes(const struct field *f, uint8_t *ret, size_t *ret_n, struct err *e)
{
	const struct type *t = type_of(f->type);
	int r = 0;

	if (!t)
		return err_set(e, ERR_INVALID, "'%s': there is no type '%.40s'", f->name, f->type);
	if (f->width > FIELD_MAX_BYTES || (f->width && t->kind <= FLOAT && f->width != t->bytes))
		return err_set(e, ERR_INVALID,
			"'%s': a width of %zu bytes does not go with type %s: leave it out",
			f->name, f->width, f->type);
	if (!*f->value)
		return err_set(e, ERR_VALUE_EMPTY,
			"'%s' has an empty value: nothing was made; look at where the value comes from",
			f->name);
	switch (t->kind) {
	case UNSIGNED:
	case SIGNED:
		*ret_n = t->bytes;
		return put_integer(f, t, ret, e);
	case FLOAT:
		*ret_n = t->bytes;
		return put_float(f, t, ret, e);
	case TEXT:
		return put_text(f, ret, ret_n, e);
	case MAC:
		return put_mac(f, ret, ret_n, e);
	case HEX:
		r = put_hex(f, ret, ret_n, e);
		break;
	case BASE64:
		r = put_base64(f, ret, ret_n, e);
		break;
	}
	if (r == 0 && f->width && *ret_n != f->width)
		return wrong_length(f, *ret_n, e);
	return r;
}
