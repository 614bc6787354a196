/* SPDX-License-Identifier: Apache-2.0 */
#include "db/offline.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "db/db_impl.h"
#include "db/migrations.h"
#include "db/stmt.h"

/* The first that has records (db/sql/0017_records.sql). */
#define RECORDS_SCHEMA 17

static int64_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
}

static int copy_file(const char *from, const char *to, struct err *e)
{
	_cleanup_(closep) int in = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_(closep) int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n = 1;

	if (in < 0 || out < 0)
		return err_errno(e, ERR_IO, errno, "copy %s to %s", from, to);
	while (n > 0)
		n = sendfile(out, in, NULL, 1 << 30);
	return n < 0 ? err_errno(e, ERR_IO, errno, "copy %s to %s", from, to) : 0;
}

/* The files are given up at once: the connection has them open. */
static int open_copy(const char *path, const char *log, struct db **ret, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	_cleanup_(freep) char *dir =
		xasprintf("%s/provd-verify-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	_cleanup_(freep) char *copy = NULL;
	_cleanup_(freep) char *copied_log = NULL;
	_cleanup_(freep) char *index = NULL;
	_cleanup_(freep) char *sums = NULL;
	int64_t tables;
	int r;

	if (!mkdtemp(dir))
		return err_errno(e, ERR_IO, errno, "make a folder for a copy in %s", dir);
	copy = xasprintf("%s/provd.db", dir);
	copied_log = xasprintf("%s-wal", copy);
	index = xasprintf("%s-shm", copy);
	sums = db_sums_path(copy);
	r = copy_file(path, copy, e);
	if (r == 0)
		r = copy_file(log, copied_log, e);
	if (r == 0)
		r = db_connect(copy, ENGINE_READ, ret, e);
	if (r == 0)
		r = db_int(*ret, e, &tables, "SELECT count(*) FROM sqlite_schema");
	unlink(copy);
	unlink(copied_log);
	unlink(index);
	unlink(sums);
	rmdir(dir);
	return MIN(r, 0);
}

static int check_version(struct db *d, struct err *e)
{
	int64_t version = 0;
	int r = d->engine->ops->get_schema(d->engine, &version, e);

	if (r < 0)
		return r;
	if (version > migration_count)
		return err_set(e, ERR_UNSUPPORTED,
			"it was made by a newer provd (schema %lld, this one knows up to %d): verify it with that provd's provctl",
			(long long)version, migration_count);
	return version < RECORDS_SCHEMA
		       ? err_set(e, ERR_UNSUPPORTED,
				 "it is of a provd that wrote no records yet (schema %lld, at least %d expected)",
				 (long long)version, RECORDS_SCHEMA)
		       : 0;
}

int db_open_offline(const char *path, struct db **ret, struct err *e)
{
	_cleanup_(freep) char *log = xasprintf("%s-wal", path);
	_cleanup_(freep) char *index = xasprintf("%s-shm", path);
	struct db *d = NULL;
	int r;

	if (size_of(path) < 0)
		return err_errno(e, ERR_IO, errno ? errno : EINVAL, "database %s", path);
	if (size_of(index) >= 0)
		r = db_connect(path, ENGINE_READ, &d, e);
	else if (size_of(log) > 0)
		r = open_copy(path, log, &d, e);
	else
		r = db_connect(path, ENGINE_STILL, &d, e);
	if (r == 0)
		r = check_version(d, e);
	if (r == 0) {
		r = db_has(d, e, "SELECT 1 FROM sqlite_schema WHERE name = 'archives'");
		d->before_archives = r == 0;
	}
	if (r >= 0) {
		r = db_has(d, e, "SELECT 1 FROM pragma_table_info('runs') WHERE name = 'fixture'");
		d->before_fixtures = r == 0;
	}
	if (r >= 0) {
		r = db_has(d, e,
			"SELECT 1 FROM pragma_table_info('measurements') WHERE name = 'detail'");
		d->before_details = r == 0;
	}
	if (r >= 0) {
		r = db_has(d, e, "SELECT 1 FROM sqlite_schema WHERE name = 'attachments'");
		d->before_attachments = r == 0;
	}
	if (r < 0) {
		db_free(d);
		return err_prefix(e, "database %s", path);
	}
	*ret = d;
	return 0;
}
