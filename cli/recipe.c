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
#include "daemon/recipe/programs.h"
#include "daemon/recipe/schema.h"

DEFINE_CLEANUP(struct yaml_doc, yaml_doc_free)

/* Prints the mistakes; NULL if there are any. */
static struct recipe *load(const struct ctl *c, const char *file, bool say)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
	struct mistakes m = {0};
	struct strbuf text = {0};
	struct recipe *recipe = NULL;
	struct err e;

	if (yaml_load(file, &doc, &e) < 0) {
		if (c->json)
			print_json(json_pack("{s:b, s:[{s:s, s:s}]}", "ok", 0, "errors", "pointer",
				"", "detail", e.msg));
		else
			fprintf(stderr, "%s\n", e.msg);
		return NULL;
	}
	if ((say ? recipe_check : recipe_check_bench)(doc->root, &m, &recipe, &e) < 0)
		recipe = NULL;
	mistakes_print(&m, file, doc, &text);
	if (c->json && say) {
		json_t *o = json_pack(
			"{s:b, s:o}", "ok", recipe != NULL, "errors", mistakes_json(&m, doc));

		print_json(o);
		json_decref(o);
	} else if (text.s) {
		fputs(text.s, stderr);
	}
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

struct recipe *recipe_of_line(const struct ctl *c, const char *file)
{
	const struct ctl quiet = {.color = c->color};

	return load(&quiet, file, true);
}

struct recipe *recipe_of_file(const struct ctl *c, const char *file)
{
	return load(c, file, false);
}

static int cmd_check(struct ctl *c, int argc, char **argv)
{
	int status = EXIT_PASSED;

	if (argc < 2)
		return ctl_usage("recipe check FILE ...");
	for (int i = 1; i < argc; i++) {
		struct recipe *r = load(c, argv[i], true);

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
	recipe = load(c, file, false);
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
		r = read_pairs(params, given, false, &e);
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
	{"recipe schema", "", "The JSON Schema of recipes, for editors", cmd_schema},
	{"recipe run", "FILE [--sim | --port ROLE=ADDR,..]",
		"Run it here (--artifact NAME=FILE,.. --param NAME=VALUE,.. --serial S)", cmd_run},
	{0},
};
