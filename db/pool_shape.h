/* SPDX-License-Identifier: Apache-2.0
 *
 * What a pool is when it is made, and what can be said of it without other records: whether its pattern gives what its kind
 * is, and whether two of them could give the same value. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/eui.h"

struct pool_new {
	const char *id;
	const char *kind;    /* serial mac license */
	const char *pattern; /* db/pattern.h, NULL: a list */
	int64_t first, last; /* inclusive; ignored for a list */
	const char *check;   /* none luhn mod36 */
	const char *model;   /* NULL: any */
	int64_t low_water;   /* an event pool-low when so many are left */
	/* Of a pattern of the kind mac: */
	const char *block; /* the numbers count within it (base/eui.h); NULL: they are addresses */
	bool local;	   /* locally administered on purpose */
	int64_t span;	   /* a value is the first of so many addresses, aligned; 0: 1 */
};

/* Of a pool with a pattern. -ERR_INVALID says what is wrong with it. */
int pool_check_alone(const struct pool_new *p, struct err *e);
/* That it has nothing that is of addresses alone. -ERR_INVALID. */
int pool_check_no_addresses(const struct pool_new *p, struct err *e);
/* Whether two pools with patterns, of one kind, could give the same value. */
bool pools_both_give(const struct pool_new *a, const struct pool_new *b);
/* Whether a pool with a pattern could give that value. */
bool pool_gives(const struct pool_new *p, const char *value);
/* The block of a pool of addresses; NULL: the pool has none. */
const struct eui_block *pool_block(const char *text, struct eui_block *room);
/* Why a value cannot be one of that kind, NULL: it can. */
const char *pool_value_flaw(const char *kind, const char *value);
