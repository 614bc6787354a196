/* SPDX-License-Identifier: Apache-2.0
 *
 * How the power of a station's unit is switched, and what resets it.
 */
#include "daemon/line/config_impl.h"

#include "base/util.h"
#include "transports/links/power.h"
#include "transports/links/usb_hub.h"

const struct form_row reset_rows[] = {
	{"chip", FORM_TEXT, .required = true, .low = 1, .high = POWER_NAME_BYTES - 1,
		.doc = "gpiochip0, or the label of the chip.", FORM_AT(struct reset_config, chip)},
	{"line", FORM_INT, .required = true, .low = 0, .high = 65535,
		.doc = "The number of the line.", FORM_AT(struct reset_config, line)},
	{"active_low", FORM_BOOL, .def = "false",
		.doc = "The unit is in reset while the line is low.",
		FORM_AT(struct reset_config, active_low)},
	{0},
};

const struct form_row power_policy_rows[] = {
	{"gap", FORM_DURATION, .def = "200ms",
		.doc = "Between two units that are switched on at one hub, relay board, chip, supply or program: their capacitors are charged one after the other.",
		FORM_AT(struct power_policy_config, gap_us)},
	{0},
};

void config_reset_done(struct reset_config *r)
{
	form_done(reset_rows, r);
}

void config_read_power(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	power_config_read(&((struct station_config *)to)->power, v, pointer, m);
}

void config_read_reset(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct reset_config *r = &((struct station_config *)to)->reset;

	if (json_is_object(v))
		form_read(reset_rows, v, pointer, "key", r, m);
	else
		mistakes_add(m, pointer, "'reset' is a mapping such as {chip: gpiochip0, line: 4}");
	r->has = true;
}

void config_read_power_policy(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;

	if (json_is_object(v))
		form_read(power_policy_rows, v, pointer, "key", &c->power_policy, m);
	else
		mistakes_add(m, pointer, "'power_policy' is a mapping such as {gap: 500ms}");
}

void config_power_policy_defaults(struct config *c, struct mistakes *m)
{
	json_t *none = json_object();

	form_read(power_policy_rows, none, "/power_policy", "key", &c->power_policy, m);
	json_decref(none);
}

/* --- of several stations --- */

/* The physical port of a role, without the interface; NULL where it is at a fixed address. */
static const char *path_of(const struct station_config *s, const char *role)
{
	const struct port_config *p = station_port(s, role);

	return p && p->paths ? p->path[0] : NULL;
}

/* What is switched, as text: two stations with the same have one switch. "" for what has no name. */
static void place_of(const struct station_config *s, char ret[POWER_PLACE_BYTES])
{
	const struct power_config *p = &s->power;
	const char *path = p->role ? path_of(s, p->role) : NULL;
	struct usb_hub_port at;

	ret[0] = 0;
	switch ((enum power_kind)p->kind) {
	case POWER_HUB:
		if (!path)
			snprintf(ret, POWER_PLACE_BYTES, "port %u of hub %s", p->port,
				p->hub ? p->hub : "");
		else if (usb_hub_port_parse(path, &at))
			snprintf(ret, POWER_PLACE_BYTES, "port %u of hub %s", at.port, at.hub);
		else
			snprintf(ret, POWER_PLACE_BYTES, "%s", path);
		break;
	case POWER_HID_RELAY:
		snprintf(ret, POWER_PLACE_BYTES, "channel %u of USB relay %s", p->channel,
			p->serial ? p->serial : "(the only one)");
		break;
	case POWER_GPIO:
		snprintf(ret, POWER_PLACE_BYTES, "line %u of %s", p->line, p->chip);
		break;
	case POWER_SERIAL_RELAY:
		snprintf(ret, POWER_PLACE_BYTES, "relay %s (%s)", p->address, p->on);
		break;
	case POWER_SCPI:
		snprintf(ret, POWER_PLACE_BYTES, "output %u of supply %s",
			p->channel ? p->channel : 1, p->instrument);
		break;
	case POWER_PROGRAM:
		snprintf(ret, POWER_PLACE_BYTES, "program %s %s", p->run_on[0],
			p->run_on[1] ? p->run_on[1] : "");
		break;
	}
}

static void check_roles(const struct station_config *s, const char *pointer, struct mistakes *m)
{
	if (s->power.role && !path_of(s, s->power.role))
		mistakes_add(m, pointer,
			"station '%s': 'power' names the role '%s', which is bound to no USB port",
			s->id, s->power.role);
	for (char **role = s->power.roles; role && *role; role++) {
		const struct port_config *p = station_port(s, *role);

		if (!p)
			mistakes_add(m, pointer,
				"station '%s': 'roles' of its power has '%s', and its ports do not",
				s->id, *role);
		else if (p->address)
			mistakes_add(m, pointer,
				"station '%s': 'roles' of its power has '%s', which is at the fixed address %s: nobody sees its device leave",
				s->id, *role, p->address);
	}
}

