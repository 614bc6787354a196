/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/power_config.h"

#include <string.h>

#include "base/util.h"
#include "base/yaml.h"
#include "daemon/recipe/head.h"
#include "transports/links/power.h"

DEFINE_CLEANUP(struct yaml_doc, yaml_doc_free)

#define NAME_MAX_CHARS	 63
#define ARGV_MAX	 32
#define RELAY_ANSWER_DEF "1s"

/* --- what is written --- */

static char **read_argv(const json_t *v, const char *pointer, struct mistakes *m)
{
	size_t n = json_array_size(v);
	char **list = xcalloc(n + 1, sizeof *list);
	size_t k = 0;

	for (size_t i = 0; i < n && i < ARGV_MAX; i++)
		if (json_is_string(json_array_get(v, i)))
			list[k++] = xstrdup(json_string_value(json_array_get(v, i)));
	if (!n || k != n)
		mistakes_add(m, pointer,
			"a list of 1 to %d texts expected: the program and its arguments",
			ARGV_MAX);
	return list;
}

static void read_run_on(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	((struct power_config *)to)->run_on = read_argv(v, pointer, m);
}

static void read_run_off(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	((struct power_config *)to)->run_off = read_argv(v, pointer, m);
}

static void read_run_status(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	((struct power_config *)to)->run_status = read_argv(v, pointer, m);
}

static bool is_role(const json_t *v)
{
	return json_is_string(v) && recipe_is_identifier(json_string_value(v), ".");
}

static void read_roles(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct power_config *p = to;
	size_t n = json_array_size(v);
	size_t k = 0;

	p->roles = xcalloc(n + 1, sizeof *p->roles);
	for (size_t i = 0; i < n && n <= POWER_ROLES_MAX; i++)
		if (is_role(json_array_get(v, i)))
			p->roles[k++] = xstrdup(json_string_value(json_array_get(v, i)));
	if (!json_is_array(v) || k != n)
		mistakes_add(m, pointer,
			"'roles' must be a list of at most %d roles of the station such as [dut, console]",
			POWER_ROLES_MAX);
}

#define ARGV_SCHEMA \
	"{\"type\":\"array\",\"minItems\":1,\"maxItems\":32,\"items\":{\"type\":\"string\"}}"

const struct form_row power_rows[] = {
	{"kind", FORM_CHOICE, .required = true, .choices = power_kind_names,
		.doc = "hub: a port of a USB hub that switches each port. hid_relay: a channel of a USB HID relay (16c0:05df). gpio: a line of a GPIO chip. serial_relay: bytes on a serial line. scpi: an output of a supply. program: any program.",
		FORM_AT(struct power_config, kind)},
	{"roles", FORM_OWN, .read = read_roles,
		.doc = "The roles of the station whose devices have no power when it is off, such as [dut, console]: each has to leave and to come back. By default of hub: those on its port; else none.",
		.schema = "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"},
	{"role", FORM_TEXT, .low = 1, .high = NAME_MAX_CHARS,
		.doc = "Of hub: the port that this role of the station is bound to.",
		FORM_AT(struct power_config, role)},
	{"hub", FORM_TEXT, .low = 1, .high = USB_PORT_BYTES - 1,
		.doc = "Of hub, instead of role: the hub as sysfs names it, such as 1-8; a root hub is usb1.",
		FORM_AT(struct power_config, hub)},
	{"port", FORM_INT, .low = 1, .high = 255,
		.doc = "Of hub, with hub: the number of its port.",
		FORM_AT(struct power_config, port)},
	{"serial", FORM_TEXT, .low = 5, .high = 5,
		.doc = "Of hid_relay: the five characters of its serial number, which usbrelay shows. Without it: the only one that is plugged.",
		FORM_AT(struct power_config, serial)},
	{"channel", FORM_INT, .low = 1, .high = 255,
		.doc = "Of hid_relay: the channel. Of scpi: the output, where the supply has several.",
		FORM_AT(struct power_config, channel)},
	{"chip", FORM_TEXT, .low = 1, .high = POWER_NAME_BYTES - 1,
		.doc = "Of gpio: gpiochip0, or the label of the chip (see gpiodetect).",
		FORM_AT(struct power_config, chip)},
	{"line", FORM_INT, .low = 0, .high = 65535, .doc = "Of gpio: the number of the line.",
		FORM_AT(struct power_config, line)},
	{"active_low", FORM_BOOL, .def = "false",
		.doc = "Of gpio: the power is on while the line is low.",
		FORM_AT(struct power_config, active_low)},
	{"address", FORM_TEXT, .low = 1, .high = LINK_ADDRESS_BYTES - 1,
		.doc = "Of serial_relay: tty:/dev/NAME@BAUD.",
		FORM_AT(struct power_config, address)},
	{"on", FORM_TEXT, .low = 1, .high = POWER_NAME_BYTES - 1,
		.doc = "Of serial_relay: the bytes that switch on, in hex digits: 'a0 01 01 a2'. Of scpi: the command, by default OUTP ON, and with a channel OUTP ON,(@1).",
		FORM_AT(struct power_config, on)},
	{"off", FORM_TEXT, .low = 1, .high = POWER_NAME_BYTES - 1,
		.doc = "The same that switch off.", FORM_AT(struct power_config, off)},
	{"query", FORM_TEXT, .low = 1, .high = POWER_NAME_BYTES - 1,
		.doc = "Of serial_relay: the bytes that ask how it is; without them nobody knows. Of scpi: the question, by default OUTP?.",
		FORM_AT(struct power_config, query)},
	{"answers_on", FORM_TEXT, .low = 1, .high = POWER_NAME_BYTES - 1,
		.doc = "Of serial_relay, with query: the bytes that mean on.",
		FORM_AT(struct power_config, answers_on)},
	{"answers_off", FORM_TEXT, .low = 1, .high = POWER_NAME_BYTES - 1,
		.doc = "The same that mean off.", FORM_AT(struct power_config, answers_off)},
	{"answer", FORM_DURATION, .def = RELAY_ANSWER_DEF, .low = 1000,
		.doc = "Of serial_relay: how long its answer may take.",
		FORM_AT(struct power_config, answer_us)},
	{"instrument", FORM_TEXT, .low = 1, .high = NAME_MAX_CHARS,
		.doc = "Of scpi: the name of the supply in 'instruments' of provd.yaml.",
		FORM_AT(struct power_config, instrument)},
	{"run_on", FORM_OWN, .read = read_run_on, .schema = ARGV_SCHEMA,
		.doc = "Of program: the program and its arguments that switch on; a status other than 0 is a failure."},
	{"run_off", FORM_OWN, .read = read_run_off, .schema = ARGV_SCHEMA,
		.doc = "The same that switch off."},
	{"run_status", FORM_OWN, .read = read_run_status, .schema = ARGV_SCHEMA,
		.doc = "The same that say in a line 'on' or 'off'; without them nobody knows."},
	{0},
};

