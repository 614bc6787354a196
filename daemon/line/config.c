/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/config.h"

#include <dirent.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <sys/un.h>

#include "base/iotime.h"
#include "base/secret.h"
#include "base/util.h"
#include "base/yaml.h"
#include "transports/links/http.h"
#include "transports/links/http_auth.h"
#include "transports/protocols/zpl/zpl.h"

#define MAX_SECRET_BYTES 65536

DEFINE_CLEANUP(struct config, config_unref)
DEFINE_CLEANUP(struct yaml_doc, yaml_doc_free)

struct config *config_ref(struct config *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

static void free_texts(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

static void port_done(struct port_config *p)
{
	free_texts(p->path, p->paths);
	free_texts(p->also, p->alsos);
	free(p->role);
	free(p->kind);
	free(p->vid);
	free(p->pid);
	free(p->address);
}

static void station_done(struct station_config *s)
{
	for (size_t i = 0; i < s->ports; i++)
		port_done(&s->port[i]);
	free(s->port);
	form_done(station_rows, s);
}

struct config *config_unref(struct config *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	for (size_t i = 0; i < c->stations; i++)
		station_done(&c->station[i]);
	for (size_t i = 0; i < c->secrets; i++) {
		free(c->secret[i].name);
		free(c->secret[i].file);
	}
	for (size_t i = 0; i < c->services; i++) {
		free(c->service[i].name);
		form_done(service_rows, &c->service[i]);
	}
	for (size_t i = 0; i < c->printers; i++) {
		free(c->printer[i].name);
		form_done(printer_rows, &c->printer[i]);
	}
	free_texts(c->hotplug, c->hotplugs);
	free(c->service);
	free(c->file);
	keyd_config_done(&c->keys);
	form_done(records_rows, &c->records);
	free(c->printer);
	free(c->secret);
	free(c->station);
	free(c->listen_host);
	form_done(config_rows, c);
	free(c);
	return NULL;
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

static void check_host_port(const char *key, const char *s, const char *pointer, struct mistakes *m)
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
		check_host_port("tcp", f.tcp, pointer, m);
		check_host_port("udp", f.udp, pointer, m);
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

static const char *const starts[] = {"plug", "manual", NULL};

const struct form_row station_rows[] = {
	{"id", FORM_TEXT, .doc = "The name of the station: letters, digits, - _ and . (needed).",
		FORM_AT(struct station_config, id)},
	{"title", FORM_TEXT, .def = "", .doc = "What people call it.",
		FORM_AT(struct station_config, title)},
	{"settle", FORM_DURATION, .doc = "As above, for this station.",
		FORM_AT(struct station_config, settle_us)},
	{"quarantine_after", FORM_INT, .low = 0, .high = 1000, .doc = "As above, for this station.",
		FORM_AT(struct station_config, quarantine_after)},
	{"start", FORM_CHOICE, .choices = starts, .def = "plug",
		.doc = "A run begins when a unit is plugged, or on command.",
		FORM_AT(struct station_config, start)},
	{"ports", FORM_OWN, .read = read_ports, .doc = "A mapping of roles (needed): see below.",
		.schema = "{\"type\":\"object\",\"minProperties\":1}"},
	{0},
};

static bool is_name(const char *s)
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
	if (!is_name(s.id))
		mistakes_add(m, pointer, "'id' is missing or no name: letters, digits, - _ and .");
	if (s.id && config_station(c, s.id))
		mistakes_add(m, pointer, "station '%s' is defined twice", s.id);
	if (!s.id)
		s.id = xstrdup("");
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

static void read_stations(void *to, const json_t *v, const char *pointer, struct mistakes *m)
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

/* Tokens and firmware would pass in the clear: 'insecure' has to allow that. */
static void check_listen(const struct config *c, struct mistakes *m)
{
	if (c->insecure || config_is_loopback(c->listen_host))
		return;
	mistakes_add(m, "/listen",
		"'listen' is %s, not this machine alone: tokens and firmware would pass through the network in the clear. Listen on 127.0.0.1 after a proxy with TLS, or say 'insecure: true'",
		c->listen_host);
}

static void read_listen(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;
	const char *s = json_string_value(v);
	const char *colon = s ? strrchr(s, ':') : NULL;
	unsigned long long port;

	if (!colon || colon == s || !parse_size(colon + 1, &port) || port > 65535) {
		mistakes_add(m, pointer, "'listen' must be HOST:PORT such as 127.0.0.1:8620");
		return;
	}
	free(c->listen_host);
	c->listen_host = *s == '[' && colon[-1] == ']' ? strndup(s + 1, (size_t)(colon - s - 2))
						       : strndup(s, (size_t)(colon - s));
	c->listen_port = (uint16_t)port;
}

static void read_hotplug(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;
	size_t n = json_array_size(v);

	if (!json_is_array(v))
		mistakes_add(m, pointer, "'hotplug' must be a list such as [udev]");
	c->hotplug = xcalloc(n + 1, sizeof *c->hotplug);
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(v, i));

		if (!s || (strcmp(s, "udev") != 0 && strncmp(s, "stream:/", 8) != 0))
			mistakes_add(m, pointer, "a source of events is udev or stream:/PATH");
		else
			c->hotplug[c->hotplugs++] = xstrdup(s);
	}
}

struct secret_form {
	char *file, *credential;
};

static const struct form_row secret_rows[] = {
	{"file", FORM_TEXT, .doc = "Absolute path.", FORM_AT(struct secret_form, file)},
	{"credential", FORM_TEXT, .doc = "Name of a credential of the service.",
		FORM_AT(struct secret_form, credential)},
	{0},
};

static void read_secret(
	struct config *c, const char *name, const json_t *v, const char *p, struct mistakes *m)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	struct secret_config *s = &c->secret[c->secrets++];
	struct secret_form f = {0};

	if (json_is_object(v))
		form_read(secret_rows, v, p, "key", &f, m);
	if (!f.file == !f.credential || (f.file && *f.file != '/') ||
		(f.credential && strchr(f.credential, '/')))
		mistakes_add(m, p, "a secret is {file: /ABSOLUTE/PATH} or {credential: NAME}");
	s->name = xstrdup(name);
	s->file = f.credential ? xasprintf("%s/%s", dir ? dir : "/run/credentials/provd.service",
					 f.credential)
			       : steal_ptr(&f.file);
	form_done(secret_rows, &f);
}

