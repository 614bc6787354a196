/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/otp_salt.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/util.h"

#define SALT_NAME  "otp-salt"
#define SALT_BYTES 32

static int read_salt(const char *path, uint8_t salt[SALT_BYTES], struct err *e)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return err_errno(
			e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "salt %s", path);
	n = read(fd, salt, SALT_BYTES);
	if (n < 0)
		return err_errno(e, ERR_IO, errno, "salt %s", path);
	return n == SALT_BYTES
		       ? 0
		       : err_set(e, ERR_IO,
				 "salt %s has %zd bytes, %d expected: take it back from a backup, or remove it",
				 path, n, SALT_BYTES);
}

/* The name is on disk as well: with another salt no digest of the journal would be found again. */
static int sync_folder(const char *path, struct err *e)
{
	_cleanup_(freep) char *copy = xstrdup(path);
	_cleanup_(closep) int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && fsync(fd) == 0
		       ? 0
		       : err_errno(e, ERR_IO, errno, "sync the folder of the salt %s", path);
}

/* link() does not replace: of two that make a salt at once, the second takes the first one's, once that is
 * on disk. */
static int publish(const char *part, const char *path, struct err *e)
{
	int r = 0;

	if (link(part, path) < 0 && errno != EEXIST)
		r = err_errno(e, ERR_IO, errno, "keep the salt as %s", path);
	unlink(part);
	return r < 0 ? r : sync_folder(path, e);
}

static int make_salt(const char *path, struct err *e)
{
	_cleanup_(freep) char *part = xasprintf("%s.XXXXXX", path);
	_cleanup_(closep) int fd = mkostemp(part, O_CLOEXEC); /* mode 0600 */
	uint8_t salt[SALT_BYTES];
	int r = 0;

	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "create %s", part);
	random_bytes(salt, sizeof salt);
	if (write(fd, salt, sizeof salt) != (ssize_t)sizeof salt || fsync(fd) < 0)
		r = err_errno(e, ERR_IO, errno, "write %s", part);
	secret_wipe(salt, sizeof salt);
	if (r == 0)
		return publish(part, path, e);
	unlink(part);
	return r;
}

static int the_salt(struct step *s, uint8_t salt[SALT_BYTES], struct err *e)
{
	char path[FILE_PATH_BYTES];
	int r;

	if (!s->ops->keep) {
		random_bytes(salt, SALT_BYTES);
		return 0;
	}
	r = s->ops->keep(s->env, SALT_NAME, path, e);
	if (r < 0)
		return r;
	r = read_salt(path, salt, e);
	if (r != -ERR_NOT_FOUND)
		return r;
	r = make_salt(path, e);
	return r < 0 ? r : read_salt(path, salt, e);
}

int otp_salted_digest(struct step *s, const void *p, size_t n, char ret[SHA256_HEX], struct err *e)
{
	uint8_t salt[SALT_BYTES], sum[SHA256_BYTES];
	struct sha256 *d;
	int r = the_salt(s, salt, e);

	if (r < 0)
		return r;
	d = sha256_new();
	sha256_add(d, salt, sizeof salt);
	sha256_add(d, p, n);
	sha256_end(d, sum);
	sha256_free(d);
	secret_wipe(salt, sizeof salt);
	hex_of(sum, sizeof sum, ret);
	return 0;
}
