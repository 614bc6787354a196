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
	int64_t expires_ms; /* 0: never */
	/* Object of the lists stations, pools, recipes: what it may name; NULL: everything. Owned
	 * where it was found, borrowed where one is created. */
	json_t *scopes;
	char old_sha256[SHA256_HEX]; /* the secret before the last rotation; "" none */
	int64_t old_until_ms;	     /* it works as long */
	int64_t used_ms;	     /* 0: never, or not stored yet */
	char used_from[46];	     /* its address, numeric */
};

/* -ERR_CONFLICT for a name that any token ever had, in capitals or not. */
int tokens_create(struct db *tx, const struct token *t, struct err *e);
/* Revoked ones too: the caller says why it refuses. -ERR_NOT_FOUND. End it with token_done(). */
int tokens_find(struct db *d, const char *id, struct token *ret, struct err *e);
void token_done(struct token *t);
/* A new secret, by its hash; the one before works until old_until_ms. -ERR_NOT_FOUND also for one that
 * is revoked. */
int tokens_rotate(struct db *tx, const char *id, const char *secret_sha256, int64_t old_until_ms,
	struct err *e);
/* 0 also where there is none, or where a later use is stored. */
int tokens_touch(
	struct db *tx, const char *id, int64_t used_ms, const char *used_from, struct err *e);
/* -ERR_NOT_FOUND also for one that is revoked already. */
int tokens_revoke(struct db *tx, const char *id, struct err *e);
/* Array of what they may do and when they were used, without the hashes. */
int tokens_list(struct db *d, json_t **ret, struct err *e);
int tokens_count(struct db *d, int64_t *ret, struct err *e);
