/* SPDX-License-Identifier: Apache-2.0
 *
 * The disk that a unit shows on its USB port: an image is written and read back, compared, or read. Which disk that is, the role's port
 * says, and nothing else.
 */
#include "daemon/actions/disk/disk.h"

#include "base/outfile.h"
#include "daemon/actions/image_args.h"

/* -- the port of a write -- */

static int port_read(void *data, uint64_t offset, void *buf, size_t n, struct err *e)
{
	return disk_read(data, offset, buf, n, e);
}

static int port_write(void *data, uint64_t offset, const void *buf, size_t n, struct err *e)
{
	return disk_write(data, offset, buf, n, e);
}

static int port_flush(void *data, struct err *e)
{
	return disk_flush(data, e);
}

static int port_same(void *data, struct err *e)
{
	return disk_same(data, e);
}

/* -- which disk -- */

static int port_path(const struct disk_step *x, char ret[USB_PORT_BYTES], struct err *e)
{
	const char *role = args_str(x->a, "port");
	struct device_facts f;
	struct usb_facts u;
	int r = x->s->ops->facts(x->s->env, role, &f, e);

	if (r < 0)
		return r;
	if (f.port[0]) {
		snprintf(ret, USB_PORT_BYTES, "%s", f.port);
		return 0;
	}
	r = usb_look(f.node, &u, e);
	if (r == 0)
		snprintf(ret, USB_PORT_BYTES, "%s", u.port);
	return r;
}

static int check_size(const struct disk_step *x, struct err *e)
{
	unsigned long long low = args_has(x->a, "min_size") ? args_size(x->a, "min_size") : 0;
	unsigned long long high =
		args_has(x->a, "max_size") ? args_size(x->a, "max_size") : UINT64_MAX;

	if (x->f.bytes < low)
		return err_set(e, ERR_WRONG_DEVICE,
			"the disk of usb:%s has %llu bytes, at least %llu expected: nothing was written",
			x->f.port, (unsigned long long)x->f.bytes, low);
	if (x->f.bytes > high)
		return err_set(e, ERR_WRONG_DEVICE,
			"the disk of usb:%s has %llu bytes, at most %llu expected: nothing was written",
			x->f.port, (unsigned long long)x->f.bytes, high);
	return 0;
}

int disk_step_open(
	struct disk_step *x, struct step *s, const struct args *a, bool write, struct err *e)
{
	struct iotime it = iotime_within(&s->it, args_duration_us(a, "appears"));
	char path[USB_PORT_BYTES];
	int r;

	*x = (struct disk_step){.s = s, .a = a, .tell = step_teller(s)};
	r = port_path(x, path, e);
	if (r == 0)
		r = disk_wait(
			path, args_has(a, "lun") ? (int)args_int(a, "lun") : -1, &x->f, &it, e);
	if (r == 0)
		r = check_size(x, e);
	if (r == 0)
		r = disk_open(&x->f, write, &x->disk, e);
	if (r < 0)
		return r;
	step_log(s, '#', "%s on usb:%s: %s %s, %llu bytes", x->f.node, x->f.port, x->f.vendor,
		x->f.model, (unsigned long long)x->f.bytes);
	x->port = (struct disk_port){.data = x->disk,
		.bytes = x->f.bytes,
		.sector_bytes = x->f.sector_bytes,
		.read = port_read,
		.write = port_write,
		.flush = port_flush,
		.same = port_same};
	return 0;
}

void disk_step_done(struct disk_step *x)
{
	disk_close(x->disk);
}

void disk_step_evidence(const struct disk_step *x, struct step_result *out)
{
	result_evidence(out, "disk",
		json_pack("{s:s, s:s, s:s, s:s, s:I, s:i}", "port", x->f.port, "node", x->f.node,
			"vendor", x->f.vendor, "model", x->f.model, "bytes", (json_int_t)x->f.bytes,
			"lun", (int)x->f.lun));
}

/* -- which image -- */

static int load_map(const struct disk_step *x, const char *ref, struct bmap **ret, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *b = NULL;
	char name[STEP_NAME_BYTES];
	int r = x->s->ops->load_blob(x->s->env, ref, &b, e);

	if (r == 0)
		r = x->s->ops->name(x->s->env, ref, name, e);
	return r < 0 ? r : bmap_read(name, b->data, b->size, ret, e);
}

/* The image borrows the blob, which the caller unrefs after it. */
static int load(const struct disk_step *x, struct blob **ret_blob, struct disk_image **ret,
	struct step_result *out, struct err *e)
{
	_cleanup_(bmap_freep) struct bmap *m = NULL;
	const char *ref = args_str(x->a, "image");
	char name[STEP_NAME_BYTES];
	int r = blob_args_load(x->s, x->a, ref, ret_blob, e);

	if (r == 0)
		r = blob_args_check(x->s, x->a, ref, *ret_blob, out, e);
	if (r == 0)
		r = x->s->ops->name(x->s->env, ref, name, e);
	if (r == 0 && args_has(x->a, "bmap"))
		r = load_map(x, args_str(x->a, "bmap"), &m, e);
	if (r == 0)
		r = disk_image_of(name, *ret_blob, m, ret, e);
	if (r < 0)
		return r;
	result_evidence(out, "image_sha256", json_string(blob_sha256(*ret_blob)));
	result_evidence(out, "image_kind", json_string((*ret)->kind));
	return 0;
}

