/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/tools/openocd.h"

#include "daemon/actions/image_args.h"

#include "base/strbuf.h"
#include "daemon/actions/tool_step.h"
#include "daemon/actions/tools/probe_serial.h"

const char *const openocd_selects[] = {"auto", "serial", "location", "none", NULL};
const char *const openocd_enters[] = {
	[OPENOCD_RESET_INIT] = "reset-init",
	[OPENOCD_RESET_HALT] = "reset-halt",
	[OPENOCD_HALT] = "halt",
	[OPENOCD_AS_IT_IS] = "none",
	NULL,
};
const char *const openocd_leaves[] = {
	[OPENOCD_RESET_RUN] = "reset-run",
	[OPENOCD_RESUME] = "resume",
	[OPENOCD_LEAVE] = "none",
	NULL,
};

static int choice_of(const struct args *a, const char *name, const char *const *choices, int def)
{
	const char *v = args_str(a, name);

	for (int i = 0; v && choices[i]; i++)
		if (!strcmp(choices[i], v))
			return i;
	return def;
}

/* --- which probe --- */

/* "tcp:HOST:PORT" */
static int take_address(struct openocd_step *x, struct err *e)
{
	const char *at = x->facts.node + strlen("tcp:");
	const char *colon = strrchr(at, ':');
	unsigned long long port = 0;

	if (!colon || !parse_size(colon + 1, &port) || port == 0 || port > UINT16_MAX ||
		(size_t)(colon - at) >= sizeof x->host)
		return err_set(e, ERR_INVALID, "%s: tcp:HOST:PORT expected", x->facts.node);
	snprintf(x->host, sizeof x->host, "%.*s", (int)(colon - at), at);
	/* So that one recipe is for both. */
	x->probe.interface = NULL;
	x->probe.bitbang_host = x->host;
	x->probe.bitbang_port = (uint16_t)port;
	return 0;
}

/* OpenOCD 0.12's driver passes over `adapter usb location` without a word and takes the first probe
 * that it finds, which may be another station's. It goes by the serial number of USB itself. */
static bool is_cmsis_dap(const char *interface)
{
	return strstr(interface, "cmsis-dap") != NULL;
}

/* Whether the probe that OpenOCD would find by that number is the one on the port. */
static int check_serial(const struct openocd_step *x, const char *serial, struct err *e)
{
	const struct device_facts *f = &x->facts;

	if (!f->serial[0] || !f->vid[0])
		return 0;
	if (is_cmsis_dap(x->probe.interface) && strcmp(serial, f->serial) != 0)
		return err_set(e, ERR_WRONG_DEVICE,
			"the probe at %s has serial number %s, expected %s", f->node, f->serial,
			serial);
	return probe_serial_check(f, "OpenOCD", e);
}

static int check_location(const struct openocd_step *x, struct err *e)
{
	if (!x->facts.port[0])
		return err_set(
			e, ERR_PORT_UNBOUND, "the probe at %s has no USB port", x->facts.node);
	if (is_cmsis_dap(x->probe.interface))
		return err_set(e, ERR_UNSUPPORTED,
			"the probe at %s cannot be chosen by its port: OpenOCD's cmsis-dap takes the first that it finds; give it a serial number of its own",
			x->facts.node);
	return 0;
}

static int take_usb(struct openocd_step *x, struct err *e)
{
	const char *select = args_str(x->a, "select");
	const char *serial = args_has(x->a, "serial") ? args_str(x->a, "serial") : x->facts.serial;
	bool by_serial = args_has(x->a, "serial") || !strcmp(select, "serial");
	bool by_location = !strcmp(select, "location");

	if (!x->probe.interface)
		return err_set(e, ERR_RECIPE_INVALID,
			"'interface' is missing: stlink, jlink, cmsis-dap or a file, as the probe is");
	/* An ST-Link V2 may give rubbish as its serial number. */
	if (!strcmp(select, "auto") && !by_serial) {
		by_serial = openocd_word_ok(serial);
		by_location = !by_serial;
	}
	if (by_serial && !serial[0])
		return err_set(e, ERR_PORT_UNBOUND,
			"the probe at %s has no serial number: say 'select: location'",
			x->facts.node);
	if (by_serial)
		x->probe.serial = serial;
	if (by_location)
		x->probe.location = x->facts.port;
	return by_serial ? check_serial(x, serial, e) : by_location ? check_location(x, e) : 0;
}

