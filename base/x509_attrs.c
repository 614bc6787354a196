/* SPDX-License-Identifier: Apache-2.0
 *
 * What an authority wants in a request (RFC 7030, 4.5.2):
 *
 *	CsrAttrs ::= SEQUENCE SIZE (0..MAX) OF AttrOrOID
 *	AttrOrOID ::= CHOICE { oid OBJECT IDENTIFIER, attribute Attribute }
 *	Attribute ::= SEQUENCE { type OBJECT IDENTIFIER, values SET OF ANY }
 */
#include "base/x509.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define OID_BYTES 80

/* One of CsrAttrs. */
struct wanted {
	const ASN1_OBJECT *type;
	const ASN1_STRING *values; /* the DER of the SET; NULL: an OID alone */
};

static void oid_name(const ASN1_OBJECT *o, char ret[OID_BYTES])
{
	OBJ_obj2txt(ret, OID_BYTES, o, 0);
}

static int lacks(const ASN1_OBJECT *o, const char *where, struct err *e)
{
	char name[OID_BYTES];

	oid_name(o, name);
	return err_set(e, ERR_CSR_ATTRIBUTES,
		"the authority wants '%s' in the request, and the unit's has %s: have the unit put it there (key.csr), or change what the authority asks for (csrattrs)",
		name, where);
}

/* The members of a SET or SEQUENCE, NULL for what is none. */
static ASN1_SEQUENCE_ANY *members(const ASN1_STRING *s, bool set)
{
	const unsigned char *p = ASN1_STRING_get0_data(s);

	return set ? d2i_ASN1_SET_ANY(NULL, &p, ASN1_STRING_length(s))
		   : d2i_ASN1_SEQUENCE_ANY(NULL, &p, ASN1_STRING_length(s));
}

/* --- each kind --- */

static bool has_extension(X509_REQ *req, const ASN1_OBJECT *o)
{
	STACK_OF(X509_EXTENSION) *asked = X509_REQ_get_extensions(req);
	bool has = asked && X509v3_get_ext_by_OBJ(asked, o, -1) >= 0;

	sk_X509_EXTENSION_pop_free(asked, X509_EXTENSION_free);
	return has;
}

/* An extension is named by its OID, or given as a whole Extension, whose first member that is. */
static int check_extension(X509_REQ *req, const ASN1_TYPE *t, struct err *e)
{
	ASN1_SEQUENCE_ANY *parts = NULL;
	const ASN1_OBJECT *o = NULL;
	int r = 0;

	if (t->type == V_ASN1_OBJECT)
		o = t->value.object;
	if (t->type == V_ASN1_SEQUENCE)
		parts = members(t->value.sequence, false);
	if (parts && sk_ASN1_TYPE_num(parts) > 0 &&
		sk_ASN1_TYPE_value(parts, 0)->type == V_ASN1_OBJECT)
		o = sk_ASN1_TYPE_value(parts, 0)->value.object;
	if (o && OBJ_obj2nid(o) != NID_undef && !has_extension(req, o))
		r = lacks(o, "no such extension", e);
	sk_ASN1_TYPE_pop_free(parts, ASN1_TYPE_free);
	return r;
}

static int check_list(X509_REQ *req, const ASN1_STRING *list, struct err *e)
{
	ASN1_SEQUENCE_ANY *all = members(list, false);
	int r = 0;

	for (int i = 0; r == 0 && i < sk_ASN1_TYPE_num(all); i++)
		r = check_extension(req, sk_ASN1_TYPE_value(all, i), e);
	sk_ASN1_TYPE_pop_free(all, ASN1_TYPE_free);
	return r;
}

/* extensionRequest: its values are lists of extensions, or their OIDs. */
static int check_extensions(X509_REQ *req, const struct wanted *w, struct err *e)
{
	ASN1_SEQUENCE_ANY *values = w->values ? members(w->values, true) : NULL;
	int r = 0;

	for (int i = 0; r == 0 && i < sk_ASN1_TYPE_num(values); i++) {
		const ASN1_TYPE *t = sk_ASN1_TYPE_value(values, i);

		r = t->type == V_ASN1_SEQUENCE ? check_list(req, t->value.sequence, e)
					       : check_extension(req, t, e);
	}
	sk_ASN1_TYPE_pop_free(values, ASN1_TYPE_free);
	return r;
}

