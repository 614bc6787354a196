/* SPDX-License-Identifier: Apache-2.0
 *
 * PICOBOOT: what is written into the flash, and read from it.
 */
#include "daemon/actions/image_args.h"
#include "daemon/actions/picoboot/picoboot.h"

/* -- flash -- */

static struct image_opts image_opts_of(const struct args *a)
{
	struct image_opts o = IMAGE_OPTS(PICOBOOT_FLASH_BASE);

	image_args_take(a, &o);
	o.address_is_default = !args_has(a, "address");
	if (args_has(a, "address"))
		o.address = args_size(a, "address");
	return o;
}

/* Before the unit is touched. *ret stays NULL for a file that is for several chips, of which the unit says one. */
static int load(struct step *s, const struct args *a, struct image **ret, struct err *e)
{
	const struct image_opts o = image_opts_of(a);
	struct image_opts any = o;
	struct err other;
	int r = s->ops->load_image(s->env, args_str(a, "image"), &o, ret, e);

	if (r != -ERR_INVALID || o.uf2_family)
		return r;
	for (int k = 0; k < 2; k++) {
		_cleanup_(image_unrefp) struct image *one = NULL;

		any.uf2_family = k ? PICOBOOT_FAMILY_RP2350_ARM : PICOBOOT_FAMILY_RP2040;
		if (s->ops->load_image(s->env, args_str(a, "image"), &any, &one, &other) == 0)
			return 0;
	}
	return r;
}

/* Of a file for several chips, what is for this one; Arm of a RP2350, where the recipe does not name the family. */
static int load_for(const struct picoboot_step *x, struct image **ret, struct err *e)
{
	struct image_opts o = image_opts_of(x->a);

	if (*ret)
		return 0;
	o.uf2_family = x->port.chip == PICOBOOT_RP2040 ? PICOBOOT_FAMILY_RP2040
						       : PICOBOOT_FAMILY_RP2350_ARM;
	return x->s->ops->load_image(x->s->env, args_str(x->a, "image"), &o, ret, e);
}

static struct picoboot_flash_options options_of(const struct args *a)
{
	return (struct picoboot_flash_options){
		.flash_bytes = args_has(a, "flash_size") ? args_size(a, "flash_size") : 0,
		.boots = args_bool(a, "boots")};
}

/* With a partition table the ROM of a RP2350 starts what is in a partition: an image that is not absolute would be written over
 * the table. */
static int check_partitions(const struct picoboot_step *x, const struct image *i, struct err *e)
{
	if (!x->has_info || !x->info.partition_table || args_has(x->a, "address") ||
		i->uf2_family == PICOBOOT_FAMILY_ABSOLUTE || !args_bool(x->a, "boots"))
		return 0;
	return err_set(e, ERR_CONFLICT,
		"the flash has a partition table with %u partitions, and the image does not say which it is for: give 'address', a UF2 file of the absolute family (0x%08x), or 'boots: false' to write over it",
		x->info.partitions, PICOBOOT_FAMILY_ABSOLUTE);
}

static void tell_result(struct step_result *out, const struct picoboot_flash_result *res)
{
	result_evidence(out, "sha256_written", json_string(res->sha256_written));
	result_evidence(out, "sha256_read", json_string(res->sha256_read));
	result_evidence(out, "proof", json_string("read-back"));
	result_evidence(out, "bytes", json_integer((json_int_t)res->bytes));
	result_evidence(out, "sectors", json_integer((json_int_t)res->sectors));
	result_evidence(out, "sectors_erased", json_integer((json_int_t)res->sectors_erased));
	result_evidence(out, "sectors_written", json_integer((json_int_t)res->sectors_written));
	result_evidence(out, "skipped", json_boolean(!res->sectors_erased));
	result_output(out, "sha256", json_string(res->sha256_read));
	result_output(out, "bytes", json_integer((json_int_t)res->bytes));
}

static int flash_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(picoboot_step_done) struct picoboot_step x = {.s = s, .a = a};
	_cleanup_(image_unrefp) struct image *image = NULL;
	const struct picoboot_flash_options o = options_of(a);
	struct picoboot_flash_result res;
	int r = load(s, a, &image, e);

	if (r == 0)
		r = picoboot_step_open(&x, s, a, e);
	if (r == 0)
		r = load_for(&x, &image, e);
	if (r < 0)
		return r;
	picoboot_step_evidence(&x, out);
	for (size_t i = 0; i < image->notes; i++)
		step_log(s, '#', "%s", image->note[i]);
	r = picoboot_image_check(image, x.port.chip, &o, e);
	if (r == 0)
		r = check_partitions(&x, image, e);
	if (r == 0)
		r = picoboot_exclusive(&x.pico, &s->it, e);
	if (r == 0)
		r = picoboot_exit_xip(&x.pico, &s->it, e);
	if (r == 0)
		r = picoboot_flash(&x.pico, image, &res, &s->it, e);
	if (r < 0)
		return r;
	tell_result(out, &res);
	return args_bool(a, "reboot") ? picoboot_step_reboot(&x, out, e) : 0;
}

