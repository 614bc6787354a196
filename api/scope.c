/* SPDX-License-Identifier: Apache-2.0 */
#include "api/scope.h"

#include <string.h>

bool scope_has(const json_t *scopes, const char *list, const char *name)
{
	const json_t *names = json_object_get(scopes, list);

	if (!names)
		return true;
	for (size_t i = 0; name && *name && i < json_array_size(names); i++)
		if (!strcmp(json_string_value(json_array_get(names, i)), name))
			return true;
	return false;
}

static bool has_member(
	const json_t *scopes, const char *list, const json_t *item, const char *member)
{
	return scope_has(scopes, list, json_string_value(json_object_get(item, member)));
}

static bool has_affinity(const json_t *scopes, const json_t *job)
{
	const json_t *stations = json_object_get(job, "affinity");

	if (!json_object_get(scopes, "stations"))
		return true;
	for (size_t i = 0; i < json_array_size(stations); i++)
		if (!scope_has(scopes, "stations", json_string_value(json_array_get(stations, i))))
			return false;
	return json_array_size(stations) > 0;
}

bool scope_has_item(const json_t *scopes, enum scope_rule rule, const json_t *item)
{
	if (!scopes)
		return true;
	switch (rule) {
	case SCOPE_OPEN:
		return true;
	case SCOPE_STATION:
		return has_member(scopes, "stations", item, "id");
	case SCOPE_POOL:
		return has_member(scopes, "pools", item, "id");
	case SCOPE_RECIPE:
		return has_member(scopes, "recipes", item, "name");
	case SCOPE_PORT:
		return has_member(scopes, "stations", item, "station");
	case SCOPE_JOB:
		return has_member(scopes, "recipes", item, "recipe") && has_affinity(scopes, item);
	case SCOPE_RUN:
	case SCOPE_PROMPT:
		return has_member(scopes, "stations", item, "station") &&
		       has_member(scopes, "recipes", item, "recipe");
	case SCOPE_EVENT:
		return scope_can_hold(scopes, rule) &&
		       has_member(scopes, "stations", item, "station");
	case SCOPE_WHOLE:
		break;
	}
	return false;
}

bool scope_can_hold(const json_t *scopes, enum scope_rule rule)
{
	if (!scopes)
		return true;
	if (rule == SCOPE_EVENT)
		return !json_object_get(scopes, "recipes") && !json_object_get(scopes, "pools");
	return rule != SCOPE_WHOLE;
}

void scope_narrow(const json_t *scopes, enum scope_rule rule, json_t *items)
{
	for (size_t i = json_array_size(items); scopes && i-- > 0;)
		if (!scope_has_item(scopes, rule, json_array_get(items, i)))
			json_array_remove(items, i);
}

bool scope_has_pools_of(const json_t *scopes, const json_t *recipe, const char **ret_pool)
{
	const char *key;
	json_t *v;
	size_t i;

	if (!json_object_get(scopes, "pools"))
		return true;
	json_array_foreach((json_t *)recipe, i, v)
		if (!scope_has_pools_of(scopes, v, ret_pool))
			return false;
	json_object_foreach((json_t *)recipe, key, v) {
		const char *pool = json_string_value(v);

		if (!strcmp(key, "pool") && !scope_has(scopes, "pools", pool)) {
			*ret_pool = pool ? pool : "";
			return false;
		}
		if (!scope_has_pools_of(scopes, v, ret_pool))
			return false;
	}
	return true;
}
