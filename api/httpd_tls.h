/* SPDX-License-Identifier: Apache-2.0
 *
 * Between libmicrohttpd and api/tls.h: which certificate a handshake gets, and what the client of a
 * connection showed. Observed of libmicrohttpd 0.9.75 with GnuTLS 3.7.9: the session's pointer is the
 * connection, which has its socket context before the handshake begins; no session is resumed; a
 * client that renegotiates loses its connection; the loop with epoll of libmicrohttpd 0.9.75
 * spins while a handshake waits, the one with poll does not.
 */
#pragma once

#include <gnutls/abstract.h>
#include <microhttpd.h>

#include "api/tls.h"

/* TLS 1.2 and 1.3, ciphers of 128 bits at least that authenticate what they encrypt, all with forward
 * secrecy, in three groups that are fast: whoever connects chooses what is computed. Without
 * %SERVER_PRECEDENCE, which costs a client that begins with another group one more round. */
#define HTTPD_TLS_PRIORITIES                                                                    \
	"SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:-AES-256-CBC:-AES-128-CBC" \
	":-SHA1:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1"

struct httpd_tls_door;

/* Of one connection, from its beginning on; NULL for one without TLS. */
struct httpd_tls_door *httpd_tls_open(struct tls *t, struct MHD_Connection *c);
struct httpd_tls_door *httpd_tls_close(struct httpd_tls_door *d);
/* What its client showed and whether that is good now; NULL: it showed nothing. Its own thread. */
const struct tls_client *httpd_tls_client(struct httpd_tls_door *d, struct MHD_Connection *c);

/* For MHD_OPTION_HTTPS_CERT_CALLBACK2 (gnutls_certificate_retrieve_function3). */
int httpd_tls_give(struct httpd_tls_door *d, gnutls_pcert_st **ret_certs, unsigned *ret_n,
	gnutls_ocsp_data_st **ret_ocsp, unsigned *ret_ocsp_n, gnutls_privkey_t *ret_key,
	unsigned *ret_flags);
