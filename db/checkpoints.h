/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints of the records (base/checkpoint.h): what they are made of, and the rows of those that were
 * made. A row is an event as well: "records-checkpoint" {size, root, signed}.
 */
#pragma once

#include "base/checkpoint.h"
#include "db/db.h"

/* Of the records as they are: size 0 where there is none, or the database has no epoch. Of one transaction
 * of d, or what comes meanwhile could be in half of it. */
int checkpoints_look(struct db *d, struct checkpoint *ret, struct err *e);

struct checkpoint_row {
	int64_t size, at_ms; /* size 0: there is none */
	char note[CHECKPOINT_NOTE_BYTES];
};
int checkpoints_newest(struct db *d, struct checkpoint_row *ret, struct err *e);
/* public: PEM of the key that signed it; NULL: it is not signed. */
int checkpoints_add(struct db *tx, const struct checkpoint *c, const char *note, const char *public,
	struct err *e);

/* {seq, size, at, signed, note, public_key}; the newest first. */
int checkpoints_list(struct db *d, const struct db_page *page, struct db_list *ret, struct err *e);
/* The newest of them; -ERR_NOT_FOUND. */
int checkpoints_get(struct db *d, json_t **ret, struct err *e);
/* The newest of at least that many records, as a note that the caller owns; one that is not signed, of the
 * records as they are, where there is none. *ret_size: of how many records it is. */
int checkpoints_over(
	struct db *d, int64_t records, char **ret_note, int64_t *ret_size, struct err *e);
