/* SPDX-License-Identifier: Apache-2.0
 *
 * serialboot.*: the guide's serial bootloader.
 */
#include "daemon/actions/common.h"
#include "daemon/actions/image_args.h"
#include "daemon/actions/image_json.h"

#include "base/digest.h"
#include "transports/links/lines.h"
#include "transports/protocols/guide/serial_boot.h"

#define READ_MAX_BYTES	    (64u * 1024 * 1024)
#define APPLICATION_ADDRESS 0x08010000 /* of the guide */
#define RESET_HOLD_US	    (100 * US_PER_MS)
#define RESET_WAIT_US	    (100 * US_PER_MS)

/* One bootloader in one step. */
struct session {
	struct step *s;
	const struct args *a;
	const struct image *image; /* of flash; else NULL */
	struct link *link;
	struct serial_boot *boot;
};

static void session_done(struct session *x)
{
	x->boot = serial_boot_free(x->boot);
}

/* Pulses the line that holds the board in reset. */
static int pulse(void *data, struct link **link, const struct iotime *it, struct err *e)
{
	struct session *x = data;
	enum link_control line =
		strcmp(args_str(x->a, "reset"), "rts") ? LINK_CONTROL_DTR : LINK_CONTROL_RTS;
	struct line_steps reset = line_steps_pulse(line, RESET_HOLD_US, RESET_WAIT_US);

	return line_steps_run(*link, &reset, it, e);
}

static void set_u32(const struct args *a, const char *name, uint32_t *to)
{
	if (args_has(a, name))
		*to = (uint32_t)MIN(args_size(a, name), (uint64_t)UINT32_MAX);
}

static void set_text(const struct args *a, const char *name, const char **to)
{
	if (args_has(a, name))
		*to = args_str(a, name);
}

static void set_us(const struct args *a, const char *name, uint64_t *to)
{
	if (args_has(a, name))
		*to = args_duration_us(a, name);
}

/* image may be NULL. */
static struct serial_boot_profile profile_of(const struct args *a, const struct image *image)
{
	struct serial_boot_profile p = serial_boot_guide_v1;

	set_u32(a, "chunk", &p.chunk_bytes);
	set_u32(a, "write_unit", &p.write_unit_bytes);
	set_u32(a, "page", &p.page_bytes);
	set_u32(a, "block", &p.read_block_bytes);
	set_text(a, "enter_expect", &p.enter_ok);
	set_text(a, "erase_expect", &p.erase_ok);
	set_text(a, "boot_expect", &p.start_ok);
	set_us(a, "enter_timeout", &p.enter_us);
	set_us(a, "erase_timeout", &p.erase_us);
	set_us(a, "ack_timeout", &p.ack_us);
	set_us(a, "boot_timeout", &p.start_us);
	set_us(a, "ready_timeout", &p.banner_us);
	if (args_has(a, "attempts"))
		p.attempts = (unsigned)args_int(a, "attempts");
	if (args_has(a, "erase") && !args_bool(a, "erase")) {
		p.skip_erase = true;
		p.attempts = 1;
	}
	if (args_has(a, "flash_size") && image) {
		p.flash_address = args_has(a, "flash_address") ? args_size(a, "flash_address")
							       : image->segments[0].address;
		p.flash_bytes = args_size(a, "flash_size");
	}
	p.skip_blank = args_bool(a, "skip_blank");
	p.unproved = args_bool(a, "unproved");
	return p;
}

static int session_open(struct session *x, struct err *e)
{
	struct serial_boot_profile p = profile_of(x->a, x->image);
	const char *reset = args_str(x->a, "reset");
	struct serial_boot_hooks h = {
		.tell = step_teller(x->s),
		.data = x,
		.secrets = x->s->secrets,
		.reset = reset && strcmp(reset, "none") != 0 ? pulse : NULL,
	};
	int r = step_link(x->s, args_str(x->a, "port"), &x->link, e);

	return r < 0 ? r : serial_boot_new(x->link, &p, &h, &x->boot, e);
}

/* After a command that makes the device leave the bus: the new link of the same unit. */
static int reopen(struct session *x, struct err *e)
{
	const char *port = args_str(x->a, "port");

	session_done(x);
	x->s->ops->link_close(x->s->env, port);

	int r = x->s->ops->wait_device(x->s->env, port, &x->s->it, NULL, e);

	return r < 0 ? r : session_open(x, e);
}

/* A device that comes back under another node: ask it to change, then enter on the new link, where
 * it answers READY again or is found by reading. Its answer before it leaves may be lost. */
