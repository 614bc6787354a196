/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/unfold.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "daemon/recipe/head.h"
#include "daemon/recipe/items.h"
#include "daemon/recipe/recipe.h"

/* Turns and uses, also those without steps. */
#define UNFOLD_FRAMES_MAX 1000

struct unfolding {
	const json_t *root, *lists; /* the parameters that are lists */
	struct unfolded *u;
	struct mistakes *m;
	/* The teardown of each part that the setup or the steps use, the last one first. */
	struct unfolded_step *late;
	size_t lates, frames;
	bool bound; /* all parameters have their values */
	bool full;  /* nothing is added any more */
};

/* Where an entry is. */
struct place {
	const struct frame *frame;
	enum step_phase phase;
	bool in_group;
	const struct frame *unasked; /* as recipe_step.unasked */
};

static void entries(
	struct unfolding *u, const json_t *list, const char *pointer, const struct place *at);

/* --- items --- */

static bool has_reference(const json_t *j)
{
	const char *key;
	json_t *v;
	size_t i;

	if (json_is_string(j))
		return strstr(json_string_value(j), "${") != NULL;
	json_array_foreach((json_t *)j, i, v)
		if (has_reference(v))
			return true;
	json_object_foreach((json_t *)j, key, v)
		if (has_reference(v))
			return true;
	return false;
}

/* false with a mistake. */
static bool check_items(struct unfolding *u, const json_t *list, const char *pointer, bool literal)
{
	const size_t before = u->m->count;
	json_t *v;
	size_t i;

	/* What a part was given instead of a list is a mistake there. */
	if (!json_is_array(list))
		return false;
	if (json_array_size(list) == 0)
		mistakes_add(u->m, pointer,
			"the list of 'for_each' is empty: nothing would be done or tested");
	if (json_array_size(list) > ITEMS_MAX)
		mistakes_add(u->m, pointer, "'for_each' has %zu items: at most %d expected",
			json_array_size(list), ITEMS_MAX);
	json_array_foreach((json_t *)list, i, v) {
		_cleanup_(freep) char *p = literal ? pointer_index(pointer, i) : xstrdup(pointer);
		struct err e;

		if (item_check(v, &e) < 0)
			mistakes_add(u->m, p, "%s", e.msg);
		else if (literal && has_reference(v))
			mistakes_add(u->m, p, "an item is a value: '${...}' is not replaced in it");
	}
	return u->m->count == before;
}

/* The name in "${params.NAME}", NULL for anything else. */
static char *name_of_param(const char *text)
{
	static const char start[] = "${params.";
	const size_t n = strlen(text), s = strlen(start);

	if (n < s + 2 || strncmp(text, start, s) != 0 || strcspn(text, "}") != n - 1)
		return NULL;
	return strndup(text + s, n - s - 1);
}

static const json_t *params_in(const struct unfolding *u, const struct frame *f)
{
	const struct frame *part = frame_part(f);

	return json_object_get(part ? part->part : u->root, "params");
}

static bool is_list_param(const struct unfolding *u, const struct frame *f, const char *name)
{
	const json_t *type = json_object_get(json_object_get(params_in(u, f), name), "type");

	return json_is_string(type) && !strcmp(json_string_value(type), "list");
}

/* Whether the list is, in the end, a parameter of the recipe itself. */
static bool is_of_order(const struct frame *f, const char *name)
{
	const struct frame *part = frame_part(f);
	const json_t *v = part ? json_object_get(part->with, name) : NULL;
	_cleanup_(freep) char *outer = NULL;

	if (!part)
		return true;
	outer = json_is_string(v) ? name_of_param(json_string_value(v)) : NULL;
	return outer && is_of_order(part->parent, outer);
}

