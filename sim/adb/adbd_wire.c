/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the link and the packets: a byte stream, or USB transfers read as adbd's functionfs reads
 * them. A read of adbd takes at most 16 KiB and ends with a short packet: so a transfer whose
 * length is a multiple of the packet size is joined to the next one, unless a zero-length packet
 * (or the end of the 16 KiB) parts them. A header is a read of 24 bytes and nothing else.
 */
#include "sim/adb/adbd.h"

#define HEADER	    24u
#define MAX_PACKET  512u
#define READ_BYTES  16384u
#define ROOM	    (2u << 20)
#define PAYLOAD_MAX (1u << 20)
#define TRANSFERS   1024u
#define EP_OUT	    1
#define EP_IN	    1

struct adbd_usb {
	struct adbd_queue read;	  /* of adbd's read under way */
	size_t length[TRANSFERS]; /* of the transfers in d->tx */
	size_t head, n;
	size_t gone; /* bytes of the first that are through */
	bool have_header;
	uint8_t header[HEADER];
	struct adbd_queue payload;
	bool halted;
};

void adbd_put(struct adbd_queue *q, const void *p, size_t n)
{
	if (n == 0)
		return;
	if (q->at == q->len)
		q->at = q->len = 0;
	if (q->at && q->len + n > q->cap) {
		memmove(q->p, q->p + q->at, q->len - q->at);
		q->len -= q->at;
		q->at = 0;
	}
	if (q->len + n > q->cap) {
		q->cap = (q->len + n) * 2;
		q->p = realloc(q->p, q->cap);
		if (!q->p)
			abort();
	}
	memcpy(q->p + q->len, p, n);
	q->len += n;
}

void adbd_take(struct adbd_queue *q, size_t n)
{
	q->at += n;
}

void adbd_queue_done(struct adbd_queue *q)
{
	free(q->p);
	*q = (struct adbd_queue){0};
}

/* --- out --- */

static void push_transfer(struct adbd *d, const void *p, size_t n)
{
	adbd_put(&d->tx, p, n);
	if (!d->usb)
		return;
	if (d->usb->n == TRANSFERS)
		abort(); /* a stream sends one packet at a time: there are not so many */
	d->usb->length[(d->usb->head + d->usb->n++) % TRANSFERS] = n;
}

static uint32_t byte_sum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += p[i];
	return sum;
}

void adbd_send(
	struct adbd *d, uint32_t command, uint32_t arg0, uint32_t arg1, const void *p, size_t n)
{
	uint8_t header[HEADER];
	struct wbytes w = wbytes_of(header, sizeof header);
	uint32_t sum = d->no_sums ? 0 : byte_sum(p, n);
	uint64_t rubbish = 0;

	if (adbd_hit_arg(d, AF_GARBAGE, &rubbish)) {
		_cleanup_(freep) uint8_t *bytes = xcalloc(1, rubbish + 1);

		for (size_t i = 0; i < rubbish; i++)
			bytes[i] = (uint8_t)(i * 7 + 1);
		push_transfer(d, bytes, rubbish);
	}
	if (n && adbd_hit(d, AF_BAD_SUM))
		sum = byte_sum(p, n) + 1;
	wb_le32(&w, command);
	wb_le32(&w, arg0);
	wb_le32(&w, arg1);
	wb_le32(&w, adbd_hit(d, AF_HUGE_LENGTH) ? 0x7fffffff : (uint32_t)n);
	wb_le32(&w, sum);
	wb_le32(&w, adbd_hit(d, AF_BAD_MAGIC) ? command : ~command);
	push_transfer(d, header, sizeof header);
	if (n)
		push_transfer(d, p, n);
	d->counters[1]++;
}

bool adbd_wire_sending(const struct adbd *d)
{
	return adbd_queued(&d->tx) > 0;
}

