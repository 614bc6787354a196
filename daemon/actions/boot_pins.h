/* SPDX-License-Identifier: Apache-2.0
 *
 * How a board gets into its boot ROM and out of it by the modem lines of its port, as arguments that
 * any family may have. On the worker's thread.
 */
#pragma once

#include "daemon/recipe/action.h"
#include "transports/links/lines.h"

#define ARG_ROWS_BOOT_PINS                                                                 \
	{.name = "enter",                                                                  \
		.type = ARG_STRING,                                                        \
		.doc = "steps of the modem lines that start the boot ROM: 'dtr=1, rts=1, " \
		       "10ms, rts=0, 100ms'; by default it is running already"},           \
	{                                                                                  \
		.name = "exit", .type = ARG_STRING,                                        \
		.doc = "steps of the modem lines at the end of the step, however it "      \
		       "ended"                                                             \
	}

struct boot_pins {
	struct line_steps enter, exit; /* n 0: none */
};

/* -ERR_INVALID names the step. */
int boot_pins_parse(const struct args *a, struct boot_pins *ret, struct err *e);
int boot_pins_enter(
	const struct boot_pins *p, struct link *l, const struct iotime *it, struct err *e);
/* Within a time of its own: also of a step that failed or was cancelled. */
void boot_pins_leave(const struct boot_pins *p, struct link *l);
