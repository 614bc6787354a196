/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of one webhook that wait, as they were read: which one goes out next. Of a run, and of a unit, one row at a time is
 * under way, and the next one follows once the receiver has taken it: what came of it reaches the disk meanwhile.
 * A provd that is killed sends both again, in their order and under their ids.
 *
 *	load ──> next ─> next ─> ... ─> taken ─> next ...     until others wait, or another time came: load
 *
 * Of one thread.
 */
#pragma once

#include "db/webhooks.h"

/* So many of the oldest are looked at: far more than wait but for what people sent again. */
#define WEBHOOK_QUEUE_MAX 4096

struct webhook_queue;

struct webhook_queue *webhook_queue_new(void);
/* Takes NULL, returns NULL. */
struct webhook_queue *webhook_queue_free(struct webhook_queue *q);
/* What waits now, in place of what was read before. held: those that do not go out now, and what follows them; taken: those that
 * the receiver has, which are still on their way to the records. Arrays of n. */
int webhook_queue_load(struct webhook_queue *q, struct db *d, const char *webhook,
	const json_t *held, const json_t *taken, struct err *e);
/* The oldest that may go out: from then on it is held. NULL: none; valid until the next load. */
const struct waiting_row *webhook_queue_next(struct webhook_queue *q);
/* The receiver has it: what follows it may go out. */
void webhook_queue_taken(struct webhook_queue *q, int64_t n);
