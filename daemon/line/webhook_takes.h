/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the next events for webhooks (webhooks_take()), made while requests go on: a sender that waits for the disk moves no
 * bytes.
 *
 *	begin ─> one transaction ─> done() ─> end ─> begin ...
 *
 * Used by one thread, but for done().
 */
#pragma once

#include "db/webhooks.h"
#include "db/writer.h"

struct webhook_takes;

/* What came of it for one webhook, as webhooks_take() has it. */
struct webhook_taken {
	char id[DB_ID_SIZE];
	bool more;
	int64_t waiting;
};

/* done: on the writer's thread, when there is something to end. */
struct webhook_takes *webhook_takes_new(
	struct writer *writer, void (*done)(void *data), void *data);
/* Waits for what goes on; takes NULL, returns NULL. */
struct webhook_takes *webhook_takes_free(struct webhook_takes *t);
/* Rows for those webhooks, at most WEBHOOKS_MAX. Nothing is done while something goes on: false. */
bool webhook_takes_is_busy(const struct webhook_takes *t);
int webhook_takes_begin(
	struct webhook_takes *t, const struct webhook *const *hook, size_t n, struct err *e);
/* 1: it is on disk, and *ret is what came of it until the next begin; 0: it goes on, or there is none; < 0: nothing of it is. */
int webhook_takes_end(
	struct webhook_takes *t, const struct webhook_taken **ret, size_t *ret_n, struct err *e);
