/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders. States:
 *
 *   queued <-> paused          queued -> running (a station takes the first unit)
 *   running <-> paused         queued, paused -> cancelled
 *   running, paused -> stopping (open runs end, no new ones) -> done
 *   any that is open -> aborted; running, stopping -> done (quantity passed, or stopped)
 *
 * The counters move with the runs and leave `revision` alone, so that an If-Match of a person does
 * not race with the line.
 */
#pragma once

#include "base/trace_context.h"
#include "base/digest.h"
#include "db/db.h"

#define JOB_REF_SIZE 128 /* what a MES calls an order */

struct job_new {
	const char *id;
	const char *kind; /* NULL: "production"; "golden": of golden units, which count nowhere */
	const char *recipe;
	int64_t version;
	const char *recipe_sha256;
	int64_t quantity;	     /* with a list of serials: their number */
	int64_t priority;	     /* higher first */
	const json_t *affinity;	     /* array of station ids, NULL or empty: any */
	const json_t *params;	     /* object, NULL: {} */
	const json_t *serial_source; /* object as in the request, NULL: {} */
	const json_t *serials;	     /* array of serial numbers for the ledger, NULL: none */
	const char *external_ref;    /* of the MES, NULL: none */
	int64_t deadline_ms;	     /* 0: none */
	const char *created_by;
	const struct trace_context *trace; /* NULL: none */
};

struct job {
	char id[DB_ID_SIZE];
	char kind[16];
	char recipe[DB_ID_SIZE];
	int64_t version;
	char recipe_sha256[SHA256_HEX];
	char state[16];
	char external_ref[JOB_REF_SIZE]; /* "" without */
	int64_t quantity, passed, revision;
	json_t *params;	       /* owned */
	json_t *serial_source; /* owned */
};
void job_done(struct job *j);

/* On -ERR_CONFLICT of the serials *ret_offending (may be NULL) lists every one of them. */
int jobs_create(struct db *tx, const struct job_new *j, json_t **ret_offending, struct err *e);
/* The job that the station works on next, by priority, deadline and age: open, meant for this
 * station, and with units missing beyond those that other stations work on. -ERR_NOT_FOUND if
 * there is none. Makes it running. kind: that alone, NULL any. */
int jobs_claim(
	struct db *tx, const char *station, const char *kind, struct job *ret, struct err *e);
/* What a person or the MES wants. revision: what they saw, 0: any (-ERR_PRECONDITION);
 * -ERR_CONFLICT where the diagram has no such arrow. */
int jobs_set_state(struct db *tx, const char *id, const char *state, int64_t revision,
	const char *by, struct err *e);
/* Each NULL or 0 keeps. */
struct job_change {
	const int64_t *priority;
	const int64_t *quantity;
	const json_t *affinity;
	const int64_t *deadline_ms; /* 0 removes */
};
int jobs_change(struct db *tx, const char *id, const struct job_change *c, int64_t revision,
	const char *by, struct err *e);
/* Counts a run that ended, and ends the job when it has all it wants. Used by runs_finish(). */
int jobs_count_run(struct db *tx, const char *id, const char *outcome, struct err *e);

int jobs_find(struct db *d, const char *id, struct job *ret, struct err *e);
int jobs_get(struct db *d, const char *id, json_t **ret, struct err *e);
/* Newest first; filters may be NULL. */
int jobs_list(struct db *d, const char *state, const char *external_ref, const struct db_page *page,
	struct db_list *ret, struct err *e);
