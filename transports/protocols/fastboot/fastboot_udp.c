/* SPDX-License-Identifier: Apache-2.0
 *
 * fastboot over UDP: the host sends a packet and sends it again until the packet of the same
 * sequence number comes back; then the next.
 *
 *	u8 id (0 error, 1 query, 2 init, 3 fastboot), u8 flags (bit 0: continues), u16 BE sequence
 *
 *	query, sequence 0	-> u16 BE: the sequence number to begin with
 *	init, version, size	-> its version and size: the smaller of each counts
 *	fastboot, data..	-> empty: a command, or bytes of the data phase
 *	fastboot, empty		-> data: the device's reply, once it has one
 */
#include "transports/protocols/fastboot/fastboot_pipe.h"

#include <string.h>

#include "base/bytes.h"
#include "base/strbuf.h"
#include "transports/protocols/fastboot/resend.h"

#define HEADER_BYTES   4
#define VERSION	       1
#define PACKET_BYTES   8192 /* what we offer, as AOSP */
#define PACKET_MIN     512
#define QUERY_US       (2 * US_PER_S)  /* at least 4 tries */
#define ACK_US	       (60 * US_PER_S) /* at least 120 tries */
#define FLAG_CONTINUES 0x01

enum id { ID_ERROR, ID_QUERY, ID_INIT, ID_FASTBOOT };

struct udp_pipe {
	struct fastboot_pipe pipe;
	struct link *link;
	uint16_t sequence; /* of the next packet */
	size_t packet;	   /* bytes of the largest one, with its header */
	struct resend resend;
	uint8_t out[PACKET_BYTES];
	uint8_t in[PACKET_BYTES];
	/* Bytes of a data phase that came and were not asked for yet. */
	uint8_t *left;
	size_t left_n;
};

static struct udp_pipe *udp_of(struct fastboot_pipe *p)
{
	return container_of(p, struct udp_pipe, pipe);
}

struct answer {
	enum id id;
	bool continues;
	const uint8_t *data; /* in u->in */
	size_t n;
};

static int device_error(const struct answer *a, struct err *e)
{
	struct strbuf text = {0};

	sb_add_escaped(&text, a->data, MIN(a->n, (size_t)100));

	int r = err_set(e, ERR_PROTOCOL, "the device ends the session: %s",
		text.s ? text.s : "no reason given");

	sb_done(&text);
	return r;
}

/* Waits for the packet that answers ours; others are late copies of what came before. */
static int await(
	struct udp_pipe *u, enum id id, struct answer *ret, const struct iotime *it, struct err *e)
{
	for (;;) {
		size_t n = 0;
		int r = link_read(u->link, u->in, sizeof u->in, &n, it, e);

		if (r < 0)
			return r;

		struct rbytes b = rbytes_of(u->in, n);
		uint8_t got = rb_u8(&b), flags = rb_u8(&b);
		uint16_t sequence = rb_be16(&b);

		if (b.bad)
			return err_set(e, ERR_PROTOCOL, "a packet of %zu bytes", n);
		if (sequence != u->sequence || (got != (uint8_t)id && got != ID_ERROR))
			continue;
		*ret = (struct answer){(enum id)got, flags & FLAG_CONTINUES, u->in + HEADER_BYTES,
			n - HEADER_BYTES};
		return 0;
	}
}

/* One packet and its answer. u->out holds the data already, after the header. */
static int exchange(struct udp_pipe *u, enum id id, uint8_t flags, size_t n, struct answer *ret,
	const struct iotime *it, struct err *e)
{
	struct wbytes head = wbytes_of(u->out, HEADER_BYTES);

	wb_u8(&head, (uint8_t)id);
	wb_u8(&head, flags);
	wb_be16(&head, u->sequence);
	for (unsigned sent = 1;; sent++) {
		struct iotime round = iotime_within(it, resend_wait_us(&u->resend, sent));
		uint64_t began = now_us();
		int r = link_write(u->link, u->out, HEADER_BYTES + n, it, e);

		if (r == 0)
			r = await(u, id, ret, &round, e);
		if (r == -ERR_TIMEOUT && iotime_check(it, NULL) == 0)
			continue;
		if (r < 0)
			return r;
		/* A reply comes when the device has done its work; what we say is answered at
		 * once. */
		if (sent == 1 && n > 0)
			resend_measured(&u->resend, now_us() - began);
		u->sequence++; /* wraps to 0 */
		return ret->id == ID_ERROR ? device_error(ret, e) : 0;
	}
}

