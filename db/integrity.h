/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the database says what was recorded. Each check reads much; it asks `stop` (may be NULL)
 * often and then gives -ERR_ABORTED. Findings are sentences in `ret`, "" where all is sound.
 */
#pragma once

#include "db/db.h"

struct integrity_stop {
	bool (*asked)(void *data);
	void *data;
};

/* The pages and indexes of the file. */
int integrity_structure(
	struct db *d, const struct integrity_stop *stop, char ret[ERR_TEXT_BYTES], struct err *e);
/* Every finished run against the hash chain, oldest first; *ret_runs: how many are good. */
int integrity_chain(struct db *d, const struct integrity_stop *stop, int64_t *ret_runs,
	char ret[ERR_TEXT_BYTES], struct err *e);
/* Recipes against their digests; passed runs, units and pools against the ledger; the counts of the
 * reports against the runs. */
int integrity_tables(
	struct db *d, const struct integrity_stop *stop, char ret[ERR_TEXT_BYTES], struct err *e);
/* One finished run against its link of the chain, as it is served: 0, or -ERR_RECORDS_DAMAGED. */
int integrity_run(struct db *d, const char *run, struct err *e);
