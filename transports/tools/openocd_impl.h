/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a job of OpenOCD, for openocd.c (a program for one job) and openocd_server.c (one
 * that stays): what its lines mean (openocd_judge.c) and the files that go in and out
 * (openocd_files.c).
 */
#pragma once

#include "transports/tools/openocd.h"

/* A run that is stopped frees the probe at once; provd's promise is a second. */
#define OPENOCD_KILL_GRACE_US (300 * US_PER_MS)

enum openocd_mark {
	MARK_STARTED,
	MARK_PROGRAMMED,
	MARK_VERIFIED,
	MARK_WROTE,
	MARK_VERIFIED_BYTES,
	MARK_DUMPED,
	MARK_ERASED,
	MARK_RESETTING,
	MARK_WARNING,
	MARK_COUNT /* and after them the patterns of `expect` */
};

struct openocd_run {
	const struct openocd_job *job;
	struct openocd_result *result;
	struct tool_spec spec; /* argv and dir are the caller's to set */
	struct tool_marker marker[MARK_COUNT + OPENOCD_LINES_MAX + 1];
};

_Static_assert(MARK_COUNT + OPENOCD_LINES_MAX <= TOOL_MARKERS_MAX, "a marker has no place");

/* Refers to all that it is given. -ERR_RECIPE_INVALID for too many patterns. */
int openocd_run_init(struct openocd_run *x, const struct openocd_job *j, const struct teller *tell,
	struct openocd_result *result, struct err *e);
void openocd_run_phase(struct openocd_run *x, const char *phase, uint64_t done);
/* An invalid pattern is the recipe's mistake. */
int openocd_run_error(int r, struct err *e);
/* After the verdict on its lines: whether the bytes that it counted, in result->tool, are the
 * job's. */
int openocd_run_sums(struct openocd_run *x, struct err *e);

/* Before the job: its images, as files in dir. */
int openocd_files_write(struct openocd_run *x, struct err *e);
/* After the job: what was read, compared where the job says so. */
int openocd_files_take(struct openocd_run *x, struct err *e);
/* Removes the files of a job. */
void openocd_files_remove(const char *dir);
