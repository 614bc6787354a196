/* SPDX-License-Identifier: Apache-2.0
 *
 * When a receiver of events is tried again, and each row that it did not take: what a sender (webhooks.h, cfx.h)
 * keeps of it next to the records. A receiver whose last attempt failed is tried with one row alone, later each
 * time; a row that others overtake has times of its own (webhook_rules.h). Times are monotonic. Of the sender's
 * thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "db/webhooks.h"

/* A row that was not taken. */
struct later {
	int64_t n;
	uint64_t tried_us, due_us;
};

struct retries {
	int64_t failures;	   /* in a row */
	uint64_t tried_us, due_us; /* of a receiver that took nothing; 0 */
	struct later *later;
	size_t laters;
};

/* Nothing goes to it before its time. */
bool retries_rest(const struct retries *r);
/* The row was taken, and so the receiver takes something. */
void retries_taken(struct retries *r, int64_t n);
/* An attempt that began then was in vain: what end->waited_ms and end->failing_ms are. attempts: those at the row
 * before this one. asked_ms: what the receiver asks for, 0 nothing. Those that were under way together count once. */
void retries_not_taken(struct retries *r, struct delivery_end *end, int64_t attempts,
	uint64_t begun_us, int64_t asked_ms);
/* The same where nobody was there to take anything: the row is not put off, only the receiver. */
void retries_not_there(struct retries *r, struct delivery_end *end, uint64_t begun_us);
/* Adds the rows that do not go out now to an array. */
void retries_not_now(const struct retries *r, json_t *list);
/* A person wants it now, or it was changed. */
void retries_now(struct retries *r);
void retries_done(struct retries *r);
