/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of hosts into the plant's tables: in order for each host, each once.
 *
 *	after == seen   taken, and durable before it is answered
 *	after <  seen   what the plant has is compared with what comes, the rest is taken
 *	after >  seen   -ERR_PLANT_GAP: nothing is taken, the sentence says which record is expected
 */
#pragma once

#include "plant/batch.h"
#include "plant/hosts.h"

/* {seen}: the newest record of the host that the plant has. -ERR_HOST_COPIED for another fence than the host's, or
 * where a record that the plant has comes with another content. */
int ingest(struct pool *p, const char *host, const struct batch *b, json_t **ret,
	const struct iotime *it, struct err *e);
