/* SPDX-License-Identifier: Apache-2.0
 *
 * The sync service of a virtual adbd, over the unit's real files.
 */
#include "sim/adb/adbd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define ID(a, b, c, d) \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define PATH_BYTES 1024u
#define DATA_BYTES 65536u
#define NEVER_FAIL UINT64_MAX

struct sync {
	struct adbd_queue in;
	/* SEND under way */
	bool sending;
	char *path; /* on the phone */
	FILE *file;
	unsigned mode;
	uint64_t got;
	char *failure;
	bool told; /* FAIL was said */
	/* RECV under way */
	int recv_fd;
	uint64_t recv_left;
};

static void say_id(struct adbd_stream *s, uint32_t id, uint32_t arg)
{
	uint8_t head[8];
	struct wbytes w = wbytes_of(head, sizeof head);

	wb_le32(&w, id);
	wb_le32(&w, arg);
	adbd_put(&s->out, head, w.len);
}

static void say_fail(struct adbd_stream *s, const char *text)
{
	say_id(s, ID('F', 'A', 'I', 'L'), (uint32_t)strlen(text));
	adbd_put(&s->out, text, strlen(text));
}

static bool sync_open(struct adbd_stream *s, const char *arg, uint64_t now_us)
{
	struct sync *y;

	if (s->d->mode == ADBD_SIDELOAD)
		return false;
	y = xcalloc(1, sizeof *y);
	y->recv_fd = -1;
	s->state = y;
	return true;
}

static void sync_done(struct adbd_stream *s)
{
	struct sync *y = s->state;

	if (!y)
		return;
	adbd_queue_done(&y->in);
	fclosep(&y->file);
	closep(&y->recv_fd);
	free(y->path);
	free(y->failure);
	free(y);
}

/* --- STAT, LIST --- */

static void put_stat2(struct wbytes *w, uint32_t error, const struct stat *st)
{
	wb_le32(w, error);
	wb_le64(w, st->st_dev);
	wb_le64(w, st->st_ino);
	wb_le32(w, st->st_mode);
	wb_le32(w, (uint32_t)st->st_nlink);
	wb_le32(w, st->st_uid);
	wb_le32(w, st->st_gid);
	wb_le64(w, (uint64_t)st->st_size);
	wb_le64(w, (uint64_t)st->st_atime);
	wb_le64(w, (uint64_t)st->st_mtime);
	wb_le64(w, (uint64_t)st->st_ctime);
}

static void say_stat(struct adbd_stream *s, uint32_t id, const char *path)
{
	_cleanup_(freep) char *real = adbd_path(s->d, path);
	struct stat st = {0};
	uint8_t answer[72];
	struct wbytes w = wbytes_of(answer, sizeof answer);
	uint32_t error = lstat(real, &st) < 0 ? (uint32_t)errno : 0;

	wb_le32(&w, id);
	if (id == ID('S', 'T', 'A', 'T')) {
		wb_le32(&w, st.st_mode);
		wb_le32(&w, (uint32_t)st.st_size);
		wb_le32(&w, (uint32_t)st.st_mtime);
	} else {
		put_stat2(&w, error, &st);
	}
	adbd_put(&s->out, answer, w.len);
}

static void say_entry(struct adbd_stream *s, bool v2, const char *dir, const char *name)
{
	_cleanup_(freep) char *real = xasprintf("%s/%s", dir, name);
	uint8_t answer[128];
	struct wbytes w = wbytes_of(answer, sizeof answer);
	struct stat st = {0};

	lstat(real, &st);
	if (v2) {
		wb_le32(&w, ID('D', 'N', 'T', '2'));
		put_stat2(&w, 0, &st);
	} else {
		wb_le32(&w, ID('D', 'E', 'N', 'T'));
		wb_le32(&w, st.st_mode);
		wb_le32(&w, (uint32_t)st.st_size);
		wb_le32(&w, (uint32_t)st.st_mtime);
	}
	wb_le32(&w, (uint32_t)strlen(name));
	adbd_put(&s->out, answer, w.len);
	adbd_put(&s->out, name, strlen(name));
}

