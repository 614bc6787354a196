/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench.h"

#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/iotime.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "cli/bench_keys.h"
#include "cli/bench_ports.h"
#include "cli/printable.h"
#include "daemon/recipe/made.h"
#include "daemon/recipe/power_config.h"
#include "daemon/recipe/runner.h"
#include "transports/images/blob.h"
#include "transports/images/image.h"
#include "transports/images/packed.h"
#include "transports/links/http.h"
#include "transports/links/http_auth.h"
#include "transports/links/instrument.h"
#include "transports/links/printer.h"
#include "transports/links/usb_hub.h"

#define WATCHED_MAX 8

/* One run; the cancel flag is global because a signal handler fires it. */
struct session {
	struct role_ports ports; /* first: its ops are in the table as they are */
	struct bench_ports bench_ports;
	const struct bench *b;
	json_t *steps;	  /* of --json */
	json_t *measured; /* of the current step */
	bool tty;
	bool bar; /* a bar is on the line */
	uint64_t drawn_us;
	char identity[UNIT_NAME_BYTES];
	char serial[UNIT_SERIAL_BYTES]; /* that the unit was given or carries */
	struct blob *watched
		[WATCHED_MAX]; /* files that the run has read; nobody may have written to them meanwhile */
	size_t watches;
	struct made *made;	      /* images of this run's own */
	struct power_config power;    /* of PROVD_POWER, once it was read */
	bool power_touched;	      /* it was switched in this run, and was found */
	enum power_state power_found; /* like this */
};

_Static_assert(offsetof(struct session, ports) == 0, "a session begins with its role_ports");

static struct cancel interrupt = {.fd = -1};

static void on_interrupt(int sig)
{
	int saved = errno;

	cancel_fire(&interrupt, ERR_ABORTED); /* an atomic and a write: allowed here */
	errno = saved;
}

/* Somebody opened a file to write that is being sent (images/blob.h): he waits until this run has ended. */
static void on_lease(int sig)
{
	int saved = errno;

	cancel_fire(&interrupt, ERR_IMAGE_INVALID);
	errno = saved;
}

/* --- addresses --- */

static int ask_provsim(
	const char *socket_path, const char *line, char *buf, size_t size, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t n = 0;

	snprintf(a.sun_path, sizeof a.sun_path, "%s", socket_path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
		write(fd, line, strlen(line)) != (ssize_t)strlen(line))
		return err_errno(e, ERR_IO, errno, "simulator at %s", socket_path);
	while (n + 1 < size && (n == 0 || buf[n - 1] != '\n')) {
		ssize_t k = read(fd, buf + n, size - n - 1);

		if (k <= 0)
			break;
		n += (size_t)k;
	}
	buf[n] = 0;
	return 0;
}

static int sim_address(const char *name, char **ret, struct err *e)
{
	const char *path = getenv("PROVSIM_CONTROL");
	char buf[65536];
	json_t *o;
	json_t *v;
	size_t i;
	int r;

	if (!path)
		return err_set(e, ERR_NOT_FOUND,
			"sim:%s: PROVSIM_CONTROL must name the control socket of provsim", name);
	r = ask_provsim(path, "{\"cmd\":\"list\"}\n", buf, sizeof buf, e);
	if (r < 0)
		return r;
	o = json_loads(buf, 0, NULL);
	json_array_foreach(json_object_get(o, "boards"), i, v) {
		const char *board = json_string_value(json_object_get(v, "board"));
		const char *link = json_string_value(json_object_get(v, "link"));

		if (board && link && !strcmp(board, name))
			*ret = !strncmp(link, "tcp:", 4) || !strncmp(link, "udp:", 4)
				       ? xstrdup(link)
				       : xasprintf("tty:%s", link);
	}
	json_decref(o);
	return *ret ? 0
		    : err_set(e, ERR_NOT_FOUND, "the simulator has no board '%s' plugged", name);
}

/* The serial port may be plugged later, so this is not an error: the ports that are there are
 * shown.
 */
