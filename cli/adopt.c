/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl adopt: the sockets of a row of fixtures become stations, by something that is plugged into one after another. What
 * comes at one time is one station: a board, or a hub with what is on it.
 */
#include <ctype.h>
#include <unistd.h>

#include "base/iotime.h"
#include "base/outfile.h"
#include "base/util.h"
#include "cli/provctl.h"

#define LOOK_EVERY_US (200 * 1000)
#define COMES_US      (1200 * 1000) /* a board whose hub and interfaces come one after another */
#define STATIONS_MAX  512
#define WAIT_US	      (10 * 60 * US_PER_S)
#define REST_US	      (3 * US_PER_S) /* provd started again: until it has seen all that is there */
#define ID_MAX	      63	     /* provd.yaml(5), id of a station */

struct adopt {
	struct ctl *c;
	const char *prefix, *out;
	json_int_t first, wanted;
	json_t *known; /* path -> true: a port of a station; false: passed over until it is pulled out */
	json_t *stations;   /* ids that are taken */
	json_t *came;	    /* what is coming now: items of /ports */
	json_t *placeless;  /* nodes without a path that were named */
	char *started;	    /* when provd started, as it says it */
	bool silent;	    /* it does not answer */
	bool resting;	    /* it started again: what is there is not new */
	bool saved;	    /* all of yaml is in out */
	uint64_t newest_us; /* when the last of them came */
	json_int_t next, made;
	struct strbuf yaml;
};

/* ":1.0" of "...-usb-0:1.2:1.0", which is an interface; NULL for the path of a device. */
static const char *interface_in(const char *path)
{
	const char *usb = strstr(path, "-usb");
	const char *chain = usb ? strchr(usb, ':') : NULL;

	return chain ? strchr(chain + 1, ':') : NULL;
}

/* Without the interface; owned by the caller. */
static char *device_of(const json_t *item)
{
	char *path = json_text(item, "path");
	const char *interface = interface_in(path);

	if (interface)
		path[interface - path] = '\0';
	return path;
}

static bool is_hub(const json_t *item)
{
	return json_is_true(json_object_get(item, "hub"));
}

static bool is_below(const char *path, const char *hub)
{
	size_t n = strlen(hub);

	return !strncmp(path, hub, n) && path[n] == '.';
}

/* --- the file --- */

/* What one role is bound by. A device with several serial ports says which is meant. */
static void add_port(struct strbuf *s, const json_t *item, const char *role, unsigned ttys)
{
	_cleanup_(freep) char *device = device_of(item);
	_cleanup_(freep) char *path = json_text(item, "path");
	_cleanup_(freep) char *vid = json_text(item, "vid");
	_cleanup_(freep) char *pid = json_text(item, "pid");
	_cleanup_(freep) char *subsystem = json_text(item, "subsystem");
	const char *interface = interface_in(path);
	const char *number = interface ? strchr(interface, '.') : NULL;

	sb_addf(s, "      %s: {", role);
	if (strcmp(subsystem, "tty") != 0)
		sb_add(s, "kind: usb, ");
	sb_addf(s, "path: '%s'", device);
	if (ttys > 1 && number)
		sb_addf(s, ", interface: %s", number + 1);
	if (*vid)
		sb_addf(s, ", vid: '%s', pid: '%s'", vid, pid);
	sb_add(s, "}\n");
}

static bool has_tty(const struct adopt *a, const char *device)
{
	const json_t *item;
	size_t i;

	json_array_foreach(a->came, i, item) {
		_cleanup_(freep) char *its = device_of(item);
		_cleanup_(freep) char *subsystem = json_text(item, "subsystem");

		if (!strcmp(its, device) && !strcmp(subsystem, "tty"))
			return true;
	}
	return false;
}

/* Whether it is a port of the station: a device with a serial port is that alone, and a hub is nothing. */
static bool is_port(const struct adopt *a, const json_t *item)
{
	_cleanup_(freep) char *device = device_of(item);
	_cleanup_(freep) char *subsystem = json_text(item, "subsystem");

	return !is_hub(item) && (!strcmp(subsystem, "tty") || !has_tty(a, device));
}

