/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection to a device's adbd, spoken natively: no adb server takes part. One object per link,
 * on the worker that owns the link; everything waits within an iotime.
 *
 *	host                          device
 *	CNXN host::features=...  ->
 *	                         <-   AUTH token                (or CNXN: no authentication)
 *	AUTH signature           ->                             (each key once, each its own token)
 *	                         <-   CNXN device::...          accepted
 *	                         <-   AUTH token                refused
 *	AUTH public key          ->                             a person taps Allow
 *	                         <-   CNXN device::...
 *
 * Turns: each stream has an id that no other stream of this session had, and sessions begin at a
 * random one, so that a late packet names a stream that has ended: a late OKAY is answered with
 * CLSE, late data is dropped. Within the sync service a request without its answer ends the stream.
 * What an older session is owed comes before the CNXN that answers this one's, and is skipped; with
 * a CNXN adbd closes all older streams.
 *
 * Many streams share it (adb_stream.h). An error inside a packet, a timeout among them, leaves no
 * way to find where the next begins: the connection is then broken and says so to every call.
 *
 * Source: AOSP packages/modules/adb, docs/dev/protocol.md, adb.cpp, transport.cpp.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"
#include "base/teller.h"
#include "base/util.h"
#include "transports/protocols/adb/adb_auth.h"
#include "transports/protocols/adb/adb_pipe.h"

enum adb_feature {
	ADB_SHELL_V2 = 1 << 0,
	ADB_CMD = 1 << 1, /* `cmd package` instead of `pm` */
	ADB_STAT_V2 = 1 << 2,
	ADB_FIXED_PUSH_MKDIR = 1 << 3,
	ADB_ABB_EXEC = 1 << 4,
	ADB_REMOUNT_SHELL = 1 << 5,
	ADB_SENDRECV_V2 = 1 << 6
};

/* What the device says of itself in its CNXN: escaped and cut to these sizes. */
struct adb_peer {
	char state[16]; /* "device", "recovery", "sideload", "rescue", "bootloader" */
	char product[64], model[64], device[64];
	unsigned features;	       /* that both sides have */
	uint32_t version, max_payload; /* the lower of both */
};

struct adb_conn_config {
	const struct adb_key *const *key; /* tried in this order; the last is the one offered */
	size_t keys;
	uint64_t reply_us;     /* for each answer of the handshake; 0: 10 s */
	uint64_t authorize_us; /* for a person to tap Allow; 0: nobody is asked */
	uint64_t idle_us;      /* the longest silence while a file is transferred; 0: 60 s */
	/* Of the log alone: '>' a stream that is opened, '#' what is waited for. */
	struct teller tell;
};

struct adb_conn;

/* Takes the pipe, also where it fails. -ERR_UNAUTHORIZED where the device does not accept the keys,
 * -ERR_UNSUPPORTED where it wants TLS. */
int adb_connect(struct adb_pipe *pipe, const struct adb_conn_config *cfg, const struct iotime *it,
	struct adb_conn **ret, struct err *e);
struct adb_conn *adb_conn_free(struct adb_conn *c); /* takes NULL, returns NULL; streams first */
DEFINE_CLEANUP(struct adb_conn, adb_conn_free)
const struct adb_peer *adb_conn_peer(const struct adb_conn *c);
/* it, or the end of the longest silence. */
struct iotime adb_conn_idle(const struct adb_conn *c, const struct iotime *it);
bool adb_conn_has(const struct adb_conn *c, enum adb_feature f);
/* Reads and drops until the device is gone: 0, or -ERR_TIMEOUT where it stays. */
int adb_conn_wait_gone(struct adb_conn *c, const struct iotime *it, struct err *e);
