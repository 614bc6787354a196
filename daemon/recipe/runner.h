/* SPDX-License-Identifier: Apache-2.0
 *
 * The runner carries a recipe out, step by step, on one unit. It knows no database and no station:
 * it reports to a sink what begins and ends, and asks an environment for links, serials and people.
 *
 *   setup --ok--> steps --ok--> teardown        a failing step with on_fail: stop jumps to
 *     |             |              ^            teardown; teardown always runs, with a cancel of
 *     +--failed-----+--------------+            its own
 *
 * No false pass: an action marked ACTION_NEEDS_EVIDENCE that returns none has not passed, and a
 * step whose end the sink could not make durable has not passed either.
 */
#pragma once

#include "base/teller.h"
#include "daemon/recipe/recipe.h"

enum outcome {
	OUTCOME_PASSED,
	OUTCOME_FAILED,
	OUTCOME_ERROR,
	OUTCOME_ABORTED,
	OUTCOME_INTERRUPTED,
	OUTCOME_SKIPPED, /* steps only, as the next one */
	OUTCOME_DEFERRED /* its service is away: the outbox carries it out */
};

const char *outcome_str(enum outcome o);
/* That of a run: "provisioned" where it passed with steps that were deferred. */
const char *run_outcome_str(enum outcome o, unsigned deferred);
/* OUTCOME_ERROR where there is none of that name. */
enum outcome outcome_from_str(const char *s);
/* failed, error or aborted, by the class of the code. */
enum outcome outcome_of_code(enum err_code c);

/* One attempt of one step. */
struct step_record {
	unsigned n; /* from 1, in the order of the run */
	const struct recipe_step *step;
	enum step_phase phase;
	unsigned attempt; /* from 1 */
	/* At the end: */
	enum outcome outcome;
	enum err_code code;
	const char *message;	/* "" when passed */
	const json_t *evidence; /* masked; may be NULL */
	const json_t *outputs;
	const json_t *later; /* of a deferred one: later_payload(); else NULL */
	uint64_t duration_us;
};

struct runner_sink {
	void *data;
	/* Each is durable when it returns 0; an error ends the run as `error`. */
	int (*step_begin)(void *data, const struct step_record *r, struct err *e);
	int (*step_end)(void *data, const struct step_record *r, struct err *e);
	int (*measured)(void *data, const struct step_record *r, const struct measurement *m,
		const char *verdict, struct err *e);
	/* The value of this slot is about to be sent to the unit for the first time; "": the serial
	 * number. May be NULL. */
	int (*expose)(void *data, const char *slot, struct err *e);
};

struct runner {
	const struct recipe *recipe;
	const struct runner_sink *sink;
	const struct step_env_ops *ops;
	void *env;
	struct teller tell; /* who listens while a step runs; lines come masked */
	const struct cancel *cancel;
	/* The sink keeps what is deferred: without it `offline: later` is as `fail`. */
	bool may_defer;
	/* Asked between steps: true ends the run as aborted with ERR_SHUTDOWN. May be NULL. */
	bool (*stop_requested)(void *env);
	struct secret_set *secrets;
	/* -ERR_NOT_FOUND for an unknown one. May be NULL: no secrets here. */
	int (*secret)(void *env, const char *name, char **ret, struct err *e);
	const json_t *params;	 /* complete, from recipe_params() */
	const json_t *artifacts; /* name -> reference that ops->image understands */
	const json_t
		*context; /* {"job":{...},"unit":{...},"station":{...},"ports":{...},"run":{...}} */
	uint64_t teardown_us; /* budget of the whole teardown; 0: 60 s */
};

struct run_result {
	enum outcome outcome;
	enum err_code code;
	char step[STEP_ID_BYTES]; /* where it ended; "" when passed */
	char message[ERR_TEXT_BYTES];
	unsigned deferred; /* steps: with a pass the unit is provisioned */
};

void runner_run(const struct runner *rn, struct run_result *ret);

/* A step that was deferred, by itself: rn->recipe may be NULL, and what it has of a run is not used. */
struct later_step {
	const json_t *payload; /* later_payload() */
	const json_t *steps;   /* {STEP: outputs} of those that were done before it */
	const char *key;       /* see struct step */
	bool again;
};
struct later_result {
	enum outcome outcome;
	enum err_code code;
	char message[ERR_TEXT_BYTES]; /* masked, as the next two */
	json_t *evidence, *outputs;   /* owned by the caller; NULL: none */
	struct service_said said;
};
void runner_later(const struct runner *rn, const struct later_step *l, struct later_result *ret);
