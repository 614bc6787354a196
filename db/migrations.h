/* SPDX-License-Identifier: Apache-2.0
 *
 * The migrations of db/sql, embedded at build. Row i brings a database from user_version i to
 * i + 1; a file that was released is never edited.
 */
#pragma once

struct migration {
	const char *name; /* "0001_schema.sql" */
	const char *sql;
};

extern const struct migration migrations[];
extern const int migration_count;
/* What all of them make of an empty database. */
extern const char migrations_whole[];
