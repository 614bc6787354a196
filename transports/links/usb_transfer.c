/* SPDX-License-Identifier: Apache-2.0
 *
 * Transfers. All are asynchronous with no timeout of libusb's own: the thread polls libusb's
 * descriptors together with the cancel, so that a deadline, a cancel and a pulled plug each end a
 * wait at once. A transfer that is given up is cancelled, and waited for until the kernel has given
 * it back.
 */
#include <errno.h>
#include <poll.h>

#include "base/util.h"
#include "transports/links/usb_impl.h"

#define CONTROL_MAX 4096 /* of data: the limit of usbfs (os/linux_usbfs.h of libusb) */
/* How long the kernel may take to give a cancelled transfer back. */
#define GIVE_BACK_US (2 * US_PER_S)
#define POLL_FDS_MAX 8
/* A stream: so many buffers in flight, each of at most so many bytes. 40 stations stay within the
 * kernel's default of 16 MiB. */
#define STREAM_FLIGHTS	 3
#define STREAM_CHUNK_MAX (128u * 1024)
#define STREAM_CHUNK_MIN (16u * 1024)
#define NO_MEM_AGAIN_US	 (10 * US_PER_MS)

struct flight {
	struct libusb_transfer *t;
	uint8_t *buf;
	bool pending, done;
};

static void LIBUSB_CALL on_done(struct libusb_transfer *t)
{
	struct flight *f = t->user_data;

	f->done = true;
}

static int handle_events(struct usb *u, struct err *e)
{
	struct timeval none = {0, 0};
	int r = libusb_handle_events_timeout_completed(u->ctx, &none, NULL);

	return r < 0 && r != LIBUSB_ERROR_INTERRUPTED ? usb_err(e, r, "usb:%s", u->facts.port) : 0;
}

static size_t poll_set(struct usb *u, const struct cancel *c, struct pollfd p[POLL_FDS_MAX])
{
	const struct libusb_pollfd **list = libusb_get_pollfds(u->ctx);
	size_t n = 0;

	for (size_t i = 0; list && list[i] && n < POLL_FDS_MAX - 1; i++)
		p[n++] = (struct pollfd){.fd = list[i]->fd, .events = list[i]->events};
	libusb_free_pollfds(list);
	if (c)
		p[n++] = (struct pollfd){.fd = c->fd, .events = POLLIN};
	return n;
}

/* One wait for something to happen. */
static int wait_events(struct usb *u, const struct iotime *it, struct err *e)
{
	struct pollfd p[POLL_FDS_MAX];
	int r = iotime_check(it, e);

	if (r < 0)
		return r;

	uint64_t left = iotime_left_us(it);
	struct timespec ts = {(time_t)(left / US_PER_S), (long)(left % US_PER_S) * 1000};
	size_t n = poll_set(u, it->cancel, p);

	if (ppoll(p, n, it->deadline_us == NO_DEADLINE ? NULL : &ts, NULL) < 0 && errno != EINTR)
		return err_errno(e, ERR_IO, errno, "poll");
	return handle_events(u, e);
}

/* Waits until a flight is done. On a timeout it stays pending. */
static int wait_done(struct usb *u, const struct flight *f, const struct iotime *it, struct err *e)
{
	int r = handle_events(u, e);

	while (r == 0 && !f->done)
		r = wait_events(u, it, e);
	return r;
}

static void give_up(struct usb *u, struct flight *f)
{
	struct iotime it = {now_us() + GIVE_BACK_US, NULL};

	if (!f->pending)
		return;
	if (!f->done)
		libusb_cancel_transfer(f->t);
	if (wait_done(u, f, &it, NULL) < 0)
		u->wedged = true;
	else
		f->pending = false;
}

static void flight_done(struct usb *u, struct flight *f)
{
	give_up(u, f);
	if (f->pending)
		return; /* the kernel may still write into it */
	libusb_free_transfer(f->t);
	free(f->buf);
	*f = (struct flight){0};
}

static int flight_new(struct flight *f, size_t bytes, struct err *e)
{
	*f = (struct flight){.t = libusb_alloc_transfer(0), .buf = malloc(bytes ? bytes : 1)};
	if (f->t && f->buf)
		return 0;
	libusb_free_transfer(f->t);
	free(f->buf);
	*f = (struct flight){0};
	return err_set(e, ERR_NO_MEMORY, "%zu bytes for a USB transfer", bytes);
}

/* Returns libusb's code. */
static int submit(struct flight *f)
{
	f->done = false;
	f->t->user_data = f;
	f->t->callback = on_done;

	int r = libusb_submit_transfer(f->t);

	f->pending = r == 0;
	return r;
}