/* What a loop goes over: a new reference; NULL where it is not known, or with a mistake. */
static json_t *items_of(struct unfolding *u, const json_t *each, const char *pointer,
	const struct frame *f, bool *ret_bad)
{
	const char *text = json_string_value(each);
	_cleanup_(freep) char *name = text ? name_of_param(text) : NULL;
	struct frame_known known = {f, u->lists};
	_cleanup_(freep) char *path = xasprintf("params.%s", name ? name : "");
	json_t *list = NULL;

	*ret_bad = true;
	if (json_is_array(each)) {
		*ret_bad = !check_items(u, each, pointer, true);
		return *ret_bad ? NULL : json_incref((json_t *)each);
	}
	if (!name || !is_list_param(u, f, name)) {
		mistakes_add(u->m, pointer,
			"'for_each' must be a list, or '${params.NAME}' of a parameter with 'type: list'");
		return NULL;
	}
	u->u->open |= is_of_order(f, name);
	if (frame_lookup(&known, path, &list, NULL) < 0)
		list = NULL;
	if (!list && u->bound)
		mistakes_add(u->m, pointer, "parameter '%s' has no value", name);
	*ret_bad = !list && u->bound;
	return list;
}

/* --- plain steps --- */

static void too_many(struct unfolding *u, const char *pointer)
{
	if (!u->full)
		mistakes_add(u->m, pointer, "more than %d steps, with those of loops and parts",
			UNFOLD_STEPS_MAX);
	u->full = true;
}

static void add_step(struct unfolding *u, const json_t *o, const char *pointer,
	const struct place *at, size_t position)
{
	struct unfolded *out = u->u;
	const size_t n = out->steps[at->phase];

	if (n + (at->phase == PHASE_TEARDOWN ? u->lates : 0) >= UNFOLD_STEPS_MAX) {
		too_many(u, pointer);
		return;
	}
	out->step[at->phase] =
		reallocarray(out->step[at->phase], n + 1, sizeof *out->step[at->phase]);
	if (!out->step[at->phase])
		abort();
	out->step[at->phase][n] = (struct unfolded_step){.step = o,
		.pointer = xstrdup(pointer),
		.frame = at->frame,
		.unasked = at->unasked,
		.position = position,
		.needs_id = at->in_group || frame_part(at->frame)};
	out->steps[at->phase] = n + 1;
}

static void only_keys(struct unfolding *u, const json_t *o, const char *pointer, const char *what,
	const char *const *names)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)o, key, v) {
		_cleanup_(freep) char *p = pointer_key(pointer, key);
		size_t i = 0;

		while (names[i] && strcmp(names[i], key) != 0)
			i++;
		if (!names[i])
			mistakes_add_unknown(u->m, p, what, key, names);
	}
}

static struct frame *add_frame(
	struct unfolding *u, const struct frame *parent, const json_t *entry, const char *pointer)
{
	struct frame *f = xcalloc(1, sizeof *f);
	const json_t *when = json_object_get(entry, "when");
	_cleanup_(freep) char *when_p = pointer_key(pointer, "when");

	*f = (struct frame){.next = u->u->frames, .parent = parent, .pointer = xstrdup(pointer)};
	u->u->frames = f;
	if (++u->frames > UNFOLD_FRAMES_MAX)
		too_many(u, pointer);
	if (when && !json_is_string(when))
		mistakes_add(u->m, when_p, "'when' must be a string (quote it)");
	return f;
}

static void set_when(struct frame *f, const json_t *entry)
{
	const char *when = json_string_value(json_object_get(entry, "when"));

	f->when = when ? xstrdup(when) : NULL;
}

/* --- parts --- */

static const char *pointer_of(const struct frame *f)
{
	const struct frame *part = frame_part(f);

	return part ? part->base : "";
}

static bool is_within(const struct frame *f, const char *name, unsigned *ret_depth)
{
	bool found = false;

	*ret_depth = 0;
	for (f = frame_part(f); f; f = frame_part(f->parent)) {
		found |= !strcmp(f->name, name);
		++*ret_depth;
	}
	return found;
}

/* Why a part is not there was found when it was looked for. */
static bool is_named(const struct mistakes *m, const char *pointer)
{
	for (size_t i = 0; i < m->count; i++)
		if (!strcmp(m->item[i].pointer, pointer))
			return true;
	return false;
}

/* The recipe that is used, where it is there and may be used here; else NULL with a mistake. */
static const json_t *find_part(
	struct unfolding *u, const char *name, const char *pointer, const struct frame *f)
{
	const struct frame *outer = frame_part(f);
	const json_t *part =
		json_object_get(json_object_get(outer ? outer->part : u->root, "parts"), name);
	struct recipe *probe;
	struct mistakes own = {0};
	unsigned depth;

