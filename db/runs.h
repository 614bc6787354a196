/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs: one attempt at one unit on one station, recorded from the moment that something is attached
 * until its report is a link of the hash chain. A finished run is immutable (triggers of the
 * schema).
 */
#pragma once

#include "db/db.h"

struct run_new {
	const char *id; /* UUIDv7 */
	const char *station;
	const char *fixture; /* that it has now; NULL: not known */
	const char *kind;    /* NULL: "production"; "golden", "debug" count nowhere */
	int64_t attached_ms; /* when the device came */
};
int runs_open(struct db *tx, const struct run_new *r, struct err *e);

struct run_start {
	const char *run;
	const char *job; /* NULL: none */
	const char *recipe;
	int64_t version;
	const char *recipe_sha256;
	const char *model;	/* of the recipe's unit, NULL: unknown */
	const json_t *params;	/* object, NULL: {} */
	const json_t *firmware; /* object: "version", and artifacts by name; NULL: {} */
	int64_t started_ms;
};
int runs_start(struct db *tx, const struct run_start *s, struct err *e);
/* What the device said it carries, or what was flashed: replaces the object. */
int runs_set_firmware(struct db *tx, const char *run, const json_t *firmware, struct err *e);

/* Those of its unit, once it is recognised. */
int runs_set_params(struct db *tx, const char *run, const json_t *params, struct err *e);

struct step_begin {
	const char *run;
	int64_t n; /* from 1, in the order of execution */
	const char *id;
	const char *action;
	const char *phase; /* setup steps teardown */
	int64_t attempt;   /* from 1 */
	bool irreversible; /* this row is then the intent: commit it before acting */
	int64_t started_ms;
};
int runs_step_begin(struct db *tx, const struct step_begin *s, struct err *e);

struct step_end {
	const char *run;
	int64_t n;
	const char *outcome;	/* passed failed error aborted skipped interrupted deferred */
	const char *code;	/* NULL or "none": none */
	const char *message;	/* NULL: none */
	const json_t *evidence; /* object, NULL: none */
	const json_t *outputs;	/* object, NULL: none */
	int64_t ended_ms;
	int64_t duration_us;
};
int runs_step_end(struct db *tx, const struct step_end *s, struct err *e);

struct measured {
	const char *run;
	int64_t step_n;
	int64_t k; /* from 1, within the step */
	const char *name;
	const double *value; /* NULL: not a number */
	const char *text;    /* what the device said, NULL: nothing */
	const char *unit;
	const double *low, *high; /* NULL: no limit */
	const json_t *detail;	  /* what else there is to it, NULL: nothing */
	const char *verdict;	  /* pass fail marginal */
};
int runs_measure(struct db *tx, const struct measured *m, struct err *e);
/* k: from 1, rising. dir: > < # */
int runs_log(struct db *tx, const char *run, int64_t k, int64_t at_ms, char dir, const char *text,
	struct err *e);

struct run_end {
	const char *run;
	const char *outcome; /* passed failed error aborted interrupted */
	const char *code;    /* NULL or "none": none */
	const char *step;    /* where, NULL: nowhere */
	const char *message;
	const char *hint;
	int64_t ended_ms;
	/* From the attach on, by a clock that does not jump; -1: not known. NULL: the difference of
	 * the run's times. */
	const int64_t *duration_ms;
};
/* Closes what is open (steps, prompts), settles the ledger and the unit, counts for the job, and
 * chains the report. A run that passed with deferred steps is `provisioned` for all who ask, and counts
 * as passed. */
int runs_finish(struct db *tx, const struct run_end *end, struct err *e);
/* A run is complete: the outbox has done all of its deferred steps. Makes the record of that, which is
 * a run of its own in the hash chain, of the kind "completion"; it counts nowhere. */
int runs_complete(struct db *tx, const char *run, struct err *e);
/* At start: ends every run that a crash left open as `interrupted`. Gives how many. */
int runs_recover(struct db *tx, int64_t *ret, struct err *e);

struct run_filter {
	const char *station; /* each may be NULL */
	const char *job;
	const char *serial;
	const char *unit;
	const char *outcome; /* "passed" is without deferred steps, "provisioned" with */
	const char *state;
	const char *recipe;
	const char *step, *code; /* that ended it */
	int64_t from_ms, to_ms;	 /* of attached_at, to_ms excluded; 0: open */
};
int runs_get(struct db *d, const char *id, json_t **ret, struct err *e);
/* Newest attachment first. */
int runs_list(struct db *d, const struct run_filter *f, const struct db_page *page,
	struct db_list *ret, struct err *e);
/* Arrays in the order of execution; steps without their measurements. */
int runs_steps(struct db *d, const char *run, json_t **ret, struct err *e);
int runs_measurements(struct db *d, const char *run, json_t **ret, struct err *e);
int runs_log_list(struct db *d, const char *run, const struct db_page *page, struct db_list *ret,
	struct err *e);