/* As they are written two commands may differ, and be the same bytes. */
static bool same_bytes(const char *a, const char *b)
{
	struct power_bytes x, y;

	return power_bytes_parse(a, &x, NULL) == 0 && power_bytes_parse(b, &y, NULL) == 0 &&
	       x.n == y.n && !memcmp(x.byte, y.byte, x.n);
}

static bool same_node(const char *a, const char *b)
{
	const size_t n = strcspn(a, "@");

	return n == strcspn(b, "@") && !strncmp(a, b, n);
}

/* A program is asked for what it is given: two stations may well have the same one with other arguments. */
static bool is_same_switch(const struct station_config *a, const struct station_config *b)
{
	const struct power_config *p = &a->power, *q = &b->power;
	char place[POWER_PLACE_BYTES], other[POWER_PLACE_BYTES];
	size_t i = 0;

	if (p->kind != q->kind)
		return false;
	switch ((enum power_kind)p->kind) {
	case POWER_HID_RELAY:
		return p->channel == q->channel &&
		       (!p->serial || !q->serial || !strcmp(p->serial, q->serial));
	case POWER_SERIAL_RELAY:
		return same_node(p->address, q->address) &&
		       (same_bytes(p->on, q->on) || same_bytes(p->off, q->off));
	case POWER_PROGRAM:
		while (p->run_on[i] && q->run_on[i] && !strcmp(p->run_on[i], q->run_on[i]))
			i++;
		return !p->run_on[i] && !q->run_on[i];
	case POWER_HUB:
	case POWER_GPIO:
	case POWER_SCPI:
		break;
	}
	place_of(a, place);
	place_of(b, other);
	return !strcmp(place, other);
}

static bool is_same_line(const char *chip, unsigned line, const char *other, unsigned other_line)
{
	return line == other_line && !strcmp(chip, other);
}

static void check_reset_is_not_power(const struct station_config *s, const struct station_config *o,
	const char *pointer, struct mistakes *m)
{
	const struct power_config *p = &o->power;

	if (s->reset.has && s->reset.chip && p->has && p->kind == POWER_GPIO &&
		is_same_line(s->reset.chip, s->reset.line, p->chip, p->line))
		mistakes_add(m, pointer,
			"station '%s' is reset by line %u of %s, which is the power of station '%s'",
			s->id, s->reset.line, s->reset.chip, o->id);
}

/* A line that resets one unit resets no other one, and is nothing's power. o: an earlier one, or s itself. */
static void check_reset(const struct station_config *s, const struct station_config *o,
	const char *pointer, struct mistakes *m)
{
	check_reset_is_not_power(s, o, pointer, m);
	if (s == o)
		return;
	check_reset_is_not_power(o, s, pointer, m);
	if (s->reset.has && s->reset.chip && o->reset.has && o->reset.chip &&
		is_same_line(s->reset.chip, s->reset.line, o->reset.chip, o->reset.line))
		mistakes_add(m, pointer, "stations '%s' and '%s' are both reset by line %u of %s",
			o->id, s->id, s->reset.line, s->reset.chip);
}

static void check_switch(const struct station_config *s, const struct station_config *o,
	const char *pointer, struct mistakes *m)
{
	char place[POWER_PLACE_BYTES];

	if (!o->power.has || !is_same_switch(o, s))
		return;
	place_of(s, place);
	mistakes_add(m, pointer, "stations '%s' and '%s' both have their power from %s", o->id,
		s->id, place);
}

void config_check_power(const struct config *c, size_t first, struct mistakes *m)
{
	for (size_t i = first; i < c->stations; i++) {
		const struct station_config *s = &c->station[i];
		_cleanup_(freep) char *power = xasprintf("/stations/%zu/power", i - first);
		_cleanup_(freep) char *reset = xasprintf("/stations/%zu/reset", i - first);

		if (s->power.has)
			check_roles(s, power, m);
		for (size_t k = 0; s->power.has && k < i; k++)
			check_switch(s, &c->station[k], power, m);
		for (size_t k = 0; k <= i; k++)
			check_reset(s, &c->station[k], s->reset.has ? reset : power, m);
	}
}

void config_check_supplies(const struct config *c, size_t first, struct mistakes *m)
{
	for (size_t i = first; i < c->stations; i++) {
		const struct station_config *s = &c->station[i];
		_cleanup_(freep) char *pointer = xasprintf("/stations/%zu/power", i - first);
		size_t k = 0;

		if (!s->power.has || s->power.kind != POWER_SCPI)
			continue;
		while (k < c->instruments &&
			strcmp(c->instrument[k].name, s->power.instrument) != 0)
			k++;
		if (k == c->instruments)
			mistakes_add(m, pointer,
				"station '%s': 'power' names the instrument '%s', which 'instruments' of provd.yaml does not have",
				s->id, s->power.instrument);
	}
}

