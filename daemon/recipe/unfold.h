/* SPDX-License-Identifier: Apache-2.0
 *
 * From what is written to plain steps: a loop (`for_each`) becomes a step for each item, a part
 * (`use: NAME@VERSION`) the steps of that recipe. What comes after knows neither.
 *
 *   for_each: [3V3, 5V]    -> read[1] read[2]            each with a frame of its own
 *   use: rails@2 (id: r)   -> r.read[1] r.read[2] ...    its teardown before that of who uses it
 */
#pragma once

#include "base/mistake.h"
#include "daemon/recipe/frame.h"

#define UNFOLD_STEPS_MAX 500
/* In front of what is in the text of a part. */
#define PARTS_POINTER "/parts/"

/* A step as it is written, and where its names are looked up. */
struct unfolded_step {
	const json_t *step; /* borrowed from the recipe */
	char *pointer;
	const struct frame *frame;
	const struct frame *unasked; /* as recipe_step.unasked */
	size_t position;	     /* in the list that it is written in, from 1 */
	bool needs_id;		     /* it is in a loop or a part */
};

struct unfolded {
	struct unfolded_step *step[3]; /* by phase */
	size_t steps[3];
	struct frame *frames; /* all of them; owned */
	/* A list of a loop is a parameter of the recipe: another list makes other steps. */
	bool open;
};

/* params: those of an order over the defaults; NULL: the defaults, and a list without one is a
 * single turn whose item is not known. Mistakes of loops and parts go to m; what the steps
 * themselves say is not looked at. */
void unfold(const json_t *root, const json_t *params, struct unfolded *ret, struct mistakes *m);
/* The frames too, unless they were taken. */
void unfolded_done(struct unfolded *u);