static unsigned ttys_of(const struct adopt *a, const json_t *one)
{
	_cleanup_(freep) char *device = device_of(one);
	const json_t *item;
	unsigned n = 0;
	size_t i;

	json_array_foreach(a->came, i, item) {
		_cleanup_(freep) char *its = device_of(item);
		_cleanup_(freep) char *subsystem = json_text(item, "subsystem");

		n += !strcmp(its, device) && !strcmp(subsystem, "tty");
	}
	return n;
}

/* The roles that recipes use, with a number from the second on. */
static void add_station(struct adopt *a, const char *id)
{
	unsigned consoles = 0, duts = 0;
	const json_t *item;
	size_t i;

	/* '7' would be a number. */
	sb_addf(&a->yaml,
		isalpha((unsigned char)*id) ? "  - id: %s\n    ports:\n"
					    : "  - id: '%s'\n    ports:\n",
		id);
	json_array_foreach(a->came, i, item) {
		_cleanup_(freep) char *subsystem = json_text(item, "subsystem");
		bool tty = !strcmp(subsystem, "tty");
		unsigned n = is_port(a, item) ? tty ? ++consoles : ++duts : 0;
		char role[32];

		if (n == 0)
			continue;
		snprintf(role, sizeof role, n > 1 ? "%s%u" : "%s", tty ? "console" : "dut", n);
		add_port(&a->yaml, item, role, ttys_of(a, item));
	}
}

/* --- what comes --- */

static unsigned ports_of(const struct adopt *a)
{
	const json_t *item;
	unsigned n = 0;
	size_t i;

	json_array_foreach(a->came, i, item)
		n += is_port(a, item);
	return n;
}

/* A hub of USB 3 is two, each at a place of its own: the one that carries nothing says nothing of the socket. */
static bool is_empty_hub(const struct adopt *a, const json_t *one)
{
	_cleanup_(freep) char *hub = device_of(one);
	const json_t *item;
	size_t i;

	json_array_foreach(a->came, i, item) {
		_cleanup_(freep) char *device = device_of(item);

		if (is_port(a, item) && is_below(device, hub))
			return false;
	}
	return is_hub(one);
}

/* Below which all that came is: the shortest path of it; NULL: they are of several sockets. Owned by the caller. */
static char *one_socket(const struct adopt *a)
{
	_cleanup_(freep) char *top = NULL;
	const json_t *item;
	size_t i;

	json_array_foreach(a->came, i, item) {
		char *device = is_empty_hub(a, item) ? NULL : device_of(item);

		if (!device)
			continue;
		if (!top || strlen(device) < strlen(top)) {
			free(top);
			top = device;
		} else {
			free(device);
		}
	}
	json_array_foreach(a->came, i, item) {
		_cleanup_(freep) char *device = device_of(item);

		if (top && !is_empty_hub(a, item) && strcmp(device, top) != 0 &&
			!is_below(device, top))
			return NULL;
	}
	return steal_ptr(&top);
}

static void know_all(struct adopt *a, bool of_a_station)
{
	const json_t *item;
	size_t i;

	json_array_foreach(a->came, i, item) {
		_cleanup_(freep) char *path = json_text(item, "path");

		json_object_set_new(a->known, path, json_boolean(of_a_station));
	}
	json_array_clear(a->came);
}

/* An id that no station has. */
static char *next_id(struct adopt *a)
{
	for (;;) {
		char *id = xasprintf("%s%lld", a->prefix, (long long)a->next++);

		if (!json_object_get(a->stations, id))
			return id;
		free(id);
	}
}

static int save(struct adopt *a, struct err *e)
{
	int r = a->out ? ctl_write_text(a->out, a->yaml.s, e) : 0;

	a->saved = a->out && r == 0;
	return r;
}

/* What came is complete. */
static int take(struct adopt *a, struct err *e)
{
	_cleanup_(freep) char *socket = one_socket(a);
	_cleanup_(freep) char *id = NULL;

	if (ports_of(a) == 0) {
		_cleanup_(freep) char *hub = device_of(json_array_get(a->came, 0));

		fprintf(stderr, "%s: a hub with nothing on it: it is passed over\n", hub);
		know_all(a, false);
		return 0;
	}
	if (!socket) {
		fprintf(stderr,
			"several sockets at once: pull these out, and plug one after another\n");
		know_all(a, false);
		return 0;
	}
	id = next_id(a);
	add_station(a, id);
	fprintf(stderr, "%s: %s (%lld of %lld)\n", id, socket, (long long)++a->made,
		(long long)a->wanted);
	know_all(a, true);
	return save(a, e);
}

