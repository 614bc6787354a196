/* SPDX-License-Identifier: Apache-2.0
 *
 * DFU and DfuSe: what is written and read.
 */
#include "daemon/actions/dfu/dfu.h"
#include "daemon/actions/image_args.h"

#define UPLOAD_MAX_BYTES IMAGE_MAX_BYTES

/* -- download -- */

static bool id_fits(uint16_t file, uint16_t device)
{
	return file == 0xffff || file == device;
}

/* The suffix names the device in either of its lives (DFU 1.1, appendix B). */
static int check_ids(const struct dfu_step *x, const struct image *i, struct err *e)
{
	const struct usb_facts *f = usb_facts(x->usb);

	if (!i->has_dfu_ids || !strcmp(args_str(x->a, "ids"), "ignore"))
		return 0;
	if ((id_fits(i->dfu_vid, f->vid) && id_fits(i->dfu_pid, f->pid)) ||
		(id_fits(i->dfu_vid, x->first_vid) && id_fits(i->dfu_pid, x->first_pid)))
		return 0;
	return err_set(e, ERR_IMAGE_INVALID,
		"the file is for %04x:%04x by its DFU suffix, the device is %04x:%04x", i->dfu_vid,
		i->dfu_pid, f->vid, f->pid);
}

static int load(const struct dfu_step *x, struct image **ret, struct err *e)
{
	struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);

	image_args_take(x->a, &o);
	if (args_has(x->a, "address"))
		o.address = args_size(x->a, "address");
	if (!x->target->dfuse) {
		if (args_has(x->a, "address"))
			return err_set(e, ERR_INVALID,
				"'address' needs DfuSe: this device takes whole files");
		o.as_is = true;
		o.address = 0;
	}

	int r = x->s->ops->load_image(x->s->env, args_str(x->a, "image"), &o, ret, e);

	return r < 0 ? r : check_ids(x, *ret, e);
}

static struct dfuse_options options_of(const struct args *a)
{
	static const struct {
		const char *name;
		enum dfuse_erase erase;
	} erases[] = {{"pages", DFUSE_ERASE_PAGES}, {"mass", DFUSE_ERASE_MASS},
		{"none", DFUSE_ERASE_NONE}};
	struct dfuse_options o = {.verify = strcmp(args_str(a, "verify"), "none") != 0,
		.skip_equal = args_bool(a, "skip_equal"),
		.unit = (uint32_t)args_size(a, "write_unit")};

	for (size_t i = 0; i < ARRAY_LEN(erases); i++)
		if (!strcmp(args_str(a, "erase"), erases[i].name))
			o.erase = erases[i].erase;
	return o;
}

static void tell_result(struct step_result *out, const struct dfuse_result *res, bool verified)
{
	result_evidence(out, "sha256_written", json_string(res->sha256_written));
	if (verified || res->skipped)
		result_evidence(out, "sha256_read", json_string(res->sha256_read));
	result_evidence(
		out, "proof", json_string(verified || res->skipped ? "read-back" : "acknowledged"));
	result_evidence(out, "bytes", json_integer((json_int_t)res->bytes));
	result_evidence(out, "pages_erased", json_integer((json_int_t)res->pages_erased));
	result_evidence(out, "skipped", json_boolean(res->skipped));
	result_output(out, "sha256", json_string(res->sha256_written));
	result_output(out, "bytes", json_integer((json_int_t)res->bytes));
}

/* Of a container: another memory for each of its targets. */
static int take_memory(struct dfu_step *x, uint8_t alt, struct err *e)
{
	const struct dfu_target *t = NULL;
	struct dfu_port port;
	char number[8];

	if (x->target->alt == alt)
		return 0;
	snprintf(number, sizeof number, "%u", alt);

	int r = dfu_pick(&x->targets, number, &t, e);

	if (r == 0)
		r = dfu_usb_open(&x->port, x->usb, t, &port, e);
	if (r == 0)
		r = dfuse_map_parse(t->name, &x->map, e);
	if (r < 0)
		return err_prefix(e, "the file's target %u", alt);
	x->target = t;
	dfu_init(&x->dfu, &port, &t->f, x->targets.quirks, &x->dfu.tell);
	return dfu_make_idle(&x->dfu, &x->s->it, e);
}

static const char *memory_name(const struct dfu_target *t, const struct dfuse_map *m)
{
	return t->dfuse ? m->name : t->name;
}

/* Whether the list holds that word. */
static bool holds(const json_t *list, const char *word)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		if (!strcmp(json_string_value(item), word))
			return true;
	return false;
}

