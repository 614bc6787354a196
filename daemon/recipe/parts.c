/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "daemon/recipe/head.h"
#include "daemon/recipe/recipe.h"

bool part_name(const char *text, char *name, int64_t *ret_version)
{
	const char *at = strrchr(text, '@');
	size_t digits = at ? strspn(at + 1, "0123456789") : 0;

	if (!at || at == text || at - text >= RECIPE_NAME_BYTES || digits == 0 || digits > 10 ||
		at[1] == '0' || at[1 + digits])
		return false;
	memcpy(name, text, (size_t)(at - text));
	name[at - text] = '\0';
	*ret_version = strtoll(at + 1, NULL, 10);
	return *ret_version <= 1000000000 && recipe_is_identifier(name, ".");
}

/* --- the uses of a recipe --- */

typedef void use_fn(void *data, const char *name, const char *pointer);

static void each_use_in(const json_t *list, const char *pointer, use_fn *fn, void *data)
{
	json_t *o;
	size_t i;

	json_array_foreach((json_t *)list, i, o) {
		const char *name = json_string_value(json_object_get(o, "use"));
		const json_t *inner = json_object_get(o, "steps");
		_cleanup_(freep) char *p = pointer_index(pointer, i);
		_cleanup_(freep) char *use_p = pointer_key(p, name ? "use" : "steps");

		if (name)
			fn(data, name, use_p);
		else if (json_is_array(inner))
			each_use_in(inner, use_p, fn, data);
	}
}

static void each_use(const json_t *root, use_fn *fn, void *data)
{
	static const char *const phases[] = {"setup", "steps", "teardown"};

	for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
		_cleanup_(freep) char *p = pointer_key("", phases[i]);

		each_use_in(json_object_get(root, phases[i]), p, fn, data);
	}
}

static void note_use(void *data, const char *name, const char *pointer)
{
	json_t *all = data, *o;
	size_t i;

	json_array_foreach(all, i, o)
		if (!strcmp(json_string_value(o), name))
			return;
	json_array_append_new(all, json_string(name));
}

json_t *parts_list(const json_t *root)
{
	json_t *all = json_array();

	each_use(root, note_use, all);
	return all;
}

bool parts_used(const json_t *root)
{
	json_t *all = parts_list(root);
	bool used = json_array_size(all) > 0;

	json_decref(all);
	return used;
}

/* --- linking --- */

struct linking {
	const struct part_source *source;
	struct mistakes *m;
	const json_t *said; /* what the recipe came with */
	json_t *parts;
	size_t bytes;
};

static void add_part(struct linking *l, const char *use, const char *pointer, json_t *part)
{
	const json_t *said = json_object_get(l->said, use);
	_cleanup_(freep) char *text = recipe_canonical(part);

	l->bytes += strlen(text);
	if (l->bytes > PARTS_BYTES_MAX)
		mistakes_add(l->m, pointer, "the recipe and its parts have more than %d bytes",
			PARTS_BYTES_MAX);
	else if (said && !json_equal(said, part))
		mistakes_add(l->m, pointer,
			"'parts' has another '%s' than provd: leave 'parts' out, provd adds it",
			use);
	else
		json_object_set(l->parts, use, part);
}

static void link_one(void *data, const char *use, const char *pointer)
{
	struct linking *l = data;
	char name[RECIPE_NAME_BYTES];
	int64_t version;
	json_t *part = NULL;
	struct err e = {0};

	if (json_object_get(l->parts, use) || l->bytes > PARTS_BYTES_MAX)
		return;
	if (!part_name(use, name, &version))
		mistakes_add(l->m, pointer, "'%s': NAME@VERSION expected, such as rails@2", use);
	else if (l->source->find(l->source->data, name, version, &part, &e) < 0)
		mistakes_add(l->m, pointer, "%s", e.msg);
	else
		add_part(l, use, pointer, part);
	json_decref(part);
}

int parts_link(json_t *root, const struct part_source *source, struct mistakes *m, json_t **ret)
{
	const size_t before = m->count;
	_cleanup_(freep) char *text = recipe_canonical(root);
	struct linking l = {.source = source,
		.m = m,
		.said = json_object_get(root, "parts"),
		.parts = json_object(),
		.bytes = strlen(text)};

	each_use(root, link_one, &l);
	*ret = json_is_object(root) && (l.said || json_object_size(l.parts) > 0)
		       ? json_copy(root)
		       : json_incref(root);
	if (*ret != root && json_object_size(l.parts) > 0)
		json_object_set(*ret, "parts", l.parts);
	else if (*ret != root)
		json_object_del(*ret, "parts");
	json_decref(l.parts);
	return m->count > before ? -ERR_RECIPE_INVALID : 0;
}

int parts_check(json_t *root, const struct part_source *source, bool bench, struct mistakes *m,
	struct recipe **ret, struct err *e)
{
	const size_t before = m->count;
	struct recipe *recipe = NULL;
	json_t *linked = NULL;
	int link = parts_link(root, source, m, &linked);
	int r = (bench ? recipe_check_bench : recipe_check)(linked, m, &recipe, e);

	json_decref(linked);
	if (link < 0)
		r = err_set(e, ERR_RECIPE_INVALID, "the recipe has %zu mistake%s: %s",
			m->count - before, m->count - before == 1 ? "" : "s", m->item[before].text);
	if (r < 0)
		recipe_unref(recipe);
	else
		*ret = recipe;
	return r;
}

char *part_of_pointer(const char *pointer, const char **ret_rest)
{
	char *name = NULL;

	while (!strncmp(pointer, "/parts/", 7)) {
		const char *start = pointer + 7;
		size_t n = strcspn(start, "/");

		free(name);
		name = strndup(start, n);
		if (!name)
			abort();
		pointer = start + n;
	}
	*ret_rest = pointer;
	return name;
}
