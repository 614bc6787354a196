/* SPDX-License-Identifier: Apache-2.0
 *
 * unit.mac, unit.license, unit.flags: what a unit got, written over its console and read back.
 */
#include "base/eui.h"
#include "daemon/actions/common.h"

/* Structures on the stack: their own cleanup takes a pointer to them. */
#define _dialogue_ _cleanup_(dialogue_done) struct dialogue_env
#define _reply_	   _cleanup_(console_reply_done) struct console_reply
#define _secret_   _cleanup_(wipe_text) char *

static void wipe_text(char **p)
{
	if (*p)
		secret_wipe(*p, strlen(*p));
	free(*p);
}

static int set_value(struct dialogue_env *d, struct step *s, const struct args *a, const char *send,
	json_t *replies, struct err *e)
{
	_reply_ got = {0};
	int r = dialogue_ask(d, s, send, args_str(a, "expect"), &got, e);

	if (r == 0)
		json_array_append_new(replies, json_string(got.line));
	return r;
}

/* What the unit says that it holds: the first group of the pattern, or the line. *ret is NULL where
 * it said something else, which is the verdict. */
static int get_value(struct dialogue_env *d, struct step *s, const char *send, const char *pattern,
	char **ret, struct step_result *out, struct err *e)
{
	_reply_ got = {0};
	struct err why = {0};
	int r = dialogue_ask(d, s, send, pattern, &got, &why);

	*ret = NULL;
	if (r == -ERR_UNEXPECTED_REPLY)
		return result_fail(out, ERR_READ_BACK_MISMATCH, "read back: %s", why.msg);
	if (r < 0) {
		if (e)
			*e = why;
		return err_prefix(e, "read back");
	}
	*ret = xstrdup(got.groups > 1 && got.group[1] ? got.group[1] : got.line);
	return 0;
}

static int mismatch(struct step *s, struct step_result *out, const char *what, const char *wanted,
	const char *held)
{
	_secret_ shown = secret_mask(s->secrets, held);
	_secret_ meant = secret_mask(s->secrets, wanted);

	return result_fail(out, ERR_READ_BACK_MISMATCH,
		"the unit holds the %s '%.100s', and '%.100s' was written", what, shown, meant);
}

/* One value: written, read back into *ret (NULL with a verdict). */
static int write_one(struct step *s, const struct args *a, const struct filling *with, char **ret,
	struct step_result *out, struct err *e)
{
	_dialogue_ d = {0};
	_secret_ set = fill_in(args_str(a, "set"), with);
	_cleanup_(freep) char *get = fill_in(args_str(a, "get"), with);
	json_t *replies = json_array();
	int r = dialogue_open(s, a, &d, e);

	*ret = NULL;
	if (r == 0)
		r = set_value(&d, s, a, set, replies, e);
	if (r == 0)
		r = get_value(&d, s, get, args_str(a, "pattern"), ret, out, e);
	result_evidence(out, "set", replies);
	return r;
}

static void prove(struct step_result *out, const char *held)
{
	result_evidence(out, "proof", json_string("read-back"));
	result_evidence(out, "read_back", json_string(held));
}

/* --- unit.mac --- */

static int mac_check(const struct args *a, struct err *e)
{
	const char *text = args_str(a, "mac");
	struct eui mac;

	if (text && !eui_parse(text, &mac))
		return err_set(e, ERR_RECIPE_INVALID,
			"'mac' is '%.64s': an address such as AC:DE:48:00:12:34 expected", text);
	if (text && eui_is_multicast(&mac))
		return err_set(e, ERR_RECIPE_INVALID,
			"'mac' is '%.64s', a multicast address: no unit can have it", text);
	return dialogue_check(a, e);
}

