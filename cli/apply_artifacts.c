/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl apply: artifacts, over the API of the daemon.
 */
#include <libgen.h>
#include <sys/stat.h>

#include "base/util.h"
#include "cli/apply.h"
#include "cli/bench.h"
#include "cli/printable.h"

#define LFS_POINTER	  "version https://git-lfs"
#define ARTIFACT_NAME_MAX 200 /* bytes: openapi.yaml, PUT /artifacts/{sha256} */

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

/* As the route of artifacts has them (docs/integrator.md). */
static const char *const who_order[] = {"supervisor", "engineer", "mes", "admin", NULL};

static int look_artifact(
	struct apply_plan *p, json_t *here, const json_t *line, const char *file, struct err *e)
{
	_cleanup_(freep) char *name = name_of(file);
	const char *before = json_string_value(json_object_get(line, name));
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
	json_object_set_new(here, name, json_string(sha));
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

int apply_look_artifacts(struct apply_plan *p, json_t *here, struct err *e)
{
	static const char *const any[] = {"", NULL};
	json_t *line = json_object();
	char **files = NULL;
	size_t n = 0;
	int r;

	if (ctl_each_page(p->c, "/api/v1/artifacts", "", add_names, line) != 0)
		r = err_set(
			e, ERR_IO, "the artifacts of the line are not known: nothing was changed");
	else
		r = apply_files(p, "artifacts", any, &files, &n, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = look_artifact(p, here, line, files[i], e);
	apply_files_free(files, n);
	json_decref(line);
	return r;
}
