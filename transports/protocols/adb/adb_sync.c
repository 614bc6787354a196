/* SPDX-License-Identifier: Apache-2.0
 *
 * The sync service. Runs on the worker that owns the link.
 */
#include "transports/protocols/adb/adb_sync.h"

#include "base/bytes.h"
#include "base/strbuf.h"

#define ID(a, b, c, d) \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define ID_STAT ID('S', 'T', 'A', 'T')
#define ID_STA2 ID('S', 'T', 'A', '2')
#define ID_LIST ID('L', 'I', 'S', 'T')
#define ID_DENT ID('D', 'E', 'N', 'T')
#define ID_SEND ID('S', 'E', 'N', 'D')
#define ID_RECV ID('R', 'E', 'C', 'V')
#define ID_DATA ID('D', 'A', 'T', 'A')
#define ID_DONE ID('D', 'O', 'N', 'E')
#define ID_OKAY ID('O', 'K', 'A', 'Y')
#define ID_FAIL ID('F', 'A', 'I', 'L')
#define ID_QUIT ID('Q', 'U', 'I', 'T')

#define HEAD_BYTES   8u
#define TYPE_REGULAR 0100000u
#define QUIT_US	     (200 * US_PER_MS)
#define QUIT_MAX_US  (5 * US_PER_S)
#define FAIL_SHOWN   200u
#define NAME_MAX_LEN 1024u
/* The errno of a device that has no such file; adbd speaks its own numbers, which are Linux's. */
#define WIRE_ENOENT 2u

struct adb_sync {
	struct adb_stream *stream;
	uint8_t *out; /* one packet under way */
	size_t cap;
	bool done; /* an error left the stream where nothing can follow */
};

int adb_sync_open(struct adb_conn *c, const struct iotime *it, struct adb_sync **ret, struct err *e)
{
	_cleanup_(adb_sync_freep) struct adb_sync *s = xcalloc(1, sizeof *s);
	int r = adb_stream_open(c, "sync:", it, &s->stream, e);

	if (r < 0)
		return r;
	s->cap = adb_stream_piece(s->stream);
	s->out = malloc(s->cap);
	if (!s->out)
		return err_set(e, ERR_NO_MEMORY, "a packet of %zu bytes", s->cap);
	*ret = steal_ptr(&s);
	return 0;
}

int adb_sync_quit(struct adb_sync *s, const struct iotime *it, struct err *e)
{
	const struct iotime within = iotime_within(it, QUIT_MAX_US);
	uint8_t quit[HEAD_BYTES];
	struct wbytes w = wbytes_of(quit, sizeof quit);
	bool said;
	int r;

	if (!s || !s->stream || s->done)
		return 0;
	s->done = true;
	wb_le32(&w, ID_QUIT);
	wb_le32(&w, 0);
	r = adb_stream_write(s->stream, quit, w.len, &said, it, e);
	if (r == 0)
		r = adb_stream_wait_close(s->stream, &within, e);
	/* A unit that leaves the stream open: it is closed from here. */
	return r == -ERR_TIMEOUT && iotime_check(it, NULL) == 0 ? 0 : r;
}

struct adb_sync *adb_sync_free(struct adb_sync *s)
{
	const struct iotime it = {now_us() + QUIT_US, NULL};

	if (!s)
		return NULL;
	adb_sync_quit(s, &it, NULL);
	adb_stream_free(s->stream);
	free(s->out);
	free(s);
	return NULL;
}

/* A phone that hangs would otherwise hold its station until the end of the step. */
static int get(struct adb_sync *s, void *buf, size_t n, const struct iotime *it, struct err *e)
{
	struct iotime idle = adb_conn_idle(adb_stream_conn(s->stream), it);

	return adb_stream_read_exact(s->stream, buf, n, &idle, e);
}

static int put(struct adb_sync *s, const void *p, size_t n, bool *ret_heard,
	const struct iotime *it, struct err *e)
{
	struct iotime idle = adb_conn_idle(adb_stream_conn(s->stream), it);

	return adb_stream_write(s->stream, p, n, ret_heard, &idle, e);
}

