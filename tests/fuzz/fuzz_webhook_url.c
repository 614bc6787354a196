/* SPDX-License-Identifier: Apache-2.0
 *
 * The address of a receiver: what is taken for its host when a list is looked at is what libcurl connects to, or
 * nothing is allowed. A line of entries of a list, then one with the address.
 */
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"
#include "transports/links/http_allow.h"
#include "transports/links/http_text.h"

/* The host that libcurl connects to, without brackets; NULL where it takes no such address. */
static char *host_of(const char *url)
{
	CURLU *u = curl_url();
	char *host = NULL, *copy = NULL;

	if (!u)
		abort();
	if (curl_url_set(u, CURLUPART_URL, url, CURLU_PATH_AS_IS) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
		size_t n = strlen(host);

		copy = *host == '[' && n > 2 ? strndup(host + 1, n - 2) : strdup(host);
	}
	curl_free(host);
	curl_url_cleanup(u);
	return copy;
}

/* An address of IPv6 is written in several ways. */
static bool same(const char *a, const char *b)
{
	uint8_t one[16], other[16];

	if (inet_pton(AF_INET6, a, one) == 1 && inet_pton(AF_INET6, b, other) == 1)
		return !memcmp(one, other, sizeof one);
	return !strcasecmp(a, b);
}

static void look(const struct http_allow *list, const char *url)
{
	char ours[HTTP_HOST_BYTES];
	_cleanup_(freep) char *theirs = NULL;

	http_url_host(url, ours);
	if (http_url_check(url, NULL) < 0 || !http_allow_host(list, ours))
		return;
	theirs = host_of(url);
	if (theirs && !same(theirs, ours))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	_cleanup_(freep) char *text = strndup((const char *)bytes, n);
	struct http_allow list = {0};
	char *save = NULL;
	char *url = strchr(text, '\n');

	if (url)
		*url++ = 0;
	for (char *t = strtok_r(text, " ", &save); t; t = strtok_r(NULL, " ", &save))
		http_allow_add(&list, t, NULL);
	if (url) {
		url[strcspn(url, "\n")] = 0;
		look(&list, url);
	}
	http_allow_done(&list);
	return 0;
}
