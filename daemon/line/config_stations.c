/* SPDX-License-Identifier: Apache-2.0
 *
 * Stations and their ports.
 */
#include "daemon/line/config_impl.h"

#include "base/util.h"

void config_free_texts(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

static void port_done(struct port_config *p)
{
	config_free_texts(p->path, p->paths);
	config_free_texts(p->also, p->alsos);
	free(p->role);
	free(p->kind);
	free(p->vid);
	free(p->pid);
	free(p->address);
}

void config_station_done(struct station_config *s)
{
	for (size_t i = 0; i < s->ports; i++)
		port_done(&s->port[i]);
	free(s->port);
	config_free_texts(s->capability, s->capabilities);
	config_free_texts(s->instrument, s->instruments);
	power_config_done(&s->power);
	config_reset_done(&s->reset);
	form_done(station_rows, s);
}

/* --- ports --- */

/* A port as it is written: its address has three names. */
struct port_form {
	struct port_config p;
	char *tty, *tcp, *udp;
};

static void read_kind(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	static const char *const kinds[] = {"tty", "usb", "probe", "tcp", "udp", NULL};
	struct port_form *f = to;
	const char *s = json_string_value(v);
	size_t i = 0;

	while (s && kinds[i] && strcmp(kinds[i], s) != 0)
		i++;
	if (!s)
		mistakes_add(m, pointer, "'kind' must be a string (quote it)");
	else if (!kinds[i])
		mistakes_add_unknown(m, pointer, "kind of port", s, kinds);
	f->p.kind = xstrdup(s);
}

static void read_usb_id(
	const char *key, const json_t *v, const char *pointer, char **ret, struct mistakes *m)
{
	const char *s = json_string_value(v);

	if (!s || strlen(s) != 4 || strspn(s, "0123456789abcdefABCDEF") != 4) {
		mistakes_add(
			m, pointer, "'%s' must be four hex digits in quotes such as '0483'", key);
		return;
	}
	*ret = xstrdup(s);
	for (char *c = *ret; *c; c++)
		*c = (char)(*c >= 'A' && *c <= 'F' ? *c + 32 : *c);
}

static void read_vid(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	read_usb_id("vid", v, pointer, &((struct port_form *)to)->p.vid, m);
}

static void read_pid(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	read_usb_id("pid", v, pointer, &((struct port_form *)to)->p.pid, m);
}

static bool is_usb_id(const char *s)
{
	static const char hex[] = "0123456789abcdef";

	return s && strspn(s, hex) == 4 && s[4] == ':' && strspn(s + 5, hex) == 4 && !s[9];
}

static void read_also(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct port_config *out = &((struct port_form *)to)->p;
	size_t n = json_array_size(v);

	out->also = xcalloc(n + 1, sizeof *out->also);
	for (size_t i = 0; i < n; i++)
		if (is_usb_id(json_string_value(json_array_get(v, i))))
			out->also[out->alsos++] = xstrdup(json_string_value(json_array_get(v, i)));
	if (!n || out->alsos != n)
		mistakes_add(m, pointer, "'also' must be a list such as ['0483:df11']");
}

static void read_path(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct port_config *out = &((struct port_form *)to)->p;
	size_t n = json_is_array(v) ? json_array_size(v) : 1;

	out->path = xcalloc(n, sizeof *out->path);
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_is_array(v) ? json_array_get(v, i) : v;

		if (json_is_string(item) && json_string_length(item))
			out->path[out->paths++] = xstrdup(json_string_value(item));
		else
			mistakes_add(m, pointer,
				"'path' must be a physical port such as pci-0000:00:14.0-usb-0:1.2 or 1-1.2, or a list");
	}
	if (n == 0)
		mistakes_add(m, pointer, "'path' is an empty list");
}

#define USB_ID_SCHEMA "{\"type\":\"string\",\"pattern\":\"^[0-9a-fA-F]{4}$\"}"

