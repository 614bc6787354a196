/* SPDX-License-Identifier: Apache-2.0
 *
 * cubeprogrammer.flash: ST's STM32_Programmer_CLI.
 */
#include "daemon/actions/tools/cubeprogrammer.h"

#include "daemon/actions/image_args.h"
#include "daemon/actions/image_json.h"

#define OPTION_SIZE 80

struct options {
	char text[CUBE_OPTIONS_MAX][OPTION_SIZE];
	const char *list[CUBE_OPTIONS_MAX + 1];
};

static int fill_options(struct options *o, const struct args *a, struct err *e)
{
	json_t *map = (json_t *)(uintptr_t)args_json(a, "option_bytes");
	const char *name;
	json_t *item;
	size_t n = 0;

	json_object_foreach(map, name, item) {
		_cleanup_(freep) char *value = json_is_string(item)
						       ? xstrdup(json_string_value(item))
						       : json_dumps(item, JSON_ENCODE_ANY);

		if (n == CUBE_OPTIONS_MAX ||
			snprintf(o->text[n], OPTION_SIZE, "%s=%s", name, value) >= OPTION_SIZE)
			return err_set(e, ERR_RECIPE_INVALID,
				"'option_bytes': more than %d, or '%.40s' is too long",
				CUBE_OPTIONS_MAX, name);
		o->list[n] = o->text[n];
		n++;
	}
	return 0;
}

static enum cube_port port_of(const struct args *a)
{
	static const char *const names[] = {
		[CUBE_SWD] = "SWD", [CUBE_JTAG] = "JTAG", [CUBE_USB] = "USB", [CUBE_UART] = "UART"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(args_str(a, "interface"), names[i]))
			return (enum cube_port)i;
	return CUBE_SWD;
}

/* A serial line is a port of the station: the program opens it itself. */
static int node_of(
	struct step *s, const struct args *a, char ret[LINK_ADDRESS_BYTES], struct err *e)
{
	struct device_facts f;
	const char *role = args_str(a, "port");
	int r;

	ret[0] = 0;
	if (port_of(a) != CUBE_UART)
		return 0;
	if (!role)
		return err_set(e, ERR_RECIPE_INVALID, "interface UART needs 'port'");
	r = s->ops->facts(s->env, role, &f, e);
	if (r < 0)
		return r;
	if (strncmp(f.node, "tty:", 4) != 0 && f.node[0] != '/')
		return err_set(e, ERR_UNSUPPORTED, "port %s is '%s': a serial line expected", role,
			f.node);
	s->ops->link_close(s->env, role);
	snprintf(ret, 128, "%s", f.node[0] == '/' ? f.node : f.node + 4);
	return 0;
}

int cube_target_of(struct step *s, const struct args *a, char node[LINK_ADDRESS_BYTES],
	struct cube_target *ret, struct err *e)
{
	int r = node_of(s, a, node, e);

	if (r < 0)
		return r;
	*ret = (struct cube_target){
		.program = args_str(a, "program"),
		.port = port_of(a),
		.serial = args_str(a, "serial"),
		.node = node,
		.baud = (uint32_t)args_int(a, "baud"),
		.speed_khz = (uint32_t)args_int(a, "speed"),
		.mode = args_str(a, "mode"),
		.reset = args_str(a, "reset"),
		.access_port = args_has(a, "access_port") ? (int)args_int(a, "access_port") : -1,
	};
	return 0;
}

static int flash_in(struct tool_step *t, const struct args *a, const struct image *image,
	struct step_result *out, struct err *e)
{
	struct options o = {0};
	char node[LINK_ADDRESS_BYTES];
	const struct teller tell = step_teller(t->s);
	struct cube_target target;
	int r = cube_target_of(t->s, a, node, &target, e);

	if (r == 0)
		r = fill_options(&o, a, e);
	if (r < 0)
		return r;

	const struct cube_flash f = {.erase_all = !strcmp(args_str(a, "erase"), "all"),
		.option = o.list,
		.start = args_bool(a, "start")};

	r = cube_flash(&target, image, &f, &t->dir, &tell, &t->seen, &t->s->it, e);
	tool_step_evidence(&t->seen, out);
	if (r < 0)
		return r;
	result_evidence(out, "proof", json_string("verified by the program"));
	result_evidence(out, "image", image_json(image));
	result_evidence(out, "bytes", json_integer((json_int_t)image->bytes));
	if (o.list[0])
		result_evidence(out, "option_bytes", json_deep_copy(args_json(a, "option_bytes")));
	result_output(out, "bytes", json_integer((json_int_t)image->bytes));
	return 0;
}

static int flash_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(image_unrefp) struct image *image = NULL;
	_cleanup_(tool_step_done) struct tool_step t = {0};
	struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);
	int r;

	image_args_take(a, &o);
	if (args_has(a, "address"))
		o.address = args_size(a, "address");
	r = s->ops->load_image(s->env, args_str(a, "image"), &o, &image, e);
	if (r == 0)
		r = tool_step_open(&t, s, e);
	return r < 0 ? r : flash_in(&t, a, image, out, e);
}

const char *const cube_interfaces[] = {"SWD", "JTAG", "USB", "UART", NULL};
static const char *const erases[] = {"sectors", "all", NULL};

static const struct action_arg flash_args[] = {
	{.name = "image", .type = ARG_IMAGE, .required = true, .doc = "any firmware format"},
	{.name = "address",
		.type = ARG_SIZE,
		.doc = "where a raw binary begins; the other formats say it themselves"},
	ARG_ROWS_FORMAT,
	CUBE_ROWS_TARGET,
	{.name = "erase",
		.type = ARG_CHOICE,
		.def = "sectors",
		.choices = erases,
		.doc = "what is erased before: the sectors that the image touches, or all"},
	{.name = "option_bytes",
		.type = ARG_MAP,
		.doc = "NAME: NUMBER, written after the verify; RDP of level 2 (0xCC) is refused: cubeprogrammer.protect sets it"},
	{.name = "start",
		.type = ARG_BOOL,
		.def = "true",
		.doc = "reset (SWD, JTAG) or start it (USB, UART) afterwards"},
	ARG_ROW_PROGRAM("STM32_Programmer_CLI"),
	{0},
};

static const struct action_output flash_outputs[] = {{"bytes", "of the image"}, {0}};

const struct action action_cubeprogrammer_flash = {
	.name = "cubeprogrammer.flash",
	.doc = "Flashes and verifies an image with ST's STM32_Programmer_CLI.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = flash_args,
	.outputs = flash_outputs,
	.default_timeout_us = 180 * US_PER_S,
	.run = flash_run,
};
