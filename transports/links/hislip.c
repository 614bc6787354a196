/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/hislip.h"

#include <string.h>

#include "base/bytes.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "transports/links/link_impl.h"
#include "transports/links/message_address.h"

/* IVI-6.1, table 4. */
enum hislip_type {
	INITIALIZE = 0,
	INITIALIZE_RESPONSE = 1,
	FATAL_ERROR = 2,
	ERROR = 3,
	DATA = 6,
	DATA_END = 7,
	DEVICE_CLEAR_COMPLETE = 8,
	DEVICE_CLEAR_ACKNOWLEDGE = 9,
	INTERRUPTED = 13,
	ASYNC_INTERRUPTED = 14,
	ASYNC_MAXIMUM_MESSAGE_SIZE = 15,
	ASYNC_MAXIMUM_MESSAGE_SIZE_RESPONSE = 16,
	ASYNC_INITIALIZE = 17,
	ASYNC_INITIALIZE_RESPONSE = 18,
	ASYNC_DEVICE_CLEAR = 19,
	ASYNC_SERVICE_REQUEST = 20,
	ASYNC_DEVICE_CLEAR_ACKNOWLEDGE = 23
};

#define HEAD_BYTES	16u
#define VERSION		0x0100u /* 1.0 */
#define VENDOR		0x5046u /* two letters of no vendor's: "PF" */
#define FIRST_NUMBER	0xffffff00u
#define UNKNOWN_NUMBER	0xffffffffu /* of an instrument that numbers nothing (IVI-6.1, 3.1.2) */
#define PAYLOAD_MAX	(16u * 1024 * 1024)
#define MESSAGE_DEFAULT 4096u
#define MESSAGE_MIN	64u
#define IN_BYTES	4096u
#define STRAY_MAX	1000 /* messages that are not the one that is waited for */
#define CLEAR_US	(5 * US_PER_S)

struct hislip_head {
	uint8_t type, control;
	uint32_t parameter;
	uint64_t length;
};

struct hislip {
	struct link link;
	struct link *sync, *async;
	uint16_t session;
	uint32_t number, sent; /* of the next message, and of the last one */
	uint64_t message_max;
	bool delivered; /* the last answer was taken to its end (RMT, IVI-6.1, 3.1.2) */
	bool broken;	/* a head was left in the middle */
	/* Of the answer that is being read. */
	uint64_t left; /* bytes of its payload that are still to come */
	bool end;      /* it is the last piece */
	uint8_t in[IN_BYTES + 1];
	size_t at, len;
	uint8_t last; /* byte of the answer */
};

static struct hislip *of(struct link *l)
{
	return container_of(l, struct hislip, link);
}

/* --- messages --- */

static int send(struct link *l, const struct hislip_head *h, const void *payload,
	const struct iotime *it, struct err *e)
{
	_cleanup_(freep) uint8_t *out = xcalloc(1, HEAD_BYTES + (size_t)h->length);
	struct wbytes w = wbytes_of(out, HEAD_BYTES + (size_t)h->length);

	wb_put(&w, "HS", 2);
	wb_u8(&w, h->type);
	wb_u8(&w, h->control);
	wb_be32(&w, h->parameter);
	wb_be32(&w, (uint32_t)(h->length >> 32));
	wb_be32(&w, (uint32_t)h->length);
	wb_put(&w, payload, (size_t)h->length);
	return link_write(l, out, w.len, it, e);
}

static int read_head(
	struct link *l, struct hislip_head *ret, const struct iotime *it, struct err *e)
{
	uint8_t head[HEAD_BYTES];
	struct rbytes b = rbytes_of(head, sizeof head);
	int r = link_read_exact(l, head, sizeof head, NULL, it, e);

