/* SPDX-License-Identifier: Apache-2.0
 *
 * device.* and unit.serial: which device is there, and which unit it is.
 */
#include <ctype.h>
#include <string.h>

#include "daemon/actions/common.h"

static int wait_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	struct device_facts f = {0};
	int r = s->ops->wait_device(s->env, args_str(a, "port"), &s->it, &f, e);

	if (r < 0)
		return r;
	result_evidence(out, "device", facts_json(&f));
	result_output(out, "node", json_string(f.node));
	result_output(out, "serial", json_string(f.serial));
	return 0;
}

static const struct action_arg wait_args[] = {
	ARG_ROW_PORT_OF(PORT_KIND_ANY, "role of the device"), {0}};

static const struct action_output wait_outputs[] = {
	{"node", "device node or address"},
	{"serial", "USB serial number, empty where there is none"},
	{0},
};

const struct action action_device_wait = {
	.name = "device.wait",
	.doc = "Waits until the device is present and proves that it is the same unit.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY | ACTION_REENUMERATES,
	.args = wait_args,
	.outputs = wait_outputs,
	.default_timeout_us = 30 * US_PER_S,
	.run = wait_run,
};

/* What the unit answers to one command, in a line that fits the pattern. */
static int ask_unit(struct step *s, const struct args *a, const char *send, const char *pattern,
	struct console_reply *ret, struct err *e)
{
	_cleanup_(dialogue_done) struct dialogue_env d = {0};
	int r = dialogue_open(s, a, &d, e);

	return r < 0 ? r : dialogue_ask(&d, s, send, pattern, ret, e);
}

/* The first group of a pattern in text, or all that it matched. */
static int extract(const char *pattern, const char *text, char *ret, size_t size, struct err *e)
{
	_cleanup_(regex_freep) struct regex *x = NULL;
	struct regex_match m;
	int r = regex_new(pattern, &x, e);

	if (r < 0)
		return r;
	if (!regex_match(x, text, strlen(text), &m))
		return err_set(
			e, ERR_UNEXPECTED_REPLY, "'%.120s' does not match '%s'", text, pattern);

	int g = m.groups > 1 && m.group[1].start != (size_t)-1;
	size_t n = m.group[g].end - m.group[g].start;

	if (n >= size)
		return err_set(e, ERR_UNEXPECTED_REPLY, "'%.120s' is longer than %zu characters",
			text, size - 1);
	memcpy(ret, text + m.group[g].start, n);
	ret[n] = '\0';
	return 0;
}

/* The unit's id, asked twice: a bit that flipped on the line would be another unit's id, and no
 * later step could find that. */
static int ask_id(struct step *s, const struct args *a, char ret[UNIT_NAME_BYTES], struct err *e)
{
	const char *send = args_str(a, "send");
	const char *pattern = args_str(a, "pattern");
	char id[2][UNIT_NAME_BYTES] = {"", ""};
	int r = 0;

	for (int i = 0; i < 2 && r == 0; i++) {
		_cleanup_(console_reply_done) struct console_reply got = {0};

		r = ask_unit(s, a, send, pattern, &got, e);
		if (r == 0)
			r = extract(pattern, got.line, id[i], sizeof id[i], e);
	}
	if (r < 0)
		return r;
	if (strcmp(id[0], id[1]) != 0)
		return err_set(e, ERR_UNEXPECTED_REPLY,
			"the unit answered '%s' with '%s', then with '%s'", send, id[0], id[1]);
	memcpy(ret, id[0], sizeof id[0]);
	return 0;
}

/* What a unit says that has no id: erased memory, and words. All of such units would be the same
 * one. */
static bool names_no_unit(const char *id)
{
	static const char *const words[] = {"", "na", "none", "null", "nil", "nan", "unknown",
		"unset", "empty", "blank", "undefined", "invalid", "missing", "busy", "ready", "ok",
		"id", "uid", "sn", "serial"};
	char plain[UNIT_NAME_BYTES];
	size_t n = 0;

	if (!strncasecmp(id, "0x", 2))
		id += 2;
	for (; *id; id++)
		if (isalnum((unsigned char)*id) || (unsigned char)*id >= 0x80)
			plain[n++] = *id;
	plain[n] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcasecmp(plain, words[i]))
			return true;
	return strspn(plain, "0") == n || strspn(plain, "fF") == n;
}

static int identify_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	const char *port = args_str(a, "port");
	struct device_facts f = {0};
	char id[UNIT_NAME_BYTES] = "";
	int r;

	if (args_has(a, "send")) {
		r = ask_id(s, a, id, e);
	} else {
		r = s->ops->facts(s->env, port, &f, e);
		snprintf(id, sizeof id, "%s", f.serial);
	}
	if (r < 0)
		return r;
	if (!*id)
		return err_set(e, ERR_NO_EVIDENCE,
			"the device on %s has no identity to read: give 'send', a command that it answers with its chip id",
			port);
	if (names_no_unit(id))
		return err_set(e, ERR_NO_EVIDENCE,
			"the device on %s gives '%s' as its identity, which names no unit: every unit without one would be the same",
			port, id);
	r = step_identity(s, port, id, e);
	if (r < 0)
		return r;
	result_evidence(out, "id", json_string(id));
	result_output(out, "id", json_string(id));
	return 0;
}

