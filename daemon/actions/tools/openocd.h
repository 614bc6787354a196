/* SPDX-License-Identifier: Apache-2.0
 *
 * What the actions openocd.* share: the probe and target as the arguments and the port say, the
 * images, and what every run reports.
 */
#pragma once

#include "daemon/actions/common.h"
#include "daemon/actions/image_json.h"
#include "transports/tools/openocd.h"
#include "transports/tools/openocd_server.h"

extern const char *const openocd_selects[];
extern const char *const openocd_enters[];
extern const char *const openocd_leaves[];

/* Which adapter and which target; needed: whether the target has to be named. */
#define OPENOCD_ROWS_ADAPTER(needed)                                                             \
	{.name = "interface",                                                                    \
		.type = ARG_STRING,                                                              \
		.doc = "of OpenOCD's own: stlink, jlink, cmsis-dap, ftdi/NAME; or a "            \
		       ".cfg file. Not used for a probe at a TCP address"},                      \
		{.name = "target",                                                               \
			.type = ARG_STRING,                                                      \
			.required = (needed),                                                    \
			.doc = "of OpenOCD's own: stm32f4x, nrf52; or a .cfg file, as "          \
			       "board/NAME.cfg"},                                                \
		{.name = "select",                                                               \
			.type = ARG_CHOICE,                                                      \
			.def = "auto",                                                           \
			.choices = openocd_selects,                                              \
			.doc = "how OpenOCD finds the station's probe: by the serial number of " \
			       "the USB device, by its port where it has none (auto; not with "  \
			       "cmsis-dap), or the only one"},                                   \
		{.name = "serial",                                                               \
			.type = ARG_STRING,                                                      \
			.doc = "the probe's serial number, where OpenOCD has another than USB"}, \
		{.name = "transport", .type = ARG_STRING, .doc = "swd, jtag, hla_swd, ..."},     \
		{.name = "speed",                                                                \
			.type = ARG_INT,                                                         \
			.unit = "kHz",                                                           \
			.low = 1,                                                                \
			.high = 100000,                                                          \
			.doc = "by default as the target file says"},                            \
		{.name = "work_area",                                                            \
			.type = ARG_SIZE,                                                        \
			.unit = "bytes",                                                         \
			.doc = "RAM that OpenOCD may use for its helpers; 0: none"},             \
	{                                                                                        \
		.name = "setup", .type = ARG_LIST,                                               \
		.doc = "more commands of OpenOCD's before init: 'reset_config srst_only'"        \
	}

/* All but `stay`. */
#define OPENOCD_ROWS_TARGET                                                                      \
	{.name = "port",                                                                         \
		.type = ARG_PORT,                                                                \
		.ports = PORT_KIND_PROBE | PORT_KIND_USB | PORT_KIND_TCP,                        \
		.required = true,                                                                \
		.doc = "role of the probe: a USB device, or the TCP address of one that speaks " \
		       "remote_bitbang"},                                                        \
		OPENOCD_ROWS_ADAPTER(true)

#define OPENOCD_ROWS_PROBE                                                                   \
	OPENOCD_ROWS_TARGET,                                                                 \
	{                                                                                    \
		.name = "stay", .type = ARG_BOOL, .def = "false",                            \
		.doc = "let OpenOCD run on for the next unit; it holds the probe until then" \
	}

#define OPENOCD_ROW_BEFORE(d)                                                                \
	{                                                                                    \
		.name = "before", .type = ARG_CHOICE, .def = (d), .choices = openocd_enters, \
		.doc = "what is done with the core before the work"                          \
	}
#define OPENOCD_ROW_AFTER(d)                                                                \
	{                                                                                   \
		.name = "after", .type = ARG_CHOICE, .def = (d), .choices = openocd_leaves, \
		.doc = "what is done with the core afterwards"                              \
	}

#define OPENOCD_SETUP_ARGS (OPENOCD_SETUP_MAX + 2)

/* One step's OpenOCD. */
struct openocd_step {
	struct step *s;
	const struct args *a;
	struct openocd_probe probe;
	struct openocd_job job;
	struct openocd_result result;
	struct device_facts facts;
	char host[128];
	char work_dir[FILE_PATH_BYTES];
	const char *setup[OPENOCD_SETUP_ARGS];
	struct image *image[OPENOCD_IMAGES_MAX];
};

/* Fills probe, enter and leave; of arguments that an action does not have the defaults. Strings of the arguments and facts are borrowed. */
int openocd_step_init(struct openocd_step *x, struct step *s, const struct args *a, struct err *e);
/* The facts of the port and, of a TCP address, host and port in the probe: for another program on the same probe. */
int openocd_step_facts(struct openocd_step *x, struct step *s, const struct args *a, struct err *e);
/* Loads one more image; address: IMAGE_NO_ADDRESS, or where a raw binary begins. */
int openocd_step_image(struct openocd_step *x, const char *ref, uint64_t address, struct err *e);
/* Runs x->job, and puts into the evidence what every run reports. */
int openocd_step_run(struct openocd_step *x, struct step_result *out, struct err *e);
/* An OpenOCD of this step alone, with the core as `before` says, for openocd_server_ask(): none of an earlier
 * unit, and nothing is in its command line. *ret belongs to the caller, who ends it with openocd_step_end(). */
int openocd_step_begin(struct openocd_step *x, struct openocd_server **ret, struct step_result *out,
	struct err *e);
/* Leaves the core as `after` says; what goes wrong there is in the log alone. server may be NULL. */
void openocd_step_end(struct openocd_step *x, struct openocd_server *server);
void openocd_step_done(struct openocd_step *x);
