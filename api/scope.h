/* SPDX-License-Identifier: Apache-2.0
 *
 * What a principal may name: an object of the lists stations, pools and recipes. Each list limits
 * what it is of, and a list that is missing limits nothing. What does not say where it belongs is
 * outside, so that a route, an event or a report that nobody thought of is refused, not shown.
 *
 * Pure, any thread: scopes are never changed.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* Of each route, what it names. Where its path has that name, the name must be inside; a list without
 * one is narrowed to what is inside; a body is looked at by the handler. */
enum scope_rule {
	SCOPE_WHOLE, /* cannot be narrowed: refused to whoever is limited in anything */
	SCOPE_OPEN,  /* names nothing of these */
	SCOPE_STATION,
	SCOPE_POOL,
	SCOPE_RECIPE,
	/* Its row says which station and recipe: */
	SCOPE_PORT,
	SCOPE_JOB,
	SCOPE_RUN,
	SCOPE_PROMPT,
	SCOPE_EVENT
};

/* Whether one name is inside; list: "stations", "pools", "recipes". NULL and "" are outside of a list
 * that is there. */
bool scope_has(const json_t *scopes, const char *list, const char *name);
/* Whether a row of that kind is inside. A job without named stations may run at any. */
bool scope_has_item(const json_t *scopes, enum scope_rule rule, const json_t *item);
/* Whether rows of that kind can be inside at all: events do not say their recipe or pool. */
bool scope_can_hold(const json_t *scopes, enum scope_rule rule);
/* Takes out of the array what is outside. */
void scope_narrow(const json_t *scopes, enum scope_rule rule, json_t *items);
/* Whether every pool that a recipe names is inside; else the first that is not in *ret_pool,
 * borrowed ("" where it is not a plain name). */
bool scope_has_pools_of(const json_t *scopes, const json_t *recipe, const char **ret_pool);
