/* SPDX-License-Identifier: Apache-2.0
 *
 * Recipes on the daemon, artifacts, tokens: what the line works with.
 */
#include <libgen.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/util.h"
#include "cli/provctl.h"

#define PIECES_FROM_BYTES (4 << 20)

static int show(struct ctl *c, const char *path, const char *const *members)
{
	json_t *o = NULL;
	struct err e;

	if (api_get(c, path, &o, &e) < 0)
		return ctl_fail(&e);
	print_items(c, o, members);
	json_decref(o);
	return 0;
}

/* One line out of the named member, or the whole as JSON. */
static int answer(struct ctl *c, json_t *o, const char *what, const char *member)
{
	_cleanup_(freep) char *text = json_text(o, member);

	if (c->json)
		print_json(o);
	else
		printf("%s%s%s\n", what, *what ? " " : "", text);
	json_decref(o);
	return 0;
}

/* A list without filters. */
static int list(struct ctl *c, int argc, char **argv, const char *path, const char *const *members)
{
	return ctl_options(argc, argv, NULL, NULL, 0) < 0 ? EXIT_USAGE : show(c, path, members);
}

static int artifact_list(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {
		"sha256", "name", "size", "format", "created_at", NULL};

	return list(c, argc, argv, "/api/v1/artifacts", members);
}

int artifact_send(struct ctl *c, const char *file, const char *name, const char *sha256,
	json_t **ret, struct err *e)
{
	_cleanup_(freep) char *segment = url_segment(name);
	_cleanup_(freep) char *path = NULL;
	char sha[SHA256_HEX];
	struct stat st;

	if (!sha256 && sha256_file(file, sha, e) < 0)
		return -(int)e->code;
	path = xasprintf("/api/v1/artifacts/%s?name=%s", sha256 ? sha256 : sha, segment);
	/* To ask how much of a small one is there takes as long as to send it. */
	return stat(file, &st) == 0 && st.st_size >= PIECES_FROM_BYTES
		       ? api_send_in_pieces(c, path, file, ret, e)
		       : api_send_file(c, "PUT", path, "application/octet-stream", file, ret, e);
}

static int artifact_put(struct ctl *c, int argc, char **argv)
{
	const char *name = NULL;
	const struct option_row rows[] = {{"name", &name, NULL}, {0}};
	char *file;
	json_t *o = NULL;
	struct err e;

	if (ctl_options(argc, argv, rows, &file, 1) != 1)
		return ctl_usage("artifact put FILE [--name NAME]");

	_cleanup_(freep) char *copy = xstrdup(file);

	if (artifact_send(c, file, name ? name : basename(copy), NULL, &o, &e) < 0)
		return ctl_fail(&e);
	return answer(c, o, "artifact", "sha256");
}

static int recipe_list(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {
		"name", "version", "state", "sha256", "created_at", "approved_at", NULL};

	return list(c, argc, argv, "/api/v1/recipes", members);
}

static int recipe_put(struct ctl *c, int argc, char **argv)
{
	json_t *o = NULL;
	struct err e;

	if (argc != 2)
		return ctl_usage("recipe put FILE");
	if (api_send_file(c, "POST", "/api/v1/recipes", "application/yaml", argv[1], &o, &e) < 0)
		return ctl_fail(&e);
	return answer(c, o, "draft", "sha256");
}

static int recipe_act(struct ctl *c, int argc, char **argv)
{
	char *at = argc == 2 ? strchr(argv[1], '@') : NULL;
	_cleanup_(freep) char *path = NULL;
	json_t *o = NULL;
	struct err e;

	if (!at)
		return ctl_usage("%s NAME@VERSION", argv[0]);
	path = xasprintf("/api/v1/recipes/%.*s/versions/%s/actions/%s", (int)(at - argv[1]),
		argv[1], at + 1, verb_of(argv[0]));
	if (api_post(c, path, NULL, &o, &e) < 0)
		return ctl_fail(&e);
	return answer(c, o, argv[1], "state");
}

static int token_list(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {"id", "name", "role", "created_at", "revoked_at",
		"expires_at", "last_used_at", "last_used_from", "scopes", NULL};

	return list(c, argc, argv, "/api/v1/tokens", members);
}

