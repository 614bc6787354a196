/* SPDX-License-Identifier: Apache-2.0
 *
 * The public keys by which somebody verifies what provd signed, out of the file of --key.
 */
#pragma once

#include <stddef.h>

#include "base/x509.h"

#define PUBLIC_KEYS_MAX 16

struct public_keys {
	struct x509_key key[PUBLIC_KEYS_MAX];
	size_t n;
};

/* Every public key or certificate of the file (PEM); end it with public_keys_done(), also after a failure. */
int public_keys_read(const char *path, struct public_keys *ret, struct err *e);
void public_keys_done(struct public_keys *k);
/* The whole file, "-" for the input; owned by the caller, NULL with an error. */
char *ctl_read_file(const char *path, size_t *ret_n, struct err *e);
