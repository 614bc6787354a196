/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of the routes against the OpenAPI document: each parameter of a query with its values,
 * each field of a body, in both directions.
 */
#include "api/route.h"

#include <string.h>

#include "api/openapi.h"
#include "base/util.h"
#include "tests/unit/unit.h"

static json_t *doc;

static void setup(void)
{
	struct err e;

	ck_assert_msg(openapi_document(&doc, &e) == 0, "%s", e.msg);
}

static void teardown(void)
{
	json_decref(doc);
}

/* Follows {"$ref": "#/a/b"}. */
static const json_t *resolved(const json_t *o)
{
	const char *ref = json_string_value(json_object_get(o, "$ref"));
	_cleanup_(freep) char *copy = ref ? xstrdup(ref + 2) : NULL;
	const json_t *at = doc;
	char *save = NULL;

	if (!ref)
		return o;
	for (char *part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save))
		at = json_object_get(at, part);
	ck_assert_msg(at != NULL, "%s", ref);
	return at;
}

static const json_t *operation(const struct route *r)
{
	const json_t *item = json_object_get(json_object_get(doc, "paths"), r->pattern);
	char method[8] = {0};

	for (size_t i = 0; http_method_str(r->method)[i]; i++)
		method[i] = (char)(http_method_str(r->method)[i] | 0x20);
	return json_object_get(item, method);
}

static bool has_name(const json_t *list, const char *name)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!strcmp(json_string_value(json_array_get(list, i)), name))
			return true;
	return false;
}

static void same_values(const struct route *r, const struct query_param *p, const json_t *described)
{
	const json_t *list =
		json_object_get(resolved(json_object_get(described, "schema")), "enum");
	size_t n = 0;

	for (; p->values && p->values[n]; n++)
		ck_assert_msg(has_name(list, p->values[n]), "%s ?%s=%s is not described",
			r->pattern, p->name, p->values[n]);
	ck_assert_msg(n == json_array_size(list), "%s ?%s: %zu values, %zu described", r->pattern,
		p->name, n, json_array_size(list));
}

static void same_query(const struct route *r, const json_t *op)
{
	const json_t *list = json_object_get(op, "parameters");
	size_t described = 0;
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *p = resolved(json_array_get(list, i));
		const char *name = json_string_value(json_object_get(p, "name"));
		const struct query_param *row = r->query;

		if (strcmp(json_string_value(json_object_get(p, "in")), "query") != 0)
			continue;
		described++;
		while (row && row->name && strcmp(row->name, name) != 0)
			row++;
		ck_assert_msg(row && row->name, "%s %s: ?%s is described, but refused",
			http_method_str(r->method), r->pattern, name);
		same_values(r, row, p);
	}
	while (r->query && r->query[n].name)
		n++;
	ck_assert_msg(n == described, "%s %s: %zu parameters, %zu described",
		http_method_str(r->method), r->pattern, n, described);
}

/* Each field of the form, and no other; without one there is no body, or raw bytes. */
static void same_fields(const struct route *r, const json_t *op)
{
	const json_t *body = resolved(json_object_get(op, "requestBody"));
	const json_t *schema = json_object_get(
		json_object_get(json_object_get(body, "content"), "application/json"), "schema");
	const json_t *properties = json_object_get(schema, "properties");
	size_t n = 0;

	for (; r->form && r->form[n].key; n++)
		ck_assert_msg(json_object_get(properties, r->form[n].key) != NULL,
			"%s %s: the field '%s' is not described", http_method_str(r->method),
			r->pattern, r->form[n].key);
	ck_assert_msg(n == json_object_size(properties), "%s %s: %zu fields, %zu described",
		http_method_str(r->method), r->pattern, n, json_object_size(properties));
	ck_assert_msg((body != NULL) == (n > 0 || r->flags & ROUTE_UPLOAD),
		"%s %s: a body is described, and none is taken, or the other way round",
		http_method_str(r->method), r->pattern);
	ck_assert(n == 0 || json_is_false(json_object_get(schema, "additionalProperties")));
}

