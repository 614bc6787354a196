/* SPDX-License-Identifier: Apache-2.0 */
#include "db/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/manifest.h"
#include "base/outfile.h"
#include "base/state_lock.h"
#include "base/tree.h"
#include "base/util.h"
#include "db/attachments.h"

#define PART "restore.part"

/* What belongs to the database, in the order in which it leaves: a log never stays with a database that is
 * not its own. */
static const char *const old_files[] = {
	"provd.db-wal", "provd.db-shm", "provd.db-sums", "provd.db", "artifacts", ATTACHMENTS_DIR};

static char *below(const char *dir, const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

/* What root puts into the directory of provd's user is that user's. */
static int give_to(int fd, const struct stat *owner, const char *path, struct err *e)
{
	return geteuid() == 0 && fchown(fd, owner->st_uid, owner->st_gid) < 0
		       ? err_errno(e, ERR_IO, errno, "give %s to the owner of the state directory",
				 path)
		       : 0;
}

static int give_folder(const char *path, const struct stat *owner, struct err *e)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_errno(e, ERR_IO, errno, "%s", path) : give_to(fd, owner, path, e);
}

/* The bytes are compared once more while they are copied. */
static int copy_one(const char *from, const char *to, const char *sha256, const struct stat *owner,
	struct err *e)
{
	_cleanup_(closep) int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct outfile f = {.fd = -1};
	char got[SHA256_HEX];
	int r = fd < 0 ? err_errno(e, ERR_IO, errno, "%s", from) : outfile_open(&f, to, e);

	if (r == 0 && fchmod(f.fd, 0600) < 0)
		r = err_errno(e, ERR_IO, errno, "%s", to);
	if (r == 0)
		r = give_to(f.fd, owner, to, e);
	if (r == 0)
		r = outfile_add_fd(&f, fd, e);
	if (r == 0)
		r = outfile_end(&f, got, e);
	if (r == 0 && strcmp(got, sha256) != 0)
		r = err_set(e, ERR_RECORDS_DAMAGED, "%s changed while it was read", from);
	if (r == 0)
		r = outfile_commit(&f, e);
	outfile_done(&f);
	return r;
}

static bool is_restored(const char *name)
{
	return !strcmp(name, BACKUP_DATABASE) || !strncmp(name, "artifacts/", 10) ||
	       !strncmp(name, ATTACHMENTS_DIR "/", strlen(ATTACHMENTS_DIR "/"));
}

static int copy_all(
	const struct restore_opts *o, const char *part, const struct manifest *m, struct err *e)
{
	_cleanup_(freep) char *artifacts = below(part, "artifacts");
	_cleanup_(freep) char *attachments = below(part, ATTACHMENTS_DIR);
	struct stat owner;
	int r = stat(o->state_dir, &owner) < 0 ? err_errno(e, ERR_IO, errno, "%s", o->state_dir)
					       : 0;

	tree_clear(part);
	if (r == 0)
		r = tree_make(artifacts, e);
	if (r == 0)
		r = give_folder(artifacts, &owner, e);
	if (r == 0)
		r = tree_make(attachments, e);
	if (r == 0)
		r = give_folder(attachments, &owner, e);
	for (size_t i = 0; r == 0 && i < m->files; i++) {
		_cleanup_(freep) char *from = below(o->backup, m->file[i].name);
		_cleanup_(freep) char *to = below(part, m->file[i].name);

		if (is_restored(m->file[i].name))
			r = copy_one(from, to, m->file[i].sha256, &owner, e);
	}
	return r;
}

/* --- what is there --- */

static int sync_dir(const char *path, struct err *e)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? err_errno(e, ERR_IO, errno, "sync %s", path) : 0;
}

static int move(const char *from, const char *to, const char *name, struct err *e)
{
	_cleanup_(freep) char *old = below(from, name);
	_cleanup_(freep) char *new = below(to, name);

	if (renameat2(AT_FDCWD, old, AT_FDCWD, new, RENAME_NOREPLACE) == 0 || errno == ENOENT)
		return 0;
	return err_errno(e, ERR_IO, errno, "move %s to %s", old, new);
}

