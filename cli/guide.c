/* SPDX-License-Identifier: Apache-2.0
 *
 * The guide's own commands for one unit on a bench: flash, set-serial, test, provision, jtag-flash. Each becomes a recipe of
 * a few steps, checked and run by the same code as on a station.
 */
#include <sys/random.h>
#include <time.h>

#include "base/timefmt.h"
#include "base/util.h"
#include "cli/bench.h"
#include "cli/sysfs_usb.h"

#define DIGITS	     6 /* of a serial number that provision makes, after the day */
#define DIGITS_RANGE 1000000
#define WORDS_MAX    16

struct guide {
	const char *port, *baud, *with, *dir;
	bool unproved;
	json_t *root, *ports;
	char usb[USB_ADDRESS_BYTES]; /* of the one DFU device that is plugged */
};

/* How `flash` writes. */
struct method {
	const char *name, *action;
	bool usb;	/* its port is a USB device: --port, or the only one in DFU mode */
	const char *go; /* the argument that starts the application */
	const char *
		blind; /* the argument and value that leave the proof out, NULL: it cannot be left out */
	const char *blind_value;
};

static const struct method methods[] = {
	{"serialboot", "serialboot.flash", false, "boot", "unproved", "true"},
	{"stm32", "stm32.flash", false, "go", NULL, NULL},
	{"dfu", "dfu.download", true, "leave", "verify", "none"},
	{0},
};

static const struct method *method_of(const struct guide *g)
{
	const char *name = g->with ? g->with : methods[0].name;

	for (const struct method *m = methods; m->name; m++)
		if (!strcmp(m->name, name))
			return m;
	ctl_usage("--with '%s': serialboot, stm32 or dfu expected", name);
	return NULL;
}

/* --- ports --- */

static const char *or_env(const char *given, const char *variable, const char *absent)
{
	const char *v = given ? given : getenv(variable);

	return v && *v ? v : absent;
}

/* The one device that has an interface of DFU. */
static const char *find_dfu(struct guide *g)
{
	struct usb_seen *seen = NULL;
	size_t n = sysfs_usb_seen("/sys", &seen), found = 0;

	for (size_t i = 0; i < n; i++)
		if (!strcmp(seen[i].kind, "dfu") && found++ == 0)
			snprintf(g->usb, sizeof g->usb, "usb:%s", seen[i].port);
	free(seen);
	if (found == 1)
		return g->usb;
	ctl_usage(
		found == 0
			? "no USB device in DFU mode is plugged: provctl scan lists what is, --port says which"
			: "%zu USB devices in DFU mode are plugged: --port usb:PORT says which, provctl scan lists them",
		found);
	return NULL;
}

static int add_port(struct guide *g, const char *text, const char *kind, const json_t *baud)
{
	char *address;
	struct err e;

	if (bench_address(text, &address, &e) < 0)
		return ctl_fail(&e), -1;
	json_object_set_new(json_object_get(g->root, "ports"), "unit",
		json_pack("{s:s, s:O*}", "kind", kind, "baud", baud));
	json_object_set_new(g->ports, "unit", json_string(address));
	free(address);
	return 0;
}

static int add_serial_port(struct guide *g)
{
	json_int_t rate;
	json_t *baud;
	int r;

	g->port = or_env(g->port, "PORT", "/dev/ttyUSB0");
	g->baud = or_env(g->baud, "BAUDRATE", "115200");
	if (!whole_number(g->baud, &rate))
		return ctl_usage("--baudrate '%s' is not a whole number", g->baud), -1;
	baud = json_integer(rate);
	r = add_port(g, g->port, "any", baud);
	json_decref(baud);
	return r;
}

static int add_usb_port(struct guide *g)
{
	if (!g->port)
		g->port = find_dfu(g);
	return g->port ? add_port(g, g->port, "usb", NULL) : -1;
}

/* --- a recipe of the command line --- */

static void guide_done(struct guide *g)
{
	json_decref(g->root);
	json_decref(g->ports);
}

#define _guide_ _cleanup_(guide_done) struct guide

/* The number of words; -1 after a message. */
static int guide_begin(struct guide *g, int argc, char **argv, char **words, int max)
{
	const struct option_row rows[] = {{"port", &g->port, NULL}, {"baudrate", &g->baud, NULL},
		{"with", &g->with, NULL}, {"dir", &g->dir, NULL}, {"no-verify", NULL, &g->unproved},
		{0}};

	g->root = bench_empty_recipe();
	g->ports = json_object();
	return bench_check_words(argc, argv) != 0 ? -1 : ctl_options(argc, argv, rows, words, max);
}

static void add_step(struct guide *g, const char *id, const char *action, json_t *with)
{
	json_object_set_new(with, "port", json_string("unit"));
	json_array_append_new(json_object_get(g->root, "steps"),
		json_pack("{s:s, s:s, s:o}", "id", id, "action", action, "with", with));
}

