/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the wall clock can be believed. It is for records and for the dates in serial numbers,
 * never for durations: those are monotonic. A machine without a battery begins at 1970; one whose
 * clock falls back would burn a date of the past into units.
 *
 * Held back (HOLD_CLOCK) where the clock shows a time before the newest record, or where the kernel
 * says that it is not synchronised (adjtimex(2)) and synchronisation is required.
 */
#pragma once

#include <stdint.h>

#include <stdbool.h>

#include "base/err.h"
#include "daemon/line/holds.h"

struct wall;

/* floor_ms: of the records (db/clock.h). */
struct wall *wall_new(int64_t floor_ms, bool sync_needed, struct holds *holds);
struct wall *wall_free(struct wall *w);

/* Whether something on this machine sets the clock, that can be waited for. */
bool wall_has_service(void);
/* What the kernel says of the clock (adjtimex(2)): whether a time service keeps it, and by how much it may be
 * wrong. Any thread. */
bool wall_is_synchronised(int64_t *ret_max_error_us);
/* Something was recorded at that moment. Any thread. */
void wall_recorded(struct wall *w, int64_t ms);
/* A person says that the present time is right: the floor begins again from it. Any thread. */
void wall_accept(struct wall *w, int64_t ms);
int64_t wall_floor_ms(const struct wall *w);
/* 0, or -ERR_CLOCK with what is wrong, as it is at this moment. Any thread. */
int wall_check(const struct wall *w, struct err *e);
/* Sets or lifts HOLD_CLOCK. true where the clock jumped since the last tick, by *ret_ms. Main,
 * every second. */
bool wall_tick(struct wall *w, int64_t *ret_ms);
