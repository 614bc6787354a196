/* SPDX-License-Identifier: Apache-2.0
 *
 * stm32.flash, stm32.read, stm32.erase.
 */
#include <elf.h>

#include "daemon/actions/image_args.h"
#include "daemon/actions/image_json.h"
#include "daemon/actions/stm32/stm32.h"

#define FLASH_BASE 0x08000000u

/* --- flash --- */

static const char *const erases[] = {"touched", "all", "none", NULL};

static struct stm32_flash_opts flash_opts(const struct args *a)
{
	const char *erase = args_str(a, "erase");
	struct stm32_flash_opts o = {.skip_equal = args_bool(a, "skip_equal")};

	o.erase = !strcmp(erase, "all")	   ? STM32_ERASE_ALL
		  : !strcmp(erase, "none") ? STM32_ERASE_NONE
					   : STM32_ERASE_TOUCHED;
	return o;
}

static void tell_result(
	const struct stm32_result *res, const struct image *image, struct step_result *out)
{
	result_evidence(out, "sha256_written", json_string(res->sha256_written));
	result_evidence(out, "sha256_read", json_string(res->sha256_read));
	result_evidence(out, "bytes", json_integer((json_int_t)res->bytes));
	result_evidence(out, "pages", json_integer(res->pages));
	result_evidence(out, "pages_equal", json_integer(res->skipped));
	result_evidence(out, "pages_erased", json_integer(res->erased));
	result_evidence(out, "blocks", json_integer(res->blocks));
	result_evidence(out, "blocks_reread", json_integer(res->reread));
	result_evidence(out, "attempts", json_integer(res->attempts));
	result_evidence(out, "image", image_json(image));
	result_output(out, "sha256", json_string(res->sha256_read));
	result_output(out, "bytes", json_integer((json_int_t)res->bytes));
}

static int flash_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(stm32_session_done) struct stm32_session x = {0};
	_cleanup_(image_unrefp) struct image *image = NULL;
	struct stm32_flash_opts o = flash_opts(a);
	struct image_opts io = IMAGE_OPTS(FLASH_BASE);
	struct stm32_result res = {0};
	int r = 0;

	if (args_has(a, "ready") && !args_bool(a, "go"))
		return err_set(e, ERR_RECIPE_INVALID, "'ready' needs 'go: true'");
	io.address_is_default = !args_has(a, "address");
	if (!io.address_is_default)
		io.address = args_size(a, "address");
	/* What has this bootloader is a Cortex-M. */
	io.elf_machine = EM_ARM;
	image_args_take(a, &io);
	r = s->ops->load_image(s->env, args_str(a, "image"), &io, &image, e);
	if (r == 0)
		r = stm32_session_open(&x, s, a, e);
	if (r == 0)
		r = stm32_flash(x.rom, image, &o, &s->it, &res, e);
	if (r < 0)
		return r;
	stm32_session_tell(&x, out);
	tell_result(&res, image, out);
	return args_bool(a, "go")
		       ? stm32_session_start(&x, (uint32_t)image->segments[0].address, out, e)
		       : 0;
}

static const struct action_arg flash_args[] = {
	ARG_ROW_PORT,
	{.name = "image",
		.type = ARG_IMAGE,
		.required = true,
		.doc = "a raw binary, ELF, Intel HEX, S-record, UF2 or DFU file"},
	{.name = "address",
		.type = ARG_SIZE,
		.doc = "where a raw binary begins, by default 0x08000000; the other formats say it themselves and refuse it"},
	ARG_ROWS_FORMAT,
	{.name = "erase",
		.type = ARG_CHOICE,
		.def = "touched",
		.choices = erases,
		.doc = "the pages that the image touches, everything, or nothing"},
	{.name = "skip_equal",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "read first, and leave the pages alone that hold the image already"},
	{.name = "attempts",
		.type = ARG_INT,
		.def = "2",
		.low = 1,
		.high = 10,
		.doc = "at the whole image, where the wire lost something"},
	{.name = "go",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "start the application afterwards, by the vector table where the image begins"},
	STM32_ROWS_READY,
	STM32_ROWS_SESSION,
	{0},
};

