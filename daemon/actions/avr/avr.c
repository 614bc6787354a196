/* SPDX-License-Identifier: Apache-2.0
 *
 * avr.info, avr.flash: AVRs with a serial bootloader.
 */
#include <elf.h>

#include "daemon/actions/boot_pins.h"
#include "daemon/actions/common.h"
#include "daemon/actions/image_args.h"
#include "daemon/actions/image_json.h"
#include "transports/protocols/avr/avr_boot.h"

static const char *const protocols[] = {"stk500v1", "stk500v2", NULL};
static const char *const resets[] = {"none", "dtr", NULL};

/* avrdude, arduino.c: both lines off, which unloads the capacitor to RESET, and on again. 1 asserts a line. */
#define DTR_ENTER "dtr=0, rts=0, 250ms, dtr=1, rts=1, 50ms"
#define DTR_EXIT  "dtr=0, rts=0"

#define RESERVE_V1 512	/* optiboot */
#define RESERVE_V2 8192 /* of the Arduino Mega */

#define AVR_ROWS_SESSION                                                                           \
	{.name = "protocol",                                                                       \
		.type = ARG_CHOICE,                                                                \
		.def = "stk500v1",                                                                 \
		.choices = protocols,                                                              \
		.doc = "of the bootloader: stk500v1 (optiboot, avrdude -c arduino) or stk500v2 "   \
		       "(Arduino Mega, avrdude -c wiring)"},                                       \
		{.name = "part",                                                                   \
			.type = ARG_STRING,                                                        \
			.doc = "that it has to be by its signature: ATmega328P, or the signature " \
			       "itself: 1e950f"},                                                  \
		{.name = "reset",                                                                  \
			.type = ARG_CHOICE,                                                        \
			.def = "none",                                                             \
			.choices = resets,                                                         \
			.doc = "dtr: 'enter' and 'exit' of boards with a capacitor from DTR to "   \
			       "RESET, as Arduinos have"},                                         \
		ARG_ROWS_BOOT_PINS,                                                                \
		{.name = "flash_size",                                                             \
			.type = ARG_SIZE,                                                          \
			.unit = "bytes",                                                           \
			.doc = "of a part that the table does not know"},                          \
	{                                                                                          \
		.name = "page", .type = ARG_SIZE, .unit = "bytes",                                 \
		.doc = "of its flash, 256 at most"                                                 \
	}

struct avr_session {
	struct step *s;
	const struct args *a;
	struct link *link;
	struct avr_boot *boot;
	struct boot_pins pins;
};

static bool has_reset(const struct args *a)
{
	return args_has(a, "reset") && strcmp(args_str(a, "reset"), "none") != 0;
}

static int session_check(const struct args *a, struct err *e)
{
	if (has_reset(a) && (args_given(a, "enter") || args_given(a, "exit")))
		return err_set(e, ERR_RECIPE_INVALID,
			"'reset' says what 'enter' and 'exit' are: give one or the other");
	return 0;
}

static int enter(void *data, const struct iotime *it, struct err *e)
{
	struct avr_session *x = data;

	return boot_pins_enter(&x->pins, x->link, it, e);
}

static int pins_of(const struct args *a, struct boot_pins *ret, struct err *e)
{
	int r;

	if (!has_reset(a))
		return boot_pins_parse(a, ret, e);
	r = line_steps_parse(DTR_ENTER, &ret->enter, e);
	return r < 0 ? r : line_steps_parse(DTR_EXIT, &ret->exit, e);
}

static int opts_of(const struct args *a, struct avr_opts *ret, struct err *e)
{
	struct avr_opts o = AVR_OPTS_DEFAULT;
	uint64_t flash = args_size(a, "flash_size");
	uint64_t page = args_size(a, "page");
	uint64_t reserve;

	o.protocol = !strcmp(args_str(a, "protocol"), protocols[1]) ? AVR_STK500_V2 : AVR_STK500_V1;
	reserve = args_has(a, "reserve")	? args_size(a, "reserve")
		  : o.protocol == AVR_STK500_V2 ? RESERVE_V2
						: RESERVE_V1;
	if (flash > 1u << 20 || reserve > 1u << 20)
		return err_set(e, ERR_INVALID, "no AVR has a megabyte of flash");
	if (page > AVR_PAGE_MAX || page & (page - 1) || (page && page < 16))
		return err_set(e, ERR_INVALID, "'page' is a power of two from 16 to 256, not %llu",
			(unsigned long long)page);
	o.flash_bytes = (uint32_t)flash;
	o.page_bytes = (uint32_t)page;
	o.reserve = (uint32_t)reserve;
	if (args_has(a, "attempts"))
		o.attempts = (unsigned)args_int(a, "attempts");
	*ret = o;
	return 0;
}

static int check_part(const struct avr_session *x, struct err *e)
{
	const struct avr_info *i = avr_boot_info(x->boot);
	const char *want = args_str(x->a, "part");
	char hex[7];

	hex_of(i->signature, sizeof i->signature, hex);
	if (want && strcmp(want, hex) != 0 && strcmp(want, i->part) != 0)
		return err_set(e, ERR_WRONG_DEVICE,
			"%s: the signature is %s (%s), and the recipe wants %s: plug the right unit",
			x->link->address, hex, *i->part ? i->part : "in no table", want);
	return 0;
}

