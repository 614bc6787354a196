/* SPDX-License-Identifier: Apache-2.0
 *
 * A block map (bmap-tools, file format 1.2 to 2.0): which blocks of a disk's image hold anything, and a checksum for each
 * range of them. It is no image: it comes next to one. SHA-256 alone is compared, which bmaptool writes since format 1.4.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/util.h"

#define BMAP_MAX_BYTES (16u << 20)

struct bmap_range {
	uint64_t first, last;	 /* blocks */
	char sha256[SHA256_HEX]; /* "": there is none */
};

struct bmap {
	char version[16];
	uint64_t image_bytes, block_bytes, blocks, mapped;
	char checksum[16];	  /* "sha256"; "": none */
	bool own_compared;	  /* the checksum of the map itself is right */
	struct bmap_range *range; /* in their order, apart from each other */
	size_t ranges;
};

/* Whether the text is one. */
bool bmap_is(const uint8_t *bytes, uint64_t n);
/* -ERR_IMAGE_INVALID with the line for what is malformed, contradicts itself or has another checksum than it says;
 * -ERR_UNSUPPORTED for a newer format; -ERR_TOO_LARGE. name is for the sentence. */
int bmap_read(const char *name, const uint8_t *bytes, uint64_t n, struct bmap **ret, struct err *e);
struct bmap *bmap_free(struct bmap *m); /* takes NULL */
DEFINE_CLEANUP(struct bmap, bmap_free)
/* The image by its map: length, and each range that has a checksum. -ERR_IMAGE_INVALID names the first that is otherwise. */
int bmap_compare(
	const struct bmap *m, const char *name, const uint8_t *image, uint64_t n, struct err *e);
