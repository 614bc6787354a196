/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a recipe: mistakes, each with its line, or a recipe whose canonical form is a recipe
 * with the same digest.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/yaml.h"
#include "daemon/recipe/recipe.h"

static void check_again(const struct recipe *recipe)
{
	char *text = recipe_canonical(recipe->json);
	json_t *root = json_loads(text, 0, NULL);
	struct mistakes m = {0};
	struct recipe *again = NULL;
	struct err e = {0};

	if (!root || recipe_check(root, &m, &again, &e) < 0 ||
		strcmp(again->sha256, recipe->sha256) != 0)
		abort();
	recipe_unref(again);
	mistakes_done(&m);
	json_decref(root);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct recipe *recipe = NULL;
	struct strbuf report = {0};
	struct err e = {0};

	if (recipe_load("fuzz", (const char *)bytes, n, &report, &recipe, &e) == 0) {
		check_again(recipe);
		recipe_unref(recipe);
	} else if (!report.s && !e.msg[0]) {
		abort();
	}
	sb_done(&report);
	return 0;
}