static bool has_path(const json_t *items, const char *path)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)items, i, item) {
		_cleanup_(freep) char *its = json_text(item, "path");

		if (!strcmp(its, path))
			return true;
	}
	return false;
}

/* What was pulled out may come again, but for what is a station. */
static void forget_gone(struct adopt *a, const json_t *items)
{
	const char *path;
	json_t *v;
	void *next;

	json_object_foreach_safe(a->known, next, path, v)
	{
		if (!json_is_false(v) || has_path(items, path))
			continue;
		if (!interface_in(path)) /* of the device, not of each tty of it */
			fprintf(stderr, "%s: pulled out\n", path);
		json_object_del(a->known, path);
	}
	for (size_t i = json_array_size(a->came); i-- > 0;) {
		_cleanup_(freep) char *its = json_text(json_array_get(a->came, i), "path");

		if (!has_path(items, its))
			json_array_remove(a->came, i);
	}
}

/* It has no place by which a station could know it. */
static void see_placeless(struct adopt *a, const json_t *item, bool first)
{
	_cleanup_(freep) char *node = json_text(item, "node");

	if (json_object_get(a->placeless, node))
		return;
	json_object_set_new(a->placeless, node, json_true());
	if (!first && !a->resting)
		fprintf(stderr,
			"%s: no ID_PATH of udev, which a station is bound by: it is passed over; plug something else\n",
			node);
}

/* A path that the daemon has not shown before; what a station has is no news. */
static void see(struct adopt *a, json_t *item, bool first)
{
	_cleanup_(freep) char *path = json_text(item, "path");

	if (!*path)
		see_placeless(a, item, first);
	if (!*path || json_object_get(a->known, path) || has_path(a->came, path))
		return;
	if (a->resting)
		a->newest_us = now_us();
	if (first || a->resting || json_object_get(item, "station")) {
		json_object_set_new(a->known, path, json_false());
		return;
	}
	json_array_append(a->came, item);
	a->newest_us = now_us();
}

/* When provd started; "" where it does not say it. Owned by the caller. */
static char *started(struct adopt *a)
{
	static const char name[] = "\nprocess_start_time_seconds ";
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	const char *at;
	struct err e;
	char *ret;

	if (!f)
		abort();
	api_stream(a->c, "/api/v1/metrics", f, &e);
	fclose(f);
	at = strstr(text, name);
	at = at ? at + sizeof name - 1 : "";
	ret = xasprintf("%.*s", (int)strcspn(at, "\n"), at);
	free(text);
	return ret;
}

static bool is_one_gone(const struct adopt *a, const json_t *items)
{
	const char *path;
	const json_t *v;
	size_t i;

	json_object_foreach(a->known, path, v)
		if (!has_path(items, path))
			return true;
	json_array_foreach(a->came, i, v) {
		_cleanup_(freep) char *its = json_text(v, "path");

		if (!has_path(items, its))
			return true;
	}
	return false;
}

/* A provd that started again shows what is there one after another, and nothing of it was pulled out or plugged. */
static void rest_where_restarted(struct adopt *a, const json_t *items)
{
	char *now = a->silent || is_one_gone(a, items) ? started(a) : NULL;

	a->silent = false;
	if (now && *now && strcmp(now, a->started) != 0) {
		a->resting = true;
		a->newest_us = now_us();
		json_array_clear(a->came);
		free(a->started);
		a->started = steal_ptr(&now);
	}
	free(now);
	if (!a->resting || now_us() - a->newest_us < REST_US)
		return;
	a->resting = false;
	fprintf(stderr,
		"provd answers again: go on; what was plugged meanwhile counts when it is pulled out and plugged again\n");
}

static int look(struct adopt *a, bool first, struct err *e)
{
	json_t *o = NULL;
	json_t *item;
	size_t i;
	int r = api_get(a->c, "/api/v1/ports", &o, e);

	if ((r == -ERR_IO || r == -ERR_SHUTDOWN) && !first) {
		if (!a->silent)
			fprintf(stderr, "%s: provctl waits for it\n", e->msg);
		a->silent = true;
		return 0;
	}
	if (r == 0 && !first)
		rest_where_restarted(a, json_object_get(o, "items"));
	if (r == 0 && !a->resting)
		forget_gone(a, json_object_get(o, "items"));
	json_array_foreach(json_object_get(o, "items"), i, item)
		see(a, item, first);
	json_decref(o);
	return r;
}

