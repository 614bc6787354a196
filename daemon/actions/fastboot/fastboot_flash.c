/* SPDX-License-Identifier: Apache-2.0
 *
 * fastboot.flash, fastboot.erase.
 */
#include "daemon/actions/fastboot/fastboot_session.h"
#include "daemon/actions/image_args.h"

#include "base/digest.h"

static const char *const verifies[] = {"auto", "fetch", "none", NULL};

static enum fastboot_verify verify_of(const struct args *a)
{
	const char *v = args_str(a, "verify");

	return !strcmp(v, "fetch")  ? FASTBOOT_VERIFY_FETCH
	       : !strcmp(v, "none") ? FASTBOOT_VERIFY_NONE
				    : FASTBOOT_VERIFY_AUTO;
}

static struct fastboot_flash_opts opts_of(const struct fastboot_step *x)
{
	const struct args *a = x->a;

	return (struct fastboot_flash_opts){
		.partition = args_str(a, "partition"),
		.slot = args_str(a, "slot"),
		.limit = args_size(a, "limit"),
		.erase = args_bool(a, "erase"),
		.no_sparse = fastboot_step_embedded(x),
		.unlisted = args_bool(a, "unlisted"),
		.keep_footer = args_bool(a, "keep_footer"),
		.skip_equal = args_bool(a, "skip_equal"),
		.disable_verity = args_bool(a, "disable_verity"),
		.disable_verification = args_bool(a, "disable_verification"),
		.verify = verify_of(a),
	};
}

/* Once, or for each slot of the device. */
static int flash_slots(struct fastboot_step *x, const struct blob *image, json_t *written,
	struct fastboot_flashed *last, struct err *e)
{
	struct fastboot_flash_opts o = opts_of(x);
	bool all = o.slot && !strcmp(o.slot, "all");
	uint64_t count = 1;
	int r = all ? fastboot_getvar_size(x->f, "slot-count", &count, &x->s->it, e) : 0;

	if (r == 0 && (count == 0 || count > 26))
		r = err_set(e, ERR_UNSUPPORTED, "slot: all: the device counts no slots");
	for (unsigned i = 0; r == 0 && i < (unsigned)count; i++) {
		char letter[2] = {(char)('a' + (int)i), 0};

		if (all)
			o.slot = letter;
		*last = (struct fastboot_flashed){0};
		r = fastboot_flash(x->f, image, &o, &x->s->it, last, e);
		if (r == 0)
			json_array_append_new(written, fastboot_flashed_json(image, last));
	}
	return r;
}

static int flash_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(fastboot_step_done) struct fastboot_step x = {0};
	_cleanup_(blob_unrefp) struct blob *image = NULL;
	struct fastboot_flashed t = {0};
	json_t *written = json_array();
	int r = blob_args_load(s, a, args_str(a, "image"), &image, e);

	if (r == 0)
		r = blob_args_check(s, a, args_str(a, "image"), image, out, e);
	if (r == 0)
		r = fastboot_step_open(&x, s, a, e);
	if (r == 0)
		r = fastboot_step_unlocked(&x, out, e);
	if (r == 0)
		r = flash_slots(&x, image, written, &t, e);
	if (r < 0) {
		json_decref(written);
		return r;
	}
	result_evidence(out, "written", written);
	result_output(out, "partition", json_string(t.target));
	result_output(out, "sha256", json_string(blob_sha256(image)));
	result_output(out, "bytes", json_integer((json_int_t)t.bytes));
	result_output(out, "pieces", json_integer(t.pieces));
	result_output(out, "proof", json_string(t.fetched ? "fetched" : "acknowledged"));
	return 0;
}

static const struct action_arg flash_args[] = {
	ARG_ROWS_FASTBOOT,
	{.name = "partition",
		.type = ARG_STRING,
		.required = true,
		.doc = "without a slot: it follows the device's current one"},
	{.name = "image",
		.type = ARG_IMAGE,
		.required = true,
		.doc = "the bytes of the partition, raw or an Android sparse image"},
	ARG_ROW_BLOB_FORMAT,
	ARG_ROWS_UNPACK,
	ARG_ROW_SLOT("a, b, other or all; where not given: the current one"),
	{.name = "unlisted",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "send it although the device says that it knows no such partition: a name of its bootloader's own"},
	{.name = "limit",
		.type = ARG_SIZE,
		.unit = "bytes",
		.doc = "of one download, where the device's own max-download-size is too much"},
	{.name = "erase",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "erase first: what a sparse image skips is then empty"},
	{.name = "verify",
		.type = ARG_CHOICE,
		.def = "auto",
		.choices = verifies,
		.doc = "auto: read back where the device has fetch; fetch: or it is an error"},
	{.name = "skip_equal",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "read first, where the device has fetch, and do not write what is there"},
	{.name = "keep_footer",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "do not move the AVB footer of a boot image to the partition's end"},
	{.name = "disable_verity",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "set that flag in a vbmeta image"},
	{.name = "disable_verification",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "set that flag in a vbmeta image"},
	{.name = "flash_timeout",
		.type = ARG_DURATION,
		.def = "300s",
		.doc = "of silence after flash, erase or resize"},
	ARG_ROW_DOWNLOAD_TIMEOUT,
	ARG_ROW_ALLOW_LOCKED,
	{0},
};

static const struct action_output flash_outputs[] = {
	{"partition", "with its slot"},
	{"sha256", "of the image"},
	{"bytes", "that were downloaded"},
	{"pieces", "downloads that it took"},
	{"proof", "fetched: read back and equal; acknowledged: on the device's word"},
	{0},
};

const struct action action_fastboot_flash = {
	.name = "fastboot.flash",
	.doc = "Writes an image into a partition, and reads it back where the device can.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = flash_args,
	.outputs = flash_outputs,
	.default_timeout_us = 1800 * US_PER_S,
	.run = flash_run,
};

static int erase_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(fastboot_step_done) struct fastboot_step x = {0};
	char target[FASTBOOT_NAME_MAX] = "";
	int r = fastboot_step_open(&x, s, a, e);

	if (r == 0)
		r = fastboot_step_unlocked(&x, out, e);
	if (r == 0)
		r = fastboot_erase(
			x.f, args_str(a, "partition"), args_str(a, "slot"), &s->it, target, e);
	if (r < 0)
		return r;
	result_evidence(out, "erased", json_string(target));
	result_evidence(out, "proof", json_string("acknowledged"));
	result_output(out, "partition", json_string(target));
	return 0;
}

static const struct action_arg erase_args[] = {
	ARG_ROWS_FASTBOOT,
	{.name = "partition", .type = ARG_STRING, .required = true, .doc = "what to erase"},
	ARG_ROW_SLOT("a, b or other; where not given: the current one"),
	{.name = "flash_timeout",
		.type = ARG_DURATION,
		.def = "300s",
		.doc = "of silence; a large eMMC takes minutes"},
	ARG_ROW_ALLOW_LOCKED,
	{0},
};

static const struct action_output erase_outputs[] = {{"partition", "with its slot"}, {0}};

const struct action action_fastboot_erase = {
	.name = "fastboot.erase",
	.doc = "Erases a partition, on the device's word.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = erase_args,
	.outputs = erase_outputs,
	.default_timeout_us = 600 * US_PER_S,
	.run = erase_run,
};
