/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks provd-keyd. One connection for each request: a keyd that was restarted is found at once. (A look at a
 * certificate and its signature are one connection, so that keyd does the work of the look once.) Any thread.
 *
 * All: -ERR_KEYS_DOWN where nobody answers, or gives what was not asked for; else the error that it gave.
 */
#pragma once

#include "base/iotime.h"
#include "base/x509.h"
#include "daemon/keyd/wire.h"

/* How long a request may take, within what the caller has: a token asks its user for nothing. */
#define KEYD_ANSWER_US (20 * US_PER_S)

#define KEYD_SERIAL_BYTES 16
#define KEYD_NAME_BYTES	  144 /* of a key that was made for a unit */

/* buf of WIRE_MAX_BYTES + 1 holds the answer, ret (WIRE_FIELDS of the row's answer) points into it. The
 * caller wipes buf where a secret was asked for. */
int keyd_ask(const char *socket, enum keyd_op op, const struct wire_value *ask,
	const struct iotime *it, uint8_t *buf, struct wire_value *ret, struct err *e);

/* A certificate that is asked for. Texts and csr are borrowed. End it with keyd_order_done(). */
struct keyd_order {
	const char *socket;
	const char *issuer, *profile;
	const struct x509_csr *csr;
	const char *values; /* a JSON object of texts */
	const char *who;    /* what the log of provd-keyd names it by */
	uint8_t serial[KEYD_SERIAL_BYTES];
	char serial_hex[2 * KEYD_SERIAL_BYTES + 1];
	int fd; /* the connection of the look, -1: none */
};
/* With a new serial number, random, positive, and without a zero first: what is recorded is what the
 * certificate shows (RFC 5280, 4.1.2.2). The rest is the caller's to set. */
void keyd_order_begin(struct keyd_order *o);
void keyd_order_done(struct keyd_order *o);
/* Whether it would be signed: the profile by which it would, "idevid@1", and its digest. */
int keyd_look(struct keyd_order *o, const struct iotime *it, char ret_profile[96],
	char ret_digest[SHA256_HEX], struct err *e);
/* The certificate, for the key and with the serial number that were asked for. The chain is owned by the
 * caller. */
int keyd_certify(struct keyd_order *o, const struct iotime *it, struct x509_cert *ret,
	char **ret_chain, struct err *e);

/* n bytes into ret, which the caller wipes. */
int keyd_derive(const char *socket, const char *master, const char *label, const char *context,
	const char *who, const struct iotime *it, uint8_t *ret, size_t n, struct err *e);

/* store: "" for memory. */
int keyd_make_key(const char *socket, const char *store, const char *alg, const char *label,
	const char *who, const struct iotime *it, char ret_name[KEYD_NAME_BYTES],
	struct x509_key *ret, bool *ret_before, struct err *e);
int keyd_request(const char *socket, const char *name, const char *subject, const char *who,
	const struct iotime *it, struct x509_csr *ret, struct err *e);
/* The private key, PKCS #8, which nobody gets again: the caller wipes and frees it. */
int keyd_take_key(const char *socket, const char *name, const char *who, const struct iotime *it,
	uint8_t **ret, size_t *ret_n, struct err *e);
