/* SPDX-License-Identifier: Apache-2.0
 *
 * An image of a whole disk, as ranges of bytes that are written and read back: of a raw file all of it, of an Android sparse image or
 * by a block map (bmap-tools) what they say, so that nothing is written that need not be. What lies between keeps what the disk has.
 *
 *   the first MiB is zeroed -> all ranges but that MiB -> the first MiB -> flush -> all ranges are read and compared
 *
 * A unit that is interrupted has no partition table and no boot code, so that nothing takes it for a finished one.
 *
 * On the worker's thread. Errors: -ERR_IMAGE_RANGE where it does not fit, -ERR_VERIFY_MISMATCH with the first byte that differs, and
 * those of the port. Between two steps of a MiB the deadline and the cancel are looked at.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/iotime.h"
#include "base/teller.h"
#include "transports/images/blob.h"
#include "transports/images/bmap.h"

/* What a write needs of the disk. */
struct disk_port {
	void *data;
	uint64_t bytes;
	uint32_t sector_bytes; /* 4096 at most; a power of two */
	/* offset and n are multiples of the sector; buf is aligned to 4096. */
	int (*read)(void *data, uint64_t offset, void *buf, size_t n, struct err *e);
	int (*write)(void *data, uint64_t offset, const void *buf, size_t n, struct err *e);
	int (*flush)(void *data, struct err *e);
	/* 0 while it is the disk that was opened. */
	int (*same)(void *data, struct err *e);
};

struct disk_range {
	uint64_t at, n;
	const uint8_t *data; /* NULL: `fill` repeated */
	uint8_t fill[4];
};

/* Borrows the bytes of the blob. */
struct disk_image {
	struct disk_range *range; /* in their order, apart from each other */
	size_t count;
	uint64_t bytes;	  /* that a disk has at least */
	uint64_t mapped;  /* of all ranges */
	const char *kind; /* "raw", "sparse", "bmap" */
};

/* m may be NULL. Its checksums are compared with the image first: -ERR_IMAGE_INVALID; also for a map without any (nothing would say that
 * it belongs to the image), and a sparse image with a map. */
int disk_image_of(const char *name, const struct blob *b, const struct bmap *m,
	struct disk_image **ret, struct err *e);
struct disk_image *disk_image_free(struct disk_image *i); /* takes NULL */
DEFINE_CLEANUP(struct disk_image, disk_image_free)

struct disk_result {
	char sha256_written[SHA256_HEX]; /* of the ranges' bytes in their order */
	char sha256_read[SHA256_HEX];
	uint64_t bytes;
};

/* Writes it and reads it back. */
int disk_image_write(const struct disk_port *p, const struct disk_image *i,
	const struct teller *tell, struct disk_result *ret, const struct iotime *it, struct err *e);
/* Reads it and compares; writes nothing. */
int disk_image_verify(const struct disk_port *p, const struct disk_image *i,
	const struct teller *tell, struct disk_result *ret, const struct iotime *it, struct err *e);

/* n bytes from `at` on, in pieces of a MiB at most, to fn. -ERR_IMAGE_RANGE beyond the end. */
typedef int disk_piece_fn(void *data, const uint8_t *bytes, size_t n, struct err *e);
int disk_copy_out(const struct disk_port *p, uint64_t at, uint64_t n, disk_piece_fn *fn, void *data,
	const struct teller *tell, const struct iotime *it, struct err *e);
