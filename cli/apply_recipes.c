/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl apply: recipes, over the API of the daemon. A recipe comes after those that it uses: what the line has of it holds
 * them as they are (docs/decisions/0022-loops-and-parts-are-plain-steps.md).
 */
#include "base/util.h"
#include "base/yaml.h"
#include "cli/apply.h"
#include "cli/bench.h"
#include "daemon/recipe/head.h"
#include "daemon/recipe/parts.h"

DEFINE_CLEANUP(struct yaml_doc, yaml_doc_free)
DEFINE_CLEANUP(struct recipe, recipe_unref)

/* As the routes of recipes have them (docs/integrator.md). */
static const char *const who_release[] = {"supervisor", "engineer", "admin", NULL};
static const char *const who_write[] = {"engineer", "admin", NULL};

/* A recipe of the folder. */
struct own {
	const char *file;
	char *key; /* NAME@VERSION */
	struct yaml_doc *doc;
	enum { NOT_YET, OPEN, LOOKED_AT } mark;
	json_t *here;		 /* with its parts */
	char sha256[SHA256_HEX]; /* of what is written, without them */
	bool moves;		 /* the line will have it otherwise than now */
};

/* What is in the folder, and what the line has. */
struct sight {
	struct apply_plan *p;
	const json_t *artifacts; /* name -> SHA-256, in the folder */
	struct own *own;
	size_t owns;
	json_t *line; /* NAME@VERSION -> that version, as the API has it; null: it has none */
};

static void sight_done(struct sight *s)
{
	for (size_t i = 0; i < s->owns; i++) {
		free(s->own[i].key);
		yaml_doc_free(s->own[i].doc);
		json_decref(s->own[i].here);
	}
	free(s->own);
	json_decref(s->line);
}

static struct own *own_of(const struct sight *s, const char *key)
{
	for (size_t i = 0; i < s->owns; i++)
		if (!strcmp(s->own[i].key, key))
			return &s->own[i];
	return NULL;
}

static char *key_of(const char *name, json_int_t version)
{
	return xasprintf("%s@%lld", name, (long long)version);
}

static char *path_of(const char *name, json_int_t version, const char *more)
{
	_cleanup_(freep) char *segment = url_segment(name);

	return xasprintf("/api/v1/recipes/%s/versions/%lld%s", segment, (long long)version, more);
}

/* *ret: borrowed; NULL: the line has none. Asked once. */
static int on_the_line(
	struct sight *s, const char *name, int64_t version, const json_t **ret, struct err *e)
{
	_cleanup_(freep) char *key = key_of(name, version);
	_cleanup_(freep) char *path = path_of(name, version, "");
	json_t *o = json_object_get(s->line, key);
	int r;

	if (!o) {
		r = api_get(s->p->c, path, &o, e);
		if (r < 0 && r != -ERR_NOT_FOUND)
			return r;
		json_object_set_new(s->line, key, o ? o : json_null());
	}
	*ret = json_is_null(o) ? NULL : o;
	return 0;
}

/* --- what is written --- */

/* Its digest as people wrote it, without the parts that the line adds. */
static void digest_of(const json_t *root, char ret[SHA256_HEX])
{
	_cleanup_(freep) char *text = recipe_canonical(root);

	sha256_hex_of(text, strlen(text), ret);
}

/* "" where it is not YAML, or nothing was written: a draft that came as JSON. */
static void digest_of_source(const char *source, char ret[SHA256_HEX])
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
	struct err e;

	ret[0] = '\0';
	if (source && yaml_parse("recipe", source, strlen(source), &doc, &e) == 0)
		digest_of(doc->root, ret);
}

static bool is_of_plan(const struct apply_row *row, const json_t *line)
{
	char sha[SHA256_HEX];

	digest_of_source(json_string_value(json_object_get(line, "source")), sha);
	return !strcmp(sha, row->sha256);
}

/* --- what is carried out --- */

static int put_recipe(struct apply_plan *p, const struct apply_row *row, struct err *e)
{
	json_t *o = NULL;
	int r = api_send_file(p->c, "PUT", row->to, "application/yaml", row->file, &o, e);

	if (r == 0 && !is_of_plan(row, o))
		r = err_set(e, ERR_CONFLICT,
			"%s changed while it was applied, and the draft has what it held then: apply again",
			row->file);
	json_decref(o);
	return r;
}

