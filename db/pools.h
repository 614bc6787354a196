/* SPDX-License-Identifier: Apache-2.0
 *
 * Pools of values: a pattern over a range, or (pattern NULL) values that were given one by one. The
 * sequence of a pool never goes back (a trigger of the schema holds it).
 */
#pragma once

#include "db/pool_check.h"

/* -ERR_INVALID for a pattern that does not give what the kind is; -ERR_CONFLICT where another pool
 * could give the same value: both are named. */
int pools_create(struct db *tx, const struct pool_new *p, struct err *e);
/* Raises the end of the range and sets the low water. revision: what the caller saw, 0: any. */
int pools_extend(struct db *tx, const char *id, int64_t last, int64_t low_water, int64_t revision,
	struct err *e);
/* Moves the sequence on to `next` without giving anything out, with the reason in the event:
 * numbers that are known, or feared, to be used elsewhere. -ERR_INVALID for a list, or outside of
 * the range; the sequence never goes back. */
int pools_advance(struct db *tx, const char *id, int64_t next, const char *reason, const char *by,
	struct err *e);
/* Values of a list pool, all or none. On -ERR_CONFLICT *ret_offending (may be NULL) is an array of
 * {value, reason}. */
int pools_add_values(
	struct db *tx, const char *id, const json_t *values, json_t **ret_offending, struct err *e);
/* Every number that the pool has spent and no passed unit carries, by number: which run had it, when,
 * and why it is where it is. What was passed over is one item from first to last. */
int pools_gaps(struct db *d, const char *id, const struct db_page *page, struct db_list *ret,
	struct err *e);
/* Whether the values of the pool carry a date; false where there is no such pool. */
int pools_dated(struct db *d, const char *id, bool *ret, struct err *e);
/* With `remaining`, and of a pattern how many values it gave out lately (`spent_week`, of the last 2000)
 * and since when that counts (`spent_since`): null of a list. */
int pools_get(struct db *d, const char *id, json_t **ret, struct err *e);
int pools_list(struct db *d, json_t **ret, struct err *e);
