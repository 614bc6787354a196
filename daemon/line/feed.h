/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens on the line, as it happens, to its subscribers. Durable events come from the writer
 * after their commit, in the order of their sequence numbers; transient ones (progress, station
 * views) have no number and are not kept. Any thread.
 *
 * A subscriber reads at its own pace out of one ring; one that is late by more than the ring
 * learns that from its read, and takes the durable ones from the database by cursor.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "db/db.h"

struct feed_item {
	int refs;    /* atomic */
	int64_t seq; /* 0: transient */
	char type[40];
	char station[DB_ID_SIZE];
	char job[DB_ID_SIZE]; /* "" of none */
	char *json;	      /* one line, the whole event */
};

struct feed_item *feed_item_unref(struct feed_item *i);

struct feed;
struct feed_sub;

struct feed *feed_new(size_t ring);
struct feed *feed_free(struct feed *f); /* after all subscribers */

/* json is copied; station and job may be NULL. */
void feed_publish(struct feed *f, int64_t seq, const char *type, const char *station,
	const char *job, const char *json);
/* The sequence number of the last durable event seen; 0 if none yet. */
int64_t feed_last_seq(struct feed *f);

/* From now on. notify is called, without a lock held, by the publishing thread after each publish:
 * it must not block. */
struct feed_sub *feed_subscribe(struct feed *f, void (*notify)(void *data), void *data);
/* After return notify is not called any more. */
struct feed_sub *feed_unsubscribe(struct feed_sub *s);
/* 1 with *ret (a reference for the caller), 0 if there is nothing new, -1 once if items were
 * missed. */
int feed_next(struct feed_sub *s, struct feed_item **ret);
