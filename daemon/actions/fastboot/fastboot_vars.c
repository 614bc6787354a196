/* SPDX-License-Identifier: Apache-2.0
 *
 * fastboot.getvar, fastboot.oem, fastboot.flashing, fastboot.set_active: what is asked and answered
 * in one command.
 */
#include "daemon/actions/fastboot/fastboot_session.h"

#include "base/strbuf.h"

#define GROUP_ROWS                                                                                \
	{"match1", "first group of the pattern"}, {"match2", "second group"},                     \
		{"match3", "third group"}, {"match4", "fourth group"}, {"match5", "fifth group"}, \
		{"match6", "sixth group"}, {"match7", "seventh group"},                           \
		{"match8", "eighth group"},                                                       \
	{                                                                                         \
		"match9", "ninth group"                                                           \
	}

/* Whether the text is what the recipe expects; the groups become outputs. Without a pattern
 * anything is. */
static int judge(const struct args *a, const char *what, const char *text, struct step_result *out,
	bool *ret_ok, struct err *e)
{
	_cleanup_(regex_freep) struct regex *x = NULL;
	struct regex_match m;
	int r = arg_regex(a, "expect", NULL, &x, e);

	*ret_ok = true;
	if (r < 0 || !x)
		return r;
	if (!regex_match(x, text, strlen(text), &m)) {
		*ret_ok = false;
		return result_fail(out, ERR_UNEXPECTED_REPLY, "%s is '%.120s', expected %.120s",
			what, text, args_str(a, "expect"));
	}
	for (int i = 1; i < m.groups; i++) {
		char name[16];
		bool set = m.group[i].start != (size_t)-1;

		snprintf(name, sizeof name, "match%d", i);
		result_output(out, name,
			set ? json_stringn(
				      text + m.group[i].start, m.group[i].end - m.group[i].start)
			    : json_string(""));
	}
	return 0;
}

/* -- getvar -- */

static int all_vars(struct fastboot_step *x, struct step_result *out, struct err *e)
{
	struct fastboot_vars vars = {0};
	json_t *o = json_object();
	int r = fastboot_getvar_all(x->f, &vars, &x->s->it, e);

	for (size_t i = 0; r == 0 && i < vars.count; i++)
		json_object_set_new(o, vars.list[i].name, json_string(vars.list[i].value));
	fastboot_vars_done(&vars);
	if (r == 0 && json_object_size(o) == 0)
		r = result_fail(out, ERR_UNEXPECTED_REPLY, "getvar:all names no variable");
	if (r == 0)
		result_evidence(out, "variables", json_incref(o));
	json_decref(o);
	return r;
}

static int getvar_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(fastboot_step_done) struct fastboot_step x = {0};
	const char *name = args_str(a, "name");
	char v[FASTBOOT_REPLY_MAX + 1] = "";
	bool ok = true;
	int r = fastboot_step_open(&x, s, a, e);

	if (r < 0)
		return r;
	if (!strcmp(name, "all"))
		return all_vars(&x, out, e);
	r = fastboot_getvar(x.f, name, v, &s->it, e);
	if (r == -ERR_NOT_FOUND)
		return result_fail(
			out, ERR_DEVICE_REFUSED, "the device does not know its '%s'", name);
	if (r == 0)
		r = fastboot_sync(x.f, &s->it, e);
	if (r < 0)
		return r;
	result_evidence(out, "name", json_string(name));
	result_evidence(out, "value", json_string(v));
	result_output(out, "value", json_string(v));
	return judge(a, name, v, out, &ok, e);
}

static const struct action_arg getvar_args[] = {
	ARG_ROWS_FASTBOOT,
	{.name = "name",
		.type = ARG_STRING,
		.required = true,
		.doc = "of the variable; all: every one, into the evidence"},
	{.name = "expect", .type = ARG_REGEX, .doc = "what its value has to match"},
	{0},
};

static const struct action_output getvar_outputs[] = {
	{"value", "as the device says it"}, GROUP_ROWS, {0}};

const struct action action_fastboot_getvar = {
	.name = "fastboot.getvar",
	.doc = "Asks for a variable of the bootloader and judges its value.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = getvar_args,
	.outputs = getvar_outputs,
	.default_timeout_us = 30 * US_PER_S,
	.run = getvar_run,
};

/* -- oem -- */

