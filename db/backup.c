/* SPDX-License-Identifier: Apache-2.0 */
#include "db/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/iotime.h"
#include "base/manifest.h"
#include "base/outfile.h"
#include "base/strbuf.h"
#include "base/tree.h"
#include "base/util.h"
#include "db/attachments.h"
#include "db/checkpoints.h"
#include "db/db_impl.h"
#include "db/integrity.h"
#include "db/lineage.h"
#include "db/offline.h"
#include "db/stmt.h"
#include "db/verify.h"

/* Pages of one slice of the copy: 1 MiB. */
#define SLICE_PAGES 256
#define EXTRA_MAX   (16u * 1024 * 1024)
#define PART	    ".provd-backup.part"

struct making {
	const struct backup_opts *o;
	struct backup_result *res;
	struct manifest m;
	json_t *left_out; /* names of what is not in it */
	char *part;	  /* the folder while it is made */
	int lock_fd;
	uint64_t slice_us; /* when the last slice ended */
};

static void found(const struct backup_ear *ear, struct backup_result *res, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void found(const struct backup_ear *ear, struct backup_result *res, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	res->findings++;
	ear->found(ear->data, text);
}

/* --- the database --- */

/* A slice, and then as long for others as it took: the line keeps the disk. */
static int give_way(void *data, int64_t left, int64_t all)
{
	struct making *b = data;
	const struct iotime it = {NO_DEADLINE, NULL};
	const uint64_t now = now_us();

	iotime_sleep(now - b->slice_us, &it, NULL);
	b->slice_us = now_us();
	return 0;
}

static int copy_database(struct making *b, const char *to, struct err *e)
{
	_cleanup_(freep) char *from = xasprintf("%s/" BACKUP_DATABASE, b->o->state_dir);
	const struct engine_copy how = {SLICE_PAGES, give_way, b};
	_cleanup_(db_freep) struct db *d = NULL;
	int r = access(from, F_OK) < 0 ? err_errno(e, ERR_IO, errno, "database %s", from)
				       : db_open_reader(from, &d, e);

	if (r < 0)
		return r;
	if (!d->engine->ops->copy)
		return err_set(e, ERR_UNSUPPORTED,
			"this engine of the database has no copy: use its own backup");
	b->slice_us = now_us();
	r = d->engine->ops->copy(d->engine, to, &how, e);
	if (r == 0 && chmod(to, 0600) < 0)
		r = err_errno(e, ERR_IO, errno, "%s", to);
	return r < 0 ? err_prefix(e, "database %s", from) : 0;
}

struct listener {
	const struct backup_ear *ear;
	struct backup_result *res;
};

static void pass_on(void *data, const char *sentence)
{
	const struct listener *l = data;

	found(l->ear, l->res, BACKUP_DATABASE ": %s", sentence);
}

static int read_facts(struct db *d, struct backup_result *res, struct err *e)
{
	struct marks_head head;
	int r = checkpoints_look(d, &res->at, e);

	if (r == 0)
		r = lineage_head(d, &head, e);
	if (r == 0)
		res->seq = head.seq;
	return r;
}

static int check_tables(struct db *d, struct listener *l, struct err *e)
{
	char text[ERR_TEXT_BYTES];
	int64_t runs;
	int r = integrity_chain(d, NULL, &runs, text, e);

	if (r == 0 && !text[0])
		r = integrity_tables(d, NULL, text, e);
	if (r == 0 && text[0])
		pass_on(l, text);
	return r;
}

/* Pages, indexes, records, their tree and chain, ledger: what can be read is, and damage is a finding. */
static int check_database(
	const char *path, const struct backup_ear *ear, struct backup_result *res, struct err *e)
{
	struct listener l = {ear, res};
	const struct verify_opts o = {.found = pass_on, .data = &l};
	_cleanup_(db_freep) struct db *d = NULL;
	struct verify_result of_records;
	const int64_t before = res->findings;
	int r = verify_database(path, &o, &of_records, e);

	if (r == 0)
		r = db_open_offline(path, &d, e);
	if (r == 0)
		r = read_facts(d, res, e);
	if (r == 0 && res->findings == before)
		r = check_tables(d, &l, e);
	if (r != -ERR_RECORDS_DAMAGED && r != -ERR_UNSUPPORTED)
		return r;
	found(ear, res, BACKUP_DATABASE ": %s", e->msg);
	return 0;
}

/* --- files --- */

static int note_file(struct making *b, const char *name, const char *sha256, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", b->part, name);
	char own[SHA256_HEX];
	struct stat st;
	int r = stat(path, &st) < 0 ? err_errno(e, ERR_IO, errno, "%s", path) : 0;

	if (r == 0 && !sha256)
		r = sha256_file(path, own, e);
	if (r < 0)
		return r;
	manifest_add(&b->m, name, st.st_size, sha256 ? sha256 : own);
	b->res->files++;
	b->res->bytes += st.st_size;
	return 0;
}

static int make_parents(struct making *b, const char *name, struct err *e)
{
	_cleanup_(freep) char *dir = xasprintf("%s/%s", b->part, name);

	*strrchr(dir, '/') = 0;
	return tree_make(dir, e);
}

static int write_file(
	const char *to, const void *p, size_t n, char sha256[SHA256_HEX], struct err *e)
{
	struct outfile f = {.fd = -1};
	int r = outfile_open(&f, to, e);

	if (r == 0)
		r = outfile_add(&f, p, n, e);
	if (r == 0)
		r = outfile_end(&f, sha256, e);
	if (r == 0)
		r = outfile_commit(&f, e);
	outfile_done(&f);
	return r;
}

static int copy_file(const char *from, const char *to, char sha256[SHA256_HEX], struct err *e)
{
	_cleanup_(closep) int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct outfile f = {.fd = -1};
	int r = fd < 0 ? err_errno(e, ERR_IO, errno, "%s", from) : outfile_open(&f, to, e);

	if (r == 0)
		r = outfile_add_fd(&f, fd, e);
	if (r == 0)
		r = outfile_end(&f, sha256, e);
	if (r == 0)
		r = outfile_commit(&f, e);
	outfile_done(&f);
	return r < 0 ? err_prefix(e, "%s", from) : 0;
}

/* --- artifacts --- */

/* Nobody ever writes to a file of the stores, so that a link to it is as good as a copy. */
static bool link_stored(const char *from, const char *to, const char *sha256)
{
	char got[SHA256_HEX];

	if (link(from, to) < 0)
		return false;
	if (sha256_file(to, got, NULL) == 0 && !strcmp(got, sha256))
		return true;
	unlink(to);
	return false;
}

static int leave_out(struct making *b, const char *name, const char *why)
{
	json_array_append_new(b->left_out, json_string(name));
	found(&b->o->ear, b->res, "%s is not in the backup: %s", name, why);
	return 0;
}

static int add_stored(
	struct making *b, const char *folder, const char *sha256, const char *help, struct err *e)
{
	_cleanup_(freep) char *name = xasprintf("%s/%s", folder, sha256);
	_cleanup_(freep) char *from = xasprintf("%s/%s", b->o->state_dir, name);
	_cleanup_(freep) char *to = xasprintf("%s/%s", b->part, name);
	_cleanup_(freep) char *old = xasprintf("%s/%s", b->o->earlier ? b->o->earlier : "", name);
	char got[SHA256_HEX];
	struct err why;
	int r;

	if (link_stored(from, to, sha256) || (b->o->earlier && link_stored(old, to, sha256)))
		return note_file(b, name, sha256, e);
	r = copy_file(from, to, got, &why);
	if (r == -ERR_DISK_FULL) {
		*e = why;
		return r;
	}
	if (r < 0)
		return leave_out(b, name, why.msg);
	if (!strcmp(got, sha256))
		return note_file(b, name, sha256, e);
	unlink(to);
	return leave_out(b, name, help);
}

static int add_artifacts(struct making *b, const char *database, struct err *e)
{
	char sha256[SHA256_HEX] = "";
	static const char next[] =
		"SELECT sha256 FROM artifacts WHERE sha256 > ? ORDER BY sha256 LIMIT 1";
	_cleanup_(freep) char *dir = xasprintf("%s/artifacts", b->part);
	_cleanup_(db_freep) struct db *d = NULL;
	int r = tree_make(dir, e);

	if (r == 0)
		r = db_open_offline(database, &d, e);
	while (r == 0) {
		_cleanup_(freep) char *last = xstrdup(sha256);

		r = db_text(d, e, sha256, sizeof sha256, next, last);
		if (r <= 0)
			break;
		r = add_stored(b, "artifacts", sha256,
			"the file does not have its digest any more: upload it again", e);
	}
	return r;
}

static int add_attachments(struct making *b, const char *database, struct err *e)
{
	char sha256[SHA256_HEX] = "";
	_cleanup_(freep) char *dir = xasprintf("%s/" ATTACHMENTS_DIR, b->part);
	_cleanup_(db_freep) struct db *d = NULL;
	int r = tree_make(dir, e);

	if (r == 0)
		r = db_open_offline(database, &d, e);
	while (r == 0 && !d->before_attachments) {
		r = attachments_next(d, 0, 0, sha256, e);
		if (r <= 0)
			break;
		r = add_stored(b, ATTACHMENTS_DIR, sha256,
			"the file does not have its digest any more: put it back from an earlier backup",
			e);
	}
	return r;
}

/* --- what the caller adds --- */

/* PEM (RFC 7468, 10 and 11). */
static bool holds_private_key(const char *p, size_t n)
{
	static const char clear[] = "PRIVATE KEY-----", wrapped[] = "ENCRYPTED ";
	const char *at = p;

	while ((at = memmem(at, n - (size_t)(at - p), clear, strlen(clear)))) {
		if ((size_t)(at - p) < strlen(wrapped) ||
			strncmp(at - strlen(wrapped), wrapped, strlen(wrapped)) != 0)
			return true;
		at++;
	}
	return false;
}

/* Why a file must not go with the backup; NULL: it may. */
static const char *objection(const struct backup_extra *x, const char *p, size_t n)
{
	static const char wrapped[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

	if (holds_private_key(p, n))
		return "it holds a private key in the clear: wrap the key with a passphrase, or keep it elsewhere";
	if (x->wrapped && !memmem(p, n, wrapped, strlen(wrapped)))
		return "it is not a private key that is wrapped with a passphrase (PEM, ENCRYPTED PRIVATE KEY)";
	return NULL;
}

static int read_extra(const char *path, struct strbuf *b, struct err *e)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	char buf[65536];
	size_t n;

	if (!f)
		return err_errno(e, ERR_IO, errno, "%s", path);
	while ((n = fread(buf, 1, sizeof buf, f)) > 0 && b->len <= EXTRA_MAX)
		sb_add_n(b, buf, n);
	if (ferror(f))
		return err_errno(e, ERR_IO, errno, "%s", path);
	return b->len > EXTRA_MAX
		       ? err_set(e, ERR_TOO_LARGE, "%s has more than %u bytes", path, EXTRA_MAX)
		       : 0;
}

static int add_extra(struct making *b, const struct backup_extra *x, struct err *e)
{
	_cleanup_(freep) char *to = xasprintf("%s/%s", b->part, x->name);
	struct strbuf text = {0};
	char sha256[SHA256_HEX];
	struct err why;
	int r = read_extra(x->path, &text, &why);
	const char *no = r < 0 ? why.msg : objection(x, text.s ? text.s : "", text.len);

	if (no) {
		sb_done(&text);
		return leave_out(b, x->name, no);
	}
	r = make_parents(b, x->name, e);
	if (r == 0)
		r = write_file(to, text.s ? text.s : "", text.len, sha256, e);
	sb_done(&text);
	return r < 0 ? r : note_file(b, x->name, sha256, e);
}

/* --- the manifest --- */

static json_t *about(const struct making *b)
{
	const struct checkpoint *c = &b->res->at;
	_cleanup_(freep) char *root = base64_of(c->root.b, sizeof c->root.b);
	char when[RFC3339_SIZE];

	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:O, s:O*}", "made_at",
		rfc3339(wall_ms(), when), "host", c->host, "epoch", c->epoch, "generation",
		(json_int_t)c->generation, "event_seq", (json_int_t)b->res->seq, "records",
		(json_int_t)c->size, "root", root, "left_out", b->left_out, "keys", b->o->keys);
}

