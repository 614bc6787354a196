/* SPDX-License-Identifier: Apache-2.0
 *
 * Who did what, and from where: appended in the transaction of the deed, never changed or taken
 * away; triggers hold that against every program.
 */
#pragma once

#include "db/db.h"

struct audit_who {
	const char *principal; /* a name */
	const char *token;     /* its id; NULL: none */
	const char *address;   /* of the client; NULL: this machine itself */
};

/* detail may be NULL; its reference stays with the caller. */
int audit_add(struct db *tx, const struct audit_who *who, const char *action, const char *target,
	const json_t *detail, struct err *e);
/* Newest first; principal may be NULL. */
int audit_list(struct db *d, const char *principal, const struct db_page *page, struct db_list *ret,
	struct err *e);
