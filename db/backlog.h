/* SPDX-License-Identifier: Apache-2.0
 *
 * What waits, and for whom: a service of the outbox, a webhook, an address of cfx, the spool folder, the plant.
 */
#pragma once

#include "db/db.h"

enum backlog_kind { BACKLOG_SERVICE, BACKLOG_WEBHOOK, BACKLOG_CFX, BACKLOG_SPOOL, BACKLOG_PLANT };
extern const char *const backlog_kinds[]; /* NULL-terminated */

struct backlog_row {
	enum backlog_kind kind;
	char name[DB_ID_SIZE]; /* of the service, id of the webhook or address, "spool", "plant" */
	char *where;	       /* its url, or the folder; "" of a service */
	int64_t waiting;       /* messages; an upper bound */
	int64_t oldest_ms;     /* when the oldest of them was written, 0: none waits */
};

struct backlog_list {
	struct backlog_row *row;
	size_t n;
};

/* All for whom something waits, and each enabled webhook, address and the folder in any case. */
int backlog_read(struct db *d, struct backlog_list *ret, struct err *e);
void backlog_list_done(struct backlog_list *l);
