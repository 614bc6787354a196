/* SPDX-License-Identifier: Apache-2.0
 *
 * Recipes without a daemon: check a file, run one on a bench or on a virtual board.
 */
#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/util.h"
#include "base/yaml.h"
#include "cli/bench.h"
#include "cli/graph.h"
#include "daemon/recipe/head.h"
#include "daemon/recipe/parts.h"
#include "daemon/recipe/programs.h"
#include "daemon/recipe/schema.h"

DEFINE_CLEANUP(struct yaml_doc, yaml_doc_free)

/* --- parts: files next to the recipe --- */

struct part_file {
	char use[RECIPE_NAME_BYTES + 12]; /* NAME@VERSION */
	char *path;
	struct yaml_doc *doc;
	json_t *linked; /* NULL while it is looked at */
};

struct part_files {
	const struct part_source *elsewhere; /* NULL: files next to the recipe */
	const char *dir;
	struct part_file *file;
	size_t files;
	bool bench;
	struct strbuf *report;
};

static struct part_file *part_file(const struct part_files *p, const char *use)
{
	for (size_t i = 0; i < p->files; i++)
		if (!strcmp(p->file[i].use, use))
			return &p->file[i];
	return NULL;
}

/* Those of a part with the place in its own file. */
static void print_mistakes(const struct part_files *p, const struct mistakes *m, const char *name,
	const struct yaml_doc *doc)
{
	struct mistakes own = {xcalloc(m->count + 1, sizeof *own.item), 0};

	for (size_t i = 0; i < m->count; i++) {
		const char *rest;
		_cleanup_(freep) char *use = part_of_pointer(m->item[i].pointer, &rest);
		const struct part_file *f = use ? part_file(p, use) : NULL;
		struct mistake there = m->item[i];
		const struct mistakes one = {&there, 1};

		there.pointer = (char *)(uintptr_t)rest;
		if (f)
			mistakes_print(&one, f->path, f->doc, p->report);
		else
			own.item[own.count++] = m->item[i];
	}
	mistakes_print(&own, name, doc, p->report);
	free(own.item);
}

/* As mistakes_json(), with the file of a part in `part`, and line and column there. */
static json_t *errors_json(
	const struct part_files *p, const struct mistakes *m, const struct yaml_doc *doc)
{
	json_t *all = mistakes_json(m, doc), *error;
	size_t i;

	json_array_foreach(all, i, error) {
		const char *rest;
		_cleanup_(freep) char *use = part_of_pointer(
			json_string_value(json_object_get(error, "pointer")), &rest);
		const struct part_file *f = use ? part_file(p, use) : NULL;
		const struct yaml_place *at = f ? yaml_where(f->doc, rest) : NULL;

		if (!at)
			continue;
		json_object_set_new(error, "part", json_string(f->path));
		json_object_set_new(error, "line", json_integer(at->line));
		json_object_set_new(error, "column", json_integer(at->column));
	}
	return all;
}

static int find_part(void *data, const char *name, int64_t version, json_t **ret, struct err *e);

/* With the parts that it uses. */
static int check_file(struct part_files *p, const struct yaml_doc *doc, struct mistakes *m,
	struct recipe **ret, struct err *e)
{
	const struct part_source source = {find_part, p};

	return parts_check(doc->root, p->elsewhere ? p->elsewhere : &source, p->bench, m, ret, e);
}

static int read_part(
	struct part_files *p, const char *use, const char *path, json_t **ret, struct err *e)
{
	struct mistakes m = {0};
	struct recipe *recipe = NULL;
	struct yaml_doc *doc = NULL;
	size_t n = p->files;
	int r = yaml_load(path, &doc, e);

	if (r < 0)
		return r;
	p->file = reallocarray(p->file, n + 1, sizeof *p->file);
	if (!p->file)
		abort();
	p->file[n] = (struct part_file){.path = xstrdup(path), .doc = doc};
	snprintf(p->file[n].use, sizeof p->file[n].use, "%s", use);
	p->files = n + 1;
	r = check_file(p, doc, &m, &recipe, e);
	if (r == 0)
		*ret = json_incref(recipe->json);
	else
		r = err_set(e, ERR_RECIPE_INVALID, "the part '%s' has mistakes: see %s", use, path);
	print_mistakes(p, &m, path, doc);
	p->file[n].linked = r == 0 ? json_incref(recipe->json) : NULL;
	recipe_unref(recipe);
	mistakes_done(&m);
	return r;
}