static bool has_any(const char *dir)
{
	for (size_t i = 0; i < ARRAY_LEN(old_files); i++) {
		_cleanup_(freep) char *path = below(dir, old_files[i]);

		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

static void name_aside(const char *dir, char ret[FILE_PATH_BYTES])
{
	time_t now = time(NULL);
	char when[32];
	struct tm tm;
	int n = 1;

	strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	snprintf(ret, FILE_PATH_BYTES, "%s/before-restore-%s", dir, when);
	while (access(ret, F_OK) == 0)
		snprintf(ret, FILE_PATH_BYTES, "%s/before-restore-%s-%d", dir, when, ++n);
}

static int move_aside(const char *dir, char ret[FILE_PATH_BYTES], struct err *e)
{
	int r = 0;

	ret[0] = 0;
	if (!has_any(dir))
		return 0;
	name_aside(dir, ret);
	r = tree_make(ret, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(old_files); i++)
		r = move(dir, ret, old_files[i], e);
	if (r == 0)
		r = sync_dir(ret, e);
	return r < 0 ? r : sync_dir(dir, e);
}

/* --- all --- */

static int put_in_place(const struct restore_opts *o, const struct manifest *m,
	struct restore_result *ret, struct err *e)
{
	_cleanup_(freep) char *part = below(o->state_dir, PART);
	int r = copy_all(o, part, m, e);

	if (r < 0) {
		tree_remove(part);
		return r;
	}
	r = move_aside(o->state_dir, ret->aside, e);
	if (r == 0)
		r = move(part, o->state_dir, "artifacts", e);
	if (r == 0)
		r = move(part, o->state_dir, ATTACHMENTS_DIR, e);
	if (r == 0)
		r = move(part, o->state_dir, BACKUP_DATABASE, e);
	if (r == 0)
		r = sync_dir(o->state_dir, e);
	if (r < 0)
		return ret->aside[0] ? err_prefix(e, "the old files are in %s", ret->aside) : r;
	tree_remove(part);
	return 0;
}

static int lock_it(const struct restore_opts *o, int *ret_fd, struct err *e)
{
	int r = 0;

	if (o->dry_run && access(o->state_dir, F_OK) < 0)
		return 0;
	if (!o->dry_run)
		r = tree_make(o->state_dir, e);
	if (r == 0)
		r = state_lock(o->state_dir, ret_fd, e);
	return r == -ERR_BUSY ? err_prefix(e, "stop provd first") : r;
}

static int verify(const struct restore_opts *o, struct restore_result *ret, struct err *e)
{
	int r = backup_verify(o->backup, o->key, o->keys, &o->ear, &ret->of, e);

	if (r == 0 && ret->of.findings > 0)
		r = err_set(e, ERR_RECORDS_DAMAGED,
			"backup %s is damaged (%lld findings): nothing was changed, take another one",
			o->backup, (long long)ret->of.findings);
	return r;
}

int restore_backup(const struct restore_opts *o, struct restore_result *ret, struct err *e)
{
	_cleanup_(freep) char *path = below(o->backup, BACKUP_MANIFEST);
	_cleanup_(freep) char *marks = below(o->state_dir, "provd.marks");
	_cleanup_(closep) int lock = -1;
	struct manifest m = {0};
	int r;

	*ret = (struct restore_result){0};
	r = lock_it(o, &lock, e);
	if (r == 0)
		r = verify(o, ret, e);
	if (r < 0)
		return r;
	ret->has_marks = access(marks, F_OK) == 0;
	if (o->dry_run)
		return 0;
	r = manifest_load(path, BACKUP_TYPE, &m, e);
	if (r == 0)
		r = put_in_place(o, &m, ret, e);
	manifest_done(&m);
	return r;
}
