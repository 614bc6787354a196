/* SPDX-License-Identifier: Apache-2.0
 *
 * What keeps the line from working, by cause: each is set and lifted where it is found, and asked
 * for where it matters. Nothing that runs is stopped by a hold: a run that has begun goes on to its
 * end. Any thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

enum hold {
	HOLD_LINEAGE, /* the database is not the one that the line works with (db/lineage.h) */
	HOLD_DAMAGE,  /* the records do not say what was recorded */
	HOLD_MARKS,   /* the high-water marks cannot be written */
	HOLD_DISK,    /* no room for the records but the reserve */
	HOLD_CLOCK,   /* the wall clock cannot be believed */
	HOLD_BACKLOG, /* too much waits for others to take it (daemon/line/backlog.h) */
	HOLD_PLANT,   /* the plant refuses this host (daemon/line/plant.h) */
	HOLD_COUNT
};

enum hold_stops {
	HOLD_STOPS_RUNS = 1 << 0,    /* no new run begins */
	HOLD_STOPS_ORDERS = 1 << 1,  /* no new job, artifact, recipe, pool */
	HOLD_STOPS_CHANGES = 1 << 2, /* nothing is changed but what ends the hold */
	HOLD_STOPS_DATES = 1 << 3,   /* nothing that carries a date goes into a unit */
	HOLD_STOPS_SENDING = 1 << 4, /* nothing of the records goes to others; not said by itself */
};

struct holds;

/* changed (may be NULL): after each hold that began or ended, without a lock. */
struct holds *holds_new(void (*changed)(void *data), void *data);
struct holds *holds_free(struct holds *h);

/* Begins the hold, or gives it another sentence; logged when it begins. */
void holds_set(struct holds *h, enum hold which, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void holds_lift(struct holds *h, enum hold which);
bool holds_has(struct holds *h, enum hold which);

/* 0, or the code and the sentence of the first hold that stops one of these (HOLD_STOPS_*). */
int holds_check(struct holds *h, unsigned stops, struct err *e);
/* Array of {code, since, message, hint, stops: ["runs", ...]}, empty where nothing is held. */
json_t *holds_json(struct holds *h);
