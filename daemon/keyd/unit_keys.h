/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys that are made here for units which cannot make one themselves.
 *
 *	in memory   named "memory/NUMBER"; signs its request, and is handed out once, to be written into the
 *	            unit. It is gone then, or after an hour, or where 256 newer ones came.
 *	in a token  named "STORE/LABEL"; signs its request, and never leaves the token. The label finds it
 *	            again, also after a restart.
 *
 * Any thread.
 */
#pragma once

#include "daemon/keyd/keyd_config.h"
#include "daemon/keyd/signer.h"

#define UNIT_KEY_NAME_BYTES 144 /* of a store, '/', a label */

struct unit_keys;

/* c lives as long. */
struct unit_keys *unit_keys_new(const struct keyd_config *c);
struct unit_keys *unit_keys_free(struct unit_keys *u); /* wipes; takes NULL, returns NULL */
DEFINE_CLEANUP(struct unit_keys, unit_keys_free)

/* The token of the i-th of `stores`: at the start, so that what is wrong is said then. */
int unit_keys_open_store(struct unit_keys *u, size_t i, struct err *e);
/* store: a name of provd.yaml's `stores`, "" for memory; alg: as x509_alg_name(); label: of a key in a token,
 * such as the unit's serial number. *ret_before: the token had it. -ERR_NOT_FOUND, -ERR_INVALID, or why the
 * token does not make it. */
int unit_key_make(struct unit_keys *u, const char *store, const char *alg, const char *label,
	char ret_name[UNIT_KEY_NAME_BYTES], struct x509_key *ret, bool *ret_before, struct err *e);
/* A request (PKCS #10, DER) with that subject ("CN=a,O=b", the first part first, a comma in a value as "\,"),
 * signed by the key; owned by the caller. -ERR_NOT_FOUND for a key that is gone. */
int unit_key_request(struct unit_keys *u, const char *name, const char *subject, uint8_t **ret,
	size_t *ret_n, struct err *e);
/* Forgets the keys that are older than an hour; now and then, from any thread. No module is asked. */
void unit_keys_sweep(struct unit_keys *u);
/* The private key, PKCS #8: the caller wipes and frees it, and nobody gets it again. -ERR_UNSUPPORTED for one
 * in a token. */
int unit_key_take(
	struct unit_keys *u, const char *name, uint8_t **ret, size_t *ret_n, struct err *e);