static int status_of(const struct usb *u, const struct libusb_transfer *t, struct err *e)
{
	static const int codes[] = {
		[LIBUSB_TRANSFER_COMPLETED] = 0,
		[LIBUSB_TRANSFER_ERROR] = LIBUSB_ERROR_IO,
		[LIBUSB_TRANSFER_TIMED_OUT] = LIBUSB_ERROR_TIMEOUT,
		[LIBUSB_TRANSFER_CANCELLED] = LIBUSB_ERROR_INTERRUPTED,
		[LIBUSB_TRANSFER_STALL] = LIBUSB_ERROR_PIPE,
		[LIBUSB_TRANSFER_NO_DEVICE] = LIBUSB_ERROR_NO_DEVICE,
		[LIBUSB_TRANSFER_OVERFLOW] = LIBUSB_ERROR_OVERFLOW,
	};
	int code = (size_t)t->status < ARRAY_LEN(codes) ? codes[t->status] : LIBUSB_ERROR_OTHER;

	return code == 0 ? 0
			 : usb_err(e, code, "usb:%s, endpoint %02x", u->facts.port, t->endpoint);
}

/* Submits and waits. The kernel's memory may be in use by other stations for a moment. */
static int run(struct usb *u, struct flight *f, const struct iotime *it, struct err *e)
{
	int code;
	int r = iotime_check(it, e);

	while (r == 0 && (code = submit(f)) < 0) {
		if (code != LIBUSB_ERROR_NO_MEM)
			return usb_err(
				e, code, "usb:%s, endpoint %02x", u->facts.port, f->t->endpoint);
		r = iotime_sleep(NO_MEM_AGAIN_US, it, e);
		if (r == -ERR_TIMEOUT)
			return usb_err(e, code, "usb:%s", u->facts.port);
	}
	if (r == 0)
		r = wait_done(u, f, it, e);
	if (r < 0)
		give_up(u, f);
	/* It may have come to its end while it was given up. */
	if (f->done && f->t->status == LIBUSB_TRANSFER_COMPLETED && r == -ERR_TIMEOUT)
		r = 0;
	f->pending = f->pending && !f->done;
	return r < 0 ? r : status_of(u, f->t, e);
}

int usb_control(struct usb *u, uint8_t type, uint8_t request, uint16_t value, uint16_t index,
	void *data, uint16_t n, uint16_t *ret_n, const struct iotime *it, struct err *e)
{
	struct flight f;

	if (n > CONTROL_MAX)
		return err_set(e, ERR_INTERNAL, "a control transfer of %u bytes", n);

	int r = flight_new(&f, LIBUSB_CONTROL_SETUP_SIZE + (size_t)n, e);

	if (r < 0)
		return r;
	libusb_fill_control_setup(f.buf, type, request, value, index, n);
	if (!(type & LIBUSB_ENDPOINT_IN) && n)
		memcpy(f.buf + LIBUSB_CONTROL_SETUP_SIZE, data, n);
	libusb_fill_control_transfer(f.t, u->handle, f.buf, NULL, NULL, 0);
	r = run(u, &f, it, e);
	if (r == 0 && type & LIBUSB_ENDPOINT_IN && f.t->actual_length > 0)
		memcpy(data, f.buf + LIBUSB_CONTROL_SETUP_SIZE,
			MIN((size_t)f.t->actual_length, (size_t)n));
	if (r == 0 && ret_n)
		*ret_n = (uint16_t)f.t->actual_length;
	flight_done(u, &f);
	return r;
}

int usb_read(struct usb *u, uint8_t ep, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	struct flight f;
	int r = flight_new(&f, size, e);

	*ret_n = 0;
	if (r < 0)
		return r;
	libusb_fill_bulk_transfer(
		f.t, u->handle, ep | LIBUSB_ENDPOINT_IN, f.buf, (int)size, NULL, NULL, 0);
	r = run(u, &f, it, e);
	if (f.done && f.t->actual_length > 0) {
		*ret_n = MIN((size_t)f.t->actual_length, size);
		memcpy(buf, f.buf, *ret_n);
	}
	flight_done(u, &f);
	return r;
}

static int sent_all(const struct usb *u, const struct libusb_transfer *t, struct err *e)
{
	if (t->actual_length == t->length)
		return 0;
	return err_set(e, ERR_IO, "usb:%s: the device took %d of %d bytes", u->facts.port,
		t->actual_length, t->length);
}