static int mac_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(freep) char *index = xasprintf("%lld", (long long)args_int(a, "index"));
	_cleanup_(freep) char *held = NULL;
	enum eui_form form = EUI_COLON;
	struct eui mac = {0}, got;
	char text[EUI_TEXT_SIZE];
	int r = mac_check(a, e);

	if (r < 0)
		return r;
	eui_parse(args_str(a, "mac"), &mac);
	eui_form_from_str(args_str(a, "form"), &form);
	eui_text(&mac, form, text);
	r = write_one(
		s, a, (struct filling[]){{"index", index}, {"mac", text}, {0}}, &held, out, e);
	if (r < 0 || !held)
		return r;
	if (!eui_parse(held, &got) || got.width != mac.width || got.bits != mac.bits)
		return mismatch(s, out, "address", text, held);
	prove(out, held);
	result_output(out, "mac", json_string(text));
	return 0;
}

#define ARG_ROWS_WRITE(set_default, get_default)                                                 \
	{.name = "set", .type = ARG_STRING, .def = set_default, .doc = "the command that sets"}, \
		{.name = "get",                                                                  \
			.type = ARG_STRING,                                                      \
			.def = get_default,                                                      \
			.doc = "the command that reads it back"},                                \
	{                                                                                        \
		.name = "expect", .type = ARG_REGEX, .def = CONSOLE_EXPECT_DEFAULT,              \
		.doc = "the reply that agrees"                                                   \
	}

static const char *const forms[] = {"colon", "dash", "bare", NULL};

static const struct action_arg mac_args[] = {
	ARG_ROW_PORT,
	{.name = "mac",
		.type = ARG_STRING,
		.required = true,
		.doc = "the address, such as ${steps.ID.eth0} of unit.identity"},
	{.name = "index",
		.type = ARG_INT,
		.def = "0",
		.low = 0,
		.high = 255,
		.doc = "which of the unit's addresses, for {index}"},
	{.name = "form",
		.type = ARG_CHOICE,
		.def = "colon",
		.choices = forms,
		.doc = "how the unit is told"},
	ARG_ROWS_WRITE("SET_MAC {index} {mac}", "GET_MAC {index}"),
	{.name = "pattern",
		.type = ARG_REGEX,
		.def = "^([0-9A-Fa-f:-]+)$",
		.doc = "what it reads back, the first group the address, in any form"},
	ARG_ROW_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

static const struct action_output mac_outputs[] = {{"mac", "the address as it was told"}, {0}};

const struct action action_unit_mac = {
	.name = "unit.mac",
	.doc = "Writes an address over the console and reads it back.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = mac_args,
	.outputs = mac_outputs,
	.default_timeout_us = 30 * US_PER_S,
	.check = mac_check,
	.run = mac_run,
};

/* --- unit.license --- */

static int license_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	const char *key = args_str(a, "key");
	_secret_ held = NULL;
	int r = dialogue_check(a, e);

	if (r == 0 && !*key)
		return err_set(e, ERR_RECIPE_INVALID, "'key' is empty: a license key expected");
	if (r == 0)
		r = write_one(s, a, (struct filling[]){{"key", key}, {0}}, &held, out, e);
	if (r < 0 || !held)
		return r;
	if (strcmp(held, key) != 0)
		return mismatch(s, out, "license", key, held);
	prove(out, held);
	return 0;
}

