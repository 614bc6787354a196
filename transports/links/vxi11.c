/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/vxi11.h"

#include <string.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "base/util.h"
#include "transports/links/link_impl.h"
#include "transports/links/message_address.h"

/* RFC 5531 */
#define CALL	    0
#define REPLY	    1
#define RPC_VERSION 2
#define LAST_RECORD 0x80000000u
#define RECORD_MAX  (1024u * 1024)
#define HEAD_BYTES  40u
#define RECORDS_MAX 64 /* of one reply, or replies to earlier calls */
/* RFC 1833 */
#define PMAP_PROGRAM 100000
#define PMAP_VERSION 2
#define PMAP_GETPORT 3
/* VXI-11, B.6 */
#define CORE_PROGRAM  395183
#define CORE_VERSION  1
#define CREATE_LINK   10
#define DEVICE_WRITE  11
#define DEVICE_READ   12
#define DEVICE_CLEAR  15
#define DESTROY_LINK  23
#define FLAG_END      8u
#define REASON_END    4u
#define ERROR_TIMEOUT 15
#define ERROR_LOCKED  11
#define ERROR_LINK    4
#define ERROR_ABORT   23

#define CHUNK_BYTES 4096u
#define READ_BYTES  16384u
#define CLEAR_US    (5 * US_PER_S)
#define GOODBYE_US  (200 * US_PER_MS)
#define ANSWER_US \
	(500 * US_PER_MS) /* for the reply to a call that the instrument ends by its io_timeout */

struct vxi11 {
	struct link link;
	struct link *core;
	uint32_t xid, lid, message_max;
	bool broken; /* a call was left in the middle */
	uint8_t in[READ_BYTES];
	size_t at, len;
};

static struct vxi11 *of(struct link *l)
{
	return container_of(l, struct vxi11, link);
}

/* --- ONC RPC --- */

static void put_head(
	struct wbytes *w, uint32_t xid, uint32_t program, uint32_t version, uint32_t proc)
{
	wb_be32(w, 0); /* the record's length, at the end */
	wb_be32(w, xid);
	wb_be32(w, CALL);
	wb_be32(w, RPC_VERSION);
	wb_be32(w, program);
	wb_be32(w, version);
	wb_be32(w, proc);
	wb_fill(w, 0, 16); /* AUTH_NONE, twice */
}

static void put_opaque(struct wbytes *w, const void *p, size_t n)
{
	wb_be32(w, (uint32_t)n);
	wb_put(w, p, n);
	wb_fill(w, 0, -n % 4);
}

static int send_record(struct link *l, struct wbytes *w, const struct iotime *it, struct err *e)
{
	struct wbytes head = wbytes_of(w->p, 4);

	if (w->bad)
		return err_set(e, ERR_INTERNAL, "an RPC call is too long");
	wb_be32(&head, LAST_RECORD | (uint32_t)(w->len - 4));
	return link_write(l, w->p, w->len, it, e);
}

/* One reply, of all its fragments. */
static int read_record(struct link *l, uint8_t *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	size_t n = 0;

	for (int i = 0; i < RECORDS_MAX; i++) {
		uint8_t mark[4];
		int r = link_read_exact(l, mark, sizeof mark, NULL, it, e);
		struct rbytes b = rbytes_of(mark, sizeof mark);
		uint32_t head = rb_be32(&b);
		uint32_t len = head & ~LAST_RECORD;

		if (r < 0)
			return r;
		if (len > size - n)
			return err_set(
				e, ERR_PROTOCOL, "an RPC reply of more than %zu bytes", size);
		r = len ? link_read_exact(l, buf + n, len, NULL, it, e) : 0;
		if (r < 0)
			return r;
		n += len;
		if (head & LAST_RECORD) {
			*ret_n = n;
			return 0;
		}
	}
	return err_set(e, ERR_PROTOCOL, "an RPC reply in more than %d pieces", RECORDS_MAX);
}

