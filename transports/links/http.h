/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP exchange with a service that the installation names, for a worker: HTTP/1.1 (RFC 9112) over
 * a connection of its own, TLS verified, within a deadline and a cancel.
 *
 * What is not done: redirects, proxies of the environment, .netrc, cookies, other schemes, a second
 * try. A request that was sent is never sent again by itself: whoever asked decides.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"
#include "base/strbuf.h"
#include "transports/links/http_service.h"

#define HTTP_ANSWER_MAX (1024u * 1024)
#define HTTP_HEAD_MAX	(64u * 1024)
#define HTTP_PATH_MAX	1024

struct http_request {
	const char *method;	    /* GET, POST, PUT, PATCH, DELETE */
	const char *path;	    /* below the service's url; see http_path_check() */
	const char *query;	    /* escaped, without '?'; NULL: none */
	const char *const *headers; /* "Name: value", NULL-terminated; NULL: none */
	const char *body;	    /* JSON; NULL: none */
};

struct http_answer {
	bool sent; /* a byte of the request left: the service may have acted, whatever came back */
	long status;
	uint64_t retry_after_us; /* Retry-After (RFC 9110, 10.2.3), a date as well; 0 none */
	char type[80];		 /* Content-Type, printable ASCII; "" none */
	struct strbuf body;	 /* at most HTTP_ANSWER_MAX; may hold a secret */
};

/* Wipes the body. */
void http_answer_done(struct http_answer *a);

/* 0 with whatever status came; else the code of why there is no answer: -ERR_SERVICE_DOWN (also after
 * the service's timeout), -ERR_SERVICE_UNTRUSTED, -ERR_SERVICE_ANSWER (too large, no HTTP), the
 * cancel's reason. ret->sent is set in any case; end it with http_answer_done(). */
int http_exchange(const struct http_service *s, const struct http_request *q,
	const struct iotime *it, struct http_answer *ret, struct err *e);

/* Whether a path stays below the service's: it begins with '/', has no empty, '.' or '..' segment and
 * only characters that RFC 3986 allows there by themselves, so that none is a '%', '?', '#' or '\'.
 * -ERR_INVALID. */
int http_path_check(const char *path, struct err *e);
/* Whether a recipe may send that header: a token and a text (RFC 9110, 5.1, 5.5), and none of those
 * that the exchange makes itself. -ERR_INVALID. */
int http_header_check(const char *name, const char *value, struct err *e);
/* Whether a url may be a service's: see struct http_service. -ERR_INVALID. */
int http_url_check(const char *url, struct err *e);
/* Whether it is http://, and what is sent can be read on the way. */
bool http_url_clear(const char *url);