static void free_list(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

void power_config_done(struct power_config *p)
{
	free_list(p->roles);
	free_list(p->run_on);
	free_list(p->run_off);
	free_list(p->run_status);
	form_done(power_rows, p);
	*p = (struct power_config){0};
}

/* --- which keys a kind has --- */

enum need { NO, MAY, MUST };
#define OF(field) offsetof(struct power_config, field)

static const struct {
	const char *key;
	size_t at; /* of the text or list */
	enum need need[POWER_KINDS];
} keys[] = {
	/*                                   hub   relay  gpio  serial scpi  program */
	{"role", OF(role), {[POWER_HUB] = MAY}},
	{"hub", OF(hub), {[POWER_HUB] = MAY}},
	{"serial", OF(serial), {[POWER_HID_RELAY] = MAY}},
	{"chip", OF(chip), {[POWER_GPIO] = MUST}},
	{"address", OF(address), {[POWER_SERIAL_RELAY] = MUST}},
	{"on", OF(on), {[POWER_SERIAL_RELAY] = MUST, [POWER_SCPI] = MAY}},
	{"off", OF(off), {[POWER_SERIAL_RELAY] = MUST, [POWER_SCPI] = MAY}},
	{"query", OF(query), {[POWER_SERIAL_RELAY] = MAY, [POWER_SCPI] = MAY}},
	{"answers_on", OF(answers_on), {[POWER_SERIAL_RELAY] = MAY}},
	{"answers_off", OF(answers_off), {[POWER_SERIAL_RELAY] = MAY}},
	{"instrument", OF(instrument), {[POWER_SCPI] = MUST}},
	{"run_on", OF(run_on), {[POWER_PROGRAM] = MUST}},
	{"run_off", OF(run_off), {[POWER_PROGRAM] = MUST}},
	{"run_status", OF(run_status), {[POWER_PROGRAM] = MAY}},
};

/* Those that are not texts. */
static const struct {
	const char *key;
	enum need need[POWER_KINDS];
} numbers[] = {
	{"port", {[POWER_HUB] = MAY}},
	{"channel", {[POWER_HID_RELAY] = MAY, [POWER_SCPI] = MAY}},
	{"line", {[POWER_GPIO] = MUST}},
	{"active_low", {[POWER_GPIO] = MAY}},
	{"answer", {[POWER_SERIAL_RELAY] = MAY}},
};

static void check_need(
	const char *key, bool there, enum need need, int kind, const char *p, struct mistakes *m)
{
	if (there && need == NO)
		mistakes_add(
			m, p, "'%s' is not a key of power of kind %s", key, power_kind_names[kind]);
	if (!there && need == MUST)
		mistakes_add(m, p, "power of kind %s needs '%s'", power_kind_names[kind], key);
}

static void check_keys(
	const struct power_config *p, const json_t *v, const char *pointer, struct mistakes *m)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		check_need(keys[i].key, *(void *const *)((const char *)p + keys[i].at) != NULL,
			keys[i].need[p->kind], p->kind, pointer, m);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		check_need(numbers[i].key, json_object_get(v, numbers[i].key) != NULL,
			numbers[i].need[p->kind], p->kind, pointer, m);
	if (p->kind == POWER_HUB && (p->role ? p->hub || p->port : !p->hub || !p->port))
		mistakes_add(m, pointer, "power of kind hub needs 'role', or 'hub' and 'port'");
	if (p->kind == POWER_HID_RELAY && (p->channel < 1 || p->channel > 8))
		mistakes_add(m, pointer, "power of kind hid_relay needs 'channel', from 1 to 8");
	if (p->kind == POWER_SERIAL_RELAY &&
		(!p->query != !p->answers_on || !p->query != !p->answers_off))
		mistakes_add(m, pointer, "'query', 'answers_on' and 'answers_off' belong together");
	if (p->kind == POWER_SERIAL_RELAY && p->address && strncmp(p->address, "tty:/", 5) != 0)
		mistakes_add(
			m, pointer, "'address' is '%s': tty:/dev/NAME@BAUD expected", p->address);
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_list(char **a, char **b)
{
	size_t i = 0;

	while (a && b && a[i] && b[i] && !strcmp(a[i], b[i]))
		i++;
	return (!a || !a[i]) && (!b || !b[i]);
}

static void check_bytes(const char *key, const char *hex, const char *pointer, struct mistakes *m)
{
	struct power_bytes b;
	struct err e;

	if (hex && power_bytes_parse(hex, &b, &e) < 0)
		mistakes_add(m, pointer, "'%s': %s", key, e.msg);
}

/* One answer that begins another is taken for it, and one command for both switches nothing. */
static void check_serial(const struct power_config *p, const char *pointer, struct mistakes *m)
{
	const char *const hex[] = {p->on, p->off, p->query, p->answers_on, p->answers_off};
	static const char *const names[] = {"on", "off", "query", "answers_on", "answers_off"};
	struct power_bytes b[ARRAY_LEN(hex)] = {{.n = 0}};

	for (size_t i = 0; i < ARRAY_LEN(hex); i++) {
		check_bytes(names[i], hex[i], pointer, m);
		if (hex[i])
			power_bytes_parse(hex[i], &b[i], NULL);
	}
	if (b[0].n && b[0].n == b[1].n && !memcmp(b[0].byte, b[1].byte, b[0].n))
		mistakes_add(m, pointer, "'on' and 'off' are the same bytes");
	if (b[3].n && b[4].n && !memcmp(b[3].byte, b[4].byte, MIN(b[3].n, b[4].n)))
		mistakes_add(m, pointer,
			"one of 'answers_on' and 'answers_off' begins with the other: no answer would say which it is");
}

void power_config_read(
	struct power_config *p, const json_t *v, const char *pointer, struct mistakes *m)
{
	size_t before = m->count;

	if (!json_is_object(v)) {
		mistakes_add(m, pointer, "'power' is a mapping such as {kind: hub, role: dut}");
		return;
	}
	form_read(power_rows, v, pointer, "key", p, m);
	if (m->count > before)
		return;
	check_keys(p, v, pointer, m);
	if (p->kind == POWER_SERIAL_RELAY)
		check_serial(p, pointer, m);
	if (p->kind == POWER_SCPI && p->on && same(p->on, p->off))
		mistakes_add(m, pointer, "'on' and 'off' are the same command");
	if (p->kind == POWER_PROGRAM && p->run_on && p->run_off && same_list(p->run_on, p->run_off))
		mistakes_add(m, pointer, "'run_on' and 'run_off' are the same program");
	p->has = m->count == before;
}

int power_config_parse(const char *text, struct power_config *ret, struct err *e)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
	struct mistakes m = {0};
	int r = yaml_parse("power", text, strlen(text), &doc, e);

	if (r < 0)
		return r;
	*ret = (struct power_config){0};
	power_config_read(ret, doc->root, "", &m);
	if (m.count)
		r = err_set(e, ERR_INVALID, "%s", m.item[0].text);
	mistakes_done(&m);
	if (r < 0)
		power_config_done(ret);
	return r;
}

