/* SPDX-License-Identifier: Apache-2.0 */
#include "db/backlog.h"

#include "db/plant.h"
#include "db/spool.h"
#include "db/stmt.h"
#include "db/webhooks.h"

const char *const backlog_kinds[] = {[BACKLOG_SERVICE] = "service",
	[BACKLOG_WEBHOOK] = "webhook",
	[BACKLOG_CFX] = "cfx",
	[BACKLOG_SPOOL] = "spool",
	[BACKLOG_PLANT] = "plant",
	NULL};

static void add(struct backlog_list *l, enum backlog_kind kind, const char *name, const char *where,
	int64_t waiting, int64_t oldest_ms)
{
	struct backlog_row *row;

	l->row = reallocarray(l->row, l->n + 1, sizeof *l->row);
	if (!l->row)
		abort();
	row = &l->row[l->n++];
	*row = (struct backlog_row){.kind = kind,
		.where = xstrdup(where),
		.waiting = waiting,
		.oldest_ms = waiting > 0 ? oldest_ms : 0};
	snprintf(row->name, sizeof row->name, "%s", name);
}

static int add_services(struct db *d, struct backlog_list *l, struct err *e)
{
	struct waits {
		char target[DB_ID_SIZE];
		int64_t waiting, oldest_ms;
	} row;
	static const struct column columns[] = {COL(struct waits, target),
		COL(struct waits, waiting), COL(struct waits, oldest_ms), {0}};
	SELECT(each,
		"SELECT target, count(*) AS waiting, min(created_at) AS oldest_ms FROM outbox"
		" WHERE state = 'waiting' GROUP BY target ORDER BY target",
		columns);
	_cleanup_(query_done) struct query q = {0};
	int r = select_begin(&q, d, e, &each);

	while (r >= 0 && (r = select_next(&q, &row, e)) > 0)
		add(l, BACKLOG_SERVICE, row.target, "", row.waiting, row.oldest_ms);
	return MIN(r, 0);
}

static int add_webhooks(struct db *d, struct backlog_list *l, struct err *e)
{
	struct webhook_behind *row = xcalloc(WEBHOOKS_ALL_MAX, sizeof *row);
	size_t n;
	int r = webhooks_behind(d, row, &n, e);

	for (size_t i = 0; r == 0 && i < n; i++)
		add(l, row[i].own ? BACKLOG_CFX : BACKLOG_WEBHOOK, row[i].id, row[i].url,
			row[i].waiting, row[i].oldest_ms);
	free(row);
	return r;
}

static int add_plant(struct db *d, struct backlog_list *l, struct err *e)
{
	struct plant_state s;
	int64_t oldest = 0;
	int r = plant_state(d, &s, e);

	if (r <= 0 || !s.named)
		return MIN(r, 0);
	r = db_int(
		d, e, &oldest, "SELECT at FROM events WHERE seq > ? ORDER BY seq LIMIT 1", s.seen);
	if (r >= 0)
		add(l, BACKLOG_PLANT, "plant", "", MAX(s.newest - s.seen, 0), oldest);
	return MIN(r, 0);
}

int backlog_read(struct db *d, struct backlog_list *ret, struct err *e)
{
	struct spool_state spool;
	int r;

	*ret = (struct backlog_list){0};
	r = add_services(d, ret, e);
	if (r == 0)
		r = add_webhooks(d, ret, e);
	if (r == 0)
		r = spool_state(d, &spool, e);
	if (r > 0)
		add(ret, BACKLOG_SPOOL, "spool", spool.dir, spool.waiting, spool.oldest_ms);
	if (r >= 0)
		r = add_plant(d, ret, e);
	if (r < 0)
		backlog_list_done(ret);
	return MIN(r, 0);
}

void backlog_list_done(struct backlog_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->row[i].where);
	free(l->row);
	*l = (struct backlog_list){0};
}
