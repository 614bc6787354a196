/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd/certificate.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/strbuf.h"
#include "base/timefmt.h"

#define NO_END	  "99991231235959Z"
#define DAY_S	  86400
#define HW_MODULE "1.3.6.1.5.5.7.8.4" /* id-on-hardwareModuleName (RFC 4108, 5) */

static int refused(const struct profile *p, const char *what, struct err *e)
{
	ERR_clear_error();
	return err_set(e, ERR_PROFILE_REFUSED, "profile '%s': %s", p->name, what);
}

/* --- the name --- */

static int add_attribute(X509_NAME *name, const struct certificate_order *o, const char *key,
	const char *text, struct err *e)
{
	_cleanup_(freep) char *value = profile_text(text, o->values, e);
	ASN1_OBJECT *object = OBJ_txt2obj(key, 0);
	int r = value ? 0 : -ERR_PROFILE_REFUSED;

	if (r == 0 && X509_NAME_add_entry_by_OBJ(name, object, MBSTRING_UTF8,
			      (const unsigned char *)value, -1, -1, 0) != 1)
		r = err_set(e, ERR_PROFILE_REFUSED,
			"profile '%s': '%.60s' cannot be %s of a name: a character or its length is not allowed there",
			o->profile->name, value, key);
	ASN1_OBJECT_free(object);
	ERR_clear_error();
	return r;
}

static int put_subject(X509 *x, const struct certificate_order *o, struct err *e)
{
	X509_NAME *name = X509_get_subject_name(x);
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)o->profile->subject, key, v) {
		int r = add_attribute(name, o, key, json_string_value(v), e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* --- dates --- */

static int put_dates(
	X509 *x, const struct issuer *i, const struct certificate_order *o, struct err *e)
{
	int64_t end = o->now_s + (int64_t)o->profile->days * DAY_S;
	char at[RFC3339_SIZE];

	if (o->now_s < i->cert.not_before_s)
		return err_set(e, ERR_ISSUER_INVALID,
			"the issuer's certificate (%.80s) is valid from %s on: the clock of this machine is before that",
			i->cert.subject, rfc3339(i->cert.not_before_s * 1000, at));
	if (o->now_s > i->cert.not_after_s)
		return err_set(e, ERR_ISSUER_INVALID,
			"the issuer's certificate (%.80s) has ended at %s", i->cert.subject,
			rfc3339(i->cert.not_after_s * 1000, at));
	/* A certificate that outlives its issuer's is no good after that: only one without an end is
	 * meant so (IEEE 802.1AR). */
	if (o->profile->days > 0 && end > i->cert.not_after_s)
		return err_set(e, ERR_ISSUER_INVALID,
			"a certificate of %d days would end after its issuer's (%.80s), at %s",
			o->profile->days, i->cert.subject, rfc3339(i->cert.not_after_s * 1000, at));
	ASN1_TIME_set(X509_getm_notBefore(x), (time_t)o->now_s);
	if (o->profile->days > 0)
		ASN1_TIME_set(X509_getm_notAfter(x), (time_t)end);
	else
		ASN1_TIME_set_string(X509_getm_notAfter(x), NO_END);
	return 0;
}

/* --- extensions --- */

static bool add_text_extension(X509 *x, X509V3_CTX *ctx, int nid, const char *text)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, ctx, nid, text);
	bool ok = ext && X509_add_ext(x, ext, -1) == 1;

	X509_EXTENSION_free(ext);
	return ok;
}

static bool add_usages(X509 *x, X509V3_CTX *ctx, int nid, const char *first, const json_t *names)
{
	struct strbuf b = {0};
	size_t i;
	json_t *v;
	bool ok;

	if (!names)
		return true;
	sb_add(&b, first);
	json_array_foreach((json_t *)names, i, v)
		sb_addf(&b, "%s%s", b.len ? "," : "", json_string_value(v));
	ok = add_text_extension(x, ctx, nid, b.s);
	sb_done(&b);
	return ok;
}

