/* SPDX-License-Identifier: Apache-2.0
 *
 * All that provd-keyd holds: issuers with their profiles, masters, signers. What does not open at the
 * start (a token that is not plugged) is tried again at each use. Any thread.
 */
#pragma once

#include <jansson.h>

#include "daemon/keyd/certificate.h"
#include "daemon/keyd/derive.h"
#include "daemon/keyd/keyd_config.h"
#include "daemon/keyd/unit_keys.h"

struct keyring;

/* Certificates and profiles must be right; what is wrong with them goes to report as lines. No key is
 * opened yet. c lives as long as the keyring. */
int keyring_open(
	const struct keyd_config *c, struct strbuf *report, struct keyring **ret, struct err *e);
struct keyring *keyring_free(struct keyring *k);
DEFINE_CLEANUP(struct keyring, keyring_free)

/* Opens what can be opened, and logs what cannot: how many. A token's module may keep it for as long as
 * it likes. */
unsigned keyring_try(struct keyring *k);

/* [{name, kind, subject, key, sha256, not_before, not_after, ready, problem, profiles: [{name, version,
 * digest, keys, days}]}]: a new reference. Opens what is not open. */
json_t *keyring_issuers(struct keyring *k);

struct certify_request {
	const char *issuer, *profile;
	const uint8_t *csr;
	size_t csr_bytes;
	const uint8_t *serial; /* CERT_SERIAL_BYTES */
	const char *values;    /* a JSON object of texts */
};
/* A certificate that only lacks its signature. It lives no longer than the keyring. */
struct draft;
/* ready: whether the key can sign now is looked at as well. ret_profile is borrowed from the keyring. */
int keyring_draft(struct keyring *k, const struct certify_request *q, bool ready,
	struct draft **ret, const struct profile **ret_profile, struct err *e);
/* Signs it, once. chain is borrowed from the keyring. */
int keyring_issue(struct draft *d, uint8_t **ret, size_t *ret_n, const char **ret_chain,
	const struct profile **ret_profile, struct err *e);
struct draft *draft_free(struct draft *d); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct draft, draft_free)
int keyring_derive(struct keyring *k, const char *master, const char *label, const void *context,
	size_t context_n, uint8_t *ret, size_t n, struct err *e);
/* The signature of a document; ret_public is the key's PEM, owned by the caller. -ERR_FORBIDDEN for a
 * signer of checkpoints. */
int keyring_sign(struct keyring *k, const char *key, const void *record, size_t n,
	uint8_t ret[SIGNATURE_MAX], size_t *ret_n, char **ret_public, struct err *e);
/* The same of a checkpoint of the records, and of nothing else (base/checkpoint.h): -ERR_INVALID.
 * -ERR_FORBIDDEN for a signer that is not for them. */
int keyring_sign_checkpoint(struct keyring *k, const char *key, const void *text, size_t n,
	uint8_t ret[SIGNATURE_MAX], size_t *ret_n, char **ret_public, struct err *e);
/* Keys that are made for units. */
struct unit_keys *keyring_unit_keys(struct keyring *k);