/* Whether the file says that it is this recipe. */
static bool is_recipe(const char *path, const char *name, int64_t version, struct err *e)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
	const char *is;
	int64_t has;

	if (yaml_load(path, &doc, e) < 0)
		return false;
	is = json_string_value(json_object_get(doc->root, "recipe"));
	has = json_integer_value(json_object_get(doc->root, "version"));
	if (is && !strcmp(is, name) && has == version)
		return true;
	err_set(e, ERR_NOT_FOUND, "%s is %.64s@%lld: %s@%lld expected", path, is ? is : "?",
		(long long)has, name, (long long)version);
	return false;
}

static int find_part(void *data, const char *name, int64_t version, json_t **ret, struct err *e)
{
	struct part_files *p = data;
	_cleanup_(freep) char *use = xasprintf("%s@%lld", name, (long long)version);
	_cleanup_(freep) char *own = xasprintf("%s/%s.yaml", p->dir, use);
	_cleanup_(freep) char *any = xasprintf("%s/%s.yaml", p->dir, name);
	const char *path = access(own, R_OK) == 0 ? own : any;
	const struct part_file *f = part_file(p, use);

	if (f && !f->linked)
		return err_set(e, ERR_INVALID,
			"'%s' uses itself, or has mistakes that are named with it", use);
	if (f) {
		*ret = json_incref(f->linked);
		return 0;
	}
	if (access(path, R_OK) < 0)
		return err_set(e, ERR_NOT_FOUND,
			"there is no part '%s': %s or %s expected next to the recipe", use, own,
			any);
	return is_recipe(path, name, version, e) ? read_part(p, use, path, ret, e) : -(int)e->code;
}

static void part_files_done(struct part_files *p)
{
	for (size_t i = 0; i < p->files; i++) {
		free(p->file[i].path);
		yaml_doc_free(p->file[i].doc);
		json_decref(p->file[i].linked);
	}
	free(p->file);
}

/* Prints the mistakes; NULL if there are any. */
static struct recipe *load(
	const struct ctl *c, const char *file, bool say, const struct part_source *elsewhere)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
	_cleanup_(freep) char *copy = xstrdup(file);
	struct mistakes m = {0};
	struct strbuf text = {0};
	struct recipe *recipe = NULL;
	struct part_files parts = {
		.elsewhere = elsewhere, .dir = dirname(copy), .bench = !say, .report = &text};
	struct err e;

	if (yaml_load(file, &doc, &e) < 0) {
		if (c->json)
			print_json(json_pack("{s:b, s:[{s:s, s:s}]}", "ok", 0, "errors", "pointer",
				"", "detail", e.msg));
		else
			fprintf(stderr, "%s\n", e.msg);
		return NULL;
	}
	if (check_file(&parts, doc, &m, &recipe, &e) < 0)
		recipe = NULL;
	print_mistakes(&parts, &m, file, doc);
	if (c->json && say) {
		json_t *o = json_pack(
			"{s:b, s:o}", "ok", recipe != NULL, "errors", errors_json(&parts, &m, doc));

		print_json(o);
		json_decref(o);
	} else if (text.s) {
		fputs(text.s, stderr);
	}
	part_files_done(&parts);
	sb_done(&text);
	mistakes_done(&m);
	return recipe;
}

/* No mistake: the recipe may be meant for another machine. */
static void warn_missing(
	void *data, const struct recipe_step *step, const char *program, bool installed)
{
	if (!installed)
		fprintf(stderr,
			"%s: warning: step %s needs the program %s, which is not installed here\n",
			(const char *)data, step->id, program);
}

struct recipe *recipe_of_line(
	const struct ctl *c, const char *file, const struct part_source *parts)
{
	const struct ctl quiet = {.color = c->color};

	return load(&quiet, file, true, parts);
}

