/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that wait until something changes (RFC 7240, "wait"): their connections are suspended, and none holds a thread. Each is
 * carried out again when its topic changes or its time is over.
 *
 *	ticket = waits_ticket() ─> look ─> nothing new ─> waits_add(ticket) ─> waits_wake(topic), waits_tick() ─> ready()
 *
 * What changes between the look and waits_add() is not lost: the ticket says that something did. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define WAIT_TOPIC_SIZE 65

struct waits;

/* Embedded in what waits; ready() gets it back. */
struct wait {
	char topic[WAIT_TOPIC_SIZE];
	char owner[40];	   /* the principal's id */
	uint64_t until_us; /* 1 as it gets ready since its client has gone */
	uint64_t ticket;
	struct wait *next; /* the list's */
};

enum wait_added {
	WAIT_ADDED,    /* it is the list's, and may be ready already */
	WAIT_FULL,     /* too many, or too many of that principal */
	WAIT_STOPPING, /* nothing waits any more */
};

/* ready: of a thread that wakes, without a lock. total, of_one: how many may wait. */
struct waits *waits_new(
	unsigned total, unsigned of_one, void (*ready)(void *data, struct wait *w), void *data);
/* When nothing waits. Takes NULL, returns NULL. */
struct waits *waits_free(struct waits *ws);
uint64_t waits_ticket(struct waits *ws);
enum wait_added waits_add(struct waits *ws, struct wait *w);
/* topic NULL: all. */
void waits_wake(struct waits *ws, const char *topic);
/* Those whose time is over, and those whose client has gone, which keep no place from others. gone: under a lock, it must not
 * wait; NULL: nobody goes. */
void waits_tick(struct waits *ws, uint64_t now_us, bool (*gone)(const struct wait *w));
/* All are ready, and none is added any more. */
void waits_stop(struct waits *ws);
