/* SPDX-License-Identifier: Apache-2.0
 *
 * Which port of which hub a device hangs on, as sysfs shows it (Documentation/ABI/testing/sysfs-bus-usb), and the hub
 * itself, opened for its requests. On the worker's thread.
 */
#pragma once

#include "transports/links/usb.h"

struct usb_hub_port {
	char hub[USB_PORT_BYTES]; /* 1-8, or usb1: a root hub */
	unsigned port;		  /* from 1 */
};

/* Of a physical port as stations have it: ID_PATH of udev (pci-0000:00:14.0-usb-0:1.2), or the sysfs form (1-1.2);
 * of the device or of one interface. Of both root hubs of a controller the one of USB 2. -ERR_INVALID for another
 * text, -ERR_DEVICE_GONE where no such hub is plugged. */
int usb_hub_port_of(const char *path, struct usb_hub_port *ret, struct err *e);
/* The part of it that needs no machine: "1-8.2" is port 2 of 1-8, "1-8" port 8 of usb1. false for another text. */
bool usb_hub_port_parse(const char *name, struct usb_hub_port *ret);
/* "1-8.2": what a device there is called. */
void usb_hub_port_name(const struct usb_hub_port *p, char ret[USB_PORT_BYTES]);
/* Whether a device is there now. */
bool usb_hub_port_taken(const struct usb_hub_port *p);
/* Whether `port` is that place, or behind a hub that hangs there. */
bool usb_hub_port_holds(const struct usb_hub_port *p, const char *port);
/* The same socket on the hub of the other speed (of USB 3 for USB 2), as the kernel has paired them: from ACPI, or by
 * the numbers of the ports from paired root hubs down. false: there is none. */
bool usb_hub_port_peer(const struct usb_hub_port *p, struct usb_hub_port *ret);

/* The hub, and whether it is of USB 3. As usb_open(); -ERR_POWER_NOT_SWITCHABLE where that is another device. Nothing of it
 * is claimed: the kernel's driver stays. */
int usb_hub_open(
	const char *hub, const struct iotime *it, struct usb **ret, bool *ret_super, struct err *e);
/* While a port is claimed, the kernel leaves it alone: else it gives the power back that somebody took away, as soon
 * as it sees that a device has gone (drivers/usb/core/hub.c). What comes on a claimed port gets no configuration.
 * Released with the hub as well. */
int usb_hub_claim(struct usb *u, unsigned port, struct err *e);
void usb_hub_release(struct usb *u, unsigned port);
