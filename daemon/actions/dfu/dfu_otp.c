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

static int otp_read_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(session_done) struct session o = {0};
	int r = session_open(&o, s, a, out, e);

	return r < 0 ? r : otp_read(&o.otp.act, out, e);
}

static int otp_write_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(session_done) struct session o = {0};
	int r = session_open(&o, s, a, out, e);

	return r < 0 ? r : otp_write(&o.otp.act, out, e);
}

static int otp_lock_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(session_done) struct session o = {0};
	int r = session_open(&o, s, a, out, e);

	return r < 0 ? r : otp_lock(&o.otp.act, out, e);
}

#define ROW_UNIT                                                                             \
	{                                                                                    \
		.name = "unit", .type = ARG_INT, .def = "4", .unit = "bytes", .low = 1,      \
		.high = 256, .doc = "what the part programs at once: fields are whole units" \
	}

static const struct action_arg otp_read_args[] = {ARG_ROWS_MEMORY, OTP_ROWS_FIELD, ROW_UNIT, {0}};

static const struct action_output otp_read_outputs[] = {{"value", "what the field holds, in hex"},
	{"locked", "open, locked, or unknown where the map names no byte"}, {0}};

const struct action action_dfu_otp_read = {
	.name = "dfu.otp_read",
	.doc = "Reads a field of one-time memory that a DfuSe device shows as a memory ('alt'). A field that its map calls secret is not read.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY | ACTION_REENUMERATES,
	.args = otp_read_args,
	.outputs = otp_read_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.check = otp_check,
	.preflight = preflight,
	.run = otp_read_run,
};

static const struct action_arg otp_write_args[] = {
	ARG_ROWS_MEMORY,
	OTP_ROWS_FIELD,
	OTP_ROW_VALUE(true, OTP_VALUE_DOC),
	OTP_ROW_COMPLETE,
	OTP_ROW_IRREVERSIBLE,
	OTP_ROW_IS_UNIT("its USB serial number"),
	ROW_UNIT,
	{0},
};

const struct action action_dfu_otp_write = {
	.name = "dfu.otp_write",
	.doc = "Burns a value into a field of one-time memory that a DfuSe device shows as a memory ('alt'), once, and reads it back.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_IRREVERSIBLE | ACTION_REENUMERATES,
	.args = otp_write_args,
	.default_timeout_us = 60 * US_PER_S,
	.check = otp_check,
	.preflight = preflight,
	.run = otp_write_run,
	.observe = otp_write_observe,
};

static const struct action_arg otp_lock_args[] = {
	ARG_ROWS_MEMORY,
	OTP_ROWS_FIELD,
	OTP_ROW_VALUE(false, OTP_HOLDS_DOC),
	OTP_ROW_IRREVERSIBLE,
	OTP_ROW_IS_UNIT("its USB serial number"),
	ROW_UNIT,
	{0},
};

const struct action action_dfu_otp_lock = {
	.name = "dfu.otp_lock",
	.doc = "Locks the block of a field of one-time memory that a DfuSe device shows as a memory ('alt'), by the byte that its map names.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_IRREVERSIBLE | ACTION_REENUMERATES,
	.args = otp_lock_args,
	.default_timeout_us = 60 * US_PER_S,
	.check = otp_check,
	.preflight = preflight,
	.run = otp_lock_run,
	.observe = otp_lock_observe,
};
