/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory map that a DfuSe device gives in the name of an alternate setting (ST UM0424, 4.3.2):
 *
 *	@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg
 *
 * n*size, a multiplier (blank or B, K, M) and a letter whose low bits say readable, erasable,
 * writable. Pure data, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DFUSE_RUNS_MAX 64
#define DFUSE_NAME_MAX 64

enum { DFUSE_READABLE = 1, DFUSE_ERASABLE = 2, DFUSE_WRITABLE = 4 };

/* Pages of one size, one after the other. */
struct dfuse_run {
	uint64_t address;
	uint32_t page_bytes;
	uint32_t pages;
	unsigned access; /* DFUSE_* */
};

struct dfuse_map {
	char name[DFUSE_NAME_MAX]; /* without the padding */
	struct dfuse_run run[DFUSE_RUNS_MAX];
	size_t runs; /* sorted by address, without overlap */
};

/* -ERR_PROTOCOL with what is wrong where: something that is not a number or overflows, no pages, no
 * bytes, an end above 2^32, an overlap. */
int dfuse_map_parse(const char *text, struct dfuse_map *ret, struct err *e);
/* The run that holds the address, or NULL. */
const struct dfuse_run *dfuse_map_find(const struct dfuse_map *m, uint64_t address);
static inline uint64_t dfuse_run_end(const struct dfuse_run *r)
{
	return r->address + (uint64_t)r->page_bytes * r->pages;
}
/* The begin of the page that holds the address. */
static inline uint64_t dfuse_page_of(const struct dfuse_run *r, uint64_t address)
{
	return address - (address - r->address) % r->page_bytes;
}
/* 0 where all of [address, address + n) grants `access`; else -ERR_IMAGE_RANGE naming the first
 * byte that does not. */
int dfuse_map_check(
	const struct dfuse_map *m, uint64_t address, uint64_t n, unsigned access, struct err *e);
