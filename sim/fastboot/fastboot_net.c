/* SPDX-License-Identifier: Apache-2.0
 *
 * The framings of fastboot over a network (AOSP fastboot/README.md, "TCP Protocol v1" and "UDP
 * Protocol v1").
 */
#include "sim/fastboot/fastboot.h"

#include <string.h>

#include "base/bytes.h"

#define UDP_HEADER  4
#define UDP_PACKET  1024 /* as U-Boot */
#define UDP_HELD_US 700000

enum { UDP_ERROR, UDP_QUERY, UDP_INIT, UDP_FASTBOOT };

void fb_net_reset(struct fb *f)
{
	uint16_t expected = f->udp.expected;

	memset(&f->tcp, 0, sizeof f->tcp);
	memset(&f->udp, 0, sizeof f->udp);
	f->udp.expected = expected;
	f->udp.packet_max = UDP_PACKET;
}

/* -- TCP -- */

size_t fb_room(const struct device *d)
{
	return 65536;
}

static void tcp_hello(struct fb *f, uint8_t c)
{
	static const char hello[] = "FB0";

	if (f->tcp.hello < 3 && c != (uint8_t)hello[f->tcp.hello])
		f->device.wish = WISH_HANGUP;
	if (++f->tcp.hello == 4)
		f->tcp.greet = true;
}

static void tcp_head(struct fb *f, uint8_t c)
{
	struct rbytes b = rbytes_of(f->tcp.head, sizeof f->tcp.head);

	f->tcp.head[f->tcp.head_n++] = c;
	if (f->tcp.head_n < sizeof f->tcp.head)
		return;
	f->tcp.head_n = 0;

	uint64_t high = rb_be32(&b);

	f->tcp.frame_left = high << 32 | rb_be32(&b);
	f->tcp.in_frame = true;
	f->tcp.command_n = 0;
}

/* Payload of a frame: the data phase takes it as it comes, a command when it is whole. */
static size_t tcp_payload(struct fb *f, const uint8_t *p, size_t n, uint64_t now_us)
{
	size_t take = (size_t)MIN((uint64_t)n, f->tcp.frame_left);

	if (f->data_left || f->stalled) {
		take = fb_data(f, p, take, now_us);
		/* It was unplugged in the middle. */
		if (take == 0 && f->device.wish != WISH_NONE)
			return n;
	} else {
		size_t k = MIN(take, sizeof f->tcp.command - f->tcp.command_n);

		memcpy(f->tcp.command + f->tcp.command_n, p, k);
		f->tcp.command_n += k;
	}
	f->tcp.frame_left -= take;
	return take;
}

void fb_input(struct device *d, const void *bytes, size_t n, uint64_t now_us)
{
	struct fb *f = fb_of(d);
	const uint8_t *p = bytes;

	if (!fb_listens(f))
		return;
	while (n > 0) {
		size_t used = 1;

		if (f->tcp.hello < 4)
			tcp_hello(f, *p);
		else if (!f->tcp.in_frame)
			tcp_head(f, *p);
		else
			used = tcp_payload(f, p, n, now_us);
		p += used;
		n -= used;
		if (f->tcp.in_frame && f->tcp.frame_left == 0) {
			size_t command = f->tcp.command_n;

			f->tcp.in_frame = false;
			f->tcp.command_n = 0;
			if (command)
				fb_command(f, f->tcp.command, command, now_us);
		}
	}
}

size_t fb_output(struct device *d, void *buf, size_t size, uint64_t now_us)
{
	struct fb *f = fb_of(d);
	struct wbytes b = wbytes_of(buf, size);

	if (f->tcp.greet) {
		f->tcp.greet = false;
		wb_put(&b, "FB01", 4);
		return b.len;
	}

	struct fb_msg *m = fb_first(f, now_us);

	if (!m || size < 16)
		return 0;
	if (m->at == 0) {
		wb_be32(&b, 0);
		wb_be32(&b, (uint32_t)m->n);
	}

	size_t k = MIN(m->n - m->at, size - b.len);

	wb_put(&b, m->bytes + m->at, k);
	m->at += k;
	if (m->at == m->n)
		fb_pop(f);
	return b.len;
}

/* -- UDP -- */

static bool every(struct fb *f, enum fb_fault row, uint64_t count)
{
	double n = 0;

	return own_fault_set(f->faults, row, &n) && n >= 1 && count % (uint64_t)n == 0;
}

/* To be sent, as the faults have it. */
static void udp_emit(struct fb *f, const uint8_t *p, size_t n, uint64_t now_us)
{
	struct fb_udp *u = &f->udp;

	u->out_count++;
	if (every(f, FB_DROP, u->out_count))
		return;
	if (every(f, FB_REORDER, u->out_count)) {
		memcpy(u->held, p, n);
		u->held_n = n;
		u->held_until_us = now_us + UDP_HELD_US;
		return;
	}
	memcpy(u->out[0], p, n);
	u->out_n[0] = n;
	if (every(f, FB_DUP, u->out_count)) {
		memcpy(u->out[1], p, n);
		u->out_n[1] = n;
	}
}