static int take_setup(struct openocd_step *x, struct err *e)
{
	const json_t *list = args_has(x->a, "setup") ? args_json(x->a, "setup") : NULL;
	size_t n = json_array_size(list);

	if (n > OPENOCD_SETUP_MAX)
		return err_set(e, ERR_RECIPE_INVALID, "'setup' has more than %d commands",
			OPENOCD_SETUP_MAX);
	for (size_t i = 0; i < n; i++)
		x->setup[i] = json_string_value(json_array_get(list, i));
	x->probe.setup = x->setup;
	return 0;
}

int openocd_step_facts(struct openocd_step *x, struct step *s, const struct args *a, struct err *e)
{
	int r = s->ops->facts(s->env, args_str(a, "port"), &x->facts, e);

	return r < 0 || strncmp(x->facts.node, "tcp:", 4) != 0 ? r : take_address(x, e);
}

int openocd_step_init(struct openocd_step *x, struct step *s, const struct args *a, struct err *e)
{
	int r;

	x->s = s;
	x->a = a;
	r = s->ops->facts(s->env, args_str(a, "port"), &x->facts, e);
	if (r == 0 && s->ops->scratch) {
		r = s->ops->scratch(s->env, x->work_dir, e);
		x->probe.work_dir = x->work_dir;
	}
	if (r < 0)
		return r;
	x->probe.interface = args_str(a, "interface");
	x->probe.target = args_str(a, "target");
	x->probe.transport = args_str(a, "transport");
	x->probe.speed_khz = (uint32_t)args_int(a, "speed");
	x->probe.has_work_area = args_has(a, "work_area");
	x->probe.work_area_bytes = args_size(a, "work_area");
	x->job.secrets = s->secrets;
	x->job.enter =
		(enum openocd_enter)choice_of(a, "before", openocd_enters, OPENOCD_RESET_INIT);
	x->job.leave = (enum openocd_leave)choice_of(a, "after", openocd_leaves, OPENOCD_RESET_RUN);
	r = take_setup(x, e);
	if (r == 0)
		r = strncmp(x->facts.node, "tcp:", 4) ? take_usb(x, e) : take_address(x, e);
	return r;
}

int openocd_step_image(struct openocd_step *x, const char *ref, uint64_t address, struct err *e)
{
	struct image_opts o = IMAGE_OPTS(address);
	struct image **at = &x->image[x->job.images];
	int r;

	image_args_take(x->a, &o);
	if (x->job.images == OPENOCD_IMAGES_MAX)
		return err_set(e, ERR_RECIPE_INVALID, "more than %d images", OPENOCD_IMAGES_MAX);
	r = x->s->ops->load_image(x->s->env, ref, &o, at, e);
	if (r == 0)
		x->job.image[x->job.images++] = *at;
	return r;
}

void openocd_step_done(struct openocd_step *x)
{
	for (size_t i = 0; i < x->job.images; i++)
		image_unref(x->image[i]);
	openocd_result_done(&x->result);
}

/* --- the run --- */

static json_t *list_of(char *const *line, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(line[i]));
	return list;
}

/* Of every run, also of one that failed. */
static void tell_tool(const struct openocd_step *x, struct step_result *out)
{
	const struct openocd_result *res = &x->result;

	if (!res->tool.program)
		return;
	tool_step_evidence(&res->tool, out);
	/* All lines that prove something, not the first of each kind. */
	result_evidence(out, "lines", list_of(res->line, res->lines));
	result_evidence(
		out, "probe", json_string(x->probe.serial ? x->probe.serial : x->facts.node));
}

static void tell(const struct openocd_step *x, struct step_result *out)
{
	const struct openocd_result *res = &x->result;

	if (res->warnings)
		result_evidence(out, "warnings", list_of(res->warning, res->warnings));
	if (x->job.images) {
		json_t *images = json_array();

		for (size_t i = 0; i < x->job.images; i++)
			json_array_append_new(images, image_json(x->image[i]));
		result_evidence(out, "images", images);
		result_evidence(out, "sha256_image", json_string(res->sha256_image));
		result_evidence(out, "bytes", json_integer((json_int_t)res->image_bytes));
		result_output(out, "sha256", json_string(res->sha256_image));
		result_output(out, "bytes", json_integer((json_int_t)res->image_bytes));
	}
	if (res->sha256_read[0])
		result_evidence(out, "sha256_read", json_string(res->sha256_read));
}

/* --- an OpenOCD that stays --- */

struct kept_server {
	struct kept kept;
	struct openocd_server *server;
};

static const char server_kind[] = "openocd";

static void kept_free(struct kept *k)
{
	struct kept_server *s = container_of(k, struct kept_server, kept);

	openocd_server_free(s->server);
	free(s);
}

