/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of each firmware file; the bytes lie next to the database under their digest.
 */
#pragma once

#include "db/db.h"

struct artifact {
	const char *sha256; /* 64 hex */
	const char *name;
	int64_t size_bytes;
	const char *format;  /* "elf", "ihex", ... */
	const json_t *image; /* what its reader said of it; NULL without one */
	const char *created_by;
};

/* *ret_created is false where that content is known already: its first name stays its own, and the name that is given
 * leads to it from now on (artifacts_by_name()). */
int artifacts_add(struct db *tx, const struct artifact *a, bool *ret_created, struct err *e);
/* -ERR_CONFLICT while a recipe that may still be used names it, -ERR_NOT_FOUND. */
int artifacts_delete(struct db *tx, const char *sha256, const char *by, struct err *e);
/* The name leads to content that is known: -ERR_NOT_FOUND. */
int artifacts_give_name(struct db *tx, const char *sha256, const char *name, struct err *e);
/* With `names`: those that lead to it. */
int artifacts_get(struct db *d, const char *sha256, json_t **ret, struct err *e);
/* The name that it was uploaded under first; -ERR_NOT_FOUND. */
int artifacts_name(struct db *d, const char *sha256, char *ret, size_t size, struct err *e);
/* Whether who may lead that name to sha256 without taking it from another: nobody uses it, it leads there already, or
 * who has uploaded under it what it leads to. Else -ERR_OUT_OF_SCOPE. */
int artifacts_check_name(
	struct db *d, const char *sha256, const char *name, const char *who, struct err *e);
/* The digest of what was uploaded under that name last. */
int artifacts_by_name(struct db *d, const char *name, char ret_sha256[SHA256_HEX], struct err *e);
/* Newest first; name may be NULL. */
int artifacts_list(struct db *d, const char *name, const struct db_page *page, struct db_list *ret,
	struct err *e);
/* Sum of the sizes, for the quota. */
int artifacts_total(struct db *d, int64_t *ret_bytes, struct err *e);
