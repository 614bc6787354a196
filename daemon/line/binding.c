/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/binding.h"

#include "base/thread.h"
#include "base/util.h"

struct device {
	struct hotplug_event ev;
	const struct hotplug *source;
	bool seen; /* in the scan that is going on */
	uint64_t since_us;
	uint64_t generation;
	struct config_port at; /* where it is bound; none while unbound */
	bool wrong;
};

struct binding {
	struct binding_sink sink;
	/* The snapshot that the devices are bound by: read by the main thread alone. Other threads
	 * look at that of a device, under the lock, which its handle keeps. */
	struct config *config;
	struct mutex lock;     /* of the list, for binding_ports() */
	struct device *device; /* changed by the main thread only, under the lock */
	size_t count;
	uint64_t generation;
};

struct binding *binding_new(const struct binding_sink *sink)
{
	struct binding *b = xcalloc(1, sizeof *b);

	mutex_init(&b->lock);
	b->sink = *sink;
	return b;
}

struct binding *binding_free(struct binding *b)
{
	if (b) {
		config_unref(b->config);
		mutex_done(&b->lock);
		for (size_t i = 0; i < b->count; i++)
			config_port_done(&b->device[i].at);
		free(b->device);
		free(b);
	}
	return NULL;
}

/* The device's own path: without the interface (":1.0") and the port of a multi-port adapter. */
static size_t device_len(const char *path, const struct hotplug_event *ev)
{
	const char *colon = strrchr(path, ':');

	/* "...-usb-0:1.2:1.0": the text after the second colon is configuration.interface; that of
	 * "...-usb-0:1.2" is the port chain. */
	if (strcmp(ev->subsystem, "tty") != 0 || !colon || ev->interface < 0)
		return strlen(path);
	return (size_t)(colon - path);
}

static bool path_matches(const char *path, const struct hotplug_event *ev)
{
	size_t n = device_len(ev->id_path, ev);
	size_t len = strlen(path);
	size_t sys = strlen(ev->sysname);
	char itf[8];

	if (!strcmp(path, ev->id_path) && *path)
		return true;
	if (n && len == n && !strncmp(path, ev->id_path, n))
		return true;
	if (!sys || strncmp(path, ev->sysname, sys) != 0)
		return false;
	/* 1-1.4.2, or 1-1.4.2:1.0 for one interface. */
	snprintf(itf, sizeof itf, ":1.%d", ev->interface);
	return !path[sys] || (ev->interface >= 0 && !strcmp(path + sys, itf));
}

static bool kind_matches(const struct port_config *p, const struct hotplug_event *ev)
{
	if (!strcmp(p->kind, "usb") || !strcmp(p->kind, "probe"))
		return !strcmp(ev->devtype, "usb_device");
	return !strcmp(ev->subsystem, "tty");
}

static bool port_matches(const struct port_config *p, const struct hotplug_event *ev)
{
	if (!kind_matches(p, ev) || (p->interface >= 0 && p->interface != ev->interface))
		return false;
	for (size_t i = 0; i < p->paths; i++)
		if (path_matches(p->path[i], ev))
			return true;
	return false;
}

static bool is_bound(const struct device *d)
{
	return d->at.config != NULL;
}

static bool is_taken(const struct binding *b, const char *station, size_t port)
{
	for (size_t i = 0; i < b->count; i++) {
		const struct device *d = &b->device[i];

		if (is_bound(d) && d->at.port == port && !strcmp(d->at.station->id, station))
			return true;
	}
	return false;
}

static struct device_facts facts_of(const struct device *d)
{
	struct device_facts f = {.generation = d->generation};

	if (strcmp(d->ev.subsystem, "tty") != 0)
		/* By what was enumerated, not by where: a node is of one enumeration only. */
		snprintf(f.node, sizeof f.node, "usb:%.100s",
			d->ev.node[0] == '/' ? d->ev.node : d->ev.sysname);
	else if (d->ev.node[0] == '/')
		snprintf(f.node, sizeof f.node, "tty:%.120s", d->ev.node);
	else
		snprintf(f.node, sizeof f.node, "%s", d->ev.node);
	snprintf(f.vid, sizeof f.vid, "%s", d->ev.vid);
	snprintf(f.pid, sizeof f.pid, "%s", d->ev.pid);
	snprintf(f.serial, sizeof f.serial, "%s", d->ev.serial);
	snprintf(f.path, sizeof f.path, "%s", d->ev.id_path);
	snprintf(f.port, sizeof f.port, "%s", d->ev.sysname);
	f.speed_kbps = d->ev.speed_kbps;
	f.came_us = d->ev.initialized_us;
	if (d->ev.initialized_us)
		snprintf(f.enumeration, sizeof f.enumeration, "%u.%llu", d->ev.devnum,
			(unsigned long long)d->ev.initialized_us);
	return f;
}

