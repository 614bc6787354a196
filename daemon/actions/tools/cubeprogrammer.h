/* SPDX-License-Identifier: Apache-2.0
 *
 * How cubeprogrammer.* reach a part: the rows of their arguments, and the target made of them.
 */
#pragma once

#include "daemon/actions/tool_step.h"
#include "transports/tools/cubeprogrammer.h"

extern const char *const cube_interfaces[];

/* node has the serial line of interface UART, whose link is closed for the program, and outlives ret. */
int cube_target_of(struct step *s, const struct args *a, char node[LINK_ADDRESS_BYTES],
	struct cube_target *ret, struct err *e);

#define CUBE_ROWS_TARGET                                                                               \
	{.name = "interface",                                                                          \
		.type = ARG_CHOICE,                                                                    \
		.def = "SWD",                                                                          \
		.choices = cube_interfaces,                                                            \
		.doc = "an ST-LINK's SWD or JTAG, or the boot ROM over USB or a serial line"},         \
		{.name = "serial",                                                                     \
			.type = ARG_STRING,                                                            \
			.doc = "serial number of the probe or USB device, where several are plugged"}, \
		{.name = "port",                                                                       \
			.type = ARG_PORT,                                                              \
			.ports = PORT_KIND_TTY,                                                        \
			.doc = "role of the serial line, for UART"},                                   \
		{.name = "baud",                                                                       \
			.type = ARG_INT,                                                               \
			.def = "115200",                                                               \
			.low = 1200,                                                                   \
			.high = 4000000,                                                               \
			.doc = "of the serial line"},                                                  \
		{.name = "speed",                                                                      \
			.type = ARG_INT,                                                               \
			.def = "4000",                                                                 \
			.low = 0,                                                                      \
			.high = 24000,                                                                 \
			.unit = "kHz",                                                                 \
			.doc = "of SWD or JTAG; 0: what the program chooses"},                         \
		{.name = "mode",                                                                       \
			.type = ARG_CHOICE,                                                            \
			.def = "UR",                                                                   \
			.choices = cube_modes,                                                         \
			.doc = "how SWD or JTAG connects: UR is under reset"},                         \
		{.name = "reset",                                                                      \
			.type = ARG_CHOICE,                                                            \
			.def = "HWrst",                                                                \
			.choices = cube_resets,                                                        \
			.doc = "of SWD or JTAG"},                                                      \
	{                                                                                              \
		.name = "access_port", .type = ARG_INT, .low = 0, .high = 255,                         \
		.doc = "of the debug port, for chips with several cores"                               \
	}
