/* SPDX-License-Identifier: Apache-2.0
 *
 * fastboot over USB: commands and replies are one transfer each on two bulk endpoints. The
 * interface is found by its class (ff/42/03; AOSP usb_linux.cpp), its endpoints by the descriptor.
 *
 * A zero-length packet is never sent: U-Boot takes it for a data phase of the wrong length. At full
 * speed a device whose reply fills the 64-byte packet sends none either, so that a longer read
 * would wait for, and swallow, the next reply: there one packet is read at a time.
 */
#include "transports/protocols/fastboot/fastboot_pipe.h"

#include <string.h>

#include "transports/links/usb.h"

#define READ_BYTES 16384
#define FULL_SPEED 64
#define MORE_US	   (20 * US_PER_MS)
#define EMPTY_MAX  8
/* The slowest data phase that is still one. */
#define US_PER_BYTE 16 /* 62 kB/s */

struct usb_pipe {
	struct fastboot_pipe pipe;
	struct usb *usb;
	uint8_t interface, ep_out, ep_in;
	uint16_t max_packet;
	uint8_t ahead[FULL_SPEED]; /* a packet that belongs to the next reply */
	size_t ahead_n;
	uint8_t buf[READ_BYTES];
};

static struct usb_pipe *usb_of(struct fastboot_pipe *p)
{
	return container_of(p, struct usb_pipe, pipe);
}

static int usb_command(struct fastboot_pipe *p, const void *bytes, size_t n,
	const struct iotime *it, struct err *e)
{
	struct usb_pipe *u = usb_of(p);

	return usb_write(u->usb, u->ep_out, bytes, n, false, it, e);
}

/* One transfer that is not empty. */
static int read_some(struct usb_pipe *u, uint8_t *to, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	for (unsigned i = 0; i < EMPTY_MAX; i++) {
		size_t n = 0;
		int r = usb_read(u->usb, u->ep_in, to, size, &n, it, e);

		if (r < 0)
			return r;
		if (n > 0) {
			*ret_n = n;
			return 0;
		}
	}
	return err_set(e, ERR_PROTOCOL, "the device sends empty packets only");
}

static bool begins_reply(const uint8_t *p, size_t n)
{
	static const char *const types[] = {"OKAY", "FAIL", "DATA", "INFO", "TEXT"};

	for (size_t i = 0; n >= 4 && i < ARRAY_LEN(types); i++)
		if (!memcmp(p, types[i], 4))
			return true;
	return false;
}

/* A full packet may be the whole reply (64 bytes are the most of old devices) or its beginning.
 * What follows at once decides: nothing, an empty packet, the next reply, or the rest. */
static int read_rest(struct usb_pipe *u, uint8_t *buf, size_t size, size_t *n,
	const struct iotime *it, struct err *e)
{
	size_t last = *n;

	while (last == FULL_SPEED && *n < size) {
		struct iotime soon = iotime_within(it, MORE_US);
		uint8_t packet[FULL_SPEED];
		int r = usb_read(u->usb, u->ep_in, packet, sizeof packet, &last, &soon, e);

		if (r == -ERR_TIMEOUT && iotime_check(it, NULL) == 0)
			return 0;
		if (r < 0)
			return r;
		if (begins_reply(packet, last)) {
			memcpy(u->ahead, packet, last);
			u->ahead_n = last;
			return 0;
		}
		if (last > size - *n)
			return err_set(e, ERR_PROTOCOL, "a reply of more than %zu bytes", size);
		memcpy(buf + *n, packet, last);
		*n += last;
	}
	return 0;
}

static int full_speed_reply(struct usb_pipe *u, uint8_t *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	size_t n = u->ahead_n;
	int r = 0;

	if (n > 0)
		memcpy(buf, u->ahead, n);
	else
		r = read_some(u, buf, FULL_SPEED, &n, it, e);
	u->ahead_n = 0;
	if (r == 0)
		r = read_rest(u, buf, size, &n, it, e);
	if (r == 0)
		*ret_n = n;
	return r;
}

static int usb_reply(struct fastboot_pipe *p, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	struct usb_pipe *u = usb_of(p);
	size_t n = 0;

	if (u->max_packet == FULL_SPEED)
		return full_speed_reply(u, buf, size, ret_n, it, e);

	int r = read_some(u, u->buf, u->max_packet, &n, it, e);

	if (r < 0)
		return r;
	if (n > size)
		return err_set(
			e, ERR_PROTOCOL, "a reply of %zu bytes, at most %zu expected", n, size);
	memcpy(buf, u->buf, n);
	*ret_n = n;
	return 0;
}

struct stream {
	const struct spans *bytes;
	fastboot_told_fn *told;
	void *told_data;
};

static int source(void *data, uint64_t offset, void *buf, size_t size, struct err *e)
{
	spans_read(((struct stream *)data)->bytes, offset, buf, size);
	return 0;
}