	if (is_within(f, name, &depth)) {
		mistakes_add(u->m, pointer, "'%s' uses itself", name);
		return NULL;
	}
	if (depth >= FRAME_PARTS_MAX) {
		mistakes_add(u->m, pointer,
			"'%s' is a part of a part, %u deep: at most %d expected", name, depth + 1,
			FRAME_PARTS_MAX);
		return NULL;
	}
	if (!json_is_object(part)) {
		if (!is_named(u->m, pointer))
			mistakes_add(u->m, pointer, "the part '%s' is not there", name);
		return NULL;
	}
	probe = xcalloc(1, sizeof *probe);
	probe->refs = 1;
	recipe_head_read(part, probe, &own);
	recipe_unref(probe);
	if (own.count)
		mistakes_add(
			u->m, pointer, "the part '%s' is not a recipe: %s", name, own.item[0].text);
	part = own.count ? NULL : part;
	mistakes_done(&own);
	return part;
}

/* What the part has that is of a whole run. */
static void check_part_head(struct unfolding *u, const struct frame *f, const char *pointer)
{
	static const char *const whole[] = {"timeout", "power_after", NULL};

	for (size_t i = 0; whole[i]; i++)
		if (json_object_get(f->part, whole[i]))
			mistakes_add(u->m, pointer,
				"'%s' has '%s', which is of a whole run: a part is used without it",
				f->name, whole[i]);
}

static void names_in(const json_t *o, const char *names[65])
{
	const char *key;
	json_t *v;
	size_t n = 0;

	memset(names, 0, 65 * sizeof *names);
	json_object_foreach((json_t *)o, key, v)
		if (n < 64)
			names[n++] = key;
}

static bool may_lack(const char *section, const json_t *declared)
{
	return !strcmp(section, "params") ? json_object_get(declared, "default") != NULL
					  : json_is_true(json_object_get(declared, "optional"));
}

/* Each name that is given is one of the part's, and each that it needs is given. */
static void check_names(struct unfolding *u, const struct frame *f, const json_t *given,
	const char *pointer, const char *section)
{
	const json_t *declared = json_object_get(f->part, section);
	const char *names[65];
	const char *key;
	json_t *v;

	names_in(declared, names);
	json_object_foreach((json_t *)given, key, v) {
		_cleanup_(freep) char *p = pointer_key(pointer, key);

		if (!json_object_get(declared, key))
			mistakes_add_unknown(u->m, p, section, key, names);
	}
	json_object_foreach((json_t *)declared, key, v)
		if (!json_object_get(given, key) && !may_lack(section, v))
			mistakes_add(u->m, pointer, "'%s' of %s of '%s' is not given", key, section,
				f->name);
}

static const json_t *section_of(
	const struct unfolding *u, const struct frame *f, const char *section)
{
	const struct frame *part = frame_part(f);

	return json_object_get(part ? part->part : u->root, section);
}

/* A line has one speed, whoever uses it. */
static void check_port(struct unfolding *u, const char *role, const json_t *inner,
	const char *outer_role, const json_t *outer, const char *pointer)
{
	static const char *const keys[] = {"kind", "baud", "parity", "rtscts", "dtr", "rts", NULL};

	for (size_t i = 0; keys[i]; i++) {
		const json_t *a = json_object_get(inner, keys[i]);
		const json_t *b = json_object_get(outer, keys[i]);
		bool any = i == 0 && (!a || !strcmp(json_string_value(a), "any"));
		bool tty = i == 0 && a && !b && !strcmp(json_string_value(a), "tty");

		if (a && !any && !tty && !json_equal(a, b))
			mistakes_add(u->m, pointer,
				"port '%s' of the part says another '%s' than '%s', which it is bound to",
				role, keys[i], outer_role);
	}
}

