/* SPDX-License-Identifier: Apache-2.0
 *
 * /recipes: draft -> approved -> retired. A draft is put as YAML or JSON and may be put again;
 * approving resolves its artifacts to digests, so that the recipe's own digest covers the firmware,
 * and fixes it for good.
 */
#include <strings.h>

#include "api/route.h"
#include "base/util.h"
#include "daemon/recipe/head.h"
#include "daemon/recipe/parts.h"
#include "daemon/recipe/recipe.h"
#include "db/artifacts.h"
#include "db/recipes.h"

DEFINE_CLEANUP(struct recipe, recipe_unref)
DEFINE_CLEANUP(struct yaml_doc, yaml_doc_free)

static int version_param(const struct call *c, int64_t *ret, struct err *e)
{
	const char *s = request_param(c->rq, "version");
	unsigned long long v;

	if (!parse_size(s, &v) || v < 1 || v > 1000000000 || strpbrk(s, "xKMG"))
		return err_set(e, ERR_NOT_FOUND, "'%s' is not a version", s);
	*ret = (int64_t)v;
	return 0;
}

static int read_recipes(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	const char *name = request_param(c->rq, "name");

	return recipes_list(d, name ? name : request_query(c->rq, "name"),
		request_query(c->rq, "state"), ret, e);
}

static int get_recipes(struct call *c, struct err *e)
{
	return api_answer_all(c, read_recipes, e);
}

static int read_version(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	int64_t version = 0;
	int r = version_param(c, &version, e);

	return r < 0 ? r : recipes_get(d, request_param(c->rq, "name"), version, ret, e);
}

static int get_recipe(struct call *c, struct err *e)
{
	return api_answer_one(c, read_version, e);
}

/* --- parts --- */

struct part_reader {
	struct call *c;
	struct db *d;
	bool approved; /* what is approved is made of what is */
};

static int not_there(const char *name, int64_t version, struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "there is no recipe '%s@%lld': put it first", name,
		(long long)version);
}

static int find_part(void *data, const char *name, int64_t version, json_t **ret, struct err *e)
{
	struct part_reader *p = data;
	struct recipe_row row = {0};
	int r;

	/* A token that may not read it does not learn that it is there. */
	if (!scope_has(p->c->who->scopes, "recipes", name))
		return not_there(name, version, e);
	r = recipes_find(p->d, name, version, &row, e);
	if (r == -ERR_NOT_FOUND)
		return not_there(name, version, e);
	if (r < 0)
		return r;
	*ret = json_loads(row.json, 0, NULL);
	if (!*ret)
		r = err_set(e, ERR_DATABASE, "recipe %s is not stored as JSON", name);
	else if (!strcmp(row.state, "retired") || (p->approved && strcmp(row.state, "approved")))
		r = err_set(e, ERR_CONFLICT, "the part '%s@%lld' is %s: an approved one expected",
			name, (long long)version,
			!strcmp(row.state, "draft") ? "a draft" : row.state);
	recipe_row_done(&row);
	if (r < 0) {
		json_decref(*ret);
		*ret = NULL;
	}
	return r;
}

/* Where in the text of the part it is; its upload has no line of it. */
static void place_in_part(struct db *d, json_t *error)
{
	const char *pointer = json_string_value(json_object_get(error, "pointer"));
	const char *detail = json_string_value(json_object_get(error, "detail"));
	const char *rest;
	_cleanup_(freep) char *part = part_of_pointer(pointer, &rest);
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
	const struct yaml_place *at;
	char name[RECIPE_NAME_BYTES];
	int64_t version;
	json_t *row = NULL;
	const char *source;

	if (!part)
		return;
	json_object_del(error, "line");
	json_object_del(error, "column");
	if (!part_name(part, name, &version) || recipes_get(d, name, version, &row, NULL) < 0)
		return;
	source = json_string_value(json_object_get(row, "source"));
	if (source && yaml_parse(part, source, strlen(source), &doc, NULL) == 0) {
		at = yaml_where(doc, rest);
		json_object_set_new(error, "detail",
			json_sprintf("%s:%u:%u: %s", part, at->line, at->column, detail));
	}
	json_decref(row);
}

