/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/config.h"

#include <dirent.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>

#include "base/iotime.h"
#include "base/secret.h"
#include "base/util.h"
#include "base/yaml.h"
#include "daemon/recipe/mistake.h"

#define MAX_SECRET_BYTES 65536

DEFINE_CLEANUP(struct config, config_unref)
DEFINE_CLEANUP(struct yaml_doc, yaml_doc_free)

struct loader {
	struct config *c;
	struct mistakes m; /* of the file at hand */
	uint64_t settle_us;
	unsigned quarantine_after;
};

struct config *config_ref(struct config *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

static void port_done(struct port_config *p)
{
	for (size_t i = 0; i < p->paths; i++)
		free(p->path[i]);
	free(p->path);
	free(p->role);
	free(p->kind);
	free(p->vid);
	free(p->pid);
	for (size_t i = 0; i < p->alsos; i++)
		free(p->also[i]);
	free(p->also);
	free(p->address);
}

static void station_done(struct station_config *s)
{
	for (size_t i = 0; i < s->ports; i++)
		port_done(&s->port[i]);
	free(s->port);
	free(s->id);
	free(s->title);
}

struct config *config_unref(struct config *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	for (size_t i = 0; i < c->stations; i++)
		station_done(&c->station[i]);
	for (size_t i = 0; i < c->hotplugs; i++)
		free(c->hotplug[i]);
	for (size_t i = 0; i < c->secrets; i++) {
		free(c->secret[i].name);
		free(c->secret[i].file);
	}
	free(c->secret);
	free(c->hotplug);
	free(c->station);
	free(c->state_dir);
	free(c->machine_id);
	free(c->marks_file);
	for (size_t i = 0; c->tool_writable && c->tool_writable[i]; i++)
		free(c->tool_writable[i]);
	free(c->tool_writable);
	free(c->listen_host);
	free(c);
	return NULL;
}

/* --- typed members of a mapping --- */

static void check_keys(
	struct loader *l, const json_t *o, const char *pointer, const char *const *names)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)o, key, v) {
		_cleanup_(freep) char *p = pointer_key(pointer, key);
		size_t i = 0;

		while (names[i] && strcmp(names[i], key) != 0)
			i++;
		if (!names[i])
			mistakes_add_unknown(&l->m, p, "key", key, names);
	}
}

static const char *get_string(
	struct loader *l, const json_t *o, const char *pointer, const char *key)
{
	const json_t *v = json_object_get(o, key);
	_cleanup_(freep) char *p = pointer_key(pointer, key);

	if (v && !json_is_string(v))
		mistakes_add(&l->m, p, "'%s' must be a string (quote it)", key);
	return json_string_value(v);
}

static void get_duration(
	struct loader *l, const json_t *o, const char *pointer, const char *key, uint64_t *ret_us)
{
	const char *s = get_string(l, o, pointer, key);
	_cleanup_(freep) char *p = pointer_key(pointer, key);
	unsigned long long us;

	if (!s)
		return;
	if (parse_duration_us(s, &us))
		*ret_us = us;
	else
		mistakes_add(&l->m, p, "'%s' must be a duration such as 500ms or 5s", key);
}

static void get_size(
	struct loader *l, const json_t *o, const char *pointer, const char *key, uint64_t *ret)
{
	const json_t *v = json_object_get(o, key);
	_cleanup_(freep) char *p = pointer_key(pointer, key);
	unsigned long long n;

	if (!v)
		return;
	if (json_is_string(v) && parse_size(json_string_value(v), &n))
		*ret = n;
	else if (json_is_integer(v) && json_integer_value(v) >= 0)
		*ret = (uint64_t)json_integer_value(v);
	else
		mistakes_add(&l->m, p, "'%s' must be a size such as 64M", key);
}

static int64_t get_int(struct loader *l, const json_t *o, const char *pointer, const char *key,
	int64_t low, int64_t high, int64_t def)
{
	const json_t *v = json_object_get(o, key);
	_cleanup_(freep) char *p = pointer_key(pointer, key);

	if (!v)
		return def;
	if (json_is_integer(v) && json_integer_value(v) >= low && json_integer_value(v) <= high)
		return json_integer_value(v);
	mistakes_add(&l->m, p, "'%s' must be an integer from %lld to %lld", key, (long long)low,
		(long long)high);
	return def;
}