/* The DER of HardwareModuleName ::= SEQUENCE { hwType OID, hwSerialNum OCTET STRING }. */
static ASN1_TYPE *hardware_module(const char *type, const char *serial)
{
	ASN1_TYPE *oid = ASN1_TYPE_new(), *number = ASN1_TYPE_new(), *ret = NULL;
	ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
	STACK_OF(ASN1_TYPE) *both = sk_ASN1_TYPE_new_null();
	unsigned char *der = NULL;
	int n = -1;

	if (oid && number && octets && both) {
		ASN1_OCTET_STRING_set(octets, (const unsigned char *)serial, (int)strlen(serial));
		ASN1_TYPE_set(oid, V_ASN1_OBJECT, OBJ_txt2obj(type, 0));
		ASN1_TYPE_set(number, V_ASN1_OCTET_STRING, steal_ptr(&octets));
		sk_ASN1_TYPE_push(both, steal_ptr(&oid));
		sk_ASN1_TYPE_push(both, steal_ptr(&number));
		n = i2d_ASN1_SEQUENCE_ANY(both, &der);
	}
	if (n > 0) {
		ASN1_STRING *s = ASN1_STRING_type_new(V_ASN1_SEQUENCE);

		ASN1_STRING_set(s, der, n);
		ret = ASN1_TYPE_new();
		ASN1_TYPE_set(ret, V_ASN1_SEQUENCE, s);
	}
	OPENSSL_free(der);
	sk_ASN1_TYPE_pop_free(both, ASN1_TYPE_free);
	ASN1_TYPE_free(oid);
	ASN1_TYPE_free(number);
	ASN1_OCTET_STRING_free(octets);
	return ret;
}

static GENERAL_NAME *simple_name(int type, const char *text)
{
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_IA5STRING *s = ASN1_IA5STRING_new();

	ASN1_STRING_set(s, text, -1);
	GENERAL_NAME_set0_value(g, type, s);
	return g;
}

static bool is_ia5(const char *s)
{
	for (; *s; s++)
		if (*s <= 0x20 || *s > 0x7e)
			return false;
	return true;
}

/* Without a wildcard: a value of a unit could name others with it. */
static bool is_dns(const char *s)
{
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
	       strlen(s);
}

/* One of the profile's further names; NULL with an error. */
static GENERAL_NAME *san_name(const struct certificate_order *o, const json_t *san, struct err *e)
{
	const json_t *module = json_object_get(san, "hardware_module");
	const json_t *dns = json_object_get(san, "dns");
	const json_t *from = module ? json_object_get(module, "serial")
			     : dns  ? dns
				    : json_object_get(san, "uri");
	_cleanup_(freep) char *text = profile_text(json_string_value(from), o->values, e);
	GENERAL_NAME *g;

	if (!text)
		return NULL;
	if (dns && !is_dns(text)) {
		err_set(e, ERR_PROFILE_REFUSED,
			"profile '%s': '%.80s' cannot be a DNS name of a unit: letters, digits, - _ and . expected",
			o->profile->name, text);
		return NULL;
	}
	if (!module && !is_ia5(text)) {
		err_set(e, ERR_PROFILE_REFUSED,
			"profile '%s': '%.80s' cannot be a URI: printable ASCII without spaces expected",
			o->profile->name, text);
		return NULL;
	}
	if (!module)
		return simple_name(dns ? GEN_DNS : GEN_URI, text);
	g = GENERAL_NAME_new();
	GENERAL_NAME_set0_othername(g, OBJ_txt2obj(HW_MODULE, 1),
		hardware_module(json_string_value(json_object_get(module, "type")), text));
	return g;
}

