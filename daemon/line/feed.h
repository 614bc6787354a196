/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens on the line, as it happens, to its subscribers. Durable events come from the writer
 * after their commit, in the order of their sequence numbers; transient ones (progress, station
 * views) have no number and are not kept. Any thread.
 *
 * A subscriber reads at its own pace out of one ring of items, which are rendered once and shared;
 * one that is late by more than the ring learns that from its read. A thread of the feed wakes the
 * subscribers, so that whoever publishes waits for none of them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* What a piece of news is about; NULL or "": nothing of that kind. */
struct feed_news {
	int64_t seq; /* 0: transient */
	const char *type;
	const char *station, *job, *run, *serial;
};

/* Immutable, shared by those who read it. */
struct feed_item {
	int refs; /* atomic */
	struct feed_news news;
	const char *json; /* the whole event, without a NUL at its end */
	size_t json_len;
	/* The same as a frame of text/event-stream (HTML standard, 9.2.6), which holds it. */
	const char *frame;
	size_t frame_len;
};

/* One that is not published: of an event that was read from the database. json is copied. */
struct feed_item *feed_item_new(const struct feed_news *n, const char *json);
struct feed_item *feed_item_unref(struct feed_item *i);

struct feed;
struct feed_sub;

struct feed_opts {
	/* Whether the subscriber wants to hear of it; NULL: of all. Under the lock of the feed: it must not
	 * block, nor call the feed. */
	bool (*wants)(const void *data, const struct feed_news *n);
	/* There is something to read. By a thread of the feed that holds no lock that a publisher needs: it
	 * must not block. */
	void (*notify)(void *data);
	void *data;
};

int feed_new(size_t ring, struct feed **ret, struct err *e);
struct feed *feed_free(struct feed *f); /* after all subscribers; takes NULL */

/* json is one line, and copied. */
void feed_publish(struct feed *f, const struct feed_news *n, const char *json);
/* The sequence number of the last durable event seen; 0 if none yet. */
int64_t feed_last_seq(struct feed *f);

/* From now on: a durable event that is not in the ring then is in the database already. */
struct feed_sub *feed_subscribe(struct feed *f, const struct feed_opts *o);
/* After return neither wants() nor notify() is called any more. Takes NULL. */
struct feed_sub *feed_unsubscribe(struct feed_sub *s);
/* 1 with *ret (a reference for the caller), 0 if there is nothing new, -1 once if items were missed: the
 * next call goes on with the oldest that there is. */
int feed_next(struct feed_sub *s, struct feed_item **ret);
/* As if it had subscribed only now. */
void feed_rejoin(struct feed_sub *s);
