/* SPDX-License-Identifier: Apache-2.0
 *
 * Enrollment over Secure Transport (RFC 7030, as RFC 8951 made it clear): certificates for keys that
 * units made, from an authority of the plant.
 *
 *	GET  /.well-known/est[/LABEL]/cacerts		certificates of the authority (4.1)
 *	GET  /.well-known/est[/LABEL]/csrattrs		what it wants in a request (4.5)
 *	POST /.well-known/est[/LABEL]/simpleenroll	a request, PKCS #10 in base64 (4.2)
 *	POST /.well-known/est[/LABEL]/simplereenroll	the same, for a certificate that is renewed
 *
 * Answers are PKCS #7 "certs-only" in base64 (application/pkcs7-mime); a header that names another
 * encoding of the transfer means nothing (RFC 8951, 3). 202 with Retry-After means later: the same
 * request is sent again then, within the deadline (4.2.3). The service is verified by TLS, and says who
 * provd is by its certificate or by HTTP Basic. Any thread.
 */
#pragma once

#include "base/iotime.h"
#include "base/x509.h"
#include "transports/links/http.h"

struct est {
	const struct http_service *service;
	const char *label; /* NULL: none (RFC 7030, 3.2.2) */
};

struct est_answer {
	char *pem;    /* the certificate for the key of the request, owned */
	char *others; /* PEM of the rest, owned; "" for none */
	bool sent;    /* the authority may have issued, whatever came back */
};
void est_answer_done(struct est_answer *a);

/* PEM, owned by the caller. */
int est_cacerts(const struct est *s, const struct iotime *it, char **ret, struct err *e);
/* Asks first what the authority wants in a request, and whether this one has it: -ERR_CSR_ATTRIBUTES.
 * again: for a certificate that is renewed. -ERR_SERVICE_REFUSED with what the authority says; -ERR_SERVICE_ANSWER for what is no certificate for
 * that key; else as http_exchange(). */
int est_enroll(const struct est *s, const struct x509_csr *csr, bool again, const struct iotime *it,
	struct est_answer *ret, struct err *e);
