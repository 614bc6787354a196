/* SPDX-License-Identifier: Apache-2.0
 *
 * The sender of events: one thread with several requests at a time (transports/links/http_many.h), for the
 * webhooks that are on record (db/webhooks.h).
 *
 *	take (rows of the next events) ──> send, up to 8 of a webhook ──> what came of it, with the next commit
 *
 * A row's id is on disk before its first byte, so that a receiver knows what comes twice. Of one unit one
 * row at a time is under way, and the next one follows once the receiver has taken it (webhook_queue.h). A webhook whose last attempt failed is tried with one row alone, later each
 * time; a row that others overtake has times of its own. Times are monotonic. Nothing goes out while the
 * records are held.
 */
#pragma once

#include "base/err.h"

/* The most descriptors that it has open: 64 webhooks with 8 requests each, each with its socket and, while
 * its host is looked up, two of libcurl's, and as many connections that are kept for a few seconds. */
#define WEBHOOKS_DESCRIPTORS (64 * 8 * 4 + 16)

struct line_services;
struct webhooks;

/* Starts the thread. The services outlive it. */
int webhooks_start(const struct line_services *line, const char *db_path, struct webhooks **ret,
	struct err *e);
/* Breaks off what goes on, which is sent again under its id; NULL is fine. */
struct webhooks *webhooks_free(struct webhooks *w);
/* Something was changed, or a person said so: what waits for a time is tried now. Any thread. */
void webhooks_poke(struct webhooks *w);