/* root with its parts, checked. */
static int check_linked(struct call *c, struct db *d, const struct yaml_doc *doc, json_t *root,
	struct recipe **ret, struct err *e)
{
	struct part_reader reader = {.c = c, .d = d};
	const struct part_source source = {find_part, &reader};
	struct mistakes m = {0};
	json_t *error;
	size_t i;
	int r = parts_check(root, &source, false, &m, ret, e);

	if (r < 0)
		c->problem_errors = mistakes_json(&m, doc);
	json_array_foreach(c->problem_errors, i, error)
		place_in_part(d, error);
	mistakes_done(&m);
	return r;
}

/* The body as a recipe, YAML or JSON; mistakes become the problem's errors. */
static int read_recipe(struct call *c, struct recipe **ret, struct err *e)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
	json_t *root = c->body;
	struct db *d;
	int r;

	if (!root) {
		r = yaml_parse("recipe", (const char *)c->rq->body, c->rq->body_len, &doc, e);
		if (r < 0)
			return r;
		root = doc->root;
	}
	d = readers_take(c->api->readers, e);
	if (!d)
		return -(int)e->code;
	r = check_linked(c, d, doc, root, ret, e);
	readers_give(c->api->readers, d);
	return r;
}

/* Its name, and the pools that it draws from. */
static int check_scope(struct call *c, const struct recipe *recipe, struct err *e)
{
	struct mistakes m = {0};
	const char *pool;

	if (!scope_has(c->who->scopes, "recipes", recipe->name))
		mistakes_add(&m, "/name", "recipe '%s' is outside of what this token may name",
			recipe->name);
	if (!scope_has_pools_of(c->who->scopes, recipe->json, &pool))
		mistakes_add(&m, "",
			"the recipe draws from the pool '%s', which is outside of what this token may name",
			pool);
	return api_outside(c, &m, e);
}

struct put {
	struct recipe_text text;
	const char *by;
	bool created;
};

static int apply_put(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct put *p = data;
	int r = recipes_put_draft(tx, &p->text, p->by, &p->created, e);

	return r < 0 ? r : recipes_get(tx, p->text.name, p->text.version, ret, e);
}

static int put_recipe(struct call *c, struct err *e)
{
	_cleanup_(recipe_unrefp) struct recipe *recipe = NULL;
	_cleanup_(freep) char *json = NULL;
	struct put p = {.by = c->who->name};
	struct change ch = {.apply = apply_put, .data = &p, .status = 200, .audit = "recipe.put"};
	int64_t version = 0;
	int r = version_param(c, &version, e);

	if (r == 0)
		r = read_recipe(c, &recipe, e);
	if (r == 0)
		r = check_scope(c, recipe, e);
	if (r < 0)
		return r;
	if (strcmp(recipe->name, request_param(c->rq, "name")) != 0 || recipe->version != version)
		return err_set(e, ERR_INVALID,
			"the recipe says %s version %u, the path %s version %lld", recipe->name,
			recipe->version, request_param(c->rq, "name"), (long long)version);
	json = recipe_canonical(recipe->json);
	p.text = (struct recipe_text){
		recipe->name, recipe->version, recipe->sha256, json, (const char *)c->rq->body};
	ch.target = recipe->name;
	r = api_change(c, &ch, e);
	if (r == 0 && p.created)
		c->rs->status = 201;
	return r;
}

/* POST /recipes: the path is in the recipe. */
static int post_recipe(struct call *c, struct err *e)
{
	_cleanup_(recipe_unrefp) struct recipe *recipe = NULL;
	_cleanup_(freep) char *json = NULL;
	_cleanup_(freep) char *location = NULL;
	struct put p = {.by = c->who->name};
	struct change ch = {.apply = apply_put, .data = &p, .status = 201, .audit = "recipe.put"};
	int r = read_recipe(c, &recipe, e);

	if (r == 0)
		r = check_scope(c, recipe, e);
	if (r < 0)
		return r;
	json = recipe_canonical(recipe->json);
	p.text = (struct recipe_text){
		recipe->name, recipe->version, recipe->sha256, json, (const char *)c->rq->body};
	location = xasprintf("/api/v1/recipes/%%s/versions/%u", recipe->version);
	ch.location = location;
	ch.location_key = "name";
	ch.target = recipe->name;
	return api_change(c, &ch, e);
}

