/* SPDX-License-Identifier: Apache-2.0
 *
 * What a handler may ask of a request, out of the library's connection.
 */
#include <microhttpd.h>
#include <string.h>
#include <strings.h>

#include "api/http.h"
#include "base/strbuf.h"

static const char *const method_name[HTTP_METHODS] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

const char *http_method_str(enum http_method m)
{
	return m < HTTP_METHODS ? method_name[m] : "another method";
}

const char *request_header(const struct request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->connection, MHD_HEADER_KIND, name);
}

const char *request_query(const struct request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *request_cookie(const struct request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->connection, MHD_COOKIE_KIND, name);
}

struct each_query {
	bool (*visit)(void *data, const char *name, const char *value);
	void *data;
};

static enum MHD_Result on_query(
	void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	const struct each_query *q = cls;

	return q->visit(q->data, name ? name : "", value) ? MHD_YES : MHD_NO;
}

void request_each_query(const struct request *rq,
	bool (*visit)(void *data, const char *name, const char *value), void *data)
{
	struct each_query q = {visit, data};

	MHD_get_connection_values(rq->connection, MHD_GET_ARGUMENT_KIND, on_query, &q);
}

/* --- traces --- */

struct trace_headers {
	const char *parent;
	unsigned parents;
	struct strbuf state;
};

static enum MHD_Result on_trace_header(
	void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct trace_headers *h = cls;

	if (!strcasecmp(name, "traceparent")) {
		h->parent = value;
		h->parents++;
	} else if (!strcasecmp(name, "tracestate") && value) {
		sb_addf(&h->state, "%s%s", h->state.len ? "," : "", value);
	}
	return MHD_YES;
}

/* A tracestate may come in several headers (3.3.1), a traceparent may not. */
bool request_trace(const struct request *rq, struct trace_context *ret)
{
	struct trace_headers h = {0};
	bool found;

	MHD_get_connection_values(rq->connection, MHD_HEADER_KIND, on_trace_header, &h);
	found = trace_parse(h.parents == 1 ? h.parent : NULL, h.state.s, ret);
	sb_done(&h.state);
	return found;
}

enum http_method http_method_from(const char *s)
{
	if (!strcmp(s, "HEAD"))
		s = "GET"; /* libmicrohttpd leaves the body out */
	for (int i = 0; i < HTTP_METHODS; i++)
		if (!strcmp(s, method_name[i]))
			return (enum http_method)i;
	return HTTP_OTHER;
}
