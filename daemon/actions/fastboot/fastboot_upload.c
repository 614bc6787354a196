/* SPDX-License-Identifier: Apache-2.0
 *
 * fastboot.upload: bytes of the device into a file.
 */
#include "daemon/actions/fastboot/fastboot_session.h"

#include "base/outfile.h"

static int keep(void *outfile, const uint8_t *bytes, size_t n, struct err *e)
{
	return outfile_add(outfile, bytes, n, e);
}

static int partition_size(struct fastboot_step *x, const char *target, uint64_t *ret, struct err *e)
{
	char name[FASTBOOT_NAME_MAX + 32];
	int r;

	snprintf(name, sizeof name, "partition-size:%s", target);
	r = fastboot_getvar_hex(x->f, name, ret, &x->s->it, e);
	if (r == 0 && *ret == 0)
		r = err_set(e, ERR_UNSUPPORTED,
			"the device does not say the size of partition %s: give 'size'", target);
	return r;
}

static int fetch(struct fastboot_step *x, struct outfile *k, struct step_result *out, struct err *e)
{
	uint64_t offset = args_size(x->a, "offset"), size = args_size(x->a, "size"), whole = 0;
	char target[FASTBOOT_NAME_MAX] = "";
	int r = fastboot_target(
		x->f, args_str(x->a, "partition"), args_str(x->a, "slot"), target, &x->s->it, e);

	if (r == 0 && size == 0)
		r = partition_size(x, target, &whole, e);
	if (r == 0 && size == 0 && offset >= whole)
		r = err_set(e, ERR_INVALID, "'offset' is after the %llu bytes of partition %s",
			(unsigned long long)whole, target);
	if (r < 0)
		return r;
	if (size == 0)
		size = whole - offset;
	result_evidence(out, "partition", json_string(target));
	return fastboot_fetch(x->f, target, offset, size, keep, k, &x->s->it, e);
}

static int upload_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(fastboot_step_done) struct fastboot_step x = {0};
	_cleanup_(outfile_done) struct outfile k = {.fd = -1};
	char sha256[SHA256_HEX] = "";
	int r = fastboot_step_open(&x, s, a, e);

	if (r == 0)
		r = step_file(s, args_str(a, "file"), &k, e);
	if (r == 0 && args_has(a, "partition"))
		r = fetch(&x, &k, out, e);
	else if (r == 0)
		r = fastboot_collect(
			x.f, "upload", 0, args_size(a, "max"), keep, &k, NULL, &s->it, e);
	if (r == 0)
		r = fastboot_sync(x.f, &s->it, e);
	if (r == 0)
		r = outfile_end(&k, sha256, e);
	if (r == 0)
		r = step_file_commit(s, &k, e);
	if (r < 0)
		return r;
	result_evidence(out, "sha256", json_string(sha256));
	result_evidence(out, "bytes", json_integer((json_int_t)k.bytes));
	result_output(out, "sha256", json_string(sha256));
	result_output(out, "bytes", json_integer((json_int_t)k.bytes));
	return 0;
}

static const struct action_arg upload_args[] = {
	ARG_ROWS_FASTBOOT,
	{.name = "file", .type = ARG_OUTPUT, .required = true, .doc = "where the bytes go"},
	{.name = "partition",
		.type = ARG_STRING,
		.doc = "fetch it; where not given: what the last command staged (upload)"},
	ARG_ROW_SLOT("a, b or other; where not given: the current one"),
	{.name = "offset", .type = ARG_SIZE, .def = "0", .unit = "bytes", .doc = "of the fetch"},
	{.name = "size",
		.type = ARG_SIZE,
		.unit = "bytes",
		.doc = "of the fetch; where not given: up to the partition's end"},
	{.name = "max",
		.type = ARG_SIZE,
		.def = "256M",
		.unit = "bytes",
		.doc = "that an upload may have"},
	{0},
};

static const struct action_output upload_outputs[] = {
	{"sha256", "of the bytes"}, {"bytes", "how many"}, {0}};

const struct action action_fastboot_upload = {
	.name = "fastboot.upload",
	.doc = "Reads a partition (fetch), or what the device staged, into a file.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = upload_args,
	.outputs = upload_outputs,
	.default_timeout_us = 600 * US_PER_S,
	.run = upload_run,
};
