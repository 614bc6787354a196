/* SPDX-License-Identifier: Apache-2.0
 *
 * Browser sessions, so that a restart of provd logs nobody out. Only the SHA-256 of the cookie is
 * stored. Times are wall-clock milliseconds.
 */
#pragma once

#include "base/digest.h"
#include "db/db.h"

struct session_row {
	char hash[SHA256_HEX]; /* of the cookie */
	char token[DB_ID_SIZE];
	int64_t created_ms, used_ms, ends_ms;
};

int sessions_add(struct db *tx, const struct session_row *s, struct err *e);
/* 0 also where there is none. */
int sessions_remove(struct db *tx, const char *hash, struct err *e);
int sessions_remove_of(struct db *tx, const char *token, struct err *e);
int sessions_touch(struct db *tx, const char *hash, int64_t used_ms, struct err *e);
/* Those that ended before now, or were last used before idle_since. */
int sessions_prune(struct db *tx, int64_t now_ms, int64_t idle_since_ms, struct err *e);
/* All of tokens that are not revoked, in the order of their making. */
int sessions_each(struct db *d, void (*each)(void *data, const struct session_row *s), void *data,
	struct err *e);
