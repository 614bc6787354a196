/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses that the IEEE assigns: EUI-48 (MAC) and EUI-64, and the blocks that they come from.
 *
 *   first octet   bit 0: multicast, no device has such an address
 *                 bit 1: locally administered, not from a block of the IEEE
 *   blocks        MA-L 24 bits, MA-M 28 bits, MA-S 36 bits are fixed (IEEE Registration Authority)
 *
 * An EUI-64 comes from its block by itself; FF:FE is not put into an EUI-48.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define EUI_TEXT_SIZE 24 /* eight octets with colons and the NUL */

struct eui {
	uint64_t bits; /* right-aligned */
	int width;     /* 48 or 64 */
};

enum eui_form {
	EUI_COLON, /* AC:DE:48:00:12:34 */
	EUI_DASH,  /* AC-DE-48-00-12-34 */
	EUI_BARE,  /* ACDE48001234 */
};

struct eui_block {
	uint64_t prefix; /* right-aligned: 0xacde48 */
	int bits;	 /* 24, 28 or 36 */
};

/* By name: colon, dash, bare. False for another. */
bool eui_form_from_str(const char *s, enum eui_form *ret);
/* Any of the forms, in capitals or not. False for anything else. */
bool eui_parse(const char *text, struct eui *ret);
void eui_text(const struct eui *a, enum eui_form form, char ret[EUI_TEXT_SIZE]);
bool eui_is_multicast(const struct eui *a);
bool eui_is_local(const struct eui *a);
/* 6, 7 or 9 hexadecimal digits, with or without colons or dashes: "AC:DE:48", "ACDE48A". -ERR_INVALID
 * otherwise. */
int eui_block_parse(const char *text, struct eui_block *ret, struct err *e);
/* The address with that number within the block; number must be below eui_block_size(). */
struct eui eui_of_block(const struct eui_block *b, int width, uint64_t number);
/* Addresses of that width in the block. */
uint64_t eui_block_size(const struct eui_block *b, int width);