	if (r < 0)
		return r;
	if (memcmp(rb_take(&b, 2), "HS", 2) != 0)
		return err_set(e, ERR_PROTOCOL,
			"it does not speak HiSLIP: 'HS' expected, 0x%02x%02x came", head[0],
			head[1]);
	ret->type = rb_u8(&b);
	ret->control = rb_u8(&b);
	ret->parameter = rb_be32(&b);
	ret->length = (uint64_t)rb_be32(&b) << 32;
	ret->length |= rb_be32(&b);
	return ret->length > PAYLOAD_MAX
		       ? err_set(e, ERR_PROTOCOL, "a HiSLIP message of %llu bytes",
				 (unsigned long long)ret->length)
		       : 0;
}

static int drop(struct link *l, uint64_t n, const struct iotime *it, struct err *e)
{
	uint8_t buf[512];
	int r = 0;

	while (r == 0 && n > 0) {
		size_t k = MIN(n, sizeof buf);

		r = link_read_exact(l, buf, k, NULL, it, e);
		n -= k;
	}
	return r;
}

/* FatalError, Error: the text of the payload is said. */
static int instrument_said(
	struct link *l, const struct hislip_head *h, const struct iotime *it, struct err *e)
{
	char text[160];
	size_t n = MIN(h->length, sizeof text);
	struct strbuf b = {0};
	int r = link_read_exact(l, text, n, NULL, it, e);

	if (r < 0)
		return r;
	sb_add_escaped(&b, text, n);
	r = err_set(e, ERR_PROTOCOL, "the instrument says HiSLIP %s %u: %.200s",
		h->type == ERROR ? "error" : "fatal error", h->control, b.s ? b.s : "");
	sb_done(&b);
	return r;
}

/* The next message of that type; ones that may come at any time are dropped. */
static int await(struct link *l, enum hislip_type type, struct hislip_head *ret,
	const struct iotime *it, struct err *e)
{
	for (int i = 0; i < STRAY_MAX; i++) {
		int r = read_head(l, ret, it, e);

		if (r < 0 || ret->type == type)
			return r;
		if (ret->type == FATAL_ERROR || ret->type == ERROR)
			return instrument_said(l, ret, it, e);
		r = drop(l, ret->length, it, e);
		if (r < 0)
			return r;
	}
	return err_set(
		e, ERR_PROTOCOL, "HiSLIP message %d is missing among %d others", type, STRAY_MAX);
}

/* --- the session --- */

static int send_plain(struct link *l, enum hislip_type type, uint8_t control, uint32_t parameter,
	const struct iotime *it, struct err *e)
{
	const struct hislip_head h = {.type = type, .control = control, .parameter = parameter};

	return send(l, &h, NULL, it, e);
}

static void hislip_close(struct link *l)
{
	link_close(of(l)->sync);
	link_close(of(l)->async);
	free(of(l));
}

static int initialize(struct hislip *h, const char *device, const struct iotime *it, struct err *e)
{
	const struct hislip_head ask = {
		.type = INITIALIZE, .parameter = VERSION << 16 | VENDOR, .length = strlen(device)};
	struct hislip_head answer = {0};
	int r = send(h->sync, &ask, device, it, e);

	if (r == 0)
		r = await(h->sync, INITIALIZE_RESPONSE, &answer, it, e);
	if (r == 0)
		r = drop(h->sync, answer.length, it, e);
	if (r < 0)
		return r;
	h->session = (uint16_t)answer.parameter;
	return 0;
}

int hislip_begin(struct link *sync, const char *device, const struct iotime *it,
	struct hislip **ret, struct err *e)
{
	struct hislip *h = xcalloc(1, sizeof *h);
	int r;

	h->sync = sync;
	h->number = FIRST_NUMBER;
	h->delivered = true;
	h->message_max = MESSAGE_DEFAULT;
	r = initialize(h, device, it, e);
	if (r < 0) {
		hislip_close(&h->link);
		return r;
	}
	*ret = h;
	return 0;
}

