/* SPDX-License-Identifier: Apache-2.0
 *
 * DFU over a USB device: which of its interfaces speak it, and the port of a session on one of
 * them. On the worker's thread.
 */
#pragma once

#include "transports/links/usb.h"
#include "transports/protocols/dfu/dfu.h"

#define DFU_TARGETS_MAX 32
#define DFU_TARGET_NAME 256

/* One alternate setting: a memory. */
struct dfu_target {
	uint8_t interface, alt;
	bool runtime; /* the application's: it can be detached, and nothing else */
	bool dfuse;
	struct dfu_functional f;
	char name[DFU_TARGET_NAME]; /* of DfuSe: the memory map */
};

struct dfu_targets {
	struct dfu_target target[DFU_TARGETS_MAX];
	size_t count;
	unsigned quirks;
};

/* Reads descriptors and names; claims nothing. count is 0 where the device speaks no DFU. */
int dfu_list(struct usb *u, struct dfu_targets *ret, const struct iotime *it, struct err *e);
/* By name (of DfuSe the text between '@' and '/') or by number; NULL: the first that is not
 * run-time. -ERR_NOT_FOUND names what there is, -ERR_CONFLICT where a name fits two. */
int dfu_pick(const struct dfu_targets *l, const char *which, const struct dfu_target **ret,
	struct err *e);

/* Claims the interface and selects the setting. The device outlives the port. */
struct dfu_usb {
	struct usb *usb;
	uint8_t interface;
};
int dfu_usb_open(struct dfu_usb *x, struct usb *u, const struct dfu_target *t, struct dfu_port *ret,
	struct err *e);
