/* SPDX-License-Identifier: Apache-2.0
 *
 * PICOBOOT over a USB device: which of its interfaces speaks it, and the port of a session on it. On the worker's thread.
 */
#pragma once

#include "transports/links/usb.h"
#include "transports/protocols/picoboot/picoboot.h"

/* Which interface of a device in BOOTSEL mode it is. */
struct picoboot_usb {
	struct usb *usb;
	enum picoboot_chip chip;
	uint8_t interface, ep_out, ep_in;
};

/* Finds it: of class ff/00/00, with one bulk endpoint each way; the drive of the same device may be there or not. chip: "auto"
 * takes the chip from the USB ids, which a RP2350 can be given others by its OTP: "rp2040" and "rp2350" say it then.
 * -ERR_UNSUPPORTED for a device that does not speak it, with what to do about one that runs its application. Claims nothing. */
int picoboot_usb_find(struct picoboot_usb *x, struct usb *u, const char *chip, struct err *e);
/* Claims the interface. The device and x outlive the port. */
int picoboot_usb_open(struct picoboot_usb *x, struct picoboot_port *ret, struct err *e);
