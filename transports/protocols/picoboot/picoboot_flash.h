/* SPDX-License-Identifier: Apache-2.0
 *
 * An image into the flash of a RP2040 or RP2350, by PICOBOOT.
 *
 *   read all sectors of the image -> erase the first -> each other that differs: erase, write -> write the first
 *                                 -> read all of them again, compare
 *
 * What is there already is passed over, since it was seen. A unit that is interrupted has no first sector, so that its ROM
 * starts nothing of it. The ROM does not know how large the flash is, and a chip that is smaller than the image's last
 * address wraps: each lower address where the last sector would be seen as well is looked at. Where it holds the same, the
 * last sector is written whatever it holds, and that address may not change with it.
 *
 * On the worker's thread, errors as in picoboot.h.
 */
#pragma once

#include "base/digest.h"
#include "transports/images/image.h"
#include "transports/protocols/picoboot/picoboot.h"

/* Families of UF2 (boot/uf2.h of the pico-sdk). */
#define PICOBOOT_FAMILY_RP2040	     0xe48bff56u
#define PICOBOOT_FAMILY_ABSOLUTE     0xe48bff57u /* anywhere, of a RP2350 */
#define PICOBOOT_FAMILY_DATA	     0xe48bff58u
#define PICOBOOT_FAMILY_RP2350_ARM   0xe48bff59u
#define PICOBOOT_FAMILY_RP2350_RISCV 0xe48bff5au
#define PICOBOOT_FAMILY_RP2350_NS    0xe48bff5bu

struct picoboot_flash_options {
	uint64_t flash_bytes; /* of this board's chip; 0: not said */
	bool boots; /* what begins at the start of the flash has to be what the ROM starts */
};

struct picoboot_flash_result {
	char sha256_written[SHA256_HEX]; /* of the image's bytes in the order of their addresses */
	char sha256_read[SHA256_HEX];	 /* of what was read back */
	uint64_t bytes, sectors, sectors_erased, sectors_written;
};

/* Whether the image fits the chip, before the unit is touched: all of it in the flash (-ERR_IMAGE_RANGE, also where it is for
 * RAM), for this chip by its UF2 family, and, where o->boots, with what the ROM looks for: a second stage with its checksum of
 * a RP2040, a block of the boot ROM in the first 4 KiB of a RP2350 (-ERR_IMAGE_INVALID). */
int picoboot_image_check(const struct image *i, enum picoboot_chip chip,
	const struct picoboot_flash_options *o, struct err *e);
/* -ERR_VERIFY_MISMATCH with the first address that differs; -ERR_IMAGE_RANGE where the flash turns out to be smaller. The
 * image has been checked. */
int picoboot_flash(struct picoboot *p, const struct image *i, struct picoboot_flash_result *ret,
	const struct iotime *it, struct err *e);
/* n bytes at any address of the flash. -ERR_IMAGE_RANGE outside of what the chip addresses. */
int picoboot_flash_read(struct picoboot *p, uint64_t address, uint8_t *buf, uint64_t n,
	const struct iotime *it, struct err *e);
