/* SPDX-License-Identifier: Apache-2.0
 *
 * unit.identity: what a unit gets as one set, out of pools.
 */
#include "daemon/actions/common.h"

/* Names that the outputs of a step have anyway. */
static bool is_taken(const char *name)
{
	static const char *const names[] = {"serial", "lease", "outcome", "code"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static bool is_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= 32 && name[0] >= 'a' && name[0] <= 'z' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

static int identity_check(const struct args *a, struct err *e)
{
	json_t *values = (json_t *)(uintptr_t)args_json(a, "values");
	const char *name;
	json_t *v;

	json_object_foreach(values, name, v) {
		if (is_taken(name))
			return err_set(e, ERR_RECIPE_INVALID,
				"'values' has the name '%s', which this step has anyway: another name expected",
				name);
		if (!is_name(name))
			return err_set(e, ERR_RECIPE_INVALID,
				"'values' has the name '%.64s': small letters, digits, - and _ expected, at most 32, a letter first",
				name);
	}
	return 0;
}

static int identity_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	json_t *got = NULL;
	const char *name;
	json_t *v;
	int r = identity_check(a, e);

	if (r == 0)
		r = step_values(s, args_str(a, "serial"), args_json(a, "values"), &got, e);
	if (r < 0)
		return r;
	json_object_foreach(got, name, v) {
		result_evidence(out, name, json_incref(v));
		result_output(out, name, json_incref(v));
	}
	json_decref(got);
	return 0;
}

static const struct action_arg value_fields[] = {
	{.name = "pool",
		.type = ARG_STRING,
		.required = true,
		.doc = "the pool that gives it; what it is, the pool says"},
	{0},
};

static const struct action_arg identity_args[] = {
	{.name = "values",
		.type = ARG_OBJECTS,
		.fields = value_fields,
		.required = true,
		.doc = "what the unit gets, by name: eth0: {pool: macs}"},
	{.name = "serial",
		.type = ARG_STRING,
		.doc = "a serial number that was scanned, such as ${steps.ID.value} of operator.scan; without it: as the recipe's unit says"},
	{0},
};

static const struct action_output identity_outputs[] = {
	{"serial", "the serial number, where the recipe says where it comes from"},
	{"lease", "the id of the set"},
	{0},
};

const struct action action_unit_identity = {
	.name = "unit.identity",
	.doc = "Gives the unit all that it gets out of pools, or nothing; its values are outputs by their names. A unit that had them keeps them.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY | ACTION_GIVES_VALUES,
	.args = identity_args,
	.outputs = identity_outputs,
	.names = "values",
	.default_timeout_us = 60 * US_PER_S,
	.check = identity_check,
	.run = identity_run,
};
