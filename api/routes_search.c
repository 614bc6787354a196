/* SPDX-License-Identifier: Apache-2.0
 *
 * /search: what a text names.
 */
#include "api/route.h"
#include "db/search.h"

static int read_search(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	const char *q = request_query(c->rq, "q");

	if (!q)
		return err_set(e, ERR_INVALID,
			"'q' is needed: a serial number, an address, a chip id, the number of an order, or an id");
	return search_text(d, q, ret, e);
}

static int get_search(struct call *c, struct err *e)
{
	return api_answer_all(c, read_search, e);
}

static const struct query_param query_search[] = {{"q", NULL}, {0}};

const struct route routes_search[] = {
	{HTTP_GET, "/api/v1/search", MAY_READ, ROUTE_NO_BODY, 0, get_search, query_search},
	{0},
};
