/* SPDX-License-Identifier: Apache-2.0
 *
 * The files at this end of a transfer.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/actions/adb_session.h"

int adb_outfile_open(struct adb_outfile *f, const char *path, struct err *e)
{
	f->path = path;
	f->part = xasprintf("%s.part", path);
	f->fd = open(f->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (f->fd < 0)
		return err_errno(e, ERR_IO, errno, "create %s", f->part);
	f->digest = sha256_new();
	return 0;
}

int adb_outfile_add(void *outfile, const void *p, size_t n, struct err *e)
{
	struct adb_outfile *f = outfile;
	const char *at = p;

	sha256_add(f->digest, p, n);
	f->bytes += n;
	while (n > 0) {
		ssize_t k = write(f->fd, at, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_errno(e, ERR_IO, errno, "write %s", f->part);
		at += k;
		n -= (size_t)k;
	}
	return 0;
}

int adb_outfile_end(struct adb_outfile *f, char sha256[SHA256_HEX], struct err *e)
{
	uint8_t raw[SHA256_BYTES];

	sha256_end(f->digest, raw);
	hex_of(raw, sizeof raw, sha256);
	return fsync(f->fd) < 0 ? err_errno(e, ERR_IO, errno, "write %s", f->part) : 0;
}

int adb_outfile_commit(struct adb_outfile *f, struct err *e)
{
	if (rename(f->part, f->path) < 0)
		return err_errno(e, ERR_IO, errno, "write %s", f->path);
	free(f->part);
	f->part = NULL;
	return 0;
}

void adb_outfile_done(struct adb_outfile *f)
{
	if (f->part && f->fd >= 0)
		unlink(f->part);
	closep(&f->fd);
	free(f->part);
	sha256_free(f->digest);
}

int adb_infile_open(struct adb_infile *f, struct step *s, const char *ref, struct err *e)
{
	struct stat st;
	char path[512];
	int r = s->ops->image(s->env, ref, path, e);

	if (r < 0)
		return r;
	if (stat(path, &st) < 0)
		return err_errno(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "%s", path);
	f->mtime = (uint32_t)st.st_mtime;
	if (S_ISREG(st.st_mode) && st.st_size == 0) {
		sha256_hex_of("", 0, f->sha256);
		return 0;
	}
	r = s->ops->load_blob(s->env, ref, &f->blob, e);
	if (r < 0)
		return r;
	f->src = (struct adb_source){f->blob->data, f->blob->size};
	memcpy(f->sha256, f->blob->sha256, sizeof f->sha256);
	return 0;
}

void adb_infile_text(struct adb_infile *f, const char *text)
{
	f->src = (struct adb_source){(const uint8_t *)text, strlen(text)};
	f->mtime = (uint32_t)time(NULL);
	sha256_hex_of(text, strlen(text), f->sha256);
}

void adb_infile_done(struct adb_infile *f)
{
	f->blob = blob_unref(f->blob);
}
