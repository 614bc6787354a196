/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to db/: what the ledger must know of a run and its unit.
 */
#pragma once

#include "db/db.h"
#include "db/pattern.h"

struct run_facts {
	char id[DB_ID_SIZE];
	char station[DB_ID_SIZE];
	char job[DB_ID_SIZE]; /* "" without, as the next ones */
	char model[DB_ID_SIZE];
	char unit[DB_ID_SIZE];
	char unit_serial[LEDGER_VALUE_SIZE];
	char chip[128];
	bool exposed;
	bool golden; /* it judges the station, and says nothing of the unit */
};

/* A column of a run: how long it took, NULL where that is not known. */
#define RUN_DURATION                                                                      \
	"CASE WHEN duration_ms IS NULL THEN ended_at - coalesce(started_at, attached_at)" \
	" WHEN duration_ms >= 0 THEN duration_ms END AS duration_ms"

/* Columns of a run and of a step, as others see them: what db/sql/0012_outbox.sql says of `deferred` and
 * `completes`. */
#define RUN_OUTCOME                                                                         \
	"CASE WHEN deferred > 0 AND outcome = 'passed' THEN 'provisioned' ELSE outcome END" \
	" AS outcome"
#define RUN_KIND     "CASE WHEN completes IS NULL THEN kind ELSE 'completion' END AS kind"
#define STEP_OUTCOME "CASE WHEN deferred THEN 'deferred' ELSE outcome END AS outcome"

struct sel;
/* Only runs with that outcome, as others see it (RUN_OUTCOME); NULL: all. */
void run_outcome_is(struct sel *s, const char *outcome);

/* NULL for "": the columns want NULL. */
static inline const char *or_null(const char *s)
{
	return s && *s ? s : NULL;
}

/* -ERR_NOT_FOUND, or -ERR_CONFLICT if the run is finished. */
int run_facts(struct db *d, const char *run, struct run_facts *ret, struct err *e);
/* An event of this run; takes the reference of data. */
int run_event(struct db *tx, const char *type, const struct run_facts *f, const char *serial,
	json_t *data, struct err *e);
