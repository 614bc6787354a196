/* SPDX-License-Identifier: Apache-2.0
 *
 * fastboot.format: an empty ext4 file system, made here by mke2fs and flashed as a sparse image.
 */
#include "daemon/actions/fastboot_session.h"
#include "daemon/actions/rows.h"

#include <errno.h>
#include <fcntl.h>

#include "base/proc.h"

#define BLOCK_BYTES 4096u

/* It lives in a directory that few have in their PATH. */
static const char *mke2fs_path(void)
{
	static const char *const places[] = {"/usr/sbin/mke2fs", "/sbin/mke2fs"};

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return "mke2fs";
}

static void tool_line(void *data, enum proc_stream stream, const char *bytes, size_t n)
{
	if (n > 0)
		step_log(data, '#', "mke2fs: %.*s", (int)MIN(n, (size_t)400), bytes);
}

static int run_mke2fs(struct step *s, const char *file, uint64_t bytes, struct err *e)
{
	_cleanup_(freep) char *blocks =
		xasprintf("%llu", (unsigned long long)(bytes / BLOCK_BYTES));
	const char *const argv[] = {mke2fs_path(), "-q", "-F", "-t", "ext4", "-b", "4096", "-m",
		"0", "-E", "lazy_itable_init=1,lazy_journal_init=1", file, blocks, NULL};
	const struct proc_opts o = {.argv = argv, .line = tool_line, .data = s};
	struct proc_result res = {0};
	int r = proc_run(&o, &s->it, &res, e);

	if (r < 0)
		return r;
	if (res.exit_status != 0)
		return err_set(e, ERR_TOOL_FAILED,
			"mke2fs ended with status %d for a file system of %llu bytes",
			res.exit_status, (unsigned long long)bytes);
	return 0;
}

/* The image, in an unlinked file that the blob maps. */
static int make_image(struct step *s, uint64_t bytes, struct blob **ret, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	_cleanup_(freep) char *file =
		xasprintf("%s/provd-format.XXXXXX", tmp && *tmp ? tmp : "/var/tmp");
	_cleanup_(closep) int fd = mkostemp(file, O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "%s", file);
	if (ftruncate(fd, (off_t)bytes) < 0)
		r = err_errno(e, ERR_IO, errno, "%s", file);
	if (r == 0)
		r = run_mke2fs(s, file, bytes, e);
	if (r == 0)
		r = blob_open(file, true, ret, e);
	unlink(file);
	return r;
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
	*ret -= *ret % BLOCK_BYTES;
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
		r = make_image(x->s, bytes, &image, e);
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