static char *id_text(uint32_t id)
{
	uint8_t b[4];
	struct wbytes w = wbytes_of(b, sizeof b);

	wb_le32(&w, id);
	return adb_text(b, sizeof b, sizeof b);
}

static int unexpected(uint32_t id, const char *wanted, struct err *e)
{
	_cleanup_(freep) char *text = id_text(id);

	return err_set(e, ERR_PROTOCOL, "the unit answered '%s', %s expected", text, wanted);
}

/* Each request leaves the stream at the beginning of an answer, or `done`. */
static int request(struct adb_sync *s, uint32_t id, const char *path, const char *more,
	const struct iotime *it, struct err *e)
{
	struct wbytes w = wbytes_of(s->out, s->cap);
	size_t n = strlen(path);

	if (s->done)
		return err_set(e, ERR_PROTOCOL, "the sync stream ended with an error before");
	if (n == 0 || n + strlen(more) > ADB_SYNC_PATH_MAX)
		return err_set(e, ERR_INVALID, "a path on the unit has from 1 to %u bytes",
			ADB_SYNC_PATH_MAX);
	wb_le32(&w, id);
	wb_le32(&w, (uint32_t)(n + strlen(more)));
	wb_put(&w, path, n);
	wb_put(&w, more, strlen(more));
	if (w.bad)
		return err_set(e, ERR_INVALID,
			"the unit's packets of %zu bytes do not hold the path", s->cap);
	s->done = true;
	return put(s, w.p, w.len, NULL, it, e);
}

static int read_head(struct adb_sync *s, uint32_t *ret_id, uint32_t *ret_arg,
	const struct iotime *it, struct err *e)
{
	uint8_t head[HEAD_BYTES];
	struct rbytes b = rbytes_of(head, sizeof head);
	int r = get(s, head, sizeof head, it, e);

	if (r < 0)
		return r;
	*ret_id = rb_le32(&b);
	*ret_arg = rb_le32(&b);
	return 0;
}

/* FAIL's words: cut and escaped. */
static int refused(
	struct adb_sync *s, const char *path, uint32_t n, const struct iotime *it, struct err *e)
{
	char said[FAIL_SHOWN + 1];
	size_t k = MIN(n, sizeof said);
	int r = get(s, said, k, it, e);
	_cleanup_(freep) char *text = NULL;

	if (r < 0)
		return r;
	text = adb_text(said, k, FAIL_SHOWN);
	return err_set(e, ERR_DEVICE_REFUSED, "%.120s: the unit says '%s'", path, text);
}

/* --- STAT, STA2 --- */

/* The answer to a request of n bytes, its id included: FAIL is one too. */
static int read_answer(struct adb_sync *s, const char *path, uint32_t id, uint8_t *answer, size_t n,
	const struct iotime *it, struct err *e)
{
	struct rbytes b = rbytes_of(answer, HEAD_BYTES);
	int r = get(s, answer, HEAD_BYTES, it, e);
	uint32_t got;

	if (r < 0)
		return r;
	got = rb_le32(&b);
	if (got == ID_FAIL)
		return refused(s, path, rb_le32(&b), it, e);
	if (got != id) {
		_cleanup_(freep) char *wanted = id_text(id);

		return unexpected(got, wanted, e);
	}
	return get(s, answer + HEAD_BYTES, n - HEAD_BYTES, it, e);
}

static int stat_v2(struct adb_sync *s, const char *path, const struct iotime *it,
	struct adb_stat *ret, struct err *e)
{
	uint8_t answer[72] = {0};
	struct rbytes b = rbytes_of(answer, sizeof answer);
	uint32_t error;
	int r = request(s, ID_STA2, path, "", it, e);

