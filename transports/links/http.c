/* SPDX-License-Identifier: Apache-2.0
 *
 * The door to libcurl of workers and, with http_many.c, of webhooks; that of provctl is cli/http.c.
 */
#include "transports/links/http_impl.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "base/secret.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "transports/links/http_auth.h"

#define POLL_MS		1000
#define HTTP_WAIT_MAX_S 86400

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_once(void)
{
	/* Its buffers have tokens and what services answer. */
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, secret_alloc, secret_free, secret_realloc,
		    secret_strdup, secret_calloc) != CURLE_OK)
		abort();
}

void exchange_init(void)
{
	pthread_once(&once, init_once);
}

void http_answer_done(struct http_answer *a)
{
	if (a->body.s)
		secret_wipe(a->body.s, a->body.len);
	sb_done(&a->body);
}

/* --- the exchange --- */

static size_t take_body(char *p, size_t size, size_t n, void *data)
{
	struct exchange *x = data;
	const size_t max = x->start_of_body ? x->start_of_body : HTTP_ANSWER_MAX;

	if (x->answer->body.len + size * n <= max) {
		sb_add_n(&x->answer->body, p, size * n);
		return size * n;
	}
	if (x->start_of_body)
		sb_add_n(&x->answer->body, p, max - x->answer->body.len);
	x->cut = x->start_of_body > 0;
	x->too_large = !x->cut;
	return 0;
}

static size_t take_head(char *p, size_t size, size_t n, void *data)
{
	struct exchange *x = data;

	x->head_bytes += size * n;
	x->head_ended = n > 0 && (*p == '\r' || *p == '\n');
	x->too_large |= x->head_bytes > HTTP_HEAD_MAX;
	return x->too_large ? 0 : size * n;
}

static void add_header(struct exchange *x, const char *line)
{
	struct curl_slist *grown = curl_slist_append(x->headers, line);

	if (!grown)
		abort();
	x->headers = grown;
}

/* type NULL: JSON. */
static void add_named(struct exchange *x, const char *name, const char *type)
{
	_cleanup_(freep) char *text = xasprintf("%s: %s", name, type ? type : "application/json");

	add_header(x, text);
}

static int add_headers(struct exchange *x, struct err *e)
{
	const struct http_service *s = x->s;
	char *value;
	int r;

	add_named(x, "Accept", x->q->accept);
	if (x->q->body)
		add_named(x, "Content-Type", x->q->type);
	/* libcurl 7.88 signs a header that it was asked to leave out, and does not send it. */
	if (s->auth != HTTP_AUTH_SIGV4) {
		add_header(x, "Expect:");
		if (!x->q->body)
			add_header(x, "Content-Type:");
	}
	for (const char *const *h = x->q->headers; h && *h; h++)
		add_header(x, *h);
	if (s->traceparent)
		add_named(x, "traceparent", s->traceparent);
	if (s->tracestate)
		add_named(x, "tracestate", s->tracestate);
	r = http_auth_value(s, x->q->path, wall_ms() / 1000, &value, e);
	if (r == 0 && value) {
		char *auth = xasprintf("Authorization: %s", value);

		add_header(x, auth);
		secret_wipe(auth, strlen(auth));
		secret_wipe(value, strlen(value));
		free(auth);
		free(value);
	}
	return r;
}

/* libcurl signs what it sends. */
static void set_signature(const struct exchange *x)
{
	const char *scope = x->s->scope;
	size_t region = scope ? strcspn(scope, "/") : 0;
	_cleanup_(freep) char *how = NULL;

	if (x->s->auth != HTTP_AUTH_SIGV4 || !x->s->token || !scope)
		return;
	how = xasprintf("aws:amz:%.*s:%s", (int)region, scope, scope + region + 1);
	curl_easy_setopt(x->curl, CURLOPT_AWS_SIGV4, how);
	curl_easy_setopt(x->curl, CURLOPT_USERNAME, x->s->user);
	curl_easy_setopt(x->curl, CURLOPT_PASSWORD, x->s->token);
}

static void set_rules(struct exchange *x)
{
	CURL *c = x->curl;

	/* libcurl raises no signal and joins no thread of a name look-up that hangs. */
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	/* A connection that was used before may die under a request, which libcurl then repeats. */
	curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, x->q->line ? 0L : 1L);
	curl_easy_setopt(c, CURLOPT_FORBID_REUSE, x->q->line ? 0L : 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (x->s->ca) {
		curl_easy_setopt(c, CURLOPT_CAINFO, x->s->ca);
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	}
	if (x->s->cert) {
		curl_easy_setopt(c, CURLOPT_SSLCERT, x->s->cert);
		curl_easy_setopt(c, CURLOPT_SSLKEY, x->s->key);
	}
}

