/* SPDX-License-Identifier: Apache-2.0
 *
 * The flash of a virtual STM32: NOR cells in pages of their own sizes, kept in a file of its full
 * size, so that cmp with what was written is the proof; and its option bytes (read protection,
 * write-protected sectors). They outlive the device.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/util.h"

#define STM32_MEMORY_RUNS 8

struct stm32_memory {
	uint32_t base, size;
	uint8_t erased; /* the value of an erased cell: FF, or 00 of the L0 and L1 */
	struct {
		uint32_t bytes, count;
	} run[STM32_MEMORY_RUNS];
	size_t runs;
	uint8_t *cell;
	int fd;			      /* -1: not kept */
	int options;		      /* the file of the option bytes, -1: not kept */
	uint8_t read_protected;	      /* the level; 2 stays for ever */
	uint8_t user_option;	      /* the option byte next to RDP */
	uint8_t write_protected[256]; /* by page */
};

/* pages: "4*16K,64K,7*128K"; the last one goes on to the end. dir may be NULL. */
int stm32_memory_new(uint32_t base, uint32_t size, uint8_t erased, const char *pages,
	const char *dir, struct stm32_memory **ret, struct err *e);
struct stm32_memory *stm32_memory_free(struct stm32_memory *m);
DEFINE_CLEANUP(struct stm32_memory, stm32_memory_free)

bool stm32_memory_holds(const struct stm32_memory *m, uint32_t address, size_t n);
uint32_t stm32_memory_pages(const struct stm32_memory *m);
/* false where there is no such page. One that is write-protected stays as it is. */
bool stm32_memory_erase(struct stm32_memory *m, uint32_t page);
void stm32_memory_erase_all(struct stm32_memory *m);
/* false where a cell is not erased and would have to change. weak: the offset of a cell that does
 * not take, or -1. */
bool stm32_memory_write(
	struct stm32_memory *m, uint32_t address, const uint8_t *p, size_t n, int64_t weak);
/* Up to the last cell that is not erased. */
uint32_t stm32_memory_used(const struct stm32_memory *m);
void stm32_memory_keep_options(struct stm32_memory *m);
