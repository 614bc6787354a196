/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/vhci.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/strbuf.h"

/* Documentation/usb/usbip_protocol.rst: every message begins with 48 bytes, big endian. */
enum { CMD_SUBMIT = 1, CMD_UNLINK = 2, RET_SUBMIT = 3, RET_UNLINK = 4 };
#define HEADER_BYTES 48u
#define TRANSFER_MAX (1u << 20)
#define CONTROL_MAX  4096u
#define ATTACH_PATH  "/sys/devices/platform/vhci_hcd.0/attach"
/* The device of a port, on the bus of either speed. */
#define DEVICE_PATTERN "/sys/devices/platform/vhci_hcd.%u/usb*/*-%u"
#define SPEED_HIGH     3
#define PORTS_PER_HCD  15u /* of high speed; as many of super speed come after them */
#define HCDS	       8u
#define DEVID_BASE     0x10000u /* bus 1 of an exporting machine that does not exist */

/* A transfer that waits: IN for bytes of the board, OUT for its room. */
struct urb {
	struct urb *next;
	uint32_t seqnum;
	uint32_t ep;
	bool in;
	size_t len;
	size_t done;
	uint8_t data[];
};

struct vhci {
	const struct vhci_ops *ops;
	void *data;
	int fd;
	struct watch watch;
	struct strbuf rx, tx;
	struct urb *urbs; /* in the order of their coming */
	bool serving;
};

struct header {
	uint32_t command, seqnum, direction, ep;
	uint32_t length; /* of a submit */
	uint32_t victim; /* of an unlink */
	const uint8_t *setup;
};

static void flush_tx(struct vhci *v)
{
	while (v->tx.len) {
		ssize_t n = send(v->fd, v->tx.s, v->tx.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n <= 0)
			break; /* full, or the host has gone: its hangup is seen when reading */
		memmove(v->tx.s, v->tx.s + n, v->tx.len - (size_t)n);
		v->tx.len -= (size_t)n;
	}
	watch_want(&v->watch, EPOLLIN | (v->tx.len ? EPOLLOUT : 0u));
}

static void reply(struct vhci *v, uint32_t command, uint32_t seqnum, int status, uint32_t actual,
	const void *data, size_t n)
{
	uint8_t h[HEADER_BYTES] = {0};
	struct wbytes w = {h, sizeof h, 0, false};

	wb_be32(&w, command);
	wb_be32(&w, seqnum);
	wb_fill(&w, 0, 12); /* devid, direction, ep: not used in a reply */
	wb_be32(&w, (uint32_t)status);
	wb_be32(&w, actual);
	sb_add_n(&v->tx, h, sizeof h);
	if (n)
		sb_add_n(&v->tx, data, n);
}

/* Takes it off the list and answers it. */
static void urb_done(struct vhci *v, struct urb *u, int status, const void *data, size_t n)
{
	struct urb **at = &v->urbs;

	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	reply(v, RET_SUBMIT, u->seqnum, status, (uint32_t)n, data, u->in ? n : 0);
	free(u);
}

/* Whether an older transfer waits on the same endpoint in the same direction. */
static bool has_older(const struct vhci *v, const struct urb *u)
{
	for (const struct urb *o = v->urbs; o != u; o = o->next)
		if (o->ep == u->ep && o->in == u->in)
			return true;
	return false;
}

/* Both: whether something went on. The urb may be gone afterwards. */
static bool serve_in(struct vhci *v, struct urb *u)
{
	uint8_t *buf = malloc(u->len ? u->len : 1);
	ssize_t n = buf ? v->ops->in(v->data, (uint8_t)u->ep, buf, u->len) : GADGET_STALL;

	if (n == GADGET_STALL)
		urb_done(v, u, -EPIPE, NULL, 0);
	else if (n >= 0)
		urb_done(v, u, 0, buf, (size_t)n);
	free(buf);
	return n != GADGET_NAK;
}