/* Accepted and successful, or why not. */
static int check_reply(struct rbytes *b, struct err *e)
{
	uint32_t denied = rb_be32(b);
	uint32_t verifier, status;

	if (denied)
		return err_set(e, ERR_PROTOCOL, "it denies RPC calls");
	rb_be32(b);
	verifier = rb_be32(b);
	rb_take(b, verifier > 400 ? SIZE_MAX : verifier + -verifier % 4);
	status = rb_be32(b);
	if (b->bad)
		return err_set(e, ERR_PROTOCOL, "an RPC reply is cut off");
	if (status == 1 || status == 2)
		return err_set(
			e, ERR_UNSUPPORTED, "there is no VXI-11 (RPC: program not available)");
	return status ? err_set(e, ERR_PROTOCOL, "the RPC call was refused with status %u", status)
		      : 0;
}

/* Sends the call, and reads the reply with its number: ret is what follows its head, in buf. */
static int call(struct link *l, struct wbytes *w, uint32_t xid, uint8_t *buf, size_t size,
	struct rbytes *ret, const struct iotime *it, struct err *e)
{
	int r = send_record(l, w, it, e);

	for (int i = 0; r == 0 && i < RECORDS_MAX; i++) {
		size_t n = 0;

		r = read_record(l, buf, size, &n, it, e);
		if (r < 0)
			return r;
		*ret = rbytes_of(buf, n);
		if (rb_be32(ret) == xid && rb_be32(ret) == REPLY)
			return check_reply(ret, e);
	}
	return r < 0 ? r : err_set(e, ERR_PROTOCOL, "no RPC reply has the number of its call");
}

int vxi11_getport(struct link *portmapper, const struct iotime *it, uint16_t *ret, struct err *e)
{
	uint8_t out[HEAD_BYTES + 20], in[512];
	struct wbytes w = wbytes_of(out, sizeof out);
	struct rbytes b;
	uint32_t xid, port;
	int r;

	random_bytes(&xid, sizeof xid);
	put_head(&w, xid, PMAP_PROGRAM, PMAP_VERSION, PMAP_GETPORT);
	wb_be32(&w, CORE_PROGRAM);
	wb_be32(&w, CORE_VERSION);
	wb_be32(&w, 6); /* TCP */
	wb_be32(&w, 0);
	r = call(portmapper, &w, xid, in, sizeof in, &b, it, e);
	if (r < 0)
		return r;
	port = rb_be32(&b);
	if (b.bad || port > UINT16_MAX)
		return err_set(e, ERR_PROTOCOL,
			"the portmapper's answer is a port that cannot be: %u", port);
	if (port == 0)
		return err_set(e, ERR_UNSUPPORTED, "its portmapper has no VXI-11");
	*ret = (uint16_t)port;
	return 0;
}

/* --- the calls --- */

static int device_error(uint32_t error, const char *what, struct err *e)
{
	switch (error) {
	case 0:
		return 0;
	case ERROR_TIMEOUT:
		return err_set(e, ERR_TIMEOUT, "deadline passed");
	case ERROR_LOCKED:
		return err_set(e, ERR_BUSY, "another client has locked the instrument");
	case ERROR_LINK:
		return err_set(e, ERR_DEVICE_GONE, "the instrument has forgotten the link");
	default:
		return err_set(e, ERR_PROTOCOL, "VXI-11 error %u to %s", error, what);
	}
}

/* How long the instrument may take, so that its word that it had no time comes before the deadline. */
static uint32_t left_ms(const struct iotime *it)
{
	uint64_t us = iotime_left_us(it);
	uint64_t ms = (us > 2 * ANSWER_US ? us - ANSWER_US : us / 2) / US_PER_MS;

	return (uint32_t)MIN(MAX(ms, (uint64_t)1), (uint64_t)INT32_MAX);
}

/* What stays without a reply takes the connection with it: the instrument is still at it. */
static int call_core(struct vxi11 *v, struct wbytes *w, uint8_t *buf, size_t size,
	struct rbytes *ret, const struct iotime *it, struct err *e)
{
	int r;

	if (v->broken)
		return err_set(
			e, ERR_DEVICE_GONE, "a call to the instrument was left in the middle");
	v->broken = true;
	r = call(v->core, w, v->xid, buf, size, ret, it, e);
	v->broken = r < 0 && r != -ERR_UNSUPPORTED;
	return r;
}

