/* SPDX-License-Identifier: Apache-2.0
 *
 * The one door to libmagic, the library of file(1): what it takes a file for, where that rests on
 * enough of the file's bytes to be believed.
 *
 * Many of its rules look at two bytes or fewer, and every twentieth raw binary meets one of them
 * ("DOS executable", "PGP key", "Targa image"). So each verdict is tried: the first bytes are
 * inverted, one after the other, and those that change the verdict are what it rests on: four,
 * other than 0x00 and 0xff, of which three have to have just that value (one bit changed is
 * enough). No raw binary has them by chance (the numbers are in
 * docs/decisions/0005-a-second-opinion.md).
 *
 * Any thread: each has a libmagic of its own, which maps the database at its first call. Of a file
 * the first 64 KiB are given to its rules for bytes; the parsers of archives, ELF, JSON, CSV and
 * documents are off.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct opinion {
	char mime[80]; /* "font/sfnt"; "application/octet-stream" where it has no name for it */
	char text[64]; /* "TrueType Font data", printable, without the details */
};

/* 1 with *ret; 0: it has none that counts; -ERR_TOOL_MISSING: its data are not there. */
int opinion_of(const uint8_t *bytes, uint64_t n, struct opinion *ret, struct err *e);