static bool get_bool(struct loader *l, const json_t *o, const char *pointer, const char *key)
{
	const json_t *v = json_object_get(o, key);
	_cleanup_(freep) char *p = pointer_key(pointer, key);

	if (v && !json_is_boolean(v))
		mistakes_add(&l->m, p, "'%s' must be true or false", key);
	return json_is_true(v);
}

/* --- stations --- */

static void load_usb_id(
	struct loader *l, const json_t *o, const char *pointer, const char *key, char **ret)
{
	const char *s = get_string(l, o, pointer, key);
	_cleanup_(freep) char *p = pointer_key(pointer, key);

	if (!s)
		return;
	if (strlen(s) != 4 || strspn(s, "0123456789abcdefABCDEF") != 4) {
		mistakes_add(
			&l->m, p, "'%s' must be four hex digits in quotes such as '0483'", key);
		return;
	}
	*ret = xstrdup(s);
	for (char *c = *ret; *c; c++)
		*c = (char)(*c >= 'A' && *c <= 'F' ? *c + 32 : *c);
}

static bool is_usb_id(const char *s)
{
	static const char hex[] = "0123456789abcdef";

	return s && strspn(s, hex) == 4 && s[4] == ':' && strspn(s + 5, hex) == 4 && !s[9];
}

static void load_also(
	struct loader *l, const json_t *o, const char *pointer, struct port_config *out)
{
	const json_t *list = json_object_get(o, "also");
	_cleanup_(freep) char *p = pointer_key(pointer, "also");
	size_t n = json_array_size(list);

	out->also = xcalloc(n + 1, sizeof *out->also);
	for (size_t i = 0; i < n; i++)
		if (is_usb_id(json_string_value(json_array_get(list, i))))
			out->also[out->alsos++] =
				xstrdup(json_string_value(json_array_get(list, i)));
	if (list && (!n || out->alsos != n))
		mistakes_add(&l->m, p, "'also' must be a list such as ['0483:df11']");
}

static void load_paths(
	struct loader *l, const json_t *v, const char *pointer, struct port_config *out)
{
	size_t n = json_is_array(v) ? json_array_size(v) : 1;

	out->path = xcalloc(n, sizeof *out->path);
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_is_array(v) ? json_array_get(v, i) : v;

		if (json_is_string(item) && json_string_length(item))
			out->path[out->paths++] = xstrdup(json_string_value(item));
		else
			mistakes_add(&l->m, pointer,
				"'path' must be a physical port such as "
				"pci-0000:00:14.0-usb-0:1.2 or 1-1.2, or a list");
	}
	if (n == 0)
		mistakes_add(&l->m, pointer, "'path' is an empty list");
}

static void load_port(struct loader *l, const char *role, const json_t *o, const char *pointer,
	struct port_config *out)
{
	static const char *const keys[] = {"kind", "path", "interface", "vid", "pid", "also", "tty",
		"tcp", "udp", "baud", "optional", NULL};
	static const char *const kinds[] = {"tty", "usb", "probe", "tcp", "udp", NULL};
	const json_t *path = json_object_get(o, "path");
	const char *tty;
	const char *tcp;
	const char *udp;
	const char *kind;

	out->role = xstrdup(role);
	out->interface = -1;
	if (!json_is_object(o)) {
		out->kind = xstrdup("tty");
		mistakes_add(
			&l->m, pointer, "port '%s' must be a mapping such as {path: ...}", role);
		return;
	}
	check_keys(l, o, pointer, keys);
	tty = get_string(l, o, pointer, "tty");
	tcp = get_string(l, o, pointer, "tcp");
	udp = get_string(l, o, pointer, "udp");
	kind = get_string(l, o, pointer, "kind");
	if (kind && nearest_name(kind, kinds) && strcmp(nearest_name(kind, kinds), kind) != 0)
		mistakes_add_unknown(&l->m, pointer, "kind of port", kind, kinds);
	out->kind = xstrdup(kind ? kind : tcp ? "tcp" : udp ? "udp" : "tty");
	if (!!path + !!tty + !!tcp + !!udp != 1)
		mistakes_add(&l->m, pointer, "port '%s' needs one of 'path', 'tty', 'tcp' or 'udp'",
			role);
	if (path) {
		_cleanup_(freep) char *p = pointer_key(pointer, "path");

		load_paths(l, path, p, out);
	} else if (tty) {
		out->address = xasprintf("tty:%s", tty);
	} else if (tcp) {
		out->address = xasprintf("tcp:%s", tcp);
		if (!strrchr(tcp, ':'))
			mistakes_add(&l->m, pointer, "'tcp' must be HOST:PORT");
	} else if (udp) {
		out->address = xasprintf("udp:%s", udp);
		if (!strrchr(udp, ':'))
			mistakes_add(&l->m, pointer, "'udp' must be HOST:PORT");
	}
	out->interface = (int)get_int(l, o, pointer, "interface", 0, 255, -1);
	out->baud = (uint32_t)get_int(l, o, pointer, "baud", 50, 20000000, 0);
	out->optional = get_bool(l, o, pointer, "optional");
	load_usb_id(l, o, pointer, "vid", &out->vid);
	load_usb_id(l, o, pointer, "pid", &out->pid);
	load_also(l, o, pointer, out);
}