static int put_san(X509 *x, const struct certificate_order *o, struct err *e)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	size_t i;
	json_t *v;
	int r = 0;

	json_array_foreach((json_t *)o->profile->san, i, v) {
		GENERAL_NAME *g = san_name(o, v, e);

		if (!g) {
			r = -ERR_PROFILE_REFUSED;
			break;
		}
		sk_GENERAL_NAME_push(names, g);
	}
	if (r == 0 && sk_GENERAL_NAME_num(names) > 0 &&
		X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1)
		r = refused(o->profile, "its further names cannot be written", e);
	GENERAL_NAMES_free(names);
	return r;
}

static int put_extensions(X509 *x, X509 *issuer, const struct certificate_order *o, struct err *e)
{
	const struct profile *p = o->profile;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	if (!add_text_extension(x, &ctx, NID_basic_constraints, "critical,CA:FALSE") ||
		!add_usages(x, &ctx, NID_key_usage, "critical", p->key_usage) ||
		!add_usages(x, &ctx, NID_ext_key_usage, "", p->extended_key_usage) ||
		!add_text_extension(x, &ctx, NID_subject_key_identifier, "hash") ||
		!add_text_extension(x, &ctx, NID_authority_key_identifier, "keyid"))
		return refused(p, "an extension cannot be written", e);
	return put_san(x, o, e);
}

/* --- what the request may ask for --- */

static int check_csr(const X509 *x, const struct certificate_order *o, const struct x509_csr *csr,
	X509_REQ *req, struct err *e)
{
	STACK_OF(X509_EXTENSION) *asked = X509_REQ_get_extensions(req);
	int n = asked ? sk_X509_EXTENSION_num(asked) : 0;
	bool empty = X509_NAME_entry_count(X509_REQ_get_subject_name(req)) == 0;
	bool same = X509_NAME_cmp(X509_REQ_get_subject_name(req), X509_get_subject_name(x)) == 0;
	char *name = X509_NAME_oneline(X509_get_subject_name(x), NULL, 0);
	int r = 0;

	if (!(o->profile->keys & 1u << csr->key.alg))
		r = err_set(e, ERR_PROFILE_REFUSED, "profile '%s' does not take a key of kind %s",
			o->profile->name, x509_alg_name(csr->key.alg));
	else if (o->profile->csr_subject == CSR_SAME && !empty && !same)
		r = err_set(e, ERR_CSR_MISMATCH,
			"the request names '%.100s', and the certificate would name '%.100s'",
			csr->subject, name ? name : "");
	else if (o->profile->csr_extensions == CSR_SAME && n > 0)
		r = err_set(e, ERR_CSR_MISMATCH,
			"the request asks for %d extension%s, which profile '%s' forbids", n,
			n == 1 ? "" : "s", o->profile->name);
	OPENSSL_free(name);
	sk_X509_EXTENSION_pop_free(asked, X509_EXTENSION_free);
	ERR_clear_error();
	return r;
}

/* The value of an attribute, NULL where the name has none. */
static const ASN1_STRING *attribute_of(const X509_NAME *name, const char *key)
{
	ASN1_OBJECT *o = OBJ_txt2obj(key, 0);
	int at = X509_NAME_get_index_by_OBJ(name, o, -1);

	ASN1_OBJECT_free(o);
	return at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
}

/* Byte by byte: which of its string types an authority took says nothing. */
static bool same_string(const ASN1_STRING *a, const ASN1_STRING *b)
{
	return a && b && ASN1_STRING_length(a) == ASN1_STRING_length(b) &&
	       !memcmp(ASN1_STRING_get0_data(a), ASN1_STRING_get0_data(b),
		       (size_t)ASN1_STRING_length(a));
}

static int check_issuer_name(
	const X509 *x, const X509 *issuer, const struct profile *p, struct err *e)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)p->same_in_issuer, i, v) {
		const char *key = json_string_value(v);

		if (!same_string(attribute_of(X509_get_subject_name(x), key),
			    attribute_of(X509_get_subject_name(issuer), key)))
			return err_set(e, ERR_PROFILE_REFUSED,
				"profile '%s' wants '%.60s' to be the same in the subject and in its issuer's name, and it is not",
				p->name, key);
	}
	return 0;
}

