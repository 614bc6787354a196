/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may ask the plant: tokens, of which the database has digests alone. Any thread.
 */
#pragma once

#include "base/digest.h"
#include "plant/pool.h"

#define TOKEN_TEXT_BYTES 80
#define HOST_ID_BYTES	 64

enum plant_role { PLANT_VIEWER, PLANT_ADMIN, PLANT_HOST, PLANT_ROLES };
extern const char *const plant_role_names[]; /* NULL-terminated */

struct who {
	enum plant_role role;
	char name[64];
	char host[HOST_ID_BYTES]; /* of PLANT_HOST */
};

/* A new one, by its text, which is nowhere else. host: of PLANT_HOST, else NULL. */
int tokens_make(struct pg *tx, enum plant_role role, const char *name, const char *host,
	char ret[TOKEN_TEXT_BYTES], const struct iotime *it, struct err *e);
/* Whether it has the form of one; text may be NULL. Any thread, without a wait. */
bool tokens_is_text(const char *text);
/* -ERR_UNAUTHORIZED for a text that is none, or was revoked. */
int tokens_find(
	struct pool *p, const char *text, struct who *ret, const struct iotime *it, struct err *e);