static void read_secrets(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;
	const char *name;
	json_t *o;

	if (!json_is_object(v))
		mistakes_add(m, pointer, "'secrets' must be a mapping of names");
	c->secret = xcalloc(json_object_size(v) + 1, sizeof *c->secret);
	json_object_foreach((json_t *)v, name, o) {
		_cleanup_(freep) char *p = pointer_key(pointer, name);

		read_secret(c, name, o, p, m);
	}
}

const struct form_row service_rows[] = {
	{"url", FORM_TEXT, .required = true, .low = 1, .high = 512,
		.doc = "https://HOST[:PORT][/PATH]; http:// is taken of this machine alone, or without a token.",
		FORM_AT(struct service_config, url)},
	{"ca", FORM_PATH,
		.doc = "Certificates that sign the service's, in the place of the system's.",
		FORM_AT(struct service_config, ca)},
	{"cert", FORM_PATH, .doc = "The certificate that provd shows; needs key.",
		FORM_AT(struct service_config, cert)},
	{"key", FORM_PATH, .doc = "The key of cert.", FORM_AT(struct service_config, key)},
	{"token", FORM_TEXT, .doc = "The name of a secret: by it provd says who it is.",
		FORM_AT(struct service_config, token)},
	{"auth", FORM_CHOICE, .choices = http_auth_names, .def = "bearer",
		.doc = "What is made of the token. basic: the password of user. sigv4 (AWS): the secret of the access key that user names. azure-dps: the key of an enrolment group, of which each registration has its own.",
		FORM_AT(struct service_config, auth)},
	{"user", FORM_TEXT, .doc = "Of basic and sigv4.", FORM_AT(struct service_config, user)},
	{"scope", FORM_TEXT, .doc = "Of sigv4: REGION/SERVICE, such as eu-central-1/iot.",
		FORM_AT(struct service_config, scope)},
	{"timeout", FORM_DURATION, .def = "15s", .low = 100000,
		.doc = "How long one request may take.",
		FORM_AT(struct service_config, timeout_us)},
	{0},
};