static bool serve_out(struct vhci *v, struct urb *u)
{
	ssize_t n = v->ops->out(v->data, (uint8_t)u->ep, u->data + u->done, u->len - u->done);

	if (n == GADGET_STALL)
		urb_done(v, u, -EPIPE, NULL, 0);
	if (n < 0)
		return n == GADGET_STALL;
	u->done += (size_t)n;
	if (u->done == u->len)
		urb_done(v, u, 0, NULL, u->len);
	return true;
}

static bool serve_one(struct vhci *v)
{
	for (struct urb *u = v->urbs; u; u = u->next)
		if (!has_older(v, u) && (u->in ? serve_in(v, u) : serve_out(v, u)))
			return true;
	return false;
}

static void control(struct vhci *v, const struct header *h, uint8_t *payload)
{
	uint8_t answer[CONTROL_MAX];
	bool in = h->direction != 0;
	int n = in ? v->ops->control(v->data, h->setup, answer, 0, MIN(h->length, sizeof answer))
		   : v->ops->control(v->data, h->setup, payload, h->length, 0);

	if (n < 0)
		reply(v, RET_SUBMIT, h->seqnum, -EPIPE, 0, NULL, 0);
	else
		reply(v, RET_SUBMIT, h->seqnum, 0, in ? (uint32_t)n : h->length, answer,
			in ? (size_t)n : 0);
}

static void submit(struct vhci *v, const struct header *h, uint8_t *payload)
{
	bool in = h->direction != 0;
	struct urb **at = &v->urbs;

	if (h->ep == 0) {
		control(v, h, payload);
		return;
	}

	struct urb *u = xcalloc(1, sizeof *u + (in ? 0 : h->length));

	u->seqnum = h->seqnum;
	u->ep = h->ep;
	u->in = in;
	u->len = h->length;
	if (!in && h->length)
		memcpy(u->data, payload, h->length);
	while (*at)
		at = &(*at)->next;
	*at = u;
}

/* -ECONNRESET: it was still waiting; 0: it had been answered already. */
static void unlink_urb(struct vhci *v, const struct header *h)
{
	for (struct urb **at = &v->urbs; *at; at = &(*at)->next) {
		struct urb *u = *at;

		if (u->seqnum != h->victim)
			continue;
		*at = u->next;
		free(u);
		reply(v, RET_UNLINK, h->seqnum, -ECONNRESET, 0, NULL, 0);
		return;
	}
	reply(v, RET_UNLINK, h->seqnum, 0, 0, NULL, 0);
}

static struct header parse(const void *p)
{
	struct rbytes b = rbytes_of(p, HEADER_BYTES);
	struct header h;

	h.command = rb_be32(&b);
	h.seqnum = rb_be32(&b);
	rb_be32(&b); /* devid: there is one */
	h.direction = rb_be32(&b);
	h.ep = rb_be32(&b);
	h.victim = rb_be32(&b); /* of a submit: its flags */
	h.length = rb_be32(&b);
	rb_take(&b, 12); /* start frame, packets, interval: isochronous and interrupt only */
	h.setup = rb_take(&b, 8);
	return h;
}

/* One message, if it is whole; bytes used, 0 for not yet, -1 for nonsense. */
static ssize_t take_message(struct vhci *v, uint8_t *p, size_t n)
{
	if (n < HEADER_BYTES)
		return 0;

	struct header h = parse(p);
	size_t payload = h.command == CMD_SUBMIT && !h.direction ? h.length : 0;

	if (h.command == CMD_SUBMIT && h.length > TRANSFER_MAX)
		return -1;
	if (n < HEADER_BYTES + payload)
		return 0;
	switch (h.command) {
	case CMD_SUBMIT:
		submit(v, &h, p + HEADER_BYTES);
		break;
	case CMD_UNLINK:
		unlink_urb(v, &h);
		break;
	default:
		return -1;
	}
	return (ssize_t)(HEADER_BYTES + payload);
}

static bool take_messages(struct vhci *v)
{
	size_t at = 0;
	ssize_t used;

	while ((used = take_message(v, (uint8_t *)v->rx.s + at, v->rx.len - at)) > 0)
		at += (size_t)used;
	memmove(v->rx.s, v->rx.s + at, v->rx.len - at);
	v->rx.len -= at;
	return used == 0;
}

