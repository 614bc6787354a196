/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of the device: the sync service, one stream for all of a session's requests. Frames are a
 * four-letter id and a little-endian u32, with data after it.
 *
 *	STAT len path                 -> STAT mode size mtime            (STA2: 64 bits, with errno)
 *	LIST len path                 -> DENT mode size mtime len name ... DONE
 *	SEND len "path,mode"  DATA.. DONE mtime   -> OKAY 0 | FAIL len text
 *	RECV len path                 -> DATA.. DONE | FAIL len text
 *	QUIT
 *
 * OKAY after SEND says that the bytes are in the device's page cache, not that they are on its
 * flash, and not which bytes: a caller that needs to know reads them back.
 *
 * Source: AOSP packages/modules/adb, docs/dev/sync.md, file_sync_protocol.h.
 */
#pragma once

#include <sys/types.h>

#include "base/teller.h"
#include "transports/protocols/adb/adb_stream.h"

#define ADB_SYNC_PATH_MAX 1024u
#define ADB_SYNC_DATA_MAX 65536u

struct adb_sync;

int adb_sync_open(
	struct adb_conn *c, const struct iotime *it, struct adb_sync **ret, struct err *e);
/* Says QUIT and waits until the unit has closed the stream, as long as `it` lets it: before
 * something else is asked on the same connection, which a slow unit that is cut off in a packet
 * would break. Takes NULL. */
int adb_sync_quit(struct adb_sync *s, const struct iotime *it, struct err *e);
/* Says QUIT, in a moment or not at all; takes NULL, returns NULL. */
struct adb_sync *adb_sync_free(struct adb_sync *s);
DEFINE_CLEANUP(struct adb_sync, adb_sync_free)

struct adb_stat {
	uint32_t mode; /* with the file type; 0: there is no such file */
	uint64_t size; /* without stat_v2 modulo 2^32 */
	int64_t mtime;
	bool size_is_whole; /* stat_v2 */
};
/* 0 with mode 0 where the file does not exist. */
int adb_sync_stat(struct adb_sync *s, const char *path, const struct iotime *it,
	struct adb_stat *ret, struct err *e);

/* Called with each entry but "." and ".."; the name is as the device gave it, and may hold
 * anything but NUL. */
typedef int adb_entry_fn(void *data, const struct adb_stat *st, const char *name, struct err *e);
int adb_sync_list(struct adb_sync *s, const char *path, adb_entry_fn *fn, void *data,
	const struct iotime *it, struct err *e);

struct adb_source {
	const uint8_t *bytes;
	uint64_t size;
};
/* mode: permissions, the file type is added. -ERR_DEVICE_REFUSED with the device's words. After an
 * error the stream is at an end. */
int adb_sync_send(struct adb_sync *s, const char *path, unsigned mode, uint32_t mtime,
	const struct adb_source *src, const struct teller *tell, const struct iotime *it,
	struct err *e);
typedef int adb_sink_fn(void *data, const void *p, size_t n, struct err *e);
/* *ret_n: how many bytes came. */
int adb_sync_recv(struct adb_sync *s, const char *path, adb_sink_fn *sink, void *data,
	uint64_t *ret_n, const struct iotime *it, struct err *e);
