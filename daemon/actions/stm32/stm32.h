/* SPDX-License-Identifier: Apache-2.0
 *
 * What the actions stm32.* share: the link as the boot ROM wants it, and the arguments that say
 * how a board gets there.
 */
#pragma once

#include "daemon/actions/boot_pins.h"
#include "daemon/actions/common.h"
#include "transports/protocols/stm32/stm32_uart.h"

extern const char *const stm32_parities[];

struct stm32_session;
/* Read-out protection of level 2: for ever, and so with a second person. The session is open. */
int stm32_level2(struct stm32_session *x, struct step_result *out, struct err *e);
int stm32_level2_observe(struct stm32_session *x, struct observation *ret, struct err *e);

#define STM32_ROWS_SESSION                                                                         \
	{.name = "parity",                                                                         \
		.type = ARG_CHOICE,                                                                \
		.def = "even",                                                                     \
		.choices = stm32_parities,                                                         \
		.doc = "of the link while the step runs. The boot ROM wants even; 'none' is for "  \
		       "links that have none of their own (a pty, a TCP serial server)"},          \
		{.name = "baud",                                                                   \
			.type = ARG_INT,                                                           \
			.unit = "baud",                                                            \
			.low = 1200,                                                               \
			.high = 4000000,                                                           \
			.doc = "while the step runs; by default the port's. The ROM measures it"}, \
		ARG_ROWS_BOOT_PINS,                                                                \
		{.name = "pages",                                                                  \
			.type = ARG_STRING,                                                        \
			.doc = "of a part that the table does not know, or that its option bytes " \
			       "made another: '4*16K,64K,7*128K'"},                                \
	{                                                                                          \
		.name = "flash_size", .type = ARG_SIZE, .unit = "bytes",                           \
		.doc = "of this part; by default what its size register says"                      \
	}

#define STM32_ROWS_READY                                                       \
	{.name = "ready",                                                      \
		.type = ARG_REGEX,                                             \
		.doc = "the line by which the application says that it runs"}, \
	{                                                                      \
		.name = "ready_timeout", .type = ARG_DURATION, .def = "10s",   \
		.doc = "for the line of 'ready'"                               \
	}

/* One boot ROM in one step. */
struct stm32_session {
	struct step *s;
	const struct args *a;
	struct link *link;
	struct stm32 *rom;
	struct boot_pins pins;
};

/* Sets the link up and connects. End it with stm32_session_done(), whatever it returned. */
int stm32_session_open(
	struct stm32_session *x, struct step *s, const struct args *a, struct err *e);
/* Runs 'exit' and gives the link back as it was. Takes one that was never opened. */
void stm32_session_done(struct stm32_session *x);
/* What the ROM says of its part, into the evidence. */
void stm32_session_tell(struct stm32_session *x, struct step_result *out);
/* Starts what lies at the address and, with 'ready', waits for its line on the link as the
 * application wants it. */
int stm32_session_start(
	struct stm32_session *x, uint32_t address, struct step_result *out, struct err *e);
