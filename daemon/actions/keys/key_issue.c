/* SPDX-License-Identifier: Apache-2.0
 *
 * key.certificate, key.derive: what the key process of the installation gives for a unit
 * (daemon/keyd). No private key comes here: a request goes out, and a certificate comes back.
 */
#include "daemon/actions/common.h"

/* --- key.certificate --- */

/* Numbers and truth values as text: a profile puts in texts. */
static json_t *texts_of(const json_t *values)
{
	json_t *o = json_object();
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)values, key, v) {
		_cleanup_(freep) char *text =
			json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY);

		json_object_set_new(o, key, json_string(text ? text : json_string_value(v)));
	}
	return o;
}

static int read_csr(
	const struct args *a, struct x509_csr *ret, struct step_result *out, struct err *e)
{
	const char *text = args_str(a, "csr");
	const char *expected = args_str(a, "public_key");
	_cleanup_(x509_key_done) struct x509_key key = {0};
	struct err why = {0};
	int r = expected ? x509_key_read(expected, &key, e) : 0;

	if (r < 0)
		return r;
	if (x509_csr_read(text, strlen(text), ret, &why) < 0)
		return result_fail(out, ERR_CSR_MISMATCH, "%s", why.msg);
	if (expected && !x509_key_equal(&ret->key, &key))
		return result_fail(out, ERR_CSR_MISMATCH,
			"the request is for key %.16s, %.16s expected", ret->key.sha256,
			key.sha256);
	return 0;
}

static void report(const struct certificate *c, const struct args *a, const struct x509_csr *csr,
	struct step_result *out)
{
	result_evidence(out, "certificate", json_string(c->serial));
	result_evidence(out, "key", json_string(csr->key.sha256));
	result_evidence(out, "issuer", json_string(args_str(a, "issuer")));
	if (args_has(a, "profile"))
		result_evidence(out, "profile", json_string(args_str(a, "profile")));
	result_evidence(out, "issued", json_string(c->before ? "before" : "now"));
	result_evidence(out, "proof", json_string(c->off_record ? "not on record" : "on record"));
	result_output(out, "certificate", json_string(c->pem));
	result_output(out, "chain", json_string(c->chain));
	result_output(out, "serial", json_string(c->serial));
}

static int certificate_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(x509_csr_done) struct x509_csr csr = {0};
	struct certificate c = {0};
	struct certificate_ask ask = {.issuer = args_str(a, "issuer"),
		.profile = args_str(a, "profile"),
		.csr = &csr,
		.renew = args_bool(a, "renew")};
	json_t *values;
	int r;

	if (!s->ops->certify)
		return err_set(e, ERR_UNSUPPORTED,
			"a bench has no issuers: certificates are issued on a line");
	r = read_csr(a, &csr, out, e);
	if (r < 0 || out->verdict == STEP_FAILED)
		return r;
	ask.values = values = texts_of(args_json(a, "values"));
	r = s->ops->certify(s->env, &ask, &s->it, &c, e);
	json_decref(values);
	if (r == 0)
		report(&c, a, &csr, out);
	free(c.pem);
	free(c.chain);
	return r;
}

static const struct action_arg certificate_args[] = {
	{.name = "issuer",
		.type = ARG_STRING,
		.required = true,
		.doc = "its name in 'issuers' of provd.yaml"},
	{.name = "profile",
		.type = ARG_STRING,
		.doc = "what the certificate says: a name of the issuer's 'profiles'. Not for an issuer of kind est or cmp, which decides itself"},
	{.name = "csr",
		.type = ARG_STRING,
		.required = true,
		.doc = "the request, PEM: ${steps.ID.csr} of key.csr, or what adb.shell or a tool printed"},
	{.name = "public_key", .type = ARG_STRING, .doc = "the key that the request must be for"},
	{.name = "values",
		.type = ARG_MAP,
		.doc = "what the profile puts in, by name: {serial: '${unit.serial}'}"},
	{.name = "renew",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "another certificate, in the place of the one that the unit has of this issuer, with the same name (EST: simplereenroll); not for an issuer of kind cmp"},
	{0},
};

static const struct action_output certificate_outputs[] = {{"certificate", "PEM"},
	{"chain", "PEM: the issuer's certificate and those above it"},
	{"serial", "the serial number of the certificate, hex"}, {0}};

const struct action action_key_certificate = {
	.name = "key.certificate",
	.doc = "Has a certificate issued for the unit's key. It is on record before it is signed; a key that has one by the same profile keeps it.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = certificate_args,
	.outputs = certificate_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.run = certificate_run,
};

/* --- key.derive --- */

static int derive_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	const struct derive_ask ask = {.master = args_str(a, "master"),
		.label = args_str(a, "label"),
		.context = args_str(a, "context"),
		.bytes = (size_t)args_int(a, "bytes")};
	uint8_t key[DERIVED_KEY_MAX];
	char hex[2 * DERIVED_KEY_MAX + 1];
	int r;

	if (!s->ops->derive)
		return err_set(
			e, ERR_UNSUPPORTED, "a bench has no masters: keys are derived on a line");
	r = s->ops->derive(s->env, &ask, &s->it, key, e);
	if (r < 0)
		return r;
	result_output(out, "key", json_string(hex_of(key, ask.bytes, hex)));
	result_evidence(out, "master", json_string(ask.master));
	result_evidence(out, "label", json_string(ask.label));
	result_evidence(out, "context", json_string(ask.context));
	result_evidence(out, "bytes", json_integer((json_int_t)ask.bytes));
	result_evidence(out, "proof", json_string("derived"));
	secret_wipe(key, sizeof key);
	secret_wipe(hex, sizeof hex);
	return 0;
}

static const struct action_arg derive_args[] = {
	{.name = "master",
		.type = ARG_STRING,
		.required = true,
		.doc = "its name in 'masters' of provd.yaml"},
	{.name = "label",
		.type = ARG_STRING,
		.required = true,
		.doc = "what the key is for: another label is another key"},
	{.name = "context",
		.type = ARG_STRING,
		.required = true,
		.doc = "which unit it is for, such as ${unit.serial}"},
	{.name = "bytes",
		.type = ARG_INT,
		.def = "32",
		.low = 16,
		.high = DERIVED_KEY_MAX,
		.unit = "bytes",
		.doc = "its length"},
	{0},
};

static const struct action_output derive_outputs[] = {
	{"key", "hex digits, for console.command, otp.write and the like", true}, {0}};

const struct action action_key_derive = {
	.name = "key.derive",
	.doc = "A key for this unit out of a master that never leaves its token (SP 800-108, AES-CMAC): the same unit always gets the same.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = derive_args,
	.outputs = derive_outputs,
	.default_timeout_us = 30 * US_PER_S,
	.run = derive_run,
};
