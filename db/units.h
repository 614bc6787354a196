/* SPDX-License-Identifier: Apache-2.0
 *
 * The devices that were made. A unit comes into being when a run knows it: by its chip id, or when
 * a serial number is committed to it.
 */
#pragma once

#include "db/db.h"
#include "db/pattern.h"

/* Links an open run to the unit with that chip id, which is made if it is new. A run that knows
 * another chip already: -ERR_WRONG_DEVICE. */
int units_identify(struct db *tx, const char *run, const char *chip_id, const char *model,
	char ret_id[DB_ID_SIZE], struct err *e);
/* Links an open run of a golden unit to the unit with that serial number, which stays as it is in the
 * ledger; one that was not made here is known by it from now on as by a chip id. A run that knows another
 * unit already: -ERR_WRONG_DEVICE. */
int units_recognise(
	struct db *tx, const char *run, const char *serial, const char *model, struct err *e);
/* A person's word: releases a unit that has not passed ("failed"; -ERR_CONFLICT for one that has), or
 * scraps one. by and reason go into the event. What is open in the journal of a unit that is released
 * (db/journal.h) is void: the next run may act. Of a scrapped one it stays open, so that nothing acts
 * blindly on a board that comes back. What waits for it in the outbox is void. */
int units_set_state(struct db *tx, const char *id, const char *state, const char *reason,
	const char *by, struct err *e);
/* The serial number of a unit; "" without. */
int units_serial(struct db *d, const char *id, char ret[LEDGER_VALUE_SIZE], struct err *e);
/* By serial number, else by id. */
int units_get(struct db *d, const char *serial_or_id, json_t **ret, struct err *e);
/* Newest first; filters may be NULL. */
int units_list(struct db *d, const char *state, const char *model, const struct db_page *page,
	struct db_list *ret, struct err *e);
