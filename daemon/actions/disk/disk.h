/* SPDX-License-Identifier: Apache-2.0
 *
 * What the actions on the disk of a unit share: which disk that is, the role's port says, and nothing else. On the worker's thread, like
 * all actions.
 */
#pragma once

#include "daemon/actions/common.h"
#include "transports/links/disk.h"
#include "transports/protocols/disk/disk_image.h"

#define ARG_ROWS_DISK                                                                             \
	ARG_ROW_PORT_OF(PORT_KIND_USB, "role of the USB device that shows the disk"),             \
		{.name = "lun",                                                                   \
			.type = ARG_INT,                                                          \
			.low = 0,                                                                 \
			.high = 255,                                                              \
			.doc = "which disk of a device that shows several; default the only one " \
			       "with a medium"},                                                  \
		{.name = "min_size",                                                              \
			.type = ARG_SIZE,                                                         \
			.unit = "bytes",                                                          \
			.doc = "a smaller disk is another one, and is not touched"},              \
		{.name = "max_size",                                                              \
			.type = ARG_SIZE,                                                         \
			.unit = "bytes",                                                          \
			.doc = "a larger disk is another one, and is not touched"},               \
	{                                                                                         \
		.name = "appears", .type = ARG_DURATION, .def = "15s",                            \
		.doc = "how long the machine may take to see the disk of the device"              \
	}

struct disk_step {
	struct step *s;
	const struct args *a;
	struct disk_facts f;
	struct disk *disk;
	struct disk_port port;
	struct teller tell;
};

/* Waits for the disk of the role's port, and opens it where its size is what the step expects. */
int disk_step_open(
	struct disk_step *x, struct step *s, const struct args *a, bool write, struct err *e);
/* Closes it, also where disk_step_open() failed. */
void disk_step_done(struct disk_step *x);
/* Which disk it was. */
void disk_step_evidence(const struct disk_step *x, struct step_result *out);