int usb_write(struct usb *u, uint8_t ep, const void *buf, size_t n, bool zlp,
	const struct iotime *it, struct err *e)
{
	struct flight f;
	int r = flight_new(&f, n, e);

	if (r < 0)
		return r;
	if (n)
		memcpy(f.buf, buf, n);
	libusb_fill_bulk_transfer(f.t, u->handle, ep, f.buf, (int)n, NULL, NULL, 0);
	if (zlp)
		f.t->flags |= LIBUSB_TRANSFER_ADD_ZERO_PACKET;
	r = run(u, &f, it, e);
	if (r == 0)
		r = sent_all(u, f.t, e);
	flight_done(u, &f);
	return r;
}

/* A stream: a ring of flights, which end in the order of their submission. */
struct stream {
	struct usb *u;
	uint8_t ep;
	size_t packet;
	size_t chunk;
	uint64_t total, next, through;
	usb_source_fn *fn;
	void *data;
	void (*told)(void *data, uint64_t done);
	struct flight flight[STREAM_FLIGHTS];
	size_t first, count; /* of those in flight */
};

static size_t packet_of(const struct usb *u, uint8_t ep)
{
	for (size_t i = 0; i < u->interfaces; i++)
		for (size_t k = 0; k < u->interface[i].eps; k++)
			if (u->interface[i].ep[k].address == ep && u->interface[i].ep[k].max_packet)
				return u->interface[i].ep[k].max_packet;
	return 512;
}

/* Puts the next chunk in flight. 1: the kernel has no memory while others are in flight. */
static int launch(struct stream *s, const struct iotime *it, struct err *e)
{
	struct flight *f = &s->flight[(s->first + s->count) % STREAM_FLIGHTS];
	size_t n = (size_t)MIN(s->total - s->next, (uint64_t)s->chunk);
	int r = s->fn(s->data, s->next, f->buf, n, e);
	int code;

	if (r < 0)
		return r;
	libusb_fill_bulk_transfer(f->t, s->u->handle, s->ep, f->buf, (int)n, NULL, NULL, 0);
	while ((code = submit(f)) < 0) {
		if (code != LIBUSB_ERROR_NO_MEM)
			return usb_err(e, code, "usb:%s, endpoint %02x", s->u->facts.port, s->ep);
		if (n > STREAM_CHUNK_MIN) {
			s->chunk = MAX(n / 2 / s->packet * s->packet,
				STREAM_CHUNK_MIN / s->packet * s->packet);
			n = s->chunk;
			f->t->length = (int)n;
			continue;
		}
		if (s->count)
			return 1;
		r = iotime_sleep(NO_MEM_AGAIN_US, it, e);
		if (r < 0)
			return r == -ERR_TIMEOUT ? usb_err(e, code, "usb:%s", s->u->facts.port) : r;
	}
	s->next += n;
	s->count++;
	return 0;
}

static int land(struct stream *s, const struct iotime *it, struct err *e)
{
	struct flight *f = &s->flight[s->first];
	int r = wait_done(s->u, f, it, e);

	if (r < 0)
		return r;
	f->pending = false;
	r = status_of(s->u, f->t, e);
	if (r == 0)
		r = sent_all(s->u, f->t, e);
	if (r < 0)
		return r;
	s->through += (uint64_t)f->t->length;
	s->first = (s->first + 1) % STREAM_FLIGHTS;
	s->count--;
	if (s->told)
		s->told(s->data, s->through);
	return 0;
}

static int stream_all(struct stream *s, const struct iotime *it, struct err *e)
{
	int r = 0;

	while (r == 0 && s->through < s->total) {
		while (r == 0 && s->next < s->total && s->count < STREAM_FLIGHTS)
			r = launch(s, it, e);
		if (r >= 0 && s->count)
			r = land(s, it, e);
	}
	return r;
}

int usb_stream(struct usb *u, uint8_t ep, uint64_t total, usb_source_fn *fn, void *data,
	void (*told)(void *data, uint64_t done), const struct iotime *it, struct err *e)
{
	size_t packet = packet_of(u, ep);
	struct stream s = {.u = u,
		.ep = ep,
		.packet = packet,
		.chunk = STREAM_CHUNK_MAX / packet * packet,
		.total = total,
		.fn = fn,
		.data = data,
		.told = told};
	int r = 0;

	for (size_t i = 0; r == 0 && i < STREAM_FLIGHTS; i++)
		r = flight_new(&s.flight[i], s.chunk, e);
	if (r == 0)
		r = stream_all(&s, it, e);
	for (size_t i = 0; i < STREAM_FLIGHTS; i++)
		if (s.flight[i].t)
			flight_done(u, &s.flight[i]);
	return r;
}