/* The key of what leaves this host (base/seal.h), where there is one: none is made here. */
static int write_manifest(struct making *b, struct err *e)
{
	_cleanup_(freep) char *key = xasprintf("%s/keep/records.key", b->o->state_dir);
	_cleanup_(freep) char *to = xasprintf("%s/" BACKUP_MANIFEST, b->part);
	_cleanup_(seal_freep) struct seal *seal = NULL;
	_cleanup_(freep) char *text = NULL;
	char sha256[SHA256_HEX];
	int r = access(key, F_OK) == 0 ? seal_open(key, &seal, e) : 0;

	b->m.about = about(b);
	b->res->is_signed = seal != NULL;
	if (r == 0)
		r = manifest_text(&b->m, seal, BACKUP_TYPE, &text, e);
	return r < 0 ? r : write_file(to, text, strlen(text), sha256, e);
}

/* --- making --- */

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? xasprintf("%.*s", slash == path ? 1 : (int)(slash - path), path)
		     : xstrdup(".");
}

static int sync_folder(const char *path, struct err *e)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? err_errno(e, ERR_IO, errno, "sync %s", path) : 0;
}

/* A folder that a killed backup left is emptied and used again. One that has its name since is not ours. */
static int begin(struct making *b, struct err *e)
{
	_cleanup_(freep) char *folder = folder_of(b->o->to);
	struct stat mine, there;

	if (access(b->o->to, F_OK) == 0)
		return err_set(e, ERR_CONFLICT,
			"%s is there already: name a folder that does not exist yet", b->o->to);
	b->part = xasprintf("%s/" PART, folder);
	if (mkdir(b->part, 0700) < 0 && errno != EEXIST)
		return err_errno(e, ERR_IO, errno, "make %s", b->part);
	b->lock_fd = open(b->part, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (b->lock_fd < 0)
		return err_errno(e, ERR_IO, errno, "%s", b->part);
	if (flock(b->lock_fd, LOCK_EX | LOCK_NB) < 0 || fstat(b->lock_fd, &mine) < 0 ||
		stat(b->part, &there) < 0 || mine.st_ino != there.st_ino) {
		/* Not ours to remove. */
		free(b->part);
		b->part = NULL;
		return err_set(e, ERR_BUSY, "another backup is just being made in %s", folder);
	}
	tree_clear(b->part);
	return 0;
}

static int give_name(struct making *b, struct err *e)
{
	_cleanup_(freep) char *folder = folder_of(b->o->to);
	_cleanup_(freep) char *artifacts = xasprintf("%s/artifacts", b->part);
	_cleanup_(freep) char *attachments = xasprintf("%s/" ATTACHMENTS_DIR, b->part);
	int r = sync_folder(artifacts, e);

	if (r == 0)
		r = sync_folder(attachments, e);

	if (r == 0)
		r = sync_folder(b->part, e);
	if (r < 0)
		return r;
	if (renameat2(AT_FDCWD, b->part, AT_FDCWD, b->o->to, RENAME_NOREPLACE) < 0)
		return err_errno(e, ERR_IO, errno, "give the backup its name, %s", b->o->to);
	free(b->part);
	b->part = NULL;
	return sync_folder(folder, e);
}

static int make_all(struct making *b, struct err *e)
{
	_cleanup_(freep) char *database = NULL;
	int r = begin(b, e);

	if (r < 0)
		return r;
	database = xasprintf("%s/" BACKUP_DATABASE, b->part);
	r = copy_database(b, database, e);
	if (r == 0)
		r = check_database(database, &b->o->ear, b->res, e);
	if (r == 0 && b->res->findings > 0)
		r = err_set(e, ERR_RECORDS_DAMAGED,
			"the copy of the database is not sound (%lld findings): there is no backup, restore the last good one",
			(long long)b->res->findings);
	if (r == 0)
		r = note_file(b, BACKUP_DATABASE, NULL, e);
	if (r == 0)
		r = add_artifacts(b, database, e);
	if (r == 0)
		r = add_attachments(b, database, e);
	for (size_t i = 0; r == 0 && i < b->o->extras; i++)
		r = add_extra(b, &b->o->extra[i], e);
	if (r == 0)
		r = write_manifest(b, e);
	return r < 0 ? r : give_name(b, e);
}

int backup_make(const struct backup_opts *o, struct backup_result *ret, struct err *e)
{
	struct making b = {.o = o, .res = ret, .left_out = json_array(), .lock_fd = -1};
	int r;

	*ret = (struct backup_result){0};
	r = make_all(&b, e);
	if (r < 0 && b.part)
		tree_remove(b.part);
	closep(&b.lock_fd);
	free(b.part);
	json_decref(b.left_out);
	manifest_done(&b.m);
	return r;
}

/* --- verifying --- */

/* What the copy says, and what its manifest says of it. */
static void check_facts(
	const struct manifest *m, const struct backup_ear *ear, struct backup_result *res)
{
	_cleanup_(freep) char *root = base64_of(res->at.root.b, sizeof res->at.root.b);
	json_t *is = json_pack("{s:s, s:s, s:I, s:I, s:s}", "host", res->at.host, "epoch",
		res->at.epoch, "event_seq", (json_int_t)res->seq, "records",
		(json_int_t)res->at.size, "root", root);
	const char *name;
	json_t *v;

	json_object_foreach(is, name, v)
		if (!json_equal(v, json_object_get(m->about, name)))
			found(ear, res,
				BACKUP_MANIFEST
				": '%s' is not what the database says: one of them is of another backup",
				name);
	json_decref(is);
}

/* Not every file system says it with the name. */
static bool is_folder(const char *dir, const char *name)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void check_strays(const char *dir, const char *below, const struct manifest *m,
	const struct backup_ear *ear, struct backup_result *res)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, below);
	DIR *d = opendir(path);

	for (struct dirent *de; d && (de = readdir(d));) {
		_cleanup_(freep) char *name =
			xasprintf("%s%s%s", below, *below ? "/" : "", de->d_name);

		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, "..") ||
			!strcmp(name, BACKUP_MANIFEST))
			continue;
		if (is_folder(dir, name))
			check_strays(dir, name, m, ear, res);
		else if (!manifest_find(m, name))
			found(ear, res, "%s is not in the manifest: it was added", name);
	}
	if (d)
		closedir(d);
}

