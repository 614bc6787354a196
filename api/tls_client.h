/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificates of clients: whom the API takes them from (tls.client_ca and tls.client_crl of
 * provd.yaml), and what a client that showed one is called. GnuTLS asks for a certificate and proves
 * that the client has its key; that it may come in is decided here (RFC 5280, 6).
 *
 * A trust is never changed once it is there; reading it is not locked, verifying is (the caller has
 * a lock). No file is opened after tls_trust_new().
 */
#pragma once

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

#define TLS_NAME_BYTES	  256
#define TLS_SUBJECT_BYTES 512
#define TLS_NAMES	  16

/* By what a principal of provd.yaml is recognised. */
enum tls_name { TLS_SUBJECT, TLS_SAN_DNS, TLS_SAN_URI, TLS_SAN_EMAIL };

struct tls_client {
	/* Why it is not let in, a sentence; "" it is. What is below may be empty then. */
	char refused[ERR_TEXT_BYTES];
	char subject[TLS_SUBJECT_BYTES]; /* RFC 4514, the most specific part first */
	char sha256[SHA256_HEX];	 /* of the certificate */
	int64_t ends_s;			 /* its notAfter, seconds since 1970 */
	struct {
		enum tls_name kind;
		char text[TLS_NAME_BYTES];
	} name[TLS_NAMES]; /* its subjectAltNames of these kinds */
	unsigned names;
};

struct tls_trust;

/* Files of PEM; crl may be NULL: nothing is looked up. -ERR_INVALID for what holds no certificate, and
 * for a list of revoked ones that none of them has signed. */
int tls_trust_new(const char *ca, const char *crl, struct tls_trust **ret, struct err *e);
struct tls_trust *tls_trust_free(struct tls_trust *t);
/* When the first of its lists of revoked ones is out of date, seconds since 1970; 0: there is none, or
 * none says so. */
int64_t tls_trust_lists_end(const struct tls_trust *t);
/* The chain that the client sent, its own certificate first, DER. Looked at: a path to client_ca, the
 * time of each, that the client's may be used as a client's, and, with client_crl, that a list in date
 * of each issuer does not name it. */
void tls_trust_verify(
	struct tls_trust *t, const gnutls_datum_t *chain, unsigned n, struct tls_client *ret);
/* Whether the client has that name, all of it: texts of the subject as they are written, or with its
 * parts in another order; DNS names and mail hosts in any case. */
bool tls_client_has(const struct tls_client *c, enum tls_name kind, const char *name);