struct recipe *recipe_of_file(const struct ctl *c, const char *file)
{
	return load(c, file, false, NULL);
}

static int cmd_check(struct ctl *c, int argc, char **argv)
{
	int status = EXIT_PASSED;

	if (argc < 2)
		return ctl_usage("recipe check FILE ...");
	for (int i = 1; i < argc; i++) {
		struct recipe *r = load(c, argv[i], true, NULL);

		if (!r)
			status = EXIT_USAGE;
		else
			recipe_programs(r, warn_missing, argv[i]);
		if (r && !c->json)
			printf("%s: %s version %u, %zu steps, sha256 %s\n", argv[i], r->name,
				r->version, recipe_step_count(r), r->sha256);
		recipe_unref(r);
	}
	return status;
}

static int cmd_graph(struct ctl *c, int argc, char **argv)
{
	bool svg = false;
	const struct option_row rows[] = {{"svg", NULL, &svg}, {0}};
	struct strbuf text = {0};
	struct recipe *r;
	char *file;

	if (ctl_options(argc, argv, rows, &file, 1) != 1)
		return ctl_usage("recipe graph FILE [--svg]");
	r = load(c, file, false, NULL);
	if (!r)
		return EXIT_USAGE;
	(svg ? graph_svg : graph_text)(r, &text);
	if (c->json) {
		json_t *o = json_pack("{s:s}", svg ? "svg" : "outline", text.s);

		print_json(o);
		json_decref(o);
	} else {
		fputs(text.s, stdout);
	}
	sb_done(&text);
	recipe_unref(r);
	return EXIT_PASSED;
}

static int cmd_schema(struct ctl *c, int argc, char **argv)
{
	json_t *o;

	(void)c; /* it is JSON in any case */
	if (ctl_options(argc, argv, NULL, NULL, 0) != 0)
		return ctl_usage("recipe schema");
	o = recipe_schema();
	print_json(o);
	json_decref(o);
	return EXIT_PASSED;
}

/* --- run --- */

struct sim {
	pid_t pid;
	char dir[64];
	char link[128];
};

