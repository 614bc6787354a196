/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl apply: artifacts and recipes, over the API of the daemon.
 */
#include <libgen.h>
#include <sys/stat.h>

#include "base/util.h"
#include "base/yaml.h"
#include "cli/apply.h"
#include "cli/bench.h"
#include "cli/printable.h"

DEFINE_CLEANUP(struct yaml_doc, yaml_doc_free)
DEFINE_CLEANUP(struct recipe, recipe_unref)

#define LFS_POINTER	  "version https://git-lfs"
#define ARTIFACT_NAME_MAX 200 /* bytes: openapi.yaml, PUT /artifacts/{sha256} */

/* What is in the folder, and what the line has. */
struct sight {
	json_t *artifacts;	/* name -> SHA-256, in the folder */
	json_t *line_artifacts; /* the same, on the line */
	json_t *recipes;	/* "name@version" -> file, in the folder */
};

static void sight_done(struct sight *s)
{
	json_decref(s->artifacts);
	json_decref(s->line_artifacts);
	json_decref(s->recipes);
}

static void files_free(char **files, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(files[i]);
	free(files);
}

static char *name_of(const char *path)
{
	_cleanup_(freep) char *copy = xstrdup(path);

	return xstrdup(basename(copy));
}

/* --- artifacts --- */

static void add_names(void *data, const json_t *items)
{
	json_t *by_name = data;
	const json_t *o, *name;
	size_t i, k;

	json_array_foreach((json_t *)items, i, o)
		json_array_foreach(json_object_get(o, "names"), k, name)
			json_object_set(
				by_name, json_string_value(name), json_object_get(o, "sha256"));
}

static int send_artifact(struct apply_plan *p, const struct apply_row *row, struct err *e)
{
	_cleanup_(freep) char *name = name_of(row->file);
	json_t *o = NULL;
	int r = artifact_send(p->c, row->file, name, row->sha256, &o, e);

	json_decref(o);
	return r != -ERR_VERIFY_MISMATCH
		       ? r
		       : err_set(e, ERR_VERIFY_MISMATCH,
				 "%s changed while it was applied: nothing of it was kept",
				 row->file);
}

/* A clone without git-lfs has these in the place of the files. */
static bool is_pointer(const char *file)
{
	_cleanup_(fclosep) FILE *f = fopen(file, "rbe");
	char head[sizeof LFS_POINTER] = "";

	return f && fread(head, 1, sizeof head - 1, f) == sizeof head - 1 &&
	       !strcmp(head, LFS_POINTER);
}

/* As the daemon would refuse it; NULL: it may be. Owned by the caller. */
static char *refusal_of(const char *file, const char *name)
{
	struct stat st;

	if (stat(file, &st) == 0 && st.st_size == 0)
		return xasprintf("%s is empty", file);
	if (!is_utf8(name, strlen(name)))
		return xstrdup("its name is not UTF-8: rename it");
	if (strlen(name) > ARTIFACT_NAME_MAX)
		return xasprintf("its name has %zu bytes, at most %d bytes expected: rename it",
			strlen(name), ARTIFACT_NAME_MAX);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return xstrdup("its name holds a control character: rename it");
	return is_pointer(file)
		       ? xasprintf("%s is a pointer of git-lfs: git lfs pull brings the file", file)
		       : NULL;
}

/* As the routes of artifacts and recipes have them (docs/integrator.md). */
static const char *const who_order[] = {"supervisor", "engineer", "mes", "admin", NULL};
static const char *const who_release[] = {"supervisor", "engineer", "admin", NULL};
static const char *const who_write[] = {"engineer", "admin", NULL};

static int look_artifact(struct apply_plan *p, struct sight *s, const char *file, struct err *e)
{
	_cleanup_(freep) char *name = name_of(file);
	const char *before = json_string_value(json_object_get(s->line_artifacts, name));
	struct apply_row row = {.why = refusal_of(file, name)};
	_cleanup_(freep) char *shown = printable(name);
	char *sha = row.sha256;
	int r = sha256_file(file, sha, e);

	if (r < 0) {
		free(row.why);
		return r;
	}
	row.what = xasprintf("artifact %s", shown);
	row.file = xstrdup(file);
	json_object_set_new(s->artifacts, name, json_string(sha));
	if (row.why) {
		row.verdict = APPLY_REFUSED;
	} else if (!before) {
		row.verdict = APPLY_ADD;
		row.why = xasprintf("SHA-256 %.16s", sha);
	} else if (strcmp(before, sha) != 0) {
		row.verdict = APPLY_CHANGE;
		row.why = xasprintf("SHA-256 %.16s on the line, %.16s here", before, sha);
	}
	if (row.verdict == APPLY_ADD || row.verdict == APPLY_CHANGE)
		row.act = send_artifact;
	row.roles = who_order;
	apply_plan_add(p, row);
	return 0;
}

