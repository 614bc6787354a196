/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/store.h"

#include <dirent.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "base/tree.h"
#include "base/util.h"
#include "base/state_lock.h"
#include "db/artifacts.h"
#include "db/attachments.h"

#define ASIDE	     "deleted-"
#define UPLOAD	     "upload-"
#define ORPHAN_AGE_S (24 * 3600)

struct store {
	char *artifacts, *attachments, *keep, *output, *scratch;
	int lock_fd;
};

static int make_dirs(const struct store *s, const char *state_dir, struct err *e)
{
	const char *const dirs[] = {
		state_dir, s->artifacts, s->keep, s->scratch, s->output, s->attachments};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(dirs) && r == 0; i++)
		r = tree_make(dirs[i], e);
	return r < 0 ? err_prefix(e, "state_dir of provd.yaml") : 0;
}

int store_open(const char *state_dir, struct store **ret, struct err *e)
{
	struct store *s = xcalloc(1, sizeof *s);
	int r;

	s->lock_fd = -1;
	s->artifacts = xasprintf("%s/artifacts", state_dir);
	s->attachments = xasprintf("%s/" ATTACHMENTS_DIR, state_dir);
	s->keep = xasprintf("%s/keep", state_dir);
	s->output = xasprintf("%s/output", state_dir);
	s->scratch = xasprintf("%s/scratch", state_dir);
	r = make_dirs(s, state_dir, e);
	if (r == 0)
		r = state_lock(state_dir, &s->lock_fd, e);
	if (r < 0) {
		store_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct store *store_free(struct store *s)
{
	if (!s)
		return NULL;
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s->artifacts);
	free(s->attachments);
	free(s->keep);
	free(s->output);
	free(s->scratch);
	free(s);
	return NULL;
}

const char *store_artifacts(const struct store *s)
{
	return s->artifacts;
}

const char *store_attachments(const struct store *s)
{
	return s->attachments;
}

const char *store_keep(const struct store *s)
{
	return s->keep;
}

const char *store_output(const struct store *s)
{
	return s->output;
}

const char *store_scratch(const struct store *s)
{
	return s->scratch;
}

char *store_artifact(const struct store *s, const char *sha256)
{
	return xasprintf("%s/%s", s->artifacts, sha256);
}

char *store_artifact_aside(const struct store *s, const char *sha256)
{
	return xasprintf("%s/" ASIDE "%s", s->artifacts, sha256);
}

/* --- what a crash left --- */

void store_sweep_uploads(struct store *s)
{
	DIR *d = opendir(s->artifacts);

	for (struct dirent *de; d && (de = readdir(d));)
		if (!strncmp(de->d_name, UPLOAD, strlen(UPLOAD)))
			unlinkat(dirfd(d), de->d_name, 0);
	if (d)
		closedir(d);
}

/* Whether the database knows the artifact; also where it cannot be asked. */
static bool is_known(struct db *d, const char *sha256)
{
	json_t *row = NULL;
	struct err e;
	int r = artifacts_get(d, sha256, &row, &e);

	json_decref(row);
	return r != -ERR_NOT_FOUND;
}

/* A file that a crash left between the disk and the database. An upload of today may still be
 * sent again and needed. */
static bool sweep_one(struct store *s, struct db *d, const char *name)
{
	_cleanup_(freep) char *path = store_artifact(s, name);
	size_t aside = strlen(ASIDE);
	struct stat st;

	if (!strncmp(name, ASIDE, aside) && is_sha256_hex(name + aside)) {
		_cleanup_(freep) char *back = store_artifact(s, name + aside);

		return is_known(d, name + aside) ? rename(path, back) < 0 : unlink(path) == 0;
	}
	return is_sha256_hex(name) && stat(path, &st) == 0 &&
	       wall_ms() / 1000 - st.st_mtime > ORPHAN_AGE_S && !is_known(d, name) &&
	       unlink(path) == 0;
}

void store_sweep_artifacts(struct store *s, struct db *d)
{
	DIR *dir = opendir(s->artifacts);
	unsigned gone = 0;

	for (struct dirent *de; dir && (de = readdir(dir));)
		gone += sweep_one(s, d, de->d_name);
	if (gone)
		log_notice("%u file%s of the artifact store that no record knows: removed", gone,
			gone == 1 ? "" : "s");
	if (dir)
		closedir(dir);
}