/* --- compared --- */

bool power_config_equal(const struct power_config *a, const struct power_config *b)
{
	if (a->has != b->has || a->kind != b->kind || a->port != b->port ||
		a->channel != b->channel || a->line != b->line || a->active_low != b->active_low ||
		a->answer_us != b->answer_us || !same_list(a->roles, b->roles))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const void *x = (const char *)a + keys[i].at, *y = (const char *)b + keys[i].at;
		bool list = !strncmp(keys[i].key, "run_", 4);

		if (list ? !same_list(*(char **const *)x, *(char **const *)y)
			 : !same(*(char *const *)x, *(char *const *)y))
			return false;
	}
	return true;
}

/* --- what it means --- */

static int bytes_of(const char *hex, struct power_bytes *ret, struct err *e)
{
	return hex ? power_bytes_parse(hex, ret, e) : 0;
}

static void scpi_way(const struct power_config *p, struct power_way *w)
{
	char output[16] = "";

	w->instrument = p->instrument;
	w->channel = p->channel;
	if (p->channel)
		snprintf(output, sizeof output, "(@%u)", p->channel);
	snprintf(w->say_on, sizeof w->say_on, "OUTP ON%s%s", *output ? "," : "", output);
	snprintf(w->say_off, sizeof w->say_off, "OUTP OFF%s%s", *output ? "," : "", output);
	snprintf(w->say_query, sizeof w->say_query, "OUTP?%s%s", *output ? " " : "", output);
	if (p->on)
		snprintf(w->say_on, sizeof w->say_on, "%s", p->on);
	if (p->off)
		snprintf(w->say_off, sizeof w->say_off, "%s", p->off);
	if (p->query)
		snprintf(w->say_query, sizeof w->say_query, "%s", p->query);
	snprintf(w->place, sizeof w->place, "output %u of supply %s", p->channel ? p->channel : 1,
		p->instrument);
	snprintf(w->group, sizeof w->group, "supply %s", p->instrument);
}

