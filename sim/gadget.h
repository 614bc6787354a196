/* SPDX-License-Identifier: Apache-2.0
 *
 * The USB side of a virtual device, as vhci.c serves it to the kernel: descriptors, control
 * requests, and whole transfers of its endpoints. Chapter 9 requests (descriptors, addresses,
 * configurations, interfaces, halts) are answered by gadget.c out of the descriptors; class and
 * vendor requests go to the device.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define GADGET_STRING_MAX 126 /* characters */
#define GADGET_STALL	  (-1)
#define GADGET_NAK	  (-2) /* not now: the transfer waits until due() or an input */

struct device;

/* What the device is at this moment; another after WISH_REENUMERATE. Lives as long as the device
 * stays on the bus. */
struct gadget_identity {
	const uint8_t *device; /* 18 bytes */
	const uint8_t *config; /* wTotalLength bytes */
	size_t config_len;
	/* ASCII, by the index that the descriptors name; NULL where there is none. */
	const char *string[16];
};

struct gadget_ops {
	void (*identity)(const struct device *d, struct gadget_identity *ret);
	/* A class or vendor request, or SET_INTERFACE (which stalls nothing). IN: fills at most
	 * size bytes and returns how many; OUT: data holds n bytes, returns 0. GADGET_STALL. */
	int (*control)(struct device *d, const uint8_t setup[8], uint8_t *data, size_t n,
		size_t size, uint64_t now_us);
	/* ep is the endpoint's number, without the bit of its direction.
	 * One whole OUT transfer of the host as it was submitted (0 bytes: a zero-length packet):
	 * 0 taken, GADGET_STALL or GADGET_NAK. NULL: none. */
	int (*out)(struct device *d, uint8_t ep, const uint8_t *p, size_t n, uint64_t now_us);
	/* The host asks for at most size bytes: how many were put into buf (0: a zero-length
	 * packet), GADGET_STALL or GADGET_NAK. Never more than one message of the device: a short
	 * packet ends a transfer. NULL: none. */
	ssize_t (*in)(struct device *d, uint8_t ep, uint8_t *buf, size_t size, uint64_t now_us);
	/* The host reset the port or cleared a halt. May be NULL. */
	void (*reset)(struct device *d, uint64_t now_us);
};