const struct form_row port_rows[] = {
	{"path", FORM_OWN, .read = read_path,
		.doc = "Physical port: ID_PATH of udev (pci-0000:00:14.0-usb-0:1.2) or the sysfs form (1-1.2), of the device or of one interface; a list where one socket has several.",
		.schema =
			"{\"type\":[\"string\",\"array\"],\"minLength\":1,\"minItems\":1,\"items\":{\"type\":\"string\"}}"},
	{"tty", FORM_TEXT, .doc = "A fixed node, instead of path.", FORM_AT(struct port_form, tty)},
	{"tcp", FORM_TEXT, .doc = "HOST:PORT, instead of path.", FORM_AT(struct port_form, tcp)},
	{"udp", FORM_TEXT, .doc = "HOST:PORT, instead of path.", FORM_AT(struct port_form, udp)},
	{"kind", FORM_OWN, .read = read_kind,
		.doc = "tty, usb, probe, tcp or udp; by default what the address is, else tty.",
		.schema = "{\"enum\":[\"tty\",\"usb\",\"probe\",\"tcp\",\"udp\"]}"},
	{"interface", FORM_INT, .low = 0, .high = 255,
		.doc = "The interface of a USB device; by default the first that appears.",
		FORM_AT(struct port_form, p.interface)},
	{"vid", FORM_OWN, .read = read_vid, .schema = USB_ID_SCHEMA,
		.doc = "What must be plugged there: four hex digits in quotes."},
	{"pid", FORM_OWN, .read = read_pid, .schema = USB_ID_SCHEMA,
		.doc = "What must be plugged there: four hex digits in quotes."},
	{"also", FORM_OWN, .read = read_also,
		.doc = "A list of further ids that the unit has in another of its lives, such as ['0483:df11'].",
		.schema =
			"{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{4}:[0-9a-f]{4}$\"}}"},
	{"baud", FORM_INT, .low = 50, .high = 20000000,
		.doc = "The speed of the line; by default what the recipe says.",
		FORM_AT(struct port_form, p.baud)},
	{"optional", FORM_BOOL, .def = "false", .doc = "The station is complete without it.",
		FORM_AT(struct port_form, p.optional)},
	{0},
};

void config_check_host_port(const char *key, const char *s, const char *pointer, struct mistakes *m)
{
	if (s && !strrchr(s, ':'))
		mistakes_add(m, pointer, "'%s' must be HOST:PORT", key);
}

static void load_port(struct mistakes *m, const char *role, const json_t *o, const char *pointer,
	struct port_config *out)
{
	struct port_form f = {.p.interface = -1};

	if (!json_is_object(o)) {
		mistakes_add(m, pointer, "port '%s' must be a mapping such as {path: ...}", role);
		f.p.kind = xstrdup("tty");
	} else {
		form_read(port_rows, o, pointer, "key", &f, m);
		if (!!json_object_get(o, "path") + !!f.tty + !!f.tcp + !!f.udp != 1)
			mistakes_add(m, pointer,
				"port '%s' needs one of 'path', 'tty', 'tcp' or 'udp'", role);
		config_check_host_port("tcp", f.tcp, pointer, m);
		config_check_host_port("udp", f.udp, pointer, m);
	}
	if (!f.p.kind)
		f.p.kind = xstrdup(f.tcp ? "tcp" : f.udp ? "udp" : "tty");
	if (f.tty || f.tcp || f.udp)
		f.p.address = xasprintf("%s:%s",
			f.tty	? "tty"
			: f.tcp ? "tcp"
				: "udp",
			f.tty	? f.tty
			: f.tcp ? f.tcp
				: f.udp);
	f.p.role = xstrdup(role);
	form_done(port_rows, &f);
	*out = f.p;
}

/* --- stations --- */

static void read_ports(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct station_config *s = to;
	const char *role;
	json_t *port;

	if (!json_is_object(v))
		return;
	s->port = xcalloc(json_object_size(v), sizeof *s->port);
	json_object_foreach((json_t *)v, role, port) {
		_cleanup_(freep) char *p = pointer_key(pointer, role);

		load_port(m, role, port, p, &s->port[s->ports++]);
	}
}

/* Whether v is a list of names alone; those that are go into *ret. */
static bool read_names(const json_t *v, char ***ret, size_t *ret_n)
{
	size_t n = json_array_size(v);

	*ret = xcalloc(n + 1, sizeof **ret);
	for (size_t i = 0; i < n; i++) {
		const char *name = json_string_value(json_array_get(v, i));

		if (config_is_name(name))
			(*ret)[(*ret_n)++] = xstrdup(name);
	}
	return json_is_array(v) && *ret_n == n;
}

static void read_instruments(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct station_config *s = to;

	if (!read_names(v, &s->instrument, &s->instruments))
		mistakes_add(m, pointer,
			"'instruments' must be a list of names such as [dmm-7, scope-2]: letters, digits, - _ and .");
}

static void read_capabilities(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct station_config *s = to;

	if (!read_names(v, &s->capability, &s->capabilities))
		mistakes_add(m, pointer,
			"'capabilities' must be a list of names such as [rf-chamber, camera]: letters, digits, - _ and .");
}

static const char *const starts[] = {"plug", "manual", NULL};

