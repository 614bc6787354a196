/* SPDX-License-Identifier: Apache-2.0
 *
 * The record of a run, as it happens: from the attach to the verdict, through the writer. What is
 * told as durable is on disk when the call returns; what is not waited for is on disk before
 * anything later of the same run, since the writer keeps the order. Worker threads.
 */
#pragma once

#include "base/timefmt.h"
#include "daemon/line/jobs.h"
#include "daemon/recipe/runner.h"

struct fleet;
struct recorder;

/* Opens the run (durable) and with it the record. */
int recorder_open(struct fleet *f, const struct job_claim *claim, const char *station,
	struct recorder **ret, struct err *e);
const char *recorder_run_id(const struct recorder *r);
/* Ends the run (durable): outcome, serial, unit, counters of the job and the hash chain in one
 * transaction. On failure nothing has changed and it may be called again. */
int recorder_close(struct recorder *r, const struct run_result *res, struct err *e);
struct recorder *recorder_free(struct recorder *r);

/* What must be true before the first byte: artifacts readable and whole, serials left, room on the
 * disk. */
int recorder_preflight(struct recorder *r, struct err *e);

/* The sink for the runner. */
struct runner_sink recorder_sink(struct recorder *r);
/* Reserves the run's serial (durable) or gives the one that it has. kind NULL: as the recipe says.
 */
int recorder_serial(
	struct recorder *r, const char *kind, const char *value, char ret[64], struct err *e);
/* The chip id or the like of the unit. */
int recorder_identity(struct recorder *r, const char *value, struct err *e);
/* A line of the run's log; kept in memory until the step ends. */
void recorder_log(struct recorder *r, char dir, const char *text);
int recorder_prompt_open(
	struct recorder *r, const struct prompt *p, char ret_id[UUID_SIZE], struct err *e);
/* answer NULL: cancelled. */
int recorder_prompt_close(
	struct recorder *r, const char *id, const char *answer, const char *by, struct err *e);
