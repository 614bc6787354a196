/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/est/est.h"

#include <ctype.h>

#include "base/strbuf.h"

#define LATER_US     (5 * US_PER_S) /* where the authority does not say when */
#define LATER_MAX_US (60 * US_PER_S)
#define SAID_BYTES   120

void est_answer_done(struct est_answer *a)
{
	free(a->pem);
	free(a->others);
	*a = (struct est_answer){0};
}

static char *path_of(const struct est *s, const char *what)
{
	return s->label ? xasprintf("/.well-known/est/%s/%s", s->label, what)
			: xasprintf("/.well-known/est/%s", what);
}

/* One exchange; the answer's bytes out of base64, with line ends in it as they come, into *ret. */
static int decode(const struct http_answer *a, uint8_t **ret, size_t *ret_n, struct err *e)
{
	struct strbuf plain = {0};

	for (size_t i = 0; i < a->body.len; i++)
		if (!isspace((unsigned char)a->body.s[i]))
			sb_add_n(&plain, a->body.s + i, 1);
	*ret = plain.len ? base64_parse(plain.s, ret_n) : NULL;
	sb_done(&plain);
	return *ret ? 0
		    : err_set(e, ERR_SERVICE_ANSWER,
			      "the answer of %zu bytes (%s) is not base64: is that an EST service?",
			      a->body.len, a->type[0] ? a->type : "no type");
}

static bool is_bundle(const struct http_answer *a)
{
	return !strncasecmp(a->type, "application/pkcs7-mime", 22);
}

static int refused(const char *path, const struct http_answer *a, struct err *e)
{
	struct strbuf said = {0};

	/* A text is the authority's reason (RFC 7030, 4.2.3); a page of HTML is nobody's. */
	if (!strncasecmp(a->type, "text/plain", 10))
		sb_add_escaped(
			&said, a->body.s ? a->body.s : "", MIN(a->body.len, (size_t)SAID_BYTES));
	err_set(e, ERR_SERVICE_REFUSED, "%s was answered with status %ld%s%s", path, a->status,
		said.len ? ": " : "", said.len ? said.s : "");
	sb_done(&said);
	return -ERR_SERVICE_REFUSED;
}

static int take_bundle(const char *path, const struct http_answer *a, const struct x509_key *key,
	char **ret, char **ret_others, struct err *e)
{
	_cleanup_(freep) uint8_t *der = NULL;
	size_t n;
	int r;

	if (a->status != 200)
		return refused(path, a, e);
	if (!is_bundle(a))
		return err_set(e, ERR_SERVICE_ANSWER,
			"%s was answered with %s, application/pkcs7-mime expected: is that an EST service?",
			path, a->type[0] ? a->type : "no type");
	r = decode(a, &der, &n, e);
	if (r == 0 && x509_bundle_read(der, n, key, ret, ret_others, e) < 0) {
		err_prefix(e, "the answer of %s", path);
		if (e)
			e->code = ERR_SERVICE_ANSWER;
		r = -ERR_SERVICE_ANSWER;
	}
	return r;
}

int est_cacerts(const struct est *s, const struct iotime *it, char **ret, struct err *e)
{
	_cleanup_(freep) char *path = path_of(s, "cacerts");
	const struct http_request q = {
		.method = "GET", .path = path, .accept = "application/pkcs7-mime"};
	struct http_answer a = {0};
	char *none = NULL;
	int r = http_exchange(s->service, &q, it, &a, e);

	*ret = NULL;
	if (r == 0)
		r = take_bundle(path, &a, NULL, &none, ret, e);
	http_answer_done(&a);
	return r;
}

/* The lines between BEGIN and END of a PEM are what RFC 8951 wants. */
static char *body_of(const struct x509_csr *csr)
{
	return base64_of(csr->der, csr->der_bytes);
}

/* Waits until the authority wants to be asked again. */
static int wait_later(const struct http_answer *a, const struct iotime *it, struct err *e)
{
	uint64_t us = a->retry_after_us ? a->retry_after_us : LATER_US;

	if (us > LATER_MAX_US)
		us = LATER_MAX_US;
	if (iotime_left_us(it) <= us)
		return err_set(e, ERR_SERVICE_DOWN,
			"the authority wants to be asked again in %llu s, and the step's time ends before: it may wait for a person",
			(unsigned long long)(us / US_PER_S));
	return iotime_sleep(us, it, e);
}

/* 204 and 404: it wants nothing of its own (RFC 7030, 4.5.2). */
static int check_wanted(
	const char *path, const struct http_answer *a, const struct x509_csr *csr, struct err *e)
{
	_cleanup_(freep) uint8_t *der = NULL;
	size_t n;
	int r;

	if (a->status == 204 || a->status == 404 || (a->status == 200 && a->body.len == 0))
		return 0;
	if (a->status != 200)
		return refused(path, a, e);
	if (strncasecmp(a->type, "application/csrattrs", 20) != 0)
		return err_set(e, ERR_SERVICE_ANSWER,
			"%s was answered with %s, application/csrattrs expected: is that an EST service?",
			path, a->type[0] ? a->type : "no type");
	r = decode(a, &der, &n, e);
	return r < 0 ? r : x509_csr_has(csr, der, n, e);
}

static int ask_wanted(
	const struct est *s, const struct x509_csr *csr, const struct iotime *it, struct err *e)
{
	_cleanup_(freep) char *path = path_of(s, "csrattrs");
	const struct http_request q = {
		.method = "GET", .path = path, .accept = "application/csrattrs"};
	struct http_answer a = {0};
	int r = http_exchange(s->service, &q, it, &a, e);

	if (r == 0)
		r = check_wanted(path, &a, csr, e);
	http_answer_done(&a);
	return r;
}

int est_enroll(const struct est *s, const struct x509_csr *csr, bool again, const struct iotime *it,
	struct est_answer *ret, struct err *e)
{
	_cleanup_(freep) char *path = path_of(s, again ? "simplereenroll" : "simpleenroll");
	_cleanup_(freep) char *body = body_of(csr);
	static const char *const headers[] = {"Content-Transfer-Encoding: base64", NULL};
	const struct http_request q = {.method = "POST",
		.path = path,
		.headers = headers,
		.body = body,
		.type = "application/pkcs10",
		.accept = "application/pkcs7-mime"};
	int r;

	*ret = (struct est_answer){0};
	r = ask_wanted(s, csr, it, e);
	if (r < 0)
		return r;
	for (;;) {
		struct http_answer a = {0};
		bool later;

		r = http_exchange(s->service, &q, it, &a, e);
		ret->sent |= a.sent;
		later = r == 0 && a.status == 202;
		if (later)
			r = wait_later(&a, it, e);
		else if (r == 0)
			r = take_bundle(path, &a, &csr->key, &ret->pem, &ret->others, e);
		http_answer_done(&a);
		if (!later || r < 0)
			return r;
	}
}
