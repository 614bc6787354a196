/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams: opening, one WRTE at a time in each direction, closing. Runs on the worker that owns the
 * link.
 */
#include "transports/protocols/adb/adb_impl.h"

#define SERVICE_MAX 65536u
#define CLOSE_US    (200 * US_PER_MS)

static int enter(struct adb_stream *s, struct err *e)
{
	struct adb_conn *c = s->conn;

	for (size_t i = 0; i < ADB_STREAMS_MAX; i++)
		if (!c->stream[i]) {
			c->stream[i] = s;
			return 0;
		}
	return err_set(e, ERR_INTERNAL, "more than %d streams at once", ADB_STREAMS_MAX);
}

static void leave(struct adb_stream *s)
{
	for (size_t i = 0; i < ADB_STREAMS_MAX; i++)
		if (s->conn->stream[i] == s)
			s->conn->stream[i] = NULL;
}

struct adb_stream *adb_stream_free(struct adb_stream *s)
{
	if (!s)
		return NULL;
	leave(s);
	/* After a cancel too: the device would keep the service alive. */
	if (s->remote && !s->closed && s->conn->broken.code == ERR_NONE) {
		struct iotime it = {now_us() + CLOSE_US, NULL};

		adb_conn_send(s->conn, ADB_CLSE, s->local, s->remote, NULL, 0, &it, NULL);
	}
	free(s->in);
	free(s);
	return NULL;
}

int adb_stream_open(struct adb_conn *c, const char *service, const struct iotime *it,
	struct adb_stream **ret, struct err *e)
{
	_cleanup_(adb_stream_freep) struct adb_stream *s = xcalloc(1, sizeof *s);
	size_t n = strlen(service);
	int r;

	s->conn = c;
	s->local = c->next_id++;
	snprintf(s->name, sizeof s->name, "%s", service);
	if (n > MIN(SERVICE_MAX, c->peer.max_payload))
		return err_set(e, ERR_INVALID,
			"a command of %zu bytes is longer than the unit takes (%u)", n,
			MIN(SERVICE_MAX, c->peer.max_payload));
	r = enter(s, e);
	if (r < 0)
		return r;
	teller_log(&c->cfg.tell, '>', "%s", service);
	r = adb_conn_send(c, ADB_OPEN, s->local, 0, service, n, it, e);
	while (r == 0 && !s->remote && !s->closed)
		r = adb_conn_pump(c, it, e);
	if (r == 0 && s->refused)
		r = err_set(e, ERR_DEVICE_REFUSED, "the unit does not offer '%s'", s->name);
	if (r == -ERR_TIMEOUT)
		err_prefix(e, "no answer to '%s'", s->name);
	if (r < 0)
		return r;
	*ret = steal_ptr(&s);
	return 0;
}

static bool heard(const struct adb_stream *s)
{
	return s->closed || s->in_at < s->in_len;
}

static int await_turn(struct adb_stream *s, bool stop_heard, const struct iotime *it, struct err *e)
{
	int r = iotime_check(it, e);

	while (r == 0 && !s->may_send && !s->closed && !(stop_heard && heard(s)))
		r = adb_conn_pump(s->conn, it, e);
	if (r == -ERR_TIMEOUT)
		err_prefix(e, "%s: the unit takes no more data", s->name);
	return r;
}

int adb_stream_write(struct adb_stream *s, const void *p, size_t n, bool *ret_heard,
	const struct iotime *it, struct err *e)
{
	const uint8_t *at = p;

	while (n > 0) {
		size_t k = MIN(n, adb_stream_piece(s));
		int r = await_turn(s, ret_heard != NULL, it, e);

		if (r < 0)
			return r;
		if (ret_heard && heard(s)) {
			*ret_heard = true;
			return 0;
		}
		if (s->closed)
			return err_set(e, ERR_PROTOCOL, "%s: the unit closed the stream", s->name);
		s->may_send = false;
		r = adb_conn_send(s->conn, ADB_WRTE, s->local, s->remote, at, k, it, e);
		if (r < 0)
			return r;
		at += k;
		n -= k;
	}
	if (ret_heard)
		*ret_heard = false;
	return 0;
}

/* Waits until there is something to read, or the stream is closed. The device may then send on. */
static int await_data(struct adb_stream *s, const struct iotime *it, struct err *e)
{
	int r = 0;

	while (r == 0 && !heard(s)) {
		/* An empty WRTE wants its answer too. */
		if (s->unacked) {
			s->unacked = false;
			r = adb_conn_send(s->conn, ADB_OKAY, s->local, s->remote, NULL, 0, it, e);
		}
		if (r == 0)
			r = adb_conn_pump(s->conn, it, e);
	}
	if (r == 0 && s->unacked && !s->closed) {
		s->unacked = false;
		r = adb_conn_send(s->conn, ADB_OKAY, s->local, s->remote, NULL, 0, it, e);
	}
	if (r == -ERR_TIMEOUT)
		err_prefix(e, "%s", s->name);
	return r;
}

int adb_stream_read(struct adb_stream *s, const uint8_t **ret, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	int r = iotime_check(it, e);

	if (r == 0)
		r = await_data(s, it, e);
	if (r < 0)
		return r;
	*ret = s->in ? s->in + s->in_at : NULL;
	*ret_n = s->in_len - s->in_at;
	s->in_at = s->in_len;
	return 0;
}

int adb_stream_read_exact(
	struct adb_stream *s, void *buf, size_t n, const struct iotime *it, struct err *e)
{
	uint8_t *to = buf;
	size_t wanted = n;

	while (n > 0) {
		size_t k;
		int r = await_data(s, it, e);

		if (r < 0)
			return r;
		k = MIN(n, s->in_len - s->in_at);
		if (k == 0)
			return err_set(e, ERR_PROTOCOL,
				"%s: the unit closed the stream after %zu of %zu bytes", s->name,
				wanted - n, wanted);
		memcpy(to, s->in + s->in_at, k);
		s->in_at += k;
		to += k;
		n -= k;
	}
	return 0;
}

int adb_stream_wait_close(struct adb_stream *s, const struct iotime *it, struct err *e)
{
	const uint8_t *p;
	size_t n = 1;
	int r = 0;

	while (r == 0 && n > 0)
		r = adb_stream_read(s, &p, &n, it, e);
	return r;
}

size_t adb_stream_piece(const struct adb_stream *s)
{
	return s->conn->peer.max_payload;
}

struct adb_conn *adb_stream_conn(const struct adb_stream *s)
{
	return s->conn;
}
