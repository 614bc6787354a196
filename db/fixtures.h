/* SPDX-License-Identifier: Apache-2.0
 *
 * Fixtures: what stations are made of, how worn and how well proven they are, and for how long a
 * person lets a station go on in spite of an interlock (daemon/line/interlock.h judges).
 *
 * A fixture that was never used is a zeroed row. Times are milliseconds since 1970, 0 never.
 */
#pragma once

#include "db/db.h"

enum interlock {
	INTERLOCK_GOLDEN,
	INTERLOCK_CONTACTS,
	INTERLOCK_CALIBRATION,
	INTERLOCK_YIELD,
	INTERLOCK_WEAR,
	INTERLOCK_COUNT
};
extern const char *const interlock_names[]; /* by enum interlock, NULL-terminated */

struct interlock_release {
	int64_t until_ms; /* 0: none was given */
	int64_t after_run;
	char by[64], reason[256];
};

/* All that an interlock looks at. */
struct fixture_facts {
	int64_t contacts, since_service; /* runs: ever, and since the last service */
	int64_t serviced_ms;
	int64_t calibrated_until_ms;
	char calibration_of[DB_ID_SIZE]; /* the instrument; "": the fixture */
	int64_t golden_ms;		 /* of the newest run of a golden unit */
	char golden_outcome[16];
	int64_t recent,
		recent_passed; /* of the newest runs that count in the yield of the station */
	/* Of the unit that was on the station last: the region of its flash that was erased most. */
	char worn_unit[64], worn_region[72];
	int64_t worn_erases; /* 0: none */
	struct interlock_release release[INTERLOCK_COUNT];
};

/* recent: so many of the newest production runs that passed or failed, since the yield was released. */
int fixtures_facts(struct db *d, const char *fixture, const char *station, int64_t recent,
	struct fixture_facts *ret, struct err *e);

/* After fixtures_facts(): of the fixture and these instruments (which have rows as fixtures have) the calibration that
 * ends first counts, one that is not on record before all. */
int fixtures_instruments(
	struct db *d, char *const *names, size_t n, struct fixture_facts *ret, struct err *e);

/* In the transaction that opens a run: the fixture is closed on one more unit. */
int fixtures_contact(struct db *tx, const char *fixture, struct err *e);
/* In the transaction of its end: a run of a golden order. It is noted, 1, only where the unit is one of `units`
 * (serial numbers and chip ids, NULL-terminated): another unit proves nothing, 0, which an event says. */
int fixtures_golden(
	struct db *tx, const char *fixture, const char *run, char *const *units, struct err *e);

/* A person's words, with their events. */
int fixtures_serviced(
	struct db *tx, const char *fixture, const char *by, const char *reason, struct err *e);
int fixtures_calibrated(struct db *tx, const char *fixture, int64_t until_ms, const char *by,
	const char *reason, struct err *e);
int fixtures_release(struct db *tx, const char *station, enum interlock which, int64_t until_ms,
	const char *by, const char *reason, struct err *e);

/* 1 where it was used or spoken of, 0, or an error. */
int fixtures_known(struct db *d, const char *fixture, struct err *e);
/* {id, contacts, since_service, serviced_at, serviced_by, serviced_reason, calibrated_until, ...,
 * golden_at, golden_run, golden_outcome, revision}; of one that is not known: zeros. */
int fixtures_get(struct db *d, const char *fixture, json_t **ret, struct err *e);
/* Those that are known and those that are configured (an array of ids), by their ids: array. */
int fixtures_list(struct db *d, const json_t *configured, json_t **ret, struct err *e);