static const struct secret_config *find_secret(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->secrets; i++)
		if (!strcmp(c->secret[i].name, name))
			return &c->secret[i];
	return NULL;
}

/* By number, or the one name that is always this machine (RFC 6761, 6.3). */
static bool is_this_machine(const char *url)
{
	const char *host = url + strlen("http://");
	size_t n = strcspn(host, "/");
	size_t port = n;
	_cleanup_(freep) char *name = NULL;

	while (port > 0 && host[port - 1] >= '0' && host[port - 1] <= '9')
		port--;
	if (port > 0 && port < n && host[port - 1] == ':')
		n = port - 1;
	name = *host == '[' && n > 2 ? strndup(host + 1, n - 2) : strndup(host, n);
	return !strcmp(name, "localhost") || config_is_loopback(name);
}

static void check_auth(const struct service_config *s, const char *p, struct mistakes *m)
{
	const struct http_service as = {
		.url = s->url, .auth = (enum http_auth)s->auth, .user = s->user, .scope = s->scope};
	struct err e;

	if (s->auth != HTTP_AUTH_BEARER && !s->token)
		mistakes_add(m, p, "service '%s' has the auth kind %s, which needs a 'token'",
			s->name, http_auth_names[s->auth]);
	if (s->url && http_url_check(s->url, NULL) == 0 && http_auth_check(&as, &e) < 0)
		mistakes_add(m, p, "service '%s': %s", s->name, e.msg);
}

static void check_service(
	const struct config *c, struct service_config *s, const char *p, struct mistakes *m)
{
	size_t n = s->url ? strlen(s->url) : 0;
	struct err e;

	if (n > 0 && s->url[n - 1] == '/')
		s->url[n - 1] = '\0';
	if (s->url && http_url_check(s->url, &e) < 0)
		mistakes_add(m, p, "%s", e.msg);
	else if (s->url && s->token && http_url_clear(s->url) && !is_this_machine(s->url))
		mistakes_add(m, p,
			"service '%s' would send its token in the clear to %s: https:// expected",
			s->name, s->url);
	if (!s->cert != !s->key)
		mistakes_add(
			m, p, "service '%s' needs 'cert' and 'key' together, or neither", s->name);
	check_auth(s, p, m);
	if (s->token && !find_secret(c, s->token))
		mistakes_add(m, p,
			"service '%s' names the token '%s', and 'secrets' has no such name",
			s->name, s->token);
}

static void read_services(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;
	const char *name;
	json_t *o;

	if (!json_is_object(v))
		mistakes_add(m, pointer, "'services' must be a mapping of names");
	c->service = xcalloc(json_object_size(v) + 1, sizeof *c->service);
	json_object_foreach((json_t *)v, name, o) {
		struct service_config *s = &c->service[c->services++];
		_cleanup_(freep) char *p = pointer_key(pointer, name);

		s->name = xstrdup(name);
		if (!is_name(name))
			mistakes_add(m, p, "a service's name has letters, digits, - _ and .");
		if (json_is_object(o))
			form_read(service_rows, o, p, "key", s, m);
		else
			mistakes_add(m, p, "a service is a mapping such as {url: 'https://HOST'}");
	}
}

/* Once all keys are read: a token is the name of a secret, wherever that is written. */
static void check_services(const struct config *c, struct mistakes *m)
{
	for (size_t i = 0; i < c->services; i++) {
		_cleanup_(freep) char *p = pointer_key("/services", c->service[i].name);

		check_service(c, &c->service[i], p, m);
	}
}

static void read_issuers(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	keyd_read_issuers(&((struct config *)to)->keys, v, pointer, m);
}

static void read_masters(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	keyd_read_masters(&((struct config *)to)->keys, v, pointer, m);
}

static void read_signers(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	keyd_read_signers(&((struct config *)to)->keys, v, pointer, m);
}

static void read_stores(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	keyd_read_stores(&((struct config *)to)->keys, v, pointer, m);
}

