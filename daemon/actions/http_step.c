/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/http_step.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/secret.h"
#include "base/util.h"
#include "daemon/recipe/args.h"

#define SHOWN_BYTES  100
#define BUSY_WAIT_US US_PER_S /* where a 429 does not say how long */

int http_step_open(struct http_step *x, struct step *s, const struct args *a, struct err *e)
{
	*x = (struct http_step){.s = s, .name = args_str(a, "service")};
	return step_service(s, x->name, &x->service, e);
}

void http_step_done(struct http_step *x)
{
	http_service_done(&x->service);
}

void http_reply_done(struct http_reply *r)
{
	json_wipe(r->json);
	json_decref(r->json);
	*r = (struct http_reply){0};
}

/* --- JSON --- */

static const char *kind_of(const char *type, const char *body)
{
	body += strspn(body, " \t\r\n");
	if (!strncasecmp(type, "text/html", 9) || *body == '<')
		return "HTML (a login page or a proxy?)";
	return "something else than JSON";
}

int http_json(const char *type, const char *body, size_t n, json_t **ret, struct err *e)
{
	json_error_t why;
	json_t *j;

	*ret = NULL;
	if (n == 0)
		return 0;
	j = json_loadb(body, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	if (!j)
		return err_set(e, ERR_SERVICE_ANSWER,
			"the answer is %s, JSON was expected (Content-Type '%.60s', %zu bytes): check 'url' of the service",
			kind_of(type, body), type, n);
	*ret = j;
	return 0;
}

/* One name of a pointer into key, unescaped; the rest of the pointer, NULL for a mistake in it. */
static const char *next_name(const char *p, struct strbuf *key)
{
	sb_clear(key);
	sb_add(key, "");
	for (p++; *p && *p != '/'; p++) {
		if (*p != '~')
			sb_add_n(key, p, 1);
		else if (*++p == '0' || *p == '1')
			sb_add(key, *p == '0' ? "~" : "/");
		else
			return NULL;
	}
	return p;
}

static const json_t *member(const json_t *j, const char *key)
{
	if (json_is_object(j))
		return json_object_get(j, key);
	/* An index has no sign and no zero before it. */
	if (!json_is_array(j) || !*key || strspn(key, "0123456789") != strlen(key) ||
		strlen(key) > 9 || (key[0] == '0' && key[1]))
		return NULL;
	return json_array_get(j, strtoul(key, NULL, 10));
}

const json_t *http_json_at(const json_t *j, const char *pointer)
{
	struct strbuf key = {0};

	for (const char *p = pointer; j && *p;) {
		p = *p == '/' ? next_name(p, &key) : NULL;
		j = p ? member(j, key.s) : NULL;
	}
	sb_done(&key);
	return j;
}

int http_json_put(json_t *o, const char *pointer, json_t *value)
{
	struct strbuf key = {0};
	const char *p = pointer;
	int r = -1;

	if (*p != '/')
		r = json_object_get(o, p) ? -1 : json_object_set(o, p, value);
	while (o && p && *p == '/') {
		json_t *next;

		p = next_name(p, &key);
		next = p ? json_object_get(o, key.s) : NULL;
		if (p && !*p && !next)
			r = json_object_set(o, key.s, value);
		if (p && *p && !next) {
			next = json_object();
			/* A name that is not UTF-8 is none. */
			if (json_object_set_new(o, key.s, next) < 0)
				next = NULL;
		}
		o = json_is_object(next) ? next : NULL;
	}
	sb_done(&key);
	json_decref(value);
	return r;
}

char *http_json_text(const json_t *j)
{
	char *dumped, *copy;

	if (json_is_string(j))
		return xstrdup(json_string_value(j));
	if (!json_is_number(j) && !json_is_boolean(j))
		return NULL;
	dumped = json_dumps(j, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	copy = xstrdup(dumped);
	free(dumped);
	return copy;
}

char *http_shown(const char *text)
{
	struct strbuf b = {0};
	size_t n;

	if (!text)
		return xstrdup("nothing");
	n = strnlen(text, SHOWN_BYTES);
	while (text[n] && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	sb_add_escaped(&b, text, n);
	if (text[n])
		sb_add(&b, "...");
	return sb_take(&b);
}

/* --- the exchange --- */

static int read_reply(const struct http_answer *answer, struct http_reply *ret, struct err *e)
{
	ret->status = answer->status;
	ret->retry_after_us = answer->retry_after_us;
	return http_json(answer->type, answer->body.s ? answer->body.s : "", answer->body.len,
		&ret->json, e);
}

/* Whether it has waited as the service asks. */
static bool waited(struct http_step *x, const struct http_answer *answer)
{
	uint64_t us = answer->retry_after_us ? answer->retry_after_us : BUSY_WAIT_US;

	if (answer->status != 429 || x->s->key || us >= iotime_left_us(&x->s->it))
		return false;
	step_log(x->s, '<', "HTTP 429: again in %llu s", (unsigned long long)(us / US_PER_S));
	return iotime_sleep(us, &x->s->it, NULL) == 0;
}

static int exchange_in_turn(struct http_step *x, const struct http_request *request,
	struct http_answer *answer, struct err *e)
{
	int r = http_exchange(&x->service, request, &x->s->it, answer, e);

	while (r == 0 && waited(x, answer)) {
		http_answer_done(answer);
		r = http_exchange(&x->service, request, &x->s->it, answer, e);
	}
	x->s->said.retry_after_us = answer->retry_after_us;
	return r;
}

int http_step_ask(
	struct http_step *x, const struct http_ask *q, struct http_reply *ret, struct err *e)
{
	char *body = q->body ? json_dumps(q->body, JSON_COMPACT) : NULL;
	_cleanup_(freep) char *key =
		q->idempotency_key ? xasprintf("Idempotency-Key: %s", q->idempotency_key) : NULL;
	_cleanup_(freep) const char **headers = NULL;
	struct http_request request = {q->method, q->path, q->query, NULL, body};
	struct http_answer answer = {0};
	size_t n = 0;
	int r;

	while (q->headers && q->headers[n])
		n++;
	headers = xcalloc(n + 2, sizeof *headers);
	if (n)
		memcpy(headers, q->headers, n * sizeof *headers);
	headers[n] = key;
	request.headers = headers;
	*ret = (struct http_reply){0};
	step_log(x->s, '>', "%s %s%s%s to %s", q->method, q->path, q->query ? "?" : "",
		q->query ? q->query : "", x->name);
	r = exchange_in_turn(x, &request, &answer, e);
	ret->sent = answer.sent;
	if (r == 0) {
		step_log(x->s, '<', "HTTP %ld, %zu bytes of '%s'", answer.status, answer.body.len,
			answer.type);
		r = read_reply(&answer, ret, e);
	}
	if (r < 0 && ret->status)
		err_prefix(e, "service '%s', %s %s, HTTP %ld", x->name, q->method, q->path,
			ret->status);
	else if (r < 0)
		err_prefix(e, "service '%s', %s %s", x->name, q->method, q->path);
	http_answer_done(&answer);
	if (body)
		secret_wipe(body, strlen(body));
	free(body);
	return r;
}

/* Why, in the service's own words (RFC 9457 and what is usual). */
static char *reason_of(const json_t *j)
{
	static const char *const names[] = {
		"/detail", "/message", "/error/message", "/error", "/title"};
	const char *said = NULL;

	for (size_t i = 0; !said && i < ARRAY_LEN(names); i++)
		said = json_string_value(http_json_at(j, names[i]));
	return said && *said ? http_shown(said) : xstrdup("no reason given");
}

/* RFC 6585, 4; RFC 9110, 15.6.3 to 15.6.5. */
static bool is_busy(long status)
{
	return status == 429 || (status >= 502 && status <= 504);
}

int http_step_refused(const struct http_step *x, const struct http_ask *q,
	const struct http_reply *got, const char *expected, bool reason, struct err *e)
{
	_cleanup_(freep) char *why = reason ? reason_of(got->json) : xstrdup("see its log");

	x->s->said.status = got->status;
	if (is_busy(got->status))
		return err_set(e, ERR_SERVICE_BUSY,
			"service '%s', %s %s: HTTP %ld, %s expected: it has no time now: %s",
			x->name, q->method, q->path, got->status, expected, why);
	if (got->status >= 300 && got->status < 400)
		return err_set(e, ERR_SERVICE_ANSWER,
			"service '%s', %s %s: it redirects (HTTP %ld), which is not followed: check 'url' of the service",
			x->name, q->method, q->path, got->status);
	if (got->status == 401 || got->status == 403)
		return err_set(e, ERR_SERVICE_REFUSED,
			"service '%s', %s %s: HTTP %ld, %s expected: %s (is its 'token' valid?)",
			x->name, q->method, q->path, got->status, expected, why);
	return err_set(e, ERR_SERVICE_REFUSED, "service '%s', %s %s: HTTP %ld, %s expected: %s",
		x->name, q->method, q->path, got->status, expected, why);
}