static int look_artifacts(struct apply_plan *p, struct sight *s, struct err *e)
{
	static const char *const any[] = {"", NULL};
	char **files;
	size_t n;
	int r = apply_files(p, "artifacts", any, &files, &n, e);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = look_artifact(p, s, files[i], e);
	files_free(files, n);
	return r;
}

/* --- recipes --- */

/* The digest of a recipe as people wrote it; "" where this provctl does not take it. */
static void digest_of_source(const char *source, char ret[SHA256_HEX])
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
	_cleanup_(recipe_unrefp) struct recipe *recipe = NULL;
	struct mistakes m = {0};
	struct err e;

	ret[0] = '\0';
	if (source && yaml_parse("recipe", source, strlen(source), &doc, &e) == 0 &&
		recipe_check(doc->root, &m, &recipe, &e) == 0)
		snprintf(ret, SHA256_HEX, "%s", recipe->sha256);
	mistakes_done(&m);
}

static bool is_of_plan(const struct apply_row *row, const json_t *line)
{
	char sha[SHA256_HEX];

	digest_of_source(json_string_value(json_object_get(line, "source")), sha);
	return !strcmp(sha, row->sha256);
}

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

static char *path_of(const char *name, json_int_t version, const char *more)
{
	_cleanup_(freep) char *segment = url_segment(name);

	return xasprintf("/api/v1/recipes/%s/versions/%lld%s", segment, (long long)version, more);
}