static int change_over(struct session *x, struct err *e)
{
	struct console *c = NULL;
	const struct console_opts o = {.tell = step_teller(x->s)};
	int r = x->s->ops->expect_replug(x->s->env, args_str(x->a, "port"), e);

	if (r == 0)
		r = console_new(x->link, &o, &c, e);
	if (r == 0)
		r = console_send(c, serial_boot_guide_v1.enter_text, &x->s->it, e);
	console_free(c);
	return r < 0 ? r : reopen(x, e);
}

static int address_of(const struct args *a, uint32_t *ret, struct err *e)
{
	uint64_t v = args_size(a, "address");

	if (v > UINT32_MAX)
		return err_set(e, ERR_INVALID, "'address' is above 0xffffffff");
	*ret = (uint32_t)v;
	return 0;
}

/* The banner of a device that comes back under another node is waited for on the new link. */
static int banner_after_replug(
	struct session *x, const struct regex *banner, struct console_reply *ret, struct err *e)
{
	struct console *c = NULL;
	const struct console_opts o = {.tell = step_teller(x->s)};
	struct serial_boot_profile p = profile_of(x->a, x->image);
	struct iotime it = iotime_within(&x->s->it, p.banner_us);
	int r = reopen(x, e);

	if (r < 0 || !banner)
		return r;
	r = console_new(x->link, &o, &c, e);
	if (r == 0)
		r = console_expect(c, banner, NULL, &it, ret, e);
	console_free(c);
	return r;
}

static int start(struct session *x, struct step_result *out, struct err *e)
{
	_cleanup_(regex_freep) struct regex *banner = NULL;
	_cleanup_(console_reply_done) struct console_reply started = {0};
	_cleanup_(console_reply_done) struct console_reply said = {0};
	bool replug = args_bool(x->a, "reenumerates");
	int r = arg_regex(x->a, "ready", NULL, &banner, e);

	if (r == 0 && replug)
		r = x->s->ops->expect_replug(x->s->env, args_str(x->a, "port"), e);
	if (r == 0)
		r = serial_boot_start(
			x->boot, replug ? NULL : banner, &x->s->it, &started, &said, e);
	if (r == 0 && replug)
		r = banner_after_replug(x, banner, &said, e);
	if (r < 0)
		return r;
	result_evidence(out, "started", json_string(started.line));
	if (said.line) {
		result_evidence(out, "ready", json_string(said.line));
		output_reply(out, &said);
	}
	return 0;
}

static int flash_image(
	struct session *x, const struct image *image, struct step_result *out, struct err *e)
{
	struct serial_boot_result res = {0};
	int r;

	x->image = image;
	r = session_open(x, e);
	if (r == 0 && args_bool(x->a, "reenumerates"))
		r = change_over(x, e);
	if (r == 0)
		r = serial_boot_flash(x->boot, image, &x->s->it, &res, e);
	if (r < 0)
		return r;
	result_evidence(out, "sha256_written", json_string(res.sha256_written));
	if (res.sha256_read[0])
		result_evidence(out, "sha256_read", json_string(res.sha256_read));
	result_evidence(out, "proved", json_boolean(res.sha256_read[0]));
	result_evidence(out, "bytes", json_integer((json_int_t)res.bytes));
	result_evidence(out, "address", json_integer((json_int_t)image->segments[0].address));
	result_evidence(out, "image", image_json(image));
	result_evidence(out, "attempts", json_integer(res.attempts));
	result_evidence(out, "chunks", json_integer((json_int_t)res.chunks));
	if (res.sha256_read[0])
		result_output(out, "sha256", json_string(res.sha256_read));
	result_output(out, "bytes", json_integer((json_int_t)res.bytes));
	return args_bool(x->a, "boot") ? start(x, out, e) : 0;
}

static int flash_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(session_done) struct session x = {.s = s, .a = a};
	_cleanup_(image_unrefp) struct image *image = NULL;
	struct image_opts o = IMAGE_OPTS(APPLICATION_ADDRESS);
	int r;

	o.address_is_default = !args_has(a, "address");
	if (!o.address_is_default)
		o.address = args_size(a, "address");
	image_args_take(a, &o);
	r = s->ops->load_image(s->env, args_str(a, "image"), &o, &image, e);
	if (r == 0 && args_has(a, "ready") && !args_bool(a, "boot"))
		r = err_set(e, ERR_RECIPE_INVALID, "'ready' needs 'boot: true'");
	return r < 0 ? r : flash_image(&x, image, out, e);
}

static const char *const resets[] = {"none", "dtr", "rts", NULL};

