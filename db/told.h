/* SPDX-License-Identifier: Apache-2.0
 *
 * What others are told of a run, in one object: what reports of it and messages about it are made of.
 */
#pragma once

#include "db/db.h"

/* hold: {held, at, seq} of the last station-held ("disabled", "quarantined") or station-freed ("") before it at its station; null:
 * none. before: {id, outcome, code, step, message, ended_at} of the run that was begun before it there; null: none. */

/* {report: as reports_run(), values: [{kind, slot, value}] that are its unit's, reference: that of its order
 * (null: none), before, hold}: a new reference. Of a run that has ended it is the same at each call. -ERR_NOT_FOUND. */
int told_run(struct db *d, const char *run, json_t **ret, struct err *e);
/* The same of an event station-held or station-freed: {before, hold}. at_ms: of the event. */
int told_station(
	struct db *d, const char *station, int64_t seq, int64_t at_ms, json_t **ret, struct err *e);