/* --- what the switch is now --- */

/* Whether one of a station's ports is that socket, or hangs behind it; of one half or the other. */
static bool station_is_at(
	const struct station_config *s, const struct usb_hub_port *at, const char **ret_role)
{
	struct usb_hub_port peer, own;
	bool paired = usb_hub_port_peer(at, &peer);
	char name[USB_PORT_BYTES];

	for (size_t i = 0; i < s->ports; i++) {
		for (size_t k = 0; k < s->port[i].paths; k++) {
			if (usb_hub_port_of(s->port[i].path[k], &own, NULL) < 0)
				continue;
			usb_hub_port_name(&own, name);
			*ret_role = s->port[i].role;
			if (usb_hub_port_holds(at, name) ||
				(paired && usb_hub_port_holds(&peer, name)))
				return true;
		}
	}
	return false;
}

static int check_others(const struct config *c, const struct station_config *s,
	const struct usb_hub_port *at, struct err *e)
{
	const char *role = NULL;

	for (size_t i = 0; i < c->stations; i++) {
		const struct station_config *o = &c->station[i];

		if (!strcmp(o->id, s->id) || !station_is_at(o, at, &role))
			continue;
		return err_set(e, ERR_POWER_CONFLICT,
			"port %u of hub %s is that of station '%s' (its port '%s'): it is not switched for '%s'",
			at->port, at->hub, o->id, role, s->id);
	}
	return 0;
}

/* The role's own port: of several paths the first whose hub is plugged. */
static int own_port(const struct station_config *s, struct usb_hub_port *ret, struct err *e)
{
	const struct port_config *p = station_port(s, s->power.role);
	int r = p ? 0
		  : err_set(e, ERR_NOT_FOUND, "station '%s' has no port '%s'", s->id,
			    s->power.role);

	for (size_t i = 0; p && i < p->paths; i++) {
		r = usb_hub_port_of(p->path[i], ret, e);
		if (r == 0)
			break;
	}
	return r == -ERR_DEVICE_GONE
		       ? err_set(e, ERR_POWER_SWITCH,
				 "power of station '%s': its hub is not plugged (port '%s')", s->id,
				 s->power.role)
		       : r;
}

static int hub_way(
	const struct config *c, const struct station_config *s, struct power_way *w, struct err *e)
{
	struct usb_hub_port at = {.port = w->port};
	const char *role = NULL;
	size_t n = 0;
	int r = 0;

	snprintf(at.hub, sizeof at.hub, "%s", w->hub);
	if (s->power.role)
		r = own_port(s, &at, e);
	if (r == 0)
		r = check_others(c, s, &at, e);
	if (r < 0)
		return r;
	memcpy(w->hub, at.hub, sizeof w->hub);
	w->port = at.port;
	snprintf(w->place, sizeof w->place, "port %u of hub %s", at.port, at.hub);
	snprintf(w->group, sizeof w->group, "hub %s", at.hub);
	for (size_t i = 0; !s->power.roles && i < s->ports && n < POWER_ROLES_MAX; i++) {
		const struct station_config one = {.port = &s->port[i], .ports = 1};

		if (station_is_at(&one, &at, &role))
			w->role[n++] = s->port[i].role;
	}
	return 0;
}

int config_power(const struct config *c, const struct station_config *s, struct power_way *ret,
	struct err *e)
{
	struct power_way w;
	int r;

	if (!s->power.has)
		return err_set(e, ERR_NOT_FOUND,
			"station '%s' does not say how its unit is powered: see 'power' of stations.d",
			s->id);
	r = power_config_way(&s->power, &w, e);
	if (r == 0 && w.kind == POWER_HUB)
		r = hub_way(c, s, &w, e);
	if (r < 0)
		return r;
	w.gap_us = c->power_policy.gap_us;
	*ret = w;
	return 0;
}

int config_reset_line(const struct station_config *s, struct reset_line *ret, struct err *e)
{
	if (!s->reset.has)
		return err_set(e, ERR_NOT_FOUND,
			"station '%s' has no line that resets its unit: see 'reset' of stations.d",
			s->id);
	*ret = (struct reset_line){.line = s->reset.line, .active_low = s->reset.active_low};
	snprintf(ret->chip, sizeof ret->chip, "%s", s->reset.chip);
	return 0;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

bool config_power_equal(const struct station_config *a, const struct station_config *b)
{
	return power_config_equal(&a->power, &b->power) && a->reset.has == b->reset.has &&
	       same(a->reset.chip, b->reset.chip) && a->reset.line == b->reset.line &&
	       a->reset.active_low == b->reset.active_low;
}

json_t *config_power_json(const struct station_config *s)
{
	char place[POWER_PLACE_BYTES];

	if (!s->power.has)
		return json_null();
	place_of(s, place);
	return json_pack("{s:s, s:s}", "kind", power_kind_names[s->power.kind], "place", place);
}
