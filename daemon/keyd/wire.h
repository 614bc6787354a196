/* SPDX-License-Identifier: Apache-2.0
 *
 * What may be asked of provd-keyd, the process that holds the private keys: a table of requests with
 * typed fields, and nothing else. Who adds a request adds a row.
 *
 * On a Unix socket of type SOCK_STREAM, one request and one answer after the other:
 *
 *	length  4 bytes, big-endian: of all that follows
 *	kind    1 byte: the request, or in an answer 0 (done) or 1 (an error)
 *	fields  in the order of the row; a number is 8 bytes big-endian, a text or bytes have a length of
 *	        4 bytes before them. A text has no NUL.
 *
 * An error has two texts: the stable string of its code, and the sentence.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define WIRE_MAX_BYTES 65536
#define WIRE_FIELDS    6

enum keyd_op {
	KEYD_ISSUERS = 1, /* what there is, as JSON; no secret in it */
	KEYD_CHECK,	  /* whether a certificate would be signed: all but the signature */
	KEYD_CERTIFY,
	KEYD_DERIVE,	  /* a key for one unit out of a master */
	KEYD_SIGN,	  /* a document */
	KEYD_MAKE_KEY,	  /* for a unit that cannot make one: in memory, or in a token */
	KEYD_REQUEST,	  /* a request for a certificate, signed by such a key */
	KEYD_TAKE_KEY,	  /* such a key of memory itself, once: to be written into the unit */
	KEYD_SIGN_RECORD, /* a checkpoint of the records, by a key that signs nothing else */
	KEYD_OP_END
};

enum wire_type { WIRE_END, WIRE_TEXT, WIRE_BYTES, WIRE_NUMBER };

struct wire_field {
	const char *name;
	enum wire_type type;
	uint32_t low, high; /* of the length of a text or of bytes */
};

/* Who may ask: by the uid at the other end of the socket. */
enum keyd_caller {
	CALLER_LINE = 1 << 0,  /* provd */
	CALLER_ADMIN = 1 << 1, /* root */
};

struct wire_row {
	const char *name;
	unsigned callers; /* enum keyd_caller */
	struct wire_field ask[WIRE_FIELDS], answer[WIRE_FIELDS];
};
/* By enum keyd_op; [0] is empty. */
extern const struct wire_row wire_rows[KEYD_OP_END];
extern const struct wire_field wire_error_fields[];

struct wire_value {
	const void *p; /* of a text or of bytes; borrowed. A text that was read ends with a NUL */
	size_t n;
	uint64_t number;
};
struct wire_value wire_text(const char *s);

#define WIRE_HEAD_BYTES 5

/* A whole message into buf of WIRE_MAX_BYTES: its length, 0 where a field breaks its bounds. */
size_t wire_write(
	uint8_t kind, const struct wire_field *fields, const struct wire_value *v, uint8_t *buf);
/* The fields of a message: p, n is what follows the kind. p is changed: a NUL is put after each text
 * (one byte more than n is writable). ret has WIRE_FIELDS, and lives as long as p. -ERR_PROTOCOL. */
int wire_read(const struct wire_field *fields, uint8_t *p, size_t n, struct wire_value *ret,
	struct err *e);
