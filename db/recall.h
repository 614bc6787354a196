/* SPDX-License-Identifier: Apache-2.0
 *
 * Recall: which units had a part in something, and where they are (db/sql/0014_traits.sql). It costs what
 * it finds, not what there is.
 */
#pragma once

#include "db/db.h"

/* Notes what a run had a part in, once it is finished. */
int recall_note(struct db *tx, const char *run, struct err *e);

struct recall_filter {
	const char *artifact;		  /* SHA-256; each may be NULL, not all of them */
	const char *tool;		  /* "program version" as recorded */
	const char *answered_by, *issuer; /* a prompt of the run; a certificate of it */
	const char *station, *job, *recipe;
	int64_t version;	/* of the recipe; 0: all */
	const char *outcome;	/* of the run; NULL: any */
	int64_t from_ms, to_ms; /* of the end of the run, to_ms excluded; 0: open */
};
/* Runs, newest first: {run, ended_at, outcome, station, recipe, version, job, external_ref, unit, serial,
 * model, unit_state}: a unit has a row for each of its runs. -ERR_INVALID without a condition. */
int recall_list(struct db *d, const struct recall_filter *f, const struct db_page *page,
	struct db_list *ret, struct err *e);
/* What can be asked for: {kind, value, runs}, by kind (NULL: all) and value. */
int recall_traits(struct db *d, const char *kind, json_t **ret, struct err *e);