/* How many of n bytes may go, by the faults that stop at a byte. */
static size_t fault_limit(struct adbd *d, size_t n)
{
	uint64_t k;

	if (adbd_armed(d, AF_STALL_REPLY, &k) && d->tx_bytes + n > k) {
		d->stalled = true;
		return k > d->tx_bytes ? (size_t)(k - d->tx_bytes) : 0;
	}
	if (adbd_armed(d, AF_HANGUP_REPLY, &k) && d->tx_bytes + n > k) {
		adbd_hit(d, AF_HANGUP_REPLY);
		d->stalled = true;
		d->device.wish = WISH_HANGUP;
		return k > d->tx_bytes ? (size_t)(k - d->tx_bytes) : 0;
	}
	return n;
}

size_t adbd_wire_output(struct adbd *d, uint8_t *buf, size_t size)
{
	size_t n = MIN(size, adbd_queued(&d->tx));

	if (d->stalled)
		return 0;
	if (adbd_armed(d, AF_SPLIT, NULL))
		n = MIN(n, (size_t)1);
	n = fault_limit(d, n);
	memcpy(buf, d->tx.p + d->tx.at, n);
	adbd_take(&d->tx, n);
	d->tx_bytes += n;
	return fault_out(d->wire_faults, FAULT_PHASE_CONSOLE, buf, n);
}

/* --- in --- */

void adbd_wire_reset(struct adbd *d)
{
	d->rx.at = d->rx.len = 0;
	d->tx.at = d->tx.len = 0;
	d->rx_bytes = d->tx_bytes = 0;
	if (d->usb) {
		adbd_queue_done(&d->usb->read);
		adbd_queue_done(&d->usb->payload);
		*d->usb = (struct adbd_usb){0};
	}
}

static void broken(struct adbd *d, const char *why)
{
	adbd_logf(d, "adbd: %s, connection dropped", why);
	adbd_connection_lost(d);
	if (d->usb)
		d->usb->halted = true;
	else
		d->device.wish = WISH_HANGUP;
	d->stalled = true;
}

struct head {
	uint32_t command, arg0, arg1, length, check;
};

static bool parse_header(struct adbd *d, const uint8_t *p, struct head *h)
{
	struct rbytes b = rbytes_of(p, HEADER);

	h->command = rb_le32(&b);
	h->arg0 = rb_le32(&b);
	h->arg1 = rb_le32(&b);
	h->length = rb_le32(&b);
	h->check = rb_le32(&b);
	if (rb_le32(&b) != ~h->command) {
		broken(d, "bad magic");
		return false;
	}
	if (h->length > PAYLOAD_MAX) {
		broken(d, "payload too long");
		return false;
	}
	return true;
}

static bool deaf(const struct adbd *d, uint64_t now_us)
{
	return d->stalled || d->mode == ADBD_OFF || d->mode == ADBD_BOOTLOADER ||
	       now_us < d->boot_until_us;
}

void adbd_wire_run(struct adbd *d, uint64_t now_us)
{
	struct head h;

	d->waits = adbd_queued(&d->rx) > 0 && now_us < d->boot_until_us;
	while (!d->usb && !deaf(d, now_us) && adbd_queued(&d->rx) >= HEADER) {
		if (!parse_header(d, d->rx.p + d->rx.at, &h) ||
			adbd_queued(&d->rx) < HEADER + h.length)
			return;
		/* The packet may end the connection, and with it the queue. */
		const uint8_t *payload = d->rx.p + d->rx.at + HEADER;

		adbd_take(&d->rx, HEADER + h.length);
		adbd_packet(d, h.command, h.arg0, h.arg1, h.check, payload, h.length, now_us);
	}
	if (!deaf(d, now_us))
		adbd_streams_run(d, now_us);
}

static void take_fate(struct adbd *d, enum fault_fate fate)
{
	static const enum device_wish wish[] = {[FATE_DISAPPEAR] = WISH_UNPLUG,
		[FATE_REPLUG] = WISH_REPLUG,
		[FATE_SWAP] = WISH_SWAP};

	d->stalled |= fate != FATE_PASS && fate != FATE_DROP;
	if (fate == FATE_DISAPPEAR || fate == FATE_REPLUG || fate == FATE_SWAP)
		d->device.wish = wish[fate];
}

