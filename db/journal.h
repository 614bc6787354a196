/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal of what cannot be undone (db/sql/0008_intents.sql draws it): the intent is on disk
 * before the first byte, so that a crash leaves a row that says what may have happened. Who finds
 * such a row has looked at the device, and what was seen settles it. Where nobody can tell, the row
 * is `suspect` until a person releases the unit (db/units.h).
 */
#pragma once

#include "db/db.h"

/* What the device shows before the act. */
enum journal_seen {
	JOURNAL_CANNOT_TELL,
	JOURNAL_NOT_DONE, /* nothing of it has happened */
	JOURNAL_DONE,	  /* it is as it was meant to be */
	JOURNAL_CLOSED,	  /* it cannot tell, and takes nothing any more */
	JOURNAL_HALF	  /* a part of it happened, or something else: it must not be done */
};

struct journal_intent {
	const char *run;
	int64_t step_n;
	const char *station;
	const char *action;
	const char *unit;   /* what the device says of itself, "" nothing */
	const char *what;   /* which thing of the unit */
	const char *digest; /* SHA-256 of the payload, hex */
	bool for_good;	    /* nothing takes it back: a committed one counts */
	enum journal_seen seen;
	const char *observed; /* how that was seen, a sentence */
};

/* An act whose end is not on record, or one that is committed. */
struct journal_open {
	char run[DB_ID_SIZE];  /* "" there is none */
	char unit[DB_ID_SIZE]; /* the id of its run's unit, "" none is known */
	int64_t intended_ms;
	bool committed;
	bool other; /* the committed one has another digest */
};

/* Before the act. Rows of the same unit, action and `what` that are open are settled by what was
 * seen: committed where it is done, void where it is not; *ret is the newest of them. Then, unless
 * it is done, the intent is recorded.
 *
 * JOURNAL_CANNOT_TELL with an open row of this unit, or of one that may be it (the same station, and
 * one of the two does not say who it is): *ret is that row, which is `suspect` where it is surely
 * this unit's, and nothing is recorded: do not act.
 *
 * JOURNAL_CANNOT_TELL without an open row, of an act that is for good: *ret is the newest committed row
 * that is surely this unit's, and nothing is recorded. JOURNAL_CLOSED: the same, and nothing is recorded
 * in any case.
 *
 * JOURNAL_HALF: the newest open row of this unit is `suspect`, and nothing is recorded.
 *
 * The same unit: the device says so of itself, or both runs know the same unit, and the earlier run is
 * over; or it is the same run. What another run that is open does now is settled by that run alone. */
int journal_intend(
	struct db *tx, const struct journal_intent *i, struct journal_open *ret, struct err *e);
/* The intent of that step happened. -ERR_NOT_FOUND where there is none that is open. */
int journal_commit(
	struct db *tx, const char *run, int64_t step_n, const char *observed, struct err *e);
/* The acts on a unit, the newest first: array of {run_id, step_n, station, action, unit, what, digest,
 * who, state, observed, settled_by, intended_at, settled_at}. */
int journal_list(struct db *d, const char *unit_id, json_t **ret, struct err *e);
/* A person has looked at the unit: all open rows of its finished runs are void. */
int journal_release(
	struct db *tx, const char *unit_id, const char *by, const char *reason, struct err *e);