const struct form_row records_rows[] = {
	{"signer", FORM_TEXT, .low = 1, .high = 64,
		.doc = "A name in 'signers' with signs: checkpoints. Without it checkpoints are not signed.",
		FORM_AT(struct records_config, signer)},
	{"every_runs", FORM_INT, .low = 1, .high = 1000000, .def = "100",
		.doc = "A checkpoint after so many runs,",
		FORM_AT(struct records_config, every_runs)},
	{"every", FORM_DURATION, .def = "10m", .low = 1000000,
		.doc = "or after so much time in which a run ended; and at each stop.",
		FORM_AT(struct records_config, every_us)},
	{"service", FORM_TEXT, .low = 1, .high = 64,
		.doc = "A name in 'services': each checkpoint goes there by the outbox (POST, text/plain), so that what it holds cannot be written again here.",
		FORM_AT(struct records_config, service)},
	{"path", FORM_TEXT, .low = 1, .high = 256, .def = "/checkpoints",
		.doc = "Where, below the address of the service.",
		FORM_AT(struct records_config, path)},
	{0},
};

static void read_records(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;

	if (json_is_object(v))
		form_read(records_rows, v, pointer, "key", &c->records, m);
	else
		mistakes_add(m, pointer, "'records' is a mapping such as {signer: NAME}");
}

/* Where provd.yaml says nothing of them. */
static void records_defaults(struct config *c, struct mistakes *m)
{
	json_t *none = json_object();

	form_done(records_rows, &c->records);
	c->records = (struct records_config){0};
	form_read(records_rows, none, "/records", "key", &c->records, m);
	json_decref(none);
}

static bool has_service(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->services; i++)
		if (!strcmp(c->service[i].name, name))
			return true;
	return false;
}

static void check_records_signer(const struct config *c, struct mistakes *m)
{
	for (size_t i = 0; i < c->keys.signers; i++)
		if (!strcmp(c->keys.signer[i].name, c->records.signer)) {
			if (c->keys.signer[i].signs != SIGNS_CHECKPOINTS)
				mistakes_add(m, "/records/signer",
					"the signer '%s' signs documents: one with signs: checkpoints expected",
					c->records.signer);
			return;
		}
	mistakes_add(m, "/records/signer", "'signers' has no such name as '%s'", c->records.signer);
}

/* Once all keys are read. */
static void check_records(const struct config *c, struct mistakes *m)
{
	struct err e;

	if (c->records.signer)
		check_records_signer(c, m);
	if (c->records.service && !has_service(c, c->records.service))
		mistakes_add(m, "/records/service", "'services' has no such name as '%s'",
			c->records.service);
	if (c->records.path && http_path_check(c->records.path, &e) < 0)
		mistakes_add(m, "/records/path", "%s", e.msg);
}

static const char *const printer_kinds[] = {[PRINTER_ZPL] = "zpl", NULL};

const struct form_row printer_rows[] = {
	{"address", FORM_TEXT, .required = true, .low = 1, .high = LINK_ADDRESS_BYTES - 5,
		.doc = "HOST:PORT; the raw port of most printers is 9100.",
		FORM_AT(struct printer_config, address)},
	{"kind", FORM_CHOICE, .choices = printer_kinds, .def = "zpl",
		.doc = "What it understands: ZPL II.", FORM_AT(struct printer_config, kind)},
	{"answer", FORM_DURATION, .def = "2s", .low = 100000,
		.doc = "How long its answer to a question for its status may take; a printer that gives none gets the label after that.",
		FORM_AT(struct printer_config, answer_us)},
	{0},
};

static void read_printer(
	struct config *c, const char *name, const json_t *o, const char *p, struct mistakes *m)
{
	struct printer_config *printer = &c->printer[c->printers++];

	printer->name = xstrdup(name);
	if (!is_name(name))
		mistakes_add(m, p, "a printer's name has letters, digits, - _ and .");
	if (json_is_object(o))
		form_read(printer_rows, o, p, "key", printer, m);
	else
		mistakes_add(m, p, "a printer is a mapping such as {address: 'HOST:9100'}");
	check_host_port("address", printer->address, p, m);
}

