/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to db/: a database that belongs to somebody else, to be looked at.
 */
#pragma once

#include "db/db.h"

/* Opens it so that no byte of it is written. One that a provd has open is read as its readers do; one with
 * a log that nobody has open is copied first, since sqlite would move the log into it; any other is read
 * where it is. -ERR_UNSUPPORTED for a database of another program or version. */
int db_open_offline(const char *path, struct db **ret, struct err *e);