static void hint_missing(const char *address)
{
	static const char *const patterns[] = {
		"/dev/ttyUSB*", "/dev/ttyACM*", "/dev/ttyAMA*", "/dev/serial/by-id/*"};
	_cleanup_(freep) char *path = strncmp(address, "tty:", 4) ? NULL : xstrdup(address + 4);
	struct strbuf found = {0};
	glob_t g;

	if (!path)
		return;
	path[strcspn(path, "@")] = 0;
	if (access(path, F_OK) == 0 || errno != ENOENT)
		return;
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		if (glob(patterns[i], 0, NULL, &g) == 0) {
			for (size_t k = 0; k < g.gl_pathc; k++)
				sb_addf(&found, "%s%s", found.len ? ", " : "", g.gl_pathv[k]);
			globfree(&g);
		}
	}
	if (found.len)
		fprintf(stderr, "provctl: there is no %s; serial ports here: %s\n", path, found.s);
	else
		fprintf(stderr, "provctl: there is no %s, and no serial adapter is plugged\n",
			path);
	sb_done(&found);
}

int bench_address(const char *text, char **ret, struct err *e)
{
	*ret = NULL;
	if (!strncmp(text, "sim:", 4))
		return sim_address(text + 4, ret, e);
	*ret = *text == '/' ? xasprintf("tty:%s", text) : xstrdup(text);
	hint_missing(*ret);
	return 0;
}

/* --- what a step may ask for --- */

static int env_identity(void *env, const char *role, const char *value, struct err *e)
{
	struct session *s = env;

	if (s->identity[0] && strcmp(s->identity, value) != 0)
		return err_set(
			e, ERR_WRONG_DEVICE, "unit %s answers, %s expected", value, s->identity);
	snprintf(s->identity, sizeof s->identity, "%s", value);
	return 0;
}

static int env_serial(
	void *env, const char *kind, const char *value, char ret[UNIT_SERIAL_BYTES], struct err *e)
{
	struct session *s = env;

	if (!value && s->serial[0])
		value = s->serial;
	if (!value)
		value = s->b->serial;
	if (!value)
		return err_set(e, ERR_POOL_EMPTY, "a bench has no pool of serials: give --serial");
	snprintf(ret, UNIT_SERIAL_BYTES, "%s", value);
	snprintf(s->serial, sizeof s->serial, "%s", ret);
	return 0;
}

static int env_values(
	void *env, const char *serial, const json_t *wanted, json_t **ret, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED,
		"a bench has no pools to take values from: run the recipe at a station");
}

static int env_ask(void *env, const struct prompt *p, const struct iotime *it,
	char ret[ANSWER_BYTES], struct err *e)
{
	struct session *s = env;
	int r;

	if (!isatty(0))
		return err_set(e, ERR_ABORTED, "'%.200s': nobody is at the terminal", p->text);
	fprintf(stderr, "%s%s", s->bar ? "\n" : "", p->text);
	for (const char *const *c = p->choices; c && *c; c++)
		fprintf(stderr, "%s%s", c == p->choices ? " [" : ", ", *c);
	fprintf(stderr, "%s ", p->choices ? "]" : !strcmp(p->kind, "confirm") ? " [yes, no]" : "");
	r = iotime_wait(0, 1 /* POLLIN */, it, e);
	if (r < 0)
		return r;
	if (!fgets(ret, ANSWER_BYTES, stdin))
		return err_set(e, ERR_ABORTED, "the terminal closed");
	ret[strcspn(ret, "\r\n")] = 0;
	return 0;
}

static int env_image(void *env, const char *ref, char ret[FILE_PATH_BYTES], struct err *e)
{
	if (made_is(ref))
		return made_path(((struct session *)env)->made, ref, e);
	if (strlen(ref) >= FILE_PATH_BYTES)
		return err_set(e, ERR_INVALID, "the path of the image is too long");
	snprintf(ret, FILE_PATH_BYTES, "%s", ref);
	return 0;
}

static int env_name(void *env, const char *ref, char ret[STEP_NAME_BYTES], struct err *e)
{
	if (made_is(ref))
		return made_name(((struct session *)env)->made, ref, ret, e);
	snprintf(ret, STEP_NAME_BYTES, "%s", ref);
	return 0;
}

