/* SPDX-License-Identifier: Apache-2.0
 *
 * stm32.otp_read, stm32.otp_write, stm32.otp_lock: the one-time memory of an STM32 through its UART boot
 * ROM, by Write Memory (AN3155, 3.6). It is flash that nothing erases: a bit goes from 1 to 0. On the
 * families where a byte of 00 locks a block (RM0090, 3.7.5), the map names that byte.
 */
#include "daemon/actions/otp_step.h"
#include "daemon/actions/stm32/stm32.h"

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
	if (r == 0)
		r = otp_lock_of(f, byte, ret, e);
	return r;
}

static int rom_write(void *to, const struct otp_field *f, const uint8_t *p, struct err *e)
{
	struct stm32_otp *o = to;

	return stm32_write_once(
		o->x.rom, (uint32_t)f->address, p, (uint32_t)otp_bytes(f), &o->x.s->it, e);
}

static int rom_lock(void *to, const struct otp_field *f, struct err *e)
{
	struct stm32_otp *o = to;
	uint8_t word[OTP_WORD];
	uint32_t at = otp_lock_word(f, word);

	return stm32_write_once(o->x.rom, at, word, sizeof word, &o->x.s->it, e);
}

static const struct otp_port rom_port = {
	.who = rom_who,
	.read = rom_read,
	.locked = rom_locked,
	.write = rom_write,
	.lock = rom_lock,
};

static int preflight(struct step *s, const struct args *a, struct err *e)
{
	return otp_look_ahead(s, a, otp_flash_check, e);
}

static int check_part(const struct otp_field *f, const struct stm32_info *i, struct err *e)
{
	if (i->device.erased != 0xff)
		return err_set(e, ERR_UNSUPPORTED,
			"%s has cells that are 00 where they are blank, and those go both ways: no one-time memory is burnt there",
			i->device.name);
	return otp_flash_units(f, i->device.write_unit, i->device.name, e);
}

static int stm32_otp_open(struct stm32_otp *o, struct step *s, const struct args *a,
	struct step_result *out, struct err *e)
{
	int r = otp_prepare(&o->act, s, a, e);

	o->act.port = &rom_port;
	o->act.to = o;
	if (r == 0)
		r = otp_flash_check(o->act.f, e);
	if (r == 0)
		r = stm32_session_open(&o->x, s, a, e);
	if (r < 0)
		return r;
	stm32_session_tell(&o->x, out);
	return check_part(o->act.f, stm32_info(o->x.rom), e);
}

OTP_DEFINE_RUNS(struct stm32_otp, stm32_otp_open, stm32_otp_done, act)

static const struct action_arg otp_read_args[] = {
	ARG_ROW_PORT, OTP_ROWS_READ, STM32_ROWS_SESSION, {0}};

const struct action action_stm32_otp_read = {
	.name = "stm32.otp_read",
	.doc = "Reads a field of an STM32's one-time memory through its UART boot ROM. A field that its map calls secret is not read.",
	.args = otp_read_args,
	.check = otp_check,
	.preflight = preflight,
	OTP_READ_ROW(0),
};

static const struct action_arg otp_write_args[] = {
	ARG_ROW_PORT,
	OTP_ROWS_WRITE,
	OTP_ROW_IS_UNIT("the part's unique id"),
	STM32_ROWS_SESSION,
	{0},
};

const struct action action_stm32_otp_write = {
	.name = "stm32.otp_write",
	.doc = "Burns a value into a field of an STM32's one-time memory through its UART boot ROM, once, and reads it back.",
	.args = otp_write_args,
	.check = otp_check,
	.preflight = preflight,
	OTP_WRITE_ROW(0),
};

static const struct action_arg otp_lock_args[] = {
	ARG_ROW_PORT,
	OTP_ROWS_LOCK,
	OTP_ROW_IS_UNIT("the part's unique id"),
	STM32_ROWS_SESSION,
	{0},
};

const struct action action_stm32_otp_lock = {
	.name = "stm32.otp_lock",
	.doc = "Locks the block of a field of an STM32's one-time memory through its UART boot ROM, by the byte that its map names.",
	.args = otp_lock_args,
	.check = otp_check,
	.preflight = preflight,
	OTP_LOCK_ROW(0),
};
