/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fastboot actions share: the session of one step, over whatever the role leads to (usb:,
 * tcp:, udp:), its arguments, and what happens when the device restarts. On the worker's thread.
 */
#pragma once

#include "daemon/actions/common.h"
#include "transports/protocols/fastboot/fastboot_flash.h"

struct fastboot_step {
	struct step *s;
	const struct args *a;
	const char *port;
	struct fastboot *f;	      /* NULL while the device is away */
	char serial[UNIT_NAME_BYTES]; /* what it says of itself, "" where it says nothing */
};

#define ARG_ROWS_FASTBOOT                                                                     \
	ARG_ROW_PORT_OF(PORT_KIND_USB | PORT_KIND_TCP | PORT_KIND_UDP, "role of the device"), \
		{.name = "profile",                                                           \
			.type = ARG_CHOICE,                                                   \
			.def = "android",                                                     \
			.choices = fastboot_profiles,                                         \
			.doc = "embedded: a NUL after each command, no getvar, no sparse "    \
			       "images, bulk endpoints 0x01 and 0x81 of any interface"},      \
	{                                                                                     \
		.name = "command_max", .type = ARG_INT, .def = "64", .low = 16, .high = 4095, \
		.unit = "bytes", .doc = "longest command that the device takes"               \
	}

#define ARG_ROW_DOWNLOAD_TIMEOUT                                                \
	{                                                                       \
		.name = "download_timeout", .type = ARG_DURATION, .def = "60s", \
		.doc = "of silence before and after the data"                   \
	}

#define ARG_ROW_ALLOW_LOCKED                                              \
	{                                                                 \
		.name = "allow_locked", .type = ARG_BOOL, .def = "false", \
		.doc = "go on with a device that says that it is locked"  \
	}

#define ARG_ROW_SLOT(text)                                      \
	{                                                       \
		.name = "slot", .type = ARG_STRING, .doc = text \
	}

extern const char *const fastboot_profiles[];

int fastboot_step_open(
	struct fastboot_step *x, struct step *s, const struct args *a, struct err *e);
/* Closes the device too: no session outlives its step. */
void fastboot_step_done(struct fastboot_step *x);
bool fastboot_step_embedded(const struct fastboot_step *x);

/* -ERR_DEVICE_REFUSED for a locked device, unless `allow_locked`; evidence "lock". */
int fastboot_step_unlocked(struct fastboot_step *x, struct step_result *out, struct err *e);

/* What the device calls itself; "" where it does not say. */
int fastboot_step_serial(
	struct fastboot_step *x, const struct iotime *it, char ret[UNIT_NAME_BYTES], struct err *e);

/* Before a command that makes it restart. */
int fastboot_step_leaving(struct fastboot_step *x, struct err *e);
/* After it: waits until it has left, is back and answers as fastboot again, and is the same unit by
 * its serialno. */
int fastboot_step_back(struct fastboot_step *x, const struct iotime *it, struct err *e);
/* After it: waits until it has left, and for one of USB until something is back on its port that is
 * not in fastboot any more. facts may be NULL. */
int fastboot_step_away(
	struct fastboot_step *x, const struct iotime *it, json_t **ret_facts, struct err *e);

/* One image's evidence. */
json_t *fastboot_flashed_json(const struct blob *image, const struct fastboot_flashed *t);
