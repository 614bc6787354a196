/* SPDX-License-Identifier: Apache-2.0
 *
 * A recall in archives, without a database: which runs had a part in something. Each record is read; a database
 * that still has the rows of the runs answers the same at once (db/recall.h). Any thread.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"

/* As struct recall_filter: texts may be NULL, not all of them. */
struct archive_recall {
	const char *artifact, *tool, *answered_by, *issuer;
	const char *station, *job, *recipe, *outcome;
	int64_t version;	/* 0: all */
	int64_t from_ms, to_ms; /* of the end of the run, to_ms excluded; 0: open */
};

/* Reads every archive of the folder, in the order of their names, and calls each run: {run, ended_at, outcome,
 * station, recipe, version, job, external_ref, unit, serial, model}. -ERR_NOT_FOUND for a folder without an
 * archive; -ERR_INVALID names the file and the line that cannot be read. What is read is not verified. */
int archive_recall(const char *dir, const struct archive_recall *f,
	void (*each)(void *data, const json_t *run), void *data, struct err *e);