static void say_list(struct adbd_stream *s, bool v2, const char *path)
{
	_cleanup_(freep) char *real = adbd_path(s->d, path);
	DIR *dir = opendir(real);
	struct dirent *entry;
	uint8_t answer[128];
	struct wbytes w = wbytes_of(answer, sizeof answer);

	while (dir && (entry = readdir(dir)))
		say_entry(s, v2, real, entry->d_name);
	if (dir)
		closedir(dir);
	wb_le32(&w, ID('D', 'O', 'N', 'E'));
	wb_fill(&w, 0, v2 ? 72 : 16);
	adbd_put(&s->out, answer, w.len);
}

/* --- SEND --- */

static void begin_send(struct adbd_stream *s, char *path)
{
	struct sync *y = s->state;
	char *comma = strrchr(path, ',');
	_cleanup_(freep) char *real = NULL;
	int error;

	y->sending = true;
	y->got = 0;
	y->told = false;
	/* As adbd does it (do_send): the user's bits for group and others too. */
	y->mode = comma ? (unsigned)strtoul(comma + 1, NULL, 10) & 0777 : 0644;
	y->mode |= (y->mode >> 3 & 070) | (y->mode >> 6 & 07);
	if (comma)
		*comma = 0;
	str_replace(&y->path, path);
	str_replace(&y->failure, NULL);
	error = adbd_may_write(s->d, path);
	if (!error) {
		real = adbd_path(s->d, path);
		error = adbd_make_parents(real);
		unlink(real);
		y->file = error ? NULL : fopen(real, "we");
		error = y->file ? 0 : error ? error : errno;
	}
	if (error)
		y->failure = xasprintf("couldn't create file: %s", strerrordesc_np(error));
}

static void tell_failure(struct adbd_stream *s)
{
	struct sync *y = s->state;

	if (y->failure && !y->told)
		say_fail(s, y->failure);
	y->told = y->failure != NULL;
}

static void take_data(struct adbd_stream *s, uint8_t *p, size_t n)
{
	struct sync *y = s->state;
	uint64_t k = 0;

	if (adbd_armed(s->d, AF_SYNC_FAIL, &k) && y->got + n > k && !y->failure) {
		adbd_hit(s->d, AF_SYNC_FAIL);
		y->failure = xstrdup("write failed: I/O error");
	}
	if (adbd_armed(s->d, AF_DISK_FULL, &k) && y->got + n > k && !y->failure) {
		adbd_hit(s->d, AF_DISK_FULL);
		y->failure = xstrdup("write failed: No space left on device");
	}
	if (adbd_armed(s->d, AF_CORRUPT_PUSH, &k) && k >= y->got && k < y->got + n) {
		adbd_hit(s->d, AF_CORRUPT_PUSH);
		p[k - y->got] ^= 1;
	}
	y->got += n;
	if (y->file && !y->failure && fwrite(p, 1, n, y->file) != n)
		y->failure = xstrdup("write failed: No space left on device");
	/* FAIL at once, and the rest is read to its end. */
	tell_failure(s);
}

static void end_send(struct adbd_stream *s, uint32_t mtime)
{
	struct sync *y = s->state;
	_cleanup_(freep) char *real = adbd_path(s->d, y->path);
	const struct timespec times[2] = {{.tv_sec = mtime}, {.tv_sec = mtime}};

	y->sending = false;
	if (y->file)
		fclose(y->file);
	y->file = NULL;
	if (y->failure) {
		tell_failure(s);
		s->ended = true;
		return;
	}
	chmod(real, y->mode);
	utimensat(AT_FDCWD, real, times, 0);
	if (adbd_hit(s->d, AF_LOSE_PUSH))
		unlink(real);
	say_id(s, ID('O', 'K', 'A', 'Y'), 0);
}

/* --- RECV --- */

