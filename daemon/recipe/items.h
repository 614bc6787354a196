/* SPDX-License-Identifier: Apache-2.0
 *
 * What a name in a recipe may be, and an item of a list that a loop goes over.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

/* Of one list. */
#define ITEMS_MAX 100

/* Letters, digits, - and _ and what `extra` holds, at most 64. */
bool recipe_is_identifier(const char *s, const char *extra);
/* -ERR_INVALID unless it is a text, a number, true or false, or a mapping of those. */
int item_check(const json_t *item, struct err *e);
