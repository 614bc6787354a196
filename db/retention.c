/* SPDX-License-Identifier: Apache-2.0 */
#include "db/retention.h"

#include "db/events.h"
#include "db/idempotency.h"
#include "db/plant.h"
#include "db/sessions.h"
#include "db/spool.h"
#include "db/webhooks.h"

/* What an enabled webhook, the spool folder or the plant has not got stays. */
static int prune_events(struct db *tx, int64_t before_ms, struct err *e)
{
	int64_t gone = 0, keep = 0, kept = 0, owed = 0;
	int r = webhooks_need(tx, &keep, e);

	if (r == 0)
		r = spool_need(tx, &kept, e);
	if (r == 0)
		r = plant_need(tx, &owed, e);
	if (r == 0)
		r = events_prune(
			tx, before_ms, MIN(MIN(keep, kept), owed), RETENTION_EVENTS, &gone, e);
	return r < 0 || gone == 0 ? r : webhooks_prune(tx, e);
}

int retention_apply(struct db *tx, const struct retention *p, struct err *e)
{
	int r;

	if (!p->believed)
		return 0;
	r = idempotency_prune(tx, p->now_ms - IDEMPOTENCY_KEEP_MS, e);
	if (r == 0)
		r = sessions_prune(
			tx, p->now_ms, p->now_ms - SESSION_IDLE_MS - SESSION_STORED_MS, e);
	if (r == 0 && p->events_keep_ms > 0)
		r = prune_events(tx, p->now_ms - p->events_keep_ms, e);
	return r;
}