const struct form_row station_rows[] = {
	{"id", FORM_TEXT, .doc = "The name of the station: letters, digits, - _ and . (needed).",
		FORM_AT(struct station_config, id)},
	{"title", FORM_TEXT, .def = "", .doc = "What people call it.",
		FORM_AT(struct station_config, title)},
	{"fixture", FORM_TEXT, .low = 1, .high = CONFIG_ID_MAX,
		.doc = "The fixture that it is made of, which may move to another station with its wear and its calibration; by default named as the station.",
		FORM_AT(struct station_config, fixture)},
	{"settle", FORM_DURATION, .doc = "As above, for this station.",
		FORM_AT(struct station_config, settle_us)},
	{"quarantine_after", FORM_INT, .low = 0, .high = 1000, .doc = "As above, for this station.",
		FORM_AT(struct station_config, quarantine_after)},
	{"start", FORM_CHOICE, .choices = starts, .def = "plug",
		.doc = "A run begins when a unit is plugged, or on command.",
		FORM_AT(struct station_config, start)},
	{"capabilities", FORM_OWN, .read = read_capabilities,
		.doc = "Names of what the station can do besides using its ports, such as [rf-chamber]: an order that 'requires' them goes to such stations alone.",
		.schema =
			"{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_.-]{1,64}$\"}}"},
	{"instruments", FORM_OWN, .read = read_instruments,
		.doc = "What the station measures with, such as [dmm-7]: the interlock 'calibration' looks at the calibration of each, as at that of the fixture. Several stations may share one.",
		.schema =
			"{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_.-]{1,64}$\"}}"},
	{"power", FORM_OWN, .read = config_read_power, .rows = power_rows,
		.doc = "How the power of the unit is switched, for device.power and device.reset: see below."},
	{"reset", FORM_OWN, .read = config_read_reset, .rows = reset_rows,
		.doc = "The GPIO line that resets the unit, for device.reset: a mapping of chip, line and active_low."},
	{"ports", FORM_OWN, .read = read_ports, .doc = "A mapping of roles (needed): see below.",
		.schema = "{\"type\":\"object\",\"minProperties\":1}"},
	{0},
};

bool config_is_name(const char *s)
{
	return s && *s && strlen(s) <= CONFIG_ID_MAX &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
		       strlen(s);
}

static bool has_path(const struct station_config *s)
{
	for (size_t i = 0; i < s->ports; i++)
		if (s->port[i].paths > 0)
			return true;
	return false;
}

/* One piece of hardware is in one place. */
static void check_fixture(const struct config *c, const struct station_config *s,
	const char *pointer, struct mistakes *m)
{
	for (size_t i = 0; i < c->stations; i++)
		if (!strcmp(c->station[i].fixture, s->fixture) &&
			strcmp(c->station[i].id, s->id) != 0)
			mistakes_add(m, pointer,
				"stations '%s' and '%s' both have the fixture '%s'",
				c->station[i].id, s->id, s->fixture);
}

static void load_station(struct config *c, const json_t *o, const char *pointer, struct mistakes *m)
{
	struct station_config s = {
		.settle_us = c->settle_us, .quarantine_after = c->quarantine_after};
	struct station_config *grown;

	if (!json_is_object(o)) {
		mistakes_add(m, pointer, "a station must be a mapping with 'id' and 'ports'");
		return;
	}
	form_read(station_rows, o, pointer, "key", &s, m);
	if (!config_is_name(s.id))
		mistakes_add(m, pointer, "'id' is missing or no name: letters, digits, - _ and .");
	if (s.id && config_station(c, s.id))
		mistakes_add(m, pointer, "station '%s' is defined twice", s.id);
	if (!s.id)
		s.id = xstrdup("");
	if (!s.fixture)
		s.fixture = xstrdup(s.id);
	else if (!config_is_name(s.fixture))
		mistakes_add(m, pointer, "'fixture' is no name: letters, digits, - _ and .");
	check_fixture(c, &s, pointer, m);
	if (s.ports == 0)
		mistakes_add(m, pointer, "station '%s' has no 'ports'", s.id);
	/* Nothing shows when a unit is put on fixed ports alone: a person or the MES says so. */
	s.manual = s.start == 1 || !has_path(&s);
	grown = reallocarray(c->station, c->stations + 1, sizeof *grown);
	if (!grown)
		abort();
	c->station = grown;
	grown[c->stations++] = s;
}

/* "1-1.2:1.0" or "...-usb-0:1.2:1.0" name one interface; without it, the device. */
static size_t device_part(const char *path)
{
	const char *colon = strrchr(path, ':');
	const char *usb = strstr(path, "usb-0:");

	if (!colon || (usb && colon == usb + 5) || (!usb && strchr(path, ':') != colon))
		return strlen(path);
	return (size_t)(colon - path);
}

