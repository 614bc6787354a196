/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a GDB session: gdb_packet.c (frames), gdb.c (commands), gdb_map.c (the memory map),
 * gdb_load.c (images).
 */
#pragma once

#include "base/strbuf.h"
#include "transports/protocols/gdb/gdb.h"

#define GDB_REPLY_US	 (5 * US_PER_S) /* of a command that only asks */
#define GDB_SLOW_US	 (120 * US_PER_S) /* of one that erases or programs; each O packet renews it */
#define GDB_PACKET_LEAST 64
#define GDB_PACKET_MAX	 (64u * 1024)
#define GDB_REPLY_MAX	 (256u * 1024)

struct gdb {
	struct link *link;
	struct teller tell;
	struct gdb_map map;
	size_t packet; /* bytes of a frame that the server takes, '$', '#' and checksum included */
	bool broken;   /* an exchange broke off: its answer may still come, and nothing has a number
			*/
	bool no_ack;
	bool no_x; /* the server does not know X */
	bool maps; /* it offers a memory map */
	/* Bytes that came and were not read yet. */
	uint8_t in[4096];
	size_t in_at, in_len;
	bool marked;	    /* the '$' of the next packet was read already */
	struct strbuf text; /* of a monitor command: what O packets said */
	bool gather;
	struct strbuf out; /* the current frame */
};

/* A frame of payload: text, then n bytes that are escaped. Waits for the acknowledgement where one
 * is due. */
int gdb_send(struct gdb *g, const char *text, const void *bytes, size_t n, const struct iotime *it,
	struct err *e);
/* The next reply, decoded; console text is logged on the way. *ret is owned by the caller.
 * budget_us is for each silence. */
int gdb_receive(struct gdb *g, uint64_t budget_us, struct strbuf *ret, const struct iotime *it,
	struct err *e);
/* Both. */
int gdb_ask(struct gdb *g, const char *text, uint64_t budget_us, struct strbuf *ret,
	const struct iotime *it, struct err *e);
/* A command that is answered by OK; else as gdb_refused(). */
int gdb_command(struct gdb *g, const char *text, const void *bytes, size_t n, uint64_t budget_us,
	const char *what, const struct iotime *it, struct err *e);
/* The error in a reply that does not report success: -ERR_IMAGE_RANGE for E.memtype (no flash is
 * there, GDB manual, E.4, "vFlashErase"), -ERR_DEVICE_REFUSED for any other E, -ERR_UNSUPPORTED for
 * nothing, -ERR_PROTOCOL for any other reply. */
int gdb_refused(const struct strbuf *reply, const char *what, struct err *e);