/* The ids that belong there: the unit's own, or those of another of its lives (a boot ROM). */
static bool port_takes(const struct port_config *pc, const char *vid, const char *pid)
{
	char id[20];

	if ((!pc->vid || !strcmp(pc->vid, vid)) && (!pc->pid || !strcmp(pc->pid, pid)))
		return true;
	snprintf(id, sizeof id, "%s:%s", vid, pid);
	for (size_t i = 0; i < pc->alsos; i++)
		if (!strcmp(pc->also[i], id))
			return true;
	return false;
}

/* Gives a device to the first free port that it matches. */
static void bind_device(struct binding *b, struct device *d)
{
	for (size_t s = 0; b->config && s < b->config->stations; s++) {
		const struct station_config *st = &b->config->station[s];

		for (size_t p = 0; p < st->ports; p++) {
			const struct port_config *pc = &st->port[p];

			if (!port_matches(pc, &d->ev) || is_taken(b, st->id, p))
				continue;

			struct device_facts f;

			mutex_lock(&b->lock);
			d->at = config_port_of(b->config, st, p);
			d->generation = ++b->generation;
			d->wrong = !port_takes(pc, d->ev.vid, d->ev.pid);
			mutex_unlock(&b->lock);
			f = facts_of(d);
			b->sink.present(b->sink.data, &d->at, &f, d->wrong);
			return;
		}
	}
}

static void unbind_device(struct binding *b, struct device *d)
{
	struct config_port was = d->at;

	if (!is_bound(d))
		return;
	mutex_lock(&b->lock);
	d->at = (struct config_port){0};
	mutex_unlock(&b->lock);
	b->sink.absent(b->sink.data, &was);
	config_port_done(&was);
}

/* Devices that had to wait for a port may have it now. */
static void bind_rest(struct binding *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (!is_bound(&b->device[i]))
			bind_device(b, &b->device[i]);
}

static void remove_at(struct binding *b, size_t i)
{
	unbind_device(b, &b->device[i]);
	mutex_lock(&b->lock);
	b->device[i] = b->device[--b->count];
	mutex_unlock(&b->lock);
}

static size_t find(const struct binding *b, const struct hotplug *source, const char *syspath)
{
	size_t i = 0;

	while (i < b->count &&
		(b->device[i].source != source || strcmp(b->device[i].ev.syspath, syspath) != 0))
		i++;
	return i;
}

static bool same_enumeration(const struct hotplug_event *a, const struct hotplug_event *b)
{
	if (a->devnum && b->devnum && a->devnum != b->devnum)
		return false;
	if (a->initialized_us && b->initialized_us && a->initialized_us != b->initialized_us)
		return false;
	return !strcmp(a->node, b->node) && !strcmp(a->vid, b->vid) && !strcmp(a->pid, b->pid) &&
	       !strcmp(a->serial, b->serial);
}

static void device_present(
	struct binding *b, const struct hotplug *source, const struct hotplug_event *ev)
{
	size_t i = find(b, source, ev->syspath);

	if (i < b->count && same_enumeration(&b->device[i].ev, ev)) {
		b->device[i].seen = true;
		return;
	}
	if (i < b->count)
		remove_at(b, i); /* its remove was lost or is late */
	mutex_lock(&b->lock);

	struct device *grown = reallocarray(b->device, b->count + 1, sizeof *grown);

	if (!grown)
		abort();
	b->device = grown;
	grown[b->count] =
		(struct device){.ev = *ev, .source = source, .seen = true, .since_us = now_us()};
	b->count++;
	mutex_unlock(&b->lock);
	bind_device(b, &b->device[b->count - 1]);
}

static bool is_below(const char *path, const char *parent)
{
	size_t n = strlen(parent);

	return !strncmp(path, parent, n) && (path[n] == '/' || !path[n]);
}

/* Whether ev is about another enumeration than the one that is here. A tty has no devnum of its
 * own. */
static bool older(const struct hotplug_event *ev, const struct hotplug_event *here)
{
	if (ev->devnum && here->devnum)
		return ev->devnum != here->devnum;
	return ev->initialized_us && here->initialized_us &&
	       ev->initialized_us != here->initialized_us;
}

static void device_gone(
	struct binding *b, const struct hotplug *source, const struct hotplug_event *ev)
{
	size_t at = find(b, source, ev->syspath);