static const struct action_arg license_args[] = {
	ARG_ROW_PORT,
	{.name = "key",
		.type = ARG_STRING,
		.required = true,
		.secret = true,
		.doc = "the license key, such as ${steps.ID.license} of unit.identity"},
	ARG_ROWS_WRITE("SET_LICENSE {key}", "GET_LICENSE"),
	{.name = "pattern",
		.type = ARG_REGEX,
		.def = "^(\\S+)$",
		.doc = "what it reads back, the first group the key"},
	ARG_ROW_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

const struct action action_unit_license = {
	.name = "unit.license",
	.doc = "Writes a license key over the console and reads it back.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = license_args,
	.default_timeout_us = 30 * US_PER_S,
	.check = dialogue_check,
	.run = license_run,
};

/* --- unit.flags --- */

/* "1" or "0", NULL for another value. */
static const char *flag_text(const json_t *v)
{
	const char *s = json_string_value(v);

	if (json_is_boolean(v))
		return json_is_true(v) ? "1" : "0";
	if (json_is_integer(v))
		return json_integer_value(v) == 1 ? "1" : json_integer_value(v) == 0 ? "0" : NULL;
	if (s && (!strcmp(s, "1") || !strcmp(s, "true")))
		return "1";
	return s && (!strcmp(s, "0") || !strcmp(s, "false")) ? "0" : NULL;
}

static int flags_check(const struct args *a, struct err *e)
{
	json_t *flags = (json_t *)(uintptr_t)args_json(a, "flags");
	const char *name;
	json_t *v;

	json_object_foreach(flags, name, v) {
		if (!*name || strpbrk(name, " =,;\t\r\n"))
			return err_set(e, ERR_RECIPE_INVALID,
				"'flags' has the name '%.64s': a name without spaces and '=' expected",
				name);
		if (!flag_text(v))
			return err_set(
				e, ERR_RECIPE_INVALID, "the flag '%.64s' is neither 0 nor 1", name);
	}
	return dialogue_check(a, e);
}

/* Sets one, and asks for it: a line that tells another value of it is a mismatch. */
static int flag_one(struct dialogue_env *d, struct step *s, const struct args *a, const char *name,
	const char *value, json_t *replies, json_t *held, struct step_result *out, struct err *e)
{
	const struct filling with[] = {{"name", name}, {"value", value}, {0}};
	_cleanup_(freep) char *quoted = regex_quote(name);
	_cleanup_(freep) char *set = fill_in(args_str(a, "set"), with);
	_cleanup_(freep) char *get = fill_in(args_str(a, "get"), with);
	_cleanup_(freep) char *pattern =
		fill_in(args_str(a, "pattern"), (struct filling[]){{"name", quoted}, {0}});
	_cleanup_(freep) char *got = NULL;
	int r = set_value(d, s, a, set, replies, e);

	if (r == 0)
		r = get_value(d, s, get, pattern, &got, out, e);
	if (r < 0)
		return err_prefix(e, "flag %s", name);
	if (!got)
		return 0;
	if (strcmp(got, value) != 0) {
		_cleanup_(freep) char *what = xasprintf("flag %s", name);

		return mismatch(s, out, what, value, got);
	}
	json_object_set_new(held, name, json_string(got));
	return 0;
}

static int flags_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_dialogue_ d = {0};
	json_t *flags = (json_t *)(uintptr_t)args_json(a, "flags");
	json_t *replies = json_array(), *held = json_object();
	const char *name;
	json_t *v;
	int r = flags_check(a, e);

	if (r == 0)
		r = dialogue_open(s, a, &d, e);
	json_object_foreach(flags, name, v) {
		if (r < 0 || out->verdict == STEP_FAILED)
			break;
		r = flag_one(&d, s, a, name, flag_text(v), replies, held, out, e);
	}
	result_evidence(out, "set", replies);
	result_evidence(out, "read_back", held);
	result_evidence(out, "proof", json_string("read-back"));
	return r;
}

static const struct action_arg flags_args[] = {
	ARG_ROW_PORT,
	{.name = "flags",
		.type = ARG_MAP,
		.required = true,
		.doc = "each flag by its name: 0 or 1"},
	ARG_ROWS_WRITE("SET_FLAG {name} {value}", "GET_FLAGS"),
	{.name = "pattern",
		.type = ARG_STRING,
		.def = "(?:^|[ ,;]){name}=([^ ,;]*)(?=$|[ ,;])",
		.doc = "what it reads back, a regular expression whose first group is the value of {name}"},
	ARG_ROW_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

const struct action action_unit_flags = {
	.name = "unit.flags",
	.doc = "Sets flags over the console, one command each, and reads each back.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = flags_args,
	.default_timeout_us = 60 * US_PER_S,
	.check = flags_check,
	.run = flags_run,
};
