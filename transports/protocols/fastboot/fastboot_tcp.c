/* SPDX-License-Identifier: Apache-2.0
 *
 * fastboot over TCP: four bytes "FB01" each way, then every message is its length (u64, big-endian)
 * and its bytes. Of a data phase any number of frames makes the whole; a reply is one frame.
 */
#include "transports/protocols/fastboot/fastboot_pipe.h"

#include <ctype.h>
#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"

#define HANDSHAKE_US  (2 * US_PER_S)
#define COMMAND_BYTES 4096u
#define SEND_BYTES    (256u * 1024)
#define ZEROS_BYTES   (64u * 1024)

struct tcp_pipe {
	struct fastboot_pipe pipe;
	struct link *link;
	uint64_t frame_left; /* of the data frame that is being read */
};

static struct tcp_pipe *tcp_of(struct fastboot_pipe *p)
{
	return container_of(p, struct tcp_pipe, pipe);
}

static void put_length(struct wbytes *b, uint64_t n)
{
	wb_be32(b, (uint32_t)(n >> 32));
	wb_be32(b, (uint32_t)n);
}

static int read_length(struct tcp_pipe *t, uint64_t *ret, const struct iotime *it, struct err *e)
{
	uint8_t raw[8];
	struct rbytes b = rbytes_of(raw, sizeof raw);
	int r = link_read_exact(t->link, raw, sizeof raw, NULL, it, e);

	if (r < 0)
		return r;

	uint64_t high = rb_be32(&b);

	*ret = high << 32 | rb_be32(&b);
	return 0;
}

static int tcp_command(struct fastboot_pipe *p, const void *bytes, size_t n,
	const struct iotime *it, struct err *e)
{
	uint8_t raw[8 + COMMAND_BYTES];
	struct wbytes b = wbytes_of(raw, sizeof raw);

	put_length(&b, n);
	wb_put(&b, bytes, n);
	if (b.bad)
		return err_set(e, ERR_INVALID, "a command of %zu bytes", n);
	return link_write(tcp_of(p)->link, raw, b.len, it, e);
}

static int tcp_reply(struct fastboot_pipe *p, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	struct tcp_pipe *t = tcp_of(p);
	uint64_t n = 0;

	if (t->frame_left)
		return err_set(e, ERR_PROTOCOL, "%llu more bytes came than were announced",
			(unsigned long long)t->frame_left);

	int r = read_length(t, &n, it, e);

	if (r < 0)
		return r;
	if (n > size)
		return err_set(e, ERR_PROTOCOL, "a reply of %llu bytes, at most %zu expected",
			(unsigned long long)n, size);
	r = link_read_exact(t->link, buf, (size_t)n, NULL, it, e);
	if (r == 0)
		*ret_n = (size_t)n;
	return r;
}

static int tcp_stale(struct fastboot_pipe *p, bool *ret, const struct iotime *it, struct err *e)
{
	struct link *l = tcp_of(p)->link;
	uint64_t before = l->rx_bytes;
	int r = link_drain(l, 0, 0, NULL, it, e);

	if (r == 0)
		*ret = l->rx_bytes != before || tcp_of(p)->frame_left;
	return r;
}

/* Each step has its own time: a device that takes nothing for so long has stalled. */
static int send_step(
	struct tcp_pipe *t, const uint8_t *bytes, size_t n, const struct iotime *it, struct err *e)
{
	struct iotime step = iotime_within(it, FASTBOOT_STALL_US);

	return link_write(t->link, bytes, n, &step, e);
}

static int tcp_send(struct fastboot_pipe *p, const struct spans *bytes, fastboot_told_fn *told,
	void *told_data, const struct iotime *it, struct err *e)
{
	static const uint8_t zeros[ZEROS_BYTES];
	struct tcp_pipe *t = tcp_of(p);
	uint8_t raw[8];
	struct wbytes head = wbytes_of(raw, sizeof raw);

	put_length(&head, bytes->bytes);

	int r = send_step(t, raw, sizeof raw, it, e);

	for (uint64_t done = 0; r == 0 && done < bytes->bytes;) {
		const uint8_t *from = NULL;
		uint64_t n = spans_run(bytes, done, SEND_BYTES, &from);

		if (!from)
			n = MIN(n, sizeof zeros);
		r = send_step(t, from ? from : zeros, (size_t)n, it, e);
		done += n;
		if (r == 0 && told)
			told(told_data, done);
	}
	return r;
}

static int tcp_receive(
	struct fastboot_pipe *p, void *buf, size_t n, const struct iotime *it, struct err *e)
{
	struct tcp_pipe *t = tcp_of(p);
	uint8_t *to = buf;
	int r = 0;

	while (r == 0 && n > 0) {
		struct iotime step = iotime_within(it, FASTBOOT_STALL_US);

		if (t->frame_left == 0) {
			r = read_length(t, &t->frame_left, &step, e);
			if (r == 0 && t->frame_left == 0)
				r = err_set(e, ERR_PROTOCOL, "an empty frame of data");
			continue;
		}

		size_t k = (size_t)MIN((uint64_t)n, t->frame_left);

		r = link_read_exact(t->link, to, k, NULL, &step, e);
		t->frame_left -= k;
		to += k;
		n -= k;
	}
	return r;
}

static void tcp_close(struct fastboot_pipe *p)
{
	free(tcp_of(p));
}

static const struct fastboot_pipe_ops tcp_ops = {
	.name = "tcp",
	.command = tcp_command,
	.reply = tcp_reply,
	.stale = tcp_stale,
	.send = tcp_send,
	.receive = tcp_receive,
	.close = tcp_close,
};

int fastboot_tcp_open(
	struct link *l, const struct iotime *it, struct fastboot_pipe **ret, struct err *e)
{
	struct iotime within = iotime_within(it, HANDSHAKE_US);
	uint8_t hello[4];
	int r = link_write(l, "FB01", 4, &within, e);

	if (r == 0)
		r = link_read_exact(l, hello, sizeof hello, NULL, &within, e);
	if (r < 0) {
		err_prefix(e, "fastboot handshake");
		return r;
	}
	/* A higher version speaks the lower one too. */
	if (memcmp(hello, "FB", 2) != 0 || !isdigit(hello[2]) || !isdigit(hello[3]) ||
		!memcmp(hello + 2, "00", 2)) {
		char hex[9];

		return err_set(e, ERR_PROTOCOL,
			"%s: bytes %s where fastboot says FB01: is another service on this port?",
			l->address, hex_of(hello, sizeof hello, hex));
	}

	struct tcp_pipe *t = xcalloc(1, sizeof *t);

	t->pipe.ops = &tcp_ops;
	t->link = l;
	*ret = &t->pipe;
	return 0;
}
