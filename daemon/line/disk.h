/* SPDX-License-Identifier: Apache-2.0
 *
 * Room for the records. A file of the state directory holds space that nobody else can take; when
 * the disk is full, it gives way, so that the runs that are going on reach their end on record.
 *
 *   free space
 *   ----------- low water: below it no new order, upload or run (HOLD_DISK)
 *   ----------- margin: below it the reserve is given to the records
 *
 * The low water and the reserve are of one size: `reserve_bytes`, at most 1/16 of the file system.
 */
#pragma once

#include <stdint.h>

#include "daemon/line/holds.h"

struct disk;

/* The reserve is made by the first disk_tick(); what a provd before this one left is used. */
struct disk *disk_new(const char *dir, uint64_t reserve_bytes, struct holds *holds);
/* The reserve stays on disk. */
struct disk *disk_free(struct disk *d);

/* Before something is written to the database. Any thread; one statvfs(2). */
void disk_make_room(struct disk *d);
/* Looks again: sets or lifts HOLD_DISK, takes the reserve back when there is room. Every second. */
void disk_tick(struct disk *d);
/* Whether `bytes` more can be written and the records still have their low water. -ERR_DISK_FULL.
 * Any thread. */
int disk_check(struct disk *d, uint64_t bytes, struct err *e);