/* What each request over a handle has of its own. */
static void set_content(struct exchange *x)
{
	CURL *c = x->curl;

	curl_easy_setopt(c, CURLOPT_HTTPHEADER, x->headers);
	if (x->q->body || strcmp(x->q->method, "GET") != 0) {
		const char *body = x->q->body ? x->q->body : "";

		curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE,
			(curl_off_t)(x->q->body_bytes ? x->q->body_bytes : strlen(body)));
	}
}

static void set_request(struct exchange *x, const char *url)
{
	CURL *c = x->curl;

	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, x->q->method);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->why);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_head);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
	set_content(x);
}

/* What libcurl found, as what is to be done about it. */
static const struct {
	CURLcode rc;
	enum err_code code;
	const char *text; /* %s: the address */
} troubles[] = {
	{CURLE_COULDNT_RESOLVE_HOST, ERR_SERVICE_DOWN,
		"the host name in %s is unknown: check 'url' of the service and the name server"},
	{CURLE_COULDNT_CONNECT, ERR_SERVICE_DOWN,
		"%s accepts no connection: check the network and whether the service works"},
	{CURLE_GOT_NOTHING, ERR_SERVICE_DOWN, "%s closed the connection without an answer"},
	{CURLE_RECV_ERROR, ERR_SERVICE_DOWN, "%s broke the connection off before its answer ended"},
	{CURLE_SEND_ERROR, ERR_SERVICE_DOWN, "%s broke the connection off during the request"},
	{CURLE_PARTIAL_FILE, ERR_SERVICE_DOWN,
		"%s broke the connection off before its answer ended"},
	{CURLE_SSL_CONNECT_ERROR, ERR_SERVICE_UNTRUSTED,
		"%s does not agree on TLS with provd: check 'url', and 'cert' where the service asks for one"},
	{CURLE_PEER_FAILED_VERIFICATION, ERR_SERVICE_UNTRUSTED,
		"the certificate of %s is not trusted, or is another host's: check 'url' and 'ca' of the service"},
	{CURLE_SSL_CACERT_BADFILE, ERR_SERVICE_UNTRUSTED,
		"the file 'ca' of the service at %s cannot be read"},
	{CURLE_SSL_CERTPROBLEM, ERR_SERVICE_UNTRUSTED,
		"the files 'cert' and 'key' of the service at %s cannot be used"},
	{CURLE_WEIRD_SERVER_REPLY, ERR_SERVICE_ANSWER,
		"%s does not speak HTTP: check 'url' of the service"},
	{CURLE_UNSUPPORTED_PROTOCOL, ERR_SERVICE_ANSWER,
		"%s does not speak HTTP: check 'url' of the service"},
};

/* A balancer with nobody behind it. Who disagrees on TLS says so. */
static bool left_handshake(const struct exchange *x, CURLcode rc)
{
	long os = 0;

	curl_easy_getinfo(x->curl, CURLINFO_OS_ERRNO, &os);
	return rc == CURLE_SSL_CONNECT_ERROR && (os || strstr(x->why, "SSL_ERROR_SYSCALL"));
}

static int trouble(const struct exchange *x, CURLcode rc, struct err *e)
{
	const char *url = x->s->url;

	if (x->refused[0])
		return err_set(e, ERR_SERVICE_UNTRUSTED,
			"%s is %s, which 'webhooks' of provd.yaml does not allow", url, x->refused);
	if (x->too_large)
		return err_set(e, ERR_SERVICE_ANSWER,
			"%s answers with more than %u bytes: is that the service?", url,
			HTTP_ANSWER_MAX);
	if (left_handshake(x, rc))
		return err_set(e, ERR_SERVICE_DOWN,
			"%s closed the connection in the TLS handshake: check whether the service works",
			url);
	for (size_t i = 0; i < ARRAY_LEN(troubles); i++)
		if (troubles[i].rc == rc)
			return err_set(e, troubles[i].code, troubles[i].text, url);
	return err_set(
		e, ERR_SERVICE_DOWN, "%s: %s", url, *x->why ? x->why : curl_easy_strerror(rc));
}

/* libcurl takes a head that breaks off for one that has ended: what is in it means nothing (RFC 9112, 8). */
static int result_of(const struct exchange *x, CURLcode rc, struct err *e)
{
	if (rc == CURLE_OK && !x->head_ended)
		rc = CURLE_PARTIAL_FILE;
	return rc == CURLE_OK ? 0 : trouble(x, rc, e);
}

/* The result of the transfer, once it is there. */
static bool is_over(CURLM *multi, CURLcode *ret)
{
	int left;
	const CURLMsg *m;

	while ((m = curl_multi_info_read(multi, &left)))
		if (m->msg == CURLMSG_DONE) {
			*ret = m->data.result;
			return true;
		}
	return false;
}

static int out_of_time(
	const struct exchange *x, const struct iotime *it, const struct iotime *all, struct err *e)
{
	int r = iotime_check(it, e);

	if (r != -ERR_TIMEOUT)
		return r;
	return err_set(e, ERR_SERVICE_DOWN, "%s did not answer in time (%s)", x->s->url,
		iotime_left_us(all) ? "'timeout' of the service" : "the time of the step is over");
}

