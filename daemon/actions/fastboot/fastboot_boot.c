/* SPDX-License-Identifier: Apache-2.0
 *
 * fastboot.boot, fastboot.reboot: the device restarts, and is waited for.
 */
#include "daemon/actions/fastboot/fastboot_session.h"
#include "daemon/actions/image_args.h"

#include "transports/images/bootimg.h"

static const char *const reboot_to[] = {
	"system", "bootloader", "fastboot", "recovery", "continue", NULL};
static const char *const wait_for[] = {
	"auto", "bootloader", "fastboot", "recovery", "system", "none", NULL};

#define WAIT_ROWS                                                                                \
	{.name = "wait_for",                                                                     \
		.type = ARG_CHOICE,                                                              \
		.def = "auto",                                                                   \
		.choices = wait_for,                                                             \
		.doc = "auto: where it goes; bootloader and fastboot answer and are the same "   \
		       "unit, system and recovery have left (over USB: came back, "              \
		       "but not in fastboot)"},                                                  \
	{                                                                                        \
		.name = "wait", .type = ARG_DURATION, .def = "60s", .doc = "for it to come back" \
	}

/* What it says when it is back. */
static int prove_mode(
	struct fastboot_step *x, bool want_userspace, struct step_result *out, struct err *e)
{
	bool userspace = false;
	int r = fastboot_getvar_yes(x->f, "is-userspace", &userspace, &x->s->it, e);

	if (r < 0)
		return r;
	result_evidence(out, "came_back_as", json_string(userspace ? "fastboot" : "bootloader"));
	result_evidence(out, "serialno", json_string(x->serial));
	result_output(out, "mode", json_string(userspace ? "fastboot" : "bootloader"));
	if (userspace != want_userspace)
		return result_fail(out, ERR_UNEXPECTED_REPLY, "it came back as %s, %s expected",
			userspace ? "fastbootd" : "the bootloader",
			want_userspace ? "fastbootd" : "the bootloader");
	return 0;
}

static int wait_as_told(
	struct fastboot_step *x, const char *what, struct step_result *out, struct err *e)
{
	struct iotime it = iotime_within(&x->s->it, args_duration_us(x->a, "wait"));
	bool userspace = !strcmp(what, "fastboot");
	json_t *facts = NULL;
	int r;

	result_evidence(out, "proof", json_string("acknowledged"));
	if (!strcmp(what, "none"))
		return 0;
	if (userspace || !strcmp(what, "bootloader")) {
		r = fastboot_step_back(x, &it, e);
		if (r == 0)
			result_evidence(out, "proof", json_string("observed"));
		return r < 0 ? r : prove_mode(x, userspace, out, e);
	}
	r = fastboot_step_away(x, &it, &facts, e);
	if (r < 0)
		return r;
	result_evidence(out, "left", json_true());
	if (facts) {
		result_evidence(out, "device", facts);
		result_evidence(out, "proof", json_string("observed"));
	}
	return 0;
}

static const char *wait_of(const struct args *a, const char *to)
{
	const char *w = args_str(a, "wait_for");

	if (strcmp(w, "auto") != 0)
		return w;
	return !strcmp(to, "continue") ? "system" : to;
}

static int reboot_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(fastboot_step_done) struct fastboot_step x = {0};
	const char *to = args_str(a, "to");
	_cleanup_(freep) char *command = !strcmp(to, "system")	   ? xstrdup("reboot")
					 : !strcmp(to, "continue") ? xstrdup("continue")
								   : xasprintf("reboot-%s", to);
	int r = fastboot_step_open(&x, s, a, e);

	if (r == 0)
		r = fastboot_step_leaving(&x, e);
	if (r == 0)
		r = fastboot_command(
			x.f, command, fastboot_config(x.f)->command_us, &s->it, NULL, e);
	if (r < 0)
		return r;
	result_evidence(out, "command", json_string(command));
	return wait_as_told(&x, wait_of(a, to), out, e);
}

static const struct action_arg reboot_args[] = {
	ARG_ROWS_FASTBOOT,
	{.name = "to",
		.type = ARG_CHOICE,
		.def = "system",
		.choices = reboot_to,
		.doc = "continue: go on booting without a restart"},
	WAIT_ROWS,
	{0},
};

static const struct action_output mode_outputs[] = {
	{"mode", "bootloader or fastboot, where it answers again"}, {0}};

const struct action action_fastboot_reboot = {
	.name = "fastboot.reboot",
	.doc = "Restarts the device and waits for what it should become.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_REENUMERATES | ACTION_SAFE_TO_RETRY,
	.args = reboot_args,
	.outputs = mode_outputs,
	.default_timeout_us = 120 * US_PER_S,
	.run = reboot_run,
};

static int boot_image(
	struct fastboot_step *x, const struct blob *image, struct step_result *out, struct err *e)
{
	struct spans bytes = {0};
	struct bootimg header;
	int r = 0;

	if (content_detect(image->data, image->size) == CONTENT_BOOT)
		r = bootimg_check(image->path, image->data, image->size, &header, e);
	else
		step_log(x->s, '#', "%s is %s, a boot image is usual", image->path,
			content_name(content_detect(image->data, image->size)));
	if (r == 0)
		r = fastboot_step_leaving(x, e);
	if (r == 0)
		r = spans_add(&bytes, image->data, image->size, e);
	if (r == 0)
		r = fastboot_download(x->f, &bytes, &x->s->it, e);
	spans_done(&bytes);
	if (r == 0)
		r = fastboot_command(
			x->f, "boot", fastboot_config(x->f)->command_us, &x->s->it, NULL, e);
	if (r < 0)
		return r;
	result_evidence(out, "sha256_sent", json_string(blob_sha256(image)));
	result_evidence(out, "bytes", json_integer((json_int_t)image->size));
	return wait_as_told(x, wait_of(x->a, "system"), out, e);
}

static int boot_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(fastboot_step_done) struct fastboot_step x = {0};
	_cleanup_(blob_unrefp) struct blob *image = NULL;
	int r = s->ops->load_blob(s->env, args_str(a, "image"), &image, e);

	if (r == 0)
		r = blob_args_check(s, a, args_str(a, "image"), image, out, e);
	if (r == 0)
		r = fastboot_step_open(&x, s, a, e);
	if (r == 0)
		r = fastboot_step_unlocked(&x, out, e);
	return r < 0 ? r : boot_image(&x, image, out, e);
}

static const struct action_arg boot_args[] = {
	ARG_ROWS_FASTBOOT,
	{.name = "image", .type = ARG_IMAGE, .required = true, .doc = "a boot image"},
	ARG_ROW_BLOB_FORMAT,
	WAIT_ROWS,
	ARG_ROW_ALLOW_LOCKED,
	{0},
};

const struct action action_fastboot_boot = {
	.name = "fastboot.boot",
	.doc = "Boots an image from memory; nothing is written.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_REENUMERATES | ACTION_SAFE_TO_RETRY,
	.args = boot_args,
	.outputs = mode_outputs,
	.default_timeout_us = 300 * US_PER_S,
	.run = boot_run,
};
