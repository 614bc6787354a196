/* SPDX-License-Identifier: Apache-2.0
 *
 * What is true of provd itself: version, actions, the OpenAPI document; its health (health.h) and its metrics
 * (metrics.h).
 */
#include "api/health.h"
#include "api/metrics.h"
#include "api/openapi.h"
#include "api/route.h"
#include "base/util.h"
#include "daemon/recipe/action_doc.h"
#include "provd_config.h"

static int get_version(struct call *c, struct err *e)
{
	struct config *config = fleet_config(c->api->fleet);

	response_json(c->rs, 200,
		json_pack("{s:s, s:s, s:s, s:b, s:b}", "name", "provd", "version", PROVD_VERSION,
			"api", "v1", "insecure", c->api->insecure, "passwords",
			config->pam != NULL));
	config_unref(config);
	return 0;
}

static int get_summary(struct call *c, struct err *e)
{
	json_t *o = json_object();
	struct fleet_summary summary;

	fleet_summary(c->api->fleet, &summary);
	json_object_set_new(o, "stations", json_integer((json_int_t)summary.stations));
	for (int i = 0; i < STATION_STATE_COUNT; i++)
		json_object_set_new(
			o, station_state_str((enum station_state)i), json_integer(summary.in[i]));
	json_object_set_new(o, "holds", holds_json(fleet_holds(c->api->fleet)));
	response_json(c->rs, 200, o);
	return 0;
}

static int get_actions(struct call *c, struct err *e)
{
	api_items(c, actions_json());
	return 0;
}

static int make_openapi(struct api *a, struct err *e) REQUIRES(a->openapi_lock)
{
	json_t *doc;
	int r = openapi_document(&doc, e);

	if (r < 0)
		return r;
	a->openapi_text = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	return a->openapi_text ? 0 : err_set(e, ERR_NO_MEMORY, "openapi.yaml");
}

static int get_openapi(struct call *c, struct err *e)
{
	struct api *a = c->api;
	int r;

	mutex_lock(&a->openapi_lock);
	r = a->openapi_text ? 0 : make_openapi(a, e);
	if (r == 0)
		response_text(c->rs, 200, "application/json", xstrdup(a->openapi_text),
			strlen(a->openapi_text));
	mutex_unlock(&a->openapi_lock);
	return r;
}

const struct route routes_meta[] = {
	{HTTP_GET, "/livez", 0, ROUTE_PUBLIC | ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_livez},
	{HTTP_GET, "/readyz", 0, ROUTE_PUBLIC | ROUTE_NO_BODY, 0, get_readyz},
	{HTTP_GET, "/version", 0, ROUTE_PUBLIC | ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_version},
	{HTTP_GET, "/openapi.json", 0, ROUTE_PUBLIC | ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_openapi},
	{HTTP_GET, "/metrics", MAY_READ, ROUTE_NO_BODY, 0, get_metrics, .scope = SCOPE_OPEN},
	{HTTP_GET, "/api/v1/livez", 0, ROUTE_PUBLIC | ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_livez},
	{HTTP_GET, "/api/v1/readyz", 0, ROUTE_PUBLIC | ROUTE_NO_BODY, 0, get_readyz},
	{HTTP_GET, "/api/v1/version", 0, ROUTE_PUBLIC | ROUTE_NO_BODY | ROUTE_DIRECT, 0,
		get_version},
	{HTTP_GET, "/api/v1/openapi.json", 0, ROUTE_PUBLIC | ROUTE_NO_BODY | ROUTE_DIRECT, 0,
		get_openapi},
	{HTTP_GET, "/api/v1/metrics", MAY_READ, ROUTE_NO_BODY, 0, get_metrics, .scope = SCOPE_OPEN},
	{HTTP_GET, "/api/v1/summary", MAY_READ, ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_summary,
		.scope = SCOPE_OPEN},
	{HTTP_GET, "/api/v1/actions", MAY_READ, ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_actions,
		.scope = SCOPE_OPEN},
	{0},
};
