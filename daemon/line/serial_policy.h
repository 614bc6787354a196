/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the serial number of a unit comes from, as its recipe says, and whether it may be drawn
 * now.
 */
#pragma once

#include "db/ledger.h"

struct recipe;
struct wall;

/* A unit whose serial number would carry a date waits, untouched, until there is one: -ERR_CLOCK.
 */
int serial_policy_check(const struct recipe *r, struct db *tx, struct wall *wall, struct err *e);
/* kind NULL: as the recipe says; "scan" and "device" bring a value, and the recipe's pattern must
 * fit what was scanned. Borrows from the recipe and value; `clock` keeps the sentence that
 * ret->no_date points to. */
int serial_policy_source(const struct recipe *r, const char *kind, const char *value,
	struct wall *wall, struct err *clock, struct ledger_source *ret, struct err *e);
/* A value for the slot of that name from a pool that the recipe names. Borrows as above. */
struct ledger_source serial_policy_value(const struct recipe *r, const char *slot, const char *pool,
	struct wall *wall, struct err *clock);
