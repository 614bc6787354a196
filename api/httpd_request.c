/* SPDX-License-Identifier: Apache-2.0
 *
 * What a handler may ask of a request, out of the library's connection.
 */
#include <microhttpd.h>
#include <string.h>

#include "api/http.h"

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

enum http_method http_method_from(const char *s)
{
	if (!strcmp(s, "HEAD"))
		s = "GET"; /* libmicrohttpd leaves the body out */
	for (int i = 0; i < HTTP_METHODS; i++)
		if (!strcmp(s, method_name[i]))
			return (enum http_method)i;
	return HTTP_OTHER;
}
