/* SPDX-License-Identifier: Apache-2.0
 *
 * The serial line of one board, both directions: what came from the host and is still "on the way",
 * and what the board has to say and from when on. Time is given, never asked for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/pace.h"

#define WIRE_RX_CAP 8192u
/* While a long answer streams, bytes are handed over on this grid, which all boards share: one
 * wake-up serves them all. The end of an answer is never delayed by it. */
#define WIRE_GRID_US 10000ull

struct wire_item;

struct wire {
	struct pace rx_pace;
	uint8_t rx[WIRE_RX_CAP];
	size_t rx_pos, rx_end;
	size_t rx_old;	     /* bytes at the front that belong to runs before this one */
	uint64_t rx_old_due; /* when the last of them was through */
	uint64_t rx_taken;   /* bytes of this run that were popped */

	struct pace tx_pace;
	struct wire_item *tx_head, *tx_tail;
	uint64_t tx_bytes; /* queued */
};

void wire_init(struct wire *w, uint32_t baud);
/* Forgets all that is under way (power off). */
void wire_reset(struct wire *w);

static inline size_t wire_rx_len(const struct wire *w)
{
	return w->rx_end - w->rx_pos;
}

static inline const uint8_t *wire_rx_peek(const struct wire *w)
{
	return w->rx + w->rx_pos;
}

size_t wire_rx_room(const struct wire *w);
/* At most wire_rx_room() bytes, which the host handed over at now_us. */
void wire_rx_push(struct wire *w, const void *p, size_t n, uint64_t now_us);
/* How many queued bytes are through at now_us. */
size_t wire_rx_ready(const struct wire *w, uint64_t now_us);
/* When the byte at index i of the queue is through. */
uint64_t wire_rx_due(const struct wire *w, size_t i);
void wire_rx_pop(struct wire *w, size_t n);

/* alone: handed to the link by itself, not joined with what follows. */
void wire_tx_push(struct wire *w, uint64_t ready_us, bool alone, const void *p, size_t n);
/* What is through at now_us, at most size bytes. */
size_t wire_tx_take(struct wire *w, void *buf, size_t size, uint64_t now_us);
/* When to call wire_tx_take again, or NEVER. */
uint64_t wire_tx_due(const struct wire *w);