/* Ports and artifacts: each is bound to one of who uses the part. */
static void check_bound(struct unfolding *u, const struct frame *f, const json_t *given,
	const char *pointer, const char *section)
{
	const json_t *outer = section_of(u, f->parent, section);
	const json_t *inner = json_object_get(f->part, section);
	const char *names[65];
	const char *key;
	json_t *v;

	names_in(outer, names);
	json_object_foreach((json_t *)given, key, v) {
		_cleanup_(freep) char *p = pointer_key(pointer, key);
		const char *name = json_string_value(v);
		const json_t *target = name ? json_object_get(outer, name) : NULL;

		if (!name)
			mistakes_add(u->m, p, "a name of 'ports' or 'artifacts' expected");
		else if (!target) {
			mistakes_add_unknown(u->m, p, section, name, names);
			u->m->item[u->m->count - 1].at_key = false;
		} else if (!strcmp(section, "ports") && json_object_get(inner, key))
			check_port(u, key, json_object_get(inner, key), name, target, p);
	}
}

/* false: the parameter is a list, and what is given has none before the run begins, when its turns are made. */
static bool is_list(
	const struct unfolding *u, const struct frame *f, const char *name, const json_t *given)
{
	_cleanup_(freep) char *outer =
		json_is_string(given) ? name_of_param(json_string_value(given)) : NULL;

	return !json_is_string(given) || !is_list_param(u, f, name) ||
	       (outer && is_list_param(u, f->parent, outer));
}

/* What is written as a value has the type of the parameter now; the rest has it in the run. */
static void check_part_params(struct unfolding *u, const struct frame *f, const char *pointer)
{
	const json_t *declared = json_object_get(f->part, "params");
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)f->with, key, v) {
		_cleanup_(freep) char *p = pointer_key(pointer, key);
		const json_t *decl = json_object_get(declared, key);
		struct frame_known known = {f, u->lists};
		_cleanup_(freep) char *path = xasprintf("params.%s", key);
		json_t *value = NULL, *out = json_object();
		struct err e;

		if (decl && !is_list(u, f, key, v))
			mistakes_add(u->m, p,
				"'%s' is a list: write it here, or '${params.NAME}' of a parameter with 'type: list'",
				key);
		else if (!json_is_string(v) && has_reference(v))
			mistakes_add(u->m, p,
				"'%s': '${...}' is replaced in a text, not within a list or a mapping",
				key);
		else if (decl && frame_lookup(&known, path, &value, NULL) == 0 &&
			 recipe_param(key, decl, value, out, &e) < 0)
			mistakes_add(u->m, p, "%s", e.msg);
		json_decref(value);
		json_decref(out);
	}
}

static const json_t *mapping(
	struct unfolding *u, const json_t *o, const char *pointer, const char *key)
{
	const json_t *v = json_object_get(o, key);
	_cleanup_(freep) char *p = pointer_key(pointer, key);

	if (v && !json_is_object(v))
		mistakes_add(u->m, p, "'%s' must be a mapping", key);
	return json_is_object(v) ? v : NULL;
}

static void bind_part(struct unfolding *u, struct frame *f, const json_t *o, const char *pointer)
{
	_cleanup_(freep) char *with_p = pointer_key(pointer, "with");
	_cleanup_(freep) char *ports_p = pointer_key(pointer, "ports");
	_cleanup_(freep) char *artifacts_p = pointer_key(pointer, "artifacts");

	f->with = mapping(u, o, pointer, "with");
	f->ports = mapping(u, o, pointer, "ports");
	f->artifacts = mapping(u, o, pointer, "artifacts");
	check_names(u, f, f->with, f->with ? with_p : pointer, "params");
	check_names(u, f, f->ports, f->ports ? ports_p : pointer, "ports");
	check_names(u, f, f->artifacts, f->artifacts ? artifacts_p : pointer, "artifacts");
	check_part_params(u, f, with_p);
	check_bound(u, f, f->ports, ports_p, "ports");
	check_bound(u, f, f->artifacts, artifacts_p, "artifacts");
}

/* The teardown of the last part comes first, before that of who uses it. */
static void keep_for_later(struct unfolding *u, size_t before)
{
	struct unfolded *out = u->u;
	const size_t n = out->steps[PHASE_TEARDOWN] - before;

	if (n == 0)
		return;
	u->late = reallocarray(u->late, u->lates + n, sizeof *u->late);
	if (!u->late)
		abort();
	memmove(u->late + n, u->late, u->lates * sizeof *u->late);
	memcpy(u->late, out->step[PHASE_TEARDOWN] + before, n * sizeof *u->late);
	u->lates += n;
	out->steps[PHASE_TEARDOWN] = before;
}

