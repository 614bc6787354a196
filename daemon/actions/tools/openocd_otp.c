/* SPDX-License-Identifier: Apache-2.0
 *
 * openocd.otp_read, openocd.otp_write, openocd.otp_lock: one-time memory in the target's address space, through
 * a debug probe by OpenOCD's memory commands (User's Guide 0.12.0, 15.4: read_memory, write_memory). It is
 * written as it is; a controller that has to be opened for that (of one-time flash) is opened and closed by
 * commands that the recipe gives.
 *
 *	open ──> write_memory ──> close, whatever came of the write ──> read_memory
 *
 * OpenOCD is one of the step's own. What is burnt goes there over its Tcl server: in no command line, no file.
 */
#include "base/bytes.h"
#include "base/strbuf.h"
#include "daemon/actions/otp_step.h"
#include "daemon/actions/tools/openocd.h"
#include "transports/tools/openocd_rpc.h"

#define WORD 4u

struct openocd_otp {
	struct otp_act act;
	struct openocd_step x;
	struct openocd_server *server;
};

static void openocd_otp_done(struct openocd_otp *o)
{
	openocd_step_end(&o->x, o->server);
	openocd_step_done(&o->x);
	otp_done(&o->act);
}

static int ask(struct openocd_otp *o, const char *script, char **ret, struct err *e)
{
	const struct teller h = step_teller(o->x.s);

	return openocd_server_ask(o->server, script, &h, &o->x.s->it, ret, e);
}

/* --- cells as numbers, in the target's order of bytes --- */

static int add_cell(uint64_t v, unsigned width, bool big, uint8_t *p, struct err *e)
{
	if (width < 8 && v >> 8 * width)
		return err_set(e, ERR_PROTOCOL,
			"OpenOCD: 0x%llx is not a cell of %u bytes (read_memory)",
			(unsigned long long)v, width);
	for (unsigned i = 0; i < width; i++)
		p[big ? width - 1 - i : i] = (uint8_t)(v >> 8 * i);
	return 0;
}

static int parse_cells(
	const char *text, unsigned width, bool big, uint8_t *p, size_t n, struct err *e)
{
	const char *at = text;
	size_t cells = 0;
	int r = 0;

	while (r == 0 && cells < n / width) {
		char *end;
		unsigned long long v = strtoull(at, &end, 0);

		if (end == at)
			break;
		r = add_cell(v, width, big, p + cells++ * width, e);
		at = end;
	}
	if (r == 0 && (cells != n / width || at[strspn(at, " \t\r\n")]))
		r = err_set(e, ERR_PROTOCOL,
			"OpenOCD: read_memory gave %zu cells and more or less, %zu of %u bytes expected",
			cells, n / width, width);
	return r;
}

/* "little {0x1 0x2}" */
static int parse_answer(const char *text, unsigned width, uint8_t *p, size_t n, struct err *e)
{
	struct openocd_list l = {0};
	int r = openocd_list_parse(text, strlen(text), &l, e);

	if (r == 0 && (l.n != 2 || (strcmp(l.word[0], "little") && strcmp(l.word[0], "big"))))
		r = err_set(e, ERR_PROTOCOL,
			"OpenOCD: the target's order of bytes and its cells expected");
	if (r == 0)
		r = parse_cells(l.word[1], width, !strcmp(l.word[0], "big"), p, n, e);
	openocd_list_free(&l);
	return r;
}

static int read_cells(
	struct openocd_otp *o, uint64_t at, unsigned width, uint8_t *p, size_t n, struct err *e)
{
	_cleanup_(freep) char *script =
		xasprintf("list [[target current] cget -endian] [read_memory 0x%08x %u %zu]",
			(uint32_t)at, 8 * width, n / width);
	_cleanup_(freep) char *text = NULL;
	int r = ask(o, script, &text, e);

	return r < 0 ? r : parse_answer(text, width, p, n, e);
}

static int is_big(struct openocd_otp *o, bool *ret, struct err *e)
{
	_cleanup_(freep) char *text = NULL;
	int r = ask(o, "[target current] cget -endian", &text, e);

	if (r < 0)
		return r;
	*ret = !strcmp(text, "big");
	return *ret || !strcmp(text, "little")
		       ? 0
		       : err_set(e, ERR_PROTOCOL,
				 "OpenOCD says that the target's order of bytes is '%.40s': big or little expected",
				 text);
}

static int write_cells(
	struct openocd_otp *o, uint64_t at, const uint8_t *p, size_t n, struct err *e)
{
	unsigned width = MIN((unsigned)args_int(o->x.a, "unit"), WORD);
	_cleanup_(sb_done) struct strbuf script = {0};
	_cleanup_(freep) char *text = NULL;
	bool big = false;
	int r = is_big(o, &big, e);

	if (r < 0)
		return r;
	if (width == 3)
		width = 1;
	sb_addf(&script, "write_memory 0x%08x %u {", (uint32_t)at, 8 * width);
	for (size_t i = 0; i < n; i += width) {
		uint32_t v = 0;

		for (unsigned k = 0; k < width; k++)
			v |= (uint32_t)p[i + (big ? width - 1 - k : k)] << 8 * k;
		sb_addf(&script, " 0x%x", v);
	}
	sb_add(&script, "}");
	return ask(o, script.s, &text, e);
}

/* --- the way --- */

static int run_list(struct openocd_otp *o, const char *name, struct err *e)
{
	const json_t *list = args_has(o->x.a, name) ? args_json(o->x.a, name) : NULL;
	json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, item) {
		_cleanup_(freep) char *text = NULL;

		step_log(o->x.s, '>', "%s", json_string_value(item));
		if (ask(o, json_string_value(item), &text, e) < 0)
			return err_prefix(e, "'%s'", name);
	}
	return 0;
}

