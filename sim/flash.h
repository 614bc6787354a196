/* SPDX-License-Identifier: Apache-2.0
 *
 * The flash of one unit. With a path, the file holds the content and nothing else: from the base to
 * the highest address written since the last erase, so that `cmp` with the firmware file is the
 * proof. Cells beyond it read as FF and cost nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/util.h"

struct flash_geometry {
	uint32_t base;
	uint32_t size;
	uint32_t page; /* bytes erased at once; a whole number of them makes the size */
	uint32_t unit; /* bytes written at once: address and length are multiples of it */
};

enum flash_verdict { FLASH_OK, FLASH_RANGE, FLASH_UNALIGNED, FLASH_NOT_ERASED };

struct flash;

/* path may be NULL: the content dies with the object. An existing file is the content. */
int flash_new(const struct flash_geometry *g, const char *path, struct flash **ret, struct err *e);
struct flash *flash_free(struct flash *f);
DEFINE_CLEANUP(struct flash, flash_free)

/* Like NOR cells: a write clears bits, only an erase sets them. strict refuses the whole write when
 * it is unaligned or a cell is not erased; otherwise old and new are ANDed. */
enum flash_verdict flash_write(
	struct flash *f, uint32_t addr, const void *p, size_t n, bool strict);
/* FLASH_OK or FLASH_RANGE. */
enum flash_verdict flash_read(const struct flash *f, uint32_t addr, void *buf, size_t n);
void flash_erase(struct flash *f);
/* The page that holds the address. What was written beyond it stays. */
void flash_erase_page(struct flash *f, uint32_t addr);
/* Inverts the lowest bit of a cell that was written: a cell that did not take. */
void flash_damage(struct flash *f, uint32_t offset);

const struct flash_geometry *flash_geometry(const struct flash *f);
/* flash_used() bytes; never NULL. */
const uint8_t *flash_content(const struct flash *f);
size_t flash_used(const struct flash *f);
/* No application: nothing written, or the first eight bytes (the vector table) are erased. */
bool flash_blank(const struct flash *f);
/* The first failure to keep the content on disk, or 0. */
int flash_io_error(const struct flash *f);