#define ADDRESS_ROW                                                                                \
	{                                                                                          \
		.name = "address", .type = ARG_SIZE, .def = "0x08010000", .doc = "where it begins" \
	}
#define ENTER_ROWS                                                                 \
	{.name = "enter_timeout",                                                  \
		.type = ARG_DURATION,                                              \
		.def = "1s",                                                       \
		.doc = "for READY, of each of three tries"},                       \
		{.name = "enter_expect",                                           \
			.type = ARG_REGEX,                                         \
			.doc = "the answer to BOOT; without it: the line READY"},  \
	{                                                                          \
		.name = "block", .type = ARG_SIZE, .def = "4096", .unit = "bytes", \
		.doc = "read in one request"                                       \
	}
#define START_ROWS                                                                                 \
	{.name = "ready",                                                                          \
		.type = ARG_REGEX,                                                                 \
		.doc = "the line by which the application says that it runs, with its version"},   \
		{.name = "boot_timeout", .type = ARG_DURATION, .def = "2s", .doc = "for BOOTING"}, \
		{.name = "boot_expect",                                                            \
			.type = ARG_REGEX,                                                         \
			.doc = "the answer to BOOT_APP; without it: the line BOOTING"},            \
		{.name = "ready_timeout",                                                          \
			.type = ARG_DURATION,                                                      \
			.def = "10s",                                                              \
			.doc = "for the line of 'ready'"},                                         \
	{                                                                                          \
		.name = "reenumerates", .type = ARG_BOOL, .def = "false",                          \
		.doc = "the device leaves the bus and comes back when it changes over"             \
	}

static const struct action_arg flash_args[] = {
	ARG_ROW_PORT,
	{.name = "image",
		.type = ARG_IMAGE,
		.required = true,
		.doc = "a raw binary, ELF, Intel HEX, S-record, UF2 or DFU file"},
	{.name = "address",
		.type = ARG_SIZE,
		.doc = "where a raw binary begins, by default 0x08010000; the other formats say it themselves and refuse it"},
	ARG_ROWS_FORMAT,
	{.name = "flash_address",
		.type = ARG_SIZE,
		.doc = "where the flash begins that 'flash_size' measures; by default where the image begins"},
	{.name = "flash_size",
		.type = ARG_SIZE,
		.unit = "bytes",
		.doc = "room from there on; what lies outside is refused before the erase"},
	{.name = "chunk", .type = ARG_SIZE, .def = "256", .unit = "bytes", .doc = "of one frame"},
	{.name = "write_unit",
		.type = ARG_SIZE,
		.def = "4",
		.unit = "bytes",
		.doc = "the flash word: a short tail is filled with FF"},
	{.name = "page",
		.type = ARG_SIZE,
		.unit = "bytes",
		.doc = "a frame never crosses a multiple of it"},
	{.name = "erase", .type = ARG_BOOL, .def = "true", .doc = "erase before writing"},
	{.name = "skip_blank",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "do not write chunks that are all FF"},
	{.name = "unproved",
		.type = ARG_BOOL,
		.def = "false",
		.bench = true,
		.doc = "read nothing back; on a bench alone, and the result says that nothing was proved"},
	{.name = "attempts",
		.type = ARG_INT,
		.def = "2",
		.low = 1,
		.high = 10,
		.doc = "at the whole image, where the wire lost something"},
	{.name = "reset",
		.type = ARG_CHOICE,
		.def = "none",
		.choices = resets,
		.doc = "the modem line that resets the board between attempts"},
	{.name = "boot",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "start the application afterwards"},
	START_ROWS,
	ENTER_ROWS,
	{.name = "erase_timeout", .type = ARG_DURATION, .def = "30s", .doc = "for the erase"},
	{.name = "erase_expect",
		.type = ARG_REGEX,
		.doc = "the answer to ERASE; without it: the line OK"},
	{.name = "ack_timeout",
		.type = ARG_DURATION,
		.def = "5s",
		.doc = "for each frame's ACK, in addition to its time on the wire"},
	{0},
};

static const struct action_output flash_outputs[] = {
	{"sha256", "of what was read back"}, {"bytes", "of the image"}, OUTPUT_ROWS_REPLY, {0}};

const struct action action_serialboot_flash = {
	.name = "serialboot.flash",
	.doc = "Erases, writes and reads back an image through the serial bootloader.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_REENUMERATES |
		 ACTION_SAFE_TO_RETRY,
	.args = flash_args,
	.outputs = flash_outputs,
	.default_timeout_us = 600 * US_PER_S,
	.run = flash_run,
};

