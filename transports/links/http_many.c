/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/http_many.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "transports/links/http_impl.h"
#include "transports/links/http_text.h"

#define POLL_MAX_MS 60000ull
#define KEPT_S	    5l /* a connection that nobody used for so long is not used again */
#define KEPT_MAX    512l
#define SPARE_MAX   64 /* handles that wait for their next request */

struct flight {
	struct exchange x;
	struct http_service service;
	struct http_request request;
	struct http_answer answer;
	char host[HTTP_HOST_BYTES];
	const struct http_allow *allow, *clear;
	void *data;
	unsigned lists;
	struct flight *next;
};

struct http_many {
	CURLM *multi;
	struct flight *first;
	size_t count;
	struct flight *spare; /* the newest first */
	size_t spares;
	bool woken; /* atomic */
	bool began; /* there was a request, of `lists` */
	unsigned lists;
	uint64_t fresh_until_us; /* until then no connection is used again */
};

struct http_many *http_many_new(void)
{
	struct http_many *m = xcalloc(1, sizeof *m);

	exchange_init();
	m->multi = curl_multi_init();
	if (!m->multi)
		abort();
	curl_multi_setopt(m->multi, CURLMOPT_MAXCONNECTS, KEPT_MAX);
	return m;
}

/* --- where a connection goes --- */

static bool may_go(const struct flight *f, const struct sockaddr *to)
{
	if (!http_allow_address(f->allow, f->host, to))
		return false;
	return !http_url_clear(f->service.url) || http_is_loopback(to) ||
	       http_allow_address(f->clear, f->host, to);
}

static void note_refused(struct flight *f, const struct sockaddr *to)
{
	char *text = f->x.refused;
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;

	snprintf(text, sizeof f->x.refused, "no address of IP");
	if (to->sa_family == AF_INET) {
		memcpy(&v4, to, sizeof v4);
		inet_ntop(AF_INET, &v4.sin_addr, text, sizeof f->x.refused);
	} else if (to->sa_family == AF_INET6) {
		memcpy(&v6, to, sizeof v6);
		inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof f->x.refused);
	}
}

/* The connection goes to what is looked at here: nothing is resolved again in between. */
static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct flight *f = data;

	if (may_go(f, &a->addr))
		return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
	note_refused(f, &a->addr);
	return CURL_SOCKET_BAD;
}

/* --- one of them --- */

static void free_flight(struct flight *f)
{
	exchange_done(&f->x);
	http_answer_done(&f->answer);
	http_service_done(&f->service);
	free(f);
}

static struct flight *make_flight(const struct http_post *p)
{
	struct flight *f = xcalloc(1, sizeof *f);

	f->service = (struct http_service){.url = xstrdup(p->url),
		.ca = p->ca ? xstrdup(p->ca) : NULL,
		.timeout_us = p->timeout_us};
	f->x.s = &f->service;
	f->x.q = &f->request;
	f->x.answer = &f->answer;
	http_url_host(p->url, f->host);
	return f;
}

/* What a request sets on a handle stays there for the next one to the same receiver: to make a handle takes as long as all
 * else that is done for a request. */
static bool fits(const struct flight *f, const struct http_post *p)
{
	return !strcmp(f->service.url, p->url) && f->service.timeout_us == p->timeout_us &&
	       !f->service.ca == !p->ca && (!p->ca || !strcmp(f->service.ca, p->ca));
}

static struct flight *take_spare(struct http_many *m, const struct http_post *p)
{
	for (struct flight **at = &m->spare; *at; at = &(*at)->next) {
		struct flight *f = *at;

		if (!fits(f, p))
			continue;
		*at = f->next;
		m->spares--;
		return f;
	}
	return NULL;
}

static void drop_spares(struct http_many *m, size_t kept)
{
	struct flight **at = &m->spare;

	for (size_t i = 0; i < kept && *at; i++)
		at = &(*at)->next;
	while (*at) {
		struct flight *f = *at;

		*at = f->next;
		m->spares--;
		free_flight(f);
	}
}

/* Its answer has been taken. */
static void keep_spare(struct http_many *m, struct flight *f)
{
	exchange_rest(&f->x);
	f->next = m->spare;
	m->spare = f;
	m->spares++;
	if (m->spares > SPARE_MAX)
		drop_spares(m, SPARE_MAX / 2);
}

/* What began by other lists may leave a connection for a few seconds after its end. */
static void rest_reuse(struct http_many *m)
{
	m->fresh_until_us = now_us() + (KEPT_S + 1) * US_PER_S;
}

