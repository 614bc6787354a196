/* SPDX-License-Identifier: Apache-2.0
 *
 * What a secure element of the virtual board computes. A door to OpenSSL. Bytes are DER; a buffer is
 * malloc'ed and the caller's; false: OpenSSL would not, and nothing is set.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct der {
	uint8_t *p;
	size_t n;
};

/* A new private key of "p256", "p384" or "ed25519". */
bool key_generate(const char *alg, struct der *ret);
/* Its public half, a SubjectPublicKeyInfo (RFC 5280, 4.1.2.7). */
bool key_public(const struct der *key, struct der *ret);
/* A PKCS#10 request (RFC 2986) that the key signed; subject is "CN=a,O=b", with a comma in a value as
 * "\,". */
bool key_request(const struct der *key, const char *subject, struct der *ret);
/* ECDSA with SHA-256 over the n bytes (Ecdsa-Sig-Value of RFC 3279), or Ed25519 (RFC 8032). */
bool key_sign(const struct der *key, const void *p, size_t n, struct der *ret);

/* One text without line ends. */
char *der_base64(const struct der *d);
/* What one line of base64 says, at most size bytes; false where it is not base64, or more. */
bool der_base64_line(const char *line, uint8_t *p, size_t size, size_t *ret_n);