static int oem_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(fastboot_step_done) struct fastboot_step x = {0};
	_cleanup_(freep) char *command = xasprintf("oem %s", args_str(a, "command"));
	struct strbuf lines = {0};
	struct fastboot_reply reply = {.lines = &lines};
	bool ok = true;
	int r = fastboot_step_open(&x, s, a, e);

	if (r == 0)
		r = fastboot_command(
			x.f, command, args_duration_us(a, "reply_timeout"), &s->it, &reply, e);
	if (r == 0) {
		sb_add(&lines, reply.text);
		while (lines.len > 0 && lines.s[lines.len - 1] == '\n')
			lines.s[--lines.len] = 0;
		result_evidence(out, "reply", json_string(lines.s ? lines.s : ""));
		result_output(out, "reply", json_string(lines.s ? lines.s : ""));
		r = judge(a, "the reply", lines.s ? lines.s : "", out, &ok, e);
	}
	sb_done(&lines);
	return r;
}

static const struct action_arg oem_args[] = {
	ARG_ROWS_FASTBOOT,
	{.name = "command",
		.type = ARG_STRING,
		.required = true,
		.secret = true,
		.doc = "after 'oem '"},
	{.name = "expect",
		.type = ARG_REGEX,
		.doc = "what its lines and the text after OKAY have to match"},
	{.name = "reply_timeout",
		.type = ARG_DURATION,
		.def = "60s",
		.doc = "of silence of the device"},
	{0},
};

static const struct action_output oem_outputs[] = {
	{"reply", "its INFO lines, and the text after OKAY"}, GROUP_ROWS, {0}};

const struct action action_fastboot_oem = {
	.name = "fastboot.oem",
	.doc = "Sends a command of the maker's own, and judges what it answers.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = oem_args,
	.outputs = oem_outputs,
	.default_timeout_us = 120 * US_PER_S,
	.run = oem_run,
};

/* -- flashing -- */

static const char *const flashing_commands[] = {
	"unlock", "lock", "unlock_critical", "lock_critical", "get_unlock_ability", NULL};

/* What the lock should be afterwards; unknown: the device cannot say. */
static enum fastboot_lock wanted(const char *command)
{
	return !strcmp(command, "unlock") ? FASTBOOT_UNLOCKED
	       : !strcmp(command, "lock") ? FASTBOOT_LOCKED
					  : FASTBOOT_LOCK_UNKNOWN;
}

static int look_again(
	struct fastboot_step *x, enum fastboot_lock want, struct step_result *out, struct err *e)
{
	enum fastboot_lock now = FASTBOOT_LOCK_UNKNOWN;
	int r = fastboot_lock_state(x->f, &now, &x->s->it, e);

	if (r < 0)
		return r;
	result_evidence(out, "lock", json_string(fastboot_lock_name(now)));
	result_evidence(out, "proof",
		json_string(want == FASTBOOT_LOCK_UNKNOWN || now == FASTBOOT_LOCK_UNKNOWN
				    ? "acknowledged"
				    : "observed"));
	if (want != FASTBOOT_LOCK_UNKNOWN && now != FASTBOOT_LOCK_UNKNOWN && now != want)
		return result_fail(out, ERR_READ_BACK_MISMATCH,
			"the device said OKAY, and says that it is %s", fastboot_lock_name(now));
	return 0;
}

static int do_flashing(
	struct fastboot_step *x, const char *word, struct step_result *out, struct err *e)
{
	_cleanup_(freep) char *command = xasprintf("flashing %s", word);
	bool restarts = args_bool(x->a, "restarts");
	struct strbuf lines = {0};
	struct fastboot_reply reply = {.lines = &lines};
	int r = restarts ? fastboot_step_leaving(x, e) : 0;

	if (r == 0)
		r = fastboot_command(x->f, command, args_duration_us(x->a, "reply_timeout"),
			&x->s->it, &reply, e);
	if (r == 0) {
		sb_add(&lines, reply.text);
		result_evidence(out, "reply", json_string(lines.s ? lines.s : ""));
	}
	sb_done(&lines);
	if (r == 0 && restarts)
		r = fastboot_step_back(x, &x->s->it, e);
	return r < 0 ? r : look_again(x, wanted(word), out, e);
}

static int flashing_observe(
	struct step *s, const struct args *a, void *session, struct observation *ret, struct err *e)
{
	enum fastboot_lock want = wanted(args_str(a, "command"));
	enum fastboot_lock now = FASTBOOT_LOCK_UNKNOWN;
	int r = fastboot_lock_state(((struct fastboot_step *)session)->f, &now, &s->it, e);

