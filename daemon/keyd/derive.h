/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of units out of a master: NIST SP 800-108r1, 4.1 (counter mode), with AES-CMAC as its function,
 * a counter of 32 bits before the fixed data, and
 *
 *	fixed data = label, 0x00, context, length of the key in bits (32 bits, big-endian)
 *
 * A token does the CMAC, so that the master never leaves it. `openssl kdf` with KBKDF gives the same.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/util.h"
#include "daemon/keyd/keyd_config.h"

#define DERIVED_MAX 64

struct master;

/* -ERR_TOKEN_GONE, -ERR_TOKEN_PIN, -ERR_PIN_*; -ERR_INVALID for a file that has not 64 hex digits. */
int master_open(const struct key_place *place, struct master **ret, struct err *e);
struct master *master_free(struct master *m); /* wipes; takes NULL, returns NULL */
DEFINE_CLEANUP(struct master, master_free)
/* n bytes, 16 to DERIVED_MAX. The caller wipes them. */
int master_derive(struct master *m, const char *label, const void *context, size_t context_n,
	uint8_t *ret, size_t n, struct err *e);
