/* SPDX-License-Identifier: Apache-2.0
 *
 * The key by which provd is known to devices: RSA of 2048 bits, made once and kept as PEM (PKCS#8,
 * mode 0600) where only provd reads. One of the few doors to OpenSSL.
 *
 * The device's token of 20 bytes is signed as if it were a SHA-1 digest (PKCS#1 v1.5): it is not
 * hashed again.
 *
 * Source: AOSP packages/modules/adb, client/auth.cpp; system/core, libcrypto_utils/android_pubkey.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/util.h"
#include "transports/protocols/adb/adb_packet.h"

struct adb_key;

/* Reads the key of `path`, made first where there is none: two that do so at once end with the same
 * key. -ERR_INVALID for a file that holds no RSA key of 2048 bits. */
int adb_key_keep(const char *path, struct adb_key **ret, struct err *e);
/* Reads it; -ERR_NOT_FOUND without it. */
int adb_key_read(const char *path, struct adb_key **ret, struct err *e);
struct adb_key *adb_key_free(struct adb_key *k); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct adb_key, adb_key_free)

int adb_key_sign(const struct adb_key *k, const uint8_t token[ADB_TOKEN_BYTES],
	uint8_t ret[ADB_SIGNATURE_SIZE], struct err *e);
/* One line as in `adb_keys`, without its end: base64 of the key in Android's form, and a name.
 * Lives as long as the key. */
const char *adb_key_public(const struct adb_key *k);
/* How a device shows it on its screen: MD5-like prints differ between versions, so the first eight
 * bytes of the SHA-256 of the key in Android's form, in hex. */
const char *adb_key_print(const struct adb_key *k);
