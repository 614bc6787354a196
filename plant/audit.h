/* SPDX-License-Identifier: Apache-2.0
 *
 * What people did to the plant, on record; and rows as JSON, as PostgreSQL makes it.
 */
#pragma once

#include <jansson.h>

#include "plant/pool.h"

/* Within the transaction of what it is about. */
int audit(struct pg *tx, const char *who, const char *action, const char *target,
	const char *detail, const struct iotime *it, struct err *e);

/* The one column of the one row of a statement, which is JSON: a new reference. */
int read_json(struct pool *p, const struct pg_query *q, json_t **ret, const struct iotime *it,
	struct err *e);
int rows_json(const struct pg_rows *rows, json_t **ret, struct err *e);