static int session_open(struct avr_session *x, struct step *s, const struct args *a, struct err *e)
{
	struct avr_hooks h = {.tell = step_teller(s), .data = x};
	struct avr_opts o;
	int r = session_check(a, e);

	x->s = s;
	x->a = a;
	if (r == 0)
		r = pins_of(a, &x->pins, e);
	if (r == 0)
		r = opts_of(a, &o, e);
	if (r == 0)
		r = step_link(s, args_str(a, "port"), &x->link, e);
	if (r < 0)
		return r;
	if (x->pins.enter.n)
		h.enter = enter;
	x->boot = avr_boot_new(x->link, &o, &h);
	r = avr_boot_connect(x->boot, &s->it, e);
	return r < 0 ? r : check_part(x, e);
}

static void session_done(struct avr_session *x)
{
	x->boot = avr_boot_free(x->boot);
	if (x->link)
		boot_pins_leave(&x->pins, x->link);
}

static void tell(const struct avr_session *x, struct step_result *out)
{
	const struct avr_info *i = avr_boot_info(x->boot);
	char hex[7];

	hex_of(i->signature, sizeof i->signature, hex);
	result_evidence(out, "signature", json_string(hex));
	result_evidence(out, "part", json_string(i->part));
	result_evidence(out, "bootloader", json_sprintf("%u.%u", i->major, i->minor));
	result_evidence(out, "flash_size", json_integer(i->flash_bytes));
	result_output(out, "signature", json_string(hex));
	result_output(out, "part", json_string(i->part));
}

#define AVR_OUTPUT_ROWS                                               \
	{"signature", "three bytes, as 1e950f"},                      \
	{                                                             \
		"part", "its name by the signature; \"\" in no table" \
	}

/* --- info --- */

static int info_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(session_done) struct avr_session x = {0};
	int r = session_open(&x, s, a, e);

	if (r == 0)
		tell(&x, out);
	return r;
}

static const struct action_arg info_args[] = {ARG_ROW_PORT, AVR_ROWS_SESSION, {0}};

static const struct action_output info_outputs[] = {AVR_OUTPUT_ROWS, {0}};

const struct action action_avr_info = {
	.name = "avr.info",
	.doc = "Asks the serial bootloader of an AVR for the part's signature.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = info_args,
	.outputs = info_outputs,
	.default_timeout_us = 30 * US_PER_S,
	.check = session_check,
	.run = info_run,
};

/* --- flash --- */

static void tell_result(
	const struct avr_result *res, const struct image *image, struct step_result *out)
{
	result_evidence(out, "sha256_written", json_string(res->sha256_written));
	result_evidence(out, "sha256_read", json_string(res->sha256_read));
	result_evidence(out, "bytes", json_integer((json_int_t)res->bytes));
	result_evidence(out, "pages", json_integer(res->pages));
	result_evidence(out, "pages_erased", json_integer(res->pages));
	result_evidence(out, "attempts", json_integer(res->attempts));
	result_evidence(out, "image", image_json(image));
	result_output(out, "bytes", json_integer((json_int_t)res->bytes));
}

static int flash_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(session_done) struct avr_session x = {0};
	_cleanup_(image_unrefp) struct image *image = NULL;
	struct image_opts io = IMAGE_OPTS(0);
	struct avr_result res = {0};
	int r = session_check(a, e);

	io.address_is_default = true;
	io.elf_machine = EM_AVR;
	image_args_take(a, &io);
	if (r == 0)
		r = s->ops->load_image(s->env, args_str(a, "image"), &io, &image, e);
	if (r == 0)
		r = session_open(&x, s, a, e);
	if (r == 0)
		r = avr_boot_flash(x.boot, image, &s->it, &res, e);
	/* Of whole pages, and not the digest of the image that its maker hid. */
	if (r == 0 && image->secret)
		r = step_secret(s, res.sha256_written, e);
	if (r < 0)
		return r;
	tell(&x, out);
	tell_result(&res, image, out);
	if (!args_bool(a, "start"))
		return 0;
	r = avr_boot_leave(x.boot, &s->it, e);
	if (r == 0)
		result_evidence(out, "started", json_string("acknowledged"));
	return r;
}

static const struct action_arg flash_args[] = {
	ARG_ROW_PORT,
	{.name = "image",
		.type = ARG_IMAGE,
		.required = true,
		.doc = "Intel HEX, ELF, S-record, or a raw binary, which begins at 0"},
	ARG_ROWS_FORMAT,
	{.name = "reserve",
		.type = ARG_SIZE,
		.unit = "bytes",
		.doc = "at the end of the flash, where the bootloader is: an image that reaches into it is refused. By default 512 of stk500v1, 8K of stk500v2"},
	{.name = "attempts",
		.type = ARG_INT,
		.def = "2",
		.low = 1,
		.high = 10,
		.doc = "at the whole image, where the wire lost something"},
	{.name = "start",
		.type = ARG_BOOL,
		.def = "true",
		.doc = "have the bootloader start the application afterwards"},
	AVR_ROWS_SESSION,
	{0},
};

static const struct action_output flash_outputs[] = {
	AVR_OUTPUT_ROWS, {"bytes", "of the image"}, {0}};

const struct action action_avr_flash = {
	.name = "avr.flash",
	.doc = "Writes an image through the serial bootloader of an AVR and reads all of its pages back.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = flash_args,
	.outputs = flash_outputs,
	.default_timeout_us = 300 * US_PER_S,
	.check = session_check,
	.run = flash_run,
};
