/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may reach the API: what a principal may name.
 */
#include "daemon/line/config_impl.h"

#include "base/util.h"

/* Borrowed from what was read, which its owner keeps. */
struct scopes_form {
	const json_t *stations, *pools, *recipes;
};

const struct form_row scope_rows[] = {
	{"stations", FORM_TEXTS, .low = 1, .high = 1000,
		.doc = "Ids of stations. Jobs, runs, prompts and events count as those of their station.",
		FORM_AT(struct scopes_form, stations)},
	{"pools", FORM_TEXTS, .low = 1, .high = 1000, .doc = "Ids of pools.",
		FORM_AT(struct scopes_form, pools)},
	{"recipes", FORM_TEXTS, .low = 1, .high = 1000,
		.doc = "Names of recipes, of every version. Jobs and runs count as those of their recipe.",
		FORM_AT(struct scopes_form, recipes)},
	{0},
};

void config_check_scopes(const json_t *v, const char *pointer, struct mistakes *m)
{
	struct scopes_form f = {0};

	if (!json_is_object(v) || json_object_size(v) == 0)
		mistakes_add(m, pointer,
			"'scopes' must be a mapping of the lists stations, pools and recipes, with one of them at least: without any limit it is left out");
	else
		form_read(scope_rows, v, pointer, "key", &f, m);
}
