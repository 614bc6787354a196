/* SPDX-License-Identifier: Apache-2.0
 *
 * What http.request and cloud.* share: the service of a step, one exchange with it, and its answer as
 * JSON. On the worker's thread, like all actions.
 */
#pragma once

#include "daemon/recipe/action.h"
#include "transports/links/http.h"

#define ARG_ROW_SERVICE                                                                   \
	{                                                                                 \
		.name = "service", .type = ARG_STRING, .required = true, .service = true, \
		.doc = "its name in 'services' of provd.yaml"                             \
	}

struct http_step {
	struct step *s;
	const char *name; /* of the service */
	struct http_service service;
};

/* The service that the argument `service` names. */
int http_step_open(struct http_step *x, struct step *s, const struct args *a, struct err *e);
void http_step_done(struct http_step *x);

struct http_ask {
	const char *method, *path;
	const char *query;	     /* escaped; NULL: none */
	const char *const *headers;  /* NULL: none */
	const char *idempotency_key; /* NULL: none */
	const json_t *body;	     /* NULL: none */
};

struct http_reply {
	bool sent; /* the service may have acted, whatever came back */
	long status;
	uint64_t retry_after_us; /* how long it asks to be left alone; 0: it does not say */
	json_t *json;		 /* owned; NULL: the answer has no body */
};

/* Wipes what it holds. */
void http_reply_done(struct http_reply *r);
/* 0 with any status, and JSON or no body; -ERR_SERVICE_ANSWER for another body, else as
 * http_exchange(). ret is set in any case. The body goes to no log. HTTP 429 (RFC 6585, 4: the request was
 * not carried out) is waited out as Retry-After says, where the time of the step is long enough; a step
 * that is carried out later does not wait, its row does. */
int http_step_ask(
	struct http_step *x, const struct http_ask *q, struct http_reply *ret, struct err *e);
/* The sentence of an answer with another status than was expected, with the reason that the service
 * gives: -ERR_SERVICE_REFUSED, of 429, 502, 503 and 504 -ERR_SERVICE_BUSY. reason: whether what it says may
 * be shown. */
int http_step_refused(const struct http_step *x, const struct http_ask *q,
	const struct http_reply *got, const char *expected, bool reason, struct err *e);

/* A body as JSON, duplicates of a name refused. *ret is NULL for no body. What came instead goes into
 * the error: -ERR_SERVICE_ANSWER. */
int http_json(const char *type, const char *body, size_t n, json_t **ret, struct err *e);
/* What a JSON pointer (RFC 6901) leads to, borrowed; NULL: nothing. */
const json_t *http_json_at(const json_t *j, const char *pointer);
/* Puts a value (its reference is taken) where a JSON pointer leads to, and makes the objects on the way; a
 * name without '/' is a member of o. < 0 where it is no pointer, or something is there already. */
int http_json_put(json_t *o, const char *pointer, json_t *value);
/* A text of a service for a message: readable, in one line, cut after some bytes; "nothing" for NULL.
 * Owned by the caller. */
char *http_shown(const char *text);
/* A text, number or boolean as text, owned by the caller; NULL for any other value. */
char *http_json_text(const json_t *j);
