/* SPDX-License-Identifier: Apache-2.0
 *
 * The threads that carry requests out: what reads the database, waits for a commit or parses a
 * file never holds the threads that move bytes, so that /livez is answered while it lasts. Heavy
 * work (uploads) may take some of the threads only: there is always one for the rest.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct work_pool;

/* Embedded in what it is for; the pool keeps it from work_submit() until run() begins. */
struct work {
	void (*run)(struct work *w);
	bool heavy;
	struct work *next; /* the pool's */
};

/* heavy_most: how many threads heavy work may take, less than `threads`. */
int work_pool_new(unsigned threads, unsigned heavy_most, struct work_pool **ret, struct err *e);
/* Carries out all that was submitted, then ends the threads. */
struct work_pool *work_pool_free(struct work_pool *p);
/* Any thread, never waits. The caller bounds how much there is. */
void work_submit(struct work_pool *p, struct work *w);
/* How long the longest light and heavy work has been going on, waiting for a thread included; 0
 * where there is none. */
void work_pool_age(
	struct work_pool *p, uint64_t now_us, uint64_t *ret_light_us, uint64_t *ret_heavy_us);