/* Data to the device in packets; each is answered by an empty one. */
static int put(struct udp_pipe *u, const struct spans *bytes, fastboot_told_fn *told,
	void *told_data, const struct iotime *it, struct err *e)
{
	size_t most = u->packet - HEADER_BYTES;

	for (uint64_t done = 0; done < bytes->bytes;) {
		struct iotime within = iotime_within(it, ACK_US);
		size_t n = (size_t)MIN(bytes->bytes - done, (uint64_t)most);
		bool more = done + n < bytes->bytes;
		struct answer a;

		spans_read(bytes, done, u->out + HEADER_BYTES, n);

		int r = exchange(u, ID_FASTBOOT, more ? FLAG_CONTINUES : 0, n, &a, &within, e);

		if (r < 0)
			return r;
		if (a.n)
			return err_set(
				e, ERR_PROTOCOL, "%zu bytes where an empty packet was due", a.n);
		done += n;
		if (told)
			told(told_data, done);
	}
	return 0;
}

static int udp_command(struct fastboot_pipe *p, const void *bytes, size_t n,
	const struct iotime *it, struct err *e)
{
	struct spans s = {0};
	int r = spans_add(&s, bytes, n, e);

	if (r == 0)
		r = put(udp_of(p), &s, NULL, NULL, it, e);
	spans_done(&s);
	return r;
}

/* Asks for the next message and gathers it as long as it continues. */
static int udp_reply(struct fastboot_pipe *p, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	struct udp_pipe *u = udp_of(p);
	struct answer a = {.continues = true};
	size_t got = 0;

	if (u->left_n)
		return err_set(
			e, ERR_PROTOCOL, "%zu more bytes came than were announced", u->left_n);
	while (a.continues) {
		int r = exchange(u, ID_FASTBOOT, 0, 0, &a, it, e);

		if (r < 0)
			return r;
		if (a.n > size - got)
			return err_set(e, ERR_PROTOCOL, "a reply of more than %zu bytes", size);
		memcpy((uint8_t *)buf + got, a.data, a.n);
		got += a.n;
	}
	*ret_n = got;
	return 0;
}

static int udp_send(struct fastboot_pipe *p, const struct spans *bytes, fastboot_told_fn *told,
	void *told_data, const struct iotime *it, struct err *e)
{
	return put(udp_of(p), bytes, told, told_data, it, e);
}

static int udp_receive(
	struct fastboot_pipe *p, void *buf, size_t n, const struct iotime *it, struct err *e)
{
	struct udp_pipe *u = udp_of(p);
	uint8_t *to = buf;

	while (n > 0) {
		if (u->left_n == 0) {
			struct iotime within = iotime_within(it, FASTBOOT_STALL_US);
			struct answer a;
			int r = exchange(u, ID_FASTBOOT, 0, 0, &a, &within, e);

			if (r < 0)
				return r;
			if (a.n == 0)
				return err_set(e, ERR_PROTOCOL, "an empty packet, data expected");
			u->left = u->in + HEADER_BYTES;
			u->left_n = a.n;
		}

		size_t k = MIN(n, u->left_n);

		memcpy(to, u->left, k);
		u->left += k;
		u->left_n -= k;
		to += k;
		n -= k;
	}
	return 0;
}

static void udp_close(struct fastboot_pipe *p)
{
	free(udp_of(p));
}

static const struct fastboot_pipe_ops udp_ops = {
	.name = "udp",
	.command = udp_command,
	.reply = udp_reply,
	.send = udp_send,
	.receive = udp_receive,
	.close = udp_close,
};

static int start(struct udp_pipe *u, const struct iotime *it, struct err *e)
{
	struct wbytes b = wbytes_of(u->out + HEADER_BYTES, 4);
	struct iotime within = iotime_within(it, QUERY_US);
	struct answer a;
	int r = exchange(u, ID_QUERY, 0, 0, &a, &within, e);

	if (r < 0)
		return r;

	struct rbytes q = rbytes_of(a.data, a.n);

	u->sequence = rb_be16(&q);
	if (q.bad)
		return err_set(e, ERR_PROTOCOL, "a query answered by %zu bytes", a.n);
	wb_be16(&b, VERSION);
	wb_be16(&b, PACKET_BYTES);
	r = exchange(u, ID_INIT, 0, b.len, &a, &within, e);
	if (r < 0)
		return r;

	struct rbytes i = rbytes_of(a.data, a.n);
	uint16_t version = rb_be16(&i), packet = rb_be16(&i);

	if (i.bad || version < 1 || packet < PACKET_MIN)
		return err_set(e, ERR_PROTOCOL,
			"the device speaks version %u with packets of %u bytes: 1 and %d expected",
			version, packet, PACKET_MIN);
	u->packet = MIN(packet, (uint16_t)PACKET_BYTES);
	return 0;
}

int fastboot_udp_open(
	struct link *l, const struct iotime *it, struct fastboot_pipe **ret, struct err *e)
{
	struct udp_pipe *u = xcalloc(1, sizeof *u);

	u->pipe.ops = &udp_ops;
	u->link = l;
	u->packet = PACKET_MIN;

	int r = start(u, it, e);

	if (r < 0) {
		free(u);
		err_prefix(e, "fastboot over UDP");
		return r;
	}
	*ret = &u->pipe;
	return 0;
}
