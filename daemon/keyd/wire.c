/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd/wire.h"

#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

#define NAME 1, 64
#define CERTIFICATE_FIELDS                                                                        \
	{"issuer", WIRE_TEXT, NAME}, {"profile", WIRE_TEXT, NAME}, {"csr", WIRE_BYTES, 1, 16384}, \
		{"serial", WIRE_BYTES, 16, 16}, {"values", WIRE_TEXT, 2, 8192},                   \
	{                                                                                         \
		"who", WIRE_TEXT, 0, 256                                                          \
	}

const struct wire_row wire_rows[KEYD_OP_END] = {
	[KEYD_ISSUERS] = {.name = "issuers",
		.callers = CALLER_LINE | CALLER_ADMIN,
		.answer = {{"issuers", WIRE_TEXT, 2, 61440}}},
	[KEYD_CHECK] = {.name = "check",
		.callers = CALLER_LINE,
		.ask = {CERTIFICATE_FIELDS},
		.answer = {{"profile", WIRE_TEXT, 1, 128}}},
	[KEYD_CERTIFY] = {.name = "certify",
		.callers = CALLER_LINE,
		.ask = {CERTIFICATE_FIELDS},
		.answer = {{"certificate", WIRE_BYTES, 1, 16384}, {"chain", WIRE_TEXT, 0, 32768}}},
	[KEYD_DERIVE] = {.name = "derive",
		.callers = CALLER_LINE,
		.ask = {{"master", WIRE_TEXT, NAME}, {"label", WIRE_TEXT, NAME},
			{"context", WIRE_BYTES, 1, 256}, {"bytes", WIRE_NUMBER},
			{"who", WIRE_TEXT, 0, 256}},
		.answer = {{"key", WIRE_BYTES, 16, 64}}},
	[KEYD_SIGN] = {.name = "sign",
		.callers = CALLER_LINE,
		.ask = {{"key", WIRE_TEXT, NAME}, {"record", WIRE_BYTES, 1, 49152},
			{"who", WIRE_TEXT, 0, 256}},
		.answer = {{"signature", WIRE_BYTES, 1, 1024}, {"public", WIRE_TEXT, 1, 2048}}},
	[KEYD_MAKE_KEY] = {.name = "make-key",
		.callers = CALLER_LINE,
		.ask = {{"store", WIRE_TEXT, 0, 64}, {"alg", WIRE_TEXT, NAME},
			{"label", WIRE_TEXT, 0, 64}, {"who", WIRE_TEXT, 0, 256}},
		.answer = {{"name", WIRE_TEXT, 1, 143}, {"public", WIRE_BYTES, 1, 2048},
			{"before", WIRE_NUMBER}}},
	[KEYD_REQUEST] = {.name = "request",
		.callers = CALLER_LINE,
		.ask = {{"name", WIRE_TEXT, 1, 143}, {"subject", WIRE_TEXT, 0, 512},
			{"who", WIRE_TEXT, 0, 256}},
		.answer = {{"csr", WIRE_BYTES, 1, 16384}}},
	[KEYD_TAKE_KEY] = {.name = "take-key",
		.callers = CALLER_LINE,
		.ask = {{"name", WIRE_TEXT, 1, 143}, {"who", WIRE_TEXT, 0, 256}},
		.answer = {{"key", WIRE_BYTES, 1, 8192}}},
	[KEYD_SIGN_RECORD] = {.name = "sign-record",
		.callers = CALLER_LINE,
		.ask = {{"key", WIRE_TEXT, NAME}, {"checkpoint", WIRE_BYTES, 1, 511},
			{"who", WIRE_TEXT, 0, 256}},
		.answer = {{"signature", WIRE_BYTES, 64, 64}, {"public", WIRE_TEXT, 1, 2048}}},
};

const struct wire_field wire_error_fields[] = {
	{"code", WIRE_TEXT, 1, 64}, {"message", WIRE_TEXT, 0, ERR_TEXT_BYTES}, {0}};

struct wire_value wire_text(const char *s)
{
	return (struct wire_value){.p = s, .n = strlen(s)};
}

static bool in_bounds(const struct wire_field *f, size_t n)
{
	return n >= f->low && n <= f->high;
}

size_t wire_write(
	uint8_t kind, const struct wire_field *fields, const struct wire_value *v, uint8_t *buf)
{
	struct wbytes b = wbytes_of(buf, WIRE_MAX_BYTES);
	struct wbytes head = wbytes_of(buf, 4);

	wb_be32(&b, 0);
	wb_u8(&b, kind);
	for (size_t i = 0; i < WIRE_FIELDS && fields[i].type != WIRE_END; i++) {
		if (fields[i].type == WIRE_NUMBER) {
			wb_be32(&b, (uint32_t)(v[i].number >> 32));
			wb_be32(&b, (uint32_t)v[i].number);
			continue;
		}
		if (!in_bounds(&fields[i], v[i].n))
			return 0;
		wb_be32(&b, (uint32_t)v[i].n);
		if (v[i].n)
			wb_put(&b, v[i].p, v[i].n);
	}
	wb_be32(&head, (uint32_t)(b.len - 4));
	return b.bad ? 0 : b.len;
}

static int bad_field(const struct wire_field *f, const char *what, struct err *e)
{
	return err_set(e, ERR_PROTOCOL, "field '%s' of the message %s", f->name, what);
}

static int read_field(
	struct rbytes *b, const struct wire_field *f, struct wire_value *ret, struct err *e)
{
	uint32_t n;

	if (f->type == WIRE_NUMBER) {
		uint64_t high = rb_be32(b);

		ret->number = high << 32 | rb_be32(b);
		return b->bad ? bad_field(f, "is cut", e) : 0;
	}
	n = rb_be32(b);
	ret->p = rb_take(b, n);
	ret->n = n;
	if (b->bad)
		return bad_field(f, "is cut", e);
	if (!in_bounds(f, n))
		return bad_field(f, "is too short or too long", e);
	if (f->type == WIRE_TEXT && memchr(ret->p, 0, n))
		return bad_field(f, "has a NUL", e);
	return 0;
}

int wire_read(const struct wire_field *fields, uint8_t *p, size_t n, struct wire_value *ret,
	struct err *e)
{
	struct rbytes b = rbytes_of(p, n);
	int r = 0;

	memset(ret, 0, WIRE_FIELDS * sizeof *ret);
	for (size_t i = 0; r == 0 && i < WIRE_FIELDS && fields[i].type != WIRE_END; i++)
		r = read_field(&b, &fields[i], &ret[i], e);
	if (r == 0 && b.pos != b.len)
		r = err_set(e, ERR_PROTOCOL, "the message has %zu bytes too many", b.len - b.pos);
	/* The length of the next field was read before: its first byte may become the NUL. */
	for (size_t i = 0; r == 0 && i < WIRE_FIELDS && fields[i].type != WIRE_END; i++)
		if (fields[i].type == WIRE_TEXT)
			p[(const uint8_t *)ret[i].p - p + (ptrdiff_t)ret[i].n] = '\0';
	return r;
}
