/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/controllers.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define CONTROLLERS_MAX 64
#define PLACES_MAX	4096
#define CHAIN_BYTES	40 /* 1.4.2 */
#define NAME_BYTES	64
/* USB 2.0, 4.1.1: a port of the root hub, and those of five hubs after it. */
#define CHAIN_MAX 6
/* USB 2.0, 9.4.6: 7 bits of address, of which 0 is nobody's and one the root hub's. */
#define BUS_ADDRESSES 126
#define MAX_SLOTS     0xff /* of HCSPARAMS1 */

struct controller {
	char name[NAME_BYTES]; /* 0000:00:14.0 */
	unsigned bus[8];
	unsigned buses;
	unsigned slots; /* 0: nobody said */
};

/* One place where a device is, or may be. */
struct place {
	const struct controller *controller;
	char chain[CHAIN_BYTES];
	const char *station; /* NULL: a hub, or what is plugged and no station's */
	bool hub;
	/* That are plugged there: a hub of USB 3 is two, one on each bus of the controller, and takes two slots. */
	unsigned devices;
};

struct look {
	const char *sysfs;
	struct controller controller[CONTROLLERS_MAX];
	size_t controllers;
	struct place *place;
	size_t places;
	unsigned mistakes, unknown;
	struct strbuf *out;
};

/* -- sysfs -- */

static bool value_of(const char *path, char *ret, size_t size)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");

	if (!f || !fgets(ret, (int)size, f))
		return false;
	ret[strcspn(ret, "\n")] = '\0';
	return true;
}

/* Of the xHCI that says it: "HCSPARAMS1 = 0x20000840". */
static unsigned slots_of(const struct look *l, const char *controller)
{
	_cleanup_(freep) char *path =
		xasprintf("%s/kernel/debug/usb/xhci/%s/reg-cap", l->sysfs, controller);
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	char line[128];
	unsigned params;

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "HCSPARAMS1 = %x", &params) == 1)
			return params & MAX_SLOTS;
	return 0;
}

/* The controller is the directory that the root hub's is in. */
static void add_bus(struct look *l, unsigned bus)
{
	_cleanup_(freep) char *path = xasprintf("%s/bus/usb/devices/usb%u", l->sysfs, bus);
	_cleanup_(freep) char *real = realpath(path, NULL);
	char *slash = real ? strrchr(real, '/') : NULL;
	struct controller *c = l->controller;
	const char *name;

	if (!slash)
		return;
	*slash = '\0';
	name = strrchr(real, '/') + 1;
	while (c < l->controller + l->controllers && strcmp(c->name, name) != 0)
		c++;
	if (c == l->controller + CONTROLLERS_MAX || c->buses == ARRAY_LEN(c->bus))
		return;
	if (c == l->controller + l->controllers) {
		snprintf(c->name, sizeof c->name, "%s", name);
		c->slots = slots_of(l, c->name);
		l->controllers++;
	}
	c->bus[c->buses++] = bus;
}

static const struct controller *of_bus(const struct look *l, unsigned bus)
{
	for (size_t i = 0; i < l->controllers; i++)
		for (unsigned k = 0; k < l->controller[i].buses; k++)
			if (l->controller[i].bus[k] == bus)
				return &l->controller[i];
	return NULL;
}

/* The n characters before "-usb-0:" end with the controller; of a Raspberry Pi 4 they are platform-fd500000.pcie-pci-0000:01:00.0. */
static const struct controller *of_path(const struct look *l, const char *path, size_t n)
{
	const struct controller *best = NULL;

	for (size_t i = 0; i < l->controllers; i++) {
		const struct controller *c = &l->controller[i];
		size_t len = strlen(c->name);

		if (len < n && path[n - len - 1] == '-' && !memcmp(path + n - len, c->name, len) &&
			(!best || len > strlen(best->name)))
			best = c;
	}
	return best;
}

/* -- places -- */

static struct place *find(const struct look *l, const struct controller *c, const char *chain)
{
	for (size_t i = 0; i < l->places; i++)
		if (l->place[i].controller == c && !strcmp(l->place[i].chain, chain))
			return &l->place[i];
	return NULL;
}

