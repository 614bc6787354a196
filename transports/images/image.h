/* SPDX-License-Identifier: Apache-2.0
 *
 * A firmware file as segments of bytes with addresses. Immutable once opened and shared between
 * workers by reference count. The bytes are a private read-only copy, taken in one pass with the
 * digest: a file that is rewritten or truncated later changes nothing here, and what is flashed is
 * what the digest says.
 *
 * Raw binaries are read; the other formats are told by their content, so that a text or container
 * file is refused as a raw binary with a sentence instead of being flashed as it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/util.h"

#define IMAGE_MAX_BYTES	 (64ull * 1024 * 1024)
#define IMAGE_NO_ADDRESS UINT64_MAX

enum image_format {
	IMAGE_BIN,
	IMAGE_ELF,
	IMAGE_IHEX,
	IMAGE_SREC,
	IMAGE_UF2,
	IMAGE_DFU,
	IMAGE_SPARSE,
	IMAGE_BOOTIMG,
	IMAGE_ZIP
};

struct image_segment {
	uint64_t address;
	uint64_t len;
	const uint8_t *data; /* lives as long as the image */
};

struct image {
	int refs; /* atomic; use image_ref and image_unref */
	enum image_format format;
	char *path;			/* for messages */
	char sha256[SHA256_HEX];	/* of the file */
	uint64_t bytes;			/* of all segments */
	struct image_segment *segments; /* sorted by address, without overlap */
	size_t count;
	void *map;
	size_t map_len;
};

const char *image_format_name(enum image_format f);
/* What the content of a file looks like; IMAGE_BIN where it looks like nothing known. */
enum image_format image_detect(const void *bytes, size_t n);

/* Reads a raw binary that belongs at address. -ERR_IMAGE_INVALID for an empty file, another format
 * or one over IMAGE_MAX_BYTES; -ERR_IMAGE_RANGE where it does not fit below 2^32 (the width of the
 * targets' addresses); -ERR_INVALID for IMAGE_NO_ADDRESS; -ERR_NOT_FOUND without the file. */
int image_open(const char *path, uint64_t address, struct image **ret, struct err *e);
struct image *image_ref(struct image *i);
struct image *image_unref(struct image *i); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct image, image_unref)
