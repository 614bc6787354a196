/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys in PKCS#11 tokens (version 2.40), found by URI (RFC 7512). The only door to p11-kit, which
 * loads the modules that are registered with it. A token that was pulled gives -ERR_TOKEN_GONE, and
 * its return is found at the next use. A PIN that was refused is not tried again until its file has
 * changed (remember.h), by no key of that token, and never where one try is left.
 *
 * Facts: C_Initialize once in a process, never across a fork (PKCS#11 2.40, 5.4); a login holds for
 * all sessions of a token (5.6); CKM_ECDSA takes a digest and gives r and s, each of the curve's
 * length (mechanisms 2.3.6); CKM_EDDSA takes the message; CKM_RSA_PKCS takes the DER of DigestInfo.
 * A handle is kept for each key: SoftHSM2 2.6.1 reads every object of the token at each search.
 */
#pragma once

#include "base/x509.h"
#include "daemon/keyd/keyd_config.h"

#define SIGNATURE_MAX 512 /* RSA with 4096 bits */

struct token_key;

/* TOKEN_STORE: the token alone, for keys that are made in it. */
enum token_class { TOKEN_PRIVATE, TOKEN_SECRET, TOKEN_STORE };

int token_key_open(const struct key_place *place, enum token_class class, struct token_key **ret,
	struct err *e);
void token_key_free(struct token_key *k); /* takes NULL */
/* Whether the token is there now, and the key in it. */
int token_key_ready(struct token_key *k, struct err *e);
/* As signer_sign(). */
int token_sign(struct token_key *k, const struct x509_key *public, const void *message, size_t n,
	uint8_t *ret, size_t *ret_n, struct err *e);
/* AES-CMAC (RFC 4493) of the message by a secret key of the token: 16 bytes. */
int token_cmac(struct token_key *k, const void *message, size_t n, uint8_t ret[16], struct err *e);
/* A pair of keys (P-256 or P-384) with that label, made in the token (of TOKEN_STORE): the private one is
 * sensitive and cannot be extracted. One that has the label already is taken, so that a unit that comes again
 * has the same: *ret_before. -ERR_TOKEN_FULL, -ERR_UNSUPPORTED for another kind, -ERR_CONFLICT where the label is
 * of a key of another kind. */
int token_make_pair(struct token_key *k, enum x509_alg alg, const char *label, struct x509_key *ret,
	bool *ret_before, struct err *e);
/* The public key with that label: -ERR_NOT_FOUND. */
int token_public(struct token_key *k, const char *label, struct x509_key *ret, struct err *e);
/* The URI of a key with that label in the token of `store`, owned by the caller. NULL: it is no URI. */
char *token_uri_of(const char *store, const char *label);
/* When the oldest call of a module began that has not come back, and for which key: monotonic, 0 while
 * none runs. */
uint64_t token_busy_since_us(const char **ret_key);
/* The key whose module this thread is in; NULL: none. For a signal handler too. */
const char *token_in_call(void);