static int post_check(struct call *c, struct err *e)
{
	_cleanup_(recipe_unrefp) struct recipe *recipe = NULL;
	int r = read_recipe(c, &recipe, e);

	if (r < 0)
		return r;
	response_json(c->rs, 200,
		json_pack("{s:s, s:i, s:s, s:i}", "name", recipe->name, "version",
			(int)recipe->version, "sha256", recipe->sha256, "steps",
			(int)recipe_step_count(recipe)));
	return 0;
}

struct state_change {
	const char *name;
	int64_t version;
	const char *by;
	bool second_person; /* its author may not approve it */
	struct call *c;
	/* approve: the recipe with its artifacts resolved */
	struct recipe_text text;
	char draft_sha256[SHA256_HEX];
};

static int apply_approve(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct state_change *s = data;
	int r = s->second_person ? recipes_check_second(tx, s->name, s->version, s->by, e) : 0;

	if (r == 0)
		r = recipes_approve(tx, &s->text, s->draft_sha256, s->by, e);

	return r < 0 ? r : recipes_get(tx, s->name, s->version, ret, e);
}

static int apply_retire(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct state_change *s = data;
	int r = recipes_retire(tx, s->name, s->version, s->by, e);

	return r < 0 ? r : recipes_get(tx, s->name, s->version, ret, e);
}

/* Replaces each artifact by its digest; every one that is not there is named. */
static int resolve_artifacts(struct call *c, struct db *d, json_t *root, struct err *e)
{
	json_t *artifacts = json_object_get(root, "artifacts");
	json_t *errors = json_array();
	const char *name;
	json_t *v;
	void *next;

	json_object_foreach_safe(artifacts, next, name, v)
	{
		const char *ref = json_string_value(v);
		char sha[SHA256_HEX];
		json_t *found = NULL;
		int r;

		if (is_sha256_hex(ref)) {
			snprintf(sha, sizeof sha, "%s", ref);
			r = artifacts_get(d, ref, &found, e);
			json_decref(found);
		} else {
			r = artifacts_by_name(d, ref, sha, e);
		}
		if (r == 0) {
			json_object_set_new(artifacts, name, json_string(sha));
		} else {
			_cleanup_(freep) char *p = pointer_key("/artifacts", name);

			json_array_append_new(
				errors, json_pack("{s:s, s:s+}", "pointer", p, "detail",
						"there is no artifact ", ref));
		}
	}
	if (json_array_size(errors) == 0) {
		json_decref(errors);
		return 0;
	}
	c->problem_errors = errors;
	return err_set(e, ERR_CONFLICT, "the recipe needs %zu artifact%s that provd does not have",
		json_array_size(errors), json_array_size(errors) == 1 ? "" : "s");
}

/* The draft has its parts as they were when it was put; what is approved has them as they were approved. */
static int check_parts(struct call *c, struct db *d, json_t *root, struct err *e)
{
	struct part_reader reader = {c, d, true};
	const struct part_source source = {find_part, &reader};
	struct mistakes m = {0};
	json_t *linked = NULL;
	int r = parts_used(root) ? parts_link(root, &source, &m, &linked) : 0;

	if (r < 0) {
		c->problem_errors = mistakes_json(&m, NULL);
		r = err_set(e, ERR_CONFLICT,
			"the parts of the draft are not those that are approved (put the draft again once they are): %s",
			m.item[0].text);
	}
	mistakes_done(&m);
	json_decref(linked);
	return r;
}

static int approve(struct call *c, struct db *d, struct state_change *s, struct err *e)
{
	struct recipe_row row = {0};
	_cleanup_(recipe_unrefp) struct recipe *recipe = NULL;
	_cleanup_(freep) char *json = NULL;
	struct change ch = {.apply = apply_approve,
		.data = s,
		.status = 200,
		.audit = "recipe.approve",
		.target = s->name};
	struct mistakes m = {0};
	json_t *root = NULL;
	int r = recipes_find(d, s->name, s->version, &row, e);

	if (r < 0)
		return r;
	snprintf(s->draft_sha256, sizeof s->draft_sha256, "%s", row.sha256);
	root = json_loads(row.json, 0, NULL);
	recipe_row_done(&row);
	r = root ? resolve_artifacts(c, d, root, e)
		 : err_set(e, ERR_DATABASE, "the stored recipe is not JSON");
	if (r == 0)
		r = check_parts(c, d, root, e);
	if (r == 0)
		r = recipe_check(root, &m, &recipe, e);
	mistakes_done(&m);
	json_decref(root);
	if (r == 0)
		r = check_scope(c, recipe, e);
	if (r < 0)
		return r;
	json = recipe_canonical(recipe->json);
	s->text = (struct recipe_text){s->name, s->version, recipe->sha256, json, NULL};
	return api_change(c, &ch, e);
}

