/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/apply.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <sys/stat.h>

#include "base/proc.h"
#include "base/util.h"
#include "cli/printable.h"

#define DIFF_US (10 * US_PER_S)

static const char *const signs[] = {[APPLY_SAME] = "=",
	[APPLY_ADD] = "+",
	[APPLY_CHANGE] = "~",
	[APPLY_REMOVE] = "-",
	[APPLY_DRIFT] = "?",
	[APPLY_REFUSED] = "!"};
static const char *const words[] = {[APPLY_SAME] = "same",
	[APPLY_ADD] = "add",
	[APPLY_CHANGE] = "change",
	[APPLY_REMOVE] = "remove",
	[APPLY_DRIFT] = "drift",
	[APPLY_REFUSED] = "refused"};

void apply_plan_add(struct apply_plan *p, struct apply_row row)
{
	struct apply_row *grown = reallocarray(p->row, p->rows + 1, sizeof *grown);

	if (!grown)
		abort();
	p->row = grown;
	grown[p->rows++] = row;
}

static void plan_done(struct apply_plan *p)
{
	for (size_t i = 0; i < p->rows; i++) {
		free(p->row[i].what);
		free(p->row[i].why);
		free(p->row[i].file);
		free(p->row[i].to);
		free(p->row[i].before);
		free(p->row[i].after);
	}
	free(p->row);
	closep(&p->etc);
}

/* --- the files of the folder --- */

static bool ends_so(const char *name, const char *const *ends)
{
	for (; *ends; ends++)
		if (strlen(name) > strlen(*ends) &&
			!strcmp(name + strlen(name) - strlen(*ends), *ends))
			return true;
	return false;
}

static int take_file(const char *dir, const char *name, const char *const *ends, char ***list,
	size_t *n, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);
	struct stat st;

	if (name[0] == '.')
		return 0;
	if (stat(path, &st) < 0)
		return err_errno(e, ERR_IO, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(
			e, ERR_INVALID, "%s is not a file: only files are looked at here", path);
	if (!ends_so(name, ends))
		return 0;

	char **grown = reallocarray(*list, *n + 1, sizeof *grown);

	if (!grown)
		abort();
	*list = grown;
	grown[(*n)++] = steal_ptr(&path);
	return 0;
}

int apply_files(const struct apply_plan *p, const char *name, const char *const *ends, char ***ret,
	size_t *ret_n, struct err *e)
{
	_cleanup_(freep) char *dir = xasprintf("%s/%s", p->dir, name);
	struct dirent **found = NULL;
	int n = scandir(dir, &found, NULL, alphasort);
	int r = 0;

	*ret = NULL;
	*ret_n = 0;
	if (n < 0)
		return errno == ENOENT ? 0 : err_errno(e, ERR_IO, errno, "%s", dir);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = take_file(dir, found[i]->d_name, ends, ret, ret_n, e);
		free(found[i]);
	}
	free(found);
	return r;
}

void apply_files_free(char **files, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(files[i]);
	free(files);
}

/* --- what is shown --- */

static void print_line(void *data, enum proc_stream stream, const char *bytes, size_t n)
{
	printf("    %.*s\n", (int)n, bytes);
}

/* diff(1) shows it; where that is missing the row alone does. */
static void print_diff(const struct apply_row *row)
{
	char before[] = "/tmp/provctl-apply-XXXXXX";
	const char *const argv[] = {"diff", "-u", "--label", "on the line", "--label", row->file,
		before, row->file, NULL};
	const struct proc_opts o = {.argv = argv, .line = print_line};
	const struct iotime it = {now_us() + DIFF_US, NULL};
	struct proc_result result;
	FILE *f = NULL;
	int fd = mkstemp(before);
	struct err e;

	if (fd >= 0)
		f = fdopen(fd, "w");
	if (f) {
		fputs(row->before, f);
		if (fclose(f) == 0)
			proc_run(&o, &it, &result, &e);
	}
	if (fd >= 0)
		unlink(before);
}

static void print_row(const struct apply_row *row)
{
	printf("%s %s%s%s\n", signs[row->verdict], row->what, row->why ? ": " : "",
		row->why ? row->why : "");
	fflush(stdout);
	if (row->before && row->file)
		print_diff(row);
}

/* A name on a disk may have any bytes. */
static json_t *text_json(const char *text)
{
	_cleanup_(freep) char *shown = text ? printable(text) : NULL;

	return shown ? json_string(shown) : json_null();
}

static json_t *row_json(const struct apply_row *row)
{
	return json_pack("{s:s, s:o, s:o, s:o}", "verdict", words[row->verdict], "what",
		text_json(row->what), "why", text_json(row->why), "file", text_json(row->file));
}

