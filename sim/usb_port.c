/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/usb_port.h"

#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/strbuf.h"
#include "sim/gadget_control.h"

struct usb_port {
	struct vhci *vhci;
	const struct port_ops *ops;
	void *data;
	struct device *gadget; /* NULL: a stream device behind acm */
	struct acm acm;
	struct strbuf out; /* what the board said and no transfer has taken yet */
	FILE *trace;
};

/* -- a stream device: CDC-ACM -- */

/* PSTN 1.2, 6.3.10: the rate, stop bits, parity (1 odd, 2 even), data bits. */
static void tell_line(struct usb_port *p)
{
	struct rbytes b = rbytes_of(p->acm.line_coding, sizeof p->acm.line_coding);
	struct line_state l = {.baud = rb_le32(&b), .dtr = p->acm.dtr, .rts = p->acm.rts};

	rb_u8(&b);

	uint8_t parity = rb_u8(&b);

	l.parity = parity == 1 ? 'o' : parity == 2 ? 'e' : 'n';
	p->ops->line(p->data, &l);
}

static int acm_port_control(void *data, const uint8_t setup[8], uint8_t *buf, size_t n, size_t size)
{
	struct usb_port *p = data;
	bool was_open = p->acm.dtr;
	int r = acm_control(&p->acm, setup, buf, n, size);

	/* The host has closed the tty: what it did not read is lost, as on a wire. */
	if (was_open && !p->acm.dtr)
		sb_clear(&p->out);
	if (r >= 0 && p->ops->line)
		tell_line(p);
	return r < 0 ? GADGET_STALL : r;
}

static ssize_t acm_port_out(void *data, uint8_t ep, const uint8_t *bytes, size_t n)
{
	struct usb_port *p = data;
	size_t k = MIN(n, p->ops->room(p->data));

	if (ep != ACM_EP_DATA)
		return GADGET_STALL;
	if (k)
		p->ops->input(p->data, bytes, k);
	return k || !n ? (ssize_t)k : GADGET_NAK;
}

static ssize_t acm_port_in(void *data, uint8_t ep, uint8_t *buf, size_t size)
{
	struct usb_port *p = data;
	size_t n = MIN(size, p->out.len);

	if (ep != ACM_EP_DATA || !n)
		return GADGET_NAK;
	memcpy(buf, p->out.s, n);
	memmove(p->out.s, p->out.s + n, p->out.len - n);
	p->out.len -= n;
	if (!p->out.len)
		p->ops->writable(p->data);
	return (ssize_t)n;
}

static const struct vhci_ops acm_ops = {acm_port_control, acm_port_out, acm_port_in};

/* -- a gadget -- */

#define TRACE_BYTES 32

/* "WHAT n=LENGTH: FIRST BYTES": what two hosts did can be compared as text. */
static void trace(struct usb_port *p, const char *what, const uint8_t *bytes, size_t n)
{
	char hex[2 * TRACE_BYTES + 1] = "";

	if (!p->trace)
		return;
	hex_of(bytes, MIN(n, (size_t)TRACE_BYTES), hex);
	fprintf(p->trace, "%s n=%zu: %s\n", what, n, hex);
	fflush(p->trace);
}

static void trace_setup(struct usb_port *p, const uint8_t setup[8], const uint8_t *data, size_t n)
{
	char what[64];

	/* Enumeration is the kernel's. */
	if (!(setup[0] & 0x60) && setup[1] != 0x0b)
		return;
	snprintf(what, sizeof what, "control %02x %02x value=%02x%02x", setup[0], setup[1],
		setup[3], setup[2]);
	/* Of a hub: to which port. */
	if ((setup[0] & 0x1f) == 3)
		snprintf(what + strlen(what), sizeof what - strlen(what), " port=%u", setup[4]);
	trace(p, what, data, setup[0] & 0x80 ? 0 : n);
}

static int gadget_port_control(
	void *data, const uint8_t setup[8], uint8_t *buf, size_t n, size_t size)
{
	struct usb_port *p = data;

	p->ops->touched(p->data);
	trace_setup(p, setup, buf, n);
	return gadget_control(p->gadget, setup, buf, n, size, now_us());
}

static ssize_t gadget_port_out(void *data, uint8_t ep, const uint8_t *bytes, size_t n)
{
	struct usb_port *p = data;
	const struct gadget_ops *g = p->gadget->ops->gadget;
	int r = g->out ? g->out(p->gadget, ep, bytes, n, now_us()) : GADGET_STALL;

	if (r == 0)
		trace(p, "out", bytes, n);
	p->ops->touched(p->data);
	return r < 0 ? r : (ssize_t)n;
}

static ssize_t gadget_port_in(void *data, uint8_t ep, uint8_t *buf, size_t size)
{
	struct usb_port *p = data;
	const struct gadget_ops *g = p->gadget->ops->gadget;

	return g->in ? g->in(p->gadget, ep, buf, size, now_us()) : GADGET_STALL;
}

static const struct vhci_ops gadget_ops = {gadget_port_control, gadget_port_out, gadget_port_in};

/* -- both -- */

static struct usb_port *blank(const struct port_ops *ops, void *data)
{
	struct usb_port *p = xcalloc(1, sizeof *p);

	p->ops = ops;
	p->data = data;
	return p;
}

static int prepare(struct usb_port *p, const struct port_place *at, struct err *e)
{
	p->gadget = at->gadget;
	p->trace = at->trace;
	return p->gadget ? 0 : acm_init(&p->acm, at->usb_id, at->model, at->usb_serial, e);
}

static const struct vhci_ops *side_of(const struct usb_port *p)
{
	return p->gadget ? &gadget_ops : &acm_ops;
}

int usb_port_plug(struct loop *l, const struct port_place *at, const struct port_ops *ops,
	void *data, struct usb_port **ret, struct err *e)
{
	_cleanup_(usb_port_freep) struct usb_port *p = blank(ops, data);
	int r = prepare(p, at, e);

	if (r == 0)
		r = vhci_plug(l, at->socket, side_of(p), p, &p->vhci, e);
	if (r == 0)
		*ret = steal_ptr(&p);
	return r;
}

int usb_port_new(struct loop *l, int fd, const struct port_place *at, const struct port_ops *ops,
	void *data, struct usb_port **ret, struct err *e)
{
	_cleanup_(usb_port_freep) struct usb_port *p = blank(ops, data);
	int r = prepare(p, at, e);

	if (r == 0)
		r = vhci_new(l, fd, side_of(p), p, &p->vhci, e);
	if (r == 0)
		*ret = steal_ptr(&p);
	return r;
}

struct usb_port *usb_port_free(struct usb_port *p)
{
	if (p) {
		vhci_free(p->vhci);
		sb_done(&p->out);
		free(p);
	}
	return NULL;
}

bool usb_port_blocked(const struct usb_port *p)
{
	return p->out.len > 0;
}

void usb_port_write(struct usb_port *p, const void *bytes, size_t n)
{
	if (p->gadget || !p->acm.dtr)
		return; /* no host listens */
	sb_add_n(&p->out, bytes, n);
	vhci_serve(p->vhci);
}

void usb_port_poll(struct usb_port *p)
{
	vhci_serve(p->vhci);
}
