/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a USB device: usb.c (opening, interfaces), usb_transfer.c (what goes over it),
 * usb_sysfs.c (which device an address means).
 */
#pragma once

#include <libusb.h>

#include "transports/links/usb.h"

struct usb {
	struct usb_facts facts;
	libusb_context *ctx;
	libusb_device_handle *handle;
	struct libusb_config_descriptor *config;
	int fd;
	struct usb_interface *interface;
	size_t interfaces;
	uint32_t claimed;  /* a bit for each interface number below 32 */
	uint16_t language; /* of strings; 0: not asked yet */
	bool wedged;	   /* the kernel never gave a transfer back: it may not be freed */
};

/* -code of a libusb error, with the sentence "what: ...". */
int usb_err(struct err *e, int libusb_code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Finds the device of an address in sysfs. */
int usb_sysfs_find(const char *address, struct usb_facts *ret, struct err *e);
/* Whether the kernel has chosen a configuration: before, there are no interfaces. Also true of a
 * device that is gone: usb_open() finds that. */
bool usb_sysfs_configured(const struct usb_facts *f);
/* Who else holds that interface: the name of a driver or program, "another program" if unknown. */
void usb_holder(const struct usb_facts *f, unsigned interface, char *ret, size_t size);
