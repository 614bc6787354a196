/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of an exchange, shared by http.c (one at a time, which waits) and http_many.c.
 */
#pragma once

#include <arpa/inet.h>
#include <curl/curl.h>

#include "transports/links/http.h"

struct exchange {
	const struct http_service *s;
	const struct http_request *q;
	struct http_answer *answer;
	size_t start_of_body; /* so much of the answer's is enough; 0: all of it, at most HTTP_ANSWER_MAX */
	CURL *curl;
	struct curl_slist *headers;
	size_t head_bytes;
	bool head_ended; /* its empty line came */
	bool too_large;
	bool cut;			/* there was more than the start */
	char refused[INET6_ADDRSTRLEN]; /* an address that the connection may not go to; "" none */
	char why[CURL_ERROR_SIZE];
};

/* Before the first use of libcurl. */
void exchange_init(void);
/* Makes the handle. exchange_done() in any case. */
int exchange_begin(struct exchange *x, const char *url, struct err *e);
/* Between two requests over one handle: what was of the one goes, its secrets wiped; the next one has the same service, another
 * body and other headers. */
void exchange_rest(struct exchange *x);
int exchange_again(struct exchange *x, struct err *e);
/* What came of it: as http_exchange(). */
int exchange_end(struct exchange *x, CURLcode rc, struct err *e);
void exchange_done(struct exchange *x);
