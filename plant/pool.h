/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections to the database, for the threads that answer: taken, given back, and opened again where the database was
 * away. Any thread.
 */
#pragma once

#include "base/util.h"
#include "plant/pg.h"

struct pool;

/* most: connections at a time, one for each thread that answers. */
int pool_new(const char *dsn, size_t most, struct pool **ret, struct err *e);
struct pool *pool_free(struct pool *p);

/* Runs apply() in a transaction, and again where others were first, or where the connection had died since it was last
 * used: apply() changes nothing but the database and what it gives out whole at its end. 0 once it is durable. On
 * -ERR_SERVICE_DOWN nobody knows whether it is: the caller asks the same again. */
#define POOL_APPLY(name) \
	int (*name)(struct pg * tx, void *data, const struct iotime *it, struct err *e)
int pool_do(struct pool *p, POOL_APPLY(apply), void *data, const struct iotime *it, struct err *e);
/* The same, of what changes nothing: rows of one statement. */
int pool_read(struct pool *p, const struct pg_query *q, struct pg_rows **ret,
	const struct iotime *it, struct err *e);