static const struct action_output flash_outputs[] = {
	{"sha256", "of what was read back"}, {"bytes", "of the image"}, OUTPUT_ROWS_REPLY, {0}};

const struct action action_stm32_flash = {
	.name = "stm32.flash",
	.doc = "Erases, writes and reads back an image through the UART boot ROM of an STM32.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = flash_args,
	.outputs = flash_outputs,
	.default_timeout_us = 600 * US_PER_S,
	.run = flash_run,
};

/* --- what a range is --- */

/* address and size, within the part's flash; by default all of it from the address on. */
static int range_of(struct stm32_session *x, uint32_t *address, uint32_t *size, struct err *e)
{
	const struct stm32_info *i = stm32_info(x->rom);
	uint64_t base = i->device.flash_base;
	uint64_t end = base + i->flash_bytes;
	uint64_t at = args_has(x->a, "address") ? args_size(x->a, "address") : base;
	uint64_t n = args_has(x->a, "size") ? args_size(x->a, "size") : end - MIN(at, end);

	if (at < base || at >= end || n == 0 || n > end - at)
		return err_set(e, ERR_INVALID,
			"%llu bytes at 0x%08llx do not lie in the flash at 0x%08llx of %u KiB",
			(unsigned long long)n, (unsigned long long)at, (unsigned long long)base,
			i->flash_bytes / 1024);
	*address = (uint32_t)at;
	*size = (uint32_t)n;
	return 0;
}

/* --- read --- */

static int read_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(stm32_session_done) struct stm32_session x = {0};
	_cleanup_(freep) uint8_t *buf = NULL;
	char sum[SHA256_HEX];
	uint32_t address = 0;
	uint32_t size = 0;
	int r = stm32_session_open(&x, s, a, e);

	if (r == 0)
		r = range_of(&x, &address, &size, e);
	if (r < 0)
		return r;
	buf = malloc(size);
	if (!buf)
		return err_set(e, ERR_NO_MEMORY, "%u bytes to read", size);
	r = stm32_read(x.rom, address, buf, size, &s->it, e);
	if (r == 0)
		r = save_file(s, args_str(a, "file"), buf, size, e);
	if (r < 0)
		return r;
	sha256_hex_of(buf, size, sum);
	stm32_session_tell(&x, out);
	result_evidence(out, "sha256", json_string(sum));
	result_evidence(out, "bytes", json_integer(size));
	result_evidence(out, "address", json_sprintf("0x%08x", address));
	result_output(out, "sha256", json_string(sum));
	result_output(out, "bytes", json_integer(size));
	return 0;
}

#define ROWS_RANGE                                                                         \
	{.name = "address", .type = ARG_SIZE, .doc = "by default where the flash begins"}, \
	{                                                                                  \
		.name = "size", .type = ARG_SIZE, .unit = "bytes",                         \
		.doc = "by default up to the end of the flash"                             \
	}

static const struct action_arg read_args[] = {
	ARG_ROW_PORT,
	{.name = "file", .type = ARG_OUTPUT, .required = true, .doc = "where the bytes go"},
	ROWS_RANGE,
	STM32_ROWS_SESSION,
	{0},
};

static const struct action_output read_outputs[] = {
	{"sha256", "of the bytes"}, {"bytes", "how many"}, {0}};

const struct action action_stm32_read = {
	.name = "stm32.read",
	.doc = "Reads flash through the UART boot ROM of an STM32 into a file.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = read_args,
	.outputs = read_outputs,
	.default_timeout_us = 600 * US_PER_S,
	.run = read_run,
};

/* --- erase --- */

