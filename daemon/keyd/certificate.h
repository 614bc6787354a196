/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes a certificate (X.509 version 3, RFC 5280) as a profile says, for the key of a request.
 */
#pragma once

#include <jansson.h>

#include "daemon/keyd/profile.h"
#include "daemon/keyd/signer.h"

#define CERT_SERIAL_BYTES 16

/* Who signs: its certificate, and the key. */
struct issuer {
	struct x509_cert cert;
	struct x509_st *parsed; /* the same, as OpenSSL has it; nobody changes it */
	char *chain;		/* PEM: its own certificate and those above it */
	struct signer *signer;	/* NULL: it cannot be opened now */
};

/* Fills cert and parsed out of chain. */
int issuer_read(struct issuer *i, struct err *e);
/* What is NULL in it was not there. */
void issuer_done(struct issuer *i);

struct certificate_order {
	const struct profile *profile;
	const uint8_t *csr; /* DER or PEM */
	size_t csr_bytes;
	const uint8_t *serial; /* CERT_SERIAL_BYTES; the first bit is cleared */
	const json_t *values;
	int64_t now_s; /* seconds since 1970: notBefore */
};

/* All but the signature: looked at, and put together. The caller frees it. -ERR_CSR_MISMATCH,
 * -ERR_PROFILE_REFUSED, -ERR_ISSUER_INVALID. */
int certificate_draft(const struct issuer *i, const struct certificate_order *o,
	struct x509_st **ret, struct err *e);
/* ret, of *ret_n bytes DER, is owned by the caller. Fails with why the key does not sign. */
int certificate_sign(
	const struct issuer *i, struct x509_st *draft, uint8_t **ret, size_t *ret_n, struct err *e);
void certificate_draft_free(struct x509_st *draft); /* takes NULL */

/* SEQUENCE { tbs, algorithm, signature }: what a certificate and a request are (RFC 5280, 4.1; RFC 2986, 4.2). ret
 * is owned by the caller. */
int signed_der(struct signer *s, const uint8_t *tbs, size_t n, uint8_t **ret, size_t *ret_n,
	struct err *e);
