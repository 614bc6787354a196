/* SPDX-License-Identifier: Apache-2.0
 *
 * What came of requests to webhooks, on its way to the records: those that end while others are being recorded go with the next
 * commit, so that a request does not wait for the disk.
 *
 *	add, add, add ─> push: one transaction ─> recorded() ─> pull
 *	     add, add ────────────────────────────────────────────> push ...
 *
 * Used by one thread, but for recorded().
 */
#pragma once

#include <jansson.h>

#include "db/webhooks.h"
#include "db/writer.h"

struct webhook_ends;

/* recorded: on the writer's thread, when there is something to pull. */
struct webhook_ends *webhook_ends_new(
	struct writer *writer, void (*recorded)(void *data), void *data);
/* Waits until all that was added is on disk, or cannot be: that is sent again. Takes NULL, returns NULL. */
struct webhook_ends *webhook_ends_free(struct webhook_ends *w);
bool webhook_ends_full(const struct webhook_ends *w);
/* One more, where it is not full. The texts of `end` are copied. */
void webhook_ends_add(struct webhook_ends *w, const struct delivery_end *end);
/* Records what was added, unless something is being recorded; what found no place on the disk goes first, by itself. */
int webhook_ends_push(struct webhook_ends *w, struct err *e);
/* 1: what was pushed is on disk; 0: it is not yet, or there is none; < 0: nothing of it is. Where the disk
 * is full (-ERR_DISK_FULL) it is kept for the next push, else its rows are sent again. */
int webhook_ends_pull(struct webhook_ends *w, struct err *e);
/* Appends the numbers of a webhook's rows that have ended, and are not pulled yet: those that were taken, and the others. */
void webhook_ends_list(
	const struct webhook_ends *w, const char *webhook, json_t *taken, json_t *others);
