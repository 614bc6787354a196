/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>

#include "base/tree.h"
#include "base/util.h"
#include "transports/tools/tool.h"

#define COPY_BYTES (1024 * 1024)

DEFINE_CLEANUP(struct sha256, sha256_free)

int tool_dir_new(const char *parent, struct tool_dir *ret, struct err *e)
{
	struct tool_dir d;

	if (snprintf(d.path, sizeof d.path, "%s/tool-XXXXXX", parent) >= (int)sizeof d.path)
		return err_set(e, ERR_INVALID, "the path %.100s... is too long", parent);
	if (!mkdtemp(d.path))
		return err_errno(e, ERR_IO, errno, "a directory for a program in %s", parent);
	*ret = d;
	return 0;
}

void tool_dir_done(struct tool_dir *d)
{
	if (d->path[0])
		tree_remove(d->path);
	d->path[0] = 0;
}

static int write_all(int fd, const char *bytes, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t k = write(fd, bytes + done, n - done);

		if (k < 0 && errno != EINTR)
			return -1;
		if (k > 0)
			done += (size_t)k;
	}
	return 0;
}

static int create(const struct tool_dir *d, const char *name, char path[600], struct err *e)
{
	int fd;

	if (!*name || *name == '.' || strchr(name, '/') ||
		snprintf(path, 600, "%s/%s", d->path, name) >= 600)
		return err_set(e, ERR_INVALID, "'%.80s' is not a name of a file", name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd >= 0 ? fd : err_errno(e, ERR_IO, errno, "create %s", path);
}

int tool_dir_write(const struct tool_dir *d, const char *name, const void *bytes, size_t n,
	char ret_path[600], struct err *e)
{
	char path[600];
	_cleanup_(closep) int fd = create(d, name, path, e);

	if (fd < 0)
		return fd;
	if (write_all(fd, bytes, n) < 0)
		return err_errno(e, ERR_IO, errno, "write %s", path);
	if (ret_path)
		snprintf(ret_path, sizeof path, "%s", path);
	return 0;
}

int tool_dir_copy(const struct tool_dir *d, const char *name, const char *file,
	char ret_sha256[SHA256_HEX], const struct iotime *it, struct err *e)
{
	char path[600];
	_cleanup_(freep) char *buf = malloc(COPY_BYTES);
	_cleanup_(closep) int from = open(file, O_RDONLY | O_CLOEXEC);
	_cleanup_(closep) int to = -1;
	_cleanup_(sha256_freep) struct sha256 *sum = sha256_new();
	uint8_t digest[SHA256_BYTES];
	ssize_t n = 1;
	int r = 0;

	if (from < 0)
		return err_errno(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "%s", file);
	if (!buf)
		return err_set(e, ERR_NO_MEMORY, "copy %s", file);
	to = create(d, name, path, e);
	if (to < 0)
		return to;
	while (r == 0 && n > 0) {
		n = read(from, buf, COPY_BYTES);
		if (n < 0)
			return err_errno(e, ERR_IO, errno, "read %s", file);
		sha256_add(sum, buf, (size_t)n);
		if (write_all(to, buf, (size_t)n) < 0)
			return err_errno(e, ERR_IO, errno, "write %s", path);
		r = iotime_check(it, e);
	}
	if (r < 0)
		return r;
	sha256_end(sum, digest);
	if (ret_sha256)
		hex_of(digest, sizeof digest, ret_sha256);
	return 0;
}