/* --- the signature --- */

static int signature_nid(enum x509_alg a)
{
	return a == X509_ED25519 ? NID_ED25519
	       : a == X509_P384	 ? NID_ecdsa_with_SHA384
	       : a == X509_P256	 ? NID_ecdsa_with_SHA256
				 : NID_sha256WithRSAEncryption;
}

/* Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue BIT STRING }: put
 * together here, since the key may be in a token, which only sees what is to be signed. */
static uint8_t *assemble(const uint8_t *tbs, size_t tbs_n, const uint8_t *alg, size_t alg_n,
	const uint8_t *sig, size_t sig_n, size_t *ret_n)
{
	int bits = ASN1_object_size(0, (int)sig_n + 1, V_ASN1_BIT_STRING);
	int inner = (int)tbs_n + (int)alg_n + bits;
	int size = ASN1_object_size(1, inner, V_ASN1_SEQUENCE);
	uint8_t *der = xcalloc(1, (size_t)size);
	unsigned char *at = der;

	ASN1_put_object(&at, 1, inner, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	memcpy(at, tbs, tbs_n);
	at += tbs_n;
	memcpy(at, alg, alg_n);
	at += alg_n;
	ASN1_put_object(&at, 0, (int)sig_n + 1, V_ASN1_BIT_STRING, V_ASN1_UNIVERSAL);
	*at++ = 0; /* no unused bits */
	memcpy(at, sig, sig_n);
	*ret_n = (size_t)size;
	return der;
}

static void put_algorithm(X509_ALGOR *a, const struct signer *s)
{
	int nid = signature_nid(signer_key(s)->alg);

	X509_ALGOR_set0(a, OBJ_nid2obj(nid),
		nid == NID_sha256WithRSAEncryption ? V_ASN1_NULL : V_ASN1_UNDEF, NULL);
}

int signed_der(
	struct signer *s, const uint8_t *tbs, size_t n, uint8_t **ret, size_t *ret_n, struct err *e)
{
	X509_ALGOR *algor = X509_ALGOR_new();
	unsigned char *alg = NULL;
	uint8_t sig[SIGNATURE_MAX];
	size_t sig_n = 0;
	int alg_n, r;

	put_algorithm(algor, s);
	alg_n = i2d_X509_ALGOR(algor, &alg);
	r = n > 0 && alg_n > 0 ? signer_sign(s, tbs, n, sig, &sig_n, e)
			       : err_set(e, ERR_INTERNAL, "what is to be signed cannot be written");
	if (r == 0)
		*ret = assemble(tbs, n, alg, (size_t)alg_n, sig, sig_n, ret_n);
	OPENSSL_free(alg);
	X509_ALGOR_free(algor);
	return r;
}

static int sign(X509 *x, struct signer *s, uint8_t **ret, size_t *ret_n, struct err *e)
{
	unsigned char *tbs = NULL;
	int n, r;

	/* OpenSSL has no call to name the algorithm without signing: the inner field is ours. */
	put_algorithm((X509_ALGOR *)(uintptr_t)X509_get0_tbs_sigalg(x), s);
	n = i2d_re_X509_tbs(x, &tbs);
	r = signed_der(s, tbs, n > 0 ? (size_t)n : 0, ret, ret_n, e);
	OPENSSL_free(tbs);
	return r;
}

/* --- all of it --- */

/* SubjectPublicKeyInfo as the request has it. To read a key is the dearest part of all this (OpenSSL 3 asks
 * each of its decoders), and X509_set_pubkey() writes it and reads it again. The kinds of keys that are taken
 * have a name for parameter (EC), or nothing that is to be copied. */
static bool copy_public_key(X509 *x, X509_REQ *req)
{
	X509_ALGOR *algor = NULL;
	const unsigned char *bits = NULL;
	const ASN1_OBJECT *alg;
	const void *value;
	int n = 0, type;
	unsigned char *copy;
	void *parameter;

	if (X509_PUBKEY_get0_param(NULL, &bits, &n, &algor, X509_REQ_get_X509_PUBKEY(req)) != 1)
		return false;
	X509_ALGOR_get0(&alg, &type, &value, algor);
	if (type != V_ASN1_OBJECT && type != V_ASN1_NULL && type != V_ASN1_UNDEF)
		return false;
	parameter = type == V_ASN1_OBJECT ? OBJ_dup(value) : NULL;
	copy = OPENSSL_memdup(bits, (size_t)n);
	return copy && X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(x), OBJ_dup(alg), type,
			       parameter, copy, n) == 1;
}