static int transfer(struct exchange *x, CURLM *multi, const struct iotime *all, struct err *e)
{
	const struct iotime it = iotime_within(all, x->s->timeout_us);
	CURLcode rc = CURLE_OK;

	for (;;) {
		int running = 0;
		struct curl_waitfd wake = {
			.fd = it.cancel ? it.cancel->fd : -1, .events = CURL_WAIT_POLLIN};
		uint64_t left_ms;
		int r;

		if (curl_multi_perform(multi, &running) != CURLM_OK)
			return err_set(e, ERR_INTERNAL, "libcurl failed at %s", x->s->url);
		if (is_over(multi, &rc))
			return result_of(x, rc, e);
		r = out_of_time(x, &it, all, e);
		if (r < 0)
			return r;
		left_ms = iotime_left_us(&it) / US_PER_MS + 1;
		curl_multi_poll(multi, &wake, it.cancel ? 1 : 0,
			left_ms < POLL_MS ? (int)left_ms : POLL_MS, NULL);
	}
}

static void read_head(struct exchange *x)
{
	const char *type = NULL;
	curl_off_t wait_s = 0;
	long sent = 0;

	curl_easy_getinfo(x->curl, CURLINFO_REQUEST_SIZE, &sent);
	curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &x->answer->status);
	curl_easy_getinfo(x->curl, CURLINFO_CONTENT_TYPE, &type);
	curl_easy_getinfo(x->curl, CURLINFO_RETRY_AFTER, &wait_s);
	x->answer->sent = sent > 0;
	x->answer->retry_after_us = (uint64_t)MIN(MAX(wait_s, 0), HTTP_WAIT_MAX_S) * US_PER_S;
	/* A name in ASCII (RFC 9110, 8.3.1), or it is none. */
	for (const char *p = type; type && *p; p++)
		if (*p < ' ' || *p > '~')
			type = NULL;
	snprintf(x->answer->type, sizeof x->answer->type, "%s", type ? type : "");
}

static void wipe_headers(struct exchange *x)
{
	for (struct curl_slist *h = x->headers; h; h = h->next)
		secret_wipe(h->data, strlen(h->data));
	curl_slist_free_all(x->headers);
	x->headers = NULL;
}

struct http_line {
	CURLM *multi; /* has the connection */
};

struct http_line *http_line_new(void)
{
	struct http_line *l = xcalloc(1, sizeof *l);

	exchange_init();
	l->multi = curl_multi_init();
	if (!l->multi)
		abort();
	return l;
}

struct http_line *http_line_free(struct http_line *l)
{
	if (l)
		curl_multi_cleanup(l->multi);
	free(l);
	return NULL;
}

int exchange_begin(struct exchange *x, const char *url, struct err *e)
{
	int r;

	x->curl = curl_easy_init();
	if (!x->curl)
		abort();
	r = add_headers(x, e);
	if (r < 0)
		return r;
	set_rules(x);
	set_signature(x);
	set_request(x, url);
	return 0;
}

void exchange_rest(struct exchange *x)
{
	curl_easy_setopt(x->curl, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(x->curl, CURLOPT_POSTFIELDS, NULL);
	wipe_headers(x);
	x->head_bytes = 0;
	x->head_ended = x->too_large = x->cut = false;
	*x->refused = *x->why = 0;
}

int exchange_again(struct exchange *x, struct err *e)
{
	int r = add_headers(x, e);

	if (r == 0)
		set_content(x);
	return r;
}

int exchange_end(struct exchange *x, CURLcode rc, struct err *e)
{
	read_head(x);
	return x->cut ? 0 : result_of(x, rc, e);
}

void exchange_done(struct exchange *x)
{
	curl_easy_cleanup(x->curl);
	wipe_headers(x);
}

int http_exchange(const struct http_service *s, const struct http_request *q,
	const struct iotime *it, struct http_answer *ret, struct err *e)
{
	struct exchange x = {.s = s, .q = q, .answer = ret};
	_cleanup_(freep) char *url = xasprintf("%s%s%s%s", s->url, q->path ? q->path : "",
		q->query ? "?" : "", q->query ? q->query : "");
	struct http_line *own = q->line ? NULL : http_line_new();
	CURLM *multi = q->line ? q->line->multi : own->multi;
	int r = q->path ? http_path_check(q->path, e) : 0;

	*ret = (struct http_answer){0};
	if (r == 0)
		r = iotime_check(it, e);
	if (r == 0)
		r = exchange_begin(&x, url, e);
	if (r == 0) {
		curl_multi_add_handle(multi, x.curl);
		r = transfer(&x, multi, it, e);
		read_head(&x);
		curl_multi_remove_handle(multi, x.curl);
	}
	exchange_done(&x);
	http_line_free(own);
	return r;
}
