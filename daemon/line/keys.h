/* SPDX-License-Identifier: Apache-2.0
 *
 * The key process as the line sees it (provd-keyd, daemon/keyd): where it is asked, and, where
 * provd.yaml names no socket of it, the child that this provd keeps running.
 */
#pragma once

#include "base/checkpoint.h"
#include "daemon/line/config.h"

struct keys;

/* NULL where provd.yaml names no key. A reload of provd.yaml does not change it. main. */
struct keys *keys_new(struct config *c);
/* Starts the child where one is needed, and again after it ended: at once where it had run for a while, then
 * after 1, 2, 4 s and so on, at most a minute. What keeps it from running is logged once, not at each try.
 * main, from its loop: a child ends with the thread that made it. */
void keys_tick(struct keys *k);		/* takes NULL */
struct keys *keys_free(struct keys *k); /* ends the child; takes NULL, returns NULL. main */
/* What it says of the issuers, as keyring_issuers() has them: replaces *ret. It waits for the answer.
 * Any thread. */
int keys_issuers(const struct keys *k, json_t **ret, struct err *e);
/* As fleet_sign(). Any thread. */
int keys_sign(const struct keys *k, const char *signer, const char *who, const void *record,
	size_t n, char **ret_signature, char **ret_public, struct err *e);
/* A checkpoint of the records (base/checkpoint.h); the signature as it is. Any thread. */
int keys_sign_checkpoint(const struct keys *k, const char *signer, const char *who,
	const char *text, uint8_t ret_signature[CHECKPOINT_SIGNATURE], char **ret_public,
	struct err *e);
/* Where it is asked. -ERR_NOT_FOUND for NULL. Any thread. */
int keys_socket(const struct keys *k, const char **ret, struct err *e);
