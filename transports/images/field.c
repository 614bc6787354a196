/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/field.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/eui.h"
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

/* A decimal times `scale`, rounded half away from zero. */
static int scaled(const struct field *f, bool *negative, uint64_t *ret, struct err *e)
{
	char *end;
	double v = strtod(f->value, &end);

	if (end == f->value || *end || isspace((unsigned char)*f->value) || !isfinite(v))
		return malformed(f, "a decimal number", e);
	v = round(v * f->scale);
	*negative = v < 0;
	v = fabs(v);
	if (!(v < 18446744073709551616.0))
		return out_of_range(f, e);
	*ret = (uint64_t)v;
	return 0;
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

static int put_float(const struct field *f, const struct type *t, uint8_t *ret, struct err *e)
{
	char *end;
	double v = strtod(f->value, &end);
	uint64_t bits = 0;
	float narrow;

	if (end == f->value || *end || isspace((unsigned char)*f->value) || isnan(v))
		return malformed(f, "a number", e);
	narrow = (float)v;
	if (isinf(v) || (t->bytes == 4 && isinf(narrow)))
		return out_of_range(f, e);
	if (t->bytes == 8) {
		memcpy(&bits, &v, sizeof v);
	} else {
		uint32_t half;

		memcpy(&half, &narrow, sizeof half);
		bits = half;
	}
	put_number(f, bits, t->bytes, ret);
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
