/* SPDX-License-Identifier: Apache-2.0
 *
 * jlink.*: SEGGER's J-Link Commander.
 */
#include "transports/tools/jlink.h"

#include "daemon/actions/image_args.h"
#include "daemon/actions/image_json.h"
#include "daemon/actions/tool_step.h"

static struct jlink_target target_of(const struct args *a)
{
	return (struct jlink_target){
		.program = args_str(a, "program"),
		.device = args_str(a, "device"),
		.interface = args_str(a, "interface"),
		.speed_khz = (uint32_t)args_int(a, "speed"),
		.serial = args_str(a, "serial"),
	};
}

static int load_image(struct step *s, const struct args *a, struct image **ret, struct err *e)
{
	struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);

	image_args_take(a, &o);
	if (args_has(a, "address"))
		o.address = args_size(a, "address");
	return s->ops->load_image(s->env, args_str(a, "image"), &o, ret, e);
}

static int flash_in(struct tool_step *t, const struct args *a, const struct image *image,
	struct step_result *out, struct err *e)
{
	const struct jlink_target target = target_of(a);
	const struct jlink_flash f = {.erase_chip = !strcmp(args_str(a, "erase"), "chip"),
		.start = args_bool(a, "start")};
	const struct teller tell = step_teller(t->s);
	int r = jlink_flash(&target, image, &f, &t->dir, &tell, &t->seen, &t->s->it, e);

	tool_step_evidence(&t->seen, out);
	if (r < 0)
		return r;
	/* J-Link Commander compared every byte itself, and said so for every segment. */
	result_evidence(out, "proof", json_string("verifybin"));
	result_evidence(out, "image", image_json(image));
	result_evidence(out, "bytes", json_integer((json_int_t)image->bytes));
	result_output(out, "bytes", json_integer((json_int_t)image->bytes));
	return 0;
}

static int flash_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(image_unrefp) struct image *image = NULL;
	_cleanup_(tool_step_done) struct tool_step t = {0};
	int r = load_image(s, a, &image, e);

	if (r == 0)
		r = tool_step_open(&t, s, e);
	return r < 0 ? r : flash_in(&t, a, image, out, e);
}

#define ROWS_TARGET                                                                               \
	{.name = "device",                                                                        \
		.type = ARG_STRING,                                                               \
		.required = true,                                                                 \
		.doc = "the chip as SEGGER names it: STM32F407VG"},                               \
		{.name = "interface",                                                             \
			.type = ARG_CHOICE,                                                       \
			.def = "SWD",                                                             \
			.choices = jlink_interfaces,                                              \
			.doc = "how the probe is wired to it"},                                   \
		{.name = "speed",                                                                 \
			.type = ARG_INT,                                                          \
			.def = "4000",                                                            \
			.low = 0,                                                                 \
			.high = 50000,                                                            \
			.unit = "kHz",                                                            \
			.doc = "0: what the program chooses"},                                    \
		{.name = "serial",                                                                \
			.type = ARG_STRING,                                                       \
			.doc = "digits of the probe's serial number, where several are plugged"}, \
		ARG_ROW_PROGRAM("JLinkExe")

static const char *const erases[] = {"sectors", "chip", NULL};

static const struct action_arg flash_args[] = {
	{.name = "image", .type = ARG_IMAGE, .required = true, .doc = "any firmware format"},
	{.name = "address",
		.type = ARG_SIZE,
		.doc = "where a raw binary begins; the other formats say it themselves"},
	ARG_ROWS_FORMAT,
	{.name = "erase",
		.type = ARG_CHOICE,
		.def = "sectors",
		.choices = erases,
		.doc = "what is erased before: the sectors that the image touches, or the chip"},
	{.name = "start",
		.type = ARG_BOOL,
		.def = "true",
		.doc = "reset and let it run afterwards"},
	ROWS_TARGET,
	{0},
};

static const struct action_output flash_outputs[] = {{"bytes", "of the image"}, {0}};

const struct action action_jlink_flash = {
	.name = "jlink.flash",
	.doc = "Flashes and verifies an image with J-Link Commander.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = flash_args,
	.outputs = flash_outputs,
	.default_timeout_us = 180 * US_PER_S,
	.run = flash_run,
};

static const char **strings(const struct args *a, const char *name)
{
	const json_t *list = args_json(a, name);
	size_t n = json_array_size(list);
	const char **v = xcalloc(n + 1, sizeof *v);

	for (size_t i = 0; i < n; i++)
		v[i] = json_string_value(json_array_get(list, i));
	return v;
}

static int script_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(tool_step_done) struct tool_step t = {0};
	_cleanup_(freep) const char **line = strings(a, "commands");
	_cleanup_(freep) const char **success = strings(a, "success");
	_cleanup_(freep) const char **failure = strings(a, "failure");
	const struct jlink_commands c = {line, success, failure, args_str(a, "evidence")};
	const struct jlink_target target = target_of(a);
	const struct teller tell = step_teller(s);
	int r;

	if (!success[0])
		return err_set(e, ERR_RECIPE_INVALID,
			"'success' is empty: J-Link Commander ends in the same way whatever happened");
	r = tool_step_open(&t, s, e);
	if (r == 0)
		r = jlink_script(&target, &c, &t.dir, &tell, &t.seen, &s->it, e);
	tool_step_evidence(&t.seen, out);
	if (r < 0)
		return r;
	if (t.seen.value) {
		result_evidence(out, "value", json_string(t.seen.value));
		result_output(out, "value", json_string(t.seen.value));
	}
	return 0;
}

static const struct action_arg script_args[] = {
	{.name = "commands",
		.type = ARG_LIST,
		.required = true,
		.doc = "lines of J-Link Commander; 'ExitOnError 1' and 'exit' are put around them"},
	{.name = "success",
		.type = ARG_LIST,
		.required = true,
		.doc = "patterns; a line of the output must match each of them"},
	{.name = "failure",
		.type = ARG_LIST,
		.doc = "patterns that no line may match, in addition to the program's known failures"},
	{.name = "evidence",
		.type = ARG_REGEX,
		.doc = "a line that must come; its first group is kept"},
	ROWS_TARGET,
	{0},
};

static const struct action_output script_outputs[] = {{"value", "what 'evidence' captured"}, {0}};

const struct action action_jlink_script = {
	.name = "jlink.script",
	.doc = "Runs commands of J-Link Commander and judges them by what it says.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = script_args,
	.outputs = script_outputs,
	.default_timeout_us = 120 * US_PER_S,
	.run = script_run,
};
