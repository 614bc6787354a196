/* SPDX-License-Identifier: Apache-2.0
 *
 * One value as the bytes that it has in an image: "0x1f", "AC:DE:48:00:12:34" or a serial number, of a type, a width and
 * an order of bytes. What does not fit is refused, never cut. No state; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FIELD_MAX_BYTES 65536

/* The names of the types, NULL-terminated: u8, i8, u16, i16, u24, u32, i32, u64, i64, f32, f64, text, hex, base64, mac. */
extern const char *const field_types[];

struct field {
	const char *name; /* for messages */
	const char *type; /* one of field_types */
	const char *value;
	size_t width; /* bytes; 0: as many as the type or the value has */
	bool big;     /* the most significant byte first: of integers and floats */
	double scale; /* of an integer: the value is a decimal, times this, rounded half away from zero, in decimals
		       * of 21 digits; 0: it is an integer */
	uint8_t padding; /* after a shorter text, up to `width` */
};

/* The bytes into ret (FIELD_MAX_BYTES), and how many. A text has no NUL at its end but where padding is 0 and width leaves
 * room. A mac has the order in which it is written, whatever `big` says. -ERR_VALUE_EMPTY; -ERR_VALUE_MALFORMED for what
 * is not of its type; -ERR_VALUE_RANGE for a number that its type cannot hold, and for one
 * that is too small for a float and not 0; -ERR_VALUE_TOO_LONG for bytes beyond
 * `width`, and for hex, base64 or a mac of fewer; -ERR_INVALID for a type or width that does not exist. The value itself
 * is in no sentence: it may be a secret. */
int field_bytes(const struct field *f, uint8_t *ret, size_t *ret_n, struct err *e);
/* How many bytes an integer or float of that type has; 0: of no fixed number. */
size_t field_type_bytes(const char *type);
