/* SPDX-License-Identifier: Apache-2.0
 *
 * What carries the requests of this wing to a USB device: one control transfer, as usb_control() (links/usb.h) has
 * it, so that hubs and relays are tested in one process.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"

struct usb;

struct power_usb {
	int (*control)(void *data, uint8_t type, uint8_t request, uint16_t value, uint16_t index,
		void *buf, uint16_t n, uint16_t *ret_n, const struct iotime *it, struct err *e);
	void *data;
};

/* Over a device that is open, which the caller keeps. */
struct power_usb power_usb_of(struct usb *u);