/* A kind of key; of EC with one of the curves that are its values. */
static int check_key(const struct x509_csr *c, X509_REQ *req, const struct wanted *w, struct err *e)
{
	ASN1_SEQUENCE_ANY *values = w->values ? members(w->values, true) : NULL;
	X509_ALGOR *algor = NULL;
	const ASN1_OBJECT *alg;
	const void *curve;
	int type, r = 0;
	bool fits;

	X509_PUBKEY_get0_param(NULL, NULL, NULL, &algor, X509_REQ_get_X509_PUBKEY(req));
	X509_ALGOR_get0(&alg, &type, &curve, algor);
	if (OBJ_cmp(alg, w->type) != 0)
		r = lacks(w->type, "a key of another kind", e);
	fits = type != V_ASN1_OBJECT || sk_ASN1_TYPE_num(values) <= 0;
	for (int i = 0; !fits && i < sk_ASN1_TYPE_num(values); i++) {
		const ASN1_TYPE *t = sk_ASN1_TYPE_value(values, i);

		fits = t->type == V_ASN1_OBJECT && OBJ_cmp(t->value.object, curve) == 0;
	}
	if (r == 0 && !fits)
		r = err_set(e, ERR_CSR_ATTRIBUTES,
			"the authority wants a key of another curve, and the unit's is %s: change 'alg' of key.generate",
			x509_alg_name(c->key.alg));
	sk_ASN1_TYPE_pop_free(values, ASN1_TYPE_free);
	return r;
}

/* A signature, or a digest that it is made with. */
static int check_signature(X509_REQ *req, const ASN1_OBJECT *o, int nid, struct err *e)
{
	int has = X509_REQ_get_signature_nid(req);
	int digest = NID_undef;

	OBJ_find_sigid_algs(has, &digest, NULL);
	return nid == has || nid == digest ? 0 : lacks(o, "another signature", e);
}

static bool is_key_kind(int nid)
{
	return nid == NID_X9_62_id_ecPublicKey || nid == NID_rsaEncryption || nid == NID_ED25519 ||
	       nid == NID_ED448;
}

static bool is_digest(int nid)
{
	return nid == NID_sha1 || nid == NID_sha256 || nid == NID_sha384 || nid == NID_sha512;
}

static int check_one(const struct x509_csr *c, X509_REQ *req, const struct wanted *w, struct err *e)
{
	int nid = OBJ_obj2nid(w->type);

	if (nid == NID_undef)
		return 0; /* "MUST ignore any OID or attribute it does not recognize" */
	if (nid == NID_ext_req)
		return check_extensions(req, w, e);
	if (is_key_kind(nid))
		return check_key(c, req, w, e);
	if (is_digest(nid) || OBJ_find_sigid_algs(nid, NULL, NULL) == 1)
		return check_signature(req, w->type, nid, e);
	if (X509_NAME_get_index_by_OBJ(X509_REQ_get_subject_name(req), w->type, -1) >= 0 ||
		X509_REQ_get_attr_by_OBJ(req, w->type, -1) >= 0)
		return 0;
	return lacks(w->type, "neither such an attribute nor such a part of its name", e);
}

/* --- all of them --- */

static int no_list(size_t n, struct err *e)
{
	return err_set(e, ERR_SERVICE_ANSWER,
		"what the authority wants in a request (csrattrs) is not to be read: %zu bytes, a CsrAttrs (RFC 7030, 4.5.2) expected",
		n);
}

static int check_member(
	const struct x509_csr *c, X509_REQ *req, const ASN1_TYPE *t, size_t n, struct err *e)
{
	struct wanted w = {0};
	ASN1_SEQUENCE_ANY *parts = NULL;
	int r = 0;

	if (t->type == V_ASN1_OBJECT)
		w.type = t->value.object;
	if (t->type == V_ASN1_SEQUENCE)
		parts = members(t->value.sequence, false);
	if (parts && sk_ASN1_TYPE_num(parts) == 2 &&
		sk_ASN1_TYPE_value(parts, 0)->type == V_ASN1_OBJECT &&
		sk_ASN1_TYPE_value(parts, 1)->type == V_ASN1_SET) {
		w.type = sk_ASN1_TYPE_value(parts, 0)->value.object;
		w.values = sk_ASN1_TYPE_value(parts, 1)->value.set;
	}
	r = w.type ? check_one(c, req, &w, e) : no_list(n, e);
	sk_ASN1_TYPE_pop_free(parts, ASN1_TYPE_free);
	return r;
}

int x509_csr_has(const struct x509_csr *c, const uint8_t *wanted, size_t n, struct err *e)
{
	const unsigned char *at = wanted;
	const unsigned char *der = c->der;
	ASN1_SEQUENCE_ANY *all =
		n <= X509_MAX_BYTES ? d2i_ASN1_SEQUENCE_ANY(NULL, &at, (long)n) : NULL;
	X509_REQ *req = d2i_X509_REQ(NULL, &der, (long)c->der_bytes);
	int r = all && req && at == wanted + n ? 0 : no_list(n, e);

	for (int i = 0; r == 0 && i < sk_ASN1_TYPE_num(all); i++)
		r = check_member(c, req, sk_ASN1_TYPE_value(all, i), n, e);
	sk_ASN1_TYPE_pop_free(all, ASN1_TYPE_free);
	X509_REQ_free(req);
	ERR_clear_error();
	return r;
}
