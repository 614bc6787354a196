/* SPDX-License-Identifier: Apache-2.0
 *
 * The sender of IPC-CFX (`cfx` of provd.yaml): one thread with one connection (transports/links/amqp.h) and a link
 * for each address, each of which is a place in the table of events as a webhook is (db/webhooks.h).
 *
 *	take ──> row, its messages (cfx_messages.h) one after another ──> all accepted: the row is done
 *	           │
 *	           └── not accepted: the row is sent again from its first message, under the same UniqueIDs
 *
 * At least once: what the broker accepted and could not say so comes twice, with one UniqueID. Of one unit one row
 * at a time is under way. A message that is not taken is tried later each time, and put aside after `give_up`; an
 * address, or a broker, that takes nothing at all is tried by itself, and no row is put off for it (retries.h).
 * EndpointConnected, Heartbeat and EndpointShuttingDown go out when they are true, and wait for nobody.
 * Nothing goes out while the records are held.
 */
#pragma once

#include "base/err.h"

struct line_services;
struct cfx;

/* Starts the thread, which does nothing without `cfx`. The services outlive it. */
int cfx_start(
	const struct line_services *line, const char *db_path, struct cfx **ret, struct err *e);
/* Says goodbye where it can at once, and breaks off what goes on; NULL is fine. */
struct cfx *cfx_free(struct cfx *c);
/* Something was changed (the configuration too), or a person said so: what waits for a time is tried now. Any
 * thread. */
void cfx_poke(struct cfx *c);
