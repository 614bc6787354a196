/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificates that units got (db/sql/0011_certificates.sql draws their life): on record before
 * they are signed, and with all of their text before they are given out.
 */
#pragma once

#include "db/db.h"

struct certificate_order_row {
	const char *id;	    /* 32 hex digits */
	const char *serial; /* of the certificate, hex; NULL: the issuer chooses it */
	const char *run;
	int64_t step_n;
	const char *issuer;
	const char *profile; /* "idevid@1"; "" where the issuer decides, as its digest */
	const char *profile_digest;
	const char *key;   /* SHA-256 of the public key, hex */
	const char *asked; /* SHA-256 of what it is asked for, hex: the values, or the request */
};
/* Before it is signed. */
int certificates_order(struct db *tx, const struct certificate_order_row *o, struct err *e);

struct certificate_row {
	const char *id, *serial, *subject, *sha256, *pem, *chain;
	int64_t not_before_ms, not_after_ms;
};
/* It is signed: before anybody else sees it. */
int certificates_issue(struct db *tx, const struct certificate_row *c, struct err *e);
/* It was not signed, or is not what was ordered. */
int certificates_void(struct db *tx, const char *id, const char *reason, struct err *e);
/* The unit holds the certificate with that SHA-256. No error where it does already; -ERR_NOT_FOUND
 * for one that was not issued. */
int certificates_deliver(struct db *tx, const char *run, const char *sha256, struct err *e);

/* What was left open by a provd that ended: void, never given out. How many. */
int certificates_settle(struct db *tx, struct err *e);

/* Whether no other unit than that of the run, scrapped ones apart, has a certificate for that key: a key
 * that was cloned, or a request that was replayed. -ERR_CSR_MISMATCH names the other unit. A run whose
 * unit is not known yet is not judged. */
int certificates_key_free(struct db *d, const char *run, const char *key, struct err *e);
/* One that was issued before for that key by the same issuer and profile, was asked for in the same way
 * (run, issuer, profile_digest, key and asked of o), for the unit of the run (or
 * where one of the two is not known), and has not ended at now_ms: {serial, pem, chain, sha256}.
 * -ERR_NOT_FOUND. */
int certificates_find(struct db *d, const struct certificate_order_row *o, int64_t now_ms,
	json_t **ret, struct err *e);
/* The newest that the unit of the run has of that issuer: {serial, subject, sha256}. -ERR_NOT_FOUND. */
int certificates_held(
	struct db *d, const char *run, const char *issuer, json_t **ret, struct err *e);
/* Those of a unit, the newest first: array of {id, serial, run, station, issuer, profile, profile_digest,
 * key, state, subject, not_before, not_after, sha256, pem, chain, reason, ordered_at, issued_at,
 * settled_at}. */
int certificates_of_unit(struct db *d, const char *unit_id, json_t **ret, struct err *e);
