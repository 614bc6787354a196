/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the names of a step are looked up. A step of the recipe itself has no frame. A turn of a
 * loop (`for_each`) is a frame with its item; a part (`use: NAME@VERSION`) is a frame with its own
 * parameters, ports, artifacts and step ids, which are bound to those of who uses it:
 *
 *   recipe            params, ports, artifacts, steps
 *     part rails      params.low <- '${params.low}'    ports.bus <- console    ids: rails.ID
 *       turn 2        item <- 5V                                               ids: rails.ID[2]
 *
 * A frame is made by the check, belongs to its recipe, and never changes: all threads read it.
 */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "daemon/recipe/expr.h"

/* Parts within parts. */
#define FRAME_PARTS_MAX 4

struct frame {
	struct frame *next;	    /* of all frames of the recipe */
	const struct frame *parent; /* NULL: the recipe itself */
	char *pointer;		    /* of the entry that made it */
	char *base;		    /* a part: that of the recipe that is used */
	char *when;		    /* its steps are skipped where this is not met; NULL */
	/* A turn: */
	unsigned turn; /* from 1; 0: the frame is a part */
	json_t *item;  /* NULL: not known before an order gives the list */
	/* A part: */
	const json_t *part;	 /* the recipe that is used */
	char *name;		 /* NAME@VERSION */
	char *id;		 /* in front of its step ids, with the point */
	const json_t *with;	 /* its parameters, as written; may be NULL */
	const json_t *ports;	 /* role of the part -> role of who uses it */
	const json_t *artifacts; /* the same of artifacts */
};

/* The nearest part, f included; NULL: the recipe itself. */
const struct frame *frame_part(const struct frame *f);
/* The nearest turn within the same part. */
const struct frame *frame_turn(const struct frame *f);
/* What is in front of the ids of its steps: "" or "rails.". */
const char *frame_prefix(const struct frame *f);
/* The id of a run for one that a step of this frame has or names: [0] within the turn, [1] outside of it; NULL where
 * there is none. Owned by the caller. */
void frame_ids(const struct frame *f, const char *id, char *ret[2]);
/* The role of the recipe for one of the frame's; NULL where it is bound to nothing. */
const char *frame_port(const struct frame *f, const char *role);
const char *frame_artifact(const struct frame *f, const char *name);

/* `item`, `item.NAME` or `turn`. -ERR_NOT_FOUND: there is none here, or it is not known yet. A copy. */
int frame_item(const struct frame *f, const char *path, json_t **ret, struct err *e);
/* "item", "item.NAME", "turn". */
bool frame_is_item(const char *path);

/* What is known before the run: items, parameters of parts that are written as values, and in the
 * recipe itself the lists of `lists` (may be NULL). -ERR_NOT_FOUND for all else. */
struct frame_known {
	const struct frame *frame;
	const json_t *lists;
};
int frame_lookup(void *known, const char *path, json_t **ret, struct err *e);

/* How the parameter of a part is written by who uses it, or its default; NULL: there is none. */
const json_t *frame_param(const struct frame *part, const char *name);

struct frame *frames_free(struct frame *first);
