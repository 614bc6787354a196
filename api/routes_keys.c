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

/* What a signature of DSSE is over (version 1, "PAE"). */
static char *to_be_signed(const char *payload)
{
	return xasprintf("DSSEv1 %zu %s %zu %s", strlen(BIRTH_PAYLOAD_TYPE), BIRTH_PAYLOAD_TYPE,
		strlen(payload), payload);
}

static int sign_birth(struct call *c, const json_t *statement, json_t **ret, struct err *e)
{
	const char *signer = request_query(c->rq, "signer");
	_cleanup_(freep) char *payload = canonical(statement);
	_cleanup_(freep) char *text = to_be_signed(payload);
	_cleanup_(freep) char *base64 = base64_of(payload, strlen(payload));
	_cleanup_(freep) char *signature = NULL;
	_cleanup_(freep) char *public = NULL;
	_cleanup_(x509_key_done) struct x509_key key = {0};
	int r = fleet_sign(c->api->fleet, signer ? signer : "records", c->who->name, text,
		strlen(text), &signature, &public, e);

	if (r == 0)
		r = x509_key_read(public, &key, e);
	if (r == 0)
		*ret = json_pack("{s:s, s:s, s:[{s:s, s:s}]}", "payloadType", BIRTH_PAYLOAD_TYPE,
			"payload", base64, "signatures", "keyid", key.sha256, "sig", signature);
	return r;
}

static int get_birth(struct call *c, struct err *e)
{
	json_t *statement = NULL, *envelope = NULL;
	int r = api_read(c, read_birth, &statement, e);

	if (r == 0)
		r = sign_birth(c, statement, &envelope, e);
	if (r == 0)
		r = api_audit(c, "unit.birth-pack", request_param(c->rq, "id"), e);
	json_decref(statement);
	if (r < 0) {
		json_decref(envelope);
		return r;
	}
	response_json(c->rs, 200, envelope);
	return 0;
}

static const struct query_param query_birth[] = {{"signer", NULL}, {0}};

const struct route routes_keys[] = {
	{HTTP_GET, "/api/v1/issuers", MAY_READ, ROUTE_NO_BODY, 0, get_issuers},
	{HTTP_GET, "/api/v1/units/{id}/certificates", MAY_READ, ROUTE_NO_BODY, 0, get_certificates},
	{HTTP_GET, "/api/v1/units/{id}/birth-pack", MAY_ORDER, ROUTE_NO_BODY, 0, get_birth,
		query_birth},
	{0},
};
