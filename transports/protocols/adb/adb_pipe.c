/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets over a byte stream, and over bulk endpoints with their transfers. On the thread of the
 * worker that owns the link.
 */
#include "transports/protocols/adb/adb_pipe.h"

#include "base/util.h"

/* What is read at once while a former session's rest is thrown away. */
#define STALE_BYTES	16384u
#define STALE_MAX_BYTES (8u << 20)
/* So long nothing came: what was left is gone. A device writes the next packet of a queue at once.
 */
#define QUIET_US (30 * US_PER_MS)
/* Zero-length packets that a device may send in the place of data. */
#define EMPTY_MAX 16
/* A header and a small payload go out in one write. */
#define JOIN_BYTES 4096u

struct adb_pipe *adb_pipe_free(struct adb_pipe *p)
{
	if (p)
		p->ops->free(p);
	return NULL;
}

/* --- a byte stream --- */

struct stream_pipe {
	struct adb_pipe pipe;
	struct link *link;
};

static struct link *link_of(struct adb_pipe *p)
{
	return container_of(p, struct stream_pipe, pipe)->link;
}

static int stream_send(struct adb_pipe *p, const uint8_t header[ADB_HEADER_BYTES],
	const void *payload, size_t n, const struct iotime *it, struct err *e)
{
	uint8_t joined[ADB_HEADER_BYTES + JOIN_BYTES];
	int r;

	if (n <= JOIN_BYTES) {
		memcpy(joined, header, ADB_HEADER_BYTES);
		if (n)
			memcpy(joined + ADB_HEADER_BYTES, payload, n);
		return link_write(link_of(p), joined, ADB_HEADER_BYTES + n, it, e);
	}
	r = link_write(link_of(p), header, ADB_HEADER_BYTES, it, e);
	return r < 0 ? r : link_write(link_of(p), payload, n, it, e);
}

static int stream_recv_header(struct adb_pipe *p, uint8_t header[ADB_HEADER_BYTES], bool *ret_begun,
	const struct iotime *it, struct err *e)
{
	size_t got = 0;
	int r = link_read_exact(link_of(p), header, ADB_HEADER_BYTES, &got, it, e);

	if (r < 0)
		*ret_begun = got > 0;
	return r;
}

static int stream_recv_payload(
	struct adb_pipe *p, void *buf, size_t n, const struct iotime *it, struct err *e)
{
	return link_read_exact(link_of(p), buf, n, NULL, it, e);
}

static void stream_free(struct adb_pipe *p)
{
	free(container_of(p, struct stream_pipe, pipe));
}

static const struct adb_pipe_ops stream_ops = {
	.send = stream_send,
	.recv_header = stream_recv_header,
	.recv_payload = stream_recv_payload,
	.free = stream_free,
};

struct adb_pipe *adb_pipe_link(struct link *l)
{
	struct stream_pipe *s = xcalloc(1, sizeof *s);

	s->pipe.ops = &stream_ops;
	s->link = l;
	return &s->pipe;
}

/* --- bulk endpoints --- */

struct bulk_pipe {
	struct adb_pipe pipe;
	struct adb_bulk bulk;
	/* What came after a header in its transfer: the beginning of the payload, where a device
	 * joins them. */
	uint8_t *rest;
	size_t rest_at, rest_len;
};

static struct bulk_pipe *bulk_of(struct adb_pipe *p)
{
	return container_of(p, struct bulk_pipe, pipe);
}

static int bulk_send(struct adb_pipe *p, const uint8_t header[ADB_HEADER_BYTES],
	const void *payload, size_t n, const struct iotime *it, struct err *e)
{
	struct adb_bulk *b = &bulk_of(p)->bulk;
	int r = b->out(b->data, header, ADB_HEADER_BYTES, false, it, e);

	if (r < 0 || n == 0)
		return r;
	return b->out(b->data, payload, n, n % b->max_packet_out == 0, it, e);
}

static size_t whole_packets(const struct adb_bulk *b, size_t n)
{
	return (n + b->max_packet_in - 1) / b->max_packet_in * b->max_packet_in;
}

/* One transfer of whole packets, which has to hold something. */
static int bulk_in(struct bulk_pipe *b, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	for (int empty = 0; empty < EMPTY_MAX; empty++) {
		int r = b->bulk.in(b->bulk.data, buf, size, ret_n, it, e);

		if (r < 0 || *ret_n > 0)
			return r;
	}
	return err_set(e, ERR_PROTOCOL, "the unit sends nothing but zero-length packets");
}

static int bulk_recv_header(struct adb_pipe *p, uint8_t header[ADB_HEADER_BYTES], bool *ret_begun,
	const struct iotime *it, struct err *e)
{
	struct bulk_pipe *b = bulk_of(p);
	size_t n = 0;
	int r = 0;

	/* A device that joins packets may have given the next header already. */
	if (b->rest_at == b->rest_len) {
		b->rest_at = b->rest_len = 0;
		r = bulk_in(b, b->rest, whole_packets(&b->bulk, ADB_HEADER_BYTES), &n, it, e);
		b->rest_len = n;
	}
	if (r < 0) {
		*ret_begun = n > 0;
		return r;
	}
	if (b->rest_len - b->rest_at < ADB_HEADER_BYTES) {
		*ret_begun = true;
		return err_set(e, ERR_PROTOCOL, "a transfer of %zu bytes came for a header of %u",
			b->rest_len - b->rest_at, ADB_HEADER_BYTES);
	}
	memcpy(header, b->rest + b->rest_at, ADB_HEADER_BYTES);
	b->rest_at += ADB_HEADER_BYTES;
	return 0;
}

