/* SPDX-License-Identifier: Apache-2.0
 *
 * Things of which the installation has one, and several stations want it: one has it at a time, in the order in which
 * they asked. A station waits for one thing at a time, so that it comes again after all who wait: nobody
 * starves. Any thread.
 */
#pragma once

#include <stdint.h>

#include "base/iotime.h"
#include "base/util.h"

struct link_queue;
struct link_pass; /* who has it */

/* What is known of the thing by whoever had it last, zeroed at first: bytes of the holder's own. */
#define LINK_MEMO_BYTES 64

struct link_queue *link_queue_new(void);
struct link_queue *link_queue_free(
	struct link_queue *q); /* nobody has or wants anything; takes NULL */

/* Waits until the thing of that name is free. -ERR_TIMEOUT or the cancel's reason. The caller leaves. */
int link_queue_enter(struct link_queue *q, const char *name, const struct iotime *it,
	struct link_pass **ret, struct err *e);
struct link_pass *link_pass_leave(struct link_pass *p); /* takes NULL, returns NULL */
/* LINK_MEMO_BYTES, aligned for any value. */
void *link_pass_memo(struct link_pass *p);
/* Turns are counted from 1. */
struct link_turns {
	uint64_t asked; /* the newest turn when it was asked for */
	uint64_t turn;	/* the turn that this is: at most one of each other thread lies between */
	uint64_t waited_us;
};
struct link_turns link_pass_turns(const struct link_pass *p);
