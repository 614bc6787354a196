/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON in its canonical form (RFC 8785, JCS): the same value is the same bytes in every language, so
 * that a digest of it can be made again by others. Names are sorted by their UTF-16 code units
 * (3.2.3), numbers are written as ECMAScript writes them (3.2.2.3), and only what must be escaped is
 * (3.2.2.2). Any thread.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"

#define JCS_NUMBER_SIZE 32
/* The largest integer of which a double holds each one below it (RFC 7493, 2.2). */
#define JCS_INTEGER_MAX ((INT64_C(1) << 53) - 1)

/* The text, owned by the caller. -ERR_INVALID for an integer beyond JCS_INTEGER_MAX: others would read
 * another number. */
int jcs(const json_t *j, char **ret, struct err *e);
/* A finite number as ECMAScript's Number::toString (ECMA-262, 6.1.6.1.20); returns ret. */
char *jcs_number(double v, char ret[JCS_NUMBER_SIZE]);
