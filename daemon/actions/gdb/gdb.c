/* SPDX-License-Identifier: Apache-2.0
 *
 * gdb.*: loads, compares and starts a target through a GDB server (OpenOCD, J-Link, pyOCD, QEMU).
 */
#include "daemon/actions/gdb/gdb_session.h"

#include "base/strbuf.h"
#include "daemon/actions/image_args.h"
#include "daemon/actions/image_json.h"

static enum gdb_verify verify_of(const struct args *a)
{
	static const char *const names[] = {[GDB_VERIFY_READ] = "read-back",
		[GDB_VERIFY_CRC] = "checksum",
		[GDB_VERIFY_AUTO] = "auto",
		[GDB_VERIFY_NONE] = "none"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(args_str(a, "verify"), names[i]))
			return (enum gdb_verify)i;
	return GDB_VERIFY_READ;
}

static void tell_result(struct step_result *out, const struct gdb_load_result *res, bool loaded,
	enum gdb_verify verify)
{
	const char *proof = res->by_crc		  ? "checksum"
			    : res->sha256_read[0] ? "read-back"
						  : "acknowledged";

	result_evidence(
		out, loaded ? "sha256_written" : "sha256_image", json_string(res->sha256_written));
	if (res->sha256_read[0])
		result_evidence(out, "sha256_read", json_string(res->sha256_read));
	result_evidence(out, "proof", json_string(proof));
	result_evidence(out, "bytes", json_integer((json_int_t)res->bytes));
	result_evidence(out, "flash_bytes", json_integer((json_int_t)res->flash_bytes));
	result_evidence(out, "blocks_erased", json_integer((json_int_t)res->blocks_erased));
	if (res->padded)
		result_evidence(out, "padded", json_true());
	result_output(out, "sha256", json_string(res->sha256_written));
	result_output(out, "bytes", json_integer((json_int_t)res->bytes));
}

/* The image is read before the target is touched. */
static int prepare(
	struct gdb_session *x, struct image **ret, struct step_result *out, struct err *e)
{
	struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);
	int r;

	image_args_take(x->a, &o);
	if (args_has(x->a, "address"))
		o.address = args_size(x->a, "address");
	r = x->s->ops->load_image(x->s->env, args_str(x->a, "image"), &o, ret, e);
	if (r == 0)
		r = gdb_session_open(x, e);
	return r < 0 ? r : gdb_session_monitor(x, "before", e);
}

static int start(struct gdb_session *x, struct step_result *out, struct err *e)
{
	const char *how = args_str(x->a, "start");
	int r = 0;

	if (strcmp(how, "none") != 0)
		r = gdb_resume(x->gdb, !strcmp(how, "detach"), &x->s->it, e);
	if (r == 0)
		result_evidence(out, "start", json_string(how));
	return r;
}

static int load(struct gdb_session *x, struct step_result *out, struct err *e)
{
	_cleanup_(image_unrefp) struct image *image = NULL;
	enum gdb_verify verify = verify_of(x->a);
	struct gdb_load_result res = {0};
	int r = prepare(x, &image, out, e);

	if (r == 0)
		r = gdb_load(x->gdb, image, verify, &res, &x->s->it, e);
	if (r < 0)
		return r;
	tell_result(out, &res, true, verify);
	result_evidence(out, "image", image_json(image));
	r = gdb_session_monitor(x, "after", e);
	return r < 0 ? r : start(x, out, e);
}

static int load_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(gdb_session_done) struct gdb_session x = {.s = s, .a = a, .out = out};

	return gdb_session_end(&x, load(&x, out, e), e);
}

static const char *const verifies[] = {"auto", "read-back", "checksum", "none", NULL};
static const char *const starts[] = {"none", "continue", "detach", NULL};

#define ROWS_IMAGE                                                                                \
	{.name = "image", .type = ARG_IMAGE, .required = true, .doc = "any firmware format"},     \
		{.name = "address",                                                               \
			.type = ARG_SIZE,                                                         \
			.doc = "where a raw binary begins; the other formats say it themselves"}, \
		ARG_ROWS_FORMAT,                                                                  \
	{                                                                                         \
		.name = "before", .type = ARG_LIST,                                               \
		.doc = "monitor commands first, such as 'reset halt'"                             \
	}

