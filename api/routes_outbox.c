/* SPDX-License-Identifier: Apache-2.0
 *
 * /outbox: what others are told later, and a person's word that a row goes out once more. /backlog: how much
 * waits for whom.
 */
#include "api/route.h"
#include "daemon/line/backlog.h"
#include "db/outbox.h"

static int read_rows(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	return outbox_list(
		d, request_query(c->rq, "state"), request_query(c->rq, "unit"), page, ret, e);
}

static int get_rows(struct call *c, struct err *e)
{
	return api_answer_page(c, read_rows, e);
}

static int read_row(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return outbox_get(d, request_param(c->rq, "id"), ret, e);
}

static int get_row(struct call *c, struct err *e)
{
	return api_answer_one(c, read_row, e);
}

struct retry {
	struct fleet *fleet;
	const char *id, *by;
};

static int apply_retry(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct retry *n = data;
	int r = outbox_retry(tx, n->id, n->by, e);

	return r < 0 ? r : outbox_get(tx, n->id, ret, e);
}

static void retry_committed(void *data)
{
	fleet_poke_outbox(((const struct retry *)data)->fleet);
}

static int post_retry(struct call *c, struct err *e)
{
	struct retry n = {
		.fleet = c->api->fleet, .id = request_param(c->rq, "id"), .by = c->who->name};
	const struct change ch = {.apply = apply_retry,
		.committed = retry_committed,
		.data = &n,
		.status = 200,
		.audit = "outbox.retry",
		.target = n.id};

	return api_change(c, &ch, e);
}

/* --- how much waits --- */

static json_t *backlog_json(
	const struct outbox_config *c, const struct backlog_row *row, int64_t now_ms, bool held)
{
	char at[RFC3339_SIZE];

	return json_pack("{s:s, s:s, s:s*, s:I, s:s?, s:s}", "kind", backlog_kinds[row->kind],
		"name", row->name, "where", *row->where ? row->where : NULL, "waiting",
		(json_int_t)row->waiting, "oldest_at",
		row->oldest_ms ? rfc3339(row->oldest_ms, at) : NULL, "level",
		backlog_levels[backlog_judge(c, row, now_ms, held)]);
}

static int read_backlog(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	const bool held = holds_has(fleet_holds(c->api->fleet), HOLD_BACKLOG);
	const bool believed = wall_check(records_wall(fleet_records(c->api->fleet)), NULL) == 0;
	const int64_t now_ms = believed ? wall_ms() : 0;
	struct config *config = fleet_config(c->api->fleet);
	struct backlog_list list;
	int r = backlog_read(d, &list, e);

	if (r == 0) {
		*ret = json_array();
		for (size_t i = 0; i < list.n; i++)
			json_array_append_new(
				*ret, backlog_json(&config->outbox, &list.row[i], now_ms, held));
		backlog_list_done(&list);
	}
	config_unref(config);
	return r;
}

static int get_backlog(struct call *c, struct err *e)
{
	return api_answer_all(c, read_backlog, e);
}

static const char *const states[] = {"held", "waiting", "refused", "done", "void", NULL};
static const struct query_param query_outbox[] = {
	{"state", states}, {"unit", NULL}, QUERY_PAGE, {0}};

const struct route routes_outbox[] = {
	{HTTP_GET, "/api/v1/outbox", MAY_READ, ROUTE_NO_BODY, 0, get_rows, query_outbox},
	{HTTP_GET, "/api/v1/backlog", MAY_READ, ROUTE_NO_BODY, 0, get_backlog},
	{HTTP_GET, "/api/v1/outbox/{id}", MAY_READ, ROUTE_NO_BODY, 0, get_row},
	{HTTP_POST, "/api/v1/outbox/{id}/retry", MAY_RELEASE, 0, 0, post_retry, NULL, FORM_NONE},
	{0},
};
