/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers kept by Idempotency-Key, stored in the transaction of the effect they answer for. Since
 * all effects pass one writer, looking the key up inside the apply function decides the race
 * between two equal requests.
 */
#pragma once

#include "db/db.h"

struct idempotent {
	const char *principal;
	const char *key;
	const char *method_path; /* "POST /api/v1/jobs", with its query */
	const char *body_sha256; /* of what the body means: the canonical JSON */
	/* Older keys were stored with the digest of these bytes; they are hashed only where the other
	 * digest does not fit. NULL: there are none. */
	const void *body;
	size_t body_len;
};

struct idempotent_answer {
	int status;
	json_t *headers; /* object, owned */
	char *response;	 /* owned */
};
void idempotent_answer_done(struct idempotent_answer *a);

/* 1 with the stored answer, 0 if the key is new, -ERR_INVALID if it was used for another request.
 */
int idempotency_find(
	struct db *d, const struct idempotent *k, struct idempotent_answer *ret, struct err *e);
int idempotency_store(struct db *tx, const struct idempotent *k, int status, const json_t *headers,
	const char *response, struct err *e);
int idempotency_prune(struct db *tx, int64_t before_ms, struct err *e);