static int add_flash(struct guide *g, const char *firmware)
{
	_cleanup_(freep) char *path = bench_literal(firmware);
	const struct method *m = method_of(g);
	json_t *with;

	if (!m)
		return -1;
	if (g->unproved && !m->blind)
		return ctl_usage("--no-verify: %s always reads back what it wrote", m->action), -1;
	if ((m->usb ? add_usb_port(g) : add_serial_port(g)) < 0)
		return -1;
	with = json_pack("{s:s, s:s}", "image", path, m->go, "true");
	if (g->unproved)
		json_object_set_new(with, m->blind, json_string(m->blind_value));
	/* What has no parity, a TCP server or a pty, says so when the line is opened. */
	add_step(g, "flash", m->action, with);
	return 0;
}

static void add_serial(struct guide *g)
{
	json_object_set_new(g->root, "unit", json_pack("{s:{s:s}}", "serial", "from", "job"));
	add_step(g, "set-serial", "console.command",
		json_pack("{s:s, s:s, s:{s:s, s:s}}", "send", "SET_SERIAL ${unit.serial}", "expect",
			"^OK$", "read_back", "send", "GET_SERIAL", "expect", "^${unit.serial}$"));
}

/* The guide's three, with answers that only the right one matches; the application may still boot.
 */
static void add_tests(struct guide *g)
{
	json_t *steps = json_object_get(g->root, "steps");

	add_step(g, "ping", "console.command",
		json_pack("{s:s, s:s, s:s}", "send", "ping", "expect", "^pong$", "late", "2s"));
	json_object_set_new(json_array_get(steps, json_array_size(steps) - 1), "retry",
		json_pack("{s:i, s:s, s:[s, s]}", "attempts", 10, "delay", "200ms", "on", "timeout",
			"unexpected-reply"));
	add_step(g, "version", "console.command",
		json_pack("{s:s, s:s}", "send", "version", "expect", "(^|\\s)v[0-9a-f]\\S*"));
	add_step(g, "status", "console.command",
		json_pack("{s:s, s:s}", "send", "status", "expect", "^OK\\b"));
}

static int guide_run(
	const struct ctl *c, const struct guide *g, const char *serial, json_t **ret_result)
{
	const struct bench b = {
		.ctl = c, .ports = g->ports, .serial = serial, .ret_result = ret_result};

	return bench_run_json(&b, g->root);
}

/* --- the commands --- */

static const char flash_usage[] =
	"flash FIRMWARE [--with serialboot|stm32|dfu] [--port P --baudrate N] [--no-verify]";

static int cmd_flash(struct ctl *c, int argc, char **argv)
{
	_guide_ g = {0};
	char *word;
	int n = guide_begin(&g, argc, argv, &word, 1);

	if (n != 1 || g.dir)
		return n < 0 ? EXIT_USAGE : ctl_usage("%s", flash_usage);
	if (add_flash(&g, word) < 0)
		return EXIT_USAGE;
	return guide_run(c, &g, NULL, NULL);
}

static int cmd_set_serial(struct ctl *c, int argc, char **argv)
{
	_guide_ g = {0};
	char *word;
	int n = guide_begin(&g, argc, argv, &word, 1);

	if (n != 1 || g.dir || g.with || g.unproved)
		return n < 0 ? EXIT_USAGE : ctl_usage("set-serial SERIAL [--port P --baudrate N]");
	if (add_serial_port(&g) < 0)
		return EXIT_USAGE;
	add_serial(&g);
	return guide_run(c, &g, word, NULL);
}

static int cmd_test(struct ctl *c, int argc, char **argv)
{
	_guide_ g = {0};
	char *word;
	int n = guide_begin(&g, argc, argv, &word, 0);

	if (n != 0 || g.dir || g.with || g.unproved)
		return n < 0 ? EXIT_USAGE : ctl_usage("test [--port P --baudrate N]");
	if (add_serial_port(&g) < 0)
		return EXIT_USAGE;
	add_tests(&g);
	return guide_run(c, &g, NULL, NULL);
}

/* SN20260131123456: the day, and digits by chance. A bench has no records that would know a number that was used: a line
 * draws its serial numbers from a pool. */
static char *make_serial(void)
{
	time_t now = time(NULL);
	char day[16];
	uint32_t chance;
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(day, sizeof day, "%Y%m%d", &tm);
	if (getrandom(&chance, sizeof chance, 0) != sizeof chance)
		abort();
	return xasprintf("SN%s%0*u", day, DIGITS, (unsigned)(chance % DIGITS_RANGE));
}

/* What the guide's save_report() has, next to what the steps say. */
static void add_guide_members(json_t *report, const char *serial, const char *at)
{
	json_t *step;
	size_t i;

	json_object_set_new(report, "serial_number", json_string(serial));
	json_object_set_new(report, "timestamp", json_string(at));
	json_array_foreach(json_object_get(report, "steps"), i, step) {
		const char *id = json_string_value(json_object_get(step, "id"));
		const char *outcome = json_string_value(json_object_get(step, "outcome"));
		json_t *reply = json_object_get(json_object_get(step, "outputs"), "reply");

		json_object_set_new(step, "step", json_string(id));
		json_object_set_new(
			step, "success", json_boolean(outcome && !strcmp(outcome, "passed")));
		if (id && !strcmp(id, "version") && reply)
			json_object_set(report, "firmware_version", reply);
	}
}

