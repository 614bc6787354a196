/* SPDX-License-Identifier: Apache-2.0
 *
 * Which records are no longer here but in files (docs/decisions/0016-archive.md): the records 1 to the end of the
 * newest archive. Of their runs the rows stay; steps, measurements, logs and texts go, a little at a time, and are
 * served no longer from the moment that the archive is on record.
 */
#pragma once

#include "db/db.h"

#define ARCHIVE_FILE_BYTES  128
#define ARCHIVE_MONTH_BYTES sizeof "2026-11"

struct archive {
	int64_t from, to; /* numbers of records */
	char month[ARCHIVE_MONTH_BYTES];
	char file[ARCHIVE_FILE_BYTES]; /* its name in the folder of archives */
	int64_t bytes;
	char sha256[SHA256_HEX];
	char last[SHA256_HEX]; /* SHA-256 of the text of the record `to` */
	int64_t cleared;
};

/* The newest; to: 0 where there is none. */
int archives_newest(struct db *d, struct archive *ret, struct err *e);
/* That which has the record: 1, or 0 where it is here. */
int archives_find(struct db *d, int64_t n, struct archive *ret, struct err *e);
/* -ERR_ARCHIVED, with the name of the file, for a record or a run that is in one. */
int archives_check_record(struct db *d, int64_t n, struct err *e);
int archives_check_run(struct db *d, const char *run, struct err *e);
/* {seq, from, to, month, file, bytes, sha256, at, cleared}; the newest first. */
int archives_list(struct db *d, const struct db_page *page, struct db_list *ret, struct err *e);

/* In the writer's transaction: the file is there, and was read back. */
int archives_add(struct db *tx, const struct archive *a, struct err *e);
/* The rows of at most so many runs that are in an archive; *ret_left: how many more there are. */
int archives_clear(struct db *tx, int64_t most, int64_t *ret_left, struct err *e);