static const struct action_arg load_args[] = {
	ARG_ROWS_GDB_SERVER,
	ROWS_IMAGE,
	{.name = "verify",
		.type = ARG_CHOICE,
		.def = "read-back",
		.choices = verifies,
		.doc = "checksum: counted by the server; auto: checksum, or read-back where the server knows none"},
	{.name = "after",
		.type = ARG_LIST,
		.doc = "monitor commands once it is verified, such as 'reset init'"},
	{.name = "start",
		.type = ARG_CHOICE,
		.def = "none",
		.choices = starts,
		.doc = "let the target run; detach: and leave it to itself"},
	{0},
};

static const struct action_output load_outputs[] = {
	{"sha256", "of the image's bytes"}, {"bytes", "of the image"}, {0}};

const struct action action_gdb_load = {
	.name = "gdb.load",
	.doc = "Loads an image into flash and RAM through a GDB server and verifies it.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = load_args,
	.outputs = load_outputs,
	.default_timeout_us = 300 * US_PER_S,
	.check = gdb_session_check,
	.run = load_run,
};

static int compare(struct gdb_session *x, struct step_result *out, struct err *e)
{
	_cleanup_(image_unrefp) struct image *image = NULL;
	enum gdb_verify verify = verify_of(x->a);
	struct gdb_load_result res = {0};
	int r = prepare(x, &image, out, e);

	if (r == 0)
		r = gdb_compare(x->gdb, image, verify, &res, &x->s->it, e);
	if (r == 0)
		tell_result(out, &res, false, verify);
	return r;
}

static int compare_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(gdb_session_done) struct gdb_session x = {.s = s, .a = a, .out = out};

	return gdb_session_end(&x, compare(&x, out, e), e);
}

static const char *const compare_verifies[] = {"auto", "read-back", "checksum", NULL};

static const struct action_arg compare_args[] = {
	ARG_ROWS_GDB_SERVER,
	ROWS_IMAGE,
	{.name = "verify",
		.type = ARG_CHOICE,
		.def = "read-back",
		.choices = compare_verifies,
		.doc = "how it is compared"},
	{0},
};

const struct action action_gdb_compare = {
	.name = "gdb.compare",
	.doc = "Compares the target's memory with an image through a GDB server.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = compare_args,
	.outputs = load_outputs,
	.default_timeout_us = 120 * US_PER_S,
	.check = gdb_session_check,
	.run = compare_run,
};

static int judge(const struct args *a, const char *text, struct step_result *out, struct err *e)
{
	_cleanup_(regex_freep) struct regex *expect = NULL;
	int r = arg_regex(a, "expect", NULL, &expect, e);

	if (r < 0)
		return r;
	if (!text_agrees(expect, text, strlen(text), NULL))
		return result_fail(out, ERR_UNEXPECTED_REPLY,
			"the server printed '%.200s', '%s' expected", text, args_str(a, "expect"));
	return 0;
}

static int monitor_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(gdb_session_done) struct gdb_session x = {.s = s, .a = a};
	_cleanup_(freep) char *text = NULL;
	struct strbuf plain = {0};
	int r = gdb_session_open(&x, e);

	if (r == 0)
		r = gdb_monitor(x.gdb, args_str(a, "command"), &text, &s->it, e);
	if (r == 0)
		r = gdb_known_command(args_str(a, "command"), text, e);
	if (r < 0)
		return r;
	sb_add_escaped(&plain, text, MIN(strlen(text), (size_t)4096));
	result_evidence(out, "printed", json_string(plain.s ? plain.s : ""));
	result_output(out, "printed", json_string(plain.s ? plain.s : ""));
	sb_done(&plain);
	return judge(a, text, out, e);
}

static const struct action_arg monitor_args[] = {
	ARG_ROW_GDB_SERVER,
	{.name = "command", .type = ARG_STRING, .required = true, .doc = "of the server's own"},
	{.name = "expect",
		.type = ARG_REGEX,
		.required = true,
		.doc = "what it has to print; '^$' where it prints nothing: its OK alone proves nothing"},
	{0},
};

static const struct action_output monitor_outputs[] = {
	{"printed", "by the server, control bytes escaped"}, {0}};

const struct action action_gdb_monitor = {
	.name = "gdb.monitor",
	.doc = "Runs a command of the GDB server's own, such as 'reset halt'.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = monitor_args,
	.outputs = monitor_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.run = monitor_run,
};