/* What is approved is what was in the plan, whoever put a draft since. */
static int approve(struct apply_plan *p, const struct apply_row *row, struct err *e)
{
	_cleanup_(freep) char *action = xasprintf("%s/actions/approve", row->to);
	json_t *o = NULL;
	int r = api_get(p->c, row->to, &o, e);

	if (r == 0 && !is_of_plan(row, o))
		r = err_set(e, ERR_CONFLICT,
			"the draft was changed since the plan was made, and is not approved: apply again");
	json_decref(o);
	o = NULL;
	if (r == 0)
		r = api_post(p->c, action, NULL, &o, e);
	json_decref(o);
	return r;
}

static int post(struct apply_plan *p, const struct apply_row *row, struct err *e)
{
	json_t *o = NULL;
	int r = api_post(p->c, row->to, NULL, &o, e);

	json_decref(o);
	return r;
}

static int delete (struct apply_plan *p, const struct apply_row *row, struct err *e)
{
	json_t *o = NULL;
	int r = api_delete(p->c, row->to, &o, e);

	json_decref(o);
	return r;
}

/* --- parts --- */

/* As the folder has it; else as the line does. */
static int find_part(void *data, const char *name, int64_t version, json_t **ret, struct err *e)
{
	struct sight *s = data;
	_cleanup_(freep) char *key = key_of(name, version);
	const struct own *own = own_of(s, key);
	const json_t *line;
	int r;

	if (own) {
		*ret = json_incref(own->here);
		return 0;
	}
	r = on_the_line(s, name, version, &line, e);
	if (r < 0)
		return r;
	if (!line)
		return err_set(e, ERR_NOT_FOUND,
			"there is no part '%s' in the folder or on the line", key);
	*ret = json_incref(json_object_get(line, "recipe"));
	return 0;
}

/* Why what the line has of a recipe holds another part than it will have; NULL: the same. Owned by the caller. */
static char *part_differs(struct sight *s, const char *key, const json_t *recipe_on_line)
{
	const struct own *own = own_of(s, key);
	const json_t *held = json_object_get(json_object_get(recipe_on_line, "parts"), key);
	const json_t *now = json_object_get(json_object_get(s->line, key), "recipe");

	if (own && own->moves)
		return xasprintf("the draft: its part %s changes", key);
	return now && !json_equal((json_t *)held, (json_t *)now)
		       ? xasprintf("the draft: its part %s is another since", key)
		       : NULL;
}

/* The first of its parts that makes a draft to be put again. */
static char *parts_differ(struct sight *s, const struct own *own, const json_t *recipe_on_line)
{
	json_t *uses = parts_list(own->doc->root), *use;
	char *why = NULL;
	size_t i;

	json_array_foreach(uses, i, use)
		if (!why)
			why = part_differs(s, json_string_value(use), recipe_on_line);
	json_decref(uses);
	return why;
}

/* A part that the folder lacks, and that is not approved: it would never be. Borrowed from uses. */
static const char *part_not_approved(const struct sight *s, const json_t *uses)
{
	json_t *use;
	size_t i;

	json_array_foreach((json_t *)uses, i, use) {
		const char *key = json_string_value(use);
		const char *state =
			json_string_value(json_object_get(json_object_get(s->line, key), "state"));

		if (!own_of(s, key) && state && strcmp(state, "approved") != 0)
			return key;
	}
	return NULL;
}

/* --- the plan --- */

/* The name of the first artifact of an approved recipe whose content is another in the folder; NULL: none. */
static const char *other_artifact(
	const struct sight *s, const struct own *own, const json_t *approved)
{
	json_t *named = json_object_get(own->here, "artifacts");
	const json_t *fixed = json_object_get(approved, "artifacts");
	const char *key;
	json_t *v;

	json_object_foreach(named, key, v) {
		const json_t *here = json_object_get(s->artifacts, json_string_value(v));

		if (here && !json_equal((json_t *)here, json_object_get(fixed, key)))
			return json_string_value(v);
	}
	return NULL;
}

/* An approved or retired version never changes again. */
static void compare_final(const struct sight *s, struct apply_row *row, const struct own *own,
	const json_t *line, const char *state, bool same)
{
	const char *other = other_artifact(s, own, json_object_get(line, "recipe"));
	long long next = json_integer_value(json_object_get(own->here, "version")) + 1;

	row->verdict = APPLY_REFUSED;
	if (!same)
		row->why = xasprintf("it is %s and differs: a change is version %lld", state, next);
	else if (!strcmp(state, "retired"))
		row->why = xasprintf("it is retired on the line: remove %s", row->file);
	else if (other)
		row->why = xasprintf(
			"it is approved with another %s than that of the folder: a change is version %lld",
			other, next);
	else
		row->verdict = APPLY_SAME;
}

