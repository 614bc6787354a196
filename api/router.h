/* SPDX-License-Identifier: Apache-2.0
 *
 * Routes are rows of one table: method, path, who may, how much may come, who answers. The router
 * finds the row, checks the right, and turns an error into application/problem+json (RFC 9457).
 */
#pragma once

#include "api/auth.h"
#include "api/httpd.h"
#include "api/store.h"
#include "base/thread.h"
#include "daemon/line/fleet.h"
#include "db/audit.h"
#include "db/db.h"
#include "db/writer.h"

enum route_flags {
	ROUTE_PUBLIC = 1 << 0, /* without a token */
	ROUTE_UPLOAD = 1 << 1, /* the body goes to a file, which is parsed */
	ROUTE_NO_BODY = 1 << 2,
	/* Reads memory alone and never waits: answered on the HTTP thread. All others have a thread
	 * of their own for as long as they take. */
	ROUTE_DIRECT = 1 << 3,
	ROUTE_ORDERS = 1 << 4,	  /* adds work or files: refused where the line takes no orders */
	ROUTE_WHEN_HELD = 1 << 5, /* also where nothing else may be changed */
};

struct api {
	struct fleet *fleet;
	struct auth *auth;
	struct httpd *httpd;
	unsigned rate_limit;
	struct store store;
	/* No admin is left, and there was no room to make one: main, NULL once there is one. */
	int (*keep_token)(void *data, const char *token, struct err *e);
	void *keep_data;
	bool insecure; /* others than this machine are served, without TLS */
	char *openapi_text;
	/* Readers of the database, for the threads of the pool. */
	struct mutex reader_lock;
	struct db *reader[8];
	size_t readers;
	/* GET /stations, rendered once per change. */
	struct mutex cache_lock;
	struct shared_body *stations;
	uint64_t stations_version;
};

/* One request on its way through a handler. */
struct call {
	struct api *api;
	const struct request *rq;
	struct response *rs;
	const struct principal *who;
	json_t *body;	    /* of a JSON route; NULL if empty; owned by the router */
	json_t *list_extra; /* members of a list's answer beside its items; owned by the router */
	json_t *problem_errors; /* [{pointer, detail}], goes into the problem; owned by the router
				 */
};

/* 0 with an answer in c->rs, or an error: the router makes the problem of it. */
typedef int handler_fn(struct call *c, struct err *e);

/* A parameter that a path takes. */
struct query_param {
	const char *name;
	const char *const *values; /* the only ones, NULL-terminated; NULL: the handler looks */
};

#define QUERY_PAGE             \
	{"limit", NULL},       \
	{                      \
		"cursor", NULL \
	}
/* For pages of the dashboard, whose own router reads the query. */
extern const struct query_param query_any[];
/* For a body that must be empty or an empty object. */
extern const char *const fields_none[];

struct route {
	enum http_method method;
	const char *pattern; /* "/api/v1/stations/{id}" */
	unsigned roles;	     /* ROLE_BIT()s that may */
	unsigned flags;
	uint64_t max_body; /* bytes; 0: 256 KiB (uploads: as configured) */
	handler_fn *handle;
	/* All that the query may hold, NULL-terminated by name; NULL: nothing. Another name, a name
	 * that comes twice, or a value that is none of its values is 400. */
	const struct query_param *query;
	/* All members that the body may have, NULL-terminated; NULL: the handler looks. Another one
	 * is 422 with its pointer. */
	const char *const *fields;
};

/* NULL-terminated tables, one per resource. */
extern const struct route *const route_tables[];
extern const size_t route_table_count;
extern const struct route routes_stations[], routes_jobs[], routes_recipes[], routes_artifacts[],
	routes_runs[], routes_units[], routes_pools[], routes_prompts[], routes_events[],
	routes_meta[], routes_records[], routes_tokens[], routes_web[];

extern const struct httpd_ops router_ops;

/* A reader for the time of a call; NULL with e. Give it back. */
struct db *api_reader(struct api *a, struct err *e);
void api_reader_back(struct api *a, struct db *d);

/* A change: apply() runs in the writer's transaction; its answer is stored with it where the
 * request carries an Idempotency-Key, and given again to the same request. committed() runs after
 * the commit, not on a repetition. location: NULL, or a format with one %s for the answer's "id"
 * (or the key named). */
struct change {
	int (*apply)(struct db *tx, void *data, json_t **ret_answer, struct err *e);
	void (*committed)(void *data);
	void *data;
	int status;
	const char *location, *location_key;
	const char *audit; /* action's name in the audit trail */
	const char *target;
};
int api_change(struct call *c, const struct change *ch, struct err *e);

/* Who asks, for the audit trail; borrows from c. */
struct audit_who api_who(const struct call *c);
/* An entry of its own, durable when it returns: for what changes nothing in the database. */
int api_audit(struct call *c, const char *action, const char *target, struct err *e);
/* A wrong token that auth wants to be noted. Any thread, never waits. */
void api_note_failure(struct api *a, const struct request *rq, const struct auth_refusal *why);

/* Helpers of handlers. */
int api_page(struct call *c, struct db_page *ret, struct err *e);
int api_answer_list(struct call *c, struct db_list *l, struct err *e);
/* Answers with a resource and its ETag ("revision" member); honours If-None-Match. */
int api_answer_resource(struct call *c, json_t *o);
/* If-Match against the revision: -ERR_PRECONDITION (428 missing, 412 stale). */
int api_check_match(struct call *c, int64_t revision, struct err *e);
/* Body as an object: -ERR_INVALID otherwise. */
int api_need_object(struct call *c, struct err *e);