static void through(void *data, uint64_t done)
{
	struct stream *s = data;

	if (s->told)
		s->told(s->told_data, done);
}

static int usb_send(struct fastboot_pipe *p, const struct spans *bytes, fastboot_told_fn *told,
	void *told_data, const struct iotime *it, struct err *e)
{
	struct usb_pipe *u = usb_of(p);
	struct stream s = {bytes, told, told_data};
	struct iotime within = iotime_within(it, FASTBOOT_STALL_US + bytes->bytes * US_PER_BYTE);

	return usb_stream(u->usb, u->ep_out, bytes->bytes, source, &s, through, &within, e);
}

/* Never asks for more than is left, so that the reply after the data stays by itself. */
static int usb_receive(
	struct fastboot_pipe *p, void *buf, size_t n, const struct iotime *it, struct err *e)
{
	struct usb_pipe *u = usb_of(p);
	uint8_t *to = buf;

	while (n > 0) {
		struct iotime within = iotime_within(it, FASTBOOT_STALL_US);
		size_t ask = MIN((n + u->max_packet - 1) / u->max_packet * u->max_packet,
			(size_t)READ_BYTES / u->max_packet * u->max_packet);
		size_t k = 0;
		int r = read_some(u, u->buf, ask, &k, &within, e);

		if (r < 0)
			return r;
		if (k > n)
			return err_set(
				e, ERR_PROTOCOL, "%zu bytes more than were announced", k - n);
		memcpy(to, u->buf, k);
		to += k;
		n -= k;
	}
	return 0;
}

static void usb_pipe_close(struct fastboot_pipe *p)
{
	struct usb_pipe *u = usb_of(p);

	usb_release(u->usb, u->interface);
	free(u);
}

static const struct fastboot_pipe_ops usb_ops = {
	.name = "usb",
	.outlives = true,
	.command = usb_command,
	.reply = usb_reply,
	.send = usb_send,
	.receive = usb_receive,
	.close = usb_pipe_close,
};

/* Whether the setting has what is wanted; fills the endpoints. */
static bool suits(
	const struct usb_interface *i, const struct fastboot_usb_opts *o, struct usb_pipe *u)
{
	bool fixed = o->ep_out || o->ep_in;

	if (!fixed && (i->cls != 0xff || i->subclass != 0x42 || i->protocol != 0x03))
		return false;
	u->ep_in = u->ep_out = 0;
	for (size_t k = 0; k < i->eps; k++) {
		const struct usb_endpoint *ep = &i->ep[k];
		bool in = ep->address & 0x80;

		if (ep->type != USB_EP_BULK ||
			(fixed && ep->address != o->ep_out && ep->address != o->ep_in))
			continue;
		if (in && !u->ep_in) {
			u->ep_in = ep->address;
			u->max_packet = ep->max_packet;
		} else if (!in && !u->ep_out) {
			u->ep_out = ep->address;
		}
	}
	u->interface = i->number;
	return u->ep_in && u->ep_out && u->max_packet && u->max_packet <= READ_BYTES;
}

static int claim(struct usb_pipe *u, const struct usb_interface *i, struct err *e)
{
	int r = usb_claim(u->usb, i->number, e);

	if (r == 0 && i->alt) {
		r = usb_set_alt(u->usb, i->number, i->alt, e);
		if (r < 0)
			usb_release(u->usb, i->number);
	}
	return r;
}

static int find_and_claim(struct usb_pipe *u, const struct fastboot_usb_opts *o, struct err *e)
{
	const struct usb_interface *list = NULL;
	size_t n = usb_interfaces(u->usb, &list);
	const struct usb_facts *f = usb_facts(u->usb);

	for (size_t i = 0; i < n; i++)
		if (suits(&list[i], o, u))
			return claim(u, &list[i], e);
	if (o->ep_out || o->ep_in)
		return err_set(e, ERR_WRONG_DEVICE,
			"usb:%s (%04x:%04x): no interface with bulk endpoints 0x%02x and 0x%02x",
			f->port, f->vid, f->pid, o->ep_out, o->ep_in);
	return err_set(e, ERR_WRONG_DEVICE,
		"usb:%s (%04x:%04x): no fastboot interface (ff/42/03): is it in its bootloader?",
		f->port, f->vid, f->pid);
}

int fastboot_usb_open(struct usb *usb, const struct fastboot_usb_opts *o, const struct iotime *it,
	struct fastboot_pipe **ret, struct err *e)
{
	struct usb_pipe *u = xcalloc(1, sizeof *u);

	u->pipe.ops = &usb_ops;
	u->usb = usb;

	int r = find_and_claim(u, o, e);

	if (r < 0) {
		free(u);
		return r;
	}
	*ret = &u->pipe;
	return 0;
}
