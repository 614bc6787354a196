/* SPDX-License-Identifier: Apache-2.0
 *
 * What of the records is removed, and when:
 *
 *   events             by age (`events_keep` of provd.yaml), the oldest first, a little at a time; not
 *                      those that an enabled webhook (db/webhooks.h) the spool folder or the plant has not got
 *   idempotency keys   IDEMPOTENCY_KEEP_MS after the answer
 *   browser sessions   at their end, or once nobody used them for SESSION_IDLE_MS
 *
 * Steps, measurements, logs and texts of records leave for an archive, where provd.yaml says so, and in no
 * other way (db/archives.h). Everything else is kept for ever: runs, units, jobs, the
 * ledger, recipes, prompts, tokens, epochs and the audit trail; triggers of the schema hold most of
 * it. Artifacts are a person's to delete; the files of runs go by age (daemon/line/outputs.h), and what is attached to
 * runs goes with their archive (daemon/line/attachments.h).
 *
 * By a clock that cannot be believed nothing is too old.
 */
#pragma once

#include <stdbool.h>

#include "db/db.h"

#define IDEMPOTENCY_KEEP_MS (7ll * 24 * 3600 * 1000)
/* A session ends when nobody used it for so long (a wall uses it all the time: its stream counts),
 * and at the latest after its life. */
#define SESSION_IDLE_MS (12ll * 3600 * 1000)
#define SESSION_LIFE_MS (30ll * 24 * 3600 * 1000)
/* The last use is stored now and then: an idle session's row stays for so much longer. */
#define SESSION_STORED_MS (3600ll * 1000)
/* Events of one call, so that no run waits for it. */
#define RETENTION_EVENTS 5000

struct retention {
	int64_t now_ms;		/* the wall clock */
	bool believed;		/* it can be */
	int64_t events_keep_ms; /* 0: for ever */
};

/* In the writer's transaction, every minute or so. */
int retention_apply(struct db *tx, const struct retention *p, struct err *e);
