/* SPDX-License-Identifier: Apache-2.0
 *
 * What a station needs of the line that it is part of. The fleet fills it before the first station
 * starts, and it outlives the last one; nothing below the fleet knows the fleet. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/timefmt.h"

struct attachments;
struct binding;
struct config;
struct feed;
struct holds;
struct image_cache;
struct link_queue;
struct keys;
struct meters;
struct orders;
struct readers;
struct records;
struct store;
struct writer;

struct line_services {
	struct records *records; /* the room on the disk, the wall clock */
	struct writer *writer;
	struct readers *readers;
	struct holds *holds;
	struct feed *feed;
	struct orders *orders;
	struct image_cache *images;	/* opened once for all stations */
	struct link_queue *instruments; /* one station at a time has one */
	struct link_queue *powers;	/* the same of what switches power */
	const struct store *store;
	struct attachments *attachments; /* the files that runs keep for good */
	struct binding *binding;
	struct keys *keys;     /* NULL: provd.yaml names none */
	struct meters *meters; /* what is counted for /metrics; NULL: nobody counts */
	char boot[UUID_SIZE];  /* of this kernel; "" unknown */

	void *line; /* of the calls below */
	/* Jobs or what holds the line has changed: every station looks again. */
	void (*wake)(void *line);
	/* The view of a station is another one. */
	void (*views_changed)(void *line);
	/* The present configuration, a reference: a station that runs may have an older one. */
	struct config *(*config)(void *line);
};
