/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificate Management Protocol (RFC 4210, 9480), by OpenSSL's client: a request that a unit signed
 * (PKCS #10, "p10cr") is put to an authority, whose certificate is confirmed. Messages are protected by
 * a secret that both know (password-based MAC), or signed by a key of this host; over HTTP (RFC 6712), which transports/links/http.h
 * does. An authority that wants time is polled (RFC 4210, 5.3.22), within the
 * deadline and the cancel. Any thread.
 */
#pragma once

#include "base/iotime.h"
#include "base/x509.h"
#include "transports/links/http.h"

struct cmp {
	const struct http_service *service;
	const char *
		path; /* below the service's url, NULL for the url itself; "/.well-known/cmp" (RFC 9480, 3.3) is usual */
	const char *reference; /* which secret it is, for the authority; */
	const char *secret;
	/* or files of PEM (secret is NULL): the host's certificate and those above it, and its key, which its
	 * owner alone may read. What the authority signs leads to `trusted` (PEM). */
	const char *certificate_file, *key_file, *trusted;
};

struct cmp_answer {
	char *pem;    /* owned */
	char *others; /* PEM of the chain that came with it, owned; "" for none */
	bool sent;    /* the authority may have issued, whatever came back */
};
void cmp_answer_done(struct cmp_answer *a);

/* -ERR_SERVICE_REFUSED with what the authority says, -ERR_SERVICE_ANSWER for what is no certificate for
 * that key or has a wrong protection; else as http_exchange(). */
int cmp_enroll(const struct cmp *s, const struct x509_csr *csr, const struct iotime *it,
	struct cmp_answer *ret, struct err *e);
