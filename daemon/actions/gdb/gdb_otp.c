/* SPDX-License-Identifier: Apache-2.0
 *
 * gdb.otp_read, gdb.otp_write, gdb.otp_lock: one-time memory that a debug server reaches in the target's
 * address space. It is written as it is; a controller that has to be opened for that (of one-time flash)
 * is opened and closed by monitor commands, which the recipe gives.
 *
 *	before ──> write ──> after, whatever came of the write ──> read back
 */
#include "daemon/actions/gdb/gdb_session.h"
#include "daemon/actions/otp_step.h"

struct gdb_otp {
	struct otp_act act;
	struct gdb_session x;
};

static void gdb_otp_done(struct gdb_otp *o)
{
	gdb_session_done(&o->x);
	otp_done(&o->act);
}

static int target_who(void *to, char ret[UNIT_NAME_BYTES], struct err *e)
{
	struct gdb_otp *o = to;
	size_t n = (size_t)args_int(o->x.a, "uid_bytes");
	uint8_t uid[OTP_UID_MAX];
	int r = gdb_read(o->x.gdb, args_size(o->x.a, "uid"), uid, n, &o->x.s->it, e);

	return r < 0 ? err_prefix(e, "unique id")
		     : otp_unique_id(uid, n, args_size(o->x.a, "uid"), ret, e);
}

static int target_read(
	void *to, const struct otp_field *f, uint8_t *p, bool *ret_readable, struct err *e)
{
	struct gdb_otp *o = to;

	*ret_readable = true;
	return gdb_read(o->x.gdb, f->address, p, otp_bytes(f), &o->x.s->it, e);
}

static int target_locked(void *to, const struct otp_field *f, enum otp_locked *ret, struct err *e)
{
	struct gdb_otp *o = to;
	uint8_t byte;
	int r;

	*ret = OTP_LOCK_UNKNOWN;
	if (f->lock == OTP_LOCK_NONE)
		return 0;
	r = gdb_read(o->x.gdb, f->lock_at, &byte, 1, &o->x.s->it, e);
	return r < 0 ? r : otp_lock_of(f, byte, ret, e);
}

/* The controller is closed again in any case; the first error counts. */
static int write_open(struct gdb_otp *o, uint64_t at, const uint8_t *p, size_t n, struct err *e)
{
	struct err closing = {0};
	int r = gdb_session_monitor(&o->x, "before", e);
	int c;

	if (r == 0)
		r = gdb_write(o->x.gdb, at, p, n, &o->x.s->it, e);
	c = gdb_session_monitor(&o->x, "after", &closing);
	if (r < 0 || c == 0)
		return r;
	if (e)
		*e = closing;
	return c;
}

static int target_write(void *to, const struct otp_field *f, const uint8_t *p, struct err *e)
{
	return write_open(to, f->address, p, otp_bytes(f), e);
}

static int target_lock(void *to, const struct otp_field *f, struct err *e)
{
	uint8_t word[OTP_WORD];
	uint32_t at = otp_lock_word(f, word);

	return write_open(to, at, word, sizeof word, e);
}

static const struct otp_port target_port = {
	.who = target_who,
	.read = target_read,
	.locked = target_locked,
	.write = target_write,
	.lock = target_lock,
};

static int preflight(struct step *s, const struct args *a, struct err *e)
{
	return otp_look_ahead(s, a, otp_memory_check, e);
}

static int gdb_otp_open(struct gdb_otp *o, struct step *s, const struct args *a,
	struct step_result *out, struct err *e)
{
	int r = otp_prepare(&o->act, s, a, e);

	if (r == 0)
		r = otp_memory_check(o->act.f, e);
	if (r == 0)
		r = otp_flash_units(o->act.f, (uint32_t)args_int(a, "unit"), "the target", e);
	if (r < 0)
		return r;
	o->x = (struct gdb_session){.s = s, .a = a};
	o->act.port = &target_port;
	o->act.to = o;
	return gdb_session_open(&o->x, e);
}

OTP_DEFINE_RUNS(struct gdb_otp, gdb_otp_open, gdb_otp_done, act)

#define ROWS_ACT                                                                                                        \
	OTP_ROWS_UID,                                                                                                   \
		{.name = "before",                                                                                      \
			.type = ARG_LIST,                                                                               \
			.doc = "monitor commands right before the write, which open the controller of one-time flash"}, \
		{.name = "after",                                                                                       \
			.type = ARG_LIST,                                                                               \
			.doc = "monitor commands right after it, which close the controller"},                          \
		OTP_ROW_IS_UNIT("the part's unique id"), OTP_ROW_UNIT

static const struct action_arg otp_read_args[] = {
	ARG_ROW_GDB_SERVER, OTP_ROWS_READ, OTP_ROW_UNIT, {0}};

const struct action action_gdb_otp_read = {
	.name = "gdb.otp_read",
	.doc = "Reads a field of one-time memory in the target's address space through a GDB server. A field that its map calls secret is not read.",
	.args = otp_read_args,
	.check = otp_check,
	.preflight = preflight,
	OTP_READ_ROW(0),
};

static const struct action_arg otp_write_args[] = {
	ARG_ROW_GDB_SERVER,
	OTP_ROWS_WRITE,
	ROWS_ACT,
	{0},
};

const struct action action_gdb_otp_write = {
	.name = "gdb.otp_write",
	.doc = "Burns a value into a field of one-time memory in the target's address space through a GDB server, once, and reads it back.",
	.args = otp_write_args,
	.check = otp_check,
	.preflight = preflight,
	OTP_WRITE_ROW(0),
};

static const struct action_arg otp_lock_args[] = {
	ARG_ROW_GDB_SERVER,
	OTP_ROWS_LOCK,
	ROWS_ACT,
	{0},
};

const struct action action_gdb_otp_lock = {
	.name = "gdb.otp_lock",
	.doc = "Locks the block of a field of one-time memory through a GDB server, by the byte that its map names.",
	.args = otp_lock_args,
	.check = otp_check,
	.preflight = preflight,
	OTP_LOCK_ROW(0),
};
