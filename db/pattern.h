/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns of serial numbers. Text with placeholders:
 *
 *   {seq} {seq:06} {seq:06:36}   the sequence, zero-padded, base 10, 16 or 36 (upper case)
 *   {mac} {mac:dash} {mac:bare}  the sequence as a MAC address, AC:DE:48:00:12:34 (colon), with
 *                                dashes, or without anything between; of a block (base/eui.h) the
 *                                address with that number in it
 *   {eui64} {eui64:dash} ...     the same of 64 bits, always of a block
 *   {date:%Y%m%d}                of %Y %y %m %d %j %H %M %V %G %g %u
 *   {station} {model}
 *   {random:8} {random:8:36}     so many digits of base 10, 16 or 36 that nobody can guess, drawn when the value
 *                                is reserved: a passcode. Instead of {seq}, from 6 digits on. A pool is for a
 *                                16th of all values at most. Never all alike, nor in a row up or down
 *                                (Matter 1.0, 5.1.7: 11111111, 12345678, 87654321 are no passcodes)
 *   {check}                      the check digit over all other characters, in order
 *
 * Check digits: "luhn" is Luhn mod 10 over the decimal digits of the value (other characters are
 * passed over); "mod36" is Luhn mod N with N = 36 over digits and upper-case letters.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/eui.h"

#define LEDGER_VALUE_SIZE 64

struct pattern_vars {
	int64_t seq;
	int64_t now_ms;
	int utc_offset_s; /* of the zone whose date is meant, 0: UTC */
	const char *station;
	const char *model;
	const struct eui_block *block; /* of {mac} and {eui64}; NULL: none */
};

/* check: "none", "luhn" or "mod36". -ERR_INVALID says what is wrong. */
int pattern_render(const char *pattern, const char *check, const struct pattern_vars *v,
	char ret[LEDGER_VALUE_SIZE], struct err *e);
/* Whether its values carry a date. */
bool pattern_dated(const char *pattern);
/* Whether every seq up to `last` can be rendered and gives a value of its own; block as in the vars. */
int pattern_check(const char *pattern, const char *check, int64_t last,
	const struct eui_block *block, struct err *e);
/* The check character by Luhn mod N, N 10 or 36. */
char luhn_mod_n(const char *value, int n);