/* The controller is closed again in any case; the first error counts. */
static int write_open(struct openocd_otp *o, uint64_t at, const uint8_t *p, size_t n, struct err *e)
{
	struct err closing = {0};
	int r = run_list(o, "open", e);
	int c;

	if (r == 0)
		r = write_cells(o, at, p, n, e);
	c = run_list(o, "close", &closing);
	if (r < 0 || c == 0)
		return r;
	if (e)
		*e = closing;
	return c;
}

static int probe_who(void *to, char ret[UNIT_NAME_BYTES], struct err *e)
{
	struct openocd_otp *o = to;
	size_t n = (size_t)args_int(o->x.a, "uid_bytes");
	uint64_t at = args_size(o->x.a, "uid");
	uint8_t uid[OTP_UID_MAX];
	int r = read_cells(o, at, 1, uid, n, e);

	return r < 0 ? err_prefix(e, "unique id") : otp_unique_id(uid, n, at, ret, e);
}

static int probe_read(
	void *to, const struct otp_field *f, uint8_t *p, bool *ret_readable, struct err *e)
{
	*ret_readable = true;
	return read_cells(to, f->address, WORD, p, otp_bytes(f), e);
}

static int probe_locked(void *to, const struct otp_field *f, enum otp_locked *ret, struct err *e)
{
	uint8_t byte = 0;
	int r;

	*ret = OTP_LOCK_UNKNOWN;
	if (f->lock == OTP_LOCK_NONE)
		return 0;
	r = read_cells(to, f->lock_at, 1, &byte, 1, e);
	return r < 0 ? r : otp_lock_of(f, byte, ret, e);
}

static int probe_write(void *to, const struct otp_field *f, const uint8_t *p, struct err *e)
{
	return write_open(to, f->address, p, otp_bytes(f), e);
}

static int probe_lock(void *to, const struct otp_field *f, struct err *e)
{
	uint8_t word[OTP_WORD];
	uint32_t at = otp_lock_word(f, word);

	return write_open(to, at, word, sizeof word, e);
}

static const struct otp_port probe_port = {
	.who = probe_who,
	.read = probe_read,
	.locked = probe_locked,
	.write = probe_write,
	.lock = probe_lock,
};

static int preflight(struct step *s, const struct args *a, struct err *e)
{
	return otp_look_ahead(s, a, otp_memory_check, e);
}

static int check(const struct args *a, struct err *e)
{
	if (args_has(a, "uid") && args_size(a, "uid") > UINT32_MAX - OTP_UID_MAX)
		return err_set(e, ERR_RECIPE_INVALID, "'uid' is above 0xffffffdf");
	return otp_check(a, e);
}

static int openocd_otp_open(struct openocd_otp *o, struct step *s, const struct args *a,
	struct step_result *out, struct err *e)
{
	int r = check(a, e);

	if (r == 0)
		r = otp_prepare(&o->act, s, a, e);
	if (r == 0)
		r = otp_memory_check(o->act.f, e);
	if (r == 0)
		r = otp_flash_units(o->act.f, (uint32_t)args_int(a, "unit"), "the target", e);
	if (r == 0)
		r = openocd_step_init(&o->x, s, a, e);
	if (r < 0)
		return r;
	o->act.port = &probe_port;
	o->act.to = o;
	return openocd_step_begin(&o->x, &o->server, out, e);
}

OTP_DEFINE_RUNS(struct openocd_otp, openocd_otp_open, openocd_otp_done, act)

#define ROWS_CORE OPENOCD_ROW_BEFORE("halt"), OPENOCD_ROW_AFTER("resume")
#define ROWS_ACT                                                                                                                                  \
	{.name = "open",                                                                                                                          \
		.type = ARG_LIST,                                                                                                                 \
		.doc = "commands of OpenOCD's right before the write, which open the controller of one-time flash: 'mww 0x40023c04 0x45670123'"}, \
		{.name = "close",                                                                                                                 \
			.type = ARG_LIST,                                                                                                         \
			.doc = "commands right after it, which close the controller"},                                                            \
		OTP_ROWS_UID, OTP_ROW_IS_UNIT("the part's unique id"), OTP_ROW_UNIT, ROWS_CORE

static const struct action_arg otp_read_args[] = {
	OPENOCD_ROWS_TARGET, OTP_ROWS_READ, OTP_ROW_UNIT, ROWS_CORE, {0}};

const struct action action_openocd_otp_read = {
	.name = "openocd.otp_read",
	.program = "openocd",
	.doc = "Reads a field of one-time memory in the target's address space through a debug probe. A field that its map calls secret is not read.",
	.args = otp_read_args,
	.check = check,
	.preflight = preflight,
	OTP_READ_ROW(0),
};

static const struct action_arg otp_write_args[] = {
	OPENOCD_ROWS_TARGET, OTP_ROWS_WRITE, ROWS_ACT, {0}};

const struct action action_openocd_otp_write = {
	.name = "openocd.otp_write",
	.program = "openocd",
	.doc = "Burns a value into a field of one-time memory in the target's address space through a debug probe, once, and reads it back.",
	.args = otp_write_args,
	.check = check,
	.preflight = preflight,
	OTP_WRITE_ROW(0),
};

static const struct action_arg otp_lock_args[] = {
	OPENOCD_ROWS_TARGET, OTP_ROWS_LOCK, ROWS_ACT, {0}};

const struct action action_openocd_otp_lock = {
	.name = "openocd.otp_lock",
	.program = "openocd",
	.doc = "Locks the block of a field of one-time memory through a debug probe, by the byte that its map names.",
	.args = otp_lock_args,
	.check = check,
	.preflight = preflight,
	OTP_LOCK_ROW(0),
};