static int env_load_image(
	void *env, const char *ref, const struct image_opts *o, struct image **ret, struct err *e)
{
	return made_is(ref) ? made_load_image(((struct session *)env)->made, ref, o, ret, e)
			    : image_open(ref, o, ret, e);
}

static int env_load_blob(void *env, const char *ref, struct blob **ret, struct err *e)
{
	struct session *s = env;
	const bool room = s->watches < ARRAY_LEN(s->watched);
	int r;

	if (made_is(ref))
		return made_load_blob(s->made, ref, ret, e);
	r = blob_open(ref, room ? BLOB_WATCHED : BLOB_COPIED, ret, e);
	if (r == 0 && room)
		s->watched[s->watches++] = blob_ref(*ret);
	return r;
}

static int env_load_unpacked(
	void *env, const char *ref, const char *member, struct blob **ret, struct err *e)
{
	const struct packed_opts how = {.name = ref,
		.member = member,
		.max = BLOB_MAX_BYTES,
		.it = {NO_DEADLINE, &interrupt}};
	int r;

	if (made_is(ref))
		return made_load_unpacked(
			((struct session *)env)->made, ref, member, &how.it, ret, e);
	r = env_load_blob(env, ref, ret, e);
	if (r == 0)
		r = packed_open_blob(ret, &how, e);
	if (r < 0)
		*ret = blob_unref(*ret);
	return r;
}

static int env_made(void *env, const char *step, const char *name, struct blob *b, bool secret,
	char ret[STEP_NAME_BYTES], struct err *e)
{
	return made_put(((struct session *)env)->made, step, name, b, secret, ret, e);
}

static int make_dir(const char *path, mode_t mode, struct err *e)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_errno(e, ERR_IO, errno, "%s", path);
	return 0;
}

/* $XDG_STATE_HOME/provctl, by default ~/.local/state/provctl (XDG base directories). */
static int env_keep(void *env, const char *name, char ret[FILE_PATH_BYTES], struct err *e)
{
	static const char *const below[] = {"/.local", "/state", "/provctl"};
	const char *xdg = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	bool by_xdg = xdg && *xdg == '/';
	struct strbuf path = {0};
	int r = 0;

	if (!by_xdg && (!home || *home != '/'))
		return err_set(e, ERR_INVALID, "HOME is not set: '%s' has no place", name);
	sb_add(&path, by_xdg ? xdg : home);
	for (size_t i = by_xdg ? 2 : 0; r == 0 && i < ARRAY_LEN(below); i++) {
		sb_add(&path, below[i]);
		r = make_dir(path.s, i == 2 ? 0700 : 0755, e);
	}
	if (r == 0 && snprintf(ret, FILE_PATH_BYTES, "%s/%s", path.s, name) >= FILE_PATH_BYTES)
		r = err_set(e, ERR_INVALID, "the path of '%s' is too long", name);
	sb_done(&path);
	return r;
}

static int env_scratch(void *env, char ret[FILE_PATH_BYTES], struct err *e)
{
	const char *dir = getenv("TMPDIR");

	snprintf(ret, FILE_PATH_BYTES, "%s", dir && *dir == '/' ? dir : "/tmp");
	return 0;
}

#define SERVICE_TIMEOUT_US   (15 * US_PER_S)
#define PRINTER_ANSWER_US    (2 * US_PER_S)
#define INSTRUMENT_ANSWER_US (5 * US_PER_S)

static const char *service_variable(const char *name, const char *what)
{
	_cleanup_(freep) char *var = xasprintf("PROVD_SERVICE_%s%s", name, what);

	return getenv(var);
}

