/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of each STM32 family by the product id that its boot ROM gives (ST AN2606 and the
 * reference manuals; ids and layouts as OpenOCD, stlink and stm32flash agree on them). Where
 * sources disagree on a page size, the verify and the blank check after an erase decide.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define STM32_RUNS_MAX 8

/* So many pages or sectors of so many bytes, one after the other. The last run goes on to the end
 * of the flash. */
struct stm32_run {
	uint32_t bytes;
	uint32_t count;
};

enum stm32_quirk {
	STM32_NO_MASS_ERASE = 1 << 0, /* every page has to be named */
	STM32_TWO_BANKS = 1 << 1,     /* bank erase codes exist */
	/* With its flash empty it starts into the ROM by itself, and out of it only after a power
	 * cycle or a reload of the option bytes. */
	STM32_EMPTY_CHECK = 1 << 2,
	/* The part may have other pages than these by its option bytes (single or dual bank). */
	STM32_PAGES_BY_OPTION = 1 << 3
};

struct stm32_device {
	uint16_t pid;
	const char *name;
	uint32_t flash_base;
	uint32_t flash_max;	/* bytes of the largest part of the family */
	uint32_t size_register; /* u16 LE: KiB of this part; 0: there is none */
	uint32_t uid_register;	/* 12 bytes in a row; 0: not known, or not in a row */
	uint16_t write_unit;	/* bytes programmed at once */
	uint8_t erased;		/* what an erased byte reads as */
	uint32_t ram_start;	/* RAM below it is the ROM's own */
	unsigned quirks;
	struct stm32_run run[STM32_RUNS_MAX]; /* bytes 0 ends it */
};

/* NULL where the table does not have it. */
const struct stm32_device *stm32_device_by_pid(uint16_t pid);
/* The address of four option bytes of which the second is RDP (aa: level 0, cc: level 2), written by Write Memory
 * as they are; 0: not known. RM0090, 3.9.1. */
uint32_t stm32_rdp_word(uint16_t pid);
extern const struct stm32_device stm32_devices[];
extern const size_t stm32_device_count;

/* "4*16K,64K,7*128K" into a row's runs. */
int stm32_runs_parse(const char *text, struct stm32_run run[STM32_RUNS_MAX], struct err *e);

/* The page that holds the byte at that offset of the flash: its number, offset and bytes. */
struct stm32_page {
	uint32_t number, offset, bytes;
};
struct stm32_page stm32_page_at(const struct stm32_device *d, uint32_t offset);
/* The page of that number. */
struct stm32_page stm32_page_of(const struct stm32_device *d, uint32_t number);
/* Pages of a flash of so many bytes. */
uint32_t stm32_page_count(const struct stm32_device *d, uint32_t flash_bytes);