static void load_station(struct loader *l, const json_t *o, const char *pointer)
{
	static const char *const keys[] = {
		"id", "title", "ports", "settle", "quarantine_after", "start", NULL};
	struct station_config s = {
		.settle_us = l->settle_us, .quarantine_after = l->quarantine_after};
	const json_t *ports = json_object_get(o, "ports");
	_cleanup_(freep) char *ports_p = pointer_key(pointer, "ports");
	const char *id = json_is_object(o) ? get_string(l, o, pointer, "id") : NULL;
	const char *start;
	const char *role;
	json_t *port;

	if (!json_is_object(o)) {
		mistakes_add(&l->m, pointer, "a station must be a mapping with 'id' and 'ports'");
		return;
	}
	check_keys(l, o, pointer, keys);
	if (!id || !*id || strlen(id) > CONFIG_ID_MAX ||
		strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") !=
			strlen(id))
		mistakes_add(
			&l->m, pointer, "'id' is missing or no name: letters, digits, - _ and .");
	if (id && config_station(l->c, id))
		mistakes_add(&l->m, pointer, "station '%s' is defined twice", id);
	s.id = xstrdup(id);
	s.title = xstrdup(get_string(l, o, pointer, "title"));
	get_duration(l, o, pointer, "settle", &s.settle_us);
	s.quarantine_after =
		(unsigned)get_int(l, o, pointer, "quarantine_after", 0, 1000, s.quarantine_after);
	start = get_string(l, o, pointer, "start");
	if (start && strcmp(start, "plug") != 0 && strcmp(start, "manual") != 0)
		mistakes_add(&l->m, pointer, "'start' is '%s': plug or manual expected", start);
	if (!json_is_object(ports) || json_object_size(ports) == 0)
		mistakes_add(&l->m, pointer, "station '%s' has no 'ports'", s.id);
	s.port = xcalloc(json_object_size(ports), sizeof *s.port);
	s.manual = start && !strcmp(start, "manual");

	bool has_path = false;

	json_object_foreach((json_t *)ports, role, port) {
		_cleanup_(freep) char *p = pointer_key(ports_p, role);

		load_port(l, role, port, p, &s.port[s.ports]);
		has_path |= s.port[s.ports++].paths > 0;
	}
	/* Nothing tells when a unit is laid on fixed ports alone: a person or the MES says so. */
	if (!has_path)
		s.manual = true;

	struct station_config *grown =
		reallocarray(l->c->station, l->c->stations + 1, sizeof *grown);

	if (!grown)
		abort();
	l->c->station = grown;
	grown[l->c->stations++] = s;
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
static void check_overlaps(struct loader *l, size_t first)
{
	const struct config *c = l->c;

	for (size_t s = first; s < c->stations; s++) {
		for (size_t p = 0; p < c->station[s].ports; p++) {
			for (size_t t = 0; t <= s; t++) {
				size_t end = t == s ? p : c->station[t].ports;

				for (size_t q = 0; q < end; q++) {
					const char *which = NULL;

					if (paths_overlap(&c->station[s].port[p],
						    &c->station[t].port[q], &which))
						mistakes_add(&l->m, "/stations",
							"station '%s' port '%s' and station '%s' "
							"port '%s' both claim %s",
							c->station[t].id,
							c->station[t].port[q].role,
							c->station[s].id,
							c->station[s].port[p].role, which);
				}
			}
		}
	}
}

static void load_stations(struct loader *l, const json_t *root)
{
	const json_t *list = json_object_get(root, "stations");
	size_t first = l->c->stations;
	json_t *v;
	size_t i;

	if (list && !json_is_array(list))
		mistakes_add(&l->m, "/stations", "'stations' must be a list");
	json_array_foreach((json_t *)list, i, v) {
		_cleanup_(freep) char *p = pointer_index("/stations", i);

		load_station(l, v, p);
	}
	check_overlaps(l, first);
}

/* --- the main file --- */

bool config_is_loopback(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &v6) != 1)
		return false;
	return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

