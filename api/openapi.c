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
	json_object_set_new(
		content, "application/json", json_pack("{s:o}", "schema", form_schema(r->form)));
	return 0;
}

int openapi_document(json_t **ret, struct err *e)
{
	struct yaml_doc *doc;
	int r = yaml_parse("openapi.yaml", (const char *)openapi_yaml, openapi_yaml_len, &doc, e);

	if (r < 0)
		return r;
	for (size_t t = 0; t < route_table_count && r == 0; t++)
		for (const struct route *row = route_tables[t]; row->pattern && r == 0; row++)
			if (row->form && row->form[0].key)
				r = describe_body(doc->root, row, e);
	if (r == 0)
		*ret = json_incref(doc->root);
	yaml_doc_free(doc);
	return r;
}