static void steps_of_part(struct unfolding *u, const struct frame *f, const struct place *at)
{
	static const char *const key[] = {"setup", "steps", "teardown"};
	const size_t mistakes = u->m->count;
	_cleanup_(freep) char *use = strndup(f->id, strlen(f->id) - strlen("."));

	for (int phase = 0; phase < 3 && !u->full; phase++) {
		_cleanup_(freep) char *p = pointer_key(f->base, key[phase]);
		const bool last = phase == PHASE_TEARDOWN;
		const struct place inner = {
			f, last ? PHASE_TEARDOWN : at->phase, false, last ? f : at->unasked};
		const size_t before = u->u->steps[PHASE_TEARDOWN];

		entries(u, json_object_get(f->part, key[phase]), p, &inner);
		if (last && at->phase != PHASE_TEARDOWN)
			keep_for_later(u, before);
	}
	mistakes_merge(u->m, mistakes, PARTS_POINTER, use);
}

/* Whether another part has these ids. */
static bool is_used(const struct unfolding *u, const char *prefix)
{
	for (const struct frame *f = u->u->frames; f; f = f->next)
		if (f->id && !strcmp(f->id, prefix))
			return true;
	return false;
}

static void add_part(
	struct unfolding *u, const json_t *o, const char *pointer, const struct place *at)
{
	static const char *const keys[] = {
		"id", "use", "with", "ports", "artifacts", "for_each", "when", "title", NULL};
	const char *name = json_string_value(json_object_get(o, "use"));
	const char *id = json_string_value(json_object_get(o, "id"));
	_cleanup_(freep) char *use_p = pointer_key(pointer, "use");
	_cleanup_(freep) char *id_p = pointer_key(pointer, "id");
	_cleanup_(freep) char *parts_p = pointer_key(pointer_of(at->frame), "parts");
	_cleanup_(freep) char *prefix = NULL;
	char *ids[2];
	const json_t *part;
	struct frame *f;

	only_keys(u, o, pointer, "key of a step with 'use'", keys);
	if (!id || !recipe_is_identifier(id, ""))
		mistakes_add(u->m, id ? id_p : pointer,
			"a step with 'use' needs an 'id': letters, digits, - and _");
	if (!name) {
		mistakes_add(u->m, use_p, "'use' must be NAME@VERSION");
		return;
	}
	part = find_part(u, name, use_p, at->frame);
	if (!part || !id || u->full)
		return;
	frame_ids(at->frame, id, ids);
	prefix = xasprintf("%s.", ids[0] ? ids[0] : ids[1]);
	free(ids[0]);
	free(ids[1]);
	if (is_used(u, prefix)) {
		mistakes_add(u->m, id_p, "the id '%s' is used twice", id);
		return;
	}
	f = add_frame(u, at->frame, o, pointer);
	set_when(f, o);
	f->id = steal_ptr(&prefix);
	f->name = xstrdup(name);
	f->part = part;
	check_part_head(u, f, use_p);
	bind_part(u, f, o, pointer);
	f->base = pointer_key(parts_p, name);
	steps_of_part(u, f, at);
}

/* --- loops --- */

static void add_group(
	struct unfolding *u, const json_t *o, const char *pointer, const struct place *at)
{
	static const char *const keys[] = {"id", "for_each", "steps", "when", "title", NULL};
	_cleanup_(freep) char *p = pointer_key(pointer, "steps");

	only_keys(u, o, pointer, "key of a loop with 'steps'", keys);
	if (json_array_size(json_object_get(o, "steps")) == 0)
		mistakes_add(u->m, p, "'steps' must be a list of steps");
	entries(u, json_object_get(o, "steps"), p, at);
}

static void add_body(struct unfolding *u, const json_t *o, const char *pointer,
	const struct place *at, size_t position)
{
	if (json_object_get(o, "use"))
		add_part(u, o, pointer, at);
	else if (json_object_get(o, "steps"))
		add_group(u, o, pointer, at);
	else
		add_step(u, o, pointer, at, position);
}

