/* SPDX-License-Identifier: Apache-2.0
 *
 * DfuSe: ST's extension of DFU by addresses (ST AN3156, UM0424). A command is a DNLOAD of block 0;
 * data are blocks from 2 on, at pointer + (block - 2) * wTransferSize, where wTransferSize is what
 * the device says, not what the host sends.
 *
 * The order of a write keeps a unit that is interrupted recognisable as unfinished: pages are
 * erased first, and the first page of the image is written last. Nothing outside the map is
 * touched, and nothing is erased before all has been checked. On the worker's thread, errors as in
 * dfu.h.
 */
#pragma once

#include "base/digest.h"
#include "transports/images/image.h"
#include "transports/protocols/dfu/dfu.h"
#include "transports/protocols/dfu/dfuse_map.h"

enum dfuse_erase {
	DFUSE_ERASE_PAGES, /* those that the image touches */
	DFUSE_ERASE_MASS,  /* everything, calibration and serial numbers too */
	DFUSE_ERASE_NONE
};

struct dfuse_options {
	enum dfuse_erase erase;
	bool verify;	 /* read everything back */
	bool skip_equal; /* write nothing where everything is there already */
	uint32_t unit;	 /* bytes programmed at once: a tail is filled with FF; 0: 8 */
};

struct dfuse_result {
	char sha256_written[SHA256_HEX]; /* of the image's bytes in the order of their addresses */
	char sha256_read[SHA256_HEX];	 /* of what was read back; "" without verify */
	uint64_t bytes, pages_erased;
	bool skipped; /* it was there already */
};

/* The set address command. */
int dfuse_set_address(struct dfu *d, uint32_t address, const struct iotime *it, struct err *e);
int dfuse_erase_page(struct dfu *d, uint32_t address, const struct iotime *it, struct err *e);
int dfuse_mass_erase(struct dfu *d, const struct iotime *it, struct err *e);
/* Erases each page that [address, address + n) touches. *ret_pages may be NULL. */
int dfuse_erase_range(struct dfu *d, const struct dfuse_map *m, uint64_t address, uint64_t n,
	uint64_t *ret_pages, const struct iotime *it, struct err *e);
/* Erases everything and leaves the bus: read protection ends with the content. */
int dfuse_read_unprotect(struct dfu *d, const struct iotime *it, struct err *e);
/* n bytes at address into buf. -ERR_IMAGE_RANGE outside of what the map lets read. */
int dfuse_read(struct dfu *d, const struct dfuse_map *m, uint64_t address, uint8_t *buf, size_t n,
	const struct iotime *it, struct err *e);
/* Whether the map lets all of the image's segments for that target be written as o says: of several
 * targets each is asked before the first is written. -ERR_IMAGE_RANGE. */
int dfuse_check(const struct dfuse_map *m, const struct image *image, uint8_t target,
	const struct dfuse_options *o, struct err *e);
/* The segments of image that are for this target (alternate setting). */
int dfuse_write(struct dfu *d, const struct dfuse_map *m, const struct image *image, uint8_t target,
	const struct dfuse_options *o, struct dfuse_result *ret, const struct iotime *it,
	struct err *e);
/* Once, as it is: bytes that are programmed for good, a block at a time. Nothing is erased. After an
 * error nobody knows what was programmed: read it. -ERR_IMAGE_RANGE outside of what the map lets write. */
int dfuse_write_once(struct dfu *d, const struct dfuse_map *m, uint64_t address,
	const uint8_t *bytes, size_t n, const struct iotime *it, struct err *e);
/* Starts the application whose vector table is at address. The device leaves the bus during it. */
int dfuse_leave(struct dfu *d, uint32_t address, const struct iotime *it, struct err *e);