/* Bytes from the host through the faults; what is left of them. */
static void push_faulty(struct adbd *d, struct adbd_queue *q, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n && !d->stalled; i++) {
		uint8_t byte = p[i];
		enum fault_fate fate = fault_in(d->wire_faults, FAULT_PHASE_CONSOLE, &byte);

		take_fate(d, fate);
		if (fate == FATE_PASS)
			adbd_put(q, &byte, 1);
	}
}

static void push_input(struct adbd *d, struct adbd_queue *q, const uint8_t *p, size_t n)
{
	uint64_t k;

	if (d->stalled)
		return;
	d->rx_bytes += n;
	if (adbd_armed(d, AF_HANGUP, &k) && d->rx_bytes > k) {
		adbd_hit(d, AF_HANGUP);
		d->stalled = true;
		d->device.wish = WISH_HANGUP;
		return;
	}
	if (d->wire_faults->n)
		push_faulty(d, q, p, n);
	else
		adbd_put(q, p, n);
}

size_t adbd_wire_input(struct adbd *d, const uint8_t *p, size_t n, uint64_t now_us)
{
	push_input(d, &d->rx, p, n);
	adbd_wire_run(d, now_us);
	return adbd_queued(&d->rx) < ROOM ? ROOM - adbd_queued(&d->rx) : 0;
}

/* --- USB --- */

static void usb_begin(struct adbd *d)
{
	if (!d->usb)
		d->usb = xcalloc(1, sizeof *d->usb);
}

void adbd_usb_done(struct adbd *d)
{
	if (d->usb) {
		adbd_queue_done(&d->usb->read);
		adbd_queue_done(&d->usb->payload);
		free(d->usb);
	}
	d->usb = NULL;
}

/* One read of adbd. */
static void take_read(struct adbd *d, const uint8_t *p, size_t n, uint64_t now_us)
{
	struct adbd_usb *u = d->usb;
	struct head h;

	if (n == 0)
		return;
	if (!u->have_header) {
		if (n != HEADER) {
			broken(d, "received packet of unexpected length while reading header");
			return;
		}
		memcpy(u->header, p, HEADER);
		u->have_header = true;
	} else {
		adbd_put(&u->payload, p, n);
	}
	if (!parse_header(d, u->header, &h))
		return;
	if (adbd_queued(&u->payload) > h.length) {
		broken(d, "received too many bytes while waiting for payload");
		return;
	}
	if (adbd_queued(&u->payload) < h.length)
		return;

	struct adbd_queue payload = u->payload;

	u->have_header = false;
	u->payload = (struct adbd_queue){0};
	adbd_packet(d, h.command, h.arg0, h.arg1, h.check, payload.p, h.length, now_us);
	adbd_queue_done(&payload);
}

static int usb_out(struct device *dev, uint8_t ep, const uint8_t *p, size_t n, uint64_t now_us)
{
	struct adbd *d = container_of(dev, struct adbd, device);
	bool short_packet = n % MAX_PACKET != 0 || n == 0;

	usb_begin(d);
	if (ep != EP_OUT || d->usb->halted)
		return GADGET_STALL;
	if (d->mode == ADBD_OFF || now_us < d->boot_until_us || d->stalled)
		return GADGET_NAK;
	push_input(d, &d->usb->read, p, n);
	while (adbd_queued(&d->usb->read) >= READ_BYTES ||
		(short_packet && adbd_queued(&d->usb->read) > 0)) {
		size_t k = MIN(adbd_queued(&d->usb->read), READ_BYTES);
		_cleanup_(freep) uint8_t *bytes = xcalloc(1, k);

		memcpy(bytes, d->usb->read.p + d->usb->read.at, k);
		adbd_take(&d->usb->read, k);
		take_read(d, bytes, k, now_us);
	}
	if (!deaf(d, now_us))
		adbd_streams_run(d, now_us);
	return 0;
}

/* What one URB of the host gets: up to a short packet. A transfer of whole packets does not end
 * it, since the device sends no zero-length packets. */