static const char *const what_to_erase[] = {"all", "bank1", "bank2", "range", NULL};

static int erase_range(struct stm32_session *x, uint32_t *address, uint32_t *size, struct err *e)
{
	const struct stm32_info *i = stm32_info(x->rom);
	uint32_t base = i->device.flash_base;
	_cleanup_(freep) uint32_t *page = NULL;
	struct stm32_page first;
	struct stm32_page last;
	uint32_t n;
	int r = range_of(x, address, size, e);

	if (r < 0)
		return r;
	first = stm32_page_at(&i->device, *address - base);
	last = stm32_page_at(&i->device, *address - base + *size - 1);
	if (base + first.offset != *address || last.offset + last.bytes != *address - base + *size)
		return err_set(e, ERR_INVALID,
			"the range is not of whole pages: 0x%08x of %u bytes would be",
			base + first.offset, last.offset + last.bytes - first.offset);
	n = last.number - first.number + 1;
	page = calloc(n, sizeof *page);
	if (!page)
		return err_set(e, ERR_NO_MEMORY, "a list of %u pages", n);
	for (uint32_t k = 0; k < n; k++)
		page[k] = first.number + k;
	return stm32_erase_pages(x->rom, page, n, &x->s->it, e);
}

static int erase_bank(
	struct stm32_session *x, bool second, uint32_t *address, uint32_t *size, struct err *e)
{
	const struct stm32_info *i = stm32_info(x->rom);

	*size = i->flash_bytes / 2;
	*address = i->device.flash_base + (second ? *size : 0);
	return stm32_erase_mass(x->rom, second ? STM32_MASS_BANK2 : STM32_MASS_BANK1, &x->s->it, e);
}

static int erase_what(struct stm32_session *x, uint32_t *address, uint32_t *size, struct err *e)
{
	const char *what = args_str(x->a, "what");
	const struct stm32_info *i = stm32_info(x->rom);

	if (!strcmp(what, "range"))
		return erase_range(x, address, size, e);
	if (strcmp(what, "all"))
		return erase_bank(x, !strcmp(what, "bank2"), address, size, e);
	*address = i->device.flash_base;
	*size = i->flash_bytes;
	return stm32_erase_mass(x->rom, STM32_MASS_ALL, &x->s->it, e);
}

static int erase_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(stm32_session_done) struct stm32_session x = {0};
	bool range = !strcmp(args_str(a, "what"), "range");
	uint32_t address = 0;
	uint32_t size = 0;
	int r = 0;

	if (range != (args_has(a, "address") || args_has(a, "size")))
		return err_set(e, ERR_RECIPE_INVALID,
			"'what: range' and an address or size belong together");
	r = stm32_session_open(&x, s, a, e);
	if (r == 0)
		r = erase_what(&x, &address, &size, e);
	if (r == 0)
		r = stm32_check_blank(x.rom, address, size, &s->it, e);
	if (r < 0)
		return r;
	stm32_session_tell(&x, out);
	result_evidence(out, "blank_from", json_sprintf("0x%08x", address));
	result_evidence(out, "blank_bytes", json_integer(size));
	return 0;
}

static const struct action_arg erase_args[] = {
	ARG_ROW_PORT,
	{.name = "what",
		.type = ARG_CHOICE,
		.def = "all",
		.choices = what_to_erase,
		.doc = "everything, a bank of a part that has two, or whole pages"},
	{.name = "address", .type = ARG_SIZE, .doc = "of the range, where a page begins"},
	{.name = "size", .type = ARG_SIZE, .unit = "bytes", .doc = "of the range, whole pages"},
	STM32_ROWS_SESSION,
	{0},
};

const struct action action_stm32_erase = {
	.name = "stm32.erase",
	.doc = "Erases flash through the UART boot ROM of an STM32 and reads back that it is blank.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = erase_args,
	.default_timeout_us = 600 * US_PER_S,
	.run = erase_run,
};
