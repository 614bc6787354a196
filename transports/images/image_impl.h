/* SPDX-License-Identifier: Apache-2.0
 *
 * What the readers of the image formats share: the bytes of the file go in, pieces with addresses
 * come out in the order of the file, and image_build() makes the image of them.
 */
#pragma once

#include "transports/images/image.h"

/* Before those that are adjacent are joined. */
#define IMAGE_MAX_PIECES (1u << 20)

struct image_piece {
	uint64_t address, len;
	const uint8_t *data; /* in the file, or in `decoded` */
	uint64_t where;	     /* line or offset in the file, for messages */
	uint32_t order;	     /* of coming */
	uint8_t target;
};

struct image_source {
	struct image *image; /* notes, entry point and ids go here */
	const struct image_opts *opts;
	const uint8_t *bytes; /* of the file, without a DFU suffix */
	size_t n;
	bool by_line;	  /* `where` counts lines, from 1 */
	bool same_twice;  /* bytes that come twice alike are odd, not wrong */
	uint64_t limit;	  /* the first address that the format cannot say: 2^32, or UINT64_MAX */
	uint8_t *decoded; /* bytes of text formats */
	size_t decoded_len;
	struct image_piece *pieces;
	size_t count, cap;
};

typedef int image_reader_fn(struct image_source *s, struct err *e);

/* One row for each enum image_format that has a reader. */
image_reader_fn image_read_bin, image_read_elf, image_read_ihex, image_read_srec, image_read_uf2;
image_reader_fn image_read_dfuse, image_read_titxt;

/* A DFU suffix with a right checksum at the end of the file (DFU 1.1, B): the bytes of it, 0 where
 * there is none, -ERR_IMAGE_INVALID where the checksum is wrong. The ids go into the image. */
int image_dfu_suffix(
	struct image *i, const uint8_t *bytes, size_t n, size_t *ret_len, struct err *e);
#define DFU_SUFFIX_BYTES 16 /* of version 1.1, without what a maker adds */
/* Whether the file ends with the signature of one. */
bool image_has_dfu_suffix(const uint8_t *bytes, size_t n);

/* Gives a mapping of the image's back, overwritten where it holds a secret; takes NULL. */
void image_unmap(const struct image *i, void *p, size_t n);

/* "firmware file NAME, line 3: ..." (or "offset 0x1f") as -ERR_IMAGE_INVALID. */
int image_malformed(const struct image_source *s, uint64_t where, struct err *e, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));
/* Odd, but allowed. Those above IMAGE_NOTES_MAX are counted in the last one. */
void image_note(struct image *i, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* len > 0 bytes at address. Joined with the piece before where both continue each other. */
int image_add(struct image_source *s, uint8_t target, uint64_t address, const uint8_t *data,
	uint64_t len, uint64_t where, struct err *e);
/* The first segment that ends above the address (of that target or a later one), or count. */
size_t image_find(const struct image *i, uint8_t target, uint64_t address);
/* Sorts, checks for overlaps, joins, counts and digests. */
int image_build(struct image_source *s, struct err *e);