static void begin(struct vxi11 *v, struct wbytes *w, uint32_t proc)
{
	put_head(w, ++v->xid, CORE_PROGRAM, CORE_VERSION, proc);
}

static int create_link(struct vxi11 *v, const char *device, const struct iotime *it, struct err *e)
{
	uint8_t out[HEAD_BYTES + 128], in[256];
	struct wbytes w = wbytes_of(out, sizeof out);
	struct rbytes b;
	uint32_t error;
	int r;

	begin(v, &w, CREATE_LINK);
	wb_be32(&w, v->xid); /* client id */
	wb_be32(&w, 0);	     /* no lock */
	wb_be32(&w, 0);
	put_opaque(&w, device, strlen(device));
	r = call_core(v, &w, in, sizeof in, &b, it, e);
	if (r < 0)
		return r;
	error = rb_be32(&b);
	v->lid = rb_be32(&b);
	rb_be32(&b); /* the port to abort at: a call that is left ends with its connection */
	v->message_max = rb_be32(&b);
	if (b.bad)
		return err_set(e, ERR_PROTOCOL, "its answer to create_link is cut off");
	if (error)
		return error == 3 ? err_set(e, ERR_NOT_FOUND, "it has no device '%s'", device)
				  : device_error(error, "create_link", e);
	v->message_max = MIN(MAX(v->message_max, 64u), CHUNK_BYTES);
	return 0;
}

static int write_chunk(struct vxi11 *v, const uint8_t *p, size_t n, bool end, size_t *ret,
	const struct iotime *it, struct err *e)
{
	uint8_t out[HEAD_BYTES + CHUNK_BYTES + 32], in[256];
	struct wbytes w = wbytes_of(out, sizeof out);
	struct rbytes b;
	uint32_t error, size;
	int r;

	begin(v, &w, DEVICE_WRITE);
	wb_be32(&w, v->lid);
	wb_be32(&w, left_ms(it));
	wb_be32(&w, 0);
	wb_be32(&w, end ? FLAG_END : 0);
	put_opaque(&w, p, n);
	r = call_core(v, &w, in, sizeof in, &b, it, e);
	if (r < 0)
		return r;
	error = rb_be32(&b);
	size = rb_be32(&b);
	if (b.bad || (!error && (size == 0 || size > n)))
		return err_set(e, ERR_PROTOCOL, "its answer to device_write is none");
	*ret = size;
	return device_error(error, "device_write", e);
}

static int vxi11_write(
	struct link *l, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	const uint8_t *p = buf;
	int r = 0;

	while (r == 0 && n > 0) {
		size_t k = MIN(n, (size_t)of(l)->message_max);
		size_t taken = 0;

		r = write_chunk(of(l), p, k, k == n, &taken, it, e);
		p += taken;
		n -= taken;
	}
	return r;
}

/* The next bytes of the answer into v->in; a message that ends without NL gets one. */
static int read_chunk(struct vxi11 *v, const struct iotime *it, struct err *e)
{
	uint8_t out[HEAD_BYTES + 32], in[READ_BYTES + 64];
	struct wbytes w = wbytes_of(out, sizeof out);
	struct rbytes b;
	const uint8_t *data;
	uint32_t error, reason, n;
	int r;

	begin(v, &w, DEVICE_READ);
	wb_be32(&w, v->lid);
	wb_be32(&w, READ_BYTES - 1);
	wb_be32(&w, left_ms(it));
	wb_fill(&w, 0, 12); /* lock timeout, flags, termination character */
	r = call_core(v, &w, in, sizeof in, &b, it, e);
	if (r < 0)
		return r;
	error = rb_be32(&b);
	reason = rb_be32(&b);
	n = rb_be32(&b);
	data = n < READ_BYTES ? rb_take(&b, n) : NULL;
	if (error)
		return device_error(error, "device_read", e);
	if (!data)
		return err_set(e, ERR_PROTOCOL, "its answer to device_read is cut off");
	memcpy(v->in, data, n);
	v->at = 0;
	v->len = n;
	if ((reason & REASON_END) && (n == 0 || data[n - 1] != '\n'))
		v->in[v->len++] = '\n';
	return 0;
}