static void on_ready(void *data, uint32_t events)
{
	struct vhci *v = data;
	char buf[65536];
	ssize_t n = recv(v->fd, buf, sizeof buf, MSG_DONTWAIT);

	if (n > 0)
		sb_add_n(&v->rx, buf, (size_t)n);
	/* The host detached it, or talks nonsense: the board stays in its socket, unheard. */
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ||
		(v->rx.len && !take_messages(v))) {
		watch_remove(&v->watch);
		return;
	}
	vhci_serve(v);
}

int vhci_new(struct loop *l, int fd, const struct vhci_ops *ops, void *data, struct vhci **ret,
	struct err *e)
{
	_cleanup_(vhci_freep) struct vhci *v = xcalloc(1, sizeof *v);

	v->fd = fd;
	v->ops = ops;
	v->data = data;

	int r = watch_add(l, &v->watch, fd, EPOLLIN, on_ready, v, e);

	if (r == 0)
		*ret = steal_ptr(&v);
	return r;
}

struct vhci *vhci_free(struct vhci *v)
{
	if (!v)
		return NULL;
	watch_remove(&v->watch);
	closep(&v->fd);
	for (struct urb *u; (u = v->urbs);) {
		v->urbs = u->next;
		free(u);
	}
	sb_done(&v->rx);
	sb_done(&v->tx);
	free(v);
	return NULL;
}

/* A busy kernel works through a pulled plug late. A device that is plugged before that is taken for
 * the old one, which never left. */
static bool still_there(unsigned n)
{
	_cleanup_(freep) char *pattern =
		xasprintf(DEVICE_PATTERN, n / PORTS_PER_HCD, n % PORTS_PER_HCD + 1);
	glob_t g = {0};
	bool found = glob(pattern, GLOB_NOSORT, NULL, &g) == 0;

	globfree(&g);
	return found;
}

/* "PORT FD DEVID SPEED", Documentation/ABI/testing/sysfs-platform-usbip-vudc and the usbip tool. */
static int attach(unsigned socket, int fd, struct err *e)
{
	unsigned n = socket - 1;
	unsigned port = n / PORTS_PER_HCD * 2 * PORTS_PER_HCD + n % PORTS_PER_HCD;
	_cleanup_(freep) char *text =
		xasprintf("%u %d %u %d", port, fd, DEVID_BASE + socket, SPEED_HIGH);
	_cleanup_(closep) int sys = open(ATTACH_PATH, O_WRONLY | O_CLOEXEC);

	if (socket < 1 || socket > PORTS_PER_HCD * HCDS)
		return err_set(e, ERR_INVALID, "vhci has sockets 1 to %u", PORTS_PER_HCD * HCDS);
	if (still_there(n))
		return err_set(e, ERR_BUSY, "socket %u of vhci is not cleared yet", socket);
	if (sys < 0)
		return err_errno(
			e, ERR_IO, errno, "%s (is the module vhci-hcd loaded?)", ATTACH_PATH);
	if (write(sys, text, strlen(text)) < 0)
		return err_errno(e, ERR_IO, errno, "attach to socket %u of vhci", socket);
	return 0;
}

int vhci_plug(struct loop *l, unsigned socket, const struct vhci_ops *ops, void *data,
	struct vhci **ret, struct err *e)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, ERR_IO, errno, "socketpair");

	_cleanup_(closep) int kernel = pair[1];
	_cleanup_(vhci_freep) struct vhci *v = NULL;
	int r = vhci_new(l, pair[0], ops, data, &v, e);

	if (r == 0)
		r = attach(socket, kernel, e);
	if (r == 0)
		*ret = steal_ptr(&v);
	return r;
}

void vhci_serve(struct vhci *v)
{
	if (v->serving)
		return;
	v->serving = true;
	while (serve_one(v))
		;
	v->serving = false;
	if (v->watch.loop)
		flush_tx(v);
}