static int save(const struct guide *g, json_t *report, const char *serial)
{
	_cleanup_(freep) char *path = NULL;
	_cleanup_(freep) char *json = NULL;
	_cleanup_(freep) char *text = NULL;
	char at[RFC3339_SIZE];
	struct err e;

	add_guide_members(report, serial, rfc3339(wall_ms(), at));
	path = report_path(g->dir ? g->dir : ".", report, "");
	json = json_dumps(report, JSON_INDENT(2));
	text = xasprintf("%s\n", json);
	if (ctl_write_text(path, text, &e) < 0)
		return ctl_fail(&e);
	fprintf(stderr, "%s\n", path);
	return EXIT_PASSED;
}

static const char provision_usage[] =
	"provision FIRMWARE [SERIAL] [--with serialboot|stm32] [--port P --baudrate N] [--dir DIR]";

static int cmd_provision(struct ctl *c, int argc, char **argv)
{
	_cleanup_(freep) char *serial = NULL;
	_guide_ g = {0};
	json_t *report = NULL;
	char *word[2] = {NULL, NULL};
	int n = guide_begin(&g, argc, argv, word, 2);
	int r;

	if (n < 1 || g.unproved || (g.with && !strcmp(g.with, "dfu")))
		return n < 0 ? EXIT_USAGE : ctl_usage("%s", provision_usage);
	if (add_flash(&g, word[0]) < 0)
		return EXIT_USAGE;
	add_tests(&g);
	add_serial(&g);
	serial = word[1] ? xstrdup(word[1]) : make_serial();
	r = guide_run(c, &g, serial, &report);
	if (report) {
		int saved = save(&g, report, serial);

		r = r == EXIT_PASSED ? saved : r;
	}
	json_decref(report);
	return r;
}

static const char jtag_usage[] =
	"jtag-flash FIRMWARE [--interface CFG] [--target CFG] [--port usb:PORT] [--address A] [NAME=VALUE ...]";

/* One more of the action's arguments. */
static bool add_argument(json_t *with, const char *word)
{
	const char *eq = strchr(word, '=');
	_cleanup_(freep) char *name = eq ? strndup(word, (size_t)(eq - word)) : NULL;
	_cleanup_(freep) char *value = eq ? bench_literal(eq + 1) : NULL;

	if (name && *name)
		json_object_set_new(with, name, json_string(value));
	return name && *name;
}

static int cmd_jtag_flash(struct ctl *c, int argc, char **argv)
{
	const char *interface = "interface/jlink.cfg", *target = "target/stm32f4x.cfg";
	const char *port = NULL, *address = NULL;
	json_t *with;
	const struct option_row rows[] = {{"interface", &interface, NULL},
		{"target", &target, NULL}, {"port", &port, NULL}, {"address", &address, NULL}, {0}};
	_guide_ g = {.root = bench_empty_recipe(), .ports = json_object()};
	_cleanup_(freep) char *region = NULL;
	char *word[WORDS_MAX];
	int n = bench_check_words(argc, argv) != 0 ? -1
						   : ctl_options(argc, argv, rows, word, WORDS_MAX);

	if (n < 1)
		return n < 0 ? EXIT_USAGE : ctl_usage("%s", jtag_usage);
	port = port ? port : sysfs_usb_one_probe("/sys", g.usb);
	if (!port)
		return ctl_usage(
			"which probe: --port usb:PORT or tcp:HOST:PORT; provctl scan lists those that are plugged");
	if (add_port(&g, port, "any", NULL) < 0)
		return EXIT_USAGE;
	region = address ? xasprintf("%s@%s", word[0], address) : xstrdup(word[0]);
	with = json_pack(
		"{s:s, s:s, s:[s]}", "interface", interface, "target", target, "regions", region);
	for (int i = 1; i < n; i++)
		if (!add_argument(with, word[i])) {
			json_decref(with);
			return ctl_usage("'%s': NAME=VALUE of openocd.flash expected", word[i]);
		}
	add_step(&g, "flash", "openocd.flash", with);
	return guide_run(c, &g, NULL, NULL);
}

const struct command commands_guide[] = {
	{"flash", "FIRMWARE [--with METHOD] [--port P --baudrate N] [--no-verify]",
		"Write firmware, read it back, start it (serialboot, stm32 or dfu)", cmd_flash},
	{"jtag-flash", "FIRMWARE [--interface CFG] [--target CFG] [--port P]",
		"Write and verify firmware through a debug probe with OpenOCD", cmd_jtag_flash},
	{"set-serial", "SERIAL [--port P --baudrate N]",
		"Give a unit its serial number and read it back", cmd_set_serial},
	{"test", "[--port P --baudrate N]", "Functional test: ping, version, status", cmd_test},
	{"provision", "FIRMWARE [SERIAL] [--port P --baudrate N] [--dir DIR]",
		"Flash, test and number one unit; saves provision_SERIAL_TIME.json", cmd_provision},
	{0},
};
