/* SPDX-License-Identifier: Apache-2.0
 *
 * A label printer that takes ZPL II over a raw TCP port (9100): asks for its host status, sends a
 * format, and asks until it has come out. Source: Zebra, ZPL II Programming Guide, ~HS.
 *
 *	~HS -> status     not ready: nothing is sent; something waits: until it is out
 *	format ->
 *	~HS -> status     until no format waits and no label is left, twice: an answer has no number,
 *	                  and one that came twice would be older than the label
 *
 * A printer that does not answer ~HS gets the format too; then all that is known is that its TCP has
 * it. Runs on the worker that owns the link.
 */
#pragma once

#include "transports/links/link.h"

struct zpl_status {
	bool paper_out, paused, head_open, ribbon_out, buffer_full, partial, too_cold, too_hot;
	unsigned formats; /* that wait in its receive buffer */
	unsigned labels;  /* that are left of the batch */
};

#define ZPL_STATUS_BYTES 512

/* The three lines of an answer, STX to ETX each. -ERR_PROTOCOL. */
int zpl_status_read(const char *answer, size_t n, struct zpl_status *ret, struct err *e);
/* What keeps it from printing and what to do, a sentence; NULL: nothing. */
const char *zpl_status_trouble(const struct zpl_status *s);

struct zpl_report {
	uint64_t sent;		  /* bytes of the format that may have reached it */
	bool answers;		  /* it answers ~HS */
	bool printed;		  /* by its own status nothing is left to print */
	struct zpl_status status; /* the last one, where it answers */
};

/* Asks whether it can print, and waits until nothing of others is in it; sets *ret. 0 also where it gives
 * no status. -ERR_PRINTER with a sentence, or
 * the cancel's reason. */
int zpl_ready(struct link *l, uint64_t answer_us, const struct iotime *it, struct zpl_report *ret,
	struct err *e);
/* Sends the format, after zpl_ready() on the same link, whose report goes on. -ERR_PRINTER with a
 * sentence (the connection lost, no answer after it had answered, nothing to print with, the
 * deadline), or the cancel's reason. Where report->sent is not 0 a label may have come out, whatever
 * is returned. */
int zpl_print(struct link *l, const void *format, size_t n, uint64_t answer_us,
	const struct iotime *it, struct zpl_report *report, struct err *e);