static const struct action_arg flash_args[] = {
	ARG_ROWS_PICOBOOT,
	{.name = "image",
		.type = ARG_IMAGE,
		.required = true,
		.doc = "any firmware format; a UF2 file has to be for this chip by its family"},
	{.name = "address",
		.type = ARG_SIZE,
		.doc = "where a raw binary begins; default the start of the flash, 0x10000000"},
	ARG_ROWS_FORMAT,
	{.name = "flash_size",
		.type = ARG_SIZE,
		.unit = "bytes",
		.doc = "of the chip on the board; without it a chip that is too small is found while its last sector is written"},
	{.name = "boots",
		.type = ARG_BOOL,
		.def = "true",
		.doc = "what begins at the start of the flash has to be what the boot ROM of this chip starts; false for data"},
	{.name = "reboot",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "restart it afterwards, and see it leave"},
	ARG_ROWS_RETURNS,
	{0},
};

static const struct action_output flash_outputs[] = {
	{"sha256", "of what was read back"}, {"bytes", "of the image"}, {0}};

const struct action action_picoboot_flash = {
	.name = "picoboot.flash",
	.doc = "Writes an image into the flash of a RP2040 or RP2350 in BOOTSEL mode and reads it back.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_REENUMERATES |
		 ACTION_SAFE_TO_RETRY,
	.args = flash_args,
	.outputs = flash_outputs,
	.default_timeout_us = 300 * US_PER_S,
	.run = flash_run,
};

/* -- read -- */

static int read_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(picoboot_step_done) struct picoboot_step x = {.s = s, .a = a};
	_cleanup_(freep) uint8_t *buf = NULL;
	uint64_t size = args_size(a, "size");
	char sum[SHA256_HEX];
	int r = picoboot_step_open(&x, s, a, e);

	if (r == 0 && (size == 0 || size > picoboot_flash_window(x.port.chip)))
		r = err_set(e, ERR_INVALID, "'size' is %llu: 1 to %u of a %s",
			(unsigned long long)size, picoboot_flash_window(x.port.chip),
			picoboot_chip_str(x.port.chip));
	if (r < 0)
		return r;
	buf = malloc((size_t)size);
	if (!buf)
		return err_set(e, ERR_NO_MEMORY, "%llu bytes to read", (unsigned long long)size);
	r = picoboot_exclusive(&x.pico, &s->it, e);
	if (r == 0)
		r = picoboot_exit_xip(&x.pico, &s->it, e);
	if (r == 0)
		r = picoboot_flash_read(&x.pico, args_size(a, "address"), buf, size, &s->it, e);
	if (r == 0)
		r = save_file(s, args_str(a, "file"), buf, (size_t)size, e);
	if (r < 0)
		return r;
	picoboot_step_evidence(&x, out);
	sha256_hex_of(buf, (size_t)size, sum);
	result_evidence(out, "sha256", json_string(sum));
	result_evidence(out, "bytes", json_integer((json_int_t)size));
	result_output(out, "sha256", json_string(sum));
	result_output(out, "bytes", json_integer((json_int_t)size));
	return 0;
}

static const struct action_arg read_args[] = {
	ARG_ROWS_PICOBOOT,
	{.name = "file", .type = ARG_OUTPUT, .required = true, .doc = "where the bytes go"},
	{.name = "address", .type = ARG_SIZE, .def = "0x10000000", .doc = "from where on"},
	{.name = "size", .type = ARG_SIZE, .required = true, .unit = "bytes", .doc = "to read"},
	{0},
};

static const struct action_output read_outputs[] = {
	{"sha256", "of the bytes"}, {"bytes", "how many"}, {0}};

const struct action action_picoboot_read = {
	.name = "picoboot.read",
	.doc = "Reads the flash of a RP2040 or RP2350 in BOOTSEL mode into a file.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = read_args,
	.outputs = read_outputs,
	.default_timeout_us = 300 * US_PER_S,
	.run = read_run,
};
