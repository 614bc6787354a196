/* SPDX-License-Identifier: Apache-2.0
 *
 * The image of one unit: the bytes of a base image, or a blank, with parts of the unit's own laid over them, and with the
 * sums that cover them made right:
 *
 *	blank, base  ->  parts (each byte belongs to one)  ->  sums in the order in which they cover each other  ->  result
 *
 * What the base has under a signature is found before the first part, and no part may touch it: an image that MCUboot
 * checks, one of Android Verified Boot, one signed for the secure boot of an ESP32. The checksum and the SHA-256 of an
 * unsigned ESP image are made right where a part touched it.
 *
 * Belongs to one thread. All of it may be secret: it is wiped at its end, and never on a disk.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/util.h"
#include "transports/images/blob.h"
#include "transports/images/crc.h"
#include "transports/images/image.h"

#define COMPOSE_PARTS_MAX 4096

struct compose;

struct compose *compose_new(void);
struct compose *compose_free(struct compose *c); /* takes NULL */
DEFINE_CLEANUP(struct compose, compose_free)

/* Bytes of one value, before anything else, at most IMAGE_MAX_BYTES. -ERR_INVALID, -ERR_NO_MEMORY. */
int compose_blank(struct compose *c, uint64_t address, uint64_t bytes, uint8_t fill, struct err *e);
/* The bytes of an image, once; over a blank that holds all of it, or without one. -ERR_PART_OUTSIDE, -ERR_UNSUPPORTED of
 * one for several memories (DfuSe), -ERR_NO_MEMORY. */
int compose_base(struct compose *c, const struct image *i, struct err *e);
/* Of an image that has addresses of its own: a part may also lie where the base has nothing. */
void compose_allow_gaps(struct compose *c);

/* n bytes at an address. name is of the recipe, for messages and records. -ERR_PART_OUTSIDE where the image does not have all
 * of those addresses, -ERR_PART_OVERLAP where another part has one of them, -ERR_IMAGE_SIGNED where something in the base
 * vouches for them, -ERR_TOO_LARGE for too many parts. */
int compose_put(struct compose *c, const char *name, uint64_t at, const uint8_t *p, size_t n,
	bool secret, struct err *e);

/* A CRC over [from, from + bytes), stored at an address: a part as well, and secret where it covers a secret, which can be found
 * out from it. -ERR_INVALID where the range holds its own place. */
struct compose_crc {
	const struct crc_kind *kind;
	uint64_t from, bytes, at;
	bool big; /* the most significant byte first */
};
int compose_crc(struct compose *c, const char *name, const struct compose_crc *s, struct err *e);

/* Makes all sums, each after those that it covers: -ERR_INVALID where two cover each other, -ERR_PART_OUTSIDE where a range
 * has addresses that the image has not, -ERR_IMAGE_INVALID where a part broke the structure of an ESP image. Once, after the
 * last part. */
int compose_end(struct compose *c, struct err *e);

struct compose_part {
	const char *name;
	uint64_t at, bytes;
	bool secret;
	const char *sum; /* the kind of a CRC; NULL */
};
/* In the order in which they came; lives as long as c. */
const struct compose_part *compose_parts(const struct compose *c, size_t *ret_n);
/* The bytes of a part; NULL where there is none of that number. */
const uint8_t *compose_part_bytes(const struct compose *c, size_t k);
/* How many sums of ESP images were made right. */
unsigned compose_esp_seals(const struct compose *c);
bool compose_is_secret(const struct compose *c);
/* The result has addresses of its own. */
bool compose_is_placed(const struct compose *c);
/* Where the result begins, and its bytes without gaps. */
uint64_t compose_address(const struct compose *c);
uint64_t compose_bytes(const struct compose *c);

/* After compose_end(): the raw bytes, or Intel HEX where it has addresses of its own; in memory alone, and wiped with its
 * last reference. name is for messages. -ERR_IMAGE_RANGE where HEX cannot say an address. */
int compose_result(struct compose *c, const char *name, struct blob **ret, struct err *e);
