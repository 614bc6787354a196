/* SPDX-License-Identifier: Apache-2.0
 *
 * A real USB device of this machine's kernel, through vhci_hcd: one end of a socket pair is given
 * to the kernel, USB/IP requests (Documentation/usb/usbip_protocol.rst of Linux) are answered on
 * the other. One thread, with the loop. Needs root and the vhci-hcd module; meant for the virtual
 * machine of the tests.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/util.h"
#include "sim/gadget.h"
#include "sim/loop.h"

struct vhci_ops {
	/* IN: how many bytes were put into buf (size at most); OUT: buf holds n bytes, 0. Or
	 * GADGET_STALL. */
	int (*control)(void *data, const uint8_t setup[8], uint8_t *buf, size_t n, size_t size);
	/* How many bytes of an OUT transfer's rest were taken: the others come again. Or
	 * GADGET_STALL, GADGET_NAK. n is 0 for a zero-length packet. */
	ssize_t (*out)(void *data, uint8_t ep, const uint8_t *p, size_t n);
	/* Ends an IN transfer with what was put into buf, or GADGET_STALL, GADGET_NAK. */
	ssize_t (*in)(void *data, uint8_t ep, uint8_t *buf, size_t size);
};

struct vhci;

/* The device side of a connection; takes fd. The host is any program that speaks USB/IP on the
 * other end.
 */
int vhci_new(struct loop *l, int fd, const struct vhci_ops *ops, void *data, struct vhci **ret,
	struct err *e);
/* Plugs it into socket 1..120: -ERR_BUSY while the kernel still clears the last device away. */
int vhci_plug(struct loop *l, unsigned socket, const struct vhci_ops *ops, void *data,
	struct vhci **ret, struct err *e);
/* To the host a surprise: the device is gone. */
struct vhci *vhci_free(struct vhci *v);
DEFINE_CLEANUP(struct vhci, vhci_free)

/* Tries the waiting transfers again. Nothing where it is called out of one of the ops: what is
 * served then goes on by itself. */
void vhci_serve(struct vhci *v);