	if (r == 0)
		r = read_answer(s, path, ID_STA2, answer, sizeof answer, it, e);
	if (r < 0)
		return r;
	s->done = false;
	rb_le32(&b);
	error = rb_le32(&b);
	rb_take(&b, 16); /* device and inode */
	ret->mode = rb_le32(&b);
	rb_take(&b, 12); /* links, owner, group */
	ret->size = rb_le64(&b);
	rb_take(&b, 8);
	ret->mtime = (int64_t)rb_le64(&b);
	ret->size_is_whole = true;
	if (error == WIRE_ENOENT)
		ret->mode = 0;
	else if (error)
		return err_set(
			e, ERR_DEVICE_REFUSED, "%.120s: the unit says error %u", path, error);
	return 0;
}

static int stat_v1(struct adb_sync *s, const char *path, const struct iotime *it,
	struct adb_stat *ret, struct err *e)
{
	uint8_t answer[16] = {0};
	struct rbytes b = rbytes_of(answer, sizeof answer);
	int r = request(s, ID_STAT, path, "", it, e);

	if (r == 0)
		r = read_answer(s, path, ID_STAT, answer, sizeof answer, it, e);
	if (r < 0)
		return r;
	s->done = false;
	rb_le32(&b);
	ret->mode = rb_le32(&b);
	ret->size = rb_le32(&b);
	ret->mtime = rb_le32(&b);
	return 0;
}

int adb_sync_stat(struct adb_sync *s, const char *path, const struct iotime *it,
	struct adb_stat *ret, struct err *e)
{
	bool v2 = adb_conn_has(adb_stream_conn(s->stream), ADB_STAT_V2);
	struct adb_stat st = {0};
	int r = (v2 ? stat_v2 : stat_v1)(s, path, it, &st, e);

	if (r == 0)
		*ret = st;
	return r;
}

/* --- LIST --- */

static int read_entry(struct adb_sync *s, bool *ret_last, adb_entry_fn *fn, void *data,
	const struct iotime *it, struct err *e)
{
	uint8_t answer[20];
	char name[NAME_MAX_LEN + 1];
	struct rbytes b = rbytes_of(answer, sizeof answer);
	struct adb_stat st = {0};
	uint32_t id;
	uint32_t n;
	int r = get(s, answer, sizeof answer, it, e);

	if (r < 0)
		return r;
	id = rb_le32(&b);
	st.mode = rb_le32(&b);
	st.size = rb_le32(&b);
	st.mtime = rb_le32(&b);
	n = rb_le32(&b);
	*ret_last = id == ID_DONE;
	if (id == ID_DONE)
		return 0;
	if (id != ID_DENT)
		return unexpected(id, "DENT or DONE", e);
	if (n == 0 || n > NAME_MAX_LEN)
		return err_set(e, ERR_PROTOCOL, "an entry with a name of %u bytes", n);
	r = get(s, name, n, it, e);
	if (r < 0)
		return r;
	name[n] = 0;
	if (strlen(name) != n)
		return err_set(e, ERR_PROTOCOL, "an entry whose name holds a NUL");
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return 0;
	return fn(data, &st, name, e);
}

int adb_sync_list(struct adb_sync *s, const char *path, adb_entry_fn *fn, void *data,
	const struct iotime *it, struct err *e)
{
	bool last = false;
	int r = request(s, ID_LIST, path, "", it, e);

	while (r == 0 && !last)
		r = read_entry(s, &last, fn, data, it, e);
	s->done = r < 0;
	return r;
}

/* --- SEND --- */

struct sending {
	struct adb_sync *s;
	const char *path;
	const struct adb_source *src;
	uint64_t done;
	struct wbytes w;
	bool said; /* the device has spoken before we were done */
};

static int flush(struct sending *x, const struct iotime *it, struct err *e)
{
	int r = put(x->s, x->w.p, x->w.len, &x->said, it, e);

	x->w.len = 0;
	return r;
}

