/* SPDX-License-Identifier: Apache-2.0
 *
 * /issuers, /units/{id}/certificates and /units/{id}/birth-pack: who issues certificates, which ones units
 * got, and what is said of a unit under a signature.
 */
#include "api/route.h"
#include "base/digest.h"
#include "base/util.h"
#include "base/x509.h"
#include "db/birth.h"
#include "db/canonical.h"
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

/* --- the birth pack --- */

static int read_birth(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return birth_statement(d, request_param(c->rq, "id"), ret, e);
}

static int get_birth(struct call *c, struct err *e)
{
	const char *signer = request_query(c->rq, "signer");
	_cleanup_(freep) char *payload = NULL;
	json_t *statement = NULL;
	int r = api_read(c, read_birth, &statement, e);

	if (r < 0)
		return r;
	payload = canonical(statement);
	json_decref(statement);
	return api_answer_envelope(c, signer ? signer : "records", payload, "unit.birth-pack", e);
}

static const struct query_param query_birth[] = {{"signer", NULL}, {0}};

const struct route routes_keys[] = {
	{HTTP_GET, "/api/v1/issuers", MAY_READ, ROUTE_NO_BODY, 0, get_issuers},
	{HTTP_GET, "/api/v1/units/{id}/certificates", MAY_READ, ROUTE_NO_BODY, 0, get_certificates},
	{HTTP_GET, "/api/v1/units/{id}/birth-pack", MAY_ORDER, ROUTE_NO_BODY, 0, get_birth,
		query_birth},
	{0},
};