static void add(struct look *l, const struct controller *c, const char *chain, const char *station,
	bool hub)
{
	struct place *p = find(l, c, chain);

	if (p || l->places == PLACES_MAX) {
		if (p)
			p->hub |= hub;
		return;
	}
	p = &l->place[l->places++];
	*p = (struct place){.controller = c, .station = station, .hub = hub};
	snprintf(p->chain, sizeof p->chain, "%s", chain);
}

/* The hubs on the way: each part of the chain but the whole. */
static void add_hubs(struct look *l, const struct controller *c, const char *chain)
{
	char part[CHAIN_BYTES];

	for (const char *dot = strchr(chain, '.'); dot; dot = strchr(dot + 1, '.')) {
		snprintf(part, sizeof part, "%.*s", (int)(dot - chain), chain);
		add(l, c, part, NULL, true);
	}
}

/* "1-1.4[:1.0]", or "pci-0000:00:14.0-usb-0:1.4[:1.0]" with whatever leads to it: the controller, and 1.4. false: neither. */
static bool parse(const struct look *l, const char *path, const struct controller **ret,
	char chain[CHAIN_BYTES], bool *ret_known)
{
	const char *usb = strstr(path, "-usb-0:");
	const char *from = usb ? usb + strlen("-usb-0:") : strchr(path, '-');
	size_t n;

	if (!from || (!usb && !isdigit((unsigned char)*path)))
		return false;
	from += !usb;
	n = strspn(from, "0123456789.");
	if (!n || n >= CHAIN_BYTES || (from[n] && from[n] != ':'))
		return false;
	snprintf(chain, CHAIN_BYTES, "%.*s", (int)n, from);
	*ret = usb ? of_path(l, path, (size_t)(usb - path))
		   : of_bus(l, (unsigned)strtoul(path, NULL, 10));
	*ret_known = *ret != NULL;
	return true;
}

/* -- what is plugged -- */

/* "1-1.4": not "usb1", and no interface. */
static void add_plugged(struct look *l, const char *name)
{
	const char *dash = strchr(name, '-');
	const struct controller *c;
	struct place *p;

	if (!isdigit((unsigned char)*name) || !dash || strchr(name, ':'))
		return;
	c = of_bus(l, (unsigned)strtoul(name, NULL, 10));
	if (!c || strlen(dash + 1) >= CHAIN_BYTES)
		return;
	add(l, c, dash + 1, NULL, false);
	p = find(l, c, dash + 1);
	if (p)
		p->devices++;
}

static void each_device(struct look *l, bool root_hubs)
{
	_cleanup_(freep) char *path = xasprintf("%s/bus/usb/devices", l->sysfs);
	DIR *dir = opendir(path);

	for (struct dirent *d; dir && (d = readdir(dir));) {
		if (root_hubs && !strncmp(d->d_name, "usb", 3))
			add_bus(l, (unsigned)strtoul(d->d_name + 3, NULL, 10));
		else if (!root_hubs)
			add_plugged(l, d->d_name);
	}
	if (dir)
		closedir(dir);
}

/* -- mistakes -- */

