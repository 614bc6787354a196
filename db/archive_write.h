/* SPDX-License-Identifier: Apache-2.0
 *
 * A closed month of runs as a file (docs/records.md says what is in it): a line of JSON for each run, compressed,
 * and a signed manifest next to it that places the records in the tree. Nothing of the database is changed:
 *
 *	archive_due() ──> archive_write() ──> verify_archive() ──> archives_add() ──> archives_clear() ...
 *	                  both files, synced   read back            (db/archives.h)    a few runs at a time
 *
 * Wherever it ends, the runs are in the database or in both; the same step goes through the next time.
 */
#pragma once

#include "base/iotime.h"
#include "base/seal.h"
#include "db/archives.h"

#define ARCHIVE_TYPE	 "urn:provd:archive:1"
#define ARCHIVE_SUFFIX	 ".ndjson.gz"
#define ARCHIVE_MANIFEST ".json"

struct archive_policy {
	int64_t now_ms;
	int64_t keep_months; /* closed months that stay */
	int64_t keep_bytes; /* the database may use: above that, closed months go earlier; 0: no limit */
	int64_t used_bytes; /* it does */
};

/* What is to go next: the runs from the end of the newest archive to the end of their month. to: 0, nothing. A
 * run of which others are still to be told stays, with those after it. */
int archive_due(struct db *d, const struct archive_policy *p, struct archive *ret, struct err *e);
/* Between two runs it looks whether it is to end. Writes both files into the folder, in the place of those of an attempt before (none of another history
 * has their names); file, bytes, sha256 and last of
 * `a` are filled in. seal: NULL leaves the manifest unsigned. attachments: the folder of the
 * attached files, which are copied to dir/attachments first. -ERR_GONE, -ERR_ATTACHMENT_DAMAGED for one that is not
 * there as it was recorded: then no file of the archive is written. */
int archive_write(struct db *d, const char *dir, const struct seal *seal, const struct cancel *stop,
	const char *attachments, struct archive *a, struct err *e);
