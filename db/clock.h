/* SPDX-License-Identifier: Apache-2.0
 *
 * The latest moment that the records know: a wall clock that shows an earlier one is wrong.
 */
#pragma once

#include "db/db.h"

/* ms UTC; 0 where nothing is recorded. */
int clock_floor(struct db *d, int64_t *ret_ms, struct err *e);
/* Raises it; it never falls by itself. */
int clock_keep(struct db *tx, int64_t ms, struct err *e);
/* A person says that the present time is right, whatever the records say (a clock once was ahead):
 * the floor begins again from `ms`. */
int clock_accept(struct db *tx, int64_t ms, const char *by, const char *reason, struct err *e);
