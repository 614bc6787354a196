/* SPDX-License-Identifier: Apache-2.0
 *
 * A private key that signs: in a file, or in a token. Only provd-keyd has one. A signer may be used
 * by several threads at a time.
 */
#pragma once

#include "base/x509.h"
#include "daemon/keyd/keyd_config.h"
#include "daemon/keyd/token.h"

struct signer;

/* expected: the public key that it must have, NULL for a file whose own is taken. The key signs once,
 * so that a wrong one is found now. -ERR_TOKEN_GONE, -ERR_TOKEN_PIN, -ERR_PIN_*, -ERR_INVALID. */
int signer_open(const struct key_place *place, const struct x509_key *expected, struct signer **ret,
	struct err *e);
/* A new key, in the memory of this process alone. */
int signer_make(enum x509_alg alg, struct signer **ret, struct err *e);
/* The private key that signer_make() made, PKCS #8 (RFC 5958): the caller wipes and frees it. */
int signer_private(const struct signer *s, uint8_t **ret, size_t *ret_n, struct err *e);
struct signer *signer_free(struct signer *s); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct signer, signer_free)
const struct x509_key *signer_key(const struct signer *s);
/* Whether it can sign now: a token may have left. */
int signer_ready(struct signer *s, struct err *e);
/* Over the message: ECDSA in DER (SHA-256 for P-256, SHA-384 for P-384), Ed25519, RSA PKCS #1 v1.5
 * with SHA-256. */
int signer_sign(struct signer *s, const void *message, size_t n, uint8_t ret[SIGNATURE_MAX],
	size_t *ret_n, struct err *e);
