/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by adb_conn.c (handshake, packets) and adb_stream.c (streams), and by no one else.
 */
#pragma once

#include "transports/protocols/adb/adb_stream.h"

#define ADB_STREAMS_MAX 8

struct adb_stream {
	struct adb_conn *conn;
	uint32_t local, remote; /* remote 0: not open yet */
	bool refused;
	bool closed;   /* by the device */
	bool may_send; /* the last WRTE was answered */
	bool unacked;  /* a WRTE came that was not answered yet */
	uint8_t *in;   /* what came and was not read: in[in_at..in_len) */
	size_t in_at, in_len, in_cap;
	char name[48]; /* for messages */
};

struct adb_conn {
	struct adb_pipe *pipe;
	struct adb_conn_config cfg;
	struct adb_peer peer;
	bool connected;
	bool check_sums;
	uint32_t max_payload; /* of what may come */
	uint32_t next_id;
	struct adb_stream *stream[ADB_STREAMS_MAX];
	struct err broken; /* code ERR_NONE: not */
};

int adb_conn_send(struct adb_conn *c, uint32_t command, uint32_t arg0, uint32_t arg1, const void *p,
	size_t n, const struct iotime *it, struct err *e);
/* Reads one packet and gives it to its stream. */
int adb_conn_pump(struct adb_conn *c, const struct iotime *it, struct err *e);
