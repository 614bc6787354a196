/* SPDX-License-Identifier: Apache-2.0
 *
 * One request on its way through a handler, and what handlers have in common.
 */
#pragma once

#include "api/artifact_quota.h"
#include "api/auth.h"
#include "api/httpd.h"
#include "base/mistake.h"
#include "base/thread.h"
#include "daemon/line/fleet.h"
#include "db/audit.h"
#include "db/db.h"
#include "db/readers.h"
#include "db/writer.h"

struct access_log;
struct metrics;
struct station_texts;

struct api {
	struct fleet *fleet;
	struct auth *auth;
	struct httpd *httpd;
	struct readers *readers;
	struct feed_sub *changes; /* wakes requests that wait for an order */
	unsigned rate_limit;
	struct artifact_quota quota;
	uint64_t sweep_us; /* when uploads that nobody finished are looked for; main */
	/* No admin is left, and there was no room to make one: main, NULL once there is one. */
	int (*keep_token)(void *data, const char *token, struct err *e);
	void *keep_data;
	struct tls *tls;      /* NULL: there is none */
	bool client_required; /* atomic: nobody without a certificate, over TLS */
	bool insecure;	      /* others than this machine are served, without TLS */
	/* Made when it is first asked for: it takes some 10 ms of a start. */
	struct mutex openapi_lock;
	char *openapi_text;	 /* under the lock */
	struct metrics *metrics; /* of the requests (api/metrics.h) */
	struct access_log *access_log;
	int64_t started_ms;
	/* What the main loop says of itself (api/health.h); under the lock. */
	struct mutex health_lock;
	uint64_t beat_us; /* 0: not yet */
	bool hangs;
	char hangs_text[ERR_TEXT_BYTES];
	struct station_texts *station_texts;
};

struct request_key; /* api/change.c */

struct call {
	struct api *api;
	const struct request *rq;
	struct response *rs;
	const struct principal *who;
	json_t *body;	    /* of a JSON route; NULL if empty; owned by the router */
	json_t *list_extra; /* members of a list's answer in addition to its items; owned by the router */
	/* [{pointer, detail}], goes into the problem; owned by the router */
	json_t *problem_errors;
	struct request_key *key; /* the Idempotency-Key, once it was read; owned by the router */
	void *form;		 /* api_form(); owned by the router */
};

/* --- requests that wait for something new ("Prefer: wait=N", RFC 7240; at most 60 s, and to the second): no thread waits --- */

struct api_wait {
	unsigned s; /* 0: it does not wait */
	uint64_t until_us, ticket;
};

/* Before the handler looks. can: whether the request is one that may wait. -ERR_UNAUTHORIZED: its token ended meanwhile. */
int api_wait_begin(struct call *c, bool can, struct api_wait *ret, struct err *e);
/* After a look at which nothing was new: true: there is no answer yet, the handler is called again when the topic changes, or at
 * its end. false: it answers what there is. */
bool api_wait_on(struct call *c, const struct api_wait *w, const char *topic);

/* --- what is read: each takes a reader of the database for the time of the call --- */

/* Something of the database, out of what the request says. */
typedef int read_one_fn(struct db *d, const struct call *c, json_t **ret, struct err *e);
/* A page of a list. */
typedef int read_page_fn(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e);

/* Of a run, the "id" of the path: one that is not there gets an error, not an empty list, and of a finished one only what was
 * recorded is served. */
int api_check_run(struct db *d, const struct call *c, struct err *e);
/* For a handler that goes on with it. All that is read is of one moment. */
int api_read(struct call *c, read_one_fn *read, json_t **ret, struct err *e);
/* Answers with one thing and its ETag ("revision" member); honours If-None-Match. */
int api_answer_one(struct call *c, read_one_fn *read, struct err *e);
/* The same of a thing that changes with events of its topic: with "Prefer: wait=N" and an If-None-Match that names it as it is, the
 * answer comes once it is another one, or after N seconds. */
int api_answer_later(struct call *c, read_one_fn *read, const char *topic, struct err *e);
/* Answers with {items, next_cursor: null}, all that there is. */
int api_answer_all(struct call *c, read_one_fn *read, struct err *e);
/* The page that the query asks for ("limit", "cursor"), for a handler that goes on with it. */
int api_read_page(struct call *c, read_page_fn *read, struct db_list *ret, struct err *e);
/* The same page as lines (RFC 4180): the names of the members on the first page, the Link to the next. */
int api_answer_page_csv(
	struct call *c, read_page_fn *read, const char *const *members, struct err *e);
/* By "format" of the query: a page as api_answer_page(), or, for csv and ndjson, the list as lines: all
 * of it from the cursor on, page by page as the client takes it, or with a limit that page and its Link.
 * Each line has its "cursor": what comes after it. `members` are the columns of csv. read() is called again
 * on the HTTP thread, and looks at c->rq, c->api and c->who alone. */
