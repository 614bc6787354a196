/* SPDX-License-Identifier: Apache-2.0
 *
 * A package of files: a zip archive, or a directory, read by the same calls. Members are plain
 * names: one with a slash, or that begins with a dot, is refused, so that no package leads out of
 * itself. Used by one worker.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"
#include "base/util.h"
#include "transports/images/blob.h"

struct archive;

/* Holds a reference to the blob. -ERR_IMAGE_INVALID for what is not a zip archive, or has two
 * members of one name: a unit may unpack another one than was checked. */
int archive_open_zip(struct blob *b, struct archive **ret, struct err *e);
/* -ERR_NOT_FOUND. */
int archive_open_dir(const char *path, struct archive **ret, struct err *e);
struct archive *archive_close(struct archive *a); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct archive, archive_close)

/* What macOS puts into the archives that people make there: "__MACOSX/..." of zip, and "._NAME" with the attributes of NAME
 * of both (AppleDouble, RFC 1740, appendix A). It is not a file of theirs. */
bool archive_is_companion(const char *name);

/* How many members a zip archive has, in all folders; 0 of a directory. */
unsigned archive_members(const struct archive *a);
/* Unpacks every member, in whatever folder, that archive_get() did not give yet, and compares its
 * checksum; nothing is kept. */
int archive_check(struct archive *a, const struct iotime *it, struct err *e);

const char *archive_path(const struct archive *a);
/* From now on names are looked for in the only folder of a zip archive that has nothing else (but companions), as people make
 * one of a folder; else nothing changes. */
void archive_enter(struct archive *a);
/* Whether the member is there, with its size (may be NULL). */
bool archive_has(struct archive *a, const char *name, uint64_t *ret_bytes);
/* Its bytes, at most max: unpacked into memory or an unnamed file, its checksum compared.
 * -ERR_NOT_FOUND, -ERR_TOO_LARGE, -ERR_IMAGE_INVALID for one that is encrypted, damaged, or longer
 * than it says. */
int archive_get(struct archive *a, const char *name, uint64_t max, const struct iotime *it,
	struct blob **ret, struct err *e);