/* The next target of the file after those of segments before *k; false at the end. */
static bool next_target(const struct image *i, size_t *k, uint8_t *ret)
{
	while (*k > 0 && *k < i->count && i->segments[*k].target == i->segments[*k - 1].target)
		(*k)++;
	if (*k >= i->count)
		return false;
	*ret = i->segments[(*k)++].target;
	return true;
}

/* The memory of one target of the file: 1 where it is to be written, 0 where it is left out. By
 * number it is left out also where the device has no such memory. */
static int choose_target(const struct dfu_targets *l, const json_t *skip, const struct image *i,
	uint8_t target, const struct dfuse_options *o, json_t *left_out, struct err *e)
{
	const struct dfu_target *t = NULL;
	struct dfuse_map m = {0};
	char number[8];

	snprintf(number, sizeof number, "%u", target);

	int r = dfu_pick(l, number, &t, e);

	if (r == 0)
		r = dfuse_map_parse(t->name, &m, e);
	if (holds(skip, number) || (r == 0 && holds(skip, memory_name(t, &m)))) {
		json_array_append_new(left_out, json_string(r == 0 ? memory_name(t, &m) : number));
		return 0;
	}
	if (r == 0)
		r = dfuse_check(&m, i, target, o, e);
	if (r < 0)
		return err_prefix(e, "the file's target %u ('skip_targets' leaves it out)", target);
	return 1;
}

int dfu_choose_targets(const struct dfu_targets *l, const json_t *skip, const struct image *i,
	const struct dfuse_options *o, bool write[256], json_t *left_out, struct err *e)
{
	uint8_t target;
	unsigned chosen = 0;
	size_t k = 0;

	while (next_target(i, &k, &target)) {
		int r = choose_target(l, skip, i, target, o, left_out, e);

		if (r < 0)
			return r;
		write[target] = r > 0;
		chosen += r > 0;
	}
	return chosen ? 0 : err_set(e, ERR_INVALID, "'skip_targets' leaves nothing of the file");
}

static void add_result(struct dfuse_result *sum, const struct dfuse_result *res, struct dfu_step *x,
	json_t *memories)
{
	sum->bytes += res->bytes;
	sum->pages_erased += res->pages_erased;
	sum->skipped &= res->skipped;
	memcpy(sum->sha256_written, res->sha256_written, sizeof sum->sha256_written);
	memcpy(sum->sha256_read, res->sha256_read, sizeof sum->sha256_read);
	json_array_append_new(memories,
		json_pack("{s:s, s:i, s:s, s:I}", "memory", memory_name(x->target, &x->map), "alt",
			x->target->alt, "sha256_written", res->sha256_written, "bytes",
			(json_int_t)res->bytes));
}

/* A container names its memories itself: each that was written is in the evidence. */
static int write_container(
	struct dfu_step *x, const struct image *i, struct step_result *out, struct err *e)
{
	const struct dfuse_options o = options_of(x->a);
	struct dfuse_result sum = {.skipped = true};
	json_t *memories = json_array();
	json_t *left_out = json_array();
	bool write[256] = {false};
	uint8_t target;
	size_t k = 0;
	int r = dfu_choose_targets(
		&x->targets, args_json(x->a, "skip_targets"), i, &o, write, left_out, e);

	if (json_array_size(left_out))
		result_evidence(out, "left_out", json_incref(left_out));
	json_decref(left_out);
	while (r == 0 && next_target(i, &k, &target)) {
		struct dfuse_result res;

		if (!write[target])
			continue;
		r = take_memory(x, target, e);
		if (r == 0)
			r = dfuse_write(&x->dfu, &x->map, i, target, &o, &res, &x->s->it, e);
		if (r == 0)
			add_result(&sum, &res, x, memories);
	}
	if (r < 0) {
		json_decref(memories);
		return r;
	}
	dfu_step_evidence(x, out);
	result_evidence(out, "memories", memories);
	tell_result(out, &sum, o.verify);
	return 0;
}

static int write_targets(
	struct dfu_step *x, const struct image *i, struct step_result *out, struct err *e)
{
	const struct dfuse_options o = options_of(x->a);
	bool container = i->inner == IMAGE_DFU;
	struct dfuse_result res;
	int r;

	if (container && args_has(x->a, "alt"))
		return err_set(e, ERR_INVALID,
			"'alt' and a DfuSe container: the container names its memories itself");
	if (!container && args_has(x->a, "skip_targets"))
		return err_set(e, ERR_INVALID,
			"'skip_targets' needs a DfuSe container: this file has one target");
	if (container)
		return write_container(x, i, out, e);
	r = dfuse_write(&x->dfu, &x->map, i, 0, &o, &res, &x->s->it, e);
	if (r == 0)
		tell_result(out, &res, o.verify);
	return r;
}