static void read_printers(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;
	const char *name;
	json_t *o;

	if (!json_is_object(v))
		mistakes_add(m, pointer, "'printers' must be a mapping of names");
	c->printer = xcalloc(json_object_size(v) + 1, sizeof *c->printer);
	json_object_foreach((json_t *)v, name, o) {
		_cleanup_(freep) char *p = pointer_key(pointer, name);

		read_printer(c, name, o, p, m);
	}
}

static const char *const clock_syncs[] = {[CLOCK_SYNC_AUTO] = "auto",
	[CLOCK_SYNC_REQUIRED] = "required",
	[CLOCK_SYNC_IGNORED] = "ignored",
	NULL};
static const char *const approvals[] = {[APPROVAL_AUTO] = "auto",
	[APPROVAL_SECOND_PERSON] = "second-person",
	[APPROVAL_ANY] = "any",
	NULL};
static const char *const sandboxes[] = {[TOOL_SANDBOX_AUTO] = "auto",
	[TOOL_SANDBOX_REQUIRED] = "required",
	[TOOL_SANDBOX_OFF] = "off",
	NULL};

/* The rows of a station come into it by config_schema(). */
#define STATIONS_SCHEMA "{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/station\"}}"

const struct form_row config_rows[] = {
	{"state_dir", FORM_PATH,
		.doc = "Where the records are; by default the StateDirectory of systemd, else /var/lib/provd.",
		FORM_AT(struct config, state_dir)},
	{"listen", FORM_OWN, .read = read_listen,
		.schema = "{\"type\":\"string\",\"pattern\":\":[0-9]+$\"}",
		.doc = "HOST:PORT of the API; default 127.0.0.1:8620. A socket handed over by systemd counts instead. An address that others than this machine reach needs insecure."},
	{"insecure", FORM_BOOL, .def = "false",
		.doc = "true: the network is served without TLS, where whoever can read it can read tokens and firmware. It is logged at the start, and said at /version and on each page of the dashboard. false: then such an address is refused.",
		FORM_AT(struct config, insecure)},
	{"hotplug", FORM_OWN, .read = read_hotplug,
		.schema =
			"{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"^(udev|stream:/.+)$\"}}",
		.doc = "List of event sources: udev (default), stream:/PATH."},
	{"settle", FORM_DURATION, .def = "500ms",
		.doc = "How long all ports must have been there before a run begins. A unit that leaves for less has bounced.",
		FORM_AT(struct config, settle_us)},
	{"quarantine_after", FORM_INT, .low = 0, .high = 1000, .def = "3",
		.doc = "Failures of one step in a row that stop a station; 0 never.",
		FORM_AT(struct config, quarantine_after)},
	{"artifact_max", FORM_SIZE, .def = "8G", .doc = "The largest artifact.",
		FORM_AT(struct config, artifact_max_bytes)},
	{"artifact_quota", FORM_SIZE, .def = "16G",
		.doc = "All artifacts together, with what is being uploaded.",
		FORM_AT(struct config, artifact_quota_bytes)},
	{"output_max", FORM_SIZE, .def = "1G",
		.doc = "All files that the steps of one run write (a dump, a screenshot).",
		FORM_AT(struct config, output_max_bytes)},
	{"output_keep", FORM_DURATION, .def = "30d",
		.doc = "How long they are kept, from the beginning of the run; 0s for ever. Their digests stay on record.",
		FORM_AT(struct config, output_keep_us)},
	{"run_log_max", FORM_SIZE, .def = "1M",
		.doc = "Size of the log of one run. What a unit or a tool says beyond is counted, the last line says how many lines more there were, and the run is judged all the same.",
		FORM_AT(struct config, run_log_max_bytes)},
	{"run_log_lines", FORM_INT, .low = 100, .high = 10000000, .def = "20000",
		.doc = "Lines of the log of one run.", FORM_AT(struct config, run_log_lines)},
	{"marks_file", FORM_PATH,
		.doc = "The high-water marks, which know what was given out when a backup is restored; best on another disk than state_dir. By default provd.marks in state_dir.",
		FORM_AT(struct config, marks_file)},
	{"machine_id", FORM_PATH, .def = "/etc/machine-id",
		.doc = "A file whose first line names this machine, of 16 characters at least. A salted digest of it is in the high-water marks: records that were last written on another machine hold the line until a person agrees. Without such a file a copy on a second machine is not noticed, and the log says so.",
		FORM_AT(struct config, machine_id)},
	{"disk_reserve", FORM_SIZE, .def = "64M",
		.doc = "Space that is kept for the records when the disk is full; at most 1/16 of the file system.",
		FORM_AT(struct config, disk_reserve_bytes)},
	{"events_keep", FORM_DURATION, .def = "90d",
		.doc = "How long events are kept; 0s for ever. Runs, units, serial numbers and the audit trail are kept for ever.",
		FORM_AT(struct config, events_keep_us)},
	{"clock_sync", FORM_CHOICE, .choices = clock_syncs, .def = "auto",
		.doc = "required: nothing that carries a date is given out before the clock is synchronised. auto: required on a real line (hotplug has udev), and where the machine runs a time service.",
		FORM_AT(struct config, clock_sync)},
	{"approval", FORM_CHOICE, .choices = approvals, .def = "auto",
		.doc = "The persons who may approve a recipe. second-person: anyone but its author. any: its author too. auto: second-person on a real line (hotplug has udev), else any.",
		FORM_AT(struct config, approval)},
	{"tool_sandbox", FORM_CHOICE, .choices = sandboxes, .def = "auto",
		.doc = "Foreign programs read the system but not the records, secrets and credentials, and write their own directory and devices alone (Landlock). auto: always on a real line (hotplug has udev), else where the kernel can.",
		FORM_AT(struct config, tool_sandbox)},
	{"tool_writable", FORM_PATHS, .doc = "Further trees that foreign programs may write.",
		FORM_AT(struct config, tool_writable)},
	{"stop_grace", FORM_DURATION, .def = "60s",
		.doc = "How long a step may still take after SIGTERM.",
		FORM_AT(struct config, stop_grace_us)},
	{"rate_limit", FORM_INT, .low = 0, .high = 1000000, .def = "1000",
		.doc = "Requests per second and token; 0 none.",
		FORM_AT(struct config, rate_limit)},
	{"secrets", FORM_OWN, .read = read_secrets,
		.schema =
			"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"object\",\"minProperties\":1,\"maxProperties\":1,\"properties\":{\"file\":{\"type\":\"string\"},\"credential\":{\"type\":\"string\"}},\"additionalProperties\":false}}",
		.doc = "NAME: {file: /PATH} or NAME: {credential: NAME}. Read when a recipe asks for ${secrets.NAME}; masked everywhere."},
	{"keyd", FORM_PATH,
		.doc = "The socket of provd-keyd, which holds the private keys of issuers, masters and signers. Without it provd starts one as its child, which has the same user: for benches and virtual boards.",
		FORM_AT(struct config, keyd_socket)},
	{"profiles", FORM_PATH, .def = KEYD_PROFILES,
		.doc = "The folder of certificate profiles, which provd-keyd alone reads.",
		FORM_AT(struct config, keys.profiles)},
	{"issuers", FORM_OWN, .read = read_issuers, .each = issuer_rows,
		.doc = "NAME: a mapping of certificate, key, pin and profiles. Who issues certificates (key.certificate)."},
	{"masters", FORM_OWN, .read = read_masters, .each = master_rows,
		.doc = "NAME: a mapping of key and pin. What keys of units are derived from (key.derive)."},
	{"signers", FORM_OWN, .read = read_signers, .each = signer_rows,
		.doc = "NAME: a mapping of key, pin and public. What signs records of units."},
	{"stores", FORM_OWN, .read = read_stores, .each = store_rows,
		.doc = "NAME: a mapping of key and pin. Tokens in which keys of units are made (key.generate, in: token)."},
	{"records", FORM_OWN, .read = read_records, .rows = records_rows,
		.doc = "When the records of runs get a checkpoint, who signs it, and who is told."},
	{"services", FORM_OWN, .read = read_services, .each = service_rows,
		.doc = "NAME: a mapping of url, ca, cert, key, token and timeout. What http.request and cloud.* may ask: a recipe names a service and a path below it, never an address."},
	{"printers", FORM_OWN, .read = read_printers, .each = printer_rows,
		.doc = "NAME: a mapping of address, kind and answer. Where unit.label may print: a recipe names a printer and never an address."},
	{"stations", FORM_OWN, .read = read_stations, .schema = STATIONS_SCHEMA,
		.doc = "A list, here or in stations.d/*.yaml: see below."},
	{0},
};

