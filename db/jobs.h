/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders. Their states and what leads from one to another are the table of db/job_rules.h (docs/orders.md).
 *
 * The counters move with the runs and leave `revision` alone, so that an If-Match of a person does
 * not race with the line.
 */
#pragma once

#include "base/trace_context.h"
#include "base/digest.h"
#include "db/db.h"
#include "db/job_rules.h"
#include "db/job_units.h"

#define JOB_REF_SIZE	128 /* what a MES calls an order */
#define JOB_REASON_SIZE 256 /* of a hold or an end */

struct job_new {
	const char *id;
	const char *kind; /* NULL: "production"; "golden": of golden units, which count nowhere */
	const char *recipe;
	int64_t version;
	const char *recipe_sha256;
	int64_t quantity;	     /* with a list of serials or units: their number */
	int64_t priority;	     /* higher first */
	const json_t *affinity;	     /* array of station ids, NULL or empty: any */
	const json_t *requires;	     /* array of capabilities of a station, NULL or empty: none */
	const json_t *params;	     /* object, NULL: {} */
	const json_t *serial_source; /* object as in the request, NULL: {} */
	const json_t *serials;	     /* array of serial numbers for the ledger, NULL: none */
	const json_t *units;	/* instead of them: a list of units (db/job_units.h), NULL: none */
	enum job_assign assign; /* of units */
	bool rework;		/* the units were made before */
	const json_t *route_check;  /* object: who is asked before a unit begins; NULL: nobody */
	const char *external_ref;   /* of the MES, NULL: none */
	const char *number;	    /* of the MES, unique; NULL: none */
	const char *content_sha256; /* of the request, where there is a number */
	int64_t deadline_ms;	    /* 0: none */
	int64_t expires_ms;	    /* 0: never */
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
	char external_ref[JOB_REF_SIZE]; /* "" without, as the number */
	char number[JOB_REF_SIZE];
	int64_t quantity, passed, revision;
	bool held, begun;      /* begun: a run was opened for it */
	bool listed;	       /* it has a list of units */
	json_t *params;	       /* owned */
	json_t *serial_source; /* owned */
	json_t *route_check;   /* owned; NULL: none */
};
void job_done(struct job *j);

/* On -ERR_CONFLICT of the serials *ret_offending (may be NULL) lists every one of them. */
int jobs_create(struct db *tx, const struct job_new *j, json_t **ret_offending, struct err *e);
/* The order with that number of the MES: 1 with its id, and whether the same request made it; 0 there is none. */
int jobs_by_number(struct db *d, const char *number, const char *content_sha256,
	char ret_id[DB_ID_SIZE], bool *ret_same, struct err *e);

/* Who asks for work. */
struct job_taker {
	const char *station;
	const json_t *capabilities; /* array of texts; NULL: none */
	const char *kind;	    /* of orders, that alone; NULL: any */
	const json_t *marks; /* what the unit there says of itself, array of texts; NULL: nothing */
};
/* The job that the station works on next, by priority, deadline and age: open, not held, not expired, meant for this
 * station, and with units missing beyond those that other stations work on. One whose list has the unit that is
 * there comes first. -ERR_NOT_FOUND if there is none. Makes it running. */
int jobs_claim(struct db *tx, const struct job_taker *t, struct job *ret, struct err *e);

/* What a person or the MES says with a verb. */
struct job_word {
	int64_t revision;   /* that they saw, 0: any (-ERR_PRECONDITION) */
	const char *reason; /* NULL: none. Of JOB_HOLD and JOB_COMPLETE there must be one. */
	const char *by;
};
/* -ERR_CONFLICT where the table has no such arrow, for a hold or a release that changes nothing, and for a cancel of an
 * order that has begun. */
int jobs_act(
	struct db *tx, const char *id, enum job_sign verb, const struct job_word *w, struct err *e);
/* Each NULL keeps. -ERR_CONFLICT for parameters of an order that has begun: its units were to be alike; -ERR_INVALID for those of
 * an order whose units have their own. */
struct job_change {
	const int64_t *priority;
	const int64_t *quantity;
	const json_t *affinity;
	const json_t *requires;
	const json_t *params;	    /* all of them */
	const int64_t *deadline_ms; /* 0 removes */
	const int64_t *expires_ms;  /* 0 removes */
};
int jobs_change(struct db *tx, const char *id, const struct job_change *c, int64_t revision,
	const char *by, struct err *e);
/* Counts a run that ended, and ends the job when it has all it wants. Used by runs_finish(). */
int jobs_count_run(struct db *tx, const char *id, const char *outcome, struct err *e);
/* The list of the order has changed: ends it where nothing of it can pass any more. */
int jobs_check_list(struct db *tx, const char *id, struct err *e);
/* Ends the orders whose time is over: one that has not begun at once, another with its last open run. *ret_next_ms: when
 * the next one expires; INT64_MAX none. */
int jobs_expire(struct db *tx, int64_t now_ms, int64_t *ret_next_ms, struct err *e);

int jobs_find(struct db *d, const char *id, struct job *ret, struct err *e);
int jobs_get(struct db *d, const char *id, json_t **ret, struct err *e);
/* Newest first; filters may be NULL. */
struct job_filter {
	const char *state, *external_ref, *number;
};
int jobs_list(struct db *d, const struct job_filter *f, const struct db_page *page,
	struct db_list *ret, struct err *e);