static void tell_result(struct step_result *out, const struct disk_image *i,
	const struct disk_result *res, bool wrote)
{
	if (wrote)
		result_evidence(out, "sha256_written", json_string(res->sha256_written));
	else
		result_evidence(out, "sha256_expected", json_string(res->sha256_written));
	result_evidence(out, "sha256_read", json_string(res->sha256_read));
	result_evidence(out, "proof", json_string("read-back"));
	result_evidence(out, "bytes", json_integer((json_int_t)res->bytes));
	result_evidence(out, "image_bytes", json_integer((json_int_t)i->bytes));
	result_evidence(out, "ranges", json_integer((json_int_t)i->count));
	result_output(out, "sha256", json_string(res->sha256_read));
	result_output(out, "bytes", json_integer((json_int_t)res->bytes));
}

static int image_run(
	struct step *s, const struct args *a, bool write, struct step_result *out, struct err *e)
{
	_cleanup_(disk_step_done) struct disk_step x = {.s = s, .a = a};
	_cleanup_(blob_unrefp) struct blob *blob = NULL;
	_cleanup_(disk_image_freep) struct disk_image *image = NULL;
	struct disk_result res;
	int r = load(&x, &blob, &image, out, e);

	if (r == 0)
		r = disk_step_open(&x, s, a, write, e);
	if (r < 0)
		return r;
	disk_step_evidence(&x, out);
	r = write ? disk_image_write(&x.port, image, &x.tell, &res, &s->it, e)
		  : disk_image_verify(&x.port, image, &x.tell, &res, &s->it, e);
	if (r < 0)
		return err_prefix(e, "%s of usb:%s", x.f.node, x.f.port);
	tell_result(out, image, &res, write);
	return 0;
}

static int write_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	return image_run(s, a, true, out, e);
}

static int verify_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	return image_run(s, a, false, out, e);
}

static const struct action_arg image_rows[] = {
	ARG_ROWS_DISK,
	{.name = "image",
		.type = ARG_IMAGE,
		.required = true,
		.doc = "of the whole disk: raw, or an Android sparse image"},
	{.name = "bmap",
		.type = ARG_IMAGE,
		.doc = "the block map of a raw image (bmaptool create): what it does not name keeps what the disk has; its checksums are compared with the image first"},
	ARG_ROW_BLOB_FORMAT,
	ARG_ROWS_UNPACK,
	{0},
};

static const struct action_output image_outputs[] = {
	{"sha256", "of what was read back"}, {"bytes", "that were compared"}, {0}};

const struct action action_disk_write = {
	.name = "disk.write",
	.doc = "Writes an image onto the disk that a unit shows on its USB port, and reads it back.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = image_rows,
	.outputs = image_outputs,
	.default_timeout_us = 1800 * US_PER_S,
	.run = write_run,
};

const struct action action_disk_verify = {
	.name = "disk.verify",
	.doc = "Compares the disk that a unit shows on its USB port with an image, and writes nothing.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = image_rows,
	.outputs = image_outputs,
	.default_timeout_us = 1800 * US_PER_S,
	.run = verify_run,
};

/* -- read -- */

static int keep_piece(void *data, const uint8_t *bytes, size_t n, struct err *e)
{
	return outfile_add(data, bytes, n, e);
}

static int read_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(disk_step_done) struct disk_step x = {.s = s, .a = a};
	_cleanup_(outfile_done) struct outfile f = {.fd = -1};
	uint64_t from = args_size(a, "address");
	char sum[SHA256_HEX];
	uint64_t n;
	int r = disk_step_open(&x, s, a, false, e);

	if (r < 0)
		return r;
	disk_step_evidence(&x, out);
	n = args_has(a, "size") ? args_size(a, "size") : x.f.bytes - MIN(from, x.f.bytes);
	if (!n)
		return err_set(e, ERR_INVALID, "nothing to read: the disk has %llu bytes",
			(unsigned long long)x.f.bytes);
	r = step_file(s, args_str(a, "file"), &f, e);
	if (r == 0)
		r = disk_copy_out(&x.port, from, n, keep_piece, &f, &x.tell, &s->it, e);
	if (r == 0)
		r = outfile_end(&f, sum, e);
	if (r == 0)
		r = step_file_commit(s, &f, e);
	if (r < 0)
		return r;
	result_evidence(out, "sha256", json_string(sum));
	result_evidence(out, "bytes", json_integer((json_int_t)n));
	result_output(out, "sha256", json_string(sum));
	result_output(out, "bytes", json_integer((json_int_t)n));
	return 0;
}

static const struct action_arg read_args[] = {
	ARG_ROWS_DISK,
	{.name = "file", .type = ARG_OUTPUT, .required = true, .doc = "where the bytes go"},
	{.name = "address", .type = ARG_SIZE, .def = "0", .doc = "from which byte on"},
	{.name = "size", .type = ARG_SIZE, .unit = "bytes", .doc = "to read; default to the end"},
	{0},
};

static const struct action_output read_outputs[] = {
	{"sha256", "of the bytes"}, {"bytes", "how many"}, {0}};

const struct action action_disk_read = {
	.name = "disk.read",
	.doc = "Reads the disk that a unit shows on its USB port into a file.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = read_args,
	.outputs = read_outputs,
	.default_timeout_us = 1800 * US_PER_S,
	.run = read_run,
};
