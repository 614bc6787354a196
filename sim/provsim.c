/* SPDX-License-Identifier: Apache-2.0
 *
 * provsim: virtual boards for tests, benchmarks and demonstrations. argv and wiring only.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/log.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "provd_config.h"
#include "sim/control.h"

#define RULES_MAX 256

/* What argv asks for. */
struct options {
	struct fleet_config fleet;
	struct board_settings set;
	const char *control_path;
	const char *set_rule[RULES_MAX]; /* BOARD:NAME=VALUE */
	const char *fault_rule[RULES_MAX];
	size_t set_rules, fault_rules;
};

enum option_kind {
	OPT_COUNT,
	OPT_MS,
	OPT_PORT,
	OPT_TEXT,
	OPT_FLAG,
	OPT_DEVICE,
	OPT_LINK,
	OPT_SET,
	OPT_FAULT
};

static const struct option_row {
	const char *name;
	enum option_kind kind;
	size_t offset;
	const char *help;
} option_rows[] = {
#define AT(f) offsetof(struct options, f)
	{"boards", OPT_COUNT, AT(fleet.boards), "N  boards b1..bN on sockets 1..N (1)"},
	{"first-socket", OPT_COUNT, AT(fleet.first_socket),
		"K  boards bK.. on sockets K..: several provsim make one row (1)"},
	{"device", OPT_DEVICE, 0, "KIND  what is in the sockets; see `provsim devices`"},
	{"link", OPT_LINK, 0, "pty|tcp|udp|vhci  how the host reaches them (pty)"},
	{"tcp-base", OPT_PORT, AT(fleet.tcp_base), "PORT  board n listens on PORT+n (any)"},
	{"links", OPT_TEXT, AT(fleet.links_dir), "DIR  a symbolic link to each pty, DIR/b1"},
	{"state", OPT_TEXT, AT(fleet.state_dir), "DIR  units outlive provsim there"},
	{"events", OPT_TEXT, AT(fleet.events_path), "PATH  socket that reports plug events"},
	{"trace", OPT_TEXT, AT(fleet.trace_dir), "DIR  what hosts ask of a USB gadget, DIR/b1"},
	{"control", OPT_TEXT, AT(control_path), "PATH  socket that takes commands"},
	{"preload", OPT_TEXT, AT(fleet.preload), "FILE  new units have it in their flash"},
	{"set", OPT_SET, 0, "BOARD:NAME=VALUE  one board's setting; * for all"},
	{"fault", OPT_FAULT, 0, "BOARD:FAULT  see `provsim faults`; * for all"},
	{"replace-after-idle", OPT_MS, AT(fleet.replace_idle_us),
		"MS  a unit that was used, and is closed (pty, tcp) and silent, makes way for a new one"},
	{"when-serial", OPT_FLAG, AT(fleet.when_serial), "  only once it has a serial number"},
	{"units", OPT_COUNT, AT(fleet.units), "N  how many units come in all (no end)"},
#undef AT
};

static void print_help(void)
{
	printf("provsim %s: virtual boards that speak a serial bootloader and a console\n\n"
	       "  provsim run [OPTION...]            in the foreground, until SIGTERM or \"quit\"\n"
	       "  provsim ctl --control PATH JSON    one command, prints the answer\n"
	       "  provsim cloud --dir DIR [OPTION...]  a virtual cloud for recipes/commission.yaml; --help\n"
	       "  provsim devices                    the kinds of devices, their settings and "
	       "faults\n"
	       "  provsim faults                     what can go wrong on the wire\n\n"
	       "Options of run:\n",
		PROVD_VERSION);
	for (size_t i = 0; i < ARRAY_LEN(option_rows); i++)
		printf("  --%s %s\n", option_rows[i].name, option_rows[i].help);
	printf("\nOf every board (of one: --set b3:NAME=VALUE):\n");
	settings_print(stdout);
	printf("\nCommands:\n");
	control_print(stdout);
}

static int add_rule(const char **rules, size_t *n, const char *value, struct err *e)
{
	if (*n == RULES_MAX)
		return err_set(e, ERR_INVALID, "more than %d --set or --fault", RULES_MAX);
	rules[(*n)++] = value;
	return 0;
}

