/* SPDX-License-Identifier: Apache-2.0
 *
 * The spool folder (`spool` of provd.yaml): a thread that writes each event as a file, in their order, for those
 * who poll a folder.
 *
 *	DIR/0000000000004711-run-finished.json.part ──> synced ──> DIR/0000000000004711-run-finished.json
 *
 * A file has its name once it is whole. How far it is, is on record after that: a provd that was killed in
 * between writes the same file again. A folder that is not there, or a disk that is full, is tried again
 * each second, and what waits stays in the records. Nothing is written while the records are held.
 */
#pragma once

#include "base/err.h"

struct line_services;
struct spool;

/* Starts the thread. The services outlive it. */
int spool_start(
	const struct line_services *line, const char *db_path, struct spool **ret, struct err *e);
struct spool *spool_free(struct spool *s); /* NULL is fine */
