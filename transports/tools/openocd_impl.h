/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a job of OpenOCD, for openocd.c (a program for one job) and openocd_server.c (one
 * that stays): what it says (openocd_judge.c) and the files that go in and out (openocd_files.c).
 */
#pragma once

#include "base/proc.h"
#include "base/regex.h"
#include "transports/tools/openocd.h"
#include "transports/tools/openocd_rules.h"
#include "transports/tools/tool.h"

#define OPENOCD_OUTPUT_MAX (16ull * 1024 * 1024)
/* A run that is stopped frees the probe at once; provd's promise is a second. */
#define OPENOCD_KILL_GRACE_US (300 * US_PER_MS)

enum openocd_seen {
	SEEN_STARTED,
	SEEN_PROGRAMMED,
	SEEN_VERIFIED,
	SEEN_WROTE,
	SEEN_VERIFIED_BYTES,
	SEEN_DUMPED,
	SEEN_ERASED,
	SEEN_RESETTING,
	SEEN_VERSION,
	SEEN_WARNING,
	SEEN_ERROR,
	SEEN_COUNT
};

struct openocd_run {
	const struct openocd_job *job;
	const struct openocd_hooks *hooks;
	struct openocd_result *result;
	struct openocd_rulebook *rules;
	struct regex *seen[SEEN_COUNT];
	struct regex *expect[OPENOCD_LINES_MAX];
	bool met[OPENOCD_LINES_MAX];
	size_t expects;
	unsigned count[SEEN_COUNT];
	uint64_t bytes[SEEN_COUNT]; /* the sum of what those lines counted */
	int cause;		    /* the rule of the most specific line, -1 */
	char *cause_line;
	char *error_line; /* the last that no rule knows */
	unsigned logged;
	const char *dir; /* where the files are; borrowed */
};

int openocd_run_init(struct openocd_run *x, const struct openocd_job *j,
	const struct openocd_hooks *h, struct openocd_result *result, struct err *e);
void openocd_run_done(struct openocd_run *x);
void openocd_run_phase(struct openocd_run *x, const char *phase, uint64_t done);
/* One line of its output, without the end. */
void openocd_run_line(struct openocd_run *x, const char *bytes, size_t n);
/* -(code) with the cause, where a line was one. */
int openocd_run_cause(const struct openocd_run *x, struct err *e);
/* Whether it said what it says when it did the work. */
int openocd_run_markers(const struct openocd_run *x, struct err *e);

/* Before the job: its images, as files in the run's directory. */
int openocd_files_write(struct openocd_run *x, struct err *e);
/* After the job: what was read, compared where the job says so. */
int openocd_files_take(struct openocd_run *x, struct err *e);
/* Removes the files of a job. */
void openocd_files_remove(const char *dir);
