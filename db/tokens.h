/* SPDX-License-Identifier: Apache-2.0
 *
 * API tokens: only the SHA-256 of the secret is stored.
 */
#pragma once

#include "base/digest.h"
#include "db/db.h"

#define TOKEN_NAME_SIZE 64

struct token {
	char id[DB_ID_SIZE];
	char name[TOKEN_NAME_SIZE];
	char role[16];			/* viewer operator supervisor engineer mes admin */
	char secret_sha256[SHA256_HEX]; /* hex */
	bool revoked;
};

/* -ERR_CONFLICT for a name that any token ever had, in capitals or not. */
int tokens_create(struct db *tx, const struct token *t, struct err *e);
/* Revoked ones too: the caller says why it refuses. -ERR_NOT_FOUND. */
int tokens_find(struct db *d, const char *id, struct token *ret, struct err *e);
/* -ERR_NOT_FOUND also for one that is revoked already. */
int tokens_revoke(struct db *tx, const char *id, struct err *e);
/* Array of id name role created_at revoked_at, without the hash. */
int tokens_list(struct db *d, json_t **ret, struct err *e);
int tokens_count(struct db *d, int64_t *ret, struct err *e);
