/* SPDX-License-Identifier: Apache-2.0
 *
 * All that a unit is made of, in one answer: by whom it was made, where, with what, and what was done to it.
 */
#pragma once

#include "db/db.h"

/* By serial number, else by id: {unit, values: [{kind, slot, value, pool, run}], parts: [{run, at, station, step, kind,
 * what, value, by}], certificates: [{run, issuer, serial, subject, sha256, key, profile, not_after, state}], artifacts: [{sha256,
 * name, as, runs}], recipes: [{name, version, sha256, runs}], tools: [{name, runs}], orders: [{id, number, external_ref, recipe,
 * version, kind, rework, runs}], stations: [{station, fixture, runs, first_at, last_at}], acts: [{run, station, action, what,
 * digest, state, at}], wear: [{region, erases}] (db/wear.h), most first, runs: [{id, kind, station, fixture, job, recipe, version, outcome, step, code, ended_at, archived}], truncated}.
 * Oldest first. parts: what people scanned or typed in during a run, as the barcode of a board that went in. runs:
 * the newest GENEALOGY_RUNS; truncated: there are more, and all other lists are of all of them. -ERR_NOT_FOUND. */
#define GENEALOGY_RUNS 200
int genealogy_get(struct db *d, const char *serial_or_id, json_t **ret, struct err *e);
