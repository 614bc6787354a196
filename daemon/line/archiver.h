/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves closed months out of the database (`archive` of provd.yaml): a thread that only has what nobody else wants
 * of the processor.
 *
 *	clear what an archive has ──> give room back ──> is a month due? ──> write, read back ──> on record
 *	  ^   a few runs a time         a few pages a time                                         │
 *	  └────────────────────────────────────────────────────────────────────────────────────────┘
 *
 * Each change is a short transaction of the writer, with as much rest after it as it took. A process that ends
 * anywhere goes on there: what an archive has is cleared first. By a clock that cannot be believed, and while
 * something holds the records, nothing is moved.
 */
#pragma once

#include "base/err.h"

struct archiver;
struct line_services;

int archiver_start(const struct line_services *line, const char *db_path, struct archiver **ret,
	struct err *e);
/* Ends at the next of its small steps; takes NULL. */
struct archiver *archiver_free(struct archiver *a);