static int check_files(const char *dir, const struct manifest *m, const struct backup_ear *ear,
	struct backup_result *res, struct err *e)
{
	for (size_t i = 0; i < m->files; i++) {
		int r = manifest_check_file(dir, &m->file[i], e);

		if (r == -ERR_RECORDS_DAMAGED)
			found(ear, res, "%s", e->msg);
		else if (r < 0)
			return r;
		res->bytes += m->file[i].bytes;
	}
	res->files = (int64_t)m->files;
	check_strays(dir, "", m, ear, res);
	return 0;
}

static int verify_all(const char *dir, const struct manifest *m, const struct backup_ear *ear,
	struct backup_result *res, struct err *e)
{
	_cleanup_(freep) char *database = xasprintf("%s/" BACKUP_DATABASE, dir);
	const int64_t before = res->findings;
	int r;

	if (!manifest_find(m, BACKUP_DATABASE))
		found(ear, res, BACKUP_MANIFEST ": there is no " BACKUP_DATABASE " in it");
	r = check_files(dir, m, ear, res, e);
	if (r == 0 && access(database, R_OK) == 0)
		r = check_database(database, ear, res, e);
	if (r == 0 && res->findings == before)
		check_facts(m, ear, res);
	return r;
}

int backup_verify(const char *dir, const struct x509_key *key, size_t keys,
	const struct backup_ear *ear, struct backup_result *ret, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/" BACKUP_MANIFEST, dir);
	struct manifest m;
	int r;

	*ret = (struct backup_result){0};
	r = manifest_load(path, BACKUP_TYPE, &m, e);
	if (r < 0)
		return r;
	if (keys > 0) {
		ret->is_signed = manifest_verify(&m, key, keys, e) == 0;
		if (!ret->is_signed)
			found(ear, ret, BACKUP_MANIFEST ": %s", e->msg);
	}
	r = verify_all(dir, &m, ear, ret, e);
	manifest_done(&m);
	return r < 0 ? err_prefix(e, "backup %s", dir) : 0;
}