static int ask_size(struct hislip *h, const struct iotime *it, struct err *e)
{
	static const uint8_t size[8] = {0, 0, 0, 0, 0, 1, 0, 0};
	const struct hislip_head ask = {.type = ASYNC_MAXIMUM_MESSAGE_SIZE, .length = sizeof size};
	struct hislip_head answer = {0};
	uint8_t bytes[8];
	struct rbytes b = rbytes_of(bytes, sizeof bytes);
	int r = send(h->async, &ask, size, it, e);

	if (r == 0)
		r = await(h->async, ASYNC_MAXIMUM_MESSAGE_SIZE_RESPONSE, &answer, it, e);
	if (r == 0 && answer.length != sizeof bytes)
		return err_set(e, ERR_PROTOCOL,
			"the size of its messages has %llu bytes, 8 expected",
			(unsigned long long)answer.length);
	if (r == 0)
		r = link_read_exact(h->async, bytes, sizeof bytes, NULL, it, e);
	if (r < 0)
		return r;
	h->message_max = rb_be32(&b) ? PAYLOAD_MAX : rb_be32(&b);
	h->message_max = MIN(MAX(h->message_max, (uint64_t)MESSAGE_MIN), (uint64_t)PAYLOAD_MAX);
	return 0;
}

static int join(struct hislip *h, const struct iotime *it, struct err *e)
{
	struct hislip_head answer = {0};
	int r = send_plain(h->async, ASYNC_INITIALIZE, 0, h->session, it, e);

	if (r == 0)
		r = await(h->async, ASYNC_INITIALIZE_RESPONSE, &answer, it, e);
	if (r == 0)
		r = drop(h->async, answer.length, it, e);
	return r < 0 ? r : ask_size(h, it, e);
}

/* --- the link --- */

static int check_whole(const struct hislip *h, struct err *e)
{
	return h->broken ? err_set(e, ERR_DEVICE_GONE,
				   "a message of the instrument was left in the middle")
			 : 0;
}

static int hislip_write(
	struct link *l, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	struct hislip *h = of(l);
	const uint8_t *p = buf;
	int r = check_whole(h, e);

	while (r == 0 && n > 0) {
		size_t k = MIN(n, (size_t)h->message_max - HEAD_BYTES);
		const struct hislip_head head = {.type = k == n ? DATA_END : DATA,
			.control = h->delivered,
			.parameter = h->number,
			.length = k};

		r = send(h->sync, &head, p, it, e);
		/* By two for each piece, and the answer has the number of the last: IVI-6.1, 3.1.2. */
		h->sent = h->number;
		h->number += 2;
		h->delivered = false;
		p += k;
		n -= k;
	}
	return r;
}

static bool is_ours(const struct hislip *h, uint32_t number)
{
	return number == h->sent || number == UNKNOWN_NUMBER;
}

/* To the beginning of a piece of this message's answer. */
static int next_piece(struct hislip *h, const struct iotime *it, struct err *e)
{
	for (int i = 0; i < STRAY_MAX; i++) {
		struct hislip_head head = {0};
		int r = read_head(h->sync, &head, it, e);

		if (r < 0)
			return r;
		if (head.type == FATAL_ERROR || head.type == ERROR)
			return instrument_said(h->sync, &head, it, e);
		if ((head.type == DATA || head.type == DATA_END) && is_ours(h, head.parameter)) {
			h->left = head.length;
			h->end = head.type == DATA_END;
			return 0;
		}
		/* The answer to an earlier message, or Interrupted. */
		r = drop(h->sync, head.length, it, e);
		if (r < 0)
			return r;
	}
	return err_set(
		e, ERR_PROTOCOL, "%d messages of HiSLIP, none of which is the answer", STRAY_MAX);
}

static int fill(struct hislip *h, const struct iotime *it, struct err *e)
{
	size_t n;
	int r = 0;

	if (h->left == 0)
		r = next_piece(h, it, e);
	if (r < 0)
		return r;
	n = MIN(h->left, (uint64_t)IN_BYTES);
	r = n ? link_read_exact(h->sync, h->in, n, NULL, it, e) : 0;
	if (r < 0)
		return r;
	h->left -= n;
	h->at = 0;
	h->len = n;
	h->last = n ? h->in[n - 1] : h->last;
	if (h->left == 0 && h->end) {
		if (h->last != '\n')
			h->in[h->len++] = '\n';
		h->last = 0;
		h->delivered = true;
	}
	return 0;
}

