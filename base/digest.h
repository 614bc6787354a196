/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 and hexadecimal. One of the few doors to OpenSSL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SHA256_BYTES 32
#define SHA256_HEX   65 /* with the NUL */

struct sha256; /* a running digest */
struct sha256 *sha256_new(void);
struct sha256 *sha256_free(struct sha256 *d);
void sha256_add(struct sha256 *d, const void *p, size_t n);
/* Ends the digest; the object can only be freed afterwards. */
void sha256_end(struct sha256 *d, uint8_t out[SHA256_BYTES]);

void sha256_of(const void *p, size_t n, uint8_t out[SHA256_BYTES]);
char *sha256_hex_of(const void *p, size_t n, char out[SHA256_HEX]);
/* Of a whole file. */
int sha256_file(const char *path, char out[SHA256_HEX], struct err *e);

/* MD5 (RFC 1321): no proof against a person, and what boot ROMs answer. false where this OpenSSL has none (FIPS). */
#define MD5_HEX 33 /* with the NUL */
bool md5_hex_of(const void *p, size_t n, char out[MD5_HEX]);

/* RFC 2104. */
void hmac_sha256(const void *key, size_t key_n, const void *p, size_t n, uint8_t out[SHA256_BYTES]);

/* RFC 4648, 4, in one line; owned by the caller. */
char *base64_of(const void *p, size_t n);
/* The bytes, owned by the caller, with a NUL after them; NULL for a text that is none, also one with
 * white space. */
uint8_t *base64_parse(const char *s, size_t *ret_n);

/* Lower-case hex of n bytes into out (2n + 1 bytes); returns out. */
char *hex_of(const void *p, size_t n, char *out);
/* Exactly n bytes out of 2n hex digits and a NUL. */
bool hex_parse(const char *s, uint8_t *out, size_t n);
/* Whether s is 64 lower-case hex digits. */
bool is_sha256_hex(const char *s);
