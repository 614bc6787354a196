/* SPDX-License-Identifier: Apache-2.0
 *
 * Erase cycles of the flash of units, by region, as the evidence of their steps has them: each attempt of
 * a step that erased something there is one. A region is the address at which that began (0x08010000), or the
 * partition that was erased; "flash" where the step does not say. Which pages of it were erased is not kept: it is
 * the most that any of them had.
 */
#pragma once

#include "db/db.h"

#define WEAR_REGION_BYTES 72

struct wear {
	char region[WEAR_REGION_BYTES];
	int64_t erases;
};

/* What a step erased, by its action and evidence: false for nothing. Pure. */
bool wear_of_step(const char *action, const json_t *evidence, struct wear *ret);
/* In the transaction of the run's end: counts what its steps erased, whatever came of them. A run that does not
 * know its unit counts nowhere. */
int wear_add(struct db *tx, const char *run, struct err *e);
/* The region of a unit that was erased most: 1, or 0 without any. */
int wear_worst(struct db *d, const char *unit, struct wear *ret, struct err *e);
