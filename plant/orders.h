/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders of the plant, which hosts take in parts (claims) as they have time. A claim is fenced by the host's session, and by
 * its end in time: the host begins no unit of it any more then, and a little later what is not known to have passed is
 * open again.
 *
 *	remaining = quantity - (claims that are out: all of them) - (claims that have ended: what passed of them)
 *
 * What a host made of a claim is counted from its own records (a run's reference is CLAIM_REFERENCE and the claim's
 * number), and a host says that a claim has ended after it has sent them.
 */
#pragma once

#include "base/form.h"
#include "plant/hosts.h"

#define CLAIM_REFERENCE "plant-claim-"

/* {id, recipe, quantity, priority, params, claim_s} of a new one. -ERR_CONFLICT where there is one of that name. */
int orders_add(struct pool *p, const json_t *body, const char *by, json_t **ret,
	const struct iotime *it, struct err *e);
/* Nothing more of it is given out; what hosts have of it they finish. */
int orders_cancel(struct pool *p, const char *id, const char *reason, const char *by,
	const struct iotime *it, struct err *e);
/* Array of {id, recipe, quantity, state, why, passed, out, remaining, claims: [...]}, newest first, at most 200. */
int orders_list(struct pool *p, json_t **ret, const struct iotime *it, struct err *e);

struct claim_ask {
	int64_t fence, most;
	char *request;
	const json_t *recipes; /* names that the host can run; borrowed */
};
/* A part of the next order that the host can make: {claim, order, recipe, quantity, params, expires_in_s}, or {claim: null}.
 * The same request again has the same answer. */
int orders_claim(struct pool *p, const char *host, const struct claim_ask *a, json_t **ret,
	const struct iotime *it, struct err *e);
/* The host has ended it, and the plant has all its records. refused: why it could not take it, NULL: then the order is
 * held for a person. Once more is the same. */
int orders_claim_ended(struct pool *p, const char *host, int64_t fence, int64_t claim,
	const char *refused, const struct iotime *it, struct err *e);
