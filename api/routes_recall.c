/* SPDX-License-Identifier: Apache-2.0
 *
 * /recall: which units had a part in something.
 */
#include "api/route.h"
#include "base/csv.h"
#include "base/strbuf.h"
#include "db/recall.h"

static int read_recall(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	struct recall_filter f = {
		.artifact = request_query(c->rq, "artifact"),
		.tool = request_query(c->rq, "tool"),
		.answered_by = request_query(c->rq, "operator"),
		.issuer = request_query(c->rq, "issuer"),
		.station = request_query(c->rq, "station"),
		.job = request_query(c->rq, "job_id"),
		.recipe = request_query(c->rq, "recipe"),
		.outcome = request_query(c->rq, "outcome"),
	};
	int r = api_times_query(c, &f.from_ms, &f.to_ms, e);

	if (r == 0)
		r = api_version_query(c, &f.version, e);
	return r < 0 ? r : recall_list(d, &f, page, ret, e);
}

static int get_recall(struct call *c, struct err *e)
{
	return api_answer_page(c, read_recall, e);
}

static int get_recall_csv(struct call *c, struct err *e)
{
	static const char *const members[] = {"serial", "unit", "unit_state", "model", "run",
		"ended_at", "outcome", "station", "recipe", "version", "job", "external_ref", NULL};

	return api_answer_page_csv(c, read_recall, members, e);
}

static int read_traits(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return recall_traits(d, request_query(c->rq, "kind"), ret, e);
}

static int get_traits(struct call *c, struct err *e)
{
	return api_answer_all(c, read_traits, e);
}

static const char *const kinds[] = {"artifact", "tool", "operator", "issuer", NULL};
static const char *const outcomes[] = {
	"passed", "provisioned", "failed", "error", "aborted", "interrupted", NULL};
static const struct query_param query_traits[] = {{"kind", kinds}, {0}};
static const struct query_param query_recall[] = {{"artifact", NULL}, {"tool", NULL},
	{"operator", NULL}, {"issuer", NULL}, {"station", NULL}, {"job_id", NULL}, {"recipe", NULL},
	{"version", NULL}, {"outcome", outcomes}, {"from", NULL}, {"to", NULL}, QUERY_PAGE, {0}};

const struct route routes_recall[] = {
	{HTTP_GET, "/api/v1/recall", MAY_READ, ROUTE_NO_BODY, 0, get_recall, query_recall},
	{HTTP_GET, "/api/v1/recall.csv", MAY_READ, ROUTE_NO_BODY, 0, get_recall_csv, query_recall},
	{HTTP_GET, "/api/v1/recall/traits", MAY_READ, ROUTE_NO_BODY, 0, get_traits, query_traits},
	{0},
};
