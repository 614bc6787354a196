/* SPDX-License-Identifier: Apache-2.0
 *
 * What others are to be told later (db/sql/0012_outbox.sql draws the life of a row): rows that a
 * sender carries out in their order, each until the other side has it or refuses it for good.
 *
 * A row of a run waits for the run's end: what did not pass is told to nobody. The last row of a run
 * makes a record of its own in the hash chain, and its unit passes.
 */
#pragma once

#include "db/db.h"

#define OUTBOX_KIND_STEP       "step"	    /* payload: {step, action, with, timeout_us} */
#define OUTBOX_KIND_CHECKPOINT "checkpoint" /* payload: {path, note} (base/checkpoint.h) */

struct outbox_new {
	const char *kind;
	const char *key;       /* a second row of that kind and key is -ERR_CONFLICT */
	const char *order_key; /* NULL: that of the run's unit, which is known at its end */
	const char *target;
	const json_t *payload;
	const char *run; /* NULL: none, the row waits for nothing */
	int64_t step_n;
};
int outbox_add(struct db *tx, const struct outbox_new *n, struct err *e);

/* The end of a run, with its unit ("" none is known): its rows go out, or are void. A run that passed
 * voids what an earlier run of the same recipe left of that unit: it was done again. ret_open: whether
 * the unit has rows that are not done. */
int outbox_run_ended(struct db *tx, const char *run, const char *unit, bool passed,
	const char *reason, bool *ret_open, struct err *e);
/* Nothing more of that unit goes out: a person released or scrapped it. */
int outbox_void_unit(struct db *tx, const char *unit, const char *reason, struct err *e);

struct outbox_row {
	int64_t seq;
	char id[DB_ID_SIZE], kind[DB_ID_SIZE], target[DB_ID_SIZE], run[DB_ID_SIZE];
	int64_t step_n, attempts;
	json_t *payload; /* owned by the caller */
};

/* The longest that a row may be put off: one that is due later was put off by another clock. */
#define OUTBOX_LATEST_MS (3600 * INT64_C(1000))
/* The oldest row that may go out now: the first of its order_key, due, no run of its unit open, to none
 * of the targets of `not` (an array of names). 1 with it, 0, or an error. */
int outbox_next(
	struct db *d, const json_t *not_to, int64_t now_ms, struct outbox_row *ret, struct err *e);
/* What the rows of a run that are done brought: {STEP: outputs}. */
int outbox_outputs(struct db *d, const char *run, json_t **ret, struct err *e);

/* An attempt, durable before its first byte. -ERR_CONFLICT: the row does not wait any more. */
int outbox_begin(struct db *tx, const char *id, struct err *e);
/* The ends of an attempt; of a row that went void meanwhile nothing changes.
 * Not now: again in so many ms, at most OUTBOX_LATEST_MS. */
int outbox_put_off(struct db *tx, const char *id, enum err_code code, const char *message,
	int64_t in_ms, struct err *e);
/* Never: the unit is suspect, and its later rows wait for a person. */
int outbox_refuse(
	struct db *tx, const char *id, enum err_code code, const char *message, struct err *e);
/* The other side has it. result: {evidence, outputs}. */
int outbox_done(struct db *tx, const char *id, const json_t *result, struct err *e);

/* A person's word: once more, now. A unit that is suspect for this row is provisioned again.
 * -ERR_CONFLICT for a row that is done, void or held. */
int outbox_retry(struct db *tx, const char *id, const char *by, struct err *e);
int outbox_get(struct db *d, const char *id, json_t **ret, struct err *e);
/* The oldest first; each filter may be NULL. */
int outbox_list(struct db *d, const char *state, const char *unit, const struct db_page *page,
	struct db_list *ret, struct err *e);
/* {waiting, refused, oldest_ms}: oldest_ms is when the oldest of both was written, 0 none. */
struct outbox_counts {
	int64_t waiting, refused, oldest_ms;
};
int outbox_count(struct db *d, struct outbox_counts *ret, struct err *e);