static void compare_draft(struct sight *s, struct apply_row *row, const struct own *own,
	const json_t *line, bool same)
{
	row->why =
		same ? parts_differ(s, own, json_object_get(line, "recipe")) : xstrdup("the draft");
	if (!row->why)
		return;
	row->verdict = APPLY_CHANGE;
	row->act = put_recipe;
}

/* *ret_draft: it is a draft when the row is carried out. */
static void compare(struct sight *s, struct apply_row *row, const struct own *own,
	const json_t *line, bool *ret_draft)
{
	const char *state = json_string_value(json_object_get(line, "state"));
	const char *source = json_string_value(json_object_get(line, "source"));
	char sha[SHA256_HEX];
	bool same;

	*ret_draft = !state || !strcmp(state, "draft");
	if (!line) {
		row->verdict = APPLY_ADD;
		row->why = xstrdup("a draft");
		row->act = put_recipe;
		return;
	}
	digest_of_source(source, sha);
	same = !strcmp(sha, own->sha256);
	if (!same && source)
		row->before = xstrdup(source);
	if (*ret_draft)
		compare_draft(s, row, own, line, same);
	else
		compare_final(s, row, own, line, state, same);
}

/* As the daemon reads it, which may be of another version than provctl. */
static int check_there(struct apply_plan *p, const char *file, struct err *e)
{
	json_t *o = NULL;
	int r = api_send_file(
		p->c, "POST", "/api/v1/recipes/check", "application/yaml", file, &o, e);

	json_decref(o);
	return r;
}

/* It can only be checked there once the line has its parts. */
static bool parts_are_there(const struct sight *s, const json_t *uses)
{
	json_t *use;
	size_t i;

	json_array_foreach((json_t *)uses, i, use) {
		const struct own *own = own_of(s, json_string_value(use));

		if (own && own->moves)
			return false;
	}
	return true;
}

static void add_approval(struct sight *s, const struct own *own, const struct apply_row *of)
{
	struct apply_row row = {.verdict = APPLY_CHANGE,
		.what = xstrdup(of->what),
		.why = xstrdup("approved"),
		.to = xstrdup(of->to),
		.act = approve,
		.roles = who_release};

	snprintf(row.sha256, sizeof row.sha256, "%s", own->sha256);
	apply_plan_add(s->p, row);
}

static int add_recipe(struct sight *s, struct own *own, const struct recipe *recipe,
	const json_t *uses, struct err *e)
{
	struct apply_row row = {.what = xasprintf("recipe %s", own->key),
		.file = xstrdup(own->file),
		.to = path_of(recipe->name, recipe->version, ""),
		.roles = who_write};
	const char *not_approved = s->p->approve ? part_not_approved(s, uses) : NULL;
	const json_t *line = NULL;
	bool draft = false;
	int r = on_the_line(s, recipe->name, recipe->version, &line, e);

	if (r == 0)
		compare(s, &row, own, line, &draft);
	if (r == 0 && row.act && parts_are_there(s, uses))
		r = check_there(s->p, own->file, e);
	if (draft && not_approved) {
		free(row.why);
		row.why = xasprintf(
			"its part %s is not approved on the line, and not in the folder: approve it first",
			not_approved);
		row.verdict = APPLY_REFUSED;
		row.act = NULL;
	}
	draft = draft && s->p->approve && !not_approved;
	own->moves = row.act || draft;
	snprintf(row.sha256, sizeof row.sha256, "%s", own->sha256);
	apply_plan_add(s->p, row);
	if (r == 0 && draft)
		add_approval(s, own, &s->p->row[s->p->rows - 1]);
	return r;
}

static int look_recipe(struct sight *s, struct own *own, struct err *e);

/* Those of the folder that it uses come first. */
static int look_parts(struct sight *s, const struct own *own, const json_t *uses, struct err *e)
{
	json_t *use;
	size_t i;
	int r = 0;

	json_array_foreach((json_t *)uses, i, use) {
		struct own *part = own_of(s, json_string_value(use));

		if (part && part->mark == OPEN)
			return err_set(e, ERR_RECIPE_INVALID,
				"%s uses %s, which uses it or itself, directly or by others: nothing was changed",
				own->file, part->key);
		if (r == 0 && part && part->mark == NOT_YET)
			r = look_recipe(s, part, e);
	}
	return r;
}