static int fill(X509 *x, const struct issuer *i, const struct certificate_order *o,
	const struct x509_csr *csr, X509_REQ *req, struct err *e)
{
	uint8_t serial[CERT_SERIAL_BYTES];
	BIGNUM *number;
	int r;

	memcpy(serial, o->serial, sizeof serial);
	serial[0] &= 0x7f;
	number = BN_bin2bn(serial, sizeof serial, NULL);
	X509_set_version(x, X509_VERSION_3);
	BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
	BN_free(number);
	X509_set_issuer_name(x, X509_get_subject_name(i->parsed));
	r = copy_public_key(x, req)
		    ? put_subject(x, o, e)
		    : err_set(e, ERR_CSR_MISMATCH,
			      "the key of the request has parameters of its own: a named curve expected");
	if (r == 0)
		r = check_csr(x, o, csr, req, e);
	if (r == 0)
		r = check_issuer_name(x, i->parsed, o->profile, e);
	if (r == 0)
		r = put_dates(x, i, o, e);
	return r < 0 ? r : put_extensions(x, i->parsed, o, e);
}

int certificate_draft(const struct issuer *i, const struct certificate_order *o,
	struct x509_st **ret, struct err *e)
{
	X509 *x = X509_new();
	struct x509_csr csr;
	int r = x509_csr_read(o->csr, o->csr_bytes, &csr, e);

	if (r == 0)
		r = fill(x, i, o, &csr, csr.parsed, e);
	x509_csr_done(&csr);
	ERR_clear_error();
	if (r < 0)
		X509_free(x);
	else
		*ret = x;
	return r;
}

int certificate_sign(
	const struct issuer *i, struct x509_st *draft, uint8_t **ret, size_t *ret_n, struct err *e)
{
	int r = sign(draft, i->signer, ret, ret_n, e);

	ERR_clear_error();
	return r;
}

void certificate_draft_free(struct x509_st *draft)
{
	X509_free(draft);
}

/* --- who signs --- */

int issuer_read(struct issuer *i, struct err *e)
{
	const unsigned char *der;
	int r = x509_cert_read(i->chain, strlen(i->chain), &i->cert, e);

	if (r < 0)
		return r;
	der = i->cert.der;
	i->parsed = d2i_X509(NULL, &der, (long)i->cert.der_bytes);
	if (!i->parsed)
		return err_set(e, ERR_INVALID, "OpenSSL does not take the certificate of %.80s",
			i->cert.subject);
	/* What it fills in at the first look, before threads share it. */
	X509_check_purpose(i->parsed, -1, 0);
	ERR_clear_error();
	if (X509_check_ca(i->parsed) == 0)
		return err_set(e, ERR_ISSUER_INVALID,
			"the certificate of %.80s may not issue others: CA:TRUE, and keyCertSign where it has a key usage, expected",
			i->cert.subject);
	return 0;
}

void issuer_done(struct issuer *i)
{
	signer_free(i->signer);
	X509_free(i->parsed);
	x509_cert_done(&i->cert);
	free(i->chain);
}
