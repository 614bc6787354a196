/* SPDX-License-Identifier: Apache-2.0
 *
 * The hosts of a plant, and who of them may speak. A host works in sessions, each with a number (its fence):
 *
 *	host                                         plant
 *	nonce on disk
 *	session(fence 4, nonce, place, seq) ───────> 4 is its last: fence 5, leases of 4 end
 *	fence 5, place on disk <────────────────────
 *	records, leases(fence 5) ──────────────────> taken
 *
 * The same request (fence, nonce and place) again is answered in the same way, so that an answer that is lost costs
 * nothing. A host that was started again has a new session by itself; one that
 * speaks from another home needs a person's word, since that is what a copy does. Whoever shows an older fence was copied from the host before this session, or is the one that a copy has
 * overtaken: it is refused (-ERR_HOST_COPIED), and a person says which of the two goes on (hosts_readmit()).
 */
#pragma once

#include <jansson.h>

#include "plant/tokens.h"

/* The dialogue between a host and a plant: either side refuses another one. */
#define PLANT_PROTOCOL 1

/* home: a digest of the machine and the file of its database; place: of the home and the start of the machine. seq: the
 * host's newest record. */
struct session_ask {
	int64_t protocol, generation, fence, seq;
	char *epoch, *nonce, *home, *place;
};

/* Of hosts, pools and orders, as the tables have them: -ERR_UNPROCESSABLE. */
int plant_name_check(const char *id, struct err *e);

/* {id} of a new host: {id, token}. -ERR_CONFLICT where there is one of that name. */
int hosts_add(struct pool *p, const char *id, const char *by, json_t **ret, const struct iotime *it,
	struct err *e);
/* Another token for a host, in the place of those before: {id, token}. */
int hosts_token(struct pool *p, const char *id, const char *by, json_t **ret,
	const struct iotime *it, struct err *e);
/* A new session: {protocol, fence, seen, pools: [definitions]}. -ERR_PLANT_VERSION for a host of another protocol,
 * -ERR_HOST_COPIED, and -ERR_HOST_OLDER for one whose database is older than what the plant has seen of it: its records
 * or its generation. What is refused is on record (hosts_list()). */
int hosts_session(struct pool *p, const char *host, const struct session_ask *ask, json_t **ret,
	const struct iotime *it, struct err *e);
/* As hosts_session(), of the present session: {protocol, fence, seen, pools}. */
int hosts_status(
	struct pool *p, const char *host, json_t **ret, const struct iotime *it, struct err *e);
/* A person says that the next session of that host is the right one. */
int hosts_readmit(struct pool *p, const char *id, const char *reason, const char *by,
	const struct iotime *it, struct err *e);
/* Array of {id, fence, seen, last_at, refused: {code, message, at} or null}. */
int hosts_list(struct pool *p, json_t **ret, const struct iotime *it, struct err *e);

/* Within a transaction: the host's row is locked until its end, and its present fence is this one. Notes that it was
 * heard. ret_seen (may be NULL): its newest record. */
int hosts_check_fence(struct pg *tx, const char *host, int64_t fence, int64_t *ret_seen,
	const struct iotime *it, struct err *e);
/* Notes why a host was refused; what cannot be noted is not. */
void hosts_note_refusal(
	struct pool *p, const char *host, const struct err *why, const struct iotime *it);
