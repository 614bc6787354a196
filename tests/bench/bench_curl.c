/* SPDX-License-Identifier: Apache-2.0
 *
 * What libcurl alone does: bench_curl URL BYTES COUNT CONNECTIONS posts COUNT bodies of BYTES bytes, so many at a time, with the
 * headers that a webhook has; prints posts per second.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/iotime.h"
#include "base/util.h"

#define MAX_CONNECTIONS 64

static size_t drop(char *p, size_t size, size_t n, void *data)
{
	return size * n;
}

static struct curl_slist *headers_new(void)
{
	struct curl_slist *l = curl_slist_append(NULL, "Content-Type: application/json");

	l = curl_slist_append(l, "webhook-id: msg_01900000-0000-7000-8000-000000000000");
	l = curl_slist_append(l, "webhook-timestamp: 1700000000");
	return curl_slist_append(
		l, "webhook-signature: v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
}

static CURL *post_new(const char *url, const char *body, struct curl_slist *headers)
{
	CURL *c = curl_easy_init();

	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, drop);
	return c;
}

/* The handles that have ended begin again until enough were posted. 0: all were taken. */
static int again(CURLM *m, long *to_begin, long *to_end)
{
	const CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(m, &left))) {
		CURL *c = msg->easy_handle;
		long status = 0;

		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
		if (msg->data.result != CURLE_OK || status / 100 != 2)
			return -1;
		--*to_end;
		curl_multi_remove_handle(m, c);
		if (*to_begin > 0) {
			--*to_begin;
			curl_multi_add_handle(m, c);
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	CURL *post[MAX_CONNECTIONS];
	struct curl_slist *headers;
	CURLM *m;
	long to_begin, to_end;
	int n, running, r = 0;
	char *body;
	uint64_t begun;

	if (argc != 5) {
		fputs("usage: bench_curl URL BYTES COUNT CONNECTIONS\n", stderr);
		return 2;
	}
	curl_global_init(CURL_GLOBAL_DEFAULT);
	body = xcalloc(1, (size_t)atol(argv[2]) + 1);
	memset(body, 'x', (size_t)atol(argv[2]));
	to_begin = to_end = atol(argv[3]);
	n = MIN(atoi(argv[4]), MAX_CONNECTIONS);
	headers = headers_new();
	m = curl_multi_init();
	begun = now_us();
	for (int i = 0; i < n; i++, to_begin--)
		curl_multi_add_handle(m, post[i] = post_new(argv[1], body, headers));
	while (r == 0 && to_end > 0) {
		curl_multi_perform(m, &running);
		r = again(m, &to_begin, &to_end);
		if (r == 0 && to_end > 0)
			curl_multi_poll(m, NULL, 0, 1000, NULL);
	}
	if (r == 0)
		printf("%.0f\n", atof(argv[3]) * 1e6 / (double)(now_us() - begun));
	for (int i = 0; i < n; i++) {
		curl_multi_remove_handle(m, post[i]);
		curl_easy_cleanup(post[i]);
	}
	curl_multi_cleanup(m);
	curl_slist_free_all(headers);
	free(body);
	return r == 0 ? 0 : 1;
}
