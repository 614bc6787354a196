/* SPDX-License-Identifier: Apache-2.0
 *
 * A service that the installation names: where it is, whom it trusts, and how provd says who it is. A
 * value: any thread.
 */
#pragma once

#include <stdint.h>

/* How provd says who it is: http_auth.h. */
enum http_auth { HTTP_AUTH_BEARER, HTTP_AUTH_BASIC, HTTP_AUTH_SIGV4, HTTP_AUTH_AZURE_DPS };
extern const char *const http_auth_names[]; /* NULL-terminated */

struct http_service {
	char *url;  /* http:// or https://, host, perhaps a path; no '/' at its end */
	char *ca;   /* file of certificates, PEM; NULL: those of the system */
	char *cert; /* what provd shows of itself, PEM; NULL: nothing */
	char *key;  /* of cert, PEM */
	enum http_auth auth;
	char *token;	     /* by which provd says who it is; NULL: it does not */
	char *user;	     /* of basic and sigv4; NULL */
	char *scope;	     /* of sigv4: REGION/SERVICE; NULL */
	uint64_t timeout_us; /* of one exchange, name look-up and handshake included */
};

/* Wipes the token. */
void http_service_done(struct http_service *s);

/* A value as one segment of a path or one value of a query; owned by the caller. */
char *http_escape(const char *text);
