/* SPDX-License-Identifier: Apache-2.0
 *
 * What carries fastboot: commands out, replies in, and the bytes of a data phase, over USB, TCP or
 * UDP (AOSP system/core fastboot/README.md: "Transport and Framing", "TCP Protocol v1", "UDP
 * Protocol v1"). A session (fastboot.h) owns one pipe; a pipe borrows its link or USB device. One
 * worker.
 *
 * After any error a pipe is of no more use: what the device still says belongs to the past.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"
#include "base/util.h"
#include "transports/images/spans.h"
#include "transports/links/link.h"
#include "transports/links/usb.h"

/* Of today's devices; 64 of old ones and U-Boot. */
#define FASTBOOT_REPLY_MAX 256

struct fastboot_pipe;

typedef void fastboot_told_fn(void *data, uint64_t done);

struct fastboot_pipe_ops {
	const char *name; /* "usb", "tcp", "udp" */
	/* A reply that an older session did not wait for is still read by this one: USB, where
	 * nothing is numbered and no connection ends. A session proves its turn first. */
	bool outlives;
	int (*command)(struct fastboot_pipe *p, const void *bytes, size_t n,
		const struct iotime *it, struct err *e);
	/* One reply as it came, at most size bytes; a longer one: -ERR_PROTOCOL. */
	int (*reply)(struct fastboot_pipe *p, void *buf, size_t size, size_t *ret_n,
		const struct iotime *it, struct err *e);
	/* Whether something lies there that no command asked for. Never waits. NULL: the transport
	 * numbers its packets, or cannot know. */
	int (*stale)(struct fastboot_pipe *p, bool *ret, const struct iotime *it, struct err *e);
	/* The data phase to the device: exactly these bytes. told may be NULL. */
	int (*send)(struct fastboot_pipe *p, const struct spans *bytes, fastboot_told_fn *told,
		void *told_data, const struct iotime *it, struct err *e);
	/* The next n bytes of the data phase from the device. */
	int (*receive)(struct fastboot_pipe *p, void *buf, size_t n, const struct iotime *it,
		struct err *e);
	void (*close)(struct fastboot_pipe *p);
};

struct fastboot_pipe {
	const struct fastboot_pipe_ops *ops;
};

static inline struct fastboot_pipe *fastboot_pipe_close(struct fastboot_pipe *p)
{
	if (p)
		p->ops->close(p);
	return NULL;
}

/* Without a byte moving for so long, a data phase has stalled. */
#define FASTBOOT_STALL_US (30 * US_PER_S)

/* The handshake is done here: -ERR_PROTOCOL for a peer that does not speak fastboot. */
int fastboot_tcp_open(
	struct link *l, const struct iotime *it, struct fastboot_pipe **ret, struct err *e);
int fastboot_udp_open(
	struct link *l, const struct iotime *it, struct fastboot_pipe **ret, struct err *e);

/* Endpoints that no descriptor names: 0 takes those of the interface ff/42/03. A device that is
 * fastboot by the guide's own words has bulk endpoints 0x01 and 0x81 on any interface. */
struct fastboot_usb_opts {
	uint8_t ep_out, ep_in;
};
int fastboot_usb_open(struct usb *u, const struct fastboot_usb_opts *o, const struct iotime *it,
	struct fastboot_pipe **ret, struct err *e);
