/* SPDX-License-Identifier: Apache-2.0
 *
 * The files that the steps of a run wrote, and those of them that it keeps for good.
 */
#include "base/tree.h"
#include "base/util.h"
#include "cli/provctl.h"

static int fetch_list(struct ctl *c, const char *run, json_t **ret, struct err *e)
{
	_cleanup_(freep) char *segment = url_segment(run);
	_cleanup_(freep) char *path = xasprintf("/api/v1/runs/%s/files", segment);

	return api_get(c, path, ret, e);
}

static int run_files(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {"name", "size", "sha256", "step", "kept", NULL};
	json_t *o = NULL;
	struct err e;

	if (argc != 2)
		return ctl_usage("run files RUN");
	if (fetch_list(c, argv[1], &o, &e) < 0)
		return ctl_fail(&e);
	print_items(c, o, members);
	json_decref(o);
	return EXIT_PASSED;
}

/* What the record says of the file; "" where it is not there. */
static int recorded(
	struct ctl *c, const char *run, const char *name, char sha256[SHA256_HEX], struct err *e)
{
	json_t *o = NULL;
	json_t *file;
	size_t i;
	int r = fetch_list(c, run, &o, e);

	sha256[0] = '\0';
	json_array_foreach(json_object_get(o, "items"), i, file) {
		_cleanup_(freep) char *its = json_text(file, "name");
		_cleanup_(freep) char *digest = json_text(file, "sha256");

		if (!strcmp(its, name))
			snprintf(sha256, SHA256_HEX, "%s", digest);
	}
	json_decref(o);
	return r;
}

/* What came is what was recorded, or it does not get its name. */
static int run_file(struct ctl *c, int argc, char **argv)
{
	const char *to = NULL;
	const struct option_row rows[] = {{"output", &to, NULL}, {0}};
	char *words[2];
	char want[SHA256_HEX];
	struct err e;

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "-o"))
			argv[i] = (char *)(uintptr_t) "--output";
	if (ctl_options(argc, argv, rows, words, 2) != 2)
		return ctl_usage("run file RUN NAME [-o FILE]");

	_cleanup_(freep) char *run = url_segment(words[0]);
	_cleanup_(freep) char *name = url_segment(words[1]);
	_cleanup_(freep) char *path = xasprintf("/api/v1/runs/%s/files/%s", run, name);

	if (!to)
		to = words[1];
	if (recorded(c, words[0], words[1], want, &e) < 0 ||
		api_download(c, path, to, want, &e) < 0)
		return ctl_fail(&e);
	if (c->json)
		print_json(json_pack("{s:s, s:s}", "file", to, "sha256", want));
	else
		printf("%s %s\n", to, want);
	return EXIT_PASSED;
}

/* --- attachments --- */

/* Its name, or with numbers in front where a newer file has that name; used: names that are taken. */
static char *file_name(const json_t *a, json_t *used)
{
	char *name = json_text(a, "name");
	const json_int_t n = json_integer_value(json_object_get(a, "n"));

	while (json_object_get(used, name)) {
		char *longer = xasprintf("%lld-%s", (long long)n, name);

		free(name);
		name = longer;
	}
	json_object_set_new(used, name, json_true());
	return name;
}

/* What came is what was recorded, or it does not get its name. */
static int fetch_one(struct ctl *c, const char *run, const json_t *a, json_t *used,
	const char *folder, struct err *e)
{
	_cleanup_(freep) char *name = json_text(a, "name");
	_cleanup_(freep) char *sha256 = json_text(a, "sha256");
	_cleanup_(freep) char *part = url_segment(name);
	_cleanup_(freep) char *its_run = url_segment(run);
	_cleanup_(freep) char *file = file_name(a, used);
	_cleanup_(freep) char *to = xasprintf("%s/%s", folder, file);
	_cleanup_(freep) char *path = xasprintf("/api/v1/runs/%s/attachments/%s?n=%lld", its_run,
		part, (long long)json_integer_value(json_object_get(a, "n")));

	/* A name out of an answer leads nowhere else. */
	if (strchr(name, '/') || *name == '.')
		return err_set(e, ERR_INVALID, "'%s' cannot name a file here", name);
	return api_download(c, path, to, sha256, e);
}

/* The newest first: it has the plain name. */
static int fetch_all(
	struct ctl *c, const char *run, const json_t *items, const char *folder, struct err *e)
{
	json_t *used = json_object();
	int r = tree_make(folder, e);

	for (size_t i = json_array_size(items); r == 0 && i-- > 0;)
		r = fetch_one(c, run, json_array_get(items, i), used, folder, e);
	json_decref(used);
	return r;
}

static int run_attachments(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {"name", "n", "step", "media", "size", "sha256", NULL};
	const char *out = NULL;
	const struct option_row rows[] = {{"out", &out, NULL}, {0}};
	char *run;
	json_t *o = NULL;
	struct err e;
	int r;

	if (ctl_options(argc, argv, rows, &run, 1) != 1)
		return ctl_usage("run attachments RUN [--out DIR]");

	_cleanup_(freep) char *segment = url_segment(run);
	_cleanup_(freep) char *path = xasprintf("/api/v1/runs/%s/attachments", segment);
	const json_t *items;

	r = api_get(c, path, &o, &e);
	items = json_object_get(o, "items");
	if (r == 0 && out)
		r = fetch_all(c, run, items, out, &e);
	if (r == 0)
		print_items(c, o, members);
	json_decref(o);
	return r < 0 ? ctl_fail(&e) : EXIT_PASSED;
}

const struct command commands_run_files[] = {
	{"run files", "RUN", "Files that its steps wrote", run_files},
	{"run file", "RUN NAME [-o FILE]", "Fetch one of them", run_file},
	{"run attachments", "RUN [--out DIR]",
		"Files that it keeps for good, and fetch all of them into a folder",
		run_attachments},
	{0},
};
