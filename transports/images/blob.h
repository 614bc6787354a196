/* SPDX-License-Identifier: Apache-2.0
 *
 * A file's bytes as they are, however large: system images, packages, archives. Immutable once
 * opened and shared between workers by reference count: eight boards read a file once.
 *
 * The bytes are mapped. An artifact of the store never changes, and is mapped as it is; any other
 * file is first copied (small ones into memory, large ones into an unnamed file of TMPDIR, by
 * reflink where the file system can), so that one that is rewritten or truncated later neither
 * changes what is flashed nor ends the program.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/util.h"

#define BLOB_MAX_BYTES (8ull << 30)

struct blob {
	int refs;   /* atomic; use blob_ref and blob_unref */
	char *path; /* for messages */
	char sha256[SHA256_HEX];
	uint64_t size;
	const uint8_t *data; /* size bytes, read only */
};

/* immutable: the file is an artifact of the store. -ERR_NOT_FOUND without it, -ERR_IMAGE_INVALID
 * for an empty one or what is not a regular file, -ERR_TOO_LARGE. */
int blob_open(const char *path, bool immutable, struct blob **ret, struct err *e);
/* A blob that the caller makes (a member of an archive): fill *ret_bytes, then blob_seal(), which
 * makes them read only and takes their digest; until then no one else may see it. name is for
 * messages. -ERR_IMAGE_INVALID for 0 bytes, -ERR_TOO_LARGE, -ERR_DISK_FULL. */
int blob_new(
	const char *name, uint64_t size, uint8_t **ret_bytes, struct blob **ret, struct err *e);
void blob_seal(struct blob *b);
struct blob *blob_ref(struct blob *b);
struct blob *blob_unref(struct blob *b); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct blob, blob_unref)
