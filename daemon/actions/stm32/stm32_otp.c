/* SPDX-License-Identifier: Apache-2.0
 *
 * stm32.otp_read, stm32.otp_write, stm32.otp_lock: the one-time memory of an STM32 through its UART boot
 * ROM, by Write Memory (AN3155, 3.6). It is flash that nothing erases: a bit goes from 1 to 0. On the
 * families where a byte of 00 locks a block (RM0090, 3.7.5), the map names that byte.
 */
#include "daemon/actions/otp_step.h"
#include "daemon/actions/stm32/stm32.h"

#define ALIGN 4 /* of an address and of the bytes of Write Memory */

struct stm32_otp {
	struct otp_act act;
	struct stm32_session x;
};

static void stm32_otp_done(struct stm32_otp *o)
{
	stm32_session_done(&o->x);
	otp_done(&o->act);
}

static int rom_who(void *to, char ret[UNIT_NAME_BYTES], struct err *e)
{
	const struct stm32_info *i = stm32_info(((struct stm32_otp *)to)->x.rom);

	if (!i->has_uid)
		return err_set(e, ERR_UNSUPPORTED,
			"this part (PID 0x%03x) does not give its unique id: nothing is burnt where nobody knows the unit",
			i->pid);
	hex_of(i->uid, sizeof i->uid, ret);
	return 0;
}

static int rom_read(
	void *to, const struct otp_field *f, uint8_t *p, bool *ret_readable, struct err *e)
{
	struct stm32_otp *o = to;

	*ret_readable = true;
	return stm32_read(
		o->x.rom, (uint32_t)f->address, p, (uint32_t)otp_bytes(f), &o->x.s->it, e);
}

static int rom_locked(void *to, const struct otp_field *f, enum otp_locked *ret, struct err *e)
{
	struct stm32_otp *o = to;
	uint8_t byte;
	int r;

	*ret = OTP_LOCK_UNKNOWN;
	if (f->lock == OTP_LOCK_NONE)
		return 0;
	r = stm32_read(o->x.rom, (uint32_t)f->lock_at, &byte, 1, &o->x.s->it, e);
	if (r == 0 && byte != 0 && byte != 0xff)
		r = err_set(e, ERR_OTP_CONFLICT,
			"the byte at 0x%08x that locks it is %02x: 00 or ff expected",
			(uint32_t)f->lock_at, byte);
	if (r == 0)
		*ret = byte ? OTP_OPEN : OTP_LOCKED;
	return r;
}

static int rom_write(void *to, const struct otp_field *f, const uint8_t *p, struct err *e)
{
	struct stm32_otp *o = to;

	return stm32_write_once(
		o->x.rom, (uint32_t)f->address, p, (uint32_t)otp_bytes(f), &o->x.s->it, e);
}

/* The bytes beside it are written ff, which changes nothing. */
static int rom_lock(void *to, const struct otp_field *f, struct err *e)
{
	struct stm32_otp *o = to;
	uint8_t word[ALIGN] = {0xff, 0xff, 0xff, 0xff};

	word[f->lock_at % ALIGN] = 0;
	return stm32_write_once(o->x.rom, (uint32_t)(f->lock_at - f->lock_at % ALIGN), word,
		sizeof word, &o->x.s->it, e);
}

static const struct otp_port rom_port = {
	.who = rom_who,
	.read = rom_read,
	.locked = rom_locked,
	.write = rom_write,
	.lock = rom_lock,
};

static int check_field(const struct otp_field *f, struct err *e)
{
	if (!f->in_memory || f->bits != OTP_CLEAR || !f->readable || f->lock == OTP_LOCK_COMMAND)
		return err_set(e, ERR_RECIPE_INVALID,
			"otp field '%s' is not one that the boot ROM reaches: 'address', 'bits: clear', 'readable: true' and 'lock: byte' or 'none' expected in its map",
			f->name);
	return 0;
}

static int preflight(struct step *s, const struct args *a, struct err *e)
{
	return otp_look_ahead(s, a, check_field, e);
}

