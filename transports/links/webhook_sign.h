/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures of Standard Webhooks 1.0.0 (github.com/standard-webhooks/standard-webhooks, "Signature
 * scheme"): v1, HMAC-SHA256 over "ID.TIMESTAMP.BODY" by a secret of 24 to 64 bytes, which is written
 * as whsec_ and base64.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define WEBHOOK_SECRET_MIN 24
#define WEBHOOK_SECRET_MAX 64

/* -ERR_INVALID: what it is not, without a byte of it. */
int webhook_secret_check(const char *secret, struct err *e);
/* The value of webhook-signature: "v1,BASE64" by each of the secrets (NULL-terminated), with a space in
 * between; owned by the caller. timestamp: seconds since 1970. -ERR_INVALID. */
int webhook_sign(const char *const *secrets, const char *id, int64_t timestamp, const char *body,
	char **ret, struct err *e);