/* The device's file, read back and compared. */
static int compare_upload(
	struct dfu_step *x, const struct image *i, struct step_result *out, struct err *e)
{
	const struct image_segment *s = &i->segments[0];
	_cleanup_(freep) uint8_t *back = NULL;
	char sum[SHA256_HEX];
	size_t n = 0;
	int r = dfu_upload(&x->dfu, (size_t)s->len, true, &back, &n, &x->s->it, e);

	if (r < 0)
		return r;
	for (size_t k = 0; k < (size_t)s->len; k++)
		if (k >= n || back[k] != s->data[k])
			return err_set(e, ERR_VERIFY_MISMATCH,
				"the device differs from the file, first at byte %zu%s", k,
				k >= n ? ", where what it holds ends" : "");
	sha256_hex_of(back, n, sum);
	result_evidence(out, "sha256_read", json_string(sum));
	result_evidence(out, "proof", json_string("read-back"));
	return 0;
}

/* It waits for a reset, or has left: what proves it is that it comes back. */
static int await_return(struct dfu_step *x, struct step_result *out, struct err *e)
{
	struct device_facts f;
	int r = x->dfu.port.reset(x->dfu.port.data, e);

	if (r < 0 && r != -ERR_DEVICE_GONE)
		return err_prefix(e, "reset after the download");
	r = dfu_step_back(x, &f, e);
	if (r < 0)
		return err_prefix(e, "after the download");
	result_evidence(out, "proof", json_string("returned"));
	result_evidence(out, "returned", facts_json(&f));
	return 0;
}

static int download_plain(
	struct dfu_step *x, const struct image *i, struct step_result *out, struct err *e)
{
	const struct image_segment *s = &i->segments[0];
	const char *verify = args_str(x->a, "verify");
	char sum[SHA256_HEX];
	bool idle = false;
	int r = 0;

	if (!x->target->f.can_download)
		return err_set(e, ERR_UNSUPPORTED, "the device takes no downloads");
	if (!strcmp(verify, "read-back") && !(x->target->f.can_upload && x->target->f.tolerant))
		return err_set(e, ERR_UNSUPPORTED,
			"the device cannot be read back after a download (verify: auto takes its return for proof)");
	if (!x->target->f.tolerant)
		r = dfu_step_replug(x, e);
	if (r == 0)
		r = dfu_download(&x->dfu, s->data, (size_t)s->len, &x->s->it, e);
	if (r == 0)
		r = dfu_manifest(&x->dfu, &idle, &x->s->it, e);
	if (r < 0)
		return r;
	sha256_hex_of(s->data, (size_t)s->len, sum);
	result_evidence(out, "sha256_written", json_string(sum));
	result_evidence(out, "bytes", json_integer((json_int_t)s->len));
	result_output(out, "sha256", json_string(sum));
	result_output(out, "bytes", json_integer((json_int_t)s->len));
	if (!idle)
		return await_return(x, out, e);
	if (!strcmp(verify, "none") || !x->target->f.can_upload) {
		result_evidence(out, "proof", json_string("acknowledged"));
		return 0;
	}
	return compare_upload(x, i, out, e);
}

static int download_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(dfu_step_done) struct dfu_step x = {.s = s, .a = a};
	_cleanup_(image_unrefp) struct image *image = NULL;
	int r = dfu_step_open(&x, s, a, e);

	if (r == 0)
		r = load(&x, &image, e);
	if (r < 0)
		return r;
	dfu_step_evidence(&x, out);
	for (size_t i = 0; i < image->notes; i++)
		step_log(s, '#', "%s", image->note[i]);
	if (x.target->dfuse)
		r = write_targets(&x, image, out, e);
	else
		r = download_plain(&x, image, out, e);
	if (r == 0 && args_bool(a, "leave")) {
		r = dfu_step_need_dfuse(&x, "'leave'", e);
		if (r == 0)
			r = dfu_step_start(&x, out, e);
	}
	return r;
}

static const char *const erases[] = {"pages", "mass", "none", NULL};
static const char *const verifies[] = {"auto", "read-back", "none", NULL};
static const char *const ids_choices[] = {"check", "ignore", NULL};

