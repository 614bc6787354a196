/* SPDX-License-Identifier: Apache-2.0
 *
 * The units of an order that the MES lists, each with its serial number and its own parameters. A row is one unit: a run takes it
 * as it opens, or when its unit is recognised, and the end of the run is its state (db/sql/0022_orders.sql draws it). A number is
 * in one list that is open, and the ledger has it: it is never given twice. A rework order lists units that were made before and
 * did not pass.
 *
 * Writers take the transaction of the writer thread.
 */
#pragma once

#include "db/db.h"
#include "db/pattern.h"

#define JOB_UNITS_MAX 100000

enum job_assign {
	JOB_ASSIGN_NONE,       /* the order has no list */
	JOB_ASSIGN_IN_ORDER,   /* the next unit is the next row */
	JOB_ASSIGN_RECOGNISED, /* the row of what the unit says of itself */
};
/* "in-order", "recognised"; NULL for none. */
const char *job_assign_str(enum job_assign a);

/* The list of a new order: rows of {serial, chip_id (may be missing), params}, as they come. On -ERR_CONFLICT *ret_offending
 * (may be NULL) is an array of {index, value, reason}, every one of them. Takes the ledger's values as well, but for rework. */
int job_units_add(struct db *tx, const char *job, const json_t *rows, enum job_assign assign,
	bool rework, json_t **ret_offending, struct err *e);

/* The row that a run has. */
struct job_row {
	char job[DB_ID_SIZE];
	int64_t n;
	char serial[LEDGER_VALUE_SIZE];
	char state[16];
	char run[DB_ID_SIZE]; /* the newest */
	json_t *params;	      /* owned; complete */
};
void job_row_done(struct job_row *r);

/* Whether some open list has a unit that one of these names: an array of texts. */
int job_units_known(struct db *d, const json_t *marks, struct err *e);
/* A run that was just opened takes its row: that of what it is known by (marks, NULL: nothing), else the next one where the
 * order says so. 1 with it, 0 there is none (yet). */
int job_units_take(struct db *tx, const char *job, const char *run, const json_t *marks,
	struct job_row *ret, struct err *e);
/* What was found out about the run's unit: its serial number, its chip (each NULL: not known). 1: it has another row from now on,
 * which is *ret; 0: nothing changed, since it is its row's, or its chip is on no list. -ERR_SERIAL_CONFLICT where the list does not
 * have the serial number (without a chip), or has the unit as done or in work. */
int job_units_match(struct db *tx, const char *job, const char *run, const char *serial,
	const char *chip, struct job_row *ret, struct err *e);
/* Its first step begins. */
int job_units_begun(struct db *tx, const char *run, struct err *e);
/* 1 with the row that the run has, 0 none. */
int job_units_of_run(struct db *d, const char *run, struct job_row *ret, struct err *e);
/* The run does not begin: its row goes to the end of the list (held), or is not made at all. */
int job_units_hold(struct db *tx, const char *run, const char *reason, struct err *e);
int job_units_reject(struct db *tx, const char *run, const char *reason, struct err *e);
/* The end of a run, as runs_finish() does, after the ledger was settled. */
int job_units_settle(
	struct db *tx, const char *run, const char *outcome, const char *reason, struct err *e);
/* Whether the list has a row that may still pass. */
int job_units_missing(struct db *d, const char *job, struct err *e);
/* The order has ended: nothing of its list is made any more. */
int job_units_cancel(struct db *tx, const char *job, const char *reason, struct err *e);
/* A person scrapped the unit. *ret_job: of a list that is open and had it, to be called again; "" none has. */
int job_units_scrap(struct db *tx, const char *serial, const char *reason, char ret_job[DB_ID_SIZE],
	struct err *e);
/* The unit has passed in an order: no other list makes it again. *ret_job as of job_units_scrap(). */
int job_units_made(
	struct db *tx, const char *serial, const char *by, char ret_job[DB_ID_SIZE], struct err *e);

/* In the order of the list; state may be NULL. */
int job_units_list(struct db *d, const char *job, const char *state, const struct db_page *page,
	struct db_list *ret, struct err *e);
/* One row, with all of its runs. */
int job_units_get(struct db *d, const char *job, const char *serial, json_t **ret, struct err *e);
