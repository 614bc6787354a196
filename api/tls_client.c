/* SPDX-License-Identifier: Apache-2.0 */
#include "api/tls_client.h"

#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/util.h"
#include "base/x509.h"

#define CHAIN_MAX 8

struct tls_trust {
	gnutls_x509_trust_list_t list;
	/* The list frees what is in them: */
	gnutls_x509_crt_t *ca;
	gnutls_x509_crl_t *crl;
	unsigned cas, crls;
	bool revocation; /* a list of revoked ones was given */
};

/* --- what is trusted --- */

static int load(const char *path, gnutls_datum_t *ret, struct err *e)
{
	int r = gnutls_load_file(path, ret);

	return r < 0 ? err_set(e, ERR_INVALID, "%s: %s: a readable file expected", path,
			       gnutls_strerror(r))
		     : 0;
}

static int check_authorities(
	const gnutls_x509_crt_t *crt, unsigned n, const char *path, struct err *e)
{
	for (unsigned i = 0; i < n; i++)
		if (gnutls_x509_crt_get_ca_status(crt[i], NULL) <= 0)
			return err_set(e, ERR_INVALID,
				"%s: certificate %u is not of an authority (basicConstraints CA): it can sign no client's",
				path, i + 1);
	return 0;
}

static int add_authorities(struct tls_trust *t, const char *path, struct err *e)
{
	gnutls_datum_t text;
	int r = load(path, &text, e);

	if (r < 0)
		return r;
	r = gnutls_x509_crt_list_import2(&t->ca, &t->cas, &text, GNUTLS_X509_FMT_PEM, 0);
	gnutls_free(text.data);
	if (r < 0)
		return err_set(e, ERR_INVALID,
			"%s: %s: certificates of authorities in PEM expected", path,
			gnutls_strerror(r));
	gnutls_x509_trust_list_add_cas(t->list, t->ca, t->cas, 0);
	return check_authorities(t->ca, t->cas, path, e);
}

static int add_revoked(struct tls_trust *t, const char *path, struct err *e)
{
	gnutls_datum_t text;
	int r = load(path, &text, e);

	if (r < 0)
		return r;
	r = gnutls_x509_crl_list_import2(&t->crl, &t->crls, &text, GNUTLS_X509_FMT_PEM, 0);
	gnutls_free(text.data);
	if (r < 0)
		return err_set(e, ERR_INVALID,
			"%s: %s: lists of revoked certificates in PEM expected", path,
			gnutls_strerror(r));
	t->revocation = true;
	gnutls_x509_trust_list_add_crls(t->list, t->crl, t->crls, 0, 0);
	for (unsigned i = 0; i < t->crls; i++) {
		unsigned status = 0;

		r = gnutls_x509_crl_verify(t->crl[i], t->ca, t->cas, 0, &status);
		if (r < 0 || (status & GNUTLS_CERT_INVALID &&
				     !(status & GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED)))
			return err_set(e, ERR_INVALID,
				"%s: list %u is not signed by an authority of client_ca: lists of theirs expected",
				path, i + 1);
	}
	return 0;
}

