/* SPDX-License-Identifier: Apache-2.0
 *
 * The open streams of server-sent events, and the gate of the stop: code that suspends a connection
 * asks here, so that nothing is suspended any more once the stop has begun (libmicrohttpd does not
 * stop while a connection is suspended). Only api/httpd*.c sees this. Any thread.
 */
#pragma once

#include <microhttpd.h>

#include "api/http.h"

struct streams;

/* Live streams that one principal may have. */
#define STREAMS_LIVE_OF_ONE 1024

struct streams *streams_new(void);
/* When no stream is left. */
struct streams *streams_free(struct streams *ss);

/* As stream_new(). */
struct stream *streams_add(struct streams *ss, enum stream_kind kind, const struct stream_ops *ops,
	void *data, const char *owner);
/* The answer to a connection, which owns the stream from now on; NULL: as before. */
struct MHD_Response *stream_response(struct stream *s, struct MHD_Connection *c);
/* Of a stream that was not answered with. Takes NULL. */
void stream_drop(struct stream *s);

/* Suspends the connection and calls `then` before the stop can go on; false after it began. */
bool streams_suspend(
	struct streams *ss, struct MHD_Connection *c, void (*then)(void *data), void *data);
/* Wakes all, so that a dead peer is noticed by what is written to it. */
void streams_wake_all(struct streams *ss);
/* The stop: each stream ends. */
void streams_stop(struct streams *ss);