/* The answer to the packet of sequence expected - 1. */
static void udp_answer(struct fb *f, uint8_t id, bool more, const void *p, size_t n, uint64_t now)
{
	struct fb_udp *u = &f->udp;
	struct wbytes b = wbytes_of(u->saved, sizeof u->saved);

	wb_u8(&b, id);
	wb_u8(&b, more ? 1 : 0);
	wb_be16(&b, (uint16_t)(u->expected - 1));
	wb_put(&b, p, n);
	u->saved_n = b.len;
	u->asked = false;
	udp_emit(f, u->saved, u->saved_n, now);
}

/* The host asked with an empty packet: the next message, in as many answers as it takes. */
static void udp_give(struct fb *f, uint64_t now_us)
{
	struct fb_msg *m = fb_first(f, now_us);

	if (!f->udp.asked || !m)
		return;

	size_t k = MIN(m->n - m->at, (size_t)f->udp.packet_max - UDP_HEADER);
	const uint8_t *from = m->bytes + m->at;

	m->at += k;
	udp_answer(f, UDP_FASTBOOT, m->at < m->n, from, k, now_us);
	if (m->at == m->n)
		fb_pop(f);
}

static void udp_query(struct fb *f, uint64_t now_us)
{
	uint8_t raw[UDP_HEADER + 2];
	struct wbytes b = wbytes_of(raw, sizeof raw);

	wb_u8(&b, UDP_QUERY);
	wb_u8(&b, 0);
	wb_be16(&b, 0);
	wb_be16(&b, f->udp.expected);
	udp_emit(f, raw, b.len, now_us);
}

static void udp_init(struct fb *f, const uint8_t *p, size_t n, uint64_t now_us)
{
	struct rbytes in = rbytes_of(p, n);
	uint8_t raw[4];
	struct wbytes b = wbytes_of(raw, sizeof raw);
	uint16_t version = rb_be16(&in);
	uint16_t packet = rb_be16(&in);

	if (in.bad || version < 1 || packet < 512) {
		udp_answer(f, UDP_ERROR, false, "version or packet size", 22, now_us);
		return;
	}
	fb_drop_all(f);
	f->udp.command_n = 0;
	f->udp.started = true;
	f->udp.packet_max = MIN(packet, (uint16_t)UDP_PACKET);
	wb_be16(&b, 1);
	wb_be16(&b, UDP_PACKET);
	udp_answer(f, UDP_INIT, false, raw, b.len, now_us);
}

static void udp_fastboot(struct fb *f, bool more, const uint8_t *p, size_t n, uint64_t now_us)
{
	struct fb_udp *u = &f->udp;

	if (n == 0) {
		u->asked = true;
		u->saved_n = 0;
		udp_give(f, now_us);
		return;
	}
	if (f->data_left || f->stalled) {
		fb_data(f, p, n, now_us);
	} else {
		size_t k = MIN(n, sizeof u->command - u->command_n);

		memcpy(u->command + u->command_n, p, k);
		u->command_n += k;
		if (!more) {
			fb_command(f, u->command, u->command_n, now_us);
			u->command_n = 0;
		}
	}
	udp_answer(f, UDP_FASTBOOT, false, NULL, 0, now_us);
}

void fb_datagram(struct device *d, const void *p, size_t n, uint64_t now_us)
{
	struct fb *f = fb_of(d);
	struct fb_udp *u = &f->udp;
	struct rbytes b = rbytes_of(p, n);
	uint8_t id = rb_u8(&b);
	bool more = rb_u8(&b) & 1;
	uint16_t seq = rb_be16(&b);

	u->in_count++;
	if (b.bad || !fb_listens(f) || every(f, FB_DROP, u->in_count))
		return;
	if (id == UDP_QUERY) {
		udp_query(f, now_us);
		return;
	}
	if (seq == (uint16_t)(u->expected - 1) && u->saved_n) {
		udp_emit(f, u->saved, u->saved_n, now_us);
		return;
	}
	if (seq != u->expected || (id == UDP_FASTBOOT && !u->started))
		return;
	u->expected++;
	if (id == UDP_INIT)
		udp_init(f, b.p + b.pos, n - b.pos, now_us);
	else if (id == UDP_FASTBOOT)
		udp_fastboot(f, more, b.p + b.pos, n - b.pos, now_us);
	else
		udp_answer(f, UDP_ERROR, false, "unknown packet", 14, now_us);
}

size_t fb_datagram_output(struct device *d, void *buf, size_t size, uint64_t now_us)
{
	struct fb *f = fb_of(d);
	struct fb_udp *u = &f->udp;

	udp_give(f, now_us);
	for (size_t i = 0; i < ARRAY_LEN(u->out_n); i++)
		if (u->out_n[i]) {
			size_t n = MIN(u->out_n[i], size);

			memcpy(buf, u->out[i], n);
			u->out_n[i] = 0;
			return n;
		}
	if (u->held_n && u->held_until_us <= now_us) {
		size_t n = MIN(u->held_n, size);

		memcpy(buf, u->held, n);
		u->held_n = 0;
		return n;
	}
	return 0;
}

uint64_t fb_udp_due(const struct fb *f)
{
	return f->udp.held_n ? f->udp.held_until_us : NEVER;
}