/* The socket of a provd-keyd that provd starts is in state_dir. */
static void check_keyd(const struct config *c, struct mistakes *m)
{
	const size_t max = sizeof((struct sockaddr_un *)NULL)->sun_path - sizeof "/keyd.sock";

	if (!c->keyd_socket && keyd_config_any(&c->keys) && strlen(c->state_dir) > max)
		mistakes_add(m, "/state_dir",
			"'state_dir' has %zu bytes, and at most %zu leave room for the socket of provd-keyd in it: name a shorter one, or a socket elsewhere by 'keyd'",
			strlen(c->state_dir), max);
}

static void load_main(struct config *c, const json_t *root, struct mistakes *m)
{
	const char *dir = getenv("STATE_DIRECTORY");

	if (!json_is_object(root) && !json_is_null(root))
		mistakes_add(m, "", "the configuration must be a mapping");
	form_read(config_rows, root, "", "key", c, m);
	if (!c->state_dir)
		c->state_dir = xstrdup(dir ? dir : "/var/lib/provd");
	if (!c->hotplug) {
		c->hotplug = xcalloc(2, sizeof *c->hotplug);
		c->hotplug[c->hotplugs++] = xstrdup("udev");
	}
	if (!c->listen_host)
		c->listen_host = xstrdup("127.0.0.1");
	if (!c->records.every_runs)
		records_defaults(c, m);
	check_listen(c, m);
	check_services(c, m);
	check_keyd(c, m);
	check_records(c, m);
}