/* The name of the first artifact of an approved recipe whose content is another in the folder; NULL: none. */
static const char *other_artifact(
	const struct sight *s, const struct recipe *recipe, const json_t *approved)
{
	json_t *named = json_object_get(recipe->json, "artifacts");
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
static void compare_final(const struct sight *s, struct apply_row *row, const struct recipe *recipe,
	const json_t *line, const char *state, bool same)
{
	const char *other = other_artifact(s, recipe, json_object_get(line, "recipe"));

	row->verdict = APPLY_REFUSED;
	if (!same)
		row->why = xasprintf(
			"it is %s and differs: a change is version %u", state, recipe->version + 1);
	else if (!strcmp(state, "retired"))
		row->why = xasprintf("it is retired on the line: remove %s", row->file);
	else if (other)
		row->why = xasprintf(
			"it is approved with another %s than that of the folder: a change is version %u",
			other, recipe->version + 1);
	else
		row->verdict = APPLY_SAME;
}

/* *ret_approve: it is a draft when the row is carried out. */
static void compare(const struct sight *s, struct apply_row *row, const struct recipe *recipe,
	const json_t *line, bool *ret_approve)
{
	const char *state = json_string_value(json_object_get(line, "state"));
	const char *source = json_string_value(json_object_get(line, "source"));
	char sha[SHA256_HEX];
	bool same;

	*ret_approve = true;
	if (!line) {
		row->verdict = APPLY_ADD;
		row->why = xstrdup("a draft");
		row->act = put_recipe;
		return;
	}
	digest_of_source(source, sha);
	same = !strcmp(sha, recipe->sha256);
	if (!same && source)
		row->before = xstrdup(source);
	if (state && strcmp(state, "draft") != 0) {
		*ret_approve = false;
		compare_final(s, row, recipe, line, state, same);
	} else if (!same) {
		row->verdict = APPLY_CHANGE;
		row->why = xstrdup("the draft");
		row->act = put_recipe;
	}
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

static int on_the_line(struct apply_plan *p, const char *path, json_t **ret, struct err *e)
{
	int r = api_get(p->c, path, ret, e);

	return r == -ERR_NOT_FOUND ? 0 : r;
}

static int add_recipe(struct apply_plan *p, const struct sight *s, const char *file,
	const struct recipe *recipe, struct err *e)
{
	struct apply_row row = {.what = xasprintf("recipe %s@%u", recipe->name, recipe->version),
		.file = xstrdup(file),
		.to = path_of(recipe->name, recipe->version, ""),
		.roles = who_write};
	json_t *line = NULL;
	bool draft = false;
	int r = on_the_line(p, row.to, &line, e);

	if (r == 0)
		compare(s, &row, recipe, line, &draft);
	if (r == 0 && row.act)
		r = check_there(p, file, e);
	json_decref(line);
	snprintf(row.sha256, sizeof row.sha256, "%s", recipe->sha256);
	apply_plan_add(p, row);
	if (r == 0 && draft && p->approve) {
		struct apply_row then = {.verdict = APPLY_CHANGE,
			.what = xstrdup(row.what),
			.why = xstrdup("approved"),
			.to = xstrdup(row.to),
			.act = approve,
			.roles = who_release};

		snprintf(then.sha256, sizeof then.sha256, "%s", recipe->sha256);
		apply_plan_add(p, then);
	}
	return r;
}

static int look_recipe(struct apply_plan *p, struct sight *s, const char *file, struct err *e)
{
	_cleanup_(recipe_unrefp) struct recipe *recipe = recipe_of_line(p->c, file);
	_cleanup_(freep) char *key = NULL;
	const char *other;

	if (!recipe)
		return err_set(e, ERR_RECIPE_INVALID, "%s has mistakes: nothing was changed", file);
	key = xasprintf("%s@%u", recipe->name, recipe->version);
	other = json_string_value(json_object_get(s->recipes, key));
	if (other)
		return err_set(e, ERR_INVALID, "%s and %s are both recipe %s: nothing was changed",
			other, file, key);
	json_object_set_new(s->recipes, key, json_string(file));
	/* Its digest covers its parts, which the line has to have first: the order of files is not theirs. */
	if (json_object_get(recipe->json, "parts")) {
		apply_plan_add(p,
			(struct apply_row){.verdict = APPLY_REFUSED,
				.what = xasprintf("recipe %s", key),
				.why = xstrdup(
					"it uses other recipes: take it out of the folder, and give it by provctl recipe put and approve, after its parts"),
				.file = xstrdup(file)});
		return 0;
	}
	return add_recipe(p, s, file, recipe, e);
}

/* One that the line has and the folder does not. */
static void add_drift(struct apply_plan *p, const json_t *o)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	const char *state = json_string_value(json_object_get(o, "state"));
	json_int_t version = json_integer_value(json_object_get(o, "version"));
	bool draft = !strcmp(state, "draft");

	apply_plan_add(p, (struct apply_row){.verdict = p->prune ? APPLY_REMOVE : APPLY_DRIFT,
				  .what = xasprintf("recipe %s@%lld", name, (long long)version),
				  .why = xasprintf("%s on the line, not in the folder%s",
					  draft ? "a draft" : "approved",
					  !p->prune ? ""
					  : draft   ? ": deleted"
						    : ": retired"),
				  .to = path_of(name, version, draft ? "" : "/actions/retire"),
				  .act = !p->prune ? NULL
					 : draft   ? delete
						   : post,
				  .roles = draft ? who_write : who_release});
}

static int look_drift(struct apply_plan *p, const struct sight *s, struct err *e)
{
	json_t *all = NULL;
	const json_t *o;
	size_t i;
	int r = api_get(p->c, "/api/v1/recipes", &all, e);

	json_array_foreach(json_object_get(all, "items"), i, o) {
		_cleanup_(freep) char *name = json_text(o, "name");
		_cleanup_(freep) char *state = json_text(o, "state");
		_cleanup_(freep) char *key = xasprintf("%s@%lld", name,
			(long long)json_integer_value(json_object_get(o, "version")));

		if (strcmp(state, "retired") != 0 && !json_object_get(s->recipes, key))
			add_drift(p, o);
	}
	json_decref(all);
	return r;
}

static int look_recipes(struct apply_plan *p, struct sight *s, struct err *e)
{
	static const char *const yaml[] = {".yaml", ".yml", NULL};
	char **files;
	size_t n;
	int r = apply_files(p, "recipes", yaml, &files, &n, e);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = look_recipe(p, s, files[i], e);
	files_free(files, n);
	return r == 0 && n > 0 ? look_drift(p, s, e) : r;
}

int apply_look_line(struct apply_plan *p, struct err *e)
{
	_cleanup_(sight_done) struct sight s = {json_object(), json_object(), json_object()};
	int r;

	if (ctl_each_page(p->c, "/api/v1/artifacts", "", add_names, s.line_artifacts) != 0)
		return err_set(
			e, ERR_IO, "the artifacts of the line are not known: nothing was changed");
	r = look_artifacts(p, &s, e);
	return r < 0 ? r : look_recipes(p, &s, e);
}
