/* SPDX-License-Identifier: Apache-2.0
 *
 * The foreign programs that a recipe's steps need. A name that is only known at run time (it holds
 * a reference) is left out.
 */
#pragma once

#include "daemon/recipe/recipe.h"

/* Each step's programs, in the recipe's order; installed by PATH and the sbin directories. */
void recipe_programs(const struct recipe *r,
	void (*tell)(
		void *data, const struct recipe_step *step, const char *program, bool installed),
	void *data);