static const struct form_row file_rows[] = {
	{"stations", FORM_OWN, .read = read_stations, .doc = "The stations of this file.",
		.schema = STATIONS_SCHEMA},
	{0},
};

static void load_station_file(struct config *c, const json_t *root, struct mistakes *m)
{
	if (!json_object_get(root, "stations"))
		mistakes_add(m, "", "a file of stations.d must have 'stations: [...]'");
	form_read(file_rows, root, "", "key", c, m);
}

/* One file; returns whether it had mistakes. */
static bool load_file(struct config *c, const char *path,
	void (*load)(struct config *, const json_t *, struct mistakes *), struct strbuf *report)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
	struct mistakes m = {0};
	struct err e;
	bool bad;

	if (yaml_load(path, &doc, &e) < 0) {
		sb_addf(report, "%s\n", e.msg);
		return true;
	}
	load(c, doc->root, &m);
	mistakes_print(&m, path, doc, report);
	bad = m.count > 0;
	mistakes_done(&m);
	return bad;
}

int config_load(const char *path, struct strbuf *report, struct config **ret, struct err *e)
{
	_cleanup_(config_unrefp) struct config *c = xcalloc(1, sizeof *c);
	_cleanup_(freep) char *copy = xstrdup(path);
	_cleanup_(freep) char *pattern = xasprintf("%s/stations.d/*.yaml", dirname(copy));
	glob_t g = {0};
	bool bad;

	c->refs = 1;
	c->file = xstrdup(path);
	c->listen_port = 8620;
	bad = load_file(c, path, load_main, report);
	if (glob(pattern, 0, NULL, &g) == 0)
		for (size_t i = 0; i < g.gl_pathc; i++)
			bad |= load_file(c, g.gl_pathv[i], load_station_file, report);
	globfree(&g);
	if (bad)
		return err_set(e, ERR_INVALID, "the configuration has mistakes");
	*ret = steal_ptr(&c);
	return 0;
}

