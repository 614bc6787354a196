/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger of serial numbers, MAC addresses and license keys: a value is used once (design,
 * promise 3).
 *
 *              reserve                  settle: sent to a device, or the run passed
 *   free ------------------> reserved ------------------------------------------------> committed
 *    ^                          |  \
 *    |  given by people, unsent |   \  made by a pattern, unsent
 *    +--------------------------+    +---------------------------> void (with the reason)
 *
 * `exposed` is the witness: it is durable before the value is first sent, so after a crash an
 * exposed value belongs to that unit (which is then suspect), and an unexposed one never left.
 * A value made by a pattern is not made again: the sequence of the pool has moved on.
 *
 * Writers take the transaction of the writer thread; each records its event in it.
 */
#pragma once

#include "base/timefmt.h"
#include "db/db.h"
#include "db/pattern.h"

enum ledger_from {
	LEDGER_POOL, /* the next of a pool */
	LEDGER_JOB, /* the next of the list that the run's job was given; with `value` that one of it */
	LEDGER_SCAN,   /* `value`, read from a label */
	LEDGER_DEVICE, /* `value`, which the device carries already: exposed at once */
};

struct ledger_source {
	enum ledger_from from;
	const char *kind;    /* "serial", "mac", "license" */
	const char *slot;    /* a unit may have several of a kind ("eth0", "wifi"); NULL: "" */
	const char *pool;    /* LEDGER_POOL */
	const char *value;   /* LEDGER_SCAN, LEDGER_DEVICE; LEDGER_JOB: NULL the next */
	const char *model;   /* for patterns, may be NULL */
	int utc_offset_s;    /* of the zone of {date}, 0: UTC */
	const char *no_date; /* why the clock cannot be believed; NULL: it can */
};

/* The value of this kind and slot for an open run; the same one when asked again. A unit that has
 * one keeps it (rework). A given value that is committed to another unit is -ERR_SERIAL_CONFLICT,
 * unless that unit did not pass: then the run is a rework of it. -ERR_POOL_EMPTY. -ERR_CLOCK where
 * the value would carry a date and no_date is set. */
int ledger_reserve(struct db *tx, const char *run, const struct ledger_source *s,
	char ret[LEDGER_VALUE_SIZE], struct err *e);
/* Several values for an open run under one lease, all or none: on an error the transaction has to be
 * undone. The kind of a source may be NULL: that of its pool. The serial number comes first, since it
 * may show whose unit it is. What the run or its unit has stays as it is, with its lease. */
int ledger_reserve_set(struct db *tx, const char *run, const struct ledger_source *s, size_t n,
	char ret_lease[UUID_SIZE], char (*ret)[LEDGER_VALUE_SIZE], struct err *e);
/* Commit this before a value of the run is first sent to the device: all that it has, or those of
 * one slot ("": the serial number). -ERR_QUOTA where the run's order is for less, or has another
 * recipe: nothing is exposed, and the transaction has to be undone. */
int ledger_expose(struct db *tx, const char *run, struct err *e);
int ledger_expose_slot(struct db *tx, const char *run, const char *slot, struct err *e);
/* The device carries it already, whatever the order says. */
int ledger_note_carried(struct db *tx, const char *run, const char *slot, struct err *e);
/* Settles all that the run reserved and the state of its unit, as runs_finish() does. outcome:
 * passed failed error aborted interrupted. */
int ledger_settle(
	struct db *tx, const char *run, const char *outcome, const char *reason, struct err *e);

/* Free values for a pool or a job (the other NULL), all or none. A value that is in use, was used,
 * waits in another open list, or is here twice is refused: -ERR_CONFLICT, and *ret_offending (may
 * be NULL) is an array of {index, value, reason}, every one of them. MAC addresses are kept with
 * colons, in whatever form they come. A value of a pool that a pattern
 * could give, and a MAC address that is none, is refused too. */
int ledger_add_values(struct db *tx, const char *kind, const char *pool, const char *job,
	const json_t *values, json_t **ret_offending, struct err *e);

struct ledger_filter {
	const char *kind; /* each may be NULL */
	const char *state;
	const char *pool;
	const char *job;
	const char *run;
	const char *unit;
};
int ledger_get(struct db *d, const char *kind, const char *value, json_t **ret, struct err *e);
/* In the order of their entry. */
int ledger_list(struct db *d, const struct ledger_filter *f, const struct db_page *page,
	struct db_list *ret, struct err *e);
