/* SPDX-License-Identifier: Apache-2.0
 *
 * A board as a real USB device of this machine's kernel, through vhci_hcd: one end of a socket pair
 * is given to the kernel, USB/IP requests (Documentation/usb/usbip_protocol.rst of Linux) are
 * answered on the other. One thread, with the loop. Needs root and the vhci-hcd module; meant for
 * the virtual machine of the tests.
 */
#pragma once

#include "sim/acm.h"
#include "sim/loop.h"
#include "sim/port.h"

struct vhci;

/* The device side of a connection; takes fd. The host is anyone who speaks USB/IP on the other end.
 */
int vhci_new(struct loop *l, int fd, const struct acm *acm, const struct port_ops *ops, void *data,
	struct vhci **ret, struct err *e);
/* Plugs it into socket 1..120: -ERR_BUSY while the kernel still clears the last device away. */
int vhci_plug(struct loop *l, unsigned socket, const struct acm *acm, const struct port_ops *ops,
	void *data, struct vhci **ret, struct err *e);
/* To the host a surprise: the device is gone. */
struct vhci *vhci_free(struct vhci *v);
DEFINE_CLEANUP(struct vhci, vhci_free)

/* As the functions of a port. */
bool vhci_blocked(const struct vhci *v);
void vhci_write(struct vhci *v, const void *p, size_t n);
void vhci_want_input(struct vhci *v);
