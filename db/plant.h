/* SPDX-License-Identifier: Apache-2.0
 *
 * This host as one of a plant (daemon/line/plant.h speaks to it, db/sql/0033_plant.sql draws the states): its session,
 * how far the plant has the events, and leases of numbers.
 *
 * A pool of the plant is a pool as any other, of which the ledger gives out what is in a lease of the present session
 * (db/plant_range.h). Whether the session is this host's is asked at each start of provd. A machine that was started since,
 * or a database that was moved or copied, has a new session: until the plant has answered nothing of such a pool is given
 * out, and then from new leases.
 */
#pragma once

#include "db/pool_shape.h"
#include "db/db.h"

#define PLANT_PLACE_SIZE 65
#define PLANT_NONCE_SIZE 33

struct plant_state {
	char state[12], place[PLANT_PLACE_SIZE], nonce[PLANT_NONCE_SIZE],
		asked_place[PLANT_PLACE_SIZE], code[32], why[ERR_TEXT_BYTES],
		message[ERR_TEXT_BYTES];
	int64_t fence, seen, newest, failing_since;
	bool named;
};
/* 1 with it, 0 where this host has no plant, or an error. newest: of the events. */
int plant_state(struct db *d, struct plant_state *ret, struct err *e);

/* At the start, before any station works: the session is unproven. Does nothing without a plant. */
int plant_opened(struct db *tx, struct err *e);
/* It is this host's, at the place where it was begun. */
int plant_proven(struct db *tx, struct err *e);
/* This host belongs to a plant from now on; again is the same. */
int plant_begin(struct db *tx, struct err *e);
/* A question is under way from this place: its nonce, which stays the same until it is answered. */
int plant_ask(struct db *tx, const char *place, struct err *e);
/* The answer: a new session. Leases of the one before are over. */
int plant_session(struct db *tx, int64_t fence, const char *place, struct err *e);
/* The plant refuses this host. */
int plant_stop(struct db *tx, enum err_code code, const char *why, struct err *e);
/* The plant has the events up to that one; message: why it does not take the next one, NULL. */
int plant_seen(struct db *tx, int64_t seen, const char *message, struct err *e);
/* Whether provd.yaml names a plant now: events are kept for it only then. */
int plant_named(struct db *tx, bool named, struct err *e);
/* Of the events, those from here on are still to be sent; INT64_MAX: none. */
int plant_need(struct db *d, int64_t *ret, struct err *e);
/* The next events, at most max. */
int plant_next(
	struct db *d, int64_t seen, size_t max, int64_t *ret_seq, size_t *ret_n, struct err *e);

/* --- numbers --- */

/* A pool as the plant defines it; one that is there is left as it is. -ERR_CONFLICT where this host has one of its own by
 * that name, or one that could give the same value. */
int plant_pool(struct db *tx, const struct pool_new *p, int64_t lease_values, struct err *e);
struct plant_want {
	char pool[DB_ID_SIZE], request[PLANT_NONCE_SIZE];
};
/* A pool that has less than one lease of values left, or whose lease is past half its time: 1 with it, 0 none, or an
 * error. not_these: an array of names. */
int plant_wants(struct db *d, int64_t now_ms, const json_t *not_these, struct plant_want *ret,
	struct err *e);
/* Names the question for a lease; it keeps its name until plant_leased(). */
int plant_request(struct db *tx, const char *pool, struct err *e);
struct plant_lease {
	int64_t id, first, last, granted_at, expires_at;
	const char *pool;
};
/* The answer. What was leased before and is past half its time goes back. */
int plant_leased(struct db *tx, const struct plant_lease *l, struct err *e);
struct plant_back {
	int64_t id, next;
};
/* A lease that the plant does not know yet that it goes back, from `next` on: 1, 0 none, or an error. */
int plant_back(struct db *d, struct plant_back *ret, struct err *e);
int plant_was_back(struct db *tx, int64_t id, struct err *e);
