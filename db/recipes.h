/* SPDX-License-Identifier: Apache-2.0
 *
 * Versions of recipes: draft -> approved -> retired. An approved version is immutable (a trigger of
 * the schema holds even against a bug here) and is never deleted.
 */
#pragma once

#include "db/db.h"

struct recipe_text {
	const char *name;
	int64_t version;    /* from 1 */
	const char *sha256; /* of json */
	const char *json;   /* canonical */
	const char *source; /* as people wrote it */
};

struct recipe_row {
	char name[DB_ID_SIZE];
	int64_t version;
	char sha256[SHA256_HEX];
	char state[16];
	char *json; /* owned */
};
void recipe_row_done(struct recipe_row *r);

/* Makes or replaces a draft; -ERR_CONFLICT once that version was approved. */
int recipes_put_draft(struct db *tx, const struct recipe_text *t, const char *by, bool *ret_created,
	struct err *e);
/* -ERR_FORBIDDEN where `by` wrote the draft. */
int recipes_check_second(
	struct db *tx, const char *name, int64_t version, const char *by, struct err *e);
/* Approves a draft with its final content (artifacts resolved to digests; t->source NULL keeps the
 * source). expect_sha256 is the draft that was reviewed: -ERR_PRECONDITION if it is another. */
int recipes_approve(struct db *tx, const struct recipe_text *t, const char *expect_sha256,
	const char *by, struct err *e);
int recipes_retire(struct db *tx, const char *name, int64_t version, const char *by, struct err *e);
int recipes_delete_draft(struct db *tx, const char *name, int64_t version, struct err *e);
/* version 0: the newest approved one. */
int recipes_find(
	struct db *d, const char *name, int64_t version, struct recipe_row *ret, struct err *e);
/* With `recipe` (parsed) and `source`. */
int recipes_get(struct db *d, const char *name, int64_t version, json_t **ret, struct err *e);
/* Without the texts, by name and then newest version; filters may be NULL. */
int recipes_list(struct db *d, const char *name, const char *state, json_t **ret, struct err *e);