static bool paths_overlap(
	const struct port_config *a, const struct port_config *b, const char **which)
{
	for (size_t i = 0; i < a->paths; i++) {
		for (size_t k = 0; k < b->paths; k++) {
			size_t na = device_part(a->path[i]);
			size_t nb = device_part(b->path[k]);

			if (na != nb || strncmp(a->path[i], b->path[k], na) != 0)
				continue;
			/* Two interfaces of one device may belong to two roles. */
			if (a->path[i][na] && b->path[k][nb] && strcmp(a->path[i], b->path[k]) != 0)
				continue;
			if (a->interface >= 0 && b->interface >= 0 && a->interface != b->interface)
				continue;
			if (strcmp(a->kind, b->kind) != 0 &&
				(!strcmp(a->kind, "tty") || !strcmp(b->kind, "tty")))
				continue; /* the probe and the console of one debug board */
			*which = a->path[i];
			return true;
		}
	}
	if (a->address && b->address && !strcmp(a->address, b->address)) {
		*which = a->address;
		return true;
	}
	return false;
}

/* Overlaps of the stations from `first` on with each other and with those before. */
static void check_overlaps(const struct config *c, size_t first, struct mistakes *m)
{
	for (size_t s = first; s < c->stations; s++) {
		for (size_t p = 0; p < c->station[s].ports; p++) {
			for (size_t t = 0; t <= s; t++) {
				size_t end = t == s ? p : c->station[t].ports;

				for (size_t q = 0; q < end; q++) {
					const char *which = NULL;

					if (paths_overlap(&c->station[s].port[p],
						    &c->station[t].port[q], &which))
						mistakes_add(m, "/stations",
							"station '%s' port '%s' and station '%s' port '%s' both claim %s",
							c->station[t].id,
							c->station[t].port[q].role,
							c->station[s].id,
							c->station[s].port[p].role, which);
				}
			}
		}
	}
}

void config_read_stations(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;
	size_t first = c->stations;
	json_t *o;
	size_t i;

	if (!json_is_array(v))
		mistakes_add(m, pointer, "'stations' must be a list");
	json_array_foreach((json_t *)v, i, o) {
		_cleanup_(freep) char *p = pointer_index(pointer, i);

		load_station(c, o, p, m);
	}
	check_overlaps(c, first, m);
	config_check_power(c, first, m);
}

/* --- one of them --- */

const struct station_config *config_station(const struct config *c, const char *id)
{
	for (size_t i = 0; i < c->stations; i++)
		if (!strcmp(c->station[i].id, id))
			return &c->station[i];
	return NULL;
}

const struct port_config *station_port(const struct station_config *s, const char *role)
{
	for (size_t i = 0; i < s->ports; i++)
		if (!strcmp(s->port[i].role, role))
			return &s->port[i];
	return NULL;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool port_equal(const struct port_config *a, const struct port_config *b)
{
	if (a->paths != b->paths)
		return false;
	for (size_t i = 0; i < a->paths; i++)
		if (strcmp(a->path[i], b->path[i]) != 0)
			return false;
	if (a->alsos != b->alsos)
		return false;
	for (size_t i = 0; i < a->alsos; i++)
		if (strcmp(a->also[i], b->also[i]) != 0)
			return false;
	return same(a->role, b->role) && same(a->kind, b->kind) && same(a->vid, b->vid) &&
	       same(a->pid, b->pid) && same(a->address, b->address) &&
	       a->interface == b->interface && a->baud == b->baud && a->optional == b->optional;
}

struct config_port config_port_of(struct config *c, const struct station_config *st, size_t port)
{
	return (struct config_port){config_ref(c), st, port};
}

void config_port_done(struct config_port *p)
{
	config_unref(p->config);
	*p = (struct config_port){0};
}

const struct port_config *config_port_row(const struct config_port *p)
{
	return &p->station->port[p->port];
}

bool station_can(const struct station_config *s, const char *capability)
{
	for (size_t i = 0; i < s->capabilities; i++)
		if (!strcmp(s->capability[i], capability))
			return true;
	return false;
}

static bool can_the_same(const struct station_config *a, const struct station_config *b)
{
	for (size_t i = 0; i < a->capabilities; i++)
		if (!station_can(b, a->capability[i]))
			return false;
	return a->capabilities == b->capabilities;
}

static bool measure_the_same(const struct station_config *a, const struct station_config *b)
{
	for (size_t i = 0; i < a->instruments && i < b->instruments; i++)
		if (strcmp(a->instrument[i], b->instrument[i]) != 0)
			return false;
	return a->instruments == b->instruments;
}

bool station_config_equal(const struct station_config *a, const struct station_config *b)
{
	if (!same(a->id, b->id) || !same(a->title, b->title) || !same(a->fixture, b->fixture) ||
		a->settle_us != b->settle_us || a->quarantine_after != b->quarantine_after ||
		a->manual != b->manual || a->ports != b->ports || !can_the_same(a, b) ||
		!measure_the_same(a, b) || !config_power_equal(a, b))
		return false;
	for (size_t i = 0; i < a->ports; i++)
		if (!port_equal(&a->port[i], &b->port[i]))
			return false;
	return true;
}
