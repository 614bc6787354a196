/* SPDX-License-Identifier: Apache-2.0 */
#include "db/upgrade.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/iotime.h"
#include "base/state_lock.h"
#include "base/tree.h"
#include "base/util.h"
#include "db/db_impl.h"
#include "db/migrations.h"

/* Of a migration that writes every page again: once into the log, and once next to the old ones. */
#define ESTIMATE_SIZES 2
/* A disk that is slow. */
#define ESTIMATE_BYTES_PER_S (20 * 1000 * 1000)
/* A copy and its upgrade must leave the line what it needs meanwhile. */
#define SIZES_FOR_A_COPY 4

const char *upgrade_step(int schema)
{
	return schema >= 1 && schema <= migration_count ? migrations[schema - 1].name : NULL;
}

static int64_t size_of(const char *path)
{
	struct stat st;

	return path && stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

static int64_t free_of(const char *dir)
{
	struct statvfs v;

	return statvfs(dir, &v) == 0 ? (int64_t)v.f_bavail * (int64_t)v.f_frsize : 0;
}

/* All that the database is on the disk. */
static int64_t files_of(const char *path)
{
	_cleanup_(freep) char *log = db_log_path(path);
	_cleanup_(freep) char *sums = db_sums_path(path);

	return size_of(path) + size_of(log) + size_of(sums);
}

static int migrate_copy(struct db *d, const char *path, struct upgrade *u, struct err *e)
{
	const int64_t before = size_of(path);
	const uint64_t begun = now_us();

	for (int64_t v = u->from; v < u->to; v++) {
		int r = db_migrate_one(d, v, e);

		if (r < 0)
			return err_prefix(e, "migration %s", migrations[v].name);
		u->peak_bytes = MAX(u->peak_bytes, files_of(path) - before);
	}
	db_tidy(d);
	u->took_us = now_us() - begun;
	u->grown_bytes = MAX(size_of(path) - before, 0);
	u->measured = true;
	return 0;
}

#define COPY_FOLDER "upgrade-check-"

/* Of checks that were killed; one that still works has its lock. */
static void remove_left_copies(const char *dir)
{
	DIR *d = opendir(dir);

	for (struct dirent *de; d && (de = readdir(d));) {
		_cleanup_(freep) char *folder = xasprintf("%s/%s", dir, de->d_name);
		_cleanup_(closep) int lock = -1;
		struct err e;

		if (!strncmp(de->d_name, COPY_FOLDER, strlen(COPY_FOLDER)) &&
			state_lock(folder, &lock, &e) == 0)
			tree_remove(folder);
	}
	if (d)
		closedir(d);
}

static int rehearse_on_copy(struct db *d, const char *dir, struct upgrade *u, struct err *e)
{
	const struct engine_copy how = {0};
	_cleanup_(freep) char *folder = xasprintf("%s/" COPY_FOLDER "XXXXXX", dir);
	_cleanup_(freep) char *path = NULL;
	_cleanup_(closep) int lock = -1;
	struct db *copy = NULL;
	int r;

	remove_left_copies(dir);
	if (!mkdtemp(folder))
		return err_errno(
			e, ERR_IO, errno, "make a folder for a copy of the database in %s", dir);
	path = xasprintf("%s/provd.db", folder);
	r = state_lock(folder, &lock, e);
	if (r == 0)
		r = d->engine->ops->copy(d->engine, path, &how, e);
	if (r == 0)
		r = db_connect(path, ENGINE_WRITE, &copy, e);
	if (r == 0)
		r = migrate_copy(copy, path, u, e);
	db_free(copy);
	tree_remove(folder);
	return r;
}

static void estimate(struct upgrade *u)
{
	u->peak_bytes = ESTIMATE_SIZES * u->size_bytes;
	u->grown_bytes = u->size_bytes;
	u->took_us = (uint64_t)u->peak_bytes * US_PER_S / ESTIMATE_BYTES_PER_S;
}

static int look_at(struct db *d, const char *dir, struct upgrade *u, struct err *e)
{
	int64_t version = 0;
	int r = db_schema(d, &version, e);

	if (r == 0)
		r = db_size(d, &u->size_bytes, e);
	if (r < 0)
		return r;
	u->from = (int)version;
	u->free_bytes = free_of(dir);
	if (u->from == u->to)
		return 0;
	if (d->engine->ops->copy && u->free_bytes >= SIZES_FOR_A_COPY * u->size_bytes)
		return rehearse_on_copy(d, dir, u, e);
	estimate(u);
	return 0;
}

int upgrade_rehearse(const char *dir, struct upgrade *ret, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/provd.db", dir);
	_cleanup_(db_freep) struct db *d = NULL;
	struct upgrade u = {.to = migration_count, .free_bytes = free_of(dir)};
	int r = 0;

	if (size_of(path) > 0) {
		r = state_check_user(dir, e);
		if (r == 0)
			r = db_open_reader(path, &d, e);
		if (r == 0)
			r = look_at(d, dir, &u, e);
		if (r < 0)
			return err_prefix(e, "database %s", path);
	}
	*ret = u;
	return 0;
}
