/* SPDX-License-Identifier: Apache-2.0
 *
 * Pools of the plant, and the leases of their numbers (plant/sql/0001_plant.sql draws the life of one). No number is in
 * two leases: the database holds that by itself (leases_never_share_a_number).
 */
#pragma once

#include "base/form.h"
#include "plant/hosts.h"

extern const struct form_row pool_rows[]; /* of a new one */
/* {id, kind, pattern, first, last, check, model, block, local, span, lease_values, lease_days} of a new one. What a
 * pattern gives is checked as a host will. -ERR_CONFLICT where there is one of that name. */
int leases_add_pool(struct pool *p, const json_t *body, const char *by, json_t **ret,
	const struct iotime *it, struct err *e);
/* As {items}: with the numbers that were never leased, are out, and were given back. */
int leases_pools(struct pool *p, json_t **ret, const struct iotime *it, struct err *e);

/* The definitions of all pools, for a host: an array. */
int leases_definitions(struct pg *tx, json_t **ret, const struct iotime *it, struct err *e);

/* The next numbers of a pool for a host: {lease, pool, first, last, expires_in_s}. request: the host's name of its
 * question; the same one again has the same answer. -ERR_POOL_EMPTY, -ERR_NOT_FOUND, -ERR_HOST_COPIED. */
int leases_take(struct pool *p, const char *host, int64_t fence, const char *request,
	const char *pool, json_t **ret, const struct iotime *it, struct err *e);
/* The host will give out nothing from `next` on, and has that on disk. Once more is the same. */
int leases_return(struct pool *p, const char *host, int64_t fence, int64_t lease, int64_t next,
	const struct iotime *it, struct err *e);
/* Newest first, at most 1000; host and pool may be NULL. */
int leases_list(struct pool *p, const char *host, const char *pool, json_t **ret,
	const struct iotime *it, struct err *e);
