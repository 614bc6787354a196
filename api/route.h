/* SPDX-License-Identifier: Apache-2.0
 *
 * Routes are rows of tables: method, path, roles that may ask, how much may come, the handler.
 */
#pragma once

#include "api/auth.h"
#include "api/httpd.h"
#include "api/call.h"
#include "api/scope.h"
#include "base/form.h"

enum route_flags {
	ROUTE_PUBLIC = 1 << 0, /* without a token */
	ROUTE_UPLOAD = 1 << 1, /* the body goes to a file, which is parsed */
	ROUTE_NO_BODY = 1 << 2,
	/* Reads memory alone and never waits: answered on the HTTP thread. All others have a thread
	 * of their own for as long as they take. */
	ROUTE_DIRECT = 1 << 3,
	ROUTE_ORDERS = 1 << 4,	  /* adds work or files: refused where the line takes no orders */
	ROUTE_WHEN_HELD = 1 << 5, /* also where nothing else may be changed */
	ROUTE_YAML = 1 << 6,	  /* the body may be YAML as well, which the handler reads */
	ROUTE_CSV = 1 << 7,	  /* the body may be text/csv as well, which the handler reads */
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
/* Of a list that may be had as lines (api_answer_list()). */
extern const char *const query_formats[];
#define QUERY_EXPORT {"format", query_formats}, QUERY_PAGE
/* For pages of the dashboard, whose own router reads the query. */
extern const struct query_param query_any[];
/* For a body that must be empty or an empty object. */
extern const struct form_row form_none[];
/* The form of a row below: its rows, and what they fill. */
#define FORM(rows, type) (rows), sizeof(type)
/* The handler reads the rows itself, with more than they can say. */
#define FORM_OF_HANDLER(rows) (rows), 0
#define FORM_NONE	      form_none, 0

struct route {
	enum http_method method;
	const char *pattern; /* "/api/v1/stations/{id}" */
	unsigned roles;	     /* ROLE_BIT()s that may */
	unsigned flags;
	uint64_t max_body; /* bytes; 0: 256 KiB (uploads: as configured) */
	handler_fn *handle;
	/* All that the query may hold, NULL-terminated by name; NULL: nothing. Another name, a name
	 * that comes twice, or a value that it does not have is 400. */
	const struct query_param *query;
	/* All that the body may hold: the handler reads it (api_form()), and the OpenAPI document
	 * says so. Anything else is 422 with its pointer. NULL: there is no body, or raw bytes. */
	const struct form_row *form;
	size_t form_size; /* of the struct that its rows fill */
	/* For principals that are limited; a row that says nothing is refused to them. */
	enum scope_rule scope;
};

/* NULL-terminated tables, one per resource. */
extern const struct route *const route_tables[];
extern const size_t route_table_count;
extern const struct route routes_attachments[], routes_stations[], routes_jobs[], routes_recipes[],
	routes_artifacts[], routes_runs[], routes_units[], routes_pools[], routes_prompts[],
	routes_events[], routes_export[], routes_fixtures[], routes_keys[], routes_meta[],
	routes_outbox[], routes_quality[], routes_records[], routes_recall[], routes_reports[],
	routes_search[], routes_tokens[], routes_web[], routes_webhooks[];
