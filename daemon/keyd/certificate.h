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

/* ret, of *ret_n bytes DER, is owned by the caller; NULL: all is looked at, and nothing signed.
 * -ERR_CSR_MISMATCH, -ERR_PROFILE_REFUSED, -ERR_ISSUER_INVALID, or why the key does not sign. */
int certificate_make(const struct issuer *i, const struct certificate_order *o, uint8_t **ret,
	size_t *ret_n, struct err *e);
