/* SPDX-License-Identifier: Apache-2.0
 *
 * What the PICOBOOT actions share: a step's session with the boot ROM. On the worker's thread, like all actions.
 */
#pragma once

#include "daemon/actions/common.h"
#include "transports/protocols/picoboot/picoboot_flash.h"
#include "transports/protocols/picoboot/picoboot_usb.h"

extern const char *const picoboot_chips[];

#define ARG_ROWS_PICOBOOT                                                                         \
	ARG_ROW_PORT_OF(PORT_KIND_USB, "role of the USB device, in BOOTSEL mode"),                \
	{                                                                                         \
		.name = "chip", .type = ARG_CHOICE, .def = "auto", .choices = picoboot_chips,     \
		.doc = "auto: by its USB ids, which the OTP of a RP2350 can change; a chip that " \
		       "is said has to be the one that the ids say, where they say one"           \
	}

struct picoboot_step {
	struct step *s;
	const struct args *a;
	struct usb *usb; /* the environment's */
	struct picoboot_usb port;
	struct picoboot pico;
	bool session; /* pico is one: the interface is claimed */
	bool has_info;
	struct picoboot_info info; /* of a RP2350 */
};

/* Opens the device, claims its interface, and ends what an earlier session left. Of a RP2350 its chip id is the unit's identity
 * on this role. */
int picoboot_step_open(
	struct picoboot_step *x, struct step *s, const struct args *a, struct err *e);
/* Closes the device, also where picoboot_step_open() failed. */
void picoboot_step_done(struct picoboot_step *x);
/* Which device it was. */
void picoboot_step_evidence(const struct picoboot_step *x, struct step_result *out);
/* Restarts the chip and sees it leave; where `returns` says so, its return on the same port. */
int picoboot_step_reboot(struct picoboot_step *x, struct step_result *out, struct err *e);

#define ARG_ROWS_RETURNS                                                                     \
	{.name = "returns",                                                                  \
		.type = ARG_BOOL,                                                            \
		.def = "false",                                                              \
		.doc = "wait until it comes back on the same port as the application"},      \
	{                                                                                    \
		.name = "same_serial", .type = ARG_BOOL, .def = "false",                     \
		.doc = "true: the application has the USB serial number of BOOTSEL mode (a " \
		       "RP2040 never has)"                                                   \
	}
