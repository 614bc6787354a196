/* SPDX-License-Identifier: Apache-2.0 */
#include "base/gzip.h"

#include <errno.h>
#include <fcntl.h>
#include <zlib.h>

#include "base/strbuf.h"

#define CHUNK 65536
/* zlib.h, deflateInit2(): the largest window, and 16 for a head of gzip. */
#define GZIP_WINDOW (15 + 16)
#define GZIP_MEMORY 8

struct gzip_writer {
	z_stream z;
	int (*sink)(void *data, const void *p, size_t n, struct err *e);
	void *data;
	uint8_t out[CHUNK];
};

int gzip_writer_new(int (*sink)(void *data, const void *p, size_t n, struct err *e), void *data,
	struct gzip_writer **ret, struct err *e)
{
	struct gzip_writer *w = xcalloc(1, sizeof *w);

	w->sink = sink;
	w->data = data;
	if (deflateInit2(&w->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
		    Z_DEFAULT_STRATEGY) != Z_OK) {
		free(w);
		return err_set(e, ERR_NO_MEMORY, "no memory to compress a file");
	}
	*ret = w;
	return 0;
}

static int deflate_all(struct gzip_writer *w, int flush, struct err *e)
{
	int r = 0;

	do {
		w->z.next_out = w->out;
		w->z.avail_out = sizeof w->out;
		deflate(&w->z, flush);
		if (w->z.avail_out < sizeof w->out)
			r = w->sink(w->data, w->out, sizeof w->out - w->z.avail_out, e);
	} while (r == 0 && w->z.avail_out == 0);
	return r;
}

int gzip_add(struct gzip_writer *w, const void *p, size_t n, struct err *e)
{
	const uint8_t *at = p;
	int r = 0;

	while (r == 0 && n > 0) {
		const size_t part = MIN(n, (size_t)1 << 30);

		w->z.next_in = (uint8_t *)at;
		w->z.avail_in = (unsigned)part;
		r = deflate_all(w, Z_NO_FLUSH, e);
		at += part;
		n -= part;
	}
	return r;
}

int gzip_end(struct gzip_writer *w, struct err *e)
{
	return deflate_all(w, Z_FINISH, e);
}

struct gzip_writer *gzip_writer_free(struct gzip_writer *w)
{
	if (w)
		deflateEnd(&w->z);
	free(w);
	return NULL;
}

/* --- reading --- */

struct gzip_reader {
	int fd;
	z_stream z;
	bool ended; /* the end of the compressed data, with its sum */
	int64_t lines;
	struct strbuf b;
	size_t at; /* of the line that comes next in b */
	uint8_t in[CHUNK];
};

int gzip_open(const char *path, struct gzip_reader **ret, struct err *e)
{
	struct gzip_reader *g = xcalloc(1, sizeof *g);

	g->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (g->fd < 0) {
		int r = err_errno(e, ERR_IO, errno, "%s", path);

		free(g);
		return r;
	}
	if (inflateInit2(&g->z, GZIP_WINDOW) != Z_OK) {
		close(g->fd);
		free(g);
		return err_set(e, ERR_NO_MEMORY, "no memory to read %s", path);
	}
	*ret = g;
	return 0;
}

struct gzip_reader *gzip_close(struct gzip_reader *g)
{
	if (!g)
		return NULL;
	inflateEnd(&g->z);
	close(g->fd);
	sb_done(&g->b);
	free(g);
	return NULL;
}

static int refuse(const struct gzip_reader *g, const char *what, struct err *e)
{
	return err_set(e, ERR_INVALID, "line %lld: %s", (long long)g->lines + 1, what);
}

static int fill(struct gzip_reader *g, struct err *e)
{
	ssize_t n;

	if (g->z.avail_in > 0)
		return 0;
	n = read(g->fd, g->in, sizeof g->in);
	if (n < 0)
		return err_errno(e, ERR_IO, errno, "line %lld", (long long)g->lines + 1);
	if (n == 0)
		return refuse(g, "the compressed file is cut off here", e);
	g->z.next_in = g->in;
	g->z.avail_in = (unsigned)n;
	return 0;
}

/* What is after the compressed data was added. */
static int check_end(struct gzip_reader *g, struct err *e)
{
	char more;

	g->ended = true;
	return g->z.avail_in > 0 || read(g->fd, &more, 1) > 0
		       ? refuse(g, "there are bytes after the end of the compressed file", e)
		       : 0;
}

static int inflate_some(struct gzip_reader *g, struct err *e)
{
	uint8_t out[CHUNK];
	int r = fill(g, e);
	int code;

	if (r < 0)
		return r;
	g->z.next_out = out;
	g->z.avail_out = sizeof out;
	code = inflate(&g->z, Z_NO_FLUSH);
	if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
		return refuse(g, "the compressed file was changed here or before", e);
	sb_add_n(&g->b, out, sizeof out - g->z.avail_out);
	return code == Z_STREAM_END ? check_end(g, e) : 0;
}

/* What was given is dropped, so that what is kept is one line and a little. */
static void drop_given(struct gzip_reader *g)
{
	if (g->at == 0)
		return;
	memmove(g->b.s, g->b.s + g->at, g->b.len - g->at);
	g->b.len -= g->at;
	g->b.s[g->b.len] = 0;
	g->at = 0;
}

static int give(struct gzip_reader *g, char *end, const char **ret, size_t *ret_n, struct err *e)
{
	*end = 0;
	*ret = g->b.s + g->at;
	*ret_n = (size_t)(end - *ret);
	if (memchr(*ret, 0, *ret_n))
		return refuse(g, "there is a NUL in it", e);
	g->at += *ret_n + 1;
	g->lines++;
	return 1;
}

int gzip_line(struct gzip_reader *g, const char **ret, size_t *ret_n, struct err *e)
{
	size_t seen = 0;
	int r = 0;

	for (;;) {
		const size_t have = g->b.len - g->at;
		char *end = have > seen ? memchr(g->b.s + g->at + seen, '\n', have - seen) : NULL;

		if (end)
			return give(g, end, ret, ret_n, e);
		if (g->ended)
			return have == 0 ? 0 : refuse(g, "the last line has no end", e);
		if (have > GZIP_LINE_MAX)
			return refuse(g, "the line is too long", e);
		seen = have;
		drop_given(g);
		r = inflate_some(g, e);
		if (r < 0)
			return r;
	}
}
