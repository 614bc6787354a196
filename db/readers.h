/* SPDX-License-Identifier: Apache-2.0
 *
 * A pool of read-only connections to one database: taken for the time of a look, and kept open for
 * the next. Any thread.
 */
#pragma once

#include "db/db.h"

struct readers;

/* path is copied. */
struct readers *readers_new(const char *path);
/* When all are back. */
struct readers *readers_free(struct readers *r);
/* NULL with e. */
struct db *readers_take(struct readers *r, struct err *e);
/* Takes NULL. */
void readers_give(struct readers *r, struct db *d);