static int look_recipe(struct sight *s, struct own *own, struct err *e)
{
	const struct part_source source = {find_part, s};
	_cleanup_(recipe_unrefp) struct recipe *recipe = NULL;
	json_t *uses = parts_list(own->doc->root);
	int r;

	own->mark = OPEN;
	r = look_parts(s, own, uses, e);
	if (r == 0) {
		recipe = recipe_of_line(s->p->c, own->file, &source);
		if (!recipe)
			r = err_set(e, ERR_RECIPE_INVALID, "%s has mistakes: nothing was changed",
				own->file);
	}
	if (r == 0) {
		own->here = json_incref(recipe->json);
		r = add_recipe(s, own, recipe, uses, e);
	}
	own->mark = LOOKED_AT;
	json_decref(uses);
	return r;
}

/* Its name and version as they are written; the check says what is wrong with them. */
static int read_own(struct sight *s, const char *file, struct err *e)
{
	struct own *own = &s->own[s->owns];
	const struct own *other;
	const char *name;
	int r = yaml_load(file, &own->doc, e);

	if (r < 0)
		return r;
	own->file = file;
	name = json_string_value(json_object_get(own->doc->root, "recipe"));
	own->key = key_of(
		name ? name : "", json_integer_value(json_object_get(own->doc->root, "version")));
	digest_of(own->doc->root, own->sha256);
	other = own_of(s, own->key);
	s->owns++;
	return !other || !name ? 0
			       : err_set(e, ERR_INVALID,
					 "%s and %s are both recipe %s: nothing was changed",
					 other->file, file, own->key);
}

/* --- what the line alone has --- */

/* The key of a recipe of the folder that uses it; NULL: none. */
static const char *user_of(const struct sight *s, const char *key)
{
	for (size_t i = 0; i < s->owns; i++)
		if (json_object_get(json_object_get(s->own[i].here, "parts"), key))
			return s->own[i].key;
	return NULL;
}

static void add_drift(struct sight *s, const char *key, const json_t *o)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	const char *state = json_string_value(json_object_get(o, "state"));
	json_int_t version = json_integer_value(json_object_get(o, "version"));
	const char *user = user_of(s, key);
	bool draft = !strcmp(state, "draft"), prune = s->p->prune && !user;

	apply_plan_add(s->p, (struct apply_row){.verdict = prune ? APPLY_REMOVE : APPLY_DRIFT,
				     .what = xasprintf("recipe %s", key),
				     .why = xasprintf("%s on the line, not in the folder%s%s",
					     draft ? "a draft" : "approved",
					     user     ? ", and used by "
					     : !prune ? ""
					     : draft  ? ": deleted"
						      : ": retired",
					     user ? user : ""),
				     .to = path_of(name, version, draft ? "" : "/actions/retire"),
				     .act = !prune  ? NULL
					    : draft ? delete
						    : post,
				     .roles = draft ? who_write : who_release});
}

static int look_drift(struct sight *s, struct err *e)
{
	json_t *all = NULL;
	const json_t *o;
	size_t i;
	int r = api_get(s->p->c, "/api/v1/recipes", &all, e);

	json_array_foreach(json_object_get(all, "items"), i, o) {
		_cleanup_(freep) char *name = json_text(o, "name");
		_cleanup_(freep) char *state = json_text(o, "state");
		_cleanup_(freep) char *key =
			key_of(name, json_integer_value(json_object_get(o, "version")));

		if (strcmp(state, "retired") != 0 && !own_of(s, key))
			add_drift(s, key, o);
	}
	json_decref(all);
	return r;
}

int apply_look_recipes(struct apply_plan *p, const json_t *artifacts, struct err *e)
{
	static const char *const yaml[] = {".yaml", ".yml", NULL};
	_cleanup_(sight_done) struct sight s = {
		.p = p, .artifacts = artifacts, .line = json_object()};
	char **files;
	size_t n;
	int r = apply_files(p, "recipes", yaml, &files, &n, e);

	s.own = xcalloc(n + 1, sizeof *s.own);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = read_own(&s, files[i], e);
	for (size_t i = 0; r == 0 && i < s.owns; i++)
		if (s.own[i].mark == NOT_YET)
			r = look_recipe(&s, &s.own[i], e);
	if (r == 0 && n > 0)
		r = look_drift(&s, e);
	apply_files_free(files, n);
	return r;
}
