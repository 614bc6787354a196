/* SPDX-License-Identifier: Apache-2.0
 *
 * The sender: one thread that carries the rows of the outbox (db/outbox.h) out, in the order of each
 * unit.
 *
 *	begin (durable) ──> act ──> done       the other side has it
 *	                     │ └──> refused    never: a person is needed
 *	                     └────> put off    not now: again, later each time, never by the same time
 *
 * An attempt that a crash or a full disk cut off is begun again, and the action looks first: it is told
 * that an earlier attempt may have had its effect. A service that is away is asked for one row alone,
 * and its other rows wait with that one. Nothing goes out while the records are held (holds.h).
 */
#pragma once

#include "base/err.h"

struct line_services;
struct outbox;

/* Starts the thread. The services outlive it. */
int outbox_start(
	const struct line_services *line, const char *db_path, struct outbox **ret, struct err *e);
/* Ends what goes on; NULL is fine. */
struct outbox *outbox_free(struct outbox *o);
/* A person said so: services that were away are asked again now. Any thread. */
void outbox_poke(struct outbox *o);
