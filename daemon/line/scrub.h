/* SPDX-License-Identifier: Apache-2.0
 *
 * The check of the records, in the background on an idle thread: the structure of the database
 * (PRAGMA quick_check), the hash chain over all finished runs, the digests of the recipes, and that
 * ledger and runs say the same. What is found sets HOLD_DAMAGE, with the last good point.
 */
#pragma once

#include <jansson.h>

#include "daemon/line/holds.h"

struct scrub;

struct scrub *scrub_new(const char *db_path, struct holds *holds);
/* Ends a check that goes on. */
struct scrub *scrub_free(struct scrub *s);
/* Begins a check; one that goes on is ended first. One thread. */
void scrub_start(struct scrub *s);
/* {state: "none"|"running"|"sound"|"damaged"|"failed", runs, ended_at, message}. Any thread. */
json_t *scrub_json(struct scrub *s);
