/* SPDX-License-Identifier: Apache-2.0
 *
 * What the DFU actions share: a step's session with the memory that it means. On the worker's
 * thread, like all actions.
 */
#pragma once

#include "daemon/actions/common.h"
#include "transports/protocols/dfu/dfu_usb.h"
#include "transports/protocols/dfu/dfuse.h"

#define ARG_ROW_USB ARG_ROW_PORT_OF(PORT_KIND_USB, "role of the USB device")
#define ARG_ROW_SAME_SERIAL                                                          \
	{                                                                            \
		.name = "same_serial", .type = ARG_BOOL, .def = "true",              \
		.doc = "false: the device has another USB serial number in DFU mode" \
	}
#define ARG_ROWS_MEMORY                                                                            \
	ARG_ROW_USB,                                                                               \
		{.name = "alt",                                                                    \
			.type = ARG_STRING,                                                        \
			.doc = "the memory: name or number of the alternate setting; default the " \
			       "first"},                                                           \
		{.name = "detach",                                                                 \
			.type = ARG_BOOL,                                                          \
			.def = "true",                                                             \
			.doc = "a device in run-time mode is brought into DFU mode first"},        \
		ARG_ROW_SAME_SERIAL

#define DFU_APPLICATION "0x08000000"
#define ARG_ROWS_START                                                                \
	{.name = "start",                                                             \
		.type = ARG_SIZE,                                                     \
		.def = DFU_APPLICATION,                                               \
		.doc = "the application's vector table, for leaving"},                \
	{                                                                             \
		.name = "returns", .type = ARG_BOOL, .def = "false",                  \
		.doc = "wait until it comes back on the same port as the application" \
	}

struct dfu_step {
	struct step *s;
	const struct args *a;
	struct usb *usb; /* the environment's */
	struct dfu_targets targets;
	const struct dfu_target *target;
	struct dfuse_map map; /* of a DfuSe target */
	struct dfu_usb port;
	struct dfu dfu;
	bool detached;		       /* it was in run-time mode before */
	uint16_t first_vid, first_pid; /* as it was found */
};

/* Opens the device, detaches it where it is in run-time mode, and takes the memory of `alt`, idle.
 */
int dfu_step_open(struct dfu_step *x, struct step *s, const struct args *a, struct err *e);
/* Closes the device, also where dfu_step_open() failed. */
void dfu_step_done(struct dfu_step *x);
/* Before the device leaves, and after: its return on the same port. */
int dfu_step_replug(struct dfu_step *x, struct err *e);
int dfu_step_back(struct dfu_step *x, struct device_facts *ret, struct err *e);
/* Which device and memory it was. */
void dfu_step_evidence(const struct dfu_step *x, struct step_result *out);
/* Leaves DFU mode for the application at `start`, and waits for its return where `returns` says so.
 */
int dfu_step_start(struct dfu_step *x, struct step_result *out, struct err *e);
/* Which targets of a DfuSe container are written: all but those in `skip`, by number or by the name
 * of the memory; each has a memory of the device that takes it, so that none is written where one
 * does not fit. write[n] for target n; the names of the others are added to left_out. Codes of
 * dfu_pick(), dfuse_map_parse() and dfuse_check(); -ERR_INVALID where nothing is left. */
int dfu_choose_targets(const struct dfu_targets *l, const json_t *skip, const struct image *i,
	const struct dfuse_options *o, bool write[256], json_t *left_out, struct err *e);
/* -ERR_UNSUPPORTED for a device of plain DFU. */
int dfu_step_need_dfuse(const struct dfu_step *x, const char *what, struct err *e);
