/* SPDX-License-Identifier: Apache-2.0
 *
 * What a pool is when it is made, and whether it may be made, or extended, as it is said: its pattern gives what its
 * kind is, and no other pool could give the same value.
 */
#pragma once

#include "base/eui.h"
#include "db/db.h"

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

/* -ERR_INVALID says what is wrong with it, -ERR_CONFLICT names the other pool. */
int pool_check(struct db *tx, const struct pool_new *p, struct err *e);
/* The block of a pool of addresses; NULL: the pool has none. */
const struct eui_block *pool_block(const char *text, struct eui_block *room);
/* Which pool with a pattern could give the value: 1 with its id, 0 none, or an error. */
int pool_giving(
	struct db *tx, const char *kind, const char *value, char ret_id[DB_ID_SIZE], struct err *e);
/* Why a value cannot be one of that kind, NULL: it can. */
const char *pool_value_flaw(const char *kind, const char *value);