int tls_trust_new(const char *ca, const char *crl, struct tls_trust **ret, struct err *e)
{
	struct tls_trust *t = xcalloc(1, sizeof *t);
	int r;

	if (gnutls_x509_trust_list_init(&t->list, 0) < 0)
		abort();
	r = add_authorities(t, ca, e);
	if (r < 0) {
		err_prefix(e, "tls.client_ca");
	} else if (crl) {
		r = add_revoked(t, crl, e);
		if (r < 0)
			err_prefix(e, "tls.client_crl");
	}
	if (r < 0) {
		tls_trust_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

struct tls_trust *tls_trust_free(struct tls_trust *t)
{
	if (t) {
		gnutls_x509_trust_list_deinit(t->list, 1);
		gnutls_free(t->ca);
		gnutls_free(t->crl);
		free(t);
	}
	return NULL;
}

int64_t tls_trust_lists_end(const struct tls_trust *t)
{
	int64_t first = 0;

	for (unsigned i = 0; i < t->crls; i++) {
		time_t next = gnutls_x509_crl_get_next_update(t->crl[i]);

		if (next != (time_t)-1 && (!first || next < first))
			first = next;
	}
	return first;
}

/* --- what the client is called --- */

static void add_name(struct tls_client *c, int type, const char *text, size_t n)
{
	enum tls_name kind = type == GNUTLS_SAN_DNSNAME	     ? TLS_SAN_DNS
			     : type == GNUTLS_SAN_URI	     ? TLS_SAN_URI
			     : type == GNUTLS_SAN_RFC822NAME ? TLS_SAN_EMAIL
							     : TLS_SUBJECT;

	/* A name with a NUL in it reads otherwise elsewhere. */
	if (kind == TLS_SUBJECT || c->names == TLS_NAMES || n == 0 || memchr(text, 0, n))
		return;
	c->name[c->names].kind = kind;
	snprintf(c->name[c->names++].text, TLS_NAME_BYTES, "%.*s", (int)n, text);
}

static void read_names(gnutls_x509_crt_t crt, struct tls_client *ret)
{
	for (unsigned i = 0;; i++) {
		char text[TLS_NAME_BYTES];
		size_t n = sizeof text;
		int type = gnutls_x509_crt_get_subject_alt_name(crt, i, text, &n, NULL);

		if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return;
		if (type >= 0)
			add_name(ret, type, text, n);
		else if (type != GNUTLS_E_SHORT_MEMORY_BUFFER)
			return;
	}
}

static void read_client(gnutls_x509_crt_t crt, const gnutls_datum_t *der, struct tls_client *ret)
{
	gnutls_datum_t dn = {0};

	sha256_hex_of(der->data, der->size, ret->sha256);
	ret->ends_s = gnutls_x509_crt_get_expiration_time(crt);
	if (gnutls_x509_crt_get_dn3(crt, &dn, 0) == 0 && dn.size < sizeof ret->subject &&
		!memchr(dn.data, 0, dn.size))
		snprintf(ret->subject, sizeof ret->subject, "%.*s", (int)dn.size, dn.data);
	gnutls_free(dn.data);
	read_names(crt, ret);
}

/* --- whether it is let in --- */

static const char *reason_of(unsigned status)
{
	static const struct {
		unsigned bit;
		const char *text;
	} reasons[] = {
		{GNUTLS_CERT_REVOKED, "it was revoked"},
		{GNUTLS_CERT_SIGNER_NOT_FOUND, "no authority of client_ca has signed it"},
		{GNUTLS_CERT_SIGNER_NOT_CA, "what has signed it is not an authority"},
		{GNUTLS_CERT_NOT_ACTIVATED, "it is not valid yet, or its authority is not"},
		{GNUTLS_CERT_EXPIRED, "its time is over, or that of its authority"},
		{GNUTLS_CERT_PURPOSE_MISMATCH,
			"it is not for clients (extendedKeyUsage clientAuth)"},
		{GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE, "its authority may not sign such a name"},
		{GNUTLS_CERT_INSECURE_ALGORITHM, "its key or signature is too weak"},
		{GNUTLS_CERT_SIGNATURE_FAILURE, "its signature is wrong"},
		{GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE,
			"the list of revoked ones is of the future"},
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (status & reasons[i].bit)
			return reasons[i].text;
	return "it is not valid";
}

static const char *issuer_reason(const struct tls_trust *t, gnutls_x509_crt_t crt)
{
	gnutls_datum_t issuer = {0};
	const char *why = "client_crl has no list of its authority";

	if (gnutls_x509_crt_get_raw_issuer_dn(crt, &issuer) < 0)
		return why;
	for (unsigned i = 0; i < t->crls; i++) {
		gnutls_datum_t by = {0};
		bool same = gnutls_x509_crl_get_raw_issuer_dn(t->crl[i], &by) == 0 &&
			    by.size == issuer.size && !memcmp(by.data, issuer.data, by.size);
		time_t next = gnutls_x509_crl_get_next_update(t->crl[i]);

		gnutls_free(by.data);
		if (!same)
			continue;
		why = NULL;
		if (next != (time_t)-1 && next < time(NULL)) {
			why = "the list of revoked ones of its authority is out of date";
			break;
		}
	}
	gnutls_free(issuer.data);
	return why;
}

/* Without a list in date nobody knows whether it was revoked: it is refused. */
static const char *revocation_reason(
	const struct tls_trust *t, const gnutls_x509_crt_t *chain, unsigned n)
{
	const char *why = NULL;

	for (unsigned i = 0; t->revocation && !why && i < n; i++)
		if (i == 0 || !gnutls_x509_crt_check_issuer(chain[i], chain[i]))
			why = issuer_reason(t, chain[i]);
	return why;
}

static const char *judge(struct tls_trust *t, gnutls_x509_crt_t *chain, unsigned n)
{
	gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
	unsigned status = 0;
	int r = gnutls_x509_trust_list_verify_crt2(t->list, chain, n, &purpose, 1,
		GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM), &status, NULL);

	if (r < 0)
		return gnutls_strerror(r);
	return status ? reason_of(status) : revocation_reason(t, chain, n);
}

void tls_trust_verify(
	struct tls_trust *t, const gnutls_datum_t *chain, unsigned n, struct tls_client *ret)
{
	gnutls_x509_crt_t crt[CHAIN_MAX];
	const char *why = n == 0 || n > CHAIN_MAX ? "its chain is too long" : NULL;
	unsigned read = 0;

	memset(ret, 0, sizeof *ret);
	for (; !why && read < n; read++) {
		if (gnutls_x509_crt_init(&crt[read]) < 0)
			abort();
		if (gnutls_x509_crt_import(crt[read], &chain[read], GNUTLS_X509_FMT_DER) < 0)
			why = "it cannot be read";
	}
	if (!why)
		read_client(crt[0], &chain[0], ret);
	if (!why)
		why = judge(t, crt, n);
	if (why)
		snprintf(ret->refused, sizeof ret->refused,
			"the client certificate '%.120s' is refused: %s",
			ret->subject[0] ? ret->subject : "without a name", why);
	while (read > 0)
		gnutls_x509_crt_deinit(crt[--read]);
}

static bool same_host(enum tls_name kind, const char *a, const char *b)
{
	const char *at = kind == TLS_SAN_EMAIL ? strrchr(a, '@') : a;
	const char *other = kind == TLS_SAN_EMAIL ? strrchr(b, '@') : b;

	if (!at || !other || at - a != other - b || strncmp(a, b, (size_t)(at - a)) != 0)
		return false;
	return !strcasecmp(at, other);
}

bool tls_client_has(const struct tls_client *c, enum tls_name kind, const char *name)
{
	if (kind == TLS_SUBJECT)
		return c->subject[0] && x509_same_name(c->subject, name, NULL) == 0;
	for (unsigned i = 0; i < c->names; i++) {
		if (c->name[i].kind != kind)
			continue;
		if (kind == TLS_SAN_URI ? !strcmp(c->name[i].text, name)
					: same_host(kind, c->name[i].text, name))
			return true;
	}
	return false;
}
