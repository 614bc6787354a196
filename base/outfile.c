/* SPDX-License-Identifier: Apache-2.0 */
#include "base/outfile.h"

#include <errno.h>
#include <fcntl.h>

#include "base/util.h"

static int open_part(struct outfile *f, const char *path, int how, struct err *e)
{
	f->path = path;
	f->part = xasprintf("%s.part", path);
	f->fd = openat(f->dir, f->part, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | how, 0640);
	if (f->fd < 0)
		return err_errno(e, ERR_IO, errno, "create %s", f->part);
	f->digest = sha256_new();
	return 0;
}

int outfile_open(struct outfile *f, const char *path, struct err *e)
{
	f->dir = AT_FDCWD;
	f->own_dir = false;
	return open_part(f, path, O_TRUNC, e);
}

int outfile_open_at(struct outfile *f, int dir, const char *name, struct err *e)
{
	_cleanup_(freep) char *part = xasprintf("%s.part", name);

	f->dir = dir;
	f->own_dir = true;
	unlinkat(dir, part, 0);
	return open_part(f, name, O_EXCL, e);
}

int outfile_add(void *outfile, const void *p, size_t n, struct err *e)
{
	struct outfile *f = outfile;
	const char *at = p;

	if (f->room) {
		int r = f->room(f->room_data, f->bytes + n, e);

		if (r < 0)
			return r;
	}
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

int outfile_add_fd(struct outfile *f, int fd, struct err *e)
{
	static const size_t size = 1 << 18;
	_cleanup_(freep) char *buf = malloc(size);
	ssize_t n = buf ? 1 : 0;
	int r = buf ? 0 : err_set(e, ERR_NO_MEMORY, "no memory to copy a file");

	while (r == 0 && n > 0) {
		n = read(fd, buf, size);
		r = n < 0 ? err_errno(e, ERR_IO, errno, "read") : outfile_add(f, buf, (size_t)n, e);
	}
	return r;
}

int outfile_end(struct outfile *f, char sha256[SHA256_HEX], struct err *e)
{
	uint8_t raw[SHA256_BYTES];

	sha256_end(f->digest, raw);
	hex_of(raw, sizeof raw, sha256);
	memcpy(f->sha256, sha256, SHA256_HEX);
	return fsync(f->fd) < 0 ? err_errno(e, ERR_IO, errno, "write %s", f->part) : 0;
}

static int sync_directory(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(freep) char *dir =
		slash ? xasprintf("%.*s", slash == path ? 1 : (int)(slash - path), path)
		      : xstrdup(".");
	_cleanup_(closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? err_errno(e, ERR_IO, errno, "sync %s", dir) : 0;
}

int outfile_commit(struct outfile *f, struct err *e)
{
	if (renameat(f->dir, f->part, f->dir, f->path) < 0)
		return err_errno(e, ERR_IO, errno, "write %s", f->path);
	free(f->part);
	f->part = NULL;
	if (f->own_dir)
		return fsync(f->dir) < 0 ? err_errno(e, ERR_IO, errno, "sync %s", f->path) : 0;
	return sync_directory(f->path, e);
}

void outfile_done(struct outfile *f)
{
	if (f->part && f->fd >= 0)
		unlinkat(f->dir, f->part, 0);
	closep(&f->fd);
	if (f->own_dir)
		closep(&f->dir);
	f->own_dir = false;
	free(f->part);
	f->part = NULL;
	sha256_free(f->digest);
	f->digest = NULL;
}
