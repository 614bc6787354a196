/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of a station, without the station: pure data and functions. What is seen or asked
 * becomes a sign; a table says for each state and sign what the station does and where it goes. The
 * worker makes the signs and carries the effects out; nothing here waits, locks or remembers.
 *
 *	station_look(known, sight, now) -> sign
 *	station_rule(state, sign)       -> effect, next state
 *
 * The table is the drawing of docs/station.md, too, and a change of state that it does not have is
 * a bug (station_may_go()).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/line/station.h"

#define STATION_MARK_SIZE 512

enum station_sign {
	/* Of a look at what is plugged: */
	SIGN_NOTHING,	 /* nothing to do now */
	SIGN_WRONG,	 /* a device of other ids sits on a port */
	SIGN_UNIT,	 /* a unit came, or another one, or it came again */
	SIGN_SERVED,	 /* the unit has had its run before provd was started again */
	SIGN_SETTLED,	 /* it stayed for the whole settle time */
	SIGN_GONE,	 /* it is not there, for good */
	SIGN_MAY_RUN,	 /* all is there that a run needs, except a job */
	SIGN_ASKED,	 /* a person wants it to be run again */
	SIGN_FREED,	 /* what held the station ended; no unit is there */
	SIGN_FREED_UNIT, /* the same, and a unit is there */
	/* Of the run: */
	SIGN_BEGUN,	  /* its first step follows */
	SIGN_OVER,	  /* its end is on record */
	SIGN_QUARANTINED, /* too many failed at one step in a row */
	SIGN_UNRECORDED,  /* its beginning or its end could not be put on record */
	SIGN_CLOSE_AGAIN, /* it is time to try again to put its end on record */
	/* Of a person: */
	SIGN_START,
	SIGN_ABORT,
	SIGN_DISABLE,
	SIGN_ENABLE,
	SIGN_CLEAR,
	SIGN_COUNT
};

enum station_effect {
	EFFECT_NEVER,	      /* refused (a command), or a bug */
	EFFECT_WAIT,	      /* nothing changes */
	EFFECT_GO,	      /* the state alone */
	EFFECT_SETTLE,	      /* the settle time begins, and the record of the attempt with it */
	EFFECT_DROP_GONE,     /* an attempt that is on record ends as device-gone */
	EFFECT_DROP_WRONG,    /* ... as wrong-device */
	EFFECT_RECOGNISE,     /* the unit is known and not run again */
	EFFECT_RUN,	      /* open the run, if that is not done, and carry it out */
	EFFECT_ASK,	      /* the next look knows that a run is wanted */
	EFFECT_ABORT,	      /* the run is cancelled */
	EFFECT_DISABLE,	      /* an attempt ends as aborted; the station takes no unit */
	EFFECT_DISABLE_LATER, /* the same after the run */
	EFFECT_CLOSE,	      /* try again; what follows is the end of the run, or SIGN_FREED... */
	EFFECT_PROVE, /* a golden unit alone is run: where it passes, what held the station is over */
	EFFECT_FREE, /* what held it is forgotten; the next sign is SIGN_FREED... */
	EFFECT_COUNT
};

struct station_rule {
	enum station_effect effect;
	enum station_state next; /* of EFFECT_NEVER and EFFECT_WAIT: the state itself */
};

struct station_rule station_rule(enum station_state s, enum station_sign sign);
/* Whether some rule leads from one to the other. */
bool station_may_go(enum station_state from, enum station_state to);
const char *station_sign_str(enum station_sign s);
const char *station_effect_str(enum station_effect e);

/* What is plugged, in one look. */
struct station_sight {
	bool complete; /* every port that the station needs, and the right devices */
	bool any;
	bool wrong;
	bool served;		      /* this plugging is on record as one that has had its run */
	uint64_t generation;	      /* rises with every enumeration */
	uint64_t away_us;	      /* how long a port was empty since the last unit */
	char mark[STATION_MARK_SIZE]; /* differs where another unit is there for sure */
};

/* What the worker knows from before. */
struct station_known {
	enum station_state state;
	uint64_t settle_us; /* configured */
	bool manual;
	bool asked;	 /* a person wants a run */
	bool stopping;	 /* provd ends: no new run */
	bool unrecorded; /* the end of a run is not on disk yet */
	uint64_t close_again_us;
	bool wrong; /* the fault is one of a wrong device */
	/* Kept by station_look() and the calls below: */
	uint64_t generation;	  /* of what is plugged, as last seen */
	uint64_t settle_until_us; /* while SETTLING */
	uint64_t away_since_us;	  /* while DONE: when the unit left; 0: it is there */
	char mark[STATION_MARK_SIZE];
};

enum station_sign station_look(
	struct station_known *k, const struct station_sight *p, uint64_t now_us);
/* The unit that is seen is the one from now on; its settle time begins. */
void station_take(struct station_known *k, const struct station_sight *p, uint64_t now_us);
/* Until when nothing comes up by itself; NO_DEADLINE. */
uint64_t station_next_look_us(const struct station_known *k);
