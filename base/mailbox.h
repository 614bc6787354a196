/* SPDX-License-Identifier: Apache-2.0
 *
 * A bounded queue of owned pointers from many threads to one, with an eventfd to poll. What does
 * not fit is refused to the sender (-ERR_OVERLOADED), who keeps it: nothing is dropped in silence.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "base/iotime.h"

struct mailbox;

/* free_item destroys what is left when the box is freed. */
int mailbox_new(size_t capacity, void (*free_item)(void *), struct mailbox **ret, struct err *e);
struct mailbox *mailbox_free(struct mailbox *m);
/* Any thread. On success the box owns item. */
int mailbox_post(struct mailbox *m, void *item, struct err *e);
/* Readable while the box is not empty. */
int mailbox_fd(const struct mailbox *m);
/* Receiver only: the oldest item, owned by the caller, or NULL. Never waits. */
void *mailbox_take(struct mailbox *m);
/* Receiver only: waits; 0 with *ret set, or the error of iotime_wait. */
int mailbox_wait(struct mailbox *m, const struct iotime *it, void **ret, struct err *e);
