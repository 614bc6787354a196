/* SPDX-License-Identifier: Apache-2.0
 *
 * How a board is brought into its boot ROM, and out of it, by the modem lines of its port: steps as
 * data, because the wiring differs from board to board.
 *
 *	"dtr=0, rts=1, 10ms, rts=0, 50ms"
 *
 * 1 asserts the line, which drives the pin of a TTL adapter low. brk=MS sends a break.
 */
#pragma once

#include <stddef.h>

#include "transports/links/link.h"

#define LINE_STEPS_MAX 32

struct line_steps {
	size_t n;
	struct {
		bool wait; /* else a control */
		enum link_control control;
		uint32_t arg;
		uint64_t wait_us;
	} step[LINE_STEPS_MAX];
};

/* -ERR_INVALID names the step. NULL and "" mean: no steps. A wait is 5 s at most. */
int line_steps_parse(const char *text, struct line_steps *ret, struct err *e);
/* A line that is asserted for hold_us and then given time: a reset. */
struct line_steps line_steps_pulse(enum link_control line, uint64_t hold_us, uint64_t wait_us);
/* -ERR_UNSUPPORTED where the link has no such line. */
int line_steps_run(
	struct link *l, const struct line_steps *s, const struct iotime *it, struct err *e);
