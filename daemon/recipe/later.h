/* SPDX-License-Identifier: Apache-2.0
 *
 * A step with `offline: later` whose service is away: what is kept of it, so that it can be carried out
 * when its run is long over.
 *
 *	with: {service: cloud, serial: '${unit.serial}', device: '${steps.register.device_id}'}
 *	  -> {service: cloud, serial: 'SN1',             device: '${steps.register.device_id}'}
 *
 * Every reference becomes its value, but those to outputs of steps that were deferred too: these are
 * known when those are done.
 */
#pragma once

#include "daemon/recipe/expr.h"
#include "daemon/recipe/recipe.h"

/* {step, action, with, timeout_us}; a new reference. deferred: an object whose names are the ids of the
 * steps that were deferred before. -ERR_INVALID for a value that cannot be kept: one that would hold a
 * secret of the scope. */
int later_payload(const struct recipe_step *st, const struct scope *scope, const json_t *deferred,
	json_t **ret, struct err *e);
/* The name of the service that it asks; NULL where that is no text. Borrowed. */
const char *later_target(const struct action *action, const json_t *payload);
/* Whether a recipe may say `offline: later` of a step with that action and `with`: -ERR_INVALID with the
 * sentence. */
int later_check(const struct action *action, const json_t *with, struct err *e);
