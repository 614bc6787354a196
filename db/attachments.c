/* SPDX-License-Identifier: Apache-2.0 */
#include "db/attachments.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "db/stmt.h"

/* --- rows --- */

static int over(const struct attachment *a, const char *what, int64_t would, const char *key,
	int64_t max, struct err *e)
{
	return err_set(e, ERR_ATTACHMENT_QUOTA,
		"'%s' is not attached: %s would be %lld bytes, '%s' of 'attachments' in provd.yaml is %lld",
		a->name, what, (long long)would, key, (long long)max);
}

static int check_room(struct db *tx, const struct attachment *a,
	const struct attachment_limits *max, struct err *e)
{
	static const char of_run[] =
		"SELECT coalesce(sum(bytes), 0) FROM attachments WHERE run_id = ?";
	int64_t run = 0, files = 0, all = 0;
	int known;

	if (a->bytes > max->file)
		return over(a, "the file", a->bytes, "file_max", max->file, e);
	if (db_int(tx, e, &run, of_run, a->run) < 0)
		return -(int)e->code;
	if (run + a->bytes > max->run)
		return over(a, "all of the run", run + a->bytes, "run_max", max->run, e);
	known = attachments_named(tx, a->sha256, e);
	if (known != 0)
		return MIN(known, 0);
	if (attachments_room(tx, &files, &all, e) < 0)
		return -(int)e->code;
	return all + a->bytes > max->total
		       ? over(a, "all attachments", all + a->bytes, "quota", max->total, e)
		       : 0;
}

int attachments_add(struct db *tx, const struct attachment *a, const struct attachment_limits *max,
	struct err *e)
{
	static const char has[] = "SELECT 1 FROM attachments WHERE run_id = ? AND step_n = ?"
				  " AND name = ? AND sha256 = ?";
	static const char sql[] =
		"INSERT INTO attachments (run_id, step_n, name, sha256, bytes, media)"
		" VALUES (?, ?, ?, ?, ?, ?)";
	int r = db_has(tx, e, has, a->run, a->step_n, a->name, a->sha256);

	if (r != 0)
		return MIN(r, 0);
	r = check_room(tx, a, max, e);
	return r < 0 ? r
		     : db_do(tx, e, sql, a->run, a->step_n, a->name, a->sha256, a->bytes, a->media);
}

#define MEMBERS                                                                                    \
	"SELECT a.name AS name, a.step_n AS n, s.id AS step, a.sha256 AS sha256, a.bytes AS size," \
	" a.media AS media FROM attachments a JOIN steps s ON s.run_id = a.run_id"                 \
	" AND s.n = a.step_n WHERE a.run_id = ?"

static const struct column members[] = {{"name", AS_TEXT}, {"n", AS_INT}, {"step", AS_TEXT},
	{"sha256", AS_TEXT}, {"size", AS_INT}, {"media", AS_TEXT}, {0}};

int attachments_of_run(struct db *d, const char *run, json_t **ret, struct err *e)
{
	SELECT(all, MEMBERS " ORDER BY a.step_n, a.name", members);

	return db_all_json(d, e, &all, ret, run);
}

int attachments_get(
	struct db *d, const char *run, int64_t n, const char *name, json_t **ret, struct err *e)
{
	SELECT(find,
		MEMBERS
		" AND a.name = ? AND (a.step_n = ? OR ? = 0) ORDER BY a.step_n DESC LIMIT 1",
		members);
	json_t *list = NULL;
	int r = db_all_json(d, e, &find, &list, run, name, n, n);

	if (r == 0 && json_array_size(list) == 0)
		r = err_set(e, ERR_NOT_FOUND, "nothing of the name '%.128s' is attached to the run",
			name);
	if (r == 0)
		*ret = json_incref(json_array_get(list, 0));
	json_decref(list);
	return r;
}

int attachments_named(struct db *d, const char *sha256, struct err *e)
{
	return db_has(d, e, "SELECT 1 FROM attachments WHERE sha256 = ?", sha256);
}

int attachments_room(struct db *d, int64_t *ret_files, int64_t *ret_bytes, struct err *e)
{
	int r = db_int(d, e, ret_files, "SELECT files FROM attachment_room");

	if (r >= 0)
		r = db_int(d, e, ret_bytes, "SELECT bytes FROM attachment_room");
	return MIN(r, 0);
}

int attachments_next(struct db *d, int64_t from, int64_t to, char sha256[SHA256_HEX], struct err *e)
{
	static const char all[] =
		"SELECT sha256 FROM attachments WHERE sha256 > ? ORDER BY sha256 LIMIT 1";
	static const char some[] =
		"SELECT a.sha256 FROM runs r JOIN attachments a ON a.run_id = r.id"
		" WHERE r.chain BETWEEN ?2 AND ?3 AND a.sha256 > ?1 ORDER BY a.sha256 LIMIT 1";
	_cleanup_(freep) char *last = xstrdup(sha256);

	return to ? db_text(d, e, sha256, SHA256_HEX, some, last, from, to)
		  : db_text(d, e, sha256, SHA256_HEX, all, last);
}

/* --- files --- */

static int damaged(
	const char *sha256, struct err *e, const char *what, long long came, long long expected)
{
	return err_set(e, ERR_ATTACHMENT_DAMAGED,
		"the attached file %s has %lld %s, %lld were recorded: the disk or somebody changed it",
		sha256, came, what, expected);
}

static int check_content(const char *path, const char *sha256, struct err *e)
{
	char got[SHA256_HEX];
	int r = sha256_file(path, got, e);

	if (r == 0 && strcmp(got, sha256) != 0)
		return err_set(e, ERR_ATTACHMENT_DAMAGED,
			"the attached file %s has the SHA-256 %s: the disk or somebody changed it",
			sha256, got);
	return r;
}

int attachment_check(const char *dir, const char *sha256, int64_t bytes, int *ret_fd, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, sha256);
	/* A pipe or a device in its place would block its opener. */
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_GONE, "the attached file %s is missing in %s", sha256, dir);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, ERR_IO, errno, "the attached file %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_ATTACHMENT_DAMAGED, "%s is no file", path);
	if (st.st_size != bytes)
		return damaged(sha256, e, "bytes", (long long)st.st_size, (long long)bytes);
	r = check_content(path, sha256, e);
	if (r == 0 && ret_fd)
		*ret_fd = steal_fd(&fd);
	return r;
}
