/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of a recipe, that is all but its steps: name and version, the unit, ports, artifacts and
 * parameters. It is rows of a form (base/form.h), which are also the schema of a recipe.
 */
#pragma once

#include "base/form.h"
#include "daemon/recipe/items.h"
#include "daemon/recipe/recipe.h"

extern const struct form_row recipe_rows[];

/* root: an object. Every mistake goes to m, at its pointer; unknown keys of the recipe too. The
 * steps are in the rows, but not looked at. r is for the check alone while m has something. */
void recipe_head_read(const json_t *root, struct recipe *r, struct mistakes *m);