/* Tokens and firmware would pass in the clear: who wants that says so. */
static void check_listen(struct loader *l)
{
	if (l->c->insecure || config_is_loopback(l->c->listen_host))
		return;
	mistakes_add(&l->m, "/listen",
		"'listen' is %s, not this machine alone: tokens and firmware would pass through "
		"the "
		"network in the clear. Listen on 127.0.0.1 after a proxy with TLS, or say "
		"'insecure: true'",
		l->c->listen_host);
}

static void load_listen(struct loader *l, const json_t *root)
{
	const char *s = get_string(l, root, "", "listen");
	const char *colon = s ? strrchr(s, ':') : NULL;
	unsigned long long port;

	l->c->listen_host = xstrdup("127.0.0.1");
	l->c->listen_port = 8620;
	if (!s)
		return;
	if (!colon || colon == s || !parse_size(colon + 1, &port) || port > 65535) {
		mistakes_add(&l->m, "/listen", "'listen' must be HOST:PORT such as 127.0.0.1:8620");
		return;
	}
	free(l->c->listen_host);
	l->c->listen_host = *s == '[' && colon[-1] == ']' ? strndup(s + 1, (size_t)(colon - s - 2))
							  : strndup(s, (size_t)(colon - s));
	l->c->listen_port = (uint16_t)port;
	check_listen(l);
}

static void load_hotplug(struct loader *l, const json_t *root)
{
	const json_t *list = json_object_get(root, "hotplug");
	size_t n = json_array_size(list);

	if (list && !json_is_array(list))
		mistakes_add(&l->m, "/hotplug", "'hotplug' must be a list such as [udev]");
	l->c->hotplug = xcalloc(n + 1, sizeof *l->c->hotplug);
	if (!list)
		l->c->hotplug[l->c->hotplugs++] = xstrdup("udev");
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(list, i));

		if (!s || (strcmp(s, "udev") != 0 && strncmp(s, "stream:/", 8) != 0))
			mistakes_add(
				&l->m, "/hotplug", "a source of events is udev or stream:/PATH");
		else
			l->c->hotplug[l->c->hotplugs++] = xstrdup(s);
	}
}

static void load_secrets(struct loader *l, const json_t *root)
{
	static const char *const keys[] = {"file", "credential", NULL};
	const json_t *o = json_object_get(root, "secrets");
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	const char *name;
	json_t *v;

	l->c->secret = xcalloc(json_object_size(o), sizeof *l->c->secret);
	json_object_foreach((json_t *)o, name, v) {
		_cleanup_(freep) char *p = pointer_key("/secrets", name);
		const char *file = json_is_object(v) ? get_string(l, v, p, "file") : NULL;
		const char *cred = json_is_object(v) ? get_string(l, v, p, "credential") : NULL;
		struct secret_config *s = &l->c->secret[l->c->secrets++];

		check_keys(l, v, p, keys);
		s->name = xstrdup(name);
		if (!file == !cred || (file && *file != '/') || (cred && strchr(cred, '/')))
			mistakes_add(&l->m, p,
				"a secret is {file: /ABSOLUTE/PATH} or {credential: NAME}");
		s->file = cred ? xasprintf("%s/%s", dir ? dir : "/run/credentials/provd.service",
					 cred)
			       : xstrdup(file);
	}
}

/* One of the names, by its number; the first where it is absent. */
static int get_choice(struct loader *l, const json_t *o, const char *pointer, const char *key,
	const char *const *names)
{
	const char *s = get_string(l, o, pointer, key);
	_cleanup_(freep) char *p = pointer_key(pointer, key);
	struct strbuf all = {0};

	for (int i = 0; s && names[i]; i++) {
		if (!strcmp(names[i], s))
			return sb_done(&all), i;
		sb_addf(&all, "%s%s", i ? ", " : "", names[i]);
	}
	if (s)
		mistakes_add(&l->m, p, "'%s' is '%s': one of %s expected", key, s, all.s);
	sb_done(&all);
	return 0;
}

