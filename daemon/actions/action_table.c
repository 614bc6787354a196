/* SPDX-License-Identifier: Apache-2.0
 *
 * The table itself is made from the rows at build (list-actions).
 */
#include <string.h>

#include "daemon/recipe/action.h"

const struct action *action_find(const char *name)
{
	for (const struct action *const *a = action_table; *a; a++)
		if (!strcmp((*a)->name, name))
			return *a;
	return NULL;
}