/* As many DATA frames as fit one packet. */
static void fill(struct sending *x)
{
	while (x->done < x->src->size && x->w.cap - x->w.len > HEAD_BYTES) {
		size_t room = x->w.cap - x->w.len - HEAD_BYTES;
		uint32_t n = (uint32_t)MIN(MIN(x->src->size - x->done, room), ADB_SYNC_DATA_MAX);

		wb_le32(&x->w, ID_DATA);
		wb_le32(&x->w, n);
		wb_put(&x->w, x->src->bytes + x->done, n);
		x->done += n;
	}
}

static int send_data(struct sending *x, uint32_t mtime, const struct teller *tell,
	const struct iotime *it, struct err *e)
{
	int r = 0;

	while (r == 0 && !x->said && x->done < x->src->size) {
		fill(x);
		r = flush(x, it, e);
		teller_progress(tell, "transfer", x->done, x->src->size);
	}
	if (r < 0 || x->said)
		return r;
	wb_le32(&x->w, ID_DONE);
	wb_le32(&x->w, mtime);
	return flush(x, it, e);
}

static int send_answer(struct sending *x, const struct iotime *it, struct err *e)
{
	uint32_t id;
	uint32_t arg;
	int r = read_head(x->s, &id, &arg, it, e);

	if (r < 0)
		return err_prefix(e, "%.120s: after %llu of %llu bytes", x->path,
			(unsigned long long)x->done, (unsigned long long)x->src->size);
	if (id == ID_FAIL)
		return refused(x->s, x->path, arg, it, e);
	if (id != ID_OKAY)
		return unexpected(id, "OKAY or FAIL", e);
	if (x->said)
		return err_set(e, ERR_PROTOCOL,
			"%.120s: the unit said OKAY after %llu of %llu bytes", x->path,
			(unsigned long long)x->done, (unsigned long long)x->src->size);
	return 0;
}

int adb_sync_send(struct adb_sync *s, const char *path, unsigned mode, uint32_t mtime,
	const struct adb_source *src, const struct teller *tell, const struct iotime *it,
	struct err *e)
{
	struct sending x = {s, path, src, 0, wbytes_of(s->out, s->cap), false};
	char more[24];
	int r;

	/* The last comma separates: the path may hold some. */
	snprintf(more, sizeof more, ",%u", (mode & 07777) | TYPE_REGULAR);
	r = request(s, ID_SEND, path, more, it, e);
	if (r == 0)
		r = send_data(&x, mtime, tell, it, e);
	if (r == 0)
		r = send_answer(&x, it, e);
	s->done = r < 0;
	return r;
}

/* --- RECV --- */

/* n bytes of a DATA frame to the sink, as they come. */
static int recv_data(struct adb_sync *s, uint32_t n, adb_sink_fn *sink, void *data,
	const struct iotime *it, struct err *e)
{
	int r = 0;

	while (r == 0 && n > 0) {
		uint32_t k = (uint32_t)MIN(n, s->cap);

		r = get(s, s->out, k, it, e);
		if (r == 0)
			r = sink(data, s->out, k, e);
		n -= k;
	}
	return r;
}

int adb_sync_recv(struct adb_sync *s, const char *path, adb_sink_fn *sink, void *data,
	uint64_t *ret_n, const struct iotime *it, struct err *e)
{
	uint64_t got = 0;
	int r = request(s, ID_RECV, path, "", it, e);

	while (r == 0) {
		uint32_t id;
		uint32_t n;

		r = read_head(s, &id, &n, it, e);
		if (r < 0)
			return err_prefix(
				e, "%.120s: after %llu bytes", path, (unsigned long long)got);
		if (id == ID_DONE)
			break;
		if (id == ID_FAIL)
			return refused(s, path, n, it, e);
		if (id != ID_DATA)
			return unexpected(id, "DATA, DONE or FAIL", e);
		if (n > ADB_SYNC_DATA_MAX)
			return err_set(e, ERR_PROTOCOL, "DATA of %u bytes, at most %u are allowed",
				n, ADB_SYNC_DATA_MAX);
		r = recv_data(s, n, sink, data, it, e);
		got += n;
	}
	if (r < 0)
		return r;
	s->done = false;
	*ret_n = got;
	return 0;
}
