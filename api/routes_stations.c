/* SPDX-License-Identifier: Apache-2.0
 *
 * /stations and /ports: what the line looks like now, and commands to it.
 */
#include "api/route.h"
#include "api/station_texts.h"
#include "base/util.h"

/* Shared by all who ask (api/station_texts.h). */
static int answer_shared(struct call *c, const char *id, struct err *e)
{
	const char *match = request_header(c->rq, "If-None-Match");
	char tag[STATION_TAG_BYTES];
	struct shared_body *body =
		station_texts_get(c->api->station_texts, id, c->rq->begun_us, tag);

	if (!body)
		return err_set(e, ERR_NOT_FOUND, "there is no station '%s'", id ? id : "");
	if (*tag && match && !strcmp(match, tag)) {
		shared_body_unref(body);
		response_header(c->rs, "ETag", "%s", tag);
		response_text(c->rs, 304, "application/json", xstrdup(""), 0);
		return 0;
	}
	c->rs->shared = body;
	c->rs->status = 200;
	return 0;
}

static int get_stations(struct call *c, struct err *e)
{
	if (!c->who->scopes)
		return answer_shared(c, NULL, e);
	api_items(c, fleet_stations_json(c->api->fleet));
	return 0;
}

static int get_station(struct call *c, struct err *e)
{
	return answer_shared(c, request_param(c->rq, "id"), e);
}

static int post_action(struct call *c, struct err *e)
{
	const char *id = request_param(c->rq, "id");
	const char *verb = request_param(c->rq, "action");
	int cmd = station_command_from_str(verb);
	char action[64];
	int r;

	if (cmd < 0)
		return err_set(e, ERR_NOT_FOUND, "a station has no action '%s'", verb);
	if (cmd == STATION_CMD_CLEAR && !(MAY_RELEASE & 1u << c->who->role))
		return err_set(
			e, ERR_FORBIDDEN, "fault and quarantine are cleared by a supervisor");
	r = fleet_command(c->api->fleet, id, (enum station_command)cmd, c->who->name, e);
	if (r < 0)
		return r;
	snprintf(action, sizeof action, "station.%s", verb);
	r = api_audit(c, action, id, e);
	if (r < 0)
		return r;
	response_json(c->rs, 202, fleet_station_json(c->api->fleet, id));
	return 0;
}

static int get_ports(struct call *c, struct err *e)
{
	json_t *all = fleet_ports_json(c->api->fleet);
	const char *bound = request_query(c->rq, "bound");
	json_t *items = json_array();
	json_t *o;
	size_t i;

	json_array_foreach(all, i, o)
		if (!bound ||
			(strcmp(bound, "true") == 0) == (json_object_get(o, "station") != NULL))
			json_array_append(items, o);
	json_decref(all);
	api_items(c, items);
	return 0;
}

static const char *const yes_no[] = {"true", "false", NULL};
static const struct query_param query_ports[] = {{"bound", yes_no}, {0}};

const struct route routes_stations[] = {
	{HTTP_GET, "/api/v1/stations", MAY_READ, ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_stations,
		.scope = SCOPE_STATION},
	{HTTP_GET, "/api/v1/stations/{id}", MAY_READ, ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_station,
		.scope = SCOPE_STATION},
	{HTTP_POST, "/api/v1/stations/{id}/actions/{action}", MAY_OPERATE, ROUTE_WHEN_HELD, 0,
		post_action, NULL, FORM_NONE, .scope = SCOPE_STATION},
	{HTTP_GET, "/api/v1/ports", MAY_READ, ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_ports,
		query_ports, .scope = SCOPE_PORT},
	{0},
};