static void begin_recv(struct adbd_stream *s, const char *path)
{
	struct sync *y = s->state;
	_cleanup_(freep) char *real = adbd_path(s->d, path);
	struct stat st;
	uint64_t k;

	y->recv_fd = open(real, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (y->recv_fd < 0 || fstat(y->recv_fd, &st) < 0) {
		_cleanup_(freep) char *text = xasprintf("open failed: %s", strerrordesc_np(errno));

		closep(&y->recv_fd);
		y->recv_fd = -1;
		say_fail(s, text);
		return;
	}
	y->recv_left = NEVER_FAIL;
	if (adbd_hit_arg(s->d, AF_SHORT_PULL, &k))
		y->recv_left = k;
	s->due_us = 0;
}

/* As many DATA frames as one packet holds, or one that takes several packets. */
static void sync_more(struct adbd_stream *s, uint64_t now_us)
{
	struct sync *y = s->state;
	uint8_t buf[DATA_BYTES];

	while (y->recv_fd >= 0 && (!adbd_queued(&s->out) || adbd_queued(&s->out) + DATA_BYTES + 8 <=
								    s->d->max_payload)) {
		ssize_t n = read(y->recv_fd, buf, (size_t)MIN((uint64_t)sizeof buf, y->recv_left));

		if (n <= 0) {
			say_id(s, ID('D', 'O', 'N', 'E'), 0);
			close(y->recv_fd);
			y->recv_fd = -1;
			return;
		}
		if (adbd_hit(s->d, AF_CORRUPT_PULL))
			buf[0] ^= 1;
		y->recv_left -= (uint64_t)n;
		say_id(s, ID('D', 'A', 'T', 'A'), (uint32_t)n);
		adbd_put(&s->out, buf, (size_t)n);
	}
	s->due_us = y->recv_fd >= 0 ? 0 : NEVER;
}

/* --- requests --- */

static void request(struct adbd_stream *s, uint32_t id, char *path)
{
	if (adbd_hit(s->d, AF_RUBBISH_TEXT)) {
		static const char rubbish[] = "\x1b[31m<script>alert(1)</script>\xff\xfe\r\n%s%n";

		say_fail(s, rubbish);
		s->ended = true;
	} else if (id == ID('S', 'T', 'A', 'T') ||
		   (s->d->stat_v2 &&
			   (id == ID('S', 'T', 'A', '2') || id == ID('L', 'S', 'T', '2')))) {
		say_stat(s, id, path);
	} else if (id == ID('L', 'I', 'S', 'T') || (s->d->ls_v2 && id == ID('L', 'I', 'S', '2'))) {
		say_list(s, id == ID('L', 'I', 'S', '2'), path);
	} else if (id == ID('S', 'E', 'N', 'D')) {
		begin_send(s, path);
	} else if (id == ID('R', 'E', 'C', 'V')) {
		begin_recv(s, path);
	} else {
		say_fail(s, "unknown command");
		s->ended = true;
	}
}

/* One frame of what came; false: it is not whole yet. */
static bool take_frame(struct adbd_stream *s)
{
	struct sync *y = s->state;
	struct rbytes b = rbytes_of(y->in.p + y->in.at, adbd_queued(&y->in));
	uint32_t id = rb_le32(&b);
	uint32_t arg = rb_le32(&b);
	_cleanup_(freep) char *path = NULL;
	const uint8_t *data;

	if (b.bad)
		return false;
	if (id == ID('Q', 'U', 'I', 'T')) {
		s->ended = true;
		return false;
	}
	if (y->sending && id == ID('D', 'O', 'N', 'E')) {
		adbd_take(&y->in, 8);
		end_send(s, arg);
		return true;
	}
	if (arg > (y->sending ? DATA_BYTES : PATH_BYTES) ||
		(y->sending && id != ID('D', 'A', 'T', 'A'))) {
		say_fail(s, "invalid frame");
		s->ended = true;
		return false;
	}
	data = rb_take(&b, arg);
	if (!data)
		return false;
	if (y->sending) {
		take_data(s, y->in.p + y->in.at + 8, arg);
		adbd_take(&y->in, 8 + arg);
	} else {
		path = strndup((const char *)data, arg);
		adbd_take(&y->in, 8 + arg);
		request(s, id, path);
	}
	return true;
}

static void sync_input(struct adbd_stream *s, const uint8_t *p, size_t n, uint64_t now_us)
{
	struct sync *y = s->state;

	adbd_put(&y->in, p, n);
	while (!s->ended && take_frame(s))
		;
}

const struct adbd_service adbd_service_sync = {
	.prefix = "sync:",
	.open = sync_open,
	.input = sync_input,
	.more = sync_more,
	.done = sync_done,
};