static void load_records(struct loader *l, const json_t *root)
{
	static const char *const names[] = {[CLOCK_SYNC_AUTO] = "auto",
		[CLOCK_SYNC_REQUIRED] = "required",
		[CLOCK_SYNC_IGNORED] = "ignored",
		NULL};
	const char *marks = get_string(l, root, "", "marks_file");
	const char *machine = get_string(l, root, "", "machine_id");

	if (marks && *marks != '/')
		mistakes_add(&l->m, "/marks_file", "'marks_file' must be an absolute path");
	if (machine && *machine != '/')
		mistakes_add(&l->m, "/machine_id", "'machine_id' must be an absolute path");
	l->c->marks_file = marks ? xstrdup(marks) : NULL;
	l->c->machine_id = xstrdup(machine ? machine : "/etc/machine-id");
	l->c->disk_reserve_bytes = 64ull << 20;
	l->c->events_keep_us = 90ull * 24 * 3600 * US_PER_S;
	get_size(l, root, "", "disk_reserve", &l->c->disk_reserve_bytes);
	get_duration(l, root, "", "events_keep", &l->c->events_keep_us);
	l->c->clock_sync = (enum clock_sync)get_choice(l, root, "", "clock_sync", names);
}

static void load_tools(struct loader *l, const json_t *root)
{
	static const char *const names[] = {"auto", "required", "off", NULL};
	static const char *const approvals[] = {"auto", "second-person", "any", NULL};
	const json_t *list = json_object_get(root, "tool_writable");
	json_t *v;
	size_t i;

	l->c->tool_sandbox = (enum tool_sandbox)get_choice(l, root, "", "tool_sandbox", names);
	l->c->approval = (enum approval)get_choice(l, root, "", "approval", approvals);
	if (list && !json_is_array(list))
		mistakes_add(&l->m, "/tool_writable", "'tool_writable' must be a list of paths");
	l->c->tool_writable = xcalloc(json_array_size(list) + 1, sizeof *l->c->tool_writable);
	json_array_foreach((json_t *)list, i, v) {
		const char *s = json_string_value(v);
		_cleanup_(freep) char *p = pointer_index("/tool_writable", i);

		if (!s || *s != '/')
			mistakes_add(&l->m, p, "a directory for programs must be an absolute path");
		l->c->tool_writable[i] = xstrdup(s);
	}
}

static void load_main(struct loader *l, const json_t *root)
{
	static const char *const keys[] = {"state_dir", "listen", "insecure", "hotplug", "settle",
		"quarantine_after", "artifact_quota", "artifact_max", "stop_grace", "rate_limit",
		"secrets", "stations", "marks_file", "machine_id", "disk_reserve", "events_keep",
		"clock_sync", "tool_sandbox", "tool_writable", "approval", "output_max",
		"output_keep", "run_log_max", "run_log_lines", NULL};
	const char *state_dir;

	if (!json_is_object(root) && !json_is_null(root))
		mistakes_add(&l->m, "", "the configuration must be a mapping");
	check_keys(l, root, "", keys);
	state_dir = get_string(l, root, "", "state_dir");
	if (state_dir && *state_dir != '/')
		mistakes_add(&l->m, "/state_dir", "'state_dir' must be an absolute path");
	if (!state_dir)
		state_dir = getenv("STATE_DIRECTORY");
	l->c->state_dir = xstrdup(state_dir ? state_dir : "/var/lib/provd");
	l->c->insecure = get_bool(l, root, "", "insecure");
	load_listen(l, root);
	load_hotplug(l, root);
	load_records(l, root);
	load_tools(l, root);
	load_secrets(l, root);
	get_duration(l, root, "", "settle", &l->settle_us);
	l->quarantine_after = (unsigned)get_int(l, root, "", "quarantine_after", 0, 1000, 3);
	l->c->artifact_quota_bytes = 16ull << 30;
	l->c->artifact_max_bytes = 8ull << 30;
	l->c->stop_grace_us = 60000000;
	l->c->rate_limit = (unsigned)get_int(l, root, "", "rate_limit", 0, 1000000, 1000);
	l->c->output_max_bytes = 1ull << 30;
	l->c->output_keep_us = 30ull * 24 * 3600 * US_PER_S;
	l->c->run_log_max_bytes = 1ull << 20;
	l->c->run_log_lines = (uint64_t)get_int(l, root, "", "run_log_lines", 100, 10000000, 20000);
	get_size(l, root, "", "run_log_max", &l->c->run_log_max_bytes);
	get_size(l, root, "", "output_max", &l->c->output_max_bytes);
	get_duration(l, root, "", "output_keep", &l->c->output_keep_us);
	get_size(l, root, "", "artifact_quota", &l->c->artifact_quota_bytes);
	get_size(l, root, "", "artifact_max", &l->c->artifact_max_bytes);
	get_duration(l, root, "", "stop_grace", &l->c->stop_grace_us);
	load_stations(l, root);
}