static void mistake(struct look *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void mistake(struct look *l, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	sb_addf(l->out, "%s\n", text);
	l->mistakes++;
}

static unsigned parts_of(const char *chain)
{
	unsigned n = 1;

	for (const char *p = chain; *p; p++)
		n += *p == '.';
	return n;
}

/* How many ports the hub there has: of the root hubs of one controller the larger number. 0: none is plugged. */
static unsigned ports_of(const struct look *l, const struct controller *c, const char *hub)
{
	unsigned most = 0;

	for (unsigned i = 0; i < c->buses; i++) {
		_cleanup_(freep) char *path =
			*hub ? xasprintf("%s/bus/usb/devices/%u-%s/maxchild", l->sysfs, c->bus[i],
				       hub)
			     : xasprintf("%s/bus/usb/devices/usb%u/maxchild", l->sysfs, c->bus[i]);
		char text[16];

		if (value_of(path, text, sizeof text))
			most = MAX(most, (unsigned)strtoul(text, NULL, 10));
	}
	return most;
}

/* The port numbers on the way, each of a hub that is plugged now. */
static void check_ports(struct look *l, const struct place *p)
{
	char hub[CHAIN_BYTES] = "";

	for (const char *at = p->chain; at;) {
		unsigned port = (unsigned)strtoul(at, NULL, 10);
		unsigned ports = ports_of(l, p->controller, hub);

		if (ports && (port == 0 || port > ports)) {
			mistake(l,
				"station %s: port %s of USB controller %s: %s%s has %u ports, so that there is no port %u: move the station to one of them",
				p->station, p->chain, p->controller->name,
				*hub ? "the hub on " : "the root hub", hub, ports, port);
			return;
		}
		at = strchr(at, '.');
		snprintf(hub, sizeof hub, "%.*s", at ? (int)(at - p->chain) : 0, p->chain);
		if (at)
			at++;
	}
}

static void check_depth(struct look *l, const char *station, const char *path, const char *chain)
{
	unsigned hubs = parts_of(chain) - 1;

	if (hubs + 1 > CHAIN_MAX)
		mistake(l,
			"station %s: port %s goes through %u hubs; USB allows %d between the machine and a device: move the station to a hub nearer to it",
			station, path, hubs, CHAIN_MAX - 1);
}

/* The first station, in the order of the configuration, that finds no place any more. */
static const char *first_too_many(const struct look *l, const struct controller *c, unsigned room)
{
	unsigned n = 0;

	for (size_t i = 0; i < l->places; i++)
		if (l->place[i].controller == c && l->place[i].station && ++n > room)
			return l->place[i].station;
	return NULL;
}

static void check_room(struct look *l, const struct controller *c)
{
	unsigned stations = 0, hubs = 0, others = 0;
	unsigned room = c->slots ? c->slots : BUS_ADDRESSES * c->buses;
	const char *first;

	for (size_t i = 0; i < l->places; i++) {
		const struct place *p = &l->place[i];

		if (p->controller != c)
			continue;
		*(p->station ? &stations : p->hub ? &hubs : &others) += MAX(p->devices, 1u);
	}
	if (!stations || stations + hubs + others <= room)
		return;
	first = first_too_many(l, c, room > hubs + others ? room - hubs - others : 0);
	mistake(l,
		"USB controller %s has %u %s, and %u devices need one: %u of stations, %u hubs on the way to them and %u that are plugged and no station's: move station %s and those after it to another controller",
		c->name, room, c->slots ? "device slots" : "addresses", stations + hubs + others,
		stations, hubs, others, first ? first : "");
}

/* -- all -- */

/* Of a socket with several paths the first one counts: it is one device. */
static void add_port(struct look *l, const char *station, const struct port_config *p)
{
	const struct controller *c = NULL;
	char chain[CHAIN_BYTES];
	bool known = false;

	for (size_t i = 0; i < p->paths; i++)
		if (parse(l, p->path[i], &c, chain, &known))
			check_depth(l, station, p->path[i], chain);
	if (!p->paths || !parse(l, p->path[0], &c, chain, &known))
		return;
	l->unknown += !known;
	if (known)
		add(l, c, chain, station, false);
}

unsigned controllers_check(
	const char *sysfs, const struct config *c, struct strbuf *mistakes, struct strbuf *notes)
{
	struct look *l = xcalloc(1, sizeof *l);
	unsigned n;

	l->sysfs = sysfs;
	l->out = mistakes;
	l->place = xcalloc(PLACES_MAX, sizeof *l->place);
	each_device(l, true);
	for (size_t i = 0; i < c->stations; i++)
		for (size_t k = 0; k < c->station[i].ports; k++)
			add_port(l, c->station[i].id, &c->station[i].port[k]);
	for (size_t i = 0, own = l->places; i < own; i++) {
		check_ports(l, &l->place[i]);
		add_hubs(l, l->place[i].controller, l->place[i].chain);
	}
	each_device(l, false);
	for (size_t i = 0; i < l->controllers; i++)
		check_room(l, &l->controller[i]);
	if (l->unknown)
		sb_addf(notes,
			"%u port%s on USB controllers that this machine does not have: not looked at\n",
			l->unknown, l->unknown == 1 ? " of a station is" : "s of stations are");
	n = l->mistakes;
	free(l->place);
	free(l);
	return n;
}
