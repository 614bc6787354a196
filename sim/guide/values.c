/* SPDX-License-Identifier: Apache-2.0
 *
 * What a unit is given on the line and keeps: addresses, a license key, flags.
 */
#include <ctype.h>
#include <string.h>

#include "sim/guide/board_impl.h"

#define MAC_SLOTS 8

/* "SET_MAC 0" -> "mac 0"; what the unit keeps is by such names. */
static json_t *kept(struct board *b, const char *kind)
{
	json_t *o = json_object_get(b->unit->values, kind);

	if (!o)
		json_object_set_new(b->unit->values, kind, o = json_object());
	return o;
}

/* A unit that keeps something else than it was given says OK as well. */
static void keep(struct board *b, const char *kind, const char *name, const char *value)
{
	_cleanup_(freep) char *text = xstrdup(value);
	size_t n = strlen(text);

	if (fault_hit(b->faults, FAULT_VALUE_WRONG, FAULT_PHASE_CONSOLE, NULL))
		text[n - 1] = text[n - 1] == '1' ? '0' : '1';
	else if (fault_hit(b->faults, FAULT_VALUE_CUT, FAULT_PHASE_CONSOLE, NULL))
		text[n - 1] = '\0';
	json_object_set_new(kept(b, kind), name, json_string(text));
	board_keep(b);
}

/* Octets of two digits between colons: 6 or 8 of them, the first one even. Made small. */
static bool is_address(char *text)
{
	size_t n = strlen(text);

	if (n != 17 && n != 23)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (i % 3 == 2 ? text[i] != ':' : !isxdigit((unsigned char)text[i]))
			return false;
		text[i] = (char)tolower((unsigned char)text[i]);
	}
	return strchr("02468ace", text[1]) != NULL;
}

static bool is_slot(const char *s)
{
	return s[0] >= '0' && s[0] < '0' + MAC_SLOTS && !s[1];
}

void cmd_set_mac(struct board *b, const char *args, uint64_t t_us)
{
	_cleanup_(freep) char *slot = xstrdup(args);
	char *address = strchr(slot, ' ');

	if (address)
		*address++ = '\0';
	if (!address || !is_slot(slot)) {
		board_answer(b, t_us, "ERROR: usage: SET_MAC 0..7 aa:bb:cc:dd:ee:ff");
		return;
	}
	if (!is_address(address)) {
		board_answer(b, t_us, "ERROR: not an address");
		return;
	}
	keep(b, "mac", slot, address);
	board_answer(b, t_us, "OK");
}

void cmd_get_mac(struct board *b, const char *args, uint64_t t_us)
{
	const char *value = json_string_value(json_object_get(kept(b, "mac"), args));

	if (!is_slot(args))
		value = "ERROR: usage: GET_MAC 0..7";
	board_answer(b, t_us, value ? value : "NONE");
}

void cmd_set_license(struct board *b, const char *args, uint64_t t_us)
{
	json_t *text = json_string(args);

	if (!*args || !text) {
		board_answer(b, t_us, "ERROR: no license");
	} else {
		keep(b, "license", "key", args);
		board_answer(b, t_us, "OK");
	}
	json_decref(text);
}

void cmd_get_license(struct board *b, const char *args, uint64_t t_us)
{
	const char *value = json_string_value(json_object_get(kept(b, "license"), "key"));

	board_answer(b, t_us, value && *value ? value : "NONE");
}

void cmd_set_flag(struct board *b, const char *args, uint64_t t_us)
{
	_cleanup_(freep) char *name = xstrdup(args);
	char *value = strchr(name, ' ');
	json_t *text;

	if (value)
		*value++ = '\0';
	text = json_string(name);
	if (!value || !*name || !text || (strcmp(value, "0") && strcmp(value, "1"))) {
		board_answer(b, t_us, "ERROR: usage: SET_FLAG name 0|1");
	} else {
		keep(b, "flags", name, value);
		board_answer(b, t_us, "OK");
	}
	json_decref(text);
}

void cmd_get_flags(struct board *b, const char *args, uint64_t t_us)
{
	struct strbuf s = {0};
	const char *name;
	json_t *v;

	json_object_foreach(kept(b, "flags"), name, v)
		sb_addf(&s, "%s%s=%s", s.len ? " " : "", name, json_string_value(v));
	board_answer(b, t_us, s.len ? s.s : "NONE");
	sb_done(&s);
}
