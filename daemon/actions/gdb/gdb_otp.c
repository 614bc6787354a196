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

#define UID_MAX 32

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
	uint8_t uid[UID_MAX];
	int r = gdb_read(o->x.gdb, args_size(o->x.a, "uid"), uid, n, &o->x.s->it, e);

	if (r < 0)
		return err_prefix(e, "unique id");
	hex_of(uid, n, ret);
	if (strspn(ret, "0") == 2 * n || strspn(ret, "f") == 2 * n)
		return err_set(e, ERR_UNSUPPORTED,
			"the %zu bytes at 0x%08llx are all alike: 'uid' is the address of the part's unique id",
			n, (unsigned long long)args_size(o->x.a, "uid"));
	return 0;
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

/* Fuses that are set have no byte that a 00 locks. */
static int check_field(const struct otp_field *f, struct err *e)
{
	if (!f->in_memory || !f->readable || f->lock == OTP_LOCK_COMMAND ||
		(f->lock == OTP_LOCK_BYTE && f->bits == OTP_SET))
		return err_set(e, ERR_RECIPE_INVALID,
			"otp field '%s' is not one that a debug server reaches: 'address', 'readable: true' and 'lock: none' (or 'byte', where bits are cleared) expected in its map",
			f->name);
	return 0;
}

static int preflight(struct step *s, const struct args *a, struct err *e)
{
	return otp_look_ahead(s, a, check_field, e);
}

static int gdb_otp_open(struct gdb_otp *o, struct step *s, const struct args *a, struct err *e)
{
	int r = otp_prepare(&o->act, s, a, e);

	if (r == 0)
		r = check_field(o->act.f, e);
	if (r == 0)
		r = otp_flash_units(o->act.f, (uint32_t)args_int(a, "unit"), "the target", e);
	if (r < 0)
		return r;
	o->x = (struct gdb_session){.s = s, .a = a};
	o->act.port = &target_port;
	o->act.to = o;
	return gdb_session_open(&o->x, e);
}

static int otp_read_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(gdb_otp_done) struct gdb_otp o = {0};
	int r = gdb_otp_open(&o, s, a, e);

	return r < 0 ? r : otp_read(&o.act, out, e);
}

static int otp_write_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(gdb_otp_done) struct gdb_otp o = {0};
	int r = gdb_otp_open(&o, s, a, e);

	return r < 0 ? r : otp_write(&o.act, out, e);
}

static int otp_lock_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(gdb_otp_done) struct gdb_otp o = {0};
	int r = gdb_otp_open(&o, s, a, e);

	return r < 0 ? r : otp_lock(&o.act, out, e);
}

#define ROW_UNIT                                                                             \
	{                                                                                    \
		.name = "unit", .type = ARG_INT, .def = "4", .unit = "bytes", .low = 1,      \
		.high = 256, .doc = "what the part programs at once: fields are whole units" \
	}
#define ROWS_ACT                                                                                                        \
	{.name = "uid",                                                                                                 \
		.type = ARG_SIZE,                                                                                       \
		.required = true,                                                                                       \
		.doc = "address of the part's unique id: nothing is burnt where nobody knows the unit"},                \
		{.name = "uid_bytes",                                                                                   \
			.type = ARG_INT,                                                                                \
			.def = "12",                                                                                    \
			.low = 4,                                                                                       \
			.high = UID_MAX,                                                                                \
			.unit = "bytes",                                                                                \
			.doc = "of the unique id"},                                                                     \
		{.name = "before",                                                                                      \
			.type = ARG_LIST,                                                                               \
			.doc = "monitor commands right before the write, which open the controller of one-time flash"}, \
		{.name = "after",                                                                                       \
			.type = ARG_LIST,                                                                               \
			.doc = "monitor commands right after it, which close the controller"},                          \
		OTP_ROW_IS_UNIT("the part's unique id"), ROW_UNIT

static const struct action_arg otp_read_args[] = {
	ARG_ROW_GDB_SERVER, OTP_ROWS_FIELD, ROW_UNIT, {0}};

static const struct action_output otp_read_outputs[] = {{"value", "what the field holds, in hex"},
	{"locked", "open, locked, or unknown where the map names no byte"}, {0}};

const struct action action_gdb_otp_read = {
	.name = "gdb.otp_read",
	.doc = "Reads a field of one-time memory in the target's address space through a GDB server. A field that its map calls secret is not read.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = otp_read_args,
	.outputs = otp_read_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.check = otp_check,
	.preflight = preflight,
	.run = otp_read_run,
};

static const struct action_arg otp_write_args[] = {
	ARG_ROW_GDB_SERVER,
	OTP_ROWS_FIELD,
	OTP_ROW_VALUE(true, OTP_VALUE_DOC),
	OTP_ROW_COMPLETE,
	OTP_ROW_IRREVERSIBLE,
	ROWS_ACT,
	{0},
};

const struct action action_gdb_otp_write = {
	.name = "gdb.otp_write",
	.doc = "Burns a value into a field of one-time memory in the target's address space through a GDB server, once, and reads it back.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_IRREVERSIBLE,
	.args = otp_write_args,
	.default_timeout_us = 60 * US_PER_S,
	.check = otp_check,
	.preflight = preflight,
	.run = otp_write_run,
	.observe = otp_write_observe,
};

static const struct action_arg otp_lock_args[] = {
	ARG_ROW_GDB_SERVER,
	OTP_ROWS_FIELD,
	OTP_ROW_VALUE(false, OTP_HOLDS_DOC),
	OTP_ROW_IRREVERSIBLE,
	ROWS_ACT,
	{0},
};

const struct action action_gdb_otp_lock = {
	.name = "gdb.otp_lock",
	.doc = "Locks the block of a field of one-time memory through a GDB server, by the byte that its map names.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_IRREVERSIBLE,
	.args = otp_lock_args,
	.default_timeout_us = 60 * US_PER_S,
	.check = otp_check,
	.preflight = preflight,
	.run = otp_lock_run,
	.observe = otp_lock_observe,
};
