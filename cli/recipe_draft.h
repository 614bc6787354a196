/* SPDX-License-Identifier: Apache-2.0
 *
 * What is plugged, by kind: the actions that reach it, and a first recipe for it. A draft is what a person goes on from: it has
 * no mistakes. Where only the person knows the value (an address, a target), it has an example and a comment.
 */
#pragma once

#include <stdbool.h>

#include "base/strbuf.h"

struct device_kind {
	const char *name;    /* as `provctl scan` says it, or of its own */
	const char *what;    /* for the list that a person chooses from */
	const char *actions; /* those that reach it */
	const char *ports;   /* of a recipe, YAML; NULL: it names none */
	bool image;	     /* its recipe writes one */
	const char *steps;   /* YAML */
	bool label;	     /* its recipe needs a template and a number */
};
extern const struct device_kind device_kinds[]; /* ends with a name of NULL */

const struct device_kind *device_kind(const char *name); /* NULL: there is none of that name */

struct recipe_draft {
	const struct device_kind *kind;
	const char *name, *model, *title;
	const char *image; /* a file's name */
	const char *pool;  /* of serial numbers; NULL: the unit gets none */
};
/* As YAML, to be freed with sb_done(). Whatever the texts hold: the check of the recipe says what is wrong with them. */
void recipe_draft(const struct recipe_draft *d, struct strbuf *ret);