int api_answer_list(struct call *c, read_page_fn *read, const char *const *members, struct err *e);
/* The same from another place than the query's "cursor" (NULL: the beginning), where it has a "format". */
int api_export(struct call *c, read_page_fn *read, const char *const *members, const char *after,
	struct err *e);
/* "version" of the query, which needs "recipe"; left alone where it has none. */
int api_version_query(const struct call *c, int64_t *ret, struct err *e);
/* A time of the query, left alone where it has none. */
int api_time_query(const struct call *c, const char *name, int64_t *ret, struct err *e);
/* "from" and "to" of the query, each left alone where it has none; an error where they are in the wrong order. */
int api_times_query(const struct call *c, int64_t *from_ms, int64_t *to_ms, struct err *e);
/* The Link to the page after it, if there is one. */
void api_link_next(struct call *c, const struct db_list *l);
/* Answers with a page ("limit", "cursor"): {items, next_cursor}, and the Link to the next. */
int api_answer_page(struct call *c, read_page_fn *read, struct err *e);

/* A statement in an envelope (base/dsse.h), signed by one of provd.yaml's `signers` (NULL: not signed), and
 * the audit row of who took it. */
int api_answer_envelope(
	struct call *c, const char *signer, const char *payload, const char *audit, struct err *e);
/* What a browser may do with a page of provd. */
void api_page_guards(struct call *c, const char *policy);

/* The answers alone, of what the caller has; they take the reference. A list is narrowed to what the
 * principal may name, so that a page may have less than its limit. */
void api_resource(struct call *c, json_t *o);
void api_items(struct call *c, json_t *items);
void api_list(struct call *c, struct db_list *l);
/* Takes out of a list what the principal may not name (api/scope.h). */
void api_narrow(const struct call *c, json_t *items);
/* "limit" and "cursor" of the query. */
int api_page(const struct call *c, struct db_page *ret, struct err *e);
/* Body as an object: -ERR_INVALID otherwise. */
int api_need_object(struct call *c, struct err *e);
/* The body by the form of its route (api/route.h), as the struct that its rows fill: the router
 * frees it. NULL with *e: no object (400), or mistakes, all of which are in the problem (422). */
void *api_form(struct call *c, struct err *e);
/* Mistakes become the problem's errors, with line and column where there is a doc (may be NULL);
 * frees m. -ERR_UNPROCESSABLE where there are any, else 0. */
int api_mistakes(struct call *c, struct mistakes *m, const struct yaml_doc *doc, struct err *e);
/* As api_mistakes(), of what the principal may not name: -ERR_OUT_OF_SCOPE. */
int api_outside(struct call *c, struct mistakes *m, struct err *e);
/* r, what was found of one value of the body: where it is an error, the problem says where. */
int api_judged(struct call *c, const char *pointer, int r, const struct err *e);
/* Whether the body has it: of a change, what it says nothing of stays. */
bool api_given(const struct call *c, const char *key);
/* The revision of If-Match, which the change then compares in its transaction (412 when it is
 * stale): "12" is 12, * is 0, any. -ERR_PRECONDITION where it is missing (428) or not a tag of
 * ours.
 */
int api_match(struct call *c, int64_t *ret_revision, struct err *e);

/* --- what is changed (api/change.c) --- */

/* A change: apply() runs in the writer's transaction; its answer is stored with it where the
 * request carries an Idempotency-Key, and given again to the same request. committed() runs after
 * the commit, not on a repetition. location: NULL, or a format with one %s for the answer's "id"
 * (or the key named). */
struct change {
	int (*apply)(struct db *tx, void *data, json_t **ret_answer, struct err *e);
	/* Of an apply() that left the answer NULL: made of what is on record, in the transaction where it is to be stored, else after
	 * the commit and not in the writer's time. NULL: there is none. */
	int (*read)(struct db *d, void *data, json_t **ret_answer, struct err *e);
	void (*committed)(void *data);
	void *data;
	int status;
	const char *location, *location_key;
	const char *audit; /* action's name in the audit trail */
	const char *target;
};
int api_change(struct call *c, const struct change *ch, struct err *e);
/* The router's, before the handler: a repetition gets its answer before anyone looks at it again,
 * since what it asked for may be impossible by now, just because it was done. 1: answered. */
int api_repeat(struct call *c, struct err *e);

/* The principal of the request, for the audit trail; borrows from c. */
struct audit_who api_who(const struct call *c);
/* An entry of its own, durable when it returns: for what changes nothing in the database. */
int api_audit(struct call *c, const char *action, const char *target, struct err *e);
/* A wrong token that auth wants to be noted. Any thread, never waits. */
void api_note_failure(struct api *a, const struct request *rq, const struct auth_refusal *why);
/* As api_note_failure(), of a certificate that is refused, or missing (NULL). */
void api_note_certificate(struct api *a, const struct request *rq, const char *reason,
	const struct auth_refusal *why);
