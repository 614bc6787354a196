/* SPDX-License-Identifier: Apache-2.0 */
#include "api/route.h"
#include "base/digest.h"
#include "base/dsse.h"
#include "base/util.h"
#include "base/x509.h"

static int add_signature(
	struct call *c, const char *signer, const char *payload, json_t *signatures, struct err *e)
{
	_cleanup_(freep) char *text = dsse_pae(payload);
	_cleanup_(freep) char *signature = NULL;
	_cleanup_(freep) char *public = NULL;
	_cleanup_(x509_key_done) struct x509_key key = {0};
	int r = fleet_sign(
		c->api->fleet, signer, c->who->name, text, strlen(text), &signature, &public, e);

	if (r == 0)
		r = x509_key_read(public, &key, e);
	if (r == 0)
		json_array_append_new(
			signatures, json_pack("{s:s, s:s}", "keyid", key.sha256, "sig", signature));
	return r;
}

int api_answer_envelope(
	struct call *c, const char *signer, const char *payload, const char *audit, struct err *e)
{
	_cleanup_(freep) char *base64 = base64_of(payload, strlen(payload));
	json_t *signatures = json_array();
	int r = signer ? add_signature(c, signer, payload, signatures, e) : 0;

	if (r == 0)
		r = api_audit(c, audit, request_param(c->rq, "id"), e);
	if (r < 0) {
		json_decref(signatures);
		return r;
	}
	response_json(c->rs, 200,
		json_pack("{s:s, s:s, s:o}", "payloadType", DSSE_PAYLOAD_TYPE, "payload", base64,
			"signatures", signatures));
	return 0;
}
