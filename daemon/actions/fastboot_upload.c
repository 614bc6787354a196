/* SPDX-License-Identifier: Apache-2.0
 *
 * fastboot.upload: bytes of the device into a file.
 */
#include "daemon/actions/fastboot_session.h"
#include "daemon/actions/rows.h"

#include <errno.h>
#include <fcntl.h>

#include "base/digest.h"

/* A file that only gets its name once it is whole. */
struct keeper {
	const char *path;
	char *part;
	int fd;
	struct sha256 *sum;
	uint64_t bytes;
};

static int keeper_open(struct keeper *k, const char *path, struct err *e)
{
	*k = (struct keeper){.path = path, .part = xasprintf("%s.part", path)};
	k->fd = open(k->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (k->fd < 0)
		return err_errno(e, ERR_IO, errno, "create %s", k->part);
	k->sum = sha256_new();
	return 0;
}

static int keep(void *data, const uint8_t *bytes, size_t n, struct err *e)
{
	struct keeper *k = data;

	sha256_add(k->sum, bytes, n);
	k->bytes += n;
	while (n > 0) {
		ssize_t w = write(k->fd, bytes, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return err_errno(e, ERR_IO, errno, "write %s", k->part);
		bytes += w;
		n -= (size_t)w;
	}
	return 0;
}

static int keeper_end(struct keeper *k, char sha256[SHA256_HEX], struct err *e)
{
	uint8_t raw[SHA256_BYTES];

	if (fsync(k->fd) < 0 || rename(k->part, k->path) < 0)
		return err_errno(e, ERR_IO, errno, "write %s", k->path);
	sha256_end(k->sum, raw);
	hex_of(raw, sizeof raw, sha256);
	return 0;
}

static void keeper_done(struct keeper *k)
{
	if (k->part && k->fd >= 0) {
		close(k->fd);
		unlink(k->part); /* gone already where it got its name */
	}
	sha256_free(k->sum);
	free(k->part);
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

static int fetch(struct fastboot_step *x, struct keeper *k, struct step_result *out, struct err *e)
{
	uint64_t offset = args_size(x->a, "offset"), size = args_size(x->a, "size"), whole = 0;
	char target[FASTBOOT_NAME_MAX] = "";
	int r = fastboot_target(
		x->f, args_str(x->a, "partition"), args_str(x->a, "slot"), target, &x->s->it, e);

	if (r == 0 && size == 0)
		r = partition_size(x, target, &whole, e);
	if (r == 0 && size == 0 && offset >= whole)
		r = err_set(e, ERR_INVALID, "'offset' is behind the %llu bytes of partition %s",
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
	_cleanup_(keeper_done) struct keeper k = {.fd = -1};
	char sha256[SHA256_HEX] = "";
	int r = fastboot_step_open(&x, s, a, e);

	if (r == 0)
		r = keeper_open(&k, args_str(a, "file"), e);
	if (r == 0 && args_has(a, "partition"))
		r = fetch(&x, &k, out, e);
	else if (r == 0)
		r = fastboot_collect(
			x.f, "upload", 0, args_size(a, "max"), keep, &k, NULL, &s->it, e);
	if (r == 0)
		r = fastboot_sync(x.f, &s->it, e);
	if (r == 0)
		r = keeper_end(&k, sha256, e);
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
	{.name = "file", .type = ARG_STRING, .required = true, .doc = "where the bytes go"},
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
