/* SPDX-License-Identifier: Apache-2.0
 *
 * One memory of a virtual DFU device: cells with pages of their own sizes, kept in a file of its
 * full size. NOR: a write clears bits, an erase of a page sets them. No I/O but that file.
 *
 * A memory without an erasable page is one-time: nothing sets its bits again, and where it has two runs,
 * the bytes of the second lock as many equal blocks of the first, each by a 00 (RM0090, 3.7.5).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/util.h"

#define DFU_MEMORY_RUNS 32

struct dfu_memory {
	char *name; /* the string of the alternate setting */
	uint32_t base;
	uint32_t size;
	struct {
		uint32_t address, page, pages;
		unsigned access; /* 1 readable, 2 erasable, 4 writable */
	} run[DFU_MEMORY_RUNS];
	size_t runs;
	uint8_t *cell;
	int fd;	       /* -1: not kept */
	uint32_t used; /* up to here something was written (a plain partition's length) */
};

/* text: "@Name /0xADDRESS/n*sizeKg,..." or, without '@', a partition's name of `size` bytes from 0
 * on. path may be NULL. */
int dfu_memory_new(
	const char *text, uint32_t size, const char *path, struct dfu_memory **ret, struct err *e);
struct dfu_memory *dfu_memory_free(struct dfu_memory *m);
DEFINE_CLEANUP(struct dfu_memory, dfu_memory_free)

/* false: outside, or not allowed there. weak: the offset of a cell that does not take, or -1. */
bool dfu_memory_write(
	struct dfu_memory *m, uint32_t address, const uint8_t *p, size_t n, int64_t weak);
bool dfu_memory_read(const struct dfu_memory *m, uint32_t address, uint8_t *p, size_t n);
bool dfu_memory_erase_page(struct dfu_memory *m, uint32_t address);
void dfu_memory_erase_all(struct dfu_memory *m);
