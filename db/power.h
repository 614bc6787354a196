/* SPDX-License-Identifier: Apache-2.0
 *
 * What is owed to the power of a station's unit: it was switched in a run whose recipe says how it is to be left, and is
 * not left so yet.
 */
#pragma once

#include "db/db.h"

struct power_owed {
	char run[DB_ID_SIZE];
	char want[4]; /* "on", "off"; "": nothing is owed */
};

/* In a transaction of the writer's. put: in the place of what was owed before. */
int power_owed_put(struct db *tx, const char *station, const struct power_owed *p, struct err *e);
int power_owed_get(struct db *d, const char *station, struct power_owed *ret, struct err *e);
int power_owed_settle(struct db *tx, const char *station, struct err *e);