	/* A remove of the enumeration before this one (a reset storm): the device is here. */
	if (at < b->count && older(ev, &b->device[at].ev))
		return;
	for (size_t i = b->count; i-- > 0;)
		if (b->device[i].source == source && is_below(b->device[i].ev.syspath, ev->syspath))
			remove_at(b, i);
	bind_rest(b);
}

void binding_event(struct binding *b, const struct hotplug *source, const struct hotplug_event *ev)
{
	switch (ev->kind) {
	case HOTPLUG_PRESENT:
		device_present(b, source, ev);
		break;
	case HOTPLUG_GONE:
		device_gone(b, source, ev);
		break;
	case HOTPLUG_SCAN_BEGIN:
		for (size_t i = 0; i < b->count; i++)
			if (b->device[i].source == source)
				b->device[i].seen = false;
		break;
	case HOTPLUG_SCAN_DONE:
		for (size_t i = b->count; i-- > 0;)
			if (b->device[i].source == source && !b->device[i].seen)
				remove_at(b, i);
		bind_rest(b);
		break;
	}
}

/* What did not change stays bound, by the new snapshot: the old one is not kept for it. */
static bool still_there(struct binding *b, struct device *d)
{
	const struct station_config *n = config_station(b->config, d->at.station->id);
	struct config_port was = d->at;

	if (!n || !station_config_equal(was.station, n))
		return false;
	mutex_lock(&b->lock);
	d->at = config_port_of(b->config, n, was.port);
	mutex_unlock(&b->lock);
	config_port_done(&was);
	return true;
}

void binding_set_config(struct binding *b, struct config *c)
{
	struct config *old = b->config;

	b->config = config_ref(c);
	for (size_t i = 0; i < b->count; i++)
		if (is_bound(&b->device[i]) && !still_there(b, &b->device[i]))
			unbind_device(b, &b->device[i]);
	bind_rest(b);
	config_unref(old);
}

static char *yaml_hint(const struct device *d)
{
	struct strbuf s = {0};
	bool tty = !strcmp(d->ev.subsystem, "tty");
	size_t n = device_len(d->ev.id_path, &d->ev);

	sb_addf(&s, "stations:\n  - id: NAME\n    ports:\n      %s:\n        path: '%.*s'\n",
		tty ? "console" : "dut", (int)n, d->ev.id_path);
	if (tty && d->ev.interface > 0)
		sb_addf(&s, "        interface: %d\n", d->ev.interface);
	if (!tty)
		sb_add(&s, "        kind: usb\n");
	if (d->ev.vid[0])
		sb_addf(&s, "        vid: '%s'\n        pid: '%s'\n", d->ev.vid, d->ev.pid);
	return sb_take(&s);
}

bool binding_moved(struct binding *b, const char *serial, const char *path, uint64_t since_us,
	char *ret, size_t size)
{
	bool found = false;

	mutex_lock(&b->lock);
	for (size_t i = 0; !found && i < b->count; i++) {
		const struct device *d = &b->device[i];
		size_t n = device_len(d->ev.id_path, &d->ev);

		if (strcmp(d->ev.serial, serial) != 0 || d->since_us < since_us ||
			(strlen(path) >= n && !strncmp(path, d->ev.id_path, n)))
			continue;
		snprintf(ret, size, "%.*s", (int)n, d->ev.id_path);
		found = true;
	}
	mutex_unlock(&b->lock);
	return found;
}

json_t *binding_ports(struct binding *b)
{
	json_t *list = json_array();

	mutex_lock(&b->lock);
	for (size_t i = 0; i < b->count; i++) {
		const struct device *d = &b->device[i];
		struct device_facts f = facts_of(d);
		json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "node", f.node, "path",
			f.path, "vid", f.vid, "pid", f.pid, "serial", f.serial, "subsystem",
			d->ev.subsystem, "wrong_device", d->wrong);

		if (!o)
			continue; /* a serial that is not UTF-8 */
		if (!strncmp(d->ev.sysname, "usb", 3)) {
			json_decref(o); /* a root hub is not a fixture */
			continue;
		}
		if (d->ev.hub)
			json_object_set_new(o, "hub", json_true());
		if (is_bound(d)) {
			json_object_set_new(o, "station", json_string(d->at.station->id));
			json_object_set_new(o, "port", json_string(config_port_row(&d->at)->role));
		} else {
			_cleanup_(freep) char *hint = yaml_hint(d);

			json_object_set_new(o, "yaml", json_string(hint));
		}
		json_array_append_new(list, o);
	}
	mutex_unlock(&b->lock);
	return list;
}
