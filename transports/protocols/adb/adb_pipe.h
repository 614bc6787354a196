/* SPDX-License-Identifier: Apache-2.0
 *
 * What carries ADB packets: a byte stream (TCP), or the two bulk endpoints of interface ff/42/01,
 * where header and payload are transfers of their own. Between the protocol and the link, so that
 * the protocol is tested and fuzzed without a device.
 *
 * USB, as adbd reads it: a transfer to it whose length is a multiple of the packet size is followed
 * by a zero-length packet, since adbd waits in buffers larger than the packet. It sends none
 * itself. A missing one does not fail at once; it joins the payload to the next header.
 *
 * Source: AOSP packages/modules/adb, docs/dev/zero_length_packet.md, client/usb_linux.cpp.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"
#include "transports/links/link.h"
#include "transports/links/usb.h"
#include "transports/protocols/adb/adb_packet.h"

struct adb_pipe;

struct adb_pipe_ops {
	/* One packet, whole. After an error the pipe is of no more use. */
	int (*send)(struct adb_pipe *p, const uint8_t header[ADB_HEADER_BYTES], const void *payload,
		size_t n, const struct iotime *it, struct err *e);
	/* *ret_begun, set whenever an error is returned: part of a packet was taken, so that it
	 * is not known any more where the next begins. */
	int (*recv_header)(struct adb_pipe *p, uint8_t header[ADB_HEADER_BYTES], bool *ret_begun,
		const struct iotime *it, struct err *e);
	int (*recv_payload)(
		struct adb_pipe *p, void *buf, size_t n, const struct iotime *it, struct err *e);
	/* Throws away what a former session left in the pipe. NULL, as the next: nothing can be
	 * left there (each TCP connection is a new stream). */
	int (*drain)(struct adb_pipe *p, const struct iotime *it, struct err *e);
	/* The header of the next CNXN, AUTH or STLS, past whatever else comes. */
	int (*find_header)(struct adb_pipe *p, uint8_t header[ADB_HEADER_BYTES],
		const struct iotime *it, struct err *e);
	void (*free)(struct adb_pipe *p);
};

struct adb_pipe {
	const struct adb_pipe_ops *ops;
};

struct adb_pipe *adb_pipe_free(struct adb_pipe *p); /* takes NULL, returns NULL */
static inline void adb_pipe_freep(struct adb_pipe **p)
{
	adb_pipe_free(*p);
}

/* Over a byte stream; borrows the link. */
struct adb_pipe *adb_pipe_link(struct link *l);

/* Two bulk endpoints. */
struct adb_bulk {
	void *data;
	uint16_t max_packet_in, max_packet_out;
	/* As usb_read and usb_write. */
	int (*in)(void *data, void *buf, size_t size, size_t *ret_n, const struct iotime *it,
		struct err *e);
	int (*out)(void *data, const void *buf, size_t n, bool zlp, const struct iotime *it,
		struct err *e);
	/* Ends a halt of both. */
	int (*clear)(void *data, struct err *e);
	void (*free)(void *data);
};
/* Copies b. */
struct adb_pipe *adb_pipe_bulk(const struct adb_bulk *b);

/* Whether the device has a debugging interface: ff/42/01, or the debug class's dc/02/01. */
const struct usb_interface *adb_usb_interface(const struct usb *u);
/* Claims that interface; borrows the device. -ERR_NOT_FOUND without one, -ERR_BUSY where another
 * program, such as an adb server, holds it. */
int adb_pipe_usb(struct usb *u, struct adb_pipe **ret, struct err *e);