/* "A1,A2" as a list of the scopes; without any, they are not limited. */
static void add_scope(json_t *body, const char *list, const char *names)
{
	json_t *scopes = json_object_get(body, "scopes");
	json_t *items = names ? json_array() : NULL;

	if (!names)
		return;
	if (!scopes)
		json_object_set_new(body, "scopes", scopes = json_object());
	while (*names) {
		size_t n = strcspn(names, ",");

		json_array_append_new(items, json_stringn(names, n));
		names += n + (names[n] == ',');
	}
	json_object_set_new(scopes, list, items);
}

/* The secret is printed once, here: alone on a line, for a file. */
static int token_create(struct ctl *c, int argc, char **argv)
{
	const char *until = NULL;
	const char *stations = NULL;
	const char *pools = NULL;
	const char *recipes = NULL;
	const struct option_row rows[] = {{"expires", &until, NULL}, {"stations", &stations, NULL},
		{"pools", &pools, NULL}, {"recipes", &recipes, NULL}, {0}};
	char *words[2];
	json_t *body;
	json_t *o = NULL;
	struct err e;
	int r;

	if (ctl_options(argc, argv, rows, words, 2) != 2)
		return ctl_usage("token create ROLE NAME");
	body = json_pack(
		"{s:s, s:s, s:s*}", "role", words[0], "name", words[1], "expires_at", until);
	if (!body)
		return ctl_usage("token create ROLE NAME");
	add_scope(body, "stations", stations);
	add_scope(body, "pools", pools);
	add_scope(body, "recipes", recipes);
	r = api_post_once(c, "/api/v1/tokens", body, &o, &e);
	json_decref(body);
	return r < 0 ? ctl_fail(&e) : answer(c, o, "", "token");
}

static int token_rotate(struct ctl *c, int argc, char **argv)
{
	const char *overlap = "0";
	const struct option_row rows[] = {{"overlap", &overlap, NULL}, {0}};
	_cleanup_(freep) char *id = NULL;
	_cleanup_(freep) char *path = NULL;
	json_int_t seconds;
	char *word;
	json_t *body;
	json_t *o = NULL;
	struct err e;
	int r;

	if (ctl_options(argc, argv, rows, &word, 1) != 1)
		return ctl_usage("token rotate ID [--overlap SECONDS]");
	if (!whole_number(overlap, &seconds))
		return ctl_usage("--overlap is '%s': a number of seconds expected", overlap);
	id = url_segment(word);
	path = xasprintf("/api/v1/tokens/%s/actions/rotate", id);
	body = json_pack("{s:I}", "overlap", seconds);
	r = api_post_once(c, path, body, &o, &e);
	json_decref(body);
	return r < 0 ? ctl_fail(&e) : answer(c, o, "", "token");
}

static int token_revoke(struct ctl *c, int argc, char **argv)
{
	_cleanup_(freep) char *id = argc == 2 ? url_segment(argv[1]) : NULL;
	_cleanup_(freep) char *path = NULL;
	json_t *o = NULL;
	struct err e;

	if (!id)
		return ctl_usage("token revoke ID");
	path = xasprintf("/api/v1/tokens/%s", id);
	if (api_delete(c, path, &o, &e) < 0)
		return ctl_fail(&e);
	return answer(c, o, "revoked", "id");
}

static int audit_list(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {
		"at", "principal", "token", "address", "action", "target", NULL};

	return list(c, argc, argv, "/api/v1/audit", members);
}

const struct command commands_stores[] = {
	{"artifact put", "FILE [--name NAME]", "Upload a firmware file", artifact_put},
	{"artifact list", "", "Firmware files of the daemon", artifact_list},
	{"recipe put", "FILE", "Upload a recipe as a draft", recipe_put},
	{"recipe list", "", "Recipes of the daemon", recipe_list},
	{"recipe approve", "NAME@VERSION", "Release it: it never changes again", recipe_act},
	{"recipe retire", "NAME@VERSION", "Take it out of use", recipe_act},
	{"token list", "", "Tokens, without their secrets", token_list},
	{"token create",
		"ROLE NAME [--expires TIME] [--stations A,B] [--pools ...] [--recipes ...]",
		"Make one: its text is printed once", token_create},
	{"token rotate", "ID [--overlap SECONDS]", "Give it a new secret, printed once",
		token_rotate},
	{"token revoke", "ID", "End it and its browser sessions", token_revoke},
	{"audit list", "", "Who did what, from where, the newest first", audit_list},
	{0},
};
