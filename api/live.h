/* SPDX-License-Identifier: Apache-2.0
 *
 * One client of the live events, as the read side of a stream (struct stream_ops):
 *
 *   subscribed to the feed ─> BEHIND: pages of the database ─(no more)─> LIVE: the feed's items ─> ENDED
 *                               ^                                         │                       │
 *                               └────────(more came than the ring has)────┘                       └ slow, or no longer allowed
 *
 * It holds no copy of what it sends: items are the feed's. A client that is late by more than the feed's ring reads the
 * database again, and gets a `resync` event when it is there: transient frames were left out. One to which that happens
 * while it was not up to date for a minute is too slow for the line: it gets an `end` event that says so and the place to go
 * on from, and its stream ends. Used by one thread at a time, but for what the feed calls.
 */
#pragma once

#include <jansson.h>

#include "daemon/line/feed.h"
#include "db/readers.h"

struct live;

struct live_opts {
	struct readers *readers;
	struct feed *feed;
	const json_t *scopes; /* api/scope.h; lives longer than the client */
	/* What it asks for; each may be NULL: everything. types as events_types(). Copied. */
	const char *types, *station, *job, *run, *serial;
	bool log;      /* also run-log */
	bool beats;    /* heartbeats as events, each second; else as comments, each 10 s */
	int64_t after; /* the last event that it knows; -1: it begins with what comes */
	bool (*allowed)(void *data); /* whether it may still listen; asked at each read */
	void (*notify)(void *data);  /* as of struct feed_opts */
	void *data;
};

/* It is read after live_begin(). now_us: monotonic. */
struct live *live_new(const struct live_opts *o, uint64_t now_us);
/* Takes NULL. */
struct live *live_free(struct live *l);
/* What happens from here on is seen; notify() is called from now on. last: the newest event of the database as it
 * was read before, for a client that knows none. */
void live_begin(struct live *l, int64_t last);
/* As stream_ops.read. */
long live_read(struct live *l, char *buf, size_t size, uint64_t now_us);