static size_t gather(const struct adbd_usb *u, size_t size, size_t *ret_transfers)
{
	size_t total = 0;

	for (size_t i = 0; i < u->n; i++) {
		size_t left = u->length[(u->head + i) % TRANSFERS] - (i == 0 ? u->gone : 0);

		*ret_transfers = i;
		if (total + left >= size)
			return size;
		total += left;
		if (left % MAX_PACKET) {
			*ret_transfers = i + 1;
			return total;
		}
	}
	return 0; /* the URB waits on */
}

static ssize_t usb_in(struct device *dev, uint8_t ep, uint8_t *buf, size_t size, uint64_t now_us)
{
	struct adbd *d = container_of(dev, struct adbd, device);
	struct adbd_usb *u;
	size_t through = 0;
	size_t n;

	usb_begin(d);
	u = d->usb;
	if (ep != EP_IN || u->halted)
		return GADGET_STALL;
	if (!deaf(d, now_us))
		adbd_streams_run(d, now_us);
	n = d->stalled ? 0 : gather(u, size, &through);
	if (n == 0)
		return GADGET_NAK;
	memcpy(buf, d->tx.p + d->tx.at, n);
	adbd_take(&d->tx, n);
	d->tx_bytes += n;
	for (size_t left = n; left > 0 || through > 0;) {
		size_t k = u->length[u->head] - u->gone;

		if (left < k) {
			u->gone += left;
			break;
		}
		left -= k;
		u->gone = 0;
		u->head = (u->head + 1) % TRANSFERS;
		u->n--;
		through -= through > 0;
	}
	fault_out(d->wire_faults, FAULT_PHASE_CONSOLE, buf, n);
	return (ssize_t)n;
}

static int usb_control(struct device *dev, const uint8_t setup[8], uint8_t *data, size_t n,
	size_t size, uint64_t now_us)
{
	return setup[1] == 0x0b ? 0 : GADGET_STALL; /* SET_INTERFACE */
}

static void usb_reset(struct device *dev, uint64_t now_us)
{
	struct adbd *d = container_of(dev, struct adbd, device);

	usb_begin(d);
	if (d->usb->halted) {
		adbd_connection_lost(d);
		adbd_wire_reset(d);
		d->stalled = false;
	}
}

/* 18d1:4ee7 is the charging phone with debugging. */
#define DEVICE_DESCRIPTOR(pid)                                                                     \
	{                                                                                          \
		18, 1, 0x00, 0x02, 0, 0, 0, 64, 0xd1, 0x18, (pid)&0xff, (pid) >> 8, 0x00, 0x04, 1, \
			2, 3, 1                                                                    \
	}
#define CONFIG_DESCRIPTOR(protocol)                                                              \
	{                                                                                        \
		9, 2, 32, 0, 1, 1, 0, 0x80, 250, 9, 4, 0, 0, 2, 0xff, 0x42, (protocol), 4, 7, 5, \
			0x81, 2, 0x00, 0x02, 0, 7, 5, 0x01, 2, 0x00, 0x02, 0                     \
	}

static void usb_identity(const struct device *dev, struct gadget_identity *ret)
{
	static const uint8_t device_adb[18] = DEVICE_DESCRIPTOR(0x4ee7);
	static const uint8_t device_fastboot[18] = DEVICE_DESCRIPTOR(0x4ee0);
	static const uint8_t config_adb[32] = CONFIG_DESCRIPTOR(1);
	static const uint8_t config_fastboot[32] = CONFIG_DESCRIPTOR(3);
	const struct adbd *d =
		(const struct adbd *)((const char *)dev - offsetof(struct adbd, device));
	bool fastboot = d->mode == ADBD_BOOTLOADER;

	*ret = (struct gadget_identity){
		.device = fastboot ? device_fastboot : device_adb,
		.config = fastboot ? config_fastboot : config_adb,
		.config_len = sizeof config_adb,
		.string = {NULL, "provsim", "phone", d->serial[0] ? d->serial : NULL,
			fastboot ? "fastboot" : "ADB Interface"},
	};
}

const struct gadget_ops adbd_gadget = {
	.identity = usb_identity,
	.control = usb_control,
	.out = usb_out,
	.in = usb_in,
	.reset = usb_reset,
};
