/* SPDX-License-Identifier: Apache-2.0
 *
 * A link to an instrument by HiSLIP (IVI-6.1, revision 1.1), in synchronized mode: two TCP connections to one port (4880), on which
 * messages go with a head of 16 bytes.
 *
 *	"HS"  type u8  control u8  parameter u32  length u64        big-endian
 *
 *	synchronous            asynchronous
 *	Initialize        ->
 *	  <- InitializeResponse
 *	                       AsyncInitialize ->
 *	                         <- AsyncInitializeResponse
 *	DataEnd (number)  ->                                        a message
 *	  <- DataEnd (number)                                       its answer
 *	                       AsyncDeviceClear ->
 *	                         <- AsyncDeviceClearAcknowledge
 *	DeviceClearComplete ->
 *	  <- DeviceClearAcknowledge
 *
 * Each piece of a message has the next even number (IVI-6.1, 3.1.2), and an answer that of the last piece: one with another number is dropped, so that a late answer is
 * never the next one's. One write of the link is one message; what is read ends with NL where the instrument ended it by
 * DataEnd alone.
 */
#pragma once

#include "transports/links/link.h"

#define HISLIP_PORT   4880
#define HISLIP_DEVICE "hislip0"

struct hislip;
/* In two steps over two connections, which belong to the link from now on, also where this fails (tests give their own):
 * first the synchronous one alone, which says the session for the other. */
int hislip_begin(struct link *sync, const char *device, const struct iotime *it,
	struct hislip **ret, struct err *e);
int hislip_join(struct hislip *h, struct link *async, const struct iotime *it, struct link **ret,
	struct err *e);