static void forget(struct kept **place)
{
	if (*place)
		(*place)->free(*place);
	*place = NULL;
}

static struct openocd_server *server_of(struct kept **place)
{
	return *place && (*place)->kind == server_kind
		       ? container_of(*place, struct kept_server, kept)->server
		       : NULL;
}

static int start_server(
	struct openocd_step *x, struct kept **place, const struct teller *h, struct err *e)
{
	struct kept_server *k;
	struct openocd_server *server = NULL;
	int r;

	forget(place);
	r = openocd_server_start(&x->probe, h, &x->s->it, &server, e);
	if (r < 0)
		return r;
	k = xcalloc(1, sizeof *k);
	k->kept = (struct kept){server_kind, kept_free};
	k->server = server;
	*place = &k->kept;
	return 0;
}

/* What a server that has seen another unit, or another probe, may say of the next. */
static bool worth_a_new_server(int r)
{
	return r == -ERR_DEVICE_GONE || r == -ERR_TIMEOUT || r == -ERR_PROTOCOL ||
	       r == -ERR_TOOL_FAILED || r == -ERR_PORT_UNBOUND;
}

static int run_kept(struct openocd_step *x, struct kept **place, const struct teller *h,
	struct step_result *out, struct err *e)
{
	struct openocd_server *server = server_of(place);
	bool used = server && openocd_server_fit(server, &x->probe, h, &x->s->it);
	int r = used ? 0 : start_server(x, place, h, e);

	if (r < 0)
		return r;
	r = openocd_server_run(server_of(place), &x->job, h, &x->s->it, &x->result, e);
	/* Commands of a recipe's own are never sent twice. */
	if (used && worth_a_new_server(r) && x->job.kind != OPENOCD_COMMAND &&
		iotime_check(&x->s->it, NULL) == 0) {
		step_log(x->s, '#', "%s; OpenOCD is started again", e ? e->msg : "it failed");
		openocd_result_done(&x->result);
		used = false;
		r = start_server(x, place, h, e);
		if (r == 0)
			r = openocd_server_run(
				server_of(place), &x->job, h, &x->s->it, &x->result, e);
	}
	if (r < 0)
		forget(place);
	else
		result_evidence(
			out, "server_jobs", json_integer(openocd_server_jobs(server_of(place))));
	return r;
}

int openocd_step_run(struct openocd_step *x, struct step_result *out, struct err *e)
{
	const struct teller h = step_teller(x->s);
	struct kept **place =
		x->s->ops->kept ? x->s->ops->kept(x->s->env, args_str(x->a, "port")) : NULL;
	int r;

	if (place && args_bool(x->a, "stay")) {
		r = run_kept(x, place, &h, out, e);
	} else {
		/* It would hold the probe. */
		if (place)
			forget(place);
		r = openocd_run(&x->probe, &x->job, &h, &x->s->it, &x->result, e);
	}
	tell_tool(x, out);
	if (r == 0)
		tell(x, out);
	return r;
}

/* --- one for a step's own questions --- */

static const char *const no_commands[] = {NULL};

static int run_nothing(struct openocd_step *x, struct openocd_server *server,
	enum openocd_enter enter, enum openocd_leave leave, struct err *e)
{
	const struct teller h = step_teller(x->s);
	const struct openocd_job job = {.kind = OPENOCD_COMMAND,
		.enter = enter,
		.leave = leave,
		.command = no_commands,
		.secrets = x->s->secrets};

	return openocd_server_run(server, &job, &h, &x->s->it, &x->result, e);
}

int openocd_step_begin(
	struct openocd_step *x, struct openocd_server **ret, struct step_result *out, struct err *e)
{
	const struct teller h = step_teller(x->s);
	struct kept **place =
		x->s->ops->kept ? x->s->ops->kept(x->s->env, args_str(x->a, "port")) : NULL;
	struct openocd_server *server = NULL;
	int r;

	if (place)
		forget(place);
	r = openocd_server_start(&x->probe, &h, &x->s->it, &server, e);
	if (r < 0)
		return r;
	r = run_nothing(x, server, x->job.enter, OPENOCD_LEAVE, e);
	tell_tool(x, out);
	if (r < 0)
		openocd_server_free(server);
	else
		*ret = server;
	return r;
}

void openocd_step_end(struct openocd_step *x, struct openocd_server *server)
{
	struct err why = {0};

	if (!server)
		return;
	openocd_result_done(&x->result);
	if (run_nothing(x, server, OPENOCD_AS_IT_IS, x->job.leave, &why) < 0)
		step_log(x->s, '#', "the core is not as 'after' says: %s", why.msg);
	openocd_server_free(server);
}
