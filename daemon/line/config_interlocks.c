/* SPDX-License-Identifier: Apache-2.0
 *
 * Interlocks.
 */
#include "daemon/line/config_impl.h"

#include "base/util.h"

#define UNIT_MAX 63

static const char *const policies[] = {
	[INTERLOCK_WARNS] = "warn", [INTERLOCK_BLOCKS] = "block", NULL};

#define POLICY_ROW(type)                                                                                                                   \
	{                                                                                                                                  \
		"policy", FORM_CHOICE,                                                                                                     \
			.choices = policies, .def = "block",                                                                               \
			.doc = "block: the station takes no unit until the cause is gone or a person releases it. warn: it is only said.", \
			FORM_AT(type, policy)                                                                                              \
	}

static void read_units(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct golden_config *g = to;
	size_t n = json_array_size(v), good = 0;

	g->units = xcalloc(n + 1, sizeof *g->units);
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(v, i));

		if (s && *s && strlen(s) <= UNIT_MAX)
			g->units[good++] = xstrdup(s);
	}
	if (!n || good != n)
		mistakes_add(m, pointer,
			"'units' must be a list of serial numbers or chip ids, each a text of 1 to %d characters",
			UNIT_MAX);
}

static const struct form_row golden_rows[] = {
	{"every", FORM_DURATION, .low = 60000000,
		.doc = "A golden unit must have passed on the station within this time.",
		FORM_AT(struct golden_config, every_us)},
	{"each_shift", FORM_BOOL, .def = "false",
		.doc = "A golden unit must have passed on the station since the shift began that it is ('shifts' says when); with 'every' both count.",
		FORM_AT(struct golden_config, each_shift)},
	{"warn", FORM_DURATION, .def = "30m", .doc = "Shown so long before it is due.",
		FORM_AT(struct golden_config, warn_us)},
	{"units", FORM_OWN, .required = true, .read = read_units,
		.doc = "Serial numbers or chip ids of the golden units: a run of another unit proves nothing.",
		.schema = "{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"string\"}}"},
	POLICY_ROW(struct golden_config),
	{0},
};

static const struct form_row contacts_rows[] = {
	{"limit", FORM_INT, .required = true, .low = 1, .high = 1000000000,
		.doc = "The fixture must be serviced after so many units.",
		FORM_AT(struct contacts_config, limit)},
	{"warn", FORM_INT, .low = 0, .high = 1000000000, .def = "100",
		.doc = "Shown so many units before.", FORM_AT(struct contacts_config, warn)},
	POLICY_ROW(struct contacts_config),
	{0},
};

static const struct form_row calibration_rows[] = {
	{"warn", FORM_DURATION, .def = "14d", .doc = "Shown so long before it runs out.",
		FORM_AT(struct calibration_config, warn_us)},
	POLICY_ROW(struct calibration_config),
	{0},
};

static const struct form_row yield_rows[] = {
	{"below", FORM_INT, .required = true, .low = 1, .high = 100,
		.doc = "Percent of the newest units that passed: fewer are too few.",
		FORM_AT(struct yield_config, below)},
	{"runs", FORM_INT, .low = 5, .high = 1000, .def = "50",
		.doc = "The newest units of the station that are counted; with fewer nothing is judged.",
		FORM_AT(struct yield_config, runs)},
	POLICY_ROW(struct yield_config),
	{0},
};

static const struct form_row wear_rows[] = {
	{"endurance", FORM_INT, .required = true, .low = 1, .high = 1000000000,
		.doc = "Erases of one region of a unit's flash that may be spent on the line: what its data sheet promises, less what the device needs in the field.",
		FORM_AT(struct wear_config, endurance)},
	{"warn", FORM_INT, .low = 0, .high = 1000000000, .def = "10",
		.doc = "Shown so many erases before.", FORM_AT(struct wear_config, warn)},
	{"policy", FORM_CHOICE, .choices = policies, .def = "block",
		.doc = "block: a run ends as soon as it knows that its unit is worn, before anything is erased; a person may release the station. warn: it is only said.",
		FORM_AT(struct wear_config, policy)},
	{0},
};

static void read_part(const struct form_row *rows, const char *name, void *part, const json_t *v,
	const char *pointer, struct mistakes *m)
{
	if (json_is_object(v))
		form_read(rows, v, pointer, "key", part, m);
	else
		mistakes_add(m, pointer, "'%s' is a mapping; see provd.yaml(5)", name);
}

static void read_golden(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct golden_config *g = &((struct interlocks_config *)to)->golden;

	read_part(golden_rows, "golden", g, v, pointer, m);
	if (json_is_object(v) && !g->every_us && !g->each_shift)
		mistakes_add(m, pointer,
			"'golden' needs 'every', or 'each_shift: true': when a golden unit is due");
}

static void read_contacts(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	read_part(contacts_rows, "contacts", &((struct interlocks_config *)to)->contacts, v,
		pointer, m);
}

static void read_calibration(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct calibration_config *c = &((struct interlocks_config *)to)->calibration;

	c->on = true;
	read_part(calibration_rows, "calibration", c, v, pointer, m);
}

static void read_yield(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	read_part(yield_rows, "yield", &((struct interlocks_config *)to)->yield, v, pointer, m);
}

static void read_wear(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	read_part(wear_rows, "wear", &((struct interlocks_config *)to)->wear, v, pointer, m);
}

const struct form_row interlocks_rows[] = {
	{"golden", FORM_OWN, .read = read_golden, .rows = golden_rows,
		.doc = "A mapping of every, warn, units and policy: a golden unit (an order of the kind golden) is due from time to time, and must pass."},
	{"contacts", FORM_OWN, .read = read_contacts, .rows = contacts_rows,
		.doc = "A mapping of limit, warn and policy: contacts wear."},
	{"calibration", FORM_OWN, .read = read_calibration, .rows = calibration_rows,
		.doc = "A mapping of warn and policy, {} will do: the calibration of each fixture is on record, and has not run out."},
	{"yield", FORM_OWN, .read = read_yield, .rows = yield_rows,
		.doc = "A mapping of below, runs and policy: where most units fail, the station is the cause more often than the units."},
	{"wear", FORM_OWN, .read = read_wear, .rows = wear_rows,
		.doc = "A mapping of endurance, warn and policy: the flash of a unit that comes again and again wears."},
	{"release_max", FORM_DURATION, .def = "12h", .low = 60000000,
		.doc = "The longest time for which a person may release one.",
		FORM_AT(struct interlocks_config, release_max_us)},
	{0},
};

void config_read_interlocks(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;

	read_part(interlocks_rows, "interlocks", &c->interlocks, v, pointer, m);
}

void config_interlocks_defaults(struct config *c, struct mistakes *m)
{
	json_t *none = json_object();

	form_read(interlocks_rows, none, "/interlocks", "key", &c->interlocks, m);
	json_decref(none);
}

void config_check_interlocks(struct config *c, struct mistakes *m)
{
	struct golden_config *g = &c->interlocks.golden;

	g->shift = c->shift;
	g->shifts = c->shifts;
	if (g->each_shift && !c->shifts)
		mistakes_add(m, "/interlocks/golden/each_shift",
			"'each_shift' is asked for, and there are no 'shifts': say when they begin and end");
}

void config_interlocks_done(struct interlocks_config *i)
{
	for (size_t k = 0; i->golden.units && i->golden.units[k]; k++)
		free(i->golden.units[k]);
	free(i->golden.units);
	i->golden.units = NULL;
}