static int start_sim(struct sim *s, struct err *e)
{
	_cleanup_(freep) char *program = ctl_program("provsim", "sim");
	int out[2];
	char line[4096];
	FILE *f;
	json_t *o;
	const char *link;

	if (pipe(out) < 0)
		return err_errno(e, ERR_IO, errno, "pipe");
	s->pid = fork();
	if (s->pid == 0) {
		dup2(out[1], 1);
		close(out[0]);
		close(out[1]);
		execlp(program, program, "run", "--boards", "1", (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	f = fdopen(out[0], "r");
	o = f && fgets(line, sizeof line, f) ? json_loads(line, 0, NULL) : NULL;
	link = json_string_value(
		json_object_get(json_array_get(json_object_get(o, "boards"), 0), "link"));
	if (link)
		snprintf(s->link, sizeof s->link, "%s%s", *link == '/' ? "tty:" : "", link);
	json_decref(o);
	if (f)
		fclose(f);
	return s->link[0] ? 0 : err_set(e, ERR_TOOL_MISSING, "%s does not start", program);
}

static void stop_sim(struct sim *s)
{
	if (s->pid > 0) {
		kill(s->pid, SIGTERM);
		waitpid(s->pid, NULL, 0);
	}
}

/* "NAME=VALUE,..." into an object; values as text. */
static int read_pairs(const char *list, json_t *into, bool address, struct err *e)
{
	_cleanup_(freep) char *copy = xstrdup(list ? list : "");
	char *save;

	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(p, '=');
		char *value = NULL;

		if (!eq)
			return err_set(e, ERR_INVALID, "'%s': NAME=VALUE expected", p);
		*eq = 0;
		if (address && bench_address(eq + 1, &value, e) < 0)
			return -(int)e->code;
		json_object_set_new(into, p, json_string(value ? value : eq + 1));
		free(value);
	}
	return 0;
}

/* "NAME=VALUE,...": a list has its name once for each item; ["x"] is one of one item, as for an order. */
static int read_params(const struct recipe *r, const char *list, json_t *into, struct err *e)
{
	const json_t *declared = json_object_get(r->json, "params");
	_cleanup_(freep) char *copy = xstrdup(list ? list : "");
	char *save;

	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(p, '=');
		const char *type;

		if (!eq)
			return err_set(e, ERR_INVALID, "'%s': NAME=VALUE expected", p);
		*eq = 0;
		type = json_string_value(json_object_get(json_object_get(declared, p), "type"));
		if (!type || strcmp(type, "list") != 0) {
			json_object_set_new(into, p, json_string(eq + 1));
			continue;
		}
		json_t *whole = json_loads(eq + 1, 0, NULL);

		if (!json_object_get(into, p))
			json_object_set_new(into, p, json_array());
		if (json_is_array(whole))
			json_array_extend(json_object_get(into, p), whole);
		else
			json_array_append_new(json_object_get(into, p), json_string(eq + 1));
		json_decref(whole);
	}
	return 0;
}

/* Artifacts that were not given are looked for next to the recipe. */
static void default_artifacts(const struct recipe *r, const char *file, json_t *artifacts)
{
	_cleanup_(freep) char *copy = xstrdup(file);
	const char *dir = dirname(copy);
	const char *name;
	json_t *v;

	json_object_foreach(json_object_get(r->json, "artifacts"), name, v)
		if (!json_object_get(artifacts, name))
			json_object_set_new(
				artifacts, name, json_sprintf("%s/%s", dir, json_string_value(v)));
}

static int cmd_run(struct ctl *c, int argc, char **argv)
{
	const char *ports = NULL;
	const char *artifacts = NULL;
	const char *params = NULL;
	const char *serial = NULL;
	bool sim = false;
	const struct option_row rows[] = {{"port", &ports, NULL}, {"artifact", &artifacts, NULL},
		{"param", &params, NULL}, {"serial", &serial, NULL}, {"sim", NULL, &sim}, {0}};
	struct bench b = {.ctl = c, .ports = json_object(), .artifacts = json_object()};
	json_t *given = json_object();
	struct sim s = {0};
	struct recipe *recipe;
	struct err e = {0};
	char *file;
	int r = 0;

	if (ctl_options(argc, argv, rows, &file, 1) != 1)
		return ctl_usage("recipe run FILE [--sim | --port ROLE=ADDRESS,...]");
	recipe = load(c, file, false, NULL);
	if (!recipe)
		return EXIT_USAGE;
	b.serial = serial ? serial : sim ? "SIM000001" : NULL;
	if (sim)
		r = start_sim(&s, &e);
	for (size_t i = 0; r == 0 && sim && i < recipe->ports; i++)
		json_object_set_new(b.ports, recipe->port[i].role, json_string(s.link));
	if (r == 0)
		r = read_pairs(ports, b.ports, true, &e);
	if (r == 0)
		r = read_pairs(artifacts, b.artifacts, false, &e);
	if (r == 0)
		r = read_params(recipe, params, given, &e);
	if (r == 0)
		r = recipe_params(recipe, given, &b.params, &e);
	default_artifacts(recipe, file, b.artifacts);
	r = r < 0 ? ctl_fail(&e) : bench_run(&b, recipe);
	stop_sim(&s);
	recipe_unref(recipe);
	json_decref(given);
	json_decref(b.ports);
	json_decref(b.artifacts);
	json_decref(b.params);
	return r;
}

const struct command commands_recipe[] = {
	{"recipe check", "FILE ...", "Find every mistake, with line and column", cmd_check},
	{"recipe graph", "FILE [--svg]",
		"Its phases, steps, loops and parts, as an outline or a picture", cmd_graph},
	{"recipe schema", "", "The JSON Schema of recipes, for editors", cmd_schema},
	{"recipe run", "FILE [--sim | --port ROLE=ADDR,..]",
		"Run it here (--artifact NAME=FILE,.. --param NAME=VALUE,.. --serial S)", cmd_run},
	{0},
};