static int vxi11_read(struct link *l, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	struct vxi11 *v = of(l);
	int r = 0;

	while (r == 0 && v->at == v->len) {
		r = iotime_check(it, e);
		if (r == 0)
			r = read_chunk(v, it, e);
	}
	if (r < 0)
		return r;
	*ret_n = MIN(size, v->len - v->at);
	memcpy(buf, v->in + v->at, *ret_n);
	v->at += *ret_n;
	return 0;
}

static int vxi11_clear(struct link *l, const struct iotime *it, struct err *e)
{
	struct vxi11 *v = of(l);
	struct iotime within = iotime_within(it, CLEAR_US);
	uint8_t out[HEAD_BYTES + 32], in[256];
	struct wbytes w = wbytes_of(out, sizeof out);
	struct rbytes b;
	uint32_t error;
	int r;

	v->at = v->len = 0;
	begin(v, &w, DEVICE_CLEAR);
	wb_be32(&w, v->lid);
	wb_fill(&w, 0, 8);
	wb_be32(&w, left_ms(&within));
	r = call_core(v, &w, in, sizeof in, &b, &within, e);
	if (r < 0)
		return r;
	error = rb_be32(&b);
	return b.bad ? err_set(e, ERR_PROTOCOL, "its answer to device_clear is cut off")
		     : device_error(error, "device_clear", e);
}

static int vxi11_control(struct link *l, enum link_control c, uint32_t arg, struct err *e)
{
	if (c != LINK_CONTROL_FLUSH)
		return err_set(e, ERR_UNSUPPORTED, "VXI-11 has no rate, modem lines or break");
	of(l)->at = of(l)->len = 0;
	return 0;
}

/* Without a wait that counts: the instrument ends the link with the connection. */
static void vxi11_close(struct link *l)
{
	struct vxi11 *v = of(l);
	uint8_t out[HEAD_BYTES + 8], in[256];
	struct wbytes w = wbytes_of(out, sizeof out);
	struct iotime it = {.deadline_us = now_us() + GOODBYE_US};
	struct rbytes b;

	if (v->lid && !v->broken) {
		begin(v, &w, DESTROY_LINK);
		wb_be32(&w, v->lid);
		call_core(v, &w, in, sizeof in, &b, &it, NULL);
	}
	link_close(v->core);
	free(v);
}

static const struct link_ops vxi11_ops = {
	.name = "vxi11",
	.read = vxi11_read,
	.write = vxi11_write,
	.control = vxi11_control,
	.clear = vxi11_clear,
	.close = vxi11_close,
};

int vxi11_link_over(struct link *core, const char *device, const struct iotime *it,
	struct link **ret, struct err *e)
{
	struct vxi11 *v = xcalloc(1, sizeof *v);
	int r;

	v->link.ops = &vxi11_ops;
	v->core = core;
	random_bytes(&v->xid, sizeof v->xid);
	r = create_link(v, device, it, e);
	if (r < 0) {
		vxi11_close(&v->link);
		return r;
	}
	*ret = &v->link;
	return 0;
}

static int find_port(const char *host, const struct link_config *cfg, const struct iotime *it,
	uint16_t *ret, struct err *e)
{
	_cleanup_(freep) char *at = xasprintf("tcp:%s:%d", host, VXI11_PORTMAPPER);
	_cleanup_(link_closep) struct link *l = NULL;
	int r = link_open(at, cfg, it, &l, e);

	return r < 0 ? err_prefix(e, "portmapper") : vxi11_getport(l, it, ret, e);
}

int vxi11_link_open(const char *rest, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e)
{
	struct message_address a;
	struct iotime within = iotime_within(it, OPEN_US(cfg));
	struct link *core = NULL;
	int r = message_address_read(rest, 0, VXI11_DEVICE, &a, e);

	if (r == 0 && a.port == 0)
		r = find_port(a.host, cfg, &within, &a.port, e);
	if (r < 0)
		return r;

	_cleanup_(freep) char *at = xasprintf("tcp:%s:%u", a.host, a.port);

	r = link_open(at, cfg, &within, &core, e);
	return r < 0 ? r : vxi11_link_over(core, a.device, &within, ret, e);
}
