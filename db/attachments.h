/* SPDX-License-Identifier: Apache-2.0
 *
 * What is attached to runs: one row for each (run, step, name), with the content's digest, size and media type.
 * The content is in the store of attachments (daemon/line/attachments.h), or next to an archive, under its
 * digest; it is on disk before its row is. A row never changes, and leaves for an archive alone.
 */
#pragma once

#include "base/digest.h"
#include "db/db.h"

/* The folder that has the files, by their digests: of a state directory, a backup, and of the archives. */
#define ATTACHMENTS_DIR "attachments"

struct attachment {
	const char *run;
	int64_t step_n;
	const char *name;
	const char *sha256; /* 64 hex */
	int64_t bytes;
	const char *media; /* media type */
};

/* Bytes; 0: nothing fits. */
struct attachment_limits {
	int64_t file, run, total;
};

/* For an open step. -ERR_ATTACHMENT_QUOTA names the limit, what there would be, and the key of provd.yaml; then
 * nothing has changed. The same row again is no change: 0. */
int attachments_add(struct db *tx, const struct attachment *a, const struct attachment_limits *max,
	struct err *e);
/* {name, n, step, sha256, size, media} of a run, by step and name. */
int attachments_of_run(struct db *d, const char *run, json_t **ret, struct err *e);
/* That of a step; n 0: of the newest step that has one of that name. -ERR_NOT_FOUND. */
int attachments_get(
	struct db *d, const char *run, int64_t n, const char *name, json_t **ret, struct err *e);
/* 1 where a row names that content, 0, or an error. */
int attachments_named(struct db *d, const char *sha256, struct err *e);
/* Of all contents, each once. */
int attachments_room(struct db *d, int64_t *ret_files, int64_t *ret_bytes, struct err *e);
/* The content after that digest, of the records from..to of the chain (both 0: of all rows), which is written over it:
 * 1, or 0 at the end. Begin with "". */
int attachments_next(
	struct db *d, int64_t from, int64_t to, char sha256[SHA256_HEX], struct err *e);

/* Whether dir/SHA256 is a file of those bytes: 0, -ERR_GONE where it is missing, -ERR_ATTACHMENT_DAMAGED where it
 * is something else, each with what was expected and what came. ret_fd (may be NULL): the open file, at its
 * beginning. */
int attachment_check(
	const char *dir, const char *sha256, int64_t bytes, int *ret_fd, struct err *e);
