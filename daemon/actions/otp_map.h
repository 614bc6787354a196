/* SPDX-License-Identifier: Apache-2.0
 *
 * What one-time memory a chip has: a document of YAML that comes with the recipe as an artifact, so
 * that the recipe's digest covers it. A mistake in it is found before anything is burnt.
 *
 *	otp: the board of the guide
 *	fields:
 *	  boot: {width: 4}
 *	  key: {width: 256, coding: repeat3, secret: true}
 *	  serial: {width: 128, bits: clear, lock: none}
 *	  mac: {width: 64, bits: clear, address: 0x1fff7800, lock: byte, lock_at: 0x1fff7a00}
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/util.h"

#define OTP_WIDTH_MAX 4096
#define OTP_BYTES     (OTP_WIDTH_MAX / 8)
#define OTP_HEX	      (2 * OTP_BYTES + 1) /* with the NUL */
#define OTP_NAME_MAX  32

/* Which way a bit goes, for good: of a fuse from 0 to 1, of one-time flash from 1 to 0. */
enum otp_bits { OTP_SET, OTP_CLEAR };
/* How the chip keeps the bits by itself. A coded field is burnt in one piece: half of it is not
 * completed, since its check bits are burnt as well. */
enum otp_coding { OTP_PLAIN, OTP_REPEAT3, OTP_REPEAT4, OTP_ECC };
/* A byte: one that is 00 locks it. */
enum otp_locks { OTP_LOCK_NONE, OTP_LOCK_COMMAND, OTP_LOCK_BYTE };

struct otp_field {
	char *name;
	char *console;	/* what its console calls it; NULL: as the map does */
	uint32_t width; /* bits, 1 to OTP_WIDTH_MAX */
	enum otp_bits bits;
	enum otp_coding coding;
	enum otp_locks lock;
	bool readable;
	bool in_memory; /* it has an address */
	uint64_t address, lock_at;
	bool secret; /* what it holds is nobody's to see */
};

struct otp_map {
	char *title;
	struct otp_field *field;
	size_t fields;
	char sha256[SHA256_HEX]; /* of the document */
};

/* name is for messages. -ERR_RECIPE_INVALID with the first mistake and its place. */
int otp_map_parse(
	const char *name, const void *text, size_t n, struct otp_map **ret, struct err *e);
struct otp_map *otp_map_free(struct otp_map *m);
DEFINE_CLEANUP(struct otp_map, otp_map_free)
/* -ERR_RECIPE_INVALID with the nearest name. */
int otp_map_field(
	const struct otp_map *m, const char *name, const struct otp_field **ret, struct err *e);

const char *otp_coding_str(enum otp_coding c);
/* "0x5": a number, filled up with zeros; "00ff10...": every digit, the first byte first. The bytes that
 * the width has go to p. -ERR_RECIPE_INVALID where it does not fit; the value is not in the message. */
int otp_value_parse(
	const struct otp_field *f, const char *text, uint8_t p[OTP_BYTES], struct err *e);
/* Whether the field is one-time flash in memory, as boot ROMs reach it: -ERR_RECIPE_INVALID. */
int otp_flash_check(const struct otp_field *f, struct err *e);
/* Whether a debugger reaches it in the target's memory: -ERR_RECIPE_INVALID. Fuses that are set have no byte
 * that a 00 locks. */
int otp_memory_check(const struct otp_field *f, struct err *e);
/* Cells are programmed by `unit` bytes at once, at least OTP_WORD: what shares them with the field would be
 * burnt with it. -ERR_RECIPE_INVALID, -ERR_UNSUPPORTED; part is for messages. */
#define OTP_WORD 4
int otp_flash_units(const struct otp_field *f, uint32_t unit, const char *part, struct err *e);
/* The word that holds the byte which locks the field: ff in the other bytes changes nothing. Returns its address. */
uint32_t otp_lock_word(const struct otp_field *f, uint8_t word[OTP_WORD]);
static inline size_t otp_bytes(const struct otp_field *f)
{
	return (f->width + 7) / 8;
}