/* In every row that has a path in the document; the pages of the dashboard have none. */
static unsigned each_described(void (*look)(const struct route *r, const json_t *op))
{
	unsigned n = 0;

	for (size_t t = 0; t < route_table_count; t++) {
		for (const struct route *r = route_tables[t]; r->pattern; r++) {
			const json_t *op = operation(r);

			if (!op)
				continue;
			look(r, op);
			n++;
		}
	}
	return n;
}

START_TEST(the_document_names_what_a_query_may_hold)
{
	ck_assert_uint_gt(each_described(same_query), 50);
}
END_TEST

START_TEST(the_document_names_what_a_body_may_hold)
{
	ck_assert_uint_gt(each_described(same_fields), 50);
}
END_TEST

/* A handler that reads its form itself is known here: another one could forget it. */
START_TEST(every_body_has_a_form)
{
	static const char *const own[] = {"/api/v1/jobs", "/api/v1/jobs/{id}/actions/{action}",
		"/api/v1/recipes", "/api/v1/recipes/check",
		"/api/v1/recipes/{name}/versions/{version}"};

	for (size_t t = 0; t < route_table_count; t++) {
		for (const struct route *r = route_tables[t]; r->pattern; r++) {
			bool known = r->form_size > 0 || r->form == form_none ||
				     r->method == HTTP_GET || (r->flags & ROUTE_UPLOAD);

			for (size_t i = 0; i < ARRAY_LEN(own); i++)
				known |= r->form && !strcmp(own[i], r->pattern);
			ck_assert_msg(known, "%s %s", http_method_str(r->method), r->pattern);
		}
	}
}
END_TEST

/* What the rows say of a nested mapping is in the document as well. */
START_TEST(the_document_describes_what_is_nested)
{
	static const struct {
		const char *pattern, *field, *path[4];
	} nested[] = {
		{"/api/v1/recipes", "unit", {"properties", "serial", "properties", "pool"}},
		{"/api/v1/recipes", "ports", {"additionalProperties", "properties", "baud"}},
		{"/api/v1/recipes", "params", {"additionalProperties", "properties", "choices"}},
	};

	for (size_t i = 0; i < ARRAY_LEN(nested); i++) {
		const struct route post = {.method = HTTP_POST, .pattern = nested[i].pattern};
		const json_t *o = json_object_get(operation(&post), "requestBody");

		o = json_object_get(json_object_get(o, "content"), "application/json");
		o = json_object_get(json_object_get(o, "schema"), "properties");
		o = json_object_get(o, nested[i].field);
		for (size_t k = 0; k < 4 && nested[i].path[k]; k++)
			o = json_object_get(o, nested[i].path[k]);
		ck_assert_msg(o != NULL, "%s %s", nested[i].pattern, nested[i].field);
	}
}
END_TEST

/* What waits or reads the database must not hold a thread that moves bytes. */
START_TEST(only_what_reads_memory_is_answered_on_the_http_thread)
{
	unsigned n = 0;

	for (size_t t = 0; t < route_table_count; t++) {
		for (const struct route *r = route_tables[t]; r->pattern; r++) {
			ck_assert(!(r->flags & ROUTE_DIRECT) || r->method == HTTP_GET);
			n += !strcmp(r->pattern, "/livez") && r->flags & ROUTE_DIRECT;
		}
	}
	ck_assert_uint_eq(n, 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("routes");
	TCase *t = tcase_create("routes");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_document_names_what_a_query_may_hold);
	tcase_add_test(t, the_document_names_what_a_body_may_hold);
	tcase_add_test(t, every_body_has_a_form);
	tcase_add_test(t, the_document_describes_what_is_nested);
	tcase_add_test(t, only_what_reads_memory_is_answered_on_the_http_thread);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
