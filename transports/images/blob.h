/* SPDX-License-Identifier: Apache-2.0
 *
 * A file's bytes as they are, however large: system images, packages, archives. Immutable once
 * opened and shared between workers by reference count: eight boards read a file once.
 *
 * The bytes are mapped. An artifact of the store never changes, and is mapped as it is; any other
 * file is first copied (small ones into memory, large ones into an unnamed file of TMPDIR, by
 * reflink where the file system can), so that one that is rewritten or truncated later neither
 * changes what is flashed nor ends the program. Who uses a file once may have it watched instead,
 * which saves the copy: a read lease (fcntl(2), F_SETLEASE) says whether anybody opens it to
 * write, and lets him wait for a while.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/util.h"

#define BLOB_MAX_BYTES (8ull << 30)

struct blob_digest;

#define PACKED_NAME_BYTES 256 /* of a member of an archive, with its end */
#define PACKED_HOW_BYTES  32  /* "xz, tar" */

/* Of one that was unpacked (images/packed.h). */
struct packed_facts {
	char how[PACKED_HOW_BYTES]; /* from the outside in; "": it is as the file is */
	char name
		[PACKED_NAME_BYTES]; /* the member's, or the file's without ".xz": what a name says counts */
	bool unproved; /* zstd or xz without its optional checksum: damage may go unseen */
	char file_sha256[SHA256_HEX]; /* of the file as it came */
};

struct blob {
	int refs;   /* atomic; use blob_ref and blob_unref */
	char *path; /* for messages */
	uint64_t size;
	const uint8_t *data; /* size bytes, read only */
	struct blob_digest *digest;
	int lease_fd; /* of a watched one, else -1 */
	struct packed_facts packed;
	bool wiped; /* with its last reference */
};

enum blob_source {
	BLOB_COPIED,
	BLOB_STORED, /* the file is an artifact of the store */
	/* Copied where there can be no lease (another's file, one that is open for writing, a file system without).
	 * The caller asks blob_unchanged() after its last use of the bytes. SIGIO comes when another one opens the file
	 * to write, and must not be at its default; he waits for /proc/sys/fs/lease-break-time (45 s), then the
	 * bytes may change, or be gone (SIGBUS). */
	BLOB_WATCHED,
};

/* -ERR_NOT_FOUND without it, -ERR_IMAGE_INVALID for an empty one or what is not a regular file, -ERR_TOO_LARGE.
 * The digest of a large one is computed by a thread from now on. */
int blob_open(const char *path, enum blob_source source, struct blob **ret, struct err *e);
/* SHA-256 in lower-case hex; waits for it. Any thread; lives as long as the blob. */
const char *blob_sha256(const struct blob *b);
/* 0, also for one that is not watched; -ERR_IMAGE_INVALID where somebody may have written to it since it was opened. */
int blob_unchanged(const struct blob *b, struct err *e);
/* A blob that the caller makes (a member of an archive): fill *ret_bytes, then blob_seal(), which
 * makes them read only and takes their digest; until then no one else may see it. name is for
 * messages. -ERR_IMAGE_INVALID for 0 bytes, -ERR_TOO_LARGE, -ERR_DISK_FULL. */
int blob_new(
	const char *name, uint64_t size, uint8_t **ret_bytes, struct blob **ret, struct err *e);
void blob_seal(struct blob *b);
/* The same for bytes that may be secret: in memory alone, whatever their number, in no core dump, and overwritten with the last
 * reference. */
int blob_new_private(
	const char *name, uint64_t size, uint8_t **ret_bytes, struct blob **ret, struct err *e);
/* One whose size is not known before it is whole (what a compressed file holds): new, add, end. name is for messages.
 * -ERR_DISK_FULL, -ERR_TOO_LARGE above BLOB_MAX_BYTES, -ERR_IMAGE_INVALID where nothing was added. */
struct blob_growing;
struct blob_growing *blob_growing_new(const char *name);
int blob_growing_add(struct blob_growing *g, const void *bytes, size_t n, struct err *e);
uint64_t blob_growing_bytes(const struct blob_growing *g);
/* Sealed. *g is freed, and NULL, also on an error. */
int blob_growing_end(struct blob_growing **g, struct blob **ret, struct err *e);
void blob_growing_free(struct blob_growing *g); /* takes NULL */
struct blob *blob_ref(struct blob *b);
struct blob *blob_unref(struct blob *b); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct blob, blob_unref)
