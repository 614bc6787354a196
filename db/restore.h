/* SPDX-License-Identifier: Apache-2.0
 *
 * A backup (db/backup.h) into the state directory of a provd that does not work:
 *
 *	verify all of it ──> copy next to what is there ──> move what is there aside ──> give the copies their names
 *	      nothing is written        restore.part/          before-restore-TIME/
 *
 * The high-water marks stay as they are. By them provd sees at its start that the database is older than what
 * was given out, holds the line, and passes over the gap once a person accepts (db/lineage.h). A process that
 * ends in the middle leaves the old files whole, where they were or aside; provd then holds the line as well,
 * and another restore goes through. Any thread.
 */
#pragma once

#include "db/backup.h"

struct restore_opts {
	const char *backup, *state_dir;
	const struct x509_key *key; /* who may have signed it */
	size_t keys;
	bool dry_run; /* everything is verified, and nothing is written */
	struct backup_ear ear;
};

struct restore_result {
	struct backup_result of;
	char aside[FILE_PATH_BYTES]; /* where the old files are; "" there were none */
	bool has_marks;		     /* the state directory has high-water marks of its own */
};

/* -ERR_BUSY while a provd works there; -ERR_RECORDS_DAMAGED for a backup in which something was found: then
 * nothing was changed. */
int restore_backup(const struct restore_opts *o, struct restore_result *ret, struct err *e);