static json_t *schema_of(const struct form_row *rows, const char *title)
{
	json_t *o = form_schema(rows);
	json_t *station = form_schema(station_rows);
	json_t *port = form_schema(port_rows);
	json_t *ports = json_object_get(json_object_get(station, "properties"), "ports");

	json_object_set_new(
		ports, "additionalProperties", json_pack("{s:s}", "$ref", "#/$defs/port"));
	json_object_set_new(station, "required", json_pack("[s, s]", "id", "ports"));
	json_object_set_new(
		o, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
	json_object_set_new(o, "title", json_string(title));
	json_object_set_new(o, "$defs", json_pack("{s:o, s:o}", "station", station, "port", port));
	return o;
}

json_t *config_schema(void)
{
	return schema_of(config_rows, "provd.yaml");
}

json_t *config_stations_schema(void)
{
	json_t *o = schema_of(file_rows, "stations.d/*.yaml");

	json_object_set_new(o, "required", json_pack("[s]", "stations"));
	return o;
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

bool config_needs_sync(const struct config *c, bool has_time_service)
{
	return c->clock_sync == CLOCK_SYNC_REQUIRED ||
	       (c->clock_sync == CLOCK_SYNC_AUTO && (has_time_service || config_is_real_line(c)));
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

static int read_secret_file(const struct secret_config *s, char **ret, struct err *e)
{
	_cleanup_(closep) int fd = open(s->file, O_RDONLY | O_CLOEXEC);
	char buf[MAX_SECRET_BYTES];
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf - 1);

	if (n < 0)
		return err_errno(e, ERR_IO, errno, "secret '%s'", s->name);
	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
		n--;
	buf[n] = 0;
	*ret = xstrdup(buf);
	secret_wipe(buf, sizeof buf);
	return 0;
}

int config_secret(const struct config *c, const char *name, char **ret, struct err *e)
{
	const struct secret_config *s = find_secret(c, name);

	return s ? read_secret_file(s, ret, e)
		 : err_set(e, ERR_NOT_FOUND, "provd.yaml names no secret '%s'", name);
}

static const struct service_config *find_service(
	const struct config *c, const char *name, struct err *e)
{
	_cleanup_(freep) const char **names = xcalloc(c->services + 1, sizeof *names);
	const char *near;

	for (size_t i = 0; i < c->services; i++) {
		if (!strcmp(c->service[i].name, name))
			return &c->service[i];
		names[i] = c->service[i].name;
	}
	near = nearest_name(name, names);
	err_set(e, ERR_NOT_FOUND, "provd.yaml names no service '%s'%s%s%s", name,
		near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
	return NULL;
}

static const struct printer_config *find_printer(
	const struct config *c, const char *name, struct err *e)
{
	_cleanup_(freep) const char **names = xcalloc(c->printers + 1, sizeof *names);
	const char *near;

	for (size_t i = 0; i < c->printers; i++) {
		if (!strcmp(c->printer[i].name, name))
			return &c->printer[i];
		names[i] = c->printer[i].name;
	}
	near = nearest_name(name, names);
	err_set(e, ERR_NOT_FOUND, "provd.yaml names no printer '%s'%s%s%s", name,
		near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
	return NULL;
}

int config_printer(const struct config *c, const char *name, struct printer *ret, struct err *e)
{
	const struct printer_config *p = find_printer(c, name, e);

	if (!p)
		return -ERR_NOT_FOUND;
	*ret = (struct printer){.answer_us = p->answer_us};
	snprintf(ret->address, sizeof ret->address, "tcp:%s", p->address);
	return 0;
}

static char *copy_of(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

int config_service(
	const struct config *c, const char *name, struct http_service *ret, struct err *e)
{
	const struct service_config *s = find_service(c, name, e);
	char *token = NULL;
	int r = 0;

	if (!s)
		return -ERR_NOT_FOUND;
	if (s->token)
		r = config_secret(c, s->token, &token, e);
	if (r < 0)
		return r;
	*ret = (struct http_service){
		.url = xstrdup(s->url),
		.ca = copy_of(s->ca),
		.cert = copy_of(s->cert),
		.key = copy_of(s->key),
		.token = token,
		.auth = (enum http_auth)s->auth,
		.user = copy_of(s->user),
		.scope = copy_of(s->scope),
		.timeout_us = s->timeout_us,
	};
	return 0;
}
