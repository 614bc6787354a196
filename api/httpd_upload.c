/* SPDX-License-Identifier: Apache-2.0 */
#include "api/httpd_upload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/util.h"

/* --- Content-Range --- */

/* Decimal digits alone; what follows them is in *at. */
static bool read_number(const char **at, uint64_t *ret)
{
	const char *s = *at;
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (v > (UINT64_MAX >> 1) / 10)
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*at = s;
	*ret = v;
	return true;
}

static bool read_char(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

static bool read_piece(const char *s, struct upload_piece *p)
{
	if (strncmp(s, "bytes ", 6) != 0)
		return false;
	s += 6;
	p->asks = read_char(&s, '*');
	if (!p->asks && !(read_number(&s, &p->first) && read_char(&s, '-') &&
				read_number(&s, &p->last) && p->first <= p->last))
		return false;
	return read_char(&s, '/') && read_number(&s, &p->total) && *s == 0 && p->total > 0 &&
	       (p->asks || p->last < p->total);
}

int upload_read_range(const struct request *rq, struct upload_piece *ret, const char **ret_why)
{
	const char *range = request_header(rq, "Content-Range");
	const char *length = request_header(rq, "Content-Length");

	*ret = (struct upload_piece){0};
	if (!range)
		return 0;
	if (!read_piece(range, ret)) {
		*ret_why =
			"'Content-Range: bytes FIRST-LAST/SIZE' of a piece expected, or 'bytes */SIZE' with an empty body to ask how much is there";
		return 400;
	}
	if (length && strtoull(length, NULL, 10) != (ret->asks ? 0 : ret->last - ret->first + 1)) {
		*ret_why = "Content-Range and Content-Length do not name the same number of bytes";
		return 400;
	}
	return 0;
}

/* --- the file --- */

static int open_whole(struct upload *u, struct request *rq, const char *dir, const char **ret_why)
{
	snprintf(rq->upload_path, sizeof rq->upload_path, "%s/upload-%s", dir, rq->id);
	u->fd = open(rq->upload_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	u->sha = sha256_new();
	*ret_why = "the upload cannot be stored";
	return u->fd < 0 ? 507 : 0;
}

static int check_place(const struct upload_piece *p, uint64_t size, const char **ret_why)
{
	if (size > p->total)
		*ret_why =
			"more of this file is there than it has by its Content-Range: the size is that of the file with this SHA-256";
	else if (!p->asks && p->first != size)
		*ret_why =
			"this piece does not begin where the last one ended: 'Content-Range: bytes */SIZE' with an empty body asks where that is";
	else
		return 0;
	return 409;
}

static int open_part(struct upload *u, struct request *rq, const char **ret_why)
{
	const bool asks = rq->upload_piece.asks;
	struct stat st;
	int status;

	rq->upload_kept = true;
	u->fd = open(rq->upload_path, O_RDWR | O_CLOEXEC | (asks ? 0 : O_CREAT), 0600);
	if (u->fd < 0 && asks && errno == ENOENT)
		return 0;
	*ret_why = "the upload cannot be stored";
	if (u->fd < 0)
		return 507;
	/* Between the two the file may have been finished, or removed. */
	if (flock(u->fd, LOCK_EX | LOCK_NB) < 0 || fstat(u->fd, &st) < 0 || st.st_nlink == 0) {
		*ret_why = "another request sends this file: wait for its end";
		return 409;
	}
	if (lseek(u->fd, 0, SEEK_END) < 0)
		return 507;
	status = check_place(&rq->upload_piece, (uint64_t)st.st_size, ret_why);
	if (status == 0)
		rq->upload_bytes = rq->upload_taken = (uint64_t)st.st_size;
	return status;
}

int upload_open(struct upload *u, struct request *rq, const char *dir, const char **ret_why)
{
	return rq->upload_piece.total ? open_part(u, rq, ret_why) : open_whole(u, rq, dir, ret_why);
}

int upload_write(struct upload *u, const void *data, size_t n)
{
	const uint8_t *from = data;

	if (u->sha)
		sha256_add(u->sha, from, n);
	while (n > 0) {
		ssize_t k = write(u->fd, from, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return 507;
		from += k;
		n -= (size_t)k;
	}
	return 0;
}

static bool hash_file(int fd, char ret[SHA256_HEX])
{
	struct sha256 *sha = sha256_new();
	static const size_t block = 256 * 1024;
	_cleanup_(freep) uint8_t *buf = xcalloc(1, block);
	uint8_t raw[SHA256_BYTES];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, buf, block, at)) > 0) {
		sha256_add(sha, buf, (size_t)n);
		at += n;
	}
	sha256_end(sha, raw);
	sha256_free(sha);
	hex_of(raw, sizeof raw, ret);
	return n == 0;
}

int upload_end(struct upload *u, struct request *rq)
{
	uint8_t raw[SHA256_BYTES];

	rq->upload_sha256[0] = 0;
	if (u->fd < 0)
		return 0;
	if (fdatasync(u->fd) < 0)
		return 507;
	if (u->sha) {
		sha256_end(u->sha, raw);
		hex_of(raw, sizeof raw, rq->upload_sha256);
		return 0;
	}
	if (rq->upload_bytes < rq->upload_piece.total)
		return 0;
	return hash_file(u->fd, rq->upload_sha256) ? 0 : 507;
}

void upload_done(struct upload *u, const struct request *rq)
{
	if (u->fd >= 0) {
		if (!rq->upload_kept)
			unlink(rq->upload_path);
		close(u->fd);
	}
	u->fd = -1;
	u->sha = sha256_free(u->sha);
}

/* --- what nobody finished --- */

static bool is_stale(const struct stat *st, int64_t now_s)
{
	return now_s - st->st_mtime > UPLOAD_PART_AGE_S;
}

struct upload_parts upload_sweep_parts(const char *dir, int64_t now_s)
{
	struct upload_parts parts = {0};
	DIR *d = opendir(dir);
	struct stat st;

	for (struct dirent *de; d && (de = readdir(d));) {
		if (strncmp(de->d_name, UPLOAD_PART, strlen(UPLOAD_PART)) != 0 ||
			fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (is_stale(&st, now_s) && unlinkat(dirfd(d), de->d_name, 0) == 0)
			parts.removed += (uint64_t)st.st_size;
		else
			parts.left += (uint64_t)st.st_size;
	}
	if (d)
		closedir(d);
	return parts;
}