static const struct action_arg download_args[] = {
	ARG_ROWS_MEMORY,
	{.name = "image",
		.type = ARG_IMAGE,
		.required = true,
		.doc = "any firmware format for DfuSe; the file as it is, without a suffix, else"},
	{.name = "address", .type = ARG_SIZE, .doc = "where a raw binary begins (DfuSe)"},
	ARG_ROWS_FORMAT,
	{.name = "skip_targets",
		.type = ARG_LIST,
		.doc = "memories of a DfuSe container that are left out, by name or number: option bytes and OTP, which can be written and not erased"},
	{.name = "erase",
		.type = ARG_CHOICE,
		.def = "pages",
		.choices = erases,
		.doc = "pages: those that the image touches; mass: everything, calibration and serial numbers too (DfuSe)"},
	{.name = "verify",
		.type = ARG_CHOICE,
		.def = "auto",
		.choices = verifies,
		.doc = "auto: reads back where the device can be read"},
	{.name = "skip_equal",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "write nothing where all of it is there already (DfuSe)"},
	{.name = "write_unit",
		.type = ARG_SIZE,
		.def = "8",
		.unit = "bytes",
		.doc = "programmed at once: tails are filled with FF (32 for STM32H7) (DfuSe)"},
	{.name = "ids",
		.type = ARG_CHOICE,
		.def = "check",
		.choices = ids_choices,
		.doc = "whether the ids of a DFU suffix have to fit the device"},
	{.name = "leave",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "start the application afterwards (DfuSe)"},
	ARG_ROWS_START,
	{0},
};

static const struct action_output download_outputs[] = {
	{"sha256", "of what was written"}, {"bytes", "of the image"}, {0}};

const struct action action_dfu_download = {
	.name = "dfu.download",
	.doc = "Writes an image into a DFU or DfuSe device and reads it back.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_REENUMERATES |
		 ACTION_SAFE_TO_RETRY,
	.args = download_args,
	.outputs = download_outputs,
	.default_timeout_us = 600 * US_PER_S,
	.run = download_run,
};

/* -- upload -- */

static int read_memory(struct dfu_step *x, uint8_t **ret, size_t *ret_n, struct err *e)
{
	uint64_t size = args_has(x->a, "size") ? args_size(x->a, "size") : 0;
	_cleanup_(freep) uint8_t *buf = NULL;
	int r;

	if (size > UPLOAD_MAX_BYTES)
		return err_set(e, ERR_INVALID, "'size' is above %llu MiB",
			(unsigned long long)UPLOAD_MAX_BYTES >> 20);
	if (!x->target->f.can_upload)
		return err_set(e, ERR_UNSUPPORTED, "the device cannot be read");
	if (!x->target->dfuse)
		return dfu_upload(&x->dfu, (size_t)(size ? size : UPLOAD_MAX_BYTES), size != 0, ret,
			ret_n, &x->s->it, e);
	if (!size || !args_has(x->a, "address"))
		return err_set(e, ERR_INVALID, "a DfuSe device needs 'address' and 'size'");
	buf = malloc((size_t)size);
	if (!buf)
		return err_set(e, ERR_NO_MEMORY, "%llu bytes to read", (unsigned long long)size);
	r = dfuse_read(
		&x->dfu, &x->map, args_size(x->a, "address"), buf, (size_t)size, &x->s->it, e);
	if (r < 0)
		return r;
	*ret = steal_ptr(&buf);
	*ret_n = (size_t)size;
	return 0;
}

static int upload_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(dfu_step_done) struct dfu_step x = {.s = s, .a = a};
	_cleanup_(freep) uint8_t *buf = NULL;
	char sum[SHA256_HEX];
	size_t n = 0;
	int r = dfu_step_open(&x, s, a, e);

	if (r == 0)
		r = read_memory(&x, &buf, &n, e);
	if (r == 0)
		r = save_file(s, args_str(a, "file"), buf, n, e);
	if (r < 0)
		return r;
	dfu_step_evidence(&x, out);
	sha256_hex_of(buf, n, sum);
	result_evidence(out, "sha256", json_string(sum));
	result_evidence(out, "bytes", json_integer((json_int_t)n));
	result_output(out, "sha256", json_string(sum));
	result_output(out, "bytes", json_integer((json_int_t)n));
	return 0;
}

static const struct action_arg upload_args[] = {
	ARG_ROWS_MEMORY,
	{.name = "file", .type = ARG_OUTPUT, .required = true, .doc = "where the bytes go"},
	{.name = "address", .type = ARG_SIZE, .doc = "from where on (DfuSe)"},
	{.name = "size",
		.type = ARG_SIZE,
		.unit = "bytes",
		.doc = "to read; without it, plain DFU reads until the device ends it"},
	{0},
};

static const struct action_output upload_outputs[] = {
	{"sha256", "of the bytes"}, {"bytes", "how many"}, {0}};

const struct action action_dfu_upload = {
	.name = "dfu.upload",
	.doc = "Reads a memory of a DFU or DfuSe device into a file.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = upload_args,
	.outputs = upload_outputs,
	.default_timeout_us = 600 * US_PER_S,
	.run = upload_run,
};