static int bulk_recv_payload(
	struct adb_pipe *p, void *buf, size_t n, const struct iotime *it, struct err *e)
{
	struct bulk_pipe *b = bulk_of(p);
	size_t done = MIN(n, b->rest_len - b->rest_at);

	memcpy(buf, b->rest + b->rest_at, done);
	b->rest_at += done;
	while (done < n) {
		size_t whole = (n - done) / b->bulk.max_packet_in * b->bulk.max_packet_in;
		size_t got = 0;
		int r;

		if (whole) {
			r = bulk_in(b, (uint8_t *)buf + done, whole, &got, it, e);
			done += got;
		} else {
			/* The tail ends inside a packet: the buffer of the transfer may not. */
			r = bulk_in(b, b->rest, b->bulk.max_packet_in, &got, it, e);
			b->rest_at = MIN(got, n - done);
			b->rest_len = got;
			memcpy((uint8_t *)buf + done, b->rest, b->rest_at);
			done += b->rest_at;
		}
		if (r == -ERR_TIMEOUT)
			return err_set(e, ERR_TIMEOUT, "%zu of %zu bytes of a packet came in time",
				done, n);
		if (r < 0)
			return r;
	}
	return 0;
}

/* An answer to a token of a former session would leave us one token late for ever. */
static int bulk_drain(struct adb_pipe *p, const struct iotime *it, struct err *e)
{
	struct bulk_pipe *b = bulk_of(p);
	_cleanup_(freep) uint8_t *buf = xcalloc(1, STALE_BYTES);

	for (size_t dropped = 0; dropped < STALE_MAX_BYTES;) {
		struct iotime quiet = iotime_within(it, QUIET_US);
		size_t n = 0;
		int r = b->bulk.in(b->bulk.data, buf, STALE_BYTES, &n, &quiet, e);

		dropped += n;
		if (r == -ERR_TIMEOUT && n == 0)
			return iotime_check(it, e);
		if (r == -ERR_DEVICE_REFUSED)
			r = b->bulk.clear(b->bulk.data, e);
		if (r < 0 && r != -ERR_TIMEOUT && r != -ERR_PROTOCOL)
			return r;
	}
	return err_set(e, ERR_PROTOCOL, "the unit does not stop sending");
}

static bool opens_session(const uint8_t header[ADB_HEADER_BYTES])
{
	struct adb_packet p;

	return adb_packet_decode(header, &p, NULL) == 0 &&
	       (p.command == ADB_CNXN || p.command == ADB_AUTH || p.command == ADB_STLS);
}

/* The rest of a former session ends with a short packet, or runs into our header where its length
 * is a multiple of the packet size. */
static int bulk_find_header(struct adb_pipe *p, uint8_t header[ADB_HEADER_BYTES],
	const struct iotime *it, struct err *e)
{
	struct bulk_pipe *b = bulk_of(p);
	_cleanup_(freep) uint8_t *buf = xcalloc(1, STALE_BYTES);
	bool cleared = false;

	b->rest_at = b->rest_len = 0;
	for (size_t dropped = 0; dropped < STALE_MAX_BYTES;) {
		size_t n = 0;
		int r = bulk_in(b, buf, STALE_BYTES, &n, it, e);

		if (r < 0 && !cleared && (r == -ERR_DEVICE_REFUSED || r == -ERR_PROTOCOL)) {
			cleared = true;
			r = b->bulk.clear(b->bulk.data, e);
			if (r == 0)
				continue;
		}
		if (r < 0)
			return r;

		size_t tail = n % b->bulk.max_packet_in;
		const uint8_t *at = buf + n - tail;

		if (tail >= ADB_HEADER_BYTES && opens_session(at)) {
			memcpy(header, at, ADB_HEADER_BYTES);
			b->rest_len = tail - ADB_HEADER_BYTES;
			memcpy(b->rest, at + ADB_HEADER_BYTES, b->rest_len);
			return 0;
		}
		dropped += n;
	}
	return err_set(e, ERR_PROTOCOL, "the unit sent %u bytes and no ADB packet among them",
		STALE_MAX_BYTES);
}

static void bulk_free(struct adb_pipe *p)
{
	struct bulk_pipe *b = bulk_of(p);

	if (b->bulk.free)
		b->bulk.free(b->bulk.data);
	free(b->rest);
	free(b);
}

static const struct adb_pipe_ops bulk_ops = {
	.send = bulk_send,
	.recv_header = bulk_recv_header,
	.recv_payload = bulk_recv_payload,
	.drain = bulk_drain,
	.find_header = bulk_find_header,
	.free = bulk_free,
};

struct adb_pipe *adb_pipe_bulk(const struct adb_bulk *bulk)
{
	struct bulk_pipe *b = xcalloc(1, sizeof *b);

	b->pipe.ops = &bulk_ops;
	b->bulk = *bulk;
	b->rest = xcalloc(1, MAX(whole_packets(bulk, ADB_HEADER_BYTES), bulk->max_packet_in));
	return &b->pipe;
}
