/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/order_stations.h"

#include "base/util.h"

static bool kinds_agree(const char *wanted, const struct port_config *p)
{
	bool serial = !strcmp(p->kind, "tty") || !strcmp(p->kind, "tcp");

	if (!strcmp(wanted, "any") || !strcmp(wanted, p->kind))
		return true;
	/* A console may sit behind a terminal server; a probe is a USB device. */
	if (!strcmp(wanted, "tty") || !strcmp(wanted, "tcp"))
		return serial;
	return !serial;
}

int station_fits(const struct station_config *s, const struct recipe *r, struct err *e)
{
	for (size_t i = 0; i < r->ports; i++) {
		const struct recipe_port *rp = &r->port[i];
		const struct port_config *pc = station_port(s, rp->role);

		if (!pc && !rp->optional)
			return err_set(e, ERR_PORT_UNBOUND,
				"recipe %s needs a port '%s', station %s has none", r->name,
				rp->role, s->id);
		if (pc && !kinds_agree(rp->kind, pc))
			return err_set(e, ERR_PORT_UNBOUND,
				"recipe %s needs port '%s' of kind %s, at station %s it is %s",
				r->name, rp->role, rp->kind, s->id, pc->kind);
	}
	return 0;
}

json_t *station_capabilities(const struct station_config *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->capabilities; i++)
		json_array_append_new(list, json_string(s->capability[i]));
	return list;
}

#define NO_STATION_ABLE \
	"no station that has the recipe's ports has all of these capabilities: add them to one in stations.d, or require less"

/* What an order requires and the station has not; NULL: it has all. */
static const char *lacks(const struct station_config *s, const json_t *requires)
{
	const json_t *v;
	size_t i;

	json_array_foreach(requires, i, v)
		if (!station_can(s, json_string_value(v)))
			return json_string_value(v);
	return NULL;
}

static int station_suits(const struct station_config *s, const struct recipe *recipe,
	const json_t *requires, struct err *e)
{
	const char *missing = lacks(s, requires);

	if (missing)
		return err_set(e, ERR_PORT_UNBOUND,
			"the order requires '%.64s', station %s has no such capability", missing,
			s->id);
	return station_fits(s, recipe, e);
}

void order_stations_named(const struct config *config, const struct recipe *recipe,
	const json_t *ids, const json_t *requires, struct mistakes *m)
{
	struct err why;
	const json_t *v;
	size_t i;

	json_array_foreach(ids, i, v) {
		const char *id = json_string_value(v);
		const struct station_config *s = id ? config_station(config, id) : NULL;
		_cleanup_(freep) char *p = pointer_index("/stations", i);

		if (!s)
			mistakes_add(m, p, "there is no station '%s'", id ? id : "?");
		else if (recipe && station_suits(s, recipe, requires, &why) < 0)
			mistakes_add(m, p, "%s", why.msg);
	}
}

static bool may_take(const json_t *ids, const struct station_config *s)
{
	const json_t *v;
	size_t i;

	json_array_foreach(ids, i, v)
		if (!strcmp(json_string_value(v), s->id))
			return true;
	return json_array_size(ids) == 0;
}

void order_stations_able(const struct config *config, const struct recipe *recipe,
	const json_t *ids, const json_t *requires, struct mistakes *m)
{
	struct err why;

	for (size_t i = 0; i < config->stations; i++)
		if (may_take(ids, &config->station[i]) &&
			station_suits(&config->station[i], recipe, requires, &why) == 0)
			return;
	if (config->stations > 0)
		mistakes_add(m, "/requires", NO_STATION_ABLE);
}

json_t *order_stations_fitting(const struct config *config, const struct recipe *recipe,
	const json_t *requires, struct mistakes *m)
{
	json_t *ids = json_array();
	size_t able = 0;
	struct err why = {0};

	for (size_t i = 0; i < config->stations; i++) {
		const struct station_config *s = &config->station[i];

		if (station_fits(s, recipe, &why) < 0)
			continue;
		json_array_append_new(ids, json_string(s->id));
		able += !lacks(s, requires);
	}
	if (json_array_size(ids) == 0 && config->stations > 0)
		mistakes_add(m, "/recipe", "no station fits: %s", why.msg);
	else if (able == 0 && config->stations > 0)
		mistakes_add(m, "/requires", NO_STATION_ABLE);
	if (json_array_size(ids) == config->stations)
		json_array_clear(ids);
	return ids;
}
