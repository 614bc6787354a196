/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens that no token made: the first one, and one made while provd does not run. There is no
 * default password. The text of the token is on disk before its row is committed: a crash
 * in between leaves a token that is not valid, never a valid one that nobody knows.
 */
#pragma once

#include "api/auth.h"
#include "db/db.h"
#include "db/writer.h"

/* Must be durable when it returns 0. */
typedef int token_keep_fn(void *data, const char *token, struct err *e);

/* Where no admin is left: makes one, gives it to keep(), commits it, and adds it to a. */
int first_token(struct auth *a, struct writer *w, token_keep_fn *keep, void *data, struct err *e);

/* Makes a token in the records of state_dir, which no provd may work in (-ERR_BUSY). name: NULL
 * for one made up. The text goes to keep() before the commit. */
int offline_token(const char *state_dir, enum role role, const char *name, token_keep_fn *keep,
	void *data, struct err *e);
