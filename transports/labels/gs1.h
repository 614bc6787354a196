/* SPDX-License-Identifier: Apache-2.0
 *
 * GS1 element strings (GS1 General Specifications 23, sections 3, 5.10 and 7.8): data with an
 * Application Identifier before each value, as people write it, (01)09521234543213(21)4711, and as
 * a scanner gives it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"

#define GS1_AI_BYTES 5
#define GS1_GS	     '\x1d' /* what a scanner sends for the FNC1 after a value of variable length */

/* Takes the next element off *text: its AI, and how many bytes of *text its value has then. false at
 * the end; where what comes is no AI in parentheses, e has a sentence and *ret_bad is true. */
bool gs1_next(
	const char **text, char ret_ai[GS1_AI_BYTES], size_t *ret_n, bool *ret_bad, struct err *e);
/* The check digit of a key (GTIN, SSCC: 7.9.1) without it; digits only. */
char gs1_check_digit(const char *digits);
/* How many digits the key of that AI has, its check digit included: 14 (01, 02), 18 (00), 0 where the
 * AI has no check digit that provd knows. */
size_t gs1_key_digits(const char *ai);
/* value with its check digit, which compute puts at its end and which else has to be right; owned by
 * the caller. -ERR_INVALID with the digit that was expected. */
int gs1_value(const char *ai, const char *value, bool compute, char **ret, struct err *e);
/* Whether no separator follows a value of that AI (figure 7.8.5-2: the length is predefined). */
bool gs1_predefined(const char *ai);

/* Whether a code that was scanned says what was expected: text, or GS1 data with AIs in parentheses.
 * An AIM identifier before it (ISO/IEC 15424) goes to *ret_aim, "" without one; it has to be one of GS1
 * then. separator: what the scanner sends in the place of GS; NULL: GS itself. -ERR_READ_BACK_MISMATCH
 * with the difference. */
#define AIM_BYTES 4
int code_equals(const char *scanned, const char *expected, const char *separator,
	char ret_aim[AIM_BYTES], struct err *e);

/* What a scanner gives for a text with AIs in parentheses; owned by the caller. -ERR_INVALID. */
int gs1_scanned(const char *text, char **ret, struct err *e);