static char *copy_of(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

static int env_service(void *env, const char *name, struct http_service *ret, struct err *e)
{
	const char *url = service_variable(name, "");
	const char *token = service_variable(name, "_TOKEN");
	const char *ca = service_variable(name, "_CA");
	const char *auth = service_variable(name, "_AUTH");
	struct http_service s = {.timeout_us = SERVICE_TIMEOUT_US};

	if (!url)
		return err_set(e, ERR_NOT_FOUND,
			"set PROVD_SERVICE_%s to its address, and PROVD_SERVICE_%s_TOKEN and PROVD_SERVICE_%s_CA where it needs them",
			name, name, name);
	if (http_url_check(url, e) < 0)
		return -ERR_INVALID;
	if (token && http_url_clear(url))
		return err_set(e, ERR_INVALID,
			"a token would go in the clear to %s: https:// expected", url);
	while (auth && http_auth_names[s.auth] && strcmp(http_auth_names[s.auth], auth) != 0)
		s.auth++;
	if (!http_auth_names[s.auth])
		return err_set(e, ERR_INVALID,
			"PROVD_SERVICE_%s_AUTH is '%s': bearer, basic, sigv4 or azure-dps expected",
			name, auth);
	s.url = xstrdup(url);
	s.ca = copy_of(ca);
	s.token = copy_of(token);
	s.user = copy_of(service_variable(name, "_USER"));
	s.scope = copy_of(service_variable(name, "_SCOPE"));
	if (http_auth_check(&s, e) < 0) {
		http_service_done(&s);
		return -ERR_INVALID;
	}
	*ret = s;
	return 0;
}

static int env_printer(void *env, const char *name, struct printer *ret, struct err *e)
{
	_cleanup_(freep) char *var = xasprintf("PROVD_PRINTER_%s", name);
	const char *address = getenv(var);
	struct printer p = {.answer_us = PRINTER_ANSWER_US};
	size_t n;

	if (!address)
		return err_set(e, ERR_NOT_FOUND,
			"set PROVD_PRINTER_%s to its HOST:PORT, or to ipp://HOST:PORT/PATH", name);
	p.kind = !strncmp(address, "ipp://", 6)	   ? PRINTER_IPP
		 : !strncmp(address, "ipps://", 7) ? PRINTER_IPPS
						   : PRINTER_ZPL;
	if (p.kind != PRINTER_ZPL)
		address = strstr(address, "://") + 3;
	n = p.kind == PRINTER_ZPL ? strlen(address) : strcspn(address, "/");
	if (!memchr(address, ':', n) || n + strlen("tcp:") >= sizeof p.address ||
		strlen(address + n) >= sizeof p.path)
		return err_set(e, ERR_INVALID,
			"%s is '%.80s', HOST:PORT or ipp://HOST:PORT/PATH expected", var,
			getenv(var));
	snprintf(p.address, sizeof p.address, "tcp:%.*s", (int)n, address);
	snprintf(p.path, sizeof p.path, "%s", address[n] ? address + n : "/ipp/print");
	*ret = p;
	return 0;
}

static int env_instrument(void *env, const char *name, struct instrument *ret, struct err *e)
{
	_cleanup_(freep) char *var = xasprintf("PROVD_INSTRUMENT_%s", name);
	const char *address = getenv(var);
	struct instrument i = {.answer_us = INSTRUMENT_ANSWER_US};

	if (!address)
		return err_set(e, ERR_NOT_FOUND,
			"set PROVD_INSTRUMENT_%s to its address, such as tcp:HOST:5025", name);
	if (strlen(address) >= sizeof i.address)
		return err_set(
			e, ERR_INVALID, "%s is longer than %zu bytes", var, sizeof i.address - 1);
	snprintf(i.address, sizeof i.address, "%s", address);
	*ret = i;
	return 0;
}

/* The port of the hub on which the only USB device of this run hangs. */
static int power_of_address(struct session *s, struct power_way *ret, struct err *e)
{
	const char *role;
	const char *usb = NULL;
	struct usb_hub_port at;
	json_t *v;

	json_object_foreach(s->b->ports, role, v)
		if (!strncmp(json_string_value(v), "usb:", 4))
			usb = usb ? "" : json_string_value(v) + 4;
	if (!usb || !usb_hub_port_parse(usb, &at))
		return err_set(e, ERR_NOT_FOUND,
			"set PROVD_POWER to how the unit is powered, such as '{kind: hub, hub: 1-8, port: 2}', or name its USB port: port=usb:1-8.2");
	*ret = (struct power_way){.kind = POWER_HUB, .port = at.port};
	snprintf(ret->hub, sizeof ret->hub, "%s", at.hub);
	snprintf(ret->place, sizeof ret->place, "port %u of hub %s", at.port, at.hub);
	snprintf(ret->group, sizeof ret->group, "hub %s", at.hub);
	return 0;
}

static int env_power(void *env, struct power_way *ret, struct err *e)
{
	struct session *s = env;
	const char *text = getenv("PROVD_POWER");
	int r = 0;

	if (!text)
		return power_of_address(s, ret, e);
	if (!s->power.has)
		r = power_config_parse(text, &s->power, e);
	if (r == 0 && s->power.role)
		r = err_set(e, ERR_INVALID,
			"a bench has no stations: 'hub' and 'port' expected, not 'role'");
	if (r == 0)
		r = power_config_way(&s->power, ret, e);
	return r < 0 ? err_prefix(e, "PROVD_POWER"), r : 0;
}

static int env_power_owe(void *env, enum power_state found, bool ends_on, struct err *e)
{
	struct session *s = env;

	if (!s->power_touched && s->ports.recipe->power_after == POWER_AFTER_AS_FOUND &&
		found == POWER_UNKNOWN)
		return err_set(e, ERR_POWER_NOT_SWITCHABLE,
			"'power_after: as_found' needs a switch that can say how it is: 'on' or 'off' expected");
	if (!s->power_touched)
		s->power_found = found;
	s->power_touched = true;
	return 0;
}

static enum power_state env_power_after(void *env)
{
	const struct session *s = env;

	switch (s->ports.recipe->power_after) {
	case POWER_AFTER_ON:
		return POWER_ON;
	case POWER_AFTER_OFF:
		return POWER_OFF;
	case POWER_AFTER_AS_FOUND:
		return s->power_touched ? s->power_found : POWER_UNKNOWN;
	case POWER_AFTER_NOTHING:
		break;
	}
	return POWER_UNKNOWN;
}

/* A bench that is killed is a person's. */
static int env_power_settled(void *env, struct err *e)
{
	return 0;
}

static void env_progress(void *env, const char *phase, uint64_t done, uint64_t total)
{
	struct session *s = env;
	uint64_t now = now_us();
	int filled = total ? (int)(done * 30 / total) : 0;
	char text[31];

	if (!s->tty || (now - s->drawn_us < 100 * US_PER_MS && done != total))
		return;
	s->drawn_us = now;
	for (int i = 0; i < 30; i++)
		text[i] = i < filled ? '#' : '-';
	text[30] = 0;
	printable_sequence(stderr, "\r\033[K");
	fprintf(stderr, "%-8s [%s] %3d%% %llu/%llu", phase, text,
		total ? (int)(done * 100 / total) : 0, (unsigned long long)done,
		(unsigned long long)total);
	s->bar = true;
}

/* Without a journal (intend): a bench remembers no unit. An irreversible action looks at the device
 * and does not do again what it shows as done. */
static const struct step_env_ops env_ops = {
	.link = role_ports_link,
	.usb = role_ports_usb,
	.link_close = role_ports_close,
	.expect_replug = role_ports_expect_replug,
	.expect_other_serial = role_ports_expect_other_serial,
	.wait_device = role_ports_wait,
	.unwatched = role_ports_unwatched,
	.said = role_ports_said,
	.facts = role_ports_facts,
	.image = env_image,
	.name = env_name,
	.load_image = env_load_image,
	.load_blob = env_load_blob,
	.load_unpacked = env_load_unpacked,
	.made = env_made,
	.keep = env_keep,
	.scratch = env_scratch,
	.service = env_service,
	.printer = env_printer,
	.instrument = env_instrument,
	.power = env_power,
	.power_owe = env_power_owe,
	.power_back = env_power_settled,
	.power_after = env_power_after,
	.power_settled = env_power_settled,
	.ask = env_ask,
	.identity = env_identity,
	.serial = env_serial,
	.values = env_values,
	.certify = bench_certify,
	.delivered = bench_delivered,
	.derive = bench_derive,
	.make_key = bench_make_key,
	.key_request = bench_key_request,
	.take_key = bench_take_key,
};

static int env_secret(void *env, const char *name, char **ret, struct err *e)
{
	_cleanup_(freep) char *var = xasprintf("PROVD_SECRET_%s", name);
	const char *v = getenv(var);

	if (!v)
		return err_set(e, ERR_NOT_FOUND, "secret '%s': set %s", name, var);
	*ret = xstrdup(v);
	return 0;
}

/* --- what is shown --- */

static int step_begin(void *data, const struct step_record *r, struct err *e)
{
	struct session *s = data;

	json_decref(s->measured);
	s->measured = json_array();
	return 0;
}

static int measured(void *data, const struct step_record *r, const struct measurement *m,
	const char *verdict, struct err *e)
{
	struct session *s = data;
	json_t *o = json_pack("{s:s, s:s}", "name", m->name, "verdict", verdict);

	if (m->is_number)
		json_object_set_new(o, "value", json_real(m->value));
	if (m->text)
		json_object_set_new(o, "text", json_string(m->text));
	if (m->unit)
		json_object_set_new(o, "unit", json_string(m->unit));
	if (m->has_low)
		json_object_set_new(o, "low", json_real(m->low));
	if (m->has_high)
		json_object_set_new(o, "high", json_real(m->high));
	json_array_append_new(s->measured, o);
	return 0;
}

static void print_step(struct session *s, const struct step_record *r)
{
	bool ok = r->outcome == OUTCOME_PASSED;
	bool skipped = r->outcome == OUTCOME_SKIPPED;
	bool color = s->b->ctl->color;
	_cleanup_(freep) char *reply = json_text(r->outputs, "reply");
	_cleanup_(freep) char *message = printable(r->message);
	json_t *m;
	size_t i;

	if (s->bar)
		printable_sequence(stderr, "\r\033[K");
	s->bar = false;
	if (color && !skipped)
		printable_sequence(stdout, ok ? "\033[32m" : "\033[31m");
	fputs(ok ? "✓" : skipped ? "-" : "✗", stdout);
	if (color && !skipped)
		printable_sequence(stdout, "\033[0m");
	printf(" %s", r->step->id);
	json_array_foreach(s->measured, i, m) {
		_cleanup_(freep) char *value = json_text(m, "value");
		_cleanup_(freep) char *unit = json_text(m, "unit");

		printf("  %s %s", value, unit);
	}
	if (r->outputs && json_object_get(r->outputs, "reply"))
		printf("  %s", reply);
	if (*r->message)
		printf("  %s: %s", err_code_str(r->code), message);
	printf("  (%.1f s)\n", (double)r->duration_us / 1e6);
	fflush(stdout);
}

static int step_end(void *data, const struct step_record *r, struct err *e)
{
	struct session *s = data;
	json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:O*, s:O*, s:O, s:I}", "id",
		r->step->id, "action", r->step->action->name, "phase", step_phase_str(r->phase),
		"attempt", (int)r->attempt, "outcome", outcome_str(r->outcome), "code",
		err_code_str(r->code), "message", r->message, "evidence", r->evidence, "outputs",
		r->outputs, "measurements", s->measured ? s->measured : json_null(), "duration_ms",
		(json_int_t)(r->duration_us / US_PER_MS));

	json_array_append_new(s->steps, o);
	if (!s->b->ctl->json)
		print_step(s, r);
	return 0;
}

