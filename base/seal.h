/* SPDX-License-Identifier: Apache-2.0
 *
 * The signature of what leaves this host about its records: Ed25519 (RFC 8032), by a key that is
 * made once and kept as PEM (PKCS#8, mode 0600) where only provd reads. Anybody verifies it with
 * `openssl pkeyutl -verify -rawin`. One of the few doors to OpenSSL. Any thread.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "base/util.h"

#define SEAL_BASE64 89 /* 64 bytes and the NUL */
#define SEAL_ID	    17

struct seal;

/* Reads the key of `path`, made first where there is none. -ERR_INVALID for a file that holds no
 * Ed25519 key. */
int seal_open(const char *path, struct seal **ret, struct err *e);
struct seal *seal_free(struct seal *s); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct seal, seal_free)

int seal_sign(const struct seal *s, const void *p, size_t n, char ret[SEAL_BASE64], struct err *e);
/* SubjectPublicKeyInfo as PEM, and the first 16 hex digits of the SHA-256 of its DER; live as long
 * as the seal. */
const char *seal_public(const struct seal *s);
const char *seal_id(const struct seal *s);
