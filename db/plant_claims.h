/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts of orders of the plant that this host took, each an order of its own here (daemon/line/plant.h).
 */
#pragma once

#include "db/plant.h"

struct plant_claim {
	int64_t id;
	char why[ERR_TEXT_BYTES]; /* it could not be made; "" it was */
};
/* One that has ended, and of which the plant is not told: 1 with it, 0 none, or an error. */
int plant_claim_ended(struct db *d, struct plant_claim *ret, struct err *e);
int plant_claim_told(struct db *tx, int64_t id, struct err *e);

/* Whether this host has less to do than one unit for each station: 1 with the names of the recipes that may be ordered (an
 * array, owned) and the name of the question that is under way ("" none), 0, or an error. */
int plant_claim_room(struct db *d, int64_t stations, json_t **ret_recipes,
	char ret_request[PLANT_NONCE_SIZE], struct err *e);
/* Names the question; it keeps its name until plant_claim_taken() or plant_claim_none(). */
int plant_claim_request(struct db *tx, struct err *e);
/* There is nothing to be made. */
int plant_claim_none(struct db *tx, struct err *e);
/* The answer, with the order that was made of it, or (NULL) why none was. */
int plant_claim_taken(struct db *tx, int64_t id, const char *order, const char *job,
	const char *why, struct err *e);
