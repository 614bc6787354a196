/* SPDX-License-Identifier: Apache-2.0
 *
 * Interlocks: what keeps a station from taking one more unit although nothing is broken yet.
 *
 *   golden        a run of a golden unit is due, or the newest one did not pass
 *   contacts      the fixture was closed too often since its last service
 *   calibration   the calibration of the fixture has run out, or none is on record
 *   yield         too few of the newest units passed
 *   wear          the flash of the unit on the station was erased too often: it ends the run of that unit
 *                 (interlocks_worn()), and keeps the station from no other
 *
 *	OK ──> NEAR ──> DUE ──(a person, with a reason, for some time)──> RELEASED ──> DUE
 *
 * Each blocks or warns, as provd.yaml says. Golden orders run whatever is due: they are how it is found
 * out. Pure data and functions, in the time zone of the host where shifts are asked for: nothing here waits, locks or
 * remembers.
 */
#pragma once

#include <jansson.h>

#include "daemon/line/config.h"
#include "db/fixtures.h"

enum interlock_state {
	INTERLOCK_OFF, /* provd.yaml does not ask for it */
	INTERLOCK_OK,
	INTERLOCK_NEAR, /* it will be due soon */
	INTERLOCK_DUE,
	INTERLOCK_RELEASED /* due, and a person lets the station go on */
};

struct interlock_view {
	enum interlock_state state;
	bool blocks; /* and not only warns */
	int64_t until_ms; /* of OK and NEAR: when it is due, 0 not by time; of RELEASED: the end of that */
	char message[ERR_TEXT_BYTES];
};

struct interlocks {
	struct interlock_view of[INTERLOCK_COUNT];
};

/* Whether golden units are asked for at all. */
bool interlocks_golden_on(const struct golden_config *c);
/* Runs that fixtures_facts() should count for these rules. */
int64_t interlocks_recent(const struct interlocks_config *c);
void interlocks_judge(const struct interlocks_config *c, const struct fixture_facts *f,
	int64_t now_ms, struct interlocks *ret);
/* 0, or -ERR_INTERLOCK with the sentence of the first one that blocks. */
int interlocks_check(const struct interlocks *i, struct err *e);
/* Of a unit that a run has recognised, with the region that was erased most: 0, or -ERR_INTERLOCK with a sentence where
 * it is worn, that blocks, and the station is not released. */
int interlocks_worn(const struct interlocks_config *c, const struct interlock_release *release,
	const char *unit, const char *region, int64_t erases, int64_t now_ms, struct err *e);
/* When the judgement may be another one without anything having happened; 0: never. */
int64_t interlocks_next_ms(
	const struct interlocks_config *c, const struct fixture_facts *f, int64_t now_ms);
/* Array of those that are not OFF or OK: {interlock, state, blocks, message, until, released_by,
 * reason}. */
json_t *interlocks_json(const struct interlocks *i, const struct fixture_facts *f);
const char *interlock_state_str(enum interlock_state s);
/* -1 where there is no such interlock. */
int interlock_from_str(const char *s);
