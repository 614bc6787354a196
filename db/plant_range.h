/* SPDX-License-Identifier: Apache-2.0
 *
 * What the ledger asks of a pool of the plant (db/plant.h): which of its numbers are this host's now.
 */
#pragma once

#include "db/db.h"

/* Which numbers of a pool may be given out now. 0: it is not a pool of the plant; 1: from *next (never less
 * than it was) to *last; -ERR_HOST_UNPROVEN, -ERR_POOL_EMPTY, -ERR_LEASE_EXPIRED, or what the plant refused this host
 * with. */
int plant_range(struct db *tx, const char *pool, int64_t *next, int64_t *last, struct err *e);
