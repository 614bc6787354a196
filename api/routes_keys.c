/* SPDX-License-Identifier: Apache-2.0
 *
 * /issuers and /units/{id}/certificates: who issues certificates, and which ones units got.
 */
#include "api/route.h"
#include "base/util.h"
#include "db/certificates.h"
#include "db/units.h"

static int get_issuers(struct call *c, struct err *e)
{
	json_t *items;
	int r = fleet_issuers(c->api->fleet, &items, e);

	if (r < 0)
		return r;
	api_items(c, items);
	return 0;
}

static int read_certificates(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	json_t *unit = NULL;
	int r = units_get(d, request_param(c->rq, "id"), &unit, e);

	if (r == 0)
		r = certificates_of_unit(d, json_string_value(json_object_get(unit, "id")), ret, e);
	json_decref(unit);
	return r;
}

static int get_certificates(struct call *c, struct err *e)
{
	return api_answer_all(c, read_certificates, e);
}

const struct route routes_keys[] = {
	{HTTP_GET, "/api/v1/issuers", MAY_READ, ROUTE_NO_BODY, 0, get_issuers},
	{HTTP_GET, "/api/v1/units/{id}/certificates", MAY_READ, ROUTE_NO_BODY, 0, get_certificates},
	{0},
};