static int take_link(struct options *o, const char *value, struct err *e)
{
	static const char *const names[] = {
		[PORT_PTY] = "pty", [PORT_TCP] = "tcp", [PORT_UDP] = "udp", [PORT_VHCI] = "vhci"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(value, names[i])) {
			o->fleet.kind = (enum port_kind)i;
			return 0;
		}
	return err_set(e, ERR_INVALID, "--link: '%s' is neither pty, tcp, udp nor vhci", value);
}

static int take_device(struct options *o, const char *value, struct err *e)
{
	o->fleet.device = device_kind(value);
	if (!o->fleet.device)
		return err_set(
			e, ERR_INVALID, "--device: no kind '%s'; see `provsim devices`", value);
	return 0;
}

static int take_option(
	struct options *o, const struct option_row *row, const char *value, struct err *e)
{
	void *p = (char *)o + row->offset;
	unsigned long long v = 0;
	bool number = parse_size(value, &v);

	switch (row->kind) {
	case OPT_COUNT:
		*(unsigned *)p = (unsigned)v;
		break;
	case OPT_MS:
		*(uint64_t *)p = v * US_PER_MS;
		break;
	case OPT_PORT:
		number = number && v < 65536;
		*(uint16_t *)p = (uint16_t)v;
		break;
	case OPT_TEXT:
		*(const char **)p = value;
		return 0;
	case OPT_FLAG:
		*(bool *)p = true;
		return 0;
	case OPT_DEVICE:
		return take_device(o, value, e);
	case OPT_LINK:
		return take_link(o, value, e);
	case OPT_SET:
		return add_rule(o->set_rule, &o->set_rules, value, e);
	case OPT_FAULT:
		return add_rule(o->fault_rule, &o->fault_rules, value, e);
	}
	if (!number || v > UINT32_MAX)
		return err_set(
			e, ERR_INVALID, "--%s: cannot take '%s' (%s)", row->name, value, row->help);
	return 0;
}

static int parse_args(struct options *o, int argc, char **argv, struct err *e)
{
	for (int i = 0; i < argc; i++) {
		const char *name = strncmp(argv[i], "--", 2) ? "" : argv[i] + 2;
		const struct option_row *row = NULL;
		int r;

		for (size_t k = 0; k < ARRAY_LEN(option_rows); k++)
			if (!strcmp(name, option_rows[k].name))
				row = &option_rows[k];
		if (!row && !settings_has(name))
			return err_set(
				e, ERR_INVALID, "no option '%s'; see `provsim --help`", argv[i]);
		if (row && row->kind == OPT_FLAG)
			r = take_option(o, row, "", e);
		else if (++i >= argc)
			return err_set(e, ERR_INVALID, "--%s: no value", name);
		else
			r = row ? take_option(o, row, argv[i], e)
				: settings_set(&o->set, name, argv[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}

typedef int rule_fn(struct slot *s, const char *text, struct err *e);

static int rule_fault(struct slot *s, const char *text, struct err *e)
{
	return slot_fault(s, text, e);
}

static int rule_set(struct slot *s, const char *text, struct err *e)
{
	_cleanup_(freep) char *name = xstrdup(text);
	char *value = strchr(name, '=');

	if (!value)
		return err_set(e, ERR_INVALID, "'%s': expected NAME=VALUE", text);
	*value++ = 0;
	return settings_set(&s->set, name, value, e);
}

/* BOARD:TEXT, for that board or, with "*", for all. */
static int apply_rule(struct fleet *f, const char *rule, rule_fn *fn, struct err *e)
{
	const char *colon = strchr(rule, ':');
	bool found = false;

	for (unsigned i = 0; colon && i < fleet_size(f); i++) {
		struct slot *s = fleet_slot(f, i);
		size_t n = (size_t)(colon - rule);
		bool mine = strlen(s->name) == n && !strncmp(s->name, rule, n);

		if (!mine && strncmp(rule, "*:", 2))
			continue;

		int r = fn(s, colon + 1, e);

		if (r < 0)
			return err_prefix(e, "%s", rule);
		found = true;
	}
	return found ? 0 : err_set(e, ERR_INVALID, "'%s': expected BOARD:..., no such board", rule);
}

static int apply_rules(struct fleet *f, const struct options *o, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->set_rules; i++)
		r = apply_rule(f, o->set_rule[i], rule_set, e);
	for (size_t i = 0; r == 0 && i < o->fault_rules; i++)
		r = apply_rule(f, o->fault_rule[i], rule_fault, e);
	return r;
}

static int print_ready(struct fleet *f, struct err *e)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < fleet_size(f); i++)
		json_array_append_new(list, slot_json(fleet_slot(f, i), false));

	json_t *o = json_pack("{s:b, s:o}", "ready", 1, "boards", list);
	_cleanup_(freep) char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	if (!text || puts(text) < 0 || fflush(stdout) != 0)
		return err_errno(e, ERR_IO, errno, "standard output");
	return 0;
}