static void load_station_file(struct loader *l, const json_t *root)
{
	static const char *const keys[] = {"stations", NULL};

	check_keys(l, root, "", keys);
	if (!json_object_get(root, "stations"))
		mistakes_add(&l->m, "", "a file of stations.d must have 'stations: [...]'");
	load_stations(l, root);
}

/* One file; returns whether it had mistakes. */
static bool load_file(struct loader *l, const char *path,
	void (*load)(struct loader *, const json_t *), struct strbuf *report)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
	struct err e;
	bool bad;

	if (yaml_load(path, &doc, &e) < 0) {
		sb_addf(report, "%s\n", e.msg);
		return true;
	}
	load(l, doc->root);
	mistakes_print(&l->m, path, doc, report);
	bad = l->m.count > 0;
	mistakes_done(&l->m);
	return bad;
}

int config_load(const char *path, struct strbuf *report, struct config **ret, struct err *e)
{
	_cleanup_(config_unrefp) struct config *c = xcalloc(1, sizeof *c);
	_cleanup_(freep) char *copy = xstrdup(path);
	_cleanup_(freep) char *pattern = xasprintf("%s/stations.d/*.yaml", dirname(copy));
	struct loader l = {.c = c, .settle_us = 500000, .quarantine_after = 3};
	glob_t g = {0};
	bool bad;

	c->refs = 1;
	bad = load_file(&l, path, load_main, report);
	if (glob(pattern, 0, NULL, &g) == 0)
		for (size_t i = 0; i < g.gl_pathc; i++)
			bad |= load_file(&l, g.gl_pathv[i], load_station_file, report);
	globfree(&g);
	if (bad)
		return err_set(e, ERR_INVALID, "the configuration has mistakes");
	*ret = steal_ptr(&c);
	return 0;
}

bool config_is_real_line(const struct config *c)
{
	for (size_t i = 0; i < c->hotplugs; i++)
		if (!strcmp(c->hotplug[i], "udev"))
			return true;
	return false;
}

bool config_second_person(const struct config *c)
{
	return c->approval == APPROVAL_SECOND_PERSON ||
	       (c->approval == APPROVAL_AUTO && config_is_real_line(c));
}

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

bool station_config_equal(const struct station_config *a, const struct station_config *b)
{
	if (!same(a->id, b->id) || !same(a->title, b->title) || a->settle_us != b->settle_us ||
		a->quarantine_after != b->quarantine_after || a->manual != b->manual ||
		a->ports != b->ports)
		return false;
	for (size_t i = 0; i < a->ports; i++)
		if (!port_equal(&a->port[i], &b->port[i]))
			return false;
	return true;
}

int config_secret(const struct config *c, const char *name, char **ret, struct err *e)
{
	for (size_t i = 0; i < c->secrets; i++) {
		if (strcmp(c->secret[i].name, name) != 0)
			continue;

		_cleanup_(closep) int fd = open(c->secret[i].file, O_RDONLY | O_CLOEXEC);
		char buf[MAX_SECRET_BYTES];
		ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf - 1);

		if (n < 0)
			return err_errno(e, ERR_IO, errno, "secret '%s'", name);
		while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
			n--;
		buf[n] = 0;
		*ret = xstrdup(buf);
		secret_wipe(buf, sizeof buf);
		return 0;
	}
	return err_set(e, ERR_NOT_FOUND, "provd.yaml names no secret '%s'", name);
}
