/* SPDX-License-Identifier: Apache-2.0
 *
 * A device on USB: a gadget as it is, a stream device as a CDC-ACM function. What port.c serves
 * where the link is vhci. One thread, with the loop.
 */
#pragma once

#include "sim/acm.h"
#include "sim/device.h"
#include "sim/port.h"
#include "sim/vhci.h"

struct usb_port;

/* Plugs it into at->socket. */
int usb_port_plug(struct loop *l, const struct port_place *at, const struct port_ops *ops,
	void *data, struct usb_port **ret, struct err *e);
/* The same on a connection of the caller's: the host is any program that speaks USB/IP on the other
 * end of fd. Takes fd. */
int usb_port_new(struct loop *l, int fd, const struct port_place *at, const struct port_ops *ops,
	void *data, struct usb_port **ret, struct err *e);
struct usb_port *usb_port_free(struct usb_port *p);
DEFINE_CLEANUP(struct usb_port, usb_port_free)

/* Of a stream device: as the functions of a port. */
bool usb_port_blocked(const struct usb_port *p);
void usb_port_write(struct usb_port *p, const void *bytes, size_t n);
/* Transfers that waited may go on now. */
void usb_port_poll(struct usb_port *p);
