/* SPDX-License-Identifier: Apache-2.0
 *
 * The orders: which job does a station work on next? Jobs live in the database; here is the queue
 * of those that can give work, in memory, for any thread. A claim takes one place of a job (passed
 * + under way < quantity); settling it gives the place back or counts it.
 */
#pragma once

#include <jansson.h>

#include "base/timefmt.h"
#include "daemon/line/config.h"
#include "daemon/recipe/mistake.h"
#include "daemon/recipe/recipe.h"

struct db;
struct fleet;
struct jobs;

/* What a run needs to know of its job; owned by the worker. */
struct job_claim {
	char job_id[UUID_SIZE];
	struct recipe *recipe; /* NULL: no claim */
	json_t *params;
	char external_ref[128];
};

struct jobs *jobs_new(struct fleet *f);
struct jobs *jobs_free(struct jobs *j);
/* Reads the runnable jobs; at start, after the recovery. */
int jobs_load(struct jobs *j, struct db *db, struct err *e);

/* The best job for that station: highest priority, then earliest deadline, then oldest. false:
 * none. */
bool jobs_claim(struct jobs *j, const struct station_config *station, struct job_claim *ret);
/* The run of a claim is over and recorded. */
void jobs_settle(struct jobs *j, struct job_claim *c, bool passed);
void job_claim_done(struct job_claim *c);

/* POST /jobs: checked, then applied in a write transaction, then announced. Body: {recipe: {name,
 * version?} or "name@version", quantity or serials[], priority?, stations[]?, params?, deadline?,
 * external_ref?}. */
struct job_order;
int job_order_new(struct jobs *j, struct db *reader, const json_t *body, const char *by,
	struct mistakes *m, struct job_order **ret, struct err *e);
/* In the writer's transaction; *ret: the job as JSON, a new reference. */
int job_order_apply(struct db *tx, struct job_order *o, json_t **ret, struct err *e);
/* After the commit: the queue knows it, the stations wake. */
void job_order_committed(struct jobs *j, struct job_order *o);
struct job_order *job_order_free(struct job_order *o);

enum job_verb { JOB_PAUSE, JOB_RESUME, JOB_STOP, JOB_ABORT, JOB_CANCEL };
int job_verb_from_str(const char *s);
/* In the writer's transaction: checks that the state allows it (-ERR_CONFLICT), changes it, writes
 * the event; *ret: the job as JSON. */
int job_act_apply(struct db *tx, const char *job_id, enum job_verb v, const char *by, json_t **ret,
	struct err *e);
/* After the commit. */
void job_act_committed(struct jobs *j, const char *job_id, enum job_verb v);
