/* SPDX-License-Identifier: Apache-2.0
 *
 * Who did what: appended in the transaction of the deed, never changed.
 */
#pragma once

#include "db/db.h"

/* detail may be NULL; its reference stays with the caller. */
int audit_add(struct db *tx, const char *principal, const char *action, const char *target,
	const json_t *detail, struct err *e);
/* Newest first; principal may be NULL. */
int audit_list(struct db *d, const char *principal, const struct db_page *page, struct db_list *ret,
	struct err *e);
