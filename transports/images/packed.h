/* SPDX-License-Identifier: Apache-2.0
 *
 * Firmware as people have it: compressed (gzip, xz, zstd, bzip2), or a member of an archive (tar, zip, either of them also
 * compressed). What comes out is a blob like any other: whole, or none at all.
 *
 * xz, zstd, bzip2 and the archives are read by libarchive, which is loaded when the first such file comes: it brings a
 * dozen libraries along that no other run needs. gzip is read by zlib: libarchive 3.6 passes over the checksum at the end
 * of a gzip file (findings/libarchive-gzip-crc.sh), and a damaged file would be flashed.
 */
#pragma once

#include "base/err.h"
#include "base/iotime.h"
#include "transports/images/blob.h"

enum packing {
	PACKING_NONE,
	PACKING_GZIP,
	PACKING_XZ,
	PACKING_ZSTD,
	PACKING_BZIP2,
	PACKING_TAR,
	PACKING_ZIP
};

/* By the content: the first bytes, of a tar archive its mark at 257. */
enum packing packing_of(const void *bytes, uint64_t n);

/* Whether the name says so too: "fw.hex.xz", "fw.tgz". */
bool packing_is_named(enum packing p, const char *name);

struct packed_opts {
	const char *name; /* of the file, in messages, and for the name of what comes out */
	const char *
		member; /* of an archive, as its list has it; NULL: the only file in it, but for archive_is_companion() */
	uint64_t max; /* bytes of what comes out, at most BLOB_MAX_BYTES */
	struct iotime it;
};

/* Unpacks n bytes of a file, once or, of a compressed archive, twice; *ret is NULL where they are not packed and no member is
 * asked for, else its `packed` says what was read, but for file_sha256. -ERR_IMAGE_INVALID for a damaged or truncated file, one that is encrypted, an archive with several files where no
 * member is named (the sentence lists them), a member named in what is no archive; -ERR_NOT_FOUND for a member that is not there;
 * -ERR_TOO_LARGE; -ERR_UNSUPPORTED without libarchive; -ERR_DISK_FULL. */
int packed_open(const void *bytes, uint64_t n, const struct packed_opts *o, struct blob **ret,
	struct err *e);
/* The same of a file: what is in it takes the place of *b, with all of `packed`; one that is not packed stays. */
int packed_open_blob(struct blob **b, const struct packed_opts *o, struct err *e);