static void print_plan(const struct apply_plan *p)
{
	json_t *list = json_array();
	size_t same = 0;

	for (size_t i = 0; i < p->rows; i++) {
		const struct apply_row *row = &p->row[i];

		same += row->verdict == APPLY_SAME;
		json_array_append_new(list, row_json(row));
		if (!p->c->json && row->verdict != APPLY_SAME)
			print_row(row);
	}
	if (p->c->json)
		print_json(list);
	else
		printf("%zu as in %s, %zu not\n", same, p->dir, p->rows - same);
	json_decref(list);
	fflush(stdout);
}

static bool has(const char *dir, const char *name)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);

	return access(path, F_OK) == 0;
}

static size_t count(const struct apply_plan *p, enum apply_verdict v)
{
	size_t n = 0;

	for (size_t i = 0; i < p->rows; i++)
		n += p->row[i].verdict == v;
	return n;
}

/* --- what is done --- */

static int carry_out(struct apply_plan *p)
{
	struct err e;
	int r = 0;
	size_t done = 0;

	for (size_t i = 0; r == 0 && i < p->rows; i++) {
		if (!p->row[i].act)
			continue;
		r = p->row[i].act(p, &p->row[i], &e);
		if (r < 0)
			fprintf(stderr, "%s:\n", p->row[i].what);
		else
			done++;
	}
	if (r == 0 && p->host_changes)
		r = apply_reload(p, &e);
	if (r == 0)
		return EXIT_PASSED;
	r = ctl_fail(&e);
	fprintf(stderr, "%zu changes were made before that: apply again when the cause is gone\n",
		done);
	return r;
}

static bool is_one_of(const char *const *list, const char *word)
{
	while (*list && strcmp(*list, word) != 0)
		list++;
	return *list;
}

/* Before the first change: an apply that ends in the middle for want of a right is half an apply. */
static int check_role(const struct apply_plan *p, struct err *e)
{
	json_t *o = NULL;
	int r = api_get(p->c, "/api/v1/session", &o, e);
	const char *role = json_string_value(json_object_get(o, "role"));

	for (size_t i = 0; r == 0 && role && i < p->rows; i++) {
		const struct apply_row *row = &p->row[i];

		if (row->act && row->roles && !is_one_of(row->roles, role))
			r = err_set(e, ERR_FORBIDDEN,
				"%s: the role '%s' of this token may not change that (%s may): nothing was changed",
				row->what, role, row->roles[0]);
	}
	json_decref(o);
	return r;
}

static void say_what_is_left_out(const struct apply_plan *p)
{
	if (!p->config && (has(p->dir, "provd.yaml") || has(p->dir, "stations.d")))
		fprintf(stderr,
			"provd.yaml and stations.d of %s are not looked at: --config FILE does that, on the machine of the stations\n",
			p->dir);
}

static int apply(struct apply_plan *p)
{
	json_t *artifacts = json_object();
	struct err e;
	int r = apply_look_artifacts(p, artifacts, &e);
	size_t same;

	if (r == 0)
		r = apply_look_recipes(p, artifacts, &e);
	json_decref(artifacts);
	if (r == 0 && p->config)
		r = apply_look_host(p, &e);
	if (r < 0)
		return ctl_fail(&e);
	say_what_is_left_out(p);
	print_plan(p);
	if (count(p, APPLY_REFUSED))
		return ctl_usage(
			"nothing was changed: %zu of it cannot be (!)", count(p, APPLY_REFUSED));
	same = count(p, APPLY_SAME);
	if (p->dry)
		return same == p->rows ? EXIT_PASSED : EXIT_FAILED;
	return check_role(p, &e) < 0 ? ctl_fail(&e) : carry_out(p);
}

static bool has_any(const char *dir)
{
	static const char *const names[] = {"recipes", "artifacts", "stations.d", "provd.yaml"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (has(dir, names[i]))
			return true;
	return false;
}

static int cmd_apply(struct ctl *c, int argc, char **argv)
{
	struct apply_plan p = {.c = c, .etc = -1};
	const struct option_row rows[] = {{"config", &p.config, NULL},
		{"approve", NULL, &p.approve}, {"prune", NULL, &p.prune}, {"dry-run", NULL, &p.dry},
		{0}};
	char *dir;
	int r;

	if (ctl_options(argc, argv, rows, &dir, 1) != 1)
		return ctl_usage("apply DIR [--dry-run] [--approve] [--prune] [--config FILE]");
	p.dir = dir;
	if (!has_any(dir))
		return ctl_usage(
			"%s has none of recipes/, artifacts/, stations.d/ and provd.yaml: see provctl(1)",
			dir);
	r = apply(&p);
	plan_done(&p);
	return r;
}

const struct command commands_apply[] = {
	{"apply", "DIR [--dry-run] [--approve] [--prune] [--config FILE]",
		"Artifacts, recipes and stations as the files of a folder say, the difference first",
		cmd_apply},
	{0},
};