static int status_of(enum outcome o)
{
	switch (o) {
	case OUTCOME_PASSED:
	case OUTCOME_SKIPPED:
	case OUTCOME_DEFERRED:
		return EXIT_PASSED;
	case OUTCOME_FAILED:
		return EXIT_FAILED;
	case OUTCOME_ABORTED:
		return EXIT_ABORTED;
	case OUTCOME_ERROR:
	case OUTCOME_INTERRUPTED:
		break;
	}
	return EXIT_ERROR;
}

static json_t *result_json(const struct session *s, const struct run_result *res)
{
	return json_pack("{s:s, s:b, s:s, s:s, s:s, s:s, s:O}", "outcome",
		outcome_str(res->outcome), "passed", res->outcome == OUTCOME_PASSED, "code",
		err_code_str(res->code), "step", res->step, "message", res->message, "hint",
		err_code_hint(res->code), "steps", s->steps);
}

static void print_result(const struct session *s, const struct run_result *res)
{
	if (s->b->ctl->json) {
		json_t *o = result_json(s, res);

		print_json(o);
		json_decref(o);
	} else if (res->outcome != OUTCOME_PASSED) {
		_cleanup_(freep) char *message = printable(res->message);

		printf("%s at %s: %s: %s\n", outcome_str(res->outcome), res->step,
			err_code_str(res->code), message);
		if (*err_code_hint(res->code))
			printf("%s\n", err_code_hint(res->code));
	} else {
		puts("passed");
	}
}

