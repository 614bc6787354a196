/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/programs.h"

#include "base/proc.h"
#include "base/util.h"

struct programs_of {
	void (*tell)(
		void *data, const struct recipe_step *step, const char *program, bool installed);
	void *data;
};

/* mke2fs and its like are in directories that few have in their PATH. */
static bool installed(const char *name)
{
	static const char *const more[] = {"/usr/sbin", "/sbin"};
	_cleanup_(freep) char *file = proc_find(name);

	for (size_t i = 0; !file && !strchr(name, '/') && i < ARRAY_LEN(more); i++) {
		_cleanup_(freep) char *path = xasprintf("%s/%s", more[i], name);

		if (access(path, X_OK) == 0)
			return true;
	}
	return file != NULL;
}

static void tell(const struct programs_of *t, const struct recipe_step *step, const char *name)
{
	if (name && *name && !strstr(name, "${"))
		t->tell(t->data, step, name, installed(name));
}

static void tell_step(const struct programs_of *t, const struct recipe_step *step)
{
	tell(t, step, step->action->program);
	for (const struct action_arg *row = step->action->args; row->name; row++) {
		const json_t *v = json_object_get(step->known, row->name);

		if (!row->program)
			continue;
		if (json_is_array(v))
			v = json_array_get(v, 0);
		tell(t, step, v ? json_string_value(v) : row->def);
	}
}

void recipe_programs(const struct recipe *r,
	void (*tell_one)(
		void *data, const struct recipe_step *step, const char *program, bool installed),
	void *data)
{
	const struct programs_of t = {tell_one, data};

	for (size_t p = 0; p < ARRAY_LEN(r->step); p++)
		for (size_t i = 0; i < r->steps[p]; i++)
			tell_step(&t, &r->step[p][i]);
}
