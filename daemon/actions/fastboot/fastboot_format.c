/* SPDX-License-Identifier: Apache-2.0
 *
 * fastboot.format: an empty ext4 file system, made here by mke2fs and flashed as a sparse image.
 */
#include "daemon/actions/fastboot/fastboot_session.h"
#include "daemon/actions/tool_step.h"
#include "transports/tools/mke2fs.h"

/* The image, in a file that the blob maps: it may go when the step's directory does. */
static int make_image(
	struct step *s, uint64_t bytes, struct blob **ret, struct step_result *out, struct err *e)
{
	_cleanup_(tool_step_done) struct tool_step t = {0};
	const struct teller tell = step_teller(s);
	char path[600];
	int r = tool_step_open(&t, s, e);

	if (r == 0)
		r = mke2fs_ext4(NULL, &t.dir, bytes, &tell, &t.seen, path, &s->it, e);
	tool_step_evidence(&t.seen, out);
	return r < 0 ? r : blob_open(path, BLOB_STORED, ret, e);
}

static int check_type(struct fastboot_step *x, const char *target, struct err *e)
{
	char name[FASTBOOT_NAME_MAX + 32], v[FASTBOOT_REPLY_MAX + 1] = "ext4";
	int r;

	snprintf(name, sizeof name, "partition-type:%s", target);
	r = fastboot_getvar(x->f, name, v, &x->s->it, e);
	if (r == -ERR_NOT_FOUND)
		r = 0;
	if (r == 0 && strcmp(v, "ext4") != 0 && !args_bool(x->a, "any_type"))
		r = err_set(e, ERR_UNSUPPORTED,
			"partition %s is of type '%s', only ext4 can be made (see any_type)",
			target, v);
	return r;
}

static int size_for(struct fastboot_step *x, const char *target, uint64_t *ret, struct err *e)
{
	char name[FASTBOOT_NAME_MAX + 32];
	uint64_t there = 0;
	int r;

	snprintf(name, sizeof name, "partition-size:%s", target);
	r = fastboot_getvar_hex(x->f, name, &there, &x->s->it, e);
	if (r < 0)
		return r;
	*ret = args_has(x->a, "size") ? args_size(x->a, "size") : there;
	*ret -= *ret % MKE2FS_BLOCK;
	if (*ret == 0)
		return err_set(e, ERR_INVALID,
			"the device does not say the size of partition %s: give 'size'", target);
	if (there && *ret > there)
		return err_set(e, ERR_IMAGE_RANGE, "'size' is more than the %llu bytes of %s",
			(unsigned long long)there, target);
	if (*ret > BLOB_MAX_BYTES)
		return err_set(e, ERR_TOO_LARGE,
			"%llu bytes are more than can be made here: give a 'size' of %llu at most",
			(unsigned long long)*ret, (unsigned long long)BLOB_MAX_BYTES);
	return 0;
}

static int format_it(struct fastboot_step *x, struct step_result *out, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *image = NULL;
	char target[FASTBOOT_NAME_MAX] = "";
	struct fastboot_flashed t = {0};
	struct fastboot_flash_opts o = {
		.partition = args_str(x->a, "partition"),
		.slot = args_str(x->a, "slot"),
		.erase = true,
		.sparse = true,
		.keep_footer = true,
	};
	uint64_t bytes = 0;
	int r = fastboot_target(x->f, o.partition, o.slot, target, &x->s->it, e);

	if (r == 0)
		r = check_type(x, target, e);
	if (r == 0)
		r = size_for(x, target, &bytes, e);
	if (r == 0)
		r = make_image(x->s, bytes, &image, out, e);
	if (r == 0)
		r = fastboot_flash(x->f, image, &o, &x->s->it, &t, e);
	if (r < 0)
		return r;
	result_evidence(out, "file_system", json_string("ext4"));
	result_evidence(out, "written", json_pack("[o]", fastboot_flashed_json(image, &t)));
	result_output(out, "partition", json_string(t.target));
	result_output(out, "bytes", json_integer((json_int_t)bytes));
	return 0;
}

static int format_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(fastboot_step_done) struct fastboot_step x = {0};
	int r = fastboot_step_open(&x, s, a, e);

	if (r == 0)
		r = fastboot_step_unlocked(&x, out, e);
	return r < 0 ? r : format_it(&x, out, e);
}

static const struct action_arg format_args[] = {
	ARG_ROWS_FASTBOOT,
	{.name = "partition", .type = ARG_STRING, .required = true, .doc = "what to format"},
	ARG_ROW_SLOT("a, b or other; where not given: the current one"),
	{.name = "size",
		.type = ARG_SIZE,
		.unit = "bytes",
		.doc = "of the file system; where not given: the partition's"},
	{.name = "any_type",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "make it also where the device names another type"},
	{.name = "flash_timeout",
		.type = ARG_DURATION,
		.def = "300s",
		.doc = "of silence after flash or erase"},
	ARG_ROW_ALLOW_LOCKED,
	{0},
};

static const struct action_output format_outputs[] = {
	{"partition", "with its slot"}, {"bytes", "of the file system"}, {0}};

const struct action action_fastboot_format = {
	.name = "fastboot.format",
	.doc = "Erases a partition and puts an empty ext4 file system there (needs mke2fs).",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = format_args,
	.program = "mke2fs",
	.outputs = format_outputs,
	.default_timeout_us = 900 * US_PER_S,
	.run = format_run,
};