static int post_action(struct call *c, struct err *e)
{
	const char *verb = request_param(c->rq, "action");
	struct state_change s = {.name = request_param(c->rq, "name"), .by = c->who->name, .c = c};
	struct change ch = {.apply = apply_retire,
		.data = &s,
		.status = 200,
		.audit = "recipe.retire",
		.target = s.name};
	struct config *config;
	struct db *d;
	int r = version_param(c, &s.version, e);

	if (r < 0)
		return r;
	if (!strcmp(verb, "retire"))
		return api_change(c, &ch, e);
	if (strcmp(verb, "approve") != 0)
		return err_set(e, ERR_NOT_FOUND, "a recipe has no action '%s'", verb);
	config = fleet_config(c->api->fleet);
	s.second_person = config_second_person(config);
	config_unref(config);
	d = readers_take(c->api->readers, e);
	r = d ? approve(c, d, &s, e) : -(int)e->code;
	readers_give(c->api->readers, d);
	return r;
}

static int apply_delete(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct state_change *s = data;
	int r = recipes_delete_draft(tx, s->name, s->version, e);

	*ret = r == 0 ? json_object() : NULL;
	return r;
}

static int delete_recipe(struct call *c, struct err *e)
{
	struct state_change s = {.name = request_param(c->rq, "name")};
	struct change ch = {.apply = apply_delete,
		.data = &s,
		.status = 200,
		.audit = "recipe.delete",
		.target = s.name};
	int r = version_param(c, &s.version, e);

	return r < 0 ? r : api_change(c, &ch, e);
}

#define VERSION "/api/v1/recipes/{name}/versions/{version}"

static const char *const states[] = {"draft", "approved", "retired", NULL};
static const struct query_param query_all[] = {{"name", NULL}, {"state", states}, {0}};
static const struct query_param query_one[] = {{"state", states}, {0}};

const struct route routes_recipes[] = {
	{HTTP_GET, "/api/v1/recipes", MAY_READ, ROUTE_NO_BODY, 0, get_recipes, query_all,
		.scope = SCOPE_RECIPE},
	{HTTP_POST, "/api/v1/recipes", MAY_WRITE, ROUTE_ORDERS | ROUTE_YAML, 1024 * 1024,
		post_recipe, NULL, FORM_OF_HANDLER(recipe_rows), .scope = SCOPE_RECIPE},
	{HTTP_POST, "/api/v1/recipes/check", MAY_READ, ROUTE_WHEN_HELD | ROUTE_YAML, 1024 * 1024,
		post_check, NULL, FORM_OF_HANDLER(recipe_rows), .scope = SCOPE_OPEN},
	{HTTP_GET, "/api/v1/recipes/{name}", MAY_READ, ROUTE_NO_BODY, 0, get_recipes, query_one,
		.scope = SCOPE_RECIPE},
	{HTTP_GET, "/api/v1/recipes/{name}/versions", MAY_READ, ROUTE_NO_BODY, 0, get_recipes,
		query_one, .scope = SCOPE_RECIPE},
	{HTTP_GET, VERSION, MAY_READ, ROUTE_NO_BODY, 0, get_recipe, .scope = SCOPE_RECIPE},
	{HTTP_PUT, VERSION, MAY_WRITE, ROUTE_ORDERS | ROUTE_YAML, 1024 * 1024, put_recipe, NULL,
		FORM_OF_HANDLER(recipe_rows), .scope = SCOPE_RECIPE},
	{HTTP_DELETE, VERSION, MAY_WRITE, 0, 0, delete_recipe, NULL, FORM_NONE,
		.scope = SCOPE_RECIPE},
	{HTTP_POST, VERSION "/actions/{action}", MAY_RELEASE, 0, 0, post_action, NULL, FORM_NONE,
		.scope = SCOPE_RECIPE},
	{0},
};