static const struct action_arg identify_args[] = {
	ARG_ROW_PORT_OF(PORT_KIND_ANY, "role of the device"),
	{.name = "send",
		.type = ARG_STRING,
		.doc = "command that the unit answers with its id; without it: the USB serial number"},
	{.name = "pattern",
		.type = ARG_REGEX,
		.def = "^(\\S+)$",
		.doc = "the reply, its first group the id"},
	ARG_ROW_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

static const struct action_output identify_outputs[] = {{"id", "the identity"}, {0}};

const struct action action_device_identify = {
	.name = "device.identify",
	.doc = "Reads the unit's identity; a later proof compares with it.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = identify_args,
	.outputs = identify_outputs,
	.default_timeout_us = 30 * US_PER_S,
	.check = dialogue_check,
	.run = identify_run,
};

/* What the unit already carries: "" for none. A unit that answers neither with a serial nor that
 * it has none gets no new serial. */
static int carried(struct step *s, const struct args *a, char ret[UNIT_SERIAL_BYTES], struct err *e)
{
	_cleanup_(regex_freep) struct regex *blank = NULL;
	_cleanup_(console_reply_done) struct console_reply got = {0};
	const char *pattern = args_str(a, "pattern");
	const char *none = args_str(a, "blank");
	_cleanup_(freep) char *either = xasprintf("(?:%s)|(?:%s)", none, pattern);
	int r = regex_new(none, &blank, e);

	if (r == 0)
		r = ask_unit(s, a, args_str(a, "read"), either, &got, e);
	if (r < 0)
		return r;
	ret[0] = '\0';
	if (regex_match(blank, got.line, strlen(got.line), NULL))
		return 0;
	return extract(pattern, got.line, ret, 64, e);
}

/* A serial that the unit carries is read twice: a digit that flipped on the line would be another
 * unit's serial. */
static int carried_for_sure(
	struct step *s, const struct args *a, char ret[UNIT_SERIAL_BYTES], struct err *e)
{
	char again[UNIT_SERIAL_BYTES] = "";
	int r = carried(s, a, ret, e);

	if (r < 0 || !*ret)
		return r;
	r = carried(s, a, again, e);
	if (r == 0 && strcmp(ret, again) != 0)
		r = err_set(e, ERR_UNEXPECTED_REPLY,
			"the unit gave its serial number as '%s', then as '%s'", ret, again);
	return r;
}

static int serial_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	const char *source = args_str(a, "source");
	char found[UNIT_SERIAL_BYTES] = "";
	char serial[UNIT_SERIAL_BYTES] = "";
	int r = 0;

	if (args_has(a, "read")) {
		if (!args_has(a, "port"))
			return err_set(e, ERR_RECIPE_INVALID, "'read' needs 'port'");
		r = carried_for_sure(s, a, found, e);
	} else if (source && !strcmp(source, "device")) {
		return err_set(e, ERR_RECIPE_INVALID, "the source device needs 'read' and 'port'");
	}
	/* What the unit carries goes before what somebody scanned: a reworked unit keeps it. */
	if (r == 0 && !*found && args_has(a, "value"))
		r = step_serial(s, "scan", args_str(a, "value"), serial, e);
	else if (r == 0)
		r = step_serial(s, *found ? "device" : source, *found ? found : NULL, serial, e);
	if (r < 0)
		return r;
	result_evidence(out, "serial", json_string(serial));
	if (args_has(a, "read"))
		result_evidence(out, "carried", json_string(found));
	result_output(out, "serial", json_string(serial));
	return 0;
}

static const char *const serial_sources[] = {"pool", "job", "scan", "device", NULL};

static const struct action_arg serial_args[] = {
	{.name = "source",
		.type = ARG_CHOICE,
		.choices = serial_sources,
		.doc = "where a new serial comes from; without it: as the recipe's unit says"},
	{.name = "value",
		.type = ARG_STRING,
		.doc = "a serial that was scanned, such as ${steps.ID.value} of operator.scan"},
	{.name = "port",
		.type = ARG_PORT,
		.ports = PORT_KIND_TTY | PORT_KIND_TCP,
		.doc = "role of the unit's console, for 'read'"},
	{.name = "read",
		.type = ARG_STRING,
		.doc = "command that the unit answers with the serial that it carries"},
	{.name = "pattern",
		.type = ARG_REGEX,
		.def = "^([A-Za-z0-9._-]+)$",
		.doc = "that answer, its first group the serial"},
	{.name = "blank",
		.type = ARG_REGEX,
		.def = "(?i)^(none|unset|empty|blank|-|f+|0+)$",
		.doc = "that answer of a unit without a serial"},
	ARG_ROW_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

static const struct action_output serial_outputs[] = {{"serial", "the serial number"}, {0}};

const struct action action_unit_serial = {
	.name = "unit.serial",
	.doc = "Gives the unit its serial number: the one that it carries, or a new one, reserved.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY | ACTION_GIVES_VALUES,
	.args = serial_args,
	.outputs = serial_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.check = dialogue_check,
	.run = serial_run,
};