static int serial_way(const struct power_config *p, struct power_way *w, struct err *e)
{
	int r = bytes_of(p->on, &w->on, e);

	if (r == 0)
		r = bytes_of(p->off, &w->off, e);
	if (r == 0)
		r = bytes_of(p->query, &w->query, e);
	if (r == 0)
		r = bytes_of(p->answers_on, &w->answers_on, e);
	if (r == 0)
		r = bytes_of(p->answers_off, &w->answers_off, e);
	w->answer_us = p->answer_us;
	snprintf(w->address, sizeof w->address, "%s", p->address);
	snprintf(w->place, sizeof w->place, "relay %s", p->address);
	snprintf(w->group, sizeof w->group, "%s", p->address);
	return r;
}

int power_config_way(const struct power_config *p, struct power_way *ret, struct err *e)
{
	struct power_way w = {.kind = (enum power_kind)p->kind};
	size_t n = 0;
	int r = 0;

	for (char **role = p->roles; role && *role; role++)
		w.role[n++] = *role;
	switch (w.kind) {
	case POWER_HUB:
		snprintf(w.hub, sizeof w.hub, "%s", p->hub ? p->hub : "");
		w.port = p->port;
		snprintf(w.place, sizeof w.place, "port %u of hub %s", w.port, w.hub);
		snprintf(w.group, sizeof w.group, "hub %s", w.hub);
		break;
	case POWER_HID_RELAY:
		snprintf(w.serial, sizeof w.serial, "%s", p->serial ? p->serial : "");
		w.channel = p->channel;
		snprintf(w.place, sizeof w.place, "channel %u of USB relay %s", w.channel,
			*w.serial ? w.serial : "(the only one)");
		snprintf(w.group, sizeof w.group, "USB relay %s", w.serial);
		break;
	case POWER_GPIO:
		snprintf(w.chip, sizeof w.chip, "%s", p->chip);
		w.line = p->line;
		w.active_low = p->active_low;
		snprintf(w.place, sizeof w.place, "line %u of %s", w.line, w.chip);
		snprintf(w.group, sizeof w.group, "%s", w.chip);
		break;
	case POWER_SERIAL_RELAY:
		r = serial_way(p, &w, e);
		break;
	case POWER_SCPI:
		scpi_way(p, &w);
		break;
	case POWER_PROGRAM:
		w.run_on = (const char *const *)p->run_on;
		w.run_off = (const char *const *)p->run_off;
		w.run_status = (const char *const *)p->run_status;
		snprintf(w.place, sizeof w.place, "program %s", p->run_on[0]);
		snprintf(w.group, sizeof w.group, "program %s", p->run_on[0]);
		break;
	}
	if (r == 0)
		*ret = w;
	return r;
}
