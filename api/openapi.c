/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openapi.h"

#include "api/embedded.h"
#include "api/route.h"
#include "base/util.h"
#include "base/yaml.h"

static json_t *operation_of(const json_t *doc, const struct route *r)
{
	const json_t *paths = json_object_get(doc, "paths");
	char method[8] = {0};
	const char *name = http_method_str(r->method);

	for (size_t i = 0; name[i] && i < sizeof method - 1; i++)
		method[i] = (char)(name[i] | 0x20);
	return json_object_get(json_object_get(paths, r->pattern), method);
}

/* {requestBody: {required, content: {application/json: {schema}}}}, next to what is there. */
static int describe_body(json_t *doc, const struct route *r, struct err *e)
{
	json_t *body = json_object_get(operation_of(doc, r), "requestBody");
	json_t *content = json_object_get(body, "content");
	json_t *json;

	if (!json_is_object(body))
		return err_set(e, ERR_INVALID,
			"openapi.yaml: %s %s has no 'requestBody', but its route has a form",
			http_method_str(r->method), r->pattern);
	if (!content) {
		content = json_object();
		json_object_set_new(body, "content", content);
	}
	if (!json_is_false(json_object_get(body, "required")))
		json_object_set_new(body, "required", json_true());
	json = json_object_get(content, "application/json");
	if (!json) {
		json = json_object();
		json_object_set_new(content, "application/json", json);
	}
	json_object_set_new(json, "schema", form_schema(r->form));
	return 0;
}

/* --- what is refused --- */

static void add_response(json_t *op, const char *status, const char *name)
{
	json_t *responses = json_object_get(op, "responses");

	if (!json_object_get(responses, status))
		json_object_set_new(responses, status,
			json_pack(
				"{s:o}", "$ref", json_sprintf("#/components/responses/%s", name)));
}

/* Of a request that needs a token. */
static void describe_access(json_t *op)
{
	add_response(op, "401", "Unauthorized");
	add_response(op, "403", "Forbidden");
	add_response(op, "429", "TooMany");
}

/* What the router itself answers (api/router.c, api/request_check.c), so that no handler says it again. */
static void describe_refusals(json_t *op, const struct route *r)
{
	add_response(op, "400", "Invalid");
	if (!(r->flags & ROUTE_PUBLIC))
		describe_access(op);
	if (r->method != HTTP_GET) {
		add_response(op, "413", "TooLarge");
		add_response(op, "422", "Unprocessable");
	}
	if (r->method != HTTP_GET && !(r->flags & (ROUTE_PUBLIC | ROUTE_WHEN_HELD)))
		add_response(op, "503", "Unavailable");
	if (r->flags & ROUTE_ORDERS)
		add_response(op, "507", "StorageFull");
	add_response(op, "default", "Other");
}

/* The codes of problems, with the sentence of each that has one. */
static json_t *codes_schema(void)
{
	json_t *codes = json_array();

	for (int i = ERR_NONE + 1; i < ERR_CODE_COUNT; i++)
		json_array_append_new(codes, json_string(err_code_str((enum err_code)i)));
	return json_pack("{s:s, s:s, s:o}", "type", "string", "description", "stable, for programs",
		"enum", codes);
}

static int describe_route(json_t *doc, const struct route *r, struct err *e)
{
	json_t *op = operation_of(doc, r);

	/* The pages of the dashboard are not in it. */
	if (!op)
		return 0;
	describe_refusals(op, r);
	return r->form && r->form[0].key ? describe_body(doc, r, e) : 0;
}

static int describe_routes(json_t *doc, struct err *e)
{
	int r = 0;

	for (size_t t = 0; t < route_table_count && r == 0; t++)
		for (const struct route *row = route_tables[t]; row->pattern && r == 0; row++)
			r = describe_route(doc, row, e);
	return r;
}

int openapi_document(json_t **ret, struct err *e)
{
	struct yaml_doc *doc;
	int r = yaml_parse("openapi.yaml", (const char *)openapi_yaml, openapi_yaml_len, &doc, e);

	if (r < 0)
		return r;
	r = describe_routes(doc->root, e);
	json_object_set_new(json_object_get(json_object_get(doc->root, "components"), "schemas"),
		"ErrorCode", codes_schema());
	if (r == 0)
		*ret = json_incref(doc->root);
	yaml_doc_free(doc);
	return r;
}
