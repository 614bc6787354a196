/* SPDX-License-Identifier: Apache-2.0
 *
 * What the next start of this provd would do to an older database: which migrations, for how long, and with how much
 * disk. It is measured on a copy, next to the database and so on the same disk, that is removed again; the
 * database itself is opened to read alone, and a provd may be working with it. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct upgrade {
	int from, to;	    /* schemas; from 0: the database is not there yet, or empty */
	int64_t size_bytes; /* of the database as it is */
	bool measured;	    /* false: there was no room for a copy, and what follows is estimated */
	/* What the upgrade takes of the disk beyond what there is: at most while it runs, and afterwards. */
	int64_t peak_bytes, grown_bytes;
	uint64_t took_us;
	int64_t free_bytes; /* of the disk, now */
};

/* The name of the migration that brings a database to that schema ("0023_traces.sql"); NULL: none. */
const char *upgrade_step(int schema);

/* The database DIR/provd.db. -ERR_UNSUPPORTED for one of a newer provd or another program; what a migration fails by, with its
 * name, which a start would fail by as well. -ERR_ACCESS where root asks for a folder of another user: what sqlite
 * makes next to the database would be root's, and provd could not write to it. */
int upgrade_rehearse(const char *dir, struct upgrade *ret, struct err *e);
