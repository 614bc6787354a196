/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/wire.h"

#include <string.h>

#include "base/util.h"

struct wire_item {
	struct wire_item *next;
	uint64_t ready_us;
	bool alone;
	size_t len, pos;
	uint8_t data[];
};

void wire_init(struct wire *w, uint32_t baud)
{
	memset(w, 0, sizeof *w);
	w->rx_pace.baud = baud;
	w->tx_pace.baud = baud;
}

static void pop_item(struct wire *w)
{
	struct wire_item *it = w->tx_head;

	w->tx_head = it->next;
	if (!w->tx_head)
		w->tx_tail = NULL;
	free(it);
}

void wire_reset(struct wire *w)
{
	while (w->tx_head)
		pop_item(w);
	w->tx_bytes = 0;
	w->rx_pos = w->rx_end = w->rx_old = 0;
	w->rx_taken = w->rx_pace.bytes;
}

size_t wire_rx_room(const struct wire *w)
{
	return WIRE_RX_CAP - wire_rx_len(w);
}

void wire_rx_push(struct wire *w, const void *p, size_t n, uint64_t now_us)
{
	uint64_t last_due = pace_at(&w->rx_pace, 0);

	if (w->rx_end + n > WIRE_RX_CAP) {
		memmove(w->rx, wire_rx_peek(w), wire_rx_len(w));
		w->rx_end -= w->rx_pos;
		w->rx_pos = 0;
	}
	if (pace_begin(&w->rx_pace, now_us)) {
		w->rx_old = wire_rx_len(w);
		w->rx_old_due = last_due;
		w->rx_taken = 0;
	}
	memcpy(w->rx + w->rx_end, p, n);
	w->rx_end += n;
	w->rx_pace.bytes += n;
}

size_t wire_rx_ready(const struct wire *w, uint64_t now_us)
{
	uint64_t done = pace_done(&w->rx_pace, now_us);
	uint64_t fresh = done > w->rx_taken ? done - w->rx_taken : 0;

	return (size_t)MIN(fresh, wire_rx_len(w) - w->rx_old) + w->rx_old;
}

uint64_t wire_rx_due(const struct wire *w, size_t i)
{
	if (i < w->rx_old)
		return w->rx_old_due;
	return pace_of_run(&w->rx_pace, w->rx_taken + (i - w->rx_old) + 1);
}

void wire_rx_pop(struct wire *w, size_t n)
{
	size_t old = MIN(n, w->rx_old);

	w->rx_old -= old;
	w->rx_taken += n - old;
	w->rx_pos += n;
	if (w->rx_pos == w->rx_end)
		w->rx_pos = w->rx_end = 0;
}

void wire_tx_push(struct wire *w, uint64_t ready_us, bool alone, const void *p, size_t n)
{
	struct wire_item *it = xcalloc(1, sizeof *it + n);

	it->ready_us = ready_us;
	it->alone = alone;
	it->len = n;
	memcpy(it->data, p, n);
	if (w->tx_tail)
		w->tx_tail->next = it;
	else
		w->tx_head = it;
	w->tx_tail = it;
	w->tx_bytes += n;
}

size_t wire_tx_take(struct wire *w, void *buf, size_t size, uint64_t now_us)
{
	size_t n = 0;

	while (w->tx_head && n < size) {
		struct wire_item *it = w->tx_head;

		/* A byte that is not ready yet starts late; one after others follows them. */
		if (it->pos == 0)
			pace_begin(&w->tx_pace, it->ready_us);

		uint64_t done = pace_done(&w->tx_pace, now_us);
		uint64_t through = done > w->tx_pace.bytes ? done - w->tx_pace.bytes : 0;
		size_t k = (size_t)MIN(through, MIN(it->len - it->pos, size - n));

		memcpy((uint8_t *)buf + n, it->data + it->pos, k);
		it->pos += k;
		n += k;
		w->tx_pace.bytes += k;
		w->tx_bytes -= k;
		if (it->pos < it->len)
			break;

		bool alone = it->alone;

		pop_item(w);
		if (alone)
			break;
	}
	return n;
}

uint64_t wire_tx_due(const struct wire *w)
{
	const struct wire_item *it = w->tx_head;

	if (!it)
		return NEVER;

	struct pace p = w->tx_pace;

	if (it->pos == 0)
		pace_begin(&p, it->ready_us);

	uint64_t end = pace_at(&p, it->len - it->pos);
	uint64_t first = pace_at(&p, 1);
	uint64_t grid = (first + WIRE_GRID_US - 1) / WIRE_GRID_US * WIRE_GRID_US;

	return MIN(end, grid);
}
