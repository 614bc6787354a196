/* SPDX-License-Identifier: Apache-2.0
 *
 * The schema of the plant's database: migrations (plant/sql) in order, each in one transaction, by one program at a
 * time.
 */
#pragma once

#include "plant/pool.h"

struct plant_migration {
	const char *name, *sql;
};
extern const struct plant_migration plant_migrations[];
extern const int plant_migration_count;

/* Brings the database to this program's schema. -ERR_UNSUPPORTED where it has a newer one, or tables of another program:
 * nothing is changed then. */
int schema_migrate(struct pool *p, const struct iotime *it, struct err *e);
/* Another program may have migrated the database while this one runs: -ERR_SERVICE_DOWN for the version of a newer one. */
int schema_check(int64_t version, struct err *e);
