/* SPDX-License-Identifier: Apache-2.0
 *
 * Room for the records. A file of the state directory holds space that nobody else can take; when
 * the disk is full, that space is given free, so that open runs are recorded to their end.
 *
 *   free space
 *   ----------- low water: below it no new order, upload or run (HOLD_DISK)
 *   ----------- margin: below it the reserve is given to the records
 *
 * The low water and the reserve are of one size: `reserve_bytes`, at most 1/16 of the file system.
 *
 * Where that is not enough, a commit is refused (disk_refused): the line is held until one has
 * found room again (disk_took), whatever the file system says of its free space. A second, small
 * reserve is for the start alone: a database cannot be opened, not even for reading, without room
 * for the index of its log. It is given in pieces, because another program may take the space
 * first.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/line/holds.h"

struct disk;

/* The reserve is made by the first disk_tick(); what a provd before this one left is used. */
struct disk *disk_new(const char *dir, uint64_t reserve_bytes, struct holds *holds);
/* The reserve stays on disk. */
struct disk *disk_free(struct disk *d);

/* Before something is written to the database. Any thread; one statvfs(2). */
void disk_make_room(struct disk *d);
/* A commit found no room, and why; after disk_took() one did. Any thread. */
void disk_refused(struct disk *d, const char *why);
void disk_took(struct disk *d);
/* Whether nothing was written since disk_refused(). */
bool disk_is_refused(const struct disk *d);
/* Gives a piece of the room for the start. false: there is none left. */
bool disk_give_start(struct disk *d);
/* What the file system of the records has free for provd, and its size; 0 and 0 where it cannot be seen. Any
 * thread; one statvfs(2). */
void disk_room(const struct disk *d, uint64_t *ret_free_bytes, uint64_t *ret_size_bytes);
/* Looks again: sets or lifts HOLD_DISK, takes the reserve back when there is room. Every second. */
void disk_tick(struct disk *d);
/* Whether `bytes` more can be written and the records still have their low water. -ERR_DISK_FULL.
 * Any thread. */
int disk_check(struct disk *d, uint64_t bytes, struct err *e);