static int know_stations(struct adopt *a, struct err *e)
{
	json_t *o = NULL;
	const json_t *item;
	size_t i;
	int r = api_get(a->c, "/api/v1/stations", &o, e);

	json_array_foreach(json_object_get(o, "items"), i, item)
		json_object_set_new(
			a->stations, json_string_value(json_object_get(item, "id")), json_true());
	json_decref(o);
	return r;
}

static int adopt_all(struct adopt *a, struct err *e)
{
	uint64_t until = now_us() + WAIT_US;
	int r = know_stations(a, e);

	a->started = started(a);
	if (r == 0)
		r = look(a, true, e);
	if (r == 0)
		fprintf(stderr,
			"plug something into one socket after another, in the order of the stations\n");
	while (r == 0 && a->made < a->wanted) {
		if (now_us() > until)
			return err_set(e, ERR_TIMEOUT,
				"%lld of %lld stations: nothing was plugged for 10 minutes",
				(long long)a->made, (long long)a->wanted);
		usleep(LOOK_EVERY_US);
		r = look(a, false, e);
		if (r == 0 && json_array_size(a->came) > 0 && now_us() - a->newest_us > COMES_US) {
			until = now_us() + WAIT_US;
			r = take(a, e);
		}
	}
	return r;
}

static int read_numbers(struct adopt *a, const char *stations, const char *first)
{
	if (!stations)
		return ctl_usage("--stations is missing: how many there are to be");
	if (!whole_number(stations, &a->wanted) || a->wanted < 1 || a->wanted > STATIONS_MAX)
		return ctl_usage("--stations is '%s': 1 to %d expected", stations, STATIONS_MAX);
	if (!whole_number(first, &a->first) || a->first < 0 || a->first > 1000000)
		return ctl_usage("--first is '%s': a number from 0 expected", first);
	if (strlen(a->prefix) + strlen("1000000") > ID_MAX ||
		a->prefix[strspn(a->prefix,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")])
		return ctl_usage(
			"--prefix is '%s': at most %zu letters, digits, - _ and . expected, as a station's id has them",
			a->prefix, ID_MAX - strlen("1000000"));
	if (a->out && access(a->out, F_OK) == 0)
		return ctl_usage("%s is there already: give --out another name", a->out);
	return 0;
}

/* Found before a hundred sockets were plugged. */
static int check_out(const char *out)
{
	_cleanup_(outfile_done) struct outfile trial = {.fd = -1};
	struct err e;

	return !out || outfile_open(&trial, out, &e) == 0 ? 0 : ctl_usage("--out: %s", e.msg);
}

static int cmd_adopt(struct ctl *c, int argc, char **argv)
{
	struct adopt a = {.c = c, .prefix = "A"};
	const char *stations = NULL, *first = "1";
	const struct option_row rows[] = {{"stations", &stations, NULL}, {"first", &first, NULL},
		{"prefix", &a.prefix, NULL}, {"out", &a.out, NULL}, {0}};
	struct err e;
	int r;

	if (ctl_options(argc, argv, rows, NULL, 0) != 0 || read_numbers(&a, stations, first) != 0 ||
		check_out(a.out) != 0)
		return EXIT_USAGE;
	a.next = a.first;
	a.known = json_object();
	a.stations = json_object();
	a.came = json_array();
	a.placeless = json_object();
	sb_add(&a.yaml, "stations:\n");
	r = adopt_all(&a, &e);
	if (!a.saved && a.made > 0)
		fputs(a.yaml.s, stdout);
	sb_done(&a.yaml);
	json_decref(a.known);
	json_decref(a.stations);
	json_decref(a.came);
	json_decref(a.placeless);
	free(a.started);
	return r < 0 ? ctl_fail(&e) : EXIT_PASSED;
}

const struct command commands_adopt[] = {
	{"adopt", "--stations N [--prefix A] [--first 1] [--out FILE.yaml]",
		"Sockets become stations: something is plugged into one after another", cmd_adopt},
	{0},
};
