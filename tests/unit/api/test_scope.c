/* SPDX-License-Identifier: Apache-2.0
 *
 * What a limited principal may name: rows of each kind, and every route of the tables.
 */
#include "api/scope.h"

#include <string.h>

#include "api/request_check.h"
#include "base/util.h"
#include "tests/unit/unit.h"

static json_t *json(const char *text)
{
	json_t *o = json_loads(text, 0, NULL);

	ck_assert_msg(o != NULL, "%s", text);
	return o;
}

static bool holds(const char *scopes, enum scope_rule rule, const char *item)
{
	json_t *s = scopes ? json(scopes) : NULL;
	json_t *o = json(item);
	bool in = scope_has_item(s, rule, o);

	json_decref(s);
	json_decref(o);
	return in;
}

#define STATIONS "{\"stations\":[\"A1\",\"A2\"]}"
#define RECIPES	 "{\"recipes\":[\"thermo\"]}"
#define POOLS	 "{\"pools\":[\"sn\"]}"
#define BOTH	 "{\"stations\":[\"A1\"],\"recipes\":[\"thermo\"]}"

START_TEST(each_list_limits_what_it_is_of_and_what_does_not_say_is_outside)
{
	static const struct {
		const char *scopes;
		enum scope_rule rule;
		const char *item;
		bool in;
	} rows[] = {
		{STATIONS, SCOPE_STATION, "{\"id\":\"A1\"}", true},
		{STATIONS, SCOPE_STATION, "{\"id\":\"A3\"}", false},
		{STATIONS, SCOPE_STATION, "{\"id\":\"a1\"}", false},
		{RECIPES, SCOPE_STATION, "{\"id\":\"A3\"}", true},
		{STATIONS, SCOPE_PORT, "{\"station\":\"A2\"}", true},
		{STATIONS, SCOPE_PORT, "{\"path\":\"1-1\"}", false},
		{POOLS, SCOPE_POOL, "{\"id\":\"sn\"}", true},
		{POOLS, SCOPE_POOL, "{\"id\":\"mac\"}", false},
		{RECIPES, SCOPE_RECIPE, "{\"name\":\"thermo\"}", true},
		{RECIPES, SCOPE_RECIPE, "{\"name\":\"lamp\"}", false},
		{STATIONS, SCOPE_JOB, "{\"recipe\":\"lamp\",\"affinity\":[\"A1\"]}", true},
		{STATIONS, SCOPE_JOB, "{\"recipe\":\"lamp\",\"affinity\":[\"A1\",\"A3\"]}", false},
		{STATIONS, SCOPE_JOB, "{\"recipe\":\"lamp\",\"affinity\":[]}", false},
		{RECIPES, SCOPE_JOB, "{\"recipe\":\"lamp\",\"affinity\":[]}", false},
		{RECIPES, SCOPE_JOB, "{\"recipe\":\"thermo\",\"affinity\":[]}", true},
		{BOTH, SCOPE_RUN, "{\"station\":\"A1\",\"recipe\":\"thermo\"}", true},
		{BOTH, SCOPE_RUN, "{\"station\":\"A2\",\"recipe\":\"thermo\"}", false},
		{BOTH, SCOPE_RUN, "{\"station\":\"A1\",\"recipe\":\"lamp\"}", false},
		{BOTH, SCOPE_RUN, "{\"station\":\"A1\",\"recipe\":null}", false},
		{STATIONS, SCOPE_PROMPT, "{\"station\":\"A1\"}", true},
		{RECIPES, SCOPE_PROMPT, "{\"station\":\"A1\"}", false},
		{STATIONS, SCOPE_EVENT, "{\"station\":\"A1\"}", true},
		{STATIONS, SCOPE_EVENT, "{\"station\":null}", false},
		{BOTH, SCOPE_EVENT, "{\"station\":\"A1\"}", false},
		{POOLS, SCOPE_EVENT, "{\"station\":\"A1\"}", false},
		{POOLS, SCOPE_WHOLE, "{\"id\":\"sn\"}", false},
		{POOLS, SCOPE_OPEN, "{}", true},
		{NULL, SCOPE_WHOLE, "{}", true},
		{NULL, SCOPE_EVENT, "{}", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(holds(rows[i].scopes, rows[i].rule, rows[i].item) == rows[i].in,
			"row %zu: %s", i, rows[i].item);
}
END_TEST

START_TEST(a_list_is_narrowed_in_its_order)
{
	json_t *s = json(STATIONS);
	json_t *items = json("[{\"id\":\"A3\"},{\"id\":\"A2\"},{\"id\":\"B\"},{\"id\":\"A1\"}]");
	json_t *want = json("[{\"id\":\"A2\"},{\"id\":\"A1\"}]");

	scope_narrow(NULL, SCOPE_STATION, items);
	ck_assert_uint_eq(json_array_size(items), 4);
	scope_narrow(s, SCOPE_STATION, items);
	ck_assert(json_equal(items, want));
	json_decref(s);
	json_decref(items);
	json_decref(want);
}
END_TEST

START_TEST(every_pool_of_a_recipe_counts)
{
	static const struct {
		const char *recipe, *outside;
	} rows[] = {
		{"{\"unit\":{\"serial\":{\"pool\":\"sn\"}}}", NULL},
		{"{\"unit\":{\"serial\":{\"pool\":\"mac\"}}}", "mac"},
		{"{\"steps\":[{\"with\":{\"identity\":{\"wifi\":{\"pool\":\"mac\"}}}}]}", "mac"},
		{"{\"steps\":[{\"with\":{\"a\":{\"pool\":\"sn\"}}},{\"pool\":\"${params.p}\"}]}",
			"${params.p}"},
		{"{\"steps\":[{\"pool\":5}]}", ""},
		{"{\"steps\":[{\"pools\":\"mac\"}]}", NULL},
	};
	json_t *s = json(POOLS);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *recipe = json(rows[i].recipe);
		const char *pool = NULL;

		ck_assert_msg(
			scope_has_pools_of(s, recipe, &pool) == !rows[i].outside, "row %zu", i);
		if (rows[i].outside)
			ck_assert_str_eq(pool, rows[i].outside);
		ck_assert(scope_has_pools_of(NULL, recipe, &pool));
		json_decref(recipe);
	}
	json_decref(s);
}
END_TEST

/* A row that has a rule of one thing must say in its path which one, or be a list or a body that is
 * known here: another one would be let through unlooked at. */
START_TEST(every_route_with_a_rule_has_what_the_rule_looks_at)
{
	static const char *const lists[] = {"/api/v1/stations", "/api/v1/ports", "/api/v1/pools",
		"/api/v1/recipes", "/api/v1/jobs", "/api/v1/runs", "/api/v1/prompts",
		"/api/v1/events"};
	static const char *const open[] = {"/api/v1/session", "/api/v1/summary", "/api/v1/actions",
		"/metrics", "/api/v1/metrics", "/api/v1/recipes/check",
		"/api/v1/artifacts/{sha256}"};
	unsigned ruled = 0;

	for (size_t t = 0; t < route_table_count; t++) {
		for (const struct route *r = route_tables[t]; r->pattern; r++) {
			const char *param = r->scope == SCOPE_RECIPE ? "/{name}" : "/{id}";
			bool known = strstr(r->pattern, param) != NULL;

			if (r->scope == SCOPE_WHOLE)
				continue;
			ruled++;
			for (size_t i = 0; r->scope != SCOPE_OPEN && i < ARRAY_LEN(lists); i++)
				known |= !strcmp(r->pattern, lists[i]);
			for (size_t i = 0; r->scope == SCOPE_OPEN && i < ARRAY_LEN(open); i++)
				known |= !strcmp(r->pattern, open[i]);
			ck_assert_msg(known, "%s %s", http_method_str(r->method), r->pattern);
		}
	}
	ck_assert_uint_gt(ruled, 40);
}
END_TEST

START_TEST(the_roles_of_provd_yaml_are_those_of_tokens)
{
	size_t n = 0;

	for (; role_names[n]; n++)
		ck_assert_str_eq(principal_roles[n], role_names[n]);
	ck_assert_ptr_null(principal_roles[n]);
	ck_assert_uint_eq(n, ROLES);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("scope");
	TCase *t = tcase_create("scope");

	tcase_add_test(t, each_list_limits_what_it_is_of_and_what_does_not_say_is_outside);
	tcase_add_test(t, a_list_is_narrowed_in_its_order);
	tcase_add_test(t, every_pool_of_a_recipe_counts);
	tcase_add_test(t, every_route_with_a_rule_has_what_the_rule_looks_at);
	tcase_add_test(t, the_roles_of_provd_yaml_are_those_of_tokens);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
