/* SPDX-License-Identifier: Apache-2.0
 *
 * otp.*: one-time memory over the unit's console, by commands that the recipe may name.
 *
 *	GET_UID             a1b2...               who is there
 *	OTP_STATE name      OTP name open|locked
 *	OTP_READ name       OTP name hex | ERR PROTECTED
 *	OTP_WRITE name hex  OK | ERR LOCKED
 *	OTP_LOCK name       OK
 */
#include "daemon/actions/common.h"
#include "daemon/actions/otp_step.h"

/* Structures on the stack: their own cleanup takes a pointer to them. */
#define _reply_ _cleanup_(console_reply_done) struct console_reply

struct otp_console {
	struct otp_act act;
	struct dialogue_env d;
	struct regex *no; /* the lines by which it says that a field is locked or protected */
};

static void otp_console_done(struct otp_console *c)
{
	dialogue_done(&c->d);
	c->no = regex_free(c->no);
	otp_done(&c->act);
}

/* That a field is closed is an answer: the pattern of errors leaves it out. */
static int open_patterns(struct otp_console *c, const struct args *a, struct err *e)
{
	const char *no = args_str(a, "closed");
	_cleanup_(freep) char *error =
		xasprintf("^(?!.*(?:%s)).*?(?:%s)", no, args_str(a, "error"));
	struct regex *x = NULL;
	int r = regex_new(no, &c->no, e);

	if (r == 0)
		r = regex_new(error, &x, e);
	if (r < 0)
		return err_prefix(e, "'closed' and 'error'");
	regex_free(c->d.error);
	c->d.error = x;
	return 0;
}

/* In the answer, or in what came right after it: an OK is taken back by it. */
static bool says_closed(const struct otp_console *c, const struct console_reply *r)
{
	struct regex_match m;

	return regex_match(c->no, r->line, strlen(r->line), &m) ||
	       (r->other && regex_match(c->no, r->other, strlen(r->other), &m));
}

/* One question with the field's name for {name}, and in the pattern as well. *ret_closed: it says
 * that the field is closed. */
static int ask(struct otp_console *c, const struct otp_field *f, const char *send,
	const char *expect, const char *value, struct console_reply *ret, bool *ret_closed,
	struct err *e)
{
	const char *name = f && f->console ? f->console : f ? f->name : "";
	_cleanup_(freep) char *quoted = regex_quote(name);
	_cleanup_(freep) char *line = fill_in(args_str(c->act.a, send),
		(struct filling[]){{"name", name}, {"value", value}, {0}});
	_cleanup_(freep) char *pattern =
		fill_in(args_str(c->act.a, expect), (struct filling[]){{"name", quoted}, {0}});
	_cleanup_(freep) char *either =
		xasprintf("(?:%s)|(?:%s)", pattern, args_str(c->act.a, "closed"));
	int r = dialogue_ask(&c->d, c->act.s, line, either, ret, e);

	secret_wipe(line, strlen(line));
	if (r == 0)
		*ret_closed = says_closed(c, ret);
	return r;
}

static int console_who(void *to, char ret[UNIT_NAME_BYTES], struct err *e)
{
	_reply_ got = {0};
	bool closed = false;
	int r = ask(to, NULL, "identify", "identity", "", &got, &closed, e);
	const char *id = got.groups > 1 && got.group[1] ? got.group[1] : got.line;

	if (r == 0 && (closed || !*id || strlen(id) >= UNIT_NAME_BYTES))
		r = err_set(e, ERR_UNEXPECTED_REPLY, "the unit does not say who it is: '%.80s'",
			got.line);
	if (r == 0)
		snprintf(ret, UNIT_NAME_BYTES, "%s", id);
	return r;
}

static int console_read(
	void *to, const struct otp_field *f, uint8_t *p, bool *ret_readable, struct err *e)
{
	_reply_ got = {0};
	bool closed = false;
	int r = ask(to, f, "read", "value_is", "", &got, &closed, e);
	const char *hex = got.groups > 1 ? got.group[1] : NULL;

	if (r < 0)
		return r;
	*ret_readable = !closed;
	if (!closed && (!hex || otp_value_parse(f, hex, p, NULL) < 0))
		r = err_set(e, ERR_UNEXPECTED_REPLY,
			"the unit answers with '%.80s', the %zu hex digits of %u bits expected",
			hex ? hex : got.line, 2 * otp_bytes(f), f->width);
	if (hex)
		secret_wipe(got.group[1], strlen(hex));
	secret_wipe(got.line, strlen(got.line));
	return r;
}

static int console_locked(void *to, const struct otp_field *f, enum otp_locked *ret, struct err *e)
{
	struct otp_console *c = to;
	_reply_ got = {0};
	bool closed = false;
	int r;

	*ret = OTP_LOCK_UNKNOWN;
	if (!*args_str(c->act.a, "state") || f->lock == OTP_LOCK_NONE)
		return 0;
	r = ask(c, f, "state", "state_is", "", &got, &closed, e);
	if (r == 0)
		*ret = got.groups > 1 && got.group[1] && *got.group[1] ? OTP_LOCKED : OTP_OPEN;
	return r;
}

