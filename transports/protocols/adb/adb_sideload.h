/* SPDX-License-Identifier: Apache-2.0
 *
 * A package for a recovery. The recovery asks: it opens nothing by itself, but on a stream
 * `sideload-host:<size>:<block>` says block numbers as eight decimal digits, in its own order and
 * often twice, and gets the bytes of each, the last one short. DONEDONE is success, FAILFAIL is
 * not; a stream that ends with neither has failed, at 100 % too.
 *
 * Recoveries from before Android 4.4 know `sideload:<size>`: all bytes, then OKAY or FAIL.
 *
 * Source: AOSP packages/modules/adb, client/commandline.cpp; bootable/recovery, minadbd.
 */
#pragma once

#include "base/teller.h"
#include "transports/protocols/adb/adb_sync.h"

#define ADB_SIDELOAD_BLOCK 65536u

struct adb_sideload_result {
	bool old;		/* the protocol from before Android 4.4 */
	uint64_t blocks;	/* of the package */
	uint64_t blocks_served; /* different ones */
	uint64_t requests;	/* in all */
};

/* -ERR_DEVICE_REFUSED: the recovery says that it failed. -ERR_PROTOCOL: it asked for what is not
 * there, or ended without a word. */
int adb_sideload(struct adb_conn *c, const struct adb_source *package, const struct teller *tell,
	const struct iotime *it, struct adb_sideload_result *ret, struct err *e);