static int read_to(
	struct session *x, uint8_t *buf, uint32_t size, struct step_result *out, struct err *e)
{
	char sum[SHA256_HEX];
	uint32_t address = 0;
	int r = address_of(x->a, &address, e);

	if (r == 0)
		r = session_open(x, e);
	if (r == 0)
		r = serial_boot_enter(x->boot, address, &x->s->it, e);
	if (r == 0)
		r = serial_boot_read(x->boot, address, buf, size, &x->s->it, e);
	if (r == 0)
		r = save_file(x->s, args_str(x->a, "file"), buf, size, e);
	if (r < 0)
		return r;
	sha256_hex_of(buf, size, sum);
	result_evidence(out, "sha256", json_string(sum));
	result_evidence(out, "bytes", json_integer(size));
	result_evidence(out, "address", json_integer(address));
	result_output(out, "sha256", json_string(sum));
	result_output(out, "bytes", json_integer(size));
	return 0;
}

static int size_of(const struct args *a, uint32_t *ret, struct err *e)
{
	uint64_t v = args_size(a, "size");

	if (v == 0 || v > READ_MAX_BYTES)
		return err_set(e, ERR_INVALID, "'size' has to be from 1 byte to %u MiB",
			READ_MAX_BYTES >> 20);
	*ret = (uint32_t)v;
	return 0;
}

static int read_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(session_done) struct session x = {.s = s, .a = a};
	uint32_t size = 0;
	int r = size_of(a, &size, e);

	if (r < 0)
		return r;

	_cleanup_(freep) uint8_t *buf = malloc(size);

	if (!buf)
		return err_set(e, ERR_NO_MEMORY, "%u bytes to read", size);
	return read_to(&x, buf, size, out, e);
}

static const struct action_arg read_args[] = {
	ARG_ROW_PORT,
	ADDRESS_ROW,
	{.name = "size", .type = ARG_SIZE, .required = true, .unit = "bytes", .doc = "to read"},
	{.name = "file", .type = ARG_OUTPUT, .required = true, .doc = "where the bytes go"},
	ENTER_ROWS,
	{0},
};

static const struct action_output read_outputs[] = {
	{"sha256", "of the bytes"}, {"bytes", "how many"}, {0}};

const struct action action_serialboot_read = {
	.name = "serialboot.read",
	.doc = "Reads flash through the serial bootloader into a file.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = read_args,
	.outputs = read_outputs,
	.default_timeout_us = 600 * US_PER_S,
	.run = read_run,
};

static int erase_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(session_done) struct session x = {.s = s, .a = a};
	uint32_t address = 0, size = 0;
	int r = address_of(a, &address, e);

	if (r == 0)
		r = size_of(a, &size, e);
	if (r == 0)
		r = session_open(&x, e);
	if (r == 0)
		r = serial_boot_enter(x.boot, address, &s->it, e);
	if (r == 0)
		r = serial_boot_erase(x.boot, &s->it, e);
	if (r == 0)
		r = serial_boot_check_blank(x.boot, address, size, &s->it, e);
	if (r < 0)
		return r;
	result_evidence(out, "blank_from", json_integer(address));
	result_evidence(out, "blank_bytes", json_integer(size));
	return 0;
}

static const struct action_arg erase_args[] = {
	ARG_ROW_PORT,
	ADDRESS_ROW,
	{.name = "size",
		.type = ARG_SIZE,
		.required = true,
		.unit = "bytes",
		.doc = "range that is read back blank; the erase itself knows no range"},
	ENTER_ROWS,
	{.name = "erase_timeout", .type = ARG_DURATION, .def = "30s", .doc = "for the erase"},
	{.name = "erase_expect",
		.type = ARG_REGEX,
		.doc = "the answer to ERASE; without it: the line OK"},
	{0},
};

const struct action action_serialboot_erase = {
	.name = "serialboot.erase",
	.doc = "Erases the application's flash and reads back that it is blank.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = erase_args,
	.default_timeout_us = 600 * US_PER_S,
	.run = erase_run,
};

static int boot_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(session_done) struct session x = {.s = s, .a = a};
	int r = session_open(&x, e);

	return r < 0 ? r : start(&x, out, e);
}

static const struct action_arg boot_args[] = {ARG_ROW_PORT, START_ROWS, {0}};

static const struct action_output boot_outputs[] = {OUTPUT_ROWS_REPLY, {0}};

const struct action action_serialboot_boot = {
	.name = "serialboot.boot",
	.doc = "Starts the application from the serial bootloader and waits until it says so.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_REENUMERATES,
	.args = boot_args,
	.outputs = boot_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.run = boot_run,
};
