/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of a run on its way to disk, while the run goes on: what was said goes with the next
 * commit, at the latest a quarter of a second after it was said, and is published once
 * it is there. The end of a step takes what is left with it, in its own transaction.
 *
 * Lines come from the worker's thread; the writer's takes them.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* Of one run. What comes after is counted and not kept; the unit is judged all the same. */
struct run_log_limits {
	uint64_t lines, bytes; /* a line counts its text and RUN_LOG_LINE_BYTES */
};
#define RUN_LOG_LINE_BYTES 32

struct db;
struct feed;
struct run_log;
struct writer;

struct run_log *run_log_new(struct writer *w, struct feed *feed, const char *run_id,
	const char *station, const struct run_log_limits *max);
/* A batch that still waits for the disk keeps what it needs. Takes NULL, returns NULL. */
struct run_log *run_log_free(struct run_log *l);
/* dir: '>' said to the unit or the tool, '<' said by it, '#' about it. text is copied. */
void run_log_add(struct run_log *l, char dir, const char *text);

/* The run ends: says how many lines more there were, once. */
void run_log_end(struct run_log *l);

/* The end of a step: in its transaction (writer's thread) all lines that are not on disk yet; and
 * what became of that transaction. */
int run_log_write(struct run_log *l, struct db *tx, struct err *e);
void run_log_written(struct run_log *l, bool committed);
