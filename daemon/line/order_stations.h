/* SPDX-License-Identifier: Apache-2.0
 *
 * Which stations can make what an order asks for: by the ports of its recipe, and by the capabilities that it requires. Pure,
 * any thread.
 */
#pragma once

#include <jansson.h>

#include "base/mistake.h"
#include "daemon/line/config.h"
#include "daemon/recipe/recipe.h"

/* Whether the station has every port of the recipe: 0, or -ERR_PORT_UNBOUND with the port. */
int station_fits(const struct station_config *s, const struct recipe *r, struct err *e);
/* An array of texts, a new reference. */
json_t *station_capabilities(const struct station_config *s);

/* Mistakes go to m, each at its pointer. */

/* Each of ids is a station that can make it; recipe may be NULL where it is not known: whether they are there, then. */
void order_stations_named(const struct config *config, const struct recipe *recipe,
	const json_t *ids, const json_t *requires, struct mistakes *m);
/* At least one of ids (empty: of all) can make it. */
void order_stations_able(const struct config *config, const struct recipe *recipe,
	const json_t *ids, const json_t *requires, struct mistakes *m);
/* The ids of those with the ports of the recipe, empty where that is every station: a new array. One of them at least has what
 * is required. */
json_t *order_stations_fitting(const struct config *config, const struct recipe *recipe,
	const json_t *requires, struct mistakes *m);