static uint64_t run_due(void *data)
{
	return fleet_run(data);
}

static void on_signal(void *data, uint32_t events)
{
	loop_quit(data);
}

static int watch_signals(struct loop *l, struct watch *w, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);

	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "signalfd");
	return watch_add(l, w, fd, EPOLLIN, on_signal, l, e);
}

static int serve(struct loop *l, struct fleet *f, const struct options *o, struct err *e)
{
	struct control *control = NULL;
	struct watch signals = {0};
	int r = apply_rules(f, o, e);

	if (r == 0)
		r = watch_signals(l, &signals, e);
	if (r == 0)
		r = fleet_start(f, e);
	if (r == 0 && o->control_path)
		r = control_new(l, f, o->control_path, &control, e);
	if (r == 0)
		r = print_ready(f, e);
	if (r == 0)
		r = loop_run(l, run_due, f, e);
	control_free(control);
	if (signals.loop) {
		watch_remove(&signals);
		close(signals.fd);
	}
	return r;
}

static int run(int argc, char **argv, struct err *e)
{
	struct options o = {.fleet.boards = 1};
	_cleanup_(loop_freep) struct loop *l = NULL;
	_cleanup_(fleet_freep) struct fleet *f = NULL;
	int r;

	settings_default(&o.set);
	r = parse_args(&o, argc, argv, e);
	if (r == 0)
		r = loop_new(&l, e);
	if (r == 0)
		r = fleet_new(l, &o.fleet, &o.set, &f, e);
	if (r == 0)
		r = serve(l, f, &o, e);
	return r;
}

/* Exit status 1 where provsim says no. */
static int ctl(int argc, char **argv, struct err *e)
{
	_cleanup_(freep) char *reply = NULL;
	int r;

	if (argc != 3 || strcmp(argv[0], "--control"))
		return err_set(e, ERR_INVALID, "usage: provsim ctl --control PATH JSON");
	r = server_ask(argv[1], argv[2], &reply, e);
	if (r < 0)
		return r;
	puts(reply);

	json_t *o = json_loads(reply, 0, NULL);
	bool ok = json_is_true(json_object_get(o, "ok"));

	json_decref(o);
	return ok ? 0 : err_set(e, ERR_INVALID, "refused");
}

/* The virtual cloud is a program in Python next to this one, and takes its place. */
static int cloud(char **argv, struct err *e)
{
	static const char name[] = "provsim-cloud";
	char path[FILE_PATH_BYTES];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof name);
	char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;

	if (!slash)
		return err_errno(e, ERR_IO, errno, "/proc/self/exe");
	memcpy(slash + 1, name, sizeof name);
	argv[0] = path;
	execv(path, argv);
	return err_errno(e, ERR_IO, errno, "%s: 'provsim cloud' needs it, and Python", path);
}

int main(int argc, char **argv)
{
	struct err e = {0};
	const char *verb = argc > 1 ? argv[1] : "--help";
	int r = 0;

	log_init(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
	if (!strcmp(verb, "run"))
		r = run(argc - 2, argv + 2, &e);
	else if (!strcmp(verb, "ctl"))
		r = ctl(argc - 2, argv + 2, &e);
	else if (!strcmp(verb, "cloud"))
		r = cloud(argv + 1, &e);
	else if (!strcmp(verb, "faults"))
		faults_print(stdout);
	else if (!strcmp(verb, "devices"))
		devices_print(stdout);
	else if (!strcmp(verb, "--help") || !strcmp(verb, "help"))
		print_help();
	else if (!strcmp(verb, "--version"))
		puts("provsim " PROVD_VERSION);
	else
		r = err_set(&e, ERR_INVALID, "no command '%s'; see `provsim --help`", verb);
	if (r < 0)
		fprintf(stderr, "provsim: %s\n", e.msg);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
