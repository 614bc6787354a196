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
#include "transports/links/http_text.h"

#define HTTP_ANSWER_MAX (1024u * 1024)
#define HTTP_HEAD_MAX	(64u * 1024)

struct http_answer {
	bool sent; /* a byte of the request left: the service may have acted, whatever came back */
	long status;
	uint64_t retry_after_us; /* Retry-After (RFC 9110, 10.2.3), a date as well; 0 none */
	char type[80];		 /* Content-Type, printable ASCII; "" none */
	struct strbuf body;	 /* at most HTTP_ANSWER_MAX; may hold a secret */
};

/* Wipes the body. */
void http_answer_done(struct http_answer *a);

/* For a protocol whose dialogue is bound to a connection. The caller ends it. One thread at a time. */
struct http_line *http_line_new(void);
struct http_line *http_line_free(struct http_line *l); /* takes NULL, returns NULL */

/* 0 with whatever status came; else the code of why there is no answer: -ERR_SERVICE_DOWN (also after
 * the service's timeout), -ERR_SERVICE_UNTRUSTED, -ERR_SERVICE_ANSWER (too large, no HTTP), the
 * cancel's reason. ret->sent is set in any case; end it with http_answer_done(). */
int http_exchange(const struct http_service *s, const struct http_request *q,
	const struct iotime *it, struct http_answer *ret, struct err *e);
