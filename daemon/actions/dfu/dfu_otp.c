/* SPDX-License-Identifier: Apache-2.0
 *
 * dfu.otp_read, dfu.otp_write, dfu.otp_lock: one-time memory that a DfuSe device shows as a memory of its
 * own ("@OTP Memory /0x1FFF7800/01*512 e,01*016 e" of an STM32F4: writable, and not erasable).
 */
#include "daemon/actions/dfu/dfu_otp.h"

#include "daemon/actions/dfu/dfu.h"

static struct dfu_otp *of(void *to)
{
	return to;
}

static int otp_who(void *to, char ret[UNIT_NAME_BYTES], struct err *e)
{
	if (!*of(to)->serial)
		return err_set(e, ERR_UNSUPPORTED,
			"the device has no USB serial number: nothing is burnt where nobody knows the unit");
	snprintf(ret, UNIT_NAME_BYTES, "%s", of(to)->serial);
	return 0;
}

static int otp_read_field(
	void *to, const struct otp_field *f, uint8_t *p, bool *ret_readable, struct err *e)
{
	struct dfu_otp *o = to;

	*ret_readable = true;
	return dfuse_read(o->dfu, o->map, f->address, p, otp_bytes(f), &o->act.s->it, e);
}

static int otp_locked_field(
	void *to, const struct otp_field *f, enum otp_locked *ret, struct err *e)
{
	struct dfu_otp *o = to;
	uint8_t byte;
	int r;

	*ret = OTP_LOCK_UNKNOWN;
	if (f->lock == OTP_LOCK_NONE)
		return 0;
	r = dfuse_read(o->dfu, o->map, f->lock_at, &byte, 1, &o->act.s->it, e);
	return r < 0 ? r : otp_lock_of(f, byte, ret, e);
}

static int otp_write_field(void *to, const struct otp_field *f, const uint8_t *p, struct err *e)
{
	struct dfu_otp *o = to;

	return dfuse_write_once(o->dfu, o->map, f->address, p, otp_bytes(f), &o->act.s->it, e);
}

static int otp_lock_field(void *to, const struct otp_field *f, struct err *e)
{
	struct dfu_otp *o = to;
	uint8_t word[OTP_WORD];
	uint32_t at = otp_lock_word(f, word);

	return dfuse_write_once(o->dfu, o->map, at, word, sizeof word, &o->act.s->it, e);
}

const struct otp_port dfu_otp_port = {
	.who = otp_who,
	.read = otp_read_field,
	.locked = otp_locked_field,
	.write = otp_write_field,
	.lock = otp_lock_field,
};

/* --- the steps --- */

struct session {
	struct dfu_otp otp;
	struct dfu_step x;
};

static void session_done(struct session *o)
{
	dfu_step_done(&o->x);
	otp_done(&o->otp.act);
}

static int preflight(struct step *s, const struct args *a, struct err *e)
{
	return otp_look_ahead(s, a, otp_flash_check, e);
}

static int session_open(struct session *o, struct step *s, const struct args *a,
	struct step_result *out, struct err *e)
{
	int r = otp_prepare(&o->otp.act, s, a, e);

	if (r == 0)
		r = otp_flash_check(o->otp.act.f, e);
	if (r == 0)
		r = otp_flash_units(o->otp.act.f, (uint32_t)args_int(a, "unit"), "the device", e);
	if (r == 0)
		r = dfu_step_open(&o->x, s, a, e);
	if (r == 0)
		r = dfu_step_need_dfuse(&o->x, "one-time memory", e);
	if (r < 0)
		return r;
	dfu_step_evidence(&o->x, out);
	o->otp.act.port = &dfu_otp_port;
	o->otp.act.to = &o->otp;
	o->otp.dfu = &o->x.dfu;
	o->otp.map = &o->x.map;
	o->otp.serial = usb_facts(o->x.usb)->serial;
	return 0;
}

OTP_DEFINE_RUNS(struct session, session_open, session_done, otp.act)

static const struct action_arg otp_read_args[] = {
	ARG_ROWS_MEMORY, OTP_ROWS_READ, OTP_ROW_UNIT, {0}};

const struct action action_dfu_otp_read = {
	.name = "dfu.otp_read",
	.doc = "Reads a field of one-time memory that a DfuSe device shows as a memory ('alt'). A field that its map calls secret is not read.",
	.args = otp_read_args,
	.check = otp_check,
	.preflight = preflight,
	OTP_READ_ROW(ACTION_REENUMERATES),
};

static const struct action_arg otp_write_args[] = {
	ARG_ROWS_MEMORY,
	OTP_ROWS_WRITE,
	OTP_ROW_IS_UNIT("its USB serial number"),
	OTP_ROW_UNIT,
	{0},
};

const struct action action_dfu_otp_write = {
	.name = "dfu.otp_write",
	.doc = "Burns a value into a field of one-time memory that a DfuSe device shows as a memory ('alt'), once, and reads it back.",
	.args = otp_write_args,
	.check = otp_check,
	.preflight = preflight,
	OTP_WRITE_ROW(ACTION_REENUMERATES),
};

static const struct action_arg otp_lock_args[] = {
	ARG_ROWS_MEMORY,
	OTP_ROWS_LOCK,
	OTP_ROW_IS_UNIT("its USB serial number"),
	OTP_ROW_UNIT,
	{0},
};

const struct action action_dfu_otp_lock = {
	.name = "dfu.otp_lock",
	.doc = "Locks the block of a field of one-time memory that a DfuSe device shows as a memory ('alt'), by the byte that its map names.",
	.args = otp_lock_args,
	.check = otp_check,
	.preflight = preflight,
	OTP_LOCK_ROW(ACTION_REENUMERATES),
};
