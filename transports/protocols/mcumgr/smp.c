/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines, packets, and whose answer it is.
 */
#include "transports/protocols/mcumgr/smp_impl.h"

#include "base/strbuf.h"

#define FIRST_0	      0x06
#define FIRST_1	      0x09
#define NEXT_0	      0x04
#define NEXT_1	      0x14
#define LINE_RAW      ((SMP_LINE_BYTES - 3) / 4 * 3) /* bytes of a packet in one line */
#define CRC_BYTES     2
#define POLYNOMIAL    0x1021
#define BITS_PER_BYTE 10
#define SLOW_BAUD     115200
#define REASON_BYTES  80

struct smp *smp_new(struct link *l, const struct smp_opts *o, const struct teller *tell)
{
	struct smp *s = xcalloc(1, sizeof *s);

	s->link = l;
	s->o = *o;
	if (tell)
		s->tell = *tell;
	/* Another one than the session before, whose late answers have its numbers. */
	s->seq = (uint8_t)(now_us() / US_PER_MS);
	return s;
}

struct smp *smp_free(struct smp *s)
{
	/* What still comes is not for the dialogue in lines that follows on this link. */
	if (s && s->suspect)
		link_turn_lost(&s->link->turn);
	free(s);
	return NULL;
}

static uint16_t crc_of(const uint8_t *p, size_t n)
{
	uint16_t crc = 0;

	for (size_t i = 0; i < n; i++) {
		crc ^= (uint16_t)(p[i] << 8);
		for (int k = 0; k < 8; k++)
			crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ POLYNOMIAL : crc << 1);
	}
	return crc;
}

static uint64_t wire_us(const struct smp *s, uint64_t n)
{
	uint64_t baud = s->link->baud ? s->link->baud : SLOW_BAUD;

	/* There and back, and base64. */
	return 4 * n * BITS_PER_BYTE * US_PER_S / baud;
}

/* --- sending --- */

static int send_lines(
	struct smp *s, const uint8_t *p, size_t n, const struct iotime *it, struct err *e)
{
	struct strbuf out = {0};
	int r;

	for (size_t at = 0; at < n; at += LINE_RAW) {
		_cleanup_(freep) char *text = base64_of(p + at, MIN(n - at, (size_t)LINE_RAW));

		sb_add_n(&out, at ? "\x04\x14" : "\x06\x09", 2);
		sb_add(&out, text);
		sb_add(&out, "\n");
	}
	r = link_write(s->link, out.s, out.len, it, e);
	sb_done(&out);
	return r;
}

static int send_packet(
	struct smp *s, const struct smp_ask *a, const struct iotime *it, struct err *e)
{
	static const uint8_t empty_map = 0xa0;
	uint8_t raw[2 + SMP_PACKET_MAX + CRC_BYTES];
	struct wbytes w = wbytes_of(raw, sizeof raw);
	size_t n = a->body ? a->n : 1;

	wb_be16(&w, (uint16_t)(SMP_HEAD_BYTES + n + CRC_BYTES));
	wb_u8(&w, (uint8_t)((s->o.version - 1) << 3 | a->op));
	wb_u8(&w, 0);
	wb_be16(&w, (uint16_t)n);
	wb_be16(&w, (uint16_t)a->group);
	wb_u8(&w, s->seq);
	wb_u8(&w, (uint8_t)a->id);
	wb_put(&w, a->body ? a->body : &empty_map, n);
	wb_be16(&w, crc_of(raw + 2, w.len - 2));
	if (w.bad)
		return err_set(e, ERR_INTERNAL, "a packet of %zu bytes for MCUmgr", n);
	return send_lines(s, raw, w.len, it, e);
}

/* --- receiving --- */

/* A line of a packet that is whole: 1 where it ends the packet. Lines that do not fit are the end of what was before. */
static int take_line(struct smp *s)
{
	_cleanup_(freep) uint8_t *raw = NULL;
	bool first = s->mark[0] == FIRST_0;
	struct rbytes b;
	size_t n = 0;
	size_t want;

	while (s->line_len &&
		(s->line[s->line_len - 1] == '\r' || s->line[s->line_len - 1] == '\n'))
		s->line_len--;
	s->line[s->line_len] = 0;
	raw = base64_parse(s->line, &n);
	if (first)
		s->packet_len = 0;
	if (!raw || n == 0 || (!first && s->packet_len == 0) ||
		n > sizeof s->packet - s->packet_len) {
		s->packet_len = 0;
		return 0;
	}
	memcpy(s->packet + s->packet_len, raw, n);
	s->packet_len += n;
	b = rbytes_of(s->packet, s->packet_len);
	want = (size_t)rb_be16(&b) + 2;
	return s->packet_len >= want && !b.bad;
}

/* 1 where the byte ends a packet. */
static int take_byte(struct smp *s, uint8_t c)
{
	if (!s->in_line) {
		s->mark[0] = s->mark[1];
		s->mark[1] = c;
		s->in_line = (s->mark[0] == FIRST_0 && c == FIRST_1) ||
			     (s->mark[0] == NEXT_0 && c == NEXT_1);
		s->line_len = 0;
		return 0;
	}
	if (c == '\n') {
		int r = take_line(s);

		s->in_line = false;
		s->mark[0] = s->mark[1] = 0;
		return r;
	}
	/* A marker within a line: the end of the one before was lost. */
	if (c == FIRST_0 || c == NEXT_0 || s->line_len + 1 == sizeof s->line) {
		s->in_line = false;
		s->mark[0] = 0;
		s->mark[1] = c;
		s->packet_len = c == NEXT_0 ? s->packet_len : 0;
		return 0;
	}
	s->line[s->line_len++] = (char)c;
	return 0;
}

