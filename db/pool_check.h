/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a pool may be made, or extended, as it is said: its pattern gives what its kind is, and no other pool could give
 * the same value.
 */
#pragma once

#include "db/db.h"
#include "db/pool_shape.h"

/* -ERR_INVALID says what is wrong with it, -ERR_CONFLICT names the other pool. */
int pool_check(struct db *tx, const struct pool_new *p, struct err *e);
/* Which pool with a pattern could give the value: 1 with its id, 0 none, or an error. */
int pool_giving(
	struct db *tx, const char *kind, const char *value, char ret_id[DB_ID_SIZE], struct err *e);