static void add_loop(struct unfolding *u, const json_t *o, const char *pointer,
	const struct place *at, size_t position)
{
	_cleanup_(freep) char *each_p = pointer_key(pointer, "for_each");
	bool bad = false;
	json_t *list;
	size_t n;

	if (at->in_group) {
		mistakes_add(u->m, each_p,
			"a loop within a loop is not taken: use a part, which may have its own");
		return;
	}
	list = items_of(u, json_object_get(o, "for_each"), each_p, at->frame, &bad);
	if (list && !bad && !json_is_array(json_object_get(o, "for_each")))
		bad = !check_items(u, list, each_p, false);
	n = MIN(json_array_size(list), ITEMS_MAX);
	n = bad || !list ? 1 : n;
	for (size_t i = 0; i < n && !u->full; i++) {
		struct frame *f = add_frame(u, at->frame, o, pointer);
		const struct place turn = {f, at->phase, true, at->unasked};
		const size_t mistakes = u->m->count;

		f->turn = (unsigned)i + 1;
		f->item = bad || !list ? NULL : json_deep_copy(json_array_get(list, i));
		/* A step says its own, and a part has it in its frame. */
		if (json_object_get(o, "steps"))
			set_when(f, o);
		add_body(u, o, pointer, &turn, position);
		mistakes_merge(u->m, mistakes, PARTS_POINTER, NULL);
	}
	json_decref(list);
}

static void entries(
	struct unfolding *u, const json_t *list, const char *pointer, const struct place *at)
{
	json_t *o;
	size_t i;

	json_array_foreach((json_t *)list, i, o) {
		_cleanup_(freep) char *p = pointer_index(pointer, i);

		if (json_object_get(o, "for_each"))
			add_loop(u, o, p, at, i + 1);
		else if (json_object_get(o, "steps"))
			mistakes_add(u->m, p, "a step with 'steps' needs 'for_each'");
		else
			add_body(u, o, p, at, i + 1);
	}
}

/* --- the whole --- */

static json_t *lists_of(const json_t *root, const json_t *params)
{
	json_t *out = json_object();
	const char *name;
	json_t *decl;

	json_object_foreach(json_object_get(root, "params"), name, decl) {
		const json_t *type = json_object_get(decl, "type");
		json_t *v = params ? json_object_get(params, name) : NULL;

		v = v ? v : json_object_get(decl, "default");
		if (v && json_is_string(type) && !strcmp(json_string_value(type), "list"))
			json_object_set_new(out, name, json_deep_copy(v));
	}
	return out;
}

/* Those of the parts, then those of the recipe. */
static void join_teardown(struct unfolding *u)
{
	struct unfolded *out = u->u;
	const size_t own = out->steps[PHASE_TEARDOWN], all = own + u->lates;

	if (u->lates) {
		u->late = reallocarray(u->late, all, sizeof *u->late);
		if (!u->late)
			abort();
		if (own)
			memcpy(u->late + u->lates, out->step[PHASE_TEARDOWN],
				own * sizeof *u->late);
		free(out->step[PHASE_TEARDOWN]);
		out->step[PHASE_TEARDOWN] = u->late;
		out->steps[PHASE_TEARDOWN] = all;
	}
}

void unfold(const json_t *root, const json_t *params, struct unfolded *ret, struct mistakes *m)
{
	static const char *const key[] = {"setup", "steps", "teardown"};
	json_t *lists = lists_of(root, params);
	struct unfolding u = {
		.root = root, .lists = lists, .u = ret, .m = m, .bound = params != NULL};

	*ret = (struct unfolded){0};
	for (int phase = 0; phase < 3; phase++) {
		const json_t *list = json_object_get(root, key[phase]);
		_cleanup_(freep) char *p = pointer_key("", key[phase]);
		const struct place at = {NULL, (enum step_phase)phase, false, NULL};

		if (list && !json_is_array(list))
			mistakes_add(m, p, "'%s' must be a list of steps", key[phase]);
		u.full = false;
		entries(&u, list, p, &at);
	}
	join_teardown(&u);
	json_decref(lists);
}

void unfolded_done(struct unfolded *u)
{
	for (int phase = 0; phase < 3; phase++) {
		for (size_t i = 0; i < u->steps[phase]; i++)
			free(u->step[phase][i].pointer);
		free(u->step[phase]);
	}
	frames_free(u->frames);
	*u = (struct unfolded){0};
}