static int hislip_read(struct link *l, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	struct hislip *h = of(l);
	int r = check_whole(h, e);

	while (r == 0 && h->at == h->len) {
		uint64_t before = h->sync->rx_bytes;

		r = iotime_check(it, e);
		if (r == 0)
			r = fill(h, it, e);
		/* Where it broke off is not known. */
		h->broken = r < 0 && h->sync->rx_bytes != before;
	}
	if (r < 0)
		return r;
	*ret_n = MIN(size, h->len - h->at);
	memcpy(buf, h->in + h->at, *ret_n);
	h->at += *ret_n;
	return 0;
}

static int clear(struct hislip *h, const struct iotime *it, struct err *e)
{
	struct hislip_head answer = {0};
	int r = check_whole(h, e);

	if (r == 0)
		r = send_plain(h->async, ASYNC_DEVICE_CLEAR, 0, 0, it, e);
	if (r == 0)
		r = await(h->async, ASYNC_DEVICE_CLEAR_ACKNOWLEDGE, &answer, it, e);
	if (r == 0)
		r = drop(h->async, answer.length, it, e);
	if (r == 0)
		r = drop(h->sync, h->left, it, e);
	h->left = 0;
	if (r == 0)
		r = send_plain(h->sync, DEVICE_CLEAR_COMPLETE, 0, 0, it, e);
	if (r == 0)
		r = await(h->sync, DEVICE_CLEAR_ACKNOWLEDGE, &answer, it, e);
	return r < 0 ? r : drop(h->sync, answer.length, it, e);
}

static int hislip_clear(struct link *l, const struct iotime *it, struct err *e)
{
	struct hislip *h = of(l);
	struct iotime within = iotime_within(it, CLEAR_US);
	int r = clear(h, &within, e);

	h->broken |= r < 0;
	h->at = h->len = 0;
	h->last = 0;
	h->delivered = true;
	h->number = FIRST_NUMBER;
	return r;
}

static int hislip_control(struct link *l, enum link_control c, uint32_t arg, struct err *e)
{
	if (c != LINK_CONTROL_FLUSH)
		return err_set(e, ERR_UNSUPPORTED, "HiSLIP has no rate, modem lines or break");
	of(l)->at = of(l)->len = 0;
	return 0;
}

static const struct link_ops hislip_ops = {
	.name = "hislip",
	.read = hislip_read,
	.write = hislip_write,
	.control = hislip_control,
	.clear = hislip_clear,
	.close = hislip_close,
};

int hislip_join(struct hislip *h, struct link *async, const struct iotime *it, struct link **ret,
	struct err *e)
{
	int r;

	h->async = async;
	h->link.ops = &hislip_ops;
	r = join(h, it, e);
	if (r < 0) {
		hislip_close(&h->link);
		return r;
	}
	*ret = &h->link;
	return 0;
}

int hislip_link_open(const char *rest, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e)
{
	struct iotime within = iotime_within(it, OPEN_US(cfg));
	struct message_address a;
	struct link *sync = NULL, *async = NULL;
	struct hislip *h = NULL;
	int r = message_address_read(rest, HISLIP_PORT, HISLIP_DEVICE, &a, e);

	if (r < 0)
		return r;

	_cleanup_(freep) char *at = xasprintf("tcp:%s:%u", a.host, a.port);

	r = link_open(at, cfg, &within, &sync, e);
	if (r == 0)
		r = hislip_begin(sync, a.device, &within, &h, e);
	if (r < 0)
		return r;
	r = link_open(at, cfg, &within, &async, e);
	if (r < 0) {
		hislip_close(&h->link);
		return r;
	}
	return hislip_join(h, async, &within, ret, e);
}