	if (r < 0)
		return r;
	snprintf(ret->said, sizeof ret->said, "getvar:unlocked says that the device is %s",
		fastboot_lock_name(now));
	if (want != FASTBOOT_LOCK_UNKNOWN && now != FASTBOOT_LOCK_UNKNOWN)
		ret->state = now == want ? OBSERVED_DONE : OBSERVED_BLANK;
	return 0;
}

/* The lock is one thing: an open intent to lock is settled by what is seen before it is unlocked. */
static int intend(struct fastboot_step *x, const char *word, bool *ret_done,
	struct step_result *out, struct err *e)
{
	struct intent i = {0};
	int r = fastboot_step_serial(x, &x->s->it, i.unit, e);

	snprintf(i.what, sizeof i.what, "%s",
		strstr(word, "critical") ? "lock of the critical partitions" : "bootloader lock");
	sha256_hex_of(word, strlen(word), i.digest);
	return r < 0 ? r : step_intend(x->s, x->a, &i, x, ret_done, out, e);
}

static int flashing_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(fastboot_step_done) struct fastboot_step x = {0};
	const char *word = args_str(a, "command");
	enum fastboot_lock before = FASTBOOT_LOCK_UNKNOWN;
	bool asks = !strcmp(word, "get_unlock_ability");
	bool done = false;
	int r;

	if (!asks && !args_bool(a, "accept_wipe"))
		return err_set(e, ERR_RECIPE_INVALID,
			"'flashing %s' erases the device's data: say accept_wipe: true", word);
	r = fastboot_step_open(&x, s, a, e);
	if (r == 0)
		r = fastboot_lock_state(x.f, &before, &s->it, e);
	if (r < 0)
		return r;
	result_evidence(out, "before", json_string(fastboot_lock_name(before)));
	r = asks ? 0 : intend(&x, word, &done, out, e);
	if (r < 0)
		return r;
	if (done) {
		result_evidence(out, "lock", json_string(fastboot_lock_name(before)));
		result_evidence(out, "skipped", json_true());
		return 0;
	}
	return do_flashing(&x, word, out, e);
}

static const struct action_arg flashing_args[] = {
	ARG_ROWS_FASTBOOT,
	{.name = "command",
		.type = ARG_CHOICE,
		.required = true,
		.choices = flashing_commands,
		.doc = "after 'flashing '"},
	{.name = "accept_wipe",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "needed for all but get_unlock_ability: locking and unlocking erase data"},
	{.name = "restarts",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "the device restarts into its bootloader after it"},
	{.name = "reply_timeout",
		.type = ARG_DURATION,
		.def = "60s",
		.doc = "of silence: some devices wait for a key to be pressed"},
	{0},
};

const struct action action_fastboot_flashing = {
	.name = "fastboot.flashing",
	.doc = "Locks or unlocks the bootloader, and asks it afterwards.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_IRREVERSIBLE | ACTION_REENUMERATES,
	.args = flashing_args,
	.default_timeout_us = 180 * US_PER_S,
	.run = flashing_run,
	.observe = flashing_observe,
};

/* -- set_active -- */

static int set_active_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(fastboot_step_done) struct fastboot_step x = {0};
	const char *slot = args_str(a, "slot");
	_cleanup_(freep) char *command = xasprintf("set_active:%s", slot);
	char now[8] = "";
	int r = fastboot_step_open(&x, s, a, e);

	if (r == 0)
		r = fastboot_step_unlocked(&x, out, e);
	if (r == 0)
		r = fastboot_command(
			x.f, command, fastboot_config(x.f)->command_us, &s->it, NULL, e);
	if (r == 0)
		r = fastboot_current_slot(x.f, now, &s->it, e);
	if (r < 0)
		return r;
	result_evidence(out, "current_slot", json_string(now));
	if (strcmp(now, slot) != 0)
		return result_fail(out, ERR_READ_BACK_MISMATCH,
			"slot %s was set, the device says that %s is current", slot, now);
	return 0;
}

static const struct action_arg set_active_args[] = {
	ARG_ROWS_FASTBOOT,
	{.name = "slot", .type = ARG_STRING, .required = true, .doc = "a or b"},
	ARG_ROW_ALLOW_LOCKED,
	{0},
};

const struct action action_fastboot_set_active = {
	.name = "fastboot.set_active",
	.doc = "Makes a slot the one that is booted, and reads it back.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = set_active_args,
	.default_timeout_us = 60 * US_PER_S,
	.run = set_active_run,
};