/* The next packet whose checksum is right: its bytes in s->packet from 2 on, *ret_n of them. */
static int next_packet(struct smp *s, size_t *ret_n, const struct iotime *it, struct err *e)
{
	for (;;) {
		while (s->at < s->len) {
			struct rbytes b;
			size_t n;

			if (!take_byte(s, s->in[s->at++]))
				continue;
			b = rbytes_of(s->packet, s->packet_len);
			n = rb_be16(&b);
			s->packet_len = 0;
			if (n >= SMP_HEAD_BYTES + CRC_BYTES && crc_of(s->packet + 2, n) == 0) {
				*ret_n = n - CRC_BYTES;
				return 0;
			}
			teller_log(&s->tell, '#', "a packet of %zu bytes with a wrong checksum", n);
		}
		s->at = s->len = 0;

		int r = link_read(s->link, s->in, sizeof s->in, &s->len, it, e);

		if (r < 0)
			return r;
	}
}

/* --- answers --- */

static const char *reason(int64_t rc)
{
	static const char *const rows[] = {"no error", "unknown error", "out of memory",
		"invalid value", "timeout", "no such entry", "not possible in its state",
		"message too long", "not supported", "corrupt", "busy", "access denied",
		"protocol too old", "protocol too new"};

	return rc >= 0 && (size_t)rc < ARRAY_LEN(rows) ? rows[rc] : "its own error";
}

#define RC_UNSUPPORTED 8

/* What the map says of an error, in either form; 0 where it says none. */
static int judge(
	const struct smp *s, const struct smp_ask *a, const cbor_item_t *map, struct err *e)
{
	char why[REASON_BYTES] = "";
	struct strbuf text = {0};
	int64_t rc = 0;
	uint64_t group = a->group;
	const cbor_item_t *err = smp_get(map, "err");
	int r;

	if (err && smp_get_int(err, "rc", &rc) && rc) {
		smp_get_uint(err, "group", &group);
		return err_set(e, ERR_DEVICE_REFUSED,
			"%s: the unit refused %s: error %lld of group %llu", s->link->address,
			a->what, (long long)rc, (unsigned long long)group);
	}
	if (!smp_get_int(map, "rc", &rc) || rc == 0)
		return 0;
	smp_get_text(map, "rsn", why, sizeof why);
	sb_add_escaped(&text, why, strlen(why));
	r = err_set(e, rc == RC_UNSUPPORTED ? ERR_UNSUPPORTED : ERR_DEVICE_REFUSED,
		"%s: the unit refused %s: %s (rc %lld)%s%s", s->link->address, a->what, reason(rc),
		(long long)rc, text.len ? ": " : "", text.len ? text.s : "");
	sb_done(&text);
	return r;
}

/* Whether the packet is the answer to what was asked last. */
static bool is_answer(const struct smp *s, const struct smp_ask *a, size_t n)
{
	struct rbytes b = rbytes_of(s->packet + 2, n);
	unsigned op = rb_u8(&b) & 7;
	uint16_t len;
	uint16_t group;
	uint8_t seq;
	uint8_t id;

	rb_u8(&b);
	len = rb_be16(&b);
	group = rb_be16(&b);
	seq = rb_u8(&b);
	id = rb_u8(&b);
	return op == a->op + 1 && group == a->group && seq == s->seq && id == a->id &&
	       len == n - SMP_HEAD_BYTES;
}

static int await(struct smp *s, const struct smp_ask *a, cbor_item_t **ret, const struct iotime *it,
	struct err *e)
{
	_cleanup_(smp_item_freep) cbor_item_t *map = NULL;
	size_t n = 0;
	int r;

	do {
		r = next_packet(s, &n, it, e);
		if (r == -ERR_TIMEOUT)
			return err_set(
				e, ERR_TIMEOUT, "%s: no answer to %s", s->link->address, a->what);
	} while (r == 0 && !is_answer(s, a, n));
	if (r < 0)
		return r;
	map = smp_parse(s->packet + 2 + SMP_HEAD_BYTES, n - SMP_HEAD_BYTES);
	if (!map)
		return err_set(e, ERR_PROTOCOL,
			"%s: the answer to %s has %zu bytes that are not a map of CBOR",
			s->link->address, a->what, n - SMP_HEAD_BYTES);
	r = judge(s, a, map, e);
	if (r == 0)
		*ret = steal_ptr(&map);
	return r;
}

static int ask_once(struct smp *s, const struct smp_ask *a, cbor_item_t **ret,
	const struct iotime *it, struct err *e)
{
	uint64_t budget = (a->budget_us ? a->budget_us : s->o.answer_us) +
			  wire_us(s, a->n + SMP_PACKET_MAX / 4);
	struct iotime within = iotime_within(it, budget);
	int r;

	/* The next packet begins with a line of its own, whatever is on the console. */
	s->seq++;
	s->packet_len = 0;
	r = send_packet(s, a, it, e);
	if (r == 0)
		r = await(s, a, ret, &within, e);
	s->suspect = r == -ERR_TIMEOUT || r == -ERR_PROTOCOL;
	return r;
}

int smp_request(struct smp *s, const struct smp_ask *a, cbor_item_t **ret, const struct iotime *it,
	struct err *e)
{
	unsigned attempts = a->once ? 1 : s->o.attempts;

	for (unsigned i = 1;; i++) {
		int r = ask_once(s, a, ret, it, e);

		if (r == 0 || i >= attempts || (r != -ERR_TIMEOUT && r != -ERR_PROTOCOL) ||
			iotime_check(it, NULL) < 0)
			return r;
		teller_log(&s->tell, '#', "%s once more", a->what);
	}
}