static bool has_older(const struct http_many *m)
{
	for (const struct flight *f = m->first; f; f = f->next)
		if (f->lists != m->lists)
			return true;
	return false;
}

/* A connection was looked at as it was made, by the lists of then. */
static void set_reuse(struct http_many *m, CURL *c, unsigned lists)
{
	bool fresh;

	if (m->began && lists != m->lists)
		rest_reuse(m);
	m->began = true;
	m->lists = lists;
	fresh = now_us() < m->fresh_until_us || has_older(m);
	curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, (long)fresh);
	curl_easy_setopt(c, CURLOPT_FORBID_REUSE, (long)fresh);
	curl_easy_setopt(c, CURLOPT_MAXAGE_CONN, KEPT_S);
}

static void set_handle(struct flight *f)
{
	CURL *c = f->x.curl;

	curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, f);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(f->service.timeout_us / US_PER_MS));
	curl_easy_setopt(c, CURLOPT_PRIVATE, f);
}

static struct flight *begin(struct http_many *m, const struct http_post *p)
{
	struct flight *f = take_spare(m, p);
	const bool spare = f;

	if (!spare)
		f = make_flight(p);
	f->allow = p->allow;
	f->clear = p->clear;
	f->lists = p->lists;
	f->request = (struct http_request){
		.method = "POST", .headers = p->headers, .body = p->body, .accept = "*/*"};
	f->x.start_of_body = p->answer_bytes;
	/* Without auth nothing of it can be refused. */
	if (spare ? exchange_again(&f->x, NULL) < 0
		  : exchange_begin(&f->x, f->service.url, NULL) < 0)
		abort();
	if (!spare)
		set_handle(f);
	/* They are in the handle, and the caller's are gone. */
	f->request.headers = NULL;
	return f;
}

void http_many_add(struct http_many *m, const struct http_post *p, void *data)
{
	struct flight *f = begin(m, p);

	f->data = data;
	set_reuse(m, f->x.curl, p->lists);
	curl_multi_add_handle(m->multi, f->x.curl);
	f->next = m->first;
	m->first = f;
	m->count++;
}

static void take_out(struct http_many *m, struct flight *f)
{
	struct flight **p = &m->first;

	while (*p != f)
		p = &(*p)->next;
	*p = f->next;
	m->count--;
	if (f->lists != m->lists)
		rest_reuse(m);
	curl_multi_remove_handle(m->multi, f->x.curl);
}

struct http_many *http_many_free(struct http_many *m)
{
	if (!m)
		return NULL;
	while (m->first) {
		struct flight *f = m->first;

		take_out(m, f);
		free_flight(f);
	}
	drop_spares(m, 0);
	curl_multi_cleanup(m->multi);
	free(m);
	return NULL;
}

size_t http_many_count(const struct http_many *m)
{
	return m->count;
}

void http_many_wait(struct http_many *m, uint64_t us)
{
	const uint64_t until_us = now_us() + us;
	int running = 0;

	for (;;) {
		uint64_t now;

		curl_multi_perform(m->multi, &running);
		now = now_us();
		if ((size_t)running < m->count || now >= until_us ||
			__atomic_exchange_n(&m->woken, false, __ATOMIC_ACQ_REL))
			return;
		curl_multi_poll(m->multi, NULL, 0,
			(int)MIN((until_us - now) / US_PER_MS + 1, POLL_MAX_MS), NULL);
	}
}

void http_many_wake(struct http_many *m)
{
	__atomic_store_n(&m->woken, true, __ATOMIC_RELEASE);
	curl_multi_wakeup(m->multi);
}

static int end_of(struct flight *f, CURLcode rc, struct err *e)
{
	if (rc == CURLE_OPERATION_TIMEDOUT)
		return err_set(e, ERR_SERVICE_DOWN,
			"%s did not answer in %llu ms ('timeout' of 'webhooks')", f->service.url,
			(unsigned long long)(f->service.timeout_us / US_PER_MS));
	return exchange_end(&f->x, rc, e);
}

bool http_many_next(struct http_many *m, struct http_end *ret)
{
	const CURLMsg *msg;
	struct flight *f;
	CURLcode rc;
	int left;

	do
		msg = curl_multi_info_read(m->multi, &left);
	while (msg && msg->msg != CURLMSG_DONE);
	if (!msg)
		return false;
	/* What it says goes with the handle. */
	rc = msg->data.result;
	curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &f);
	*ret = (struct http_end){.data = f->data};
	ret->result = end_of(f, rc, &ret->err);
	ret->answer = f->answer;
	f->answer = (struct http_answer){0};
	take_out(m, f);
	keep_spare(m, f);
	return true;
}
