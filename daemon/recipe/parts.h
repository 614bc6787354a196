/* SPDX-License-Identifier: Apache-2.0
 *
 * The recipes that a recipe uses (`use: NAME@VERSION`) become a section of it, `parts`, as they
 * are: its digest covers them, and what was approved never changes because a part did.
 */
#pragma once

#include "base/mistake.h"
#include "base/yaml.h"
#include "base/err.h"
#include "daemon/recipe/recipe.h"

/* All of a recipe with its parts, as canonical JSON. */
#define PARTS_BYTES_MAX (1024 * 1024)

struct part_source {
	/* *ret: a new reference to that recipe, with its own parts. Any error is a mistake at the
	 * step that uses it, with this sentence. */
	int (*find)(void *data, const char *name, int64_t version, json_t **ret, struct err *e);
	void *data;
};

/* "NAME@VERSION"; name has RECIPE_NAME_BYTES. */
bool part_name(const char *text, char *name, int64_t *ret_version);
/* Whether a step uses a part. */
bool parts_used(const json_t *root);
/* What it uses, as it is written, each once: a new reference. */
json_t *parts_list(const json_t *root);
/* *ret: root with its parts, a new reference, also where the source lacks some (with a mistake for each). What root has in
 * `parts` already must be what the source has. -ERR_RECIPE_INVALID with any mistake. */
int parts_link(json_t *root, const struct part_source *source, struct mistakes *m, json_t **ret);
/* Links and checks; all mistakes of both. As recipe_check(). */
int parts_check(json_t *root, const struct part_source *source, bool bench, struct mistakes *m,
	struct recipe **ret, struct err *e);

/* Of a pointer into a part: its NAME@VERSION (owned by the caller) and the pointer there; NULL for one of the recipe itself. */
char *part_of_pointer(const char *pointer, const char **ret_rest);