static int change(struct otp_console *c, const struct otp_field *f, const char *send,
	const char *value, struct err *e)
{
	_reply_ got = {0};
	bool closed = false;
	int r = ask(c, f, send, "expect", value, &got, &closed, e);

	return r == 0 && closed ? err_set(e, ERR_OTP_LOCKED,
					  "the unit says that it is locked: '%.80s'", got.line)
				: r;
}

static int console_write(void *to, const struct otp_field *f, const uint8_t *p, struct err *e)
{
	char hex[OTP_HEX];
	int r = change(to, f, "write", hex_of(p, otp_bytes(f), hex), e);

	secret_wipe(hex, sizeof hex);
	return r;
}

static int console_lock(void *to, const struct otp_field *f, struct err *e)
{
	return change(to, f, "lock", "", e);
}

static const struct otp_port console_port = {
	.who = console_who,
	.read = console_read,
	.locked = console_locked,
	.write = console_write,
	.lock = console_lock,
};

static int check_field(const struct otp_field *f, struct err *e)
{
	return f->lock != OTP_LOCK_BYTE
		       ? 0
		       : err_set(e, ERR_RECIPE_INVALID,
				 "otp field '%s' is locked by a byte in memory, which a console does not reach: 'lock: command' or 'none' expected",
				 f->name);
}

/* All that the recipe says is right before the unit hears a byte. */
static int otp_console_open(struct otp_console *c, struct step *s, const struct args *a,
	struct step_result *out, struct err *e)
{
	int r = dialogue_check(a, e);

	if (r == 0)
		r = otp_prepare(&c->act, s, a, e);
	if (r == 0)
		r = check_field(c->act.f, e);
	if (r == 0)
		r = dialogue_open(s, a, &c->d, e);
	if (r == 0)
		r = open_patterns(c, a, e);
	c->act.port = &console_port;
	c->act.to = c;
	return r;
}

static int check(const struct args *a, struct err *e)
{
	int r = otp_check(a, e);

	return r < 0 ? r : dialogue_check(a, e);
}

static int preflight(struct step *s, const struct args *a, struct err *e)
{
	return otp_look_ahead(s, a, check_field, e);
}

OTP_DEFINE_RUNS(struct otp_console, otp_console_open, otp_console_done, act)

#define ROW(arg, what, def_, text)                                  \
	{                                                           \
		.name = arg, .type = what, .def = def_, .doc = text \
	}
#define ROWS_LOOK                                                                               \
	ROW("read", ARG_STRING, "OTP_READ {name}", "the command that reads the field {name}"),  \
		ROW("value_is", ARG_STRING, "^OTP {name} ([0-9A-Fa-f]+)$",                      \
			"its answer, a regular expression whose first group is the hex value"), \
		ROW("state", ARG_STRING, "OTP_STATE {name}",                                    \
			"the command that asks whether it is locked; '' where there is none"),  \
		ROW("state_is", ARG_STRING, "^OTP {name} (?:(locked)|open)$",                   \
			"its answer; the first group takes part where it is locked"),           \
		ROW("closed", ARG_REGEX, "^ERR (?:LOCKED|PROTECTED)$",                          \
			"the whole line by which the unit says that the field is closed")
#define ROWS_WHO                                                                          \
	ROW("identify", ARG_STRING, "GET_UID", "the command that says which unit it is"), \
		ROW("identity", ARG_REGEX, "^([0-9A-Fa-f]{8,})$",                         \
			"its answer, the first group the name of the unit"),              \
		ROW("expect", ARG_REGEX, CONSOLE_EXPECT_DEFAULT, "the reply that agrees")

static const struct action_arg read_args[] = {
	ARG_ROW_PORT,
	OTP_ROWS_READ,
	ROWS_LOOK,
	ARG_ROW_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

const struct action action_otp_read = {
	.name = "otp.read",
	.doc = "Reads a field of the unit's one-time memory over its console. A field that its map calls secret is not read.",
	.args = read_args,
	.check = check,
	.preflight = preflight,
	OTP_READ_ROW(0),
};

static const struct action_arg write_args[] = {
	ARG_ROW_PORT,
	OTP_ROWS_WRITE,
	ROW("write", ARG_STRING, "OTP_WRITE {name} {value}", "the command that burns"),
	ROWS_LOOK,
	ROWS_WHO,
	ARG_ROW_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

const struct action action_otp_write = {
	.name = "otp.write",
	.doc = "Burns a value into a field of the unit's one-time memory over its console, once, and reads it back.",
	.args = write_args,
	.check = check,
	.preflight = preflight,
	OTP_WRITE_ROW(0),
};

static const struct action_arg lock_args[] = {
	ARG_ROW_PORT,
	OTP_ROWS_LOCK,
	ROW("lock", ARG_STRING, "OTP_LOCK {name}", "the command that locks"),
	ROWS_LOOK,
	ROWS_WHO,
	ARG_ROW_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

const struct action action_otp_lock = {
	.name = "otp.lock",
	.doc = "Locks a field of the unit's one-time memory over its console, so that it takes no bit any more.",
	.args = lock_args,
	.check = check,
	.preflight = preflight,
	OTP_LOCK_ROW(0),
};
