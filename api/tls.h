/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate and key that the API shows, and whose client certificates it takes. New files are
 * taken while connections are open: each handshake gets what is right then, and what was begun goes
 * on. Files that do not belong together leave the ones before in their place.
 *
 *   files change ─> seen by tls_look(), and the same a look later ─> read ─┬─> taken
 *                                                                         └─> refused: kept
 */
#pragma once

#include <gnutls/abstract.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/tls_client.h"
#include "base/err.h"

struct tls;

/* Paths of PEM files; client_ca and client_crl may be NULL. */
struct tls_files {
	const char *certificate, *key, *client_ca, *client_crl;
};

/* What a certificate that ends sooner is warned of. */
#define TLS_WARN_S (30ll * 24 * 3600)
/* The same of a list of revoked ones: a new one comes far more often. */
#define TLS_WARN_LISTS_S (2ll * 24 * 3600)

/* -ERR_INVALID, -ERR_IO with the file and what is wrong: also for a key that others than its owner and
 * group can read, or others than its owner write. */
int tls_new(const struct tls_files *f, struct tls **ret, struct err *e);
struct tls *tls_free(struct tls *t);

/* Main, every second: 1 where new files were taken, 0 where there is nothing new, or the error why new
 * ones are not, once. */
int tls_look(struct tls *t, struct err *e);
/* Main, of a reload: these files, at once. As tls_look(), but an error each time. */
int tls_reload(struct tls *t, const struct tls_files *f, struct err *e);

struct tls_state {
	int64_t starts_s, ends_s; /* notBefore and notAfter of what is shown, seconds since 1970 */
	char subject[TLS_SUBJECT_BYTES];
	int64_t lists_end_s;	      /* tls_trust_lists_end() */
	char problem[ERR_TEXT_BYTES]; /* why newer files are not taken; "" none */
};
/* Any thread. */
void tls_state(struct tls *t, struct tls_state *ret);

/* For a handshake: copies that GnuTLS frees (GNUTLS_CERT_RETR_DEINIT_ALL). 0 or -1. Any thread. */
int tls_give(
	struct tls *t, gnutls_pcert_st **ret_certs, unsigned *ret_n, gnutls_privkey_t *ret_key);
/* Whether clients are asked for a certificate. */
bool tls_asks(struct tls *t);
/* Rises with each change of what is trusted: what was verified before is verified again. */
unsigned tls_generation(struct tls *t);
/* As tls_trust_verify(). Any thread. */
void tls_verify(struct tls *t, const gnutls_datum_t *chain, unsigned n, struct tls_client *ret);
