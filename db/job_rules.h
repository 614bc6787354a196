/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of an order, without the database: for each state and each thing that is asked of it or
 * happens to it, where it goes. Pure data; the table is docs/orders.md, too. A hold is not a state: an
 * order that is held keeps its own, and no station takes a unit for it.
 */
#pragma once

#include <stdbool.h>

enum job_state {
	JOB_QUEUED,
	JOB_RUNNING,
	JOB_PAUSED,
	JOB_STOPPING, /* open runs end, no new ones */
	JOB_DONE,
	JOB_ABORTED,
	JOB_CANCELLED,
	JOB_STATE_COUNT
};

enum job_sign {
	/* Of a person or the MES: */
	JOB_PAUSE,
	JOB_RESUME,
	JOB_HOLD,
	JOB_RELEASE,
	JOB_CHANGE,   /* PATCH */
	JOB_STOP,     /* the units under way are the last */
	JOB_COMPLETE, /* the same, and the MES is content with fewer */
	JOB_ABORT,    /* the units under way are stopped as well */
	JOB_CANCEL,   /* it has not begun */
	/* Of the line: */
	JOB_BEGIN,  /* a station takes a unit */
	JOB_ENOUGH, /* all its units have passed, or no more can */
	JOB_IDLE,   /* its last open run ended */
	JOB_EXPIRE, /* its time is over, and it has begun */
	JOB_LAPSE,  /* its time is over, and it has not */
	JOB_SIGN_COUNT
};

enum job_effect {
	JOB_REFUSED, /* a command: -ERR_CONFLICT; of the line: it cannot come, or changes nothing */
	JOB_STAYS,
	JOB_GOES
};

struct job_rule {
	enum job_effect effect;
	enum job_state next; /* of JOB_GOES; else the state itself */
};

struct job_rule job_rule(enum job_state s, enum job_sign sign);
const char *job_state_str(enum job_state s);
/* JOB_STATE_COUNT where there is none. */
enum job_state job_state_from(const char *s);
/* As it is in a path; of the line's as it is in the table. */
const char *job_sign_str(enum job_sign s);
/* A verb of people and the MES by its name; JOB_SIGN_COUNT where there is none. */
enum job_sign job_verb_from(const char *s);
bool job_state_is_end(enum job_state s);
