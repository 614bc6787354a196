/* SPDX-License-Identifier: Apache-2.0
 *
 * Text that leaves the house: what is known to be a secret, and what looks like one, is replaced by SECRET_MASK. One too many
 * is better than one too few.
 */
#pragma once

#include "base/secret.h"

/* What a configuration (YAML) holds as a secret or names a file of: `secrets`, and what opens keys (`pin`). Values go to s; a file
 * that cannot be read holds nothing that could be shown. */
void secrets_of_config(struct secret_set *s, const char *text);
/* The first line of that file as a secret. */
void secret_of_file(struct secret_set *s, const char *path);
/* A copy without known secrets, private keys in PEM, passwords in URLs, PINs of PKCS#11 URIs, credentials of HTTP, and values of
 * names such as password, token, pin; and without the whole `secrets` of a configuration that is not YAML. Owned by the caller. */
char *without_secrets(const struct secret_set *s, const char *text);