/* Cells are programmed by whole units: what shares one with the field would be burnt with it. */
static int check_part(const struct otp_field *f, const struct stm32_info *i, struct err *e)
{
	uint32_t unit = MAX((uint32_t)i->device.write_unit, (uint32_t)ALIGN);

	if (i->device.erased != 0xff)
		return err_set(e, ERR_UNSUPPORTED,
			"%s has cells that are 00 where they are blank, and those go both ways: no one-time memory is burnt there",
			i->device.name);
	if (f->width % 8 || f->address % unit || otp_bytes(f) % unit)
		return err_set(e, ERR_RECIPE_INVALID,
			"otp field '%s' is %u bits at 0x%08x, and %s programs %u bytes at once: an address and a width of whole units expected",
			f->name, f->width, (uint32_t)f->address, i->device.name, unit);
	if (f->lock == OTP_LOCK_BYTE && unit > ALIGN)
		return err_set(e, ERR_UNSUPPORTED,
			"%s programs %u bytes at once: a single byte that locks cannot be written there",
			i->device.name, unit);
	return 0;
}

static int stm32_otp_open(struct stm32_otp *o, struct step *s, const struct args *a,
	struct step_result *out, struct err *e)
{
	int r = otp_prepare(&o->act, s, a, e);

	o->act.port = &rom_port;
	o->act.to = o;
	if (r == 0)
		r = check_field(o->act.f, e);
	if (r == 0)
		r = stm32_session_open(&o->x, s, a, e);
	if (r < 0)
		return r;
	stm32_session_tell(&o->x, out);
	return check_part(o->act.f, stm32_info(o->x.rom), e);
}

static int otp_read_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(stm32_otp_done) struct stm32_otp o = {0};
	int r = stm32_otp_open(&o, s, a, out, e);

	return r < 0 ? r : otp_read(&o.act, out, e);
}

static int otp_write_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(stm32_otp_done) struct stm32_otp o = {0};
	int r = stm32_otp_open(&o, s, a, out, e);

	return r < 0 ? r : otp_write(&o.act, out, e);
}

static int otp_lock_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(stm32_otp_done) struct stm32_otp o = {0};
	int r = stm32_otp_open(&o, s, a, out, e);

	return r < 0 ? r : otp_lock(&o.act, out, e);
}

#define ROW_IS_UNIT                                                                                                                                                                     \
	{                                                                                                                                                                               \
		.name = "is_unit", .type = ARG_BOOL, .def = "true",                                                                                                                     \
		.doc = "the run's unit goes by the part's unique id, and is compared with it; false where it goes by another name, as of a console. The journal has the id in any case" \
	}

static const struct action_arg otp_read_args[] = {
	ARG_ROW_PORT, OTP_ROWS_FIELD, STM32_ROWS_SESSION, {0}};

static const struct action_output otp_read_outputs[] = {{"value", "what the field holds, in hex"},
	{"locked", "open, locked, or unknown where the map names no byte"}, {0}};

const struct action action_stm32_otp_read = {
	.name = "stm32.otp_read",
	.doc = "Reads a field of an STM32's one-time memory through its UART boot ROM. A field that its map calls secret is not read.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = otp_read_args,
	.outputs = otp_read_outputs,
	.default_timeout_us = 30 * US_PER_S,
	.check = otp_check,
	.preflight = preflight,
	.run = otp_read_run,
};

static const struct action_arg otp_write_args[] = {
	ARG_ROW_PORT,
	OTP_ROWS_FIELD,
	OTP_ROW_VALUE(true, OTP_VALUE_DOC),
	OTP_ROW_COMPLETE,
	OTP_ROW_IRREVERSIBLE,
	ROW_IS_UNIT,
	STM32_ROWS_SESSION,
	{0},
};

const struct action action_stm32_otp_write = {
	.name = "stm32.otp_write",
	.doc = "Burns a value into a field of an STM32's one-time memory through its UART boot ROM, once, and reads it back.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_IRREVERSIBLE,
	.args = otp_write_args,
	.default_timeout_us = 60 * US_PER_S,
	.check = otp_check,
	.preflight = preflight,
	.run = otp_write_run,
	.observe = otp_write_observe,
};

static const struct action_arg otp_lock_args[] = {
	ARG_ROW_PORT,
	OTP_ROWS_FIELD,
	OTP_ROW_VALUE(false, OTP_HOLDS_DOC),
	OTP_ROW_IRREVERSIBLE,
	ROW_IS_UNIT,
	STM32_ROWS_SESSION,
	{0},
};

const struct action action_stm32_otp_lock = {
	.name = "stm32.otp_lock",
	.doc = "Locks the block of a field of an STM32's one-time memory through its UART boot ROM, by the byte that its map names.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_IRREVERSIBLE,
	.args = otp_lock_args,
	.default_timeout_us = 60 * US_PER_S,
	.check = otp_check,
	.preflight = preflight,
	.run = otp_lock_run,
	.observe = otp_lock_observe,
};