/* What a run says of a file that changed while it was read is of no use, also where it passed. */
static void settle_watched(struct session *s, struct run_result *res)
{
	struct err e;

	for (size_t i = 0; i < s->watches; i++) {
		if (blob_unchanged(s->watched[i], &e) < 0) {
			res->outcome = OUTCOME_ERROR;
			res->code = e.code;
			snprintf(res->message, sizeof res->message, "%s", e.msg);
		}
		blob_unref(s->watched[i]);
	}
	s->watches = 0;
}

static json_t *told_ports(const struct bench *b)
{
	json_t *ports = json_object();
	const char *role;
	json_t *v;

	json_object_foreach(b->ports, role, v) {
		char told[LINK_ADDRESS_BYTES];

		port_for_programs(json_string_value(v), "", told);
		json_object_set_new(ports, role, json_string(told));
	}
	return ports;
}

int bench_run(const struct bench *b, const struct recipe *recipe)
{
	struct session s = {
		.ports = {.ops = &bench_ports_source, .source = &s.bench_ports, .recipe = recipe},
		.bench_ports = {.recipe = recipe, .addresses = b->ports},
		.b = b,
		.steps = json_array(),
		.tty = isatty(2) && !b->ctl->json,
	};
	const struct runner_sink sink = {&s, step_begin, step_end, measured, NULL};
	const struct sigaction sa = {.sa_handler = on_interrupt};
	const struct sigaction lease = {.sa_handler = on_lease};
	json_t *empty = json_object();
	json_t *context = json_pack("{s:{s:s, s:s}, s:{s:s}, s:{s:s, s:s}, s:{s:s}, s:o}", "job",
		"id", "", "external_ref", "", "unit", "model", recipe->model ? recipe->model : "",
		"station", "id", "bench", "title", "bench", "run", "id", "", "ports",
		told_ports(b));
	struct runner rn = {
		.recipe = recipe,
		.sink = &sink,
		.ops = &env_ops,
		.env = &s,
		.tell = {.data = &s, .progress = env_progress},
		.cancel = &interrupt,
		.secrets = secret_set_new(),
		.secret = env_secret,
		.params = b->params ? b->params : empty,
		.artifacts = b->artifacts ? b->artifacts : empty,
		.context = context,
	};
	struct recipe *bound = NULL;
	struct run_result res;
	struct err e;

	int status;

	s.made = made_new(rn.secrets);
	if (recipe_bind(recipe, rn.params, &bound, &e) < 0 || cancel_init(&interrupt, &e) < 0) {
		status = ctl_fail(&e);
	} else {
		sigaction(SIGINT, &sa, NULL);
		sigaction(SIGTERM, &sa, NULL);
		sigaction(SIGIO, &lease, NULL);
		rn.recipe = bound;
		runner_run(&rn, &res);
		settle_watched(&s, &res);
		print_result(&s, &res);
		if (b->ret_result)
			*b->ret_result = result_json(&s, &res);
		status = status_of(res.outcome);
		cancel_done(&interrupt);
	}
	role_ports_done(&s.ports);
	bench_ports_done(&s.bench_ports);
	power_config_done(&s.power);
	made_free(s.made);
	secret_set_free(rn.secrets);
	json_decref(context);
	json_decref(empty);
	json_decref(s.steps);
	json_decref(s.measured);
	recipe_unref(bound);
	return status;
}
