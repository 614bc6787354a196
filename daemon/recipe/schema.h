/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON Schema (draft 2020-12) of a recipe, for editors: made of the rows that the check reads
 * by, which are those of the head, of a step and of each action's arguments.
 *
 * It refuses nothing that the check takes; it takes what only the check sees: names that are used
 * twice or nowhere declared, patterns, arguments that are not good together, secrets.
 */
#pragma once

#include <jansson.h>

#include "base/form.h"

/* The keys of a step, and of its `retry`. The check takes these and no other. They are not read by
 * form_read(): they have no fields. */
extern const struct form_row step_rows[], retry_rows[];

/* A new reference. */
json_t *recipe_schema(void);
