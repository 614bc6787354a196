/* SPDX-License-Identifier: Apache-2.0
 *
 * The record of a run, as it happens: from the attach to the verdict, through the writer. What is
 * said to be durable is on disk when the call returns; what is not waited for is on disk before
 * anything later of the same run, since the writer keeps the order. Worker threads.
 */
#pragma once

#include "base/timefmt.h"
#include "daemon/line/orders.h"
#include "daemon/recipe/runner.h"
#include "db/stations.h"

struct line_services;
struct recorder;
struct trace_context;

/* Takes the next job for the station and opens its run, in one durable transaction with the row of
 * the station. marks: what is plugged says of itself, an array of texts (NULL: nothing), by which a unit of an order's list is known. -ERR_NOT_FOUND: there is no job. -ERR_INTERLOCK: none that an interlock lets begin. -ERR_CLOCK, -ERR_DISK_FULL, -ERR_RECORDS_HELD,
 * -ERR_RECORDS_DAMAGED: the line is held (daemon/line/holds.h), nothing was begun. The claim
 * belongs to the recorder. The services outlive it. */
int recorder_open(const struct line_services *line, const struct station_config *station,
	const struct station_row *row, const json_t *marks, struct recorder **ret, struct err *e);
const char *recorder_run_id(const struct recorder *r);
/* Of its order; NULL: none. */
const struct trace_context *recorder_trace(const struct recorder *r);
/* Of the step that was begun last. */
int64_t recorder_step_n(const struct recorder *r);
const struct job_claim *recorder_claim(const struct recorder *r);
/* Ends the run (durable): outcome, serial, unit, counters of the job, the hash chain and the row of
 * the station in one transaction. On failure nothing has changed, and it may be called again. */
int recorder_close(struct recorder *r, const struct run_result *res, const struct station_row *row,
	struct err *e);
/* After recorder_close(): a golden unit passed, and the row of the station on disk is not held any more. */
bool recorder_has_proven(const struct recorder *r);
struct recorder *recorder_free(struct recorder *r);

/* The name that an artifact of its recipe was uploaded under. -ERR_NOT_FOUND for another. */
int recorder_artifact_name(
	const struct recorder *r, const char *sha256, char *ret, size_t size, struct err *e);

/* The sink for the runner. */
struct runner_sink recorder_sink(struct recorder *r);
/* Reserves the run's serial (durable) or gives the one that it has. kind NULL: as the recipe says;
 * "scan" and "device" bring a value. */
int recorder_serial(struct recorder *r, const char *kind, const char *value,
	char ret[UNIT_SERIAL_BYTES], struct err *e);
/* What the run's unit gets as one set (durable), as step_env_ops.values says. */
int recorder_values(
	struct recorder *r, const char *serial, const json_t *wanted, json_t **ret, struct err *e);
/* The chip id or the like of the unit. */
int recorder_identity(struct recorder *r, const char *value, struct err *e);
/* What was said of the run's unit before it begins (durable): an event, and its row of the order's list goes back (held) or is not
 * made (rejected). */
struct route_answer;
int recorder_route(struct recorder *r, const struct route_answer *a, struct err *e);
/* A line of the run's log (daemon/line/run_log.h). */
void recorder_log(struct recorder *r, char dir, const char *text);
/* As step_env_ops.intend and .intended, for the step that was begun last. */
int recorder_intend(struct recorder *r, const struct intent *i, const struct observation *seen,
	struct earlier_intent *ret, struct err *e);
void recorder_intended(struct recorder *r, const char *evidence);
/* A file of the step that was begun last, which is on disk: its row, durable. -ERR_ATTACHMENT_QUOTA. */
int recorder_attach(
	struct recorder *r, const struct attach_file *f, const char *media, struct err *e);
int recorder_prompt_open(
	struct recorder *r, const struct prompt *p, char ret_id[UUID_SIZE], struct err *e);
/* Nobody answered. */
int recorder_prompt_cancel(struct recorder *r, const char *id, struct err *e);
