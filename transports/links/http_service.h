/* SPDX-License-Identifier: Apache-2.0
 *
 * A service that the installation names, and what is asked of it (http.h does).
 */
#pragma once

#include <stddef.h>
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
	char *token; /* by which provd says who it is; NULL: it does not */
	char *user;  /* of basic and sigv4; NULL */
	char *scope; /* of sigv4: REGION/SERVICE; NULL */
	/* The trace that is told on in each request (base/trace_context.h); NULL: none. */
	char *traceparent, *tracestate;
	uint64_t timeout_us; /* of one exchange, name look-up and handshake included */
};

struct trace_context;
/* Requests to it belong to the trace of that run; t NULL: to none. */
void http_service_trace(struct http_service *s, const struct trace_context *t, const char *run_id);
/* Wipes the token. */
void http_service_done(struct http_service *s);

/* A connection that is kept between exchanges with one service (http.h). */
struct http_line;

struct http_request {
	const char *method; /* GET, POST, PUT, PATCH, DELETE */
	const char *path; /* below the service's url, see http_path_check(); NULL: the url itself */
	const char *query;	    /* escaped, without '?'; NULL: none */
	const char *const *headers; /* "Name: value", NULL-terminated; NULL: none */
	const char *body;	    /* NULL: none */
	size_t body_bytes;	    /* of one that is no text; 0: it ends with its NUL */
	struct http_line *line;	    /* over its connection; NULL: over one of its own */
	const char *type, *accept;  /* of the body, and of the answer; NULL: application/json */
};
