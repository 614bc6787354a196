/* SPDX-License-Identifier: Apache-2.0
 *
 * A link to an instrument by VXI-11 (TCP/IP Instrument Protocol, revision 1.0, 1995): calls of ONC RPC (RFC 5531, records of RFC
 * 5531, 11) on one TCP connection.
 *
 *	portmapper (RFC 1833, version 2), port 111    GETPORT of the program 395183
 *	create_link (10)     DEVICE                  -> link id, the longest message
 *	device_write (11)    a message, END           as many calls as it takes
 *	device_read (12)     at most n bytes         -> bytes, END
 *	device_clear (15)                             what is on its way is dropped, on both sides
 *	destroy_link (23)
 *
 * One write of the link is one message, up to its END; what is read of an answer ends with NL where the instrument ended
 * it by END alone. A read that the deadline ends is over on the instrument's side as well (io_timeout); its answer may
 * still come to the next read, until link_clear(). Each reply has the number of its call: one of an earlier call is dropped.
 *
 * liblxi is not used: it has no cancel and no device_clear, and asks the portmapper of port 111 alone.
 */
#pragma once

#include "transports/links/link.h"

#define VXI11_PORTMAPPER 111
#define VXI11_DEVICE	 "inst0"

/* Over a connection to the program, which belongs to the link from now on, also where this fails: for tests. */
int vxi11_link_over(struct link *core, const char *device, const struct iotime *it,
	struct link **ret, struct err *e);
/* The port of the program, by the portmapper at the other end: -ERR_UNSUPPORTED where it has none. */
int vxi11_getport(struct link *portmapper, const struct iotime *it, uint16_t *ret, struct err *e);
